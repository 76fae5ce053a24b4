//! Schemas in the form that the protocol takes.
use indexmap::IndexMap;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Error, Value};

/// Keywords whose values are data and no schemas.
const DATA_KEYWORDS: &[&str] = &["const", "enum", "default", "examples"];

/// The schema with all its objects closed: the protocol takes only objects that say that nothing else is in them. An
/// answer that keeps to that keeps to the schema as it was asked for as well. The order of fields stays, because models
/// write them in that order.
pub(super) fn closed(schema: &str) -> Result<Box<RawValue>, Error> {
    // Reading it as a value bounds the depth of the nesting.
    serde_json::from_str::<Value>(schema)?;
    closed_part(serde_json::from_str(schema)?)
}

fn closed_part(part: &RawValue) -> Result<Box<RawValue>, Error> {
    let text = part.get().trim();
    if text.starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(text)?;
        let items = items.into_iter().map(closed_part);
        return to_raw_value(&items.collect::<Result<Vec<_>, _>>()?);
    }
    if !text.starts_with('{') {
        return Ok(part.to_owned());
    }
    let mut fields: IndexMap<String, Box<RawValue>> = serde_json::from_str(text)?;
    for (name, field) in &mut fields {
        if !DATA_KEYWORDS.contains(&name.as_str()) {
            *field = closed_part(field)?;
        }
    }
    let is_object = fields.get("type").is_some_and(|kind| kind.get() == "\"object\"");
    if is_object && !fields.contains_key("additionalProperties") {
        fields.insert("additionalProperties".to_owned(), to_raw_value(&false)?);
    }
    to_raw_value(&fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schema: &str, expected: &str) {
        assert_eq!(closed(schema).unwrap().get(), expected);
    }

    #[test]
    fn objects_are_closed_at_every_depth_and_keep_their_order() {
        check(
            r#"{"type":"object","properties":{"b":{"type":"array","items":{"type":"object"}},"a":{}}}"#,
            r#"{"type":"object","properties":{"b":{"type":"array","items":{"type":"object","additionalProperties":false}},"a":{}},"additionalProperties":false}"#,
        );
        check(
            r#"{"anyOf":[{"type":"object"}]}"#,
            r#"{"anyOf":[{"type":"object","additionalProperties":false}]}"#,
        );
    }

    #[test]
    fn what_is_said_already_and_what_is_data_stays() {
        for same in [
            r#"{"type":"object","additionalProperties":true}"#,
            r#"{"enum":[{"type":"object"}],"const":{"type":"object"}}"#,
            r#"{"properties":{"type":{"type":"string"}}}"#,
            "true",
        ] {
            check(same, same);
        }
    }

    #[test]
    fn what_is_no_json_or_nested_too_deep_is_refused() {
        assert!(closed("{").is_err());
        assert!(closed(&"[".repeat(100_000)).is_err());
    }
}
