//! Model calls: noted, answered, replayed, summed up.
use std::time::Duration;

use domain::StageIdx;
use domain::model::{ModelErrorKind, Usage};
use domain::port::Consumed;
use domain::run::{CallOutcome, Command, ModelCallNote};
use domain::stage::{LogLevel, LogLine, StageLog};

use super::scene::{
    Scene, answered, at, call, call_id, cancel, chat, completion, key, model_error, request, retry,
    stage_call,
};
use crate::{
    AttemptRecord, Beside, CallFilter, CallOrigin, CallRow, CallStatus, CallTiming, Journaled,
    Page, StageSpent, UsageFilter,
};

async fn journal(scene: &Scene, attempt: u32) -> Vec<Journaled> {
    scene.store.journaled(scene.run.id(), &key("research"), attempt).await.unwrap()
}

async fn settled(scene: &Scene) {
    // The writer works in order, so whatever was noted before is there when this returns.
    scene.store.tamper(|_| ()).await.unwrap();
}

#[tokio::test]
async fn an_answer_and_its_event_are_one_thing() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    let started = stage_call(1, scene.run.id(), 1, 1);
    scene.store.note_call_started(started.clone());
    settled(&scene).await;
    let open = journal(&scene, 1).await;
    assert_eq!((open[0].call.clone(), open[0].outcome.clone()), (call_id(1), None));
    assert_eq!(open[0].request, request("What do bees like?"));

    let answer = completion("Light.", Some(2_000));
    let note = Command::NoteModelCall(ModelCallNote {
        stage: StageIdx(0),
        attempt: 1,
        ordinal: 1,
        call: call_id(1),
        outcome: CallOutcome::Answered {
            model: "scripted-1.1".to_owned(),
            input_tokens: Some(100),
            output_tokens: Some(20),
        },
    });
    let beside = Beside::Answer(Box::new(answered(started.clone(), Ok(answer.clone()))));
    scene.give_with(note, vec![beside]).await.unwrap();
    let kept = journal(&scene, 1).await;
    assert_eq!(kept[0].outcome, Some(Ok(answer.clone())));

    // Neither a late note nor a second outcome takes an answer away.
    scene.store.note_call_started(started.clone());
    let late = answered(started, Err(model_error(ModelErrorKind::Canceled)));
    scene.store.keep_answer(late).await.unwrap();
    assert_eq!(journal(&scene, 1).await, kept);
    let detail = scene.store.call(&call_id(1)).await.unwrap().unwrap();
    assert_eq!(detail.answer, Some(answer));
    assert_eq!(detail.row.status, CallStatus::Answered);
    assert_eq!(detail.row.timing.unwrap().total_ms, 7);
    assert_eq!(scene.store.call(&call_id(9)).await.unwrap(), None);
}

#[tokio::test]
async fn a_call_that_is_asked_again_keeps_its_row() {
    let scene = Scene::new().await;
    let started = stage_call(1, scene.run.id(), 1, 1);
    scene.store.note_call_started(started.clone());
    let canceled = answered(started.clone(), Err(model_error(ModelErrorKind::Canceled)));
    scene.store.keep_answer(canceled).await.unwrap();
    assert_eq!(journal(&scene, 1).await[0].outcome, None);
    scene.store.note_call_started(started.clone());
    settled(&scene).await;
    let row = scene.store.call(&call_id(1)).await.unwrap().unwrap().row;
    assert_eq!((row.status, row.error), (CallStatus::Open, None));
    let kind = ModelErrorKind::RateLimited { retry_after_ms: Some(50) };
    scene.store.keep_answer(answered(started, Err(model_error(kind)))).await.unwrap();
    let calls = journal(&scene, 1).await;
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].outcome, Some(Err(model_error(kind))));
}

#[tokio::test]
async fn an_answer_that_was_never_noted_is_kept_whole() {
    let scene = Scene::new().await;
    let asked = call(5, chat(Some("s-1")));
    scene.store.keep_answer(answered(asked.clone(), Ok(completion("Hi", None)))).await.unwrap();
    let detail = scene.store.call(&call_id(5)).await.unwrap().unwrap();
    assert_eq!(detail.row.origin, asked.origin);
    assert_eq!(detail.request.as_ref(), Some(&*asked.request));
    assert_eq!(detail.answer.unwrap().content, "Hi");
}

#[tokio::test]
async fn a_sum_has_no_cost_when_a_price_is_not_known() {
    let scene = Scene::new().await;
    let run = scene.run.id().clone();
    assert_eq!(scene.store.usage(&run).await.unwrap().cost_nano_usd, Some(0));
    let keep = |number, ordinal, cost| {
        let answer = answered(stage_call(number, &run, 1, ordinal), Ok(completion("x", cost)));
        scene.store.keep_answer(answer)
    };
    keep(1, 1, Some(300)).await.unwrap();
    assert_eq!(scene.store.usage(&run).await.unwrap().cost_nano_usd, Some(300));
    keep(2, 2, None).await.unwrap();
    let sum = scene.store.usage(&run).await.unwrap();
    assert_eq!((sum.calls, sum.input_tokens, sum.model_wait_ms), (2, 200, 14));
    assert_eq!(sum.cost_nano_usd, None);
    scene.check_usage().await;
    let spent = StageSpent { stage: key("research"), tokens: 240, cost_nano_usd: 300 };
    assert_eq!(scene.store.spent(&run).await.unwrap(), [spent]);
    let stages = scene.store.stages(&run).await.unwrap();
    assert_eq!((stages[0].usage, stages[1].usage.calls), (sum, 0));
}

#[tokio::test]
async fn calls_of_a_run_come_oldest_first_and_others_newest_first() {
    let scene = Scene::new().await;
    let run = scene.run.id().clone();
    for number in 1..=5 {
        scene.store.note_call_started(stage_call(number, &run, 1, number));
    }
    scene.store.note_call_started(call(6, chat(None)));
    let answer = answered(stage_call(2, &run, 1, 2), Ok(completion("x", None)));
    scene.store.keep_answer(answer).await.unwrap();
    settled(&scene).await;
    let pages = async |filter: CallFilter| {
        let mut seen = Vec::new();
        let mut page = Page::first(2);
        loop {
            let listed = scene.store.calls(filter.clone(), page.clone()).await.unwrap();
            seen.extend(listed.items.iter().map(|row| row.started_at.as_unix_ms()));
            page.cursor = listed.next_cursor;
            if page.cursor.is_none() {
                return seen;
            }
        }
    };
    let of_run = CallFilter { run: Some(run), ..CallFilter::default() };
    assert_eq!(pages(of_run.clone()).await, [1, 2, 3, 4, 5]);
    let answered = CallFilter { status: Some(CallStatus::Answered), ..of_run };
    assert_eq!(pages(answered).await, [2]);
    assert_eq!(pages(CallFilter::default()).await, [6, 5, 4, 3, 2, 1]);
    let open = CallFilter { status: Some(CallStatus::Open), ..CallFilter::default() };
    assert_eq!(pages(open).await, [6, 5, 4, 3, 1]);
    let stage = CallFilter { stage: Some(key("research")), ..CallFilter::default() };
    assert_eq!(pages(stage).await, [5, 4, 3, 2, 1]);
}

#[tokio::test]
async fn what_an_attempt_logged_comes_back() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    let record = AttemptRecord {
        run: scene.run.id().clone(),
        stage: key("research"),
        attempt: 1,
        log: StageLog {
            lines: vec![LogLine {
                level: LogLevel::Warn,
                message: "thin".to_owned(),
                fields: vec![("words".to_owned(), "3".to_owned())],
            }],
            dropped_bytes: 4,
        },
        consumed: Consumed { cpu_time: Duration::from_micros(1_250), memory_bytes: 65_536 },
        queue_ms: 25,
        started_at: at(12),
        ended_at: at(19),
    };
    let attempt = scene.run.progress()[0].attempts;
    let fault = super::scene::fault("no");
    let command = Command::FailStage {
        stage: StageIdx(0),
        attempt,
        fault,
        at: domain::Timestamp::from_unix_ms(0),
    };
    let beside = vec![Beside::AttemptEnded(record.clone())];
    scene.give_with(command, beside).await.unwrap();
    let run = scene.run.id();
    assert_eq!(scene.store.attempt_logs(run, None).await.unwrap(), std::slice::from_ref(&record));
    assert_eq!(scene.store.attempt_logs(run, Some(&key("voice"))).await.unwrap(), []);
    let stages = scene.store.stages(run).await.unwrap();
    assert_eq!((stages[0].times.queue_ms, stages[0].times.work_ms), (25, 7));
}

#[tokio::test]
async fn counts_that_no_column_can_hold_do_not_keep_an_answer_away() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    let most = Some(u64::MAX);
    let mut completion = completion("Light.", most);
    completion.usage = Usage {
        input_tokens: most,
        output_tokens: most,
        cached_tokens: most,
        cache_write_tokens: most,
        reasoning_tokens: most,
        ..completion.usage
    };
    assert_eq!(completion.usage.total_tokens(), u64::MAX);
    let run = scene.run.id().clone();
    let timing = CallTiming {
        queue_ms: u64::MAX,
        first_token_ms: most,
        total_ms: u64::MAX,
        tries: u32::MAX,
    };
    for (number, outcome) in [
        (1, Ok(completion.clone())),
        (2, Ok(completion)),
        (3, Err(model_error(ModelErrorKind::RateLimited { retry_after_ms: most }))),
    ] {
        let answer = answered(stage_call(number, &run, 1, number), outcome);
        scene.store.keep_answer(crate::CallAnswered { timing, ..answer }).await.unwrap();
    }
    let record = AttemptRecord { queue_ms: u64::MAX, ..attempt_record(&scene, 1, 1, 20) };
    let consumed = Consumed { cpu_time: Duration::MAX, memory_bytes: u64::MAX };
    scene.fail_with(AttemptRecord { consumed, ..record }).await;
    let row = scene.store.call(&call_id(1)).await.unwrap().unwrap().row;
    assert_eq!(row.usage.unwrap().input_tokens, Some(i64::MAX as u64));
    assert_eq!(scene.store.spent(&run).await.unwrap()[0].tokens, u64::MAX);
    let sum = scene.store.usage_by(UsageFilter::default(), Vec::new()).await.unwrap()[0].sum;
    assert_eq!((sum.calls, sum.input_tokens), (3, i64::MAX as u64), "a column holds no more");
    assert_eq!(scene.store.stages(&run).await.unwrap()[0].times.work_ms, 0);
    assert_eq!(journal(&scene, 1).await.len(), 3);
}

impl Scene {
    /// Fails the running attempt of the first stage with this record.
    async fn fail_with(&mut self, record: AttemptRecord) {
        let fault = super::scene::fault("no");
        let command = Command::FailStage {
            stage: StageIdx(0),
            attempt: record.attempt,
            fault,
            at: domain::Timestamp::from_unix_ms(0),
        };
        self.give_with(command, vec![Beside::AttemptEnded(record)]).await.unwrap();
    }

    async fn call_row(&self, number: u32) -> CallRow {
        self.store.call(&call_id(number)).await.unwrap().unwrap().row
    }
}

fn attempt_record(scene: &Scene, attempt: u32, from: i64, to: i64) -> AttemptRecord {
    AttemptRecord {
        run: scene.run.id().clone(),
        stage: key("research"),
        attempt,
        log: StageLog { lines: Vec::new(), dropped_bytes: 0 },
        consumed: Consumed { cpu_time: Duration::ZERO, memory_bytes: 0 },
        queue_ms: 0,
        started_at: at(from),
        ended_at: at(to),
    }
}

#[tokio::test]
async fn an_attempt_is_not_charged_for_what_others_waited() {
    let mut scene = Scene::new().await;
    let run = scene.run.id().clone();
    let keep = |number: u32, attempt, total_ms| {
        let answer = answered(stage_call(number, &run, attempt, 1), Ok(completion("x", None)));
        let timing = CallTiming { total_ms, ..answer.timing };
        scene.store.keep_answer(crate::CallAnswered { timing, ..answer })
    };
    // Canceled before it ended, so that it has no record; its call began at 15.
    keep(15, 1, 5_000).await.unwrap();
    // Asked at 35 by a process that died, and replayed; then another in the attempt that went to its end.
    keep(35, 2, 9_000).await.unwrap();
    let late =
        CallOrigin::Stage { run: run.clone(), stage: key("research"), attempt: 2, ordinal: 2 };
    scene.store.keep_answer(answered(call(45, late), Ok(completion("x", None)))).await.unwrap();
    scene.start(0).await;
    scene.give(cancel()).await;
    scene.give(retry(None)).await;
    scene.start(0).await;
    let record = attempt_record(&scene, 2, 40, 60);
    scene.fail_with(record).await;
    let times = scene.store.stages(&run).await.unwrap()[0].times;
    assert_eq!((times.work_ms, times.model_wait_ms), (20 - 7, 5_000 + 9_000 + 7));
}

#[tokio::test]
async fn the_open_calls_of_a_canceled_run_are_canceled_with_it() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    let run = scene.run.id().clone();
    let answer = answered(stage_call(1, &run, 1, 1), Ok(completion("Light.", None)));
    scene.store.keep_answer(answer).await.unwrap();
    scene.store.note_call_started(stage_call(2, &run, 1, 2));
    let other = CallOrigin::Stage {
        run: super::scene::run_id(2),
        stage: key("research"),
        attempt: 1,
        ordinal: 1,
    };
    scene.store.note_call_started(call(3, other));
    scene.give(cancel()).await;
    assert_eq!(scene.call_row(1).await.status, CallStatus::Answered);
    assert_eq!(scene.call_row(3).await.status, CallStatus::Open);
    let row = scene.call_row(2).await;
    let error = row.error.unwrap();
    assert_eq!((row.status, row.ended_at), (CallStatus::Canceled, Some(at(scene.now))));
    assert_eq!(error.kind, ModelErrorKind::Canceled);
    assert_eq!(error.message, "the run was canceled");

    // A note that comes late opens nothing; an answer that comes late was paid for.
    scene.store.note_call_started(stage_call(2, &run, 1, 2));
    scene.store.note_call_started(stage_call(4, &run, 1, 3));
    settled(&scene).await;
    assert_eq!(scene.call_row(2).await.status, CallStatus::Canceled);
    assert_eq!(scene.store.call(&call_id(4)).await.unwrap(), None);
    for number in [2, 4] {
        let started = stage_call(number, &run, 1, if number == 2 { 2 } else { 3 });
        scene.store.keep_answer(answered(started, Ok(completion("Late.", None)))).await.unwrap();
        let row = scene.call_row(number).await;
        assert_eq!((row.status, row.error), (CallStatus::Answered, None));
    }

    // What a retry asks is not canceled when the projections are made again.
    scene.give(retry(None)).await;
    scene.start(0).await;
    scene.store.note_call_started(stage_call(5, &run, 2, 1));
    scene.store.rebuild_projections().await.unwrap();
    assert_eq!(scene.call_row(5).await.status, CallStatus::Open);
    scene.check().await;
}

#[tokio::test]
async fn a_start_closes_the_chats_that_the_host_left_open() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    let asked = call(1, chat(None));
    scene.store.note_call_started(asked.clone());
    scene.store.note_call_started(stage_call(2, scene.run.id(), 1, 1));
    scene.store.close_open_chats(at(50)).await.unwrap();
    let row = scene.call_row(1).await;
    assert_eq!((row.status, row.ended_at), (CallStatus::Canceled, Some(at(50))));
    assert_eq!(row.error.unwrap().message, "the host stopped while the model was answering");
    assert_eq!(scene.call_row(2).await.status, CallStatus::Open, "its attempt asks it again");
    scene.store.keep_answer(answered(asked, Ok(completion("Hi", None)))).await.unwrap();
    assert_eq!(scene.call_row(1).await.status, CallStatus::Answered);
    scene.check_usage().await;
}
