//! The answer as models really give it: other names for fields, capital letters, numbers for words.
//!
//! Does not judge a keyword. Invariant: a field that is there under two names is read once, under the first of them.
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Debug, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub(crate) struct Answer {
    pub(crate) note: String,
    pub(crate) primary: Vec<Said>,
    pub(crate) secondary: Vec<Said>,
    pub(crate) long_tail: Vec<Said>,
}

/// A keyword, as it was said. Everything can be missing, so that one bad keyword does not cost the others.
#[derive(Debug, Deserialize)]
#[serde(from = "Value")]
pub(crate) struct Said {
    pub(crate) keyword: String,
    pub(crate) intent: Value,
    pub(crate) priority: Value,
    pub(crate) rationale: String,
}

impl TryFrom<Map<String, Value>> for Answer {
    type Error = String;

    fn try_from(fields: Map<String, Value>) -> Result<Self, String> {
        let list = |names: &[&str]| {
            let list = match field(&fields, names) {
                Value::Null => return Ok(Vec::new()),
                list => serde_json::from_value(list),
            };
            list.map_err(|error| format!("`{}`: {error}", names[0]))
        };
        let primary = ["primary", "primarykeywords"];
        if field(&fields, &primary).is_null() {
            return Err("missing field `primary`".to_owned());
        }
        Ok(Self {
            note: text(&field(&fields, &["note", "notes", "comment"])),
            primary: list(&primary)?,
            secondary: list(&["secondary", "secondarykeywords"])?,
            long_tail: list(&["longtail", "longtailkeywords"])?,
        })
    }
}

impl From<Value> for Said {
    fn from(said: Value) -> Self {
        let fields = match said {
            Value::Object(fields) => fields,
            keyword => Map::from_iter([("keyword".to_owned(), keyword)]),
        };
        Self {
            keyword: text(&field(&fields, &["keyword", "term", "phrase", "query", "name"])),
            intent: field(&fields, &["intent", "searchintent"]),
            priority: field(&fields, &["priority"]),
            rationale: text(&field(&fields, &["rationale", "reason", "why", "reasoning"])),
        }
    }
}

/// What stands under the first of the names. Capital letters and what parts words make no difference.
fn field(fields: &Map<String, Value>, names: &[&str]) -> Value {
    let folded = |key: &str| key.replace(['_', '-', ' '], "").to_lowercase();
    let find =
        |name: &&str| fields.iter().find(|(key, value)| folded(key) == **name && !value.is_null());
    names.iter().find_map(find).map(|(_, value)| value.clone()).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
