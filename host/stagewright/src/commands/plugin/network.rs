//! What is told of a stage that wants a network where it has none.

/// How a stage that sends requests is tested.
pub(super) const HOW_TO_TEST: &str = r#"here a stage reaches no host, whatever is granted, and gets the responses of files instead: write `response-1.json` into the fixture, or name such files with `plugin run --response FILE`, e.g. `{ "method": "GET", "url": "https://api.example.com/", "answer": { "status": 200, "body": "..." } }`; the `http` exchanges of a recording have that form, too"#;
