//! Faults: what a guest or a provider did wrong. A fault is data; it fails an attempt and never the host.

use crate::model::ModelErrorKind;

/// Why an attempt at a stage failed: the error triple and what helps to find the cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What went wrong.
    pub kind: FaultKind,
    /// What happened, where, and what to do, for a person. May have several lines.
    pub message: String,
}

/// A bound that a guest ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Linear memory, in bytes.
    Memory,
    /// Computing time.
    CpuTime,
    /// Time from start to end.
    WallTime,
    /// Bytes of one call between guest and host.
    CallBytes,
    /// Number of artifacts.
    ArtifactCount,
    /// Bytes of one artifact.
    ArtifactBytes,
    /// Depth of the guest's call stack.
    Stack,
}

impl Limit {
    /// All of them.
    pub const ALL: [Limit; 7] = [
        Limit::Memory,
        Limit::CpuTime,
        Limit::WallTime,
        Limit::CallBytes,
        Limit::ArtifactCount,
        Limit::ArtifactBytes,
        Limit::Stack,
    ];

    /// The stable code of a fault by this limit.
    pub fn code(self) -> &'static str {
        match self {
            Limit::Memory => "limit_memory",
            Limit::CpuTime => "limit_cpu_time",
            Limit::WallTime => "limit_wall_time",
            Limit::CallBytes => "limit_call_bytes",
            Limit::ArtifactCount => "limit_artifact_count",
            Limit::ArtifactBytes => "limit_artifact_bytes",
            Limit::Stack => "limit_stack",
        }
    }
}

/// The ways in which an attempt fails.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The guest trapped: a panic, an `unreachable`, a bad memory access.
    Trap,
    /// The guest ran into a bound.
    Limit(Limit),
    /// The component is gone, damaged, or does not fit the contract.
    PluginNotLoadable,
    /// The guest asked the model where it may not: in `describe` or `build-prompt`.
    ModelCallInPreview,
    /// The output has an artifact whose name is not a file name.
    ArtifactName,
    /// The output lacks an artifact that the plugin announces, has one that it does not, or has one twice.
    ArtifactSet,
    /// The output's data or a variable is not JSON, or a variable's name is not a name.
    OutputNotJson,
    /// The stage cannot work on its context or settings (`bad-input`).
    BadInput {
        /// The plugin's own code.
        code: String,
    },
    /// The model's answer could not be used (`invalid-output`).
    InvalidOutput {
        /// The plugin's own code.
        code: String,
    },
    /// Something passing, in the plugin's eyes (`transient`).
    Transient {
        /// The plugin's own code.
        code: String,
    },
    /// A person has to decide (`needs-human`).
    NeedsHuman {
        /// The plugin's own code.
        code: String,
    },
    /// A model call failed, and the stage gave up for it.
    Model(ModelErrorKind),
    /// After a crash the attempt asked something else than before; nothing was paid on a guess.
    ReplayDiverged,
    /// The host itself could not go on with the attempt, e.g. because its disk is full.
    Host,
}

impl FaultKind {
    /// Every code that [`Self::code`] gives, each once.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        Self::kinds().map(|kind| kind.code())
    }

    /// Whether a fault with this code is the plugin's own doing ([`Self::is_of_plugin`]).
    pub fn is_code_of_plugin(code: &str) -> bool {
        Self::kinds().any(|kind| kind.code() == code && kind.is_of_plugin())
    }

    /// Whether the plugin did it, so that the same attempt does it again wherever it is replayed.
    pub fn is_of_plugin(&self) -> bool {
        match self {
            FaultKind::Trap
            | FaultKind::Limit(_)
            | FaultKind::PluginNotLoadable
            | FaultKind::ModelCallInPreview
            | FaultKind::ArtifactName
            | FaultKind::ArtifactSet
            | FaultKind::OutputNotJson
            | FaultKind::BadInput { .. }
            | FaultKind::InvalidOutput { .. }
            | FaultKind::Transient { .. } => true,
            FaultKind::NeedsHuman { .. }
            | FaultKind::Model(_)
            | FaultKind::ReplayDiverged
            | FaultKind::Host => false,
        }
    }

    /// Whether the plugin said so itself, in an orderly way: the message is its own words, or those of the model's error that
    /// it passed on.
    pub fn is_declared(&self) -> bool {
        match self {
            FaultKind::BadInput { .. }
            | FaultKind::InvalidOutput { .. }
            | FaultKind::Transient { .. }
            | FaultKind::NeedsHuman { .. }
            | FaultKind::Model(_) => true,
            FaultKind::Trap
            | FaultKind::Limit(_)
            | FaultKind::PluginNotLoadable
            | FaultKind::ModelCallInPreview
            | FaultKind::ArtifactName
            | FaultKind::ArtifactSet
            | FaultKind::OutputNotJson
            | FaultKind::ReplayDiverged
            | FaultKind::Host => false,
        }
    }

    /// The kind with this code, with what a record has beside it; `None` if no kind has it.
    pub fn from_code(
        code: &str,
        plugin_code: &str,
        retry_after_ms: Option<u64>,
    ) -> Option<FaultKind> {
        let found = Self::kinds_with(plugin_code).find(|kind| kind.code() == code)?;
        Some(if let FaultKind::Model(kind) = found {
            FaultKind::Model(kind.with_retry_after(retry_after_ms))
        } else {
            found
        })
    }

    /// Every kind, each once. The plugin's own code is no part of the answer.
    fn kinds() -> impl Iterator<Item = FaultKind> {
        Self::kinds_with("")
    }

    /// Every kind, each once, with this code of a plugin.
    fn kinds_with(plugin_code: &str) -> impl Iterator<Item = FaultKind> {
        let code = || plugin_code.to_owned();
        let own = [
            FaultKind::Trap,
            FaultKind::PluginNotLoadable,
            FaultKind::ModelCallInPreview,
            FaultKind::ArtifactName,
            FaultKind::ArtifactSet,
            FaultKind::OutputNotJson,
            FaultKind::BadInput { code: code() },
            FaultKind::InvalidOutput { code: code() },
            FaultKind::Transient { code: code() },
            FaultKind::NeedsHuman { code: code() },
            FaultKind::ReplayDiverged,
            FaultKind::Host,
        ];
        let of_limits = Limit::ALL.into_iter().map(FaultKind::Limit);
        let of_models = ModelErrorKind::ALL.into_iter().map(FaultKind::Model);
        own.into_iter().chain(of_limits).chain(of_models)
    }

    /// The stable `error_code` of the error triple.
    pub fn code(&self) -> &'static str {
        match self {
            FaultKind::Trap => "plugin_trapped",
            FaultKind::Limit(limit) => limit.code(),
            FaultKind::PluginNotLoadable => "plugin_not_loadable",
            FaultKind::ModelCallInPreview => "model_call_in_preview",
            FaultKind::ArtifactName => "artifact_name_invalid",
            FaultKind::ArtifactSet => "artifact_set_invalid",
            FaultKind::OutputNotJson => "output_not_json",
            FaultKind::BadInput { .. } => "stage_bad_input",
            FaultKind::InvalidOutput { .. } => "stage_invalid_output",
            FaultKind::Transient { .. } => "stage_transient",
            FaultKind::NeedsHuman { .. } => "stage_needs_human",
            FaultKind::Model(kind) => kind.code(),
            FaultKind::ReplayDiverged => "replay_diverged",
            FaultKind::Host => "host_failure",
        }
    }

    /// The plugin's own code, where the fault comes from what the plugin said.
    pub fn plugin_code(&self) -> Option<&str> {
        match self {
            FaultKind::BadInput { code }
            | FaultKind::InvalidOutput { code }
            | FaultKind::Transient { code }
            | FaultKind::NeedsHuman { code } => Some(code),
            FaultKind::Trap
            | FaultKind::Limit(_)
            | FaultKind::PluginNotLoadable
            | FaultKind::ModelCallInPreview
            | FaultKind::ArtifactName
            | FaultKind::ArtifactSet
            | FaultKind::OutputNotJson
            | FaultKind::Model(_)
            | FaultKind::ReplayDiverged
            | FaultKind::Host => None,
        }
    }

    /// The `retryable` of the error triple: whether a new attempt may succeed without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            FaultKind::InvalidOutput { .. }
            | FaultKind::Transient { .. }
            | FaultKind::ReplayDiverged
            | FaultKind::Host
            | FaultKind::Limit(Limit::WallTime) => true,
            FaultKind::Model(kind) => kind.is_retryable(),
            FaultKind::Trap
            | FaultKind::Limit(
                Limit::Memory
                | Limit::CpuTime
                | Limit::CallBytes
                | Limit::ArtifactCount
                | Limit::ArtifactBytes
                | Limit::Stack,
            )
            | FaultKind::PluginNotLoadable
            | FaultKind::ModelCallInPreview
            | FaultKind::ArtifactName
            | FaultKind::ArtifactSet
            | FaultKind::OutputNotJson
            | FaultKind::BadInput { .. }
            | FaultKind::NeedsHuman { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The kind after this one, so that a kind which nobody lists does not compile.
    fn next(kind: &FaultKind) -> Option<FaultKind> {
        let code = String::new;
        Some(match kind {
            FaultKind::Trap => FaultKind::Limit(Limit::Stack),
            FaultKind::Limit(_) => FaultKind::PluginNotLoadable,
            FaultKind::PluginNotLoadable => FaultKind::ModelCallInPreview,
            FaultKind::ModelCallInPreview => FaultKind::ArtifactName,
            FaultKind::ArtifactName => FaultKind::ArtifactSet,
            FaultKind::ArtifactSet => FaultKind::OutputNotJson,
            FaultKind::OutputNotJson => FaultKind::BadInput { code: code() },
            FaultKind::BadInput { .. } => FaultKind::InvalidOutput { code: code() },
            FaultKind::InvalidOutput { .. } => FaultKind::Transient { code: code() },
            FaultKind::Transient { .. } => FaultKind::NeedsHuman { code: code() },
            FaultKind::NeedsHuman { .. } => FaultKind::Model(ModelErrorKind::Timeout),
            FaultKind::Model(_) => FaultKind::ReplayDiverged,
            FaultKind::ReplayDiverged => FaultKind::Host,
            FaultKind::Host => return None,
        })
    }

    #[test]
    fn every_kind_of_fault_has_its_code_in_the_list_once() {
        let codes: Vec<&str> = FaultKind::codes().collect();
        let kinds = std::iter::successors(Some(FaultKind::Trap), next);
        kinds.for_each(|kind| assert!(codes.contains(&kind.code()), "{}", kind.code()));
        assert_eq!(
            codes.iter().collect::<HashSet<_>>().len(),
            codes.len(),
            "a code is listed twice"
        );
    }
}
