//! The runs that somebody works on or watches, in memory. A run that only waits has no entry: ten thousand runs at
//! gates cost nothing here.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use domain::run::{Command, Created, Effect, Event, Recorded, Run};
use domain::{RunId, StageIdx, Timestamp};
use store::{Append, Beside, Store};
use tokio::sync::{MutexGuard, broadcast};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::live::{LIVE_COUNT_MAX, Live};

/// Events that are read from the log at a time when a run is replayed.
const REPLAY_PAGE: usize = 1_000;

type Cells = Arc<Mutex<HashMap<RunId, Weak<RunCell>>>>;

/// Finds the cell of a run. A cell lives as long as somebody holds it.
#[derive(Default)]
pub(crate) struct Registry {
    cells: Cells,
}

impl Registry {
    pub(crate) fn cell(&self, id: &RunId) -> Arc<RunCell> {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = cells.get(id).and_then(Weak::upgrade) {
            return cell;
        }
        let cell = Arc::new(RunCell {
            id: id.clone(),
            state: tokio::sync::Mutex::new(Slot::default()),
            live: broadcast::Sender::new(LIVE_COUNT_MAX),
            gone: CancellationToken::new(),
            cells: Arc::clone(&self.cells),
        });
        cells.insert(id.clone(), Arc::downgrade(&cell));
        cell
    }

    /// Forgets a cell whose run was removed: should the run come back, it gets another one.
    pub(crate) fn forget(&self, cell: &Arc<RunCell>) {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        if cells.get(&cell.id).is_some_and(|known| known.as_ptr() == Arc::as_ptr(cell)) {
            cells.remove(&cell.id);
        }
    }

    /// Runs that have a cell: for tests that look for leaks.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// One run in memory: whoever wants to change it takes the lock of `state`, so that commands on one run follow one
/// another.
pub(crate) struct RunCell {
    pub(crate) id: RunId,
    state: tokio::sync::Mutex<Slot>,
    pub(crate) live: broadcast::Sender<Live>,
    /// The run was removed.
    pub(crate) gone: CancellationToken,
    cells: Cells,
}

impl Drop for RunCell {
    fn drop(&mut self) {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have made a new cell for the run between the last release and this line.
        if cells.get(&self.id).is_some_and(|cell| cell.strong_count() == 0) {
            cells.remove(&self.id);
        }
    }
}

/// What the lock of a cell guards.
#[derive(Default)]
pub(crate) struct Slot {
    /// The run as of its last event; `None` until somebody needs it, and while an append is under way: if that append
    /// is given up, the next one reads the log again and finds what is true.
    loaded: Option<Loaded>,
    /// Whether a task carries the run out.
    pub(crate) is_driven: bool,
    /// Stops the attempt that is running.
    pub(crate) stop: CancellationToken,
    /// The attempt that this process has just begun, until it is run for the first time: it cannot have asked before.
    begun: Option<(StageIdx, u32)>,
}

struct Loaded {
    run: Run,
    version: u64,
}

/// Whether an attempt may begin at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// The start of the stage that comes next goes into the same append as what made it possible.
    ForOne,
    /// Whoever drives the run waits for its turn.
    None,
}

/// The run, locked.
pub(crate) struct Locked<'a> {
    pub(crate) slot: MutexGuard<'a, Slot>,
    cell: &'a RunCell,
    store: &'a Store,
}

impl RunCell {
    pub(crate) async fn lock<'a>(&'a self, store: &'a Store) -> Locked<'a> {
        Locked { slot: self.state.lock().await, cell: self, store }
    }
}

impl Locked<'_> {
    /// The run as of its last event.
    pub(crate) async fn run(&mut self) -> Result<&Run, Error> {
        let loaded = self.load().await?;
        Ok(&self.slot.loaded.insert(loaded).run)
    }

    /// Decides and appends. Gives what was appended: nothing if there was nothing to do.
    pub(crate) async fn commit(
        &mut self,
        command: Command,
        beside: Vec<Beside>,
        at: Timestamp,
        room: Room,
    ) -> Result<Vec<Recorded>, Error> {
        let Loaded { run, version } = self.load().await?;
        let events = match run.decide(command) {
            Ok(events) => events,
            Err(refusal) => {
                self.slot.loaded = Some(Loaded { run, version });
                return Err(Error::Refused { run: self.cell.id.clone(), refusal });
            }
        };
        if events.is_empty() {
            self.slot.loaded = Some(Loaded { run, version });
            return Ok(Vec::new());
        }
        let events = with_start(&run, events, room);
        self.append(Loaded { run, version }, events, beside, at).await
    }

    /// Appends the first event of a run.
    pub(crate) async fn create(
        &mut self,
        created: Arc<Created>,
        beside: Vec<Beside>,
        at: Timestamp,
        room: Room,
    ) -> Result<Vec<Recorded>, Error> {
        let run = Run::create(self.cell.id.clone(), Arc::clone(&created));
        let events = with_start(&run, vec![Event::RunCreated(created)], room);
        self.append(Loaded { run, version: 0 }, events, beside, at).await
    }

    async fn append(
        &mut self,
        Loaded { mut run, version }: Loaded,
        events: Vec<Event>,
        beside: Vec<Beside>,
        at: Timestamp,
    ) -> Result<Vec<Recorded>, Error> {
        let id = self.cell.id.clone();
        let append = Append { run: id, expected_version: version, at, events, beside };
        let recorded = self.store.append(append).await?;
        for recorded in &recorded {
            run.apply(&recorded.event);
            if let Event::StageStarted { stage, attempt } = &recorded.event {
                self.slot.begun = Some((*stage, *attempt));
            }
        }
        let version = recorded.last().map_or(version, |last| last.version);
        self.slot.loaded = Some(Loaded { run, version });
        // Nobody may be watching; that is no error.
        self.cell.live.send(Live::Appended).ok();
        Ok(recorded)
    }

    /// Whether an attempt was begun by this process and never run; true at most once.
    pub(crate) fn take_begun(&mut self, stage: StageIdx, attempt: u32) -> bool {
        self.slot.begun.take() == Some((stage, attempt))
    }

    /// Forgets the run, which was removed. Whoever waits for the lock finds none.
    pub(crate) fn empty(&mut self) {
        self.slot.loaded = None;
    }

    /// Takes the run out of the slot, or reads its log.
    async fn load(&mut self) -> Result<Loaded, Error> {
        if let Some(loaded) = self.slot.loaded.take() {
            return Ok(loaded);
        }
        let id = &self.cell.id;
        let mut first = self.store.events_after(id, 0, REPLAY_PAGE).await?;
        let mut read = first.len();
        let mut version = first.last().map_or(0, |last| last.version);
        let events = first.drain(..).map(|recorded| recorded.event).collect::<Vec<_>>();
        let mut run =
            Run::replay(id.clone(), &events).ok_or_else(|| Error::UnknownRun(id.clone()))?;
        while read == REPLAY_PAGE {
            let page = self.store.events_after(id, version, REPLAY_PAGE).await?;
            read = page.len();
            version = page.last().map_or(version, |last| last.version);
            page.iter().for_each(|recorded| run.apply(&recorded.event));
        }
        Ok(Loaded { run, version })
    }
}

/// The events, and behind them the start of the stage that they make possible, where there is room for it.
fn with_start(run: &Run, mut events: Vec<Event>, room: Room) -> Vec<Event> {
    match room {
        Room::None => {}
        Room::ForOne => {
            let mut after = run.clone();
            events.iter().for_each(|event| after.apply(event));
            if let Some(Effect::StartStage { stage }) = after.next_effect() {
                let started = after.decide(Command::StartStage { stage });
                events.extend(started.expect("a run may do what it wants to do"));
            }
        }
    }
    events
}
