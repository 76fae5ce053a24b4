//! One question to a language model, one answer: limited in time and size, retried, counted, priced.
//!
//! Start at [`Gateway::ask`]. A provider is either the built-in writer (module `scripted`) or a server that speaks
//! OpenAI's chat completions (module `openai`). Inside, answers are always streamed; a caller gets the pieces through
//! a closure and the whole at the end.
//!
//! What this crate does not do: it keeps no journal and no budget, and knows no run and no stage (`engine` does). It
//! reads no configuration file and no environment (`stagewright` does).
//!
//! Invariants: nothing is asked again once a provider has accepted the question with a 2xx, because the answer may
//! have been paid for. A call never outlives its deadline. No key gets into an error, a log line or a `Debug` output.
mod config;
mod openai;
mod price;
mod question;
mod redact;
mod scripted;
mod tokens;

use std::sync::Arc;

use domain::model::{ModelError, ModelErrorKind, ModelRequest, Usage};

pub use config::{
    Config, Error, KIMI_BASE_URL, KIMI_MODEL, Kind, Model, OPENAI_BASE_URL, OpenAi, Provider,
    SCRIPTED,
};
pub use openai::{
    ANSWER_BYTES_MAX, ERROR_BODY_BYTES_MAX, PROVIDER_WORDS_BYTES_MAX, STREAM_BYTES_MAX, USER_AGENT,
};
pub use question::{
    Answered, BrokenOff, Checked, Delta, ProviderInfo, Question, Route, Timing, UnknownProvider,
};

/// Longest name of a provider, in bytes: it becomes part of addresses and records.
pub const PROVIDER_NAME_BYTES_MAX: usize = 64;

/// All configured providers. A clone is the same gateway: connections are shared.
#[derive(Clone)]
pub struct Gateway {
    configured: Arc<[Configured]>,
}

struct Configured {
    info: ProviderInfo,
    connector: Connector,
}

enum Connector {
    Scripted,
    OpenAi(Box<openai::Server>),
}

impl Gateway {
    /// Checks the configuration. Connects to nobody and reads no certificates: that happens at the first question.
    pub fn open(config: Config) -> Result<Gateway, Error> {
        if config.providers.is_empty() {
            return Err(Error::NoProvider);
        }
        let mut configured: Vec<Configured> = Vec::with_capacity(config.providers.len());
        for provider in config.providers {
            if configured.iter().any(|other| other.info.name == provider.name) {
                return Err(Error::NameTaken { name: provider.name });
            }
            configured.push(Configured::parse(&provider)?);
        }
        Ok(Gateway { configured: configured.into() })
    }

    /// Who can be asked, in the order of the configuration.
    pub fn providers(&self) -> Vec<ProviderInfo> {
        self.configured.iter().map(|configured| configured.info.clone()).collect()
    }

    /// Resolves a provider's name and, where one is given, a model of it.
    pub fn route(&self, provider: &str, model: Option<&str>) -> Result<Route, UnknownProvider> {
        let info = &self.find(provider)?.info;
        let model = model.unwrap_or(&info.model).to_owned();
        Ok(Route { provider: info.name.clone(), model })
    }

    /// Asks, and tells `deltas` what happens meanwhile. Dropping the future cancels the call: the connection is closed.
    pub async fn ask(
        &self,
        question: Question,
        deltas: &(dyn Fn(Delta) + Send + Sync),
    ) -> Answered {
        let configured = match self.find(&question.route.provider) {
            Ok(configured) => configured,
            Err(unknown) => return Answered::refused(rejected(&unknown)),
        };
        let mut answered = match &configured.connector {
            Connector::Scripted => scripted::answer(&question.request, deltas).await,
            Connector::OpenAi(server) => openai::ask(server, &question, deltas).await,
        };
        let cost = |usage| self.cost_of(&question.route, usage);
        if let Ok(completion) = &mut answered.outcome {
            completion.cost_nano_usd = cost(&completion.usage);
        }
        if let Some(broken_off) = &mut answered.broken_off {
            broken_off.cost_nano_usd = cost(&broken_off.usage);
        }
        answered
    }

    /// Estimates the tokens of a prompt. The first call in a process loads the vocabulary, which takes some hundred
    /// milliseconds.
    pub fn count_tokens(&self, request: &ModelRequest) -> u64 {
        tokens::of_request(request)
    }

    /// Estimates what a call used whose end was never seen, from the pieces that had arrived.
    pub fn estimate_usage(&self, request: &ModelRequest, text: &str, reasoning: &str) -> Usage {
        tokens::estimate(request, text, reasoning)
    }

    /// What the usage costs, in billionths of a US dollar; `None` if a price or a count is not known.
    pub fn cost_of(&self, route: &Route, usage: &Usage) -> Option<u64> {
        let configured = self.find(&route.provider).ok()?;
        match &configured.connector {
            Connector::Scripted => Some(0),
            Connector::OpenAi(_) => {
                let model =
                    configured.info.models.iter().find(|model| model.name == route.model)?;
                price::cost_nano_usd(model, usage)
            }
        }
    }

    /// Asks the provider for its models and for a few tokens, to see whether it works as configured.
    pub async fn check(&self, provider: &str) -> Result<Checked, ModelError> {
        let configured = self.find(provider).map_err(|unknown| rejected(&unknown))?;
        match &configured.connector {
            Connector::Scripted => Ok(Checked {
                model: SCRIPTED.to_owned(),
                latency_ms: 0,
                detail: "built in, not a language model; needs no network and costs nothing"
                    .to_owned(),
            }),
            Connector::OpenAi(server) => openai::check(server, &configured.info.model).await,
        }
    }

    fn find(&self, name: &str) -> Result<&Configured, UnknownProvider> {
        self.configured.iter().find(|configured| configured.info.name == name).ok_or_else(|| {
            UnknownProvider {
                asked: name.to_owned(),
                known: self
                    .configured
                    .iter()
                    .map(|configured| configured.info.name.clone())
                    .collect(),
            }
        })
    }
}

impl Configured {
    fn parse(provider: &Provider) -> Result<Self, Error> {
        let name = &provider.name;
        let plain = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
        };
        if !name.starts_with(|first: char| first.is_ascii_lowercase())
            || name.len() > PROVIDER_NAME_BYTES_MAX
            || !name.bytes().all(plain)
        {
            return Err(Error::BadName { name: name.clone() });
        }
        if provider.model.trim().is_empty() {
            return Err(Error::NoModel { provider: name.clone() });
        }
        let mut info = ProviderInfo {
            name: name.clone(),
            kind: provider.kind.as_str(),
            base_url: None,
            model: provider.model.clone(),
            models: provider.models.clone(),
            has_key: false,
            live: false,
        };
        let connector = match &provider.kind {
            Kind::Scripted => Connector::Scripted,
            Kind::OpenAi(server) => {
                let server = openai::Server::parse(provider, server)?;
                info.base_url = Some(server.base_url().to_owned());
                info.has_key = server.has_key();
                info.live = true;
                Connector::OpenAi(Box::new(server))
            }
        };
        Ok(Self { info, connector })
    }
}

impl Answered {
    fn refused(error: ModelError) -> Self {
        Self { outcome: Err(error), timing: Timing::default(), broken_off: None }
    }
}

fn rejected(unknown: &UnknownProvider) -> ModelError {
    ModelError { kind: ModelErrorKind::Rejected, message: unknown.to_string() }
}

#[cfg(test)]
mod tests;
