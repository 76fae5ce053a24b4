//! Runs from their beginning to their end.
use domain::fault::Limit;
use domain::run::{Refusal, Status, Verdict};
use domain::{FaultKind, StageKey};
use insta::assert_snapshot;

use super::support::{Behavior, GATED, Host, STRAIGHT};
use crate::{Error, StartRun};

#[tokio::test]
async fn a_run_waits_at_its_gate_and_goes_on_by_itself_when_it_is_granted() {
    let host = Host::start(&[GATED]).await;
    let run = host.submit("gated").await;
    host.reaches(&run, Status::WaitingApproval).await;

    host.decide(&run, Verdict::Granted).await.unwrap();
    host.reaches(&run, Status::Completed).await;

    assert_snapshot!(host.journal(&run).await, @r"
    1 run_created
    2 stage_started 0 attempt=1
    3 model_answered 0 #1
    4 stage_finished 0
    5 gate_opened 0
    6 gate_granted 0 by=tester
    7 stage_started 1 attempt=1
    8 model_answered 1 #1
    9 stage_finished 1
    10 run_completed
    ");
    host.check_projections(&run).await;
}

#[tokio::test]
async fn a_rejected_gate_ends_the_run() {
    let host = Host::start(&[GATED]).await;
    let run = host.submit("gated").await;
    host.reaches(&run, Status::WaitingApproval).await;

    let decided = host.decide(&run, Verdict::Rejected).await.unwrap();

    assert_eq!(decided.status, Status::Failed);
    assert_snapshot!(host.journal(&run).await, @r"
    1 run_created
    2 stage_started 0 attempt=1
    3 model_answered 0 #1
    4 stage_finished 0
    5 gate_opened 0
    6 gate_rejected 0 by=tester
    ");
    host.check_projections(&run).await;
}

#[tokio::test]
async fn the_first_decision_holds_and_the_same_again_is_no_error() {
    let host = Host::start(&[GATED]).await;
    let run = host.submit("gated").await;
    host.reaches(&run, Status::WaitingApproval).await;
    host.decide(&run, Verdict::Granted).await.unwrap();
    host.reaches(&run, Status::Completed).await;
    let before = host.journal(&run).await;

    host.decide(&run, Verdict::Granted).await.unwrap();
    let second = host.decide(&run, Verdict::Rejected).await.unwrap_err();

    assert!(
        matches!(
            second,
            Error::Refused { refusal: Refusal::AlreadyDecided { verdict: Verdict::Granted }, .. }
        ),
        "{second:?}"
    );
    assert_eq!(host.journal(&run).await, before);
}

#[tokio::test]
async fn a_failed_stage_keeps_what_was_made_and_can_be_tried_again() {
    let host = Host::start(&[STRAIGHT]).await;
    host.stages.set("second", Behavior::Fail(FaultKind::Limit(Limit::Memory)));
    let run = host.submit("straight").await;
    host.reaches(&run, Status::Failed).await;
    assert_eq!(host.engine.store().artifacts(&run).await.unwrap().len(), 1);

    host.stages.set("second", Behavior::Ask(Vec::new()));
    host.engine.retry(&run, None, "tester").await.unwrap();
    host.reaches(&run, Status::Completed).await;

    assert_snapshot!(host.journal(&run).await, @r"
    1 run_created
    2 stage_started 0 attempt=1
    3 model_answered 0 #1
    4 stage_finished 0
    5 stage_started 1 attempt=1
    6 stage_failed 1 limit_memory
    7 run_failed 1 limit_memory
    8 run_retried by=tester
    9 stage_started 1 attempt=2
    10 stage_finished 1
    11 run_completed
    ");
    host.check_projections(&run).await;
}

#[tokio::test]
async fn a_panic_of_the_host_fails_the_attempt_and_not_the_host() {
    let host = Host::start(&[STRAIGHT]).await;
    host.stages.set("first", Behavior::Panic);
    let run = host.submit("straight").await;
    host.reaches(&run, Status::Failed).await;

    let row = host.engine.store().run(&run).await.unwrap().unwrap();
    let fault = row.fault.unwrap();
    assert_eq!(fault.code, "host_failure");
    assert!(fault.message.ends_with("as told"), "{}", fault.message);
}

#[tokio::test]
async fn a_run_can_be_canceled_in_the_middle_of_a_stage() {
    let host = Host::start(&[STRAIGHT]).await;
    host.stages.set("first", Behavior::AskWaitAsk("one".to_owned(), "two".to_owned()));
    let run = host.submit("straight").await;
    host.stages.arrived.acquire().await.unwrap().forget();

    host.engine.cancel(&run, "tester", None).await.unwrap();
    host.engine.cancel(&run, "tester", None).await.unwrap();

    host.reaches(&run, Status::Canceled).await;
    assert_snapshot!(host.journal(&run).await, @r"
    1 run_created
    2 stage_started 0 attempt=1
    3 model_answered 0 #1
    4 run_canceled by=tester
    ");
    host.check_projections(&run).await;
}

#[tokio::test]
async fn a_paused_run_finishes_its_attempt_and_stays_until_it_is_resumed() {
    let host = Host::start(&[STRAIGHT]).await;
    host.stages.set("first", Behavior::AskWaitAsk("one".to_owned(), "two".to_owned()));
    let run = host.submit("straight").await;
    host.stages.arrived.acquire().await.unwrap().forget();
    host.engine.pause(&run, "tester").await.unwrap();
    host.stages.gate.add_permits(1);
    host.reaches(&run, Status::Paused).await;

    host.engine.resume(&run, "tester").await.unwrap();
    host.reaches(&run, Status::Completed).await;
    let before = host.journal(&run).await;
    let status = host.engine.resume(&run, "tester").await.unwrap();

    assert_eq!(status, Status::Completed);
    assert_eq!(host.journal(&run).await, before, "a resume of an ended run records nothing");
    assert_snapshot!(before, @r"
    1 run_created
    2 stage_started 0 attempt=1
    3 model_answered 0 #1
    4 pause_requested by=tester
    5 model_answered 0 #2
    6 stage_finished 0
    7 run_paused
    8 run_resumed by=tester
    9 stage_started 1 attempt=1
    10 model_answered 1 #1
    11 stage_finished 1
    12 run_completed
    ");
    host.check_projections(&run).await;
}

#[tokio::test]
async fn one_idempotency_key_begins_one_run() {
    let host = Host::start(&[STRAIGHT]).await;
    let ask = |text: &str| StartRun {
        request_text: text.to_owned(),
        mode: "straight".to_owned(),
        idempotency_key: Some("order 7".to_owned()),
        ..StartRun::default()
    };

    let (one, two) =
        tokio::join!(host.engine.start_run(ask("bees")), host.engine.start_run(ask("bees")));
    let other = host.engine.start_run(ask("wasps")).await.unwrap_err();

    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.run_id, two.run_id);
    assert_ne!(one.existed, two.existed);
    assert!(matches!(other, Error::IdempotencyConflict { .. }), "{other:?}");
}

#[tokio::test]
async fn every_problem_of_a_request_is_reported_and_nothing_is_begun() {
    let host = Host::start(&[STRAIGHT]).await;
    let mut variables = serde_json::Map::new();
    variables.insert("Bad Name".to_owned(), serde_json::Value::Null);
    let ask = StartRun {
        request_text: "  ".to_owned(),
        mode: "strait".to_owned(),
        thread_id: Some("a\nb".to_owned()),
        variables,
        ..StartRun::default()
    };

    let Error::Invalid(problems) = host.engine.start_run(ask).await.unwrap_err() else {
        panic!("the request is not valid");
    };

    let mut places: Vec<String> =
        problems.items().iter().map(|problem| problem.place.to_string()).collect();
    places.sort();
    assert_eq!(places, ["/mode", "/request_text", "/thread_id", "/variables/Bad Name"]);
    let page = store::Page { cursor: None, limit: 10 };
    let runs = host.engine.store().runs(store::RunFilter::default(), page).await.unwrap();
    assert!(runs.items.is_empty());
}

#[tokio::test]
async fn fifty_runs_at_once_finish_and_leave_nothing_in_memory() {
    let host = Host::start(&[STRAIGHT]).await;
    let mut runs = Vec::new();
    for _ in 0..50 {
        runs.push(host.submit("straight").await);
    }
    for run in &runs {
        host.reaches(run, Status::Completed).await;
    }

    host.engine.flush_files().await;
    for run in &runs {
        let folder = host.folder.path().join("runs").join(run.as_str());
        assert!(folder.join("manifest.json").is_file(), "{run}");
    }
    host.engine.shutdown().await;
    assert_eq!(host.engine.0.registry.len(), 0);
}

#[tokio::test]
async fn the_prompt_of_a_stage_that_is_done_is_the_one_that_it_began_with() {
    let host = Host::start(&[STRAIGHT]).await;
    host.stages.set("first", Behavior::Set("early"));
    host.stages.set("second", Behavior::Set("late"));
    let run = host.submit("straight").await;
    host.reaches(&run, Status::Completed).await;
    let mut asked = Vec::new();
    for stage in ["first", "second"] {
        let preview = host.engine.prompt(&run, &stage.parse::<StageKey>().unwrap()).await.unwrap();
        asked.push(preview.request.messages[0].content.clone());
    }
    assert_eq!(asked, ["the question of first", "the question of second with early"]);
}
