//! What has to hold after each kill, read from the database as the killed process left it.
//!
//! Each check opens a copy: the write-ahead log that the process left is for the next process to recover.
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use domain::RunId;
use domain::run::{Command, Decision, Event, Recorded, Run, Verdict};
use store::{Page, RunFilter, RunRow, Store};
use tempfile::TempDir;

use crate::calls::CallAudit;
use crate::life::Lives;
use crate::support::Server;
use crate::tally::Tally;
use crate::witness::{What, Witness};

/// The files of the database that are one moment of it.
const DATABASE_FILES: [&str; 2] = ["stagewright.db", "stagewright.db-wal"];
/// Rows of one page.
const PAGE_ROW_COUNT: u32 = 200;
/// Faults that nothing in these workflows explains.
const UNEXPLAINED: [&str; 6] = [
    "replay_diverged",
    "host_failure",
    "plugin_trapped",
    "plugin_not_loadable",
    "artifact_set_invalid",
    "output_not_json",
];

/// A copy of a database, open.
pub(crate) struct Copy {
    pub(crate) store: Store,
    _folder: TempDir,
}

impl Copy {
    pub(crate) fn of(data: &Path) -> Result<Copy, String> {
        let folder = TempDir::new().expect("a temporary folder");
        for name in DATABASE_FILES {
            let from = data.join(name);
            if from.exists() {
                std::fs::copy(&from, folder.path().join(name)).expect("a copy");
            }
        }
        let store = Store::open(folder.path());
        let store = store.map_err(|error| format!("the database cannot be opened: {error}"))?;
        Ok(Copy { store, _folder: folder })
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        self.store.close();
    }
}

/// Which runs are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Those that may have changed.
    Changed,
    /// All of them.
    All,
}

/// Everything that was found in the database before, against which the next look is held.
#[derive(Default)]
pub(crate) struct Audit {
    pub(crate) logs: BTreeMap<String, Vec<Recorded>>,
    calls: CallAudit,
}

impl Audit {
    /// Checks the database against its own log, against the database of the kill before, against what clients were told,
    /// and against what the model was asked.
    pub(crate) async fn check(
        &mut self,
        store: &Store,
        lives: &Lives,
        process: u64,
        depth: Depth,
    ) -> Result<(), String> {
        let rows = all_runs(store).await?;
        let mut looked_at = BTreeSet::new();
        for row in &rows {
            let known = self.logs.get(row.id.as_str());
            let is_known = known.is_some_and(|log| log.len() as u64 == row.version);
            if !is_known || depth == Depth::All {
                let log = check_log(store, row, known).await?;
                self.logs.insert(row.id.to_string(), log);
            }
            if !is_known || depth == Depth::All || !row.status.is_final() {
                looked_at.insert(row.id.to_string());
            }
        }
        if let Some(lost) =
            self.logs.keys().find(|run| rows.iter().all(|row| row.id.as_str() != **run))
        {
            return Err(format!("{lost} is gone"));
        }
        check_places(&self.logs)?;
        let mut tally = Tally::default();
        self.calls.check_requests(lives, &self.logs, &mut tally)?;
        for run in &looked_at {
            self.calls.check_rows(store, &self.logs[run], run, process).await?;
        }
        lives.tally.lock().expect("nobody panics while it is held").add(&tally);
        let mut witness = lives.witness.lock().expect("nobody panics while it is held");
        self.check_told(&mut witness)
    }

    /// Every event that a client saw is there, every acknowledged command too, every started run exists.
    fn check_told(&self, witness: &mut Witness) -> Result<(), String> {
        for run in &witness.fresh {
            let log = self.logs.get(run).map(Vec::as_slice).unwrap_or_default();
            for (version, seen) in &witness.runs[run].events {
                let kept = usize::try_from(version - 1).ok().and_then(|place| log.get(place));
                let is_same = kept.is_some_and(|kept| {
                    seen["kind"] == kept.event.kind() && seen["seq"] == kept.seq
                });
                if !is_same {
                    return Err(format!("a client saw {seen} of {run}; the log has {kept:?}"));
                }
            }
        }
        if let Some((key, run)) =
            witness.started.iter().find(|(_, run)| !self.logs.contains_key(*run))
        {
            return Err(format!("{run}, which {key} started, is gone"));
        }
        for what in witness.acknowledged.drain(..) {
            if !is_kept(&what, &self.logs) {
                return Err(format!("the acknowledged {what:?} is not in the log"));
            }
        }
        Ok(())
    }

    /// The log was cut on purpose: it has to be a beginning of what it was, and everything else holds only from here on.
    pub(crate) async fn begin_anew(&mut self, store: &Store, lives: &Lives) -> Result<(), String> {
        let mut cut = BTreeMap::new();
        for row in all_runs(store).await? {
            let log = check_log(store, &row, None).await?;
            cut.insert(row.id.to_string(), log);
        }
        let seq_max = cut.values().flatten().map(|recorded| recorded.seq).max().unwrap_or(0);
        let mut beginning = self.logs.clone();
        for log in beginning.values_mut() {
            log.retain(|recorded| recorded.seq <= seq_max);
        }
        beginning.retain(|_, log| !log.is_empty());
        if beginning != cut {
            return Err(format!(
                "what is left up to event {seq_max} is no beginning of what was there"
            ));
        }
        let left = cut.keys().cloned().collect();
        self.logs = cut;
        self.calls.begin_anew(lives);
        lives.witness.lock().expect("nobody panics while it is held").begin_anew(&left);
        Ok(())
    }

    /// Counts what happened to all runs.
    pub(crate) fn count(&self, tally: &mut Tally) {
        for log in self.logs.values() {
            tally.count("runs");
            for recorded in log {
                tally.count(format!("event: {}", recorded.event.kind()));
            }
            let created = log.first().map(|first| &first.event);
            if let Some(Event::RunCreated(created)) = created {
                tally.count(format!("mode: {}", created.plan.effective_mode));
            }
        }
    }
}

/// All runs, page by page.
pub(crate) async fn all_runs(store: &Store) -> Result<Vec<RunRow>, String> {
    let mut rows = Vec::new();
    let mut page = Page::first(PAGE_ROW_COUNT);
    loop {
        let listed = store.runs(RunFilter::default(), page.clone()).await;
        let listed = listed.map_err(|error| format!("the runs cannot be read: {error}"))?;
        rows.extend(listed.items);
        match listed.next_cursor {
            Some(cursor) => page.cursor = Some(cursor),
            None => return Ok(rows),
        }
    }
}

/// The log of a run: without a gap, a continuation of what it was, and what its projections say.
async fn check_log(
    store: &Store,
    row: &RunRow,
    known: Option<&Vec<Recorded>>,
) -> Result<Vec<Recorded>, String> {
    let run = &row.id;
    let log = store.events_after(run, 0, usize::MAX).await;
    let log = log.map_err(|error| format!("the log of {run} cannot be read: {error}"))?;
    let is_whole = (1..).zip(&log).all(|(version, recorded)| recorded.version == version);
    if !is_whole || log.len() as u64 != row.version {
        let versions: Vec<u64> = log.iter().map(|recorded| recorded.version).collect();
        return Err(format!("{run} has the versions {versions:?}, and {} by its row", row.version));
    }
    if !log.iter().is_sorted_by(|one, next| one.seq < next.seq) {
        return Err(format!("the events of {run} are out of order"));
    }
    if let Some(known) = known
        && !log.starts_with(known)
    {
        let place = known.iter().zip(&log).take_while(|(was, is)| was == is).count();
        let (was, is) = (known.get(place), log.get(place));
        return Err(format!("event {} of {run} was {was:?} and is {is:?}", place + 1));
    }
    match store.projections_equal_replay(run).await {
        Ok(Ok(())) => {}
        Ok(Err(difference)) => {
            return Err(format!("{run} does not equal its replay: {difference}"));
        }
        Err(error) => return Err(format!("{run} cannot be replayed: {error}")),
    }
    check_decisions(run, &log)?;
    check_faults(run, &log)?;
    Ok(log)
}

/// Each question was decided at most once.
fn check_decisions(run: &RunId, log: &[Recorded]) -> Result<(), String> {
    let mut decided = BTreeSet::new();
    for recorded in log {
        if let Event::GateGranted { approval, .. }
        | Event::GateRejected { approval, .. }
        | Event::GateRevised { approval, .. } = &recorded.event
            && !decided.insert(approval)
        {
            return Err(format!("{approval} of {run} was decided twice"));
        }
    }
    Ok(())
}

fn check_faults(run: &RunId, log: &[Recorded]) -> Result<(), String> {
    for recorded in log {
        if let Event::StageFailed { fault, .. } | Event::RunFailed { fault, .. } = &recorded.event
            && UNEXPLAINED.contains(&fault.kind.code())
        {
            return Err(format!("{run} has a fault that nothing explains: {fault:?}"));
        }
    }
    Ok(())
}

/// No two events have one place in the log of the folder.
fn check_places(logs: &BTreeMap<String, Vec<Recorded>>) -> Result<(), String> {
    let mut places = BTreeSet::new();
    for recorded in logs.values().flatten() {
        if !places.insert(recorded.seq) {
            return Err(format!("two events have the place {}", recorded.seq));
        }
    }
    Ok(())
}

/// Whether a command that was answered with success is in the log, or had nothing to do at some moment of it.
fn is_kept(what: &What, logs: &BTreeMap<String, Vec<Recorded>>) -> bool {
    let (run, command) = match what {
        // That the run is there was looked at by its key.
        What::Start => return true,
        What::Pause { run, actor } => (run, Some(Command::Pause { actor: actor.clone() })),
        What::Resume { run, actor } => (run, Some(Command::Resume { actor: actor.clone() })),
        What::Cancel { run, actor } => {
            (run, Some(Command::Cancel { actor: actor.clone(), reason: None }))
        }
        // A retry always does something.
        What::Retry { run, .. } => (run, None),
        What::Decide { run, approval, verdict, actor, comment } => {
            let (actor, comment) = (actor.clone(), Some(comment.clone()));
            let verdict = match *verdict {
                "grant" => Verdict::Granted,
                "reject" => Verdict::Rejected,
                _ => Verdict::Revised,
            };
            let command = Command::DecideGate {
                approval: approval.parse().expect("the server gave it"),
                verdict,
                decision: Decision { actor, comment },
                groups: vec!["editors".to_owned()],
                content_hash: None,
                edit: None,
            };
            (run, Some(command))
        }
    };
    let Some(log) = logs.get(run) else { return false };
    log.iter().any(|recorded| is_of(&recorded.event, what))
        || command.is_some_and(|command| has_nothing_to_do(&command, log))
}

/// Whether an event came of this command.
fn is_of(event: &Event, what: &What) -> bool {
    match what {
        What::Start => false,
        What::Pause { actor: by, .. } => {
            matches!(event, Event::PauseRequested { actor } if actor == by)
        }
        What::Resume { actor: by, .. } => {
            matches!(event, Event::RunResumed { actor } if actor == by)
        }
        What::Cancel { actor: by, .. } => {
            matches!(event, Event::RunCanceled { actor, .. } if actor == by)
        }
        What::Retry { actor: by, .. } => {
            matches!(event, Event::RunRetried { actor, .. } if actor == by)
        }
        What::Decide { comment, .. } => matches!(
            event,
            Event::GateGrantAdded { decision, .. }
            | Event::GateGranted { decision, .. }
            | Event::GateRejected { decision, .. }
            | Event::GateRevised { decision, .. } if decision.comment.as_ref() == Some(comment)
        ),
    }
}

/// Whether there was a moment at which the command was accepted and changed nothing.
fn has_nothing_to_do(command: &Command, log: &[Recorded]) -> bool {
    let Some(Event::RunCreated(created)) = log.first().map(|first| &first.event) else {
        return false;
    };
    let id: RunId = "run_00000000000000000000000000000000".parse().expect("it has the form");
    let mut run = Run::create(id, created.clone());
    log.iter().any(|recorded| {
        run.apply(&recorded.event);
        run.decide(command.clone()).is_ok_and(|events| events.is_empty())
    })
}

/// After a restart the server tells each client the same again.
pub(crate) async fn still_told(lives: &Lives, server: &Server) -> Result<(), String> {
    let scene = lives.scene(server);
    let fresh = std::mem::take(&mut scene.witness().fresh);
    for run in fresh {
        let events = scene.client.events(&run, 0).await;
        let events = events.map_err(|_| "the server ended by itself".to_owned())?;
        let mut witness = scene.witness();
        let told = witness.runs[&run].events.keys().next_back().copied().unwrap_or(0);
        if told > events.len() as u64 {
            return Err(format!("{run} had {told} events, and has {}", events.len()));
        }
        for event in events {
            witness.note_event(&run, event);
        }
        witness.fresh.remove(&run);
    }
    let witness = scene.witness();
    match witness.findings.is_empty() {
        true => Ok(()),
        false => Err(witness.findings.join("\n")),
    }
}
