//! What was measured, and how it is told.
use std::fmt;
use std::time::Duration;

/// Times of one kind, sorted.
pub(crate) struct Spread {
    what: String,
    times: Vec<Duration>,
}

impl Spread {
    pub(crate) fn of(what: impl Into<String>, mut times: Vec<Duration>) -> Self {
        times.sort();
        Self { what: what.into(), times }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.times.len() - 1;
        let at = |percent: usize| self.times[last * percent / 100].as_secs_f64() * 1000.0;
        write!(
            out,
            "{:<56} median {:7.2} ms   min {:7.2}   p90 {:7.2}   p99 {:7.2}   max {:7.2}   n {}",
            self.what,
            at(50),
            at(0),
            at(90),
            at(99),
            at(100),
            self.times.len()
        )
    }
}
