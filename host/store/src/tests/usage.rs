//! What calls used up: counted once, whatever became of them. Sums are compared with the journal in `check_usage`.
use domain::model::{ModelErrorKind, Usage};

use super::scene::{
    Scene, answered, at, call, call_id, cancel, canceled, chat, completion, key, model_error,
    request, run_id, stage_call,
};
use crate::{
    AnswerSource, Append, Beside, CallAnswered, CallDetail, CallFilter, CallRow, CallStarted,
    CallStatus, Page, Spent, StageSpent, USAGE_GROUP_COUNT_MAX, UsageFilter, UsageKey, UsageRow,
    UsageSum,
};

const DAY_MS: i64 = 86_400_000;

impl Scene {
    async fn keep(&self, answer: CallAnswered) {
        self.store.keep_answer(answer).await.unwrap();
    }

    async fn used(&self) -> UsageSum {
        self.store.usage(self.run.id()).await.unwrap()
    }

    async fn detail(&self, number: u32) -> CallDetail {
        self.store.call(&call_id(number)).await.unwrap().unwrap()
    }

    async fn usage_by(&self, filter: UsageFilter, keys: &[UsageKey]) -> String {
        let rows = self.store.usage_by(filter, keys.to_vec()).await.unwrap();
        rows.iter().map(shown).collect::<Vec<_>>().join("\n")
    }
}

fn shown(row: &UsageRow) -> String {
    let keys = row.keys.iter().map(|(_, value)| value.as_deref().unwrap_or("-"));
    let sum = &row.sum;
    format!(
        "{}: {} calls, {} hits, {} failed, {} in, {} out, {:?}",
        keys.collect::<Vec<_>>().join(" "),
        sum.calls,
        sum.cache_hits,
        sum.failed_calls,
        sum.input_tokens,
        sum.output_tokens,
        sum.cost_nano_usd
    )
}

fn of_provider(answer: CallAnswered, provider: &str, model: &str) -> CallAnswered {
    CallAnswered { provider: provider.to_owned(), model: model.to_owned(), ..answer }
}

fn on_day(mut started: CallStarted, day: i64) -> CallStarted {
    started.at = at(day * DAY_MS + started.at.as_unix_ms());
    started
}

#[tokio::test]
async fn what_a_call_without_an_answer_used_is_counted_and_shown() {
    let scene = Scene::new().await;
    let run = scene.run.id().clone();
    scene.keep(canceled(stage_call(1, &run, 1, 1), 30, Some(60))).await;
    let error = Err(model_error(ModelErrorKind::Timeout));
    let usage = Usage { input_tokens: Some(10), cache_write_tokens: Some(4), ..Usage::default() };
    let spent = Some(Spent { content: String::new(), usage, cost_nano_usd: Some(5) });
    scene.keep(CallAnswered { spent, ..answered(stage_call(2, &run, 1, 2), error.clone()) }).await;
    scene.keep(answered(stage_call(3, &run, 1, 3), error)).await;
    let sum = scene.used().await;
    assert_eq!((sum.calls, sum.failed_calls), (3, 3));
    assert_eq!((sum.input_tokens, sum.cache_write_tokens), (40, 4));
    assert_eq!(sum.cost_nano_usd, Some(65), "nothing is known to be used by the third");
    let spent = StageSpent { stage: key("research"), tokens: 40, cost_nano_usd: 65 };
    assert_eq!(scene.store.spent(&run).await.unwrap(), [spent]);
    let first = scene.detail(1).await;
    assert_eq!(first.row.status, CallStatus::Canceled);
    assert_eq!(
        (first.row.usage.unwrap().input_tokens, first.row.cost_nano_usd),
        (Some(30), Some(60))
    );
    let part = first.answer.unwrap();
    assert_eq!((part.content.as_str(), part.finish_reason.as_str()), ("Lig", "broken_off"));
    assert_eq!(scene.detail(2).await.answer, None);
    let journal = scene.store.journaled(&run, &key("research"), 1).await.unwrap();
    assert_eq!(journal[0].outcome, None, "a replay asks a canceled call again");
    assert!(matches!(journal[1].outcome, Some(Err(_))));
    scene.keep(canceled(stage_call(4, &run, 1, 4), 1, None)).await;
    assert_eq!(scene.used().await.cost_nano_usd, None, "an unknown price makes the sum unknown");
    scene.check_usage().await;
}

#[tokio::test]
async fn what_was_used_before_a_call_was_asked_again_is_not_lost() {
    let scene = Scene::new().await;
    let run = scene.run.id().clone();
    let first = stage_call(1, &run, 1, 1);
    scene.keep(canceled(first.clone(), 30, Some(60))).await;
    scene.check_usage().await;
    // A process later: once with a note, and once without.
    let again = CallStarted { at: at(500), ..first.clone() };
    scene.store.note_call_started(again.clone());
    scene.keep(canceled(again, 8, Some(10))).await;
    scene.check_usage().await;
    let last = CallStarted { at: at(900), ..first };
    scene.keep(answered(last.clone(), Ok(completion("Light.", Some(7))))).await;
    scene.keep(answered(last, Ok(completion("Light.", Some(7))))).await;
    let sum = scene.used().await;
    assert_eq!((sum.calls, sum.failed_calls), (1, 0));
    assert_eq!((sum.input_tokens, sum.output_tokens), (138, 20));
    assert_eq!((sum.cost_nano_usd, sum.model_wait_ms), (Some(77), 21));
    let detail = scene.detail(1).await;
    assert_eq!(
        (detail.row.cost_nano_usd, detail.answer.unwrap().content),
        (Some(7), "Light.".to_owned())
    );
    let total = scene.usage_by(UsageFilter::default(), &[]).await;
    assert_eq!(total, ": 1 calls, 0 hits, 0 failed, 138 in, 20 out, Some(77)");
    scene.check_usage().await;
}

#[tokio::test]
async fn a_call_that_is_asked_again_within_one_moment_counts_both_times() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    let run = scene.run.id().clone();
    let first = stage_call(1, &run, 1, 1);
    scene.keep(canceled(first.clone(), 30, Some(60))).await;
    // The clock may stand still; the note says that it is another time.
    scene.store.note_call_started(first.clone());
    let answer = answered(first, Ok(completion("Light.", Some(7))));
    let append = Append {
        run: run.clone(),
        expected_version: scene.version,
        at: at(scene.now),
        events: Vec::new(),
        beside: vec![Beside::Answer(Box::new(answer))],
    };
    scene.store.append(append).await.unwrap();
    let sum = scene.used().await;
    assert_eq!((sum.calls, sum.failed_calls, sum.cost_nano_usd), (1, 0, Some(67)));
    assert_eq!(scene.detail(1).await.request.unwrap(), request("What do bees like?"));
    scene.check().await;
}

#[tokio::test]
async fn an_outcome_that_is_kept_twice_or_told_more_fully_later_counts_once() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    let run = scene.run.id().clone();
    let started = stage_call(1, &run, 1, 1);
    scene.store.note_call_started(started.clone());
    scene.give(cancel()).await;
    let by_provider = [UsageKey::Provider];
    let all = UsageFilter::default;
    assert_eq!(
        scene.usage_by(all(), &by_provider).await,
        "scripted: 1 calls, 0 hits, 1 failed, 0 in, 0 out, Some(0)"
    );
    // What was used is known when the provider was stopped; that another one had been asked, too.
    let told = of_provider(canceled(started, 30, Some(60)), "local", "small");
    scene.keep(told.clone()).await;
    scene.keep(told).await;
    assert_eq!(
        scene.usage_by(all(), &by_provider).await,
        "local: 1 calls, 0 hits, 1 failed, 30 in, 0 out, Some(60)"
    );
    let row = scene.detail(1).await.row;
    assert_eq!((row.provider.as_str(), row.model.as_str()), ("local", "small"));
    assert_eq!(scene.used().await.input_tokens, 30);
    scene.check().await;
}

#[tokio::test]
async fn an_answer_from_the_cache_is_a_call_that_used_nothing() {
    let scene = Scene::new().await;
    let run = scene.run.id().clone();
    for (number, source) in [(1, AnswerSource::Cache), (2, AnswerSource::SharedCall)] {
        let answer = answered(stage_call(number, &run, 1, number), Ok(completion("x", Some(9))));
        scene.keep(CallAnswered { source, ..answer }).await;
        let detail = scene.detail(number).await;
        assert_eq!((detail.row.source, detail.row.cost_nano_usd), (source, Some(0)));
        assert_eq!(detail.row.usage.unwrap().total_tokens(), 0);
        assert_eq!(detail.answer, Some(completion("x", Some(9))), "a replay gives the same");
    }
    let sum = scene.used().await;
    assert_eq!((sum.calls, sum.cache_hits, sum.failed_calls), (2, 2, 0));
    assert_eq!((sum.input_tokens, sum.cost_nano_usd), (0, Some(0)));
    scene.check_usage().await;
}

#[tokio::test]
async fn usage_is_summed_up_by_day_provider_model_stage_and_mode() {
    let scene = Scene::new().await;
    let run = scene.run.id().clone();
    let ok = |cost| Ok(completion("x", cost));
    scene.keep(answered(on_day(stage_call(1, &run, 1, 1), 0), ok(Some(1)))).await;
    scene.keep(answered(on_day(stage_call(2, &run, 1, 2), 1), ok(Some(10)))).await;
    scene.keep(answered(on_day(call(3, chat(None)), 1), ok(Some(100)))).await;
    let local = answered(on_day(call(4, chat(Some("s"))), 1), ok(None));
    scene.keep(of_provider(local, "local", "small")).await;
    scene.store.note_call_started(on_day(call(5, chat(None)), 1));
    let all = UsageFilter::default;
    insta::assert_snapshot!(scene.usage_by(all(), &[UsageKey::Day]).await, @r"
    1970-01-01: 1 calls, 0 hits, 0 failed, 100 in, 20 out, Some(1)
    1970-01-02: 3 calls, 0 hits, 0 failed, 300 in, 60 out, None
    ");
    insta::assert_snapshot!(scene.usage_by(all(), &UsageKey::ALL).await, @r"
    1970-01-01 scripted scripted-1 research foundation_stack: 1 calls, 0 hits, 0 failed, 100 in, 20 out, Some(1)
    1970-01-02 local small - -: 1 calls, 0 hits, 0 failed, 100 in, 20 out, None
    1970-01-02 scripted scripted-1 - -: 1 calls, 0 hits, 0 failed, 100 in, 20 out, Some(100)
    1970-01-02 scripted scripted-1 research foundation_stack: 1 calls, 0 hits, 0 failed, 100 in, 20 out, Some(10)
    ");
    insta::assert_snapshot!(scene.usage_by(all(), &[UsageKey::Mode, UsageKey::Model]).await, @r"
    - scripted-1: 1 calls, 0 hits, 0 failed, 100 in, 20 out, Some(100)
    - small: 1 calls, 0 hits, 0 failed, 100 in, 20 out, None
    foundation_stack scripted-1: 2 calls, 0 hits, 0 failed, 200 in, 40 out, Some(11)
    ");
    let day = |day: &str| Some(day.to_owned());
    let filters = [
        UsageFilter { since_day: day("1970-01-02"), ..all() },
        UsageFilter { until_day: day("1970-01-01"), ..all() },
        UsageFilter { provider: Some("local".to_owned()), ..all() },
        UsageFilter { model: Some("scripted-1".to_owned()), ..all() },
        UsageFilter { stage: Some(key("research")), ..all() },
        UsageFilter {
            mode: Some("foundation_stack".to_owned()),
            since_day: day("1970-01-02"),
            ..all()
        },
        UsageFilter { mode: Some("fancy".to_owned()), ..all() },
    ];
    let mut sums = Vec::new();
    for filter in filters {
        sums.push(scene.usage_by(filter, &[]).await);
    }
    insta::assert_snapshot!(sums.join("\n"), @r"
    : 3 calls, 0 hits, 0 failed, 300 in, 60 out, None
    : 1 calls, 0 hits, 0 failed, 100 in, 20 out, Some(1)
    : 1 calls, 0 hits, 0 failed, 100 in, 20 out, None
    : 3 calls, 0 hits, 0 failed, 300 in, 60 out, Some(111)
    : 2 calls, 0 hits, 0 failed, 200 in, 40 out, Some(11)
    : 1 calls, 0 hits, 0 failed, 100 in, 20 out, Some(10)
    : 0 calls, 0 hits, 0 failed, 0 in, 0 out, Some(0)
    ");
    scene.check_usage().await;
}

#[tokio::test]
async fn what_was_spent_in_a_day_ends_at_midnight() {
    let scene = Scene::new().await;
    let ok = |cost| Ok(completion("x", cost));
    // Asked before midnight and answered after it.
    let mut late = answered(call(1, chat(None)), ok(Some(3)));
    late.at = at(2 * DAY_MS);
    scene
        .keep(CallAnswered {
            at: at(2 * DAY_MS - 1),
            ..answered(call(2, chat(None)), ok(Some(40)))
        })
        .await;
    scene.keep(of_provider(late, "local", "small")).await;
    let spent = async |ms, provider| {
        let spent = scene.store.spent_in_day(at(ms), provider).await.unwrap();
        (spent.tokens, spent.cost_nano_usd)
    };
    assert_eq!(spent(DAY_MS, None).await, (120, 40));
    assert_eq!(spent(2 * DAY_MS, None).await, (120, 3));
    assert_eq!(spent(3 * DAY_MS - 1, Some("local")).await, (120, 3));
    assert_eq!(spent(2 * DAY_MS, Some("scripted")).await, (0, 0));
    assert_eq!(spent(3 * DAY_MS, None).await, (0, 0));
}

#[tokio::test]
async fn calls_that_a_cancellation_or_a_start_closes_are_counted_as_failed() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    let run = scene.run.id().clone();
    scene.store.note_call_started(stage_call(1, &run, 1, 1));
    scene.store.note_call_started(call(2, chat(None)));
    assert_eq!(scene.usage_by(UsageFilter::default(), &[UsageKey::Stage]).await, "");
    scene.give(cancel()).await;
    scene.store.close_open_chats(at(50)).await.unwrap();
    scene.store.close_open_chats(at(60)).await.unwrap();
    insta::assert_snapshot!(scene.usage_by(UsageFilter::default(), &[UsageKey::Stage]).await, @r"
    -: 1 calls, 0 hits, 1 failed, 0 in, 0 out, Some(0)
    research: 1 calls, 0 hits, 1 failed, 0 in, 0 out, Some(0)
    ");
    scene.check().await;
    assert_eq!(scene.store.usage(&run_id(9)).await.unwrap(), UsageSum::default());
}

/// The sum of some rows with what their calls had used before, as somebody adds it up who checks an invoice.
fn added_up(rows: &[CallRow]) -> UsageSum {
    let mut total = UsageSum::default();
    for row in rows.iter().filter(|row| row.status != CallStatus::Open) {
        let used = row.usage.unwrap_or_default();
        let before = row.used_before.map(|before| before.sum).unwrap_or_default();
        total.calls += 1;
        let is_answered = row.status == CallStatus::Answered;
        total.cache_hits += u64::from(is_answered && row.source != AnswerSource::Provider);
        total.failed_calls += u64::from(!is_answered);
        total.input_tokens += used.input_tokens.unwrap_or(0) + before.input_tokens;
        total.output_tokens += used.output_tokens.unwrap_or(0) + before.output_tokens;
        total.reasoning_tokens += used.reasoning_tokens.unwrap_or(0) + before.reasoning_tokens;
        total.model_wait_ms +=
            row.timing.map_or(0, |timing| timing.total_ms) + before.model_wait_ms;
        let cost = if row.usage.is_some() { row.cost_nano_usd } else { Some(0) };
        let cost = cost.zip(before.cost_nano_usd).map(|(now, before)| now + before);
        total.cost_nano_usd = total.cost_nano_usd.zip(cost).map(|(one, other)| one + other);
    }
    total
}

#[tokio::test]
async fn the_list_of_calls_adds_up_to_every_sum_whatever_became_of_the_calls() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    let run = scene.run.id().clone();
    let of_run = |number| stage_call(number, &run, 1, number);
    let ok = |cost| Ok(completion("Light.", cost));
    // Answered, failed without and with usage, and asked again twice.
    scene.keep(answered(of_run(1), ok(Some(5)))).await;
    scene.keep(answered(of_run(2), Err(model_error(ModelErrorKind::Timeout)))).await;
    let broken = canceled(of_run(3), 11, Some(13));
    scene.keep(CallAnswered { outcome: Err(model_error(ModelErrorKind::Timeout)), ..broken }).await;
    for (ms, tokens) in [(4, 30), (500, 8)] {
        scene.keep(canceled(CallStarted { at: at(ms), ..of_run(4) }, tokens, Some(60))).await;
    }
    scene.keep(answered(CallStarted { at: at(900), ..of_run(4) }, ok(Some(7)))).await;
    // Canceled while it is asked again: what it had used before is paid all the same.
    scene.keep(canceled(of_run(5), 21, Some(17))).await;
    scene.store.note_call_started(CallStarted { at: at(600), ..of_run(5) });
    for (number, source) in [(6, AnswerSource::Cache), (7, AnswerSource::SharedCall)] {
        scene.keep(CallAnswered { source, ..answered(of_run(number), ok(Some(9))) }).await;
    }
    scene.give(cancel()).await;
    scene.keep(of_provider(answered(call(8, chat(None)), ok(Some(3))), "local", "small")).await;

    let rows = async |filter| scene.store.calls(filter, Page::first(50)).await.unwrap().items;
    let filter = CallFilter { run: Some(run.clone()), ..CallFilter::default() };
    let of_run = rows(filter).await;
    assert_eq!(
        of_run.iter().map(|row| row.used_before.map(|before| before.times)).collect::<Vec<_>>(),
        [None, None, None, Some(2), Some(1), None, None]
    );
    let sum = scene.store.usage(&run).await.unwrap();
    assert_eq!(added_up(&of_run), sum);
    assert_eq!(scene.store.stages(&run).await.unwrap()[0].usage, sum);
    assert_eq!(
        (sum.input_tokens, sum.cost_nano_usd),
        (100 + 11 + 138 + 21, Some(5 + 13 + 127 + 17))
    );
    let all = rows(CallFilter::default()).await;
    let total = scene.store.usage_by(UsageFilter::default(), Vec::new()).await.unwrap();
    assert_eq!(added_up(&all), total[0].sum);
    let told = scene.store.call(&of_run[3].call).await.unwrap().unwrap().row;
    assert_eq!(told, of_run[3]);

    // A price that is not known makes all of them unknown, and none of them wrong.
    scene.keep(canceled(call(9, chat(None)), 4, None)).await;
    let all = rows(CallFilter::default()).await;
    let total = scene.store.usage_by(UsageFilter::default(), Vec::new()).await.unwrap();
    assert_eq!((added_up(&all), total[0].sum.cost_nano_usd), (total[0].sum, None));
    scene.check().await;
}

#[tokio::test]
async fn a_report_of_too_many_groups_ends_behind_the_bound() {
    let scene = Scene::new().await;
    let fill = |db: &rusqlite::Connection| {
        let groups = USAGE_GROUP_COUNT_MAX + 5;
        let fill = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {groups})
            INSERT INTO usage_days SELECT '2026-01-01', 'local', 'm' || i, '', '',
            1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1 FROM n"
        );
        db.execute_batch(&fill).unwrap();
    };
    scene.store.tamper(fill).await.unwrap();
    let by = |keys| scene.store.usage_by(UsageFilter::default(), keys);
    assert_eq!(by(vec![UsageKey::Model]).await.unwrap().len(), USAGE_GROUP_COUNT_MAX + 1);
    let total = by(Vec::new()).await.unwrap();
    assert_eq!(total[0].sum.calls, USAGE_GROUP_COUNT_MAX as u64 + 5);
}

#[tokio::test]
async fn a_call_that_a_dying_host_left_open_says_that_it_was_asked_before() {
    for noted in [true, false] {
        let mut scene = Scene::new().await;
        scene.start(0).await;
        let first = stage_call(1, scene.run.id(), 1, 1);
        scene.store.note_call_started(first.clone());
        scene.store.tamper(|_| ()).await.unwrap();
        let again = CallStarted { at: at(500), ..first };
        if noted {
            scene.store.note_call_started(again.clone());
            scene.store.tamper(|_| ()).await.unwrap();
        }
        scene.keep(answered(again, Ok(completion("Light.", Some(7))))).await;
        let before = scene.detail(1).await.row.used_before.unwrap();
        assert_eq!((before.times, before.sum), (1, UsageSum::default()), "with a note: {noted}");
        assert_eq!((scene.used().await.calls, scene.used().await.cost_nano_usd), (1, Some(7)));
        scene.check().await;
    }
}

#[tokio::test]
async fn a_call_that_shares_the_failure_of_another_is_no_hit() {
    let scene = Scene::new().await;
    let failed =
        answered(stage_call(1, scene.run.id(), 1, 1), Err(model_error(ModelErrorKind::Timeout)));
    scene.keep(CallAnswered { source: AnswerSource::SharedCall, ..failed }).await;
    let sum = scene.used().await;
    assert_eq!((sum.calls, sum.cache_hits, sum.failed_calls), (1, 0, 1));
    let total = scene.usage_by(UsageFilter::default(), &[]).await;
    assert_eq!(total, ": 1 calls, 0 hits, 1 failed, 0 in, 0 out, Some(0)");
    scene.check_usage().await;
}
