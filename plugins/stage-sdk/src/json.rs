//! Finding the JSON in a chatty answer.
//!
//! Models wrap JSON in fences and sentences, write comments into it, and leave a comma before a closing bracket. That is
//! forgiven; a missing bracket or quote is not, because guessing where it belongs would change what the model said.
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::StageError;
use crate::text::without_thoughts;

/// Opening braces that are tried as the start of the object. A bound, so that an answer of nothing but braces costs
/// little; real answers have theirs among the first few.
const START_COUNT_MAX: usize = 16;

/// Reads the answer as the author's type, from the first JSON object in it that fits, alone or as the only member of an
/// object around it.
///
/// # Errors
/// [`StageError::InvalidOutput`] with the code `not_json` if there is no object, `json_broken` with the place where it is
/// not well formed, or `json_mismatch` with the place where the largest one does not fit.
pub fn parse<T: DeserializeOwned>(answer: &str) -> Result<T, StageError> {
    let (objects, broken) = scan(without_thoughts(answer));
    let mut largest: Option<(usize, serde_json::Error)> = None;
    for object in objects {
        let size = object.to_string().len();
        let wrapped = wrapped(&object).cloned();
        let error = match serde_json::from_value(object) {
            Ok(parsed) => return Ok(parsed),
            Err(error) => error,
        };
        if let Some(Ok(parsed)) = wrapped.map(serde_json::from_value) {
            return Ok(parsed);
        }
        if largest.as_ref().is_none_or(|(largest_size, _)| *largest_size < size) {
            largest = Some((size, error));
        }
    }
    Err(match (broken, largest) {
        (Some(error), _) => ill_formed(&error),
        (None, Some((_, error))) => StageError::invalid_output(
            "json_mismatch",
            format!("the JSON does not have the form that was asked for: {error}"),
        ),
        (None, None) => StageError::invalid_output(
            "not_json",
            "the answer has no complete JSON object; answer with one JSON object alone",
        ),
    })
}

/// The JSON objects in a text, in their order; those inside of an object do not count again.
pub fn objects(text: &str) -> Vec<Value> {
    scan(text).0
}

/// The JSON objects in a text, unless they may be parts of one that is not well formed: for checks that a part would pass.
///
/// # Errors
/// [`StageError::InvalidOutput`] with the code `json_broken` and the place.
pub fn whole_objects(text: &str) -> Result<Vec<Value>, StageError> {
    let (found, broken) = scan(text);
    broken.map_or(Ok(found), |error| Err(ill_formed(&error)))
}

fn ill_formed(error: &serde_json::Error) -> StageError {
    StageError::invalid_output(
        "json_broken",
        format!(
            "the JSON is not well formed, counted from its first brace: {error}; check quotes, commas and brackets"
        ),
    )
}

/// The objects, and what is wrong with one before them that is not well formed: they are then parts of it.
fn scan(text: &str) -> (Vec<Value>, Option<serde_json::Error>) {
    let mut found = Vec::new();
    let mut broken = None;
    let mut from = 0;
    for _ in 0..START_COUNT_MAX {
        let Some(start) = text[from..].find('{').map(|at| from + at) else { break };
        match object_at(&text[start..]) {
            Ok((object, len)) => {
                found.push(object);
                from = start + len;
            }
            Err(error) => {
                if found.is_empty() && broken.is_none() && begins_like_json(&text[start..]) {
                    broken = Some(error);
                }
                from = start + 1;
            }
        }
    }
    (found, broken)
}

/// Whether a text from its brace on is meant as JSON, unlike `{placeholder}`.
fn begins_like_json(text: &str) -> bool {
    text[1..].trim_start().starts_with(['"', '\'', '/'])
}

/// What an object has as its only member, if that is an object.
fn wrapped(object: &Value) -> Option<&Value> {
    let members = object.as_object().filter(|members| members.len() == 1)?;
    members.values().next().filter(|member| member.is_object())
}

/// The object at the start of a text, and its length there. Tried again without comments and commas too many.
fn object_at(text: &str) -> Result<(Value, usize), serde_json::Error> {
    first_value(text).or_else(|error| {
        if begins_like_json(text) {
            first_value(&without_commas_too_many(&without_comments(text)))
        } else {
            Err(error)
        }
    })
}

fn first_value(text: &str) -> Result<(Value, usize), serde_json::Error> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = values.next().expect("the text begins with a brace")?;
    Ok((value, values.byte_offset()))
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

/// The text with blanks for `// comments` and `/* comments */`, as long as before, so that places stay what they are.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, end_mark)) = comment(rest) {
        let end = rest[at + 2..].find(end_mark).map_or(rest.len(), |end| at + 2 + end);
        // The line feed ends the comment and is no part of it.
        let end = if end_mark == "\n" { end } else { rest.len().min(end + end_mark.len()) };
        out.push_str(&rest[..at]);
        out.extend(rest[at..end].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        rest = &rest[end..];
    }
    out + rest
}

/// Where the first comment of a text begins, and what ends it.
fn comment(text: &str) -> Option<(usize, &'static str)> {
    outside_of_strings(text).filter(|(_, letter, outside)| *outside && *letter == '/').find_map(
        |(at, ..)| match text.as_bytes().get(at + 1)? {
            b'/' => Some((at, "\n")),
            b'*' => Some((at, "*/")),
            _ => None,
        },
    )
}

/// The text with a blank for each comma before a closing bracket.
fn without_commas_too_many(text: &str) -> String {
    let closes = |rest: &str| rest.trim_start().starts_with(['}', ']']);
    outside_of_strings(text)
        .map(
            |(at, letter, outside)| {
                if outside && letter == ',' && closes(&text[at + 1..]) { ' ' } else { letter }
            },
        )
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
        let message = refused(r#"{"count": "three"}"#, "json_mismatch");
        assert!(message.contains("invalid type: string \"three\""), "{message}");
    }

    #[test]
    fn comments_are_forgiven_but_not_inside_of_strings() {
        reads("{ // don't {count}\n \"count\": 5, /* the \"last\",\n one */ }", 5);
        let found = objects(
            r#"{"url": "https://a/*b*/", // c
            "n": 1,}"#,
        );
        assert_eq!(found, [json!({"url": "https://a/*b*/", "n": 1})]);
        assert_eq!(objects("{\"a\": 1} /* never closed"), [json!({"a": 1})]);
    }

    #[test]
    fn an_object_around_the_object_is_taken_off_once() {
        reads(r#"{"result": {"count": 6}}"#, 6);
        refused(r#"{"result": {"answer": {"count": 6}}}"#, "json_mismatch");
        refused(r#"{"result": {"count": 6}, "more": 1}"#, "json_mismatch");
    }

    #[test]
    fn json_that_is_not_well_formed_is_told_from_json_of_another_form() {
        let message = refused(r#"{"count": 3"#, "json_broken");
        assert!(message.contains("EOF while parsing an object at line 1 column 11"), "{message}");
        refused(r#"{"bees": [{"name": "Ann"}, {"name": "Bo" "age": 2}]}"#, "json_broken");
        refused(r#"Use {placeholder}: {"name": "Ann"}"#, "json_mismatch");
        reads(r#"{"count": } Sorry: {"count": 3}"#, 3);
    }

    #[test]
    fn an_answer_of_braces_ends_soon() {
        refused(&"{".repeat(1 << 20), "not_json");
    }
}
