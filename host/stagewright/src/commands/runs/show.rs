//! One run, from each of its sides.
use control_api::dto::{
    ArtifactDto, ListDto, ModelRequestDto, RoleDto, RunDto, RunStatusDto, StageDto,
};
use serde::Serialize;

use crate::args::Diff;
use crate::commands::calls;
use crate::error::{Error, Exit};
use crate::output::clean;
use crate::session::Session;
use crate::{render, reproduce};

pub(super) async fn run(session: &Session<'_>, run_id: &str) -> Result<Exit, Error> {
    let run = session.client.run(run_id).await?;
    if session.output.is_json() {
        session.output.document(&run);
        return Ok(Exit::Done);
    }
    let paint = session.output.paint();
    session.output.line(&render::pairs(&facts(session, &run), paint));
    let rows: Vec<Vec<String>> = run.stages.iter().map(stage_row).collect();
    let head = [
        "", "STAGE", "STATUS", "TRY", "PLUGIN", "DIGEST", "TIME", "MODEL", "PERSON", "TOKENS",
        "RESULT",
    ];
    session.output.line(&format!("\n{}", render::table(&head, &rows, paint)));
    if let Some(fault) = &run.summary.fault {
        let word = match run.summary.status {
            RunStatusDto::Paused => paint.waiting("paused, for its retries are spent:"),
            _ => paint.bad("failed:"),
        };
        session.output.line(&format!("\n{word} {}", render::fault(fault)));
    }
    if let Some(command) = reproduce::of_run(session, &run) {
        session.output.line(&format!("again, outside of the run: `{command}`"));
    }
    for stage in &run.stages {
        say_stage(session, stage);
    }
    if let Some(pending) = &run.pending_approval {
        let show = session.command_line(&format!("approvals show {}", pending.approval_id));
        session.output.line(&format!(
            "\n{} {}  `{show}`",
            paint.waiting("waiting:"),
            render::unbroken(&pending.question)
        ));
    }
    Ok(Exit::Done)
}

/// What a table has no room for: why and when a stage is done again.
fn say_stage(session: &Session<'_>, stage: &StageDto) {
    let paint = session.output.paint();
    if let Some(at) = &stage.retry_at {
        let why = stage.fault.as_ref().map(render::fault).unwrap_or_default();
        let word = paint.waiting(&format!("{} is tried again at {}:", stage.key, render::time(at)));
        session.output.line(&format!("\n{word} {why}"));
    }
    if let Some(feedback) = &stage.feedback {
        let word = paint.waiting(&format!("{} is to be changed:", stage.key));
        session.output.line(&format!("\n{word} {}", render::unbroken(feedback)));
    }
}

fn facts(session: &Session<'_>, run: &RunDto) -> Vec<(&'static str, String)> {
    let summary = &run.summary;
    let mode = match summary.fallback_applied {
        true => format!("{} (asked for: {})", summary.effective_mode, summary.requested_mode),
        false => summary.effective_mode.clone(),
    };
    let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
    let timing = &run.timing;
    let times = format!(
        "{} queue, {} work, {} model, {} person",
        render::duration(timing.queue_ms),
        render::duration(timing.work_ms),
        render::duration(timing.model_wait_ms),
        render::duration(timing.human_wait_ms)
    );
    vec![
        ("run", summary.run_id.clone()),
        ("status", summary.status.as_str().to_owned()),
        ("mode", format!("{mode} {}", summary.profile_version)),
        ("request", render::one_line(&run.request_text)),
        ("thread", or_empty(&summary.thread_id)),
        ("brand", or_empty(&summary.brand_id)),
        ("project", or_empty(&summary.project_id)),
        ("started", render::time(&summary.created_at)),
        ("started by", or_empty(&summary.started_by)),
        ("wakes", summary.wakes_at.as_deref().map(render::time).unwrap_or_default()),
        ("ended", summary.ended_at.as_deref().map(render::time).unwrap_or_default()),
        ("time", times),
        ("usage", render::usage(&run.usage)),
        ("files", session.config.run_dir(&summary.run_id).display().to_string()),
    ]
}

fn stage_row(stage: &StageDto) -> Vec<String> {
    let result = match (&stage.fault, &stage.summary) {
        (Some(fault), _) => fault.error_code.clone(),
        (None, Some(summary)) => summary.clone(),
        (None, None) => String::new(),
    };
    let time_or_blank = |ms: u64| if ms == 0 { String::new() } else { render::duration(ms) };
    vec![
        (stage.position + 1).to_string(),
        stage.key.clone(),
        stage.status.as_str().to_owned(),
        if stage.attempt == 0 { String::new() } else { stage.attempt.to_string() },
        format!("{}@{}", stage.plugin.name, stage.plugin.version),
        stage
            .plugin
            .digest
            .parse()
            .map_or_else(|_| String::new(), |digest: domain::Digest| digest.short().to_owned()),
        time_or_blank(stage.timing.work_ms),
        time_or_blank(stage.timing.model_wait_ms),
        time_or_blank(stage.timing.human_wait_ms),
        match stage.usage.input_tokens + stage.usage.output_tokens {
            0 => String::new(),
            tokens => render::count(tokens),
        },
        result,
    ]
}

pub(super) async fn events(session: &Session<'_>, run_id: &str) -> Result<Exit, Error> {
    for event in session.client.timeline(run_id).await? {
        if session.output.is_json() {
            session.output.document_line(&event);
            continue;
        }
        let (time, line) = (render::time(&event.at), render::unbroken(&event.line));
        session.output.line(&format!("{:>4}  {time}  {line}", event.version));
    }
    Ok(Exit::Done)
}

pub(super) async fn artifacts(session: &Session<'_>, run_id: &str) -> Result<Exit, Error> {
    let artifacts = session.client.artifacts(run_id).await?;
    if session.output.is_json() {
        session.output.document(&ListDto { items: artifacts, next_cursor: None });
        return Ok(Exit::Done);
    }
    if artifacts.is_empty() {
        session.output.note("no artifacts yet");
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = artifacts.iter().map(artifact_row).collect();
    let head = ["STAGE", "NAME", "VERSION", "CURRENT", "SIZE", "TYPE", "MADE", "EDITED BY"];
    session.output.line(&render::table(&head, &rows, session.output.paint()));
    let print = session.command_line(&format!("runs artifacts {run_id} STAGE NAME"));
    session.output.note(&format!("print one with `{print}`"));
    Ok(Exit::Done)
}

fn artifact_row(artifact: &ArtifactDto) -> Vec<String> {
    vec![
        artifact.stage.clone(),
        artifact.name.clone(),
        artifact.version.to_string(),
        if artifact.current { "yes" } else { "no" }.to_owned(),
        render::size(artifact.size_bytes),
        artifact.media_type.clone(),
        render::time(&artifact.created_at),
        artifact.edited_by.clone().unwrap_or_default(),
    ]
}

/// An artifact with its text.
#[derive(Serialize)]
struct ArtifactText<'a> {
    run_id: &'a str,
    stage: &'a str,
    name: &'a str,
    media_type: String,
    body: String,
}

pub(super) async fn artifact(
    session: &Session<'_>,
    run_id: &str,
    stage: &str,
    name: &str,
    version: Option<u32>,
) -> Result<Exit, Error> {
    let (media_type, body) = session.client.artifact(run_id, stage, name, version).await?;
    if session.output.is_json() {
        session.output.document(&ArtifactText { run_id, stage, name, media_type, body });
    } else {
        session.output.foreign(&body);
    }
    Ok(Exit::Done)
}

/// What changed from one version of an artifact to another.
#[derive(Serialize)]
struct ArtifactDiff<'a> {
    run_id: &'a str,
    stage: &'a str,
    name: &'a str,
    diff: String,
}

pub(super) async fn diff(session: &Session<'_>, run_id: &str, asked: &Diff) -> Result<Exit, Error> {
    let Diff { stage, name, from, to, .. } = asked;
    let diff = session.client.diff(run_id, stage, name, *from, *to).await?;
    if session.output.is_json() {
        session.output.document(&ArtifactDiff { run_id, stage, name, diff });
    } else if diff.is_empty() {
        session.output.note("the two versions are the same");
    } else {
        session.output.diff(&diff);
    }
    Ok(Exit::Done)
}

pub(super) async fn calls_of(session: &Session<'_>, run_id: &str) -> Result<Exit, Error> {
    let calls = session.client.calls(run_id).await?;
    if session.output.is_json() {
        session.output.document(&ListDto { items: calls, next_cursor: None });
        return Ok(Exit::Done);
    }
    if calls.is_empty() {
        session.output.note("no model calls yet");
        return Ok(Exit::Done);
    }
    session.output.line(&calls::table_of_run(session, &calls));
    Ok(Exit::Done)
}

/// Shows the messages of a prompt.
pub(in crate::commands) fn say_request(session: &Session<'_>, request: &ModelRequestDto) {
    let paint = session.output.paint();
    for message in &request.messages {
        let role = match message.role {
            RoleDto::System => "system",
            RoleDto::User => "user",
            RoleDto::Assistant => "assistant",
        };
        session.output.line(&format!("\n{}", paint.strong(&format!("── {role} ──"))));
        session.output.line(&clean(message.content.trim_end()));
    }
}

pub(super) async fn prompt(
    session: &Session<'_>,
    run_id: &str,
    stage: &str,
) -> Result<Exit, Error> {
    let prompt = session.client.prompt(run_id, stage).await?;
    if session.output.is_json() {
        session.output.document(&prompt);
        return Ok(Exit::Done);
    }
    let facts = [
        ("stage", prompt.stage.clone()),
        ("model", format!("{}/{}", prompt.provider, prompt.model)),
        ("prompt", format!("≈ {} tokens", render::count(prompt.input_tokens))),
        (
            "answer",
            prompt.max_output_tokens.map_or_else(
                || "as long as the provider allows".to_owned(),
                |tokens| format!("at most {} tokens", render::count(tokens.into())),
            ),
        ),
        ("cost", render::cost(prompt.estimated_cost.as_ref())),
    ];
    session.output.line(&render::pairs(&facts, session.output.paint()));
    say_request(session, &prompt.request);
    Ok(Exit::Done)
}
