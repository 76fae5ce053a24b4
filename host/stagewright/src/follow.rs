//! Follows a run to its end or to where it waits for a person, and asks at each gate where somebody can answer.
//!
//! Whether a gate is open now is asked of the API, never concluded from an event: the log of a run that is watched from
//! its beginning is full of gates that were decided long ago.
mod failed;
mod gate;

use control_api::dto::{ApprovalDto, EventKindDto, HttpRequestDto, RunDto, RunStatusDto};
use serde::Serialize;

use crate::client::Moment;
use crate::error::{Error, Exit};
use crate::progress::Progress;
use crate::session::Session;
use crate::signals;
use crate::{render, reproduce};

/// Streams in a row that may break off without an event before the server counts as gone.
const BROKEN_STREAM_COUNT_MAX: u32 = 3;

/// What is done at a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gates {
    /// The person at the terminal is asked.
    Ask,
    /// It is granted, with this comment; one for a budget is asked about, or left: nobody allows money in advance.
    Grant { comment: &'static str },
    /// It is left to somebody else.
    Leave,
}

/// How following ended.
enum Stop {
    /// The run has ended.
    Ended,
    /// It waits at a gate, and nobody decides it here.
    Gate { approval_id: String },
    /// It is paused.
    Paused,
    /// A stage is tried again later, and nobody here keeps the time.
    BackingOff { until: String },
    /// The person at the terminal has had enough.
    Left,
}

/// The last line of a stream of documents.
#[derive(Serialize)]
struct Settled<'a> {
    kind: &'static str,
    run_id: &'a str,
    status: RunStatusDto,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_id: Option<&'a str>,
}

/// Follows a run from its first event on, says how it ended, and answers with the process's answer.
pub(crate) async fn follow(
    session: &Session<'_>,
    run_id: &str,
    gates: Gates,
) -> Result<Exit, Error> {
    let following = Follow { session, run_id, gates, version: 0 };
    following.and_say().await
}

/// The same from where the run was before a command let it go on: what came of the command happens while it is answered.
pub(crate) async fn follow_on(
    session: &Session<'_>,
    before: &RunDto,
    gates: Gates,
) -> Result<Exit, Error> {
    let run_id = before.summary.run_id.as_str();
    let run = session.client.run(run_id).await?;
    let following = Follow { session, run_id, gates, version: before.summary.version };
    let was_open = |pending: &&ApprovalDto| {
        before.pending_approval.as_ref().is_some_and(|old| old.approval_id == pending.approval_id)
    };
    // The event that opened the gate is in the past: nothing to come would tell of it.
    if let Some(pending) = run.pending_approval.as_ref().filter(was_open)
        && !gate::decide(session, &pending.approval_id, gates).await?
    {
        let stop = Stop::Gate { approval_id: pending.approval_id.clone() };
        return following.ended(stop).await;
    }
    match run.summary.status {
        RunStatusDto::Paused => following.ended(Stop::Paused).await,
        _ => following.and_say().await,
    }
}

struct Follow<'a> {
    session: &'a Session<'a>,
    run_id: &'a str,
    gates: Gates,
    version: u64,
}

impl Follow<'_> {
    async fn and_say(mut self) -> Result<Exit, Error> {
        let stop = tokio::select! {
            stop = self.until_it_stops() => stop?,
            () = signals::ending() => Stop::Left,
        };
        self.ended(stop).await
    }

    async fn ended(self, stop: Stop) -> Result<Exit, Error> {
        let run = self.session.client.run(self.run_id).await?;
        self.session.flush_files().await;
        let denied = failed::denied_request(self.session, &run).await;
        say(self.session, &run, &stop, denied.as_ref());
        Ok(match stop {
            Stop::Ended if run.summary.status == RunStatusDto::Completed => Exit::Done,
            Stop::Ended => Exit::Refused,
            Stop::Gate { .. } | Stop::Paused | Stop::BackingOff { .. } | Stop::Left => Exit::Waits,
        })
    }

    async fn until_it_stops(&mut self) -> Result<Stop, Error> {
        let mut progress = Progress::new(self.session.output);
        let mut broken_count = 0;
        loop {
            let mut events = self.session.client.watch(self.run_id, self.version).await?;
            let before = self.version;
            loop {
                match events.next().await {
                    Moment::Live(live) => progress.live(&live),
                    Moment::End => return Ok(Stop::Ended),
                    Moment::Closed => break,
                    Moment::Event(event) => {
                        self.version = event.version;
                        progress.event(&event);
                        if let Some(stop) = self.stop_at(&event.what, &mut progress).await? {
                            return Ok(stop);
                        }
                    }
                }
            }
            broken_count = if self.version > before { 0 } else { broken_count + 1 };
            if broken_count >= BROKEN_STREAM_COUNT_MAX {
                return Ok(Stop::Left);
            }
        }
    }

    async fn stop_at(
        &self,
        what: &EventKindDto,
        progress: &mut Progress<'_>,
    ) -> Result<Option<Stop>, Error> {
        match what {
            EventKindDto::GateOpened { approval_id, .. }
            | EventKindDto::BudgetGateOpened { approval_id, .. } => {
                progress.rest();
                let granted = gate::decide(self.session, approval_id, self.gates).await?;
                Ok((!granted).then(|| Stop::Gate { approval_id: approval_id.clone() }))
            }
            EventKindDto::RunPaused {} | EventKindDto::RetriesSpent { .. } => {
                let run = self.session.client.run(self.run_id).await?;
                Ok((run.summary.status == RunStatusDto::Paused).then_some(Stop::Paused))
            }
            EventKindDto::RetryScheduled { retry_at, .. } if !self.session.keeps_time() => {
                Ok(Some(Stop::BackingOff { until: retry_at.clone() }))
            }
            _ => Ok(None),
        }
    }
}

fn say(session: &Session<'_>, run: &RunDto, stop: &Stop, denied: Option<&HttpRequestDto>) {
    let run_id = &run.summary.run_id;
    let approval_id = match stop {
        Stop::Gate { approval_id } => Some(approval_id.as_str()),
        Stop::Ended | Stop::Paused | Stop::BackingOff { .. } | Stop::Left => None,
    };
    if session.output.is_json() {
        let status = run.summary.status;
        session.output.document_line(&Settled { kind: "settled", run_id, status, approval_id });
        return;
    }
    if matches!(stop, Stop::Left) {
        // Ctrl-C leaves the cursor behind whatever stood in the line.
        session.output.note("");
    }
    say_result(session, run);
    let note = |text: &str| session.output.note(text);
    let paint = session.output.paint_notes();
    let hint = |text: &str| note(&format!("{} {text}", paint.good("hint:")));
    let line = |rest: String| format!("`{}`", session.command_line(&rest));
    match stop {
        Stop::Ended if run.summary.status == RunStatusDto::Completed => {}
        Stop::Ended => {
            note(&format!("{} {}", paint.bad("error:"), why_it_ended(run)));
            let commands = failed::Commands {
                retry: line(format!("runs retry {run_id}")),
                requests: line(format!("runs requests {run_id}")),
            };
            hint(&failed::how_to_go_on(run.summary.fault.as_ref(), denied, &commands));
            if let Some(command) = reproduce::of_run(session, run) {
                hint(&format!("do the failed attempt again, outside of the run, with `{command}`"));
            }
        }
        Stop::Gate { approval_id } => {
            note(&format!("{} the run waits at a gate: {approval_id}", paint.waiting("waiting:")));
            hint(&format!("look at it with {}", line(format!("approvals show {approval_id}"))));
            hint(&format!(
                "decide with {}, or with `reject`, `revise` or `edit` in its place",
                line(format!("approvals grant {approval_id}"))
            ));
        }
        Stop::Paused => {
            let why = run.summary.fault.as_ref().map_or_else(String::new, |fault| {
                format!(", for its retries are spent ({})", fault.error_code)
            });
            note(&format!("{} the run is paused{why}", paint.waiting("waiting:")));
            hint(&format!("let it go on with {}", line(format!("runs resume {run_id}"))));
        }
        Stop::BackingOff { until } => {
            let until = render::time(until);
            note(&format!(
                "{} the stage is tried again at {until}, and no server is there to do it",
                paint.waiting("waiting:")
            ));
            hint(&format!("have it go on with {}", line(format!("runs watch {run_id}"))));
        }
        Stop::Left => {
            let goes_on = if session.is_local() {
                "it goes on when it is watched or served again"
            } else {
                "it goes on at the server"
            };
            note(&format!("no longer following {run_id}: {goes_on}"));
            hint(&format!("come back with {}", line(format!("runs watch {run_id}"))));
        }
    }
}

/// The data of a run that was followed: where it is, what it took, and where its files lie.
fn say_result(session: &Session<'_>, run: &RunDto) {
    let paint = session.output.paint();
    let summary = &run.summary;
    let timing = &run.timing;
    let work_ms = timing.queue_ms + timing.work_ms + timing.model_wait_ms;
    let status = render::run_status(summary.status, paint);
    let of = render::counted(u64::from(summary.stage_count), "stage", "stages");
    let stages = format!("{} of {of}", summary.stages_done);
    session.output.line(&format!(
        "{}  {status}  {stages}  {}  {}",
        summary.run_id,
        render::duration(work_ms),
        render::usage(&run.usage)
    ));
    session.output.line(&format!("files: {}", session.config.run_dir(&summary.run_id).display()));
}

fn why_it_ended(run: &RunDto) -> String {
    let at = run.summary.current_stage.as_deref().unwrap_or("its end");
    match (&run.summary.fault, run.summary.status) {
        (Some(fault), _) => format!("the run failed at `{at}`: {}", render::fault(fault)),
        (None, RunStatusDto::Canceled) => "the run was canceled".to_owned(),
        (None, _) => format!("the run was rejected at `{at}`"),
    }
}
