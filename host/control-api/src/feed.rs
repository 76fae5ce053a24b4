//! One watcher of one run: what it has been sent, and what comes next.
//!
//! The log is what is sent; a subscription only says when to read it again, and brings what a model writes right now.
//! So a reader that is too slow for the live part misses pieces of text, and never an event. It holds up nobody,
//! because nobody waits for it: each feed keeps at most one batch of the log and some pieces of text.
//!
//! Invariants: the ids of the events sent are the versions `after + 1`, `after + 2` and so on, each once. A piece of an
//! answer comes after the event that began its stage and before the event of the answer, or not at all.
use std::collections::VecDeque;
use std::sync::Arc;

use axum::response::sse::Event as SseEvent;
use domain::RunId;
use domain::run::{Created, Event, Recorded};
use engine::{Engine, Live, Subscription};
use futures_util::FutureExt;
use futures_util::stream::{self, Stream};
use store::RunRow;
use tokio::sync::OwnedSemaphorePermit;

use crate::convert::event_dto;
use crate::dto::{EventKindDto, LiveDto, ProblemItemDto};
use crate::routes::runs::{commanded, created_of, run_row};
use crate::sse::json_event;
use crate::{ApiState, Problem};

/// Events of one read of the log: a few hundred KiB at most, since events carry no texts of artifacts.
const BATCH_COUNT_MAX: usize = 100;

/// Pieces of text that are held back while the log is read: what the engine's broadcast holds, twice. Older ones are
/// dropped; a client gets the whole answer from its record.
const HELD_BACK_COUNT_MAX: usize = 512;

/// A watcher.
pub(crate) struct Feed {
    engine: Engine,
    run: RunId,
    created: Arc<Created>,
    subscription: Subscription,
    /// Version of the last event that was read from the log.
    after: u64,
    /// Whether that event ended the run.
    ended: bool,
    /// Ready to be sent.
    waiting: VecDeque<SseEvent>,
    /// Live pieces that came while the log was read.
    held_back: VecDeque<LiveDto>,
    phase: Phase,
    _permit: OwnedSemaphorePermit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There may be more in the log.
    Reading,
    /// The log is read to its end; the subscription says when it has grown.
    Waiting,
    /// The last event is in `waiting`, or was sent.
    Closed,
}

impl Feed {
    /// A watcher that knows the events up to `after`. The subscription is older than the row.
    pub(crate) async fn open(
        state: &ApiState,
        subscription: Subscription,
        row: &RunRow,
        after: u64,
    ) -> Result<Self, Problem> {
        if after > row.version {
            let message = format!("{after}: the run has {} events", row.version);
            let hint = "start without it: it is of another run or another data folder";
            let item = ProblemItemDto::at("`Last-Event-ID` or `after`", message).with_hint(hint);
            return Err(Problem::invalid(vec![item]));
        }
        Ok(Self {
            engine: state.engine.clone(),
            run: row.id.clone(),
            created: created_of(&state.engine, &row.id).await?,
            subscription,
            after,
            ended: row.status.is_final() && after == row.version,
            waiting: VecDeque::new(),
            held_back: VecDeque::new(),
            phase: Phase::Reading,
            _permit: state.stream_permit()?,
        })
    }

    /// Everything, as it comes.
    pub(crate) fn into_stream(self) -> impl Stream<Item = SseEvent> + Send {
        stream::unfold(self, |mut feed| async move { Some((feed.next().await?, feed)) })
    }

    async fn next(&mut self) -> Option<SseEvent> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            match self.phase {
                Phase::Reading => self.read_log().await,
                Phase::Waiting => self.wait().await,
                Phase::Closed => return None,
            }
        }
    }

    async fn read_log(&mut self) {
        let batch = self.engine.store().events_after(&self.run, self.after, BATCH_COUNT_MAX).await;
        let heard = self.hold_back();
        match batch {
            Ok(batch) if !batch.is_empty() => {
                batch.iter().for_each(|recorded| self.take(recorded));
            }
            // It may have grown since it was read.
            Ok(_) if heard == Heard::Growth => {}
            Ok(_) if self.ended => self.close_after_end().await,
            Ok(_) => {
                let pieces = self.held_back.drain(..).map(|live| live_event(&live));
                self.waiting.extend(pieces);
                self.phase = if heard == Heard::Stop { Phase::Closed } else { Phase::Waiting };
            }
            Err(error) => {
                self.waiting.push_back(json_event("problem", &Problem::from(error).into_dto()));
                self.phase = Phase::Closed;
            }
        }
    }

    /// Takes what the subscription has, without waiting. The engine tells about pieces of an answer before it commits
    /// the answer, so after a read of the log the pieces of every answer in it are here.
    fn hold_back(&mut self) -> Heard {
        let mut heard = Heard::Nothing;
        loop {
            match self.subscription.next().now_or_never() {
                Some(Some(Live::Appended | Live::Lagged)) => heard = Heard::Growth,
                Some(Some(live)) => self.held_back.extend(LiveDto::shown(live)),
                Some(None) => return Heard::Stop,
                None => break,
            }
        }
        let surplus = self.held_back.len().saturating_sub(HELD_BACK_COUNT_MAX);
        self.held_back.drain(..surplus);
        heard
    }

    fn take(&mut self, recorded: &Recorded) {
        let dto = event_dto(recorded, &self.created.plan);
        if let EventKindDto::ModelAnswered { stage, attempt, ordinal, .. } = &dto.what {
            let question = (stage.as_str(), *attempt, *ordinal);
            let pieces = self.held_back.iter().filter(|live| live.question() == question);
            self.waiting.extend(pieces.map(live_event));
            self.held_back.retain(|live| live.question() != question);
        }
        let event = json_event(dto.what.as_str(), &dto).id(recorded.version.to_string());
        self.waiting.push_back(event);
        self.after = recorded.version;
        self.ended = ends_the_run(&recorded.event);
    }

    /// Says that the run has ended. A client that reconnects after this gets `end` again and nothing else.
    async fn close_after_end(&mut self) {
        let end = match run_row(&self.engine, &self.run).await {
            Ok(row) => json_event("end", &commanded(&self.run, row.status)),
            Err(problem) => json_event("problem", &problem.into_dto()),
        };
        self.waiting.push_back(end);
        self.phase = Phase::Closed;
    }

    async fn wait(&mut self) {
        match self.subscription.next().await {
            Some(Live::Appended | Live::Lagged) => self.phase = Phase::Reading,
            Some(live) => {
                let shown = LiveDto::shown(live);
                self.waiting.extend(shown.as_ref().map(live_event));
            }
            // The host shuts down. Without an `end`, clients know that it is worth to come back.
            None => self.phase = Phase::Closed,
        }
    }
}

/// What the subscription said besides pieces of text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    Nothing,
    /// The log has grown.
    Growth,
    /// The host shuts down.
    Stop,
}

fn live_event(live: &LiveDto) -> SseEvent {
    json_event(live.as_str(), live)
}

/// Whether a run is over with this event. A run goes on after it only if somebody retries it.
fn ends_the_run(event: &Event) -> bool {
    match event {
        Event::GateRejected { .. }
        | Event::RunCompleted
        | Event::RunFailed { .. }
        | Event::RunCanceled { .. } => true,
        Event::RunCreated(_)
        | Event::StageStarted { .. }
        | Event::ModelAnswered { .. }
        | Event::StageFinished { .. }
        | Event::StageFailed { .. }
        | Event::GateOpened { .. }
        | Event::BudgetWarned { .. }
        | Event::BudgetGateOpened { .. }
        | Event::GateGrantAdded { .. }
        | Event::ArtifactsEdited { .. }
        | Event::GateReminded { .. }
        | Event::GateEscalated { .. }
        | Event::GateGranted { .. }
        | Event::GateRevised { .. }
        | Event::RetryScheduled { .. }
        | Event::RetryDue { .. }
        | Event::RetriesSpent { .. }
        | Event::PauseRequested { .. }
        | Event::RunPaused
        | Event::RunResumed { .. }
        | Event::RunRetried { .. } => false,
    }
}
