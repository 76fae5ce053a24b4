//! What people and programs ask of a run that exists. Module `gate` has what they decide at gates.
mod gate;

use domain::run::{Command, HOST_ACTOR_PREFIX, Status};
use domain::{RunId, StageKey};
use profile::{Place, Problem, Problems};

use crate::ask::COMMENT_BYTES_MAX;
use crate::start::is_name;
use crate::{ACTOR_BYTES_MAX, Engine, Error};
pub use gate::{Decided, text_misfit};

impl Engine {
    /// Starts nothing new in a run. A running attempt is finished first.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], or [`Error::Refused`] if the run has ended.
    pub async fn pause(&self, run: &RunId, actor: &str) -> Result<Status, Error> {
        self.command(run, Command::Pause { actor: checked_actor(actor)? }).await
    }

    /// Goes on. Safe to repeat, also on a run that has ended.
    ///
    /// # Errors
    /// [`Error::UnknownRun`].
    pub async fn resume(&self, run: &RunId, actor: &str) -> Result<Status, Error> {
        self.command(run, Command::Resume { actor: checked_actor(actor)? }).await
    }

    /// Calls a run off, also in the middle of a stage.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], or [`Error::Refused`] if the run has ended otherwise.
    pub async fn cancel(
        &self,
        run: &RunId,
        actor: &str,
        reason: Option<String>,
    ) -> Result<Status, Error> {
        check_words("/reason", reason.as_deref())?;
        self.command(run, Command::Cancel { actor: checked_actor(actor)?, reason }).await
    }

    /// Does stages of an ended run again, from the one that is named; earlier results are kept.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], [`Error::UnknownStage`], or [`Error::Refused`] if the run has not ended.
    pub async fn retry(
        &self,
        run: &RunId,
        from: Option<StageKey>,
        actor: &str,
    ) -> Result<Status, Error> {
        let actor = checked_actor(actor)?;
        let from = match from {
            None => None,
            Some(stage) => {
                let cell = self.0.registry.cell(run);
                let mut locked = cell.lock(&self.0.parts.store).await;
                let plan = locked.run().await?.plan();
                let known = || plan.stages.iter().map(|stage| stage.key.to_string()).collect();
                Some(plan.position(&stage).ok_or_else(|| Error::UnknownStage {
                    run: run.clone(),
                    stage: stage.clone(),
                    known: known(),
                })?)
            }
        };
        self.command(run, Command::Retry { from, actor }).await
    }

    async fn command(&self, run: &RunId, command: Command) -> Result<Status, Error> {
        let engine = self.clone();
        let cell = self.0.registry.cell(run);
        self.apart(async move {
            engine.0.commit(&cell, command, Vec::new()).await.map(|settled| settled.status)
        })
        .await
    }
}

fn checked_actor(actor: &str) -> Result<String, Error> {
    match actor_problem(actor) {
        None => Ok(actor.to_owned()),
        Some(problem) => Err(Error::Invalid(problem.into())),
    }
}

/// What is wrong with the name of somebody who acts.
pub(crate) fn actor_problem(actor: &str) -> Option<Problem> {
    let message = if !is_name(actor, ACTOR_BYTES_MAX) {
        format!(
            "`actor` says who acts: 1 to {ACTOR_BYTES_MAX} bytes, not blank and without control characters; it has {}",
            actor.len()
        )
    } else if actor.trim() != actor {
        // One person would be two at a gate for two, and somebody else than the one who started the run.
        "`actor` has blanks before or after the name: leave them out".to_owned()
    } else if actor.starts_with(HOST_ACTOR_PREFIX) {
        format!("names that begin with `{HOST_ACTOR_PREFIX}` are the host's own")
    } else {
        return None;
    };
    Some(problem("/actor", message))
}

fn check_words(pointer: &str, words: Option<&str>) -> Result<(), Error> {
    words_problem(pointer, words).map_or(Ok(()), |problem| Err(Error::Invalid(problem.into())))
}

fn words_problem(pointer: &str, words: Option<&str>) -> Option<Problem> {
    let found = words.map(str::len).filter(|found| *found > COMMENT_BYTES_MAX)?;
    let message = format!("the text has {found} bytes; {COMMENT_BYTES_MAX} are allowed");
    Some(problem(pointer, message))
}

/// A request with one problem.
pub(crate) fn invalid(pointer: &str, message: String) -> Error {
    Error::Invalid(Problems::from(vec![problem(pointer, message)]))
}

/// A problem at a place of the request.
pub(crate) fn problem(pointer: &str, message: String) -> Problem {
    Problem { place: Place::Pointer(pointer.to_owned()), message, hint: None }
}
