//! Texts of calls that are shortened or not kept.
use domain::model::{ModelError, ModelErrorKind};
use domain::run::{CallOutcome, Command, ModelCallNote, Verdict};
use domain::{Fault, FaultKind, StageIdx};

use super::scene::{
    Scene, answered, call, call_id, cancel, canceled, chat, completion, fault, key, plan, request,
    stage_call,
};
use crate::{Beside, CallAnswered, CallDetail, CallStarted, Options, Store, Texts, TextsKept};

const TRIMMED: Texts = Texts::Trimmed { bytes_max: 9 };
const LONG: &str = "Bees like light and warmth.";

impl Scene {
    async fn texts(&self, number: u32) -> CallDetail {
        self.store.call(&call_id(number)).await.unwrap().unwrap()
    }

    /// Keeps a call of the first attempt with a long answer.
    async fn ask(&self, number: u32) {
        let started = stage_call(number, self.run.id(), 1, number);
        self.store.keep_answer(answered(started, Ok(completion(LONG, None)))).await.unwrap();
    }

    /// Whether a text stands anywhere in the database or its log.
    fn has_on_disk(&self, text: &str) -> bool {
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(Result::unwrap);
        let mut files = files.filter(|file| file.file_type().unwrap().is_file());
        files.any(|file| {
            let bytes = std::fs::read(file.path()).unwrap();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    }
}

fn shown(detail: &CallDetail) -> String {
    let messages = detail.request.iter().flat_map(|request| &request.messages);
    let messages: Vec<_> = messages.map(|message| message.content.as_str()).collect();
    let answer = detail.answer.as_ref().map(|answer| answer.content.as_str());
    format!("{}: {messages:?} {answer:?}", detail.texts.as_str())
}

#[tokio::test]
async fn chats_are_written_shortened_from_the_start() {
    let scene = Scene::with(plan(), TRIMMED).await;
    let started = call(1, chat(None));
    scene.store.note_call_started(started.clone());
    scene.store.tamper(|_| ()).await.unwrap();
    insta::assert_snapshot!(shown(&scene.texts(1).await), @r#"trimmed: ["Answer.", "What do b… [the first 9 of 18 bytes are kept]"] None"#);
    scene.store.keep_answer(answered(started, Ok(completion(LONG, None)))).await.unwrap();
    insta::assert_snapshot!(shown(&scene.texts(1).await), @r#"trimmed: ["Answer.", "What do b… [the first 9 of 18 bytes are kept]"] Some("Bees like… [the first 9 of 27 bytes are kept]")"#);
    assert!(!scene.has_on_disk("warmth"));
}

#[tokio::test]
async fn chats_are_written_without_texts_where_none_are_kept() {
    let scene = Scene::with(plan(), Texts::Off).await;
    scene.store.note_call_started(call(1, chat(None)));
    scene.store.keep_answer(canceled(call(1, chat(None)), 5, Some(7))).await.unwrap();
    let detail = scene.texts(1).await;
    assert_eq!((&detail.request, &detail.answer, detail.texts), (&None, &None, TextsKept::Off));
    assert_eq!(detail.row.usage.unwrap().input_tokens, Some(5));
    assert!(!scene.has_on_disk("bees like") && !scene.has_on_disk("Lig"));
}

#[tokio::test]
async fn an_attempt_keeps_its_texts_until_it_ends() {
    for texts in [TRIMMED, Texts::Off] {
        let mut scene = Scene::with(plan(), texts).await;
        scene.start(0).await;
        scene.ask(1).await;
        scene.open_budget_gate(0).await;
        let kept = &scene.store.journaled(scene.run.id(), &key("research"), 1).await.unwrap()[0];
        assert_eq!(kept.request, request("What do bees like?"), "it may be replayed");
        assert_eq!(kept.outcome, Some(Ok(completion(LONG, None))));
        scene.decide(Verdict::Granted).await;
        scene.ask(2).await;
        assert_eq!(scene.texts(1).await.texts, TextsKept::Whole);
        scene.finish(0, "draft").await;
        for number in [1, 2] {
            check_reduced(&scene, number, texts).await;
        }
        // What comes later than the end of its attempt.
        scene.ask(3).await;
        check_reduced(&scene, 3, texts).await;
        assert_eq!(scene.row().await.request_text, "A lamp for bees");
        scene.store.close();
        assert!(!scene.has_on_disk("light and warmth"), "deleted texts are overwritten");
    }
}

async fn check_reduced(scene: &Scene, number: u32, texts: Texts) {
    let detail = scene.texts(number).await;
    let (kept, answer) = match texts {
        Texts::Off => (TextsKept::Off, None),
        _ => (TextsKept::Trimmed, Some("Bees like… [the first 9 of 27 bytes are kept]")),
    };
    assert_eq!((detail.texts, detail.request.is_some()), (kept, kept == TextsKept::Trimmed));
    assert_eq!(detail.answer.as_ref().map(|answer| answer.content.as_str()), answer);
    assert_eq!(detail.row.usage.unwrap().input_tokens, Some(100));
}

#[tokio::test]
async fn every_end_of_an_attempt_takes_its_texts() {
    for end in 0..3 {
        let mut scene = Scene::with(plan(), Texts::Off).await;
        scene.start(0).await;
        scene.ask(1).await;
        match end {
            0 => scene.fail(0).await,
            1 => scene.give(cancel()).await,
            _ => {
                scene.open_budget_gate(0).await;
                scene.decide(Verdict::Rejected).await;
            }
        }
        check_reduced(&scene, 1, Texts::Off).await;
        assert_eq!(scene.row().await.fault.is_some(), end == 0, "{}", fault("").message);
    }
}

#[tokio::test]
async fn records_of_another_setting_stay_as_they_are() {
    let mut scene = Scene::new().await;
    scene
        .store
        .keep_answer(answered(call(1, chat(None)), Ok(completion(LONG, None))))
        .await
        .unwrap();
    scene.store.close();
    let options = Options { texts: Texts::Off };
    scene.store = Store::open_with(scene.folder.path(), options).unwrap();
    assert_eq!(scene.texts(1).await.answer, Some(completion(LONG, None)));
}

/// Whether a text stands in any file below a folder.
fn is_below(folder: &std::path::Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().map(Result::unwrap).any(|entry| {
        if entry.file_type().unwrap().is_dir() {
            return is_below(&entry.path(), text);
        }
        let bytes = std::fs::read(entry.path()).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[tokio::test]
async fn where_no_texts_are_kept_the_words_of_providers_are_not_either() {
    const REPEATED: &str = "light and warmth";
    let said = format!("provider `local` refused `{LONG}`; change the request");
    let error = |kind| ModelError { kind, message: said.clone() };
    let refused = |started, kind| CallAnswered {
        fallback_reason: Some(format!("scripted/scripted-1: {said}\nlocal/small: {said}")),
        ..answered(started, Err(error(kind)))
    };
    let mut scene = Scene::with(plan(), Texts::Off).await;
    scene.start(0).await;
    let noted = |started: CallStarted| {
        scene.store.note_call_started(started.clone());
        scene.store.keep_answer(refused(started, ModelErrorKind::Rejected))
    };
    noted(call(1, chat(None))).await.unwrap();
    noted(call(2, chat(None))).await.unwrap();
    let budget = refused(call(3, chat(None)), ModelErrorKind::BudgetExhausted);
    let host_says = ModelError {
        message: "the day is used up".to_owned(),
        ..error(ModelErrorKind::BudgetExhausted)
    };
    let budget = CallAnswered { outcome: Err(host_says.clone()), ..budget };
    scene.store.keep_answer(budget).await.unwrap();

    let started = stage_call(4, scene.run.id(), 1, 1);
    let answer = refused(started.clone(), ModelErrorKind::BadResponse);
    let note = ModelCallNote {
        stage: StageIdx(0),
        attempt: 1,
        ordinal: 1,
        call: started.call.clone(),
        outcome: CallOutcome::Failed {
            code: "model_bad_response".to_owned(),
            message: said.clone(),
        },
    };
    let beside = vec![Beside::Answer(Box::new(answer))];
    scene.give_with(Command::NoteModelCall(note), beside).await.unwrap();
    let replayed = scene.store.journaled(scene.run.id(), &key("research"), 1).await.unwrap();
    assert_eq!(
        replayed[0].outcome,
        Some(Err(error(ModelErrorKind::BadResponse))),
        "as the stage had it"
    );
    let fault =
        Fault { kind: FaultKind::Model(ModelErrorKind::BadResponse), message: said.clone() };
    scene
        .give(Command::FailStage {
            stage: StageIdx(0),
            attempt: 1,
            fault,
            at: domain::Timestamp::from_unix_ms(0),
        })
        .await;

    for (number, kind) in [
        (1, ModelErrorKind::Rejected),
        (2, ModelErrorKind::Rejected),
        (4, ModelErrorKind::BadResponse),
    ] {
        let row = scene.texts(number).await.row;
        let kept = row.error.unwrap();
        assert_eq!(kept.kind, kind);
        assert!(kept.message.contains("keep no texts"), "{}", kept.message);
        assert_eq!(row.fallback_reason.as_deref(), Some("scripted/scripted-1\nlocal/small"));
    }
    assert_eq!(scene.texts(3).await.row.error, Some(host_says), "the host's own words are no text");
    scene.store.write_run_files(scene.run.id()).await.unwrap();
    scene.store.close();
    assert!(is_below(scene.folder.path(), "model_bad_response"), "the code is kept, also in files");
    assert!(!is_below(scene.folder.path(), REPEATED));
}
