//! Texts of calls that are shortened or not kept.
use domain::run::Verdict;

use super::scene::{
    Scene, answered, call, call_id, cancel, canceled, chat, completion, fault, key, plan, request,
    stage_call,
};
use crate::{CallDetail, Options, Store, Texts, TextsKept};

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
