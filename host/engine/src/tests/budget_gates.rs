//! A person is asked before a budget is used up once more.
use domain::plan::{OnBudgetExceeded, Plan};
use domain::run::{GateSubject, Status, Verdict};
use insta::assert_snapshot;
use model_server::{Behavior as Server, ModelServer};

use super::support::{Behavior, Host, SINGLE, Setup};
use crate::{DayBudget, DayBudgets};

const QUESTION: &str = "What do bees need on a balcony in spring, and who brings it to them?";

/// Asks a person before the run has more than so many tokens.
fn asking(tokens: u64) -> impl FnOnce(&mut Plan) {
    move |plan| {
        plan.on_budget_exceeded = OnBudgetExceeded::Ask;
        plan.run_token_count_max = Some(tokens);
    }
}

/// A host whose run has used up its budget with the first of three questions, and waits.
async fn at_the_gate(server: &ModelServer) -> (Host, domain::RunId) {
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
