//! What a person sees of a run while it goes on: on a terminal one live line (stage, time, tokens as they stream) and a
//! line for each stage that ends; elsewhere the events as lines; with JSON the events as documents.
//!
//! Knows only what the events say, so that a run that is watched from its beginning looks as it did when it happened.
use std::time::Duration;

use control_api::dto::{EventDto, EventKindDto, LiveDto};
use indicatif::{ProgressBar, ProgressStyle};

use crate::budget;
use crate::output::{Output, clean};
use crate::render;

/// How often the live line is drawn again. Ten times a second looks alive and costs nothing.
const TICK: Duration = Duration::from_millis(100);
/// Bytes of text that make a token, about. Only for the live line: what is kept are the provider's own counts.
const BYTES_PER_TOKEN: u64 = 4;
/// Longest cause of another try, in columns: an address and the beginning of what the server said fit into it, while
/// a server's page does not fill the screen at each try. The record of the call has the rest.
const CAUSE_WIDTH_MAX: usize = 240;

/// What a person sees of a run while it goes on.
pub(crate) struct Progress<'a> {
    output: &'a Output,
    stage: Option<RunningStage>,
    bar: Option<ProgressBar>,
}

/// The attempt that is running, as far as its events tell.
#[derive(Debug, Default)]
struct RunningStage {
    key: String,
    attempt: u32,
    started_at: String,
    call_count: u64,
    input_tokens: u64,
    output_tokens: u64,
    model: Option<String>,
    streamed_bytes: u64,
    is_reasoning: bool,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(output: &'a Output) -> Progress<'a> {
        Progress { output, stage: None, bar: None }
    }

    /// Shows an event of the log.
    pub(crate) fn event(&mut self, event: &EventDto) {
        if self.output.is_json() {
            self.output.document_line(event);
            return;
        }
        let summary = self.note(event);
        if !self.output.can_animate() {
            self.output.note(&render::unbroken(&event.line));
        } else if let Some(summary) = summary {
            self.output.note(&summary);
        }
        self.draw();
    }

    /// Shows something that happens right now.
    pub(crate) fn live(&mut self, live: &LiveDto) {
        let Some(stage) = &mut self.stage else { return };
        match live {
            LiveDto::ModelCallStarted { provider, model, .. } => {
                // The built-in writer has one name for both.
                let is_one = provider == model;
                let both = format!("{provider}/{model}");
                stage.model = Some(if is_one { model.clone() } else { both });
                stage.streamed_bytes = 0;
                stage.is_reasoning = false;
            }
            LiveDto::ModelRetrying { try_number, wait_ms, cause, .. } => {
                let asked = stage.model.as_deref().map_or_else(|| "the model".to_owned(), clean);
                let told = retrying(&stage.key, &asked, *try_number, *wait_ms, cause);
                self.say(&told);
            }
            LiveDto::ModelFallingBack { provider, model, cause, .. } => {
                let now = format!("{provider}/{model}");
                let told = falling_back(&stage.key, &now, cause);
                stage.model = Some(now);
                self.say(&told);
            }
            LiveDto::ModelText { text, .. } => {
                stage.streamed_bytes += text.len() as u64;
                stage.is_reasoning = false;
            }
            LiveDto::ModelReasoning { text, .. } => {
                stage.streamed_bytes += text.len() as u64;
                stage.is_reasoning = true;
            }
        }
        self.draw();
    }

    /// A line about something that goes not quite as it should.
    fn say(&self, told: &str) {
        self.output.note(&format!("{} {told}", self.output.paint_notes().waiting("!")));
    }

    /// Takes the live line away; it comes back with the next event.
    pub(crate) fn rest(&mut self) {
        self.bar = None;
        self.output.set_live(None);
    }

    /// Keeps what an event says; answers with the line that a terminal shows for it.
    fn note(&mut self, event: &EventDto) -> Option<String> {
        let paint = self.output.paint_notes();
        let line = render::unbroken(&event.line);
        match &event.what {
            EventKindDto::StageStarted { stage, attempt } => {
                self.stage = Some(RunningStage {
                    key: clean(stage),
                    attempt: *attempt,
                    started_at: event.at.clone(),
                    ..RunningStage::default()
                });
                None
            }
            EventKindDto::ModelAnswered { input_tokens, output_tokens, error_code, .. } => {
                if let Some(stage) = &mut self.stage {
                    stage.call_count += 1;
                    stage.input_tokens += input_tokens.unwrap_or(0);
                    stage.output_tokens += output_tokens.unwrap_or(0);
                    stage.model = None;
                    stage.streamed_bytes = 0;
                }
                error_code.as_ref().map(|_| format!("{} {line}", paint.waiting("!")))
            }
            EventKindDto::BudgetWarned { bound, .. } => Some(format!(
                "{} {}: {}",
                paint.waiting("!"),
                budget::name(bound),
                budget::used(bound)
            )),
            EventKindDto::StageFinished { stage, summary, .. } => {
                Some(self.finished(stage, &event.at, &render::unbroken(summary)))
            }
            EventKindDto::StageFailed { fault, stage, .. } => {
                self.stage = None;
                let (mark, stage) = (paint.bad("✗"), paint.strong(&clean(stage)));
                Some(format!("{mark} {stage}\n{}", render::indented(&render::fault(fault), "  ")))
            }
            // A line of its own would repeat the failed stage's.
            EventKindDto::RunFailed { .. } => {
                self.stage = None;
                None
            }
            // Of a stage that failed, its own line says why.
            EventKindDto::RetryScheduled { .. }
            | EventKindDto::RetriesSpent { .. }
            | EventKindDto::RunCompleted {}
            | EventKindDto::RunCanceled { .. }
            | EventKindDto::RunPaused {} => {
                self.stage = None;
                Some(line)
            }
            EventKindDto::RunCreated { .. }
            | EventKindDto::GateOpened { .. }
            | EventKindDto::BudgetGateOpened { .. }
            | EventKindDto::GateGrantAdded { .. }
            | EventKindDto::ArtifactsEdited { .. }
            | EventKindDto::GateReminded { .. }
            | EventKindDto::GateEscalated { .. }
            | EventKindDto::GateGranted { .. }
            | EventKindDto::GateRevised { .. }
            | EventKindDto::RetryDue { .. }
            | EventKindDto::GateRejected { .. }
            | EventKindDto::PauseRequested { .. }
            | EventKindDto::RunResumed { .. }
            | EventKindDto::RunRetried { .. } => Some(line),
        }
    }

    /// The line of a stage that ended well.
    fn finished(&mut self, key: &str, at: &str, summary: &str) -> String {
        let paint = self.output.paint_notes();
        // Of a stage that was running before anybody watched, nobody here knows what it took.
        let spent = self.stage.take().map(|stage| format!("  {}", paint.dim(&stage.spent(at))));
        let (mark, key, spent) =
            (paint.good("✓"), paint.strong(&clean(key)), spent.unwrap_or_default());
        format!("{mark} {key}{spent}\n  {summary}")
    }

    fn draw(&mut self) {
        if !self.output.can_animate() {
            return;
        }
        let Some(stage) = &self.stage else {
            if self.bar.is_some() {
                self.rest();
            }
            return;
        };
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner} {msg} · {elapsed}");
            bar.set_style(style.expect("the template is well formed"));
            bar.enable_steady_tick(TICK);
            self.output.set_live(Some(bar.clone()));
            bar
        });
        bar.set_message(stage.live_line());
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.output.set_live(None);
    }
}

impl RunningStage {
    fn live_line(&self) -> String {
        let attempt = match self.attempt {
            0 | 1 => String::new(),
            attempt => format!(" (attempt {attempt})"),
        };
        let model = self.model.as_deref().map_or_else(String::new, |model| {
            let doing = if self.is_reasoning { "reasoning" } else { "writing" };
            match self.streamed_bytes / BYTES_PER_TOKEN {
                0 => format!(" · asking {}", clean(model)),
                tokens => {
                    format!(" · {} is {doing} · ≈ {} tokens", clean(model), render::count(tokens))
                }
            }
        });
        format!("{}{attempt}{model}", self.key)
    }

    /// What it took.
    fn spent(&self, ended_at: &str) -> String {
        let time = render::duration(render::ms_between(&self.started_at, ended_at));
        let calls = render::counted(self.call_count, "call", "calls");
        let tokens = render::tokens(self.input_tokens, self.output_tokens);
        format!("{time} · {calls} · {tokens}")
    }
}

fn retrying(stage: &str, asked: &str, try_number: u32, wait_ms: u64, cause: &str) -> String {
    let (wait, cause) = (render::duration(wait_ms), shortened(cause));
    format!("{stage}: {asked}: {cause}; try {try_number} in {wait}")
}

fn falling_back(stage: &str, now: &str, cause: &str) -> String {
    format!("{stage}: {}; asking {} instead", shortened(cause), clean(now))
}

/// A cause in one line.
fn shortened(cause: &str) -> String {
    console::truncate_str(&render::unbroken(cause), CAUSE_WIDTH_MAX, "…").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_try_and_a_fallback_are_told_with_their_cause() {
        assert_eq!(
            retrying("research", "kimi/k2", 2, 1_250, "the server is\noverloaded"),
            "research: kimi/k2: the server is overloaded; try 2 in 1.2 s"
        );
        assert_eq!(
            falling_back("research", "openai/gpt", "kimi/k2 is left alone"),
            "research: kimi/k2 is left alone; asking openai/gpt instead"
        );
    }

    #[test]
    fn what_a_server_said_is_not_cut_off_with_its_address() {
        let cause =
            "provider `local` (http://127.0.0.1:11434/v1) answered 429: slow down; check `limits`";
        let told = retrying("research", "local/llama3.2", 2, 1_000, cause);
        assert!(told.contains("slow down; check `limits`; try 2"), "{told}");
        let page = retrying("research", "local/llama3.2", 2, 1_000, &"<p>".repeat(10_000));
        assert!(page.chars().count() < 2 * CAUSE_WIDTH_MAX, "{page}");
    }

    #[test]
    fn the_live_line_says_stage_model_and_tokens() {
        let mut stage =
            RunningStage { key: "research".to_owned(), attempt: 2, ..RunningStage::default() };
        assert_eq!(stage.live_line(), "research (attempt 2)");
        stage.model = Some("kimi/kimi-for-coding".to_owned());
        assert_eq!(stage.live_line(), "research (attempt 2) · asking kimi/kimi-for-coding");
        stage.streamed_bytes = 8_000;
        assert_eq!(
            stage.live_line(),
            "research (attempt 2) · kimi/kimi-for-coding is writing · ≈ 2,000 tokens"
        );
    }
}
