//! What a grant leads to: the first question of the next stage, its length and about what it costs.
use std::time::Duration;

use domain::plan::PlannedStage;
use domain::run::GateSubject;
use domain::{Plan, StageIdx};
use engine::{Engine, PromptPreview};
use store::{ApprovalRow, ApprovalStatus};

use crate::dto::NextStageDto;
use crate::{Code, Problem};

/// Longest time that the page of an approval waits for the next stage's prompt. A plugin builds one in milliseconds; one
/// that does not must not keep a reviewer from what there is to read.
const PROMPT_TIME_MAX: Duration = Duration::from_secs(5);

/// The stage after a gate that waits for a grant of its result, if there is one. Why its prompt cannot be built is part
/// of the answer.
pub(super) async fn next_stage(
    engine: &Engine,
    row: &ApprovalRow,
    plan: &Plan,
) -> Option<NextStageDto> {
    if row.status != ApprovalStatus::Pending || row.subject != GateSubject::Result {
        return None;
    }
    let position = plan.position(&row.stage)?;
    let planned = plan.stage(StageIdx(position.0.checked_add(1)?))?;
    Some(NextStageDto::new(&row.run, planned, preview(engine, row, planned).await))
}

async fn preview(
    engine: &Engine,
    row: &ApprovalRow,
    planned: &PlannedStage,
) -> Result<PromptPreview, Problem> {
    let building = engine.prompt(&row.run, &planned.key);
    match tokio::time::timeout(PROMPT_TIME_MAX, building).await {
        Ok(built) => Ok(built?),
        Err(_) => {
            let seconds = PROMPT_TIME_MAX.as_secs();
            let detail = format!("the prompt of `{}` was not built in {seconds} s", planned.key);
            let hint = "ask for the prompt alone: that waits for as long as the profile lets it";
            Err(Problem::new(Code::LimitWallTime, detail).with_hint(hint))
        }
    }
}
