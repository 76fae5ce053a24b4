//! What came of a trial, for people and for programs.
use std::collections::BTreeMap;
use std::path::Path;

use authoring::exchange::{Answer, Exchange, HttpExchange};
use authoring::trial::Tried;
use control_api::dto::FaultDto;
use domain::port::KnownPlugin;
use domain::stage::{LogLine, StageOutput, Variable};
use domain::{Fault, StageKey};
use serde::Serialize;
use serde_json::Value;

use super::super::network;
use crate::output::{Output, clean};
use crate::render;

/// Everything that is told of a trial.
pub(super) struct Told<'a> {
    pub(super) plugin: &'a KnownPlugin,
    pub(super) stage: &'a StageKey,
    /// Who answered.
    pub(super) answers: String,
    pub(super) tried: &'a Tried,
    /// What the attempt was ended for: an answer or a response that no file gives.
    pub(super) missing: Option<String>,
    /// Where the artifacts were written.
    pub(super) folder: Option<&'a Path>,
    /// The command that does the same again.
    pub(super) reproduce: String,
}

#[derive(Serialize)]
struct Document<'a> {
    plugin: &'a str,
    version: &'a str,
    digest: &'a str,
    stage: &'a str,
    answers: &'a str,
    succeeded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<FaultDto>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<OutputDocument<'a>>,
    exchanges: &'a [Exchange],
    http_requests: &'a [HttpExchange],
    log: Vec<LogDocument<'a>>,
    log_dropped_bytes: u64,
    cpu_ms: u64,
    memory_bytes: u64,
    reproduce: &'a str,
}

#[derive(Serialize)]
struct OutputDocument<'a> {
    summary: &'a str,
    data: Value,
    variables: BTreeMap<&'a str, Value>,
    artifacts: Vec<ArtifactDocument<'a>>,
}

#[derive(Serialize)]
struct ArtifactDocument<'a> {
    name: &'a str,
    media_type: &'a str,
    body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

#[derive(Serialize)]
struct LogDocument<'a> {
    level: &'static str,
    message: &'a str,
    fields: BTreeMap<&'a str, &'a str>,
}

impl Told<'_> {
    pub(super) fn say(&self, output: &Output) {
        if output.is_json() {
            output.document(&self.document());
            return;
        }
        let paint = output.paint();
        output.line(&render::pairs(&self.facts(), paint));
        let attempt = &self.tried.attempt;
        if let Ok(made) = &attempt.outcome {
            self.say_made(output, made);
        }
        self.say_questions(output);
        self.say_requests(output);
        if !attempt.log.lines.is_empty() {
            output.line(&format!("\n{}", paint.strong("log")));
            attempt.log.lines.iter().for_each(|line| output.line(&log_line(line)));
        }
        if attempt.log.dropped_bytes > 0 {
            let dropped = render::size(attempt.log.dropped_bytes);
            output.line(&paint.dim(&format!("  {dropped} more were dropped: the log is full")));
        }
        if let Err(fault) = &attempt.outcome {
            self.say_fault(output, fault);
        }
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let info = &self.plugin.info;
        let attempt = &self.tried.attempt;
        let cpu_ms = u64::try_from(attempt.consumed.cpu_time.as_millis()).unwrap_or(u64::MAX);
        let used = format!(
            "{} of computing, {} of memory",
            render::duration(cpu_ms),
            render::size(attempt.consumed.memory_bytes)
        );
        let summary = attempt.outcome.as_ref().map(|made| made.summary.clone());
        vec![
            ("plugin", format!("{}@{}, {}", info.name, info.version, self.plugin.digest.short())),
            ("stage", self.stage.to_string()),
            ("answers", self.answers.clone()),
            ("summary", summary.unwrap_or_default()),
            ("used", used),
        ]
    }

    fn say_made(&self, output: &Output, made: &StageOutput) {
        let paint = output.paint();
        for artifact in &made.artifacts {
            let size = render::size(artifact.body.len() as u64);
            let head = format!("{} ({}, {size})", artifact.name, artifact.media_type);
            match self.folder {
                Some(folder) => {
                    let path = folder.join(artifact.name.as_str());
                    let path = clean(&path.display().to_string());
                    output.line(&format!("\n{}: written to `{path}`", paint.strong(&clean(&head))));
                }
                None => {
                    output.line(&format!("\n{}", paint.strong(&format!("── {} ──", clean(&head)))));
                    output.line(&clean(artifact.body.trim_end()));
                }
            }
        }
        if !made.variables.is_empty() {
            output.line(&format!("\n{}", paint.strong("variables")));
            let line = |Variable { name, value }: &Variable| {
                format!("  {name} = {}", clean(value.as_str()))
            };
            made.variables.iter().for_each(|variable| output.line(&line(variable)));
        }
        let data = pretty(made.data.as_str());
        if !matches!(data.as_str(), "null" | "{}") {
            output.line(&format!("\n{}", paint.strong("data")));
            output.line(&render::indented(&data, "  "));
        }
    }

    fn say_questions(&self, output: &Output) {
        if self.tried.exchanges.is_empty() {
            return;
        }
        let paint = output.paint();
        output.line(&format!("\n{}", paint.strong("questions")));
        for (idx, exchange) in self.tried.exchanges.iter().enumerate() {
            let label = exchange.request.label.as_deref().unwrap_or("no label");
            let answer = answer_in_words(&exchange.answer);
            output.line(&clean(&format!("  {} {label}: {answer}", idx + 1)));
        }
    }

    fn say_requests(&self, output: &Output) {
        if self.tried.requests.is_empty() {
            return;
        }
        let paint = output.paint();
        output.line(&format!("\n{}", paint.strong("HTTP requests")));
        for (idx, HttpExchange { method, url, answer, .. }) in
            self.tried.requests.iter().enumerate()
        {
            let outcome = match answer {
                Some(Ok(response)) => {
                    let size = render::size(response.body.len() as u64);
                    format!("{}, {size}", response.status)
                }
                Some(Err(error)) => error.kind.code().to_owned(),
                None => "no answer".to_owned(),
            };
            output.line(&clean(&format!("  {} {method} {url}: {outcome}", idx + 1)));
        }
    }

    fn say_fault(&self, output: &Output, fault: &Fault) {
        let paint = output.paint_notes();
        let told = match &self.missing {
            // Its kind says that the host failed and another try may help: here it is the files, and none would.
            Some(missing) => clean(missing),
            None => render::fault(&fault_dto(fault)),
        };
        output.note(&format!("{} the stage failed: {told}", paint.bad("error:")));
        if sandbox::wanted_network(&fault.message) {
            output.note(&format!("{} {}", paint.good("hint:"), network::HOW_TO_TEST));
        }
        let hint = format!("do the same again with `{}`", self.reproduce);
        output.note(&format!("{} {hint}", paint.good("hint:")));
    }

    fn document(&self) -> Document<'_> {
        let info = &self.plugin.info;
        let attempt = &self.tried.attempt;
        Document {
            plugin: &info.name,
            version: &info.version,
            digest: self.plugin.digest.as_str(),
            stage: self.stage.as_str(),
            answers: &self.answers,
            succeeded: attempt.outcome.is_ok(),
            fault: attempt.outcome.as_ref().err().map(|fault| self.fault(fault)),
            output: attempt.outcome.as_ref().ok().map(|made| self.made(made)),
            exchanges: &self.tried.exchanges,
            http_requests: &self.tried.requests,
            log: attempt.log.lines.iter().map(LogDocument::of).collect(),
            log_dropped_bytes: attempt.log.dropped_bytes,
            cpu_ms: u64::try_from(attempt.consumed.cpu_time.as_millis()).unwrap_or(u64::MAX),
            memory_bytes: attempt.consumed.memory_bytes,
            reproduce: &self.reproduce,
        }
    }

    fn fault(&self, fault: &Fault) -> FaultDto {
        let dto = fault_dto(fault);
        FaultDto { retryable: dto.retryable && self.missing.is_none(), ..dto }
    }

    fn made<'m>(&self, made: &'m StageOutput) -> OutputDocument<'m> {
        let value = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
        let variable =
            |variable: &'m Variable| (variable.name.as_str(), value(variable.value.as_str()));
        let artifacts = made.artifacts.iter().map(|artifact| ArtifactDocument {
            name: artifact.name.as_str(),
            media_type: &artifact.media_type,
            body: &artifact.body,
            file: self
                .folder
                .map(|folder| folder.join(artifact.name.as_str()).display().to_string()),
        });
        OutputDocument {
            summary: &made.summary,
            data: value(made.data.as_str()),
            variables: made.variables.iter().map(variable).collect(),
            artifacts: artifacts.collect(),
        }
    }
}

impl<'a> LogDocument<'a> {
    fn of(line: &'a LogLine) -> Self {
        let fields = line.fields.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        Self { level: line.level.as_str(), message: &line.message, fields: fields.collect() }
    }
}

/// The error triple, as everywhere else.
fn fault_dto(fault: &Fault) -> FaultDto {
    FaultDto {
        error_code: fault.kind.code().to_owned(),
        error_message: fault.message.clone(),
        retryable: fault.kind.is_retryable(),
        plugin_code: fault.kind.plugin_code().map(str::to_owned),
    }
}

fn answer_in_words(answer: &Answer) -> String {
    match answer {
        Answer::Complete(completion) => {
            let usage = &completion.usage;
            let count = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), render::count);
            let tokens = match (usage.input_tokens, usage.output_tokens) {
                (None, None) => render::size(completion.content.len() as u64),
                (input, output) => format!("{} tokens in, {} out", count(input), count(output)),
            };
            let cost = completion.cost_nano_usd.map(render::usd);
            let cost = cost.map_or_else(String::new, |cost| format!(", {cost}"));
            format!("{tokens}{cost} ({})", completion.finish_reason.as_str())
        }
        Answer::Failed { error, .. } => {
            format!("{} ({})", render::unbroken(&error.message), error.kind.code())
        }
        Answer::Open { .. } => "the attempt ended before the answer".to_owned(),
    }
}

fn log_line(line: &LogLine) -> String {
    let fields: String =
        line.fields.iter().map(|(key, value)| format!("  {key}={value}")).collect();
    clean(&format!("  {}: {}{fields}", line.level.as_str(), line.message))
}

fn pretty(json: &str) -> String {
    let value: Value = serde_json::from_str(json).unwrap_or(Value::Null);
    serde_json::to_string_pretty(&value).unwrap_or_default()
}
