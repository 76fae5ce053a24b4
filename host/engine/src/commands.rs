//! What people and programs ask of a run that exists.
use domain::run::{Command, Decision, Status};
use domain::{RunId, StageKey};
use profile::{Place, Problem, Problems};

use crate::ask::COMMENT_BYTES_MAX;
use crate::{ACTOR_BYTES_MAX, Engine, Error, GateDecision};

/// What came of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The run whose gate it was.
    pub run_id: RunId,
    /// Where the run is.
    pub status: Status,
}

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

    /// Decides a gate. The first decision holds; the same again is no error. A grant lets the run go on by itself.
    ///
    /// # Errors
    /// [`Error::UnknownApproval`], or [`Error::Refused`] if it was decided otherwise, its run has ended, or the content
    /// is not what was looked at.
    pub async fn decide_gate(&self, decision: GateDecision) -> Result<Decided, Error> {
        let GateDecision { approval, verdict, actor, comment, content_hash, edits: _ } = decision;
        let actor = checked_actor(&actor)?;
        check_words("/comment", comment.as_deref())?;
        let row = self.store().approval(&approval).await?;
        let run = row.ok_or_else(|| Error::UnknownApproval(approval.clone()))?.run;
        let decision = Decision { actor, comment };
        let groups = self.groups_of(&decision.actor);
        let edit = None;
        let command =
            Command::DecideGate { approval, verdict, decision, groups, content_hash, edit };
        let status = self.command(&run, command).await?;
        Ok(Decided { run_id: run, status })
    }

    /// The groups that somebody is in at this moment.
    fn groups_of(&self, actor: &str) -> Vec<String> {
        let groups = self.settings().groups.iter();
        let has = |members: &&Vec<String>| members.iter().any(|member| member == actor);
        groups.filter(|(_, members)| has(members)).map(|(name, _)| name.clone()).collect()
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
    if !actor.trim().is_empty() && actor.len() <= ACTOR_BYTES_MAX {
        return Ok(actor.to_owned());
    }
    let message = format!(
        "`actor` says who decides: 1 to {ACTOR_BYTES_MAX} bytes and not blank; it has {}",
        actor.len()
    );
    Err(invalid("/actor", message))
}

fn check_words(pointer: &str, words: Option<&str>) -> Result<(), Error> {
    match words {
        Some(words) if words.len() > COMMENT_BYTES_MAX => {
            let found = words.len();
            let message = format!("the text has {found} bytes; {COMMENT_BYTES_MAX} are allowed");
            Err(invalid(pointer, message))
        }
        Some(_) | None => Ok(()),
    }
}

/// A request with one problem.
pub(crate) fn invalid(pointer: &str, message: String) -> Error {
    Error::Invalid(Problems::from(vec![problem(pointer, message)]))
}

/// A problem at a place of the request.
pub(crate) fn problem(pointer: &str, message: String) -> Problem {
    Problem { place: Place::Pointer(pointer.to_owned()), message, hint: None }
}
