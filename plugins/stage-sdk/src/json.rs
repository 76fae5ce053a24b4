//! Finding the JSON in a chatty answer.
//!
//! Models wrap JSON in fences and sentences, and leave a comma before a closing bracket. Both are forgiven; a missing
//! bracket or quote is not, because guessing where it belongs would change what the model said.
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::StageError;
use crate::text::without_thoughts;

/// Opening braces that are tried as the start of the object. A bound, so that an answer of nothing but braces costs
/// little; real answers have theirs among the first few.
const START_COUNT_MAX: usize = 16;

/// Reads the answer as the author's type, from the first JSON object in it that fits.
///
/// # Errors
/// [`StageError::InvalidOutput`] with the code `not_json` if there is no object, or `json_mismatch` with the place where
/// the largest one does not fit.
pub fn parse<T: DeserializeOwned>(answer: &str) -> Result<T, StageError> {
    let mut largest: Option<(usize, serde_json::Error)> = None;
    for object in objects(without_thoughts(answer)) {
        let size = object.to_string().len();
        match serde_json::from_value(object) {
            Ok(parsed) => return Ok(parsed),
            Err(error) if largest.as_ref().is_none_or(|(largest_size, _)| *largest_size < size) => {
                largest = Some((size, error));
            }
            Err(_) => {}
        }
    }
    Err(match largest {
        Some((_, error)) => StageError::invalid_output(
            "json_mismatch",
            format!("the JSON does not have the form that was asked for: {error}"),
        ),
        None => StageError::invalid_output(
            "not_json",
            "the answer has no complete JSON object; answer with one JSON object alone",
        ),
    })
}

/// The JSON objects in a text, in their order; those inside of an object do not count again.
pub fn objects(text: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut from = 0;
    for _ in 0..START_COUNT_MAX {
        let Some(start) = text[from..].find('{').map(|at| from + at) else { break };
        match object_at(&text[start..]) {
            Some((object, len)) => {
                found.push(object);
                from = start + len;
            }
            None => from = start + 1,
        }
    }
    found
}

fn object_at(text: &str) -> Option<(Value, usize)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    if let Some(Ok(value)) = values.next() {
        return Some((value, values.byte_offset()));
    }
    let len = balanced_len(text)?;
    let value = serde_json::from_str(&without_trailing_commas(&text[..len])).ok()?;
    Some((value, len))
}

/// Walks the characters of JSON text and tells which of them stand outside of strings.
fn outside_of_strings(text: &str) -> impl Iterator<Item = (usize, char, bool)> {
    let mut in_string = false;
    let mut escaped = false;
    text.char_indices().map(move |(at, letter)| {
        let was_in_string = in_string;
        match letter {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        (at, letter, !was_in_string && !in_string)
    })
}

fn balanced_len(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, letter, outside) in outside_of_strings(text) {
        match letter {
            '{' | '[' if outside => depth += 1,
            '}' | ']' if outside => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(at + letter.len_utf8());
        }
    }
    None
}

fn without_trailing_commas(text: &str) -> String {
    let closes = |rest: &str| rest.trim_start().starts_with(['}', ']']);
    outside_of_strings(text)
        .filter(|(at, letter, outside)| !(*outside && *letter == ',' && closes(&text[at + 1..])))
        .map(|(_, letter, _)| letter)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Bees {
        count: u32,
    }

    #[track_caller]
    fn reads(answer: &str, count: u32) {
        assert_eq!(parse::<Bees>(answer).unwrap(), Bees { count });
    }

    #[track_caller]
    fn refused(answer: &str, code: &str) -> String {
        let error = parse::<Bees>(answer).unwrap_err();
        let failure = error.failure().unwrap();
        assert_eq!(failure.code, code);
        failure.message.clone()
    }

    #[test]
    fn json_is_found_bare_fenced_and_among_sentences() {
        reads(r#"{"count": 3}"#, 3);
        reads("Sure! Here it is:\n```json\n{\"count\": 3}\n```\nAnything else?", 3);
        reads(r#"Using {placeholders} as you said: {"count": 3} — done."#, 3);
    }

    #[test]
    fn the_object_that_fits_is_taken() {
        reads(r#"{"thought": "hm"} {"count": 4}"#, 4);
        reads(r#"{} {"count": 4}"#, 4);
        reads(r#"<think>Maybe {"count": 1}?</think>{"count": 4}"#, 4);
    }

    #[test]
    fn a_comma_too_many_is_forgiven_but_not_inside_of_strings() {
        reads("{\"count\": 5, \"names\": [\"a\", ],\n}", 5);
        let found = objects(r#"{"text": "a ,} \" ,]", }"#);
        assert_eq!(found, [json!({"text": "a ,} \" ,]"})]);
    }

    #[test]
    fn braces_inside_of_strings_do_not_count() {
        assert_eq!(objects(r#"{"a": "}{", "b": 1}"#), [json!({"a": "}{", "b": 1})]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        refused("I cannot do that.", "not_json");
        refused(r#"{"count": 3"#, "not_json");
        let message = refused(r#"{"count": "three"}"#, "json_mismatch");
        assert!(message.contains("invalid type: string \"three\""), "{message}");
    }

    #[test]
    fn an_answer_of_braces_ends_soon() {
        refused(&"{".repeat(1 << 20), "not_json");
    }
}
