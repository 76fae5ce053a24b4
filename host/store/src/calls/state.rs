//! The part of a call's row that changes when the call is asked or ends.
use domain::model::{ModelError, ModelErrorKind, Usage};

use super::{AnswerSource, CallAnswered, CallStarted, CallStatus};
use crate::column::count;
use crate::record::usage_source_word;

/// What of a row changes when a call is asked or ends. What is `None` is not known, or not yet.
pub(super) struct State<'a> {
    pub(super) status: CallStatus,
    pub(super) provider: &'a str,
    pub(super) model: &'a str,
    pub(super) source: AnswerSource,
    pub(super) fallback_reason: Option<&'a str>,
    ended: Option<&'a CallAnswered>,
    pub(super) answered_model: Option<&'a str>,
    pub(super) finish_reason: Option<&'a str>,
    usage: Option<Usage>,
    pub(super) cost_nano_usd: Option<u64>,
    pub(super) error: Option<&'a ModelError>,
}

impl<'a> State<'a> {
    pub(super) fn open(call: &'a CallStarted) -> Self {
        Self {
            status: CallStatus::Open,
            provider: &call.provider,
            model: &call.model,
            source: AnswerSource::Provider,
            fallback_reason: None,
            ended: None,
            answered_model: None,
            finish_reason: None,
            usage: None,
            cost_nano_usd: None,
            error: None,
        }
    }

    pub(super) fn of(answer: &'a CallAnswered) -> Self {
        let state = Self {
            provider: &answer.provider,
            model: &answer.model,
            source: answer.source,
            fallback_reason: answer.fallback_reason.as_deref(),
            ended: Some(answer),
            ..Self::open(&answer.started)
        };
        match &answer.outcome {
            Ok(completion) => Self {
                status: CallStatus::Answered,
                answered_model: Some(&completion.model),
                finish_reason: Some(completion.finish_reason.as_str()),
                usage: Some(completion.usage),
                cost_nano_usd: completion.cost_nano_usd,
                ..state
            }
            .charged(),
            Err(error) => Self {
                status: match error.kind {
                    ModelErrorKind::Canceled => CallStatus::Canceled,
                    _ => CallStatus::Failed,
                },
                usage: answer.spent.as_ref().map(|spent| spent.usage),
                cost_nano_usd: answer.spent.as_ref().and_then(|spent| spent.cost_nano_usd),
                error: Some(error),
                ..state
            },
        }
    }

    /// What the host answers itself uses and costs nothing, whatever the answer had cost once.
    fn charged(self) -> Self {
        match self.source {
            AnswerSource::Provider => self,
            AnswerSource::Cache | AnswerSource::SharedCall => {
                let none = self.usage.map(|usage| Usage {
                    input_tokens: Some(0),
                    output_tokens: Some(0),
                    cached_tokens: None,
                    cache_write_tokens: None,
                    reasoning_tokens: None,
                    source: usage.source,
                });
                Self { usage: none, cost_nano_usd: Some(0), ..self }
            }
        }
    }

    pub(super) fn ended_at(&self) -> Option<i64> {
        self.ended.map(|answer| answer.at.as_unix_ms())
    }

    pub(super) fn queue_ms(&self) -> Option<i64> {
        self.ended.map(|answer| count(answer.timing.queue_ms))
    }

    pub(super) fn first_token_ms(&self) -> Option<i64> {
        self.ended.and_then(|answer| answer.timing.first_token_ms).map(count)
    }

    pub(super) fn total_ms(&self) -> Option<i64> {
        self.ended.map(|answer| count(answer.timing.total_ms))
    }

    pub(super) fn tries(&self) -> Option<u32> {
        self.ended.map(|answer| answer.timing.tries)
    }

    pub(super) fn tokens(&self, which: fn(&Usage) -> Option<u64>) -> Option<i64> {
        self.usage.as_ref().and_then(which).map(count)
    }

    pub(super) fn usage_source(&self) -> Option<&'static str> {
        self.usage.map(|usage| usage_source_word(usage.source))
    }

    pub(super) fn retry_after_ms(&self) -> Option<i64> {
        match self.error.map(|error| error.kind) {
            Some(ModelErrorKind::RateLimited { retry_after_ms }) => retry_after_ms.map(count),
            _ => None,
        }
    }
}
