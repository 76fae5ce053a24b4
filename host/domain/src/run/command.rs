//! What may be asked of a run.
use super::{BudgetBound, CallOutcome, Decision, Verdict};
use crate::plan::StageIdx;
use crate::stage::Variable;
use crate::{ApprovalId, ArtifactRef, CallId, Digest, Fault, Timestamp};

/// Something that is asked of a run: by a person, a program, or the engine that carries the run out.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// There is room for an attempt.
    StartStage {
        /// The stage.
        stage: StageIdx,
    },
    /// A model call of the running attempt has ended.
    NoteModelCall(ModelCallNote),
    /// A budget of the running attempt is nearly used up.
    WarnBudget {
        /// The stage.
        stage: StageIdx,
        /// The attempt.
        attempt: u32,
        /// The budget.
        bound: BudgetBound,
    },
    /// The running attempt would go over a budget: a person is asked, and the attempt waits.
    OpenBudgetGate {
        /// The stage.
        stage: StageIdx,
        /// The attempt.
        attempt: u32,
        /// Names the question.
        approval: ApprovalId,
        /// Digest of the question.
        content_hash: Digest,
        /// The budget.
        bound: BudgetBound,
    },
    /// The running attempt gave a result.
    FinishStage {
        /// The stage.
        stage: StageIdx,
        /// The attempt.
        attempt: u32,
        /// What it made.
        result: StageResult,
        /// Names the question of the gate, if there is one after the stage.
        approval: ApprovalId,
        /// When: the gate's deadline begins here.
        at: Timestamp,
    },
    /// The running attempt failed.
    FailStage {
        /// The stage.
        stage: StageIdx,
        /// The attempt.
        attempt: u32,
        /// Why.
        fault: Fault,
        /// When: the wait for the next attempt begins here.
        at: Timestamp,
    },
    /// Time has passed: a wait is over, or the deadline of a gate. Safe to repeat.
    PassTime {
        /// What time it is.
        now: Timestamp,
    },
    /// People were reminded of an open gate, or could not be.
    NoteReminder {
        /// The question.
        approval: ApprovalId,
        /// 1 for the first reminder of the gate.
        number: u16,
        /// When.
        at: Timestamp,
        /// Why it did not reach the webhook.
        failure: Option<String>,
    },
    /// A person decides a gate.
    DecideGate {
        /// The question. A decision names it, so that a click on a stale page cannot decide the next one.
        approval: ApprovalId,
        /// Which way.
        verdict: Verdict,
        /// Who, and in which words. A revision has words.
        decision: Decision,
        /// The groups that they are in at this moment.
        groups: Vec<String>,
        /// What the person looked at. `None`: whatever is there.
        content_hash: Option<Digest>,
        /// What they put in place of what they looked at. Goes with a grant only.
        edit: Option<Edit>,
    },
    /// Start nothing new. A running attempt is finished first.
    Pause {
        /// Who asks.
        actor: String,
    },
    /// Go on. Safe to repeat.
    Resume {
        /// Who asks.
        actor: String,
    },
    /// Call it off, also in the middle of a stage.
    Cancel {
        /// Who asks.
        actor: String,
        /// Why.
        reason: Option<String>,
    },
    /// Do stages again; the results of those before are kept.
    Retry {
        /// The first of them. `None`: the one at which the run ended.
        from: Option<StageIdx>,
        /// Who asks.
        actor: String,
    },
}

/// How one model call of an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelCallNote {
    /// The stage.
    pub stage: StageIdx,
    /// The attempt.
    pub attempt: u32,
    /// 1 for the first question of the attempt.
    pub ordinal: u32,
    /// Names the record of the call.
    pub call: CallId,
    /// How it went.
    pub outcome: CallOutcome,
}

/// Artifacts of a stage's result in a reviewer's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Those that changed; each has the name of one that is there. None: the edit says what is there already, and is a
    /// plain grant.
    pub artifacts: Vec<ArtifactRef>,
    /// Digest over all artifacts of the stage, these in place of the old ones.
    pub content_hash: Digest,
}

/// What an attempt made, without the texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageResult {
    /// The artifacts.
    pub artifacts: Vec<ArtifactRef>,
    /// Digest of the result for programs, which the store keeps as JSON text.
    pub data: Digest,
    /// One line for people.
    pub summary: String,
    /// Context variables that it sets.
    pub variables: Vec<Variable>,
    /// Digest over the artifacts: what a reviewer's decision is bound to.
    pub content_hash: Digest,
}
