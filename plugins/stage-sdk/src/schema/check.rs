//! What of a value does not follow a schema.
use std::collections::HashSet;

use serde_json::{Number, Value};

use super::multiple::is_multiple;
use super::{DEPTH_MAX, NAMED_COUNT_MAX, fields_of, referred, shown};

/// Schemas that are applied in one check. A bound on unions of unions, whose branches multiply.
const STEP_COUNT_MAX: usize = 200_000;

/// Each with its place.
pub(super) fn differences(root: &Value, value: &Value) -> Vec<String> {
    let mut checker = Checker { root, steps: 0, found: Vec::new() };
    checker.check(root, value, "", DEPTH_MAX);
    checker.found
}

struct Checker<'a> {
    root: &'a Value,
    steps: usize,
    found: Vec<String>,
}

impl Checker<'_> {
    fn differ(&mut self, place: &str, message: impl AsRef<str>) {
        let place = if place.is_empty() { "the answer".to_owned() } else { format!("`{place}`") };
        self.found.push(format!("{place} {}", message.as_ref()));
    }

    fn check(&mut self, schema: &Value, value: &Value, place: &str, depth: usize) {
        self.steps += 1;
        if self.found.len() > NAMED_COUNT_MAX {
            return;
        }
        let Some(depth) = depth.checked_sub(1).filter(|_| self.steps <= STEP_COUNT_MAX) else {
            return self.differ(place, "is nested too deep to be checked");
        };
        let Some(fields) = fields_of(schema) else {
            if schema == &Value::Bool(false) {
                self.differ(place, "is not allowed there");
            }
            return;
        };
        if let Some(target) = fields.get("$ref").and_then(|path| referred(self.root, path)) {
            self.check(target, value, place, depth);
        }
        if let Some(kind) = fields.get("type")
            && !has_type(value, kind)
        {
            let words = kind.as_str().map_or_else(|| kind.to_string(), str::to_owned);
            return self
                .differ(place, format!("is {}, and has to be of type {words}", shown(value)));
        }
        self.alternatives(schema, value, place, depth);
        match value {
            Value::Object(_) => self.object(schema, value, place, depth),
            Value::Array(items) => self.array(schema, items, place, depth),
            Value::String(text) => self.text(schema, text, place),
            Value::Number(number) => self.number(schema, number, place),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn alternatives(&mut self, schema: &Value, value: &Value, place: &str, depth: usize) {
        if let Some(constant) = schema.get("const")
            && !is_same(constant, value)
        {
            self.differ(place, format!("is {}, and has to be `{constant}`", shown(value)));
        }
        if let Some(options) = schema.get("enum").and_then(Value::as_array)
            && !options.iter().any(|option| is_same(option, value))
        {
            let words: Vec<String> = options.iter().map(Value::to_string).collect();
            let words = crate::text::cut(&words.join(", "), 400);
            self.differ(place, format!("is {}, and has to be one of {words}", shown(value)));
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.check(part, value, place, depth);
        }
        if let Some(parts) = schema.get("anyOf").and_then(Value::as_array)
            && self.fitting(parts, value, depth) == 0
        {
            self.differ(
                place,
                format!("is {}, and follows none of the forms allowed", shown(value)),
            );
        }
        if let Some(parts) = schema.get("oneOf").and_then(Value::as_array) {
            let count = self.fitting(parts, value, depth);
            if count != 1 {
                self.differ(place, format!("follows {count} of the forms, and has to follow one"));
            }
        }
    }

    /// How many of several schemas a value follows.
    fn fitting(&mut self, parts: &[Value], value: &Value, depth: usize) -> usize {
        let before = std::mem::take(&mut self.found);
        let mut count = 0;
        for part in parts {
            self.check(part, value, "", depth);
            count += usize::from(self.found.is_empty());
            self.found.clear();
        }
        self.found = before;
        count
    }

    fn object(&mut self, schema: &Value, value: &Value, place: &str, depth: usize) {
        let Value::Object(members) = value else { return };
        let names = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        for name in names.filter_map(Value::as_str).filter(|name| !members.contains_key(*name)) {
            self.differ(place, format!("has no `{name}`, which is required"));
        }
        self.count(schema, ["minProperties", "maxProperties"], members.len(), "fields", place);
        let properties = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        for (name, member) in members {
            let inner = format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
            match properties.and_then(|properties| properties.get(name)) {
                Some(property) => self.check(property, member, &inner, depth),
                None if others == Some(&Value::Bool(false)) => {
                    self.differ(place, format!("has `{name}`, which the schema does not have"));
                }
                None => {
                    if let Some(others) = others {
                        self.check(others, member, &inner, depth);
                    }
                }
            }
        }
    }

    fn array(&mut self, schema: &Value, items: &[Value], place: &str, depth: usize) {
        self.count(schema, ["minItems", "maxItems"], items.len(), "items", place);
        let given = schema.get("prefixItems").and_then(Value::as_array);
        let rest = schema.get("items");
        for (idx, item) in items.iter().enumerate() {
            let schema = given.and_then(|given| given.get(idx)).or(rest);
            if let Some(schema) = schema {
                self.check(schema, item, &format!("{place}/{idx}"), depth);
            }
        }
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            let mut seen = HashSet::new();
            if let Some(twin) = items.iter().find(|item| !seen.insert(item.to_string())) {
                self.differ(place, format!("has {} twice", shown(twin)));
            }
        }
    }

    fn text(&mut self, schema: &Value, text: &str, place: &str) {
        self.count(schema, ["minLength", "maxLength"], text.chars().count(), "characters", place);
    }

    fn count(
        &mut self,
        schema: &Value,
        [least, most]: [&str; 2],
        found: usize,
        what: &str,
        place: &str,
    ) {
        let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
        if let Some(least) = bound(least)
            && (found as u64) < least
        {
            self.differ(place, format!("has {found} {what}, and needs at least {least}"));
        }
        if let Some(most) = bound(most)
            && found as u64 > most
        {
            self.differ(place, format!("has {found} {what}, and may have at most {most}"));
        }
    }

    fn number(&mut self, schema: &Value, value: &Number, place: &str) {
        let Some(number) = value.as_f64() else { return };
        if let Some(Value::Number(step)) = schema.get("multipleOf")
            && !is_multiple(value, step)
        {
            self.differ(place, format!("is {value}, and has to be a multiple of {step}"));
        }
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        let wrong = [
            ("no less than", bound("minimum").filter(|least| number < *least)),
            ("no more than", bound("maximum").filter(|most| number > *most)),
            ("more than", bound("exclusiveMinimum").filter(|least| number <= *least)),
            ("less than", bound("exclusiveMaximum").filter(|most| number >= *most)),
        ];
        for (words, limit) in wrong {
            if let Some(limit) = limit {
                self.differ(place, format!("is {value}, and has to be {words} {limit}"));
            }
        }
    }
}

fn has_type(value: &Value, kind: &Value) -> bool {
    let is = |name: &str| match value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        Value::Object(_) => name == "object",
        Value::Array(_) => name == "array",
        Value::String(_) => name == "string",
        Value::Number(number) => {
            name == "number"
                || name == "integer"
                    && (number.is_i64()
                        || number.is_u64()
                        || number.as_f64().is_some_and(|number| number.fract() == 0.0))
        }
    };
    match kind {
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        name => name.as_str().is_some_and(is),
    }
}

/// Equal, where `1` and `1.0` are the same number.
fn is_same(one: &Value, other: &Value) -> bool {
    one == other
        || matches!((one, other), (Value::Number(one), Value::Number(other)) if one.as_f64() == other.as_f64())
}
