//! How the errors of the crates below become problems.
use axum::http::{HeaderValue, header};
use domain::model::{ModelError, ModelErrorKind};
use domain::port::PluginError;
use domain::upload::UploadError;
use profile::{Place, Problems};

use crate::dto::ProblemItemDto;
use crate::{Code, Problem};

impl From<engine::Error> for Problem {
    fn from(error: engine::Error) -> Self {
        Problem::from(&error)
    }
}

impl From<&engine::Error> for Problem {
    fn from(error: &engine::Error) -> Self {
        let said = error.to_string();
        match error {
            engine::Error::Invalid(problems) => Problem::invalid(items(problems)),
            engine::Error::UnknownRun(_) => Problem::new(Code::RunUnknown, said),
            engine::Error::UnknownApproval(_) => Problem::new(Code::ApprovalUnknown, said),
            engine::Error::UnknownStage { .. } => Problem::new(Code::StageUnknown, said),
            engine::Error::UnknownAttempt { .. } => Problem::new(Code::AttemptUnknown, said),
            engine::Error::TextsNotKept { .. } => Problem::new(Code::TextsNotKept, said),
            engine::Error::Refused { refusal, .. } => Problem::new(Code::from(refusal), said),
            engine::Error::IdempotencyConflict { .. } => {
                Problem::new(Code::IdempotencyConflict, said)
            }
            engine::Error::ArtifactsMissing { .. } => Problem::new(Code::ArtifactsMissing, said),
            engine::Error::Fault(fault) => match Code::from(&fault.kind) {
                Code::HostFailure => Problem::hidden(Code::HostFailure, said),
                code => Problem::new(code, said),
            },
            engine::Error::Model(error) => Problem::from(error),
            engine::Error::Plugin(error) => Problem::from(error),
            engine::Error::Upload(error) => Problem::from(error),
            engine::Error::PluginInUse { .. } => Problem::new(Code::PluginInUse, said),
            engine::Error::Archive(error) => Problem::from(error),
            engine::Error::ShuttingDown => Problem::new(Code::ShuttingDown, said),
            engine::Error::Store(error) => Problem::from(error),
        }
    }
}

impl From<&ModelError> for Problem {
    /// The message of a provider's error says what to do and never holds a key, so the caller gets it.
    fn from(error: &ModelError) -> Self {
        let problem = Problem::new(Code::from(error.kind), error.message.clone());
        match error.kind {
            ModelErrorKind::RateLimited { retry_after_ms: Some(wait_ms) } => {
                let seconds = HeaderValue::from(wait_ms.div_ceil(1_000));
                problem.with_header(header::RETRY_AFTER, seconds)
            }
            ModelErrorKind::RateLimited { retry_after_ms: None }
            | ModelErrorKind::Unavailable
            | ModelErrorKind::Timeout
            | ModelErrorKind::BadResponse
            | ModelErrorKind::Rejected
            | ModelErrorKind::Unauthorized
            | ModelErrorKind::ModelNotFound
            | ModelErrorKind::QuotaExhausted
            | ModelErrorKind::ContextTooLong
            | ModelErrorKind::BudgetExhausted
            | ModelErrorKind::NotGranted
            | ModelErrorKind::Canceled => problem,
        }
    }
}

impl From<&PluginError> for Problem {
    fn from(error: &PluginError) -> Self {
        match error {
            PluginError::Unknown { known, .. } if known.is_empty() => {
                Problem::new(Code::PluginUnknown, error.to_string())
            }
            PluginError::Unknown { known, .. } => {
                let detail = format!("{error}: there are {}", known.join(", "));
                Problem::new(Code::PluginUnknown, detail)
            }
            PluginError::Unfit { place, findings } => {
                let item = |finding: &String| ProblemItemDto::at(place.clone(), finding.clone());
                Problem::new(Code::PluginUnusable, error.to_string())
                    .with_items(findings.iter().map(item).collect())
            }
            PluginError::Io { .. } => Problem::hidden(Code::Internal, error.to_string()),
        }
    }
}

impl From<&UploadError> for Problem {
    fn from(error: &UploadError) -> Self {
        let said = error.to_string();
        match error {
            UploadError::Plugin(PluginError::Unfit { place, findings }) => {
                let item = |finding: &String| ProblemItemDto::at(place.clone(), finding.clone());
                Problem::new(Code::PluginUnfit, said)
                    .with_items(findings.iter().map(item).collect())
            }
            UploadError::Plugin(error) => Problem::from(error),
            UploadError::VersionTaken { may_step_back: true, .. } => {
                Problem::new(Code::PluginVersionTaken, said)
            }
            UploadError::VersionTaken { may_step_back: false, .. } => {
                Problem::new(Code::PluginVersionTaken, said)
                    .with_hint("raise the version and build it again, or remove that file first")
            }
            UploadError::Busy { .. } => Problem::new(Code::TooManyUploads, said),
            UploadError::CalledOff => Problem::new(Code::ShuttingDown, said),
            UploadError::NotUploaded { path: Some(path), .. } => {
                Problem::new(Code::PluginNotUploaded, said)
                    .with_hint(format!("remove the file `{path}`: a person put it there"))
            }
            UploadError::NotUploaded { path: None, .. } => {
                Problem::new(Code::PluginNotUploaded, said)
            }
            UploadError::OnlyBound { .. } => Problem::new(Code::PluginUnknown, said).with_hint(
                "there is nothing to remove: a copy goes with the last run that is bound to it",
            ),
            // The version, or the beginning of a digest, was said and is not enough.
            UploadError::Ambiguous { asked, .. } if asked.contains(['@', ':']) => {
                Problem::new(Code::PluginAmbiguous, said).with_hint("name one of these digests")
            }
            UploadError::Ambiguous { .. } => Problem::new(Code::PluginAmbiguous, said),
        }
    }
}

impl From<&store::ArchiveError> for Problem {
    fn from(error: &store::ArchiveError) -> Self {
        use store::ArchiveError as Cause;
        let code = match error {
            Cause::Bad { .. } => Code::ArchiveInvalid,
            Cause::RunExists(_) => Code::RunExists,
            Cause::RunActive { .. } => Code::RunActive,
            // Nothing that a client asks for restores a folder.
            Cause::FolderNotEmpty(_) => Code::Internal,
            Cause::Store(error) => return Problem::from(error),
        };
        Problem::new(code, error.to_string())
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        Problem::from(&error)
    }
}

impl From<&store::Error> for Problem {
    fn from(error: &store::Error) -> Self {
        let code = match error {
            store::Error::BadCursor => return Problem::new(Code::CursorInvalid, error.to_string()),
            store::Error::Locked { .. } => Code::DataFolderLocked,
            store::Error::ReadOnly { .. } => Code::DataFolderReadOnly,
            store::Error::Full { .. } => Code::DiskFull,
            store::Error::Closed => Code::ShuttingDown,
            // The engine settles these two itself: that they arrive here is a fault of the program.
            store::Error::Conflict { .. } | store::Error::StartKeyTaken { .. } => Code::Internal,
            store::Error::Damaged { .. }
            | store::Error::Newer { .. }
            | store::Error::Io { .. }
            | store::Error::Database { .. } => Code::Internal,
        };
        Problem::hidden(code, error.to_string())
    }
}

fn items(problems: &Problems) -> Vec<ProblemItemDto> {
    problems.items().iter().map(ProblemItemDto::from).collect()
}

impl From<&profile::Problem> for ProblemItemDto {
    fn from(problem: &profile::Problem) -> Self {
        let message = problem.message.clone();
        let mut item = match &problem.place {
            Place::Pointer(pointer) => ProblemItemDto::at_pointer(pointer.clone(), message),
            Place::File { path, line, column } => ProblemItemDto {
                file: Some(path.clone()),
                line: Some(*line),
                column: Some(*column),
                ..ProblemItemDto::at(problem.place.to_string(), message)
            },
            Place::FileOnly { path } => ProblemItemDto {
                file: Some(path.clone()),
                ..ProblemItemDto::at(path.clone(), message)
            },
        };
        item.hint = problem.hint.clone();
        item
    }
}
