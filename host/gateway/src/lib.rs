//! One question to a language model, one answer: limited in time and size, retried, counted, priced.
//!
//! Start at [`Gateway::ask`]; module `call` is the one path that every question takes: cache, routes in order, breaker,
//! limits, tries, fallback. A provider is the built-in writer (module `scripted`) or a server (module `server`), which
//! speaks OpenAI's chat completions (`openai`) or Anthropic's Messages (`anthropic`). Inside, answers are always
//! streamed; a caller gets the pieces through a [`Listener`] and the whole at the end.
//!
//! What this crate does not do: it keeps no journal and no budget, and knows no run and no stage (`engine` does). It
//! reads no configuration file and no environment, and exports no telemetry (`stagewright` does).
//!
//! Invariants: nothing is asked again once a provider has accepted the question with a 2xx, because the answer may
//! have been paid for; the one exception is a stream that says before its first piece that the provider is overloaded,
//! as Anthropic's do. A call never outlives its deadline. No key gets into an error, a log line or a `Debug` output.
mod anthropic;
mod breaker;
mod cache;
mod call;
mod config;
mod limit;
mod openai;
mod outgoing;
mod price;
mod question;
mod redact;
pub mod registry;
mod scripted;
mod server;
mod telemetry;
mod tokens;
mod web;
mod webhook;

use std::sync::Arc;

use domain::model::{ModelError, ModelErrorKind, ModelRequest, Usage};
pub use domain::plan::Caching;

pub use config::{
    ANTHROPIC_BASE_URL, Anthropic, Breaker, Cache, Config, Error, KIMI_BASE_URL, KIMI_MODEL, Kind,
    Limits, Model, OPENAI_BASE_URL, OpenAi, Price, Provider, SCRIPTED,
};
pub use outgoing::{Outgoing, OutgoingError};
pub use price::{
    LongPrompt, PRICE_LIST_BYTES_MAX, PriceList, PriceListError, PriceListProblem, PricedModel,
};
pub use question::{
    AnswerSource, Answered, BreakerState, BrokenOff, CacheFilter, CacheStatus, CheckCall, Checked,
    Delta, Listener, ModelStatus, PassedOver, ProviderInfo, ProviderStatus, Question, Route,
    Timing, UnknownProvider,
};
pub use server::{
    ANSWER_BYTES_MAX, ERROR_BODY_BYTES_MAX, PROVIDER_WORDS_BYTES_MAX, STREAM_BYTES_MAX, USER_AGENT,
};
pub use telemetry::{TOKEN_BUCKETS, TOKEN_USAGE};

pub use web::{Web, WebBounds, closed_address, target_of};
pub use webhook::{InvalidWebhook, Webhook, WebhookError};

use cache::Answers;
use call::Lines;
use server::Server;
use telemetry::Place;

/// Longest name of a provider, in bytes: it becomes part of addresses and records.
pub const PROVIDER_NAME_BYTES_MAX: usize = 64;

/// All configured providers. A clone is the same gateway: connections, limits and kept answers are shared.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    configured: Vec<Configured>,
    prices: PriceList,
    answers: Answers,
}

struct Configured {
    info: ProviderInfo,
    connector: Connector,
    lines: Lines,
}

enum Connector {
    Scripted,
    Server(Box<Server>),
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
        let answers = Answers::new(config.cache);
        Ok(Gateway(Arc::new(Inner { configured, prices: config.prices, answers })))
    }

    /// Who can be asked, in the order of the configuration.
    pub fn providers(&self) -> Vec<ProviderInfo> {
        self.0.configured.iter().map(|configured| configured.info.clone()).collect()
    }

    /// Resolves a provider's name and, where one is given, a model of it.
    pub fn route(&self, provider: &str, model: Option<&str>) -> Result<Route, UnknownProvider> {
        let info = &self.0.find(provider)?.info;
        let model = model.unwrap_or(&info.model).to_owned();
        Ok(Route { provider: info.name.clone(), model })
    }

    /// Asks, and tells the listener what happens meanwhile. To cancel the call, fire [`Question::stop`]: what was used is
    /// told then. Dropping the future closes the connection as well, and tells nothing.
    pub async fn ask(&self, question: Question, listener: &dyn Listener) -> Answered {
        call::ask(&self.0, &question, listener, None).await
    }

    /// The same for a question that belongs to a conversation, which is named in the call's span.
    pub async fn ask_in(
        &self,
        conversation: &str,
        question: Question,
        listener: &dyn Listener,
    ) -> Answered {
        call::ask(&self.0, &question, listener, Some(conversation)).await
    }

    /// Estimates the tokens of a prompt. The first call in a process loads the vocabulary, which takes some hundred
    /// milliseconds.
    pub fn count_tokens(&self, request: &ModelRequest) -> u64 {
        tokens::of_request(request)
    }

    /// What the usage costs, in billionths of a US dollar; `None` if a price or a count is not known.
    pub fn cost_of(&self, route: &Route, usage: &Usage) -> Option<u64> {
        self.0.cost_of(route, usage)
    }

    /// What the tokens of a model cost: as configured, else as the price list says; `None` if it is not known. Where a
    /// long prompt has another price, this is the higher of the two, so that nobody plans with too little.
    pub fn price_of(&self, route: &Route) -> Option<Price> {
        match self.0.price(route)? {
            Known::Configured(price) => Some(price),
            Known::Listed(model) => match &model.long_prompt {
                Some(long) => long.price,
                None => Some(model.price),
            },
        }
    }

    /// How every provider does at this moment, in the order of the configuration.
    pub fn status(&self) -> Vec<ProviderStatus> {
        let status = |configured: &Configured| ProviderStatus {
            info: configured.info.clone(),
            models: configured.lines.status(),
        };
        self.0.configured.iter().map(status).collect()
    }

    /// What the cache holds and did.
    pub fn cache_status(&self) -> CacheStatus {
        self.0.answers.status()
    }

    /// Has the cache forget answers, and says how many. An answer that is being written at this moment is not kept.
    pub fn forget_cached(&self, filter: &CacheFilter) -> u64 {
        self.0.answers.forget(filter)
    }

    /// The models that the provider says it has; `None` if it has no such list.
    pub async fn models(&self, provider: &str) -> Result<Option<Vec<String>>, ModelError> {
        let configured = self.0.find(provider).map_err(|unknown| rejected(&unknown))?;
        match &configured.connector {
            Connector::Scripted => Ok(Some(vec![SCRIPTED.to_owned()])),
            Connector::Server(server) => server.listed_models().await,
        }
    }

    /// Asks the provider for its models and for a few tokens, to see whether it works as configured. Limits and breakers
    /// are not asked: a person wants to know how it is now.
    pub async fn check(&self, provider: &str) -> Result<Checked, ModelError> {
        let configured = self.0.find(provider).map_err(|unknown| rejected(&unknown))?;
        match &configured.connector {
            Connector::Scripted => Ok(Checked {
                model: SCRIPTED.to_owned(),
                latency_ms: 0,
                detail: "built in, not a language model; needs no network and costs nothing"
                    .to_owned(),
                call: None,
            }),
            Connector::Server(server) => {
                let model = &configured.info.model;
                let mut checked = server.check(model).await?;
                if let Some(CheckCall { completion, .. }) = &mut checked.call {
                    let route = Route { provider: provider.to_owned(), model: model.clone() };
                    completion.cost_nano_usd = self.cost_of(&route, &completion.usage);
                }
                Ok(checked)
            }
        }
    }
}

impl Inner {
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

    fn cost_of(&self, route: &Route, usage: &Usage) -> Option<u64> {
        match &self.find(&route.provider).ok()?.connector {
            Connector::Scripted => Some(0),
            Connector::Server(_) => match self.price(route)? {
                Known::Configured(price) => price::cost_nano_usd(&price, usage),
                Known::Listed(model) => model.cost_nano_usd(usage),
            },
        }
    }

    /// By the name that was asked for: the answer may name the model with a date.
    fn price(&self, route: &Route) -> Option<Known<'_>> {
        let info = &self.find(&route.provider).ok()?.info;
        let configured = info.models.iter().find(|model| model.name == route.model);
        if let Some(price) = configured.and_then(|model| model.price) {
            return Some(Known::Configured(price));
        }
        self.prices.find(info.base_url.as_deref()?, &route.model).map(Known::Listed)
    }
}

/// A price, and where it is known from.
enum Known<'a> {
    Configured(Price),
    /// It may depend on the length of the prompt.
    Listed(&'a PricedModel),
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
            limits: provider.limits,
            has_key: false,
            live: false,
        };
        let connector = match &provider.kind {
            Kind::Scripted => Connector::Scripted,
            Kind::OpenAi(_) | Kind::Anthropic(_) => {
                let server = Server::parse(provider)?;
                info.base_url = Some(server.base_url().to_owned());
                info.has_key = server.has_key();
                info.live = true;
                Connector::Server(Box::new(server))
            }
        };
        let server = match &connector {
            Connector::Scripted => None,
            Connector::Server(server) => Some(server.address()),
        };
        let place = Place::new(name, info.kind, server);
        let lines = Lines::new(provider, place);
        Ok(Self { info, connector, lines })
    }
}

impl Answered {
    /// A question that nobody was asked.
    pub fn refused(route: Route, error: ModelError) -> Self {
        Self {
            outcome: Err(error),
            timing: Timing::default(),
            broken_off: None,
            route,
            source: AnswerSource::Provider,
            passed_over: Vec::new(),
        }
    }
}

fn rejected(unknown: &UnknownProvider) -> ModelError {
    ModelError { kind: ModelErrorKind::Rejected, message: unknown.to_string() }
}

#[cfg(test)]
mod tests;
