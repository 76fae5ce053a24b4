//! Model calls: what the model was asked, held against what the database says about it.
use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::run::{CallOutcome, Event, Recorded};
use store::{CallFilter, CallOrigin, CallRow, CallStatus, Page, Store};

use crate::life::Lives;
use crate::tally::Tally;
use crate::workflows::TRIES;

/// Rows of one page.
const PAGE_ROW_COUNT: u32 = 200;
/// A call that was answered within this time, in milliseconds, was certainly read by whoever asked; far below the
/// limits of time after which the server gives up an answer that arrives.
const CERTAIN_MS: u64 = 1_000;

/// What is known of all calls of a round.
#[derive(Default)]
pub(crate) struct CallAudit {
    /// Requests that were looked at.
    read: usize,
    by_key: HashMap<String, KeySeen>,
    /// Calls with an outcome in the database, and the process that left it there.
    settled: HashMap<String, u64>,
}

/// The requests with one key.
#[derive(Default)]
struct KeySeen {
    /// `None`: it may be asked with any.
    body: Option<u64>,
    texts: Vec<String>,
    /// Requests of each process.
    processes: BTreeMap<u64, u64>,
    /// The last one, if it was answered.
    answered: Option<Answered>,
    /// What was done with each request, by which process.
    history: Vec<String>,
}

/// A request that the model had an answer to.
#[derive(Clone, Copy)]
struct Answered {
    number: usize,
    process: u64,
}

impl CallAudit {
    /// Looks at the requests that came since the last look.
    pub(crate) fn check_requests(
        &mut self,
        lives: &Lives,
        logs: &BTreeMap<String, Vec<Recorded>>,
        tally: &mut Tally,
    ) -> Result<(), String> {
        for asked in lives.provider.asked_since(self.read) {
            let (number, key) = (self.read, asked.key.clone());
            self.read += 1;
            tally.count("calls: asked");
            tally.count(format!("model: {}", asked.done));
            if !began(&key, logs) {
                return Err(format!("the model was asked {key:?}, which no log knows of"));
            }
            if let Some(process) = self.settled.get(&key) {
                let now = asked.process;
                return Err(format!(
                    "{key} had its outcome from process {process}, and was asked again by process {now}"
                ));
            }
            let seen = self.by_key.entry(key.clone()).or_default();
            seen.history.push(format!("{} to process {}", asked.done, asked.process));
            let history = seen.history.join(", ");
            if *seen.body.get_or_insert(asked.body) != asked.body {
                return Err(format!("{key} was asked with two bodies: {history}"));
            }
            if let Some(before) = seen.answered.filter(|before| before.process == asked.process)
                && was_read(lives, before.number)
            {
                return Err(format!(
                    "{key} was read, and asked again by the same process: {history}"
                ));
            }
            match (seen.processes.is_empty(), seen.processes.contains_key(&asked.process)) {
                (true, _) => {}
                (false, true) => tally.count("calls: tried again"),
                (false, false) => tally.count("calls: asked again after a kill"),
            }
            let count = seen.processes.entry(asked.process).or_default();
            *count += 1;
            if *count > TRIES {
                return Err(format!("{key} was asked {count} times by one process: {history}"));
            }
            seen.answered =
                asked.text.as_ref().map(|_| Answered { number, process: asked.process });
            seen.texts.extend(asked.text);
        }
        Ok(())
    }

    /// Looks at the calls that the database has of a run.
    pub(crate) async fn check_rows(
        &mut self,
        store: &Store,
        log: &[Recorded],
        run: &str,
        process: u64,
    ) -> Result<(), String> {
        let rows = rows_of(store, run).await?;
        let mut by_place: BTreeMap<(String, u32, u32), &CallRow> = BTreeMap::new();
        for row in &rows {
            let CallOrigin::Stage { stage, attempt, ordinal, .. } = &row.origin else { continue };
            let place = (stage.to_string(), *attempt, *ordinal);
            let key = format!("{run}/{stage}/{attempt}/{ordinal}");
            if by_place.insert(place, row).is_some() {
                return Err(format!("{key} has two rows"));
            }
            match row.status {
                CallStatus::Answered => self.check_answered(store, row, &key).await?,
                CallStatus::Failed => {}
                CallStatus::Open | CallStatus::Canceled => {
                    if self.settled.contains_key(&key) {
                        return Err(format!("{key} had an outcome, and is {:?}", row.status));
                    }
                    continue;
                }
            }
            self.settled.entry(key).or_insert(process);
        }
        check_noted(log, run, &by_place)
    }

    /// The text that is kept is one that the model gave to this question.
    async fn check_answered(&self, store: &Store, row: &CallRow, key: &str) -> Result<(), String> {
        if self.settled.contains_key(key) {
            return Ok(());
        }
        let detail = store.call(&row.call).await.map_err(|error| format!("{key}: {error}"))?;
        let kept = detail.and_then(|detail| detail.answer).map(|answer| answer.content);
        let texts = self.by_key.get(key).map(|seen| &*seen.texts).unwrap_or_default();
        match kept {
            Some(kept) if texts.contains(&kept) => Ok(()),
            kept => Err(format!("{key} is answered with {kept:?}; the model said {texts:?}")),
        }
    }

    /// The log was cut on purpose: calls may be asked again, and differently.
    pub(crate) fn begin_anew(&mut self, lives: &Lives) {
        self.read += lives.provider.asked_since(self.read).len();
        self.settled.clear();
        for seen in self.by_key.values_mut() {
            let texts = std::mem::take(&mut seen.texts);
            *seen = KeySeen { texts, ..KeySeen::default() };
        }
    }
}

/// Whether whoever asked has certainly read the answer to this request.
fn was_read(lives: &Lives, number: usize) -> bool {
    let answered_ms = lives.provider.server.answered_after_ms(number);
    answered_ms.is_some_and(|time_ms| time_ms < CERTAIN_MS)
}

/// Whether the log says that the attempt was begun which asks with this key.
fn began(key: &str, logs: &BTreeMap<String, Vec<Recorded>>) -> bool {
    let parts: Vec<&str> = key.split('/').collect();
    let [run, stage, attempt, _] = parts.as_slice() else { return false };
    let Some(log) = logs.get(*run) else { return false };
    let Some(Event::RunCreated(created)) = log.first().map(|first| &first.event) else {
        return false;
    };
    log.iter().any(|recorded| {
        let Event::StageStarted { stage: position, attempt: number } = &recorded.event else {
            return false;
        };
        let planned = created.plan.stage(*position);
        planned.is_some_and(|planned| planned.key.as_str() == *stage)
            && number.to_string() == **attempt
    })
}

async fn rows_of(store: &Store, run: &str) -> Result<Vec<CallRow>, String> {
    let mut rows = Vec::new();
    let mut page = Page::first(PAGE_ROW_COUNT);
    let filter = CallFilter { run: run.parse().ok(), ..CallFilter::default() };
    loop {
        let listed = store.calls(filter.clone(), page.clone()).await;
        let listed = listed.map_err(|error| format!("the calls of {run}: {error}"))?;
        rows.extend(listed.items);
        match listed.next_cursor {
            Some(cursor) => page.cursor = Some(cursor),
            None => return Ok(rows),
        }
    }
}

/// The log names each outcome once, and its row says the same.
fn check_noted(
    log: &[Recorded],
    run: &str,
    rows: &BTreeMap<(String, u32, u32), &CallRow>,
) -> Result<(), String> {
    let Some(Event::RunCreated(created)) = log.first().map(|first| &first.event) else {
        return Err(format!("{run} was never created"));
    };
    let mut noted = BTreeSet::new();
    for recorded in log {
        let Event::ModelAnswered { stage, attempt, ordinal, call, outcome } = &recorded.event
        else {
            continue;
        };
        let key = created.plan.stage(*stage).map(|planned| planned.key.to_string());
        let place = (key.unwrap_or_default(), *attempt, *ordinal);
        let wanted = match outcome {
            CallOutcome::Answered { .. } => CallStatus::Answered,
            CallOutcome::Failed { .. } => CallStatus::Failed,
        };
        let row = rows.get(&place);
        if row.is_none_or(|row| row.status != wanted || row.call != *call) {
            return Err(format!("{run}: the log says {outcome:?} of {place:?}, its row {row:?}"));
        }
        if !noted.insert(place.clone()) {
            return Err(format!("{run}: the log names {place:?} twice"));
        }
    }
    Ok(())
}
