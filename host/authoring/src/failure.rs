//! How a stage failed, for whoever looks for the reason: in full, because what is compared with a file leaves out what
//! differs from build to build.
use domain::port::Attempt;
use serde::Serialize;

/// Lines of the log that are told of a stage that failed: what a panic writes, and some before it.
const LOG_LINE_COUNT: usize = 10;

/// How a stage failed that should not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The host's code, e.g. `plugin_trapped`.
    pub error_code: String,
    /// The plugin's own code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin_code: Option<String>,
    /// Whether another try may help.
    pub retryable: bool,
    /// What happened and, where it is known, where in the code.
    pub error_message: String,
    /// The last lines of the log, each with its level and its fields.
    pub log: Vec<String>,
}

impl Failure {
    /// How an attempt failed, if it did.
    pub(crate) fn of(attempt: &Attempt) -> Option<Self> {
        let fault = attempt.outcome.as_ref().err()?;
        let lines = &attempt.log.lines;
        let last = &lines[lines.len().saturating_sub(LOG_LINE_COUNT)..];
        Some(Self {
            error_code: fault.kind.code().to_owned(),
            plugin_code: fault.kind.plugin_code().map(str::to_owned),
            retryable: fault.kind.is_retryable(),
            error_message: fault.message.clone(),
            log: last.iter().map(sandbox::told_line).collect(),
        })
    }
}
