//! One stage, done once, on input that a file gives: what `plugin run`, `plugin test` and a replay have in common.
//!
//! What a profile and an engine do for a stage in a run is done here for one stage alone: settings get their defaults and
//! are checked against the plugin's schema, the artifacts that have to be made are those that these settings ask for,
//! and a bound on the number of questions holds. Nothing is journaled: an attempt that breaks off is done again.
mod provider;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::plan::PluginRef;
use domain::port::{
    Attempt, HttpPort, KnownPlugin, ModelPort, PluginCatalog as _, Ports, StageJob,
    StageRunner as _,
};
use domain::{Json, Limits};
use profile::{Problem, Problems, SettingsSchema, StageArtifacts};
use sandbox::Sandbox;
use serde_json::Value;
use tempfile::TempDir;

pub use provider::{ProviderModels, Spending, scripted_writer};

use crate::Error;
use crate::context::Input;
use crate::exchange::{CallBound, Exchange, HttpExchange, HttpScript, Recorder};

/// The sandbox of an author: no plugins but those that are named by their file.
pub struct Workshop {
    sandbox: Sandbox,
    /// Goes after the sandbox, which writes into it.
    _temporary: Option<TempDir>,
}

impl Workshop {
    /// Opens a sandbox. Compiled code goes to the cache of the data folder if there is such a folder; otherwise it is
    /// kept for as long as this workshop, and the author's machine stays as it was.
    ///
    /// # Errors
    /// [`Error::Sandbox`] if this machine cannot run guests, [`Error::Io`] if there is no place for compiled code.
    pub fn open(data_dir: &Path) -> Result<Workshop, Error> {
        if data_dir.is_dir() {
            let sandbox = Self::sandbox_with(&cache_dir(data_dir))?;
            return Ok(Workshop { sandbox, _temporary: None });
        }
        let temporary = tempfile::Builder::new().prefix("stagewright-").tempdir();
        let temporary = temporary.map_err(|cause| Error::io(&std::env::temp_dir(), cause))?;
        let sandbox = Self::sandbox_with(temporary.path())?;
        Ok(Workshop { sandbox, _temporary: Some(temporary) })
    }

    /// A sandbox that keeps compiled code in this folder, and knows no plugins.
    pub(crate) fn sandbox_with(cache_dir: &Path) -> Result<Sandbox, Error> {
        let config = sandbox::Config {
            cache_dir: cache_dir.to_owned(),
            plugin_dir: cache_dir.join("no-plugins"),
            pinned_dir: cache_dir.join("nothing-pinned"),
            bundled: &[],
            // An author looks at one stage at a time.
            instance_count_max: 1,
        };
        Sandbox::open(config).map_err(Error::Sandbox)
    }

    /// The plugin in a file, compared with the contract.
    ///
    /// # Errors
    /// [`Error::Plugin`] with everything that is wrong with it.
    pub fn plugin(&self, component: &Path) -> Result<KnownPlugin, Error> {
        let reference = PluginRef::Path(component.display().to_string());
        self.sandbox.find(&reference, None).map_err(Error::Plugin)
    }

    /// Runs stages of the plugins that were asked for.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }
}

/// Where a data folder keeps compiled code.
pub(crate) fn cache_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("cache")
}

/// One stage, ready to be done.
#[derive(Debug, Clone)]
pub struct Trial {
    job: StageJob,
    needs: Vec<String>,
}

/// What came of a trial.
#[derive(Debug, Clone)]
pub struct Tried {
    /// How the attempt ended, what it logged, and what it used up.
    pub attempt: Attempt,
    /// What it asked, and what it was told; in order.
    pub exchanges: Vec<Exchange>,
    /// What it sent to other hosts, and what came of it; in order.
    pub requests: Vec<HttpExchange>,
}

impl Trial {
    /// Makes of an input what a run would make of it: settings get their defaults. `place` names the input's file.
    ///
    /// # Errors
    /// [`Error::Problems`] with every setting that the plugin's schema does not allow.
    pub fn prepare(plugin: &KnownPlugin, input: Input, place: &Path) -> Result<Trial, Error> {
        let Input { mut context, limits } = input;
        let problem = |message: String| {
            Problem::of_file(place.display().to_string(), format!("`/settings`: {message}"))
        };
        let schema = SettingsSchema::compile(plugin.info.settings_schema.as_str());
        let schema = schema.map_err(|detail| {
            let message = format!("the settings schema of the plugin is not usable: {detail}");
            Error::Problems(problem(message).into())
        })?;
        let said: Value = serde_json::from_str(context.settings.as_str()).unwrap_or(Value::Null);
        let settings = schema.settle(&said).map_err(|wrong| {
            Error::Problems(wrong.into_iter().map(problem).collect::<Problems>())
        })?;
        let artifacts = StageArtifacts::of(&plugin.info, &settings, &context.stage_key);
        let artifacts = artifacts.map_err(|unusable| {
            let said =
                unusable.into_iter().map(|name| format!("`{}` {}", name.setting, name.message));
            Error::Problems(said.map(problem).collect::<Problems>())
        })?;
        context.settings = Json::from_parsed(settings.to_string());
        let StageArtifacts { needs, makes, .. } = artifacts;
        let job = StageJob { plugin: plugin.pin(), context, limits, makes };
        Ok(Trial { job, needs })
    }

    /// What the sandbox is given.
    pub fn job(&self) -> &StageJob {
        &self.job
    }

    /// Artifacts of earlier stages that the stage needs and the input does not have. A run would not have begun.
    pub fn missing_needs(&self) -> Vec<&str> {
        let has = |name: &str| {
            let mut artifacts = self.job.context.artifacts.iter();
            artifacts.any(|earlier| earlier.artifact.name.as_str() == name)
        };
        self.needs.iter().map(String::as_str).filter(|name| !has(name)).collect()
    }

    /// What the stage may use up.
    pub fn limits(&self) -> &Limits {
        &self.job.limits
    }

    /// The network of a stage that has these responses. Without any it has none, as without a grant.
    pub fn network(&self, responses: Vec<HttpExchange>) -> Option<Arc<HttpScript>> {
        let request_count_max = self.job.limits.http_request_count_max;
        (!responses.is_empty()).then(|| Arc::new(HttpScript::new(responses, request_count_max)))
    }

    /// Does the stage once. `models` answers its questions, and `network` its requests; without one it reaches no host.
    pub async fn run(
        &self,
        sandbox: &Sandbox,
        models: Arc<dyn ModelPort>,
        network: Option<Arc<HttpScript>>,
    ) -> Tried {
        let recorder = Arc::new(Recorder::new(models));
        // As in a run, a question beyond the bound is refused and not recorded.
        let asked = Arc::clone(&recorder) as Arc<dyn ModelPort>;
        let bound = CallBound::new(asked, self.job.limits.model_call_count_max);
        let http = network.clone().map(|script| script as Arc<dyn HttpPort>);
        let attempt = sandbox.run(self.job.clone(), Ports { models: Arc::new(bound), http }).await;
        let requests = network.map(|script| script.answered()).unwrap_or_default();
        Tried { attempt, exchanges: recorder.exchanges(), requests }
    }
}
