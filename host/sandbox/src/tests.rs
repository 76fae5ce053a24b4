//! The sandbox against `rogue-stage`, a plugin that misbehaves on request.
mod catalog;
#[cfg(unix)]
mod checker;
mod closed;
mod copies;
mod faults;
mod http;
mod loading;
mod made;
mod reports;
mod running;
mod streams;
mod uploads;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use domain::model::{Completion, FinishReason, Usage, UsageSource};
use domain::plan::PinnedPlugin;
use domain::port::{AnswerStream, AskError, ModelPort};
use domain::stage::{ArtifactSpec, Belonging, StageContext, StageOutput};
use domain::{FaultKind, Json, Limits};
use streams::Told;
use tokio::sync::Notify;

use super::*;

/// The rogue stage's bytes, as if they were shipped.
fn rogue() -> &'static [(&'static str, &'static [u8])] {
    static ROGUE: OnceLock<&'static [(&'static str, &'static [u8])]> = OnceLock::new();
    ROGUE.get_or_init(|| {
        let bytes = std::fs::read(plugin_bundle::ROGUE_STAGE_PATH).unwrap();
        Vec::leak(vec![("rogue-stage", &*Vec::leak(bytes))])
    })
}

/// A folder in the target folder, where compiled code outlives the process: compiling the rogue stage takes seconds.
fn cache_dir() -> PathBuf {
    let rogue = Path::new(plugin_bundle::ROGUE_STAGE_PATH);
    rogue.ancestors().nth(5).unwrap().join("sandbox-tests")
}

fn config(folder: &Path) -> Config {
    Config {
        cache_dir: cache_dir(),
        plugin_dir: folder.join("plugins"),
        pinned_dir: folder.join("pinned"),
        bundled: rogue(),
        instance_count_max: 2,
    }
}

/// One engine for all tests of the process.
fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| Sandbox::open(config(&cache_dir().join("empty"))).unwrap())
}

fn pinned() -> PinnedPlugin {
    sandbox().find(&PluginRef::Name("rogue-stage".to_owned()), None).unwrap().pin()
}

fn verb(verb: &str) -> String {
    format!(r#"{{"verb":"{verb}"}}"#)
}

fn job(settings: &str) -> StageJob {
    StageJob {
        plugin: pinned(),
        context: StageContext {
            request_text: "bees".to_owned(),
            run_id: format!("run_{}", "0".repeat(32)).parse().unwrap(),
            belonging: Belonging::default(),
            stage_key: "rogue".parse().unwrap(),
            attempt: 1,
            settings: Json::from_parsed(settings),
            variables: Vec::new(),
            artifacts: Vec::new(),
            skills: Vec::new(),
            revision: None,
        },
        limits: Limits::DEFAULT,
        makes: vec![ArtifactSpec {
            name: "rogue.md".to_owned(),
            media_type: "text/markdown".to_owned(),
            summary: "Whatever the verb left.".to_owned(),
        }],
    }
}

/// A model that answers what it is told to, then `Honey.`
#[derive(Default)]
struct TestModel {
    answers: Mutex<VecDeque<Result<Completion, AskError>>>,
    asked: Mutex<Vec<ModelRequest>>,
    is_silent: bool,
    was_asked: Notify,
}

impl TestModel {
    fn answering(answer: Result<Completion, AskError>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new([answer].into()), ..Self::default() })
    }

    /// A model that never answers.
    fn silent() -> Arc<Self> {
        Arc::new(Self { is_silent: true, ..Self::default() })
    }
}

impl ModelPort for TestModel {
    fn ask(&self, request: ModelRequest) -> BoxFuture<'_, Result<Completion, AskError>> {
        Box::pin(async move {
            self.asked.lock().unwrap().push(request);
            self.was_asked.notify_one();
            if self.is_silent {
                std::future::pending::<()>().await;
            }
            let answer = self.answers.lock().unwrap().pop_front();
            answer.unwrap_or_else(|| Ok(completion("Honey.")))
        })
    }

    fn stream(
        &self,
        request: ModelRequest,
    ) -> BoxFuture<'_, Result<Box<dyn AnswerStream>, AskError>> {
        Box::pin(async {
            let answer = self.ask(request).await?;
            Ok(Box::new(Told::whole(answer)) as Box<dyn AnswerStream>)
        })
    }
}

fn completion(content: &str) -> Completion {
    Completion {
        content: content.to_owned(),
        finish_reason: FinishReason::Stop,
        model: "test".to_owned(),
        usage: Usage {
            input_tokens: Some(3),
            output_tokens: Some(2),
            cached_tokens: None,
            cache_write_tokens: None,
            reasoning_tokens: None,
            source: UsageSource::Provider,
        },
        cost_nano_usd: Some(7),
    }
}

async fn attempt(job: StageJob) -> Attempt {
    sandbox().run(job, Ports::models(Arc::new(TestModel::default()))).await
}

async fn output(settings: &str) -> StageOutput {
    attempt(job(settings)).await.outcome.unwrap()
}

async fn fault(job: StageJob) -> Fault {
    attempt(job).await.outcome.unwrap_err()
}

/// The data of an output, as JSON.
async fn data(job: StageJob) -> serde_json::Value {
    let output = attempt(job).await.outcome.unwrap();
    serde_json::from_str(output.data.as_str()).unwrap()
}

#[track_caller]
fn assert_says(text: &str, wanted: &[&str]) {
    for words in wanted {
        assert!(text.contains(words), "`{words}` is missing in: {text}");
    }
}
