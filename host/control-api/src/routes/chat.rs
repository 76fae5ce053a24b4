//! Talks to a model outside of any run.
//!
//! A streamed answer begins when the first piece of it is there, so that what goes wrong before that still gets its
//! own status. The last event is `done` with the whole answer, or `problem`.
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use domain::model::{Message, Role};
use engine::{ChatAnswer, ChatAsk, ChatDelta, Engine};
use futures_util::stream::{self, Stream};
use tokio::sync::mpsc::{self, Receiver};

use crate::body::JsonBody;
use crate::dto::{ChatDeltaDto, ChatRequest, ChatResponseDto, ProblemItemDto};
use crate::sse::{heartbeat, json_event};
use crate::{ApiState, Code, Problem};

/// Pieces of an answer that wait for a slow reader; later ones are skipped, and the last event has the whole answer. A
/// model writes about 100 pieces in a second.
const DELTA_COUNT_MAX: usize = 1_024;

/// Asks a model. Streams with `Accept: text/event-stream` or `"stream": true`: events `text` and `reasoning`, then
/// `done` with the whole answer, or `problem`.
#[utoipa::path(
    post, path = "/api/chat", operation_id = "chat", tag = "chat",
    request_body = ChatRequest,
    responses((status = 200, content((ChatResponseDto = "application/json"), (String = "text/event-stream"))))
)]
pub(crate) async fn chat(
    State(state): State<ApiState>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<ChatRequest>,
) -> Result<Response, Problem> {
    let streamed = request.stream.unwrap_or_else(|| accepts_events(&headers));
    let conversation = Conversation::begin(&state.engine, parse(request)?);
    if streamed {
        stream_answer(&state, conversation).await
    } else {
        whole_answer(conversation).await
    }
}

async fn whole_answer(mut conversation: Conversation) -> Result<Response, Problem> {
    loop {
        match conversation.next().await {
            Step::Delta(_) => {}
            Step::Done(answer) => return Ok(Json(ChatResponseDto::from(&*answer)).into_response()),
            Step::Failed(problem) => return Err(problem),
        }
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

/// A question that is being answered.
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
            Step::Done(answer) => json_event("done", &ChatResponseDto::from(&*answer)),
            Step::Failed(problem) => json_event("problem", &problem.into_dto()),
        }
    }
}

fn accepts_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .any(|range| range.split(';').next().is_some_and(|kind| kind.trim() == "text/event-stream"))
}

fn parse(request: ChatRequest) -> Result<ChatAsk, Problem> {
    let ChatRequest { message, messages, model, provider, session_id, stream: _ } = request;
    let messages = match (message, messages) {
        (Some(content), None) => vec![Message { role: Role::User, content }],
        (None, Some(messages)) => messages.into_iter().map(Message::from).collect(),
        (Some(_), Some(_)) | (None, None) => {
            let message = "give either `message` or `messages`";
            return Err(Problem::invalid(vec![ProblemItemDto::at_pointer("", message)]));
        }
    };
    Ok(ChatAsk { messages, provider, model, session_id })
}
