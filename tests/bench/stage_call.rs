//! What the sandbox costs: a warm call of a stage beside the same work in plain Rust and through Extism, the first call of
//! a component that is compiled already, an upload of a large component, and memory of an instance that waits.
//! `cargo bench --bench stage_call` prints the figures beside their bounds; nothing is asserted, since machines differ.
//!
//! A warm call is a fresh instance that asks one question, which is answered at once, and makes one artifact; no disk.
//! The stage is the example `plugins/examples/tagline-rust`. The three ways are measured in turns, so that what else the
//! machine does falls on all of them. Components of JavaScript and Python are measured where the tests have built them
//! (`tests/languages/install`, then `cargo test`).
mod support {
    pub(crate) mod extism;
    #[allow(dead_code, reason = "other benchmarks use the rest")]
    pub(crate) mod process;
    #[allow(dead_code, reason = "other benchmarks use the rest")]
    pub(crate) mod program;
    pub(crate) mod spread;
    pub(crate) mod tagline;
    pub(crate) mod upstream;
}
#[path = "../../plugins/examples/tagline-rust/src/taglines.rs"]
#[allow(dead_code, reason = "the schema is for `describe`")]
mod taglines;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::port::{KnownPlugin, Ports, StageRunner as _};
use sandbox::Sandbox;
use stage_sdk::StageContext;
use tempfile::TempDir;
use tokio::task::JoinSet;

use support::extism::Peer;
use support::process::memory_kib;
use support::program::Program;
use support::spread::Spread;
use support::tagline::{ANSWER, OneAnswer, REQUEST_TEXT, SETTINGS, built, job, rust_component};
use support::upstream;

/// Turns, and calls of each way in one turn.
const TURNS: usize = 50;
const CALLS: usize = 100;
/// Sandboxes that are opened to make a first call.
const FIRST_CALLS: usize = 20;
/// Uploads of a large component, each as one that was never seen.
const UPLOADS: u32 = 3;
/// Instances that wait at the same time.
const WAITING: u32 = 200;

/// What the figures are to be.
const CALL_P50_MAX_US: u32 = 100;
const FIRST_CALL_MAX_MS: u32 = 20;
const UPLOAD_MAX_S: u32 = 15;

fn main() {
    // The client of the uploads wants one, although nothing is encrypted here.
    rustls::crypto::ring::default_provider().install_default().expect("nobody chose before");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let folder =
        TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on the disk as it is");
    let rust = rust_component();
    runtime.block_on(warm_calls(folder.path(), &rust));
    let languages =
        [("Rust", Some(rust)), ("JavaScript", built("js")), ("Python", built("python"))];
    for (language, component) in languages {
        match component {
            Some(component) => {
                first_calls(&runtime, folder.path(), language, &component);
                runtime.block_on(waiting(folder.path(), language, &component));
            }
            None => say(&format!("{language}: not measured, the tests have not built the example")),
        }
    }
    match built("js") {
        Some(component) => runtime.block_on(uploads(folder.path(), component)),
        None => say("upload: not measured, the tests have not built the example in JavaScript"),
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn say(what: &str) {
    println!("{what}");
}

fn open(folder: &Path, instance_count_max: u32) -> Sandbox {
    let config = sandbox::Config {
        cache_dir: folder.join("cache"),
        plugin_dir: folder.join("plugins"),
        pinned_dir: folder.join("pinned"),
        bundled: &[],
        instance_count_max,
    };
    Sandbox::open(config).expect("a sandbox")
}

/// Puts a component where the sandbox finds it.
fn known(sandbox: &Sandbox, folder: &Path, language: &str, component: &[u8]) -> KnownPlugin {
    let plugins = folder.join("plugins");
    std::fs::create_dir_all(&plugins).expect("a folder");
    std::fs::write(plugins.join(format!("{language}.wasm")), component).expect("a file");
    sandbox.inspect(component, language).expect("a component that fits")
}

async fn warm_calls(folder: &Path, component: &[u8]) {
    let sandbox = open(folder, 4);
    let plugin = known(&sandbox, folder, "Rust", component);
    let models = OneAnswer::at_once();
    let mut peer = Peer::start();
    let (mut native, mut ours, mut extism) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        let one_native: Vec<Duration> = (0..CALLS).map(|_| native_call()).collect();
        let mut one_ours = Vec::with_capacity(CALLS);
        for number in 0..CALLS {
            let job = job(&plugin, number as u32);
            let began = Instant::now();
            let attempt = sandbox.run(job, Ports::models(models.clone())).await;
            one_ours.push(began.elapsed());
            assert_eq!(attempt.outcome.expect("an output").artifacts.len(), 1);
        }
        let one_extism = peer.as_mut().map(|peer| peer.calls(CALLS)).unwrap_or_default();
        // The first turn fills caches.
        if turn > 0 {
            native.extend(one_native);
            ours.extend(one_ours);
            extism.extend(one_extism);
        }
    }
    say(&micros("the same work in plain Rust", native));
    say(&format!(
        "{}   bound: median {CALL_P50_MAX_US} us",
        micros("a warm call of the stage", ours)
    ));
    if extism.is_empty() {
        say("through Extism: not measured, it could not be built");
    } else {
        say(&micros("the same stage through Extism", extism));
    }
}

fn native_call() -> Duration {
    let settings: serde_json::Value = serde_json::from_str(SETTINGS).expect("JSON");
    let context = StageContext::new(REQUEST_TEXT).with_settings(&settings);
    let began = Instant::now();
    let question = taglines::question(&context).expect("a question");
    let answer = std::hint::black_box((question, ANSWER.to_owned())).1;
    let count = taglines::count_of(&context).expect("settings");
    let output = taglines::output(&taglines::read(&answer, count).expect("taglines"));
    std::hint::black_box(output);
    began.elapsed()
}

/// One line about times that are too short for milliseconds.
fn micros(what: &str, mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6;
    format!(
        "{what:<40} median {:8.1} us   min {:8.1}   p90 {:8.1}   p99 {:8.1}   n {}",
        at(50),
        at(0),
        at(90),
        at(99),
        times.len()
    )
}

/// The first call in a process, of a component that an earlier one compiled. Loading it is measured apart: the host does
/// that ahead of the call, when it starts, when a plugin is added, and when a run begins.
fn first_calls(runtime: &tokio::runtime::Runtime, folder: &Path, language: &str, component: &[u8]) {
    let models = OneAnswer::at_once();
    let (mut loads, mut calls) = (Vec::new(), Vec::new());
    for _ in 0..FIRST_CALLS {
        let sandbox = open(folder, 4);
        let plugin = known(&sandbox, folder, language, component);
        let began = Instant::now();
        runtime.block_on(sandbox.prepare(vec![plugin.digest.clone()]));
        loads.push(began.elapsed());
        let job = job(&plugin, 0);
        let began = Instant::now();
        let attempt = runtime.block_on(sandbox.run(job, Ports::models(models.clone())));
        calls.push(began.elapsed());
        attempt.outcome.expect("an output");
    }
    say(&Spread::of(format!("loading a compiled component, {language}"), loads).to_string());
    let spread = Spread::of(format!("first call of a loaded component, {language}"), calls);
    say(&format!("{spread}   bound: {FIRST_CALL_MAX_MS} ms"));
}

/// What instances need that wait for a model.
async fn waiting(folder: &Path, language: &str, component: &[u8]) {
    let sandbox = open(folder, WAITING);
    let plugin = known(&sandbox, folder, language, component);
    let warm = sandbox.run(job(&plugin, 0), Ports::models(OneAnswer::at_once())).await;
    warm.outcome.expect("an output");
    let before = memory_kib(std::process::id()).resident;
    let models = OneAnswer::held();
    let mut stages = JoinSet::new();
    for run in 0..WAITING {
        let (sandbox, models) = (sandbox.clone(), Arc::clone(&models));
        let job = job(&plugin, run);
        stages.spawn(async move { sandbox.run(job, Ports::models(models)).await });
    }
    models.asked.acquire_many(WAITING).await.expect("it is never closed").forget();
    let after = memory_kib(std::process::id()).resident;
    models.answer_all();
    for attempt in stages.join_all().await {
        attempt.outcome.expect("an output");
    }
    let each = after.saturating_sub(before) / u64::from(WAITING);
    say(&format!(
        "memory of one instance that waits, {language}: {each} KiB ({WAITING} of them: {} MiB)",
        after.saturating_sub(before) >> 10
    ));
}

/// From the first byte of an upload to a plugin that can be used, through the real program.
async fn uploads(folder: &Path, component: Vec<u8>) {
    let program = Program::start(folder, &upstream::start(), "");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let size_mib = component.len() >> 20;
    let mut times = Vec::new();
    for number in 0..UPLOADS {
        let component = renamed(component.clone(), number);
        let began = Instant::now();
        let url = format!("{}/api/v2/plugins?replace=true", program.url());
        let request = client.post(url).header("content-type", "application/wasm").body(component);
        let response = request.send().await.expect("an answer");
        times.push(began.elapsed());
        let status = response.status();
        assert!(status.is_success(), "{status}: {}", response.text().await.unwrap_or_default());
    }
    let spread = Spread::of("upload of a JavaScript component to ready", times);
    say(&format!("{spread}   {size_mib} MiB   bound: {UPLOAD_MAX_S} s"));
}

/// The same component with a custom section more: other bytes, which nobody has compiled.
fn renamed(mut component: Vec<u8>, number: u32) -> Vec<u8> {
    let name = format!("bench-{number}-{}", std::process::id());
    let section = u8::try_from(name.len() + 1).expect("a short name");
    component.extend([0, section, section - 1]);
    component.extend(name.bytes());
    component
}
