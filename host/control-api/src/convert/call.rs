//! Calls of language models.
use domain::model::{Completion, Message, ModelRequest, ResponseFormat, Role, Usage, UsageSource};
use domain::{RunId, StageKey};
use engine::PromptPreview;
use store::{AnswerSource, CallDetail, CallOrigin, CallRow, CallStatus, TextsKept, UsedBefore};

use super::{cost, moment};
use crate::dto::{
    AnswerSourceDto, CallDetailDto, CallDto, CallStatusDto, CallUsageDto, ModelAnswerDto,
    ModelMessageDto, ModelRequestDto, PromptDto, ResponseFormatDto, RoleDto, TextsDto, TokenSumDto,
    UsedBeforeDto,
};

impl From<&CallRow> for CallDto {
    fn from(row: &CallRow) -> Self {
        let origin = Origin::from(&row.origin);
        Self {
            call_id: row.call.to_string(),
            run_id: origin.run_id,
            stage: origin.stage,
            attempt: origin.attempt,
            ordinal: origin.ordinal,
            session_id: origin.session_id,
            client_id: origin.client_id,
            conversation_id: row.conversation_id.clone(),
            conversation_ordinal: row.conversation_ordinal,
            status: CallStatusDto::from(row.status),
            provider: row.provider.clone(),
            model: row.answered_model.clone().unwrap_or_else(|| row.model.clone()),
            asked_model: row.model.clone(),
            source: AnswerSourceDto::from(row.source),
            fallback_reason: row.fallback_reason.clone(),
            label: row.label.clone(),
            finish_reason: row.finish_reason.as_ref().map(|reason| reason.as_str().to_owned()),
            error_code: row.error.as_ref().map(|error| error.kind.code().to_owned()),
            error_message: row.error.as_ref().map(|error| error.message.clone()),
            usage: row.usage.as_ref().map(CallUsageDto::from).unwrap_or_default(),
            cost: row.cost_nano_usd.map(cost),
            queue_ms: row.timing.map(|timing| timing.queue_ms),
            first_token_ms: row.timing.and_then(|timing| timing.first_token_ms),
            total_ms: row.timing.map(|timing| timing.total_ms),
            tries: row.timing.map(|timing| timing.tries),
            started_at: moment(row.started_at),
            ended_at: row.ended_at.map(moment),
            used_before: row.used_before.as_ref().map(UsedBeforeDto::from),
        }
    }
}

impl From<&UsedBefore> for UsedBeforeDto {
    fn from(before: &UsedBefore) -> Self {
        Self {
            times: before.times,
            usage: TokenSumDto::from(&before.sum),
            cost: before.sum.cost_nano_usd.map(cost),
            model_wait_ms: before.sum.model_wait_ms,
        }
    }
}

#[derive(Default)]
struct Origin {
    run_id: Option<String>,
    stage: Option<String>,
    attempt: Option<u32>,
    ordinal: Option<u32>,
    session_id: Option<String>,
    client_id: Option<String>,
}

impl From<&CallOrigin> for Origin {
    fn from(origin: &CallOrigin) -> Self {
        match origin {
            CallOrigin::Stage { run, stage, attempt, ordinal } => Self {
                run_id: Some(run.to_string()),
                stage: Some(stage.to_string()),
                attempt: Some(*attempt),
                ordinal: Some(*ordinal),
                ..Self::default()
            },
            CallOrigin::Chat { session_id, client_id } => Self {
                session_id: session_id.clone(),
                client_id: client_id.clone(),
                ..Self::default()
            },
        }
    }
}

impl From<&CallDetail> for CallDetailDto {
    fn from(detail: &CallDetail) -> Self {
        Self {
            call: CallDto::from(&detail.row),
            request: detail.request.as_ref().map(ModelRequestDto::from),
            answer: detail.answer.as_ref().map(ModelAnswerDto::from),
            texts: TextsDto::from(detail.texts),
        }
    }
}

impl From<&Completion> for ModelAnswerDto {
    fn from(answer: &Completion) -> Self {
        Self {
            content: answer.content.clone(),
            finish_reason: answer.finish_reason.as_str().to_owned(),
            model: answer.model.clone(),
        }
    }
}

impl From<&Usage> for CallUsageDto {
    fn from(usage: &Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cached_tokens: usage.cached_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            estimated: usage.source == UsageSource::Estimated,
        }
    }
}

impl From<&ModelRequest> for ModelRequestDto {
    fn from(request: &ModelRequest) -> Self {
        let options = &request.options;
        Self {
            messages: request.messages.iter().map(ModelMessageDto::from).collect(),
            max_tokens: options.max_tokens,
            temperature: options.temperature,
            top_p: options.top_p,
            stop: options.stop.clone(),
            seed: options.seed,
            response_format: ResponseFormatDto::from(&options.response_format),
            label: request.label.clone(),
        }
    }
}

impl From<&Message> for ModelMessageDto {
    fn from(message: &Message) -> Self {
        Self { role: RoleDto::from(message.role), content: message.content.clone() }
    }
}

impl From<Role> for RoleDto {
    fn from(role: Role) -> Self {
        match role {
            Role::System => RoleDto::System,
            Role::User => RoleDto::User,
            Role::Assistant => RoleDto::Assistant,
        }
    }
}

impl From<&ResponseFormat> for ResponseFormatDto {
    fn from(format: &ResponseFormat) -> Self {
        match format {
            ResponseFormat::Text => ResponseFormatDto::Text,
            ResponseFormat::Json => ResponseFormatDto::Json,
            ResponseFormat::JsonSchema { name, schema } => ResponseFormatDto::JsonSchema {
                name: name.clone(),
                // A plugin wrote it: what is not JSON is shown as the text that it is.
                schema: serde_json::from_str(schema).unwrap_or_else(|_| schema.clone().into()),
            },
        }
    }
}

impl From<AnswerSource> for AnswerSourceDto {
    fn from(source: AnswerSource) -> Self {
        match source {
            AnswerSource::Provider => AnswerSourceDto::Provider,
            AnswerSource::Cache => AnswerSourceDto::Cache,
            AnswerSource::SharedCall => AnswerSourceDto::SharedCall,
        }
    }
}

impl From<TextsKept> for TextsDto {
    fn from(kept: TextsKept) -> Self {
        match kept {
            TextsKept::Whole => TextsDto::Whole,
            TextsKept::Trimmed => TextsDto::Trimmed,
            TextsKept::Off => TextsDto::Off,
        }
    }
}

impl From<CallStatus> for CallStatusDto {
    fn from(status: CallStatus) -> Self {
        match status {
            CallStatus::Open => CallStatusDto::Open,
            CallStatus::Answered => CallStatusDto::Answered,
            CallStatus::Failed => CallStatusDto::Failed,
            CallStatus::Canceled => CallStatusDto::Canceled,
        }
    }
}

impl PromptDto {
    /// What a stage of a run would ask.
    pub(crate) fn new(run: &RunId, stage: &StageKey, preview: &PromptPreview) -> Self {
        Self {
            run_id: run.to_string(),
            stage: stage.to_string(),
            provider: preview.provider.clone(),
            model: preview.model.clone(),
            input_tokens: preview.input_tokens,
            max_output_tokens: preview.max_output_tokens,
            estimated_cost: preview.estimated_cost_nano_usd.map(cost),
            request: ModelRequestDto::from(&preview.request),
        }
    }
}

#[cfg(test)]
mod tests {
    use store::UsageSum;

    use super::*;

    #[test]
    fn what_a_call_had_used_before_is_told_and_an_unknown_cost_is_not_zero() {
        let sum = UsageSum {
            input_tokens: 38,
            output_tokens: 4,
            cost_nano_usd: Some(70),
            model_wait_ms: 14,
            ..UsageSum::default()
        };
        let told = UsedBeforeDto::from(&UsedBefore { times: 2, sum });
        assert_eq!((told.times, told.usage.input_tokens, told.usage.output_tokens), (2, 38, 4));
        assert_eq!((told.cost, told.model_wait_ms), (Some(cost(70)), 14));
        let sum = UsageSum { cost_nano_usd: None, ..sum };
        assert_eq!(UsedBeforeDto::from(&UsedBefore { times: 1, sum }).cost, None);
    }
}
