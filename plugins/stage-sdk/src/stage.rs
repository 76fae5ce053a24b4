//! What an author implements, and the conversation that most stages have with a model.
//!
//! Does not know what a usable answer is: that is `post_process`. Invariant: a model is asked at most twice by the
//! default body of [`Stage::run`].
use crate::{
    Completion, Failure, Message, Model, ModelRequest, Role, StageContext, StageError, StageInfo,
    StageOutput, log,
};

/// Label of the question that is asked when the first answer could not be used.
const SECOND_TRY: &str = "second try";

/// A stage of a workflow.
pub trait Stage: 'static {
    /// Who the plugin is, and what it needs and makes. The same on every call.
    fn info() -> StageInfo;

    /// The first question for this context. Pure: the host shows it before anything is paid.
    ///
    /// # Errors
    /// [`StageError::BadInput`] if the context or the settings cannot be worked on.
    fn build_prompt(context: &StageContext) -> Result<ModelRequest, StageError>;

    /// Turns the model's answer into artifacts.
    ///
    /// # Errors
    /// [`StageError::InvalidOutput`] if the answer cannot be used; its message is what the model is told.
    fn post_process(context: &StageContext, answer: &Completion)
    -> Result<StageOutput, StageError>;

    /// Does the stage's work. The default asks the model between `build_prompt` and `post_process`, and once more if the
    /// answer cannot be used. A stage that needs several questions has its own.
    ///
    /// # Errors
    /// What `build_prompt`, the model, or `post_process` of the second answer say.
    fn run(context: &StageContext, model: &mut dyn Model) -> Result<StageOutput, StageError> {
        let request = Self::build_prompt(context)?;
        ask_until_usable(model, request, |answer| Self::post_process(context, answer))
    }
}

/// Asks, and when `read` finds the answer unusable ([`StageError::InvalidOutput`]) continues the conversation with that
/// answer and the reason, once. An answer that is cut, filtered or empty does not reach `read`: see
/// [`Completion::whole_text`].
///
/// # Errors
/// What the model says, or what `read` says of the second answer.
pub fn ask_until_usable<T>(
    model: &mut dyn Model,
    request: ModelRequest,
    mut read: impl FnMut(&Completion) -> Result<T, StageError>,
) -> Result<T, StageError> {
    let answer = model.ask(&request)?;
    let failure = match answer.whole_text().and_then(|_| read(&answer)) {
        Err(StageError::InvalidOutput(failure)) => failure,
        usable_or_hopeless => return usable_or_hopeless,
    };
    log::warn(
        "the answer cannot be used; asking once more",
        &[("code", &failure.code), ("reason", &failure.message)],
    );
    let second = model.ask(&second_request(request, answer, &failure))?;
    second.whole_text()?;
    read(&second)
}

fn second_request(
    mut request: ModelRequest,
    answer: Completion,
    failure: &Failure,
) -> ModelRequest {
    // Providers refuse a message without text, so an empty answer is left out of the conversation.
    if !answer.content.trim().is_empty() {
        request.messages.push(Message { role: Role::Assistant, content: answer.content });
    }
    request.messages.push(Message::user(format!(
        "That answer cannot be used: {reason}.\n\
         Give the whole answer again, complete and corrected, in the form that was asked for. \
         Write nothing before it and nothing after it.",
        reason = failure.message.trim_end_matches('.')
    )));
    request.options.seed = None; // The same seed could give the same answer.
    request.labeled(SECOND_TRY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LlmError, ScriptedModel};

    struct Number;

    impl Stage for Number {
        fn info() -> StageInfo {
            StageInfo::new("number", "1.0.0", "Finds a number.")
        }

        fn build_prompt(context: &StageContext) -> Result<ModelRequest, StageError> {
            Ok(ModelRequest::new("You count.", &context.request_text))
        }

        fn post_process(_: &StageContext, answer: &Completion) -> Result<StageOutput, StageError> {
            let number: u32 = answer.content.trim().parse().map_err(|_| {
                StageError::invalid_output(
                    "not_a_number",
                    format!("`{}` is not a number", answer.content),
                )
            })?;
            Ok(StageOutput::new(format!("It is {number}.")))
        }
    }

    fn run(model: &mut ScriptedModel) -> Result<StageOutput, StageError> {
        Number::run(&StageContext::new("How many bees?"), model)
    }

    #[test]
    fn a_usable_answer_is_asked_for_once() {
        let mut model = ScriptedModel::answering(["42"]);
        assert_eq!(run(&mut model).unwrap().summary, "It is 42.");
        assert_eq!(model.requests().len(), 1);
    }

    #[test]
    fn an_unusable_answer_is_given_back_once_with_the_reason() {
        let mut model = ScriptedModel::answering(["many", "42"]);
        assert_eq!(run(&mut model).unwrap().summary, "It is 42.");

        let second = &model.requests()[1];
        assert_eq!(second.label.as_deref(), Some("second try"));
        let roles: Vec<Role> = second.messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User]);
        assert_eq!(second.messages[2].content, "many");
        assert!(second.messages[3].content.contains("`many` is not a number"));
    }

    #[test]
    fn a_second_unusable_answer_fails_the_stage() {
        let mut model = ScriptedModel::answering(["many", "lots", "42"]);
        let error = run(&mut model).unwrap_err();
        assert_eq!(error, StageError::invalid_output("not_a_number", "`lots` is not a number"));
        assert_eq!(model.requests().len(), 2);
    }

    #[test]
    fn a_cut_answer_is_not_processed_but_asked_for_again() {
        let mut model = ScriptedModel::default();
        model.push_cut("4");
        model.push("42");
        assert_eq!(run(&mut model).unwrap().summary, "It is 42.");

        model.push_cut("4");
        model.push_cut("4");
        let StageError::InvalidOutput(failure) = run(&mut model).unwrap_err() else {
            panic!("another error")
        };
        assert_eq!(failure.code, "answer_cut");
    }

    #[test]
    fn an_empty_answer_is_not_repeated_to_the_model() {
        let mut model = ScriptedModel::answering([" ", "42"]);
        assert_eq!(run(&mut model).unwrap().summary, "It is 42.");
        assert_eq!(model.requests()[1].messages.len(), 3);
    }

    #[test]
    fn an_error_of_the_model_is_passed_on_without_a_second_question() {
        let mut model = ScriptedModel::default();
        model.push_error(LlmError::Canceled);
        assert_eq!(run(&mut model).unwrap_err(), StageError::Llm(LlmError::Canceled));
        assert_eq!(model.requests().len(), 1);
    }
}
