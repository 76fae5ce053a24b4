//! `demo`: the Foundation workflow from start to end on the built-in scripted writer, whatever else is configured. Costs
//! nothing and needs no network.
use control_api::dto::StartRunRequest;
use serde_json::{Map, Value, json};

use super::run::{gates, say_started, start};
use crate::args::Demo;
use crate::error::{Error, Exit};
use crate::follow::{Gates, follow};
use crate::prompt;
use crate::render;
use crate::session::Session;

/// The profile that is shown.
const MODE: &str = "foundation_stack";
/// What the brief is about where nobody says it.
const EXAMPLE: &str = "Launch a subscription for raw honey from small alpine beekeepers, for city people who cook at \
                       home and want to know where their food comes from.";
/// Lines of the brief that are shown at the end: enough to see what it is, the rest is in its file.
const BRIEF_LINES_SHOWN: usize = 24;
const GRANTED_WITHOUT_TERMINAL: &str = "granted by the demo: there is no terminal to ask on";

pub(super) async fn demo(session: &Session<'_>, demo: Demo) -> Result<Exit, Error> {
    let note = |text: &str| session.output.note(text);
    let paint = session.output.paint_notes();
    note(&format!(
        "{} the built-in scripted writer answers here. It is no language model: its drafts show the workflow, not \
         what a model would write.",
        paint.waiting("note:")
    ));
    let gates = match gates(session, false) {
        Gates::Leave => {
            note("there is no terminal to ask on: the demo grants every gate itself");
            Gates::Grant { comment: GRANTED_WITHOUT_TERMINAL }
        }
        gates => gates,
    };
    let request_text = request_text(session, demo).await;
    session.say_first_compilation();
    let request = StartRunRequest {
        request_text,
        mode: MODE.to_owned(),
        stage_overrides: Some(scripted_stages(session).await?),
        actor: Some(session.config.actor.clone()),
        ..StartRunRequest::default()
    };
    let started = start(session, &request, None).await?;
    say_started(session, &started);
    let exit = follow(session, &started.run_id, gates).await?;
    if exit == Exit::Done && !session.output.is_json() {
        say_brief(session, &started.run_id).await?;
    }
    Ok(exit)
}

async fn request_text(session: &Session<'_>, demo: Demo) -> String {
    if let Some(text) = demo.request {
        return text;
    }
    if !session.output.can_ask() {
        session.output.note(&format!("request: {EXAMPLE}"));
        return EXAMPLE.to_owned();
    }
    let paint = session.output.paint_notes();
    session.output.note("What is the brief to be about? Enter takes this example:");
    session.output.note(&paint.dim(&format!("  {EXAMPLE}")));
    match prompt::line(session.output, &format!("{} ", paint.waiting(">"))).await {
        Some(text) if !text.is_empty() => text,
        Some(_) | None => EXAMPLE.to_owned(),
    }
}

/// Overrides that have every stage answered by the scripted writer.
async fn scripted_stages(session: &Session<'_>) -> Result<Value, Error> {
    let profile = session.client.profile(MODE).await?;
    let model = json!({ "provider": gateway::SCRIPTED, "model": gateway::SCRIPTED });
    let stages = profile.summary.stages.into_iter();
    let overrides: Map<String, Value> =
        stages.map(|stage| (stage, json!({ "model": model }))).collect();
    Ok(Value::Object(overrides))
}

async fn say_brief(session: &Session<'_>, run_id: &str) -> Result<(), Error> {
    let line = |text: &str| session.output.line(text);
    let paint = session.output.paint();
    let artifacts = session.client.artifacts(run_id).await?;
    if let Some(last) = artifacts.iter().rfind(|artifact| artifact.current) {
        let (_, text) =
            session.client.artifact(run_id, &last.stage, &last.name, Some(last.version)).await?;
        let lines: Vec<&str> = text.lines().collect();
        let shown = lines.len().min(BRIEF_LINES_SHOWN);
        line(&format!("\n{}\n", paint.strong(&format!("── {} ──", render::one_line(&last.name)))));
        line(&render::indented(&lines[..shown].join("\n"), "  "));
        if lines.len() > shown {
            line(&format!(
                "  … {}",
                render::counted((lines.len() - shown) as u64, "more line", "more lines")
            ));
        }
    }
    let command = |rest: &str| session.command_line(rest);
    line(&format!("\n{}", paint.strong("next")));
    line(&format!("  look at the run       {}", command(&format!("runs show {run_id}"))));
    line(&format!("  read an artifact      {}", command(&format!("runs artifacts {run_id}"))));
    line("  use a real model      put KIMI_API_KEY=… (or OPENAI_API_KEY=…) into .env, then:");
    line(&format!("                        {}", command(&format!("run {MODE} --request \"…\""))));
    line(&format!("  use it over HTTP      {}", command("serve")));
    Ok(())
}
