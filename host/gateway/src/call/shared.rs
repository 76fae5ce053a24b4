//! Answers that nobody has to be asked for: from the cache, or from another call that asks the same at the same time.
//! Either way the text is heard as one piece, when it is whole: pieces of a call that may still fail are for its own
//! listener.
use std::borrow::Cow;

use domain::model::{Completion, FinishReason, ModelError};
use tokio::time::Instant;

use super::Call;
use crate::Configured;
use crate::cache::{self, Asked, Ended, Found, Joined, Key, NOTHING_USED};
use crate::question::{AnswerSource, Delta};
use domain::plan::Caching;

/// How often a call joins another that then goes away without an answer. After that it asks alone.
const JOIN_COUNT_MAX: u32 = 16;

impl<'a> Call<'a> {
    /// Answers from the cache, from another call, or by asking.
    pub(super) async fn answered(&mut self, configured: &'a Configured) -> Result<(), ModelError> {
        let answers = &self.gateway.answers;
        if self.question.caching == Caching::Off || !answers.is_on() {
            return self.asked_in_turn(configured, None).await;
        }
        let asked = cache::asked(&self.question.request).await;
        let outcome = self.shared(configured, &asked).await;
        answers.count(match self.source {
            AnswerSource::Cache => Found::Hit,
            AnswerSource::Provider | AnswerSource::SharedCall => Found::Miss,
        });
        outcome
    }

    async fn shared(
        &mut self,
        configured: &'a Configured,
        asked: &Asked,
    ) -> Result<(), ModelError> {
        let question = self.question;
        let kept_under = asked.key(&question.route);
        let routes = std::iter::once(&question.route).chain(&question.alternatives);
        let same_call = asked.key_of_all(routes);
        for _ in 0..JOIN_COUNT_MAX {
            if self.is_kept(&kept_under) {
                return Ok(());
            }
            match self.gateway.answers.flights.join(same_call) {
                Joined::Follows(call) => {
                    let ended = call.ended().await;
                    if let Some(ended) = ended.filter(|ended| !self.can_wait_longer(ended)) {
                        return self.take_over(&ended);
                    }
                }
                Joined::Leads(leading) => {
                    // The call before may have ended between the look into the cache and now.
                    if self.is_kept(&kept_under) {
                        return Ok(());
                    }
                    let outcome = self.asked_in_turn(configured, Some(asked)).await;
                    leading.tell(|| self.for_followers(&outcome));
                    return outcome;
                }
            }
        }
        self.asked_in_turn(configured, Some(asked)).await
    }

    /// Takes the answer from the cache, if it is there.
    pub(super) fn is_kept(&mut self, key: &Key) -> bool {
        let Some(kept) = self.gateway.answers.find(key) else { return false };
        self.hear_whole(kept.completion(), AnswerSource::Cache);
        true
    }

    /// The other call failed for want of time, and there is more of it here.
    fn can_wait_longer(&self, ended: &Ended) -> bool {
        let time_left = self.deadline.saturating_duration_since(Instant::now());
        ended.outcome.is_err() && ended.too_long_wait.is_some_and(|wait| wait < time_left)
    }

    fn take_over(&mut self, ended: &Ended) -> Result<(), ModelError> {
        self.route = Cow::Owned(ended.route.clone());
        self.passed_over = ended.passed_over.clone();
        match &ended.outcome {
            Ok(completion) => {
                self.hear_whole(completion.clone(), AnswerSource::SharedCall);
                Ok(())
            }
            Err(error) => {
                self.source = AnswerSource::SharedCall;
                Err(error.clone())
            }
        }
    }

    fn hear_whole(&mut self, completion: Completion, source: AnswerSource) {
        self.source = source;
        self.counted = Some(NOTHING_USED);
        if !completion.content.is_empty() {
            self.answer.first_token_at = Some(Instant::now());
            self.listener.hear(Delta::Text(completion.content.clone()));
        }
        self.answer.content = completion.content;
        self.answer.finish_reason = Some(completion.finish_reason);
        self.answer.model = Some(completion.model);
    }

    fn for_followers(&self, outcome: &Result<(), ModelError>) -> Ended {
        let completion = || Completion {
            content: self.answer.content.clone(),
            finish_reason: self.answer.finish_reason.clone().unwrap_or(FinishReason::Stop),
            model: self.answer.model.clone().unwrap_or_else(|| self.route.model.clone()),
            usage: NOTHING_USED,
            cost_nano_usd: Some(0),
        };
        Ended {
            outcome: outcome.clone().map(|()| completion()),
            route: self.route.clone().into_owned(),
            passed_over: self.passed_over.clone(),
            too_long_wait: self.too_long_wait,
        }
    }
}
