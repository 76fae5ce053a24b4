//! From what went wrong inside Wasmtime to a fault that a person can act on.
//!
//! A report says which stage and which plugin, what happened or which limit was met, what the guest's panic said, where
//! in its code it was, and what it logged last. Every word of it that comes from the guest is bounded and cleaned.
use std::fmt;
use std::fmt::Write;

use domain::fault::Limit;
use domain::plan::PinnedPlugin;
use domain::stage::{LogLine, StageLog};
use domain::{Fault, FaultKind, Limits, StageKey};
use wasmtime::{FrameInfo, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::engine::GUEST_STACK_BYTES;
use crate::log_book::{LogBook, OUTPUT_FIELD, is_from_stderr};
use crate::raised::{Raised, raised};
use crate::text::{clean_line, clean_text, size};

/// Most frames of a report: the outermost ones are the SDK's and say nothing.
const FRAME_COUNT_MAX: usize = 20;

/// Longest name of a function in a report, in bytes. Generic Rust names can fill a page.
const FRAME_NAME_BYTES_MAX: usize = 160;

/// Lines of the log that a report repeats.
const LOG_LINE_COUNT: usize = 5;

/// Longest of these lines, with its fields, in bytes.
const LOG_LINE_BYTES_MAX: usize = 400;

/// Longest report, in bytes. It is stored with the run and shown on one screen.
const REPORT_BYTES_MAX: usize = 8 << 10;

/// What Wasmtime says when a guest hands more bytes to the host than `set_hostcall_fuel` allows. It has no type.
const HOSTCALL_FUEL_TEXT: &str = "fuel allocated for hostcalls has been exhausted";

/// Where a component in JavaScript ends that calls `fetch` and was built without `wasi:http`: `componentize-js` leaves the
/// function there, and nothing in it.
const FETCH_LEFT_OUT: &str = "[constructor]fields";

/// What stands before the words of a stage that could not use an answer; [`words_of_stage`] takes it off.
const UNUSABLE: &str = "the model's answer could not be used: ";

/// What stands before the log in a report.
const LOG_HEAD: &str = "\nlast lines of its log:";

/// What a stage said when it declared a fault, without what the host put around it: that names a digest, which every build
/// changes.
pub fn words_of_stage(message: &str) -> &str {
    let said = message.split_once(UNUSABLE).map_or(message, |(_, said)| said);
    said.split_once(LOG_HEAD).map_or(said, |(said, _)| said)
}

/// Whether the message of a fault ends with what the stage logged last.
pub fn tells_log(message: &str) -> bool {
    message.contains(LOG_HEAD)
}

/// Whether a stage was stopped because it sent an HTTP request and has no grant.
pub fn wanted_network(message: &str) -> bool {
    message.contains(&Denial::NotGranted.to_string())
}

/// Why the host stopped a guest. It travels through Wasmtime as the error of a host function.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Stopped {
    #[error("{message}")]
    Limit { limit: Limit, message: String },
    #[error("it asked the model in `{function}`, which must not: move the call to `run`")]
    ModelCallInPreview { function: &'static str },
    #[error("it called `{function}`, {denial}")]
    Denied { function: String, denial: Denial },
    /// Whoever answers the guest's questions said that the attempt cannot go on.
    #[error("{}", .0.message)]
    Fault(Fault),
}

/// Why a guest may not send HTTP requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denial {
    #[error(
        "and reaches no host: if it needs one, name it in the stage's `grants.http` in the profile and in the operator's `grants.http_hosts`; models are asked through `llm`"
    )]
    NotGranted,
    #[error("which must not happen in `{function}`: move the request to `run`")]
    InPreview { function: &'static str },
    #[error("which this host does not have in that form: build it for `wasi:http` 0.2")]
    OtherForm,
}

impl Stopped {
    /// A bound was met. The message names it, what was used, and the setting that raises it.
    pub(crate) fn over(limit: Limit, used: &str, allowed: &str) -> Self {
        Stopped::Limit { limit, message: over_limit(limit, used, allowed) }
    }
}

/// Says which limit was met, with the use, the bound, and the cure.
pub(crate) fn over_limit(limit: Limit, used: &str, allowed: &str) -> String {
    let (what, cure) = match limit {
        Limit::Memory => ("memory", raise("memory_mib")),
        Limit::CpuTime => ("computing time", raise("cpu_ms")),
        Limit::WallTime => ("time from start to end", raise("wall_s")),
        Limit::CallBytes => ("bytes of one call", raise("call_kib")),
        Limit::ArtifactCount => ("number of artifacts", raise("artifacts")),
        Limit::ArtifactBytes => ("size of an artifact", raise("artifact_kib")),
        Limit::Stack => ("call stack", "make the recursion a loop".to_owned()),
    };
    format!("over the limit on {what}: {used}, with {allowed} allowed; {cure}")
}

fn raise(setting: &str) -> String {
    format!("if the stage needs more, raise `limits.{setting}` in the profile")
}

/// Who did it.
#[derive(Debug, Clone)]
pub(crate) struct Culprit {
    pub(crate) stage: Option<StageKey>,
    pub(crate) plugin: PinnedPlugin,
}

impl fmt::Display for Culprit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PinnedPlugin { name, version, digest } = &self.plugin;
        match &self.stage {
            Some(stage) => {
                write!(out, "stage `{stage}` (plugin `{name}` {version}, {})", digest.short())
            }
            None => write!(out, "plugin {}", digest.short()),
        }
    }
}

impl Culprit {
    /// A fault of this culprit without a place in its code.
    pub(crate) fn fault(&self, kind: FaultKind, what: &str) -> Fault {
        Fault { kind, message: clean_text(&format!("{self}: {what}"), REPORT_BYTES_MAX) }
    }

    /// The same with the last lines of the log: the guest may have said there what it was at.
    pub(crate) fn fault_with_log(&self, kind: FaultKind, what: &str, log: &StageLog) -> Fault {
        self.fault_with_lines(kind, what, &log.lines)
    }

    pub(crate) fn fault_with_lines(&self, kind: FaultKind, what: &str, log: &[LogLine]) -> Fault {
        let mut report = format!("{self}: {what}");
        add_log(&mut report, log);
        Fault { kind, message: clean_text(&report, REPORT_BYTES_MAX) }
    }

    /// A fault that the stage declared. Of a model's answer that it could not use, it is told who could not; all others
    /// are the stage's own words to whoever started the run.
    pub(crate) fn declared(&self, kind: FaultKind, message: String, log: &StageLog) -> Fault {
        if matches!(kind, FaultKind::InvalidOutput { .. }) {
            let what = format!("{UNUSABLE}{message}");
            return self.fault_with_log(kind, &what, log);
        }
        Fault { kind, message }
    }

    /// The fault behind an error that ended a call into the guest.
    pub(crate) fn fault_of(
        &self,
        error: &wasmtime::Error,
        log: &LogBook,
        limits: &Limits,
    ) -> Fault {
        if let Some(Stopped::Fault(fault)) = error.downcast_ref::<Stopped>() {
            return fault.clone();
        }
        if let Some(raised) = raised_in(error, log) {
            return self.fault_of_exception(&raised, log);
        }
        let (kind, what) = classify(error, log, limits);
        let mut report = format!("{self}: {what}");
        if kind != FaultKind::Host {
            add_frames(&mut report, error);
            match error.downcast_ref::<Trap>().and_then(|_| log.panic_message()) {
                // The words of the panic stand in the first line, and would push out what was logged before them.
                Some(_) => add_log(&mut report, &lines_of_its_own(log)),
                None => add_log(&mut report, log.lines()),
            }
        }
        Fault { kind, message: clean_text(&report, REPORT_BYTES_MAX) }
    }

    /// An exception of another language. Its words and frames stand for what the runtime wrote to standard error.
    fn fault_of_exception(&self, raised: &Raised, log: &LogBook) -> Fault {
        let mut report = format!("{self}: the plugin raised an exception: {}", raised.words);
        add_frame_lines(&mut report, &raised.frames, 0);
        add_log(&mut report, &lines_of_its_own(log));
        Fault { kind: FaultKind::Trap, message: clean_text(&report, REPORT_BYTES_MAX) }
    }
}

/// What the guest logged, without what its runtime wrote to standard error.
fn lines_of_its_own(log: &LogBook) -> Vec<LogLine> {
    log.lines().iter().filter(|line| !is_from_stderr(line)).cloned().collect()
}

/// The exception behind a trap: runtimes of other languages end with `unreachable`.
fn raised_in(error: &wasmtime::Error, log: &LogBook) -> Option<Raised> {
    let trap = error.downcast_ref::<Trap>()?;
    if *trap == Trap::UnreachableCodeReached { raised(&log.stderr_end()) } else { None }
}

fn classify(error: &wasmtime::Error, log: &LogBook, limits: &Limits) -> (FaultKind, String) {
    if let Some(stopped) = error.downcast_ref::<Stopped>() {
        let kind = match stopped {
            Stopped::Limit { limit, .. } => FaultKind::Limit(*limit),
            Stopped::ModelCallInPreview { .. } => FaultKind::ModelCallInPreview,
            Stopped::Denied { .. } => FaultKind::Trap,
            Stopped::Fault(fault) => fault.kind.clone(),
        };
        return (kind, stopped.to_string());
    }
    if error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_some() {
        return (FaultKind::Host, format!("the host has no room for the stage: {error:#}"));
    }
    if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
        return (FaultKind::Trap, format!("the plugin ended itself with status {status}"));
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => {
            let allowed = size(GUEST_STACK_BYTES as u64);
            (FaultKind::Limit(Limit::Stack), over_limit(Limit::Stack, "deeper", &allowed))
        }
        Some(Trap::UnreachableCodeReached) if is_fetch_left_out(error) => {
            let what = "it called `fetch`, which its build left out: take `http` out of what `--disable` names in its `package.json`, and build it again";
            (FaultKind::Trap, what.to_owned())
        }
        Some(trap) => (FaultKind::Trap, trapped(*trap, log)),
        None => {
            let causes: Vec<String> = error
                .chain()
                .map(ToString::to_string)
                .filter(|cause| !cause.starts_with("error while executing at wasm backtrace"))
                .collect();
            let detail = causes.join(": ");
            if detail.contains(HOSTCALL_FUEL_TEXT) {
                let what = over_limit(Limit::CallBytes, "more", &size(limits.call_bytes_max));
                (FaultKind::Limit(Limit::CallBytes), what)
            } else {
                (FaultKind::Trap, format!("the plugin broke the contract: {detail}"))
            }
        }
    }
}

fn is_fetch_left_out(error: &wasmtime::Error) -> bool {
    let backtrace = error.downcast_ref::<WasmBacktrace>();
    let innermost = backtrace.and_then(|backtrace| backtrace.frames().first());
    innermost.and_then(FrameInfo::func_name) == Some(FETCH_LEFT_OUT)
}

fn trapped(trap: Trap, log: &LogBook) -> String {
    let trap = trap.to_string();
    let trap = trap.strip_prefix("wasm trap: ").unwrap_or(&trap);
    match log.panic_message() {
        Some(panic) => format!("the plugin panicked: {panic}"),
        None => format!("the plugin trapped: {trap}"),
    }
}

fn add_frames(report: &mut String, error: &wasmtime::Error) {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return };
    let frames: Vec<Option<String>> = backtrace.frames().iter().flat_map(frame_lines).collect();
    // How a panic unwinds is the same for every panic: the frames that matter begin behind it.
    let is_panic = |line: &Option<String>| {
        line.as_ref().is_some_and(|line| line.starts_with("core::panicking::"))
    };
    let start = frames.iter().rposition(is_panic).map_or(0, |position| position + 1);
    let nameless_count = frames[start..].iter().filter(|line| line.is_none()).count();
    let named: Vec<String> = frames.into_iter().skip(start).flatten().collect();
    add_frame_lines(report, &named, nameless_count);
}

/// Functions without a name help nobody to find the place; that there are some says why the rest is short.
fn add_frame_lines(report: &mut String, lines: &[String], nameless_count: usize) {
    if lines.is_empty() && nameless_count == 0 {
        return;
    }
    report.push_str("\nin its code, innermost first:");
    for same in lines.chunk_by(|one, next| one == next).take(FRAME_COUNT_MAX) {
        report.push_str("\n  at ");
        report.push_str(&same[0]);
        if same.len() > 1 {
            // Writing to a text cannot fail.
            let _ = write!(report, ", {} times", same.len());
        }
    }
    match nameless_count {
        0 => {}
        1 => report.push_str("\n  at 1 function without a name"),
        count => {
            let _ = write!(report, "\n  at {count} functions without names");
        }
    }
}

/// A frame, and the functions that were inlined into it; `None` for each of which neither name nor place is known.
fn frame_lines(frame: &FrameInfo) -> Vec<Option<String>> {
    let readable = |name: &str| {
        clean_line(&format!("{:#}", rustc_demangle::demangle(name)), FRAME_NAME_BYTES_MAX)
    };
    if frame.symbols().is_empty() {
        return vec![frame.func_name().map(readable)];
    }
    let symbols = frame.symbols().iter().map(|symbol| {
        let name = symbol.name().or(frame.func_name()).map(readable);
        match (symbol.file(), symbol.line()) {
            (Some(file), Some(line)) => {
                let name = name.unwrap_or_else(|| "unknown function".to_owned());
                Some(format!("{name} ({}:{line})", clean_line(file, FRAME_NAME_BYTES_MAX)))
            }
            _ => name,
        }
    });
    symbols.collect()
}

/// Says what the guest logged last.
fn add_log(report: &mut String, log: &[LogLine]) {
    let lines = &log[log.len().saturating_sub(LOG_LINE_COUNT)..];
    if lines.is_empty() {
        return;
    }
    report.push_str(LOG_HEAD);
    for line in lines {
        // Writing to a text cannot fail.
        let _ = write!(report, "\n  {}", clean_line(&told_line(line), LOG_LINE_BYTES_MAX));
    }
}

/// A line of a log with its fields, for people. From which output the host took a line is no news to whoever wrote it.
pub fn told_line(line: &LogLine) -> String {
    let mut told = format!("{}: {}", line.level.as_str(), line.message.trim_end());
    for (key, value) in line.fields.iter().filter(|(key, _)| key != OUTPUT_FIELD) {
        // Writing to a text cannot fail.
        let _ = write!(told, "  {key}={value}");
    }
    told
}
