//! Stages that are plain Rust.
use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::sync::{Arc, Mutex};

use domain::model::{Message, ModelOptions, ModelRequest, Role};
use domain::plan::PluginRef;
use domain::port::{
    AnswerStream, AskError, Attempt, BoxFuture, Consumed, KnownPlugin, ModelPort, PluginCatalog,
    PluginError, PluginSource, Ports, StageJob, StageRunner,
};
use domain::stage::{ArtifactSpec, StageContext, StageInfo, StageLog, StageOutput, Variable};
use domain::upload::{Added, NewPlugin, UploadError, UploadedPlugin};
use domain::{Artifact, Digest, Fault, FaultKind, Json};
use tokio::sync::Semaphore;

/// What a stage of the test host does.
#[derive(Debug, Clone)]
pub(in crate::tests) enum Behavior {
    /// Asks these questions, then gives the answers back as its artifact.
    Ask(Vec<String>),
    /// Asks, waits for [`Stages::gate`], and asks again.
    AskWaitAsk(String, String),
    /// Does these things in turn; what it got is its artifact.
    Do(Vec<Step>),
    /// Sets a variable with this name.
    Set(&'static str),
    /// Fails.
    Fail(FaultKind),
    /// Does one thing in its first attempt, another in its second, and so on; the last from then on.
    ByAttempt(Vec<Behavior>),
    /// Brings the host's own code down.
    Panic,
}

/// Something that a stage does. Each adds a text to the artifact.
#[derive(Debug, Clone)]
pub(in crate::tests) enum Step {
    /// Asks, and fails if there is no answer.
    Ask(&'static str),
    /// Asks, and goes on without an answer: the code of the error is the text.
    TryToAsk(&'static str),
    /// Asks, and goes on whatever comes of it, also when it is told to stop.
    AskRegardless(&'static str),
    /// Reads a stream to its end. An error adds its code.
    Stream(&'static str),
    /// Reads a stream until it has so many bytes, and drops it: those bytes are the text.
    StreamSome(&'static str, usize),
    /// Reads a stream until it has so many bytes, and fails while it is open.
    StreamAndFail(&'static str, usize),
    /// Reads the first piece of a stream, arrives at the gate, and reads the rest.
    StreamSlowly(&'static str),
    /// Opens a stream and asks before it is read; the code of the error is the text.
    AskInTheMiddle(&'static str),
    /// Waits for [`Stages::gate`].
    Wait,
    /// Gives the texts of earlier stages.
    Earlier,
    /// Asks what a reviewer wanted changed, with the texts that the words are about.
    AskRevision,
}

/// Runs stages that are plain Rust.
pub(in crate::tests) struct Stages {
    behaviors: Mutex<HashMap<String, Behavior>>,
    /// Part of the bytes of all plugins: another edition has other digests.
    edition: Mutex<&'static str>,
    /// Digests of the plugins that were run.
    ran: Mutex<Vec<Digest>>,
    /// What was said to be bound, each time that the copies of plugins were looked at.
    released: Mutex<Vec<BTreeSet<Digest>>>,
    /// What stages wait for; closed by nobody.
    pub(in crate::tests) gate: Semaphore,
    /// Gets a permit each time that a stage arrives at the gate.
    pub(in crate::tests) arrived: Semaphore,
}

impl Stages {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            behaviors: Mutex::new(HashMap::new()),
            edition: Mutex::new(""),
            ran: Mutex::new(Vec::new()),
            released: Mutex::new(Vec::new()),
            gate: Semaphore::new(0),
            arrived: Semaphore::new(0),
        })
    }

    pub(in crate::tests) fn set(&self, stage: &str, behavior: Behavior) {
        self.behaviors.lock().unwrap().insert(stage.to_owned(), behavior);
    }

    /// Puts other plugins in place of those that are there, under the same names.
    pub(in crate::tests) fn replace_plugins(&self, edition: &'static str) {
        *self.edition.lock().unwrap() = edition;
    }

    /// Digests of the plugins that were run.
    pub(in crate::tests) fn ran(&self) -> Vec<Digest> {
        self.ran.lock().unwrap().clone()
    }

    /// What was said to be bound, each time that the copies of plugins were looked at.
    pub(in crate::tests) fn released(&self) -> Vec<BTreeSet<Digest>> {
        self.released.lock().unwrap().clone()
    }

    fn known(&self, name: &str) -> KnownPlugin {
        let edition = *self.edition.lock().unwrap();
        KnownPlugin {
            digest: store::digest_of(format!("{name}{edition}").as_bytes()),
            ..known(name)
        }
    }

    /// Waits until a stage has arrived at the gate.
    pub(in crate::tests) async fn has_arrived(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    fn behavior(&self, stage: &str) -> Behavior {
        let usual = || Behavior::Ask(vec![format!("the question of {stage}")]);
        self.behaviors.lock().unwrap().get(stage).cloned().unwrap_or_else(usual)
    }

    async fn outcome(&self, job: &StageJob, models: &dyn ModelPort) -> Result<StageOutput, Fault> {
        let mut text = String::new();
        let mut behavior = self.behavior(job.context.stage_key.as_str());
        if let Behavior::ByAttempt(behaviors) = &behavior {
            let last = behaviors.len() - 1;
            behavior = behaviors[last.min(job.context.attempt as usize - 1)].clone();
        }
        match behavior {
            Behavior::Ask(questions) => {
                for question in questions {
                    text.push_str(&ask(models, &question).await.map_err(fault)?);
                }
            }
            Behavior::AskWaitAsk(first, second) => {
                text.push_str(&ask(models, &first).await.map_err(fault)?);
                self.wait().await;
                text.push_str(&ask(models, &second).await.map_err(fault)?);
            }
            Behavior::Do(steps) => {
                for step in steps {
                    text.push_str(&self.step(job, step, models).await?);
                }
            }
            Behavior::Set(name) => {
                let value = Json::from_parsed("1");
                let variables = vec![Variable { name: name.parse().unwrap(), value }];
                return Ok(StageOutput { variables, ..output(job, text) });
            }
            Behavior::Fail(kind) => return Err(Fault { kind, message: "as told".to_owned() }),
            Behavior::ByAttempt(_) => panic!("an attempt does one thing"),
            Behavior::Panic => panic!("as told"),
        }
        Ok(output(job, text))
    }

    async fn wait(&self) {
        self.arrived.add_permits(1);
        self.gate.acquire().await.unwrap().forget();
    }

    async fn step(
        &self,
        job: &StageJob,
        step: Step,
        models: &dyn ModelPort,
    ) -> Result<String, Fault> {
        let mut text = String::new();
        match step {
            Step::Ask(question) => return ask(models, question).await.map_err(fault),
            Step::TryToAsk(question) => return told(ask(models, question).await),
            Step::AskRegardless(question) => {
                text = ask(models, question).await.unwrap_or_default();
            }
            Step::Wait => self.wait().await,
            Step::Earlier => {
                let texts = job.context.artifacts.iter().map(|earlier| &*earlier.artifact.body);
                text = texts.collect::<Vec<&str>>().join("\n");
            }
            Step::AskRevision => {
                return ask(models, &wanted(&job.context)).await.map_err(fault);
            }
            Step::AskInTheMiddle(question) => {
                let mut stream = models.stream(request(question)).await.map_err(fault)?;
                text = told(ask(models, "another question").await)?;
                stream.finish().await.map_err(fault)?;
            }
            Step::Stream(question) => {
                let mut stream = models.stream(request(question)).await.map_err(fault)?;
                loop {
                    match stream.next().await {
                        Ok(Some(piece)) => text.push_str(&piece),
                        Ok(None) => break,
                        Err(error) => return Ok(text + &told(Err(error))?),
                    }
                }
                assert_eq!(stream.finish().await.map_err(fault)?.content, text);
            }
            Step::StreamSome(question, bytes) => {
                let mut stream = models.stream(request(question)).await.map_err(fault)?;
                text = read_some(&mut *stream, bytes).await?;
                stream.unwanted();
                text.truncate(bytes);
            }
            Step::StreamAndFail(question, bytes) => {
                let mut stream = models.stream(request(question)).await.map_err(fault)?;
                let message = read_some(&mut *stream, bytes).await?;
                return Err(Fault { kind: FaultKind::Trap, message });
            }
            Step::StreamSlowly(question) => {
                let mut stream = models.stream(request(question)).await.map_err(fault)?;
                stream.next().await.map_err(fault)?;
                self.wait().await;
                text = stream.finish().await.map_err(fault)?.content;
            }
        }
        Ok(text)
    }
}

/// What a reviewer wants changed, in one line.
fn wanted(context: &StageContext) -> String {
    match &context.revision {
        None => "nothing is wanted".to_owned(),
        Some(revision) => {
            let texts = revision.previous.iter().map(|artifact| &*artifact.body);
            format!("{}: {}", revision.feedback, texts.collect::<Vec<&str>>().join(", "))
        }
    }
}

async fn read_some(stream: &mut dyn AnswerStream, bytes: usize) -> Result<String, Fault> {
    let mut text = String::new();
    while text.len() < bytes {
        let piece = stream.next().await.map_err(fault)?;
        text.push_str(&piece.expect("the answer is long enough"));
    }
    Ok(text)
}

async fn ask(models: &dyn ModelPort, question: &str) -> Result<String, AskError> {
    models.ask(request(question)).await.map(|completion| completion.content)
}

fn fault(error: AskError) -> Fault {
    match error {
        AskError::Model(error) => {
            Fault { kind: FaultKind::Model(error.kind), message: error.message }
        }
        AskError::Stop(fault) => fault,
    }
}

/// The answer, or the code of what the model said instead.
fn told(outcome: Result<String, AskError>) -> Result<String, Fault> {
    match outcome {
        Ok(text) => Ok(text),
        Err(AskError::Model(error)) => Ok(format!("[{}]", error.kind.code())),
        Err(AskError::Stop(fault)) => Err(fault),
    }
}

fn request(question: &str) -> ModelRequest {
    let message = Message { role: Role::User, content: question.to_owned() };
    ModelRequest { messages: vec![message], options: ModelOptions::default(), label: None }
}

fn output(job: &StageJob, body: String) -> StageOutput {
    StageOutput {
        artifacts: vec![Artifact {
            name: job.makes[0].name.parse().unwrap(),
            media_type: "text/markdown".to_owned(),
            body,
        }],
        data: Json::null(),
        summary: "done".to_owned(),
        variables: Vec::new(),
    }
}

impl StageRunner for Stages {
    fn run(&self, job: StageJob, Ports { models, .. }: Ports) -> BoxFuture<'_, Attempt> {
        Box::pin(async move {
            self.ran.lock().unwrap().push(job.plugin.digest.clone());
            let outcome = self.outcome(&job, &*models).await;
            Attempt { outcome, log: StageLog::default(), consumed: Consumed::default() }
        })
    }

    fn build_prompt(&self, job: StageJob) -> BoxFuture<'_, Result<ModelRequest, Fault>> {
        let question = match &job.context.revision {
            None => {
                let known = job
                    .context
                    .variables
                    .iter()
                    .map(|known| format!(" with {}", known.name.as_str()));
                format!("the question of {}{}", job.context.stage_key, known.collect::<String>())
            }
            Some(_) => wanted(&job.context),
        };
        Box::pin(async move { Ok(request(&question)) })
    }
}

impl PluginCatalog for Stages {
    fn list(&self) -> (Vec<KnownPlugin>, Vec<PluginError>) {
        (vec![self.known("plain")], Vec::new())
    }

    fn find(&self, reference: &PluginRef, _: Option<&str>) -> Result<KnownPlugin, PluginError> {
        match reference {
            PluginRef::Name(name) => Ok(self.known(name)),
            PluginRef::Version { .. } | PluginRef::Digest(_) | PluginRef::Path(_) => {
                Err(PluginError::Unknown { asked: reference.to_string(), known: Vec::new() })
            }
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

    fn release(&self, bound: &BTreeSet<Digest>) -> Result<u64, PluginError> {
        self.released.lock().unwrap().push(bound.clone());
        Ok(0)
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
            settings_schema: Json::from_parsed(r#"{"type":"object"}"#),
        },
        digest: store::digest_of(name.as_bytes()),
        size_bytes: 1,
        source: PluginSource::Bundled,
        imports: Vec::new(),
        contract_version: "1.0.0".to_owned(),
    }
}
