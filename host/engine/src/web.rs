//! Carries the HTTP requests of one attempt: from the journal where an outcome is kept, else over the network.
//!
//! A request is noted durably before it is sent, and its outcome is durable before the stage sees it. One that was on its
//! way when the host died is sent once more if it changes nothing (`GET`, `HEAD`, `OPTIONS`). Any other is not: nobody
//! knows whether it arrived, and the stage is told so.
//!
//! Invariant: nothing is sent that the profile of the run and the configuration of this process do not both allow.
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use domain::http::{HttpError, HttpErrorKind, HttpGrant, HttpRequest, HttpResponse, masked_url};
use domain::port::{BoxFuture, HttpAskError, HttpPort};
use domain::{Digest, Fault, FaultKind, StageKey};
use gateway::{WebBounds, target_of};
use store::{HttpJournaled, HttpRequestAnswered, HttpRequestKey, HttpRequestStarted};
use tokio::sync::{Mutex, MutexGuard};

use crate::Error;
use crate::drive::{AttemptStep, History};
use crate::lifecycle::Inner;
use crate::models::Interruption;
use crate::registry::RunCell;

/// How often a request that changes nothing is sent when hosts die while it is on its way.
const TRY_COUNT_MAX: u32 = 2;

/// Longest time for one request where nobody says anything.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);

/// What an operator allows stages to reach. By default nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// Hosts that profiles may grant.
    pub hosts: Vec<HttpGrant>,
    /// Of them, those that may have addresses that are not public; each with the port that it says or means.
    pub private_hosts: Vec<HttpGrant>,
    /// Longest time for one request, from the look for an address to the last byte of the answer.
    pub request_time_max: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self { hosts: Vec::new(), private_hosts: Vec::new(), request_time_max: REQUEST_TIME_MAX }
    }
}

/// The port of one attempt.
pub(crate) struct AttemptHttp {
    engine: Arc<Inner>,
    cell: Arc<RunCell>,
    key: StageKey,
    attempt: u32,
    granted: Vec<HttpGrant>,
    request_count_max: u32,
    answer_bytes_max: u64,
    /// Locked while a request is worked on: one goes after the other.
    sending: Mutex<Sending>,
    interrupted: std::sync::Mutex<Option<Interruption>>,
}

/// How far the attempt has sent.
struct Sending {
    ordinal: u32,
    journal: HashMap<u32, HttpJournaled>,
}

impl AttemptHttp {
    /// The port of an attempt; `None` if its stage has no grant.
    pub(crate) async fn open(
        engine: &Arc<Inner>,
        cell: &Arc<RunCell>,
        step: &AttemptStep,
    ) -> Result<Option<Arc<Self>>, Error> {
        let AttemptStep { run, stage, attempt, history, .. } = step;
        let planned = run.plan().stage(*stage).expect("an attempt is made at a stage of the plan");
        if planned.grants.http.is_empty() {
            return Ok(None);
        }
        let journal = match history {
            History::None => Vec::new(),
            History::Journal => {
                engine.parts.store.http_journaled(&cell.id, &planned.key, *attempt).await?
            }
        };
        let journal = journal.into_iter().map(|kept| (kept.ordinal, kept)).collect();
        Ok(Some(Arc::new(Self {
            engine: Arc::clone(engine),
            cell: Arc::clone(cell),
            key: planned.key.clone(),
            attempt: *attempt,
            granted: planned.grants.http.clone(),
            request_count_max: planned.limits.http_request_count_max,
            answer_bytes_max: planned.limits.call_bytes_max,
            sending: Mutex::new(Sending { ordinal: 0, journal }),
            interrupted: std::sync::Mutex::default(),
        })))
    }

    /// Why the attempt was stopped, if the reason is not its own.
    pub(crate) fn interruption(&self) -> Option<Interruption> {
        self.interrupted.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// If it is dropped in the middle, the request stays open: an attempt that runs again comes to it again, and the end
    /// of the attempt closes it.
    async fn send_next(&self, request: HttpRequest) -> Result<HttpResponse, HttpAskError> {
        let mut sending = self.sending.lock().await;
        if self.interrupted.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            let message = "the attempt was stopped before this request".to_owned();
            return Err(HttpAskError::Stop(Fault { kind: FaultKind::Host, message }));
        }
        sending.ordinal += 1;
        let ordinal = sending.ordinal;
        let request_digest = digest(&request);
        let kept = sending.journal.remove(&ordinal);
        if let Some(kept) = &kept {
            if kept.request_digest != request_digest {
                return Err(HttpAskError::Stop(self.diverged(kept, &request)));
            }
            if let Some(outcome) = &kept.outcome {
                return outcome.clone().map_err(HttpAskError::Http);
            }
        }
        if self.engine.draining.is_cancelled() {
            return Err(self.interrupt(Interruption::Shutdown, "the host is shutting down"));
        }
        // The same every time, so that the journal need not know of it.
        self.check_count(ordinal).map_err(HttpAskError::Http)?;
        let started = HttpRequestStarted {
            key: HttpRequestKey {
                run: self.cell.id.clone(),
                stage: self.key.clone(),
                attempt: self.attempt,
                ordinal,
            },
            request,
            request_digest,
            at: self.engine.parts.clock.now(),
        };
        let tries = kept.map_or(0, |kept| kept.tries);
        self.carry_out(sending, started, tries).await
    }

    /// Sends a request, unless it is refused, and makes durable what comes of it. A refusal is kept like every outcome: a
    /// replay must not decide it anew, with another configuration.
    async fn carry_out(
        &self,
        sending: MutexGuard<'_, Sending>,
        started: HttpRequestStarted,
        tries: u32,
    ) -> Result<HttpResponse, HttpAskError> {
        let admitted = self
            .check_granted(&started.request)
            .and_then(|()| check_not_sent_before(&started.request, tries));
        let outcome = match admitted {
            Err(refused) => Err(refused),
            Ok(()) => self.send_now(&started).await?,
        };
        let at = self.engine.parts.clock.now();
        let answer = HttpRequestAnswered { started, outcome: outcome.clone(), at };
        let store = &self.engine.parts.store;
        let kept = self
            .engine
            .patiently(|| async { Ok(store.keep_http_answer(answer.clone()).await?) })
            .await;
        kept.map_err(|error| self.failed(error))?;
        drop(sending);
        outcome.map_err(HttpAskError::Http)
    }

    async fn send_now(
        &self,
        started: &HttpRequestStarted,
    ) -> Result<Result<HttpResponse, HttpError>, HttpAskError> {
        let store = &self.engine.parts.store;
        let noted = self
            .engine
            .patiently(|| async { Ok(store.http_request_started(started.clone()).await?) })
            .await;
        if !noted.map_err(|error| self.failed(error))? {
            let message = "nobody wants the attempt any more: nothing was sent".to_owned();
            return Err(HttpAskError::Stop(Fault { kind: FaultKind::Host, message }));
        }
        let bounds = WebBounds {
            time_max: self.engine.settings.http.request_time_max,
            answer_bytes_max: self.answer_bytes_max,
        };
        tokio::select! {
            biased;
            outcome = self.engine.web.send(&started.request, bounds) => Ok(outcome),
            // It stays open, and the next start decides what becomes of it.
            () = self.engine.giving_up.cancelled() => {
                Err(self.interrupt(Interruption::Shutdown, "the host is shutting down"))
            }
        }
    }

    fn check_count(&self, ordinal: u32) -> Result<(), HttpError> {
        let max = self.request_count_max;
        if ordinal <= max {
            return Ok(());
        }
        Err(HttpError::too_many_requests(max))
    }

    /// The profile agreed when the run began, and the operator as of now: the configuration may have been narrowed since.
    fn check_granted(&self, request: &HttpRequest) -> Result<(), HttpError> {
        let target = target_of(&request.url)?;
        if !self.granted.iter().any(|host| host.allows(&target)) {
            return Err(denied(format!(
                "the profile does not grant `{target}` to the stage; add it to the stage's `grants.http`"
            )));
        }
        if !self.engine.settings.http.hosts.iter().any(|host| host.allows(&target)) {
            return Err(denied(format!(
                "the configuration of this host does not allow stages to reach `{target}`; the operator can add it to `grants.http_hosts`"
            )));
        }
        Ok(())
    }

    fn diverged(&self, kept: &HttpJournaled, sent: &HttpRequest) -> Fault {
        // The journal has no secrets, and neither has what is said about it.
        let before = format!("{} {}", kept.method, masked_url(&kept.url));
        let now = format!("{} {}", sent.method, masked_url(&sent.url));
        let what = if before == now {
            format!("both are `{now}`, with other headers, another body or another secret")
        } else {
            format!("kept in the journal: `{before}`; sent now: `{now}`")
        };
        let message = format!(
            "the stage sent something else than before the interruption, at HTTP request {} of attempt {}: nothing was sent again. A stage must depend on nothing but its context; retry the stage to start it anew.\n\n{what}",
            kept.ordinal, self.attempt,
        );
        Fault { kind: FaultKind::ReplayDiverged, message }
    }

    fn failed(&self, error: Error) -> HttpAskError {
        tracing::error!(run.id = %self.cell.id, %error, "an HTTP request of a stage could not be kept");
        let why = error.to_string();
        self.interrupt(Interruption::Error(error), &why)
    }

    fn interrupt(&self, interruption: Interruption, why: &str) -> HttpAskError {
        let mut first = self.interrupted.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(interruption);
        HttpAskError::Stop(Fault { kind: FaultKind::Host, message: why.to_owned() })
    }
}

impl HttpPort for AttemptHttp {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpAskError>> {
        Box::pin(self.send_next(request))
    }
}

/// What becomes of a request that was on its way when a host died.
fn check_not_sent_before(request: &HttpRequest, tries: u32) -> Result<(), HttpError> {
    if tries == 0 || (request.is_safe() && tries < TRY_COUNT_MAX) {
        return Ok(());
    }
    let method = &request.method;
    let message = format!(
        "the host stopped while the `{method}` was on its way, and nobody knows whether it arrived: it is not sent again. Look there, and retry the stage to send it anew"
    );
    Err(HttpError { kind: HttpErrorKind::Interrupted, message })
}

fn denied(message: String) -> HttpError {
    HttpError { kind: HttpErrorKind::Denied, message }
}

/// Digest of a request as the guest made it.
fn digest(request: &HttpRequest) -> Digest {
    store::digest_of(&request.digest_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str) -> HttpRequest {
        HttpRequest {
            method: method.to_owned(),
            url: "https://api.example.com/bees".to_owned(),
            headers: vec![("accept".to_owned(), b"text/plain".to_vec())],
            body: Vec::new(),
        }
    }

    #[test]
    fn the_digest_of_a_request_is_part_of_the_journal_and_does_not_change() {
        let one = digest(&request("GET"));
        assert_eq!(
            one.as_str(),
            "sha256:3500104b88402801c034ffccdad24b5ed97358aadfd57daf0d5c8ff513bd6f23"
        );
        for changed in [
            request("HEAD"),
            HttpRequest { url: "https://api.example.com/bee".to_owned(), ..request("GET") },
            HttpRequest { headers: Vec::new(), ..request("GET") },
            HttpRequest { body: b"s".to_vec(), ..request("GET") },
        ] {
            assert_ne!(digest(&changed), one);
        }
    }

    #[test]
    fn what_was_on_its_way_is_sent_once_more_only_if_it_changes_nothing() {
        for (method, tries, is_sent) in [
            ("POST", 0, true),
            ("POST", 1, false),
            ("PUT", 1, false),
            ("DELETE", 1, false),
            ("GET", 1, true),
            ("HEAD", 1, true),
            ("GET", 2, false),
        ] {
            let outcome = check_not_sent_before(&request(method), tries);
            assert_eq!(outcome.is_ok(), is_sent, "{method} after {tries}");
        }
    }
}
