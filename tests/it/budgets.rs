//! Budgets and alternatives as a profile says them: a run waits for a person, and somebody else answers.
use model_server::{Behavior, ModelServer};
use serde_json::{Value, json};

use crate::support::{Api, Folder, Server, stagewright};

/// Uses most of the budget of [`write_frugal_profile`].
const LONG_ANSWER_WORDS: usize = 700;

/// Two questions, of which the first leaves too little for the second.
fn write_frugal_profile(folder: &Folder) {
    write_profile(folder, "budget: { run_tokens: 1000, on_exceeded: ask }", 2);
}

/// One stage that asks so many questions.
fn write_profile(folder: &Folder, said: &str, questions: usize) {
    let plugin = plugin_bundle::ROGUE_STAGE_PATH;
    let text = format!(
        "profile: asking\ntitle: Asking\ndescription: Asks.\nversion: \"1\"\n{said}\nstages:\n  \
         - {{ key: only, title: Only, plugin: \"{plugin}\", gate: none, \
         settings: {{ verb: ask-many, count: {questions} }} }}\n"
    );
    folder.write(".stagewright/profiles/asking.yaml", text);
}

fn long_answer() -> Behavior {
    Behavior::text("word ".repeat(LONG_ANSWER_WORDS))
}

async fn calls(api: &Api, run: &str) -> Vec<Value> {
    let calls = api.get(&format!("/api/v2/workflow-runs/{run}/llm-calls")).await.ok();
    calls["items"].as_array().expect("calls").clone()
}

// The binary is run to its end in this thread, while the model server answers in another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_waits_for_more_budget_and_no_answer_is_paid_twice() {
    let models = ModelServer::start().await;
    models.otherwise(long_answer());
    let folder = Folder::with_models(&models);
    write_frugal_profile(&folder);
    let server = Server::start(&folder);
    let run = server.api.start("asking").await;
    let approval = server.api.gate(&run).await;
    assert_eq!(models.count(), 1, "the second question is not asked yet");
    let shown = stagewright(&folder, &["approvals", "show", &approval]);
    assert!(shown.stdout.contains("over the budget of the run"), "{shown}");
    assert!(shown.stdout.contains("of 1,000 tokens are used"), "{shown}");
    assert!(shown.stdout.contains("allows 1,000 tokens more"), "{shown}");

    // Whoever restarts the host loses neither the gate nor the answer.
    server.kill();
    let server = Server::start(&folder);
    assert_eq!(server.api.gate(&run).await, approval);
    let granted = stagewright(&folder, &["approvals", "grant", &approval]);
    assert_eq!(granted.code, 0, "{granted}");
    let ended = server.api.reaches(&run, &["completed", "failed", "waiting_approval"]).await;

    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert_eq!(models.count(), 2, "each question is asked once");
    assert_eq!(calls(&server.api, &run).await.len(), 2);
    insta::assert_snapshot!(server.api.journal(&run).await, @r"
    1 run_created
    2 stage_started stage=only attempt=1
    3 model_answered stage=only attempt=1 ordinal=1
    4 budget_gate_opened stage=only attempt=1
    5 gate_granted stage=only actor=terminal
    6 model_answered stage=only attempt=1 ordinal=2
    7 stage_finished stage=only attempt=1
    8 run_completed
    ");
    assert_eq!(server.stop(), 0);
}

#[tokio::test]
async fn a_run_that_gets_no_more_budget_has_failed_and_asks_again_when_it_is_tried_again() {
    let models = ModelServer::start().await;
    models.otherwise(long_answer());
    let folder = Folder::with_models(&models);
    write_frugal_profile(&folder);
    let server = Server::start(&folder);
    let run = server.api.start("asking").await;
    let approval = server.api.gate(&run).await;
    let rejection = json!({ "actor": "tester", "comment": "too dear" });
    server.api.post(&format!("/api/v2/approvals/{approval}/reject"), &rejection).await.ok();
    server.api.reaches(&run, &["failed"]).await;

    let body = json!({ "actor": "tester" });
    server.api.post(&format!("/api/v2/workflow-runs/{run}/retry"), &body).await.ok();
    let again = server.api.gate(&run).await;
    assert_ne!(again, approval);
    assert_eq!(models.count(), 1, "what the first attempt used counts");
    let canceled = server.api.post(&format!("/api/v2/workflow-runs/{run}/cancel"), &body).await;
    assert_eq!(canceled.ok()["status"], "canceled");
    assert_eq!(server.api.grant(&again).await.status, 409);
    assert_eq!(server.stop(), 0);
}

#[tokio::test]
async fn who_is_named_as_alternative_answers_where_the_first_is_down() {
    let down = ModelServer::start().await;
    down.otherwise(Behavior::error(503, "overloaded", "down for the night"));
    let up = ModelServer::start().await;
    let mut folder = Folder::with_models(&down);
    folder.set("OPENAI_API_KEY", "test-key");
    folder.set("OPENAI_BASE_URL", &up.base_url());
    // What is waited for between tries is another test's.
    folder.write("stagewright.yaml", "providers: { kimi: { tries: 1 } }\n");
    let said =
        "model: { provider: kimi, alternatives: [{ provider: openai, model: another-model }] }";
    write_profile(&folder, &format!("defaults: {{ {said} }}"), 2);
    let server = Server::start(&folder);
    let run = server.api.start("asking").await;
    let ended = server.api.reaches(&run, &["completed", "failed"]).await;

    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert_eq!((down.count(), up.count()), (2, 2));
    assert_eq!(up.requests()[0].body["model"], "another-model");
    let calls = calls(&server.api, &run).await;
    assert_eq!(calls.len(), 2, "{calls:#?}");
    for call in calls {
        assert_eq!(call["provider"], "openai", "{call:#}");
        let reason = call["fallback_reason"].as_str().unwrap_or_default();
        assert!(reason.starts_with("kimi/"), "{call:#}");
        assert!(reason.contains("503"), "{call:#}");
    }
    assert_eq!(server.stop(), 0);
}
