//! Runs one attempt at one stage: from the pinned digest to a checked output.
use std::sync::Arc;

use domain::fault::Limit;
use domain::model::{ModelErrorKind, ModelRequest};
use domain::port::{Attempt, Consumed, PluginError, Ports, StageJob};
use domain::stage::{StageContext, StageLog, Variable};
use domain::{Artifact, Digest, Fault, FaultKind, Limits};

use crate::bindings::stagewright::stage::types as wit;
use crate::catalog::Catalog;
use crate::component::LoadedComponent;
use crate::convert::{context_to_guest, request_from_guest};
use crate::fault::Culprit;
use crate::guest::{Models, Reached, Seed, check_call_bytes};
use crate::loaded::LoadOutcome;
use crate::machine::{Machine, Slots, Visit, Visited};
use crate::output::{check_output, stage_failure};

/// Runs a stage. Everything that goes wrong is in the outcome.
pub(crate) async fn run(
    machine: &Arc<Machine>,
    catalog: &Arc<Catalog>,
    job: StageJob,
    ports: Ports,
) -> Attempt {
    let StageJob { plugin, context, limits, makes } = job;
    let culprit = Culprit { stage: Some(context.stage_key.clone()), plugin };
    if let Err(fault) = check_context(&context, &limits, &culprit) {
        return not_begun(fault);
    }
    let component = match load(machine, catalog, &culprit).await {
        Ok(component) => component,
        Err(fault) => return not_begun(fault),
    };
    let visit = Visit {
        culprit: &culprit,
        limits: &limits,
        seed: Seed::of_attempt(&context),
        reached: Reached { models: Models::Port(ports.models), http: ports.http },
        slots: Slots::Stages,
    };
    let context = context_to_guest(context);
    let Visited { outcome, log, consumed, model_errors } = machine
        .visit(&component, visit, |store, plugin| {
            Box::pin(
                async move { plugin.stagewright_stage_plugin().call_run(store, &context).await },
            )
        })
        .await;
    let outcome = outcome.and_then(|said| match said {
        Ok(output) => check_output(output, &makes, &limits)
            .map_err(|(kind, message)| culprit.fault_with_log(kind, &message, &log)),
        Err(error) => {
            let (kind, message) = stage_failure(error, &model_errors);
            Err(culprit.declared(kind, message, &log))
        }
    });
    Attempt { outcome, log, consumed }
}

fn not_begun(fault: Fault) -> Attempt {
    Attempt { outcome: Err(fault), log: StageLog::default(), consumed: Consumed::default() }
}

/// Builds the first question that a stage would ask.
pub(crate) async fn build_prompt(
    machine: &Arc<Machine>,
    catalog: &Arc<Catalog>,
    job: StageJob,
) -> Result<ModelRequest, Fault> {
    let StageJob { plugin, context, limits, .. } = job;
    let culprit = Culprit { stage: Some(context.stage_key.clone()), plugin };
    check_context(&context, &limits, &culprit)?;
    let component = load(machine, catalog, &culprit).await?;
    let visit = Visit {
        culprit: &culprit,
        limits: &limits,
        seed: Seed::of_attempt(&context),
        reached: Reached::nobody("build-prompt"),
        slots: Slots::Previews,
    };
    let context = context_to_guest(context);
    let visited = machine
        .visit(&component, visit, |store, plugin| {
            Box::pin(async move {
                plugin.stagewright_stage_plugin().call_build_prompt(store, &context).await
            })
        })
        .await;
    match visited.outcome? {
        Ok(request) => check_prompt(request, limits.call_bytes_max)
            .map_err(|(kind, message)| culprit.fault(kind, &message)),
        Err(error) => {
            let (kind, message) = stage_failure(error, &[]);
            Err(Fault { kind, message })
        }
    }
}

/// What a stage is handed is one call, too. A context that is too large is refused before anything is compiled or copied.
fn check_context(context: &StageContext, limits: &Limits, culprit: &Culprit) -> Result<(), Fault> {
    let what = "the context (request, settings, variables, artifacts, skills and revision)";
    check_call_bytes(what, context_bytes(context), limits.call_bytes_max)
        .map_err(|message| culprit.fault(FaultKind::Limit(Limit::CallBytes), &message))
}

/// Bytes of all texts that have no bound of their own.
fn context_bytes(context: &StageContext) -> u64 {
    let variable =
        |variable: &Variable| variable.name.as_str().len() + variable.value.as_str().len();
    let artifact = |artifact: &Artifact| artifact.media_type.len() + artifact.body.len();
    let variables: usize = context.variables.iter().map(variable).sum();
    let earlier: usize = context.artifacts.iter().map(|earlier| artifact(&earlier.artifact)).sum();
    let skills: usize =
        context.skills.iter().map(|skill| skill.name.len() + skill.body.len()).sum();
    let revision = context.revision.as_ref().map_or(0, |revision| {
        revision.feedback.len() + revision.previous.iter().map(artifact).sum::<usize>()
    });
    let own = context.request_text.len() + context.settings.as_str().len();
    (own + variables + earlier + skills + revision) as u64
}

/// A prompt that `llm` would not take is no prompt: the preview says what the run would meet.
fn check_prompt(
    request: wit::ModelRequest,
    call_bytes_max: u64,
) -> Result<ModelRequest, (FaultKind, String)> {
    let request = request_from_guest(request)
        .map_err(|problem| (FaultKind::Model(ModelErrorKind::Rejected), problem))?;
    check_call_bytes("the question", request.size_bytes(), call_bytes_max)
        .map_err(|message| (FaultKind::Limit(Limit::CallBytes), message))?;
    Ok(request)
}

/// Gives the pinned component. It is read and compiled at the first use, away from the threads that serve requests.
async fn load(
    machine: &Arc<Machine>,
    catalog: &Arc<Catalog>,
    culprit: &Culprit,
) -> Result<Arc<LoadedComponent>, Fault> {
    let digest = &culprit.plugin.digest;
    let outcome = match machine.loaded.get(digest) {
        Some(outcome) => Ok(outcome),
        None => {
            let (machine, catalog) = (Arc::clone(machine), Arc::clone(catalog));
            let digest = digest.clone();
            tokio::task::spawn_blocking(move || load_now(&machine, &catalog, &digest))
                .await
                .unwrap_or_else(|_| Err(aborted()))
        }
    };
    let findings = match outcome {
        Ok(Ok(component)) => return Ok(component),
        Ok(Err(findings)) => crate::finding::in_words(&findings).join("; "),
        Err(error) => error.to_string(),
    };
    Err(culprit.fault(FaultKind::PluginNotLoadable, &findings))
}

/// Loads components one after the other, so that their first calls do not wait. What is wrong with one is told by the call.
pub(crate) async fn prepare(machine: &Arc<Machine>, catalog: &Arc<Catalog>, digests: Vec<Digest>) {
    let missing = machine.loaded.expect(digests);
    if missing.is_empty() {
        return;
    }
    let (machine, catalog) = (Arc::clone(machine), Arc::clone(catalog));
    let loading = tokio::task::spawn_blocking(move || {
        for digest in &missing {
            match load_now(&machine, &catalog, digest) {
                Ok(_) => tracing::debug!(%digest, "a plugin was loaded ahead of its first call"),
                Err(error) => {
                    tracing::debug!(%digest, %error, "a plugin cannot be loaded ahead of its first call");
                }
            }
            machine.loaded.settle(digest);
        }
    });
    // One that panicked is told by the call that wants the same.
    loading.await.ok();
}

fn load_now(
    machine: &Machine,
    catalog: &Catalog,
    digest: &Digest,
) -> Result<LoadOutcome, PluginError> {
    let bytes = catalog.bound_bytes(digest)?;
    Ok(machine.load(digest, &bytes))
}

fn aborted() -> PluginError {
    PluginError::Io { place: "the compiler".to_owned(), detail: "it broke off".to_owned() }
}
