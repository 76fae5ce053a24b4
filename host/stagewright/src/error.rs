//! Why a command did not do what was asked, with the cure and the exit code.
//!
//! A fault of the run itself is not an error here: it is part of what a command shows (see `follow`).
use std::path::Path;

use control_api::dto::ProblemDto;
use gateway::{PriceListError, PriceListProblem};

use crate::telemetry::TelemetryError;
use crate::vault::VaultError;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was asked for is done.
    Done = 0,
    /// It was refused, or the run failed.
    Refused = 1,
    /// The command line cannot be understood.
    Usage = 2,
    /// Ours, or the machine's.
    Internal = 3,
    /// The run waits: at a gate, paused, or left before its end.
    Waits = 4,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(exit as u8)
    }
}

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line is well formed and still makes no sense.
    #[error("{message}")]
    Usage { message: String, hint: Option<String> },
    /// The configuration cannot be used.
    #[error("{message}")]
    Config { message: String, hint: Option<String> },
    /// A price list cannot be used.
    #[error("{}", price_list_said(.file, .error))]
    PriceList { file: String, error: PriceListError },
    /// The host said no.
    #[error("{}", said_by(.0))]
    Problem(Box<ProblemDto>),
    /// The data folder is in use by a process that does not serve.
    #[error("the data folder `{data_dir}` is in use by process {pid}, which does not serve")]
    InUse { data_dir: String, pid: u32 },
    /// There is a server already.
    #[error("the data folder `{data_dir}` is served by process {pid} already: {url}")]
    Served { data_dir: String, pid: u32, url: String },
    /// The server of this data folder does not answer.
    #[error("the server of the data folder does not answer: {url}: {detail}")]
    Unreachable { url: String, detail: String },
    /// The server answers something that is not ours.
    #[error("the server at {url} answers what this version does not understand: {detail}")]
    NotUnderstood { url: String, detail: String },
    /// Listening there needs a token.
    #[error("`{host}` can be reached from other machines, and no token is configured")]
    TokenMissing { host: String },
    /// The port is taken.
    #[error("port {port} of `{host}` is in use")]
    PortInUse { host: String, port: u16 },
    /// The address cannot be listened on.
    #[error("`{host}` port {port} cannot be listened on: {detail}")]
    Listen { host: String, port: u16, detail: String },
    /// It cannot be done as things are.
    #[error("{message}")]
    Refused { message: String, hint: &'static str },
    /// Something that a check found is not in order; it has been shown.
    #[error("{0}")]
    CheckFailed(String),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Archive(#[from] store::ArchiveError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    Gateway(#[from] gateway::Error),
    #[error(transparent)]
    Registry(#[from] gateway::registry::RegistryError),
    #[error(transparent)]
    Authoring(#[from] authoring::Error),
    #[error(transparent)]
    Sandbox(#[from] sandbox::Error),
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The machine does not do what every machine does.
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
}

/// The problems that are ours or the machine's. Whatever else the host, a provider or a plugin refuses is an answer,
/// whatever its HTTP status.
const FAILURES_OF_THE_HOST: [&str; 5] =
    ["internal", "host_failure", "disk_full", "data_folder_read_only", "not_ready"];

fn said_by(problem: &ProblemDto) -> String {
    match &problem.request_id {
        Some(request_id) => format!("{} (request {request_id})", problem.detail),
        None => problem.detail.clone(),
    }
}

impl Error {
    pub(crate) fn usage(message: impl Into<String>) -> Error {
        Error::Usage { message: message.into(), hint: None }
    }

    /// The component that was named on the command line is not there, or not to be read.
    pub(crate) fn unreadable_component(path: &Path, error: &std::io::Error) -> Error {
        Error::Usage {
            message: format!("`{}` cannot be read: {error}", path.display()),
            hint: Some("name a component that exists and that you may read".to_owned()),
        }
    }

    /// The archive that was named on the command line is not there, or not to be read.
    pub(crate) fn unreadable_archive(path: &Path, error: &std::io::Error) -> Error {
        Error::Usage {
            message: format!("`{}` cannot be read: {error}", path.display()),
            hint: Some("name an archive that exists and that you may read".to_owned()),
        }
    }

    /// The process's answer to whoever called it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Error::Usage { .. }
            | Error::Config { .. }
            | Error::PriceList { .. }
            | Error::Telemetry(_) => Exit::Usage,
            Error::Problem(problem) if FAILURES_OF_THE_HOST.contains(&problem.code.as_str()) => {
                Exit::Internal
            }
            Error::Authoring(authoring::Error::Io { .. }) => Exit::Internal,
            Error::Authoring(_) => Exit::Refused,
            Error::Store(store::Error::Locked { .. }) => Exit::Refused,
            Error::Archive(store::ArchiveError::Store(_)) => Exit::Internal,
            Error::Store(_)
            | Error::Engine(_)
            | Error::Sandbox(_)
            | Error::Io { .. }
            | Error::NotUnderstood { .. } => Exit::Internal,
            Error::Problem(_)
            | Error::InUse { .. }
            | Error::Served { .. }
            | Error::Unreachable { .. }
            | Error::TokenMissing { .. }
            | Error::PortInUse { .. }
            | Error::Listen { .. }
            | Error::CheckFailed(_)
            | Error::Refused { .. }
            | Error::Archive(_)
            | Error::Vault(_)
            | Error::Gateway(_)
            | Error::Registry(_) => Exit::Refused,
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        let text = match self {
            Error::Usage { hint, .. } => return hint.clone(),
            Error::Config { hint, .. } => {
                let hint = hint.as_deref();
                hint.unwrap_or("correct it there, then try again")
            }
            Error::Problem(problem) => hint_at_a_terminal(problem),
            Error::Store(error) => error.hint(),
            Error::Archive(error) => error.hint(),
            Error::Gateway(error) => error.hint(),
            Error::Registry(error) => error.hint(),
            Error::Telemetry(error) => error.hint(),
            Error::Vault(error) => return Some(error.hint()),
            Error::Authoring(error) => return error.hint(),
            Error::Refused { hint, .. } => hint,
            Error::InUse { .. } => "wait for it to end, or choose another `--data-dir`",
            Error::Served { .. } => {
                "use it, stop it first, or serve another `--data-dir` on another `--port`"
            }
            Error::Unreachable { .. } => {
                "it may be ending, and let open model calls finish: try again when it has; if it stays so, stop it"
            }
            Error::NotUnderstood { .. } => "run the same version of the program as the server",
            Error::TokenMissing { .. } => {
                "set `STAGEWRIGHT_TOKEN` to a long random text, or listen on `127.0.0.1`"
            }
            Error::PortInUse { .. } => {
                "choose another `--port` (0 takes a free one), or stop what listens there"
            }
            Error::Listen { .. } => "choose an address of this machine with `--host`",
            Error::CheckFailed(_)
            | Error::PriceList { .. }
            | Error::Sandbox(_)
            | Error::Engine(_)
            | Error::Io { .. } => {
                return None;
            }
        };
        Some(text.to_owned()).filter(|text| !text.is_empty())
    }

    /// The stable name of the cause, as in events and over HTTP.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Error::Problem(problem) => Some(&problem.code),
            _ => None,
        }
    }

    /// Everything that is wrong, each with its place.
    pub(crate) fn problems(&self) -> Vec<(String, Option<String>)> {
        let placed = |place: &str, message: &str| match place {
            "" => message.to_owned(),
            place => format!("{place}: {message}"),
        };
        match self {
            Error::Problem(problem) => problem
                .problems
                .iter()
                .map(|item| (placed(&item.place, &item.message), item.hint.clone()))
                .collect(),
            Error::PriceList { file, error } => error
                .problems
                .iter()
                .map(|problem| (placed_in(file, problem), Some(problem.hint.clone())))
                .collect(),
            _ => Vec::new(),
        }
    }
}

fn price_list_said(file: &str, error: &PriceListError) -> String {
    match error.problems.as_slice() {
        [only] => placed_in(file, only),
        many => format!("the price list `{file}` has {} problems", many.len()),
    }
}

fn placed_in(file: &str, problem: &PriceListProblem) -> String {
    format!("{file}:{}:{}: {}", problem.line, problem.column, problem.message)
}

/// The cure as it is typed: the API's own words are for whoever writes a client.
fn hint_at_a_terminal(problem: &ProblemDto) -> &str {
    match problem.code.as_str() {
        "unauthorized" => "set `STAGEWRIGHT_TOKEN` to the token that the server was started with",
        "id_invalid" if problem.hint.contains("list of plugins") => {
            "copy the name from `stagewright plugins list`; of a digest, eight digits are enough"
        }
        "id_invalid" => {
            "copy the name from a list: `stagewright runs list`, `approvals list` or `calls list`"
        }
        "run_unknown" => "list the runs with `stagewright runs list`",
        "artifact_unknown" => "list the artifacts with `stagewright runs artifacts RUN`",
        "approval_unknown" => "list what waits with `stagewright approvals list`",
        "stage_not_named" => "name it with `--stage STAGE`; `stagewright runs show RUN` lists them",
        "call_unknown" => "list the calls with `stagewright calls list`",
        "profile_unknown" => "list the profiles with `stagewright profiles list`",
        "plugin_unknown" if problem.hint.contains("nothing to remove") => &problem.hint,
        "plugin_unknown" => "list the plugins with `stagewright plugins list`",
        "plugin_version_taken" if problem.hint.contains("replace=true") => {
            "raise the version and build it again; or add it with `--replace`, and name and version mean this one"
        }
        "plugin_in_use" => {
            "change the profiles and wait for the runs; or remove it with `--force`: runs that are bound to it have a copy and go on"
        }
        "plugin_unfit" => "do what is said above, then add it again",
        "provider_unknown" => "list the providers with `stagewright providers list`",
        "request_invalid" => "correct it, then try again",
        "reviewer_not_allowed" => {
            "ask one of the reviewers that the approval names; `--actor NAME` says who acts"
        }
        "model_unavailable" => "see whether the provider works with `stagewright providers check`",
        "cursor_invalid" => {
            "take the cursor that the page before ended with, with the same filters"
        }
        _ => &problem.hint,
    }
}

#[cfg(test)]
mod tests {
    use control_api::Code;

    use super::*;

    fn problem(code: Code) -> Error {
        Error::Problem(Box::new(ProblemDto {
            problem_type: String::new(),
            title: code.title().to_owned(),
            status: code.status(),
            detail: String::new(),
            code: code.as_str().to_owned(),
            hint: String::new(),
            retryable: code.is_retryable(),
            request_id: None,
            problems: Vec::new(),
        }))
    }

    #[test]
    fn only_what_is_ours_or_the_machines_is_a_failure_of_the_host() {
        let internal =
            Code::ALL.iter().filter(|code| problem(**code).exit() == Exit::Internal).copied();
        let ours = [
            Code::HostFailure,
            Code::NotReady,
            Code::DataFolderReadOnly,
            Code::DiskFull,
            Code::Internal,
        ];
        assert_eq!(internal.collect::<Vec<_>>(), ours);
        assert_eq!(problem(Code::ModelTimeout).exit(), Exit::Refused);
        let locked = store::Error::Locked { data_dir: "data".into(), owner: None };
        assert_eq!(Error::Store(locked).exit(), Exit::Refused);
    }
}
