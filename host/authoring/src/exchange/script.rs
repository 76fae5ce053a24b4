//! The network of a stage whose requests are answered from files. Nothing is sent.
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::http::{HttpError, HttpRequest, HttpResponse, masked_url};
use domain::port::{BoxFuture, HttpAskError, HttpPort};
use domain::{Fault, FaultKind};

use super::http::line_of;
use super::{HttpExchange, digest_of_bytes};

/// Gives the responses of files to the requests that they belong to, in their order. A request that is another than the
/// next one of the files ends the attempt.
pub struct HttpScript {
    state: Mutex<HttpScriptState>,
    request_count_max: u32,
}

struct HttpScriptState {
    responses: VecDeque<HttpExchange>,
    sent: Vec<HttpRequest>,
    exchanges: Vec<HttpExchange>,
    problem: Option<String>,
}

impl HttpScript {
    /// Responses in the order in which they are given, for a stage that may send this many requests.
    pub fn new(responses: Vec<HttpExchange>, request_count_max: u32) -> Self {
        let (sent, exchanges) = (Vec::new(), Vec::new());
        let state = HttpScriptState { responses: responses.into(), sent, exchanges, problem: None };
        Self { state: Mutex::new(state), request_count_max }
    }

    fn lock(&self) -> MutexGuard<'_, HttpScriptState> {
        // No code panics while it holds the lock with the value half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every request so far, one without a response included; those beyond the bound are not.
    pub fn sent(&self) -> Vec<HttpRequest> {
        self.lock().sent.clone()
    }

    /// The same requests with what came of them, as a recording has them: secrets in a URL are masked, and the one at
    /// which the attempt ended has no answer.
    pub fn exchanges(&self) -> Vec<HttpExchange> {
        self.lock().exchanges.clone()
    }

    /// Responses that nobody has asked for.
    pub fn unused_count(&self) -> usize {
        self.lock().responses.len()
    }

    /// Why the attempt was ended: a request without a response, or one that is another than the files say.
    pub fn problem(&self) -> Option<String> {
        self.lock().problem.clone()
    }

    fn answer(&self, request: HttpRequest) -> Result<HttpResponse, HttpAskError> {
        let mut state = self.lock();
        let is_further =
            u32::try_from(state.sent.len()).map_or(true, |sent| sent >= self.request_count_max);
        if is_further {
            // As in a run: refused, and not recorded.
            let refused = HttpError::too_many_requests(self.request_count_max);
            return Err(HttpAskError::Http(refused));
        }
        let given = state.responses.pop_front();
        let ordinal = state.sent.len() + 1;
        let found = matching(ordinal, given, &request);
        let digest = digest_of_bytes(&request.digest_bytes());
        let (method, url) = (request.method.clone(), masked_url(&request.url));
        state.sent.push(request);
        let answer = found.as_ref().ok().cloned();
        state.exchanges.push(HttpExchange { method, url, request_digest: Some(digest), answer });
        match found {
            Ok(answer) => answer.map_err(HttpAskError::Http),
            Err(problem) => {
                state.problem.get_or_insert_with(|| problem.clone());
                Err(HttpAskError::Stop(Fault { kind: FaultKind::Host, message: problem }))
            }
        }
    }
}

impl HttpPort for HttpScript {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpAskError>> {
        Box::pin(std::future::ready(self.answer(request)))
    }
}

/// What the request is answered with, or why with nothing.
fn matching(
    ordinal: usize,
    given: Option<HttpExchange>,
    sent: &HttpRequest,
) -> Result<Result<HttpResponse, HttpError>, String> {
    // What is told lands in logs and in recordings.
    let url = masked_url(&sent.url);
    let line = line_of(&sent.method, &url);
    let Some(given) = given else {
        let form = serde_json::json!({ "method": sent.method, "url": url });
        return Err(format!(
            "the stage sent HTTP request {ordinal}, `{line}`, and there is no response for it: write `response-{ordinal}.json` into the fixture, or name a file with `--response`; it has `method` and `url` as in `{form}`, and `answer` (`status`, `headers`, `body`) or `error`"
        ));
    };
    if !given.is_of(sent) {
        let said = line_of(&given.method, &given.url);
        return Err(match &given.request_digest {
            _ if said != line => format!(
                "the stage sent HTTP request {ordinal} as `{line}`, and response {ordinal} is for `{said}`: correct the stage, or `method` and `url` of the response"
            ),
            Some(_) => format!(
                "HTTP request {ordinal}, `{line}`, has other headers, another body or another secret in its URL than the one that response {ordinal} has the `request_digest` of: correct the stage, or remove the digest so that method and URL alone are compared"
            ),
            None => format!(
                "HTTP request {ordinal}, `{line}`, has another secret in its URL than response {ordinal} says: correct the stage, or write the URL as it stands here: `***` is any secret"
            ),
        });
    }
    given.answer.ok_or_else(|| format!("response {ordinal} has neither `answer` nor `error`"))
}
