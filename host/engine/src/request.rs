//! What a question is: its digest, by which a replay recognizes it, and the question as it goes out.
use std::fmt::Write as _;

use domain::Digest;
use domain::model::{ModelRequest, ResponseFormat};
use domain::plan::ModelChoice;

/// Characters of a request that a report of a diverged replay shows.
const SHOWN_CHARACTERS_MAX: usize = 2_000;

/// Digest of a question as the guest asked it.
///
/// Every part goes in with its length before it, so that no two questions run together; the order of the parts is part
/// of the journal's format and must not change.
pub(crate) fn digest(request: &ModelRequest) -> Digest {
    let mut bytes = Vec::with_capacity(512);
    part(&mut bytes, &(request.messages.len() as u64).to_le_bytes());
    for message in &request.messages {
        part(&mut bytes, message.role.as_str().as_bytes());
        part(&mut bytes, message.content.as_bytes());
    }
    let options = &request.options;
    part(&mut bytes, &number(options.max_tokens.map(u64::from)));
    part(&mut bytes, &number(options.temperature.map(|value| u64::from(value.to_bits()))));
    part(&mut bytes, &number(options.top_p.map(|value| u64::from(value.to_bits()))));
    part(&mut bytes, &(options.stop.len() as u64).to_le_bytes());
    options.stop.iter().for_each(|stop| part(&mut bytes, stop.as_bytes()));
    part(&mut bytes, &number(options.seed));
    match &options.response_format {
        ResponseFormat::Text => part(&mut bytes, b"text"),
        ResponseFormat::Json => part(&mut bytes, b"json"),
        ResponseFormat::JsonSchema { name, schema } => {
            part(&mut bytes, b"json_schema");
            part(&mut bytes, name.as_bytes());
            part(&mut bytes, schema.as_bytes());
        }
    }
    part(&mut bytes, request.label.as_deref().unwrap_or_default().as_bytes());
    store::digest_of(&bytes)
}

fn part(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
    bytes.extend_from_slice(value);
}

fn number(value: Option<u64>) -> Vec<u8> {
    value.map(|value| value.to_le_bytes().to_vec()).unwrap_or_default()
}

/// The question with what the profile says about calls that do not say it themselves.
pub(crate) fn filled_in(mut request: ModelRequest, choice: &ModelChoice) -> ModelRequest {
    request.options.temperature = request.options.temperature.or(choice.temperature);
    request.options.max_tokens = request.options.max_tokens.or(choice.max_tokens);
    request
}

/// The question for a report, cut to what a person reads.
pub(crate) fn shown(request: &ModelRequest) -> String {
    let mut text = String::new();
    for message in &request.messages {
        // Writing into a string cannot fail.
        writeln!(text, "[{}] {}", message.role.as_str(), message.content).ok();
    }
    match text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use domain::model::{Message, ModelOptions, Role};

    use super::*;

    fn asking(contents: &[&str]) -> ModelRequest {
        let message = |content: &&str| Message { role: Role::User, content: (*content).to_owned() };
        ModelRequest {
            messages: contents.iter().map(message).collect(),
            options: ModelOptions::default(),
            label: None,
        }
    }

    #[test]
    fn two_questions_never_run_together() {
        assert_ne!(digest(&asking(&["ab", "c"])), digest(&asking(&["a", "bc"])));
        let mut cooler = asking(&["ab"]);
        cooler.options.temperature = Some(0.0);
        assert_ne!(digest(&asking(&["ab"])), digest(&cooler));
    }

    #[test]
    fn the_digest_of_a_question_is_part_of_the_journal_and_does_not_change() {
        assert_eq!(
            digest(&asking(&["hello"])).as_str(),
            "sha256:0d2b50d667578c83101d8fb1f1bf3bfee4cfef0252ecb547679594ba5df07ca0"
        );
    }
}
