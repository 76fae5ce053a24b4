//! What becomes of the answer: stories with identifiers, checked.
use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use stage_sdk::{StageError, StageOutput, json, log, markdown, text};

use crate::rendering;
use crate::settings::Settings;
use crate::{PRODUCT_BRIEF, STORIES};

/// The summary that later stages and pages see as a variable, in bytes: a paragraph.
const SUMMARY_BYTES_MAX: usize = 1000;
/// Its first sentence, in the line that people see.
const SENTENCE_BYTES_MAX: usize = 200;

/// The answer, as it was asked for. What can be left out without harm may be missing.
#[derive(Debug, Clone, Deserialize)]
struct Answer {
    summary: String,
    problem: String,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    goals: Vec<Goal>,
    stories: Vec<SaidStory>,
    #[serde(default)]
    out_of_scope: Vec<String>,
    #[serde(default)]
    open_questions: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Goal {
    pub(crate) goal: String,
    #[serde(default)]
    pub(crate) measure: String,
}

#[derive(Debug, Clone, Deserialize)]
struct SaidStory {
    title: String,
    role: String,
    want: String,
    #[serde(default)]
    benefit: String,
    priority: Priority,
    #[serde(default)]
    acceptance_criteria: Vec<SaidCriterion>,
}

#[derive(Debug, Clone, Deserialize)]
struct SaidCriterion {
    #[serde(default)]
    given: String,
    #[serde(default)]
    when: String,
    then: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Priority {
    #[serde(alias = "Must", alias = "MUST", alias = "must_have", alias = "must-have")]
    Must,
    #[serde(alias = "Should", alias = "SHOULD", alias = "should_have", alias = "should-have")]
    Should,
    #[serde(alias = "Could", alias = "COULD", alias = "could_have", alias = "could-have")]
    Could,
}

/// What is to be built, for people and programs alike.
#[derive(Debug, Serialize)]
pub(crate) struct Product {
    pub(crate) summary: String,
    pub(crate) problem: String,
    pub(crate) users: Vec<String>,
    pub(crate) goals: Vec<Goal>,
    pub(crate) stories: Vec<Story>,
    pub(crate) out_of_scope: Vec<String>,
    pub(crate) open_questions: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Story {
    /// `US-1`, by its place.
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) role: String,
    pub(crate) want: String,
    pub(crate) benefit: String,
    pub(crate) priority: Priority,
    pub(crate) acceptance_criteria: Vec<Criterion>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Criterion {
    /// `AC-1.2`: the second of the first story.
    pub(crate) id: String,
    pub(crate) given: String,
    pub(crate) when: String,
    pub(crate) then: String,
}

pub(crate) fn read(answer: &str, settings: &Settings) -> Result<StageOutput, StageError> {
    let answer: Answer = json::parse(answer)?;
    check(&answer)?;
    if answer.stories.len() > settings.story_count_max as usize {
        log::warn("more stories than asked for", &[("found", &answer.stories.len().to_string())]);
    }
    let product = product(answer);
    let criteria: usize = product.stories.iter().map(|story| story.acceptance_criteria.len()).sum();
    let sentence = text::first_sentence(&product.summary, SENTENCE_BYTES_MAX);
    let summary = format!(
        "{}, {}: {sentence}",
        text::counted(product.stories.len(), "story", "stories"),
        text::counted(criteria, "criterion", "criteria")
    );
    Ok(StageOutput::new(summary)
        .with_markdown(PRODUCT_BRIEF, markdown::normalize(&rendering::document(&product)))
        .with_json(STORIES, &product)
        .with_data(&product)
        .with_variable("product_summary", &text::one_line(&product.summary, SUMMARY_BYTES_MAX)))
}

/// Stories that cannot be built or shown are asked for again.
fn check(answer: &Answer) -> Result<(), StageError> {
    let refused = |code: &str, message: String| Err(StageError::invalid_output(code, message));
    if answer.stories.is_empty() {
        return refused("stories_missing", "there is no user story in `stories`".to_owned());
    }
    let mut titles = HashSet::new();
    for story in &answer.stories {
        let shown = text::one_line(&story.title, 80);
        if [&story.title, &story.role, &story.want].iter().any(|said| said.trim().is_empty()) {
            return refused(
                "story_incomplete",
                format!("the story `{shown}` lacks `title`, `role` or `want`; fill in all three"),
            );
        }
        if !story.acceptance_criteria.iter().any(|criterion| !criterion.then.trim().is_empty()) {
            return refused(
                "criteria_missing",
                format!(
                    "the story `{shown}` has no acceptance criterion: say what can be observed when it is done"
                ),
            );
        }
        if !titles.insert(markdown::slug(&story.title)) {
            return refused(
                "story_twice",
                format!("two stories have the title `{shown}`: merge them or tell them apart"),
            );
        }
    }
    if answer.stories.iter().all(|story| story.priority != Priority::Must) {
        return refused(
            "no_must",
            "no story has the priority `must`: name what the first release is useless without"
                .to_owned(),
        );
    }
    Ok(())
}

fn product(answer: Answer) -> Product {
    let mut said = answer.stories;
    // A stable sort: within a priority the model's order stays.
    said.sort_by_key(|story| story.priority);
    let stories = said.into_iter().enumerate().map(|(idx, story)| numbered(idx + 1, story));
    Product {
        summary: answer.summary,
        problem: answer.problem,
        users: lines(&answer.users),
        goals: answer.goals,
        stories: stories.collect(),
        out_of_scope: lines(&answer.out_of_scope),
        open_questions: lines(&answer.open_questions),
    }
}

fn numbered(number: usize, said: SaidStory) -> Story {
    let criteria = said.acceptance_criteria.into_iter();
    let criteria = criteria.filter(|criterion| !criterion.then.trim().is_empty()).enumerate();
    let criteria = criteria.map(|(idx, criterion)| Criterion {
        id: format!("AC-{number}.{}", idx + 1),
        given: line(&criterion.given),
        when: line(&criterion.when),
        then: line(&criterion.then),
    });
    Story {
        id: format!("US-{number}"),
        title: line(&said.title),
        role: line(&said.role),
        want: line(&said.want),
        benefit: line(&said.benefit),
        priority: said.priority,
        acceptance_criteria: criteria.collect(),
    }
}

fn lines(texts: &[String]) -> Vec<String> {
    texts.iter().map(|said| line(said)).filter(|said| !said.is_empty()).collect()
}

fn line(said: &str) -> String {
    text::one_line(said, usize::MAX)
}
