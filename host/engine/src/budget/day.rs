//! What may be used up in a day (UTC), by runs and chats together.
//!
//! What was used is read from the store when the host starts, and when another day begins; from then on it is counted here,
//! because one process owns a data folder and all its calls come by. Whichever way the clock is set, the day that it shows
//! has what its records say. What open calls may still use is held until their records are durable,
//! so that calls at the same time do not go over a budget together. A call that would fit if the open ones used less than
//! was held waits for them.
//!
//! Invariant: what is used and what is held together are at most the budget, as far as prompts are estimated well.
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::Timestamp;
use domain::run::{BudgetBound, BudgetScope, BudgetUnit};
use gateway::Route;
use store::{CallAnswered, DaySpent, Store};
use tokio::sync::Notify;

use super::bound::Bound;
use super::{Amount, DayGrant, Quote, Refused, UNSAID_ANSWER_TOKENS};
use crate::{DayBudget, DayBudgets, Error};

const DAY_MS: i64 = 86_400_000;

/// Counts what days use.
pub(crate) struct DayLedger {
    store: Store,
    budgets: DayBudgets,
    state: Mutex<State>,
    /// Something that was held is free again.
    released: Notify,
    /// Held by whoever reads what another day has used.
    turning: tokio::sync::Mutex<()>,
}

struct State {
    /// Days since 1970.
    day: i64,
    used: Scoped,
    held: Scoped,
    /// What the log was told of this day.
    warned: HashSet<(BudgetScope, BudgetUnit)>,
    /// What was used of another day while its records are read. Some of it may be in both: rather too much than too little.
    meanwhile: Option<Scoped>,
}

/// An amount of all providers together, and of each.
#[derive(Default)]
struct Scoped {
    all: Amount,
    by_provider: HashMap<String, Amount>,
}

/// A question that is to be asked.
pub(crate) struct DayAsk<'a> {
    /// Who is to be asked, and who instead.
    pub(crate) routes: &'a [(Route, Quote)],
    /// Longest answer, in tokens, as far as anybody bounds it.
    pub(crate) max_tokens: Option<u32>,
    /// Tokens that the answer is not to be cut below; `None`: it may be cut.
    pub(crate) needed: Option<u32>,
    /// What the run was allowed on top of budgets, for itself only; nothing for a chat.
    pub(crate) grants: &'a [DayGrant],
}

/// What may be used by one call. Given back when it is dropped.
pub(crate) struct Hold {
    ledger: Arc<DayLedger>,
    all: Amount,
    by_provider: Vec<(String, Amount)>,
}

/// A question that may be asked.
pub(crate) struct Held {
    pub(crate) hold: Hold,
    /// Longest answer, in tokens.
    pub(crate) max_tokens: Option<u32>,
    /// Those of the routes that may be asked, by their place.
    pub(crate) routes: Vec<usize>,
}

enum NotHeld {
    Refused(Refused),
    /// It would fit, if open calls used less than is held for them.
    Busy(Refused),
}

impl DayLedger {
    /// With what the records say about today.
    pub(crate) async fn open(
        store: &Store,
        budgets: DayBudgets,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let used = match is_unbounded(&budgets) {
            true => Scoped::default(),
            false => Scoped::read(store, &budgets, now).await?,
        };
        let state = State {
            day: day(now),
            used,
            held: Scoped::default(),
            warned: HashSet::new(),
            meanwhile: None,
        };
        Ok(Self {
            store: store.clone(),
            budgets,
            state: Mutex::new(state),
            released: Notify::new(),
            turning: tokio::sync::Mutex::default(),
        })
    }

    /// Goes to the day of a time, be it a later or an earlier one, with what its records say.
    pub(crate) async fn turn_to(&self, now: Timestamp) {
        let today = day(now);
        if self.is_unbounded() || self.locked().day == today {
            return;
        }
        let _turning = self.turning.lock().await;
        {
            let mut state = self.locked();
            if state.day == today {
                return;
            }
            state.meanwhile = Some(Scoped::default());
        }
        let read = Scoped::read(&self.store, &self.budgets, now).await;
        let mut state = self.locked();
        let meanwhile = state.meanwhile.take().unwrap_or_default();
        match read {
            Ok(used) => {
                state.day = today;
                state.used = used;
                let by_provider: Vec<_> = meanwhile.by_provider.into_iter().collect();
                state.used.change(&meanwhile.all, &by_provider, Amount::plus);
                state.warned.clear();
            }
            // The bounds of the day before hold until the records can be read.
            Err(error) => {
                tracing::error!(%error, "what the day has used could not be read; trying again");
            }
        }
    }

    /// Whether there is nothing to look at.
    pub(crate) fn is_unbounded(&self) -> bool {
        is_unbounded(&self.budgets)
    }

    /// Waits until the question fits into what is left of the day, at most for a time, and holds what it may use.
    pub(crate) async fn hold(
        self: &Arc<Self>,
        ask: &DayAsk<'_>,
        now: impl Fn() -> Timestamp,
        time_max: Duration,
    ) -> Result<Held, Refused> {
        let waiting = async {
            loop {
                let released = self.released.notified();
                tokio::pin!(released);
                // From here on nothing that is released is missed.
                released.as_mut().enable();
                self.turn_to(now()).await;
                match self.try_hold(ask) {
                    Ok(held) => return Ok(held),
                    Err(NotHeld::Refused(refused)) => return Err(refused),
                    Err(NotHeld::Busy(_)) => released.await,
                }
            }
        };
        match tokio::time::timeout(time_max, waiting).await {
            Ok(outcome) => outcome,
            Err(_) => self.try_hold(ask).map_err(|not_held| match not_held {
                NotHeld::Refused(refused) | NotHeld::Busy(refused) => refused,
            }),
        }
    }

    fn try_hold(self: &Arc<Self>, ask: &DayAsk<'_>) -> Result<Held, NotHeld> {
        let mut state = self.locked();
        let bounds_of = |route: &Route| self.bounds(&state, &route.provider, ask.grants);
        let is_bound = |(route, quote): &(Route, Quote)| {
            bounds_of(route).iter().any(|bound| bound.room(quote, 0) != Ok(u64::MAX))
        };
        let is_bounded = ask.routes.iter().any(is_bound);
        let (route, quote) = ask.routes.first().expect("somebody is to be asked");
        let bounds = bounds_of(route);
        let mut max_tokens = ask.max_tokens.unwrap_or(UNSAID_ANSWER_TOKENS);
        let needed = ask.needed.map(|needed| needed.min(max_tokens));
        for bound in &bounds {
            let refused = |why| NotHeld::Refused(bound.refused(why, quote, route));
            let room = bound.uncut_room(quote, needed).map_err(refused)?;
            max_tokens = max_tokens.min(u32::try_from(room).unwrap_or(u32::MAX));
        }
        let held = |bound: &Bound| state.held.of(&bound.bound.scope).of(bound.bound.unit);
        let fits = |bound: &Bound, quote: &Quote| {
            let room = bound.room(quote, held(bound));
            room.is_ok_and(|room| room >= u64::from(max_tokens))
        };
        if let Some(bound) = bounds.iter().find(|bound| !fits(bound, quote)) {
            return Err(NotHeld::Busy(bound.refused_for_now(held(bound))));
        }
        let may_be_asked = |(idx, (route, quote)): &(usize, &(Route, Quote))| {
            *idx == 0 || bounds_of(route).iter().all(|bound| fits(bound, quote))
        };
        let asked: Vec<_> = ask.routes.iter().enumerate().filter(may_be_asked).collect();
        let mut hold =
            Hold { ledger: Arc::clone(self), all: Amount::default(), by_provider: Vec::new() };
        let routes = asked.iter().map(|(idx, _)| *idx).collect();
        for (_, (route, quote)) in asked {
            hold.cover(&route.provider, most(quote, max_tokens));
        }
        state.held.change(&hold.all, &hold.by_provider, Amount::plus);
        let max_tokens = if is_bounded { Some(max_tokens) } else { ask.max_tokens };
        Ok(Held { hold, max_tokens, routes })
    }

    /// Budgets of today that are nearly used up, with what a run was allowed on top.
    pub(crate) fn nearly_used(
        &self,
        provider: &str,
        grants: &[DayGrant],
        now: Timestamp,
    ) -> Vec<BudgetBound> {
        let Some(percent) = self.budgets.warn_percent.filter(|_| !self.is_unbounded()) else {
            return Vec::new();
        };
        let state = self.locked();
        if state.day != day(now) {
            return Vec::new();
        }
        let bounds = self.bounds(&state, provider, grants);
        let nearly_used = bounds.into_iter().filter(|bound| bound.is_nearly_used(percent));
        nearly_used.map(|bound| bound.bound).collect()
    }

    /// Counts what a call used, and says so in the log where a budget gets nearly used up by it.
    pub(crate) fn count(&self, answer: &CallAnswered) {
        let used = Amount::of_call(answer);
        let mut state = self.locked();
        let by_provider = [(answer.provider.clone(), used)];
        if day(answer.at) != state.day {
            // Whoever turns to that day reads it from the records.
            if let Some(meanwhile) = &mut state.meanwhile {
                meanwhile.change(&used, &by_provider, Amount::plus);
            }
            return;
        }
        state.used.change(&used, &by_provider, Amount::plus);
        let Some(percent) = self.budgets.warn_percent else { return };
        for bound in self.bounds(&state, &answer.provider, &[]) {
            let key = (bound.bound.scope.clone(), bound.bound.unit);
            if bound.is_nearly_used(percent) && state.warned.insert(key) {
                bound.say_nearly_used();
            }
        }
    }

    /// The bounds of a day for a provider, with what is used of them.
    fn bounds(&self, state: &State, provider: &str, grants: &[DayGrant]) -> Vec<Bound> {
        let mut bounds = Vec::new();
        let mut add = |budget: &DayBudget, scope: &BudgetScope, settings: &str| {
            let units = [
                (BudgetUnit::Tokens, "day_tokens", budget.tokens),
                (BudgetUnit::NanoUsd, "day_usd", budget.nano_usd),
            ];
            for (unit, setting, max) in units {
                let Some(base) = max else { continue };
                let max = DayGrant::raised(base, (scope, unit), state.day, grants);
                let used = state.used.of(scope).of(unit);
                let bound = BudgetBound { scope: scope.clone(), unit, max, used };
                bounds.push(Bound { bound, base, setting: format!("{settings}.{setting}") });
            }
        };
        add(&self.budgets.all, &BudgetScope::Day, "budgets");
        if let Some(budget) = self.budgets.by_provider.get(provider) {
            let scope = BudgetScope::ProviderDay { provider: provider.to_owned() };
            add(budget, &scope, &format!("budgets.providers.{provider}"));
        }
        bounds
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    /// Counts what the call used, now that its record is durable, and gives the rest back.
    pub(crate) fn settle(self, answer: &CallAnswered) {
        // First counted, then given back: in between there is too much rather than too little.
        self.ledger.count(answer);
    }

    /// One of several providers is asked in the end: for all together, the dearest counts.
    fn cover(&mut self, provider: &str, most: Amount) {
        self.all = self.all.larger(most);
        match self.by_provider.iter_mut().find(|(name, _)| name == provider) {
            Some((_, amount)) => *amount = amount.larger(most),
            None => self.by_provider.push((provider.to_owned(), most)),
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.ledger.locked().held.change(&self.all, &self.by_provider, Amount::minus);
        self.ledger.released.notify_waiters();
    }
}

impl Scoped {
    /// What the records of the day of a time say.
    async fn read(store: &Store, budgets: &DayBudgets, at: Timestamp) -> Result<Self, Error> {
        let mut used =
            Scoped { all: amount(store.spent_in_day(at, None).await?), ..Self::default() };
        for name in budgets.by_provider.keys() {
            let spent = store.spent_in_day(at, Some(name)).await?;
            used.by_provider.insert(name.clone(), amount(spent));
        }
        Ok(used)
    }

    fn of(&self, scope: &BudgetScope) -> Amount {
        match scope {
            BudgetScope::Day => self.all,
            BudgetScope::ProviderDay { provider } => {
                self.by_provider.get(provider).copied().unwrap_or_default()
            }
            BudgetScope::Stage | BudgetScope::Run => Amount::default(),
        }
    }

    fn change(
        &mut self,
        all: &Amount,
        by_provider: &[(String, Amount)],
        change: fn(Amount, Amount) -> Amount,
    ) {
        self.all = change(self.all, *all);
        for (provider, amount) in by_provider {
            let known = self.by_provider.entry(provider.clone()).or_default();
            *known = change(*known, *amount);
        }
    }
}

fn most(quote: &Quote, max_tokens: u32) -> Amount {
    let output = u64::from(max_tokens);
    Amount {
        tokens: quote.input_tokens.saturating_add(output),
        nano_usd: quote.nano_usd_of(output),
    }
}

fn is_unbounded(budgets: &DayBudgets) -> bool {
    let nothing = DayBudget::default();
    budgets.all == nothing && budgets.by_provider.values().all(|budget| *budget == nothing)
}

fn amount(spent: DaySpent) -> Amount {
    Amount { tokens: spent.tokens, nano_usd: spent.cost_nano_usd }
}

/// Days since 1970.
pub(super) fn day(at: Timestamp) -> i64 {
    at.as_unix_ms().div_euclid(DAY_MS)
}
