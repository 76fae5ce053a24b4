//! Pieces of an answer on their way: a slow listener, a listener that goes away, a stream that breaks.
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::model::{ModelErrorKind, ModelOptions, UsageSource};
use domain::port::BoxFuture;
use gateway::{Delta, Listener, Model, Price, Provider};
use model_server::{After, Behavior, ModelServer};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

use crate::support::{SHORT, ask, ask_usual, gateway, gateway_to, provider, question};

/// A connection that is to be closed at once is closed within this time.
const AT_ONCE: Duration = Duration::from_secs(1);
/// A write that does not go on for so long is blocked.
const BLOCKED: Duration = Duration::from_millis(500);
/// The system keeps so much of what a server has written and nobody has read yet, or twice as much.
const SEND_BUFFER_BYTES: u32 = 64 << 10;
/// Far more than the buffers of a connection hold.
const MUCH_BYTES: usize = 6 << 20;
const PIECE_BYTES: usize = 16 << 10;

fn priced(server: &ModelServer) -> Provider {
    let price = Price {
        input: 1_000_000,
        cached_input: None,
        cache_write: None,
        output: 2_000_000,
        reasoning: None,
    };
    let name = model_server::MODEL.to_owned();
    let model = Model { name, price: Some(price), ..Model::default() };
    Provider { models: vec![model], ..provider(server.base_url()) }
}

#[tokio::test]
async fn a_stop_in_mid_stream_closes_the_connection_at_once_and_tells_what_was_used() {
    let server = ModelServer::start().await;
    server.push(Behavior::begun("half an answer", After::Hang));
    let gateway = gateway(priced(&server));
    let stopped = question(&gateway, ModelOptions::default());
    let stop = stopped.stop.clone();
    let stop_at_text = |delta| {
        if matches!(delta, Delta::Text(_)) {
            stop.cancel();
        }
    };
    let asking = async {
        let answered = gateway.ask(stopped, &stop_at_text).await;
        server.wait_for_abandoned(1).await;
        answered
    };
    let answered = tokio::time::timeout(AT_ONCE, asking).await.unwrap();
    assert_eq!(answered.outcome.unwrap_err().kind, ModelErrorKind::Canceled);
    let broken_off = answered.broken_off.unwrap();
    assert_eq!(broken_off.content, "half an answer");
    let used = broken_off.usage;
    assert_eq!(used.source, UsageSource::Estimated);
    let (input, output) = (used.input_tokens.unwrap(), used.output_tokens.unwrap());
    assert!(input > 10 && (3..=4).contains(&output), "{used:?}");
    assert_eq!(broken_off.cost_nano_usd, Some(input * 1_000 + output * 2_000));
}

#[tokio::test]
async fn a_stop_before_the_first_token_counts_the_prompt_that_was_sent() {
    let server = ModelServer::start().await;
    server.hold();
    let gateway = gateway_to(&server);
    let stopped = question(&gateway, ModelOptions::default());
    let stop = stopped.stop.clone();
    let asking = async {
        let (asked, ()) = tokio::join!(ask(&gateway, stopped), async {
            server.wait_for_requests(1).await;
            stop.cancel();
        });
        server.wait_for_abandoned(1).await;
        asked
    };
    let asked = tokio::time::timeout(AT_ONCE, asking).await.unwrap();
    assert_eq!(asked.code(), "model_canceled");
    let used = asked.answered.broken_off.unwrap().usage;
    assert!(used.input_tokens > Some(10) && used.output_tokens == Some(0), "{used:?}");
}

#[tokio::test]
async fn a_question_that_was_stopped_before_it_was_asked_is_not_asked() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    let stopped = question(&gateway, ModelOptions::default());
    stopped.stop.cancel();
    let asked = ask(&gateway, stopped).await;
    assert_eq!((asked.code(), server.count()), ("model_canceled", 0));
    assert!(asked.answered.broken_off.is_none());
}

#[tokio::test]
async fn a_stream_that_breaks_and_one_that_is_too_slow_tell_what_they_used() {
    let server = ModelServer::start().await;
    server.push(Behavior::begun("half an answer", After::Drop));
    server.push(Behavior::begun("half an answer", After::Hang));
    let gateway = gateway(priced(&server));
    for expected in ["model_unavailable", "model_timeout"] {
        let mut hurried = question(&gateway, ModelOptions::default());
        if expected == "model_timeout" {
            hurried.time_max = SHORT;
        }
        let asked = ask(&gateway, hurried).await;
        assert_eq!((asked.code(), asked.text().as_str()), (expected, "half an answer"));
        assert!(asked.answered.timing.total_ms < 2_000, "{:?}", asked.answered.timing);
        let broken_off = asked.answered.broken_off.unwrap();
        assert_eq!(broken_off.content, "half an answer");
        assert_eq!(broken_off.usage.source, UsageSource::Estimated);
        assert!(broken_off.usage.input_tokens > Some(10), "{broken_off:?}");
        assert!(broken_off.cost_nano_usd > Some(0));
    }
}

/// Hears on only when it is opened.
struct Gate {
    is_open: watch::Sender<bool>,
    heard_bytes: AtomicUsize,
}

impl Listener for Gate {
    fn hear(&self, delta: Delta) {
        if let Delta::Text(text) = delta {
            self.heard_bytes.fetch_add(text.len(), Ordering::Relaxed);
        }
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            // The sender lives in `self`, so the wait cannot end for its lack.
            let _ = self.is_open.subscribe().wait_for(|is_open| *is_open).await;
        })
    }
}

/// Answers one request with as much as it is let, and tells how much it could write before it was blocked.
async fn write_much(
    listener: TcpListener,
    blocked_at: watch::Sender<Option<usize>>,
) -> io::Result<()> {
    let (mut connection, _) = listener.accept().await?;
    connection.set_nodelay(true)?;
    read_request(&mut connection).await?;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    connection.write_all(head.as_bytes()).await?;
    let text = "b".repeat(PIECE_BYTES);
    let event = json!({ "choices": [{ "index": 0, "delta": { "content": text } }] });
    let event = format!("data: {event}\n\n");
    for number in 0..MUCH_BYTES / PIECE_BYTES {
        let mut written = 0;
        while written < event.len() {
            let writing = connection.write(&event.as_bytes()[written..]);
            match tokio::time::timeout(BLOCKED, writing).await {
                Ok(count) => written += count?,
                Err(_) => {
                    blocked_at.send_replace(Some(number * PIECE_BYTES));
                }
            }
        }
    }
    let end = json!({
        "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 20, "completion_tokens": 1_000_000 },
    });
    connection.write_all(format!("data: {end}\n\ndata: [DONE]\n\n").as_bytes()).await?;
    blocked_at.send_if_modified(|at| at.is_none().then(|| *at = Some(MUCH_BYTES)).is_some());
    Ok(())
}

/// Reads the head and the body.
async fn read_request(connection: &mut TcpStream) -> io::Result<()> {
    let mut read = Vec::new();
    loop {
        assert_ne!(connection.read_buf(&mut read).await?, 0, "the request ends");
        let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.and_then(|length| length.parse().ok()).expect("a body has a length");
        if body.len() >= length {
            return Ok(());
        }
    }
}

#[tokio::test]
async fn a_listener_that_is_not_ready_stops_the_provider() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(SEND_BUFFER_BYTES).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    // The provider's silence is not counted while the listener is not ready.
    let gateway = gateway(Provider { idle_time_max: BLOCKED / 2, ..provider(base_url) });
    let gate = Gate { is_open: watch::Sender::new(false), heard_bytes: AtomicUsize::new(0) };
    let blocked_at = watch::Sender::new(None);
    let mut blocked = blocked_at.subscribe();
    let asked = question(&gateway, ModelOptions::default());
    let (answered, written, ()) =
        tokio::join!(gateway.ask(asked, &gate), write_much(listener, blocked_at), async {
            let written = blocked.wait_for(Option::is_some).await.unwrap().unwrap();
            let heard = gate.heard_bytes.load(Ordering::Relaxed);
            assert!(written < MUCH_BYTES && heard <= 1 << 20, "{written} {heard}");
            gate.is_open.send_replace(true);
        });
    written.unwrap();
    assert_eq!(answered.outcome.unwrap().content.len(), MUCH_BYTES);
    assert_eq!(gate.heard_bytes.load(Ordering::Relaxed), MUCH_BYTES);
}

#[tokio::test]
async fn waiting_for_a_listener_ends_with_the_time_of_the_call_and_with_a_stop() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    let gate = Gate { is_open: watch::Sender::new(false), heard_bytes: AtomicUsize::new(0) };
    let mut hurried = question(&gateway, ModelOptions::default());
    hurried.time_max = SHORT;
    let answered = gateway.ask(hurried, &gate).await;
    assert_eq!(answered.outcome.unwrap_err().kind, ModelErrorKind::Timeout);
    let stopped = question(&gateway, ModelOptions::default());
    let stop = stopped.stop.clone();
    let (answered, ()) = tokio::join!(gateway.ask(stopped, &gate), async {
        server.wait_for_requests(2).await;
        stop.cancel();
    });
    assert_eq!(answered.outcome.unwrap_err().kind, ModelErrorKind::Canceled);
}

#[tokio::test]
async fn calls_one_after_the_other_share_a_connection() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    for _ in 0..20 {
        ask_usual(&gateway).await.completion();
    }
    assert_eq!((server.count(), server.connection_count()), (20, 1));
}
