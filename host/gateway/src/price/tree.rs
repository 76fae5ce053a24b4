//! A price list as it is written: each value as text with its place, whatever it says. Numbers stay text, because a
//! binary fraction would not be what was written.
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Location,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Null,
    /// A text, or a number that [`Node::restore_numbers`] has yet to write as it stands in the file.
    Text(String),
    /// A number as the parser understood it.
    Number,
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// What was written, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Text(_) | Value::Number => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// Puts what stands in the text in place of each number.
    pub(super) fn restore_numbers(&mut self, lines: &[&str]) {
        match &mut self.value {
            Value::Number => self.value = Value::Text(written_at(&self.place, lines)),
            Value::List(items) => items.iter_mut().for_each(|item| item.restore_numbers(lines)),
            Value::Map(entries) => entries.iter_mut().for_each(|(key, value)| {
                key.restore_numbers(lines);
                value.restore_numbers(lines);
            }),
            Value::Null | Value::Text(_) => {}
        }
    }
}

/// A number ends where a blank, a comma or a bracket begins.
fn written_at(place: &Location, lines: &[&str]) -> String {
    let idx = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
    let line = lines.get(idx(place.line())).copied().unwrap_or_default();
    let is_end = |letter: &char| letter.is_whitespace() || [',', '}', ']'].contains(letter);
    line.chars().skip(idx(place.column())).take_while(|letter| !is_end(letter)).collect()
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Node { place: spanned.defined, value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = members.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Map(entries))
    }
}
