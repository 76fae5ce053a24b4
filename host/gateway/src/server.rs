//! A configured server: what all connectors share, whichever protocol it speaks.
//!
//! A connector is a [`Protocol`]: how a question is written (`openai::wire`, `anthropic::wire`) and how an answer is
//! read (`openai::answer`, `anthropic::answer`). Everything else is here: the connections (`connection`), one try
//! (`attempt`), the bytes of an answer (`transfer`, `body`), refusals (`refusal`), what a server turned out not to
//! understand (`dialect`), and the check of a configuration (`check`).
//!
//! A try knows the silences that it may meet, but no deadline and no second try: whoever asks drops its future when
//! the time is up, and decides what follows. Only a request that the server did not understand is asked again here, in
//! another form, because nothing was done for it.
//!
//! Invariants: once a piece of an answer was heard, nothing is asked again. No key gets into an error or a log line.
mod answer;
mod attempt;
pub(crate) mod body;
mod check;
mod connection;
pub(crate) mod dialect;
mod error;
pub(crate) mod lenient;
mod refusal;
mod transfer;
mod wait;

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use domain::model::{ModelErrorKind, ModelOptions};
use reqwest::header::HeaderMap;
use reqwest::{Client, Url};

pub(crate) use answer::{Answer, Hearing};
pub(crate) use attempt::{Again, Try, TryFailed};
pub(crate) use body::Broken;
pub(crate) use error::in_words;
pub(crate) use refusal::ProviderWords;
pub(crate) use wait::random as random_wait;

use crate::config::{Error, Kind, Provider};
use crate::redact::Secrets;
use crate::{anthropic, openai};
use dialect::{BadSchema, Change, Dialect, Lasts};

/// Largest answer, text and reasoning together, and largest single line of a stream or JSON body, in bytes. No model
/// writes a tenth of it; a server that does not stop must not fill the memory.
pub const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Largest stream, in bytes. The frame around a token of a few bytes has a few hundred.
pub const STREAM_BYTES_MAX: usize = 512 << 20;
/// Most bytes that are read of a refusal: enough for any message, too little for a flood of HTML.
pub const ERROR_BODY_BYTES_MAX: usize = 64 << 10;
/// Most bytes of a provider's own words in an error message.
pub const PROVIDER_WORDS_BYTES_MAX: usize = 500;
/// Who is asking. Honest, also where a provider knows only certain clients.
pub const USER_AGENT: &str = concat!("stagewright/", env!("CARGO_PKG_VERSION"));

/// Models whose dialect is remembered. More are asked for only by somebody who makes names up.
const REMEMBERED_MODEL_COUNT_MAX: usize = 256;

/// What is spoken with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    OpenAi,
    Anthropic,
}

/// A server. Not `Debug`, because it holds a key.
pub(crate) struct Server {
    name: String,
    protocol: Protocol,
    base: Url,
    /// Without trailing slash; holds no user name and no password.
    base_url: String,
    ask_url: Url,
    headers: HeaderMap,
    has_key: bool,
    secrets: Secrets,
    pub(crate) bounds: Bounds,
    client: OnceLock<Result<Client, String>>,
    dialects: Mutex<HashMap<String, Dialect>>,
}

/// The time and the tries that a call may take.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    pub(crate) call_time_max: Duration,
    pub(crate) first_token_time_max: Duration,
    pub(crate) idle_time_max: Duration,
    pub(crate) connect_time_max: Duration,
    pub(crate) retry_wait: Duration,
    pub(crate) tries_max: u32,
}

impl Server {
    /// Checks the configuration of a provider that is a server. Connects to nobody.
    pub(crate) fn parse(provider: &Provider) -> Result<Self, Error> {
        let (protocol, base_url, key, extra) = match &provider.kind {
            Kind::Scripted => return Err(Error::NoProvider),
            Kind::OpenAi(server) => {
                (Protocol::OpenAi, &server.base_url, &server.key, &server.headers)
            }
            Kind::Anthropic(server) => {
                (Protocol::Anthropic, &server.base_url, &server.key, &server.headers)
            }
        };
        let bad_url = |reason: &str| Error::BadBaseUrl {
            provider: provider.name.clone(),
            reason: reason.to_owned(),
        };
        let base = connection::parse_base_url(base_url, protocol).map_err(bad_url)?;
        let base_url = base.as_str().trim_end_matches('/').to_owned();
        let ask_url = Url::parse(&format!("{base_url}/{}", protocol.ask_path()))
            .map_err(|_| bad_url("nothing can be added to its path"))?;
        let mut secrets = Secrets::default();
        let headers =
            connection::headers(&provider.name, protocol, key.as_ref(), extra, &mut secrets)?;
        if key.is_some() && base.scheme() == "http" && !connection::is_loopback(&base) {
            tracing::warn!(
                provider = provider.name,
                "provider `{}` gets its key over `{base_url}`, which is not encrypted",
                provider.name
            );
        }
        Ok(Self {
            name: provider.name.clone(),
            protocol,
            base,
            base_url,
            ask_url,
            headers,
            has_key: key.is_some(),
            secrets,
            bounds: Bounds::parse(provider)?,
            client: OnceLock::new(),
            dialects: Mutex::default(),
        })
    }

    /// Where it answers, fit for a message.
    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    pub(crate) fn has_key(&self) -> bool {
        self.has_key
    }

    /// Host and port, as telemetry names them.
    pub(crate) fn address(&self) -> (&str, Option<u16>) {
        (self.base.host_str().unwrap_or_default(), self.base.port_or_known_default())
    }

    /// Tokens that an answer may have when the question does not bound it, if the protocol demands a bound.
    pub(crate) fn default_tokens_max(&self) -> Option<u32> {
        match self.protocol {
            Protocol::OpenAi => None,
            Protocol::Anthropic => Some(anthropic::ANSWER_TOKENS_MAX),
        }
    }

    /// How the model is best asked, as far as it is known.
    fn dialect(&self, model: &str) -> Dialect {
        let dialects = self.dialects.lock().unwrap_or_else(PoisonError::into_inner);
        dialects.get(model).copied().unwrap_or_default()
    }

    fn remember(&self, model: &str, change: Change) {
        let mut dialects = self.dialects.lock().unwrap_or_else(PoisonError::into_inner);
        if dialects.len() < REMEMBERED_MODEL_COUNT_MAX || dialects.contains_key(model) {
            // To what is known already: calls at the same time learn different things.
            let dialect = dialects.entry(model.to_owned()).or_default();
            *dialect = dialect.with(change);
        }
    }
}

impl Protocol {
    fn ask_path(self) -> &'static str {
        match self {
            Protocol::OpenAi => "chat/completions",
            Protocol::Anthropic => "v1/messages",
        }
    }

    fn models_path(self) -> &'static str {
        match self {
            Protocol::OpenAi => "models",
            // One page holds all models that there are; the default page has 20.
            Protocol::Anthropic => "v1/models?limit=1000",
        }
    }

    /// What it is called in messages.
    fn spoken(self) -> &'static str {
        match self {
            Protocol::OpenAi => "OpenAI's chat completions",
            Protocol::Anthropic => "Anthropic's Messages",
        }
    }

    fn body(self, asked: &Try<'_>, dialect: Dialect) -> Result<Vec<u8>, BadSchema> {
        match self {
            Protocol::OpenAi => openai::body(asked.request, asked.model, dialect),
            Protocol::Anthropic => anthropic::body(asked.request, asked.model, dialect),
        }
    }

    fn change_after(
        self,
        dialect: Dialect,
        options: &ModelOptions,
        kind: ModelErrorKind,
        words: &ProviderWords,
    ) -> Option<(Change, Lasts)> {
        match self {
            Protocol::OpenAi => openai::change_after(dialect, options, kind, words),
            Protocol::Anthropic => anthropic::change_after(dialect, options, kind, words),
        }
    }
}

impl Bounds {
    fn parse(provider: &Provider) -> Result<Self, Error> {
        let positive = [
            ("call_time_max", provider.call_time_max),
            ("first_token_time_max", provider.first_token_time_max),
            ("idle_time_max", provider.idle_time_max),
            ("connect_time_max", provider.connect_time_max),
            ("tries_max", Duration::from_secs(u64::from(provider.tries_max))),
        ];
        if let Some((setting, _)) = positive.into_iter().find(|(_, bound)| bound.is_zero()) {
            return Err(Error::ZeroBound { provider: provider.name.clone(), setting });
        }
        Ok(Self {
            call_time_max: provider.call_time_max,
            first_token_time_max: provider.first_token_time_max,
            idle_time_max: provider.idle_time_max,
            connect_time_max: provider.connect_time_max,
            retry_wait: provider.retry_wait,
            tries_max: provider.tries_max,
        })
    }
}
