//! What a loop did, so that one sees that it did something.
use std::collections::BTreeMap;
use std::fmt;

/// Counts by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(BTreeMap<String, u64>);

/// Counts without which a loop proves nothing: one for so many kills. A slow machine does a third of what a fast one does
/// between two kills, and these are a third of that.
const LEAST: [(&str, u64); 16] = [
    ("runs", 10),
    ("ended: completed", 15),
    ("ended: canceled", 150),
    ("event: gate_granted", 10),
    ("event: gate_rejected", 100),
    ("event: gate_revised", 40),
    ("event: gate_grant_added", 60),
    ("event: artifacts_edited", 60),
    ("event: retry_due", 150),
    ("event: retries_spent", 1000),
    ("event: budget_gate_opened", 150),
    ("event: run_paused", 20),
    ("event: run_retried", 40),
    ("calls: asked", 2),
    ("calls: asked again after a kill", 30),
    ("commands: repeated after a kill", 10),
];

impl Tally {
    pub(crate) fn count(&mut self, what: impl Into<String>) {
        self.count_many(what, 1);
    }

    pub(crate) fn count_many(&mut self, what: impl Into<String>, number: u64) {
        *self.0.entry(what.into()).or_default() += number;
    }

    pub(crate) fn add(&mut self, other: &Tally) {
        for (what, number) in &other.0 {
            self.count_many(what, *number);
        }
    }

    /// What there is too little of, after this many kills.
    pub(crate) fn missing(&self, kills: u64) -> Vec<String> {
        let lacks = LEAST.iter().filter_map(|(what, per)| {
            let (found, least) = (self.0.get(*what).copied().unwrap_or(0), kills / per);
            (found < least).then(|| format!("{what}: {found}, not {least}"))
        });
        let killed = self.0.get("kills").copied().unwrap_or(0);
        let short = (killed < kills).then(|| format!("kills: {killed}, not {kills}"));
        lacks.chain(short).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, number) in &self.0 {
            writeln!(out, "{number:>8}  {what}")?;
        }
        Ok(())
    }
}
