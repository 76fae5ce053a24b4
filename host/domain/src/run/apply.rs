//! What has happened.
use super::{
    AfterAttempt, Allowance, BudgetBound, BudgetScope, Decision, Ending, Event, GateSubject,
    OpenGate, PausedAt, Run, RunState, StageResult, Verdict,
};
use crate::ApprovalId;
use crate::plan::StageIdx;
use crate::stage::Variable;

impl Run {
    /// Moves the run past an event that was decided earlier.
    pub fn apply(&mut self, event: &Event) {
        match event {
            // The creation made this run; a model's answer is kept beside it.
            Event::RunCreated(_) | Event::ModelAnswered { .. } => {}
            Event::StageStarted { stage, attempt } => self.apply_started(*stage, *attempt),
            Event::StageFinished { stage, result, .. } => self.apply_finished(*stage, result),
            // Only the end that follows it moves the run.
            Event::StageFailed { .. } => {}
            Event::GateOpened { stage, approval, content_hash } => {
                self.apply_gate_opened(OpenGate {
                    stage: *stage,
                    approval: approval.clone(),
                    content_hash: content_hash.clone(),
                    subject: GateSubject::Result,
                });
            }
            Event::BudgetWarned { stage, bound, .. } => {
                self.warned.push(warning(*stage, bound));
            }
            Event::BudgetGateOpened { stage, attempt, approval, content_hash, bound } => {
                let subject = GateSubject::Budget { attempt: *attempt, bound: bound.clone() };
                self.apply_gate_opened(OpenGate {
                    stage: *stage,
                    approval: approval.clone(),
                    content_hash: content_hash.clone(),
                    subject,
                });
            }
            Event::GateGranted { stage, approval, .. } => {
                self.decided.push((approval.clone(), Verdict::Granted));
                self.apply_granted(*stage, approval);
            }
            Event::GateRejected { stage, approval, decision } => {
                self.decided.push((approval.clone(), Verdict::Rejected));
                self.apply_rejected(*stage, decision);
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

    fn apply_gate_opened(&mut self, gate: OpenGate) {
        self.state = RunState::AwaitingGate { gate };
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
            | RunState::AwaitingGate { .. }
            | RunState::Finished(_) => {
                RunState::Running { stage, attempt, after: AfterAttempt::GoOn }
            }
        };
    }

    fn apply_result_granted(&mut self, stage: StageIdx) {
        self.state = match (&self.state, self.stage_after(stage)) {
            (RunState::Paused { .. }, Some(next)) => RunState::Paused { at: PausedAt::Stage(next) },
            (
                RunState::Paused { .. }
                | RunState::Ready { .. }
                | RunState::Running { .. }
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
            RunState::Ready { stage } | RunState::Running { stage, .. } => {
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
            RunState::Paused { at: PausedAt::Stage(stage) } => RunState::Ready { stage: *stage },
            RunState::Paused { at: PausedAt::Gate(gate) } => {
                RunState::AwaitingGate { gate: gate.clone() }
            }
            RunState::Paused { at: PausedAt::Attempt { stage, attempt } } => {
                RunState::Running { stage: *stage, attempt: *attempt, after: AfterAttempt::GoOn }
            }
            RunState::Ready { .. }
            | RunState::Running { .. }
            | RunState::AwaitingGate { .. }
            | RunState::Finished(_) => self.state.clone(),
        };
    }

    fn apply_retried(&mut self, from: StageIdx) {
        self.progress.iter_mut().skip(from.as_usize()).for_each(|stage| stage.result = None);
        self.variables = self.created.variables.clone();
        let kept: Vec<StageResult> =
            self.progress.iter().filter_map(|stage| stage.result.clone()).collect();
        kept.iter().flat_map(|result| &result.variables).for_each(|set| self.set_variable(set));
        self.state = RunState::Ready { stage: from };
    }

    fn finish(&mut self, ending: Ending) {
        let is_decided =
            |gate: &OpenGate| self.decided.iter().any(|(decided, _)| *decided == gate.approval);
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

/// What a warning is recognized by: only a budget of a stage is its own in each stage.
fn warning(stage: StageIdx, bound: &BudgetBound) -> (Option<StageIdx>, BudgetBound) {
    let stage = match bound.scope {
        BudgetScope::Stage => Some(stage),
        BudgetScope::Run | BudgetScope::Day | BudgetScope::ProviderDay { .. } => None,
    };
    (stage, BudgetBound { used: 0, ..bound.clone() })
}
