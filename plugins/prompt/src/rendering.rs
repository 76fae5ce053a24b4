//! JSON for people: each member under its heading, lists of objects as tables.
use serde_json::{Map, Value};
use stage_sdk::markdown::{normalize, table_cell};

/// Deepest heading. What is nested deeper is shown as JSON.
const LEVEL_MAX: usize = 6;

/// A document of the members of an answer. `schema` gives headings and the order of columns.
pub(crate) fn document(title: &str, members: &[(String, Value)], schema: &Value) -> String {
    let mut out = format!("# {title}\n\n");
    for (name, value) in members {
        let schema = property(schema, schema, name);
        out.push_str(&format!("## {}\n\n", heading(name, schema)));
        out.push_str(&body(value, schema, 3));
        out.push('\n');
    }
    normalize(&out)
}

/// Names of members, each once: in the order of the schema's `required`, which is a list, then by their names. The order
/// of JSON objects says nothing.
pub(crate) fn ordered<'n>(
    names: impl Iterator<Item = &'n str>,
    schema: Option<&Value>,
) -> Vec<&'n str> {
    let required = schema.and_then(|schema| schema.get("required")).and_then(Value::as_array);
    let place = |name: &str| {
        let listed = required.and_then(|names| names.iter().position(|known| known == name));
        listed.unwrap_or(usize::MAX)
    };
    let mut names: Vec<&str> = names.collect();
    names.sort_by_key(|name| (place(name), *name));
    names.dedup();
    names
}

/// The name of a field as words.
pub(crate) fn label(name: &str) -> String {
    name.replace(['_', '-'], " ")
}

fn heading(name: &str, schema: Option<&Value>) -> String {
    let title = schema.and_then(|schema| schema.get("title")).and_then(Value::as_str);
    if let Some(title) = title {
        return title.to_owned();
    }
    let words = label(name);
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn body(value: &Value, schema: Option<&Value>, level: usize) -> String {
    match value {
        Value::Array(items) if items.is_empty() => "None.\n".to_owned(),
        Value::Array(items) if items.iter().all(Value::is_object) => table(items, schema),
        Value::Array(items) => items.iter().map(|item| format!("- {}\n", cell(item))).collect(),
        Value::Object(members) if level > LEVEL_MAX => {
            format!("`{}`\n", Value::Object(members.clone()))
        }
        Value::Object(members) => {
            let names = ordered(members.keys().map(String::as_str), schema).into_iter();
            let inner = names.map(|name| {
                let schema = schema.and_then(|schema| property(schema, schema, name));
                let text = body(&members[name], schema, level + 1);
                format!("{} {}\n\n{text}\n", "#".repeat(level), heading(name, schema))
            });
            inner.collect()
        }
        scalar => format!("{}\n", scalar_text(scalar)),
    }
}

/// A row for each object, a column for each field that any of them has: those of the schema first.
fn table(items: &[Value], schema: Option<&Value>) -> String {
    let item_schema = schema.and_then(|schema| schema.get("items"));
    let properties =
        item_schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    let objects: Vec<&Map<String, Value>> = items.iter().filter_map(Value::as_object).collect();
    let names = objects.iter().flat_map(|object| object.keys().map(String::as_str));
    let columns = ordered(names, item_schema);
    if columns.is_empty() {
        return "None.\n".to_owned();
    }
    let title = |name: &&str| {
        table_cell(&heading(name, properties.and_then(|properties| properties.get(*name))))
    };
    let head: Vec<String> = columns.iter().map(title).collect();
    let mut out = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(columns.len()));
    for object in objects {
        let cells: Vec<String> =
            columns.iter().map(|name| object.get(*name).map(cell).unwrap_or_default()).collect();
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    out
}

fn cell(value: &Value) -> String {
    match value {
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join("; "),
        Value::Object(members) => {
            let parts =
                members.iter().map(|(name, value)| format!("{}: {}", label(name), cell(value)));
            parts.collect::<Vec<_>>().join(", ")
        }
        scalar => table_cell(&scalar_text(scalar)),
    }
}

fn scalar_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Null => "–".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => {
            let text = number.to_string();
            text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
        }
        other => other.to_string(),
    }
}

/// The schema of a member, where the schema says it.
fn property<'s>(root: &'s Value, schema: &'s Value, name: &str) -> Option<&'s Value> {
    let property = schema.get("properties")?.get(name)?;
    let target =
        property.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'));
    target.map_or(Some(property), |pointer| root.pointer(pointer))
}
