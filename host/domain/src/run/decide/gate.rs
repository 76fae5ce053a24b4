//! Deciding at gates.
use crate::plan::{DeadlineOutcome, GatePolicy, Reviewer, SelfApproval, StageIdx};
use crate::run::{
    DEADLINE_ACTOR, Decision, Edit, Event, GateSubject, GateTiming, OpenGate, Refusal, Run,
    RunState, Verdict,
};
use crate::{ApprovalId, Digest, Timestamp};

/// A decision with everything that it is checked by.
pub(super) struct Asked {
    pub(super) approval: ApprovalId,
    pub(super) verdict: Verdict,
    pub(super) decision: Decision,
    pub(super) groups: Vec<String>,
    pub(super) content_hash: Option<Digest>,
    pub(super) edit: Option<Edit>,
}

impl Run {
    pub(super) fn decide_gate(&self, asked: Asked) -> Result<Vec<Event>, Refusal> {
        let Some(gate) = self.open_gate().filter(|gate| gate.approval == asked.approval) else {
            return self.decide_again(&asked);
        };
        self.expect_reviewer(gate, &asked)?;
        match (&gate.subject, asked.verdict, &asked.edit) {
            (GateSubject::Budget { .. }, Verdict::Revised, _)
            | (GateSubject::Budget { .. }, _, Some(_)) => return Err(Refusal::NoContent),
            (GateSubject::Budget { .. } | GateSubject::Result, _, _) => {}
        }
        let is_stale = asked.content_hash.as_ref().is_some_and(|seen| *seen != gate.content_hash);
        if is_stale && !is_repeated_edit(gate, &asked) {
            return Err(Refusal::ContentChanged);
        }
        let Asked { approval, verdict, decision, edit, .. } = asked;
        let stage = gate.stage;
        Ok(match verdict {
            Verdict::Rejected => vec![Event::GateRejected { stage, approval, decision }],
            Verdict::Revised => vec![Event::GateRevised { stage, approval, decision }],
            Verdict::Granted => self.granted_by(gate, decision, edit),
        })
    }

    fn granted_by(&self, gate: &OpenGate, decision: Decision, edit: Option<Edit>) -> Vec<Event> {
        let (stage, approval) = (gate.stage, gate.approval.clone());
        let is_new = |edit: &Edit| edit.content_hash != gate.content_hash;
        let mut grants: Vec<&Decision> = gate.grants.iter().collect();
        let mut events = Vec::new();
        if let Some(Edit { artifacts, content_hash }) = edit.filter(is_new) {
            // Those who granted the old text did not see the new one.
            grants.clear();
            let (approval, actor) = (approval.clone(), decision.actor.clone());
            events.push(Event::ArtifactsEdited { stage, approval, actor, artifacts, content_hash });
        }
        let wanted = match gate.subject {
            GateSubject::Result => self.gate_policy(stage).map_or(1, |policy| policy.grant_count),
            GateSubject::Budget { .. } => 1,
        };
        if grants.iter().any(|grant| grant.actor == decision.actor) {
            return events;
        }
        if grants.len() + 1 < usize::from(wanted) {
            events.push(Event::GateGrantAdded { stage, approval, decision });
            return events;
        }
        events.extend(self.passed(gate, decision));
        events
    }

    /// The gate is granted for good.
    fn passed(&self, gate: &OpenGate, decision: Decision) -> Vec<Event> {
        let (stage, approval) = (gate.stage, gate.approval.clone());
        let mut events = vec![Event::GateGranted { stage, approval, decision }];
        let ends = match gate.subject {
            GateSubject::Result => self.stage_after(stage).is_none(),
            GateSubject::Budget { .. } => false,
        };
        if ends {
            events.push(Event::RunCompleted);
        }
        events
    }

    fn expect_reviewer(&self, gate: &OpenGate, asked: &Asked) -> Result<(), Refusal> {
        let (GateSubject::Result, Some(policy)) = (&gate.subject, self.gate_policy(gate.stage))
        else {
            return Ok(());
        };
        let actor = &asked.decision.actor;
        let is_one = |reviewer: &Reviewer| match reviewer {
            Reviewer::Actor(name) => name == actor,
            Reviewer::Group(group) => asked.groups.contains(group),
        };
        let is_named = policy.reviewers.is_empty() || policy.reviewers.iter().any(is_one);
        if !is_named && !escalated_to(gate, policy).iter().any(is_one) {
            return Err(Refusal::NotAReviewer { actor: actor.clone() });
        }
        let is_starter = self.created.started_by.as_ref() == Some(actor);
        match (policy.self_approval, asked.verdict) {
            (SelfApproval::Refused, Verdict::Granted) if is_starter => {
                Err(Refusal::SelfApproval { actor: actor.clone() })
            }
            (
                SelfApproval::Refused | SelfApproval::Allowed,
                Verdict::Granted | Verdict::Rejected | Verdict::Revised,
            ) => Ok(()),
        }
    }

    /// A decision of a gate that is not open: nothing to do if it is the one that holds.
    fn decide_again(&self, asked: &Asked) -> Result<Vec<Event>, Refusal> {
        let first = self.decided.iter().find(|decided| decided.approval == asked.approval);
        let Some(first) = first else {
            return Err(match self.closed.contains(&asked.approval) {
                true => Refusal::ApprovalClosed { status: self.status() },
                false => Refusal::UnknownApproval,
            });
        };
        let is_same = first.verdict == asked.verdict
            && match asked.verdict {
                // What was looked at, or what was put in its place, is what holds.
                Verdict::Granted => match (&asked.edit, &asked.content_hash) {
                    (Some(edit), _) => edit.content_hash == first.content_hash,
                    (None, Some(seen)) => *seen == first.content_hash,
                    (None, None) => true,
                },
                Verdict::Rejected => true,
                // Other words would be lost.
                Verdict::Revised => asked.decision == first.decision,
            };
        match is_same {
            true => Ok(Vec::new()),
            false => Err(Refusal::AlreadyDecided { verdict: first.verdict }),
        }
    }

    /// What time has brought about at an open gate.
    fn pass_time_at_gate(&self, gate: &OpenGate, now: Timestamp) -> Vec<Event> {
        let deadline = self.gate_policy(gate.stage).and_then(|policy| policy.deadline.as_ref());
        let is_over = gate.timing.deadline_at.is_some_and(|at| at <= now);
        let Some(deadline) = deadline.filter(|_| is_over) else { return Vec::new() };
        let (stage, approval) = (gate.stage, gate.approval.clone());
        let decision = Decision { actor: DEADLINE_ACTOR.to_owned(), comment: None };
        match &deadline.outcome {
            DeadlineOutcome::Reject => vec![Event::GateRejected { stage, approval, decision }],
            DeadlineOutcome::Grant => self.passed(gate, decision),
            DeadlineOutcome::Escalate { .. } => vec![Event::GateEscalated { stage, approval }],
        }
    }

    pub(super) fn note_reminder(
        &self,
        approval: ApprovalId,
        number: u16,
        at: Timestamp,
        failure: Option<String>,
    ) -> Vec<Event> {
        let is_next = |gate: &&OpenGate| {
            let next = gate.timing.remind_at.map(|_| gate.reminder_count.saturating_add(1));
            gate.approval == approval && next == Some(number)
        };
        let Some(gate) = self.open_gate().filter(is_next) else { return Vec::new() };
        let reminder = self.gate_policy(gate.stage).and_then(|policy| policy.reminder.as_ref());
        let every = reminder.filter(|reminder| number < reminder.count_max);
        let next_at = every.and_then(|reminder| reminder.every).map(|every| at.after(every));
        vec![Event::GateReminded { stage: gate.stage, approval, number, next_at, failure }]
    }

    /// When something happens by itself at a gate that opens now.
    pub(super) fn timing_of_gate(&self, stage: StageIdx, at: Timestamp) -> GateTiming {
        let Some(policy) = self.gate_policy(stage) else { return GateTiming::default() };
        GateTiming {
            deadline_at: policy.deadline.as_ref().map(|deadline| at.after(deadline.after)),
            remind_at: policy.reminder.as_ref().map(|reminder| at.after(reminder.after)),
        }
    }

    /// What the plan says about the gate after a stage, if there is one.
    pub fn gate_policy(&self, stage: StageIdx) -> Option<&GatePolicy> {
        Some(&self.plan().stage(stage)?.gate.as_ref()?.policy)
    }

    pub(super) fn pass_time(&self, now: Timestamp) -> Vec<Event> {
        match &self.state {
            RunState::BackingOff { stage, until, .. } if *until <= now => {
                vec![Event::RetryDue { stage: *stage }]
            }
            RunState::AwaitingGate { gate } => self.pass_time_at_gate(gate, now),
            RunState::BackingOff { .. }
            | RunState::Ready { .. }
            | RunState::Running { .. }
            | RunState::Paused { .. }
            | RunState::Finished(_) => Vec::new(),
        }
    }
}

/// Whether this is an edit that holds, sent once more: what its author looked at is what it has replaced.
fn is_repeated_edit(gate: &OpenGate, asked: &Asked) -> bool {
    let is_there = asked.edit.as_ref().is_some_and(|edit| edit.content_hash == gate.content_hash);
    is_there && gate.grants.iter().any(|grant| grant.actor == asked.decision.actor)
}

fn escalated_to<'a>(gate: &OpenGate, policy: &'a GatePolicy) -> &'a [Reviewer] {
    match policy.deadline.as_ref().map(|deadline| &deadline.outcome) {
        Some(DeadlineOutcome::Escalate { to }) if gate.is_escalated => to,
        Some(
            DeadlineOutcome::Escalate { .. } | DeadlineOutcome::Reject | DeadlineOutcome::Grant,
        )
        | None => &[],
    }
}
