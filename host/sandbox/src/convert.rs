//! Between the domain's words and the contract's. What comes from a guest is checked against the bounds that the
//! contract states; what goes to a guest needs no check.
use domain::Artifact;
use domain::model::{
    Completion, FinishReason, Message, ModelError, ModelErrorKind, ModelOptions, ModelRequest,
    ResponseFormat, Role, UsageSource,
};
use domain::stage::StageContext;

use crate::bindings::stagewright::stage::types as wit;
use crate::text::clean_line;

/// Longest label of a call, in bytes; the contract says so.
const LABEL_BYTES_MAX: usize = 64;

/// Most texts that end an answer; the contract says so, because providers take no more.
const STOP_COUNT_MAX: usize = 4;

/// Longest name of a JSON Schema, in bytes; the contract says so.
const SCHEMA_NAME_BYTES_MAX: usize = 64;

pub(crate) fn context_to_guest(context: StageContext) -> wit::StageContext {
    wit::StageContext {
        request_text: context.request_text,
        run_id: context.run_id.to_string(),
        thread_id: context.belonging.thread_id,
        brand_id: context.belonging.brand_id,
        project_id: context.belonging.project_id,
        stage_key: context.stage_key.to_string(),
        attempt: context.attempt,
        settings: context.settings.as_str().to_owned(),
        variables: context
            .variables
            .into_iter()
            .map(|variable| wit::Variable {
                name: variable.name.to_string(),
                value: variable.value.as_str().to_owned(),
            })
            .collect(),
        artifacts: context
            .artifacts
            .into_iter()
            .map(|earlier| wit::EarlierArtifact {
                stage: earlier.stage.to_string(),
                artifact: artifact_to_guest(earlier.artifact),
            })
            .collect(),
        skills: context
            .skills
            .into_iter()
            .map(|skill| wit::Skill { name: skill.name, body: skill.body })
            .collect(),
        revision: context.revision.map(|revision| wit::Revision {
            feedback: revision.feedback,
            previous: revision.previous.into_iter().map(artifact_to_guest).collect(),
        }),
    }
}

fn artifact_to_guest(artifact: Artifact) -> wit::Artifact {
    wit::Artifact {
        name: artifact.name.to_string(),
        media_type: artifact.media_type,
        body: artifact.body,
    }
}

/// Takes a guest's question.
///
/// # Errors
/// What is wrong with it, in words for the plugin's author.
pub(crate) fn request_from_guest(request: wit::ModelRequest) -> Result<ModelRequest, String> {
    if request.messages.is_empty() {
        return Err("the request has no message".to_owned());
    }
    let messages = request
        .messages
        .into_iter()
        .map(|message| Message { role: role(message.role), content: message.content })
        .collect();
    if request.label.as_ref().is_some_and(|label| label.len() > LABEL_BYTES_MAX) {
        return Err(format!("the request's label has over {LABEL_BYTES_MAX} bytes"));
    }
    let label = request.label.map(|label| clean_line(&label, LABEL_BYTES_MAX));
    Ok(ModelRequest { messages, options: options(request.options)?, label })
}

fn role(role: wit::Role) -> Role {
    match role {
        wit::Role::System => Role::System,
        wit::Role::User => Role::User,
        wit::Role::Assistant => Role::Assistant,
    }
}

fn options(options: wit::ModelOptions) -> Result<ModelOptions, String> {
    if options.max_tokens == Some(0) {
        return Err("`max-tokens` is 0: an answer has at least one token".to_owned());
    }
    if let Some(found) = options.temperature.filter(|found| !(0.0..=2.0).contains(found)) {
        return Err(format!("`temperature` is {found}, not 0.0 to 2.0"));
    }
    if let Some(found) = options.top_p.filter(|found| !(*found > 0.0 && *found <= 1.0)) {
        return Err(format!("`top-p` is {found}, not more than 0.0 and at most 1.0"));
    }
    if options.stop.len() > STOP_COUNT_MAX || options.stop.iter().any(String::is_empty) {
        return Err(format!(
            "`stop` has to hold at most {STOP_COUNT_MAX} texts, none of them empty"
        ));
    }
    Ok(ModelOptions {
        max_tokens: options.max_tokens,
        temperature: options.temperature,
        top_p: options.top_p,
        stop: options.stop,
        seed: options.seed,
        response_format: response_format(options.response_format)?,
    })
}

fn response_format(format: wit::ResponseFormat) -> Result<ResponseFormat, String> {
    let wit::JsonSchema { name, schema } = match format {
        wit::ResponseFormat::Text => return Ok(ResponseFormat::Text),
        wit::ResponseFormat::Json => return Ok(ResponseFormat::Json),
        wit::ResponseFormat::JsonSchema(schema) => schema,
    };
    let is_name = (1..=SCHEMA_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if !is_name {
        return Err(format!(
            "the name of the JSON Schema is not 1 to {SCHEMA_NAME_BYTES_MAX} characters of `[A-Za-z0-9_-]`"
        ));
    }
    if crate::output::parse_json(&schema).is_err() {
        return Err("the JSON Schema of the answer is not JSON".to_owned());
    }
    Ok(ResponseFormat::JsonSchema { name, schema })
}

pub(crate) fn completion_to_guest(completion: &Completion) -> wit::Completion {
    let narrow = |count: Option<u64>| count.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    wit::Completion {
        content: completion.content.clone(),
        finish_reason: match &completion.finish_reason {
            FinishReason::Stop => wit::FinishReason::Stop,
            FinishReason::Length => wit::FinishReason::Length,
            FinishReason::ContentFilter => wit::FinishReason::ContentFilter,
            FinishReason::Other(words) => wit::FinishReason::Other(words.clone()),
        },
        model: completion.model.clone(),
        usage: wit::Usage {
            input_tokens: narrow(completion.usage.input_tokens),
            output_tokens: narrow(completion.usage.output_tokens),
            cached_tokens: narrow(completion.usage.cached_tokens),
            reasoning_tokens: narrow(completion.usage.reasoning_tokens),
            estimated: completion.usage.source == UsageSource::Estimated,
        },
        cost_nano_usd: completion.cost_nano_usd,
    }
}

/// The contract has fewer cases than the domain: a guest needs to know what it can do, the records what it was.
pub(crate) fn model_error_to_guest(error: &ModelError) -> wit::LlmError {
    let message = error.message.clone();
    match error.kind {
        ModelErrorKind::RateLimited { retry_after_ms } => {
            wit::LlmError::RateLimited(retry_after_ms)
        }
        ModelErrorKind::Unavailable | ModelErrorKind::BadResponse => {
            wit::LlmError::Unavailable(message)
        }
        ModelErrorKind::Timeout => wit::LlmError::Timeout(message),
        ModelErrorKind::Rejected | ModelErrorKind::ModelNotFound => {
            wit::LlmError::Rejected(message)
        }
        ModelErrorKind::Unauthorized => wit::LlmError::Unauthorized(message),
        ModelErrorKind::ContextTooLong => wit::LlmError::ContextTooLong(message),
        ModelErrorKind::BudgetExhausted | ModelErrorKind::QuotaExhausted => {
            wit::LlmError::BudgetExhausted(message)
        }
        ModelErrorKind::NotGranted => wit::LlmError::NotGranted(message),
        ModelErrorKind::Canceled => wit::LlmError::Canceled,
    }
}

/// Finds the error behind one that a guest passes on: the last one of its case that the guest was told of, or what the
/// case alone says.
pub(crate) fn model_error_from_guest(error: &wit::LlmError, told: &[ModelError]) -> ModelError {
    let is_same_case = |known: &&ModelError| {
        std::mem::discriminant(&model_error_to_guest(known)) == std::mem::discriminant(error)
    };
    if let Some(known) = told.iter().rev().find(is_same_case) {
        return known.clone();
    }
    let (kind, message) = match error {
        wit::LlmError::RateLimited(retry_after_ms) => {
            (ModelErrorKind::RateLimited { retry_after_ms: *retry_after_ms }, "")
        }
        wit::LlmError::Unavailable(message) => (ModelErrorKind::Unavailable, message.as_str()),
        wit::LlmError::Timeout(message) => (ModelErrorKind::Timeout, message.as_str()),
        wit::LlmError::Rejected(message) => (ModelErrorKind::Rejected, message.as_str()),
        wit::LlmError::Unauthorized(message) => (ModelErrorKind::Unauthorized, message.as_str()),
        wit::LlmError::ContextTooLong(message) => {
            (ModelErrorKind::ContextTooLong, message.as_str())
        }
        wit::LlmError::BudgetExhausted(message) => {
            (ModelErrorKind::BudgetExhausted, message.as_str())
        }
        wit::LlmError::NotGranted(message) => (ModelErrorKind::NotGranted, message.as_str()),
        wit::LlmError::Canceled => (ModelErrorKind::Canceled, ""),
    };
    ModelError { kind, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: ModelErrorKind, message: &str) -> ModelError {
        ModelError { kind, message: message.to_owned() }
    }

    #[test]
    fn an_error_that_is_passed_on_keeps_its_kind_and_words() {
        let told = [
            error(ModelErrorKind::ModelNotFound, "no model `x`"),
            error(ModelErrorKind::Timeout, "60 s"),
        ];
        let passed_on = wit::LlmError::Rejected("something shorter".to_owned());
        assert_eq!(model_error_from_guest(&passed_on, &told), told[0]);
    }

    #[test]
    fn an_error_that_nobody_told_keeps_its_case() {
        let made_up = wit::LlmError::Timeout("made up".to_owned());
        assert_eq!(
            model_error_from_guest(&made_up, &[]),
            error(ModelErrorKind::Timeout, "made up")
        );
    }

    fn request() -> wit::ModelRequest {
        wit::ModelRequest {
            messages: vec![wit::Message { role: wit::Role::User, content: "hello".to_owned() }],
            options: wit::ModelOptions {
                max_tokens: None,
                temperature: None,
                top_p: None,
                stop: Vec::new(),
                seed: None,
                response_format: wit::ResponseFormat::Text,
            },
            label: None,
        }
    }

    #[test]
    fn a_request_out_of_bounds_is_refused_with_the_reason() {
        assert!(request_from_guest(request()).is_ok());
        let mut hot = request();
        hot.options.temperature = Some(f32::NAN);
        assert_eq!(request_from_guest(hot).unwrap_err(), "`temperature` is NaN, not 0.0 to 2.0");
        let mut empty = request();
        empty.messages.clear();
        assert_eq!(request_from_guest(empty).unwrap_err(), "the request has no message");
        let mut labelled = request();
        labelled.label = Some("x".repeat(65));
        assert!(request_from_guest(labelled).is_err());
    }
}
