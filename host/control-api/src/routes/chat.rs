//! Talks to a model outside of any run.
//!
//! A streamed answer begins with the first thing that there is to tell, so that what goes wrong before that still gets
//! its own status. The last event is `done` with the whole answer, or `problem`.
//!
//! Invariants: no piece is skipped, because the engine waits for room in the channel and slows the provider down. A
//! client that goes away drops its [`Conversation`], or the future of its whole answer, and so the engine learns that
//! nobody wants the answer any more.
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use domain::model::{Message, Role};
use engine::{ChatAnswer, ChatAsk, ChatDelta, Engine};
use futures_util::stream::{self, Stream};
use tokio::sync::mpsc::{self, Receiver};

use crate::body::JsonBody;
use crate::convert::chat_ask;
use crate::dto::{
    ChatDeltaDto, ChatFallingBackDto, ChatRequest, ChatResponseDto, ChatRetryingDto, ProblemItemDto,
};
use crate::sse::{heartbeat, json_event};
use crate::{ApiState, Code, Problem};

/// Pieces of an answer that wait for the reader: enough for a chunk of the network that carries several of them. More
/// would be read from the provider, and paid for, ahead of a reader that may go away.
const DELTA_COUNT_MAX: usize = 16;

/// Asks a model. Streams with `Accept: text/event-stream` or `"stream": true`: events `text` and `reasoning`, before
/// them perhaps `retrying` and `falling_back`, then `done` with the whole answer, or `problem`. A client that closes the
/// connection stops the call.
#[utoipa::path(
    post, path = "/api/chat", operation_id = "chat", tag = "chat",
    request_body = ChatRequest,
    responses((status = 200, content((ChatResponseDto = "application/json"), (String = "text/event-stream"))))
)]
pub(crate) async fn chat(
    State(state): State<ApiState>,
    accepts_events: AcceptsEvents,
    JsonBody(request): JsonBody<ChatRequest>,
) -> Result<Response, Problem> {
    let streamed = request.stream.unwrap_or(accepts_events.0);
    let ask = parse(request)?;
    if streamed {
        stream_answer(&state, Conversation::begin(&state.engine, ask)).await
    } else {
        let answer = state.engine.chat_whole(ask).await?;
        Ok(Json(ChatResponseDto::from(answer)).into_response())
    }
}

async fn stream_answer(
    state: &ApiState,
    mut conversation: Conversation,
) -> Result<Response, Problem> {
    let permit = state.stream_permit()?;
    let first = match conversation.next().await {
        Step::Failed(problem) => return Err(problem),
        first @ (Step::Delta(_) | Step::Done(_)) => first,
    };
    let rest = stream::unfold(Some((conversation, Some(first), permit)), |open| async move {
        let (mut conversation, first, permit) = open?;
        let step = match first {
            Some(step) => step,
            None => conversation.next().await,
        };
        let goes_on = matches!(step, Step::Delta(_));
        Some((step.into_event(), goes_on.then_some((conversation, None, permit))))
    });
    Ok(answer_with(rest))
}

fn answer_with(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    use futures_util::StreamExt;
    Sse::new(events.map(Ok::<_, Infallible>)).keep_alive(heartbeat()).into_response()
}

/// A question that is being answered. Dropping it stops the answer.
struct Conversation {
    answer: Pin<Box<dyn Future<Output = Result<ChatAnswer, engine::Error>> + Send>>,
    deltas: Receiver<ChatDelta>,
    /// Set when the answer is there and pieces of it may still wait.
    outcome: Option<Result<ChatAnswer, engine::Error>>,
}

enum Step {
    Delta(ChatDelta),
    Done(Box<ChatAnswer>),
    Failed(Problem),
}

impl Conversation {
    fn begin(engine: &Engine, ask: ChatAsk) -> Self {
        let (sender, deltas) = mpsc::channel(DELTA_COUNT_MAX);
        let engine = engine.clone();
        let answer = Box::pin(async move { engine.chat(ask, sender).await });
        Self { answer, deltas, outcome: None }
    }

    /// The next piece; after the last one, how it ended. Not to be called again after that.
    async fn next(&mut self) -> Step {
        if self.outcome.is_none() {
            tokio::select! {
                biased;
                Some(delta) = self.deltas.recv() => return Step::Delta(delta),
                outcome = &mut self.answer => self.outcome = Some(outcome),
            }
        }
        match (self.deltas.try_recv(), self.outcome.take()) {
            (Ok(delta), outcome) => {
                self.outcome = outcome;
                Step::Delta(delta)
            }
            (Err(_), Some(Ok(answer))) => Step::Done(Box::new(answer)),
            (Err(_), Some(Err(error))) => Step::Failed(Problem::from(error)),
            (Err(_), None) => Step::Failed(Problem::hidden(
                Code::Internal,
                "a conversation was asked for more after its end",
            )),
        }
    }
}

impl Step {
    fn into_event(self) -> Event {
        match self {
            Step::Delta(ChatDelta::Text(text)) => json_event("text", &ChatDeltaDto { text }),
            Step::Delta(ChatDelta::Reasoning(text)) => {
                json_event("reasoning", &ChatDeltaDto { text })
            }
            Step::Delta(ChatDelta::Retrying { try_number, wait_ms, cause }) => {
                json_event("retrying", &ChatRetryingDto { try_number, wait_ms, cause })
            }
            Step::Delta(ChatDelta::FallingBack { provider, model, cause }) => {
                json_event("falling_back", &ChatFallingBackDto { provider, model, cause })
            }
            Step::Done(answer) => json_event("done", &ChatResponseDto::from(*answer)),
            Step::Failed(problem) => json_event("problem", &problem.into_dto()),
        }
    }
}

/// Whether the client takes server-sent events. Read in place: a copy of all headers would be made for one of them.
pub(crate) struct AcceptsEvents(bool);

impl<S: Sync> FromRequestParts<S> for AcceptsEvents {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let given = parts.headers.get_all(header::ACCEPT).iter();
        let mut ranges =
            given.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        Ok(Self(ranges.any(|range| {
            range.split(';').next().is_some_and(|kind| kind.trim() == "text/event-stream")
        })))
    }
}

fn parse(mut request: ChatRequest) -> Result<ChatAsk, Problem> {
    let messages = match (request.message.take(), request.messages.take()) {
        (Some(content), None) => vec![Message { role: Role::User, content }],
        (None, Some(messages)) => messages.into_iter().map(Message::from).collect(),
        (Some(_), Some(_)) | (None, None) => {
            let message = "give either `message` or `messages`";
            return Err(Problem::invalid(vec![ProblemItemDto::at_pointer("", message)]));
        }
    };
    Ok(chat_ask(messages, request))
}
