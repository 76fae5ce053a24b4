//! A guest reaches nothing, and sees the same whenever it runs.
use serde_json::Value;

use super::*;

/// What a verb sees is the same at every repetition of an attempt.
async fn seen(settings: &str) -> Value {
    let (first, second) = (data(job(settings)).await, data(job(settings)).await);
    assert_eq!(first, second);
    first
}

#[tokio::test]
async fn clocks_show_nothing_of_the_real_time() {
    let clocks = seen(&verb("read-clock")).await;
    assert_eq!(clocks["wall_ns"][0], "946684800000000000");
    assert_eq!(clocks["wall_ns"][1], "946684800000000000");
    assert_eq!(seen(&verb("liar-clock")).await["moved"], false);
}

#[tokio::test]
async fn an_hour_of_sleep_takes_no_time() {
    let mut job = job(&verb("sleep"));
    job.limits.wall_time_max = std::time::Duration::from_secs(20);
    assert_eq!(data(job).await["slept_ms"], 3_600_000);
}

#[tokio::test]
async fn randomness_belongs_to_the_attempt() {
    let first = seen(&verb("read-random")).await;
    let mut second_attempt = job(&verb("read-random"));
    second_attempt.context.attempt = 2;
    assert_ne!(data(second_attempt).await, first);
    let mut other_run = job(&verb("read-random"));
    other_run.context.run_id = format!("run_{}", "1".repeat(32)).parse().unwrap();
    assert_ne!(data(other_run).await, first);
}

#[tokio::test]
async fn a_repetition_asks_the_same() {
    let mut asked = Vec::new();
    for _ in 0..2 {
        let model = Arc::new(TestModel::default());
        let job = job(r#"{"verb":"ask-random","count":3}"#);
        sandbox().run(job, Ports::models(Arc::clone(&model) as _)).await.outcome.unwrap();
        asked.push(std::mem::take(&mut *model.asked.lock().unwrap()));
    }
    assert_eq!(asked[0], asked[1]);
    assert_eq!(asked[0].len(), 3);
}

#[tokio::test]
async fn there_are_no_files() {
    let here = std::env::current_dir().unwrap();
    let files = seen(&verb("read-file")).await;
    for what in ["read", "root", "here"] {
        assert!(files[what]["error"].is_string(), "{files}");
    }
    let written = seen(&verb("write-file")).await;
    assert!(written["written"]["error"].is_string(), "{written}");
    assert!(!here.join("evil.txt").exists());
}

#[tokio::test]
async fn there_is_no_environment_and_no_input() {
    let environment = seen(&verb("read-env")).await;
    assert_eq!(environment["variables"], serde_json::json!([]));
    assert_eq!(environment["arguments"], serde_json::json!([]));
    assert_eq!(seen(&verb("read-stdin")).await["read"]["ok"], "\"\"");
}

#[tokio::test]
async fn there_is_no_network() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = seen(&format!(r#"{{"verb":"open-socket","text":"{address}"}}"#)).await;
    assert!(socket["connected"]["error"].is_string(), "{socket}");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err());
    let name = seen(&verb("look-up-name")).await;
    assert!(name["addresses"]["error"].is_string(), "{name}");
}

#[tokio::test]
async fn two_attempts_share_no_memory() {
    for _ in 0..3 {
        assert_eq!(data(job(&verb("remember"))).await["runs_before"], 0);
    }
}

#[tokio::test]
async fn a_guest_is_told_its_context_and_nothing_else() {
    let mut told = job(&verb("echo"));
    told.context.belonging.brand_id = Some("brand".to_owned());
    told.context.skills =
        vec![domain::stage::Skill { name: "style".to_owned(), body: "short".to_owned() }];
    let echo = data(told).await;
    assert_eq!(echo["request_text"], "bees");
    assert_eq!(echo["brand_id"], "brand");
    assert_eq!(echo["thread_id"], Value::Null);
    assert_eq!(echo["attempt"], 1);
    assert_eq!(echo["skills"][0][1], "short");
}
