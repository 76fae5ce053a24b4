//! `run`: starts a run and follows it.
use control_api::dto::{FallbackDto, StartRunRequest, StartedRunDto};
use serde::Serialize;
use serde_json::Value;

use crate::args::{Run, overrides, variables};
use crate::error::{Error, Exit};
use crate::follow::{Gates, follow};
use crate::output::clean;
use crate::session::Session;

const GRANTED_BY_FLAG: &str = "granted by `--yes`";

/// The first line of a stream of documents.
#[derive(Serialize)]
struct StartedLine<'a> {
    kind: &'static str,
    #[serde(flatten)]
    started: &'a StartedRunDto,
}

pub(super) async fn run(session: &Session<'_>, run: Run) -> Result<Exit, Error> {
    let request = request(&run, &session.config.actor)?;
    check_mode(session, &request.mode).await?;
    session.say_first_compilation();
    let started = start(session, &request, run.idempotency_key.as_deref()).await?;
    if run.detach {
        return Ok(detached(session, &started));
    }
    say_started(session, &started);
    follow(session, &started.run_id, gates(session, run.yes)).await
}

/// A mode that no profile has runs as another one; a slip of the fingers must not be paid for like that.
async fn check_mode(session: &Session<'_>, mode: &str) -> Result<(), Error> {
    let profiles = session.client.profiles().await?;
    let names = || profiles.iter().map(|profile| profile.mode.as_str());
    if names().any(|name| name == mode) {
        return Ok(());
    }
    let Some(meant) = profile::closest(mode, names()) else { return Ok(()) };
    let message = format!("no profile has the name `{mode}`, and nothing was started");
    Err(Error::Usage { message, hint: Some(format!("did you mean `{meant}`?")) })
}

/// What is done at the gates of a run that this terminal follows.
pub(super) fn gates(session: &Session<'_>, is_granting: bool) -> Gates {
    if is_granting {
        Gates::Grant { comment: GRANTED_BY_FLAG }
    } else if session.output.can_ask() {
        Gates::Ask
    } else {
        Gates::Leave
    }
}

pub(super) async fn start(
    session: &Session<'_>,
    request: &StartRunRequest,
    idempotency_key: Option<&str>,
) -> Result<StartedRunDto, Error> {
    session.client.start_run(request, idempotency_key).await
}

/// Tells that a run was started that is followed.
pub(super) fn say_started(session: &Session<'_>, started: &StartedRunDto) {
    if session.output.is_json() {
        session.output.document_line(&StartedLine { kind: "started", started });
        return;
    }
    let paint = session.output.paint_notes();
    let known = if started.existed { " (started earlier with this idempotency key)" } else { "" };
    session.output.note(&format!(
        "{} {} {}{known}",
        paint.strong(&started.run_id),
        clean(&started.effective_mode),
        paint.dim(&clean(&started.profile_version))
    ));
    say_fallback(session, started);
}

fn say_fallback(session: &Session<'_>, started: &StartedRunDto) {
    if !started.fallback_applied {
        return;
    }
    let why = match started.fallback {
        Some(FallbackDto::Forced) => "the fallback is forced",
        Some(FallbackDto::UnknownMode) | None => "it has no profile",
    };
    session.output.note(&format!(
        "{} the mode `{}` runs as `{}`: {why}",
        session.output.paint_notes().waiting("note:"),
        clean(&started.requested_mode),
        clean(&started.effective_mode)
    ));
}

fn detached(session: &Session<'_>, started: &StartedRunDto) -> Exit {
    if session.output.is_json() {
        session.output.document(started);
        return Exit::Done;
    }
    say_fallback(session, started);
    session.output.line(&started.run_id);
    let watch = session.command_line(&format!("runs watch {}", started.run_id));
    let paint = session.output.paint_notes();
    if session.is_local() {
        let serve = session.command_line("serve");
        session.output.note(&format!(
            "no server carries it on: it goes on while `{watch}` or `{serve}` runs"
        ));
    } else {
        session.output.note(&format!("{} follow it with `{watch}`", paint.good("hint:")));
    }
    Exit::Done
}

fn request(run: &Run, actor: &str) -> Result<StartRunRequest, Error> {
    let as_text = |text: &str| Ok(Value::String(text.to_owned()));
    let as_json =
        |text: &str| serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"));
    Ok(StartRunRequest {
        request_text: run.request.read()?,
        mode: run.mode.clone(),
        thread_id: run.thread.clone(),
        brand_id: run.brand.clone(),
        project_id: run.project.clone(),
        skill_overrides: overrides("--skill-override", &run.skills, as_text)?,
        stage_overrides: overrides("--stage-override", &run.stages, as_json)?,
        variables: variables(&run.variables)?,
        actor: Some(actor.to_owned()),
    })
}
