//! What waiting costs: ten thousand runs at their gates, and a thousand stages that wait for a slow model at the same
//! time. `cargo bench --bench waiting` prints memory, the time of a restart and the time from a grant to the next
//! question, beside their bounds; nothing is asserted, since machines differ.
//!
//! The program is the real binary, a process of its own that is asked over HTTP; the model server is in this process and
//! shares the cores with it.
mod support {
    pub(crate) mod process;
    pub(crate) mod program;
    pub(crate) mod spread;
}

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use model_server::ModelServer;
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use support::process::{Memory, cpu_time, memory_kib};
use support::program::Program;
use support::spread::Spread;

/// Runs that are brought to their gates.
const WAITING_RUNS: usize = 10_000;
/// Requests at the same time while they are.
const CONCURRENCY: usize = 50;
/// Gates that are granted, one after another.
const GRANTS: usize = 200;
/// Times that the program is started again.
const STARTS: usize = 5;
/// Stages that wait for a model at the same time.
const WAITING_STAGES: usize = 1_000;
/// Most approvals of a page.
const PAGE: usize = 100;
/// Between two looks at something that cannot be waited for.
const LOOK: Duration = Duration::from_millis(5);
/// Longest wait for anything. It only ends a measurement that would hang.
const PATIENCE: Duration = Duration::from_secs(900);

/// What the figures are to be.
const WAITING_MEMORY_KIB_MAX: u64 = 50 * 1_000_000 / 1_024;
const GRANT_P99_MAX_MS: u64 = 50;
const RESTART_MAX_MS: u64 = 2_000;
const STAGES_MEMORY_KIB_MAX: u64 = 2_000_000_000 / 1_024;

/// Two stages, so that each grant brings one question.
const PROFILE: &str = "
profile: waiting
title: Waiting
description: Two stages with a gate between them.
version: \"1\"
stages:
  - { key: research, title: Research, plugin: research, gate: required }
  - { key: brand-voice, title: Brand voice, plugin: brand-voice, gate: none }
";
const SETTINGS: &str = "data_dir: data\nprofile_dirs: [profiles]\nlog: warn\n";

fn main() {
    // The client wants one, although nothing is encrypted here.
    rustls::crypto::ring::default_provider().install_default().expect("nobody chose before");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        runs_at_gates().await;
        stages_that_wait().await;
    });
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn say(what: &impl std::fmt::Display) {
    println!("{what}");
}

fn folder() -> TempDir {
    let folder =
        TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on the disk as it is");
    std::fs::create_dir(folder.path().join("profiles")).expect("a folder");
    std::fs::write(folder.path().join("profiles/waiting.yaml"), PROFILE).expect("a profile");
    folder
}

async fn runs_at_gates() {
    let models = ModelServer::start().await;
    let folder = folder();
    let idle = {
        let (_program, _, memory) = started(folder.path(), &models.base_url()).await;
        memory
    };
    let program = Program::start(folder.path(), &models.base_url(), SETTINGS);
    let api = Api::of(&program);
    let began = Instant::now();
    start_runs(&api, WAITING_RUNS).await;
    api.until_waiting(WAITING_RUNS).await;
    let cpu = cpu_time(program.pid()).as_secs_f64() * 1e3 / WAITING_RUNS as f64;
    say(&format!(
        "{WAITING_RUNS} runs were at their gates after {:.1} s, CPU for each {cpu:.2} ms",
        secs(began)
    ));
    say_memory("the process that brought them there", &memory_kib(program.pid()), None);
    drop(program);

    let mut restarts = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        restarts.push(started(folder.path(), &models.base_url()).await.1);
    }
    let restarts = Spread::of("restart with them, to the first answer of /ready", restarts);
    say(&format!("{restarts}   bound {RESTART_MAX_MS} ms"));

    let (program, _, waiting) = started(folder.path(), &models.base_url()).await;
    say_memory("idle, without runs", &idle, None);
    let more = waiting.resident.saturating_sub(idle.resident);
    say_memory("with them waiting", &waiting, Some((more, WAITING_MEMORY_KIB_MAX)));
    let api = Api::of(&program);
    let mut times = Vec::with_capacity(GRANTS);
    for approval in api.approvals(GRANTS).await {
        let asked = models.count();
        let began = Instant::now();
        let (_, woken) = tokio::join!(api.grant(&approval), async {
            models.wait_for_requests(asked + 1).await;
            began.elapsed()
        });
        times.push(woken);
    }
    let times = Spread::of("grant over HTTP to the next question at the model", times);
    say(&format!("{times}   bound p99 {GRANT_P99_MAX_MS} ms"));
    let more = memory_kib(program.pid());
    let grown = more.resident.saturating_sub(idle.resident);
    say_memory("after the grants", &more, Some((grown, WAITING_MEMORY_KIB_MAX)));
}

async fn stages_that_wait() {
    let models = ModelServer::start().await;
    models.hold();
    let folder = folder();
    let settings = format!("{SETTINGS}attempts: {WAITING_STAGES}\nmodel_call_s: 3600\n");
    let program = Program::start(folder.path(), &models.base_url(), &settings);
    let api = Api::of(&program);
    api.until_ready().await;
    let before = memory_kib(program.pid());
    let began = Instant::now();
    start_runs(&api, WAITING_STAGES).await;
    models.wait_for_requests(WAITING_STAGES).await;
    let waiting = memory_kib(program.pid());
    say(&format!("{WAITING_STAGES} stages waited for a model after {:.1} s", secs(began)));
    say_memory("before them", &before, None);
    let bound = Some((waiting.resident, STAGES_MEMORY_KIB_MAX));
    say_memory("while they wait", &waiting, bound);
    let began = Instant::now();
    api.get("/api/v1/health").await;
    say(&format!("an answer of the API meanwhile: {:.2} ms", secs(began) * 1e3));
    models.release();
    api.until_waiting(WAITING_STAGES).await;
    say_memory("after their answers", &memory_kib(program.pid()), None);
}

/// Starts the program; says how long it took until it was ready, and its memory then.
async fn started(folder: &Path, models: &str) -> (Program, Duration, Memory) {
    let began = Instant::now();
    let program = Program::start(folder, models, SETTINGS);
    let api = Api::of(&program);
    api.until_ready().await;
    let took = began.elapsed();
    // What a start does behind the first answer belongs to its memory: a list is asked for, so that it has read.
    api.get("/api/v2/approvals?limit=100").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let memory = memory_kib(program.pid());
    (program, took, memory)
}

async fn start_runs(api: &Api, count: usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut people = JoinSet::new();
    for _ in 0..CONCURRENCY {
        let (api, next) = (api.clone(), Arc::clone(&next));
        people.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return;
                }
                let body = json!({
                    "mode": "waiting",
                    "request_text": format!("Honey from city bees, number {number}"),
                });
                api.post("/api/v2/workflow-runs", &body).await;
            }
        });
    }
    people.join_all().await;
}

/// The HTTP API of a program.
#[derive(Clone)]
struct Api {
    http: Client,
    url: String,
}

impl Api {
    fn of(program: &Program) -> Self {
        let http = Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        Self { http, url: program.url().to_owned() }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.expect("JSON")
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.url)).json(body);
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {:?}", answer.text().await);
        answer.json().await.expect("JSON")
    }

    async fn until_ready(&self) {
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = self.http.get(format!("{}/api/v1/ready", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            assert!(Instant::now() < until, "the program does not become ready");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until this many runs were begun and none of them works any more.
    async fn until_waiting(&self, count: usize) {
        let until = Instant::now() + PATIENCE;
        let has_any = async |status: &str| {
            let path = format!("/api/v2/workflow-runs?status={status}&limit=1");
            self.get(&path).await["items"].as_array().is_some_and(|runs| !runs.is_empty())
        };
        while has_any("queued").await || has_any("running").await {
            assert!(Instant::now() < until, "{count} runs do not reach their gates");
            tokio::time::sleep(LOOK).await;
        }
        assert!(!has_any("failed").await, "a run failed on its way to the gate");
    }

    /// Open approvals, so many.
    async fn approvals(&self, count: usize) -> Vec<String> {
        let mut found = Vec::new();
        let mut path = format!("/api/v2/approvals?status=pending&limit={PAGE}");
        while found.len() < count {
            let page = self.get(&path).await;
            let items = page["items"].as_array().expect("approvals");
            let id = |row: &Value| row["approval_id"].as_str().expect("an approval").to_owned();
            found.extend(items.iter().map(id));
            let cursor = page["next_cursor"].as_str().expect("more approvals");
            path = format!("/api/v2/approvals?status=pending&limit={PAGE}&cursor={cursor}");
        }
        found.truncate(count);
        found
    }

    async fn grant(&self, approval: &str) {
        let path = format!("/api/v2/approvals/{approval}/grant");
        self.post(&path, &json!({ "actor": "bench" })).await;
    }
}

fn secs(began: Instant) -> f64 {
    began.elapsed().as_secs_f64()
}

/// `counted`: what is compared with a bound, and the bound.
fn say_memory(what: &str, memory: &Memory, counted: Option<(u64, u64)>) {
    let mb = |kib: u64| format!("{:.1} MB", kib as f64 * 1_024.0 / 1e6);
    let counted = counted.map_or(String::new(), |(found, max)| {
        format!("   counted {}   bound {}", mb(found), mb(max))
    });
    say(&format!(
        "memory {what}: resident {}   of which its own {}   most {}{counted}",
        mb(memory.resident),
        mb(memory.own),
        mb(memory.most),
    ));
}
