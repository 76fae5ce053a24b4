//! What can be typed about language models: providers, calls, usage, the cache of answers, and secrets.
use clap::{Args, Subcommand};

use super::Page;

#[derive(Debug, Subcommand)]
pub(crate) enum Providers {
    /// List the configured providers: what they are asked, how they do, what they may be asked.
    List,
    /// Send a provider a real request; costs a token or two.
    Check {
        /// The provider; all configured ones if none is named.
        name: Option<String>,
    },
    /// Ask a provider which models it has.
    Models {
        /// The provider.
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Calls {
    /// List model calls of runs, chats and clients, the newest first.
    List(Box<CallsList>),
    /// Show a call with its texts.
    Show {
        /// The call.
        call: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CallsList {
    /// Only those of this run.
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// Only those of this stage.
    #[arg(long)]
    pub(crate) stage: Option<String>,
    /// Only those that are in this state.
    #[arg(long, value_name = "STATUS", value_parser = ["open", "answered", "failed", "canceled"])]
    pub(crate) status: Option<String>,
    /// Only those of this provider.
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// Only those of this model.
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Only those of this conversation.
    #[arg(long, value_name = "ID")]
    pub(crate) conversation: Option<String>,
    /// Only those of this session.
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
    /// Only those of this client program.
    #[arg(long, value_name = "ID")]
    pub(crate) client: Option<String>,
    /// Only those with this label.
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// Only those that were asked since then (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only those that were asked before then (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    #[command(flatten)]
    pub(crate) page: Page,
}

/// What `usage` sums up.
#[derive(Debug, Args)]
pub(crate) struct Usage {
    /// By what it is summed up, in any order.
    #[arg(
        long,
        value_name = "KEYS",
        default_value = "day",
        value_delimiter = ',',
        value_parser = ["day", "provider", "model", "stage", "mode"]
    )]
    pub(crate) by: Vec<String>,
    /// The first day (`YYYY-MM-DD`, UTC).
    #[arg(long, value_name = "DAY")]
    pub(crate) since: Option<String>,
    /// The last day (`YYYY-MM-DD`, UTC).
    #[arg(long, value_name = "DAY")]
    pub(crate) until: Option<String>,
    /// Only calls of this provider.
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// Only calls of this model.
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Only calls of this stage.
    #[arg(long)]
    pub(crate) stage: Option<String>,
    /// Only calls of runs of this profile.
    #[arg(long)]
    pub(crate) mode: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Cache {
    /// Show what the cache of answers holds and did.
    Show,
    /// Forget answers: all, or those of a provider or a model.
    Clear {
        /// Only answers of this provider.
        #[arg(long, value_name = "NAME")]
        provider: Option<String>,
        /// Only answers of this model.
        #[arg(long)]
        model: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Secrets {
    /// Keep a secret in the vault; its value is read from standard input, or asked for on a terminal.
    Set {
        /// The environment variable in whose place it stands, e.g. `OPENAI_API_KEY`.
        name: String,
    },
    /// List the secrets in the vault: their names, and what they are used for.
    List,
    /// Remove a secret from the vault.
    Remove {
        /// Its name.
        name: String,
    },
}
