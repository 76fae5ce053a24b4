//! What it costs that everything is durable: five stages with a gate after the first, a model that answers at once,
//! `synchronous=FULL`. `cargo bench --bench durable` prints own time per run, runs per second side by side, the time
//! from a grant to the next question, and memory, beside their bounds; nothing is asserted, since machines differ.
//!
//! The engine is a process of its own, so that its memory is its own: this program started once more. Store, sandbox,
//! plugins and gateway are those of the program. The model is the scripted provider, within that process: its time, about
//! a tenth of a millisecond for each question, is in the figures, and so is that of whoever watches the run to see its
//! gate and its end.
mod support {
    pub(crate) mod host;
    pub(crate) mod process;
    pub(crate) mod spread;
}

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::run::{Event, Verdict};
use domain::{ApprovalId, RunId};
use engine::{Engine, GateDecision, Live, StartRun, Subscription};
use tempfile::TempDir;
use tokio::task::JoinSet;

use support::host;
use support::process::{cpu_time, memory_kib};
use support::spread::Spread;

/// Runs before anything is measured: they compile, open files and fill caches.
const WARM_UP_RUNS: usize = 60;
/// Runs that are measured one after another.
const LONE_RUNS: usize = 300;
/// Runs each of which has the machine for itself, and the pause before each, in which the files of the run before it are
/// written.
const PAUSED_RUNS: usize = 40;
const PAUSE: Duration = Duration::from_millis(300);
/// Runs side by side, how many of them are one round, and how many rounds there are.
const CONCURRENCY: usize = 50;
const ROUND_RUNS: usize = 1_000;
const ROUNDS: usize = 5;
/// Waits for the disk that are measured before, for scale.
const DISK_WAITS: usize = 200;
/// Events of a run that are read at a time; it has about twenty.
const EVENTS_MAX: usize = 100;

/// What the figures are to be.
const OWN_TIME_P50_MAX_MS: f64 = 5.0;
const RUNS_PER_SECOND_MIN: f64 = 500.0;
const GRANT_P50_MAX_MS: f64 = 3.0;
const MEMORY_KIB_MAX: u64 = 100 * 1_000_000 / 1_024;

const MODE: &str = "gated";
const SECOND_STAGE: &str = "brand-voice";
const LAST_STAGE: &str = "foundation-brief";
const PROFILE: &str = "
profile: gated
title: Gated
description: The Foundation with one gate, after the first stage.
version: \"1\"
stages:
  - { key: research, title: Research, plugin: research, gate: required }
  - { key: brand-voice, title: Brand voice, plugin: brand-voice, gate: none }
  - { key: positioning, title: Positioning, plugin: positioning, gate: none }
  - { key: keywords, title: Keywords, plugin: keywords, gate: none }
  - { key: foundation-brief, title: Brief, plugin: foundation-brief, gate: none }
";

/// Says to a child where its data folder is: to one that compiles the plugins and says what that took of memory, and to one
/// that measures, as every later start of the program does.
const COMPILE_FLAG: &str = "--compile-in";
const ENGINE_FLAG: &str = "--engine-in";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let folder_behind = |flag: &str| {
        let place = arguments.iter().position(|argument| argument == flag)?;
        Some(Path::new(&arguments[place + 1]))
    };
    if let Some(folder) = folder_behind(COMPILE_FLAG) {
        return compile(folder);
    }
    if let Some(folder) = folder_behind(ENGINE_FLAG) {
        return measure(folder);
    }
    let folder =
        TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on the disk as it is");
    say(&Spread::of("for scale: one wait for the disk", disk_waits(folder.path())));
    host::write_profile(folder.path(), MODE, PROFILE);
    let this_program: PathBuf = std::env::current_exe().expect("a program has a path");
    for flag in [COMPILE_FLAG, ENGINE_FLAG] {
        let status = Command::new(&this_program).arg(flag).arg(folder.path()).status();
        assert!(status.expect("the engine's process starts").success());
    }
}

fn compile(folder: &Path) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let engine = host::open(folder, CONCURRENCY as u32).await;
        one_run(&engine, 0).await;
        report_memory("memory of the process that compiled the plugins");
        engine.shutdown().await;
        engine.store().close();
    });
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn say(what: &impl std::fmt::Display) {
    println!("{what}");
}

fn disk_waits(folder: &Path) -> Vec<Duration> {
    let mut file = File::create(folder.join("scale")).expect("a file");
    let one = |_| {
        let began = Instant::now();
        file.write_all(&[1; 4096]).and_then(|()| file.sync_data()).expect("a disk with room");
        began.elapsed()
    };
    (0..DISK_WAITS).map(one).collect()
}

fn measure(folder: &Path) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let engine = host::open(folder, CONCURRENCY as u32).await;
        for number in 0..WARM_UP_RUNS {
            one_run(&engine, number).await;
        }
        engine.flush_files().await;
        one_by_one(&engine).await;
        side_by_side(&engine).await;
        report_memory("memory of the engine's process");
        engine.shutdown().await;
        engine.store().close();
    });
}

/// What one run took.
#[derive(Debug, Clone, Copy)]
struct Measured {
    /// From the request to the end.
    whole: Duration,
    /// From the grant to the question of the next stage.
    grant: Duration,
}

async fn one_by_one(engine: &Engine) {
    let mut alone = Vec::with_capacity(PAUSED_RUNS);
    for number in 0..PAUSED_RUNS {
        tokio::time::sleep(PAUSE).await;
        alone.push(one_run(engine, number).await);
    }
    report_times("one run, with a pause before", "grant to next question, with a pause", &alone);
    let cpu_before = cpu_time(std::process::id());
    let mut busy = Vec::with_capacity(LONE_RUNS);
    for number in 0..LONE_RUNS {
        busy.push(one_run(engine, number).await);
    }
    engine.flush_files().await;
    let cpu = cpu_time(std::process::id()) - cpu_before;
    report_times("one run after another, files written meanwhile", "grant to next question", &busy);
    say_cpu("one after another", cpu, LONE_RUNS);
}

fn report_times(whole: &'static str, grant: &'static str, measured: &[Measured]) {
    let times = Spread::of(whole, measured.iter().map(|one| one.whole).collect());
    say(&format!("{times}   bound: median {OWN_TIME_P50_MAX_MS} ms"));
    let times = Spread::of(grant, measured.iter().map(|one| one.grant).collect());
    say(&format!("{times}   bound: median {GRANT_P50_MAX_MS} ms"));
}

async fn side_by_side(engine: &Engine) {
    let mut rates = Vec::with_capacity(ROUNDS);
    let mut measured = Vec::with_capacity(ROUNDS * ROUND_RUNS);
    let cpu_before = cpu_time(std::process::id());
    let mut files_behind = Duration::ZERO;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        measured.extend(one_round(engine).await);
        rates.push(ROUND_RUNS as f64 / began.elapsed().as_secs_f64());
        // The round pays for its own files, and says apart how long they took after it.
        let began = Instant::now();
        engine.flush_files().await;
        files_behind += began.elapsed();
    }
    let cpu = cpu_time(std::process::id()) - cpu_before;
    rates.sort_by(f64::total_cmp);
    let each: Vec<String> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
    say(&format!(
        "runs per second, {CONCURRENCY} side by side: median {:.0}   rounds {}   bound {RUNS_PER_SECOND_MIN:.0}",
        rates[rates.len() / 2],
        each.join(" "),
    ));
    let times = measured.iter().map(|one| one.whole).collect();
    say(&Spread::of("one run among others", times));
    say_cpu("side by side", cpu, ROUNDS * ROUND_RUNS);
    say(&format!(
        "files that a person may open were complete {:.0} ms after the last run of a round",
        (files_behind / ROUNDS as u32).as_secs_f64() * 1e3
    ));
}

async fn one_round(engine: &Engine) -> Vec<Measured> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut people = JoinSet::new();
    for _ in 0..CONCURRENCY {
        let (engine, next) = (engine.clone(), Arc::clone(&next));
        people.spawn(async move {
            let mut measured = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= ROUND_RUNS {
                    return measured;
                }
                measured.push(one_run(&engine, number).await);
            }
        });
    }
    people.join_all().await.into_iter().flatten().collect()
}

/// Starts a run, grants its gate, and waits for its end.
async fn one_run(engine: &Engine, number: usize) -> Measured {
    let began = Instant::now();
    let ask = StartRun {
        request_text: format!("Honey from city bees, by subscription, number {number}"),
        mode: MODE.to_owned(),
        ..StartRun::default()
    };
    let run = engine.start_run(ask).await.expect("a run").run_id;
    let mut watching = engine.subscribe(&run);
    let approval = gate(engine, &run, &mut watching).await;
    let granted = Instant::now();
    let decision = GateDecision {
        approval,
        verdict: Verdict::Granted,
        actor: "bench".to_owned(),
        comment: None,
        content_hash: None,
        edits: Vec::new(),
    };
    // Whoever watches hears of the question while the grant is still being answered.
    let (decided, grant) = tokio::join!(engine.decide_gate(decision), async {
        question_of(SECOND_STAGE, &mut watching).await;
        granted.elapsed()
    });
    decided.expect("a gate that is open");
    question_of(LAST_STAGE, &mut watching).await;
    while !is_completed(engine, &run).await {
        appended(&mut watching).await;
    }
    Measured { whole: began.elapsed(), grant }
}

async fn gate(engine: &Engine, run: &RunId, watching: &mut Subscription) -> ApprovalId {
    loop {
        let events = engine.store().events_after(run, 0, EVENTS_MAX).await.expect("a store");
        if let Some(Event::GateOpened { approval, .. }) = events.last().map(|last| &last.event) {
            return approval.clone();
        }
        appended(watching).await;
    }
}

async fn appended(watching: &mut Subscription) {
    while !matches!(watching.next().await, Some(Live::Appended | Live::Lagged)) {}
}

async fn question_of(wanted: &str, watching: &mut Subscription) {
    loop {
        match watching.next().await.expect("the engine runs") {
            Live::CallStarted { stage, .. } if stage.as_str() == wanted => return,
            Live::Lagged => panic!("a watcher that does nothing else is never late"),
            _ => {}
        }
    }
}

async fn is_completed(engine: &Engine, run: &RunId) -> bool {
    let row = engine.store().run(run).await.expect("a store").expect("the run");
    assert!(row.fault.is_none(), "the run failed: {:?}", row.fault);
    row.status == domain::run::Status::Completed
}

fn say_cpu(what: &str, cpu: Duration, runs: usize) {
    let each = cpu.as_secs_f64() * 1e3 / runs as f64;
    say(&format!("CPU for one run, {what}, files included: {each:.2} ms on all cores"));
}

fn report_memory(of: &str) {
    let memory = memory_kib(std::process::id());
    let mb = |kib: u64| kib as f64 * 1_024.0 / 1e6;
    say(&format!(
        "{of}: most {:.1} MB   at the end {:.1} MB, of which its own {:.1} MB   bound {:.0} MB",
        mb(memory.most),
        mb(memory.resident),
        mb(memory.own),
        mb(MEMORY_KIB_MAX),
    ));
}
