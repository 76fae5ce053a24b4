//! JSON that follows a schema, made of the words of the request.
//!
//! Covers what schemas of answers use: objects, arrays, enums, constants, bounds, unions and local references. Patterns
//! and conditions are not looked at; whoever asked checks the answer anyhow.
use serde_json::{Map, Number, Value, json};

use super::LABEL;
use super::brief::Brief;

/// Deepest nesting. Below it optional fields and items are left out, so that a schema that contains itself ends.
const DEPTH_MAX: usize = 12;
/// Values of one instance. From there on it is made as if it were too deep, and arrays end, whatever they ask for.
const VALUE_COUNT_MAX: usize = 5_000;
/// Items of an array whose schema asks for no more and allows them.
const USUAL_ITEM_COUNT: u64 = 3;
/// Most items, whatever the schema asks for.
const ITEM_COUNT_MAX: u64 = 1_000;
/// Fields that are meant for remarks such as the label.
const NOTE_FIELDS: &[&str] = &["note", "notes", "remark", "comment", "disclaimer", "caveat"];
/// What people put before a word when they search for it.
const SEARCH_FORMS: &[&str] =
    &["", "best ", "how to choose ", "compare ", "affordable ", "what is ", "buy ", "review of "];

/// An instance of the schema.
pub(super) fn of_schema(schema: &Value, brief: &Brief<'_>) -> Value {
    Writer { root: schema, brief, phrases: 0, values: 0 }
        .value(schema, Place { name: "", index: 0, depth: 0 })
}

/// An object for a question that wants any.
pub(super) fn of_brief(brief: &Brief<'_>) -> Value {
    let headings: Vec<&str> = brief.sections.iter().map(|section| section.heading).collect();
    json!({
        "note": LABEL,
        "request": brief.gist,
        "key_words": brief.key_words,
        "sections": headings,
    })
}

struct Writer<'a> {
    root: &'a Value,
    brief: &'a Brief<'a>,
    /// Phrases handed out: each is another.
    phrases: usize,
    /// Values made.
    values: usize,
}

/// Where in the instance a value goes.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// Name of the nearest field.
    name: &'a str,
    /// Position in the nearest array.
    index: usize,
    depth: usize,
}

impl Writer<'_> {
    fn value(&mut self, schema: &Value, place: Place<'_>) -> Value {
        let place = Place { depth: place.depth + 1, ..place };
        self.values += 1;
        if place.depth > DEPTH_MAX * 2 {
            return Value::Null;
        }
        if let Some(target) = schema.get("$ref").and_then(|path| self.referred(path)) {
            return self.value(&target, place);
        }
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array).filter(|v| !v.is_empty())
        {
            return values[place.index % values.len()].clone();
        }
        for union in ["anyOf", "oneOf"] {
            if let Some(first) = schema.get(union).and_then(|branches| first_not_null(branches)) {
                return self.value(first, place);
            }
        }
        if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
            return self.all_of(schema, parts, place);
        }
        match type_of(schema) {
            "object" => self.object(schema, place),
            "array" => self.array(schema, place),
            "integer" => integer(schema, place),
            "number" => number(schema, place),
            "boolean" => Value::Bool(true),
            "null" => Value::Null,
            _ => Value::String(self.text(schema, place)),
        }
    }

    fn has_room(&self, place: Place<'_>) -> bool {
        place.depth < DEPTH_MAX && self.values < VALUE_COUNT_MAX
    }

    fn referred(&self, path: &Value) -> Option<Value> {
        let pointer = path.as_str()?.strip_prefix('#')?;
        self.root.pointer(pointer).cloned()
    }

    /// Fields of all parts together; where the parts are no objects, the first.
    fn all_of(&mut self, schema: &Value, parts: &[Value], place: Place<'_>) -> Value {
        let mut whole = Map::new();
        let own = type_of(schema) == "object";
        let own_value = own.then(|| self.object(schema, place));
        let of_parts = parts.iter().map(|part| self.value(part, place));
        for value in own_value.into_iter().chain(of_parts.collect::<Vec<_>>()) {
            match value {
                Value::Object(fields) => whole.extend(fields),
                other => return other,
            }
        }
        Value::Object(whole)
    }

    fn object(&mut self, schema: &Value, place: Place<'_>) -> Value {
        let required = |name: &str| {
            let names = schema.get("required").and_then(Value::as_array);
            names.is_some_and(|names| names.iter().any(|other| other == name))
        };
        let mut fields = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            if self.has_room(place) || required(name) {
                let value = self.value(property, Place { name, ..place });
                fields.insert(name.clone(), value);
            }
        }
        Value::Object(fields)
    }

    fn array(&mut self, schema: &Value, place: Place<'_>) -> Value {
        let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
        let at_least = bound("minItems").unwrap_or(0).min(ITEM_COUNT_MAX);
        let usual = if self.has_room(place) { USUAL_ITEM_COUNT } else { 0 };
        let count = usual.max(at_least).min(bound("maxItems").unwrap_or(u64::MAX));
        let given = schema.get("prefixItems").and_then(Value::as_array);
        let rest = schema.get("items").filter(|items| items.is_object());
        let items = (0..count as usize).map_while(|index| {
            if self.values > VALUE_COUNT_MAX {
                return None;
            }
            let item = given.and_then(|items| items.get(index)).or(rest)?;
            Some(self.value(item, Place { index, ..place }))
        });
        Value::Array(items.collect())
    }

    fn text(&mut self, schema: &Value, place: Place<'_>) -> String {
        let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
        let mut text = match schema.get("format").and_then(Value::as_str) {
            Some("date") => return "2026-01-01".to_owned(),
            Some("date-time") => return "2026-01-01T00:00:00Z".to_owned(),
            Some("email") => return "name@example.com".to_owned(),
            Some("uri" | "url") => return "https://example.com/".to_owned(),
            _ => self.words(place),
        };
        if let Some(chars_max) = bound("maxLength") {
            text = text.chars().take(usize::try_from(chars_max).unwrap_or(usize::MAX)).collect();
            text.truncate(text.trim_end().len());
        }
        let chars_min = bound("minLength").unwrap_or(0).min(ITEM_COUNT_MAX) as usize;
        while text.chars().count() < chars_min {
            text.push('.');
        }
        text
    }

    fn words(&mut self, place: Place<'_>) -> String {
        let name = place.name.to_ascii_lowercase();
        if NOTE_FIELDS.contains(&name.as_str()) {
            return LABEL.to_owned();
        }
        let explains = ["rationale", "reason", "why", "summary", "description", "explanation"];
        if explains.iter().any(|word| name.contains(word)) {
            return format!(
                "The request speaks of {}: \"{}\".",
                self.brief.key_word(self.phrases),
                self.brief.gist
            );
        }
        self.phrase()
    }

    /// The next phrase that nobody has got yet.
    fn phrase(&mut self) -> String {
        let number = self.phrases;
        self.phrases += 1;
        let words = self.brief.key_words.len();
        let word = self.brief.key_word(number);
        match SEARCH_FORMS.get(number / words) {
            Some(form) => format!("{form}{word}"),
            None => format!("{word} {}", number / words - SEARCH_FORMS.len() + 2),
        }
    }
}

fn first_not_null(branches: &Value) -> Option<&Value> {
    let branches = branches.as_array()?;
    branches.iter().find(|branch| type_of(branch) != "null").or(branches.first())
}

fn type_of(schema: &Value) -> &str {
    let named = match schema.get("type") {
        Some(Value::String(name)) => Some(name.as_str()),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).find(|n| *n != "null"),
        _ => None,
    };
    let by_keyword = || {
        let has = |keyword| schema.get(keyword).is_some();
        if has("properties") {
            "object"
        } else if has("items") || has("prefixItems") {
            "array"
        } else {
            "string"
        }
    };
    named.unwrap_or_else(by_keyword)
}

fn integer(schema: &Value, place: Place<'_>) -> Value {
    let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
    let above = bound("exclusiveMinimum").map(|min| min.saturating_add(1));
    let below = bound("exclusiveMaximum").map(|max| max.saturating_sub(1));
    let least = bound("minimum").or(above).unwrap_or(1);
    let most = bound("maximum").or(below).unwrap_or(i64::MAX);
    let step = bound("multipleOf").filter(|step| *step > 0).unwrap_or(1);
    let first = least.saturating_add(step - 1).div_euclid(step).saturating_mul(step);
    let wanted = first.saturating_add(step.saturating_mul(place.index as i64));
    Value::from(if wanted > most { first } else { wanted })
}

fn number(schema: &Value, place: Place<'_>) -> Value {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let least = bound("minimum").or(bound("exclusiveMinimum"));
    let most = bound("maximum").or(bound("exclusiveMaximum"));
    let value = match (least, most) {
        (Some(least), Some(most)) => least + (most - least) / (2.0 + place.index as f64),
        (Some(least), None) => least + 1.0,
        (None, Some(most)) => most - 1.0,
        (None, None) => 1.0,
    };
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}
