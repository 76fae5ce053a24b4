//! What happens right now.
use engine::Live;

use crate::dto::LiveDto;

impl LiveDto {
    /// What is shown of it; `None` where it only says that the log has to be read.
    pub(crate) fn shown(live: Live) -> Option<Self> {
        match live {
            Live::Appended | Live::Lagged => None,
            Live::CallStarted { stage, attempt, ordinal, provider, model } => {
                let stage = stage.to_string();
                Some(LiveDto::ModelCallStarted { stage, attempt, ordinal, provider, model })
            }
            Live::Retrying { stage, attempt, ordinal, try_number, wait_ms, cause } => {
                let stage = stage.to_string();
                Some(LiveDto::ModelRetrying { stage, attempt, ordinal, try_number, wait_ms, cause })
            }
            Live::FallingBack { stage, attempt, ordinal, provider, model, cause } => {
                let stage = stage.to_string();
                Some(LiveDto::ModelFallingBack { stage, attempt, ordinal, provider, model, cause })
            }
            Live::Text { stage, attempt, ordinal, text } => {
                Some(LiveDto::ModelText { stage: stage.to_string(), attempt, ordinal, text })
            }
            Live::Reasoning { stage, attempt, ordinal, text } => {
                Some(LiveDto::ModelReasoning { stage: stage.to_string(), attempt, ordinal, text })
            }
        }
    }

    /// The question that it belongs to: stage, attempt, ordinal.
    pub(crate) fn question(&self) -> (&str, u32, u32) {
        match self {
            LiveDto::ModelCallStarted { stage, attempt, ordinal, .. }
            | LiveDto::ModelRetrying { stage, attempt, ordinal, .. }
            | LiveDto::ModelFallingBack { stage, attempt, ordinal, .. }
            | LiveDto::ModelText { stage, attempt, ordinal, .. }
            | LiveDto::ModelReasoning { stage, attempt, ordinal, .. } => {
                (stage, *attempt, *ordinal)
            }
        }
    }
}
