//! The ports through which stages are executed. They keep WebAssembly out of `engine`, and persistence out of
//! `sandbox`: whoever runs a stage does not know who keeps its answers.
use std::collections::BTreeSet;
use std::future::Future;
use std::io::Read;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::http::{HttpError, HttpRequest, HttpResponse};
use crate::model::{Completion, ModelError, ModelRequest};
use crate::plan::{PinnedPlugin, PluginRef};
use crate::stage::{ArtifactSpec, StageContext, StageInfo, StageLog, StageOutput};
use crate::upload::{Added, NewPlugin, Upload, UploadError, UploadedPlugin};
use crate::{Digest, Fault, Limits};

/// A future behind a `dyn` port.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One attempt at a stage, to be run.
#[derive(Debug, Clone)]
pub struct StageJob {
    /// The plugin to run.
    pub plugin: PinnedPlugin,
    /// What it is told.
    pub context: StageContext,
    /// What it may use up.
    pub limits: Limits,
    /// The artifacts that it has to make.
    pub makes: Vec<ArtifactSpec>,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// What it made, or what went wrong.
    pub outcome: Result<StageOutput, Fault>,
    /// What it logged.
    pub log: StageLog,
    /// What it used up.
    pub consumed: Consumed,
}

/// What an attempt used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Consumed {
    /// Time that the guest computed, to the tick.
    pub cpu_time: Duration,
    /// Most linear memory at one time, in bytes.
    pub memory_bytes: u64,
}

/// Runs stages. Dropping a returned future stops the guest.
pub trait StageRunner: Send + Sync {
    /// Runs one attempt from its start. What goes wrong is in [`Attempt::outcome`].
    fn run(&self, job: StageJob, ports: Ports) -> BoxFuture<'_, Attempt>;

    /// The first question that the stage would ask. Nothing is asked.
    fn build_prompt(&self, job: StageJob) -> BoxFuture<'_, Result<ModelRequest, Fault>>;

    /// Makes plugins ready ahead of their first calls, so that these do not wait. What cannot be made ready is told by the
    /// stage that needs it.
    fn prepare(&self, _plugins: Vec<Digest>) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// What a stage reaches beside its context.
#[derive(Clone)]
pub struct Ports {
    /// Answers its questions.
    pub models: Arc<dyn ModelPort>,
    /// Carries its HTTP requests. `None`: the stage has no network, and every such call stops it.
    pub http: Option<Arc<dyn HttpPort>>,
}

impl Ports {
    /// Models and no network.
    pub fn models(models: Arc<dyn ModelPort>) -> Self {
        Self { models, http: None }
    }
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskError {
    /// The model did not answer. The guest is told, and may go on.
    Model(ModelError),
    /// The attempt cannot go on; the guest is stopped.
    Stop(Fault),
}

/// Answers the questions of one attempt, in their order.
pub trait ModelPort: Send + Sync {
    /// Asks the next question. The answer is durable before it is given.
    fn ask(&self, request: ModelRequest) -> BoxFuture<'_, Result<Completion, AskError>>;

    /// Asks the next question, and gives the answer as it comes. While the stream is open, nothing else may be asked.
    fn stream(
        &self,
        request: ModelRequest,
    ) -> BoxFuture<'_, Result<Box<dyn AnswerStream>, AskError>>;
}

/// Why an HTTP request has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpAskError {
    /// There is none. The guest is told, and may go on.
    Http(HttpError),
    /// The attempt cannot go on; the guest is stopped.
    Stop(Fault),
}

/// Carries the HTTP requests of one attempt, in their order.
pub trait HttpPort: Send + Sync {
    /// Sends the next request. The answer is durable before it is given.
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpAskError>>;
}

/// An answer as it comes. Dropping it before its end says that the attempt has ended: the provider is stopped, the call is
/// canceled, and what was used is recorded.
pub trait AnswerStream: Send {
    /// The next piece of text, never empty; `None` after the last, and then the whole answer is durable. Where pieces are
    /// cut means nothing, and differs when an attempt is replayed.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<String>, AskError>>;

    /// The whole answer, pieces that were given included. Waits for the end.
    fn finish(&mut self) -> BoxFuture<'_, Result<Completion, AskError>>;

    /// The stage does not want the rest, and goes on: the provider is stopped, and the answer as it stands is kept for a
    /// replay. After the end it means nothing.
    fn unwanted(self: Box<Self>);
}

/// A plugin that the host knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPlugin {
    /// What it says about itself.
    pub info: StageInfo,
    /// Digest of its bytes.
    pub digest: Digest,
    /// Size of the component, in bytes.
    pub size_bytes: u64,
    /// Where it comes from.
    pub source: PluginSource,
    /// Interfaces that it imports, e.g. `wasi:io/streams@0.2.6`.
    pub imports: Vec<String>,
    /// The contract version that it was built for, e.g. `1.0.0`.
    pub contract_version: String,
}

impl KnownPlugin {
    /// The plugin as a run is bound to it.
    pub fn pin(&self) -> PinnedPlugin {
        PinnedPlugin {
            name: self.info.name.clone(),
            version: self.info.version.clone(),
            digest: self.digest.clone(),
        }
    }
}

/// Where a plugin comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginSource {
    /// Shipped inside the program.
    Bundled,
    /// A file that a person put there, by its path.
    File(String),
    /// Uploaded, and kept by the host.
    Uploaded(Upload),
}

/// Why a plugin cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PluginError {
    /// Nobody knows it.
    #[error("no plugin `{asked}`")]
    Unknown {
        /// The text that named it.
        asked: String,
        /// Names that would have been found.
        known: Vec<String>,
    },
    /// It is there, and does not fit.
    #[error("{place}: {}", findings.join("; "))]
    Unfit {
        /// The file, or the name of the bundled plugin.
        place: String,
        /// Everything that is wrong with it, each with what to do.
        findings: Vec<String>,
    },
    /// It could not be read or written.
    #[error("{place}: {detail}")]
    Io {
        /// The file.
        place: String,
        /// The cause.
        detail: String,
    },
}

/// Knows the plugins of this host.
pub trait PluginCatalog: Send + Sync {
    /// All that can be used, by name and version; and what lies in the plugin folder and cannot, with the reason.
    fn list(&self) -> (Vec<KnownPlugin>, Vec<PluginError>);

    /// The plugin that a profile names. `base` is the folder at which a relative path starts. Copies that runs are bound
    /// to are not found.
    ///
    /// # Errors
    /// [`PluginError`] if there is none, or if it cannot be used.
    fn find(&self, reference: &PluginRef, base: Option<&str>) -> Result<KnownPlugin, PluginError>;

    /// Keeps a copy of the bytes with this digest for as long as a run is bound to them, so that it can be finished after
    /// the plugin was replaced.
    ///
    /// # Errors
    /// [`PluginError`] if nobody knows the digest or the bytes cannot be written.
    fn pin(&self, digest: &Digest) -> Result<(), PluginError>;

    /// The bytes with this digest, to be carried to another host.
    ///
    /// # Errors
    /// [`PluginError`] if nobody knows the digest or the bytes cannot be read.
    fn read(&self, digest: &Digest) -> Result<Vec<u8>, PluginError>;

    /// Keeps bytes that come from another host, as [`PluginCatalog::pin`] keeps those of this one. They are compared with
    /// the contract when a run uses them.
    ///
    /// # Errors
    /// [`PluginError`] if the bytes do not have this digest or cannot be written.
    fn keep(&self, digest: &Digest, bytes: &[u8]) -> Result<(), PluginError>;

    /// The plugin that a run is bound to, also if nothing but the copy for such runs is left of it.
    ///
    /// # Errors
    /// [`PluginError`] if there is no such copy, or if it was changed.
    fn bound(&self, digest: &Digest) -> Result<KnownPlugin, PluginError> {
        self.find(&PluginRef::Digest(digest.clone()), None)
    }

    /// Removes the copies of plugins that no run is bound to; `bound` are all that some run is. What was pinned a short
    /// time ago stays, because its run may not be written down yet. Gives how many went.
    ///
    /// # Errors
    /// [`PluginError::Io`] if one cannot be removed.
    fn release(&self, _bound: &BTreeSet<Digest>) -> Result<u64, PluginError> {
        Ok(0)
    }

    /// What lies in the plugin folder or was uploaded and cannot be used. Asks nothing that is inside the program.
    fn unusable(&self) -> Vec<PluginError> {
        self.list().1
    }

    /// The digests of all plugins that a person can name, each once: also of those that cannot be used, and of those that
    /// only runs have any more.
    fn digests(&self) -> Vec<Digest> {
        let digests = self.list().0.into_iter().map(|plugin| plugin.digest);
        digests.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Checks a component, and keeps it as a plugin. Blocks for as long as compiling takes; given up when it is called
    /// off.
    ///
    /// # Errors
    /// [`UploadError`] with everything that is wrong with it.
    fn add(
        &self,
        component: &mut (dyn Read + Send),
        asked: &NewPlugin,
        is_called_off: &(dyn Fn() -> bool + Sync),
    ) -> Result<Added, UploadError>;

    /// The one upload that goes by a name, a version or a digest.
    ///
    /// # Errors
    /// [`UploadError`] if there is none, or more than one.
    fn uploaded(&self, reference: &PluginRef) -> Result<UploadedPlugin, UploadError>;

    /// Removes an upload. Copies that runs are bound to stay.
    ///
    /// # Errors
    /// [`UploadError`] if there is none, or if its file cannot be removed.
    fn remove(&self, digest: &Digest) -> Result<(), UploadError>;
}
