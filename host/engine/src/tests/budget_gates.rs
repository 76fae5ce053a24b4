//! A person is asked before a budget is used up once more.
use std::time::Duration;

use domain::RunId;
use domain::plan::{OnBudgetExceeded, Plan};
use domain::run::{GateSubject, Status, Verdict};
use insta::assert_snapshot;
use model_server::{After, Behavior as Server, ModelServer};

use super::support::{Behavior, Host, SINGLE, Setup, Step};
use crate::{DayBudget, DayBudgets, Live};

const QUESTION: &str = "What do bees need on a balcony in spring, and who brings it to them?";

/// Asks a person before the run has more than so many tokens.
fn asking(tokens: u64) -> impl FnOnce(&mut Plan) {
    move |plan| {
        plan.on_budget_exceeded = OnBudgetExceeded::Ask;
        plan.run_token_count_max = Some(tokens);
    }
}

/// A host whose run has used up its budget with the first of three questions, and waits.
async fn at_the_gate(server: &ModelServer) -> (Host, RunId) {
    server.otherwise(Server::text("word ".repeat(80)));
    let host = Host::start_with(Setup::asking(server), &[SINGLE]).await;
    let questions = (0..3).map(|number| format!("{number}. {QUESTION}"));
    host.stages.set("first", Behavior::Ask(questions.collect()));
    let run = host.submit_changed("single", asking(100)).await;
    host.reaches(&run, Status::WaitingApproval).await;
    (host, run)
}

#[tokio::test]
async fn a_granted_gate_allows_as_much_again_and_no_answer_is_paid_twice() {
    let server = ModelServer::start().await;
    let (host, run) = at_the_gate(&server).await;
    assert_eq!(server.count(), 1);
    let filter = store::ApprovalFilter { status: None, run: Some(run.clone()) };
    let page = store::Page { cursor: None, limit: 5 };
    let rows = host.engine.store().approvals(filter, page).await.unwrap().items;
    assert!(matches!(rows[0].subject, GateSubject::Budget { attempt: 1, .. }));

    host.decide(&run, Verdict::Granted).await.unwrap();
    host.reaches(&run, Status::WaitingApproval).await;
    assert_eq!(server.count(), 2);
    host.decide(&run, Verdict::Granted).await.unwrap();
    host.reaches(&run, Status::Completed).await;

    assert_eq!(server.count(), 3);
    let journal = host.journal(&run).await;
    let kinds: Vec<&str> =
        journal.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_snapshot!(kinds.join("\n"), @r"
    run_created
    stage_started
    model_answered
    budget_gate_opened
    gate_granted
    model_answered
    budget_gate_opened
    gate_granted
    model_answered
    stage_finished
    run_completed
    ");
    assert!(journal.contains("of 100 tokens") && journal.contains("of 200 tokens"), "{journal}");
    host.check_projections(&run).await;
}

#[tokio::test]
async fn a_rejected_gate_ends_the_run_and_nothing_more_is_asked() {
    let server = ModelServer::start().await;
    let (host, run) = at_the_gate(&server).await;
    host.decide(&run, Verdict::Rejected).await.unwrap();
    host.reaches(&run, Status::Failed).await;
    assert_eq!(server.count(), 1);
    host.check_projections(&run).await;
}

#[tokio::test]
async fn a_gate_for_a_budget_is_still_open_after_a_restart_and_the_attempt_goes_on() {
    let server = ModelServer::start().await;
    let (host, run) = at_the_gate(&server).await;
    let host = host.restart().await;
    assert_eq!(server.count(), 1);
    for _ in 0..2 {
        host.reaches(&run, Status::WaitingApproval).await;
        host.decide(&run, Verdict::Granted).await.unwrap();
    }
    let host = host.restart().await;
    host.reaches(&run, Status::Completed).await;
    assert_eq!(host.calls().await.len(), 3, "each question has one record");
    host.check_projections(&run).await;
}

#[tokio::test]
async fn a_gate_also_asks_for_the_budget_of_the_day_and_allows_it_to_this_run_alone() {
    let server = ModelServer::start().await;
    server.otherwise(Server::text("word ".repeat(80)));
    let all = DayBudget { tokens: Some(100), nano_usd: None };
    let budgets = DayBudgets { all, ..DayBudgets::default() };
    let setup = Setup { budgets, ..Setup::asking(&server) };
    let host = Host::start_with(setup, &[SINGLE]).await;
    host.stages.set("first", Behavior::Ask(vec![QUESTION.to_owned(); 2]));
    let run = host.submit_changed("single", asking(100_000)).await;
    host.reaches(&run, Status::WaitingApproval).await;
    assert!(host.journal(&run).await.contains("budget_gate_opened 0 day"));
    host.decide(&run, Verdict::Granted).await.unwrap();
    host.reaches(&run, Status::Completed).await;

    let other = host.submit_changed("single", asking(100_000)).await;
    host.reaches(&other, Status::WaitingApproval).await;
}

#[tokio::test]
async fn nobody_is_asked_where_the_price_is_not_known() {
    let server = ModelServer::start().await;
    let mut setup = Setup::asking(&server);
    setup.providers[0].models.clear();
    let host = Host::start_with(setup, &[SINGLE]).await;
    let in_money = |plan: &mut Plan| {
        plan.on_budget_exceeded = OnBudgetExceeded::Ask;
        plan.run_cost_nano_usd_max = Some(1_000_000_000);
    };
    let run = host.submit_changed("single", in_money).await;
    host.reaches(&run, Status::Failed).await;
    let (code, message) = host.fault(&run).await;
    assert_eq!(code, "budget_exhausted");
    assert!(message.contains("is not known"), "{message}");
}

#[tokio::test]
async fn a_run_warns_once_of_each_budget_and_again_when_more_was_allowed() {
    let server = ModelServer::start().await;
    server.otherwise(Server::text("word ".repeat(10)));
    let host = Host::start_with(Setup::asking(&server), &[SINGLE]).await;
    let questions = (0..8).map(|number| format!("{number}. {QUESTION}"));
    host.stages.set("first", Behavior::Ask(questions.collect()));
    let warning = |plan: &mut Plan| {
        asking(150)(plan);
        plan.stages[0].model.max_tokens = Some(15);
        plan.budget_warn_percent = Some(20);
    };
    let run = host.submit_changed("single", warning).await;
    host.reaches(&run, Status::WaitingApproval).await;
    let journal = host.journal(&run).await;
    assert_eq!(journal.matches("budget_warned 0 run").count(), 1, "{journal}");

    host.decide(&run, Verdict::Granted).await.unwrap();
    host.reaches(&run, Status::Completed).await;
    let journal = host.journal(&run).await;
    let warned: Vec<&str> =
        journal.lines().filter(|line| line.contains("budget_warned 0 run")).collect();
    assert_eq!(warned.len(), 2, "{journal}");
    assert!(warned[1].ends_with("of 300 tokens"), "{journal}");
    host.check_projections(&run).await;
}

/// The bounds on answers that a server was sent, in the order of the questions.
fn bounds_sent(server: &ModelServer) -> Vec<u64> {
    let bound = |body: &serde_json::Value| body["max_tokens"].as_u64().expect("a bound");
    server.requests().iter().map(|request| bound(&request.body)).collect()
}

/// A host whose run has used most of its budget with the first of two questions.
async fn with_little_left(server: &ModelServer, change: impl FnOnce(&mut Plan)) -> (Host, RunId) {
    server.otherwise(Server::text("word ".repeat(70)));
    let host = Host::start_with(Setup::asking(server), &[SINGLE]).await;
    let questions = (0..2).map(|number| format!("{number}. {QUESTION}"));
    host.stages.set("first", Behavior::Ask(questions.collect()));
    let run = host.submit_changed("single", change).await;
    (host, run)
}

#[tokio::test]
async fn an_answer_is_not_cut_to_the_little_that_is_left_where_a_person_can_be_asked() {
    let server = ModelServer::start().await;
    let (host, run) = with_little_left(&server, asking(160)).await;
    host.reaches(&run, Status::WaitingApproval).await;
    assert_eq!(server.count(), 1, "the second would have been cut");

    host.decide(&run, Verdict::Granted).await.unwrap();
    host.reaches(&run, Status::Completed).await;
    let bounds = bounds_sent(&server);
    assert!(bounds[1] > 100, "the answer has what was granted: {bounds:?}");
    assert_eq!(host.journal(&run).await.matches("budget_gate_opened").count(), 1);
}

#[tokio::test]
async fn an_answer_is_cut_to_the_little_that_is_left_where_nobody_is_asked() {
    let server = ModelServer::start().await;
    let stopping = |plan: &mut Plan| plan.run_token_count_max = Some(160);
    let (host, run) = with_little_left(&server, stopping).await;
    host.reaches(&run, Status::Completed).await;
    let bounds = bounds_sent(&server);
    assert!((1..70).contains(&bounds[1]), "{bounds:?}");
}

#[tokio::test]
async fn a_question_that_needs_little_is_asked_with_the_little_that_is_left() {
    let server = ModelServer::start().await;
    let change = |plan: &mut Plan| {
        asking(160)(plan);
        plan.stages[0].model.max_tokens = Some(5);
    };
    let (host, run) = with_little_left(&server, change).await;
    host.reaches(&run, Status::Completed).await;
    assert_eq!(bounds_sent(&server), [5, 5]);
}

/// A host with a budget of 160 tokens for the day, nearly all of which one run after the other uses.
async fn with_a_day(server: &ModelServer, questions: usize) -> Host {
    server.otherwise(Server::text("word ".repeat(100)));
    let all = DayBudget { tokens: Some(160), nano_usd: None };
    let budgets = DayBudgets { all, ..DayBudgets::default() };
    let setup = Setup { budgets, ..Setup::asking(server) };
    let host = Host::start_with(setup, &[SINGLE]).await;
    let questions = (0..questions).map(|number| format!("{number}. {QUESTION}"));
    host.stages.set("first", Behavior::Ask(questions.collect()));
    host
}

#[tokio::test]
async fn one_grant_for_a_day_is_enough_however_much_others_were_allowed() {
    let server = ModelServer::start().await;
    let host = with_a_day(&server, 3).await;
    let first = host.submit_changed("single", asking(100_000)).await;
    for _ in 0..2 {
        host.reaches(&first, Status::WaitingApproval).await;
        host.decide(&first, Verdict::Granted).await.unwrap();
    }
    host.reaches(&first, Status::Completed).await;
    assert_eq!(server.count(), 3);

    host.stages.set("first", Behavior::Ask(vec![QUESTION.to_owned()]));
    let other = host.submit_changed("single", asking(100_000)).await;
    host.reaches(&other, Status::WaitingApproval).await;
    host.decide(&other, Verdict::Granted).await.unwrap();
    host.reaches(&other, Status::Completed).await;
    assert_eq!(host.journal(&other).await.matches("budget_gate_opened").count(), 1);
}

#[tokio::test]
async fn a_grant_for_a_day_ends_with_that_day() {
    let server = ModelServer::start().await;
    let host = with_a_day(&server, 3).await;
    let run = host.submit_changed("single", asking(100_000)).await;
    host.reaches(&run, Status::WaitingApproval).await;
    host.clock.advance(Duration::from_secs(24 * 3_600));
    // The second question is within the budget of the other day, and the third asks for more of that one.
    host.decide(&run, Verdict::Granted).await.unwrap();
    host.reaches(&run, Status::WaitingApproval).await;
    assert_eq!(server.count(), 2);
    let journal = host.journal(&run).await;
    let gates: Vec<&str> =
        journal.lines().filter(|line| line.contains("budget_gate_opened 0 day")).collect();
    assert_eq!(gates.len(), 2, "{journal}");
    assert!(gates[1].ends_with("of 160 tokens"), "{journal}");
}

#[tokio::test]
async fn a_retry_counts_what_the_canceled_attempt_used_until_it_was_stopped() {
    let server = ModelServer::start().await;
    server.push(Server::begun(&"honey ".repeat(200), After::Hang));
    let host = Host::start_with(Setup::asking(&server), &[SINGLE]).await;
    host.stages.set("first", Behavior::Do(vec![Step::Wait, Step::Ask(QUESTION)]));
    let run = host.submit_changed("single", asking(200)).await;
    host.stages.has_arrived().await;
    let mut watching = host.engine.subscribe(&run);
    host.stages.gate.add_permits(2);
    while !matches!(watching.next().await, Some(Live::Text { .. })) {}

    host.engine.cancel(&run, "tester", None).await.unwrap();
    host.engine.retry(&run, None, "tester").await.unwrap();
    host.reaches(&run, Status::WaitingApproval).await;

    assert_eq!(server.count(), 1, "the retry asks a person, not the model");
    host.decide(&run, Verdict::Granted).await.unwrap();
    host.engine.cancel(&run, "tester", None).await.unwrap();
    host.check_projections(&run).await;
}

#[tokio::test]
async fn a_grant_during_a_pause_is_kept_over_a_restart_until_the_run_is_resumed() {
    let server = ModelServer::start().await;
    let (host, run) = at_the_gate(&server).await;
    host.engine.pause(&run, "tester").await.unwrap();
    host.decide(&run, Verdict::Granted).await.unwrap();
    let host = host.restart().await;
    assert_eq!((server.count(), host.calls().await.len()), (1, 1), "nothing goes on");

    host.engine.resume(&run, "tester").await.unwrap();
    host.reaches(&run, Status::WaitingApproval).await;
    host.decide(&run, Verdict::Granted).await.unwrap();
    host.reaches(&run, Status::Completed).await;
    assert_eq!(server.count(), 3, "no answer is paid twice");
    host.check_projections(&run).await;
}

#[tokio::test]
async fn a_stage_that_does_not_stop_at_a_gate_is_answered_nothing_more() {
    let server = ModelServer::start().await;
    let host = Host::start_with(Setup::asking(&server), &[SINGLE]).await;
    let too_long = "What do bees need on a balcony in spring, and who brings it to them, and when do they fly, and where to, \
        and what do they find there, and how do they tell the others of it when they are back in their hive?";
    host.stages.set("first", Behavior::Do(vec![Step::AskRegardless(too_long), Step::Ask("bees")]));
    let short = |plan: &mut Plan| {
        asking(30)(plan);
        plan.stages[0].model.max_tokens = Some(5);
    };
    let run = host.submit_changed("single", short).await;
    host.reaches(&run, Status::WaitingApproval).await;
    assert_eq!(server.count(), 0, "the second question fits, but its place is not known yet");
    host.check_projections(&run).await;
}
