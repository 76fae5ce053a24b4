//! What may be used up in a day, by runs and chats together.
use std::time::Duration;

use domain::model::ModelErrorKind;
use domain::plan::Plan;
use domain::run::Status;
use futures_util::future::join_all;
use model_server::{Behavior as Server, ModelServer};

use super::support::{Behavior, Host, SINGLE, Setup, chat, provider};
use crate::{ChatAsk, DayBudget, DayBudgets, Error};

fn tokens(tokens: u64) -> DayBudget {
    DayBudget { tokens: Some(tokens), nano_usd: None }
}

fn all(budget: DayBudget) -> DayBudgets {
    DayBudgets { all: budget, ..DayBudgets::default() }
}

fn short(message: &str) -> ChatAsk {
    let mut ask = chat(message);
    ask.options.max_tokens = Some(50);
    ask
}

async fn spent(host: &Host) -> u64 {
    host.engine.store().spent_in_day(host.clock.now(), None).await.unwrap().tokens
}

#[track_caller]
fn exhausted<T>(outcome: Result<T, Error>) -> String {
    match outcome {
        Err(Error::Model(error)) if error.kind == ModelErrorKind::BudgetExhausted => error.message,
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("the budget is not used up"),
    }
}

#[tokio::test]
async fn a_budget_of_the_day_holds_for_runs_and_chats_together_until_midnight() {
    let setup = Setup { budgets: all(tokens(150)), ..Setup::scripted() };
    let host = Host::start_with(setup, &[SINGLE]).await;
    let long = "What do bees need on a balcony in spring? ".repeat(4);
    host.stages.set("first", Behavior::Ask(vec![long.clone()]));
    let first = host.submit("single").await;
    host.reaches(&first, Status::Completed).await;
    assert!(spent(&host).await <= 150);

    let second = host.submit("single").await;
    host.reaches(&second, Status::Failed).await;
    let (code, message) = host.fault(&second).await;
    assert_eq!(code, "budget_exhausted");
    assert!(message.contains("`budgets.day_tokens` allows 150 tokens a day (UTC)"), "{message}");
    exhausted(host.engine.chat_whole(chat(&long)).await);

    // The records of the day count, whichever process wrote them.
    let host = host.restart().await;
    exhausted(host.engine.chat_whole(chat(&long)).await);

    host.clock.advance(Duration::from_secs(24 * 3_600));
    host.engine.chat_whole(chat("bees")).await.unwrap();
}

#[tokio::test]
async fn fifty_chats_at_once_do_not_go_over_the_budget_together() {
    let setup = Setup { budgets: all(tokens(1_000)), ..Setup::scripted() };
    let host = Host::start_with(setup, &[]).await;
    let chats = (0..50).map(|_| host.engine.chat_whole(short("bees")));
    let outcomes = join_all(chats).await;

    let answered = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert!((10..=20).contains(&answered), "{answered} were answered");
    assert_eq!(host.calls().await.len(), answered, "who was refused was not asked for");
    outcomes.into_iter().filter(Result::is_err).for_each(|outcome| {
        exhausted(outcome);
    });
    let spent = spent(&host).await;
    assert!((800..=1_000).contains(&spent), "{spent} tokens were used");
}

#[tokio::test]
async fn a_chat_that_fits_waits_for_open_ones_rather_than_to_be_refused() {
    let server = ModelServer::start().await;
    server.otherwise(Server::text("short"));
    let setup = Setup { budgets: all(tokens(120)), ..Setup::asking(&server) };
    let host = Host::start_with(setup, &[]).await;
    server.hold();
    let both = join_all((0..2).map(|_| host.engine.chat_whole(short("bees and some more bees"))));
    let release = async {
        server.wait_for_requests(1).await;
        server.release();
    };
    let (outcomes, ()) = tokio::join!(both, release);
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

#[tokio::test]
async fn a_budget_of_a_provider_holds_for_that_provider() {
    let server = ModelServer::start().await;
    let mut setup = Setup::asking(&server);
    setup.providers.push(provider("other", &server));
    let money = DayBudget { tokens: None, nano_usd: Some(1) };
    setup.budgets.by_provider.insert("server".to_owned(), money);
    let host = Host::start_with(setup, &[]).await;

    let message = exhausted(host.engine.chat_whole(chat("bees")).await);
    assert!(message.contains("`budgets.providers.server.day_usd` allows 0.000000001 US dollars"));
    let ask = ChatAsk { provider: Some("other".to_owned()), ..chat("bees") };
    host.engine.chat_whole(ask).await.unwrap();
}

#[tokio::test]
async fn a_price_that_is_not_known_does_not_fit_a_budget_of_money() {
    let server = ModelServer::start().await;
    let money = DayBudget { tokens: None, nano_usd: Some(1_000_000_000) };
    let mut setup = Setup { budgets: all(money), ..Setup::asking(&server) };
    setup.providers[0].models.clear();
    let host = Host::start_with(setup, &[]).await;

    let message = exhausted(host.engine.chat_whole(chat("bees")).await);
    assert!(message.contains("the price of model `test-model` at `server` is not known"));
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_run_warns_once_when_the_budget_of_the_day_is_nearly_used_up() {
    let budgets = DayBudgets { warn_percent: Some(10), ..all(tokens(4_000)) };
    let setup = Setup { budgets, ..Setup::scripted() };
    let host = Host::start_with(setup, &[SINGLE]).await;
    let long = "What do bees need on a balcony in spring? ".repeat(50);
    host.stages.set("first", Behavior::Ask(vec![long.clone(), long]));
    let run = host.submit("single").await;
    host.reaches(&run, Status::Completed).await;
    let journal = host.journal(&run).await;
    assert_eq!(journal.matches("budget_warned 0 day").count(), 1, "{journal}");
    host.check_projections(&run).await;
}

#[tokio::test]
async fn what_the_cache_answers_counts_nothing() {
    let setup = Setup { budgets: all(tokens(100_000)), ..Setup::scripted() };
    let host = Host::start_with(setup, &[]).await;
    let ask = || ChatAsk { caching: gateway::Caching::On, ..chat("bees") };
    host.engine.chat_whole(ask()).await.unwrap();
    let once = spent(&host).await;
    for _ in 0..20 {
        let again = host.engine.chat_whole(ask()).await.unwrap();
        assert_eq!(again.source, store::AnswerSource::Cache);
        assert_eq!(again.completion.cost_nano_usd, Some(0));
    }
    assert_eq!(spent(&host).await, once);
    let rows = host.calls().await;
    assert_eq!(rows.len(), 21);
    assert_eq!(rows[20].source, store::AnswerSource::Cache);
    assert_eq!(rows[20].cost_nano_usd, Some(0));
}

#[tokio::test]
async fn a_call_over_midnight_counts_to_the_day_on_which_it_ends() {
    let server = ModelServer::start().await;
    server.otherwise(Server::text("word ".repeat(80)));
    let setup = Setup { budgets: all(tokens(120)), ..Setup::asking(&server) };
    let host = Host::start_with(setup, &[]).await;
    server.hold();
    let midnight = async {
        server.wait_for_requests(1).await;
        host.clock.advance(Duration::from_secs(24 * 3_600));
        server.release();
    };
    let (outcome, ()) = tokio::join!(host.engine.chat_whole(chat("bees")), midnight);
    outcome.unwrap();

    assert!(spent(&host).await > 60);
    exhausted(host.engine.chat_whole(chat(&"bees and wasps ".repeat(20))).await);
    let host = host.restart().await;
    exhausted(host.engine.chat_whole(chat(&"bees and wasps ".repeat(20))).await);
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn who_waits_in_vain_for_open_calls_is_told_that_they_hold_the_rest() {
    let server = ModelServer::start().await;
    let setup = Setup { budgets: all(tokens(120)), ..Setup::asking(&server) };
    let host = Host::start_with(setup, &[SINGLE]).await;
    server.hold();
    let impatient = |plan: &mut Plan| {
        plan.stages[0].model.call_time_ms_max = Some(50);
        plan.stages[0].model.max_tokens = Some(50);
    };
    let waiting = async {
        server.wait_for_requests(1).await;
        let run = host.submit_changed("single", impatient).await;
        host.reaches(&run, Status::Failed).await;
        server.release();
        host.fault(&run).await
    };
    let ask = short("bees and some more bees");
    let (outcome, (code, message)) = tokio::join!(host.engine.chat_whole(ask), waiting);
    outcome.unwrap();
    assert_eq!(code, "budget_exhausted");
    assert!(message.contains("0 tokens are used"), "{message}");
    assert!(message.contains("are held for calls that are still open"), "{message}");
}

#[tokio::test]
async fn what_a_canceled_chat_held_is_free_again() {
    let server = ModelServer::start().await;
    let setup = Setup { budgets: all(tokens(200)), ..Setup::asking(&server) };
    let host = Host::start_with(setup, &[]).await;
    server.hold();
    for count in 1..=3 {
        tokio::select! {
            outcome = host.engine.chat_whole(short("bees")) => panic!("{outcome:?}"),
            () = server.wait_for_requests(count) => {}
        }
        server.wait_for_abandoned(count).await;
    }
    server.release();
    host.engine.chat_whole(short("bees")).await.unwrap();
}

#[tokio::test]
async fn whichever_way_the_clock_jumps_a_day_has_what_its_records_say() {
    let setup = Setup { budgets: all(tokens(150)), ..Setup::scripted() };
    let host = Host::start_with(setup, &[]).await;
    let long = "What do bees need on a balcony in spring? ".repeat(4);
    host.engine.chat_whole(chat(&long)).await.unwrap();
    exhausted(host.engine.chat_whole(chat(&long)).await);

    // A year ahead by mistake, and corrected: neither day forgets what it has used.
    let year = Duration::from_secs(365 * 24 * 3_600);
    host.clock.advance(year);
    host.engine.chat_whole(chat(&long)).await.unwrap();
    exhausted(host.engine.chat_whole(chat(&long)).await);
    host.clock.set_back(year);
    exhausted(host.engine.chat_whole(chat(&long)).await);

    // A machine that starts long ago and learns what time it is.
    host.clock.set_back(year);
    let host = host.restart().await;
    host.clock.advance(year);
    exhausted(host.engine.chat_whole(chat(&long)).await);
    assert_eq!(host.calls().await.len(), 2);
}
