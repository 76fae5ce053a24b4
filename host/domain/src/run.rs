//! The run state machine.
//!
//! A run is a list of stages, done one after another, with an optional gate after each. This module answers three
//! questions and performs nothing: *what has happened?* ([`Run::apply`]), *what may happen now?* ([`Run::decide`]) and
//! *what is to be done?* ([`Run::next_effect`]). It knows no clock, no database and no sandbox; `engine` brings those.
//!
//! Invariant: `apply` is total. Whatever `decide` once returned can be replayed, whichever version wrote it.
mod apply;
mod command;
mod decide;
mod due;
mod event;
mod gate;
mod refusal;
mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use command::{Command, Edit, ModelCallNote, StageResult};
pub use due::Due;
pub use event::{CallOutcome, Created, Event, Recorded};
pub use gate::{
    BudgetBound, BudgetScope, BudgetUnit, DEADLINE_ACTOR, Decision, GateSubject, GateTiming,
    HOST_ACTOR_PREFIX, OpenGate, Verdict,
};
pub use refusal::Refusal;
pub use status::Status;

use crate::plan::{Plan, StageIdx};
use crate::stage::Variable;
use crate::{ApprovalId, ArtifactRef, Digest, Fault, RunId, Timestamp};

/// Where a run is. Data that makes sense in one state only lives in that state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    /// The stage may be started. Entered at creation, when a gate is passed, and by a retry.
    Ready {
        /// The stage to start.
        stage: StageIdx,
    },
    /// The stage's attempt is running, or was when the host died.
    Running {
        /// The stage.
        stage: StageIdx,
        /// 1 for its first attempt in this run.
        attempt: u32,
        /// What happens when the attempt is done.
        after: AfterAttempt,
    },
    /// The stage's attempt has failed, and the next one begins later.
    BackingOff {
        /// The stage.
        stage: StageIdx,
        /// When the next attempt may begin.
        until: Timestamp,
        /// Why the last one failed.
        fault: Fault,
    },
    /// Nothing moves until a person decides, or the gate's deadline passes.
    AwaitingGate {
        /// The gate after this stage, and the question that is open.
        gate: OpenGate,
    },
    /// Nothing moves until somebody resumes the run.
    Paused {
        /// Where it goes on.
        at: PausedAt,
    },
    /// The end. Only a retry leaves it.
    Finished(Ending),
}

/// What happens when a running attempt is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterAttempt {
    /// The run goes on.
    GoOn,
    /// The run pauses. The attempt is finished first, so that an answer that is being paid for is not lost.
    Pause,
}

/// Where a paused run goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PausedAt {
    /// Before this stage.
    Stage(StageIdx),
    /// At an open gate. The gate can be decided while the run is paused.
    Gate(OpenGate),
    /// In an attempt that was allowed more budget meanwhile.
    Attempt {
        /// The stage.
        stage: StageIdx,
        /// The attempt.
        attempt: u32,
    },
    /// Before this stage, whose retries are spent. It gets as many again.
    Spent {
        /// The stage.
        stage: StageIdx,
        /// Why its last attempt failed.
        fault: Fault,
    },
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Every stage is done and every gate passed.
    Completed,
    /// A stage failed.
    Failed {
        /// The stage.
        stage: StageIdx,
        /// Why.
        fault: Fault,
    },
    /// A reviewer said no.
    Rejected {
        /// The stage whose result was rejected, or whose attempt was refused more budget.
        stage: StageIdx,
        /// Who, and in which words.
        decision: Decision,
    },
    /// Somebody called it off.
    Canceled {
        /// The stage that was reached.
        stage: StageIdx,
        /// Who.
        actor: String,
        /// Why, in their words.
        reason: Option<String>,
    },
}

/// What is to be done for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Give [`Command::StartStage`] as soon as there is room for one more attempt.
    StartStage {
        /// The stage.
        stage: StageIdx,
    },
    /// Run the attempt from its start, and report how it ended. After a crash its kept answers are replayed.
    RunAttempt {
        /// The stage.
        stage: StageIdx,
        /// The attempt.
        attempt: u32,
    },
}

/// How far one stage has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StageProgress {
    /// Attempts begun so far, in the whole run.
    pub attempts: u32,
    /// Of those, the ones that failed since somebody last wanted the stage: what the retry policy counts.
    pub failures: u32,
    /// What the stage made, if it is done. A retry from here or from before takes it away, and so does a revision.
    pub result: Option<StageResult>,
    /// Whether the gate after it was passed with that result.
    pub is_granted: bool,
    /// What a reviewer wants changed, until the stage is done again.
    pub revision: Option<Wish>,
}

/// A reviewer's wish for another version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Their words.
    pub feedback: String,
    /// The artifacts that the words are about.
    pub previous: Vec<ArtifactRef>,
}

/// A run: its plan, and how far it has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    id: RunId,
    created: Arc<Created>,
    state: RunState,
    progress: Vec<StageProgress>,
    variables: Vec<Variable>,
    /// Every decided gate, so that a second decision finds the first.
    decided: Vec<DecidedGate>,
    /// Gates that the end of the run closed undecided.
    closed: Vec<ApprovalId>,
    /// What was allowed on top of budgets, in the order of the decisions.
    allowances: Vec<Allowance>,
    /// Budgets that were warned of; what was used is not part of it.
    warned: Vec<(Option<StageIdx>, BudgetBound)>,
}

/// A gate that was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DecidedGate {
    approval: ApprovalId,
    verdict: Verdict,
    decision: Decision,
    /// Digest of what was decided upon, edits included.
    content_hash: Digest,
}

/// A grant at a gate for a budget: as much again as the budget itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// The stage whose attempt waited.
    pub stage: StageIdx,
    /// The budget.
    pub scope: BudgetScope,
    /// Its unit.
    pub unit: BudgetUnit,
}

impl Run {
    /// A run at its very start. The first event of every log is [`Event::RunCreated`].
    pub fn create(id: RunId, created: Arc<Created>) -> Self {
        let progress = vec![StageProgress::default(); created.plan.stages.len()];
        let variables = created.variables.clone();
        Self {
            id,
            created,
            state: RunState::Ready { stage: StageIdx(0) },
            progress,
            variables,
            decided: Vec::new(),
            closed: Vec::new(),
            allowances: Vec::new(),
            warned: Vec::new(),
        }
    }

    /// The run after all these events. `None` if the first is not the creation.
    pub fn replay<'a>(id: RunId, events: impl IntoIterator<Item = &'a Event>) -> Option<Self> {
        let mut events = events.into_iter();
        let Some(Event::RunCreated(created)) = events.next() else { return None };
        let mut run = Self::create(id, Arc::clone(created));
        events.for_each(|event| run.apply(event));
        Some(run)
    }

    /// Its identifier.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// What it began with.
    pub fn created(&self) -> &Created {
        &self.created
    }

    /// The plan that it is bound to.
    pub fn plan(&self) -> &Plan {
        &self.created.plan
    }

    /// Where it is.
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// How far each stage has come, in the order of the plan.
    pub fn progress(&self) -> &[StageProgress] {
        &self.progress
    }

    /// The context variables, in the order in which they were first set.
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// The artifacts that a stage at this position may see, with the position of the stage that made them; of each name
    /// the newest.
    pub fn artifacts_before(&self, stage: StageIdx) -> Vec<(StageIdx, &ArtifactRef)> {
        let mut seen: Vec<(StageIdx, &ArtifactRef)> = Vec::new();
        for (idx, progress) in (0u16..).zip(&self.progress).take(stage.as_usize()) {
            for artifact in progress.result.iter().flat_map(|result| &result.artifacts) {
                seen.retain(|(_, earlier)| earlier.name != artifact.name);
                seen.push((StageIdx(idx), artifact));
            }
        }
        seen
    }

    /// Its state in one word.
    pub fn status(&self) -> Status {
        match &self.state {
            RunState::Ready { .. } if self.progress.iter().all(|stage| stage.attempts == 0) => {
                Status::Queued
            }
            RunState::Ready { .. } | RunState::Running { .. } | RunState::BackingOff { .. } => {
                Status::Running
            }
            RunState::AwaitingGate { .. } => Status::WaitingApproval,
            RunState::Paused { .. } => Status::Paused,
            RunState::Finished(Ending::Completed) => Status::Completed,
            RunState::Finished(Ending::Failed { .. } | Ending::Rejected { .. }) => Status::Failed,
            RunState::Finished(Ending::Canceled { .. }) => Status::Canceled,
        }
    }

    /// What is to be done now; `None` while it waits for somebody or has ended.
    pub fn next_effect(&self) -> Option<Effect> {
        match &self.state {
            RunState::Ready { stage } => Some(Effect::StartStage { stage: *stage }),
            RunState::Running { stage, attempt, .. } => {
                Some(Effect::RunAttempt { stage: *stage, attempt: *attempt })
            }
            RunState::BackingOff { .. }
            | RunState::AwaitingGate { .. }
            | RunState::Paused { .. }
            | RunState::Finished(_) => None,
        }
    }

    /// The stage that the run has reached; `None` when it is completed.
    pub fn current_stage(&self) -> Option<StageIdx> {
        match &self.state {
            RunState::Ready { stage }
            | RunState::Running { stage, .. }
            | RunState::BackingOff { stage, .. } => Some(*stage),
            RunState::AwaitingGate { gate } | RunState::Paused { at: PausedAt::Gate(gate) } => {
                Some(gate.stage)
            }
            RunState::Paused {
                at:
                    PausedAt::Stage(stage)
                    | PausedAt::Attempt { stage, .. }
                    | PausedAt::Spent { stage, .. },
            } => Some(*stage),
            RunState::Finished(
                Ending::Failed { stage, .. }
                | Ending::Rejected { stage, .. }
                | Ending::Canceled { stage, .. },
            ) => Some(*stage),
            RunState::Finished(Ending::Completed) => None,
        }
    }

    /// What was allowed on top of budgets, in the order of the decisions. An allowance for a stage counts for its stage
    /// alone.
    pub fn allowances(&self) -> &[Allowance] {
        &self.allowances
    }

    /// The gate that is open, also while the run is paused.
    pub fn open_gate(&self) -> Option<&OpenGate> {
        match &self.state {
            RunState::AwaitingGate { gate } | RunState::Paused { at: PausedAt::Gate(gate) } => {
                Some(gate)
            }
            RunState::Ready { .. }
            | RunState::Running { .. }
            | RunState::BackingOff { .. }
            | RunState::Paused {
                at: PausedAt::Stage(_) | PausedAt::Attempt { .. } | PausedAt::Spent { .. },
            }
            | RunState::Finished(_) => None,
        }
    }

    fn stage_after(&self, stage: StageIdx) -> Option<StageIdx> {
        let next = StageIdx(stage.0 + 1);
        (next.as_usize() < self.progress.len()).then_some(next)
    }
}
