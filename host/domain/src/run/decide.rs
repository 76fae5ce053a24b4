//! What may happen now.
mod gate;

use super::{
    AfterAttempt, BudgetBound, Command, Ending, Event, ModelCallNote, PausedAt, Refusal, Run,
    RunState, StageResult,
};
use crate::plan::{RetryPolicy, StageIdx, WhenSpent};
use crate::{ApprovalId, Fault, Timestamp};

impl Run {
    /// The events that a command leads to; none if there is nothing to do for it.
    ///
    /// # Errors
    /// A [`Refusal`] if the command is not possible now.
    pub fn decide(&self, command: Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::StartStage { stage } => self.start_stage(stage),
            Command::NoteModelCall(note) => self.note_model_call(note),
            Command::WarnBudget { stage, attempt, bound } => {
                self.warn_budget(stage, attempt, bound)
            }
            Command::OpenBudgetGate { stage, attempt, approval, content_hash, bound } => {
                let opened =
                    Event::BudgetGateOpened { stage, attempt, approval, content_hash, bound };
                self.open_budget_gate(stage, attempt, opened)
            }
            Command::FinishStage { stage, attempt, result, approval, at } => {
                self.finish_stage(stage, attempt, result, approval, at)
            }
            Command::FailStage { stage, attempt, fault, at } => {
                self.fail_stage(stage, attempt, fault, at)
            }
            Command::PassTime { now } => Ok(self.pass_time(now)),
            Command::NoteReminder { approval, number, at, failure } => {
                Ok(self.note_reminder(approval, number, at, failure))
            }
            Command::DecideGate { approval, verdict, decision, groups, content_hash, edit } => self
                .decide_gate(gate::Asked {
                    approval,
                    verdict,
                    decision,
                    groups,
                    content_hash,
                    edit,
                }),
            Command::Pause { actor } => self.pause(actor),
            Command::Resume { actor } => Ok(self.resume(actor)),
            Command::Cancel { actor, reason } => self.cancel(actor, reason),
            Command::Retry { from, actor } => self.retry(from, actor),
        }
    }

    fn start_stage(&self, requested: StageIdx) -> Result<Vec<Event>, Refusal> {
        match &self.state {
            RunState::Ready { stage } if *stage == requested => Ok(vec![self.started(*stage)]),
            RunState::Ready { .. }
            | RunState::Running { .. }
            | RunState::BackingOff { .. }
            | RunState::AwaitingGate { .. }
            | RunState::Paused { .. }
            | RunState::Finished(_) => Err(Refusal::StaleAttempt),
        }
    }

    fn started(&self, stage: StageIdx) -> Event {
        let attempts = self.progress.get(stage.as_usize()).map_or(0, |progress| progress.attempts);
        Event::StageStarted { stage, attempt: attempts + 1 }
    }

    fn note_model_call(&self, note: ModelCallNote) -> Result<Vec<Event>, Refusal> {
        self.expect_attempt(note.stage, note.attempt)?;
        let ModelCallNote { stage, attempt, ordinal, call, outcome } = note;
        Ok(vec![Event::ModelAnswered { stage, attempt, ordinal, call, outcome }])
    }

    fn warn_budget(
        &self,
        stage: StageIdx,
        attempt: u32,
        bound: BudgetBound,
    ) -> Result<Vec<Event>, Refusal> {
        self.expect_attempt(stage, attempt)?;
        if self.was_warned_of(stage, &bound) {
            return Ok(Vec::new());
        }
        Ok(vec![Event::BudgetWarned { stage, attempt, bound }])
    }

    fn open_budget_gate(
        &self,
        stage: StageIdx,
        attempt: u32,
        opened: Event,
    ) -> Result<Vec<Event>, Refusal> {
        Ok(match self.expect_attempt(stage, attempt)? {
            AfterAttempt::GoOn => vec![opened],
            AfterAttempt::Pause => vec![opened, Event::RunPaused],
        })
    }

    fn finish_stage(
        &self,
        stage: StageIdx,
        attempt: u32,
        result: StageResult,
        approval: ApprovalId,
        at: Timestamp,
    ) -> Result<Vec<Event>, Refusal> {
        let after = self.expect_attempt(stage, attempt)?;
        let content_hash = result.content_hash.clone();
        let mut events = vec![Event::StageFinished { stage, attempt, result }];
        let gated = self.plan().stage(stage).is_some_and(|planned| planned.gate.is_some());
        if gated {
            let timing = self.timing_of_gate(stage, at);
            events.push(Event::GateOpened { stage, approval, content_hash, timing });
        }
        match (gated, self.stage_after(stage), after) {
            (true, _, AfterAttempt::GoOn) => {}
            (false, None, _) => events.push(Event::RunCompleted),
            (true, _, AfterAttempt::Pause) | (false, Some(_), AfterAttempt::Pause) => {
                events.push(Event::RunPaused);
            }
            // The next attempt begins in the same commit: one wait for the disk less for each stage.
            (false, Some(next), AfterAttempt::GoOn) => events.push(self.started(next)),
        }
        Ok(events)
    }

    fn fail_stage(
        &self,
        stage: StageIdx,
        attempt: u32,
        fault: Fault,
        at: Timestamp,
    ) -> Result<Vec<Event>, Refusal> {
        let after = self.expect_attempt(stage, attempt)?;
        let retry = self.plan().stage(stage).map_or(&RetryPolicy::NONE, |planned| &planned.retry);
        let progress = self.progress.get(stage.as_usize());
        let failures = progress.map_or(0, |progress| progress.failures) + 1;
        let mut events = vec![Event::StageFailed { stage, attempt, fault: fault.clone() }];
        if !retry.covers(&fault.kind) {
            events.push(Event::RunFailed { stage, fault });
        } else if failures < retry.attempt_count_max {
            let at = at.after(retry.wait_after(failures));
            events.push(Event::RetryScheduled { stage, failures, at, fault });
            match after {
                AfterAttempt::GoOn => {}
                AfterAttempt::Pause => events.push(Event::RunPaused),
            }
        } else {
            events.push(match retry.when_spent {
                WhenSpent::Fail => Event::RunFailed { stage, fault },
                WhenSpent::Pause => Event::RetriesSpent { stage, fault },
            });
        }
        Ok(events)
    }

    fn pause(&self, actor: String) -> Result<Vec<Event>, Refusal> {
        match &self.state {
            RunState::Running { after: AfterAttempt::GoOn, .. } => {
                Ok(vec![Event::PauseRequested { actor }])
            }
            RunState::Ready { .. }
            | RunState::BackingOff { .. }
            | RunState::AwaitingGate { .. } => {
                Ok(vec![Event::PauseRequested { actor }, Event::RunPaused])
            }
            RunState::Running { after: AfterAttempt::Pause, .. } | RunState::Paused { .. } => {
                Ok(Vec::new())
            }
            RunState::Finished(_) => Err(Refusal::RunEnded { status: self.status() }),
        }
    }

    fn resume(&self, actor: String) -> Vec<Event> {
        match &self.state {
            RunState::Paused { .. } | RunState::Running { after: AfterAttempt::Pause, .. } => {
                vec![Event::RunResumed { actor }]
            }
            RunState::Ready { .. }
            | RunState::Running { after: AfterAttempt::GoOn, .. }
            | RunState::BackingOff { .. }
            | RunState::AwaitingGate { .. }
            | RunState::Finished(_) => Vec::new(),
        }
    }

    fn cancel(&self, actor: String, reason: Option<String>) -> Result<Vec<Event>, Refusal> {
        match &self.state {
            RunState::Ready { .. }
            | RunState::Running { .. }
            | RunState::BackingOff { .. }
            | RunState::AwaitingGate { .. }
            | RunState::Paused { .. } => Ok(vec![Event::RunCanceled { actor, reason }]),
            RunState::Finished(Ending::Canceled { .. }) => Ok(Vec::new()),
            RunState::Finished(
                Ending::Completed | Ending::Failed { .. } | Ending::Rejected { .. },
            ) => Err(Refusal::RunEnded { status: self.status() }),
        }
    }

    fn retry(&self, from: Option<StageIdx>, actor: String) -> Result<Vec<Event>, Refusal> {
        let stopped_at = match &self.state {
            RunState::Finished(
                Ending::Failed { stage, .. }
                | Ending::Rejected { stage, .. }
                | Ending::Canceled { stage, .. },
            )
            | RunState::Paused { at: PausedAt::Spent { stage, .. } } => Some(*stage),
            RunState::Finished(Ending::Completed) => None,
            RunState::Ready { .. }
            | RunState::Running { .. }
            | RunState::BackingOff { .. }
            | RunState::AwaitingGate { .. }
            | RunState::Paused {
                at: PausedAt::Stage(_) | PausedAt::Gate(_) | PausedAt::Attempt { .. },
            } => return Err(Refusal::RunNotEnded { status: self.status() }),
        };
        let from = from.or(stopped_at).ok_or(Refusal::StageNotNamed)?;
        if from.as_usize() >= self.progress.len() {
            return Err(Refusal::UnknownStage { stage: from });
        }
        self.expect_passed_until(from)?;
        Ok(vec![Event::RunRetried { from, actor }])
    }

    /// Everything before a stage is done, and no gate on the way is passed over.
    fn expect_passed_until(&self, from: StageIdx) -> Result<(), Refusal> {
        for (idx, progress) in (0u16..).zip(&self.progress).take(from.as_usize()) {
            let stage = StageIdx(idx);
            if progress.result.is_none() {
                return Err(Refusal::EarlierStageMissing { first_missing: stage });
            }
            if self.gate_policy(stage).is_some() && !progress.is_granted {
                return Err(Refusal::EarlierGateNotPassed { stage });
            }
        }
        Ok(())
    }

    fn expect_attempt(&self, of: StageIdx, number: u32) -> Result<AfterAttempt, Refusal> {
        match &self.state {
            RunState::Running { stage, attempt, after } if *stage == of && *attempt == number => {
                Ok(*after)
            }
            RunState::Running { .. }
            | RunState::Ready { .. }
            | RunState::BackingOff { .. }
            | RunState::AwaitingGate { .. }
            | RunState::Paused {
                at:
                    PausedAt::Stage(_)
                    | PausedAt::Gate(_)
                    | PausedAt::Attempt { .. }
                    | PausedAt::Spent { .. },
            }
            | RunState::Finished(_) => Err(Refusal::StaleAttempt),
        }
    }
}
