//! What stands in the files of a run.
use domain::run::Event;
use domain::{ArtifactName, Digest, Plan, PlannedStage, RunId, Timestamp};
use rusqlite::Connection;
use serde::Serialize;

use super::{artifacts, calls, events, folder_name, runs, stages};
use crate::record::{self, JsonRecord, PlanRecord};
use crate::{ArtifactRow, Error, RunRow, StageRow, UsageSum};

/// A run at one moment, with everything that its files say but the texts of artifacts.
pub(crate) struct Snapshot {
    pub(crate) run: RunRow,
    plan: Plan,
    pub(crate) stages: Vec<StageSnapshot>,
    usage: UsageSum,
}

pub(crate) struct StageSnapshot {
    pub(crate) row: StageRow,
    planned: PlannedStage,
    provider: String,
    model: String,
    data: Option<String>,
    content_hash: Option<Digest>,
    /// Every version.
    pub(crate) artifacts: Vec<ArtifactRow>,
}

impl StageSnapshot {
    /// Whether the result that holds has an artifact of this name.
    pub(crate) fn has_current(&self, name: &ArtifactName) -> bool {
        self.artifacts.iter().any(|artifact| artifact.current && artifact.name == *name)
    }
}

impl Snapshot {
    /// Reads a run; `None` if there is no such run.
    pub(crate) fn read(db: &Connection, run: &RunId) -> Result<Option<Self>, Error> {
        let Some(row) = runs::one(db, run)? else { return Ok(None) };
        let Some(Event::RunCreated(created)) = events::first(db, run)? else {
            return Err(Error::damaged(format!("the log of `{run}` has no beginning")));
        };
        let plan = created.plan.clone();
        let mut artifacts = artifacts::list(db, run)?;
        let mut snapshots = Vec::new();
        let files = stages::files(db, run)?;
        let rows = stages::list(db, run)?.into_iter().zip(files);
        for ((row, files), planned) in rows.zip(&plan.stages) {
            let mine;
            (mine, artifacts) = artifacts.into_iter().partition(|made| made.stage == row.key);
            let asked = calls::last_model(db, run, &row.key, row.attempt)?;
            let chosen = || (planned.model.provider.clone(), planned.model.model.clone());
            let (provider, model) = asked.unwrap_or_else(chosen);
            let data = match &files.data {
                Some(digest) => Some(super::artifacts::body(db, digest)?),
                None => None,
            };
            snapshots.push(StageSnapshot {
                row,
                planned: planned.clone(),
                provider,
                model,
                data,
                content_hash: files.content_hash,
                artifacts: mine,
            });
        }
        let usage = calls::usage(db, run)?;
        Ok(Some(Self { run: row, plan, stages: snapshots, usage }))
    }

    /// `plan.json`: what was resolved when the run began.
    pub(crate) fn plan_file(&self) -> Result<Vec<u8>, Error> {
        text_of(&PlanFile {
            run_id: self.run.id.as_str(),
            fallback_applied: self.plan.fallback.is_some(),
            plan: record::plan_record(&self.plan),
        })
    }

    /// The run's `manifest.json`.
    pub(crate) fn manifest(&self) -> Result<Vec<u8>, Error> {
        let run = &self.run;
        text_of(&RunManifest {
            run_id: run.id.as_str(),
            files_version: run.version,
            title: &run.title,
            status: run.status.as_str(),
            requested_mode: run.requested_mode.as_str(),
            effective_mode: run.effective_mode.as_str(),
            profile_version: &run.profile_version,
            fallback_applied: run.fallback.is_some(),
            thread_id: run.belonging.thread_id.as_deref(),
            brand_id: run.belonging.brand_id.as_deref(),
            project_id: run.belonging.project_id.as_deref(),
            created_at: shown(run.created_at),
            updated_at: shown(run.updated_at),
            ended_at: run.ended_at.map(shown),
            error_code: run.fault.as_ref().map(|fault| fault.code.as_str()),
            error_message: run.fault.as_ref().map(|fault| fault.message.as_str()),
            retryable: run.fault.as_ref().map(|fault| fault.retryable),
            stages: self.stages.iter().map(StageEntry::of).collect(),
            usage: UsageEntry::of(&self.usage),
        })
    }

    /// A stage's `output.json`.
    pub(crate) fn output(&self, stage: &StageSnapshot) -> Result<Vec<u8>, Error> {
        let row = &stage.row;
        text_of(&Output {
            run_id: self.run.id.as_str(),
            stage_key: row.key.as_str(),
            status: row.status.as_str(),
            attempt: row.attempt,
            provider: &stage.provider,
            model: &stage.model,
            usage: UsageEntry::of(&row.usage),
            started_at: row.started_at.map(shown),
            ended_at: row.ended_at.map(shown),
            retry_at: row.retry_at.map(shown),
            feedback: row.feedback.as_deref(),
            summary: row.summary.as_deref(),
            data: stage.data.clone().map(JsonRecord::from_stored),
            error_code: row.fault.as_ref().map(|fault| fault.code.as_str()),
            error_message: row.fault.as_ref().map(|fault| fault.message.as_str()),
            retryable: row.fault.as_ref().map(|fault| fault.retryable),
        })
    }

    /// A stage's `manifest.json`.
    pub(crate) fn stage_manifest(&self, stage: &StageSnapshot) -> Result<Vec<u8>, Error> {
        let plugin = &stage.planned.plugin;
        let current = stage.artifacts.iter().filter(|artifact| artifact.current);
        text_of(&StageManifest {
            run_id: self.run.id.as_str(),
            stage_key: stage.row.key.as_str(),
            title: &stage.row.title,
            status: stage.row.status.as_str(),
            attempt: stage.row.attempt,
            plugin: PluginEntry {
                name: &plugin.name,
                version: &plugin.version,
                digest: plugin.digest.as_str(),
            },
            content_hash: stage.content_hash.as_ref().map(Digest::as_str),
            artifacts: current.map(|artifact| ArtifactEntry::of(artifact, stage)).collect(),
        })
    }
}

#[derive(Serialize)]
struct PlanFile<'a> {
    run_id: &'a str,
    fallback_applied: bool,
    #[serde(flatten)]
    plan: PlanRecord,
}

#[derive(Serialize)]
struct RunManifest<'a> {
    run_id: &'a str,
    files_version: u64,
    title: &'a str,
    status: &'a str,
    requested_mode: &'a str,
    effective_mode: &'a str,
    profile_version: &'a str,
    fallback_applied: bool,
    thread_id: Option<&'a str>,
    brand_id: Option<&'a str>,
    project_id: Option<&'a str>,
    created_at: String,
    updated_at: String,
    ended_at: Option<String>,
    error_code: Option<&'a str>,
    error_message: Option<&'a str>,
    retryable: Option<bool>,
    stages: Vec<StageEntry<'a>>,
    usage: UsageEntry,
}

#[derive(Serialize)]
struct StageEntry<'a> {
    stage_key: &'a str,
    /// `None` for a stage that was not begun.
    folder: Option<String>,
    status: &'a str,
    attempt: u32,
    artifacts: Vec<&'a str>,
}

impl<'a> StageEntry<'a> {
    fn of(stage: &'a StageSnapshot) -> Self {
        let row = &stage.row;
        let current = stage.artifacts.iter().filter(|artifact| artifact.current);
        Self {
            stage_key: row.key.as_str(),
            folder: (row.attempt > 0).then(|| folder_name(row.position, &row.key)),
            status: row.status.as_str(),
            attempt: row.attempt,
            artifacts: current.map(|artifact| artifact.name.as_str()).collect(),
        }
    }
}

#[derive(Serialize)]
struct Output<'a> {
    run_id: &'a str,
    stage_key: &'a str,
    status: &'a str,
    attempt: u32,
    provider: &'a str,
    model: &'a str,
    usage: UsageEntry,
    started_at: Option<String>,
    ended_at: Option<String>,
    /// When the next attempt begins, while the stage waits for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<String>,
    /// What a reviewer wants changed, until the stage is done again.
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback: Option<&'a str>,
    summary: Option<&'a str>,
    data: Option<JsonRecord>,
    error_code: Option<&'a str>,
    error_message: Option<&'a str>,
    retryable: Option<bool>,
}

#[derive(Serialize)]
struct StageManifest<'a> {
    run_id: &'a str,
    stage_key: &'a str,
    title: &'a str,
    status: &'a str,
    attempt: u32,
    plugin: PluginEntry<'a>,
    content_hash: Option<&'a str>,
    artifacts: Vec<ArtifactEntry<'a>>,
}

#[derive(Serialize)]
struct PluginEntry<'a> {
    name: &'a str,
    version: &'a str,
    digest: &'a str,
}

#[derive(Serialize)]
struct ArtifactEntry<'a> {
    name: &'a str,
    media_type: &'a str,
    digest: &'a str,
    size_bytes: u64,
    attempt: u32,
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_by: Option<&'a str>,
    /// The file has the version that holds; the texts of the others are in the database.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    earlier_versions: Vec<VersionEntry<'a>>,
}

#[derive(Serialize)]
struct VersionEntry<'a> {
    version: u32,
    attempt: u32,
    digest: &'a str,
    size_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_by: Option<&'a str>,
}

impl<'a> ArtifactEntry<'a> {
    fn of(artifact: &'a ArtifactRow, stage: &'a StageSnapshot) -> Self {
        let is_earlier =
            |other: &&ArtifactRow| other.name == artifact.name && other.version < artifact.version;
        Self {
            name: artifact.name.as_str(),
            media_type: &artifact.media_type,
            digest: artifact.digest.as_str(),
            size_bytes: artifact.size_bytes,
            attempt: artifact.attempt,
            version: artifact.version,
            edited_by: artifact.edited_by.as_deref(),
            earlier_versions: stage
                .artifacts
                .iter()
                .filter(is_earlier)
                .map(|earlier| VersionEntry {
                    version: earlier.version,
                    attempt: earlier.attempt,
                    digest: earlier.digest.as_str(),
                    size_bytes: earlier.size_bytes,
                    edited_by: earlier.edited_by.as_deref(),
                })
                .collect(),
        }
    }
}

#[derive(Serialize)]
struct UsageEntry {
    calls: u64,
    cache_hits: u64,
    failed_calls: u64,
    input_tokens: u64,
    output_tokens: u64,
    cached_tokens: u64,
    cache_write_tokens: u64,
    reasoning_tokens: u64,
    cost_nano_usd: Option<u64>,
    model_wait_ms: u64,
}

impl UsageEntry {
    fn of(usage: &UsageSum) -> Self {
        Self {
            calls: usage.calls,
            cache_hits: usage.cache_hits,
            failed_calls: usage.failed_calls,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cached_tokens: usage.cached_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            cost_nano_usd: usage.cost_nano_usd,
            model_wait_ms: usage.model_wait_ms,
        }
    }
}

/// Time as people write it; the bare number where no calendar reaches.
fn shown(at: Timestamp) -> String {
    let ms = at.as_unix_ms();
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

fn text_of(file: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut text =
        serde_json::to_vec_pretty(file).map_err(|error| Error::database(error.to_string()))?;
    text.push(b'\n');
    Ok(text)
}
