//! What a run costs beside its model calls: time of our own for five stages, and time from the start of the process to
//! its first question. `cargo bench` prints both; nothing is asserted, since machines differ.
mod support {
    pub(crate) mod host;
    pub(crate) mod spread;
}

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use domain::run::Status;
use engine::{Engine, Live, StartRun};
use model_server::ModelServer;
use tempfile::TempDir;

use support::host;
use support::spread::Spread;

/// Runs that are measured back to back, and runs before them that fill caches.
const RUNS: usize = 200;
const WARM_UP_RUNS: usize = 20;
/// Runs that are measured each for itself, and the pause before each: longer than the host takes to write the files of
/// the run before.
const LONE_RUNS: usize = 50;
const PAUSE: Duration = Duration::from_millis(300);
/// Attempts that may run at the same time.
const ATTEMPTS: u32 = 8;
/// Processes that are started.
const STARTS: usize = 30;

/// Five stages without a gate: what a run costs does not depend on how long a person thinks.
const PROFILE: &str = "
profile: ungated
title: Ungated
description: The Foundation without gates.
version: \"1\"
stages:
  - { key: research, title: Research, plugin: research, gate: none }
  - { key: brand-voice, title: Brand voice, plugin: brand-voice, gate: none }
  - { key: positioning, title: Positioning, plugin: positioning, gate: none }
  - { key: keywords, title: Keywords, plugin: keywords, gate: none }
  - { key: foundation-brief, title: Brief, plugin: foundation-brief, gate: none }
";

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let folder =
        TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on the disk as it is");
    host::write_profile(folder.path(), "ungated", PROFILE);
    let measured = runtime.block_on(five_stages(folder.path()));
    println!("{}", Spread::of("five stages, one run alone", measured.alone));
    println!(
        "{}",
        Spread::of("five stages, runs back to back, files written meanwhile", measured.busy)
    );
    let starts = runtime.block_on(first_request(folder.path()));
    println!("{}", Spread::of("process start to first model request, warm cache", starts));
}

/// What five stages took, from the request to the end.
struct FiveStages {
    alone: Vec<Duration>,
    busy: Vec<Duration>,
}

/// The scripted provider answers at once, within this process: its time, about a tenth of a millisecond for each
/// stage, is in the figures.
async fn five_stages(folder: &Path) -> FiveStages {
    let engine = host::open(folder, ATTEMPTS).await;
    let mut measured = FiveStages { alone: Vec::new(), busy: Vec::new() };
    for idx in 0..WARM_UP_RUNS + RUNS {
        let elapsed = one_run(&engine, idx).await;
        if idx >= WARM_UP_RUNS {
            measured.busy.push(elapsed);
        }
    }
    for idx in 0..LONE_RUNS {
        tokio::time::sleep(PAUSE).await;
        measured.alone.push(one_run(&engine, idx).await);
    }
    engine.shutdown().await;
    engine.store().close();
    measured
}

async fn one_run(engine: &Engine, number: usize) -> Duration {
    let began = Instant::now();
    let ask = StartRun {
        request_text: format!("Honey from city bees, by subscription, number {number}"),
        mode: "ungated".to_owned(),
        ..StartRun::default()
    };
    let run = engine.start_run(ask).await.expect("a run").run_id;
    let mut watching = engine.subscribe(&run);
    while status(engine, &run).await != Status::Completed {
        while !matches!(watching.next().await, Some(Live::Appended | Live::Lagged)) {}
    }
    began.elapsed()
}

async fn status(engine: &Engine, run: &domain::RunId) -> Status {
    let row = engine.store().run(run).await.expect("a readable store").expect("the run");
    assert!(row.fault.is_none(), "the run failed: {:?}", row.fault);
    row.status
}

/// Starts the real program over and over with a model server of this process, and waits for its first question.
async fn first_request(folder: &Path) -> Vec<Duration> {
    let models = ModelServer::start().await;
    let mut measured = Vec::new();
    for idx in 0..=STARTS {
        let before = models.count();
        let began = Instant::now();
        let mut program = Command::new(env!("CARGO_BIN_EXE_stagewright"))
            .args(["run", "ungated", "--request", "bees", "--data-dir"])
            .arg(PathBuf::from(folder))
            .current_dir(folder)
            .env("KIMI_API_KEY", "bench")
            .env("KIMI_BASE_URL", models.base_url())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        models.wait_for_requests(before + 1).await;
        let elapsed = began.elapsed();
        let ended = tokio::task::spawn_blocking(move || program.wait()).await.expect("a thread");
        assert!(ended.expect("the program ran").success());
        // The first start compiles what this program has not compiled before.
        if idx > 0 {
            measured.push(elapsed);
        }
    }
    measured
}
