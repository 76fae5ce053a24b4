//! Which providers there are, as the program's configuration says. Reads no file and no environment: `stagewright`
//! does.
//!
//! Invariant: no key is ever part of a `Debug` output or of an error.
use std::time::Duration;

use secrecy::SecretString;

use crate::price::PriceList;

/// Name and kind of the built-in writer.
pub const SCRIPTED: &str = "scripted";
/// Where Kimi's coding plan answers. Keys of the general platform (`https://api.moonshot.ai/v1`) do not work there.
pub const KIMI_BASE_URL: &str = "https://api.kimi.com/coding/v1";
/// Kimi's model of the coding plan.
pub const KIMI_MODEL: &str = "kimi-for-coding";
/// Where Anthropic answers.
pub const ANTHROPIC_BASE_URL: &str = "https://api.anthropic.com";
/// Where OpenAI answers.
pub const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";

/// All providers of a host.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Names are unique.
    pub providers: Vec<Provider>,
    /// Answers that are kept to be given again.
    pub cache: Cache,
    /// What models cost that are configured without a price.
    pub prices: PriceList,
}

/// How answers are kept to be given again. They are kept in memory alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cache {
    /// Most bytes that all kept answers may have. 0: nothing is kept, whatever a question says.
    pub bytes_max: u64,
    /// How long an answer is kept.
    pub time_max: Duration,
}

impl Default for Cache {
    /// 64 MiB are some ten thousand answers of a page; an hour is a working session.
    fn default() -> Self {
        Self { bytes_max: 64 << 20, time_max: Duration::from_secs(3_600) }
    }
}

/// What a provider or one of its models may be asked. `None`: not bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Requests in any 60 seconds.
    pub requests_per_minute: Option<u32>,
    /// Tokens, input and output, in any 60 seconds.
    pub tokens_per_minute: Option<u64>,
    /// Requests at the same time.
    pub concurrent_calls_max: Option<u32>,
}

/// When a model that fails is left alone for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// Failures without an answer between them. 0: never.
    pub failure_count: u32,
    /// How long it is left alone at first; the time doubles with each failed probe.
    pub open_time: Duration,
    /// The longest that it is left alone.
    pub open_time_max: Duration,
}

impl Default for Breaker {
    /// Ten failures are two calls with all their tries; 30 seconds is what a restart takes.
    fn default() -> Self {
        Self {
            failure_count: 10,
            open_time: Duration::from_secs(30),
            open_time_max: Duration::from_secs(300),
        }
    }
}

/// Somebody who answers questions.
#[derive(Debug, Clone)]
pub struct Provider {
    /// 1 to 64 characters of `[a-z0-9_-]`, the first a letter.
    pub name: String,
    /// How it is spoken to.
    pub kind: Kind,
    /// Model for questions that name none.
    pub model: String,
    /// What is known about its models. Models that are not listed can be asked for as well; their price is unknown.
    pub models: Vec<Model>,
    /// Longest time for one call, its retries and their waits included. A question may ask for less.
    pub call_time_max: Duration,
    /// Longest time from a request to the first piece of its answer.
    pub first_token_time_max: Duration,
    /// Longest silence between two pieces of an answer. Comments and pings of the server end a silence too.
    pub idle_time_max: Duration,
    /// Longest time for a connection, name lookup and TLS included.
    pub connect_time_max: Duration,
    /// Upper bound of the first random wait before another try; it doubles with each.
    pub retry_wait: Duration,
    /// Tries for one call, the first included.
    pub tries_max: u32,
    /// What all its models together may be asked.
    pub limits: Limits,
    /// When one of its models is left alone.
    pub breaker: Breaker,
}

impl Provider {
    /// Ten minutes: a reasoning model needs minutes for a long brief.
    pub const CALL_TIME_MAX: Duration = Duration::from_secs(600);
    /// Three minutes: local models read a long prompt at a few hundred tokens per second before they write.
    pub const FIRST_TOKEN_TIME_MAX: Duration = Duration::from_secs(180);
    /// A model that writes sends something every second; a proxy drops silent connections after about a minute.
    pub const IDLE_TIME_MAX: Duration = Duration::from_secs(90);
    /// Three lost SYN packets.
    pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
    /// Half a second: what an overloaded server asks for at the least.
    pub const RETRY_WAIT: Duration = Duration::from_millis(500);
    /// Waits of about 0.5, 1, 2 and 4 seconds ride out a restart of a server.
    pub const TRIES_MAX: u32 = 5;

    /// The built-in writer.
    pub fn scripted() -> Self {
        Self::with_defaults(SCRIPTED.to_owned(), Kind::Scripted, SCRIPTED.to_owned())
    }

    /// A server that speaks OpenAI's chat completions.
    pub fn openai(name: impl Into<String>, server: OpenAi, model: impl Into<String>) -> Self {
        Self::with_defaults(name.into(), Kind::OpenAi(server), model.into())
    }

    /// A server that speaks Anthropic's Messages.
    pub fn anthropic(name: impl Into<String>, server: Anthropic, model: impl Into<String>) -> Self {
        Self::with_defaults(name.into(), Kind::Anthropic(server), model.into())
    }

    /// Kimi's coding plan.
    pub fn kimi(key: SecretString) -> Self {
        let server =
            OpenAi { base_url: KIMI_BASE_URL.to_owned(), key: Some(key), headers: Vec::new() };
        Self::openai("kimi", server, KIMI_MODEL)
    }

    fn with_defaults(name: String, kind: Kind, model: String) -> Self {
        Self {
            name,
            kind,
            model,
            models: Vec::new(),
            call_time_max: Self::CALL_TIME_MAX,
            first_token_time_max: Self::FIRST_TOKEN_TIME_MAX,
            idle_time_max: Self::IDLE_TIME_MAX,
            connect_time_max: Self::CONNECT_TIME_MAX,
            retry_wait: Self::RETRY_WAIT,
            tries_max: Self::TRIES_MAX,
            limits: Limits::default(),
            breaker: Breaker::default(),
        }
    }
}

/// How a provider is spoken to.
#[derive(Debug, Clone)]
pub enum Kind {
    /// The built-in writer: needs no network, costs nothing, is no model.
    Scripted,
    /// Chat completions as OpenAI defined them, and as Kimi, Ollama, llama.cpp, vLLM and others speak them.
    OpenAi(OpenAi),
    /// Anthropic's Messages.
    Anthropic(Anthropic),
}

impl Kind {
    /// The word that configuration and pages use.
    pub fn as_str(&self) -> &'static str {
        match self {
            Kind::Scripted => SCRIPTED,
            Kind::OpenAi(_) => "openai",
            Kind::Anthropic(_) => "anthropic",
        }
    }
}

/// A server that speaks OpenAI's chat completions.
#[derive(Debug, Clone)]
pub struct OpenAi {
    /// The part of the address before `/chat/completions`, e.g. `https://api.openai.com/v1`.
    pub base_url: String,
    /// Sent as bearer token. Local servers need none.
    pub key: Option<SecretString>,
    /// More headers for each request. One with the name of a header of ours replaces it.
    pub headers: Vec<(String, SecretString)>,
}

/// A server that speaks Anthropic's Messages.
#[derive(Debug, Clone)]
pub struct Anthropic {
    /// The part of the address before `/v1/messages`, e.g. `https://api.anthropic.com`.
    pub base_url: String,
    /// Sent as `x-api-key`.
    pub key: Option<SecretString>,
    /// More headers for each request. One with the name of a header of ours replaces it.
    pub headers: Vec<(String, SecretString)>,
}

/// What is known about a model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Model {
    /// As the provider calls it.
    pub name: String,
    /// Tokens that prompt and answer together may have.
    pub context_tokens: Option<u64>,
    /// What its tokens cost. `None`: not known.
    pub price: Option<Price>,
    /// What it may be asked, within what its provider may be asked.
    pub limits: Limits,
}

/// What the tokens of a model cost, in trillionths (10^-12) of a US dollar per token: 1 US dollar per million tokens is
/// 1,000,000. 0 is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Price {
    /// A token of the prompt.
    pub input: u64,
    /// A token of the prompt that came from the provider's cache. `None`: as any other of the prompt.
    pub cached_input: Option<u64>,
    /// A token of the prompt that was written into the provider's cache. `None`: as any other of the prompt.
    pub cache_write: Option<u64>,
    /// A token of the answer.
    pub output: u64,
    /// A token of reasoning. `None`: as any other of the answer.
    pub reasoning: Option<u64>,
}

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is nobody to ask.
    #[error("no provider is configured")]
    NoProvider,
    /// The name could not be used in records and addresses.
    #[error("`{name}` cannot be the name of a provider")]
    BadName {
        /// The name.
        name: String,
    },
    /// Two have the same name.
    #[error("two providers have the name `{name}`")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// It has no default model.
    #[error("provider `{provider}` has no model")]
    NoModel {
        /// Name of the provider.
        provider: String,
    },
    /// The base URL is none. It is not repeated here, because it may hold a password.
    #[error("the base URL of provider `{provider}` cannot be used: {reason}")]
    BadBaseUrl {
        /// Name of the provider.
        provider: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The key has characters that no header can carry.
    #[error(
        "the key of provider `{provider}` is empty or has characters that a header cannot carry"
    )]
    BadKey {
        /// Name of the provider.
        provider: String,
    },
    /// A header cannot be sent.
    #[error("header `{header}` of provider `{provider}` has a name or a value that cannot be sent")]
    BadHeader {
        /// Name of the provider.
        provider: String,
        /// Name of the header.
        header: String,
    },
    /// A bound that lets nothing through.
    #[error("`{setting}` of provider `{provider}` is 0")]
    ZeroBound {
        /// Name of the provider.
        provider: String,
        /// Name of the setting.
        setting: &'static str,
    },
}

impl Error {
    /// What to do about it, as one imperative sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Error::NoProvider => "configure a provider, or use the built-in `scripted`",
            Error::BadName { .. } => {
                "use 1 to 64 lower-case letters, digits, `-` and `_`, the first a letter"
            }
            Error::NameTaken { .. } => "rename one of them",
            Error::NoModel { .. } => "set the name of the model that the provider serves",
            Error::BadBaseUrl { .. } => {
                "write the part before `/chat/completions`, e.g. `https://api.openai.com/v1`, or before \
                 `/v1/messages`, e.g. `https://api.anthropic.com`, without user name, password, `?` and `#`"
            }
            Error::BadKey { .. } => "copy the key again, without quotes, blanks and line ends",
            Error::BadHeader { .. } => {
                "use a header name of letters and `-`, and a value of visible ASCII"
            }
            Error::ZeroBound { .. } => "set it to at least 1, or remove it to get the default",
        }
    }
}
