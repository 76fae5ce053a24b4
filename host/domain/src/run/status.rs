//! The state of a run in one word.

/// The state of a run in one word, for lists and clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// No stage has begun.
    Queued,
    /// A stage is running or about to.
    Running,
    /// A gate waits for a person.
    WaitingApproval,
    /// Waits to be resumed.
    Paused,
    /// Ended well.
    Completed,
    /// Ended by a fault, or by a rejection.
    Failed,
    /// Ended by somebody's order.
    Canceled,
}

impl Status {
    /// All, in the order of a run's life.
    pub const ALL: [Status; 7] = [
        Status::Queued,
        Status::Running,
        Status::WaitingApproval,
        Status::Paused,
        Status::Completed,
        Status::Failed,
        Status::Canceled,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Running => "running",
            Status::WaitingApproval => "waiting_approval",
            Status::Paused => "paused",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Canceled => "canceled",
        }
    }

    /// The status with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether the run has ended.
    pub fn is_final(self) -> bool {
        match self {
            Status::Completed | Status::Failed | Status::Canceled => true,
            Status::Queued | Status::Running | Status::WaitingApproval | Status::Paused => false,
        }
    }
}
