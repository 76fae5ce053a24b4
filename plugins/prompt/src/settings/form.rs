//! The form of the setting `schema` as a JSON Schema itself: a host then finds a slip such as `minLenght` or `type: strin`
//! when it reads the profile.
//!
//! Invariant: every schema that [`Schema::read`](stage_sdk::schema::Schema::read) takes has this form. The other way round
//! it is left to the plugin whether a `$ref` leads anywhere, and whether the schema is nested too deep.
use serde_json::{Map, Value, json};

/// What a host calls the members that a schema can have.
const KEYWORDS: &str = "the keywords that are checked";
/// What a host says to a `$ref` that the plugin does not follow.
const REF_HINT: &str = "refer to a schema within this one, such as `#/$defs/name`";

/// What the schema of the settings says about `schema`, beside its description.
pub(super) fn answer() -> Value {
    json!({
        "type": "object",
        "$ref": "#/$defs/keywords",
        "if": { "properties": { "type": { "$ref": "#/$defs/type" } } },
        "then": { "required": ["type"], "properties": { "type": { "const": "object" } } },
    })
}

/// What [`answer`] refers to.
pub(super) fn definitions() -> Value {
    let types = ["null", "boolean", "object", "array", "number", "string", "integer"];
    json!({
        "schema": { "type": ["object", "boolean"], "$ref": "#/$defs/keywords" },
        "keywords": {
            "properties": keywords(),
            "additionalProperties": false,
            "x-members": KEYWORDS,
        },
        // No `anyOf`: of what fits none of several forms, nobody can say what is wrong with it.
        "type": {
            "if": { "type": "array" },
            "then": { "items": { "enum": types } },
            "else": { "enum": types },
        },
    })
}

fn keywords() -> Map<String, Value> {
    let schema = json!({ "$ref": "#/$defs/schema" });
    let schemas = json!({ "type": "array", "minItems": 1, "items": schema });
    let named = json!({ "type": "object", "additionalProperties": schema });
    let count = json!({ "type": "integer", "minimum": 0 });
    let number = json!({ "type": "number" });
    let reference = json!({
        "type": "string",
        "pattern": r"^#(?:/(?:items|additionalProperties|(?:prefixItems|anyOf|allOf|oneOf|properties|\$defs|definitions)/[^/]*))*$",
        "x-pattern-hint": REF_HINT,
    });
    let forms: [(&[&str], Value); 11] = [
        (&["$ref"], reference),
        (&["type"], json!({ "$ref": "#/$defs/type" })),
        (&["enum"], json!({ "type": "array", "minItems": 1 })),
        (&["required"], json!({ "type": "array", "items": { "type": "string" } })),
        (&["items", "additionalProperties"], schema),
        (&["prefixItems", "anyOf", "allOf", "oneOf"], schemas),
        (&["properties", "$defs", "definitions"], named),
        (
            &["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"],
            count,
        ),
        (&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"], number),
        (&["multipleOf"], json!({ "type": "number", "exclusiveMinimum": 0 })),
        (&["uniqueItems"], json!({ "type": "boolean" })),
    ];
    let any = [
        "const",
        "$comment",
        "$schema",
        "default",
        "deprecated",
        "description",
        "examples",
        "format",
        "readOnly",
        "title",
        "writeOnly",
    ];
    let formed = forms
        .into_iter()
        .flat_map(|(names, form)| names.iter().map(move |name| (*name, form.clone())));
    let all = formed.chain(any.map(|name| (name, json!({}))));
    all.map(|(name, form)| (name.to_owned(), form)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use jsonschema::Validator;
    use stage_sdk::schema::{Schema, keywords as known};

    use super::super::schema;
    use super::*;

    #[track_caller]
    fn agrees(answer: &Value) {
        // The pattern of the template takes long to compile.
        static WHOLE: LazyLock<Validator> =
            LazyLock::new(|| jsonschema::validator_for(&schema()).unwrap());
        let settings = json!({ "prompt": "Go.", "schema": answer });
        let is_object = answer.get("type") == Some(&json!("object"));
        let is_read = is_object && Schema::read(answer).is_ok();
        assert_eq!(WHOLE.is_valid(&settings), is_read, "{answer}");
    }

    /// An answer with one member of this schema.
    fn with(member: &Value) -> Value {
        json!({ "type": "object", "properties": { "a": member }, "$defs": { "x": {} } })
    }

    #[test]
    fn the_form_is_what_the_plugin_reads() {
        for answer in [json!({}), json!({ "type": "array" }), json!({ "type": ["object"] })] {
            agrees(&answer);
        }
        for answer in [json!({ "type": "objekt" }), json!(true), json!("object"), with(&json!({}))]
        {
            agrees(&answer);
        }
        let values = [
            json!(null),
            json!(true),
            json!(0),
            json!(-1),
            json!(1.5),
            json!("string"),
            json!("strin"),
            json!("#/$defs/x"),
            json!("#/$def/x"),
            json!("other.json"),
            json!([]),
            json!(["string"]),
            json!(["strin"]),
            json!([{}]),
            json!([{ "type": "strin" }]),
            json!({}),
            json!({ "a": { "type": "string" } }),
            json!({ "a": { "minLenght": 3 } }),
            json!({ "type": "string" }),
            json!({ "minLenght": 3 }),
        ];
        for keyword in known().chain(["pattern", "minLenght", "not", "if"]) {
            for value in &values {
                let mut member = Map::new();
                member.insert(keyword.to_owned(), value.clone());
                agrees(&with(&Value::Object(member)));
            }
        }
    }
}
