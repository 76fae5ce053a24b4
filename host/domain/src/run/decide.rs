//! What may happen now.
use super::{
    AfterAttempt, BudgetBound, Command, Decision, Ending, Event, GateSubject, ModelCallNote,
    OpenGate, PausedAt, Refusal, Run, RunState, StageResult, Verdict,
};
use crate::plan::StageIdx;
use crate::{ApprovalId, Digest, Fault};

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
            Command::FinishStage { stage, attempt, result, approval } => {
                self.finish_stage(stage, attempt, result, approval)
            }
            Command::FailStage { stage, attempt, fault } => self.fail_stage(stage, attempt, fault),
            Command::DecideGate { approval, verdict, decision, content_hash } => {
                self.decide_gate(approval, verdict, decision, content_hash.as_ref())
            }
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
    ) -> Result<Vec<Event>, Refusal> {
        let after = self.expect_attempt(stage, attempt)?;
        let content_hash = result.content_hash.clone();
        let mut events = vec![Event::StageFinished { stage, attempt, result }];
        let gated = self.plan().stage(stage).is_some_and(|planned| planned.gate.is_some());
        if gated {
            events.push(Event::GateOpened { stage, approval, content_hash });
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
    ) -> Result<Vec<Event>, Refusal> {
        self.expect_attempt(stage, attempt)?;
        Ok(vec![
            Event::StageFailed { stage, attempt, fault: fault.clone() },
            Event::RunFailed { stage, fault },
        ])
    }

    fn decide_gate(
        &self,
        approval: ApprovalId,
        verdict: Verdict,
        decision: Decision,
        content_hash: Option<&Digest>,
    ) -> Result<Vec<Event>, Refusal> {
        let gate = self.expect_open(&approval, verdict)?;
        let Some(gate) = gate else { return Ok(Vec::new()) };
        if content_hash.is_some_and(|seen| *seen != gate.content_hash) {
            return Err(Refusal::ContentChanged);
        }
        let stage = gate.stage;
        match verdict {
            Verdict::Rejected => Ok(vec![Event::GateRejected { stage, approval, decision }]),
            Verdict::Granted => {
                let mut events = vec![Event::GateGranted { stage, approval, decision }];
                let ends = match gate.subject {
                    GateSubject::Result => self.stage_after(stage).is_none(),
                    GateSubject::Budget { .. } => false,
                };
                if ends {
                    events.push(Event::RunCompleted);
                }
                Ok(events)
            }
        }
    }

    /// The open gate with this name; `None` if it was decided the same way before.
    fn expect_open(
        &self,
        approval: &ApprovalId,
        verdict: Verdict,
    ) -> Result<Option<&OpenGate>, Refusal> {
        if let Some(gate) = self.open_gate().filter(|gate| gate.approval == *approval) {
            return Ok(Some(gate));
        }
        match self.decided.iter().find(|(decided, _)| decided == approval) {
            Some((_, first)) if *first == verdict => Ok(None),
            Some((_, first)) => Err(Refusal::AlreadyDecided { verdict: *first }),
            None if self.closed.contains(approval) => {
                Err(Refusal::ApprovalClosed { status: self.status() })
            }
            None => Err(Refusal::UnknownApproval),
        }
    }

    fn pause(&self, actor: String) -> Result<Vec<Event>, Refusal> {
        match &self.state {
            RunState::Running { after: AfterAttempt::GoOn, .. } => {
                Ok(vec![Event::PauseRequested { actor }])
            }
            RunState::Ready { .. } | RunState::AwaitingGate { .. } => {
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
            | RunState::AwaitingGate { .. }
            | RunState::Finished(_) => Vec::new(),
        }
    }

    fn cancel(&self, actor: String, reason: Option<String>) -> Result<Vec<Event>, Refusal> {
        match &self.state {
            RunState::Ready { .. }
            | RunState::Running { .. }
            | RunState::AwaitingGate { .. }
            | RunState::Paused { .. } => Ok(vec![Event::RunCanceled { actor, reason }]),
            RunState::Finished(Ending::Canceled { .. }) => Ok(Vec::new()),
            RunState::Finished(
                Ending::Completed | Ending::Failed { .. } | Ending::Rejected { .. },
            ) => Err(Refusal::RunEnded { status: self.status() }),
        }
    }

    fn retry(&self, from: Option<StageIdx>, actor: String) -> Result<Vec<Event>, Refusal> {
        let RunState::Finished(ending) = &self.state else {
            return Err(Refusal::RunNotEnded { status: self.status() });
        };
        let from = match (from, ending) {
            (Some(stage), _) => stage,
            (
                None,
                Ending::Failed { stage, .. }
                | Ending::Rejected { stage, .. }
                | Ending::Canceled { stage, .. },
            ) => *stage,
            (None, Ending::Completed) => return Err(Refusal::StageNotNamed),
        };
        if from.as_usize() >= self.progress.len() {
            return Err(Refusal::UnknownStage { stage: from });
        }
        let missing = (0u16..).zip(&self.progress).take(from.as_usize());
        let mut missing = missing.filter(|(_, progress)| progress.result.is_none());
        if let Some((first, _)) = missing.next() {
            return Err(Refusal::EarlierStageMissing { first_missing: StageIdx(first) });
        }
        Ok(vec![Event::RunRetried { from, actor }])
    }

    fn expect_attempt(&self, of: StageIdx, number: u32) -> Result<AfterAttempt, Refusal> {
        match &self.state {
            RunState::Running { stage, attempt, after } if *stage == of && *attempt == number => {
                Ok(*after)
            }
            RunState::Running { .. }
            | RunState::Ready { .. }
            | RunState::AwaitingGate { .. }
            | RunState::Paused {
                at: PausedAt::Stage(_) | PausedAt::Gate(_) | PausedAt::Attempt { .. },
            }
            | RunState::Finished(_) => Err(Refusal::StaleAttempt),
        }
    }
}
