//! Calls of language models.
use domain::model::{Completion, Message, ModelRequest, ResponseFormat, Role, Usage, UsageSource};
use domain::{RunId, StageKey};
use engine::{ChatAnswer, PromptPreview};
use store::{CallDetail, CallOrigin, CallRow, CallStatus};

use super::{cost, moment};
use crate::dto::{
    CallDetailDto, CallDto, CallStatusDto, CallUsageDto, ChatMessageDto, ChatResponseDto,
    ModelAnswerDto, ModelMessageDto, ModelRequestDto, PromptDto, ResponseFormatDto, RoleDto,
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
            status: CallStatusDto::from(row.status),
            provider: row.provider.clone(),
            model: row.answered_model.clone().unwrap_or_else(|| row.model.clone()),
            label: row.label.clone(),
            finish_reason: row.finish_reason.as_ref().map(|reason| reason.as_str().to_owned()),
            error_code: row.error.as_ref().map(|error| error.kind.code().to_owned()),
            error_message: row.error.as_ref().map(|error| error.message.clone()),
            usage: row.usage.as_ref().map(CallUsageDto::from).unwrap_or_default(),
            cost: row.cost_nano_usd.map(cost),
            first_token_ms: row.timing.and_then(|timing| timing.first_token_ms),
            total_ms: row.timing.map(|timing| timing.total_ms),
            tries: row.timing.map(|timing| timing.tries),
            started_at: moment(row.started_at),
            ended_at: row.ended_at.map(moment),
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
}

impl From<&CallOrigin> for Origin {
    fn from(origin: &CallOrigin) -> Self {
        match origin {
            CallOrigin::Stage { run, stage, attempt, ordinal } => Self {
                run_id: Some(run.to_string()),
                stage: Some(stage.to_string()),
                attempt: Some(*attempt),
                ordinal: Some(*ordinal),
                session_id: None,
            },
            CallOrigin::Chat { session_id } => {
                Self { session_id: session_id.clone(), ..Self::default() }
            }
        }
    }
}

impl From<&CallDetail> for CallDetailDto {
    fn from(detail: &CallDetail) -> Self {
        Self {
            call: CallDto::from(&detail.row),
            request: ModelRequestDto::from(&detail.request),
            answer: detail.answer.as_ref().map(ModelAnswerDto::from),
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

impl From<ChatMessageDto> for Message {
    fn from(message: ChatMessageDto) -> Self {
        let role = match message.role {
            RoleDto::System => Role::System,
            RoleDto::User => Role::User,
            RoleDto::Assistant => Role::Assistant,
        };
        Self { role, content: message.content }
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

impl From<&ChatAnswer> for ChatResponseDto {
    fn from(answer: &ChatAnswer) -> Self {
        let completion = &answer.completion;
        Self {
            content: completion.content.clone(),
            model: completion.model.clone(),
            provider: answer.provider.clone(),
            finish_reason: completion.finish_reason.as_str().to_owned(),
            usage: CallUsageDto::from(&completion.usage),
            cost: completion.cost_nano_usd.map(cost),
            call_id: answer.call_id.to_string(),
        }
    }
}
