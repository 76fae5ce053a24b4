//! Every fault has a cause, and every report says what to do.
use std::time::Duration;

use domain::fault::Limit;
use domain::model::{ModelError, ModelErrorKind};

use super::*;

/// How a fault comes about.
enum Cause {
    /// The guest causes it in `run`.
    Run(StageJob),
    /// The guest causes it in `build-prompt`.
    Preview(StageJob),
    /// The guest causes it by passing on what the model said.
    ModelSays(ModelErrorKind),
    /// The guest causes it in a wait that does not end.
    SilentModel(StageJob),
    /// No guest can cause it, for this reason.
    NotByGuest(&'static str),
}

fn with_limits(verb_name: &str, change: impl FnOnce(&mut Limits)) -> Cause {
    let mut job = job(&verb(verb_name));
    change(&mut job.limits);
    Cause::Run(job)
}

/// The verb that causes a fault. A fault without one does not compile.
fn cause(kind: &FaultKind) -> Cause {
    match kind {
        FaultKind::Trap => Cause::Run(job(&verb("trap"))),
        FaultKind::Limit(Limit::Memory) => with_limits("grow", |_| {}),
        FaultKind::Limit(Limit::CpuTime) => {
            with_limits("spin", |limits| limits.cpu_time_max = Duration::from_millis(50))
        }
        FaultKind::Limit(Limit::WallTime) => {
            let mut job = job(&verb("slow"));
            job.limits.wall_time_max = Duration::from_millis(100);
            Cause::SilentModel(job)
        }
        FaultKind::Limit(Limit::CallBytes) => {
            Cause::Run(job(r#"{"verb":"big-call","count":5000000}"#))
        }
        FaultKind::Limit(Limit::ArtifactCount) => with_limits("many-artifacts", |_| {}),
        FaultKind::Limit(Limit::ArtifactBytes) => with_limits("big-artifact", |_| {}),
        FaultKind::Limit(Limit::Stack) => with_limits("deep", |_| {}),
        FaultKind::PluginNotLoadable => {
            let mut job = job(&verb("fine"));
            job.plugin.digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
            Cause::Run(job)
        }
        FaultKind::ModelCallInPreview => Cause::Preview(job(&verb("ask-in-preview"))),
        FaultKind::ArtifactName => Cause::Run(job(&verb("bad-name"))),
        FaultKind::ArtifactSet => Cause::Run(job(&verb("extra-artifact"))),
        FaultKind::OutputNotJson => Cause::Run(job(&verb("not-json"))),
        FaultKind::BadInput { .. } => Cause::Run(job(&verb("bad-input"))),
        FaultKind::InvalidOutput { .. } => Cause::Run(job(&verb("invalid-output"))),
        FaultKind::Transient { .. } => Cause::Run(job(&verb("transient"))),
        FaultKind::NeedsHuman { .. } => Cause::Run(job(&verb("needs-human"))),
        FaultKind::Model(kind) => Cause::ModelSays(*kind),
        FaultKind::ReplayDiverged => Cause::NotByGuest("whoever keeps the answers compares them"),
        FaultKind::Host => Cause::NotByGuest("the host's own disk or memory"),
    }
}

/// The fault after this one, so that a list of all of them cannot leave one out.
fn next(kind: &FaultKind) -> Option<FaultKind> {
    let code = |verb: &str| format!("rogue_{verb}");
    Some(match kind {
        FaultKind::Trap => FaultKind::Limit(Limit::Memory),
        FaultKind::Limit(Limit::Memory) => FaultKind::Limit(Limit::CpuTime),
        FaultKind::Limit(Limit::CpuTime) => FaultKind::Limit(Limit::WallTime),
        FaultKind::Limit(Limit::WallTime) => FaultKind::Limit(Limit::CallBytes),
        FaultKind::Limit(Limit::CallBytes) => FaultKind::Limit(Limit::ArtifactCount),
        FaultKind::Limit(Limit::ArtifactCount) => FaultKind::Limit(Limit::ArtifactBytes),
        FaultKind::Limit(Limit::ArtifactBytes) => FaultKind::Limit(Limit::Stack),
        FaultKind::Limit(Limit::Stack) => FaultKind::PluginNotLoadable,
        FaultKind::PluginNotLoadable => FaultKind::ModelCallInPreview,
        FaultKind::ModelCallInPreview => FaultKind::ArtifactName,
        FaultKind::ArtifactName => FaultKind::ArtifactSet,
        FaultKind::ArtifactSet => FaultKind::OutputNotJson,
        FaultKind::OutputNotJson => FaultKind::BadInput { code: code("bad_input") },
        FaultKind::BadInput { .. } => FaultKind::InvalidOutput { code: code("invalid_output") },
        FaultKind::InvalidOutput { .. } => FaultKind::Transient { code: code("transient") },
        FaultKind::Transient { .. } => FaultKind::NeedsHuman { code: code("needs_human") },
        FaultKind::NeedsHuman { .. } => FaultKind::Model(ModelErrorKind::QuotaExhausted),
        FaultKind::Model(_) => FaultKind::ReplayDiverged,
        FaultKind::ReplayDiverged => FaultKind::Host,
        FaultKind::Host => return None,
    })
}

#[tokio::test]
async fn every_fault_has_a_verb_that_causes_it() {
    let mut kind = Some(FaultKind::Trap);
    while let Some(wanted) = kind {
        let caused = match cause(&wanted) {
            Cause::Run(job) => fault(job).await,
            Cause::Preview(job) => sandbox().build_prompt(job).await.unwrap_err(),
            Cause::ModelSays(kind) => {
                let error = ModelError { kind, message: "no more money".to_owned() };
                let model = TestModel::answering(Err(AskError::Model(error)));
                sandbox()
                    .run(job(&verb("ask-fail")), Ports::models(model))
                    .await
                    .outcome
                    .unwrap_err()
            }
            Cause::SilentModel(job) => {
                sandbox().run(job, Ports::models(TestModel::silent())).await.outcome.unwrap_err()
            }
            Cause::NotByGuest(reason) => Fault { kind: wanted.clone(), message: reason.to_owned() },
        };
        assert_eq!(caused.kind, wanted, "{}", caused.message);
        kind = next(&wanted);
    }
}

#[tokio::test]
async fn a_limit_is_named_with_its_use_its_bound_and_its_setting() {
    let mut grow = job(&verb("grow"));
    grow.limits.memory_bytes_max = 8 << 20;
    let fault_of_grow = fault(grow).await;
    assert_says(
        &fault_of_grow.message,
        &[
            "stage `rogue` (plugin `rogue-stage` 1.0.0, ",
            "memory",
            "8.0 MiB allowed",
            "`limits.memory_mib`",
        ],
    );
    let artifact = fault(job(&verb("big-artifact"))).await;
    assert_says(
        &artifact.message,
        &["`rogue.md` has 8.0 MiB", "4.0 MiB allowed", "`limits.artifact_kib`"],
    );
    let artifacts = fault(job(&verb("many-artifacts"))).await;
    assert_says(&artifacts.message, &["1000, with 16 allowed", "`limits.artifacts`"]);
    let call = fault(job(r#"{"verb":"big-call","count":5000000}"#)).await;
    assert_says(&call.message, &["4.7 MiB, with 4.0 MiB allowed", "`limits.call_kib`"]);
    let mut spin = job(&verb("spin"));
    spin.limits.cpu_time_max = Duration::from_millis(30);
    let attempt = attempt(spin).await;
    assert_says(
        &attempt.outcome.unwrap_err().message,
        &[
            "computing time: ",
            " ms, with 30 ms allowed",
            "`limits.cpu_ms`",
            "in its code, innermost first:",
            "spin",
        ],
    );
    assert!(attempt.consumed.cpu_time >= Duration::from_millis(40));
}

#[tokio::test]
async fn what_is_handed_over_beside_artifacts_is_bounded_too() {
    for settings in
        [r#"{"verb":"big-log","count":5000000}"#, r#"{"verb":"big-data","count":5000000}"#]
    {
        let fault = fault(job(settings)).await;
        assert_eq!(fault.kind, FaultKind::Limit(Limit::CallBytes), "{}", fault.message);
    }
    let mut huge = job(r#"{"verb":"big-data","count":120000000}"#);
    huge.limits.memory_bytes_max = MEMORY_BYTES_BOUND;
    let fault_of_huge = fault(huge).await;
    assert_eq!(fault_of_huge.kind, FaultKind::Limit(Limit::CallBytes), "{}", fault_of_huge.message);
    assert_says(&fault_of_huge.message, &["`limits.call_kib`"]);
}

#[tokio::test]
async fn an_answer_larger_than_a_call_may_carry_ends_the_attempt() {
    for (verb_name, is_whole) in [("ask", true), ("stream", true), ("stream-drop", false)] {
        let mut job = job(&verb(verb_name));
        job.limits.call_bytes_max = 4 << 10;
        let model = TestModel::answering(Ok(completion(&"word ".repeat(2000))));
        let outcome = sandbox().run(job, Ports::models(model)).await.outcome;
        if !is_whole {
            assert!(outcome.is_ok(), "{verb_name}: {outcome:?}");
            continue;
        }
        let fault = outcome.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Limit(Limit::CallBytes), "{verb_name}");
        let words = ["the model's answer has 10 KiB, with 4 KiB allowed", "`limits.call_kib`"];
        assert_says(&fault.message, &words);
    }
}

#[tokio::test]
async fn a_context_larger_than_a_call_may_carry_is_refused_before_the_stage_runs() {
    let too_large = || {
        let mut job = job(&verb("fine"));
        job.context.artifacts = vec![domain::stage::EarlierArtifact {
            stage: "research".parse().unwrap(),
            artifact: domain::Artifact {
                name: "research.md".parse().unwrap(),
                media_type: "text/markdown".to_owned(),
                body: "x".repeat(5 << 20),
            },
        }];
        job
    };
    for fault in [fault(too_large()).await, sandbox().build_prompt(too_large()).await.unwrap_err()]
    {
        assert_eq!(fault.kind, FaultKind::Limit(Limit::CallBytes), "{}", fault.message);
        let words = ["the context (", "has 5.0 MiB, with 4.0 MiB allowed", "`limits.call_kib`"];
        assert_says(&fault.message, &words);
    }
    let mut granted = too_large();
    granted.limits.call_bytes_max = 6 << 20;
    assert!(attempt(granted).await.outcome.is_ok());
}

#[tokio::test]
async fn calls_to_the_host_are_computing_time() {
    let mut flood = job(r#"{"verb":"flood-log","count":18446744073709551615}"#);
    flood.limits.cpu_time_max = Duration::from_millis(50);
    assert_eq!(fault(flood).await.kind, FaultKind::Limit(Limit::CpuTime));
}

#[tokio::test]
async fn more_memory_than_the_host_has_for_a_stage_is_refused_before_it_runs() {
    let mut job = job(&verb("fine"));
    job.limits.memory_bytes_max = MEMORY_BYTES_BOUND + 1;
    let fault = fault(job).await;
    assert_eq!(fault.kind, FaultKind::Limit(Limit::Memory));
    assert_says(&fault.message, &["`limits.memory_mib`", "512.0 MiB"]);
}

#[tokio::test]
async fn a_panic_is_reported_with_its_words_and_its_place_and_its_output_is_in_the_log() {
    let attempt = attempt(job(r#"{"verb":"panic","text":"no \u001b[31msections"}"#)).await;
    let fault = attempt.outcome.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Trap);
    let digest = pinned().digest;
    assert_says(
        &fault.message,
        &[
            "stage `rogue` (plugin `rogue-stage` 1.0.0, ",
            digest.short(),
            "the plugin panicked: no \u{fffd}[31msections (at ",
            "using_up.rs:",
            "in its code, innermost first:\n  at rogue_stage::attack::using_up::panic\n",
        ],
    );
    assert!(!fault.message.contains('\u{1b}'));
    assert!(attempt.log.lines.iter().any(|line| line.message.contains("panicked")));
}

#[tokio::test]
async fn a_recursion_without_end_is_reported_in_one_line() {
    let fault = fault(job(&verb("deep"))).await;
    assert_says(&fault.message, &["call stack", "512 KiB", "using_up::deep, 20 times"]);
}

#[tokio::test]
async fn a_guest_that_ends_itself_is_reported() {
    assert_says(
        &fault(job(r#"{"verb":"exit","count":7}"#)).await.message,
        &["ended itself with status 1"],
    );
    assert_eq!(fault(job(&verb("abort"))).await.kind, FaultKind::Trap);
}

#[tokio::test]
async fn whoever_answers_can_stop_the_guest_with_a_fault_of_its_own() {
    let wanted = Fault { kind: FaultKind::ReplayDiverged, message: "asked otherwise".to_owned() };
    let model = TestModel::answering(Err(AskError::Stop(wanted.clone())));
    let attempt =
        sandbox().run(job(&verb("ask-anyway")), Ports::models(Arc::clone(&model) as _)).await;
    assert_eq!(attempt.outcome.unwrap_err(), wanted);
    assert_eq!(model.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_model_error_that_the_stage_passes_on_keeps_its_kind_and_words() {
    for kind in [
        ModelErrorKind::RateLimited { retry_after_ms: Some(1500) },
        ModelErrorKind::BadResponse,
        ModelErrorKind::ModelNotFound,
        ModelErrorKind::Canceled,
    ] {
        let error = ModelError { kind, message: "exactly this".to_owned() };
        let model = TestModel::answering(Err(AskError::Model(error)));
        let fault =
            sandbox().run(job(&verb("ask-fail")), Ports::models(model)).await.outcome.unwrap_err();
        assert_eq!(
            fault,
            Fault { kind: FaultKind::Model(kind), message: "exactly this".to_owned() }
        );
    }
    let liar = fault(job(&verb("liar-llm"))).await;
    assert_eq!(liar.kind, FaultKind::Model(ModelErrorKind::Unauthorized));
}

#[tokio::test]
async fn a_stages_own_failure_is_bounded_and_cleaned() {
    let fault_of_liar = fault(job(&verb("bad-failure"))).await;
    let FaultKind::BadInput { code } = &fault_of_liar.kind else { panic!("{fault_of_liar:?}") };
    assert!(code.len() <= 64 && !code.contains(['/', '.', ' ']), "{code}");
    assert!(fault_of_liar.message.len() <= 2000 && !fault_of_liar.message.contains('\u{1b}'));
}

#[tokio::test]
async fn wrong_sets_and_values_are_refused_with_the_reason() {
    for (verb_name, kind, words) in [
        ("bad-name", FaultKind::ArtifactName, "`../evil.md` is no name"),
        ("missing-artifact", FaultKind::ArtifactSet, "announces `rogue.md` and did not make it"),
        ("extra-artifact", FaultKind::ArtifactSet, "`extra.md`, which it does not announce"),
        ("double-artifact", FaultKind::ArtifactSet, "made `rogue.md` twice"),
        ("not-json", FaultKind::OutputNotJson, "`data` is not JSON"),
        ("bad-variable", FaultKind::OutputNotJson, "`Not A Name!` is no name for a variable"),
        ("bad-variable-value", FaultKind::OutputNotJson, "the variable `value` is not JSON"),
        ("many-variables", FaultKind::OutputNotJson, "it set 100000 variables"),
    ] {
        let fault = fault(job(&verb(verb_name))).await;
        assert_eq!(fault.kind, kind, "{verb_name}: {}", fault.message);
        assert_says(&fault.message, &[words]);
    }
    let summary = output(&verb("long-summary")).await.summary;
    assert!(summary.len() <= 300 && !summary.contains(['\n', '\u{1b}']), "{summary}");
}

#[tokio::test]
async fn a_preview_that_computes_without_end_is_stopped() {
    let mut job = job(&verb("spin-in-preview"));
    job.limits.cpu_time_max = Duration::from_millis(30);
    let fault = sandbox().build_prompt(job).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Limit(Limit::CpuTime));
}
