//! Answers that a guest reads while they are written.
use std::time::Duration;

use domain::fault::Limit;
use domain::model::{ModelError, ModelErrorKind};
use serde_json::{Value, json};

use super::*;

/// An answer as a port gives it: pieces, then its end.
pub(super) struct Told {
    pieces: VecDeque<String>,
    /// How it ends; `None` if it does not.
    end: Option<Result<Completion, AskError>>,
    fate: Arc<Fate>,
}

/// What the guest's side did with the answers of a port.
#[derive(Debug, Default)]
struct Fate(Mutex<Fates>);

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Fates {
    /// How often the end was told.
    ended: u32,
    unwanted: u32,
    /// Dropped without a word before the end.
    cut_off: u32,
}

impl Told {
    /// An answer in one piece.
    pub(super) fn whole(completion: Completion) -> Self {
        let pieces = [completion.content.clone()].into();
        Self { pieces, end: Some(Ok(completion)), fate: Arc::default() }
    }

    fn note(&self, change: impl FnOnce(&mut Fates)) {
        change(&mut self.fate.0.lock().unwrap());
    }

    async fn end(&mut self) -> Result<Completion, AskError> {
        let end = self.end.clone();
        self.note(|fates| fates.ended += u32::from(end.is_some()));
        match end {
            Some(end) => end,
            None => std::future::pending().await,
        }
    }
}

impl AnswerStream for Told {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<String>, AskError>> {
        Box::pin(async {
            match self.pieces.pop_front() {
                Some(piece) => Ok(Some(piece)),
                None => self.end().await.map(|_| None),
            }
        })
    }

    fn finish(&mut self) -> BoxFuture<'_, Result<Completion, AskError>> {
        Box::pin(async {
            self.pieces.clear();
            self.end().await
        })
    }

    fn unwanted(self: Box<Self>) {
        self.note(|fates| fates.unwanted += 1);
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.note(|fates| {
            if fates.ended == 0 && fates.unwanted == 0 {
                fates.cut_off += 1;
            }
        });
    }
}

/// A model that tells the same answer every time, in pieces of so many characters.
struct Teller {
    text: String,
    piece_chars: usize,
    end: Option<Result<Completion, AskError>>,
    fate: Arc<Fate>,
    asked: Mutex<u32>,
}

impl Teller {
    fn of(text: &str, piece_chars: usize) -> Self {
        Self {
            text: text.to_owned(),
            piece_chars,
            end: Some(Ok(completion(text))),
            fate: Arc::default(),
            asked: Mutex::new(0),
        }
    }

    fn ending(text: &str, end: Option<AskError>) -> Self {
        Self { end: end.map(Err), ..Self::of(text, 3) }
    }

    /// What came of an attempt that asks this model, and what it did with the answer.
    async fn tells(self, job: StageJob) -> (Attempt, Fates) {
        let teller = Arc::new(self);
        let attempt = sandbox().run(job, Ports::models(Arc::clone(&teller) as _)).await;
        let fates = teller.fate.0.lock().unwrap().clone();
        (attempt, fates)
    }

    /// The data of a successful attempt.
    async fn tells_to(self, settings: &str) -> Value {
        let output = self.tells(job(settings)).await.0.outcome.unwrap();
        serde_json::from_str(output.data.as_str()).unwrap()
    }
}

impl ModelPort for Teller {
    fn ask(&self, _: ModelRequest) -> BoxFuture<'_, Result<Completion, AskError>> {
        *self.asked.lock().unwrap() += 1;
        Box::pin(std::future::ready(Ok(completion("Honey."))))
    }

    fn stream(&self, _: ModelRequest) -> BoxFuture<'_, Result<Box<dyn AnswerStream>, AskError>> {
        *self.asked.lock().unwrap() += 1;
        let characters: Vec<char> = self.text.chars().collect();
        let pieces = characters.chunks(self.piece_chars).map(|piece| piece.iter().collect());
        let (end, fate) = (self.end.clone(), Arc::clone(&self.fate));
        let told = Told { pieces: pieces.collect(), end, fate };
        Box::pin(async move { Ok(Box::new(told) as Box<dyn AnswerStream>) })
    }
}

fn long_text() -> String {
    "Bees make hönéy, and nobody knows why they make so much of it. ".repeat(40)
}

fn broken_off(message: &str) -> Option<AskError> {
    let error = ModelError { kind: ModelErrorKind::Unavailable, message: message.to_owned() };
    Some(AskError::Model(error))
}

#[tokio::test]
async fn a_stream_gives_the_same_pieces_however_the_provider_cuts_it() {
    let text = long_text();
    let whole = Teller::of(&text, usize::MAX).tells_to(&verb("stream")).await;
    assert_eq!(whole["is_whole"], true);
    assert!(whole["pieces"].as_array().unwrap().len() > 20, "{whole}");
    for piece_chars in [1, 2, 7, 64, 255, 256, 257, 1000] {
        let cut = Teller::of(&text, piece_chars).tells_to(&verb("stream")).await;
        assert_eq!(cut, whole, "in pieces of {piece_chars} characters");
    }
}

#[tokio::test]
async fn a_piece_is_given_before_the_answer_ends_and_a_dropped_stream_is_unwanted() {
    let text = "word ".repeat(20);
    let endless = Teller::ending(&text, None);
    let (attempt, fates) = endless.tells(job(&verb("stream-drop"))).await;
    let data = attempt.outcome.unwrap().data;
    let piece = "word ".repeat(13);
    assert_eq!(data.as_str(), format!(r#"{{"dropped":true,"pieces":["{piece}"]}}"#));
    assert_eq!(fates, Fates { unwanted: 1, ..Fates::default() });
}

#[tokio::test]
async fn an_attempt_that_is_stopped_cuts_its_stream_off_and_does_not_call_it_unwanted() {
    let cut_off = Fates { cut_off: 1, ..Fates::default() };
    let text = "word ".repeat(20);

    let mut waiting = job(&verb("stream"));
    waiting.limits.wall_time_max = Duration::from_millis(100);
    let (attempt, fates) = Teller::ending(&text, None).tells(waiting).await;
    assert_eq!(attempt.outcome.unwrap_err().kind, FaultKind::Limit(Limit::WallTime));
    assert_eq!(fates, cut_off);

    let (attempt, fates) = Teller::ending(&text, None).tells(job(&verb("stream-trap"))).await;
    assert_eq!(attempt.outcome.unwrap_err().kind, FaultKind::Trap);
    assert_eq!(fates, cut_off);
}

#[tokio::test]
async fn an_attempt_that_nobody_wants_any_more_cuts_its_stream_off() {
    let teller = Arc::new(Teller::ending("half", None));
    let mut running = sandbox().run(job(&verb("stream")), Ports::models(Arc::clone(&teller) as _));
    std::future::poll_fn(|context| {
        assert!(running.as_mut().poll(context).is_pending());
        let has_asked = *teller.asked.lock().unwrap() == 1;
        context.waker().wake_by_ref();
        if has_asked { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    drop(running);
    let fates = teller.fate.0.lock().unwrap().clone();
    assert_eq!(fates, Fates { cut_off: 1, ..Fates::default() });
}

#[tokio::test]
async fn the_whole_is_given_in_the_middle_and_the_rest_of_the_pieces_after_it() {
    let pieces: Vec<String> = ["word ".repeat(13), "word ".repeat(13), "word ".repeat(4)].into();
    let text = pieces.concat();
    for piece_chars in [1, 50, 1000] {
        let data = Teller::of(&text, piece_chars).tells_to(&verb("stream-finish")).await;
        let wanted = json!({
            "taken": pieces[..1],
            "whole": text,
            "rest": [pieces[1], pieces[2], "(none)"],
            "after_the_end": "(none)",
        });
        assert_eq!(data, wanted);
    }
}

#[tokio::test]
async fn an_answer_without_text_has_no_piece() {
    let data = Teller::of("", 1).tells_to(&verb("stream-finish")).await;
    let none = "(none)";
    let wanted = json!({ "taken": [none], "whole": "", "rest": [none], "after_the_end": none });
    assert_eq!(data, wanted);
}

#[tokio::test]
async fn an_answer_that_breaks_off_gives_what_has_come_and_then_the_error() {
    let text = format!("{}and half", "word ".repeat(13));
    let teller = Teller::ending(&text, broken_off("cut"));
    let data = teller.tells_to(r#"{"verb":"stream-finish","count":3}"#).await;
    let error = data["taken"][2].as_str().unwrap();
    assert_says(error, &["Unavailable", "cut"]);
    assert_eq!(data["taken"], json!(["word ".repeat(13), "and half", error]));
    assert_eq!(data["whole"], error);
    assert_eq!(data["after_the_end"], error);

    let (attempt, fates) =
        Teller::ending(&text, broken_off("cut")).tells(job(&verb("stream"))).await;
    let kind = FaultKind::Model(ModelErrorKind::Unavailable);
    assert_eq!(attempt.outcome.unwrap_err(), Fault { kind, message: "cut".to_owned() });
    assert_eq!(fates.cut_off, 0);
}

#[tokio::test]
async fn whoever_answers_can_stop_the_guest_in_the_middle_of_a_stream() {
    let wanted = Fault { kind: FaultKind::ReplayDiverged, message: "wants more".to_owned() };
    let teller = Teller::ending("half", Some(AskError::Stop(wanted.clone())));
    let (attempt, fates) = teller.tells(job(&verb("stream"))).await;
    assert_eq!(attempt.outcome.unwrap_err(), wanted);
    assert_eq!(fates.unwanted, 0);
}

#[tokio::test]
async fn nothing_is_asked_while_a_stream_is_open() {
    let teller = Arc::new(Teller::of(&long_text(), 10));
    let job = job(&verb("stream-ask"));
    let output = sandbox().run(job, Ports::models(Arc::clone(&teller) as _)).await.outcome.unwrap();
    let data: Value = serde_json::from_str(output.data.as_str()).unwrap();
    for refused in data["meanwhile"].as_array().unwrap() {
        assert_says(refused.as_str().unwrap(), &["Rejected", "read it to its end or drop it"]);
    }
    assert_eq!(data["afterwards"], "Honey.");
    assert_eq!(*teller.asked.lock().unwrap(), 2, "the refused questions went nowhere");
}

#[tokio::test]
async fn streams_that_were_read_may_be_kept_and_not_be_hoarded() {
    let kept = Teller::of("Honey.", 1).tells_to(r#"{"verb":"stream-hoard","count":50}"#).await;
    assert_eq!(kept, json!({ "streams": 50, "error": null }));
    let hoarded = fault(job(r#"{"verb":"stream-hoard","count":100000}"#)).await;
    assert_eq!(hoarded.kind, FaultKind::Trap, "{}", hoarded.message);
}
