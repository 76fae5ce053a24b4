//! Questions to models: kept once, given back, never asked twice.
use domain::run::Status;
use insta::assert_snapshot;
use model_server::ModelServer;
use store::{CallFilter, CallStatus, Page};

use super::support::{Behavior, Host, STRAIGHT, Setup};

async fn calls(host: &Host, run: &domain::RunId) -> Vec<(u32, CallStatus)> {
    let filter = CallFilter { run: Some(run.clone()), ..CallFilter::default() };
    let page = Page { cursor: None, limit: 100 };
    let rows = host.engine.store().calls(filter, page).await.unwrap().items;
    let ordinal = |row: &store::CallRow| match &row.origin {
        store::CallOrigin::Stage { ordinal, .. } => *ordinal,
        store::CallOrigin::Chat { .. } => 0,
    };
    rows.iter().map(|row| (ordinal(row), row.status)).collect()
}

#[tokio::test]
async fn an_answer_that_was_kept_is_given_back_after_a_restart_and_not_asked_for_again() {
    let host = Host::start(&[STRAIGHT]).await;
    host.stages.set("first", Behavior::AskWaitAsk("one".to_owned(), "two".to_owned()));
    host.stages.set("second", Behavior::Ask(Vec::new()));
    let run = host.submit("straight").await;
    host.stages.arrived.acquire().await.unwrap().forget();

    let host = host.restart().await;
    host.stages.gate.add_permits(2);
    host.reaches(&run, Status::Completed).await;

    assert_eq!(calls(&host, &run).await, [(1, CallStatus::Answered), (2, CallStatus::Answered)]);
    assert_snapshot!(host.journal(&run).await, @r"
    1 run_created
    2 stage_started 0 attempt=1
    3 model_answered 0 #1
    4 model_answered 0 #2
    5 stage_finished 0
    6 stage_started 1 attempt=1
    7 stage_finished 1
    8 run_completed
    ");
    host.check_projections(&run).await;
}

#[tokio::test]
async fn a_stage_that_asks_something_else_after_a_restart_is_stopped_and_nothing_is_paid() {
    let host = Host::start(&[STRAIGHT]).await;
    host.stages.set("first", Behavior::AskWaitAsk("one".to_owned(), "two".to_owned()));
    let run = host.submit("straight").await;
    host.stages.arrived.acquire().await.unwrap().forget();
    host.stages.set("first", Behavior::Ask(vec!["another one".to_owned()]));

    let host = host.restart().await;
    host.reaches(&run, Status::Failed).await;

    let fault = host.engine.store().run(&run).await.unwrap().unwrap().fault.unwrap();
    assert_eq!(fault.code, "replay_diverged");
    assert!(fault.message.contains("[user] one"), "{}", fault.message);
    assert!(fault.message.contains("[user] another one"), "{}", fault.message);
    assert_eq!(calls(&host, &run).await, [(1, CallStatus::Answered)]);
}

#[tokio::test]
async fn a_stage_may_ask_only_as_often_as_its_profile_allows() {
    let profile = STRAIGHT.replace(
        "plugin: first, gate: none",
        "plugin: first, gate: none, limits: { model_calls: 2 }",
    );
    let host = Host::start(&[&profile]).await;
    let question = |idx: usize| format!("question {idx}");
    host.stages.set("first", Behavior::Ask((0..3).map(question).collect()));
    let run = host.submit("straight").await;
    host.reaches(&run, Status::Failed).await;

    let fault = host.engine.store().run(&run).await.unwrap().unwrap().fault.unwrap();
    assert_eq!(fault.code, "budget_exhausted");
    assert!(fault.message.contains("limits.model_calls"), "{}", fault.message);
    assert_eq!(calls(&host, &run).await.len(), 2);
}

#[tokio::test]
async fn a_replay_that_diverges_shows_both_questions_and_a_retry_begins_afresh() {
    for texts in [store::Texts::Off, store::Texts::Trimmed { bytes_max: 10 }] {
        let server = ModelServer::start().await;
        let host = Host::start_with(Setup { texts, ..Setup::asking(&server) }, &[STRAIGHT]).await;
        let long = "What do bees need on a balcony? ".repeat(200);
        let (spring, autumn) = (format!("{long}In spring."), format!("{long}In autumn."));
        host.stages.set("first", Behavior::AskWaitAsk(spring.clone(), "two".to_owned()));
        host.stages.set("second", Behavior::Ask(Vec::new()));
        let run = host.submit("straight").await;
        host.stages.has_arrived().await;
        host.stages.set("first", Behavior::Ask(vec![autumn.clone()]));

        let host = host.restart().await;
        host.reaches(&run, Status::Failed).await;
        let (code, message) = host.fault(&run).await;
        assert_eq!(code, "replay_diverged");
        let (kept, asked) = message.split_once("asked now:").expect("both are shown");
        assert!(kept.trim_end().ends_with("In spring."), "{message}");
        assert!(asked.trim_end().ends_with("In autumn."), "{message}");
        assert_eq!(server.count(), 1, "nothing is paid on a guess");

        host.engine.retry(&run, None, "tester").await.unwrap();
        host.reaches(&run, Status::Completed).await;
        assert!(host.journal(&run).await.contains("stage_started 0 attempt=2"));
        assert_eq!(server.count(), 2);
        host.check_projections(&run).await;
    }
}
