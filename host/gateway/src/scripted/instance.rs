//! JSON that follows a schema, made of the words of the request.
//!
//! Covers what schemas of answers use: objects, arrays, enums, constants, bounds, unions and local references. Patterns
//! and conditions are not looked at; whoever asked checks the answer anyhow.
//!
//! Invariant: whatever the schema, work and memory are bounded by its size plus a constant. A schema that asks for more
//! gets an instance that does not follow it to its end.
use std::collections::HashSet;

use serde_json::{Map, Number, Value, json};

use super::LABEL;
use super::brief::Brief;

/// Deepest nesting. Below it optional fields and items are left out, so that a schema that contains itself ends.
const DEPTH_MAX: usize = 12;
/// Depth of the fields of the outermost object, which has depth 1.
const OUTER_FIELD_DEPTH: usize = 2;
/// Values of one instance. From there on it is made as if it were too deep, and arrays end, whatever they ask for.
const VALUE_COUNT_MAX: usize = 5_000;
/// Values after which nothing follows, required or not: required fields that refer to themselves double at each level.
const VALUE_COUNT_END: usize = 2 * VALUE_COUNT_MAX;
/// Memory of one instance, and the parts of the schema that are gone through for it, each time they are, in bytes.
/// Answers of models are a hundredth of it.
const ROOM_BYTES: usize = 2 << 20;
/// What a value takes beside its text, in bytes.
const VALUE_BYTES: usize = size_of::<Value>();
/// Bytes of a field's name that are looked at for what it asks for.
const NAME_BYTES_MAX: usize = 64;
/// Types of a value that are looked at: JSON has seven.
const TYPE_COUNT_MAX: usize = 8;
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
    let is_note = |name: &&str| schema.pointer(&format!("/properties/{name}")).is_some();
    let is_labeled = NOTE_FIELDS.iter().any(is_note);
    Writer { root: schema, brief, phrases: 0, values: 0, room_bytes: ROOM_BYTES, is_labeled }
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
    /// What is left of the room. At 0 the instance ends where it is.
    room_bytes: usize,
    /// Whether the label has a place: a field for remarks, or one that explains and has got it.
    is_labeled: bool,
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

impl<'a> Writer<'a> {
    fn value(&mut self, schema: &Value, place: Place<'_>) -> Value {
        let place = Place { depth: place.depth + 1, ..place };
        self.values += 1;
        if place.depth > DEPTH_MAX * 2 || self.has_ended() || !self.takes(VALUE_BYTES) {
            return Value::Null;
        }
        if let Some(target) = schema.get("$ref").and_then(|path| self.referred(path)) {
            return self.value(target, place);
        }
        if let Some(constant) = schema.get("const") {
            return self.copy(constant);
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array).filter(|v| !v.is_empty())
        {
            return self.copy(&values[place.index % values.len()]);
        }
        for union in ["anyOf", "oneOf"] {
            let branches = schema.get(union).and_then(Value::as_array);
            if let Some(first) = branches.and_then(|branches| self.first_not_null(branches)) {
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

    /// Nothing more is made.
    fn has_ended(&self) -> bool {
        self.values > VALUE_COUNT_END || self.room_bytes == 0
    }

    /// Takes from the room; false, and no room for anything else either, if there is too little.
    fn takes(&mut self, bytes: usize) -> bool {
        let left = self.room_bytes.checked_sub(bytes);
        self.room_bytes = left.unwrap_or(0);
        left.is_some()
    }

    /// A copy of a part of the schema, if there is room for it. It is counted first: the same megabytes may be asked for
    /// a thousand times.
    fn copy(&mut self, value: &Value) -> Value {
        if self.takes_all_of(value) { value.clone() } else { Value::Null }
    }

    fn takes_all_of(&mut self, value: &Value) -> bool {
        match value {
            Value::Array(items) => {
                self.takes(VALUE_BYTES) && items.iter().all(|item| self.takes_all_of(item))
            }
            Value::Object(fields) => {
                self.takes(VALUE_BYTES)
                    && fields.iter().all(|(name, field)| {
                        self.takes(VALUE_BYTES + name.len()) && self.takes_all_of(field)
                    })
            }
            Value::String(text) => self.takes(VALUE_BYTES + text.len()),
            Value::Null | Value::Bool(_) | Value::Number(_) => self.takes(VALUE_BYTES),
        }
    }

    fn referred(&mut self, path: &Value) -> Option<&'a Value> {
        let pointer = path.as_str()?.strip_prefix('#')?;
        let root = self.root;
        self.takes(pointer.len()).then(|| root.pointer(pointer)).flatten()
    }

    fn first_not_null<'s>(&mut self, branches: &'s [Value]) -> Option<&'s Value> {
        if !self.takes(branches.len()) {
            return None;
        }
        branches.iter().find(|branch| type_of(branch) != "null").or(branches.first())
    }

    /// Fields of all parts together; where the parts are no objects, the first.
    fn all_of(&mut self, schema: &Value, parts: &[Value], place: Place<'_>) -> Value {
        let mut whole = Map::new();
        if type_of(schema) == "object"
            && let Value::Object(fields) = self.object(schema, place)
        {
            whole = fields;
        }
        for part in parts {
            match self.value(part, place) {
                Value::Object(fields) => whole.extend(fields),
                _ if self.has_ended() => break,
                other => return other,
            }
        }
        Value::Object(whole)
    }

    fn object(&mut self, schema: &Value, place: Place<'_>) -> Value {
        let mut fields = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        let names = schema.get("required").and_then(Value::as_array);
        let required_count = names.map_or(0, Vec::len);
        if !self.takes(required_count + properties.map_or(0, Map::len)) {
            return Value::Object(fields);
        }
        let required: HashSet<&str> =
            names.into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, property) in properties.into_iter().flatten() {
            if !self.has_room(place) && !required.contains(name.as_str()) {
                continue;
            }
            if self.has_ended() || !self.takes(name.len()) {
                break;
            }
            let value = self.value(property, Place { name, ..place });
            fields.insert(name.clone(), value);
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
            if self.values > VALUE_COUNT_MAX || self.has_ended() {
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
        let missing = chars_min.saturating_sub(text.chars().count());
        text.extend(std::iter::repeat_n('.', missing));
        self.takes(text.len());
        text
    }

    fn words(&mut self, place: Place<'_>) -> String {
        let name = &place.name[..place.name.floor_char_boundary(NAME_BYTES_MAX)];
        let name = name.to_ascii_lowercase();
        if NOTE_FIELDS.contains(&name.as_str()) {
            return LABEL.to_owned();
        }
        let explains = ["rationale", "reason", "why", "summary", "description", "explanation"];
        if explains.iter().any(|word| name.contains(word)) {
            let said = format!(
                "The request speaks of {}: \"{}\".",
                self.brief.key_word(self.phrases),
                self.brief.gist
            );
            if self.is_labeled || place.depth != OUTER_FIELD_DEPTH {
                return said;
            }
            self.is_labeled = true;
            return format!("{LABEL} {said}");
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

fn type_of(schema: &Value) -> &str {
    let named = match schema.get("type") {
        Some(Value::String(name)) => Some(name.as_str()),
        Some(Value::Array(names)) => {
            let names = names.iter().take(TYPE_COUNT_MAX).filter_map(Value::as_str);
            names.into_iter().find(|name| *name != "null")
        }
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
    // Hundredths are what people write, where the bounds leave room for them.
    let rounded = (value * 100.0).round() / 100.0;
    let fits = least.is_none_or(|least| rounded > least) && most.is_none_or(|most| rounded < most);
    Number::from_f64(if fits { rounded } else { value }).map_or(Value::Null, Value::Number)
}
