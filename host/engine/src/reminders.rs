//! Reminds people of open gates, over webhooks. A reminder is sent before it is noted: after a crash in between it is sent
//! again, under the same name, so that whoever gets it can tell.
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::run::{Command, Due};
use domain::{ApprovalId, RunId, Timestamp};
use gateway::{Outgoing, Webhook, WebhookError};
use jiff::Timestamp as Moment;
use serde_json::json;
use store::ApprovalRow;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::Error;
use crate::drive::DISK_WAIT_MAX;
use crate::lifecycle::Inner;

/// Reminders that are sent at the same time. A webhook that does not answer holds this many tasks, and nothing else.
const AT_ONCE: usize = 16;
/// Waits before the second and the third try: long enough for a restart of a small service, and short enough that a
/// person still thinks of it as one reminder.
const TRY_WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(3)];
/// How long a webhook that did not take a reminder is tried only once for each: thousands may wait behind it.
const FAILING_TIME: Duration = Duration::from_secs(60);

/// Reminders that are under way.
#[derive(Default)]
pub(crate) struct Reminders {
    state: Mutex<State>,
    /// Opened by the first reminder: it reads the system's certificates.
    outgoing: OnceCell<Outgoing>,
}

#[derive(Default)]
struct State {
    open: HashSet<RunId>,
    /// Some found no room; they are still due.
    has_waiting: bool,
    /// Webhooks that did not take a reminder, and when.
    failing: HashMap<String, Instant>,
}

/// A reminder that is to be sent.
struct Reminder {
    approval: ApprovalId,
    number: u16,
    webhook: String,
    body: String,
}

/// Gives the place of a reminder back, also after a panic.
struct Place {
    engine: Arc<Inner>,
    run: RunId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let timers = &self.engine.timers;
        let mut state = timers.reminders.state();
        state.open.remove(&self.run);
        // A look goes through everything that is due; one for each free place would be many.
        if state.has_waiting && state.open.len() <= AT_ONCE / 2 {
            state.has_waiting = false;
            timers.look_again();
        }
    }
}

impl Reminders {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for the run's reminder, if there is one and the run has none.
    fn takes(&self, run: &RunId) -> bool {
        let mut state = self.state();
        if state.open.contains(run) {
            return false;
        }
        if state.open.len() >= AT_ONCE {
            state.has_waiting = true;
            return false;
        }
        state.open.insert(run.clone())
    }

    fn waits_of(&self, webhook: &str) -> &'static [Duration] {
        let is_recent = |at: &Instant| at.elapsed() < FAILING_TIME;
        if self.state().failing.get(webhook).is_some_and(is_recent) { &[] } else { &TRY_WAITS }
    }

    fn note_outcome(&self, webhook: &str, has_arrived: bool) {
        let mut state = self.state();
        if has_arrived {
            state.failing.remove(webhook);
        } else {
            state.failing.insert(webhook.to_owned(), Instant::now());
        }
    }
}

impl Inner {
    /// Has people reminded of the open gate of a run, as soon as there is room.
    pub(crate) fn begin_reminding(self: &Arc<Self>, run: RunId) {
        if !self.timers.reminders.takes(&run) {
            return;
        }
        let place = Place { engine: Arc::clone(self), run };
        self.spawn(async move {
            let Place { engine, run } = &place;
            if let Err(error) = engine.remind(run).await {
                tracing::error!(run.id = %run, %error, "nobody could be reminded of the gate of `{run}`");
                // It is still due. To look at it at once would be to do nothing else.
                tokio::select! {
                    () = tokio::time::sleep(DISK_WAIT_MAX) => {}
                    () = engine.draining.cancelled() => {}
                }
                engine.timers.look_again();
            }
        });
    }

    async fn remind(self: &Arc<Self>, run: &RunId) -> Result<(), Error> {
        let Some(reminder) = self.due_reminder(run).await? else { return Ok(()) };
        let Some(failure) = self.sent(&reminder).await else { return Ok(()) };
        if let Some(failure) = &failure {
            let webhook = &reminder.webhook;
            tracing::warn!(run.id = %run, webhook, "a reminder did not arrive: {failure}");
        }
        let Reminder { approval, number, .. } = reminder;
        let at = self.parts.clock.now();
        let command = Command::NoteReminder { approval, number, at, failure };
        self.commit_patiently(&self.registry.cell(run), command, Vec::new()).await.map(drop)
    }

    /// The reminder that is due now. `None`: somebody has decided, or the deadline has passed meanwhile.
    async fn due_reminder(&self, run: &RunId) -> Result<Option<Reminder>, Error> {
        let (due, title) = {
            let cell = self.registry.cell(run);
            let mut locked = cell.lock(&self.parts.store).await;
            let run = match locked.run().await {
                Ok(run) => run,
                Err(Error::UnknownRun(_)) => return Ok(None),
                Err(error) => return Err(error),
            };
            (run.due(self.parts.clock.now()), run.plan().title.clone())
        };
        let (approval, number, webhook) = match due {
            Some(Due::Remind { approval, number, webhook }) => (approval, number, webhook),
            Some(Due::PassTime) => {
                self.timers.look_again();
                return Ok(None);
            }
            None => return Ok(None),
        };
        let row = self.parts.store.approval(&approval).await?;
        Ok(row.map(|row| {
            let body = body(&row, number, &title);
            Reminder { approval, number, webhook, body }
        }))
    }

    /// Sends a reminder; gives why it did not arrive. `None`: the host stops, and the next start sends it.
    async fn sent(self: &Arc<Self>, reminder: &Reminder) -> Option<Option<String>> {
        let Reminder { approval, number, webhook, body } = reminder;
        let Some(target) = self.settings.webhooks.get(webhook) else {
            return Some(Some(format!("no webhook `{webhook}` is configured")));
        };
        let opened = self.outgoing().await;
        let outgoing = match opened {
            Ok(outgoing) => outgoing,
            Err(error) => return Some(Some(error.to_string())),
        };
        let name = format!("{approval}/{number}");
        let mut waits = self.timers.reminders.waits_of(webhook).iter();
        loop {
            let tried = self.tried(target, outgoing, (&name, body)).await?;
            let Err(error) = tried else {
                self.timers.reminders.note_outcome(webhook, true);
                return Some(None);
            };
            let wait = waits.next().filter(|_| may_help(&error));
            let Some(wait) = wait else {
                self.timers.reminders.note_outcome(webhook, false);
                return Some(Some(error.to_string()));
            };
            tokio::select! {
                () = tokio::time::sleep(*wait) => {}
                () = self.draining.cancelled() => return None,
            }
        }
    }

    async fn tried(
        &self,
        target: &Webhook,
        outgoing: &Outgoing,
        (name, body): (&str, &str),
    ) -> Option<Result<(), WebhookError>> {
        tokio::select! {
            tried = target.post(outgoing, name, body.to_owned()) => Some(tried),
            () = self.giving_up.cancelled() => None,
        }
    }

    async fn outgoing(self: &Arc<Self>) -> Result<&Outgoing, gateway::OutgoingError> {
        let open = || self.blocking(|_| Outgoing::open());
        self.timers.reminders.outgoing.get_or_try_init(open).await
    }
}

/// Whether another try may do better.
fn may_help(error: &WebhookError) -> bool {
    match error {
        WebhookError::Outgoing(_) | WebhookError::Timeout => true,
        // Of what the receiver does not want, only what it says will pass.
        WebhookError::Status(status) => *status >= 500 || matches!(status, 408 | 425 | 429),
    }
}

fn body(row: &ApprovalRow, number: u16, title: &str) -> String {
    let usual = || format!("Is the result of `{}` good enough to go on with?", row.stage);
    let message = json!({
        "type": "gate_reminder",
        "run_id": row.run.as_str(),
        "approval_id": row.id.as_str(),
        "stage": row.stage.as_str(),
        "question": row.question.clone().unwrap_or_else(usual),
        "number": number,
        "opened_at": moment(row.opened_at),
        "deadline_at": row.deadline_at.map(moment),
        "title": title,
        "mode": row.effective_mode.as_str(),
    });
    message.to_string()
}

/// A point in time as RFC 3339 in UTC, to the millisecond.
fn moment(at: Timestamp) -> String {
    let moment = Moment::from_millisecond(at.as_unix_ms()).unwrap_or(Moment::UNIX_EPOCH);
    format!("{moment:.3}")
}
