//! One route: leave of the breaker, a place within the limits, a try, and the wait before the next.
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use domain::model::{ModelError, ModelErrorKind};
use domain::port::BoxFuture;
use tokio::time::{Instant, sleep};

use super::line::{Line, OpenRequest, Waiting};
use super::routes::Failed;
use super::{Call, in_ms, usage};
use crate::breaker::{Admission, Open};
use crate::limit::{Limiter, NoPlace, Place};
use crate::question::{BreakerState, Delta, Listener};
use crate::server::{Again, Server, Try, TryFailed, random_wait};
use crate::tokens;

/// Tokens that are reserved for an answer whose length nobody bounds: two pages. What it really has is counted after.
const ANSWER_TOKENS_RESERVED: u64 = 1_024;

/// How often a place is renewed whose holder waits for another: a few times within the minute that it counts.
const PLACE_RENEWED_AFTER: Duration = Duration::from_secs(20);

/// What a request holds while it is answered.
pub(super) struct OpenTry {
    line: Arc<Line>,
    admission: Admission,
    places: Places,
    since: Instant,
    /// Requests that were sent before.
    request_count_before: u32,
    _open: OpenRequest,
}

/// Places within the limits of a model and of its provider. Dropped, they stay counted as reserved.
#[derive(Default)]
struct Places([Option<Place>; 2]);

/// Places for a question that is not sent yet. Dropped, they are given back as if they had never been taken.
#[derive(Default)]
struct Reserved(Places);

/// Hears that a model begins to answer a probe, so that nobody else is kept away until the end of a long answer.
struct Probing<'a> {
    listener: &'a dyn Listener,
    line: &'a Line,
    admission: &'a Admission,
}

impl Listener for Probing<'_> {
    fn hear(&self, delta: Delta) {
        self.line.begun(self.admission);
        self.listener.hear(delta);
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        self.listener.ready()
    }
}

impl Call<'_> {
    /// Asks, and asks again what may be asked again.
    pub(super) async fn ask_server(
        &mut self,
        server: &Server,
        until: Instant,
    ) -> Result<(), Failed> {
        let mut failed_tries = 0;
        loop {
            self.enter(server, until).await?;
            let TryFailed { error, again } = match self.try_once(server).await {
                Ok(()) => return Ok(()),
                Err(failed) => failed,
            };
            let Again::After(asked) = again else { return Err(self.failed(error)) };
            failed_tries += 1;
            if failed_tries >= server.bounds.tries_max {
                return Err(self.failed(error));
            }
            // A wait of nothing, or until a date that is past, asks for no hurry: nobody would ever ease a busy server.
            let asked = asked.filter(|asked| !asked.is_zero());
            let wait = asked.unwrap_or_else(|| random_wait(server.bounds.retry_wait, failed_tries));
            self.wait_after(error, wait, until).await?;
        }
    }

    /// Waits until the model may be asked once more.
    async fn enter(&mut self, server: &Server, until: Instant) -> Result<(), Failed> {
        if until <= Instant::now() {
            let error = self.out_of_time("could not be asked");
            return Err(self.failed(error));
        }
        let mut admission = self.admitted()?;
        let mut reserved = Reserved::default();
        if self.line.is_limited {
            drop(admission);
            self.reserve(server, &mut reserved, until).await?;
            // The model may have failed while this waited, as many others may have.
            admission = self.admitted()?;
        }
        self.open = Some(OpenTry {
            line: Arc::clone(&self.line),
            admission,
            places: std::mem::take(&mut reserved.0),
            since: Instant::now(),
            request_count_before: self.answer.request_count,
            _open: OpenRequest::new(&self.line),
        });
        Ok(())
    }

    fn admitted(&self) -> Result<Admission, Failed> {
        self.line.admit().map_err(|open| self.failed(self.left_alone(&open)))
    }

    async fn reserve(
        &mut self,
        server: &Server,
        reserved: &mut Reserved,
        until: Instant,
    ) -> Result<(), Failed> {
        let token_count = self.reserved_tokens(server);
        let line = Arc::clone(&self.line);
        let waiting = Waiting::new(&line);
        self.queued_since = Some(Instant::now());
        let entered = reserved.enter(&line.limiters, token_count, until).await;
        drop(waiting);
        self.count_queue();
        entered.map_err(|no_place| self.without_place(&no_place))
    }

    /// What the question and its answer will have, about. By size: the tokenizer would take milliseconds, and the real
    /// numbers are known soon enough.
    fn reserved_tokens(&self, server: &Server) -> u64 {
        let Some(tokens_max) = self.line.tokens_max else { return 0 };
        let request = &self.question.request;
        let prompt = tokens::estimate_by_size(request, "", "").input_tokens.unwrap_or(0);
        let told_max = request.options.max_tokens.or(server.default_tokens_max());
        match told_max {
            Some(answer) => prompt.saturating_add(u64::from(answer)),
            // A guess must not make impossible what may well fit.
            None => prompt.saturating_add(ANSWER_TOKENS_RESERVED).min(tokens_max.max(prompt)),
        }
    }

    async fn try_once(&mut self, server: &Server) -> Result<(), TryFailed> {
        let open = self.open.as_ref().expect("it was entered before the try");
        let (line, admission) = (&*open.line, &open.admission);
        let probing = Probing { listener: self.listener, line, admission };
        let asked = Try {
            model: &self.route.model,
            request: &self.question.request,
            idempotency_key: &self.question.idempotency_key,
            listener: if admission.is_probe() { &probing } else { self.listener },
        };
        let outcome = server.try_once(&asked, &mut self.answer).await;
        let open = self.open.take().expect("it was entered before the try");
        open.count_tries(self.answer.request_count);
        let used = usage::used_by_size(&self.came()).total_tokens();
        // Who did not accept the request has used nothing for it.
        let used_if_accepted =
            if self.answer.accepted || self.answer.has_begun() { used } else { 0 };
        match &outcome {
            Ok(()) => open.answered(used),
            Err(TryFailed { error, .. }) => match error.kind {
                ModelErrorKind::Timeout => open.failed(&error.message, used),
                ModelErrorKind::Unavailable => open.failed(&error.message, used_if_accepted),
                _ => open.ended(used_if_accepted),
            },
        }
        outcome
    }

    /// Waits before another try, or tells the error if there is none.
    async fn wait_after(
        &mut self,
        error: ModelError,
        wait: Duration,
        until: Instant,
    ) -> Result<(), Failed> {
        let is_left_alone = matches!(self.line.breaker_state(), BreakerState::Open { .. });
        // A wait that cannot end in a try is no use to anybody.
        let is_too_long = wait >= until.saturating_duration_since(Instant::now());
        if is_left_alone || is_too_long {
            // Where the provider's own bound is the shorter one, nobody can wait longer.
            self.too_long_wait =
                Some(wait).filter(|_| is_too_long && !is_left_alone && until == self.deadline);
            return Err(self.failed(error));
        }
        tracing::debug!(
            provider = self.route.provider,
            wait_ms = in_ms(wait),
            cause = error.kind.code(),
            "provider `{}` is asked again",
            self.route.provider
        );
        self.listener.hear(Delta::Retrying {
            try_number: self.answer.request_count + 1,
            wait_ms: in_ms(wait),
            cause: error.message.clone(),
        });
        self.last_failure = Some(error.message);
        sleep(wait).await;
        Ok(())
    }

    fn left_alone(&self, open: &Open) -> ModelError {
        let Open { retry_in, open_for, cause } = open;
        let what = format!(
            "is not asked for `{}`, which has failed too often and has been left alone for \
             {} s (the last failure: {cause})",
            self.route.model,
            open_for.as_millis().div_ceil(1_000),
        );
        let cure = format!("it is tried again in {} s", retry_in.as_millis().div_ceil(1_000));
        self.error(ModelErrorKind::Unavailable, &what, &cure)
    }

    fn without_place(&mut self, no_place: &NoPlace) -> Failed {
        let NoPlace { setting, limit, asked, wait } = no_place;
        let (kind, cure) = if asked > limit {
            let cure = format!("raise `{setting}`, or ask for a shorter answer with `max_tokens`");
            (ModelErrorKind::Rejected, cure)
        } else {
            self.too_long_wait = Some(wait.unwrap_or_default());
            let cure = format!("try again later, raise `{setting}`, or give the call more time");
            (ModelErrorKind::RateLimited { retry_after_ms: wait.map(in_ms) }, cure)
        };
        let what = format!("was not asked for `{}`, because {no_place}", self.route.model);
        let error = self.error(kind, &what, &cure);
        // Somebody else may have other limits.
        Failed { error, falls_back: true }
    }
}

impl OpenTry {
    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// How many requests there were in this try, of all that there were.
    pub(super) fn count_tries(&self, request_count: u32) {
        let count = request_count.saturating_sub(self.request_count_before);
        self.line.meters.count_tries(count);
    }

    /// The model answered. `used`: tokens, about.
    fn answered(self, used: u64) {
        self.line.answered(self.admission);
        self.places.reconcile(used);
    }

    /// The model failed.
    pub(super) fn failed(self, cause: &str, used: u64) {
        self.line.failed(self.admission, cause);
        self.places.reconcile(used);
    }

    /// It ended in a way that says nothing about the model.
    pub(super) fn ended(self, used: u64) {
        self.places.reconcile(used);
    }
}

impl Places {
    fn reconcile(self, used: u64) {
        self.0.into_iter().flatten().for_each(|mut place| place.reconcile(used));
    }
}

impl Reserved {
    /// Takes a place of the model and then one of its provider.
    async fn enter(
        &mut self,
        [of_model, of_provider]: &[Arc<Limiter>; 2],
        tokens: u64,
        until: Instant,
    ) -> Result<(), NoPlace> {
        let Places([first, second]) = &mut self.0;
        let first = first.insert(of_model.enter(tokens, until).await?);
        let mut entering = pin!(of_provider.enter(tokens, until));
        let entered = loop {
            tokio::select! {
                biased;
                entered = &mut entering => break entered?,
                () = sleep(PLACE_RENEWED_AFTER) => first.renew(),
            }
        };
        *second = Some(entered);
        // The question is sent now, so that its minute begins now.
        first.renew();
        Ok(())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let places = std::mem::take(&mut self.0);
        places.0.into_iter().flatten().for_each(Place::give_back);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_place_of_the_model_counts_from_when_the_provider_has_one_too() {
        for wait_s in [50, 150] {
            let one_a_minute = Limits { requests_per_minute: Some(1), ..Limits::default() };
            let one_at_once = Limits { concurrent_calls_max: Some(1), ..Limits::default() };
            let limiters = [Limiter::new(one_a_minute), Limiter::new(one_at_once)];
            let [of_model, of_provider] = &limiters;
            let until = Instant::now() + 1_000 * SECOND;
            let held = of_provider.enter(0, until).await.unwrap();
            let mut reserved = Reserved::default();
            let (entered, ()) = tokio::join!(reserved.enter(&limiters, 7, until), async {
                for _ in 0..wait_s / 10 {
                    sleep(10 * SECOND).await;
                    // Nobody else gets the model's place meanwhile, however long that takes.
                    of_model.enter(7, Instant::now()).await.unwrap_err();
                }
                drop(held);
            });
            entered.unwrap();
            sleep(59 * SECOND).await;
            let refused = of_model.enter(7, Instant::now()).await.unwrap_err();
            assert!(refused.wait.is_some_and(|wait| wait <= SECOND), "{refused:?}");
            drop(reserved);
            of_model.enter(7, Instant::now()).await.unwrap();
        }
    }
}
