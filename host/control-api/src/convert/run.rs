//! Runs, their stages and artifacts.
use domain::plan::PlannedStage;
use domain::run::Status;
use domain::{FaultKind, Plan};
use engine::{Existed, Started};
use store::{ArtifactRow, FaultRow, RunRow, StageRow, StageStatus, StageTimes, UsageSum};

use super::{cost, excerpt, moment};
use crate::dto::{
    ApprovalDto, ArtifactDto, FallbackDto, FaultDto, PlanDto, PluginRefDto, RunDto, RunStatusDto,
    RunSummaryDto, StageDto, StageStatusDto, StartedRunDto, TimingDto, UsageDto,
};

/// What a run is shown with.
pub(crate) struct RunParts<'a> {
    pub(crate) row: &'a RunRow,
    pub(crate) plan: &'a Plan,
    /// In the order of the plan.
    pub(crate) stages: &'a [StageRow],
    pub(crate) open_approval: Option<ApprovalDto>,
    pub(crate) usage: &'a UsageSum,
}

impl From<RunParts<'_>> for RunDto {
    fn from(parts: RunParts<'_>) -> Self {
        let planned = parts.plan.stages.iter();
        let stages = parts.stages.iter().zip(planned);
        Self {
            summary: RunSummaryDto::from(parts.row),
            request_text: parts.row.request_text.clone(),
            plan: PlanDto::from(parts.plan),
            stages: stages.map(|(row, planned)| StageDto::new(parts.row, row, planned)).collect(),
            pending_approval: parts.open_approval,
            usage: UsageDto::from(parts.usage),
            timing: parts
                .stages
                .iter()
                .fold(TimingDto::default(), |sum, stage| sum.plus(&stage.times)),
        }
    }
}

impl StageDto {
    fn new(run: &RunRow, row: &StageRow, planned: &PlannedStage) -> Self {
        Self {
            key: row.key.to_string(),
            position: u32::from(row.position),
            title: row.title.clone(),
            status: StageStatusDto::from(row.status),
            attempt: row.attempt,
            plugin: PluginRefDto::from(&planned.plugin),
            gated: planned.gate.is_some(),
            summary: row.summary.clone(),
            fault: row.fault.as_ref().map(FaultDto::from),
            reproduce: reproduce(run, row),
            retry_at: row.retry_at.map(moment),
            feedback: row.feedback.clone(),
            first_started_at: row.first_started_at.map(moment),
            started_at: row.started_at.map(moment),
            ended_at: row.ended_at.map(moment),
            usage: UsageDto::from(&row.usage),
            timing: TimingDto::default().plus(&row.times),
        }
    }
}

/// The command that does the last attempt again, if it failed and its plugin is the cause.
fn reproduce(run: &RunRow, row: &StageRow) -> Option<String> {
    row.fault.as_ref().filter(|fault| FaultKind::is_code_of_plugin(&fault.code))?;
    let (id, key, attempt) = (&run.id, &row.key, row.attempt);
    let file = format!("{key}.recording.json");
    Some(format!(
        "stagewright plugin record {id} {key} --attempt {attempt} --to {file} && stagewright plugin replay {file}"
    ))
}

impl TimingDto {
    fn plus(self, times: &StageTimes) -> Self {
        Self {
            queue_ms: self.queue_ms + times.queue_ms,
            work_ms: self.work_ms + times.work_ms,
            model_wait_ms: self.model_wait_ms + times.model_wait_ms,
            human_wait_ms: self.human_wait_ms + times.human_wait_ms,
        }
    }
}

impl From<&RunRow> for RunSummaryDto {
    fn from(row: &RunRow) -> Self {
        Self {
            run_id: row.id.to_string(),
            version: row.version,
            status: RunStatusDto::from(row.status),
            requested_mode: row.requested_mode.to_string(),
            effective_mode: row.effective_mode.to_string(),
            fallback_applied: row.fallback.is_some(),
            fallback: row.fallback.map(FallbackDto::from),
            profile_version: row.profile_version.clone(),
            title: row.title.clone(),
            request_excerpt: excerpt(&row.request_text),
            thread_id: row.belonging.thread_id.clone(),
            brand_id: row.belonging.brand_id.clone(),
            project_id: row.belonging.project_id.clone(),
            created_at: moment(row.created_at),
            updated_at: moment(row.updated_at),
            ended_at: row.ended_at.map(moment),
            stage_count: row.stage_count,
            stages_done: row.stages_done,
            current_stage: row.current_stage.as_ref().map(ToString::to_string),
            fault: row.fault.as_ref().map(FaultDto::from),
            started_by: row.started_by.clone(),
            // What is noted of a paused run means nothing until it goes on.
            wakes_at: row.wakes_at.filter(|_| row.status != Status::Paused).map(moment),
        }
    }
}

impl From<&Started> for StartedRunDto {
    fn from(started: &Started) -> Self {
        let plan = &started.plan;
        Self {
            run_id: started.run_id.to_string(),
            status: RunStatusDto::from(started.status),
            requested_mode: plan.requested_mode.to_string(),
            effective_mode: plan.effective_mode.to_string(),
            fallback_applied: plan.fallback.is_some(),
            fallback: plan.fallback.map(FallbackDto::from),
            profile_version: plan.profile_version.clone(),
            existed: started.existed == Existed::Known,
        }
    }
}

impl From<&FaultRow> for FaultDto {
    fn from(fault: &FaultRow) -> Self {
        Self {
            error_code: fault.code.clone(),
            error_message: fault.message.clone(),
            retryable: fault.retryable,
            plugin_code: None,
        }
    }
}

impl From<&UsageSum> for UsageDto {
    fn from(usage: &UsageSum) -> Self {
        Self {
            calls: usage.calls,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cached_tokens: usage.cached_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            cost: usage.cost_nano_usd.map(cost),
            cache_hits: usage.cache_hits,
            failed_calls: usage.failed_calls,
        }
    }
}

impl From<&ArtifactRow> for ArtifactDto {
    fn from(row: &ArtifactRow) -> Self {
        Self {
            stage: row.stage.to_string(),
            name: row.name.to_string(),
            version: row.version,
            current: row.current,
            attempt: row.attempt,
            edited_by: row.edited_by.clone(),
            media_type: row.media_type.clone(),
            size_bytes: row.size_bytes,
            digest: row.digest.to_string(),
            created_at: moment(row.at),
        }
    }
}

impl From<Status> for RunStatusDto {
    fn from(status: Status) -> Self {
        match status {
            Status::Queued => RunStatusDto::Queued,
            Status::Running => RunStatusDto::Running,
            Status::WaitingApproval => RunStatusDto::WaitingApproval,
            Status::Paused => RunStatusDto::Paused,
            Status::Completed => RunStatusDto::Completed,
            Status::Failed => RunStatusDto::Failed,
            Status::Canceled => RunStatusDto::Canceled,
        }
    }
}

impl From<RunStatusDto> for Status {
    fn from(status: RunStatusDto) -> Self {
        match status {
            RunStatusDto::Queued => Status::Queued,
            RunStatusDto::Running => Status::Running,
            RunStatusDto::WaitingApproval => Status::WaitingApproval,
            RunStatusDto::Paused => Status::Paused,
            RunStatusDto::Completed => Status::Completed,
            RunStatusDto::Failed => Status::Failed,
            RunStatusDto::Canceled => Status::Canceled,
        }
    }
}

impl From<StageStatus> for StageStatusDto {
    fn from(status: StageStatus) -> Self {
        match status {
            StageStatus::Pending => StageStatusDto::Pending,
            StageStatus::Running => StageStatusDto::Running,
            StageStatus::BackingOff => StageStatusDto::BackingOff,
            StageStatus::WaitingApproval => StageStatusDto::WaitingApproval,
            StageStatus::Done => StageStatusDto::Done,
            StageStatus::Failed => StageStatusDto::Failed,
            StageStatus::Rejected => StageStatusDto::Rejected,
            StageStatus::Canceled => StageStatusDto::Canceled,
        }
    }
}
