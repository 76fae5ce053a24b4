//! What clients were told. Whatever they were told has to hold after each kill.
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Something that a client wants of the server. It is repeated, word by word, after a crash that ate the answer.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    /// Tells it from all others of its round.
    pub(crate) number: u64,
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) key: Option<String>,
    pub(crate) what: What,
}

/// What is wanted.
#[derive(Debug, Clone)]
pub(crate) enum What {
    Start,
    Pause { run: String, actor: String },
    Resume { run: String, actor: String },
    Cancel { run: String, actor: String },
    Retry { run: String, actor: String },
    Decide { run: String, approval: String, verdict: &'static str, actor: String, comment: String },
}

impl What {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            What::Start => "start",
            What::Pause { .. } => "pause",
            What::Resume { .. } => "resume",
            What::Cancel { .. } => "cancel",
            What::Retry { .. } => "retry",
            What::Decide { verdict, .. } => verdict,
        }
    }
}

/// What is known of a run from outside.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) mode: String,
    pub(crate) ended: bool,
    /// How often it was started again after an end.
    pub(crate) retries: u32,
    /// Its events by their versions.
    pub(crate) events: BTreeMap<u64, Value>,
}

impl Known {
    /// The version up to which nothing is missing.
    pub(crate) fn seen_to(&self) -> u64 {
        let whole = (1..).zip(self.events.keys()).take_while(|(wanted, found)| wanted == *found);
        whole.count() as u64
    }
}

/// All clients' memory.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    pub(crate) runs: BTreeMap<String, Known>,
    /// Runs that events were seen of in this life.
    pub(crate) fresh: BTreeSet<String>,
    /// Runs by the idempotency keys that started them.
    pub(crate) started: BTreeMap<String, String>,
    /// Sent, and not answered yet.
    pub(crate) open: Vec<Wish>,
    /// Sent in an earlier life, and never answered.
    pub(crate) unanswered: Vec<Wish>,
    /// Answered with success, and not looked up in the log yet.
    pub(crate) acknowledged: Vec<What>,
    /// What must not be.
    pub(crate) findings: Vec<String>,
    pub(crate) start_count: u64,
    pub(crate) word_count: u64,
}

impl Witness {
    /// A number that nothing else of this round has.
    pub(crate) fn next_word(&mut self) -> u64 {
        self.word_count += 1;
        self.word_count
    }

    /// Notes an event that a client was shown. Shown again, it has to be the same.
    pub(crate) fn note_event(&mut self, run: &str, event: Value) {
        let Some(version) = event["version"].as_u64() else {
            self.findings.push(format!("an event of {run} has no version: {event}"));
            return;
        };
        let known = self.runs.entry(run.to_owned()).or_default();
        match known.events.get(&version) {
            Some(first) if *first != event => {
                let words = format!("event {version} of {run} was {first} and is {event}");
                self.findings.push(words);
            }
            Some(_) => {}
            None => {
                known.events.insert(version, event);
                self.fresh.insert(run.to_owned());
            }
        }
    }

    /// Notes a run that was started under a key. The same key gives the same run.
    pub(crate) fn note_started(&mut self, key: &str, run: &str, mode: &str) {
        let first = self.started.entry(key.to_owned()).or_insert_with(|| run.to_owned());
        if *first != run {
            self.findings.push(format!("the key {key} started {first}, and then {run}"));
        }
        self.runs.entry(run.to_owned()).or_default().mode = mode.to_owned();
    }

    /// The server is gone: what it did not answer is to be repeated.
    pub(crate) fn lose_open(&mut self) {
        let open = std::mem::take(&mut self.open);
        self.unanswered.extend(open);
    }

    /// Forgets what was told, because the log was cut on purpose. The runs that are left are known by their names.
    pub(crate) fn begin_anew(&mut self, left: &BTreeSet<String>) {
        self.runs.retain(|run, _| left.contains(run));
        self.started.retain(|_, run| left.contains(run));
        for known in self.runs.values_mut() {
            known.events.clear();
            known.ended = false;
        }
        for run in left {
            self.runs.entry(run.clone()).or_default();
        }
        self.fresh.clear();
        self.acknowledged.clear();
        self.unanswered.retain(|wish| matches!(wish.what, What::Start));
    }
}
