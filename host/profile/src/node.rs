//! A value with the place of each of its parts, whether it came from YAML or from the JSON of a request.
//!
//! Both are read by the same code, and an override can be laid over a file: every part still knows where it stands.
use std::sync::Arc;

use serde_json::{Map, Number, Value};

/// Where a value stands. The name of the file is known to whoever collects the problems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spot {
    /// A character of the file, both counted from 1.
    Yaml { line: u32, column: u32 },
    /// A JSON pointer into the request.
    Pointer(Arc<str>),
}

impl Spot {
    /// The first character of a file.
    pub(crate) const START: Spot = Spot::Yaml { line: 1, column: 1 };

    /// The place of a member, for what stands in a request: a file knows the line of each member by itself.
    pub(crate) fn member(&self, key: &str) -> Spot {
        match self {
            Spot::Yaml { .. } => self.clone(),
            Spot::Pointer(pointer) => {
                let key = key.replace('~', "~0").replace('/', "~1");
                Spot::Pointer(format!("{pointer}/{key}").into())
            }
        }
    }
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) spot: Spot,
    pub(crate) value: NodeValue,
}

#[derive(Debug, Clone)]
pub(crate) enum NodeValue {
    Null,
    Bool(bool),
    /// `written` is the number as it stands in the text: money is read from it, exactly.
    Number {
        number: Number,
        written: String,
    },
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A member of a map. A map can have the same key twice; who reads the file reports it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// YAML allows keys that are no texts; such a key is here as JSON, and `key_is_text` says so.
    pub(crate) key: String,
    pub(crate) key_is_text: bool,
    pub(crate) key_spot: Spot,
    pub(crate) node: Node,
}

impl Node {
    /// The JSON of a request as a node.
    pub(crate) fn from_json(value: &Value, spot: Spot) -> Node {
        let node_value = match value {
            Value::Null => NodeValue::Null,
            Value::Bool(yes) => NodeValue::Bool(*yes),
            Value::Number(number) => {
                NodeValue::Number { number: number.clone(), written: number.to_string() }
            }
            Value::String(text) => NodeValue::Text(text.clone()),
            Value::Array(items) => NodeValue::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(idx, item)| Node::from_json(item, spot.member(&idx.to_string())))
                    .collect(),
            ),
            Value::Object(members) => NodeValue::Map(
                members.iter().map(|(key, member)| Entry::from_json(key, member, &spot)).collect(),
            ),
        };
        Node { spot, value: node_value }
    }

    /// The node as JSON, without places.
    pub(crate) fn to_json(&self) -> Value {
        match &self.value {
            NodeValue::Null => Value::Null,
            NodeValue::Bool(yes) => Value::Bool(*yes),
            NodeValue::Number { number, .. } => Value::Number(number.clone()),
            NodeValue::Text(text) => Value::String(text.clone()),
            NodeValue::List(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            NodeValue::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.node.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// What the node is, in a word for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            NodeValue::Null => "nothing",
            NodeValue::Bool(_) => "a boolean",
            NodeValue::Number { .. } => "a number",
            NodeValue::Text(_) => "a text",
            NodeValue::List(_) => "a list",
            NodeValue::Map(_) => "a map",
        }
    }

    /// The member with this key, if the node is a map that has it.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            NodeValue::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// Lays a node over this one: maps are merged member by member, everything else is replaced.
    pub(crate) fn overlay(&mut self, over: &Node) {
        let (NodeValue::Map(below), NodeValue::Map(above)) = (&mut self.value, &over.value) else {
            *self = over.clone();
            return;
        };
        for entry in above {
            match below.iter_mut().find(|member| member.key == entry.key) {
                Some(member) => {
                    member.key_spot = entry.key_spot.clone();
                    member.node.overlay(&entry.node);
                }
                None => below.push(entry.clone()),
            }
        }
    }

    /// The place of what a path leads to, or of the last part of the path that exists.
    pub(crate) fn spot_at<'p>(&self, path: impl Iterator<Item = &'p str>) -> Spot {
        self.at(path).spot.clone()
    }

    /// What a path leads to, or the last part of the path that exists.
    pub(crate) fn at<'p>(&self, path: impl Iterator<Item = &'p str>) -> &Node {
        let mut node = self;
        for step in path {
            let next = match &node.value {
                NodeValue::Map(_) => node.entry(step).map(|entry| &entry.node),
                NodeValue::List(items) => step.parse::<usize>().ok().and_then(|idx| items.get(idx)),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }
}

impl Entry {
    fn from_json(key: &str, member: &Value, parent: &Spot) -> Entry {
        let spot = parent.member(key);
        Entry {
            key: key.to_owned(),
            key_is_text: true,
            key_spot: spot.clone(),
            node: Node::from_json(member, spot),
        }
    }
}
