//! Calls as they are listed: filters, pages, conversations.
use super::scene::{
    Scene, answered, at, call, call_id, chat, completion, key, model_error, run_id, stage_call,
};
use crate::{CallAnswered, CallFilter, CallOrigin, CallStarted, CallStatus, Error, Page, calls};
use domain::model::ModelErrorKind;

impl Scene {
    /// The numbers of the calls that a filter gives, read in pages of two.
    async fn listed(&self, filter: CallFilter) -> Vec<i64> {
        let mut seen = Vec::new();
        let mut page = Page::first(2);
        loop {
            let listed = self.store.calls(filter.clone(), page.clone()).await.unwrap();
            assert!(listed.items.len() <= 2);
            seen.extend(listed.items.iter().map(|row| row.started_at.as_unix_ms()));
            page.cursor = listed.next_cursor;
            if page.cursor.is_none() {
                return seen;
            }
        }
    }
}

fn of(session: Option<&str>, client: Option<&str>) -> CallOrigin {
    CallOrigin::Chat {
        session_id: session.map(str::to_owned),
        client_id: client.map(str::to_owned),
    }
}

fn labeled(mut started: CallStarted, label: &str) -> CallStarted {
    let mut request = started.request.as_ref().clone();
    request.label = Some(label.to_owned());
    started.request = request.into();
    started
}

/// Calls 1 to 8; the number is also the time.
async fn eight_calls() -> Scene {
    let scene = Scene::new().await;
    let run = scene.run.id().clone();
    let ok = |started| answered(started, Ok(completion("x", None)));
    let failed = |started| answered(started, Err(model_error(ModelErrorKind::Timeout)));
    let elsewhere = |answer: CallAnswered| CallAnswered {
        provider: "local".to_owned(),
        model: "small".to_owned(),
        fallback_reason: Some("scripted/scripted-1: no answer".to_owned()),
        ..answer
    };
    let in_conversation = |number, conversation: &str| CallStarted {
        conversation_id: Some(conversation.to_owned()),
        ..call(number, of(None, Some("cli")))
    };
    for answer in [
        ok(stage_call(1, &run, 1, 1)),
        failed(stage_call(2, &run, 1, 2)),
        ok(stage_call(3, &run, 2, 1)),
        ok(call(4, of(Some("s-1"), Some("web")))),
        elsewhere(ok(call(5, of(Some("s-1"), None)))),
        elsewhere(failed(labeled(call(6, of(None, Some("cli"))), "title"))),
        ok(in_conversation(7, "talk")),
        elsewhere(ok(labeled(in_conversation(8, "talk"), "title"))),
    ] {
        scene.store.keep_answer(answer).await.unwrap();
    }
    scene
}

#[tokio::test]
async fn each_filter_chooses_calls_newest_first() {
    let scene = eight_calls().await;
    let all = CallFilter::default;
    let word = |text: &str| Some(text.to_owned());
    let none: [i64; 0] = [];
    for (filter, expected) in [
        (all(), [8, 7, 6, 5, 4, 3, 2, 1].as_slice()),
        (CallFilter { provider: word("local"), ..all() }, &[8, 6, 5]),
        (CallFilter { provider: word("scripted"), ..all() }, &[7, 4, 3, 2, 1]),
        (CallFilter { model: word("small"), ..all() }, &[8, 6, 5]),
        (CallFilter { session_id: word("s-1"), ..all() }, &[5, 4]),
        (CallFilter { client_id: word("cli"), ..all() }, &[8, 7, 6]),
        (CallFilter { label: word("title"), ..all() }, &[8, 6]),
        (CallFilter { label: word("draft"), ..all() }, &[7, 5, 4, 3, 2, 1]),
        (CallFilter { conversation_id: word("talk"), ..all() }, &[8, 7]),
        (CallFilter { conversation_id: word("s-1"), ..all() }, &[5, 4]),
        (CallFilter { stage: Some(key("research")), ..all() }, &[3, 2, 1]),
        (CallFilter { status: Some(CallStatus::Failed), ..all() }, &[6, 2]),
        (CallFilter { status: Some(CallStatus::Answered), ..all() }, &[8, 7, 5, 4, 3, 1]),
        (CallFilter { since: Some(at(3)), until: Some(at(6)), ..all() }, &[5, 4, 3]),
        (CallFilter { until: Some(at(3)), ..all() }, &[2, 1]),
        (CallFilter { provider: word("local"), until: Some(at(8)), ..all() }, &[6, 5]),
        (CallFilter { label: word("title"), since: Some(at(7)), ..all() }, &[8]),
        (CallFilter { model: word("other"), ..all() }, &none),
    ] {
        assert_eq!(scene.listed(filter.clone()).await, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn filters_hold_together_whichever_drives_the_list() {
    let scene = eight_calls().await;
    let word = |text: &str| Some(text.to_owned());
    let all = CallFilter {
        provider: word("local"),
        model: word("small"),
        client_id: word("cli"),
        label: word("title"),
        since: Some(at(6)),
        ..CallFilter::default()
    };
    assert_eq!(scene.listed(all.clone()).await, [8, 6]);
    let status = Some(CallStatus::Failed);
    assert_eq!(scene.listed(CallFilter { status, ..all.clone() }).await, [6]);
    let talk = CallFilter { conversation_id: word("talk"), ..all.clone() };
    assert_eq!(scene.listed(talk).await, [8]);
    let session = CallFilter { session_id: word("s-1"), ..all };
    assert_eq!(scene.listed(session).await, [] as [i64; 0]);
    let run = CallFilter {
        run: Some(run_id(1)),
        since: Some(at(2)),
        provider: word("scripted"),
        ..CallFilter::default()
    };
    assert_eq!(scene.listed(run).await, [2, 3], "those of a run come oldest first");
}

#[tokio::test]
async fn a_call_that_is_asked_again_keeps_its_place() {
    let scene = Scene::new().await;
    let first = call(1, chat(None));
    scene.store.note_call_started(first.clone());
    scene.store.note_call_started(call(2, chat(None)));
    scene.store.note_call_started(CallStarted { at: at(9), ..first });
    scene.store.tamper(|_| ()).await.unwrap();
    assert_eq!(scene.listed(CallFilter::default()).await, [2, 9]);
}

#[tokio::test]
async fn a_cursor_of_one_order_is_none_of_another() {
    let scene = eight_calls().await;
    let first = scene.store.calls(CallFilter::default(), Page::first(2)).await.unwrap();
    let page = Page { cursor: first.next_cursor, limit: 2 };
    let of_run = CallFilter { run: Some(run_id(1)), ..CallFilter::default() };
    assert!(matches!(scene.store.calls(of_run, page).await, Err(Error::BadCursor)));
}

#[tokio::test]
async fn every_call_belongs_to_a_conversation_and_has_its_place_there() {
    let scene = eight_calls().await;
    let mut lines = Vec::new();
    for number in 1..=8 {
        let row = scene.store.call(&call_id(number)).await.unwrap().unwrap().row;
        lines.push(format!("{number} {} {}", row.conversation_id, row.conversation_ordinal));
    }
    insta::assert_snapshot!(lines.join("\n"), @r"
    1 run_00000000000000000000000000000001/research/1 1
    2 run_00000000000000000000000000000001/research/1 2
    3 run_00000000000000000000000000000001/research/2 1
    4 s-1 1
    5 s-1 2
    6 call_00000000000000000000000000000006 1
    7 talk 1
    8 talk 2
    ");
    let row = scene.store.call(&call_id(8)).await.unwrap().unwrap().row;
    assert_eq!(row.origin, of(None, Some("cli")));
    assert_eq!(row.fallback_reason.as_deref(), Some("scripted/scripted-1: no answer"));
    assert_eq!(row.timing.unwrap().queue_ms, 2);
}

#[tokio::test]
async fn a_page_that_looks_at_many_calls_for_few_rows_ends_early_and_the_next_goes_on() {
    let scene = Scene::new().await;
    let (count, bound) = (40_u32, 5);
    for number in 1..=count {
        let started = call(number, of(None, Some("web")));
        // Three calls of each moment, so that pages end between calls of one moment.
        let started = CallStarted { at: at(i64::from(number / 3)), ..started };
        let answer = answered(started, Ok(completion("x", None)));
        let model = if number % 16 == 1 { "rare" } else { "common" };
        let answer = CallAnswered { model: model.to_owned(), ..answer };
        scene.store.keep_answer(answer).await.unwrap();
    }
    let words = |model: &str| CallFilter {
        client_id: Some("web".to_owned()),
        model: Some(model.to_owned()),
        ..CallFilter::default()
    };
    for (model, expected) in [("rare", vec![33, 17, 1]), ("nobody", vec![])] {
        let (mut seen, mut pages) = (Vec::new(), 0);
        let mut page = Page::first(2);
        loop {
            let (filter, now) = (words(model), page.clone());
            let look = move |db: &_| calls::list_looking_at(db, &filter, &now, bound);
            let listed = scene.store.look(look).await.unwrap();
            seen.extend(listed.items.into_iter().map(|row| row.call));
            pages += 1;
            page.cursor = listed.next_cursor;
            if page.cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected.into_iter().map(call_id).collect::<Vec<_>>(), "{model}");
        assert!((4..=count / bound + 1).contains(&pages), "{model}: {pages} pages");
    }
    // One filter, or a short list, needs no bound.
    let filter = CallFilter { model: Some("common".to_owned()), ..CallFilter::default() };
    let look = move |db: &_| calls::list_looking_at(db, &filter, &Page::first(100), bound);
    assert_eq!(scene.store.look(look).await.unwrap().items.len(), 37);
}
