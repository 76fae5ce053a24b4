//! Checking JSON against a JSON Schema, as far as schemas of answers go.
//!
//! Knows types, constants, enumerations, bounds of numbers, texts, lists and objects, unions, and references within the
//! schema. Patterns, conditions and references to other documents are not known, because what checks them would double
//! the size of a component.
//!
//! Invariant: a schema with a keyword that is not checked here is refused when it is read, never checked in part.
use serde_json::{Map, Value};

use crate::{StageError, text};

mod check;
mod multiple;

/// Deepest nesting of a schema, and of what a chain of references leads through.
const DEPTH_MAX: usize = 64;
/// Differences that are named. A model that is told more corrects no more.
const NAMED_COUNT_MAX: usize = 8;
/// Longest value that a message repeats, in bytes.
const SHOWN_BYTES_MAX: usize = 60;

/// Keywords that are checked.
const CHECKED: [&str; 24] = [
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "oneOf",
    "prefixItems",
    "properties",
    "required",
    "type",
    "uniqueItems",
];
/// Keywords that say nothing about values, or only hold what others refer to.
const SILENT: [&str; 12] = [
    "$comment",
    "$defs",
    "$schema",
    "default",
    "definitions",
    "deprecated",
    "description",
    "examples",
    "format",
    "readOnly",
    "title",
    "writeOnly",
];
/// Keywords whose value is a schema, a list of schemas, or a map of names to schemas.
const ONE: [&str; 2] = ["items", "additionalProperties"];
const LISTS: [&str; 4] = ["prefixItems", "anyOf", "allOf", "oneOf"];
const MAPS: [&str; 3] = ["properties", "$defs", "definitions"];

/// Every keyword that a schema can have; [`Schema::read`] refuses others.
pub fn keywords() -> impl Iterator<Item = &'static str> {
    CHECKED.into_iter().chain(SILENT)
}

/// A schema that can be checked whole.
#[derive(Debug, Clone, Copy)]
pub struct Schema<'a> {
    root: &'a Value,
}

impl<'a> Schema<'a> {
    /// A schema, if every keyword of it is known here.
    ///
    /// # Errors
    /// [`StageError::BadInput`] with the code `schema_unusable`; the message names the place.
    pub fn read(root: &'a Value) -> Result<Self, StageError> {
        known(root, root, "", DEPTH_MAX)
            .map_err(|message| StageError::bad_input("schema_unusable", message))?;
        Ok(Self { root })
    }

    /// Checks a value.
    ///
    /// # Errors
    /// [`StageError::InvalidOutput`] with the code `schema_mismatch`; the message names the first differences, each with
    /// its place as a JSON pointer.
    pub fn check(&self, value: &Value) -> Result<(), StageError> {
        let mut differences = check::differences(self.root, value);
        if differences.is_empty() {
            return Ok(());
        }
        let count = differences.len();
        differences.truncate(NAMED_COUNT_MAX);
        let mut message = differences.join("; ");
        if count > NAMED_COUNT_MAX {
            message.push_str("; and more of this kind");
        }
        Err(StageError::invalid_output(
            "schema_mismatch",
            format!("the JSON does not follow the schema: {message}"),
        ))
    }
}

fn known(root: &Value, schema: &Value, place: &str, depth: usize) -> Result<(), String> {
    let shown = if place.is_empty() { "/" } else { place };
    let fields = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(fields) => fields,
        _ => return Err(format!("the schema at `{shown}` is neither an object nor a boolean")),
    };
    if depth == 0 {
        return Err(format!("the schema at `{shown}` is nested more than {DEPTH_MAX} levels deep"));
    }
    for (keyword, value) in fields {
        if !CHECKED.contains(&keyword.as_str()) && !SILENT.contains(&keyword.as_str()) {
            return Err(format!(
                "the schema at `{shown}` has `{keyword}`, which is not checked here: leave it out, and say in words what it \
                 would ask for"
            ));
        }
        well_formed(root, keyword, value, shown)?;
        let inner = |name: &str| format!("{place}/{keyword}{name}");
        match (keyword.as_str(), value) {
            (keyword, value) if ONE.contains(&keyword) => {
                known(root, value, &inner(""), depth - 1)?;
            }
            (keyword, Value::Array(parts)) if LISTS.contains(&keyword) => {
                for (idx, part) in parts.iter().enumerate() {
                    known(root, part, &inner(&format!("/{idx}")), depth - 1)?;
                }
            }
            (keyword, Value::Object(parts)) if MAPS.contains(&keyword) => {
                for (name, part) in parts {
                    known(root, part, &inner(&format!("/{name}")), depth - 1)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether the value of a keyword can be one: a slip such as `minItems: "3"` must not be a check that never fails.
fn well_formed(root: &Value, keyword: &str, value: &Value, place: &str) -> Result<(), String> {
    let types = ["null", "boolean", "object", "array", "number", "string", "integer"];
    let is_type = |value: &Value| value.as_str().is_some_and(|name| types.contains(&name));
    let is_texts =
        |value: &Value| value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
    let wanted = match keyword {
        "type"
            if !is_type(value) && !value.as_array().is_some_and(|all| all.iter().all(is_type)) =>
        {
            "the name of a type, or a list of them"
        }
        "enum" | "prefixItems" | "anyOf" | "allOf" | "oneOf"
            if value.as_array().is_none_or(Vec::is_empty) =>
        {
            "a list that is not empty"
        }
        "required" if !is_texts(value) => "a list of names",
        "properties" | "$defs" | "definitions" if !value.is_object() => "a map of names to schemas",
        "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties"
            if !value.is_u64() =>
        {
            "a whole number, not negative"
        }
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" if !value.is_number() => {
            "a number"
        }
        "multipleOf" if value.as_f64().is_none_or(|step| step <= 0.0) => "a number above 0",
        "uniqueItems" if !value.is_boolean() => "`true` or `false`",
        "$ref" if referred(root, value).is_none() => {
            "a reference within the schema, such as `#/$defs/name`"
        }
        _ => return Ok(()),
    };
    Err(format!("the schema at `{place}` has `{keyword}`, which has to be {wanted}"))
}

/// The schema that a `$ref` leads to. Anywhere else than where schemas are looked for, nothing would have read it.
fn referred<'a>(root: &'a Value, reference: &Value) -> Option<&'a Value> {
    let pointer = reference.as_str()?.strip_prefix('#')?;
    let mut names = pointer.split('/').skip(1);
    while let Some(keyword) = names.next() {
        if LISTS.contains(&keyword) || MAPS.contains(&keyword) {
            names.next()?;
        } else if !ONE.contains(&keyword) {
            return None;
        }
    }
    root.pointer(pointer)
}

/// What a value is, for a message.
fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        scalar => format!("`{}`", text::cut(&scalar.to_string(), SHOWN_BYTES_MAX)),
    }
}

fn fields_of(schema: &Value) -> Option<&Map<String, Value>> {
    schema.as_object()
}

#[cfg(test)]
mod tests;
