//! One attempt at a stage: what the stage is told, and what becomes of what it gives back.
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use domain::plan::PlannedStage;
use domain::port::{Attempt, Consumed, Ports, StageJob};
use domain::run::{BudgetBound, Command, Run, StageResult};
use domain::stage::{EarlierArtifact, Revision, StageContext, StageLog, StageOutput};
use domain::{Artifact, ArtifactRef, Digest, Fault, FaultKind, StageIdx};
use futures_util::FutureExt as _;
use store::{AttemptRecord, Beside};

use crate::drive::AttemptStep;
use crate::lifecycle::Inner;
use crate::models::{AttemptModels, Interruption};
use crate::registry::RunCell;
use crate::web::AttemptHttp;
use crate::{Error, budget};

impl Inner {
    /// Runs an attempt and commits how it ended. An attempt that was interrupted leaves no event: it runs again from
    /// its start, and its kept answers are replayed.
    pub(crate) async fn run_attempt(
        self: &Arc<Self>,
        cell: &Arc<RunCell>,
        step: AttemptStep,
        queue_ms: u64,
    ) -> Result<(), Error> {
        let started_at = self.parts.clock.now();
        let models = Arc::new(AttemptModels::open(self, cell, &step).await?);
        let http = AttemptHttp::open(self, cell, &step).await?;
        let AttemptStep { run, stage, attempt, stop, .. } = step;
        let planned = run.plan().stage(stage).expect("a run is driven within its plan");
        let job = self.job(&run, stage, planned, attempt).await?;
        let ports = Ports { models: models.clone(), http: http.clone().map(|http| http as _) };
        let work = AssertUnwindSafe(self.parts.runner.run(job, ports)).catch_unwind();
        let ended = tokio::select! {
            biased;
            ended = work => ended,
            () = stop.cancelled() => return self.left(&models).await,
            () = self.giving_up.cancelled() => return Ok(()),
        };
        let Attempt { outcome, log, consumed } = ended.unwrap_or_else(|panic| panicked(&*panic));
        tokio::select! {
            // The records of answers that the stage dropped come before its end.
            () = models.settled() => {}
            () = self.giving_up.cancelled() => return Ok(()),
        }
        let interruption = models.interruption();
        match interruption.or_else(|| http.and_then(|http| http.interruption())) {
            None => {}
            Some(Interruption::Shutdown) => return Ok(()),
            Some(Interruption::Budget(bound)) => {
                return self.ask_for_budget(cell, (stage, attempt), bound).await;
            }
            Some(Interruption::Error(error)) => return Err(error),
        }
        let record = AttemptRecord {
            run: cell.id.clone(),
            stage: planned.key.clone(),
            attempt,
            log,
            consumed,
            queue_ms,
            started_at,
            ended_at: self.parts.clock.now(),
        };
        self.keep_ending(cell, stage, record, outcome).await
    }

    /// Waits until it is recorded what the calls of an attempt used that nobody wants any more. It was dropped, so that
    /// they are being stopped; and a retry must count it.
    async fn left(&self, models: &AttemptModels) -> Result<(), Error> {
        tokio::select! {
            () = models.settled() => {}
            () = self.giving_up.cancelled() => {}
        }
        Ok(())
    }

    /// Opens a gate at which the attempt waits. When it is granted, the attempt runs again from its start.
    async fn ask_for_budget(
        self: &Arc<Self>,
        cell: &Arc<RunCell>,
        (stage, attempt): (StageIdx, u32),
        bound: BudgetBound,
    ) -> Result<(), Error> {
        let approval = self.parts.clock.new_approval_id();
        let content_hash = budget::content_hash(&bound);
        let command = Command::OpenBudgetGate { stage, attempt, approval, content_hash, bound };
        self.commit_patiently(cell, command, Vec::new()).await.map(drop)
    }

    async fn keep_ending(
        self: &Arc<Self>,
        cell: &Arc<RunCell>,
        stage: StageIdx,
        record: AttemptRecord,
        outcome: Result<StageOutput, Fault>,
    ) -> Result<(), Error> {
        let attempt = record.attempt;
        let mut beside = Vec::new();
        let ended =
            outcome.map(|output| (kept(output, &mut beside), self.parts.clock.new_approval_id()));
        beside.push(Beside::AttemptEnded(record));
        // Deadlines and waits begin when the end is kept: a disk that is full for hours takes nothing from them.
        let command = |at| match ended.clone() {
            Ok((result, approval)) => Command::FinishStage { stage, attempt, result, approval, at },
            Err(fault) => Command::FailStage { stage, attempt, fault, at },
        };
        self.patiently(|| async {
            let mut locked = cell.lock(&self.parts.store).await;
            let command = command(self.parts.clock.now());
            self.commit_locked(cell, &mut locked, command, beside.clone()).await.map(drop)
        })
        .await
    }

    /// What a stage at this position is told.
    pub(crate) async fn job(
        &self,
        run: &Run,
        stage: StageIdx,
        planned: &PlannedStage,
        attempt: u32,
    ) -> Result<StageJob, Error> {
        let earlier = run.artifacts_before(stage);
        let wish = run.progress()[stage.as_usize()].revision.as_ref();
        let previous = wish.map(|wish| wish.previous.as_slice()).unwrap_or_default();
        let refs = earlier.iter().map(|(_, artifact)| *artifact).chain(previous);
        let mut texts = self.with_texts(refs).await?;
        let previous = texts.split_off(earlier.len());
        let maker = |idx| {
            let maker = run.plan().stage(idx);
            maker.expect("an artifact is made by a stage of the plan").key.clone()
        };
        let artifacts = earlier
            .iter()
            .zip(texts)
            .map(|((idx, _), artifact)| EarlierArtifact { stage: maker(*idx), artifact });
        let revision = wish.map(|wish| Revision { feedback: wish.feedback.clone(), previous });
        let context = StageContext {
            request_text: run.created().request_text.clone(),
            run_id: run.id().clone(),
            belonging: run.created().belonging.clone(),
            stage_key: planned.key.clone(),
            attempt,
            settings: planned.settings.clone(),
            variables: run.variables().to_vec(),
            artifacts: artifacts.collect(),
            skills: planned.skills.clone(),
            revision,
        };
        Ok(StageJob {
            plugin: planned.plugin.clone(),
            context,
            limits: planned.limits.clone(),
            makes: planned.makes.clone(),
        })
    }

    async fn with_texts<'a>(
        &self,
        artifacts: impl Iterator<Item = &'a ArtifactRef>,
    ) -> Result<Vec<Artifact>, Error> {
        let artifacts: Vec<&ArtifactRef> = artifacts.collect();
        if artifacts.is_empty() {
            return Ok(Vec::new());
        }
        let digests = artifacts.iter().map(|artifact| artifact.digest.clone()).collect();
        let bodies = self.parts.store.bodies(digests).await?;
        let with_text = |(artifact, body): (&ArtifactRef, String)| Artifact {
            name: artifact.name.clone(),
            media_type: artifact.media_type.clone(),
            body,
        };
        Ok(artifacts.into_iter().zip(bodies).map(with_text).collect())
    }
}

/// The result without its texts, which go beside it.
fn kept(output: StageOutput, beside: &mut Vec<Beside>) -> StageResult {
    let mut body = |text: String| {
        let digest = store::digest_of(text.as_bytes());
        beside.push(Beside::Body { digest: digest.clone(), text });
        digest
    };
    let artifacts: Vec<ArtifactRef> = output
        .artifacts
        .into_iter()
        .map(|artifact| ArtifactRef {
            name: artifact.name,
            media_type: artifact.media_type,
            size_bytes: artifact.body.len() as u64,
            digest: body(artifact.body),
        })
        .collect();
    let data = body(output.data.as_str().to_owned());
    let content_hash = content_hash(&artifacts);
    StageResult {
        artifacts,
        data,
        summary: output.summary,
        variables: output.variables,
        content_hash,
    }
}

/// What a reviewer's decision is bound to: the digest over one line `<name> <digest>` for each artifact, in the order
/// in which the stage gave them.
pub(crate) fn content_hash(artifacts: &[ArtifactRef]) -> Digest {
    let lines: String = artifacts
        .iter()
        .map(|artifact| format!("{} {}\n", artifact.name, artifact.digest))
        .collect();
    store::digest_of(lines.as_bytes())
}

/// A defect of the host ends the attempt, not the host.
fn panicked(panic: &(dyn Any + Send)) -> Attempt {
    let words = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message");
    let message = format!("the host panicked while it ran the stage: {words}");
    tracing::error!("{message}");
    let fault = Fault { kind: FaultKind::Host, message };
    Attempt { outcome: Err(fault), log: StageLog::default(), consumed: Consumed::default() }
}
