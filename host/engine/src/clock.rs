//! Where time and identifiers come from. Nothing below `engine` reads a clock or draws a random number.
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::{ApprovalId, CallId, RunId, Timestamp};
use uuid::{NoContext, Uuid};

/// The clock of the host. Cheap to clone; clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until it is moved: for tests.
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.as_unix_ms()))))
    }

    /// Moves a manual clock; the machine's clock cannot be moved.
    pub fn advance(&self, by: Duration) {
        match &self.0 {
            Source::System => {}
            Source::Manual(ms) => {
                ms.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
            }
        }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => Timestamp::from_unix_ms(system_ms()),
            Source::Manual(ms) => Timestamp::from_unix_ms(ms.load(Ordering::SeqCst)),
        }
    }

    pub(crate) fn new_run_id(&self) -> RunId {
        self.new_id(RunId::PREFIX).parse().expect("a prefixed UUID is a run's identifier")
    }

    pub(crate) fn new_approval_id(&self) -> ApprovalId {
        self.new_id(ApprovalId::PREFIX)
            .parse()
            .expect("a prefixed UUID is an approval's identifier")
    }

    pub(crate) fn new_call_id(&self) -> CallId {
        self.new_id(CallId::PREFIX).parse().expect("a prefixed UUID is a call's identifier")
    }

    fn new_id(&self, prefix: &str) -> String {
        let ms = u64::try_from(self.now().as_unix_ms()).unwrap_or(0);
        let nanos = u32::try_from(ms % 1000).unwrap_or(0) * 1_000_000;
        let time = uuid::Timestamp::from_unix(NoContext, ms / 1000, nanos);
        format!("{prefix}{}", Uuid::new_v7(time).simple())
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else uses")]
fn system_ms() -> i64 {
    // A clock before 1970 is a machine without a clock; 0 keeps the order of events, which is by version anyway.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
