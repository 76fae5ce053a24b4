//! Runs side by side.
use std::collections::BTreeSet;

use model_server::ModelServer;
use serde_json::json;

use crate::support::{Folder, Server};

#[tokio::test]
async fn fifty_runs_at_once_finish_and_the_api_answers_while_all_models_are_silent() {
    let models = ModelServer::start().await;
    models.hold();
    let folder = Folder::with_models(&models);
    let server = Server::start(&folder);
    let mut runs = Vec::new();
    for _ in 0..50 {
        runs.push(server.api.start("foundation_express").await);
    }
    models.wait_for_requests(1).await;

    for path in ["/api/v1/health", "/api/v2/workflow-runs?limit=100", "/api/v2/approvals"] {
        // Every model is silent: an answer at all shows that nothing waits for one.
        assert_eq!(server.api.get(path).await.status, 200);
    }
    models.release();

    for run in &runs {
        let ended = server.api.finish(run).await;
        assert_eq!(ended["status"], "completed", "{ended:#}");
    }
    assert_eq!(models.count(), 50 * 5);
}

#[tokio::test]
async fn two_runs_of_one_thread_share_no_file_and_no_row() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let mut runs = Vec::new();
    for topic in ["wasps", "honey"] {
        let body = json!({
            "mode": "foundation_stack", "request_text": format!("A brief about {topic}"),
            "thread_id": "thread-1", "brand_id": "brand-1", "project_id": "project-1",
        });
        let started = server.api.post("/api/v2/workflow-runs", &body).await.ok();
        runs.push(started["run_id"].as_str().expect("a run").to_owned());
    }
    let (one, two) = tokio::join!(server.api.finish(&runs[0]), server.api.finish(&runs[1]));
    assert_eq!((&one["status"], &two["status"]), (&json!("completed"), &json!("completed")));
    let listed = server.api.get("/api/v2/workflow-runs?thread_id=thread-1").await.ok();
    assert_eq!(listed["items"].as_array().expect("runs").len(), 2);

    for (list, name) in [("llm-calls", "call_id"), ("timeline", "seq"), ("artifacts", "digest")] {
        let mut all = BTreeSet::new();
        let mut count = 0;
        for run in &runs {
            let path = format!("/api/v2/workflow-runs/{run}/{list}");
            let rows = server.api.get(&path).await.ok();
            for row in rows["items"].as_array().expect("rows") {
                count += 1;
                all.insert(row[name].to_string());
            }
        }
        assert!(count > 0);
        assert_eq!(all.len(), count, "{list} of the two runs differ in every {name}");
    }
    assert_eq!(server.stop(), 0);

    let texts = |run: &str, topic: &str, other: &str| {
        let root = folder.run(run);
        let paths: Vec<_> =
            folder.files().into_iter().filter(|path| path.starts_with(&root)).collect();
        assert!(paths.len() > 12, "{paths:?}");
        let research = std::fs::read_to_string(root.join("01-research/research.md")).expect("text");
        assert!(research.contains(topic), "{research}");
        for path in paths {
            let text = std::fs::read_to_string(&path).expect("text");
            assert!(!text.contains(other), "{} speaks of the other run", path.display());
        }
    };
    texts(&runs[0], "wasps", "honey");
    texts(&runs[1], "honey", "wasps");
}
