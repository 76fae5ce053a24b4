//! Templates: text with names between double braces, and conditions.
//!
//! `{{name}}` stands for what it names, `{{#if name}}…{{else}}…{{/if}}` asks whether that is there and not empty, and
//! `\{{` writes two braces. A condition alone on its line takes the line with it. There is nothing else: no loops, no
//! filters, no calculations.
//!
//! Invariant: what is filled in is never read as a template again, and stands between tags that it cannot close, or in
//! quotation marks on one line.
mod parse;
pub(crate) mod pattern;

use serde_json::Value;
use stage_sdk::prompt::{quoted, quoted_drafts, quoted_earlier, quoted_feedback, quoted_skill};
use stage_sdk::{EarlierArtifact, StageContext, StageError, text};

/// Longest text of a variable that stands within a sentence, in bytes. Longer ones are quoted as a block.
const INLINE_BYTES_MAX: usize = 200;
/// Names that a message lists: enough to see the one that was meant, in a line or two.
const NAMED_COUNT_MAX: usize = 10;

/// What a name in a template stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    Request,
    Skills,
    Feedback,
    Previous,
    Variable(String),
    Skill(String),
    Artifact { stage: Option<String>, file: String },
}

/// Where a tag begins, both counted from 1; columns are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    line: usize,
    column: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Text(String),
    Value { name: Name, spot: Spot },
    If { name: Name, then: Vec<Node>, otherwise: Vec<Node> },
}

/// A template that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    nodes: Vec<Node>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`StageError::BadInput`] with the code `template_broken`, line and column.
    pub(crate) fn parse(text: &str) -> Result<Self, StageError> {
        parse::nodes(text).map(|nodes| Self { nodes })
    }

    /// Fills in what the names stand for.
    ///
    /// # Errors
    /// [`StageError::BadInput`] with the code `template_value_missing`, line and column.
    pub(crate) fn fill(&self, context: &StageContext) -> Result<String, StageError> {
        let mut out = String::new();
        fill(&self.nodes, context, &mut out)?;
        Ok(out)
    }

    /// Every name whose value the template writes, in a branch or not.
    pub(crate) fn names(&self) -> Vec<&Name> {
        let mut found = Vec::new();
        collect(&self.nodes, &mut found);
        found
    }
}

fn collect<'t>(nodes: &'t [Node], found: &mut Vec<&'t Name>) {
    for node in nodes {
        match node {
            Node::Text(_) => {}
            Node::Value { name, .. } => found.push(name),
            Node::If { then, otherwise, .. } => {
                collect(then, found);
                collect(otherwise, found);
            }
        }
    }
}

fn fill(nodes: &[Node], context: &StageContext, out: &mut String) -> Result<(), StageError> {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Value { name, spot } => match name.value(context) {
                Some(value) => out.push_str(&value),
                // A first draft has neither, and that is no mistake.
                None if matches!(name, Name::Feedback | Name::Previous) => {}
                None => return Err(missing(name, context, *spot)),
            },
            Node::If { name, then, otherwise } => {
                let branch = if name.is_there(context) { then } else { otherwise };
                fill(branch, context, out)?;
            }
        }
    }
    Ok(())
}

fn missing(name: &Name, context: &StageContext, spot: Spot) -> StageError {
    let (what, cure) = match name {
        Name::Artifact { stage, file } => missing_artifact(stage.as_deref(), file, context),
        Name::Variable(name) => {
            let known = context.variables.iter().map(|variable| variable.name.as_str());
            (
                format!("the run has no variable `{name}`{}", and_has(known)),
                "give it at the start of the run, or ask for it with `{{#if …}}`",
            )
        }
        Name::Skill(name) => {
            let known = context.skills.iter().map(|skill| skill.name.as_str());
            (
                format!("the stage has no skill `{name}`{}", and_has(known)),
                "name it in the `skills` of the stage",
            )
        }
        Name::Request | Name::Skills | Name::Feedback | Name::Previous => {
            ("there is no text for it".to_owned(), "ask for it with `{{#if …}}`")
        }
    };
    StageError::bad_input("template_value_missing", at(spot, format!("{what}: {cure}")))
}

fn missing_artifact(
    stage: Option<&str>,
    file: &str,
    context: &StageContext,
) -> (String, &'static str) {
    let made = context.artifacts.iter().filter(|earlier| earlier.artifact.name == file);
    let makers = listed(made.map(|earlier| earlier.stage.as_str()));
    match stage.zip(makers) {
        Some((stage, makers)) => (
            format!("the stage `{stage}` made no `{file}`, but {makers} did"),
            "name that stage, or ask for it with `{{#if …}}`",
        ),
        None => (
            format!("no earlier stage made `{file}`"),
            "name it in `needs`, or ask for it with `{{#if …}}`",
        ),
    }
}

/// What there is instead, where there is anything.
fn and_has<'n>(known: impl Iterator<Item = &'n str>) -> String {
    listed(known).map_or_else(String::new, |known| format!(", and has {known}"))
}

/// The first names as literals; nothing without any.
fn listed<'n>(mut names: impl Iterator<Item = &'n str>) -> Option<String> {
    let shown: Vec<String> =
        names.by_ref().take(NAMED_COUNT_MAX).map(|name| format!("`{name}`")).collect();
    let more = if names.next().is_some() { " and others" } else { "" };
    (!shown.is_empty()).then(|| shown.join(", ") + more)
}

fn at(spot: Spot, message: impl AsRef<str>) -> String {
    format!("`prompt`, line {}, column {}: {}", spot.line, spot.column, message.as_ref())
}

impl Name {
    /// What is filled in; nothing if it is not there.
    fn value(&self, context: &StageContext) -> Option<String> {
        match self {
            Self::Request => Some(quoted("request", &[], &context.request_text)),
            Self::Skills => {
                let skills: Vec<String> = context.skills.iter().map(quoted_skill).collect();
                Some(skills.join("\n\n"))
            }
            Self::Feedback => quoted_feedback(context),
            Self::Previous => quoted_drafts(context),
            Self::Variable(name) => context.variable(name).map(|value| variable(name, &value)),
            Self::Skill(name) => {
                context.skills.iter().find(|skill| skill.name == *name).map(quoted_skill)
            }
            Self::Artifact { .. } => self.artifact(context).map(quoted_earlier),
        }
    }

    /// Whether there is something to fill in that says anything.
    fn is_there(&self, context: &StageContext) -> bool {
        match self {
            Self::Request => !context.request_text.trim().is_empty(),
            Self::Skills => !context.skills.is_empty(),
            Self::Feedback => context.revision.is_some(),
            Self::Previous => {
                context.revision.as_ref().is_some_and(|revision| !revision.previous.is_empty())
            }
            Self::Variable(name) => context.variable(name).is_some_and(|value| !is_empty(&value)),
            Self::Skill(name) => context.skills.iter().any(|skill| skill.name == *name),
            Self::Artifact { .. } => self
                .artifact(context)
                .is_some_and(|earlier| !earlier.artifact.body.trim().is_empty()),
        }
    }

    /// The artifact that is named, where there is one.
    pub(crate) fn artifact<'c>(&self, context: &'c StageContext) -> Option<&'c EarlierArtifact> {
        match self {
            Self::Artifact { stage, file } => artifact(context, stage.as_deref(), file),
            Self::Request
            | Self::Skills
            | Self::Feedback
            | Self::Previous
            | Self::Variable(_)
            | Self::Skill(_) => None,
        }
    }
}

fn artifact<'c>(
    context: &'c StageContext,
    stage: Option<&str>,
    file: &str,
) -> Option<&'c EarlierArtifact> {
    match stage {
        None => context.artifact(file),
        Some(stage) => context
            .artifacts
            .iter()
            .rev()
            .find(|earlier| earlier.artifact.name == file && earlier.stage == stage),
    }
}

/// A value within a sentence where it fits into one, else a block of its own.
fn variable(name: &str, value: &Value) -> String {
    match value {
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(said)
            if said.len() <= INLINE_BYTES_MAX && !said.contains(['\n', '<', '"']) =>
        {
            format!("\"{}\"", text::one_line(said, INLINE_BYTES_MAX))
        }
        Value::String(said) => quoted("context", &[("name", name)], said),
        other => quoted("context", &[("name", name)], &format!("{other:#}")),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests;
