//! What runs that wait for a time show of it.
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::support::Host;

#[tokio::test]
async fn a_gate_with_a_deadline_says_when_and_what_then() {
    let host = Host::start().await;
    let run = host.begin("timed").await;
    let approval = host.open_approval(&run).await;
    assert_eq!(approval["deadline_at"], "2025-06-16T15:06:40.000Z");
    assert_eq!(approval["deadline_outcome"], "escalate");
    assert_eq!(approval["escalate_to"], json!([{"group": "editors"}]));
    assert_eq!(approval["escalated"], false);
    let shown = host.get(&format!("/api/v2/workflow-runs/{run}")).await.json();
    assert_eq!(shown["wakes_at"], approval["deadline_at"]);
    let grant = format!("/api/v2/approvals/{}/grant", approval["approval_id"].as_str().unwrap());
    host.post(&grant, json!({"actor": "bob"})).await.refused(403, "reviewer_not_allowed");

    let mut watching = host.engine.subscribe(&run.parse().unwrap());
    host.clock.advance(Duration::from_secs(24 * 3_600));
    let escalated = async {
        while host.open_approval(&run).await["escalated"] == false {
            watching.next().await;
        }
    };
    tokio::time::timeout(super::support::PATIENCE, escalated).await.expect("the deadline passes");
    let shown = host.open_approval(&run).await;
    assert_eq!(shown["deadline_at"], Value::Null);
    let granted = host.post(&grant, json!({"actor": "bob"})).await;
    assert_eq!(granted.json()["status"], "completed", "{}", granted.text());
}

#[tokio::test]
async fn a_stage_that_is_tried_again_says_when_and_a_run_that_gave_up_says_why() {
    let host = Host::start().await;
    host.stages.broken.store(true, Ordering::SeqCst);
    let run = host.begin("stubborn").await;
    let path = format!("/api/v2/workflow-runs/{run}");
    let mut watching = host.engine.subscribe(&run.parse().unwrap());
    let backing_off = async {
        loop {
            let shown = host.get(&path).await.json();
            if !shown["wakes_at"].is_null() {
                return shown;
            }
            watching.next().await;
        }
    };
    let shown = tokio::time::timeout(super::support::PATIENCE, backing_off).await.unwrap();
    assert_eq!(shown["status"], "running");
    assert_eq!(shown["stages"][0]["status"], "backing_off");
    assert_eq!(shown["stages"][0]["retry_at"], "2025-06-15T15:07:10.000Z");
    assert_eq!(shown["wakes_at"], "2025-06-15T15:07:10.000Z");
    assert_eq!(shown["stages"][0]["fault"]["error_code"], "stage_bad_input");

    host.clock.advance(Duration::from_secs(30));
    let shown = host.reaches(&run, "paused").await;
    assert_eq!(shown["fault"]["error_code"], "stage_bad_input");
    assert_eq!(shown["wakes_at"], Value::Null);
    assert_eq!(shown["stages"][0]["retry_at"], Value::Null);

    host.stages.broken.store(false, Ordering::SeqCst);
    host.post(&format!("{path}/resume"), json!({})).await;
    assert_eq!(host.reaches(&run, "completed").await["fault"], Value::Null);
}

#[tokio::test]
async fn policies_are_part_of_plans_previews_and_profiles() {
    let host = Host::start().await;
    let preview =
        host.post("/api/v2/workflow-profiles/preview", json!({"mode": "reviewed"})).await.json();
    let gate = json!({
        "question": null,
        "grants_needed": 2,
        "reviewers": [{"actor": "ada"}, {"group": "editors"}],
        "self_approval": "refused",
        "deadline": null,
        "reminder": null,
    });
    assert_eq!(preview["stages"][0]["gate"], gate);
    assert_eq!(preview["stages"][0]["retry"]["attempt_count_max"], 1);
    let profile = host.get("/api/v2/workflow-profiles/stubborn").await.json();
    let retry = json!({
        "attempt_count_max": 2,
        "wait_ms": 30_000,
        "wait_ms_max": 60_000,
        "on_codes": ["stage_bad_input"],
        "when_spent": "pause",
    });
    assert_eq!(profile["plan"]["stages"][0]["retry"], retry);
    let timed = host.get("/api/v2/workflow-profiles/timed").await.json();
    let deadline = json!({
        "after_ms": 86_400_000,
        "outcome": "escalate",
        "escalate_to": [{"group": "editors"}],
    });
    assert_eq!(timed["plan"]["stages"][0]["gate"]["deadline"], deadline);
}
