//! Who is asked: the first choice, and then the alternatives in their order, as long as nobody has begun to answer.
//!
//! Somebody else is asked when a route is not available: its breaker is open, it cannot be reached or fails, asks to slow
//! down for longer than there is time, is silent, or has no place within its limits. What would be answered the same
//! everywhere, or is to be seen by a person (a bad key, a spent quota, an unknown model), is told instead.
use std::borrow::Cow;

use domain::model::{FinishReason, ModelError, ModelErrorKind};
use tokio::time::{Instant, timeout_at};

use super::{Call, after, unanswered};
use crate::cache::{Answer as Kept, Asked};
use crate::question::{Delta, PassedOver, Route};
use crate::server::in_words;
use crate::{Configured, Connector, scripted};

/// Why a route gave no answer.
pub(super) struct Failed {
    pub(super) error: ModelError,
    /// Whether somebody else may be asked.
    pub(super) falls_back: bool,
}

impl<'a> Call<'a> {
    /// Asks one after the other. With `asked`, answers are kept, and looked up for the alternatives.
    pub(super) async fn asked_in_turn(
        &mut self,
        first: &'a Configured,
        asked: Option<&Asked>,
    ) -> Result<(), ModelError> {
        let mut configured = first;
        let mut alternatives = self.question.alternatives.iter();
        loop {
            let since = self.gateway.answers.since();
            let failed = match self.ask_route(configured).await {
                Ok(()) => {
                    if let Some(asked) = asked {
                        let key = asked.key(&self.route);
                        self.gateway.answers.keep(key, &self.route, self.kept(), since);
                    }
                    return Ok(());
                }
                Err(failed) => failed,
            };
            let mut unknown = Vec::new();
            let next = match failed.falls_back {
                true => self.next_configured(&mut alternatives, &mut unknown),
                false => None,
            };
            let Some((route, next)) = next else {
                self.passed_over.append(&mut unknown);
                return Err(failed.error);
            };
            self.fall_back(route, next, failed.error, unknown);
            configured = next;
            if asked.is_some_and(|asked| self.is_kept(&asked.key(route))) {
                return Ok(());
            }
        }
    }

    fn next_configured(
        &self,
        alternatives: &mut std::slice::Iter<'a, Route>,
        unknown: &mut Vec<PassedOver>,
    ) -> Option<(&'a Route, &'a Configured)> {
        for route in alternatives {
            match self.gateway.find(&route.provider) {
                Ok(configured) => return Some((route, configured)),
                Err(nobody) => unknown
                    .push(PassedOver { route: route.clone(), error: crate::rejected(&nobody) }),
            }
        }
        None
    }

    fn fall_back(
        &mut self,
        route: &'a Route,
        configured: &'a Configured,
        error: ModelError,
        unknown: Vec<PassedOver>,
    ) {
        // The message may quote a provider, and events become parts of exported spans.
        tracing::info!(
            cause = error.kind.code(),
            provider = self.route.provider,
            model = self.route.model,
            "`{}` of provider `{}` is asked instead",
            route.model,
            route.provider,
        );
        self.listener.hear(Delta::FallingBack { to: route.clone(), cause: error.message.clone() });
        self.last_failure = Some(error.message.clone());
        let before = std::mem::replace(&mut self.route, Cow::Borrowed(route)).into_owned();
        self.passed_over.push(PassedOver { route: before, error });
        self.passed_over.extend(unknown);
        self.line = configured.lines.line(&route.model);
    }

    async fn ask_route(&mut self, configured: &'a Configured) -> Result<(), Failed> {
        let server = match &configured.connector {
            Connector::Scripted => return self.ask_scripted().await,
            Connector::Server(server) => server,
        };
        let call_time_max = server.bounds.call_time_max;
        let until = after(Instant::now(), call_time_max);
        if until >= self.deadline {
            return self.ask_server(server, self.deadline).await;
        }
        match timeout_at(until, self.ask_server(server, until)).await {
            Ok(asked) => asked,
            Err(_) => {
                let what = unanswered(self.count_queue());
                let what = format!("{what} within {}", in_words(call_time_max));
                let cure = "try again later, or raise `model_call_s`";
                let error = self.error(ModelErrorKind::Timeout, &what, cure);
                self.close_open_try(Some(&error.message));
                Err(self.failed(error))
            }
        }
    }

    async fn ask_scripted(&mut self) -> Result<(), Failed> {
        self.answer.request_count += 1;
        let written = scripted::write_answer(&self.question.request).await;
        let (content, finish_reason) = written.map_err(|error| self.failed(error))?;
        let used = |content: &str| Some(scripted::usage(&self.question.request, content));
        for piece in scripted::pieces(&content) {
            self.answer.first_token_at.get_or_insert_with(Instant::now);
            self.answer.content.push_str(piece);
            self.counted = used(&self.answer.content);
            self.listener.hear(Delta::Text(piece.to_owned()));
            self.listener.ready().await;
        }
        self.counted = used(&self.answer.content);
        self.answer.finish_reason = Some(finish_reason);
        self.answer.model = Some(crate::SCRIPTED.to_owned());
        Ok(())
    }

    pub(super) fn failed(&self, error: ModelError) -> Failed {
        let is_unavailable = match error.kind {
            ModelErrorKind::RateLimited { .. }
            | ModelErrorKind::Unavailable
            | ModelErrorKind::Timeout => true,
            ModelErrorKind::BadResponse
            | ModelErrorKind::Rejected
            | ModelErrorKind::Unauthorized
            | ModelErrorKind::ModelNotFound
            | ModelErrorKind::QuotaExhausted
            | ModelErrorKind::ContextTooLong
            | ModelErrorKind::BudgetExhausted
            | ModelErrorKind::NotGranted
            | ModelErrorKind::Canceled => false,
        };
        // A 2xx may have been paid for, whatever followed it.
        let was_accepted = self.answer.accepted || self.answer.has_begun();
        Failed { error, falls_back: is_unavailable && !was_accepted }
    }

    fn kept(&self) -> Kept<'_> {
        Kept {
            content: &self.answer.content,
            model: self.answer.model.as_deref().unwrap_or(&self.route.model),
            finish_reason: self.answer.finish_reason.as_ref().unwrap_or(&FinishReason::Stop),
        }
    }
}
