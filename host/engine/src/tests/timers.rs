//! What time brings about at gates, and a clock that jumps.
use std::time::Duration;

use domain::plan::{DeadlineOutcome, GateDeadline, GatePolicy, Reminder, Reviewer};
use domain::run::{Refusal, Status, Verdict};
use domain::{RunId, Timestamp};
use gateway::Webhook;
use insta::assert_snapshot;
use model_server::{Behavior as Server, ModelServer};
use tokio::time::timeout;

use super::support::{Behavior, GATED, Host, PATIENCE, STRAIGHT, Setup, Step, decision};
use crate::{DayBudget, DayBudgets, DriveOnStart, Error};

const HOUR: Duration = Duration::from_secs(3_600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

fn deadline(outcome: DeadlineOutcome) -> GatePolicy {
    let deadline = Some(GateDeadline { after: HOUR, outcome });
    GatePolicy { deadline, ..GatePolicy::default() }
}

fn reminded(webhook: &str) -> GatePolicy {
    let webhook = webhook.to_owned();
    let reminder = Reminder { webhook, after: HOUR, every: Some(HOUR), count_max: 2 };
    GatePolicy { reminder: Some(reminder), ..GatePolicy::default() }
}

/// A server takes reminders as it takes questions.
fn with_webhook(server: &ModelServer) -> Setup {
    let mut setup = Setup::scripted();
    let address = format!("{}/chat/completions", server.base_url());
    setup.webhooks.insert("editors".to_owned(), Webhook::new(&address).unwrap());
    setup
}

async fn at_gate(host: &Host, policy: GatePolicy) -> RunId {
    let with_policy =
        |plan: &mut domain::Plan| plan.stages[0].gate.as_mut().unwrap().policy = policy;
    let run = host.submit_changed("gated", with_policy).await;
    host.reaches(&run, Status::WaitingApproval).await;
    run
}

#[tokio::test]
async fn a_deadline_rejects_grants_or_lets_others_decide() {
    let host = Host::start(&[GATED]).await;
    let rejected = at_gate(&host, deadline(DeadlineOutcome::Reject)).await;
    let granted = at_gate(&host, deadline(DeadlineOutcome::Grant)).await;
    let to = vec![Reviewer::Actor("boss".to_owned())];
    let only_bob = vec![Reviewer::Actor("bob".to_owned())];
    let escalated =
        GatePolicy { reviewers: only_bob, ..deadline(DeadlineOutcome::Escalate { to }) };
    let escalated = at_gate(&host, escalated).await;
    let boss = decision(&host.gate(&escalated).await, Verdict::Granted, "boss");
    let early = host.engine.decide_gate(boss.clone()).await.unwrap_err();
    assert!(matches!(early, Error::Refused { refusal: Refusal::NotAReviewer { .. }, .. }));

    host.clock.advance(HOUR - Duration::from_millis(1));
    host.clock.advance(Duration::from_millis(1));
    host.reaches(&rejected, Status::Failed).await;
    host.reaches(&granted, Status::Completed).await;
    host.logs(&escalated, 1, "gate_escalated 0").await;
    host.engine.decide_gate(boss).await.unwrap();
    host.reaches(&escalated, Status::Completed).await;

    assert_snapshot!(host.journal(&granted).await, @r"
    1 run_created
    2 stage_started 0 attempt=1
    3 model_answered 0 #1
    4 stage_finished 0
    5 gate_opened 0
    6 gate_granted 0 by=stagewright:deadline
    7 stage_started 1 attempt=1
    8 model_answered 1 #1
    9 stage_finished 1
    10 run_completed
    ");
    let late = host.decide(&rejected, Verdict::Granted).await.unwrap_err();
    let decided = Refusal::AlreadyDecided { verdict: Verdict::Rejected };
    assert!(matches!(late, Error::Refused { refusal, .. } if refusal == decided));
    let again = host.decide(&granted, Verdict::Granted).await.unwrap();
    assert_eq!(again.grants, 0, "nobody has granted it");
    for run in [rejected, granted, escalated] {
        host.check_projections(&run).await;
    }
}

#[tokio::test]
async fn a_deadline_does_not_pass_in_a_paused_run_and_passes_at_once_when_it_goes_on() {
    let host = Host::start(&[GATED]).await;
    let run = at_gate(&host, deadline(DeadlineOutcome::Reject)).await;
    host.engine.pause(&run, "tester").await.unwrap();
    let other = at_gate(&host, deadline(DeadlineOutcome::Reject)).await;
    host.clock.advance(HOUR * 2);
    host.reaches(&other, Status::Failed).await;
    assert_eq!(host.engine.store().run(&run).await.unwrap().unwrap().status, Status::Paused);
    host.engine.resume(&run, "tester").await.unwrap();
    host.reaches(&run, Status::Failed).await;
}

#[tokio::test]
async fn a_deadline_begins_when_the_gate_opens_however_late_the_end_of_the_stage_is_kept() {
    let host = Host::start(&[GATED]).await;
    host.stages.set("first", Behavior::Do(vec![Step::Wait]));
    let policy = deadline(DeadlineOutcome::Reject);
    let with_policy =
        |plan: &mut domain::Plan| plan.stages[0].gate.as_mut().unwrap().policy = policy;
    let run = host.submit_changed("gated", with_policy).await;
    host.stages.has_arrived().await;

    // As long as somebody holds the run, its stage's end waits, as it does for room on a full disk.
    let cell = host.engine.0.registry.cell(&run);
    let locked = cell.lock(host.engine.store()).await;
    host.stages.gate.add_permits(1);
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    host.clock.advance(HOUR * 2);
    drop(locked);

    host.logs(&run, 1, "gate_opened").await;
    let row = host.gate(&run).await;
    assert_eq!(row.deadline_at, Some(row.opened_at.after(HOUR)));
}

#[tokio::test]
async fn people_are_reminded_until_somebody_decides() {
    let server = ModelServer::start().await;
    let host = Host::start_with(with_webhook(&server), &[GATED]).await;
    let run = at_gate(&host, reminded("editors")).await;
    for number in 1..=2 {
        host.clock.advance(HOUR);
        host.logs(&run, number, "gate_reminded").await;
    }
    // There are two, however long nobody decides.
    host.clock.advance(YEAR);
    assert_eq!(host.engine.store().wakes(None, 10).await.unwrap(), []);

    let row = host.gate(&run).await;
    assert_eq!((row.reminder_count, row.remind_at, row.reminder_failure), (2, None, None));
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    let key = requests[1].header("idempotency-key").unwrap();
    assert_eq!(key, format!("{}/2", row.id));
    assert_eq!(
        requests[1].body,
        serde_json::json!({
            "type": "gate_reminder",
            "run_id": run.as_str(),
            "approval_id": row.id.as_str(),
            "stage": "first",
            "question": "Is the result of `first` good enough to go on with?",
            "number": 2,
            "opened_at": "2025-06-15T15:06:40.000Z",
            "deadline_at": null,
            "title": "Gated",
            "mode": "gated",
        })
    );
    host.check_projections(&run).await;
}

#[tokio::test]
async fn why_a_reminder_did_not_arrive_is_in_the_log_and_the_gate_stays_open() {
    let server = ModelServer::start().await;
    server.push(Server::status(404, ""));
    server.push(Server::status(503, ""));
    let host = Host::start_with(with_webhook(&server), &[GATED]).await;
    let refused = at_gate(&host, reminded("editors")).await;
    let unknown = at_gate(&host, reminded("nobody")).await;
    host.clock.advance(HOUR);
    host.logs(&refused, 1, "gate_reminded 0 #1: it answered with status 404").await;
    host.logs(&unknown, 1, "gate_reminded 0 #1: no webhook `nobody` is configured").await;
    assert_eq!(
        host.gate(&unknown).await.reminder_failure.unwrap(),
        "no webhook `nobody` is configured"
    );
    // A webhook that failed a moment ago is tried once.
    host.clock.advance(HOUR);
    host.logs(&refused, 1, "gate_reminded 0 #2: it answered with status 503").await;
    assert_eq!(server.count(), 2);
    host.decide(&refused, Verdict::Granted).await.unwrap();
    host.reaches(&refused, Status::Completed).await;
}

#[tokio::test]
async fn a_reminder_that_may_have_arrived_is_sent_again_under_the_same_name() {
    let server = ModelServer::start().await;
    server.push(Server::status(503, ""));
    let host = Host::start_with(with_webhook(&server), &[GATED]).await;
    let run = at_gate(&host, reminded("editors")).await;
    server.hold();
    host.clock.advance(HOUR);
    timeout(PATIENCE, server.wait_for_requests(1)).await.unwrap();
    let host = host.restart().await;
    server.release();
    host.logs(&run, 1, "gate_reminded 0 #1").await;
    let requests = server.requests();
    let names: Vec<_> = requests.iter().map(|one| one.header("idempotency-key").unwrap()).collect();
    assert!(names.len() >= 2 && names.iter().all(|name| *name == names[0]), "{names:?}");
}

#[tokio::test]
async fn a_webhook_that_does_not_answer_holds_up_no_deadline() {
    let server = ModelServer::start().await;
    let host = Host::start_with(with_webhook(&server), &[GATED]).await;
    let mut waiting = Vec::new();
    for _ in 0..40 {
        waiting.push(at_gate(&host, reminded("editors")).await);
    }
    let late = at_gate(&host, deadline(DeadlineOutcome::Reject)).await;
    server.hold();
    host.clock.advance(HOUR);
    timeout(PATIENCE, server.wait_for_requests(16)).await.unwrap();
    host.reaches(&late, Status::Failed).await;
    // Its own deadline passes, too, while a reminder is on its way.
    let both =
        GatePolicy { reminder: reminded("editors").reminder, ..deadline(DeadlineOutcome::Grant) };
    let both = at_gate(&host, both).await;
    host.clock.advance(HOUR);
    host.reaches(&both, Status::Completed).await;
    assert!(server.count() < waiting.len(), "the others wait for their turn");

    server.release();
    for run in &waiting {
        host.logs(run, 1, "gate_reminded 0 #1").await;
    }
}

#[tokio::test]
async fn many_runs_that_are_due_at_once_go_on_and_nothing_of_them_stays_in_memory() {
    let host = Host::start(&[GATED]).await;
    let mut runs = Vec::new();
    for _ in 0..600 {
        let policy = deadline(DeadlineOutcome::Reject);
        let with_policy =
            |plan: &mut domain::Plan| plan.stages[0].gate.as_mut().unwrap().policy = policy;
        runs.push(host.submit_changed("gated", with_policy).await);
    }
    for run in &runs {
        host.reaches(run, Status::WaitingApproval).await;
    }
    let host = host.restart().await;
    assert_eq!(host.engine.0.registry.len(), 0, "a run that waits has no place in memory");
    host.clock.advance(HOUR);
    for run in &runs {
        host.reaches(run, Status::Failed).await;
    }
    host.engine.shutdown().await;
    assert_eq!(host.engine.0.registry.len(), 0);
}

#[tokio::test]
async fn an_engine_that_only_reads_lets_no_time_pass() {
    let mut host = Host::start(&[GATED]).await;
    let run = at_gate(&host, deadline(DeadlineOutcome::Reject)).await;
    host.setup.drive_on_start = DriveOnStart::Nothing;
    let mut host = host.restart().await;
    host.clock.advance(HOUR);
    host.engine.shutdown().await;
    assert!(host.journal(&run).await.ends_with("gate_opened 0\n"));
    host.setup.drive_on_start = DriveOnStart::UnfinishedRuns;
    let host = host.restart().await;
    host.reaches(&run, Status::Failed).await;
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_gates_wait_longer_and_disturbs_nothing_else() {
    let server = ModelServer::start().await;
    let all = DayBudget { tokens: Some(1_000_000), nano_usd: None };
    let budgets = DayBudgets { all, ..DayBudgets::default() };
    let host =
        Host::start_with(Setup { budgets, ..with_webhook(&server) }, &[GATED, STRAIGHT]).await;
    host.clock.advance(HOUR);
    let waiting = at_gate(&host, deadline(DeadlineOutcome::Reject)).await;
    host.stages.set("first", Behavior::AskWaitAsk("one".to_owned(), "two".to_owned()));
    let run = host.submit("straight").await;
    host.stages.has_arrived().await;

    host.clock.set_back(HOUR);
    host.stages.gate.add_permits(1);
    host.reaches(&run, Status::Completed).await;
    host.check_projections(&run).await;
    let events = host.engine.store().events_after(&run, 0, 100).await.unwrap();
    let versions: Vec<_> = events.iter().map(|event| event.version).collect();
    assert_eq!(versions, (1..=events.len() as u64).collect::<Vec<_>>());
    assert!(events.is_sorted_by_key(|event| event.seq), "the log has its own order");

    // Across a restart, still in the past, with a run that begins before those that are there.
    host.stages.set("first", Behavior::AskWaitAsk("one".to_owned(), "two".to_owned()));
    let second = host.submit("straight").await;
    host.stages.has_arrived().await;
    host.clock.set_back(HOUR);
    let host = host.restart().await;
    host.stages.gate.add_permits(2);
    host.reaches(&second, Status::Completed).await;
    host.check_projections(&second).await;
    let spent = host.engine.store().spent_in_day(host.clock.now(), None).await.unwrap();
    assert!(spent.tokens > 0);
    let page = store::Page { cursor: None, limit: 2 };
    let listed = host.engine.store().runs(store::RunFilter::default(), page).await.unwrap();
    let page = store::Page { cursor: listed.next_cursor, limit: 2 };
    let rest = host.engine.store().runs(store::RunFilter::default(), page).await.unwrap();
    assert_eq!((listed.items.len(), rest.items.len()), (2, 1), "lists have every run once");

    // The deadline is a point in time: it comes when the clock says so again.
    assert!(host.journal(&waiting).await.ends_with("gate_opened 0\n"));
    host.clock.advance(HOUR * 3);
    host.reaches(&waiting, Status::Failed).await;
}

#[tokio::test]
async fn a_clock_that_jumps_a_year_ahead_passes_each_deadline_once() {
    let server = ModelServer::start().await;
    let host = Host::start_with(with_webhook(&server), &[GATED]).await;
    let policy =
        GatePolicy { reminder: reminded("editors").reminder, ..deadline(DeadlineOutcome::Grant) };
    let run = at_gate(&host, policy).await;
    host.clock.advance(YEAR);
    host.reaches(&run, Status::Completed).await;
    let host = host.restart().await;

    let journal = host.journal(&run).await;
    assert_eq!(journal.matches("gate_granted").count(), 1, "{journal}");
    assert_eq!(server.count(), 0, "nobody is reminded of what is decided");
    host.check_projections(&run).await;
    // Back again: what has happened stays.
    host.clock.set_back(YEAR);
    let next = at_gate(&host, deadline(DeadlineOutcome::Reject)).await;
    assert_eq!(host.gate(&next).await.opened_at, Timestamp::from_unix_ms(1_750_000_000_000));
    host.clock.advance(HOUR);
    host.reaches(&next, Status::Failed).await;
}
