//! Stages that are plain Rust: each asks the scripted model once and gives the answer back.
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::model::{Message, ModelOptions, ModelRequest, Role};
use domain::plan::PluginRef;
use domain::port::{
    AskError, Attempt, BoxFuture, Consumed, KnownPlugin, ModelPort, PluginCatalog, PluginError,
    PluginSource, Ports, StageJob, StageRunner,
};
use domain::stage::{ArtifactSpec, StageInfo, StageLog, StageOutput, Variable};
use domain::upload::{Added, NewPlugin, UploadError, UploadedPlugin};
use domain::{Artifact, Digest, Fault, FaultKind, Json};
use tokio::sync::Semaphore;

/// Runs stages that are plain Rust.
pub(super) struct Stages {
    /// Stages wait for a permit each before they do anything.
    pub(super) room: Semaphore,
    /// Stages fail.
    pub(super) broken: AtomicBool,
    /// Prompts cannot be built.
    pub(super) unbuildable: AtomicBool,
    /// Prompts bring the host's own code down.
    pub(super) panicking: AtomicBool,
}

impl Stages {
    /// Stages that never have to wait.
    pub(super) fn unhindered() -> Self {
        Self {
            room: Semaphore::new(Semaphore::MAX_PERMITS),
            broken: AtomicBool::new(false),
            unbuildable: AtomicBool::new(false),
            panicking: AtomicBool::new(false),
        }
    }

    /// Stages that wait for permits.
    pub(super) fn held_up() -> Self {
        Self { room: Semaphore::new(0), ..Self::unhindered() }
    }

    async fn outcome(&self, job: &StageJob, models: &dyn ModelPort) -> Result<StageOutput, Fault> {
        self.room.acquire().await.unwrap().forget();
        if self.broken.load(Ordering::SeqCst) {
            return Err(no_topic());
        }
        let answer = models.ask(question(job)).await.map_err(|error| match error {
            AskError::Model(error) => {
                Fault { kind: FaultKind::Model(error.kind), message: error.message }
            }
            AskError::Stop(fault) => fault,
        })?;
        Ok(StageOutput {
            artifacts: vec![Artifact {
                name: job.makes[0].name.parse().unwrap(),
                media_type: "text/markdown".to_owned(),
                body: answer.content,
            }],
            data: Json::null(),
            summary: format!("{} is done", job.context.stage_key),
            variables: vec![Variable {
                name: "last_stage".parse().unwrap(),
                value: Json::from_parsed(format!("\"{}\"", job.context.stage_key)),
            }],
        })
    }
}

fn no_topic() -> Fault {
    let kind = FaultKind::BadInput { code: "no_topic".to_owned() };
    Fault { kind, message: "the request names no topic\nsay one".to_owned() }
}

fn question(job: &StageJob) -> ModelRequest {
    let mut content = format!("# Task\n\nWrite about {}.", job.context.request_text);
    if job.context.request_text.contains("quote") {
        for earlier in &job.context.artifacts {
            content.push_str(&format!("\n\nQuote: {}", earlier.artifact.body));
        }
    }
    if let Some(revision) = &job.context.revision {
        content.push_str(&format!("\n\n# Feedback\n\n{}", revision.feedback));
    }
    let options = ModelOptions { max_tokens: Some(800), ..ModelOptions::default() };
    let label = Some(job.context.stage_key.to_string());
    ModelRequest { messages: vec![Message { role: Role::User, content }], options, label }
}

impl StageRunner for Stages {
    fn run(&self, job: StageJob, Ports { models, .. }: Ports) -> BoxFuture<'_, Attempt> {
        Box::pin(async move {
            let outcome = self.outcome(&job, &*models).await;
            Attempt { outcome, log: StageLog::default(), consumed: Consumed::default() }
        })
    }

    fn build_prompt(&self, job: StageJob) -> BoxFuture<'_, Result<ModelRequest, Fault>> {
        assert!(!self.panicking.load(Ordering::SeqCst), "a secret detail of the host");
        let is_unbuildable = self.unbuildable.load(Ordering::SeqCst);
        Box::pin(async move { if is_unbuildable { Err(no_topic()) } else { Ok(question(&job)) } })
    }
}

impl PluginCatalog for Stages {
    fn list(&self) -> (Vec<KnownPlugin>, Vec<PluginError>) {
        let unfit = PluginError::Unfit {
            place: "plugins/broken.wasm".to_owned(),
            findings: vec!["it is no component: build it for `wasm32-wasip2`".to_owned()],
        };
        (vec![known("first"), known("second")], vec![unfit])
    }

    fn find(&self, reference: &PluginRef, _: Option<&str>) -> Result<KnownPlugin, PluginError> {
        match reference {
            PluginRef::Name(name) if name == "first" || name == "second" => Ok(known(name)),
            PluginRef::Name(_)
            | PluginRef::Version { .. }
            | PluginRef::Digest(_)
            | PluginRef::Path(_) => Err(PluginError::Unknown {
                asked: reference.to_string(),
                known: vec!["first".to_owned(), "second".to_owned()],
            }),
        }
    }

    fn pin(&self, _: &Digest) -> Result<(), PluginError> {
        Ok(())
    }

    fn read(&self, digest: &Digest) -> Result<Vec<u8>, PluginError> {
        Err(PluginError::Unknown { asked: digest.to_string(), known: Vec::new() })
    }

    fn keep(&self, _: &Digest, _: &[u8]) -> Result<(), PluginError> {
        Ok(())
    }

    fn add(
        &self,
        _: &mut (dyn Read + Send),
        _: &NewPlugin,
        _: &(dyn Fn() -> bool + Sync),
    ) -> Result<Added, UploadError> {
        Err(UploadError::CalledOff)
    }

    fn uploaded(&self, reference: &PluginRef) -> Result<UploadedPlugin, UploadError> {
        let asked = reference.to_string();
        Err(PluginError::Unknown { asked, known: Vec::new() }.into())
    }

    fn remove(&self, digest: &Digest) -> Result<(), UploadError> {
        let asked = digest.to_string();
        Err(PluginError::Unknown { asked, known: Vec::new() }.into())
    }
}

fn known(name: &str) -> KnownPlugin {
    KnownPlugin {
        info: StageInfo {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            summary: "Plain Rust.".to_owned(),
            needs: if name == "second" { vec!["first.md".to_owned()] } else { Vec::new() },
            uses: Vec::new(),
            makes: vec![ArtifactSpec {
                name: format!("{name}.md"),
                media_type: "text/markdown".to_owned(),
                summary: "What it made.".to_owned(),
            }],
            settings_schema: Json::from_parsed(
                r#"{"type":"object","properties":{"depth":{"enum":["brief","deep"]}},"additionalProperties":false}"#,
            ),
        },
        digest: store::digest_of(name.as_bytes()),
        size_bytes: 1,
        source: PluginSource::Bundled,
        imports: vec!["stagewright:stage/llm@1.0.0".to_owned()],
        contract_version: "1.0.0".to_owned(),
    }
}
