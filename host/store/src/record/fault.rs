//! A fault as it is stored: its codes, from which its kind is found again.
use domain::fault::Limit;
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
        Ok(Fault { kind: kind_of(&record)?, message: record.message })
    }
}

const LIMITS: [Limit; 7] = [
    Limit::Memory,
    Limit::CpuTime,
    Limit::WallTime,
    Limit::CallBytes,
    Limit::ArtifactCount,
    Limit::ArtifactBytes,
    Limit::Stack,
];

fn kind_of(record: &FaultRecord) -> Result<FaultKind, Unreadable> {
    let plugin_code = || record.plugin_code.clone().unwrap_or_default();
    let bare = [
        FaultKind::Trap,
        FaultKind::PluginNotLoadable,
        FaultKind::ModelCallInPreview,
        FaultKind::ArtifactName,
        FaultKind::ArtifactSet,
        FaultKind::OutputNotJson,
        FaultKind::ReplayDiverged,
        FaultKind::Host,
        FaultKind::BadInput { code: plugin_code() },
        FaultKind::InvalidOutput { code: plugin_code() },
        FaultKind::Transient { code: plugin_code() },
        FaultKind::NeedsHuman { code: plugin_code() },
    ];
    let limits = LIMITS.into_iter().map(FaultKind::Limit);
    let model = model_error_kind(&record.code, record.retry_after_ms).map(FaultKind::Model);
    let mut all = bare.into_iter().chain(limits).chain(model);
    all.find(|kind| kind.code() == record.code)
        .ok_or_else(|| Unreadable(format!("unknown fault `{}`", record.code)))
}

/// The kind of a model's error that has this code.
pub(crate) fn model_error_kind(code: &str, retry_after: Option<u64>) -> Option<ModelErrorKind> {
    ModelErrorKind::from_code(code).map(|kind| match kind {
        ModelErrorKind::RateLimited { .. } => {
            ModelErrorKind::RateLimited { retry_after_ms: retry_after }
        }
        other => other,
    })
}
