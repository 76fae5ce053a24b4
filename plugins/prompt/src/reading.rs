//! What becomes of the answer: a document and the same for programs.
use serde_json::{Map, Value, json};
use stage_sdk::markdown::{self, Document};
use stage_sdk::schema::Schema;
use stage_sdk::{StageContext, StageError, StageOutput, json as answer_json, text};

use crate::rendering;
use crate::settings::Settings;

/// A part of the answer as a variable, in bytes: a paragraph or two.
const VARIABLE_BYTES_MAX: usize = 2000;
/// The sentence in the line that people see, in bytes.
const SENTENCE_BYTES_MAX: usize = 240;

pub(crate) fn read(
    context: &StageContext,
    answer: &str,
    settings: &Settings,
) -> Result<StageOutput, StageError> {
    let title = settings.title(context);
    let (markdown, parts) = match &settings.schema {
        Some(schema) => by_schema(answer, schema, &title)?,
        None if settings.sections.is_empty() => free(answer, settings, &title)?,
        None => by_sections(answer, settings, &title)?,
    };
    let stem = settings.stem(context);
    let output = StageOutput::new(format!("{title}: {}", sentence(&parts, settings)))
        .with_markdown(format!("{stem}.md"), markdown)
        .with_json(format!("{stem}.json"), &parts.for_programs())
        .with_data(&parts.for_programs());
    Ok(settings
        .variables
        .iter()
        .fold(output, |output, (name, source)| output.with_variable(name, &parts.variable(source))))
}

/// The parts of an answer, by the names that settings know them by, in their order.
struct Parts {
    named: Vec<(String, Value)>,
    /// Whether names are headings, which programs get as slugs.
    are_headings: bool,
}

impl Parts {
    fn for_programs(&self) -> Value {
        let key =
            |name: &str| if self.are_headings { markdown::slug(name) } else { name.to_owned() };
        let members: Map<String, Value> =
            self.named.iter().map(|(name, value)| (key(name), value.clone())).collect();
        Value::Object(members)
    }

    fn part(&self, name: &str) -> Option<&Value> {
        self.named.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Texts are cut to what a variable is good for; `null` where an optional part is not there.
    fn variable(&self, name: &str) -> Value {
        match self.part(name) {
            Some(Value::String(said)) => {
                let paragraph = text::first_paragraph(said).unwrap_or_default();
                json!(text::one_line(paragraph, VARIABLE_BYTES_MAX))
            }
            Some(value) => value.clone(),
            None => Value::Null,
        }
    }
}

fn sentence(parts: &Parts, settings: &Settings) -> String {
    let chosen = parts.part(&settings.summary);
    let texts = parts.named.iter().map(|(_, value)| value);
    let said = chosen.into_iter().chain(texts).find_map(|value| {
        value.as_str().and_then(text::first_paragraph).filter(|said| !said.trim().is_empty())
    });
    match said {
        Some(said) => text::first_sentence(said, SENTENCE_BYTES_MAX),
        None => {
            let count = |(name, value): &(String, Value)| {
                value.as_array().map(|items| format!("{} {}", items.len(), rendering::label(name)))
            };
            let counts: Vec<String> = parts.named.iter().filter_map(count).collect();
            if counts.is_empty() { "done.".to_owned() } else { format!("{}.", counts.join(", ")) }
        }
    }
}

fn by_sections(
    answer: &str,
    settings: &Settings,
    title: &str,
) -> Result<(String, Parts), StageError> {
    let headings: Vec<&str> =
        settings.sections.iter().map(|section| section.heading.as_str()).collect();
    let document = Document::read(answer, &headings)?;
    document.check_length(settings.word_count_max)?;
    let named = document.sections.iter();
    let named = named.map(|section| (section.heading.clone(), json!(section.body))).collect();
    Ok((document.to_markdown(title), Parts { named, are_headings: true }))
}

/// Any text. What wraps it is taken off as from every document.
fn free(answer: &str, settings: &Settings, title: &str) -> Result<(String, Parts), StageError> {
    let document = Document::read(answer, &[])?;
    let body = markdown::normalize(markdown::unwrap_fence(text::without_thoughts(answer)));
    document.check_length(settings.word_count_max)?;
    let has_title = markdown::headings(&body).first().is_some_and(|first| first.level == 1);
    let whole = if has_title { body.clone() } else { format!("# {title}\n\n{body}") };
    let named = vec![("text".to_owned(), json!(body))];
    Ok((whole, Parts { named, are_headings: false }))
}

fn by_schema(answer: &str, schema: &Value, title: &str) -> Result<(String, Parts), StageError> {
    let object = fitting(answer, &Schema::read(schema)?)?;
    let Value::Object(members) = &object else {
        return Err(StageError::invalid_output("not_json", "the answer is not one JSON object"));
    };
    let names = rendering::ordered(members.keys().map(String::as_str), Some(schema)).into_iter();
    let named = names.map(|name| (name.to_owned(), members[name].clone())).collect();
    let parts = Parts { named, are_headings: false };
    Ok((rendering::document(title, &parts.named, schema), parts))
}

/// The first object of the answer that follows the schema, alone or as the only member of one around it. Otherwise what
/// is wrong with the largest.
fn fitting(answer: &str, schema: &Schema<'_>) -> Result<Value, StageError> {
    let mut largest: Option<(usize, StageError)> = None;
    for object in answer_json::whole_objects(text::without_thoughts(answer))? {
        let error = match schema.check(&object) {
            Ok(()) => return Ok(object),
            Err(error) => error,
        };
        let only = object.as_object().filter(|members| members.len() == 1);
        let inner = only.and_then(|members| members.values().next());
        if let Some(inner) = inner.filter(|inner| schema.check(inner).is_ok()) {
            return Ok(inner.clone());
        }
        let size = object.to_string().len();
        if largest.as_ref().is_none_or(|(known, _)| *known < size) {
            largest = Some((size, error));
        }
    }
    match largest {
        Some((_, error)) => Err(error),
        // Says why there is none.
        None => answer_json::parse::<Map<String, Value>>(answer).map(Value::Object),
    }
}
