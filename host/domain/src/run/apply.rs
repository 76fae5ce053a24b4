//! What has happened.
use super::{
    AfterAttempt, Allowance, BudgetBound, BudgetScope, DecidedGate, Decision, Ending, Event,
    GateSubject, GateTiming, OpenGate, PausedAt, Run, RunState, StageResult, Verdict, Wish,
};
use crate::plan::StageIdx;
use crate::stage::Variable;
use crate::{ApprovalId, ArtifactRef, Digest, Fault, Timestamp};

impl Run {
    /// Moves the run past an event that was decided earlier.
    pub fn apply(&mut self, event: &Event) {
        match event {
            // The creation made this run; a model's answer is kept beside it.
            Event::RunCreated(_) | Event::ModelAnswered { .. } => {}
            Event::StageStarted { stage, attempt } => self.apply_started(*stage, *attempt),
            Event::StageFinished { stage, result, .. } => self.apply_finished(*stage, result),
            // Only what follows it moves the run.
            Event::StageFailed { stage, .. } => self.apply_failed(*stage),
            Event::RetryScheduled { stage, at, fault, .. } => {
                self.apply_retry_scheduled(*stage, *at, fault);
            }
            Event::RetryDue { stage } => self.state = RunState::Ready { stage: *stage },
            Event::RetriesSpent { stage, fault } => self.apply_retries_spent(*stage, fault),
            Event::GateOpened { stage, approval, content_hash, timing } => {
                let gate = opened(*stage, approval, content_hash, GateSubject::Result);
                self.state = RunState::AwaitingGate { gate: OpenGate { timing: *timing, ..gate } };
            }
            Event::BudgetWarned { stage, bound, .. } => {
                self.warned.push(warning(*stage, bound));
            }
            Event::BudgetGateOpened { stage, attempt, approval, content_hash, bound } => {
                let subject = GateSubject::Budget { attempt: *attempt, bound: bound.clone() };
                let gate = opened(*stage, approval, content_hash, subject);
                self.state = RunState::AwaitingGate { gate };
            }
            Event::GateGrantAdded { decision, .. } => {
                self.change_gate(|gate| gate.grants.push(decision.clone()));
            }
            Event::ArtifactsEdited { stage, artifacts, content_hash, .. } => {
                self.apply_edited(*stage, artifacts, content_hash);
            }
            Event::GateReminded { number, next_at, .. } => self.change_gate(|gate| {
                gate.reminder_count = *number;
                gate.timing.remind_at = *next_at;
            }),
            Event::GateEscalated { .. } => self.change_gate(|gate| {
                gate.is_escalated = true;
                gate.timing.deadline_at = None;
            }),
            Event::GateGranted { stage, approval, decision } => {
                self.note_decided(approval, Verdict::Granted, decision);
                self.apply_granted(*stage, approval);
            }
            Event::GateRejected { stage, approval, decision } => {
                self.note_decided(approval, Verdict::Rejected, decision);
                self.apply_rejected(*stage, decision);
            }
            Event::GateRevised { stage, approval, decision } => {
                self.note_decided(approval, Verdict::Revised, decision);
                self.apply_revised(*stage, decision);
            }
            Event::PauseRequested { .. } => self.set_after(AfterAttempt::Pause),
            Event::RunPaused => self.apply_paused(),
            Event::RunResumed { .. } => self.apply_resumed(),
            Event::RunRetried { from, .. } => self.apply_retried(*from),
            Event::RunCompleted => self.finish(Ending::Completed),
            Event::RunFailed { stage, fault } => {
                self.finish(Ending::Failed { stage: *stage, fault: fault.clone() });
            }
            Event::RunCanceled { actor, reason } => {
                let stage = self.current_stage().unwrap_or(StageIdx(0));
                self.finish(Ending::Canceled {
                    stage,
                    actor: actor.clone(),
                    reason: reason.clone(),
                });
            }
        }
    }

    fn apply_started(&mut self, stage: StageIdx, attempt: u32) {
        if let Some(progress) = self.progress.get_mut(stage.as_usize()) {
            progress.attempts = attempt;
        }
        self.state = RunState::Running { stage, attempt, after: AfterAttempt::GoOn };
    }

    fn apply_finished(&mut self, stage: StageIdx, result: &StageResult) {
        if let Some(progress) = self.progress.get_mut(stage.as_usize()) {
            progress.result = Some(result.clone());
            progress.is_granted = false;
            progress.failures = 0;
            progress.revision = None;
        }
        result.variables.iter().for_each(|variable| self.set_variable(variable));
        // Where a gate, a pause, the next attempt or the end follows, its own event says so.
        self.state = self.state_after(stage);
    }

    fn set_variable(&mut self, variable: &Variable) {
        match self.variables.iter_mut().find(|known| known.name == variable.name) {
            Some(known) => known.value = variable.value.clone(),
            None => self.variables.push(variable.clone()),
        }
    }

    fn apply_failed(&mut self, stage: StageIdx) {
        if let Some(progress) = self.progress.get_mut(stage.as_usize()) {
            progress.failures += 1;
        }
    }

    fn apply_retry_scheduled(&mut self, stage: StageIdx, until: Timestamp, fault: &Fault) {
        // A pause that was asked for during the attempt has its own event.
        self.state = RunState::BackingOff { stage, until, fault: fault.clone() };
    }

    fn apply_retries_spent(&mut self, stage: StageIdx, fault: &Fault) {
        if let Some(progress) = self.progress.get_mut(stage.as_usize()) {
            progress.failures = 0;
        }
        self.state = RunState::Paused { at: PausedAt::Spent { stage, fault: fault.clone() } };
    }

    fn change_gate(&mut self, change: impl FnOnce(&mut OpenGate)) {
        match &mut self.state {
            RunState::AwaitingGate { gate } | RunState::Paused { at: PausedAt::Gate(gate) } => {
                change(gate);
            }
            RunState::Ready { .. }
            | RunState::Running { .. }
            | RunState::BackingOff { .. }
            | RunState::Paused {
                at: PausedAt::Stage(_) | PausedAt::Attempt { .. } | PausedAt::Spent { .. },
            }
            | RunState::Finished(_) => {}
        }
    }

    fn apply_edited(&mut self, stage: StageIdx, edited: &[ArtifactRef], content_hash: &Digest) {
        let progress = self.progress.get_mut(stage.as_usize());
        if let Some(result) = progress.and_then(|progress| progress.result.as_mut()) {
            for artifact in &mut result.artifacts {
                if let Some(new) = edited.iter().find(|new| new.name == artifact.name) {
                    *artifact = new.clone();
                }
            }
            result.content_hash = content_hash.clone();
        }
        self.change_gate(|gate| {
            gate.content_hash = content_hash.clone();
            gate.grants.clear();
        });
    }

    fn note_decided(&mut self, approval: &ApprovalId, verdict: Verdict, decision: &Decision) {
        let gate = self.open_gate().filter(|gate| gate.approval == *approval);
        let Some(content_hash) = gate.map(|gate| gate.content_hash.clone()) else { return };
        let (approval, decision) = (approval.clone(), decision.clone());
        self.decided.push(DecidedGate { approval, verdict, decision, content_hash });
    }

    fn apply_revised(&mut self, stage: StageIdx, decision: &Decision) {
        let is_paused = matches!(self.state, RunState::Paused { .. });
        if let Some(progress) = self.progress.get_mut(stage.as_usize()) {
            let previous = progress.result.take().map(|result| result.artifacts);
            progress.revision = Some(Wish {
                feedback: decision.comment.clone().unwrap_or_default(),
                previous: previous.unwrap_or_default(),
            });
        }
        self.reset_variables();
        self.state = match is_paused {
            true => RunState::Paused { at: PausedAt::Stage(stage) },
            false => RunState::Ready { stage },
        };
    }

    /// Whether the run has said that this budget is nearly used up.
    pub(super) fn was_warned_of(&self, stage: StageIdx, bound: &BudgetBound) -> bool {
        self.warned.contains(&warning(stage, bound))
    }

    fn apply_granted(&mut self, stage: StageIdx, approval: &ApprovalId) {
        let gate = self.open_gate().filter(|gate| gate.approval == *approval);
        if let Some(GateSubject::Budget { attempt, bound }) = gate.map(|gate| gate.subject.clone())
        {
            self.apply_budget_granted(stage, attempt, bound);
        } else {
            self.apply_result_granted(stage);
        }
    }

    fn apply_budget_granted(&mut self, stage: StageIdx, attempt: u32, bound: BudgetBound) {
        self.allowances.push(Allowance { stage, scope: bound.scope, unit: bound.unit });
        self.state = match &self.state {
            RunState::Paused { .. } => {
                RunState::Paused { at: PausedAt::Attempt { stage, attempt } }
            }
            RunState::Ready { .. }
            | RunState::Running { .. }
            | RunState::BackingOff { .. }
            | RunState::AwaitingGate { .. }
            | RunState::Finished(_) => {
                RunState::Running { stage, attempt, after: AfterAttempt::GoOn }
            }
        };
    }

    fn apply_result_granted(&mut self, stage: StageIdx) {
        if let Some(progress) = self.progress.get_mut(stage.as_usize()) {
            progress.is_granted = true;
        }
        self.state = match (&self.state, self.stage_after(stage)) {
            (RunState::Paused { .. }, Some(next)) => RunState::Paused { at: PausedAt::Stage(next) },
            (
                RunState::Paused { .. }
                | RunState::Ready { .. }
                | RunState::Running { .. }
                | RunState::BackingOff { .. }
                | RunState::AwaitingGate { .. }
                | RunState::Finished(_),
                _,
            ) => self.state_after(stage),
        };
    }

    fn apply_rejected(&mut self, stage: StageIdx, decision: &Decision) {
        self.finish(Ending::Rejected { stage, decision: decision.clone() });
    }

    fn set_after(&mut self, wanted: AfterAttempt) {
        if let RunState::Running { after, .. } = &mut self.state {
            *after = wanted;
        }
    }

    fn apply_paused(&mut self) {
        self.state = match &self.state {
            RunState::Ready { stage }
            | RunState::Running { stage, .. }
            | RunState::BackingOff { stage, .. } => {
                RunState::Paused { at: PausedAt::Stage(*stage) }
            }
            RunState::AwaitingGate { gate } => {
                RunState::Paused { at: PausedAt::Gate(gate.clone()) }
            }
            RunState::Paused { .. } | RunState::Finished(_) => self.state.clone(),
        };
    }

    fn apply_resumed(&mut self) {
        self.set_after(AfterAttempt::GoOn);
        self.state = match &self.state {
            RunState::Paused { at: PausedAt::Stage(stage) | PausedAt::Spent { stage, .. } } => {
                RunState::Ready { stage: *stage }
            }
            RunState::Paused { at: PausedAt::Gate(gate) } => {
                RunState::AwaitingGate { gate: gate.clone() }
            }
            RunState::Paused { at: PausedAt::Attempt { stage, attempt } } => {
                RunState::Running { stage: *stage, attempt: *attempt, after: AfterAttempt::GoOn }
            }
            RunState::Ready { .. }
            | RunState::Running { .. }
            | RunState::BackingOff { .. }
            | RunState::AwaitingGate { .. }
            | RunState::Finished(_) => self.state.clone(),
        };
    }

    fn apply_retried(&mut self, from: StageIdx) {
        for (idx, stage) in self.progress.iter_mut().enumerate().skip(from.as_usize()) {
            stage.result = None;
            stage.is_granted = false;
            stage.failures = 0;
            // What a reviewer said of a stage that never was done again still holds for it, and for no later one.
            if idx > from.as_usize() {
                stage.revision = None;
            }
        }
        self.reset_variables();
        self.state = RunState::Ready { stage: from };
    }

    /// Variables as the results that are there have them.
    fn reset_variables(&mut self) {
        self.variables = self.created.variables.clone();
        let kept: Vec<StageResult> =
            self.progress.iter().filter_map(|stage| stage.result.clone()).collect();
        kept.iter().flat_map(|result| &result.variables).for_each(|set| self.set_variable(set));
    }

    fn finish(&mut self, ending: Ending) {
        let is_decided =
            |gate: &OpenGate| self.decided.iter().any(|decided| decided.approval == gate.approval);
        let undecided = self.open_gate().filter(|gate| !is_decided(gate));
        if let Some(approval) = undecided.map(|gate| gate.approval.clone()) {
            self.closed.push(approval);
        }
        self.state = RunState::Finished(ending);
    }

    fn state_after(&self, stage: StageIdx) -> RunState {
        match self.stage_after(stage) {
            Some(next) => RunState::Ready { stage: next },
            None => RunState::Finished(Ending::Completed),
        }
    }
}

fn opened(
    stage: StageIdx,
    approval: &ApprovalId,
    content_hash: &Digest,
    subject: GateSubject,
) -> OpenGate {
    OpenGate {
        stage,
        approval: approval.clone(),
        content_hash: content_hash.clone(),
        subject,
        grants: Vec::new(),
        timing: GateTiming::default(),
        reminder_count: 0,
        is_escalated: false,
    }
}

/// What a warning is recognized by: only a budget of a stage is its own in each stage.
fn warning(stage: StageIdx, bound: &BudgetBound) -> (Option<StageIdx>, BudgetBound) {
    let stage = match bound.scope {
        BudgetScope::Stage => Some(stage),
        BudgetScope::Run | BudgetScope::Day | BudgetScope::ProviderDay { .. } => None,
    };
    (stage, BudgetBound { used: 0, ..bound.clone() })
}
