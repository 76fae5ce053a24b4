//! What a profile can set.
mod form;

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use serde_json::{Value, json};
use stage_sdk::schema::Schema;
use stage_sdk::{StageContext, StageError, markdown, text};

use crate::template::{Template, pattern};

/// Who the model is where the profile says nothing else.
const ROLE: &str = "You are an experienced specialist in the field of the task. Your readers act on what you write, so a \
    wrong certainty costs them more than an honest gap.";

/// Longest heading that a message repeats, in bytes.
const SHOWN_BYTES_MAX: usize = 80;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) prompt: String,
    pub(crate) role: String,
    pub(crate) rules: Vec<String>,
    pub(crate) sections: Vec<Section>,
    pub(crate) schema: Option<Value>,
    pub(crate) artifact: String,
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) needs: Vec<String>,
    pub(crate) uses: Vec<String>,
    pub(crate) language: String,
    pub(crate) word_count_max: u32,
}

/// A section that the answer has to have.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Section {
    pub(crate) heading: String,
    #[serde(default)]
    pub(crate) purpose: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            prompt: String::new(),
            role: ROLE.to_owned(),
            rules: Vec::new(),
            sections: Vec::new(),
            schema: None,
            artifact: String::new(),
            title: String::new(),
            summary: String::new(),
            variables: BTreeMap::new(),
            needs: Vec::new(),
            uses: Vec::new(),
            language: String::new(),
            word_count_max: 1500,
        }
    }
}

impl Settings {
    /// The settings of a stage, as far as they can be used at all.
    pub(crate) fn of(context: &StageContext) -> Result<Self, StageError> {
        let settings: Self = context.settings_as()?;
        let refused = |message: &str| Err(StageError::bad_input("bad_settings", message));
        if settings.prompt.trim().is_empty() {
            return refused("`prompt` has no text: say there what the model has to do");
        }
        if settings.schema.is_some() && !settings.sections.is_empty() {
            return refused("`sections` and `schema` do not go together: leave one of them out");
        }
        if let Some(schema) = &settings.schema {
            Schema::read(schema)?;
            if schema.get("type").and_then(Value::as_str) != Some("object") {
                return refused(
                    "`schema` has to say `type: object`: models answer with one object",
                );
            }
        }
        settings.check_headings()?;
        settings.check_sources()?;
        Ok(settings)
    }

    /// Each section can be told from the others and stands on a line, or no answer would ever have it.
    fn check_headings(&self) -> Result<(), StageError> {
        let mut known = HashSet::new();
        for Section { heading, .. } in &self.sections {
            let slug = markdown::slug(heading);
            let wrong = if slug.is_empty() || heading.trim().contains(['\n', '\r']) {
                "has to be words on one line"
            } else if !known.insert(slug) {
                "is the heading of two sections: give each its own"
            } else {
                continue;
            };
            let shown = text::one_line(heading, SHOWN_BYTES_MAX);
            return Err(StageError::bad_input(
                "bad_settings",
                format!("`{shown}` in `sections` {wrong}"),
            ));
        }
        Ok(())
    }

    /// Summary and variables come from parts that the answer has.
    fn check_sources(&self) -> Result<(), StageError> {
        let known = self.parts();
        let mut sources = self.variables.values().chain([&self.summary]);
        let unknown = sources.find(|source| {
            !source.is_empty() && !known.is_empty() && !known.contains(&source.as_str())
        });
        match unknown {
            None => Ok(()),
            Some(source) => Err(StageError::bad_input(
                "bad_settings",
                format!(
                    "`{source}` is named in `summary` or `variables`, and the answer has no such part: it has {}",
                    known.join(", ")
                ),
            )),
        }
    }

    /// The headings or members that the answer has; none where its form is free.
    fn parts(&self) -> Vec<&str> {
        let properties = self.schema.as_ref().and_then(|schema| schema.get("properties"));
        match properties.and_then(Value::as_object) {
            Some(properties) => properties.keys().map(String::as_str).collect(),
            None => self.sections.iter().map(|section| section.heading.as_str()).collect(),
        }
    }

    pub(crate) fn template(&self) -> Result<Template, StageError> {
        Template::parse(&self.prompt)
    }

    /// What artifacts are called, without extension.
    pub(crate) fn stem<'a>(&'a self, context: &'a StageContext) -> &'a str {
        if self.artifact.is_empty() { &context.stage_key } else { &self.artifact }
    }

    /// The title of the document where the model gives none.
    pub(crate) fn title(&self, context: &StageContext) -> String {
        if !self.title.trim().is_empty() {
            return self.title.trim().to_owned();
        }
        let words = self.stem(context).replace(['-', '_'], " ");
        let mut letters = words.chars();
        letters
            .next()
            .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    }
}

pub(crate) fn schema() -> Value {
    let names = |mark: &str, description: &str| {
        json!({
            "description": description,
            "type": "array", "maxItems": 32, "default": [], mark: true,
            "items": { "type": "string", "minLength": 1, "maxLength": 128 },
        })
    };
    let mut answer = form::answer();
    answer["description"] = "JSON Schema of an object that the answer has to be, instead of sections. Patterns, conditions and references to other documents are not known.".into();
    json!({
        "type": "object",
        "required": ["prompt"],
        "$defs": form::definitions(),
        "not": { "required": ["sections", "schema"] },
        "properties": {
            "prompt": {
                "description": "What the model has to do: a template. `{{request}}`, `{{variable.NAME}}`, `{{artifact.FILE}}`, `{{artifact.STAGE/FILE}}`, `{{skill.NAME}}`, `{{skills}}`, `{{feedback}}` and `{{previous}}` stand for what they name; `{{#if …}}…{{else}}…{{/if}}` asks whether it is there.",
                "type": "string", "minLength": 1, "maxLength": 65536,
                "pattern": pattern::template(), "x-line-pattern": pattern::line(),
                "x-pattern-hint": pattern::HINT,
            },
            "role": {
                "description": "Who the model is, in a sentence or two.",
                "type": "string", "minLength": 1, "maxLength": 8192, "default": ROLE,
            },
            "rules": {
                "description": "Standing rules, a sentence each.",
                "type": "array", "maxItems": 64, "default": [],
                "items": { "type": "string", "minLength": 1, "maxLength": 2048 },
            },
            "sections": sections(),
            "schema": answer,
            "artifact": {
                "description": "Name of both artifacts, without extension. Empty: the key of the stage.",
                "type": "string", "maxLength": 100, "default": "", "x-artifact": "document",
            },
            "title": {
                "description": "Title of the document where the model gives none. Empty: made from the name of the artifact.",
                "type": "string", "maxLength": 200, "default": "",
            },
            "summary": {
                "description": "The section or the member of the schema whose first sentence is the stage's line for people. Empty: the first one with text.",
                "type": "string", "maxLength": 120, "default": "",
            },
            "variables": {
                "description": "Variables of the run that the stage sets: each name with the section or the member that it is taken from.",
                "type": "object", "maxProperties": 32, "default": {},
                "propertyNames": { "pattern": "^[a-z][a-z0-9_]{0,63}$" },
                "additionalProperties": { "type": "string", "minLength": 1, "maxLength": 120 },
            },
            "needs": names("x-needs", "Artifacts of earlier stages without which the stage cannot work, e.g. `brief.md`. The model gets them."),
            "uses": names("x-uses", "Artifacts of earlier stages that the model gets where they exist."),
            "language": {
                "description": "Language of the result. Empty: that of the request.",
                "type": "string", "maxLength": 60, "default": "",
            },
            "word_count_max": {
                "description": "Length of a document, in words. An answer by schema is bounded by its schema.",
                "type": "integer", "minimum": 20, "maximum": 20000, "default": 1500,
            },
        },
        "additionalProperties": false,
    })
}

fn sections() -> Value {
    json!({
        "description": "Sections of a Markdown document that the answer has to have, in this order. Without sections and schema the answer is any Markdown text.",
        "type": "array", "minItems": 1, "maxItems": 64,
        "items": {
            "type": "object", "required": ["heading"], "additionalProperties": false,
            "properties": {
                "heading": { "type": "string", "minLength": 1, "maxLength": 120 },
                "purpose": { "type": "string", "maxLength": 2048, "default": "" },
            },
        },
    })
}
