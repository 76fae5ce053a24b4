//! Moves one request to the server and one answer back, with a bound on every silence.
use std::future::Future;
use std::time::Duration;

use domain::model::ModelError;
use reqwest::Response;
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use super::attempt::TryFailed;
use super::body::{BodyReader, Broken};
use super::error::{chain, in_words};
use super::refusal::{ProviderWords, refused_in_answer};
use super::{ANSWER_BYTES_MAX, Answer, ERROR_BODY_BYTES_MAX, Hearing, Server};
use crate::question::Listener;

/// How long the end of a body is waited for after the server said that the answer is complete. Only a body that was
/// read to its end leaves a connection that can be used again, and a new one with TLS costs more than this. Servers that
/// let the system hold back small packets send the end 40 ms late.
const DRAIN_TIME_MAX: Duration = Duration::from_millis(50);

/// What else helps against a silent server.
const OTHERWISE: &str = "choose another model or provider";

/// Reads the body of a 2xx into `answer`; the listener hears each piece, and nothing more is read before it is ready.
pub(super) async fn read_answer(
    server: &Server,
    mut response: Response,
    first_token_until: Instant,
    answer: &mut Answer,
    listener: &dyn Listener,
) -> Result<(), TryFailed> {
    let mut reader = BodyReader::new(server.protocol);
    while !reader.is_done() {
        let is_first = answer.first_token_at.is_none() && !reader.is_whole();
        let until = is_first.then_some(first_token_until);
        let bytes = match next_bytes(server, &mut response, until).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => break,
            // The model was done: all that can be missing is what the provider counted.
            Err(_) if answer.finish_reason.is_some() => break,
            Err(error) => return Err(error.into()),
        };
        let mut hearing = Hearing::new(answer, listener);
        let read = reader.feed(bytes.as_ref(), &mut hearing);
        let is_heard = hearing.take_heard();
        read.map_err(|broken| failure_of(server, broken, answer))?;
        if is_heard && !reader.is_done() {
            listener.ready().await;
        }
    }
    if reader.is_done() {
        let drained = async { while let Ok(Some(_)) = response.chunk().await {} };
        // Nothing depends on it: without a drained body the connection is closed.
        let _ = timeout(DRAIN_TIME_MAX, drained).await;
    }
    let ended = reader.finish(&mut Hearing::new(answer, listener));
    ended.map_err(|broken| failure_of(server, broken, answer))
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
            let cause = server.quoted(&chain(error));
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

fn failure_of(server: &Server, broken: Broken, answer: &Answer) -> TryFailed {
    let error = match broken {
        Broken::NotTheProtocol(found) => {
            server.bad_response(&format!("answered with {}", server.quoted(&found)))
        }
        Broken::Refused(error) => {
            return refused_in_answer(server, &error, answer.first_token_at.is_some());
        }
        Broken::TooLarge { part, bytes_max } => server.bad_response(&format!(
            "sent a {part} of more than {} MiB, which is no answer",
            bytes_max >> 20
        )),
        Broken::Ended => server.broke_off("ended its answer before it was complete"),
    };
    error.into()
}

/// Reads a small JSON body, for checks.
pub(super) async fn read_json(server: &Server, response: Response) -> Option<Value> {
    let mut response = response;
    let mut body: Vec<u8> = Vec::new();
    let reading = async {
        while let Ok(Some(bytes)) = response.chunk().await {
            body.extend_from_slice(&bytes);
            if body.len() > ANSWER_BYTES_MAX {
                return;
            }
        }
    };
    timeout(server.bounds.idle_time_max, reading).await.ok()?;
    serde_json::from_slice(&body).ok()
}
