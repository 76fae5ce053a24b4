//! Moves one request to the server and one answer back, with a bound on every silence.
use std::future::Future;
use std::time::Duration;

use domain::model::ModelError;
use reqwest::Response;
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use super::answer::{Answer, AnswerReader, Broken, Read};
use super::error::in_words;
use super::refusal::{ProviderWords, refused_in_answer};
use super::{ERROR_BODY_BYTES_MAX, Server};

/// How long the end of a body is waited for after the server said that the answer is complete. Only a body that was
/// read to its end leaves a connection that can be used again, and a new one with TLS costs more than this. Servers that
/// let the system hold back small packets send the end 40 ms late.
const DRAIN_TIME_MAX: Duration = Duration::from_millis(50);

/// What else helps against a silent server.
const OTHERWISE: &str = "choose another model or provider";

/// Reads the body of a 2xx into `answer`; `on_read` gets each piece.
pub(super) async fn read_answer(
    server: &Server,
    mut response: Response,
    first_token_until: Instant,
    answer: &mut Answer,
    on_read: &mut (dyn FnMut(Read) + Send),
) -> Result<(), ModelError> {
    let mut reader = AnswerReader::new();
    while !reader.is_done() {
        let is_first = !answer.has_begun() && !reader.is_whole();
        let bytes =
            match next_bytes(server, &mut response, is_first.then_some(first_token_until)).await? {
                Some(bytes) => bytes,
                None => {
                    let ended = reader.finish(answer, on_read);
                    return ended.map_err(|broken| error_of(server, broken));
                }
            };
        let read = reader.feed(bytes.as_ref(), answer, on_read);
        read.map_err(|broken| error_of(server, broken))?;
    }
    let drained = async { while let Ok(Some(_)) = response.chunk().await {} };
    // Nothing depends on it: without a drained body the connection is closed.
    let _ = timeout(DRAIN_TIME_MAX, drained).await;
    let ended = reader.finish(answer, on_read);
    ended.map_err(|broken| error_of(server, broken))
}

async fn next_bytes(
    server: &Server,
    response: &mut Response,
    first_token_until: Option<Instant>,
) -> Result<Option<impl AsRef<[u8]> + use<>>, ModelError> {
    let idle = server.bounds.idle_time_max;
    let until = first_token_until.unwrap_or_else(|| Instant::now() + idle);
    match timeout_at(until, response.chunk()).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            let cause = server.quoted(&super::error::chain(error));
            Err(server.broke_off(&format!("broke off in the middle of its answer: {cause}")))
        }
        Err(_) if first_token_until.is_some() => Err(no_first_token(server)),
        Err(_) => Err(server.timeout(
            &format!("fell silent for {} in the middle of its answer", in_words(idle)),
            OTHERWISE,
        )),
    }
}

/// Waits for what comes before the first piece of an answer.
pub(super) async fn before_first_token<T>(
    server: &Server,
    until: Instant,
    work: impl Future<Output = T>,
) -> Result<T, ModelError> {
    timeout_at(until, work).await.map_err(|_| no_first_token(server))
}

fn no_first_token(server: &Server) -> ModelError {
    let bound = server.bounds.first_token_time_max;
    server.timeout(&format!("did not begin to answer within {}", in_words(bound)), OTHERWISE)
}

/// Reads what the server says about a refusal, as far as it comes in time. No more of it is read than fits.
pub(super) async fn read_refusal(server: &Server, mut response: Response) -> ProviderWords {
    let mut body: Vec<u8> = Vec::new();
    let reading = async {
        while let Ok(Some(bytes)) = response.chunk().await {
            let room = ERROR_BODY_BYTES_MAX - body.len();
            body.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if body.len() == ERROR_BODY_BYTES_MAX {
                break;
            }
        }
    };
    // What is there when the time is up is better than nothing.
    let _ = timeout(server.bounds.idle_time_max, reading).await;
    ProviderWords::of_body(&body)
}

fn error_of(server: &Server, broken: Broken) -> ModelError {
    match broken {
        Broken::NotTheProtocol(found) => {
            server.bad_response(&format!("answered with {}", server.quoted(&found)))
        }
        Broken::Refused(error) => refused_in_answer(server, &error),
        Broken::TooLarge { part, bytes_max } => server.bad_response(&format!(
            "sent a {part} of more than {} MiB, which is no answer",
            bytes_max >> 20
        )),
        Broken::Ended => server.broke_off("ended its answer before it was complete"),
    }
}

/// Reads a small JSON body, for checks.
pub(super) async fn read_json(server: &Server, response: Response) -> Option<Value> {
    let mut response = response;
    let mut body: Vec<u8> = Vec::new();
    let reading = async {
        while let Ok(Some(bytes)) = response.chunk().await {
            body.extend_from_slice(&bytes);
            if body.len() > super::ANSWER_BYTES_MAX {
                return;
            }
        }
    };
    timeout(server.bounds.idle_time_max, reading).await.ok()?;
    serde_json::from_slice(&body).ok()
}
