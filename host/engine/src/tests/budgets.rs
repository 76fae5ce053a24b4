//! What a stage and its run may use up.
use domain::run::Status;
use model_server::{After, Behavior as Server, ModelServer};

use super::support::{Behavior, Host, SINGLE, STRAIGHT, Setup, Step};

#[tokio::test]
async fn a_run_stops_asking_when_its_tokens_are_used_up() {
    let profile = format!("{STRAIGHT}budget: {{ run_tokens: 120 }}\n");
    let host = Host::start(&[&profile]).await;
    let long = "What do bees need on a balcony in spring? ".repeat(4);
    host.stages.set("first", Behavior::Ask(vec![long.clone(); 8]));
    let run = host.submit("straight").await;
    host.reaches(&run, Status::Failed).await;

    let fault = host.engine.store().run(&run).await.unwrap().unwrap().fault.unwrap();
    assert_eq!(fault.code, "budget_exhausted");
    assert!(fault.message.contains("`budget.run_tokens` allows 120 tokens"), "{}", fault.message);
    // The refusal is in the journal: a replay does not decide it anew.
    let filter = store::CallFilter { run: Some(run.clone()), ..store::CallFilter::default() };
    let page = store::Page { cursor: None, limit: 50 };
    let calls = host.engine.store().calls(filter, page).await.unwrap().items;
    assert_eq!(calls.last().unwrap().status, store::CallStatus::Failed);
    assert!(host.journal(&run).await.contains("budget_exhausted"));
    host.check_projections(&run).await;
}

#[tokio::test]
async fn what_costs_nothing_is_not_stopped_by_a_bound_on_cost() {
    let profile = format!("{STRAIGHT}budget: {{ run_usd: \"0.01\" }}\n");
    let host = Host::start(&[&profile]).await;
    let run = host.submit("straight").await;
    host.reaches(&run, Status::Completed).await;
}

#[tokio::test]
async fn what_a_failed_call_used_counts_and_still_counts_after_a_restart() {
    let server = ModelServer::start().await;
    server.push(Server::begun(&"honey ".repeat(200), After::Drop));
    let profile = format!("{SINGLE}budget: {{ run_tokens: 150 }}\n");
    let host = Host::start_with(Setup::asking(&server), &[&profile]).await;
    let steps = vec![Step::TryToAsk("bees"), Step::TryToAsk("wasps"), Step::Wait];
    host.stages.set("first", Behavior::Do(steps.clone()));
    let run = host.submit("single").await;
    host.stages.has_arrived().await;
    host.stages.set("first", Behavior::Do([steps, vec![Step::TryToAsk("ants")]].concat()));

    let host = host.restart().await;
    host.stages.gate.add_permits(1);
    host.reaches(&run, Status::Completed).await;

    let told = "[model_unavailable][budget_exhausted][budget_exhausted]";
    assert_eq!(host.text(&run, "first").await, told);
    assert_eq!(server.count(), 1);
}
