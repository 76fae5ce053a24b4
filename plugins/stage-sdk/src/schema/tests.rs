use serde_json::json;

use super::*;

#[track_caller]
fn differs(schema: &Value, value: &Value, expected: &str) {
    let error = Schema::read(schema).unwrap().check(value).unwrap_err();
    let failure = error.failure().unwrap();
    assert_eq!(failure.code, "schema_mismatch");
    assert_eq!(failure.message, format!("the JSON does not follow the schema: {expected}"));
}

#[track_caller]
fn follows(schema: &Value, value: &Value) {
    assert_eq!(Schema::read(schema).unwrap().check(value), Ok(()));
}

fn calendar() -> Value {
    json!({
        "type": "object",
        "required": ["entries"],
        "additionalProperties": false,
        "properties": {
            "note": { "type": "string", "maxLength": 10 },
            "entries": { "type": "array", "minItems": 1, "maxItems": 2, "items": { "$ref": "#/$defs/entry" } },
        },
        "$defs": { "entry": {
            "type": "object",
            "required": ["week", "channel"],
            "properties": {
                "week": { "type": "integer", "minimum": 1, "maximum": 52 },
                "channel": { "enum": ["blog", "mail"] },
                "share": { "type": ["number", "null"], "exclusiveMaximum": 1, "multipleOf": 0.1 },
            },
        }},
    })
}

#[test]
fn what_follows_the_schema_passes() {
    follows(&calendar(), &json!({"entries": [{"week": 1, "channel": "blog", "share": 0.3}]}));
    follows(
        &calendar(),
        &json!({"entries": [{"week": 2.0, "channel": "mail", "share": null, "x": 1}]}),
    );
    follows(&json!(true), &json!([1]));
    let step = json!({"multipleOf": 0.1});
    follows(&step, &json!(0.3));
    differs(&step, &json!(0.35), "the answer is 0.35, and has to be a multiple of 0.1");
}

#[test]
fn every_difference_has_its_place() {
    differs(
        &calendar(),
        &json!({"entries": [{"week": 0, "channel": "radio", "share": 1}], "more": 1}),
        "`/entries/0/channel` is `\"radio\"`, and has to be one of \"blog\", \"mail\"; \
         `/entries/0/share` is 1, and has to be less than 1; \
         `/entries/0/week` is 0, and has to be no less than 1; the answer has `more`, which the schema does not have",
    );
    differs(
        &calendar(),
        &json!({"note": "much too long"}),
        "the answer has no `entries`, which is required; `/note` has 13 characters, and may have at most 10",
    );
    differs(&calendar(), &json!([]), "the answer is a list, and has to be of type object");
    differs(&calendar(), &json!({"entries": []}), "`/entries` has 0 items, and needs at least 1");
}

#[test]
fn unions_constants_and_repeated_items_are_checked() {
    let union = json!({"anyOf": [{"const": 1}, {"type": "string"}]});
    follows(&union, &json!(1.0));
    differs(&union, &json!(2), "the answer is `2`, and follows none of the forms allowed");
    let one = json!({"oneOf": [{"minimum": 1}, {"minimum": 5}]});
    follows(&one, &json!(3));
    differs(&one, &json!(6), "the answer follows 2 of the forms, and has to follow one");
    differs(&json!({"uniqueItems": true}), &json!(["a", "b", "a"]), "the answer has `\"a\"` twice");
    differs(
        &json!({"allOf": [{"type": "string"}, false]}),
        &json!("x"),
        "the answer is not allowed there",
    );
    differs(
        &json!({"prefixItems": [{"type": "null"}], "items": false}),
        &json!([null, 1]),
        "`/1` is not allowed there",
    );
}

#[test]
fn a_schema_that_cannot_be_checked_whole_is_refused() {
    for (schema, expected) in [
        (
            json!({"properties": {"a": {"pattern": "^x"}}}),
            "the schema at `/properties/a` has `pattern`, which is not checked here",
        ),
        (json!({"minItems": "3"}), "has `minItems`, which has to be a whole number, not negative"),
        (json!({"$ref": "https://example.com/a.json"}), "a reference within the schema"),
        (
            json!({"$ref": "#/default", "default": {"pattern": "^x"}}),
            "a reference within the schema",
        ),
        (json!({"$ref": "#/$defs", "$defs": {"a": true}}), "a reference within the schema"),
        (
            json!({"items": {"type": "text"}}),
            "the schema at `/items` has `type`, which has to be the name of a type",
        ),
        (json!([]), "neither an object nor a boolean"),
    ] {
        let error = Schema::read(&schema).unwrap_err();
        let failure = error.failure().unwrap();
        assert_eq!(failure.code, "schema_unusable");
        assert!(failure.message.contains(expected), "{}", failure.message);
    }
}

#[test]
fn schemas_that_contain_themselves_end() {
    differs(&json!({"$ref": "#"}), &json!(1), "the answer is nested too deep to be checked");
    let doubling = json!({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]});
    assert!(Schema::read(&doubling).unwrap().check(&json!(1)).is_err());
    follows(&json!({"type": "array", "items": {"$ref": "#"}}), &json!([[[], []]]));
}

#[test]
fn many_differences_are_cut() {
    let wrong: Vec<Value> = (0..1000).map(|number| json!(number)).collect();
    let error = Schema::read(&json!({"items": {"type": "string"}}))
        .unwrap()
        .check(&json!(wrong))
        .unwrap_err();
    let message = &error.failure().unwrap().message;
    assert!(message.ends_with("; and more of this kind"), "{message}");
}
