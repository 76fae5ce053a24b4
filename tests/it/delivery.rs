//! The delivery crew, the content calendar, and stages that need no code: what profiles make of shipped plugins.
use model_server::ModelServer;
use serde_json::{Value, json};

use crate::support::{Api, Folder, Server, stagewright};

/// The stages of `software_delivery`, with what each leaves.
const CREW: [(&str, [&str; 2]); 6] = [
    ("product-manager", ["product-brief.md", "stories.json"]),
    ("architect", ["architecture.md", "architecture.json"]),
    ("developer", ["implementation.md", "implementation.json"]),
    ("frontend", ["frontend.md", "frontend.json"]),
    ("tester", ["test-plan.md", "test-plan.json"]),
    ("reviewer", ["review.md", "review.json"]),
];

async fn items(api: &Api, path: &str) -> Vec<Value> {
    let list = api.get(path).await.ok();
    list["items"].as_array().unwrap_or_else(|| panic!("{path}: {list:#}")).clone()
}

async fn body(api: &Api, run: &str, artifact: &str) -> String {
    let path = format!("/api/v2/workflow-runs/{run}/artifacts/{artifact}");
    let answer = api.get(&path).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.text
}

async fn start(api: &Api, body: &Value) -> Value {
    api.post("/api/v2/workflow-runs", body).await.ok()
}

fn run_of(started: &Value) -> String {
    started["run_id"].as_str().expect("a run").to_owned()
}

#[tokio::test]
async fn the_crew_hands_its_work_on_and_each_leaves_its_artifacts() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let run = server.api.start("software_delivery").await;
    let ended = server.api.finish(&run).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");

    let made = items(&server.api, &format!("/api/v2/workflow-runs/{run}/artifacts")).await;
    let made: Vec<String> = made
        .iter()
        .map(|artifact| {
            format!(
                "{}/{}",
                artifact["stage"].as_str().unwrap_or("?"),
                artifact["name"].as_str().unwrap_or("?")
            )
        })
        .collect();
    for (stage, names) in CREW {
        for name in names {
            assert!(made.contains(&format!("{stage}/{name}")), "{stage}/{name} in {made:?}");
        }
    }
    let stories = body(&server.api, &run, "product-manager/stories.json").await;
    assert!(stories.contains("\"AC-1.1\""), "{stories}");
    let plan = body(&server.api, &run, "tester/test-plan.md").await;
    assert!(plan.contains("| AC-1.1 | US-1 |"), "the tester covers the manager's criteria: {plan}");
    let review = body(&server.api, &run, "reviewer/review.md").await;
    assert!(review.contains("**approve with changes**"), "{review}");
}

#[tokio::test]
async fn the_calls_of_the_crew_are_found_by_workflow_stage_and_conversation() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let request = json!({
        "mode": "software_delivery", "request_text": "A log for hives", "thread_id": "thread-7",
    });
    let run = run_of(&start(&server.api, &request).await);
    let other = server.api.start("foundation_express").await;
    server.api.finish(&run).await;
    server.api.finish(&other).await;

    let calls = items(&server.api, &format!("/api/v2/llm-calls?run_id={run}")).await;
    assert_eq!(calls.len(), CREW.len(), "one question for each of the crew");
    for (stage, _) in CREW {
        let path = format!("/api/v2/llm-calls?run_id={run}&stage={stage}");
        let calls = items(&server.api, &path).await;
        assert_eq!(calls.len(), 1, "{stage}");
        assert!(calls[0]["usage"]["output_tokens"].as_u64() > Some(0), "{:#}", calls[0]);
        assert!(calls[0]["total_ms"].is_u64(), "{:#}", calls[0]);
        let conversation = calls[0]["conversation_id"].as_str().expect("a conversation");
        let path = format!("/api/v2/llm-calls?conversation_id={conversation}");
        let same = items(&server.api, &path).await;
        assert_eq!(same, calls, "an attempt of {stage} is one conversation");
    }
    let usage = server.api.get("/api/v2/usage?by=mode,stage&mode=software_delivery").await.ok();
    let stages: Vec<&str> = usage["items"]
        .as_array()
        .expect("groups")
        .iter()
        .map(|group| group["stage"].as_str().expect("a stage"))
        .collect();
    let mut expected = CREW.map(|(stage, _)| stage);
    expected.sort_unstable();
    assert_eq!(stages, expected);
    assert_eq!(usage["total"]["calls"], 6, "{usage:#}");
}

// The answers come from a server of the test, so that what was asked can be looked at.
#[tokio::test]
async fn the_architect_is_asked_what_the_profile_says() {
    let models = ModelServer::start().await;
    let folder = Folder::with_models(&models);
    let server = Server::start(&folder);
    let request = json!({
        "mode": "software_delivery", "request_text": "A log for hives", "variables": {"stack": "Rust and SQLite"},
    });
    let run = run_of(&start(&server.api, &request).await);
    let approval = server.api.gate(&run).await;
    server.api.grant(&approval).await.ok();
    let found = server.api.reaches(&run, &["waiting_approval", "failed"]).await;
    assert_eq!(found["current_stage"], "architect", "{found:#}");
    let asked = models.requests().pop().expect("the architect asked").body.to_string();
    for expected in [
        "You are the architect of a small software team.",
        "The team works with \\\"Rust and SQLite\\\"; go beyond it only",
        "Required sections, in this order:\\n## Summary - the shape of the system",
        "<artifact name=\\\"product-brief.md\\\" stage=\\\"product-manager\\\">",
        "<skill name=\\\"engineering\\\">",
    ] {
        assert!(asked.contains(expected), "{expected}\n{asked}");
    }
    assert!(!asked.contains("{{"), "nothing of the template is left: {asked}");
}

#[tokio::test]
async fn the_content_calendar_is_a_table_for_people_and_json_for_programs() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let request = json!({
        "mode": "content_calendar", "request_text": "Honey from city bees", "variables": {"weeks": 6},
    });
    let started = start(&server.api, &request).await;
    assert_eq!(started["effective_mode"], "content_calendar", "{started:#}");
    assert_eq!(started["fallback_applied"], false);
    let run = run_of(&started);
    let ended = server.api.finish(&run).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");

    let table = body(&server.api, &run, "calendar/calendar.md").await;
    let head =
        "| Week | Day | Channel | Format | Theme | Title | Brief | Call to action | Hours |\n|---|";
    assert!(table.contains(head), "{table}");
    let calendar: Value =
        serde_json::from_str(&body(&server.api, &run, "calendar/calendar.json").await)
            .expect("JSON");
    let entries = calendar["entries"].as_array().expect("entries");
    assert!(
        !entries.is_empty() && entries.iter().all(|entry| entry["week"].is_u64()),
        "{calendar:#}"
    );
    let variables = server.api.get(&format!("/api/v2/workflow-runs/{run}/variables")).await.ok();
    assert!(variables.to_string().contains("content_calendar"), "{variables:#}");
}

#[tokio::test]
async fn the_content_calendar_falls_back_while_the_fallback_is_forced() {
    let mut folder = Folder::new();
    folder.set("STAGEWRIGHT_FALLBACK", "forced");
    let server = Server::start(&folder);
    let request = json!({"mode": "content_calendar", "request_text": "Honey from city bees"});
    let started = start(&server.api, &request).await;
    assert_eq!(started["requested_mode"], "content_calendar", "{started:#}");
    assert_eq!(started["effective_mode"], "foundation_stack");
    assert_eq!(started["fallback_applied"], true);
    let found = server.api.reaches(&run_of(&started), &["waiting_approval"]).await;
    assert_eq!(found["current_stage"], "research");
}

/// A workflow of two stages without code, the second of which takes the place of a shipped plugin's artifact.
const OWN: &str = r"
profile: own
version: '1'
stages:
  - key: pitch
    plugin: prompt
    settings:
      prompt: |
        Write a pitch {{#if variable.tone}}in a {{variable.tone}} tone{{/if}}.
      sections: [{heading: Hook}, {heading: Offer, purpose: what it is}]
      variables: {hook: Hook}
  - key: press
    plugin: prompt
    settings:
      artifact: research
      prompt: 'Judge {{artifact.pitch.md}} by {{variable.hook}}.'
      needs: [pitch.md]
      schema:
        type: object
        required: [verdict, reasons]
        properties:
          verdict: {enum: [good, bad]}
          reasons: {type: array, items: {type: string}, minItems: 2}
  - key: voice
    plugin: brand-voice
";

#[tokio::test]
async fn a_workflow_without_code_feeds_a_stage_with_code() {
    let folder = Folder::new();
    folder.write(".stagewright/profiles/own.yaml", OWN);
    let server = Server::start(&folder);
    let run = server.api.start("own").await;
    let ended = server.api.finish(&run).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let judged: Value =
        serde_json::from_str(&body(&server.api, &run, "press/research.json").await).expect("JSON");
    assert_eq!(judged["verdict"], "good");
    body(&server.api, &run, "voice/brand-voice.md").await;
}

#[tokio::test]
async fn what_is_wrong_with_a_template_is_said_before_a_question_is_paid() {
    let folder = Folder::new();
    let broken = OWN.replace("{{#if variable.tone}}in a", "{{#if tone}}in a");
    folder.write(".stagewright/profiles/own.yaml", broken);
    let checked = stagewright(&folder, &["profiles", "check"]);
    assert_eq!(checked.code, 1, "{checked}");
    let text = checked.to_string();
    for says in ["own.yaml:", "in its line 1: `Write a pitch {{#if tone}}", "`variable.NAME`"] {
        assert!(text.contains(says), "no `{says}` in {text}");
    }
    // The same at the start of a run, also for what the run itself says.
    folder.write(".stagewright/profiles/own.yaml", OWN);
    let server = Server::start(&folder);
    let overrides = json!({ "press": { "settings": { "prompt": "Judge {{artifact.pitch.md}" } } });
    let body = json!({ "mode": "own", "request_text": "Bees", "stage_overrides": overrides });
    let refused = server.api.post("/api/v2/workflow-runs", &body).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert!(refused.text.contains("/stage_overrides/press/settings/prompt"), "{}", refused.text);
    // What only a run can tell is told when the stage begins, and before it asks.
    let missing =
        json!({ "pitch": { "settings": { "prompt": "In the tone\n {{variable.tone}}" } } });
    let body = json!({ "mode": "own", "request_text": "Bees", "stage_overrides": missing });
    let run = run_of(&start(&server.api, &body).await);
    let failed = server.api.reaches(&run, &["failed", "completed"]).await;
    assert_eq!(failed["fault"]["error_code"], "stage_bad_input", "{failed:#}");
    let message = failed["fault"]["error_message"].as_str().expect("words");
    assert!(message.contains("line 2, column 2: the run has no variable `tone`"), "{message}");
    let calls = items(&server.api, &format!("/api/v2/workflow-runs/{run}/llm-calls")).await;
    assert_eq!(calls.len(), 0);
}
