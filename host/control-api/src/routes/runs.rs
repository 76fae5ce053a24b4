//! Runs: how they are started, watched and commanded.
mod artifact;
mod artifacts;
mod cancel;
mod diff;
mod events;
mod http_requests;
mod list;
mod llm_calls;
mod pause;
mod prompt;
mod recording;
mod resume;
mod retry;
mod show;
mod start;
mod timeline;
mod variables;

use std::sync::Arc;

use domain::RunId;
use domain::run::{Created, Event};
use engine::Engine;
use store::RunRow;

use crate::dto::{CommandRequest, CommandedDto, RunStatusDto};
use crate::{Code, Problem};

// The macro behind `routes!` looks for what the attribute on a handler made beside it, so all of it is taken over.
pub(crate) use {
    artifact::*, artifacts::*, cancel::*, diff::*, events::*, http_requests::*, list::*,
    llm_calls::*, pause::*, prompt::*, recording::*, resume::*, retry::*, show::*, start::*,
    timeline::*, variables::*,
};

/// The row of a run that has to exist.
pub(crate) async fn run_row(engine: &Engine, run: &RunId) -> Result<RunRow, Problem> {
    let row = engine.store().run(run).await?;
    row.ok_or_else(|| Problem::new(Code::RunUnknown, format!("no run `{run}`")))
}

/// What a run began with, which is its first event.
pub(crate) async fn created_of(engine: &Engine, run: &RunId) -> Result<Arc<Created>, Problem> {
    let first = engine.store().events_after(run, 0, 1).await?;
    match first.into_iter().next().map(|recorded| recorded.event) {
        Some(Event::RunCreated(created)) => Ok(created),
        Some(_) => {
            let cause = format!("the log of run `{run}` does not begin with its creation");
            Err(Problem::hidden(Code::Internal, cause))
        }
        None => Err(Problem::new(Code::RunUnknown, format!("no run `{run}`"))),
    }
}

pub(crate) fn commanded(run: &RunId, status: domain::run::Status) -> CommandedDto {
    CommandedDto { run_id: run.to_string(), status: RunStatusDto::from(status) }
}

/// The reason, under either of its names.
fn reason_of(request: CommandRequest) -> Option<String> {
    request.reason.or(request.comment)
}
