//! The acceptance criteria that the product manager wrote.
use serde::Deserialize;
use stage_sdk::{StageContext, StageError};

use crate::STORIES;

/// Criteria that are looked at. More than a product brief has; the list goes into a schema.
const COUNT_MAX: usize = 400;

/// A criterion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Criterion {
    pub(crate) id: String,
    /// The story that it belongs to.
    pub(crate) story: String,
    /// What is to be observed.
    pub(crate) then: String,
}

#[derive(Deserialize)]
struct Stories {
    stories: Vec<Story>,
}

#[derive(Deserialize)]
struct Story {
    id: String,
    acceptance_criteria: Vec<Said>,
}

#[derive(Deserialize)]
struct Said {
    id: String,
    #[serde(default)]
    then: String,
}

/// The criteria, in their order. A reviewer may have edited the file, so that it may be anything.
pub(crate) fn of(context: &StageContext) -> Result<Vec<Criterion>, StageError> {
    let body = &context.required_artifact(STORIES)?.artifact.body;
    let unusable = |what: String| {
        StageError::bad_input(
            "stories_unusable",
            format!(
                "`{STORIES}` {what}: it needs a list `stories`, each with `id` and `acceptance_criteria`, which have an `id` as well"
            ),
        )
    };
    let read: Stories = serde_json::from_str(body)
        .map_err(|error| unusable(format!("cannot be read ({error})")))?;
    let criteria: Vec<Criterion> = read
        .stories
        .into_iter()
        .flat_map(|story| {
            let Story { id, acceptance_criteria } = story;
            acceptance_criteria.into_iter().map(move |said| Criterion {
                id: said.id,
                story: id.clone(),
                then: said.then,
            })
        })
        .take(COUNT_MAX)
        .collect();
    if criteria.is_empty() {
        Err(unusable("has no acceptance criterion".to_owned()))
    } else {
        Ok(criteria)
    }
}
