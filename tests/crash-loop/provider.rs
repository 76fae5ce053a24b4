//! The model: does something with each question that the seed says, and remembers who asked it.
//!
//! The server's key names its process, so that each request tells which process sent it, also when it arrives after the
//! process was killed.
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model_server::{After, Behavior, ModelServer, Recorded};
use rand::Rng as _;
use rand::rngs::StdRng;
use tokio::sync::watch;

use crate::chance::chance;

/// Longest time that a slow answer takes, in milliseconds. Far below the server's limits.
const SLOW_MS_MAX: u64 = 250;
/// Most words of an answer.
const WORD_COUNT_MAX: usize = 40;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The process that sent it.
    pub(crate) process: u64,
    /// The `Idempotency-Key`.
    pub(crate) key: String,
    pub(crate) body: u64,
    /// What was done with it.
    pub(crate) done: &'static str,
    /// The whole answer, if there is one.
    pub(crate) text: Option<String>,
}

/// A model server, and what it was asked.
pub(crate) struct Provider {
    pub(crate) server: ModelServer,
    log: Arc<Mutex<Log>>,
    /// Requests so far.
    pub(crate) arrived: watch::Receiver<u64>,
}

#[derive(Default)]
struct Log {
    asked: Vec<Asked>,
    times: HashMap<String, u64>,
    /// Everything is answered at once.
    calm: bool,
}

impl Provider {
    pub(crate) async fn start(seed: u64, round: u64) -> Provider {
        let server = ModelServer::start().await;
        let log = Arc::new(Mutex::new(Log::default()));
        let (count, arrived) = watch::channel(0);
        let shared = Arc::clone(&log);
        server.choose(move |request| {
            let mut log = lock(&shared);
            let behavior = log.admit(seed, round, request);
            count.send_replace(log.asked.len() as u64);
            behavior
        });
        Provider { server, log, arrived }
    }

    /// From here on every question is answered at once.
    pub(crate) fn calm_down(&self) {
        lock(&self.log).calm = true;
    }

    /// The requests from a number on, the first being 0.
    pub(crate) fn asked_since(&self, number: usize) -> Vec<Asked> {
        lock(&self.log).asked.get(number..).unwrap_or_default().to_vec()
    }
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    fn admit(&mut self, seed: u64, round: u64, request: &Recorded) -> Behavior {
        let key = request.header("idempotency-key").unwrap_or_default().to_owned();
        let process = request.header("authorization").and_then(|value| value.rsplit_once('-'));
        let process = process.and_then(|(_, number)| number.parse().ok()).unwrap_or(0);
        let time = self.times.entry(key.clone()).or_default();
        *time += 1;
        // The run's identifier is new each time; what it was asked for is the seed's.
        let (_, place) = key.split_once('/').unwrap_or_default();
        let place = format!("model/{round}/{}/{place}/{time}", first_line(request));
        let mut chance = chance(seed, &place);
        let text = some_text(&mut chance, &key, *time);
        let (done, text, behavior) = match self.calm {
            true => answered(text),
            false => some_behavior(&mut chance, text),
        };
        let mut body = DefaultHasher::new();
        request.body.to_string().hash(&mut body);
        self.asked.push(Asked { process, key, body: body.finish(), done, text });
        behavior
    }
}

/// What the run was asked for, which names the run within its round.
fn first_line(request: &Recorded) -> &str {
    let messages = request.body["messages"].as_array();
    let last = messages.and_then(|messages| messages.last());
    let text = last.and_then(|message| message["content"].as_str()).unwrap_or_default();
    text.lines().next().unwrap_or_default()
}

fn some_text(chance: &mut StdRng, key: &str, time: u64) -> String {
    let words = ["honey", "wax", "hive", "queen", "meadow", "smoke", "comb"];
    let count = chance.random_range(1..WORD_COUNT_MAX);
    let drawn: Vec<&str> = (0..count).map(|_| words[chance.random_range(0..words.len())]).collect();
    format!("Answer {time} to {key}: {}", drawn.join(" "))
}

fn answered(text: String) -> (&'static str, Option<String>, Behavior) {
    ("answered", Some(text.clone()), Behavior::text(text))
}

fn some_behavior(chance: &mut StdRng, text: String) -> (&'static str, Option<String>, Behavior) {
    let refused = |status, code| Behavior::error(status, code, "not now");
    match chance.random_range(0..100) {
        0..52 => answered(text),
        52..70 => {
            let (done, text, behavior) = answered(text);
            let wait_ms = chance.random_range(1..SLOW_MS_MAX);
            (done, text, behavior.after_ms(wait_ms))
        }
        70..74 => ("429", None, Behavior::rate_limit("0")),
        74..78 => ("500", None, refused(500, "server_error")),
        78..82 => ("broken off", None, Behavior::begun("Honey is", After::Drop)),
        82..84 => ("closed", None, Behavior::Close),
        84..86 => ("stalled", None, Behavior::Hang),
        86..88 => ("stalled in mid-stream", None, Behavior::begun("Honey is", After::Hang)),
        88..89 => ("400", None, refused(400, "invalid_request_error")),
        number => {
            let order = match number {
                89..97 => "transient",
                97..98 => "invalid-output",
                98..99 => "needs-human",
                _ => "bad-input",
            };
            answered(format!("FAIL {order}: {text}"))
        }
    }
}
