//! What was let through in the last 60 seconds, in bounded memory. Pure: the caller brings the time, and calls in its
//! order.
//!
//! Entries that came within [`SLICE`] are kept as one that is as young as its youngest: it is forgotten a little late,
//! never early.
//!
//! Invariant: the sums are those of the slices, and a slice is forgotten only when all of it is at least [`WINDOW`] old.
use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The time that "per minute" speaks of.
pub(super) const WINDOW: Duration = Duration::from_secs(60);

/// Entries this near to each other are forgotten together. 100 ms make at most some 600 slices of 56 bytes, and cost at
/// most a six-hundredth of what the limit would let through.
const SLICE: Duration = Duration::from_millis(100);

/// What was counted for one place, and where.
#[derive(Debug, Default)]
pub(super) struct Charge {
    slice: u64,
    tokens: u64,
}

/// The log.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Oldest first; their numbers follow each other without a gap.
    slices: VecDeque<Slice>,
    /// Number of the first slice.
    first_number: u64,
    requests: u64,
    tokens: u64,
}

#[derive(Debug)]
struct Slice {
    began: Instant,
    youngest: Instant,
    requests: u64,
    tokens: u64,
    /// Those of `tokens` that are only reserved, and may yet be given back.
    reserved: u64,
}

impl Window {
    /// Forgets what is too old to count.
    pub(super) fn forget(&mut self, now: Instant) {
        while let Some(oldest) = self.slices.front() {
            if oldest.youngest + WINDOW > now {
                return;
            }
            self.requests -= oldest.requests;
            self.tokens = self.tokens.saturating_sub(oldest.tokens);
            self.slices.pop_front();
            self.first_number += 1;
        }
    }

    /// Requests that count.
    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    /// Tokens that count, reserved ones included.
    pub(super) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Counts one request and its tokens.
    pub(super) fn reserve(&mut self, tokens: u64, now: Instant) -> Charge {
        self.requests += 1;
        let slice = self.slice_at(now);
        slice.requests += 1;
        slice.reserved = slice.reserved.saturating_add(tokens);
        self.count_tokens(tokens);
        Charge { slice: self.newest_number(), tokens }
    }

    /// What was reserved is not given back any more.
    pub(super) fn keep(&mut self, charge: &Charge) {
        if let Some(slice) = self.slice(charge.slice) {
            slice.reserved = slice.reserved.saturating_sub(charge.tokens);
        }
    }

    /// Counts what was really used instead of what was reserved.
    pub(super) fn reconcile(&mut self, charge: &Charge, used_tokens: u64, now: Instant) {
        self.keep(charge);
        if used_tokens > charge.tokens {
            self.slice_at(now);
            self.count_tokens(used_tokens - charge.tokens);
        } else if let Some(slice) = self.slice(charge.slice) {
            let refund = charge.tokens - used_tokens;
            slice.tokens = slice.tokens.saturating_sub(refund);
            self.tokens = self.tokens.saturating_sub(refund);
        }
    }

    /// Takes everything back that was counted.
    pub(super) fn give_back(&mut self, charge: &Charge, now: Instant) {
        self.reconcile(charge, 0, now);
        if let Some(slice) = self.slice(charge.slice) {
            slice.requests -= 1;
            self.requests -= 1;
        }
    }

    /// Counts from now on what was counted earlier.
    pub(super) fn renew(&mut self, charge: &mut Charge, now: Instant) {
        self.give_back(charge, now);
        *charge = self.reserve(charge.tokens, now);
    }

    /// When at most `count` requests of the log still count; `None`: they do already.
    pub(super) fn requests_down_to(&self, count: u64) -> Option<Instant> {
        self.down_to(self.requests, count, |slice| slice.requests)
    }

    /// When at most `count` tokens of the log still count, if nothing is given back.
    pub(super) fn tokens_down_to(&self, count: u64) -> Option<Instant> {
        self.down_to(self.tokens, count, |slice| slice.tokens)
    }

    /// When at most `count` tokens of the log still count, if all that is only reserved is given back at once. There can
    /// be no place earlier than that.
    pub(super) fn used_tokens_down_to(&self, count: u64) -> Option<Instant> {
        let used = |slice: &Slice| slice.tokens.saturating_sub(slice.reserved);
        let sum = self.slices.iter().fold(0_u64, |sum, slice| sum.saturating_add(used(slice)));
        self.down_to(sum, count, used)
    }

    fn down_to(&self, sum: u64, count: u64, of: impl Fn(&Slice) -> u64) -> Option<Instant> {
        let mut left = sum;
        let mut slices = self.slices.iter();
        let mut free_at = None;
        while left > count {
            let slice = slices.next()?;
            left = left.saturating_sub(of(slice));
            free_at = Some(slice.youngest + WINDOW);
        }
        free_at
    }

    fn count_tokens(&mut self, tokens: u64) {
        let newest = self.slices.back_mut().expect("who counts has made a slice before");
        newest.tokens = newest.tokens.saturating_add(tokens);
        self.tokens = self.tokens.saturating_add(tokens);
    }

    fn slice_at(&mut self, now: Instant) -> &mut Slice {
        let is_near = |newest: &Slice| now.saturating_duration_since(newest.began) < SLICE;
        if !self.slices.back().is_some_and(is_near) {
            self.slices.push_back(Slice {
                began: now,
                youngest: now,
                requests: 0,
                tokens: 0,
                reserved: 0,
            });
        }
        let newest = self.slices.back_mut().expect("there is one, or it was made above");
        newest.youngest = newest.youngest.max(now);
        newest
    }

    fn newest_number(&self) -> u64 {
        self.first_number + self.slices.len() as u64 - 1
    }

    /// `None`: it has been forgotten.
    fn slice(&mut self, number: u64) -> Option<&mut Slice> {
        let idx = number.checked_sub(self.first_number)?;
        self.slices.get_mut(usize::try_from(idx).ok()?)
    }

    #[cfg(test)]
    pub(super) fn slice_count(&self) -> usize {
        self.slices.len()
    }
}
