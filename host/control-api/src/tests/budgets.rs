//! Budgets: the question to a person, and the day's bound on chats.
use std::sync::Arc;

use domain::plan::{Caching, ModelAlternative, OnBudgetExceeded};
use domain::run::{BudgetBound, BudgetScope, BudgetUnit, Created, Event};
use domain::{RunId, StageIdx};
use engine::{DayBudget, DayBudgets};
use serde_json::{Value, json};
use store::Append;

use super::support::{Host, Setup};

/// A run of one stage whose prompt does not fit into its budget of 10 tokens, and who asks for more.
async fn thrifty(host: &Host) -> String {
    let other = host.begin("straight").await;
    host.reaches(&other, "completed").await;
    let log = host.engine.store().events_after(&other.parse().unwrap(), 0, 1).await.unwrap();
    let Event::RunCreated(created) = &log[0].event else { panic!("{log:?}") };
    let mut created = Created::clone(created);
    let plan = &mut created.plan;
    plan.on_budget_exceeded = OnBudgetExceeded::Ask;
    plan.budget_warn_percent = Some(80);
    plan.stages.truncate(1);
    plan.stages[0].limits.stage_token_count_max = Some(10);
    let model = &mut plan.stages[0].model;
    model.caching = Caching::On;
    model.alternatives =
        vec![ModelAlternative { provider: "spare".to_owned(), model: "small".to_owned() }];
    let (scope, unit) = (BudgetScope::Stage, BudgetUnit::Tokens);
    let opened = Event::BudgetGateOpened {
        stage: StageIdx(0),
        attempt: 1,
        approval: format!("appr_{}1", "0".repeat(31)).parse().unwrap(),
        content_hash: store::digest_of(b"ten tokens"),
        bound: BudgetBound { scope, unit, max: 10, used: 0 },
    };
    let run: RunId = format!("run_{}1", "0".repeat(31)).parse().unwrap();
    let append = Append {
        run: run.clone(),
        expected_version: 0,
        at: log[0].at,
        events: vec![
            Event::RunCreated(Arc::new(created)),
            Event::StageStarted { stage: StageIdx(0), attempt: 1 },
            opened,
        ],
        beside: Vec::new(),
    };
    host.engine.store().append(append).await.unwrap();
    run.to_string()
}

async fn decide(host: &Host, approval: &Value, verdict: &str) {
    let path = format!("/api/v2/approvals/{}/{verdict}", approval["approval_id"].as_str().unwrap());
    let decision = json!({"actor": "ada", "content_hash": approval["content_hash"]});
    let decided = host.post(&path, decision).await;
    assert_eq!(decided.status, 200, "{}", decided.text());
}

async fn timeline(host: &Host, run: &str) -> Vec<Value> {
    let events = host.get(&format!("/api/v2/workflow-runs/{run}/timeline")).await.json();
    events["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_question_about_a_budget_says_what_is_used_and_what_each_decision_does() {
    let host = Host::start().await;
    let run = thrifty(&host).await;
    let approval = host.open_approval(&run).await;
    let subject = &approval["subject"];
    assert_eq!((&subject["kind"], &subject["scope"]), (&json!("budget"), &json!("stage")));
    assert_eq!((&subject["unit"], &subject["max"]), (&json!("tokens"), &json!(10)));
    assert_eq!((&subject["attempt"], &subject["grant_allows"]), (&json!(1), &json!(10)));
    let question = approval["question"].as_str().unwrap();
    for words in
        ["`first`", "0 of 10 tokens are used", "allows 10 tokens more", "a reject ends the run"]
    {
        assert!(question.contains(words), "{question}");
    }
    let path = format!("/api/v2/approvals/{}", approval["approval_id"].as_str().unwrap());
    let shown = host.get(&path).await.json();
    assert_eq!((&shown["question"], &shown["artifacts"]), (&approval["question"], &json!([])));
    assert_eq!(
        host.get("/api/v2/approvals?status=pending").await.json()["items"],
        json!([approval])
    );
    let opened = timeline(&host, &run).await.pop().unwrap();
    assert_eq!(opened["kind"], "budget_gate_opened");
    assert_eq!((&opened["data"]["scope"], &opened["data"]["max"]), (&json!("stage"), &json!(10)));
    let line = opened["line"].as_str().unwrap();
    assert!(
        line.contains("budget used up") && line.contains("of 10 tokens of the stage"),
        "{line}"
    );
}

#[tokio::test]
async fn a_granted_budget_lets_the_same_attempt_go_on() {
    let host = Host::start().await;
    let run = thrifty(&host).await;
    // One grant may not be enough for the whole answer: each allows the budget once more.
    for _ in 0..4 {
        let approval = host.open_approval(&run).await;
        decide(&host, &approval, "grant").await;
        let settled = host.settles(&run).await;
        if settled["status"] == "completed" {
            assert_eq!(settled["stages"][0]["attempt"], 1);
            return;
        }
    }
    panic!("{:#?}", timeline(&host, &run).await);
}

#[tokio::test]
async fn a_rejected_budget_ends_the_run() {
    let host = Host::start().await;
    let run = thrifty(&host).await;
    let approval = host.open_approval(&run).await;
    decide(&host, &approval, "reject").await;
    assert_eq!(host.reaches(&run, "failed").await["pending_approval"], json!(null));
}

#[tokio::test]
async fn a_plan_says_what_happens_when_a_budget_is_used_up_and_who_answers_instead() {
    let host = Host::start().await;
    let run = thrifty(&host).await;
    let plan = host.get(&format!("/api/v2/workflow-runs/{run}")).await.json()["plan"].clone();
    assert_eq!(plan["on_budget_exceeded"], "ask");
    assert_eq!(plan["budget_warn_percent"], 80);
    let model = &plan["stages"][0]["model"];
    assert_eq!(model["alternatives"], json!([{"provider": "spare", "model": "small"}]));
    assert_eq!(model["cache"], true);
    let usual = host.post("/api/v2/workflow-profiles/preview", json!({"mode": "gated"})).await;
    assert_eq!(usual.json()["on_budget_exceeded"], "stop");
    assert_eq!(usual.json()["stages"][0]["model"]["cache"], false);
}

#[tokio::test]
async fn the_budget_of_the_day_stops_chats() {
    let budgets =
        DayBudgets { all: DayBudget { tokens: Some(1), nano_usd: None }, ..DayBudgets::default() };
    let host = Host::set_up(Setup { budgets, ..Setup::default() }).await;
    let answer = host.post("/api/chat", json!({"message": "what do bees eat"})).await;
    answer.refused(409, "budget_exhausted");
}

#[tokio::test]
async fn a_question_about_a_budget_has_nothing_to_revise_edit_or_ask_next() {
    let host = Host::start().await;
    let run = thrifty(&host).await;
    let approval = host.open_approval(&run).await;
    let path = format!("/api/v2/approvals/{}", approval["approval_id"].as_str().unwrap());
    let wish = json!({"actor": "ada", "comment": "shorter"});
    host.post(&format!("{path}/revise"), wish).await.refused(409, "gate_without_content");
    let edit = json!({"actor": "ada", "edits": [{"name": "first.md", "body": "x"}]});
    host.post(&format!("{path}/grant"), edit).await.refused(409, "gate_without_content");
    let shown = host.get(&path).await.json();
    assert_eq!(shown["status"], "pending");
    assert_eq!((&shown["next"], &shown["previous"]), (&Value::Null, &json!([])));
    assert_eq!((&shown["reviewers"], &shown["grants_needed"]), (&json!([]), &json!(1)));
}
