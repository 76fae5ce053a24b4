//! What a model would answer, roughly: the sections or the JSON that a prompt asks for, or a sentence.
use serde_json::{Map, Value, json};

/// The line before the list of sections.
const SECTIONS_MARK: &str = "Required sections, in this order:";
/// Deepest nesting of an instance.
const DEPTH_MAX: usize = 16;

/// A text for a request.
pub(crate) fn text_for(request: &Value) -> String {
    let format = &request["response_format"];
    let anthropic_schema = request["output_config"]["format"].get("schema");
    if let Some(schema) = format["json_schema"].get("schema").or(anthropic_schema) {
        return Walk { root: schema, texts: 0 }.instance(schema, "", 0).to_string();
    }
    if format["type"] == "json_object" {
        return json!({ "answer": "An object, as asked for." }).to_string();
    }
    let messages = request["messages"].as_array().into_iter().flatten();
    let said = messages.filter_map(|message| message["content"].as_str());
    let prompt: Vec<&str> = request["system"].as_str().into_iter().chain(said).collect();
    match prompt.iter().rev().find_map(|text| text.rsplit_once(SECTIONS_MARK)) {
        Some((_, list)) => document(list),
        None => "The test model has read the request and answers with one sentence.".to_owned(),
    }
}

fn document(list: &str) -> String {
    let lines = list.lines().map(str::trim).filter(|line| !line.is_empty());
    let headings = lines.map_while(|line| line.strip_prefix("## "));
    let sections = headings.map(|line| {
        let (heading, purpose) = line.split_once(" - ").unwrap_or((line, "what was asked for"));
        format!(
            "## {heading}\n\nThe test model writes here about {purpose} in a full sentence.\n\n\
             - A first point about {heading}.\n- A second point about {heading}.\n"
        )
    });
    format!("# A document of the test model\n\n{}", sections.collect::<Vec<_>>().join("\n"))
}

struct Walk<'a> {
    root: &'a Value,
    texts: usize,
}

impl Walk<'_> {
    fn instance(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        if depth > DEPTH_MAX {
            return Value::Null;
        }
        let pointer = schema["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
        if let Some(target) = pointer.and_then(|pointer| self.root.pointer(pointer)).cloned() {
            return self.instance(&target, name, depth + 1);
        }
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(first) = schema["enum"].get(0) {
            return first.clone();
        }
        if let Some(first) = schema["anyOf"].get(0).or(schema["oneOf"].get(0)) {
            return self.instance(first, name, depth + 1);
        }
        let named = schema["type"].as_str().or(schema["type"][0].as_str());
        match named.unwrap_or(if schema.get("properties").is_some() { "object" } else { "string" })
        {
            "object" => self.object(schema, depth),
            "array" => {
                let least = schema["minItems"].as_u64().unwrap_or(2);
                let count = least.max(1).min(schema["maxItems"].as_u64().unwrap_or(u64::MAX));
                let items = (0..count).map(|_| self.instance(&schema["items"], name, depth + 1));
                Value::Array(items.collect())
            }
            "integer" => json!(schema["minimum"].as_i64().unwrap_or(1)),
            "number" => json!(schema["minimum"].as_f64().unwrap_or(1.0)),
            "boolean" => json!(true),
            "null" => Value::Null,
            _ => {
                self.texts += 1;
                let label = if name.is_empty() { "text" } else { name };
                let mut text = format!("{label} {}", self.texts);
                if let Some(chars_max) = schema["maxLength"].as_u64() {
                    text = text.chars().take(chars_max as usize).collect();
                }
                json!(text)
            }
        }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let mut fields = Map::new();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            fields.insert(name.clone(), self.instance(property, name, depth + 1));
        }
        Value::Object(fields)
    }
}
