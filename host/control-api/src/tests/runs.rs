//! Runs: started, listed, shown, commanded.
use std::sync::atomic::Ordering;

use axum::http::{StatusCode, header};
use serde_json::{Value, json};

use super::stages::Stages;
use super::support::{Host, post};
use crate::Access;

fn of(run: &str, rest: &str) -> String {
    format!("/api/v2/workflow-runs/{run}{rest}")
}

#[tokio::test]
async fn a_start_answers_at_once_with_both_modes() {
    let host = Host::with(Stages::held_up(), Access::in_process()).await;
    let body = json!({"request_text": "bees", "mode": "gated", "thread_id": "t1"});
    let answer = host.post("/api/v2/workflow-runs", body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let started = answer.json();
    let run = started["run_id"].as_str().unwrap();
    assert_eq!(answer.headers[header::LOCATION], of(run, "").as_str());
    assert_eq!(started["requested_mode"], "gated");
    assert_eq!(started["effective_mode"], "gated");
    assert_eq!(started["fallback_applied"], false);
    assert_eq!(started["profile_version"], "1");
    assert_eq!(started["existed"], false);
}

#[tokio::test]
async fn the_same_key_gives_the_same_run_and_another_body_is_refused() {
    let host = Host::start().await;
    let send = async |text: &str| {
        let mut request =
            post("/api/v2/workflow-runs", &json!({"request_text": text, "mode": "straight"}));
        request.headers_mut().insert("idempotency-key", "k-1".parse().unwrap());
        host.send(request).await
    };
    let first = send("bees").await.json();
    let again = send("bees").await;
    assert_eq!(again.status, StatusCode::ACCEPTED);
    assert_eq!(again.json()["run_id"], first["run_id"]);
    assert_eq!(again.json()["existed"], true);
    send("wasps").await.refused(409, "idempotency_conflict");
    assert_eq!(
        host.get("/api/v2/workflow-runs").await.json()["items"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn a_run_is_shown_with_plan_stages_usage_and_timing() {
    let host = Host::start().await;
    let run = host.begin("straight").await;
    let shown = host.reaches(&run, "completed").await;
    assert_eq!(shown["request_text"], "a hive for the balcony");
    assert_eq!(shown["stages_done"], 2);
    assert_eq!(shown["plan"]["stages"][1]["needs"], json!(["first.md"]));
    assert_eq!(shown["stages"][0]["status"], "done");
    assert_eq!(shown["stages"][0]["plugin"]["name"], "first");
    assert_eq!(shown["stages"][0]["summary"], "first is done");
    assert_eq!(shown["stages"][0]["attempt"], 1);
    assert_eq!(shown["usage"]["calls"], 2);
    assert_eq!(shown["usage"]["cost"], json!({"usd": "0", "nano_usd": 0}));
    assert!(shown["timing"]["work_ms"].is_u64());
    assert_eq!(shown["pending_approval"], Value::Null);
    assert_eq!(shown["created_at"], "2025-06-15T15:06:40.000Z");
}

#[tokio::test]
async fn a_list_has_filters_and_pages_without_gap_or_repetition() {
    let host = Host::start().await;
    let mut begun = Vec::new();
    for mode in ["straight", "gated", "straight", "gated", "straight"] {
        begun.push(host.begin(mode).await);
    }
    begun.sort_unstable_by(|one, other| other.cmp(one));
    let mut listed = Vec::new();
    let mut path = "/api/v2/workflow-runs?limit=2".to_owned();
    loop {
        let page = host.get(&path).await.json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        listed.extend(items.iter().map(|item| item["run_id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/v2/workflow-runs?limit=2&cursor={cursor}");
    }
    assert_eq!(listed, begun);
    for run in &begun {
        let mode = host.get(&of(run, "")).await.json()["effective_mode"].clone();
        host.reaches(run, if mode == "gated" { "waiting_approval" } else { "completed" }).await;
    }
    let count = async |query: &str| {
        let page = host.get(&format!("/api/v2/workflow-runs?{query}")).await.json();
        page["items"].as_array().unwrap_or_else(|| panic!("{query}: {page}")).len()
    };
    assert_eq!(count("mode=gated").await, 2);
    assert_eq!(count("status=completed").await, 3);
    assert_eq!(count("waiting=true").await, 2);
    assert_eq!(count("thread_id=other").await, 0);
    assert_eq!(count("since=2025-06-15T15:06:40Z").await, 5);
    assert_eq!(count("since=2030-01-01T00:00:00%2B01:00").await, 0);
}

#[tokio::test]
async fn the_timeline_tells_the_story_in_lines_and_pages() {
    let host = Host::start().await;
    let run = host.begin("straight").await;
    host.reaches(&run, "completed").await;
    let first = host.get(&of(&run, "/timeline?limit=4")).await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = host.get(&of(&run, &format!("/timeline?limit=200&cursor={cursor}"))).await.json();
    assert_eq!(second["next_cursor"], Value::Null);
    let events = [first["items"].as_array().unwrap(), second["items"].as_array().unwrap()];
    let mut story = String::new();
    for event in events.into_iter().flatten() {
        let (version, kind, line) = (&event["version"], &event["kind"], &event["line"]);
        let line = line.as_str().unwrap();
        // The scripted writer counts tokens by its own rules.
        let line = line.split(" answered call").next().unwrap();
        story.push_str(&format!("{version} {} | {line}\n", kind.as_str().unwrap()));
    }
    insta::assert_snapshot!(story, @r"
    1 run_created | run created: `straight`, 2 stages
    2 stage_started | first: started
    3 model_answered | first: scripted
    4 stage_finished | first: done: first is done [first.md]
    5 stage_started | second: started
    6 model_answered | second: scripted
    7 stage_finished | second: done: second is done [second.md]
    8 run_completed | run completed
    ");
}

#[tokio::test]
async fn artifacts_are_listed_and_served_as_harmless_files() {
    let host = Host::start().await;
    let run = host.begin("straight").await;
    host.reaches(&run, "completed").await;
    let listed = host.get(&of(&run, "/artifacts")).await.json();
    assert_eq!(listed["items"][0]["name"], "first.md");
    assert_eq!(listed["items"][0]["version"], 1);
    assert_eq!(listed["items"][0]["current"], true);
    let body = host.get(&of(&run, "/artifacts/first/first.md?version=1")).await;
    assert_eq!(body.status, StatusCode::OK);
    assert_eq!(body.text().len(), listed["items"][0]["size_bytes"].as_u64().unwrap() as usize);
    assert_eq!(body.headers[header::CONTENT_TYPE], "text/markdown; charset=utf-8");
    assert_eq!(body.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert!(body.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("'none'"));
    let disposition = body.headers[header::CONTENT_DISPOSITION].to_str().unwrap();
    assert!(disposition.starts_with("inline; filename=\"first.md\""), "{disposition}");
    host.get(&of(&run, "/artifacts/first/first.md?version=2"))
        .await
        .refused(404, "artifact_unknown");
    host.get(&of(&run, "/artifacts/second/first.md")).await.refused(404, "artifact_unknown");
    let evil =
        host.get(&of(&run, "/artifacts/first/..%2Fevil.md")).await.refused(400, "id_invalid");
    assert!(evil["detail"].as_str().unwrap().contains("path separator"), "{evil}");
}

#[tokio::test]
async fn calls_are_listed_and_shown_with_their_texts() {
    let host = Host::start().await;
    let run = host.begin("straight").await;
    host.reaches(&run, "completed").await;
    let listed = host.get(&of(&run, "/llm-calls?stage=second&status=answered")).await.json();
    let [call] = listed["items"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!(call["stage"], "second");
    assert_eq!(call["ordinal"], 1);
    assert_eq!(call["provider"], "scripted");
    assert_eq!(call["session_id"], Value::Null);
    let id = call["call_id"].as_str().unwrap();
    let shown = host.get(&format!("/api/v2/llm-calls/{id}")).await.json();
    assert_eq!(shown["call_id"], id);
    let asked = &shown["request"]["messages"][0];
    assert_eq!(asked["role"], "user");
    assert_eq!(asked["content"], "# Task\n\nWrite about a hive for the balcony.");
    assert_eq!(shown["request"]["response_format"], json!({"type": "text"}));
    assert!(!shown["answer"]["content"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn variables_and_prompts_are_shown() {
    let host = Host::start().await;
    let body =
        json!({"request_text": "bees", "mode": "gated", "variables": {"budget": {"eur": 3}}});
    let run = host.post("/api/v2/workflow-runs", body).await.json()["run_id"].clone();
    let run = run.as_str().unwrap();
    host.open_approval(run).await;
    let variables = host.get(&of(run, "/variables")).await.json();
    let expected = json!([
        {"name": "budget", "value": {"eur": 3}},
        {"name": "last_stage", "value": "first"},
    ]);
    assert_eq!(variables["items"], expected);
    let prompt = host.get(&of(run, "/stages/second/prompt")).await.json();
    assert_eq!(prompt["stage"], "second");
    assert_eq!(prompt["request"]["messages"][0]["content"], "# Task\n\nWrite about bees.");
    assert_eq!(prompt["max_output_tokens"], 800);
    assert!(prompt["input_tokens"].as_u64().unwrap() > 0);
    host.get(&of(run, "/stages/third/prompt")).await.refused(404, "stage_unknown");
}

#[tokio::test]
async fn commands_answer_with_the_state_and_may_come_without_a_body() {
    let host = Host::with(Stages::held_up(), Access::in_process()).await;
    let run = host.begin("straight").await;
    let command = async |name: &str, body: &str| {
        let mut request = post(&of(&run, name), &Value::Null);
        *request.body_mut() = axum::body::Body::from(body.to_owned());
        host.send(request).await
    };
    assert_eq!(command("/pause", "").await.status, StatusCode::OK);
    let resumed = command("/resume", r#"{"actor": "ada"}"#).await;
    assert_eq!(resumed.status, StatusCode::OK);
    command("/retry", "").await.refused(409, "run_not_ended");
    let canceled = command("/cancel", r#"{"actor": "ada", "reason": "wrong bees"}"#).await.json();
    assert_eq!(canceled, json!({"run_id": run, "status": "canceled"}));
    let again = command("/resume", "").await.json();
    assert_eq!(again["status"], "canceled");
    command("/pause", "").await.refused(409, "run_ended");
    let events = host.get(&of(&run, "/timeline")).await.json();
    let last = events["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["line"], "run canceled by ada: wrong bees");
    assert_eq!(last["data"], json!({"actor": "ada", "reason": "wrong bees"}));
}

#[tokio::test]
async fn a_failed_stage_shows_the_error_triple_and_can_be_done_again() {
    let host = Host::start().await;
    host.stages.broken.store(true, Ordering::SeqCst);
    let run = host.begin("straight").await;
    let failed = host.reaches(&run, "failed").await;
    assert_eq!(failed["fault"]["error_code"], "stage_bad_input");
    assert_eq!(failed["fault"]["error_message"], "the request names no topic\nsay one");
    assert_eq!(failed["fault"]["retryable"], false);
    assert_eq!(failed["stages"][0]["fault"]["error_code"], "stage_bad_input");
    assert_eq!(failed["stages"][1]["status"], "pending");
    host.post(&of(&run, "/retry"), json!({"stage": "second"}))
        .await
        .refused(409, "earlier_stage_missing");
    host.post(&of(&run, "/retry"), json!({"stage": "No"})).await.refused(400, "request_invalid");
    host.stages.broken.store(false, Ordering::SeqCst);
    assert_eq!(host.post(&of(&run, "/retry"), json!({})).await.status, StatusCode::OK);
    let done = host.reaches(&run, "completed").await;
    assert_eq!(done["stages"][0]["attempt"], 2);
    assert_eq!(done["fault"], Value::Null);
}
