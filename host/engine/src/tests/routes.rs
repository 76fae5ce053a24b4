//! Who answers: alternatives, and what the record says about it.
use std::time::Duration;

use domain::plan::{ModelAlternative, Plan};
use domain::run::Status;
use model_server::{Behavior as Server, ModelServer};
use store::CallStatus;

use super::support::{Behavior, Host, SINGLE, Setup, Step, provider};
use crate::Live;

/// Has `other` asked where the first is not available, and before it somebody whom nobody configured.
fn with_alternatives(plan: &mut Plan) {
    let route = |provider: &str| ModelAlternative {
        provider: provider.to_owned(),
        model: model_server::MODEL.to_owned(),
    };
    plan.stages[0].model.alternatives = vec![route("nobody"), route("other")];
}

#[tokio::test]
async fn the_record_says_who_answered_and_why_it_was_not_the_first() {
    let down = ModelServer::start().await;
    down.otherwise(Server::status(503, "down for the night"));
    let up = ModelServer::start().await;
    up.push(Server::text("from the other"));
    let mut setup = Setup::asking(&down);
    setup.providers.push(provider("other", &up));
    let host = Host::start_with(setup, &[SINGLE]).await;
    host.stages.set("first", Behavior::Do(vec![Step::Wait, Step::Ask("bees")]));
    let run = host.submit_changed("single", with_alternatives).await;
    host.stages.has_arrived().await;
    let mut watching = host.engine.subscribe(&run);
    host.stages.gate.add_permits(1);
    let told = loop {
        if let Some(Live::FallingBack { provider, model, cause, .. }) = watching.next().await
            && provider == "other"
        {
            break (provider, model, cause);
        }
    };
    host.reaches(&run, Status::Completed).await;

    assert_eq!((told.0.as_str(), told.1.as_str()), ("other", "test-model"));
    assert!(!told.2.is_empty());
    assert_eq!(host.text(&run, "first").await, "from the other");
    let row = &host.calls().await[0];
    assert_eq!((row.status, row.provider.as_str()), (CallStatus::Answered, "other"));
    let reason = row.fallback_reason.as_deref().unwrap();
    assert!(reason.starts_with("server/test-model: "), "{reason}");
    assert!(reason.lines().nth(1).unwrap().starts_with("nobody/test-model: "), "{reason}");
}

#[tokio::test]
async fn an_alternative_that_no_budget_is_left_for_is_not_asked() {
    let down = ModelServer::start().await;
    down.otherwise(Server::status(503, "down for the night"));
    let up = ModelServer::start().await;
    let mut setup = Setup::asking(&down);
    setup.providers.push(provider("other", &up));
    let nothing = crate::DayBudget { tokens: Some(0), nano_usd: None };
    setup.budgets.by_provider.insert("other".to_owned(), nothing);
    let host = Host::start_with(setup, &[SINGLE]).await;
    let run = host.submit_changed("single", with_alternatives).await;
    host.reaches(&run, Status::Failed).await;
    assert_eq!(host.fault(&run).await.0, "model_unavailable");
    assert_eq!(up.count(), 0);
}

#[tokio::test]
async fn who_watches_is_told_that_a_question_is_asked_again_and_why() {
    let server = ModelServer::start().await;
    server.push(Server::status(503, "in a moment"));
    let mut setup = Setup::asking(&server);
    setup.providers[0].tries_max = 2;
    setup.providers[0].retry_wait = Duration::from_millis(1);
    let host = Host::start_with(setup, &[SINGLE]).await;
    host.stages.set("first", Behavior::Do(vec![Step::Wait, Step::Ask("bees")]));
    let run = host.submit("single").await;
    host.stages.has_arrived().await;
    let mut watching = host.engine.subscribe(&run);
    host.stages.gate.add_permits(1);
    let (try_number, cause) = loop {
        if let Some(Live::Retrying { try_number, cause, .. }) = watching.next().await {
            break (try_number, cause);
        }
    };
    host.reaches(&run, Status::Completed).await;
    assert_eq!(try_number, 2);
    assert!(cause.contains("503"), "{cause}");
    assert_eq!(host.calls().await[0].timing.unwrap().tries, 2);
}

#[tokio::test]
async fn a_run_warns_of_the_budget_of_who_answered_instead() {
    let down = ModelServer::start().await;
    down.otherwise(Server::status(503, "down for the night"));
    let up = ModelServer::start().await;
    up.otherwise(Server::text("word ".repeat(80)));
    let mut setup = Setup::asking(&down);
    setup.providers.push(provider("other", &up));
    let budget = crate::DayBudget { tokens: Some(5_000), nano_usd: None };
    setup.budgets.by_provider.insert("other".to_owned(), budget);
    setup.budgets.warn_percent = Some(1);
    let host = Host::start_with(setup, &[SINGLE]).await;
    let change = |plan: &mut Plan| {
        with_alternatives(plan);
        plan.stages[0].model.max_tokens = Some(200);
    };
    let run = host.submit_changed("single", change).await;
    host.reaches(&run, Status::Completed).await;
    let journal = host.journal(&run).await;
    assert!(journal.contains("budget_warned 0 provider_day"), "{journal}");
    host.check_projections(&run).await;
}
