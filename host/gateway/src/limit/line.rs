//! Who waits for a place, in the order of arrival, and what they wait for. Pure: the caller brings the time.
//!
//! Invariant: whenever the first of the line might have become able to enter for another reason than time, it is woken.
use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::NoPlace;
use super::window::{Charge, WINDOW, Window};
use crate::config::Limits;

const REQUESTS: &str = "requests_per_minute";
const TOKENS: &str = "tokens_per_minute";
const CONCURRENCY: &str = "concurrent_calls_max";

/// The limits, what counts against them, and who waits.
#[derive(Debug)]
pub(super) struct Line {
    limits: Limits,
    window: Window,
    open: u32,
    /// Their numbers ascend.
    waiters: VecDeque<Waiter>,
    next_number: u64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    tokens: u64,
    turn: Arc<Notify>,
}

/// What came of a look at one of the line.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It has its place.
    Entered(Charge),
    /// It has none, and has left the line.
    Refused(NoPlace),
    /// It waits, and is to be looked at again then, or when it is woken.
    Wait(Instant),
}

impl Line {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            window: Window::default(),
            open: 0,
            waiters: VecDeque::new(),
            next_number: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> u32 {
        u32::try_from(self.waiters.len()).unwrap_or(u32::MAX)
    }

    #[cfg(test)]
    pub(super) fn open(&self) -> u32 {
        self.open
    }

    /// Enters past an empty line.
    pub(super) fn enter_at_once(&mut self, tokens: u64, now: Instant) -> Option<Charge> {
        self.window.forget(now);
        (self.waiters.is_empty() && self.fits(tokens)).then(|| self.take(tokens, now))
    }

    /// Refuses who can certainly not enter in time. Certain is what has been used and not only reserved, and that those
    /// ahead will enter; whether they finish or give back tokens nobody knows.
    pub(super) fn refuse_if_hopeless(
        &self,
        tokens: u64,
        now: Instant,
        until: Instant,
    ) -> Result<(), NoPlace> {
        self.refuse_if_never(tokens)?;
        let ahead = self.waiters.len() as u64;
        match self.earliest_behind(ahead, tokens, now) {
            Some(obstacle) if obstacle.free_at.is_some_and(|free_at| free_at > until) => {
                Err(obstacle.no_place(now))
            }
            // Who has no time at all does not stand in line.
            _ if until <= now => Err(self.late(tokens, now)),
            _ => Ok(()),
        }
    }

    /// Goes to the end of the line; the number is what it is called by.
    pub(super) fn join(&mut self, tokens: u64, turn: Arc<Notify>) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.waiters.push_back(Waiter { number, tokens, turn });
        number
    }

    /// Looks whether one of the line can enter.
    pub(super) fn step(&mut self, number: u64, now: Instant, until: Instant) -> Outcome {
        self.window.forget(now);
        let idx =
            self.position(number).expect("who asks stands in the line until it is told to leave");
        let tokens = self.waiters[idx].tokens;
        let is_first = idx == 0;
        if is_first && self.fits(tokens) {
            let charge = self.take(tokens, now);
            self.give_up(number);
            return Outcome::Entered(charge);
        }
        if now >= until {
            let refused = self.late(tokens, now);
            self.give_up(number);
            return Outcome::Refused(refused);
        }
        // Who is not the first is woken when it is.
        let free_at = self.obstacle(tokens).filter(|_| is_first).and_then(|first| first.free_at);
        Outcome::Wait(free_at.unwrap_or(until))
    }

    /// Leaves the line, if it still stands there.
    pub(super) fn give_up(&mut self, number: u64) {
        if let Some(idx) = self.position(number) {
            self.waiters.remove(idx);
            if idx == 0 {
                self.wake_first();
            }
        }
    }

    pub(super) fn reconcile(&mut self, charge: &Charge, used_tokens: u64, now: Instant) {
        if self.counts_by_the_minute() {
            self.window.reconcile(charge, used_tokens, now);
            self.wake_first();
        }
    }

    pub(super) fn renew(&mut self, charge: &mut Charge, now: Instant) {
        if self.counts_by_the_minute() {
            self.window.renew(charge, now);
        }
    }

    pub(super) fn give_back(&mut self, charge: &Charge, now: Instant) {
        if self.counts_by_the_minute() {
            self.window.give_back(charge, now);
            self.wake_first();
        }
    }

    /// Frees a place; a charge that was not reconciled stays.
    pub(super) fn leave(&mut self, charge: Option<&Charge>) {
        if let Some(charge) = charge {
            self.window.keep(charge);
        }
        self.open -= 1;
        self.wake_first();
    }

    fn fits(&self, tokens: u64) -> bool {
        let Limits { requests_per_minute, tokens_per_minute, concurrent_calls_max } = self.limits;
        requests_per_minute.is_none_or(|max| self.window.requests() < u64::from(max))
            && tokens_per_minute
                .is_none_or(|max| self.window.tokens().saturating_add(tokens) <= max)
            && concurrent_calls_max.is_none_or(|max| self.open < max)
    }

    fn take(&mut self, tokens: u64, now: Instant) -> Charge {
        self.open += 1;
        if self.counts_by_the_minute() {
            self.window.reserve(tokens, now)
        } else {
            Charge::default()
        }
    }

    fn counts_by_the_minute(&self) -> bool {
        self.limits.requests_per_minute.is_some() || self.limits.tokens_per_minute.is_some()
    }

    fn refuse_if_never(&self, tokens: u64) -> Result<(), NoPlace> {
        let needs = [
            (REQUESTS, self.limits.requests_per_minute.map(u64::from), 1),
            (TOKENS, self.limits.tokens_per_minute, tokens),
            (CONCURRENCY, self.limits.concurrent_calls_max.map(u64::from), 1),
        ];
        for (setting, limit, asked) in needs {
            if let Some(limit) = limit.filter(|limit| asked > *limit) {
                return Err(NoPlace { setting, limit, asked, wait: None });
            }
        }
        Ok(())
    }

    /// What keeps somebody with so many ahead back longest, and until when at the least. Neither number of a limit is
    /// smaller than what is asked for here.
    fn earliest_behind(&self, ahead: u64, tokens: u64, now: Instant) -> Option<Obstacle> {
        let requests = self.limits.requests_per_minute.and_then(|max| {
            let limit = u64::from(max);
            // The request after `limit` others comes a whole window after the first of them.
            let windows = u32::try_from(ahead / limit).unwrap_or(u32::MAX);
            let free_at = self.window.requests_down_to(limit - (ahead % limit + 1));
            if free_at.is_none() && windows == 0 {
                return None;
            }
            let free_at = Some(free_at.unwrap_or(now) + WINDOW * windows);
            Some(Obstacle { setting: REQUESTS, limit, asked: 1, free_at })
        });
        let tokens = self.limits.tokens_per_minute.and_then(|limit| {
            let free_at = Some(self.window.used_tokens_down_to(limit - tokens)?);
            Some(Obstacle { setting: TOKENS, limit, asked: tokens, free_at })
        });
        requests.into_iter().chain(tokens).max_by_key(|obstacle| obstacle.free_at)
    }

    /// What is in the way of the first of the line as things stand.
    fn obstacle(&self, tokens: u64) -> Option<Obstacle> {
        let Limits { requests_per_minute, tokens_per_minute, concurrent_calls_max } = self.limits;
        if let Some(max) = concurrent_calls_max.filter(|max| self.open >= *max) {
            let limit = u64::from(max);
            return Some(Obstacle { setting: CONCURRENCY, limit, asked: 1, free_at: None });
        }
        let requests = requests_per_minute.and_then(|max| {
            let limit = u64::from(max);
            let free_at = Some(self.window.requests_down_to(limit.saturating_sub(1))?);
            Some(Obstacle { setting: REQUESTS, limit, asked: 1, free_at })
        });
        let tokens = tokens_per_minute.and_then(|limit| {
            let free_at = Some(self.window.tokens_down_to(limit.saturating_sub(tokens))?);
            Some(Obstacle { setting: TOKENS, limit, asked: tokens, free_at })
        });
        requests.into_iter().chain(tokens).max_by_key(|obstacle| obstacle.free_at)
    }

    /// Why somebody whose time is over did not get in: for what it needs, or for what the first of the line needs.
    fn late(&self, tokens: u64, now: Instant) -> NoPlace {
        let first = self.waiters.front().map(|first| first.tokens);
        let obstacle = self.obstacle(tokens).or_else(|| self.obstacle(first?));
        // Without an obstacle there is a place, and the first of the line was only not yet there to take it.
        let turn = || Obstacle { setting: CONCURRENCY, limit: u64::MAX, asked: 1, free_at: None };
        obstacle.unwrap_or_else(turn).no_place(now)
    }

    fn position(&self, number: u64) -> Option<usize> {
        self.waiters.binary_search_by_key(&number, |waiter| waiter.number).ok()
    }

    fn wake_first(&self) {
        if let Some(first) = self.waiters.front() {
            first.turn.notify_one();
        }
    }
}

/// A limit that is reached.
struct Obstacle {
    setting: &'static str,
    limit: u64,
    asked: u64,
    /// `None`: only others can make room.
    free_at: Option<Instant>,
}

impl Obstacle {
    fn no_place(self, now: Instant) -> NoPlace {
        let Self { setting, limit, asked, free_at } = self;
        NoPlace { setting, limit, asked, wait: free_at.map(|free_at| free_at - now) }
    }
}
