//! The settings of a stage: defaults of the plugin's schema filled in, then checked against it.
//!
//! A schema comes from a plugin and is not trusted: nothing is fetched for it, its patterns run in linear time, and
//! the defaults of a schema that contains itself are followed to a fixed depth.
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use domain::port::KnownPlugin;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::{Value, json};

use crate::findings::{Findings, known_hint, listed};
use crate::node::{Node, Spot};

/// How deep defaults are filled in. Settings are flat lists of options with here and there a group.
const DEFAULT_DEPTH_MAX: usize = 16;
/// Memory that one pattern of a schema may compile to, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Schemas that are kept ready: more than a host has plugins.
const COMPILED_COUNT_MAX: usize = 256;
/// Longest message that is taken over from the validator, in characters.
const MESSAGE_CHARS_MAX: usize = 300;
/// Beside a `pattern`: what to do with a text that does not have the form, in words.
const PATTERN_HINT: &str = "x-pattern-hint";
/// Beside a `pattern`: the form of each line of the text, to find the one that is wrong.
const LINE_PATTERN: &str = "x-line-pattern";
/// Beside `additionalProperties: false`: what the members are that are known there, where they are no settings.
const MEMBERS: &str = "x-members";
/// Longest such hint or name, in characters.
const HINT_CHARS_MAX: usize = 1000;

/// The settings that a stage is run with. Problems are reported at the place of the setting that has them.
pub(crate) fn settle(
    plugin: &KnownPlugin,
    plugin_spot: &Spot,
    said: &Node,
    findings: &mut Findings,
) -> Option<Value> {
    let compiled = match compiled(plugin.info.settings_schema.as_str()) {
        Ok(compiled) => compiled,
        Err(detail) => {
            let message = format!(
                "the settings schema of plugin `{}` is not usable: {detail}",
                plugin.info.name
            );
            findings.at(plugin_spot, message).hint("ask the plugin's author for a fixed version");
            return None;
        }
    };
    let mut settings = said.to_json();
    let schema = &compiled.schema;
    fill(schema, schema, &mut settings, DEFAULT_DEPTH_MAX);
    let mut valid = true;
    for error in compiled.validator.iter_errors(&settings) {
        valid = false;
        report(&error, schema, said, findings);
    }
    valid.then_some(settings)
}

/// The schema of a plugin's settings, as a run uses it: for whoever tries a plugin without a profile.
pub struct SettingsSchema(Arc<Compiled>);

impl SettingsSchema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// Why it is none.
    pub fn compile(text: &str) -> Result<SettingsSchema, String> {
        compiled(text).map(SettingsSchema)
    }

    /// The settings that a stage is run with: what was said, and defaults for the rest.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn settle(&self, said: &Value) -> Result<Value, Vec<String>> {
        let Compiled { schema, validator } = &*self.0;
        let mut settings = said.clone();
        fill(schema, schema, &mut settings, DEFAULT_DEPTH_MAX);
        let wrong: Vec<String> =
            validator.iter_errors(&settings).flat_map(|error| in_words(&error, schema)).collect();
        if wrong.is_empty() { Ok(settings) } else { Err(wrong) }
    }
}

/// What a validator found, without a place in a file.
fn in_words(error: &ValidationError<'_>, schema: &Value) -> Vec<String> {
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            unexpected.iter().map(|key| unknown(key, error, schema)).collect()
        }
        ValidationErrorKind::Enum { options } => {
            let name = name_of(&steps(error.instance_path().as_str()));
            let instance = shown(error.instance());
            vec![format!("`{name}` is {instance}, and has to be one of {options}")]
        }
        ValidationErrorKind::Pattern { .. } if hint_of(error, schema).is_some() => {
            let name = name_of(&steps(error.instance_path().as_str()));
            let hint = hint_of(error, schema).unwrap_or_default();
            vec![format!("{}: {hint}", without_form(&name, error, schema))]
        }
        kind => {
            let name = name_of(&steps(error.instance_path().as_str()));
            vec![plain_message(&name, error.instance(), kind, error)]
        }
    }
}

/// A schema, ready to be used.
struct Compiled {
    schema: Value,
    validator: Validator,
}

/// Every start of a run asks for the same few schemas, and to compile them takes longer than everything else that is
/// done to resolve a profile. What comes of a text never changes.
static COMPILED: LazyLock<Mutex<HashMap<String, Arc<Compiled>>>> = LazyLock::new(Mutex::default);

fn compiled(text: &str) -> Result<Arc<Compiled>, String> {
    let known = COMPILED.lock().unwrap_or_else(PoisonError::into_inner).get(text).cloned();
    if let Some(known) = known {
        return Ok(known);
    }
    let made = Arc::new(compile(text)?);
    let mut all = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if all.len() >= COMPILED_COUNT_MAX {
        all.clear();
    }
    all.insert(text.to_owned(), Arc::clone(&made));
    Ok(made)
}

fn compile(text: &str) -> Result<Compiled, String> {
    let schema: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    let validator = validator(&schema)?;
    Ok(Compiled { schema, validator })
}

fn validator(schema: &Value) -> Result<Validator, String> {
    let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX);
    let options = jsonschema::options().offline().with_pattern_options(patterns);
    options.build(schema).map_err(|error| clipped(&error.to_string(), MESSAGE_CHARS_MAX))
}

/// Adds to an object what its schema has a default for.
fn fill(root: &Value, schema: &Value, value: &mut Value, depth: usize) {
    let Some(depth) = depth.checked_sub(1) else { return };
    if let Some(target) = referenced(root, schema) {
        fill(root, target, value, depth);
    }
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        fill(root, part, value, depth);
    }
    if let (Some(items), Value::Array(values)) = (schema.get("items"), &mut *value) {
        values.iter_mut().for_each(|value| fill(root, items, value, depth));
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let (Some(properties), Value::Object(members)) = (properties, value) else { return };
    for (name, property) in properties {
        let default = || {
            property.get("default").or_else(|| referenced(root, property)?.get("default")).cloned()
        };
        if !members.contains_key(name)
            && let Some(default) = default()
        {
            members.insert(name.clone(), default);
        }
        if let Some(member) = members.get_mut(name) {
            fill(root, property, member, depth);
        }
    }
}

/// What a `$ref` within the schema leads to.
fn referenced<'s>(root: &'s Value, schema: &Value) -> Option<&'s Value> {
    let pointer = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
    root.pointer(pointer)
}

fn report(error: &ValidationError<'_>, schema: &Value, said: &Node, findings: &mut Findings) {
    let path = steps(error.instance_path().as_str());
    let name = &name_of(&path);
    let spot = said.spot_at(path.iter().map(String::as_str));
    let instance = error.instance();
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let known = siblings(schema, error.schema_path().as_str());
            let parent = said.at(path.iter().map(String::as_str));
            for key in unexpected {
                let spot = parent.entry(key).map_or(&spot, |entry| &entry.key_spot);
                let what = members(error, schema).unwrap_or_else(|| "the settings".to_owned());
                let hint = known_hint(key, &what, &known);
                findings.at(spot, unknown(key, error, schema)).hint(hint);
            }
        }
        ValidationErrorKind::Enum { options } => {
            let words: Vec<String> = options
                .as_array()
                .into_iter()
                .flatten()
                .map(|option| option.as_str().map_or_else(|| option.to_string(), str::to_owned))
                .collect();
            let problem = findings.at(
                &spot,
                format!("`{name}` is {}, and has to be one of {}", shown(instance), listed(&words)),
            );
            let close = instance
                .as_str()
                .and_then(|said| crate::findings::closest(said, words.iter().map(String::as_str)));
            if let Some(close) = close {
                problem.hint(format!("did you mean `{close}`?"));
            }
        }
        ValidationErrorKind::Pattern { .. } if hint_of(error, schema).is_some() => {
            let hint = hint_of(error, schema).unwrap_or_default();
            findings.at(&spot, without_form(name, error, schema)).hint(hint);
        }
        kind => {
            findings.at(&spot, plain_message(name, instance, kind, error));
        }
    }
}

fn unknown(key: &str, error: &ValidationError<'_>, schema: &Value) -> String {
    match members(error, schema) {
        Some(members) => format!("`{key}` is none of {members}"),
        None => format!("there is no setting `{key}`"),
    }
}

/// What the plugin's author calls the members that are known.
fn members(error: &ValidationError<'_>, schema: &Value) -> Option<String> {
    let members = beside(error, schema)?.get(MEMBERS)?.as_str()?;
    Some(clipped(members, HINT_CHARS_MAX))
}

/// What the plugin's author says to a text that does not have the form of a `pattern`.
fn hint_of(error: &ValidationError<'_>, schema: &Value) -> Option<String> {
    let hint = beside(error, schema)?.get(PATTERN_HINT)?.as_str()?;
    Some(clipped(hint, HINT_CHARS_MAX))
}

/// The schema that has the keyword which refused something.
fn beside<'s>(error: &ValidationError<'_>, schema: &'s Value) -> Option<&'s Value> {
    let (parent, _) = error.schema_path().as_str().rsplit_once('/')?;
    schema.pointer(parent)
}

fn without_form(name: &str, error: &ValidationError<'_>, schema: &Value) -> String {
    let message = format!("`{name}` does not have the form that the plugin reads");
    match wrong_line(error, schema) {
        Some((number, line)) => {
            format!("{message}, in its line {number}: `{}`", clipped(line, MESSAGE_CHARS_MAX))
        }
        None => message,
    }
}

/// The first line of a text, with its number, that does not have the form of a line, where the schema has one.
fn wrong_line<'e>(error: &'e ValidationError<'_>, schema: &Value) -> Option<(usize, &'e str)> {
    let form = beside(error, schema)?.get(LINE_PATTERN)?;
    let form = validator(&json!({ "pattern": form })).ok()?;
    let lines = (1..).zip(error.instance().as_str()?.split('\n'));
    let mut wrong = lines.filter(|(_, line)| !form.is_valid(&json!(line)));
    wrong.next().map(|(number, line)| (number, line.trim()))
}

fn plain_message(
    name: &str,
    instance: &Value,
    kind: &ValidationErrorKind,
    error: &ValidationError<'_>,
) -> String {
    match kind {
        ValidationErrorKind::Required { property } => {
            let property = property.as_str().unwrap_or_default();
            format!("the setting `{property}` is missing")
        }
        ValidationErrorKind::Type { kind } => {
            let types: Vec<&str> = match kind {
                TypeKind::Single(one) => vec![one.as_str()],
                TypeKind::Multiple(set) => set.iter().map(|one| one.as_str()).collect(),
            };
            format!("`{name}` is {}, and has to be of type {}", shown(instance), types.join(" or "))
        }
        ValidationErrorKind::Minimum { limit } => {
            format!("`{name}` is {}, and may be no less than {limit}", shown(instance))
        }
        ValidationErrorKind::Maximum { limit } => {
            format!("`{name}` is {}, and may be no more than {limit}", shown(instance))
        }
        ValidationErrorKind::Constant { expected_value } => {
            format!("`{name}` is {}, and has to be `{expected_value}`", shown(instance))
        }
        ValidationErrorKind::Not { schema } if excluded(schema).is_some() => {
            format!("{} do not go together", listed(&excluded(schema).unwrap_or_default()))
        }
        _ => format!("`{name}`: {}", clipped(&error.masked().to_string(), MESSAGE_CHARS_MAX)),
    }
}

/// The settings that a schema excludes from being said together: `not: { required: [...] }`.
fn excluded(schema: &Value) -> Option<Vec<&str>> {
    let names = schema.get("required")?.as_array()?.iter();
    names.map(Value::as_str).collect()
}

/// What a path leads to, e.g. `words[2]`.
fn name_of(path: &[String]) -> String {
    match path {
        [] => "settings".to_owned(),
        [.., list, idx] if idx.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{list}[{idx}]")
        }
        [.., name] => name.clone(),
    }
}

/// The names that the schema has beside the keyword which refused one.
fn siblings<'s>(schema: &'s Value, keyword_path: &str) -> Vec<&'s str> {
    let parent = keyword_path.rsplit_once('/').map_or("", |(parent, _)| parent);
    schema
        .pointer(parent)
        .and_then(|schema| schema.get("properties"))
        .and_then(Value::as_object)
        .map(|properties| properties.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

fn steps(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "a map".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) => format!("`{}`", clipped(text, MESSAGE_CHARS_MAX)),
        scalar => format!("`{scalar}`"),
    }
}

fn clipped(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
