//! Answers, logs, waits, and the end of a run that nobody wants any more.
use std::time::Duration;

use domain::stage::LogLevel;

use super::*;
use crate::engine::EPOCH_TICK;

#[tokio::test]
async fn an_answer_reaches_the_guest_whole() {
    let model = TestModel::answering(Ok(completion("Bees make honey.")));
    let attempt = sandbox().run(job(&verb("ask")), Ports::models(Arc::clone(&model) as _)).await;
    let output = attempt.outcome.unwrap();
    assert_eq!(output.artifacts[0].body, "Bees make honey.");
    assert_says(output.data.as_str(), &[r#""cost_nano_usd":7"#, r#""input_tokens":3"#]);
    let asked = model.asked.lock().unwrap();
    assert_eq!(asked[0].label.as_deref(), Some("rogue"));
    assert_eq!(asked[0].messages[1].content, "bees");
}

#[tokio::test]
async fn a_preview_is_the_first_question_of_the_run() {
    let model = Arc::new(TestModel::default());
    sandbox().run(job(&verb("ask")), Ports::models(Arc::clone(&model) as _)).await.outcome.unwrap();
    let preview = sandbox().build_prompt(job(&verb("ask"))).await.unwrap();
    assert_eq!(preview, model.asked.lock().unwrap()[0]);
}

#[tokio::test]
async fn a_log_is_kept_with_levels_and_fields() {
    let log = attempt(job(&verb("log"))).await.log;
    let levels: Vec<LogLevel> = log.lines.iter().map(|line| line.level).collect();
    assert_eq!(levels, [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error]);
    assert_eq!(log.lines[1].fields[0], ("key".to_owned(), "value".to_owned()));
    assert_eq!(log.lines[2].fields[0].1, "\u{fffd}[31m");
    assert_eq!(log.dropped_bytes, 0);
}

#[tokio::test]
async fn a_flood_is_cut_and_counted_and_harms_nothing() {
    for verb in ["flood-log", "flood-stdout", "flood-stderr"] {
        let mut job = job(&format!(r#"{{"verb":"{verb}","count":20000}}"#));
        job.limits.log_bytes_max = 64 << 10;
        job.limits.cpu_time_max = Duration::from_secs(60);
        let attempt = attempt(job).await;
        assert!(attempt.outcome.is_ok(), "{:?}", attempt.outcome);
        let kept: usize = attempt.log.lines.iter().map(|line| line.message.len()).sum();
        assert!(kept <= 64 << 10, "{verb} kept {kept} bytes");
        assert!(attempt.log.dropped_bytes > 1_000_000, "{verb}: {}", attempt.log.dropped_bytes);
    }
}

/// A model that takes its time: it answers when some ticks have passed, and so it is with each piece.
struct SlowModel;

/// A slow answer, with the number of its pieces.
struct SlowAnswer(u32);

const WAIT_TICKS: u32 = 20;

async fn some_ticks() {
    let ticks = sandbox().machine.ticks();
    let end = ticks.load(std::sync::atomic::Ordering::Acquire) + u64::from(WAIT_TICKS);
    while ticks.load(std::sync::atomic::Ordering::Acquire) < end {
        tokio::task::yield_now().await;
    }
}

impl ModelPort for SlowModel {
    fn ask(&self, _: ModelRequest) -> BoxFuture<'_, Result<Completion, AskError>> {
        Box::pin(async {
            some_ticks().await;
            Ok(completion("at last"))
        })
    }

    fn stream(&self, _: ModelRequest) -> BoxFuture<'_, Result<Box<dyn AnswerStream>, AskError>> {
        Box::pin(async {
            some_ticks().await;
            Ok(Box::new(SlowAnswer(2)) as Box<dyn AnswerStream>)
        })
    }
}

impl AnswerStream for SlowAnswer {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<String>, AskError>> {
        Box::pin(async {
            some_ticks().await;
            let Some(left) = self.0.checked_sub(1) else { return Ok(None) };
            self.0 = left;
            Ok(Some("at last ".to_owned()))
        })
    }

    fn finish(&mut self) -> BoxFuture<'_, Result<Completion, AskError>> {
        Box::pin(async {
            some_ticks().await;
            Ok(completion("at last at last "))
        })
    }

    fn unwanted(self: Box<Self>) {}
}

#[tokio::test]
async fn waiting_for_a_model_is_not_computing() {
    for settings in [r#"{"verb":"ask-many","count":3}"#, r#"{"verb":"stream"}"#] {
        let mut job = job(settings);
        job.limits.cpu_time_max = EPOCH_TICK * WAIT_TICKS * 2;
        let attempt = sandbox().run(job, Ports::models(Arc::new(SlowModel))).await;
        assert!(attempt.outcome.is_ok(), "{:?}", attempt.outcome);
        assert!(attempt.consumed.cpu_time < EPOCH_TICK * WAIT_TICKS * 2, "{:?}", attempt.consumed);
        assert!(attempt.consumed.memory_bytes > 0);
    }
}

/// A sandbox of its own, so that nobody else takes its instances.
fn own_sandbox() -> (tempfile::TempDir, Sandbox) {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::open(config(folder.path())).unwrap();
    (folder, sandbox)
}

#[tokio::test]
async fn dropping_a_run_stops_the_guest_and_frees_its_instance() {
    let (_folder, sandbox) = own_sandbox();
    let model = TestModel::silent();
    let waiting = sandbox.run(job(&verb("slow")), Ports::models(Arc::clone(&model) as _));
    tokio::select! {
        _ = waiting => panic!("the model is silent"),
        () = model.was_asked.notified() => {}
    }
    assert_eq!(sandbox.machine.free_stage_slots(), 2);

    let mut spin = job(&verb("spin"));
    spin.limits.cpu_time_max = Duration::from_secs(3600);
    let mut spinning = sandbox.run(spin, Ports::models(TestModel::silent()));
    // A guest that computes gives the thread back at its first tick.
    let mut polls = 0;
    std::future::poll_fn(|context| {
        assert!(spinning.as_mut().poll(context).is_pending());
        polls += 1;
        if polls < 3 { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    assert_eq!(sandbox.machine.free_stage_slots(), 1);
    drop(spinning);
    assert_eq!(sandbox.machine.free_stage_slots(), 2);
}

#[tokio::test]
async fn more_runs_than_instances_wait_their_turn() {
    let (_folder, sandbox) = own_sandbox();
    let mut runs = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let sandbox = sandbox.clone();
        runs.spawn(async move {
            sandbox
                .run(job(&verb("ask")), Ports::models(Arc::new(TestModel::default())))
                .await
                .outcome
                .is_ok()
        });
    }
    assert!(runs.join_all().await.into_iter().all(|is_ok| is_ok));
}

#[tokio::test]
async fn a_preview_does_not_wait_for_runs() {
    let (_folder, sandbox) = own_sandbox();
    let model = TestModel::silent();
    let one = sandbox.run(job(&verb("slow")), Ports::models(Arc::clone(&model) as _));
    let two = sandbox.run(job(&verb("slow")), Ports::models(Arc::clone(&model) as _));
    tokio::select! {
        _ = one => panic!("the model is silent"),
        _ = two => panic!("the model is silent"),
        preview = async {
            while model.asked.lock().unwrap().len() < 2 {
                model.was_asked.notified().await;
            }
            sandbox.build_prompt(job(&verb("ask"))).await
        } => assert!(preview.is_ok()),
    }
}
