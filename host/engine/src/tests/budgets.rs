//! What a stage and its run may use up.
use domain::run::Status;

use super::support::{Behavior, Host, STRAIGHT};

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
