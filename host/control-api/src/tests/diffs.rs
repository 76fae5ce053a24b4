//! Versions of an artifact, compared.
use axum::http::{StatusCode, header};
use serde_json::json;

use super::support::Host;

/// A run whose first artifact has three versions.
async fn with_versions(host: &Host) -> String {
    let ask = json!({"request_text": "bees", "mode": "reviewed", "actor": "dora"});
    let started = host.post("/api/v2/workflow-runs", ask).await.json();
    let run = started["run_id"].as_str().unwrap().to_owned();
    let approval = host.open_approval(&run).await;
    let grant = format!("/api/v2/approvals/{}/grant", approval["approval_id"].as_str().unwrap());
    let texts = [("ada", "one\ntwo\nthree\n"), ("bob", "one\n2\nthree\nfour")];
    for (actor, body) in texts {
        let edits = json!([{"name": "first.md", "body": body}]);
        let answer = host.post(&grant, json!({"actor": actor, "edits": edits})).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
    run
}

#[tokio::test]
async fn the_two_newest_versions_are_compared_unless_others_are_named() {
    let host = Host::start().await;
    let run = with_versions(&host).await;
    let path = format!("/api/v2/workflow-runs/{run}/artifacts/first/first.md/diff");
    let diff = host.get(&path).await;
    assert_eq!(diff.headers[header::CONTENT_TYPE], "text/x-diff; charset=utf-8");
    insta::assert_snapshot!(diff.text(), @r"
    --- first.md	version 2
    +++ first.md	version 3
    @@ -1,3 +1,4 @@
     one
    -two
    +2
     three
    +four
    \ No newline at end of file
    ");
    assert_eq!(host.get(&format!("{path}?from=2&to=3")).await.text(), diff.text());
    assert_eq!(host.get(&format!("{path}?to=3")).await.text(), diff.text());
    let back = host.get(&format!("{path}?from=3&to=2")).await;
    assert!(back.text().contains("\n-2\n+two\n"), "{}", back.text());
    assert_eq!(host.get(&format!("{path}?from=2&to=2")).await.text(), "");
}

#[tokio::test]
async fn versions_that_are_not_there_are_named() {
    let host = Host::start().await;
    let run = with_versions(&host).await;
    let path = format!("/api/v2/workflow-runs/{run}/artifacts/first/first.md/diff");
    let body = host.get(&format!("{path}?from=1&to=9")).await.refused(404, "artifact_unknown");
    assert!(body["detail"].as_str().unwrap().contains("in version 9"), "{body}");
    let body = host.get(&format!("{path}?to=1")).await.refused(404, "artifact_unknown");
    assert_eq!(body["detail"], "`first.md` has no version before 1");
    host.get(&format!("{path}?from=0&to=x")).await.refused(400, "request_invalid");
    let other = format!("/api/v2/workflow-runs/{run}/artifacts/first/none.md/diff");
    host.get(&other).await.refused(404, "artifact_unknown");
}
