//! What the time brings about by itself.
use super::{GateTiming, OpenGate, Run, RunState};
use crate::{ApprovalId, Timestamp};

/// Something that time has brought about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// Give [`super::Command::PassTime`].
    PassTime,
    /// Remind people, and then give [`super::Command::NoteReminder`].
    Remind {
        /// The question.
        approval: ApprovalId,
        /// 1 for the first reminder of the gate.
        number: u16,
        /// Name of the webhook.
        webhook: String,
    },
}

impl Run {
    /// When time next brings about something. `None`: never. While a run is paused, time brings about nothing.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        match &self.state {
            RunState::BackingOff { until, .. } => Some(*until),
            RunState::AwaitingGate { gate } => gate.timing.next(),
            RunState::Ready { .. }
            | RunState::Running { .. }
            | RunState::Paused { .. }
            | RunState::Finished(_) => None,
        }
    }

    /// What is due at this time. The deadline of a gate comes before a reminder of it.
    pub fn due(&self, now: Timestamp) -> Option<Due> {
        match &self.state {
            RunState::BackingOff { until, .. } => (*until <= now).then_some(Due::PassTime),
            RunState::AwaitingGate { gate } => self.due_at_gate(gate, now),
            RunState::Ready { .. }
            | RunState::Running { .. }
            | RunState::Paused { .. }
            | RunState::Finished(_) => None,
        }
    }

    fn due_at_gate(&self, gate: &OpenGate, now: Timestamp) -> Option<Due> {
        let GateTiming { deadline_at, remind_at } = gate.timing;
        if deadline_at.is_some_and(|at| at <= now) {
            return Some(Due::PassTime);
        }
        let reminder = self.gate_policy(gate.stage)?.reminder.as_ref()?;
        remind_at.is_some_and(|at| at <= now).then(|| Due::Remind {
            approval: gate.approval.clone(),
            number: gate.reminder_count.saturating_add(1),
            webhook: reminder.webhook.clone(),
        })
    }
}
