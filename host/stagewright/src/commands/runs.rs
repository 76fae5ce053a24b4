//! `runs`: see and steer runs.
mod show;

use control_api::dto::{CommandRequest, CommandedDto, RetryRequest, RunDto};

pub(super) use self::show::say_request;
use super::run::gates;
use super::{calls, export, import, prune, requests};
use crate::args::{Cancel, Continue, OneRun, Page, Retry, Runs, RunsList, Watch};
use crate::client::RunCommand;
use crate::error::{Error, Exit};
use crate::follow::{follow, follow_on};
use crate::render;
use crate::session::Session;

/// What may stand for the run that was started last.
const LAST: &str = "last";

pub(super) async fn perform(session: &Session<'_>, command: Runs) -> Result<Exit, Error> {
    match command {
        Runs::List(asked) => list(session, asked).await,
        Runs::Show(run) => show::run(session, &run_id(session, &run).await?).await,
        Runs::Watch(asked) => watch(session, asked).await,
        Runs::Pause(run) => {
            let commanded = command_run(session, &run, RunCommand::Pause, None).await?;
            Ok(say_commanded(session, &commanded))
        }
        Runs::Resume(asked) => resume(session, asked).await,
        Runs::Cancel(Cancel { run, reason }) => {
            let commanded = command_run(session, &run, RunCommand::Cancel, reason).await?;
            Ok(say_commanded(session, &commanded))
        }
        Runs::Retry(asked) => retry(session, asked).await,
        Runs::Events(run) => show::events(session, &run_id(session, &run).await?).await,
        Runs::Artifacts(asked) => {
            let run_id = run_id(session, &asked.run).await?;
            match (&asked.stage, &asked.name) {
                (Some(stage), Some(name)) => {
                    show::artifact(session, &run_id, stage, name, asked.version).await
                }
                _ => show::artifacts(session, &run_id).await,
            }
        }
        Runs::Diff(asked) => {
            let run_id = run_id(session, &asked.run).await?;
            show::diff(session, &run_id, &asked).await
        }
        Runs::Calls(asked) if asked.run_or_call.starts_with(domain::CallId::PREFIX) => {
            calls::show(session, &asked.run_or_call).await
        }
        Runs::Calls(asked) => {
            let run = OneRun { run: asked.run_or_call };
            show::calls_of(session, &run_id(session, &run).await?).await
        }
        Runs::Requests(run) => requests::of_run(session, &run_id(session, &run).await?).await,
        Runs::Prune(asked) => prune::prune(session, asked).await,
        Runs::Export(asked) => export::export(session, asked).await,
        Runs::Import(asked) => import::import(session, asked).await,
        Runs::Prompt(asked) => {
            let run_id = run_id(session, &asked.run).await?;
            show::prompt(session, &run_id, &asked.stage).await
        }
    }
}

/// The run that was named.
pub(super) async fn run_id(session: &Session<'_>, run: &OneRun) -> Result<String, Error> {
    if run.run != LAST {
        return Ok(run.run.clone());
    }
    let newest = session.client.runs(&[("limit", "1".to_owned())]).await?;
    match newest.items.into_iter().next() {
        Some(run) => Ok(run.run_id),
        None => Err(Error::usage("there is no run yet")),
    }
}

/// The part of a query that names the page.
pub(super) fn page_query(page: &Page) -> Vec<(&'static str, String)> {
    let mut query = vec![("limit", page.limit.to_string())];
    query.extend(page.cursor.iter().map(|cursor| ("cursor", cursor.clone())));
    query
}

/// Tells how to see what comes after a page.
pub(super) fn say_more(session: &Session<'_>, next_cursor: Option<&str>) {
    if let Some(cursor) = next_cursor {
        session.output.note(&format!("there is more: `--cursor {cursor}`"));
    }
}

async fn list(session: &Session<'_>, asked: RunsList) -> Result<Exit, Error> {
    let mut query = page_query(&asked.page);
    let filters = [
        ("status", asked.status),
        ("mode", asked.mode),
        ("thread_id", asked.thread),
        ("since", asked.since),
        ("waiting", asked.waiting.then(|| "true".to_owned())),
    ];
    query.extend(filters.into_iter().filter_map(|(name, value)| Some((name, value?))));
    let runs = session.client.runs(&query).await?;
    if session.output.is_json() {
        session.output.document(&runs);
        return Ok(Exit::Done);
    }
    if runs.items.is_empty() {
        session.output.note("no runs");
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = runs
        .items
        .iter()
        .map(|run| {
            vec![
                run.run_id.clone(),
                run.status.as_str().to_owned(),
                format!("{}/{}", run.stages_done, run.stage_count),
                run.current_stage.clone().unwrap_or_default(),
                run.effective_mode.clone(),
                render::time(&run.created_at),
                run.request_excerpt.clone(),
            ]
        })
        .collect();
    let head = ["RUN", "STATUS", "DONE", "AT", "MODE", "STARTED", "REQUEST"];
    session.output.line(&render::table(&head, &rows, session.output.paint()));
    say_more(session, runs.next_cursor.as_deref());
    Ok(Exit::Done)
}

async fn watch(session: &Session<'_>, asked: Watch) -> Result<Exit, Error> {
    let run_id = run_id(session, &asked.run).await?;
    follow(session, &run_id, gates(session, asked.yes)).await
}

async fn command_run(
    session: &Session<'_>,
    run: &OneRun,
    command: RunCommand,
    reason: Option<String>,
) -> Result<CommandedDto, Error> {
    let actor = Some(session.config.actor.clone());
    let body = CommandRequest { actor, reason, comment: None };
    session.client.command(&run_id(session, run).await?, command, &body).await
}

async fn resume(session: &Session<'_>, asked: Continue) -> Result<Exit, Error> {
    let before = session.client.run(&run_id(session, &asked.run).await?).await?;
    let run = OneRun { run: before.summary.run_id.clone() };
    let commanded = command_run(session, &run, RunCommand::Resume, None).await?;
    carry_on(session, &before, &commanded, asked.detach).await
}

async fn retry(session: &Session<'_>, asked: Retry) -> Result<Exit, Error> {
    let run_id = run_id(session, &asked.run).await?;
    let body = RetryRequest { stage: asked.stage, actor: Some(session.config.actor.clone()) };
    let before = session.client.run(&run_id).await?;
    let commanded = session.client.retry(&run_id, &body).await?;
    carry_on(session, &before, &commanded, asked.detach).await
}

/// After a command that lets a run go on: where no server does it, this process carries it on and follows it.
async fn carry_on(
    session: &Session<'_>,
    before: &RunDto,
    commanded: &CommandedDto,
    is_detached: bool,
) -> Result<Exit, Error> {
    if commanded.status.is_final() || is_detached || !session.is_local() {
        return Ok(say_commanded(session, commanded));
    }
    follow_on(session, before, gates(session, false)).await
}

fn say_commanded(session: &Session<'_>, commanded: &CommandedDto) -> Exit {
    if session.output.is_json() {
        session.output.document(commanded);
    } else {
        let paint = session.output.paint();
        let status = render::run_status(commanded.status, paint);
        session.output.line(&format!("{}  {status}", commanded.run_id));
    }
    Exit::Done
}
