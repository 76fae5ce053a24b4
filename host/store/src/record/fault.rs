//! A fault as it is stored: its codes, from which its kind is found again.
use domain::model::ModelErrorKind;
use domain::{Fault, FaultKind};
use serde::{Deserialize, Serialize};

use super::Unreadable;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FaultRecord {
    code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plugin_code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    message: String,
    /// Follows from the code; for people and programs that read the log.
    #[serde(default)]
    retryable: bool,
}

impl From<&Fault> for FaultRecord {
    fn from(fault: &Fault) -> Self {
        let retry_after_ms = match &fault.kind {
            FaultKind::Model(ModelErrorKind::RateLimited { retry_after_ms }) => *retry_after_ms,
            _ => None,
        };
        Self {
            code: fault.kind.code().to_owned(),
            plugin_code: fault.kind.plugin_code().map(str::to_owned),
            retry_after_ms,
            message: fault.message.clone(),
            retryable: fault.kind.is_retryable(),
        }
    }
}

impl TryFrom<FaultRecord> for Fault {
    type Error = Unreadable;

    fn try_from(record: FaultRecord) -> Result<Self, Unreadable> {
        let plugin_code = record.plugin_code.as_deref().unwrap_or_default();
        let kind = FaultKind::from_code(&record.code, plugin_code, record.retry_after_ms)
            .ok_or_else(|| Unreadable(format!("unknown fault `{}`", record.code)))?;
        Ok(Fault { kind, message: record.message })
    }
}

/// The kind of a model's error that has this code.
pub(crate) fn model_error_kind(code: &str, retry_after: Option<u64>) -> Option<ModelErrorKind> {
    ModelErrorKind::from_code(code).map(|kind| kind.with_retry_after(retry_after))
}
