//! What a question is: its digest, by which a replay recognizes it, and the question as it goes out.
use std::fmt::Write as _;

use domain::Digest;
use domain::model::{ModelOptions, ModelRequest};
use domain::plan::ModelChoice;

/// Characters of a request that a report of a diverged replay shows.
const SHOWN_CHARACTERS_MAX: usize = 2_000;
/// Of them, those before the first difference of two long requests: enough to find the place.
const SHOWN_BEFORE_CHARACTERS: usize = 200;

/// Digest of a question as the guest asked it.
pub(crate) fn digest(request: &ModelRequest) -> Digest {
    store::digest_of(&request.digest_bytes())
}

/// The question with what the profile says about calls that do not say it themselves.
pub(crate) fn filled_in(mut request: ModelRequest, choice: &ModelChoice) -> ModelRequest {
    request.options.temperature = request.options.temperature.or(choice.temperature);
    request.options.max_tokens = request.options.max_tokens.or(choice.max_tokens);
    request
}

/// Two questions for a report of how they differ, each cut to what a person reads: long ones begin a little before the
/// first difference.
pub(crate) fn shown_differing(one: &ModelRequest, other: &ModelRequest) -> [String; 2] {
    let mut texts = [one, other].map(shown);
    if one.messages == other.messages {
        // What differs is not in the words.
        texts[0].push_str(&options_line(one));
        texts[1].push_str(&options_line(other));
    }
    let [first, second] = &texts;
    let same = first.chars().zip(second.chars()).take_while(|(one, other)| one == other).count();
    let is_long = texts.iter().any(|text| text.chars().nth(SHOWN_CHARACTERS_MAX).is_some());
    let skipped = if is_long { same.saturating_sub(SHOWN_BEFORE_CHARACTERS) } else { 0 };
    texts.map(|text| cut(&text, skipped))
}

fn shown(request: &ModelRequest) -> String {
    let mut text = String::new();
    for message in &request.messages {
        // Writing into a string cannot fail.
        writeln!(text, "[{}] {}", message.role.as_str(), message.content).ok();
    }
    text.truncate(text.trim_end().len());
    text
}

fn options_line(request: &ModelRequest) -> String {
    let ModelOptions { max_tokens, temperature, top_p, stop, seed, response_format } =
        &request.options;
    let label = request.label.as_deref();
    format!(
        "\n[options] max_tokens={max_tokens:?} temperature={temperature:?} top_p={top_p:?} seed={seed:?} stop={stop:?} label={label:?} response_format={response_format:?}"
    )
}

fn cut(text: &str, skipped: usize) -> String {
    let shown: String = text.chars().skip(skipped).take(SHOWN_CHARACTERS_MAX).collect();
    let before = if skipped > 0 { "…" } else { "" };
    let is_cut = text.chars().nth(skipped + SHOWN_CHARACTERS_MAX).is_some();
    let behind = if is_cut { "…" } else { "" };
    format!("{before}{shown}{behind}")
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
    fn two_long_questions_are_shown_from_a_little_before_the_first_difference() {
        let same = "bees ".repeat(2_000);
        let [one, other] = shown_differing(
            &asking(&[&format!("{same}in spring")]),
            &asking(&[&format!("{same}in autumn")]),
        );
        assert!(one.starts_with('…') && one.ends_with("bees in spring"), "{one}");
        assert!(other.starts_with('…') && other.ends_with("bees in autumn"), "{other}");
        assert!(one.chars().count() < 250, "{one}");
    }

    #[test]
    fn questions_that_differ_in_their_options_only_show_them() {
        let mut cooler = asking(&["bees"]);
        cooler.options.temperature = Some(0.5);
        let [one, other] = shown_differing(&asking(&["bees"]), &cooler);
        assert!(one.starts_with("[user] bees\n[options]"), "{one}");
        assert!(other.contains("temperature=Some(0.5)"), "{other}");
    }

    #[test]
    fn the_digest_of_a_question_is_part_of_the_journal_and_does_not_change() {
        assert_eq!(
            digest(&asking(&["hello"])).as_str(),
            "sha256:0d2b50d667578c83101d8fb1f1bf3bfee4cfef0252ecb547679594ba5df07ca0"
        );
    }
}
