//! The example stage: its components, what it is told, and a model that answers at once.
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use domain::model::{Completion, FinishReason, ModelRequest, Usage, UsageSource};
use domain::port::{AnswerStream, AskError, BoxFuture, KnownPlugin, ModelPort, StageJob};
use domain::stage::{Belonging, StageContext};
use domain::{Json, Limits};
use tokio::sync::Semaphore;

pub(crate) const REQUEST_TEXT: &str = "A bakery that delivers bread by bicycle before breakfast.";
pub(crate) const SETTINGS: &str = r#"{"count":3}"#;
pub(crate) const ANSWER: &str = r#"{"taglines":["Warm bread, cold pedals.","Breakfast rides to you.","The crust arrives before you wake."]}"#;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the project")
}

/// The Rust example, built as the shipped plugins are: small, with fat LTO.
pub(crate) fn rust_component() -> Vec<u8> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let profile = [
        "opt-level=\"s\"",
        "lto=\"fat\"",
        "codegen-units=1",
        "panic=\"abort\"",
        "strip=\"debuginfo\"",
    ];
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--release", "--locked", "-p", "tagline-rust"]).current_dir(root());
    cargo.args(["--target", "wasm32-wasip2", "--target-dir"]).arg(&target);
    for setting in profile {
        cargo.args(["--config", &format!("profile.release.{setting}")]);
    }
    let status = cargo.status().expect("cargo starts");
    assert!(status.success(), "the example does not compile");
    let component = target.join("wasm32-wasip2/release/tagline_rust.wasm");
    std::fs::read(component).expect("the component")
}

/// The example in another language, where the tests have built it: the newest.
pub(crate) fn built(language: &str) -> Option<Vec<u8>> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    let entries = std::fs::read_dir(target.join("languages/built")).ok()?.flatten();
    let is_wanted =
        |name: &str| name.starts_with(&format!("tagline-{language}-")) && name.ends_with(".wasm");
    let components = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_wanted));
    let newest = components.max_by_key(|entry| entry.metadata().and_then(|is| is.modified()).ok());
    std::fs::read(newest?.path()).ok()
}

/// One attempt at the stage.
pub(crate) fn job(plugin: &KnownPlugin, run: u32) -> StageJob {
    StageJob {
        plugin: plugin.pin(),
        context: StageContext {
            request_text: REQUEST_TEXT.to_owned(),
            run_id: format!("run_{run:032}").parse().expect("an identifier"),
            belonging: Belonging::default(),
            stage_key: "tagline".parse().expect("a key"),
            attempt: 1,
            settings: Json::from_parsed(SETTINGS),
            variables: Vec::new(),
            artifacts: Vec::new(),
            skills: Vec::new(),
            revision: None,
        },
        // Python's runtime needs more than the default.
        limits: Limits { memory_bytes_max: 256 << 20, ..Limits::DEFAULT },
        makes: plugin.info.makes.clone(),
    }
}

/// A model that gives its one answer, as soon as it may.
pub(crate) struct OneAnswer {
    completion: Completion,
    /// One permit for each answer that may be given; `None`: all.
    room: Option<Semaphore>,
    /// A permit for each question that was asked.
    pub(crate) asked: Semaphore,
}

impl OneAnswer {
    pub(crate) fn at_once() -> Arc<Self> {
        Self::when(None)
    }

    /// One that answers nobody until permits are added.
    pub(crate) fn held() -> Arc<Self> {
        Self::when(Some(Semaphore::new(0)))
    }

    fn when(room: Option<Semaphore>) -> Arc<Self> {
        let usage = Usage {
            input_tokens: Some(50),
            output_tokens: Some(30),
            cached_tokens: None,
            cache_write_tokens: None,
            reasoning_tokens: None,
            source: UsageSource::Provider,
        };
        let completion = Completion {
            content: ANSWER.to_owned(),
            finish_reason: FinishReason::Stop,
            model: "instant".to_owned(),
            usage,
            cost_nano_usd: None,
        };
        Arc::new(Self { completion, room, asked: Semaphore::new(0) })
    }

    pub(crate) fn answer_all(&self) {
        if let Some(room) = &self.room {
            room.add_permits(Semaphore::MAX_PERMITS / 2);
        }
    }
}

impl ModelPort for OneAnswer {
    fn ask(&self, _: ModelRequest) -> BoxFuture<'_, Result<Completion, AskError>> {
        Box::pin(async {
            self.asked.add_permits(1);
            if let Some(room) = &self.room {
                room.acquire().await.expect("it is never closed").forget();
            }
            Ok(self.completion.clone())
        })
    }

    fn stream(&self, _: ModelRequest) -> BoxFuture<'_, Result<Box<dyn AnswerStream>, AskError>> {
        panic!("the example asks for whole answers")
    }
}
