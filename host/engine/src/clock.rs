//! Where time and identifiers come from. Nothing below `engine` reads a clock or draws a random number.
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::{ApprovalId, CallId, RunId, Timestamp};
use tokio::sync::watch;
use uuid::{NoContext, Uuid};

/// Longest sleep towards a point in time. A sleep measures how long it lasts and a clock can be set: whoever waits for a
/// time has to look at the clock now and then, and notices a jump within this.
const NAP_MAX: Duration = Duration::from_secs(15);

/// The clock of the host. Cheap to clone; clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Manual(Arc<watch::Sender<i64>>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until it is moved: for tests.
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(watch::Sender::new(start.as_unix_ms()))))
    }

    /// Moves a manual clock, and wakes whoever waits for a time; the machine's clock cannot be moved.
    pub fn advance(&self, by: Duration) {
        self.turn(|ms| ms.saturating_add(as_ms(by)));
    }

    /// Sets a manual clock back, as somebody does who corrects it.
    pub fn set_back(&self, by: Duration) {
        self.turn(|ms| ms.saturating_sub(as_ms(by)));
    }

    fn turn(&self, turned: impl FnOnce(i64) -> i64) {
        match &self.0 {
            Source::System => {}
            Source::Manual(ms) => ms.send_modify(|ms| *ms = turned(*ms)),
        }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => Timestamp::from_unix_ms(system_ms()),
            Source::Manual(ms) => Timestamp::from_unix_ms(*ms.borrow()),
        }
    }

    /// Sleeps towards a point in time: until it has come, or the clock has to be looked at again.
    pub(crate) async fn nap_towards(&self, until: Timestamp) {
        match &self.0 {
            Source::System => {
                let left = Duration::from_millis(until.ms_since(self.now()));
                tokio::time::sleep(left.min(NAP_MAX)).await;
            }
            Source::Manual(ms) => {
                let mut turned = ms.subscribe();
                if *turned.borrow_and_update() < until.as_unix_ms() {
                    // The sender lives as long as `self`, so that this cannot fail.
                    turned.changed().await.ok();
                }
            }
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

fn as_ms(wait: Duration) -> i64 {
    i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else uses")]
fn system_ms() -> i64 {
    // A clock before 1970 is a machine without a clock; 0 keeps the order of events, which is by version anyway.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
