//! The main job: five components from a request to a brief, over HTTP.
use model_server::{Behavior, ModelServer};
use serde_json::Value;

use crate::support::{Folder, Server};

const STAGES: [&str; 5] =
    ["research", "brand-voice", "positioning", "keywords", "foundation-brief"];

#[tokio::test]
async fn five_stages_are_written_by_the_model_and_each_gate_is_decided() {
    let models = ModelServer::start().await;
    let folder = Folder::with_models(&models);
    let server = Server::start(&folder);
    let run = server.api.start("foundation_stack").await;

    for stage in &STAGES[..4] {
        let found = server.api.reaches(&run, &["waiting_approval"]).await;
        assert_eq!(found["current_stage"], *stage);
        let approval = server.api.gate(&run).await;
        assert_eq!(server.api.grant(&approval).await.status, 200);
        // The next look must not find the gate that was just decided.
        server.api.reaches(&run, &["running", "waiting_approval", "completed"]).await;
    }
    let ended = server.api.finish(&run).await;

    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert_eq!(models.count(), 5, "one call for each stage");
    let last = models.requests().pop().expect("the brief was asked for");
    let asked = last.body.to_string();
    for earlier in ["research.md", "brand-voice.md", "positioning.md", "keywords.md"] {
        assert!(asked.contains(earlier), "the brief is made from {earlier}");
    }
    assert_eq!(server.stop(), 0);
    check_files(&folder, &run);
}

/// Each stage leaves its artifacts, an `output.json` and a manifest, and what they say is so.
fn check_files(folder: &Folder, run: &str) {
    let json = |name: &str| -> Value {
        let path = folder.run(run).join(name);
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        serde_json::from_str(&text).expect("JSON")
    };
    let plan = json("plan.json");
    assert_eq!(plan["requested_mode"], "foundation_stack");
    assert_eq!(plan["stages"].as_array().expect("stages").len(), 5);
    assert_eq!(json("manifest.json")["status"], "completed");
    for (idx, stage) in STAGES.iter().enumerate() {
        let stage_folder = format!("{:02}-{stage}", idx + 1);
        let output = json(&format!("{stage_folder}/output.json"));
        assert_eq!(output["stage_key"], *stage);
        assert_eq!(output["model"], "test-model", "{output:#}");
        assert!(output["usage"]["output_tokens"].as_u64() > Some(0), "{output:#}");
        let artifacts = json(&format!("{stage_folder}/manifest.json"))["artifacts"].clone();
        for artifact in artifacts.as_array().expect("artifacts") {
            let name = artifact["name"].as_str().expect("a name");
            let path = folder.run(run).join(&stage_folder).join(name);
            let size = std::fs::metadata(&path).expect("the artifact's file").len();
            assert_eq!(artifact["size_bytes"].as_u64(), Some(size), "{name}");
        }
    }
}

#[tokio::test]
async fn an_unusable_answer_is_asked_for_once_more_with_the_reason() {
    let models = ModelServer::start().await;
    models.push(Behavior::text("I would rather talk about wasps."));
    let folder = Folder::with_models(&models);
    let server = Server::start(&folder);
    let run = server.api.start("foundation_stack").await;
    server.api.reaches(&run, &["waiting_approval"]).await;

    assert_eq!(models.count(), 2);
    let second = models.requests().pop().expect("a second question").body;
    let messages = second["messages"].as_array().expect("messages").clone();
    let said = |idx: usize| messages[messages.len() - idx]["content"].as_str().expect("text");
    assert_eq!(said(2), "I would rather talk about wasps.");
    assert!(said(1).contains("section"), "the reason is named: {}", said(1));
}

#[tokio::test]
async fn a_failed_model_call_fails_the_stage_and_earlier_artifacts_stay() {
    let models = ModelServer::start().await;
    let folder = Folder::with_models(&models);
    let server = Server::start(&folder);
    let run = server.api.start("foundation_stack").await;
    let approval = server.api.gate(&run).await;
    models.push(Behavior::status(401, r#"{"error":{"message":"bad key"}}"#));
    server.api.grant(&approval).await.ok();
    let failed = server.api.reaches(&run, &["failed"]).await;

    assert_eq!(failed["fault"]["error_code"], "model_unauthorized", "{failed:#}");
    assert_eq!(failed["fault"]["retryable"], false);
    let artifacts = server.api.get(&format!("/api/v2/workflow-runs/{run}/artifacts")).await.ok();
    assert_eq!(artifacts["items"].as_array().expect("artifacts").len(), 1);

    let retried = server
        .api
        .post(&format!("/api/v2/workflow-runs/{run}/retry"), &serde_json::json!({}))
        .await;
    assert!(retried.status < 300, "{retried:?}");
    let found = server.api.reaches(&run, &["waiting_approval"]).await;
    assert_eq!(found["current_stage"], "brand-voice");
}
