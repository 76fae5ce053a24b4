//! A gateway that asks one server, with short bounds.
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::model::{Completion, Message, ModelError, ModelOptions, ModelRequest, Role};
use gateway::{
    Answered, Anthropic, Caching, Config, Delta, Gateway, Listener, OpenAi, Provider, Question,
};
use model_server::ModelServer;
use tokio_util::sync::CancellationToken;

pub(crate) const KEY: &str = "sk-planted-key-4711";
pub(crate) const PROVIDER: &str = "mine";

/// Longer than any test needs.
pub(crate) const LONG: Duration = Duration::from_secs(30);
/// Short enough to run into on purpose.
pub(crate) const SHORT: Duration = Duration::from_millis(150);

pub(crate) struct Asked {
    pub(crate) answered: Answered,
    pub(crate) deltas: Vec<Delta>,
}

impl Asked {
    #[track_caller]
    pub(crate) fn completion(&self) -> &Completion {
        self.answered.outcome.as_ref().expect("the model answers")
    }

    #[track_caller]
    pub(crate) fn error(&self) -> &ModelError {
        self.answered.outcome.as_ref().expect_err("the model fails")
    }

    #[track_caller]
    pub(crate) fn code(&self) -> &'static str {
        self.error().kind.code()
    }

    pub(crate) fn text(&self) -> String {
        let texts = self.deltas.iter().filter_map(|delta| match delta {
            Delta::Text(text) => Some(text.as_str()),
            Delta::Reasoning(_) | Delta::Retrying { .. } | Delta::FallingBack { .. } => None,
        });
        texts.collect()
    }

    pub(crate) fn waits_ms(&self) -> Vec<u64> {
        let waits = self.deltas.iter().filter_map(|delta| match delta {
            Delta::Retrying { wait_ms, .. } => Some(*wait_ms),
            Delta::Text(_) | Delta::Reasoning(_) | Delta::FallingBack { .. } => None,
        });
        waits.collect()
    }
}

/// A provider that speaks OpenAI's chat completions.
pub(crate) fn provider(base_url: String) -> Provider {
    let server = OpenAi { base_url, key: Some(KEY.into()), headers: Vec::new() };
    bounded(Provider::openai(PROVIDER, server, model_server::MODEL))
}

/// A provider that speaks Anthropic's Messages.
pub(crate) fn anthropic(base_url: String) -> Provider {
    let server = Anthropic { base_url, key: Some(KEY.into()), headers: Vec::new() };
    bounded(Provider::anthropic(PROVIDER, server, model_server::MODEL))
}

fn bounded(provider: Provider) -> Provider {
    Provider {
        call_time_max: LONG,
        first_token_time_max: LONG,
        idle_time_max: LONG,
        retry_wait: Duration::from_millis(1),
        tries_max: 3,
        ..provider
    }
}

pub(crate) fn gateway(provider: Provider) -> Gateway {
    Gateway::open(Config { providers: vec![provider], ..Config::default() })
        .expect("the provider is well formed")
}

pub(crate) fn gateway_to(server: &ModelServer) -> Gateway {
    gateway(provider(server.base_url()))
}

/// The same server, spoken to in Anthropic's protocol.
pub(crate) fn anthropic_gateway_to(server: &ModelServer) -> Gateway {
    gateway(anthropic(server.url()))
}

pub(crate) fn request(options: ModelOptions) -> ModelRequest {
    let message = |role, content: &str| Message { role, content: content.to_owned() };
    ModelRequest {
        messages: vec![
            message(Role::System, "You are a test."),
            message(Role::User, "Say something about bees."),
        ],
        options,
        label: None,
    }
}

pub(crate) fn question(gateway: &Gateway, options: ModelOptions) -> Question {
    Question {
        route: gateway.route(PROVIDER, None).expect("the provider is configured"),
        request: Arc::new(request(options)),
        time_max: LONG,
        idempotency_key: "call_1".to_owned(),
        alternatives: Vec::new(),
        caching: Caching::Off,
        stop: CancellationToken::new(),
    }
}

pub(crate) async fn ask(gateway: &Gateway, question: Question) -> Asked {
    let deltas = Mutex::new(Vec::new());
    let note = |delta: Delta| deltas.lock().expect("no holder panics").push(delta);
    let listener: &dyn Listener = &note;
    let answered = gateway.ask(question, listener).await;
    Asked { answered, deltas: deltas.into_inner().expect("no holder panics") }
}

pub(crate) async fn ask_usual(gateway: &Gateway) -> Asked {
    ask(gateway, question(gateway, ModelOptions::default())).await
}
