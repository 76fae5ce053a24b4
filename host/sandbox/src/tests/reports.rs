//! What a fault tells its reader: who, what, where in the code, the last words, and what to do. Each report as a whole.
use std::time::Duration;

use insta::assert_snapshot;

use super::*;

/// A report without what differs from build to build and from run to run.
fn told(fault: &Fault) -> String {
    let text = fault.message.replace(pinned().digest.short(), "[digest]");
    let lines = text.lines().map(|line| match line.split_once("computing time: ") {
        Some((before, after)) => {
            let rest = after.trim_start_matches(|character: char| character.is_ascii_digit());
            format!("{before}computing time: [used]{rest}")
        }
        None => without_line_numbers(line),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// `using_up.rs:12:5` says where the rogue stage's source is today.
fn without_line_numbers(line: &str) -> String {
    match line.find(".rs:") {
        Some(start) => {
            let (file, rest) = line.split_at(start + ".rs".len());
            let rest = rest.trim_start_matches(|character: char| {
                character == ':' || character.is_ascii_digit()
            });
            format!("{file}:[line]{rest}")
        }
        None => line.to_owned(),
    }
}

async fn report(settings: &str) -> String {
    told(&fault(job(settings)).await)
}

#[tokio::test]
async fn a_panic() {
    assert_snapshot!(report(r#"{"verb":"panic","text":"no sections"}"#).await, @r"
    stage `rogue` (plugin `rogue-stage` 1.0.0, [digest]): the plugin panicked: no sections (at tests/rogue-stage/src/attack/using_up.rs:[line])
    in its code, innermost first:
      at rogue_stage::attack::using_up::panic
      at <rogue_stage::Rogue as stage_sdk::stage::Stage>::run
      at stage_sdk::bindings::exports::stagewright::stage::plugin::_export_run_cabi
      at stagewright:stage/plugin@1.0.0#run
    ");
}

#[tokio::test]
async fn an_unreachable() {
    assert_snapshot!(report(&verb("trap")).await, @r"
    stage `rogue` (plugin `rogue-stage` 1.0.0, [digest]): the plugin trapped: wasm `unreachable` instruction executed
    in its code, innermost first:
      at <rogue_stage::Rogue as stage_sdk::stage::Stage>::run
      at stage_sdk::bindings::exports::stagewright::stage::plugin::_export_run_cabi
      at stagewright:stage/plugin@1.0.0#run
    ");
}

#[tokio::test]
async fn a_stack_without_end() {
    assert_snapshot!(report(&verb("deep")).await, @r"
    stage `rogue` (plugin `rogue-stage` 1.0.0, [digest]): over the limit on call stack: deeper, with 512 KiB allowed; make the recursion a loop
    in its code, innermost first:
      at rogue_stage::attack::using_up::deep, 20 times
    ");
}

#[tokio::test]
async fn too_much_memory() {
    assert_snapshot!(report(&verb("grow")).await, @r"
    stage `rogue` (plugin `rogue-stage` 1.0.0, [digest]): over the limit on memory: 64.0 MiB, with 64.0 MiB allowed; if the stage needs more, raise `limits.memory_mib` in the profile
    in its code, innermost first:
      at sbrk
      at dlmalloc
      at malloc
      at __rustc::__rdl_alloc
      at __rustc::__rust_alloc
      at alloc::raw_vec::RawVecInner<A>::try_allocate_in
      at alloc::vec::from_elem
      at rogue_stage::attack::using_up::grow
      at <rogue_stage::Rogue as stage_sdk::stage::Stage>::run
      at stage_sdk::bindings::exports::stagewright::stage::plugin::_export_run_cabi
      at stagewright:stage/plugin@1.0.0#run
    ");
}

#[tokio::test]
async fn too_much_computing() {
    let mut job = job(&verb("spin"));
    job.limits.cpu_time_max = Duration::from_millis(30);
    assert_snapshot!(told(&fault(job).await), @r"
    stage `rogue` (plugin `rogue-stage` 1.0.0, [digest]): over the limit on computing time: [used] ms, with 30 ms allowed; if the stage needs more, raise `limits.cpu_ms` in the profile
    in its code, innermost first:
      at rogue_stage::attack::using_up::spin
      at <rogue_stage::Rogue as stage_sdk::stage::Stage>::run
      at stage_sdk::bindings::exports::stagewright::stage::plugin::_export_run_cabi
      at stagewright:stage/plugin@1.0.0#run
    ");
}

#[tokio::test]
async fn too_long_a_wait() {
    let mut job = job(&verb("slow"));
    job.limits.wall_time_max = Duration::from_millis(100);
    let outcome = sandbox().run(job, Ports::models(TestModel::silent())).await.outcome;
    assert_snapshot!(told(&outcome.unwrap_err()), @"stage `rogue` (plugin `rogue-stage` 1.0.0, [digest]): over the limit on time from start to end: not done, with 100 ms allowed; if the stage needs more, raise `limits.wall_s` in the profile");
}

#[tokio::test]
async fn an_answer_that_cannot_be_used() {
    assert_snapshot!(report(&verb("invalid-output")).await, @"stage `rogue` (plugin `rogue-stage` 1.0.0, [digest]): the model's answer could not be used: the rogue stage cannot use the answer");
}

#[tokio::test]
async fn an_output_that_is_not_the_announced_one() {
    assert_snapshot!(report(&verb("missing-artifact")).await, @"stage `rogue` (plugin `rogue-stage` 1.0.0, [digest]): it announces `rogue.md` and did not make it");
}

/// A plugin that was pinned by one host, and wants what the next one does not have.
#[tokio::test]
async fn an_import_that_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = made::component(
        r#"(component
            (import "acme:db/sql@1.0.0" (instance (export "query" (func))))
            (instance $nothing) (export "stagewright:stage/plugin@1.0.0" (instance $nothing))
        )"#,
    );
    let sandbox = Sandbox::open(config(folder.path())).unwrap();
    let digest = crate::catalog::digest_of(&bytes);
    sandbox.keep(&digest, &bytes).unwrap();
    let mut job = job(&verb("fine"));
    job.plugin = PinnedPlugin {
        name: "acme".to_owned(),
        version: "1.0.0".to_owned(),
        digest: digest.clone(),
    };
    let ports = Ports::models(Arc::new(TestModel::default()));
    let fault = sandbox.run(job, ports).await.outcome.unwrap_err();
    assert_eq!(fault.kind, FaultKind::PluginNotLoadable);
    let digest = digest.short();
    assert_snapshot!(fault.message.replace(digest, "[digest]"), @"stage `rogue` (plugin `acme` 1.0.0, [digest]): it imports `acme:db/sql@1.0.0`, which no stage has: remove what brings it in, and use `llm`, `log`, or `wasi:http` 0.2 with `grants.http` in the profile and `grants.http_hosts` of the operator; it does not export `describe`: implement the interface `plugin` of `wit/` as it is, and build it again; it does not export `build-prompt`: implement the interface `plugin` of `wit/` as it is, and build it again; it does not export `run`: implement the interface `plugin` of `wit/` as it is, and build it again");
}

/// Where debug information exists, a frame says file and line.
#[test]
fn a_place_in_the_source() {
    let PluginError::Unfit { findings, .. } =
        sandbox().inspect(&made::plugin_out_of_bounds(), "test.wasm").unwrap_err()
    else {
        panic!("it is unfit")
    };
    let digest = crate::catalog::digest_of(&made::plugin_out_of_bounds());
    assert_snapshot!(findings.join("\n").replace(digest.short(), "[digest]"), @r"
    `describe` gave no answer: plugin [digest]: the plugin trapped: out of bounds memory access
    in its code, innermost first:
      at read_behind_the_end (./reader.wat:3)
      at wasm-function[3] (./reader.wat:1)
    have it give back constants, and call nothing
    ");
}
