//! Gates: looked at and decided.
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::support::Host;

fn of(approval: &Value, rest: &str) -> String {
    format!("/api/v2/approvals/{}{rest}", approval["approval_id"].as_str().unwrap())
}

#[tokio::test]
async fn a_grant_lets_the_run_go_on_by_itself() {
    let host = Host::start().await;
    let run = host.begin("gated").await;
    let approval = host.open_approval(&run).await;
    let listed = host.get("/api/v2/approvals?status=pending").await.json();
    assert_eq!(listed["items"], json!([approval]));
    let shown = host.get(&of(&approval, "")).await.json();
    assert_eq!(shown["stage"], "first");
    assert_eq!(shown["artifacts"][0]["name"], "first.md");
    assert_eq!(shown["summary"], "first is done");
    assert_eq!(shown["question"], "Is the result of `first` good enough to go on with?");

    let decision =
        json!({"actor": "ada", "comment": "fine", "content_hash": shown["content_hash"]});
    let decided = host.post(&of(&approval, "/grant"), decision.clone()).await;
    assert_eq!(decided.status, StatusCode::OK, "{}", decided.text());
    assert_eq!(decided.json()["verdict"], "granted");
    assert_eq!(decided.json()["run_id"], json!(run));
    host.reaches(&run, "completed").await;

    let again = host.post(&of(&approval, "/grant"), decision.clone()).await;
    assert_eq!(again.status, StatusCode::OK);
    host.post(&of(&approval, "/reject"), decision).await.refused(409, "approval_decided");
    let shown = host.get(&of(&approval, "")).await.json();
    assert_eq!((&shown["status"], &shown["actor"]), (&json!("granted"), &json!("ada")));
    assert_eq!(host.get("/api/v2/approvals?status=pending").await.json()["items"], json!([]));
}

#[tokio::test]
async fn a_rejection_ends_the_run_and_keeps_who_and_why() {
    let host = Host::start().await;
    let run = host.begin("gated").await;
    let approval = host.open_approval(&run).await;
    let decision = json!({"actor": "ada", "comment": "too thin"});
    let decided = host.post(&of(&approval, "/reject"), decision).await.json();
    assert_eq!(decided["status"], "failed");
    let shown = host.reaches(&run, "failed").await;
    assert_eq!(shown["stages"][0]["status"], "rejected");
    let events = host.get(&format!("/api/v2/workflow-runs/{run}/timeline")).await.json();
    let lines: Vec<&str> =
        events["items"].as_array().unwrap().iter().map(|e| e["line"].as_str().unwrap()).collect();
    assert!(lines.contains(&"first: rejected by ada: too thin"), "{lines:?}");
}

#[tokio::test]
async fn a_decision_on_other_content_is_refused_and_changes_nothing() {
    let host = Host::start().await;
    let run = host.begin("gated").await;
    let approval = host.open_approval(&run).await;
    let other = format!("sha256:{}", "0".repeat(64));
    let stale = json!({"actor": "ada", "content_hash": other});
    host.post(&of(&approval, "/grant"), stale).await.refused(412, "content_changed");
    assert_eq!(host.open_approval(&run).await, approval);
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_decision_is_reported_together() {
    let host = Host::start().await;
    let run = host.begin("gated").await;
    let approval = host.open_approval(&run).await;
    let edits = json!([{"name": "first.md", "body": "x"}]);
    let decision = json!({"comment": " ", "edits": edits, "content_hash": "md5:1"});
    for (verdict, expected) in [
        ("/reject", vec!["/content_hash", "/actor", "/edits"]),
        ("/revise", vec!["/content_hash", "/actor", "/comment", "/edits"]),
        ("/grant", vec!["/content_hash", "/actor"]),
    ] {
        let answer = host.post(&of(&approval, verdict), decision.clone()).await;
        let body = answer.refused(400, "request_invalid");
        assert_eq!(host.pointers(&body), expected, "{verdict}");
    }
    let unknown = json!({"actor": "ada", "edits": [{"name": "first.md", "text": "x"}]});
    let body = host.post(&of(&approval, "/grant"), unknown).await.refused(400, "request_invalid");
    assert_eq!(host.pointers(&body), ["/edits/0/text"]);
    assert_eq!(host.open_approval(&run).await, approval);
}

#[tokio::test]
async fn an_approval_that_nobody_has_is_told_apart_from_one_that_cannot_be() {
    let host = Host::start().await;
    let nobody = format!("/api/v2/approvals/appr_{}", "0".repeat(32));
    host.get(&nobody).await.refused(404, "approval_unknown");
    let decision = json!({"actor": "ada"});
    host.post(&format!("{nobody}/grant"), decision.clone()).await.refused(404, "approval_unknown");
    let body = host.get("/api/v2/approvals/run_1").await.refused(400, "id_invalid");
    assert_eq!(body["detail"], "`run_1` is no approval id: it does not start with `appr_`");
    let blank = host.post(&format!("{nobody}/grant"), json!({"actor": " "})).await;
    blank.refused(400, "request_invalid");
}
