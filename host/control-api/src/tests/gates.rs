//! What people do at gates: several grants, edits, revisions, races.
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::support::{Answer, Host, Setup, post};

fn of(approval: &Value, rest: &str) -> String {
    format!("/api/v2/approvals/{}{rest}", approval["approval_id"].as_str().unwrap())
}

async fn begin(host: &Host, mode: &str, actor: &str) -> (String, Value) {
    let ask = json!({"request_text": "quote bees", "mode": mode, "actor": actor});
    let started = host.post("/api/v2/workflow-runs", ask).await;
    assert_eq!(started.status, StatusCode::ACCEPTED, "{}", started.text());
    let run = started.json()["run_id"].as_str().unwrap().to_owned();
    let approval = host.open_approval(&run).await;
    (run, approval)
}

#[tokio::test]
async fn a_gate_that_takes_two_people_waits_for_the_second() {
    let host = Host::start().await;
    let (run, approval) = begin(&host, "reviewed", "dora").await;
    assert_eq!(approval["grants_needed"], 2);
    assert_eq!(approval["reviewers"], json!([{"actor": "ada"}, {"group": "editors"}]));
    assert_eq!(approval["self_approval"], "refused");

    let first = json!({"actor": "ada", "comment": "good"});
    for _ in 0..2 {
        let decided = host.post(&of(&approval, "/grant"), first.clone()).await.json();
        assert_eq!((&decided["open"], &decided["grants"]), (&json!(true), &json!(1)), "{decided}");
        assert_eq!(decided["status"], "waiting_approval");
    }
    let shown = host.get(&of(&approval, "")).await.json();
    assert_eq!(shown["grants"][0]["actor"], "ada");
    assert_eq!(shown["grants"][0]["comment"], "good");
    assert_eq!(shown["grants"].as_array().unwrap().len(), 1);

    let decided = host.post(&of(&approval, "/grant"), json!({"actor": "bob"})).await.json();
    assert_eq!((&decided["open"], &decided["grants"]), (&json!(false), &json!(2)), "{decided}");
    host.reaches(&run, "completed").await;
    let shown = host.get(&of(&approval, "")).await.json();
    let names: Vec<&Value> =
        shown["grants"].as_array().unwrap().iter().map(|grant| &grant["actor"]).collect();
    assert_eq!(names, ["ada", "bob"]);
}

#[tokio::test]
async fn who_is_no_reviewer_and_who_started_the_run_are_told_apart() {
    let host = Host::start().await;
    let (run, approval) = begin(&host, "reviewed", "cleo").await;
    for verdict in ["/grant", "/reject", "/revise"] {
        let stranger = json!({"actor": "mallory", "comment": "mine"});
        let answer = host.post(&of(&approval, verdict), stranger).await;
        answer.refused(403, "reviewer_not_allowed");
    }
    let own = json!({"actor": "cleo"});
    host.post(&of(&approval, "/grant"), own.clone()).await.refused(403, "self_approval");
    assert_eq!(host.open_approval(&run).await, approval);
    let rejected = host.post(&of(&approval, "/reject"), own).await;
    assert_eq!(rejected.status, StatusCode::OK, "{}", rejected.text());
}

#[tokio::test]
async fn an_edit_takes_the_place_of_the_stages_text_and_flows_on() {
    let host = Host::start().await;
    let (run, approval) = begin(&host, "gated", "dora").await;
    let seen = approval["content_hash"].clone();
    let edits = json!([{"name": "first.md", "body": "# By hand\n\nAll about bees.\n"}]);
    let decision = json!({"actor": "ada", "content_hash": seen, "edits": edits});
    let decided = host.post(&of(&approval, "/grant"), decision.clone()).await;
    assert_eq!(decided.status, StatusCode::OK, "{}", decided.text());
    assert_ne!(decided.json()["content_hash"], seen);
    host.reaches(&run, "completed").await;

    let artifacts = host.get(&format!("/api/v2/workflow-runs/{run}/artifacts")).await.json();
    let versions: Vec<Value> = artifacts["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|artifact| artifact["name"] == "first.md")
        .map(|artifact| json!([artifact["version"], artifact["current"], artifact["edited_by"]]))
        .collect();
    assert_eq!(versions, [json!([1, false, null]), json!([2, true, "ada"])]);
    let text = host.get(&format!("/api/v2/workflow-runs/{run}/artifacts/first/first.md")).await;
    assert_eq!(text.text(), "# By hand\n\nAll about bees.\n");
    let calls = host.get(&format!("/api/v2/workflow-runs/{run}/llm-calls?stage=second")).await;
    let call = calls.json()["items"][0]["call_id"].as_str().unwrap().to_owned();
    let call = host.get(&format!("/api/v2/llm-calls/{call}")).await;
    assert!(call.text().contains("All about bees."), "{}", call.text());

    let again = host.post(&of(&approval, "/grant"), decision).await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.text());
    let stale = json!({"actor": "bob", "content_hash": seen});
    host.post(&of(&approval, "/grant"), stale).await.refused(409, "approval_decided");
}

#[tokio::test]
async fn who_looked_at_the_text_before_an_edit_has_to_look_again() {
    let host = Host::start().await;
    let (_, approval) = begin(&host, "reviewed", "dora").await;
    let seen = approval["content_hash"].clone();
    let earlier = json!({"actor": "cleo", "content_hash": seen});
    assert_eq!(host.post(&of(&approval, "/grant"), earlier.clone()).await.status, StatusCode::OK);
    let edits = json!([{"name": "first.md", "body": "# By hand\n"}]);
    let edit = json!({"actor": "ada", "content_hash": seen, "edits": edits});
    let decided = host.post(&of(&approval, "/grant"), edit).await.json();
    // The earlier grant was for another text.
    assert_eq!((&decided["open"], &decided["grants"]), (&json!(true), &json!(1)), "{decided}");
    let stale = json!({"actor": "bob", "content_hash": seen});
    host.post(&of(&approval, "/grant"), stale).await.refused(412, "content_changed");

    let shown = host.get(&of(&approval, "")).await.json();
    assert_eq!(shown["content_hash"], decided["content_hash"]);
    assert_eq!(shown["artifacts"][0]["edited_by"], "ada");
    assert_eq!(shown["previous"][0]["version"], 1);
    assert_eq!(shown["feedback"], Value::Null);
    let grant = json!({"actor": "bob", "content_hash": shown["content_hash"]});
    assert_eq!(host.post(&of(&approval, "/grant"), grant).await.json()["open"], false);
}

#[tokio::test]
async fn edits_that_fit_nothing_are_reported_with_their_places_and_change_nothing() {
    let host = Host::start().await;
    let (run, approval) = begin(&host, "gated", "dora").await;
    let edits = json!([
        {"name": "first.md", "body": "fine"},
        {"name": "other.md", "body": "x"},
        {"name": "../first.md", "body": "x"},
    ]);
    let answer = host.post(&of(&approval, "/grant"), json!({"actor": "ada", "edits": edits})).await;
    let body = answer.refused(400, "request_invalid");
    assert_eq!(host.pointers(&body), ["/edits/1/name", "/edits/2/name"]);
    assert_eq!(host.open_approval(&run).await, approval);
}

#[tokio::test]
async fn a_revision_makes_another_version_and_keeps_the_first() {
    let host = Host::start().await;
    let (run, approval) = begin(&host, "gated", "dora").await;
    let wish = json!({"actor": "ada", "comment": "name three flowers"});
    let decided = host.post(&of(&approval, "/revise"), wish.clone()).await;
    assert_eq!(decided.status, StatusCode::OK, "{}", decided.text());
    assert_eq!(decided.json()["verdict"], "revised");
    assert_eq!(decided.json()["open"], false);
    let next = host.next_approval(&run, &approval).await;
    assert_ne!(next["content_hash"], approval["content_hash"]);

    let shown = host.get(&of(&next, "")).await.json();
    assert_eq!(shown["feedback"], "name three flowers");
    assert_eq!(shown["artifacts"][0]["version"], 2);
    let previous = &shown["previous"][0];
    assert_eq!((&previous["version"], &previous["newer_version"]), (&json!(1), &json!(2)));
    let diff = host.get(previous["diff"].as_str().unwrap()).await;
    assert!(diff.text().starts_with("--- first.md\tversion 1\n"), "{}", diff.text());
    let before = host.get(&of(&approval, "")).await.json();
    assert_eq!((&before["status"], &before["comment"]), (&json!("revised"), &wish["comment"]));
    // It stays with what it was about.
    let about = &before["artifacts"][0];
    assert_eq!((&about["version"], &about["current"]), (&json!(1), &json!(false)));
    assert_eq!((&before["previous"], &before["feedback"]), (&json!([]), &Value::Null));

    let again = host.post(&of(&approval, "/revise"), wish).await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.text());
    let other = json!({"actor": "ada", "comment": "name four"});
    host.post(&of(&approval, "/revise"), other).await.refused(409, "approval_decided");
    let grant = json!({"actor": "ada"});
    host.post(&of(&approval, "/grant"), grant.clone()).await.refused(409, "approval_decided");
    assert_eq!(host.post(&of(&next, "/grant"), grant).await.status, StatusCode::OK);
    host.reaches(&run, "completed").await;
}

#[tokio::test]
async fn a_gate_shows_what_the_next_stage_would_ask() {
    let host = Host::start().await;
    let (run, approval) = begin(&host, "gated", "dora").await;
    let next = host.get(&of(&approval, "")).await.json()["next"].clone();
    assert_eq!((&next["stage"], &next["provider"]), (&json!("second"), &json!("scripted")));
    assert_eq!(next["max_output_tokens"], 800);
    assert_eq!(next["estimated_cost"]["usd"], "0");
    let prompt = host.get(next["prompt"].as_str().unwrap()).await.json();
    assert_eq!(next["input_tokens"], prompt["input_tokens"]);
    assert!(prompt["request"].to_string().contains("Quote: "), "{prompt:#}");

    host.stages.unbuildable.store(true, std::sync::atomic::Ordering::SeqCst);
    let shown = host.get(&of(&approval, "")).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text());
    let shown = shown.json();
    assert_eq!(shown["artifacts"][0]["name"], "first.md");
    assert_eq!(shown["next"]["stage"], "second");
    assert_eq!(shown["next"]["input_tokens"], Value::Null);
    assert_eq!(shown["next"]["problem"]["code"], "stage_bad_input");
    assert!(approval.get("next").is_none(), "lists build no prompts");

    host.stages.unbuildable.store(false, std::sync::atomic::Ordering::SeqCst);
    host.post(&of(&approval, "/grant"), json!({"actor": "ada"})).await;
    host.reaches(&run, "completed").await;
    assert_eq!(host.get(&of(&approval, "")).await.json()["next"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_different_decisions_at_once_exactly_one_holds() {
    for round in 0..6usize {
        let host = Host::set_up(Setup::default()).await;
        let (run, approval) = begin(&host, "gated", "dora").await;
        let mut racing = JoinSet::new();
        for number in 0..20usize {
            let verdict = ["grant", "reject", "revise"][(number + round) % 3];
            let body = json!({"actor": format!("p{number}"), "comment": format!("c{number}")});
            let request = post(&of(&approval, &format!("/{verdict}")), &body);
            let router = host.router.clone();
            racing.spawn(async move {
                let answer = Answer::of(router.oneshot(request).await.unwrap()).await;
                (verdict, answer)
            });
        }
        let mut accepted = Vec::new();
        while let Some(raced) = racing.join_next().await {
            let (verdict, answer) = raced.unwrap();
            match answer.status {
                StatusCode::OK => accepted.push(verdict),
                _ => drop(answer.refused(409, "approval_decided")),
            }
        }
        let winner = *accepted.first().expect("one decision holds");
        assert!(accepted.iter().all(|verdict| *verdict == winner), "{accepted:?}");
        let decisions = decisions_of(&host, &run, &approval).await;
        assert_eq!(decisions.len(), 1, "{decisions:?}");
        // Others who say the same agree; another wish would get lost.
        let said = (0..20).filter(|number| (number + round) % 3 == index(winner)).count();
        let expected = if winner == "revise" { 1 } else { said };
        assert_eq!(accepted.len(), expected, "{winner}");
    }
}

fn index(verdict: &str) -> usize {
    ["grant", "reject", "revise"].iter().position(|known| *known == verdict).unwrap()
}

/// The events that decide a gate.
async fn decisions_of(host: &Host, run: &str, approval: &Value) -> Vec<Value> {
    let events = host.get(&format!("/api/v2/workflow-runs/{run}/timeline?limit=200")).await.json();
    let decides = |event: &&Value| {
        ["gate_granted", "gate_rejected", "gate_revised"].iter().any(|kind| event["kind"] == *kind)
            && event["data"]["approval_id"] == approval["approval_id"]
    };
    events["items"].as_array().unwrap().iter().filter(decides).cloned().collect()
}

#[tokio::test]
async fn what_was_wished_for_holds_for_one_version_and_not_for_a_stage_that_is_started_anew() {
    let host = Host::start().await;
    let (run, first) = begin(&host, "gated", "dora").await;
    let wish = json!({"actor": "ada", "comment": "shorter"});
    host.post(&of(&first, "/revise"), wish).await;
    let second = host.next_approval(&run, &first).await;
    host.post(&of(&second, "/reject"), json!({"actor": "ada"})).await;
    host.reaches(&run, "failed").await;
    let retry = json!({"stage": "first", "actor": "ada"});
    host.post(&format!("/api/v2/workflow-runs/{run}/retry"), retry).await;
    let third = host.next_approval(&run, &second).await;
    let shown = host.get(&of(&third, "")).await.json();
    assert_eq!(shown["feedback"], Value::Null);
    assert_eq!(shown["artifacts"][0]["version"], 3);
    assert_eq!(shown["previous"][0]["version"], 2);
    assert_eq!(host.get(&of(&second, "")).await.json()["feedback"], "shorter");
}
