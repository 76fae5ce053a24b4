//! Whether a question may be asked: who is asked, and how long the answer may be.
use std::time::Duration;

use domain::model::{ModelError, ModelErrorKind, ModelRequest};
use domain::plan::{ModelAlternative, ModelChoice, OnBudgetExceeded};
use domain::run::BudgetBound;
use gateway::Route;
use tokio::time::Instant;

use super::{Asking, Attempted};
use crate::budget::{DayAsk, Held, Hold, Quote, Refused, UNSAID_ANSWER_TOKENS};

/// A question that may be asked.
pub(super) struct Admitted {
    pub(super) route: Route,
    pub(super) alternatives: Vec<Route>,
    pub(super) max_tokens: Option<u32>,
    /// Longest time for the call, without what was waited for a place within the budgets of the day.
    pub(super) time_max: Duration,
    /// What the call may use of the day. `None`: days are not bounded.
    pub(super) hold: Option<Hold>,
}

/// Why a question is not asked.
pub(super) enum NotAdmitted {
    /// The stage is told.
    Refused(ModelError),
    /// A person is asked whether the budget may be used up once more.
    Gate(BudgetBound),
}

impl Attempted {
    pub(super) async fn admitted(
        &self,
        asking: &Asking,
        request: &ModelRequest,
    ) -> Result<Admitted, NotAdmitted> {
        let route = self.first_route().map_err(NotAdmitted::Refused)?;
        let other = |ModelAlternative { provider, model }: &ModelAlternative| Route {
            provider: provider.clone(),
            model: model.clone(),
        };
        let alternatives: Vec<Route> = self.choice.alternatives.iter().map(other).collect();
        let max_tokens = request.options.max_tokens;
        let days = &self.engine.days;
        if asking.budget.is_unbounded() && days.is_unbounded() {
            let time_max = self.call_time_max();
            return Ok(Admitted { route, alternatives, max_tokens, time_max, hold: None });
        }
        let admitted = self.within_budgets(asking, request, route, alternatives).await;
        admitted.map_err(|refused| match (refused, asking.budget.on_exceeded) {
            // Nothing once more is nothing: no grant would ever be enough.
            (Refused::Exceeded { bound, .. }, OnBudgetExceeded::Ask) if bound.max > 0 => {
                NotAdmitted::Gate(bound)
            }
            (
                refused @ Refused::Exceeded { .. },
                OnBudgetExceeded::Ask | OnBudgetExceeded::Stop,
            )
            | (refused @ Refused::Unpriced(_), _) => NotAdmitted::Refused(refused.into()),
        })
    }

    fn first_route(&self) -> Result<Route, ModelError> {
        let ModelChoice { provider, model, .. } = &self.choice;
        self.engine.parts.gateway.route(provider, Some(model)).map_err(|unknown| {
            let message = format!(
                "the run is bound to a provider that is not configured any more: {unknown}"
            );
            ModelError { kind: ModelErrorKind::Unavailable, message }
        })
    }

    async fn within_budgets(
        &self,
        asking: &Asking,
        request: &ModelRequest,
        route: Route,
        alternatives: Vec<Route>,
    ) -> Result<Admitted, Refused> {
        let gateway = &self.engine.parts.gateway;
        let counted = request.clone();
        let input =
            self.engine.blocking(move |inner| inner.parts.gateway.count_tokens(&counted)).await;
        let quote = Quote::of(gateway, &route, input);
        let mut max_tokens = asking.budget.admit(&route, &quote, request.options.max_tokens)?;
        let mut routes = vec![(route, quote)];
        // Nobody is asked there; the gateway says so in the record.
        let mut unknown = Vec::new();
        for other in alternatives {
            if gateway.route(&other.provider, Some(&other.model)).is_err() {
                unknown.push(other);
                continue;
            }
            let quote = Quote::of(gateway, &other, input);
            let Ok(its_max) = asking.budget.admit(&other, &quote, max_tokens) else {
                self.left_out(&other);
                continue;
            };
            // A dearer one must not shorten the answers of the first to next to nothing.
            if its_max != max_tokens && its_max < Some(UNSAID_ANSWER_TOKENS) {
                self.left_out(&other);
                continue;
            }
            max_tokens = its_max;
            routes.push((other, quote));
        }
        let needed = asking.budget.needed(request.options.max_tokens);
        let admitted = self.within_days(asking, routes, (max_tokens, needed)).await?;
        Ok(Admitted { alternatives: [admitted.alternatives, unknown].concat(), ..admitted })
    }

    async fn within_days(
        &self,
        asking: &Asking,
        routes: Vec<(Route, Quote)>,
        (max_tokens, needed): (Option<u32>, Option<u32>),
    ) -> Result<Admitted, Refused> {
        let days = &self.engine.days;
        let begun = Instant::now();
        let (held, max_tokens) = if days.is_unbounded() {
            (None, max_tokens)
        } else {
            let grants = asking.budget.day_grants();
            let ask = DayAsk { routes: &routes, max_tokens, needed, grants };
            let now = || self.engine.parts.clock.now();
            let Held { hold, max_tokens, routes } =
                days.hold(&ask, now, self.call_time_max()).await?;
            (Some((hold, routes)), max_tokens)
        };
        let (hold, may_be_asked) = held.unzip();
        let mut asked = Vec::with_capacity(routes.len());
        for (idx, (route, _)) in routes.into_iter().enumerate() {
            if may_be_asked.as_ref().is_none_or(|may: &Vec<usize>| may.contains(&idx)) {
                asked.push(route);
            } else {
                self.left_out(&route);
            }
        }
        let route = asked.remove(0);
        let time_max = self.call_time_max().saturating_sub(begun.elapsed());
        Ok(Admitted { route, alternatives: asked, max_tokens, time_max, hold })
    }

    fn left_out(&self, route: &Route) {
        let Route { provider, model } = route;
        tracing::info!(run.id = %self.cell.id, stage = %self.key, "no budget is left for `{model}` at `{provider}`: it is not asked instead");
    }
}
