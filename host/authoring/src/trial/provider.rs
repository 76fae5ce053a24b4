//! Questions of a trial, asked of a provider through the gateway, as a run asks them.
//!
//! A question passes the gateway's limits, tries and breaker. It is in no journal and in no records; its cost is counted
//! here alone, for as long as the trial lasts.
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::model::{Completion, ModelError, ModelErrorKind, ModelRequest};
use domain::port::{AnswerStream, AskError, BoxFuture, ModelPort};
use domain::{Fault, FaultKind};
use gateway::{Answered, Caching, Delta, Gateway, Question, Route};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::Error;

/// What a trial may spend. `None`: not bounded.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spending {
    /// Tokens, input and output.
    pub token_count_max: Option<u64>,
    /// Billionths of a US dollar.
    pub nano_usd_max: Option<u64>,
}

/// The gateway with the writer that is part of the program: it needs no key and no network, and is no language model.
///
/// # Errors
/// [`Error::Gateway`] if it cannot be opened.
pub fn scripted_writer() -> Result<Gateway, Error> {
    let providers = vec![gateway::Provider::scripted()];
    let config = gateway::Config { providers, ..gateway::Config::default() };
    Gateway::open(config).map_err(Error::Gateway)
}

/// Asks one model of a provider.
pub struct ProviderModels(Arc<Asking>);

struct Asking {
    gateway: Gateway,
    route: Route,
    call_time_max: Duration,
    spending: Spending,
    /// Names the trial to providers that do not do the same work twice.
    trial: String,
    ordinal: AtomicU32,
    spent: Mutex<Spent>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    tokens: u64,
    nano_usd: u64,
}

impl ProviderModels {
    /// Asks this model, each question for at most `call_time_max`. `trial` is another text for each trial.
    pub fn new(
        gateway: Gateway,
        route: Route,
        call_time_max: Duration,
        spending: Spending,
        trial: String,
    ) -> ProviderModels {
        let (ordinal, spent) = (AtomicU32::new(1), Mutex::default());
        let asking = Asking { gateway, route, call_time_max, spending, trial, ordinal, spent };
        ProviderModels(Arc::new(asking))
    }
}

impl Asking {
    fn question(&self, request: ModelRequest, stop: CancellationToken) -> Question {
        // Questions of a trial come one after another, so that nothing is ordered by this count.
        let ordinal = self.ordinal.fetch_add(1, Ordering::Relaxed);
        Question {
            route: self.route.clone(),
            alternatives: Vec::new(),
            request: Arc::new(request),
            time_max: self.call_time_max,
            idempotency_key: format!("{}/{ordinal}", self.trial),
            caching: Caching::Off,
            stop,
        }
    }

    /// Refuses a question once the trial has spent what it may. The question that passes the bound is let through: how
    /// long an answer is nobody knows before.
    fn check_spending(&self) -> Result<(), AskError> {
        let spent = *self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let Spending { token_count_max, nano_usd_max } = self.spending;
        let is_over = |used: u64, max: Option<u64>| max.is_some_and(|max| used >= max);
        if is_over(spent.tokens, token_count_max) || is_over(spent.nano_usd, nano_usd_max) {
            let message = format!(
                "the trial has used {} tokens, and may not ask further; raise the budget in the configuration or in \
                 the input's `limits`",
                spent.tokens
            );
            return Err(AskError::Model(ModelError {
                kind: ModelErrorKind::BudgetExhausted,
                message,
            }));
        }
        Ok(())
    }

    /// Counts what a call used, and takes its outcome.
    fn outcome(&self, answered: Answered) -> Result<Completion, AskError> {
        let used = match (&answered.outcome, &answered.broken_off) {
            (Ok(completion), _) => Some((&completion.usage, completion.cost_nano_usd)),
            (Err(_), Some(broken_off)) => Some((&broken_off.usage, broken_off.cost_nano_usd)),
            (Err(_), None) => None,
        };
        if let Some((usage, cost_nano_usd)) = used {
            let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
            spent.tokens = spent.tokens.saturating_add(usage.total_tokens());
            spent.nano_usd = spent.nano_usd.saturating_add(cost_nano_usd.unwrap_or(0));
        }
        answered.outcome.map_err(AskError::Model)
    }
}

impl ModelPort for ProviderModels {
    fn ask(&self, request: ModelRequest) -> BoxFuture<'_, Result<Completion, AskError>> {
        Box::pin(async move {
            let asking = &self.0;
            asking.check_spending()?;
            let question = asking.question(request, CancellationToken::new());
            let answered = asking.gateway.ask(question, &|_: Delta| {}).await;
            asking.outcome(answered)
        })
    }

    fn stream(
        &self,
        request: ModelRequest,
    ) -> BoxFuture<'_, Result<Box<dyn AnswerStream>, AskError>> {
        let answer = self.0.check_spending().map(|()| {
            Box::new(Written::begin(Arc::clone(&self.0), request)) as Box<dyn AnswerStream>
        });
        Box::pin(std::future::ready(answer))
    }
}

/// An answer while it is written. It is worked on whenever the stage waits for it.
struct Written {
    asking: Arc<Asking>,
    work: Option<BoxFuture<'static, Answered>>,
    pieces: mpsc::UnboundedReceiver<String>,
    ended: Option<Result<Completion, AskError>>,
    stop: CancellationToken,
}

impl Written {
    fn begin(asking: Arc<Asking>, request: ModelRequest) -> Written {
        // Not more than one answer, whose size the gateway bounds, is ever in the channel.
        let (sender, pieces) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let question = asking.question(request, stop.clone());
        let gateway = asking.gateway.clone();
        let work = Box::pin(async move {
            let hear = move |delta: Delta| match delta {
                // Whoever does not read any more has ended the attempt.
                Delta::Text(text) if !text.is_empty() => drop(sender.send(text)),
                Delta::Text(_)
                | Delta::Reasoning(_)
                | Delta::Retrying { .. }
                | Delta::FallingBack { .. } => {}
            };
            gateway.ask(question, &hear).await
        });
        Written { asking, work: Some(work), pieces, ended: None, stop }
    }

    /// The next piece, or nothing once the answer has ended and every piece was given.
    async fn next_piece(&mut self) -> Option<String> {
        if let Some(work) = &mut self.work {
            let answered = tokio::select! {
                biased;
                Some(piece) = self.pieces.recv() => return Some(piece),
                answered = work => answered,
            };
            self.work = None;
            self.ended = Some(self.asking.outcome(answered));
        }
        self.pieces.try_recv().ok()
    }

    fn outcome(&self) -> Result<Completion, AskError> {
        self.ended.clone().unwrap_or_else(|| {
            let message = "the answer of the model was lost".to_owned();
            Err(AskError::Stop(Fault { kind: FaultKind::Host, message }))
        })
    }
}

impl AnswerStream for Written {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<String>, AskError>> {
        Box::pin(async move {
            match self.next_piece().await {
                Some(piece) => Ok(Some(piece)),
                None => self.outcome().map(|_| None),
            }
        })
    }

    fn finish(&mut self) -> BoxFuture<'_, Result<Completion, AskError>> {
        Box::pin(async move {
            if let Some(work) = self.work.take() {
                let answered = work.await;
                self.ended = Some(self.asking.outcome(answered));
            }
            self.outcome()
        })
    }

    fn unwanted(self: Box<Self>) {
        self.stop.cancel();
    }
}
