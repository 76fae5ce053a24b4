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
}

#[tokio::test]
async fn what_costs_nothing_is_not_stopped_by_a_bound_on_cost() {
    let profile = format!("{STRAIGHT}budget: {{ run_usd: \"0.01\" }}\n");
    let host = Host::start(&[&profile]).await;
    let run = host.submit("straight").await;
    host.reaches(&run, Status::Completed).await;
}
