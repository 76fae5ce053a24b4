//! What becomes of the answer: the document, and its files for programs.
use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::json;
use stage_sdk::markdown::{Document, code_blocks};
use stage_sdk::prompt::Section;
use stage_sdk::{StageContext, StageError, StageOutput, log, text};

use crate::STORIES;
use crate::prompt::{FILES, SECTIONS, SUMMARY};
use crate::settings::Settings;

/// The first sentence of the summary, in the line that people see.
const SENTENCE_BYTES_MAX: usize = 200;
/// Longest path, in bytes. Longer ones are sentences.
const PATH_BYTES_MAX: usize = 200;

/// A file that the model wrote.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct File {
    path: String,
    language: String,
    line_count: usize,
    content: String,
}

/// What is read of the stories.
#[derive(Deserialize)]
struct Stories {
    #[serde(default)]
    stories: Vec<Story>,
}

#[derive(Deserialize)]
struct Story {
    id: String,
}

pub(crate) fn read(
    context: &StageContext,
    answer: &str,
    settings: &Settings,
) -> Result<StageOutput, StageError> {
    let document = Document::read(answer, &Section::headings(&SECTIONS))?;
    document.check_length(settings.word_count_max)?;
    let files = files(document.section(FILES).unwrap_or_default())?;
    if files.len() > settings.file_count_max as usize {
        log::warn("more files than asked for", &[("found", &files.len().to_string())]);
    }
    let body = document.to_markdown("Implementation");
    let not_named = not_named(context, &body);
    for story in &not_named {
        log::warn("the implementation does not name a story", &[("story", story)]);
    }
    let said = document.section(SUMMARY).and_then(text::first_paragraph).unwrap_or_default();
    let lines: usize = files.iter().map(|file| file.line_count).sum();
    let summary = format!(
        "{}, {}: {}",
        text::counted(files.len(), "file", "files"),
        text::counted(lines, "line", "lines"),
        text::first_sentence(said, SENTENCE_BYTES_MAX)
    );
    let stem = settings.stem(context);
    let mut sections = document.to_map();
    sections.remove("files"); // They are there as files.
    let data = json!({ "sections": sections, "files": files, "stories_not_named": not_named });
    Ok(StageOutput::new(summary)
        .with_markdown(format!("{stem}.md"), body)
        .with_json(format!("{stem}.json"), &data)
        .with_data(&data))
}

/// The files of a section. A path is a path below the root of a repository and nothing else: somebody will write them to
/// a disk.
fn files(section: &str) -> Result<Vec<File>, StageError> {
    let mut paths = HashSet::new();
    let mut files = Vec::new();
    for block in code_blocks(section) {
        if let Err(reason) = check_path(&block.name) {
            return Err(StageError::invalid_output(
                "file_path_invalid",
                format!(
                    "a code block in `## {FILES}` stands below `{}`, which {reason}: put the path of the file, relative to the \
                     root of the repository, into a heading above each code block",
                    text::one_line(&block.name, 80)
                ),
            ));
        }
        if !paths.insert(block.name.to_lowercase()) {
            return Err(StageError::invalid_output(
                "file_twice",
                format!(
                    "the file `{}` is written twice in `## {FILES}`: give it once, whole",
                    block.name
                ),
            ));
        }
        files.push(File {
            path: block.name,
            language: block.language,
            line_count: block.code.lines().count(),
            content: block.code,
        });
    }
    if files.is_empty() {
        return Err(StageError::invalid_output(
            "files_missing",
            format!("`## {FILES}` has no code block: give each file below a heading with its path"),
        ));
    }
    Ok(files)
}

fn check_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("is no path");
    }
    if path.len() > PATH_BYTES_MAX || path.contains(char::is_whitespace) {
        return Err("is a text and no path");
    }
    let is_odd = |part: &str| part.is_empty() || part == "." || part == "..";
    if path.contains(['\\', ':', '\0', '<', '>', '|', '*', '?']) || path.split('/').any(is_odd) {
        return Err(
            "does not stay below the root of the repository or has signs that file names cannot have",
        );
    }
    Ok(())
}

/// Stories that the implementation leaves out, as far as one can see from its text. For a person to judge.
fn not_named(context: &StageContext, body: &str) -> Vec<String> {
    let stories = context.artifact(STORIES).map(|earlier| earlier.artifact.body.as_str());
    let stories: Option<Stories> = stories.and_then(|body| serde_json::from_str(body).ok());
    let ids = stories.into_iter().flat_map(|stories| stories.stories).map(|story| story.id);
    ids.filter(|id| !names(body, id)).collect()
}

/// Whether a text has an identifier as a word: `US-1` is not in `US-12`.
fn names(body: &str, id: &str) -> bool {
    body.match_indices(id).any(|(at, found)| {
        !body[at + found.len()..].starts_with(|next: char| next.is_ascii_digit())
    })
}
