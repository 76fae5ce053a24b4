//! Talks to a model outside of any run. The call is recorded like every other.
use std::sync::Arc;

use domain::CallId;
use domain::model::{Completion, ModelOptions, ModelRequest};
use gateway::{Delta, Question};
use store::{CallOrigin, CallStarted};
use tokio::sync::mpsc::Sender;

use crate::ask::{CHAT_BYTES_MAX, CHAT_MESSAGE_COUNT_MAX};
use crate::commands::{invalid, problem};
use crate::models::kept_answer;
use crate::{ChatAsk, Engine, Error, request};

/// A piece of an answer that is being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatDelta {
    /// Of the answer.
    Text(String),
    /// Of what the model thinks before it answers.
    Reasoning(String),
}

/// An answer.
#[derive(Debug, Clone)]
pub struct ChatAnswer {
    /// Names the record of the call.
    pub call_id: CallId,
    /// The answer.
    pub completion: Completion,
    /// Who answered.
    pub provider: String,
}

impl Engine {
    /// Asks a model. Pieces go to `deltas` as far as it has room: they are for the eye, and the answer is whole. If the
    /// caller goes away, the call is still finished and recorded, since it is paid for.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a request that cannot be asked, [`Error::Model`] if the model did not answer.
    pub async fn chat(&self, ask: ChatAsk, deltas: Sender<ChatDelta>) -> Result<ChatAnswer, Error> {
        let engine = self.clone();
        self.apart(async move { engine.ask_chat(ask, deltas).await }).await
    }

    async fn ask_chat(&self, ask: ChatAsk, deltas: Sender<ChatDelta>) -> Result<ChatAnswer, Error> {
        check(&ask)?;
        let inner = &self.0;
        let provider = ask.provider.as_deref().unwrap_or(&inner.settings.default_provider);
        let pointer = if ask.provider.is_some() { "/provider" } else { "/model" };
        let route = self
            .gateway()
            .route(provider, ask.model.as_deref())
            .map_err(|unknown| invalid(pointer, unknown.to_string()))?;
        let asked =
            ModelRequest { messages: ask.messages, options: ModelOptions::default(), label: None };
        let started = CallStarted {
            call: inner.parts.clock.new_call_id(),
            origin: CallOrigin::Chat { session_id: ask.session_id },
            request_digest: request::digest(&asked),
            request: Arc::new(asked),
            provider: route.provider.clone(),
            model: route.model.clone(),
            at: inner.parts.clock.now(),
        };
        self.store().note_call_started(started.clone());
        let call_id = started.call.clone();
        let provider = route.provider.clone();
        let question = Question {
            route,
            request: Arc::clone(&started.request),
            time_max: inner.settings.model_call_time_max,
            idempotency_key: call_id.to_string(),
        };
        let hand_on = |delta| {
            let delta = match delta {
                Delta::Text(text) => ChatDelta::Text(text),
                Delta::Reasoning(text) => ChatDelta::Reasoning(text),
                Delta::Retrying { .. } => return,
            };
            // A reader that is too slow or gone misses pieces, never the answer.
            deltas.try_send(delta).ok();
        };
        let answered = tokio::select! {
            biased;
            answered = self.gateway().ask(question, &hand_on) => answered,
            // The call stays open in the records; the next start closes it.
            () = inner.giving_up.cancelled() => return Err(Error::ShuttingDown),
        };
        let answer = kept_answer(started, answered, inner.parts.clock.now());
        let outcome = answer.outcome.clone();
        inner.keep_patiently(answer).await?;
        let completion = outcome.map_err(Error::Model)?;
        Ok(ChatAnswer { call_id, completion, provider })
    }
}

fn check(ask: &ChatAsk) -> Result<(), Error> {
    let bytes: usize = ask.messages.iter().map(|message| message.content.len()).sum();
    let mut problems = Vec::new();
    if ask.messages.is_empty() || ask.messages.len() > CHAT_MESSAGE_COUNT_MAX {
        let found = ask.messages.len();
        let message =
            format!("there are {found} messages; 1 to {CHAT_MESSAGE_COUNT_MAX} are allowed");
        problems.push(problem("/messages", message));
    }
    if bytes > CHAT_BYTES_MAX {
        let message = format!("the messages have {bytes} bytes; {CHAT_BYTES_MAX} are allowed");
        problems.push(problem("/messages", message));
    }
    if ask.messages.iter().any(|message| message.content.trim().is_empty()) {
        problems.push(problem("/messages", "a message is empty".to_owned()));
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems.into())) }
}
