//! Whether a chat can be asked: every problem of it, each with its place.
use domain::model::{ModelOptions, ResponseFormat};
use profile::Problem;

use crate::ask::{
    BELONGING_BYTES_MAX, CHAT_BYTES_MAX, CHAT_MESSAGE_COUNT_MAX, CHAT_STOP_COUNT_MAX,
    CHAT_WORD_BYTES_MAX,
};
use crate::commands::problem;
use crate::start::is_name;
use crate::{ChatAsk, Error};

/// # Errors
/// [`Error::Invalid`] with every problem.
pub(super) fn check(ask: &ChatAsk) -> Result<(), Error> {
    let mut problems = Vec::new();
    check_messages(ask, &mut problems);
    check_names(ask, &mut problems);
    check_options(&ask.options, &mut problems);
    check_format(&ask.options.response_format, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems.into())) }
}

fn check_messages(ask: &ChatAsk, problems: &mut Vec<Problem>) {
    if ask.messages.is_empty() || ask.messages.len() > CHAT_MESSAGE_COUNT_MAX {
        let found = ask.messages.len();
        let message =
            format!("there are {found} messages; 1 to {CHAT_MESSAGE_COUNT_MAX} are allowed");
        problems.push(problem("/messages", message));
    }
    let bytes: usize = ask.messages.iter().map(|message| message.content.len()).sum();
    if bytes > CHAT_BYTES_MAX {
        let message = format!("the messages have {bytes} bytes; {CHAT_BYTES_MAX} are allowed");
        problems.push(problem("/messages", message));
    }
    if ask.messages.iter().any(|message| message.content.trim().is_empty()) {
        problems.push(problem("/messages", "a message is empty".to_owned()));
    }
}

fn check_names(ask: &ChatAsk, problems: &mut Vec<Problem>) {
    let names = [
        ("/session_id", &ask.session_id),
        ("/client_id", &ask.client_id),
        ("/conversation_id", &ask.conversation_id),
        ("/label", &ask.label),
    ];
    for (pointer, name) in names {
        if name.as_ref().is_some_and(|name| !is_name(name, BELONGING_BYTES_MAX)) {
            let message = format!(
                "1 to {BELONGING_BYTES_MAX} bytes, not blank, without control characters; leave it out if there is none"
            );
            problems.push(problem(pointer, message));
        }
    }
}

fn check_options(options: &ModelOptions, problems: &mut Vec<Problem>) {
    let mut bound = |pointer: &str, fits: bool, message: &str| {
        if !fits {
            problems.push(problem(pointer, message.to_owned()));
        }
    };
    let ModelOptions { max_tokens, temperature, top_p, stop, .. } = options;
    bound("/max_tokens", *max_tokens != Some(0), "an answer needs at least 1 token");
    let fits = temperature.is_none_or(|value| (0.0..=2.0).contains(&value));
    bound("/temperature", fits, "a temperature is 0.0 to 2.0");
    let fits = top_p.is_none_or(|value| value > 0.0 && value <= 1.0);
    bound("/top_p", fits, "more than 0.0 and at most 1.0");
    if stop.len() > CHAT_STOP_COUNT_MAX {
        let found = stop.len();
        let message = format!("there are {found} texts; {CHAT_STOP_COUNT_MAX} are allowed");
        bound("/stop", false, &message);
    }
    for (idx, text) in stop.iter().enumerate().take(CHAT_STOP_COUNT_MAX) {
        let message = format!("a text that ends the answer has 1 to {CHAT_WORD_BYTES_MAX} bytes");
        let fits = !text.is_empty() && text.len() <= CHAT_WORD_BYTES_MAX;
        bound(&format!("/stop/{idx}"), fits, &message);
    }
}

fn check_format(format: &ResponseFormat, problems: &mut Vec<Problem>) {
    let ResponseFormat::JsonSchema { name, schema } = format else { return };
    if !is_name(name, CHAT_WORD_BYTES_MAX) {
        let message = format!(
            "the name of a schema has 1 to {CHAT_WORD_BYTES_MAX} bytes and no control characters"
        );
        problems.push(problem("/response_format/name", message));
    }
    if schema.len() > CHAT_BYTES_MAX {
        let found = schema.len();
        let message = format!("the schema has {found} bytes; {CHAT_BYTES_MAX} are allowed");
        problems.push(problem("/response_format/schema", message));
    } else if let Err(error) = serde_json::from_str::<serde_json::Map<_, serde_json::Value>>(schema)
    {
        let message = format!("the schema is no JSON object: {error}");
        problems.push(problem("/response_format/schema", message));
    }
}
