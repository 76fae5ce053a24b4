//! The part of the command line that is about gates: what waits for a person, and what they decide.
use clap::{Args, Subcommand};

use super::{Assignment, Page, TextSource};

#[derive(Debug, Subcommand)]
pub(crate) enum Approvals {
    /// List what waits for a person.
    List(ApprovalsList),
    /// Show a question with the artifacts to look at, who may decide until when, and what the next stage would ask.
    Show {
        /// The question.
        approval: String,
    },
    /// Say yes, with texts of your own in place of artifacts if you like.
    Grant(Grant),
    /// Say no; the run ends.
    Reject(Decision),
    /// Have the stage done again; its next attempt is told what is to change.
    Revise(Revise),
    /// Change an artifact in your editor, look at the difference, and grant with it.
    Edit(Edit),
}

#[derive(Debug, Args)]
pub(crate) struct ApprovalsList {
    /// `pending`, `granted`, `rejected`, `revised`, `closed`, or `all`.
    #[arg(long, default_value = "pending")]
    pub(crate) status: String,
    /// Only those of this run.
    #[arg(long)]
    pub(crate) run: Option<String>,
    #[command(flatten)]
    pub(crate) page: Page,
}

#[derive(Debug, Args)]
pub(crate) struct Decision {
    /// The question.
    pub(crate) approval: String,
    /// In which words: a text, `@FILE`, or `-` for standard input.
    #[arg(long, short = 'm', value_name = "TEXT|@FILE|-")]
    pub(crate) comment: Option<TextSource>,
    #[command(flatten)]
    pub(crate) terms: Terms,
}

/// What every decision may say.
#[derive(Debug, Args)]
pub(crate) struct Terms {
    /// Digest of what was looked at: a decision on anything else is refused.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) content_hash: Option<String>,
    /// Do not follow the run where no server carries it on.
    #[arg(long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Grant {
    #[command(flatten)]
    pub(crate) decision: Decision,
    /// Puts a text in place of an artifact, which goes on to later stages; may be given more than once.
    #[arg(long = "edit", value_name = "NAME=@FILE")]
    pub(crate) edits: Vec<Assignment>,
}

#[derive(Debug, Args)]
pub(crate) struct Revise {
    /// The question.
    pub(crate) approval: String,
    /// What is to change: a text, `@FILE`, or `-` for standard input.
    #[arg(long, short = 'm', value_name = "TEXT|@FILE|-")]
    pub(crate) comment: TextSource,
    #[command(flatten)]
    pub(crate) terms: Terms,
}

#[derive(Debug, Args)]
pub(crate) struct Edit {
    /// The question.
    pub(crate) approval: String,
    /// The artifact to change.
    pub(crate) name: String,
    /// In which words: a text, `@FILE`, or `-` for standard input.
    #[arg(long, short = 'm', value_name = "TEXT|@FILE|-")]
    pub(crate) comment: Option<TextSource>,
    /// Do not follow the run where no server carries it on.
    #[arg(long)]
    pub(crate) detach: bool,
}
