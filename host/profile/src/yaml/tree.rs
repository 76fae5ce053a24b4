//! How a node is made from what the parser says: the value that is written, whatever it is, with its place.
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::Spanned;

use super::spot_of;
use crate::node::{Entry, Node, NodeValue};

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<NodeValue>::deserialize(deserializer)?;
        // Where an alias is used says nothing about what is wrong with the value; where it is defined does.
        Ok(Node { spot: spot_of(&spanned.defined), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for NodeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl NodeVisitor {
    fn number<E: de::Error>(number: impl Into<Option<Number>>) -> Result<NodeValue, E> {
        let number = number.into().ok_or_else(|| E::custom("the number is not finite"))?;
        Ok(NodeValue::Number { written: number.to_string(), number })
    }
}

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = NodeValue;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<NodeValue, E> {
        Ok(NodeValue::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<NodeValue, E> {
        Ok(NodeValue::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<NodeValue, E> {
        Self::number(Number::from(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<NodeValue, E> {
        Self::number(Number::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<NodeValue, E> {
        Self::number(Number::from_f64(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<NodeValue, E> {
        Ok(NodeValue::Text(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<NodeValue, E> {
        Ok(NodeValue::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<NodeValue, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(NodeValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<NodeValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = members.next_key::<Node>()? {
            let (text, key_is_text) = match key.value {
                NodeValue::Text(text) => (text, true),
                _ => (key.to_json().to_string(), false),
            };
            let node = members.next_value()?;
            entries.push(Entry { key: text, key_is_text, key_spot: key.spot, node });
        }
        Ok(NodeValue::Map(entries))
    }
}
