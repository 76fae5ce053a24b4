use std::fs;

use insta::assert_snapshot;

use super::Answer;

/// What is said of a file with an answer in it.
fn refused(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answer-1.json");
    fs::write(&path, text).unwrap();
    let error = Answer::read(&path).unwrap_err();
    let told = format!("{error} ({})", error.hint().unwrap_or_default());
    told.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn a_file_that_answers_nothing_or_more_than_is_read_is_refused() {
    let told = [
        "{}",
        r#"{ "finish_reason": "length" }"#,
        r#"{ "partial": "half" }"#,
        r#"{ "error": { "kind": "timeout" }, "finish_reason": "stop" }"#,
        r#"{ "error": { "kind": "timeout" }, "cost_nano_usd": 3 }"#,
        r#"{ "error": { "kind": "timeout" }, "model": "m" }"#,
        r#"{ "error": { "kind": "timeout" }, "usage": {} }"#,
        r#"{ "error": { "kind": "timeout", "retry_after_ms": 10 } }"#,
        r#"{ "content": "x", "partial": "half" }"#,
        r#"{ "content": "x", "finish_reason": 3 }"#,
        r#"{ "content": "x", "finish_reason": "lenght" }"#,
        r#"{ "content": "x", "error": { "kind": "timeout" } }"#,
    ]
    .map(refused);
    assert_snapshot!(told.join("\n"), @r#"
    answer-1.json: it has neither `content` nor `error` (write `"content": "..."`, or e.g. `"error": { "kind": "timeout" }`)
    answer-1.json: it has neither `content` nor `error` (write `"content": "..."`, or e.g. `"error": { "kind": "timeout" }`)
    answer-1.json: it has neither `content` nor `error` (write `"content": "..."`, or e.g. `"error": { "kind": "timeout" }`)
    answer-1.json: `finish_reason` belongs to an answer with `content`, and there is none ()
    answer-1.json: `cost_nano_usd` belongs to an answer with `content`, and there is none ()
    answer-1.json: `model` belongs to an answer with `content`, and there is none ()
    answer-1.json: `usage` belongs to an answer with `content`, and there is none ()
    answer-1.json: `retry_after_ms` belongs to errors of the kind `rate-limited` ()
    answer-1.json: `partial` is what came before an error: `content` is the whole ()
    answer-1.json:1:38: a `finish_reason` is a word, or `{ "other": "..." }` for a provider's own words ()
    answer-1.json: no `finish_reason` `lenght`: there are `stop`, `length`, `content_filter`, `stopped_by_stage`, and `{ "other": "..." }` for a provider's own words ()
    answer-1.json: it has both `content`, which is an answer, and `error`, which says that there is none: keep one of the two ()
    "#);
}

#[test]
fn an_answer_says_as_little_as_it_likes() {
    let folder = tempfile::tempdir().unwrap();
    let read = |text: &str| {
        let path = folder.path().join("answer-1.json");
        fs::write(&path, text).unwrap();
        Answer::read(&path).unwrap()
    };
    assert_eq!(read(r#"{ "content": "x" }"#), Answer::of_text("x".to_owned()));
    let Answer::Failed { error, partial } = read(r#"{ "error": { "kind": "timeout" } }"#) else {
        panic!("it is an error")
    };
    assert_eq!((error.message.as_str(), partial.as_str()), ("", ""));
}
