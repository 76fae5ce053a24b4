//! The question: the filled template as the task, and around it what the template does not place itself.
use stage_sdk::prompt::{Part, Prompt};
use stage_sdk::{ModelRequest, StageContext, StageError};

use crate::settings::Settings;
use crate::template::Name;

/// Name of the schema for providers.
const SCHEMA_NAME: &str = "answer";
/// What is asked for beside the schema, which not every provider enforces.
const JSON_RULE: &str = "Answer with one JSON object that follows the schema, and with nothing else: no sentence before or \
    after it, no code fence. The names of its fields stay as the schema gives them, whatever the language of the texts.";
const MARKDOWN_RULE: &str = "Answer with one Markdown document and nothing else: no greeting, no code fence around it, no \
    closing remark. Begin with a title line `# …`.";

pub(crate) fn build(
    context: &StageContext,
    settings: &Settings,
) -> Result<ModelRequest, StageError> {
    let template = settings.template()?;
    let mut prompt = Prompt::new(context, &settings.role)?
        .rules(&settings.rules)
        .language(&settings.language)
        .task(template.fill(context)?);
    let placed = template.names();
    for part in [Part::Request, Part::Skills, Part::Revision] {
        if placed.iter().any(|name| places(name, part)) {
            prompt = prompt.placed(part);
        }
    }
    for name in &placed {
        if let Name::Skill(skill) = name {
            prompt = prompt.placed_skill(skill);
        }
    }
    // By its stage as well: an earlier draft with the same name is another text.
    let is_placed = |artifact: &str| {
        let material = context.artifact(artifact);
        material.is_some() && placed.iter().any(|name| name.artifact(context) == material)
    };
    for artifact in &settings.needs {
        context.required_artifact(artifact)?;
        if !is_placed(artifact) {
            prompt = prompt.needs(artifact)?;
        }
    }
    for artifact in settings.uses.iter().filter(|artifact| !is_placed(artifact)) {
        prompt = prompt.uses(artifact);
    }
    let sections = settings.sections.iter();
    let sections = sections.map(|section| (section.heading.as_str(), section.purpose.as_str()));
    Ok(match &settings.schema {
        Some(schema) => prompt.rule(JSON_RULE).build().answered_in(SCHEMA_NAME, schema),
        None if settings.sections.is_empty() => {
            prompt.rule(MARKDOWN_RULE).word_count_max(settings.word_count_max).build()
        }
        None => prompt.word_count_max(settings.word_count_max).named_sections(sections).build(),
    })
}

/// Whether a name puts a part of the prompt into the template.
fn places(name: &Name, part: Part) -> bool {
    match name {
        Name::Request => part == Part::Request,
        Name::Skills => part == Part::Skills,
        Name::Feedback | Name::Previous => part == Part::Revision,
        Name::Variable(_) | Name::Skill(_) | Name::Artifact { .. } => false,
    }
}
