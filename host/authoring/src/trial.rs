//! One stage, done once, on input that a file gives: what `plugin run`, `plugin test` and a replay have in common.
//!
//! What a profile and an engine do for a stage in a run is done here for one stage alone: settings get their defaults and
//! are checked against the plugin's schema, the artifacts that have to be made are those that these settings ask for,
//! and a bound on the number of questions holds. Nothing is journaled: an attempt that breaks off is done again.
mod provider;
mod workshop;

use std::path::Path;
use std::sync::Arc;

use domain::Json;
use domain::port::{Attempt, HttpPort, KnownPlugin, ModelPort, Ports, StageJob, StageRunner as _};
use profile::{Problem, Problems, SettingsSchema, StageArtifacts};
use sandbox::Sandbox;
use serde_json::Value;

pub use provider::{ProviderModels, Spending, scripted_writer};
pub use workshop::{CodeCache, Workshop, plugin_in};

use crate::Error;
use crate::context::Input;
use crate::exchange::{CallBound, Exchange, HttpExchange, HttpScript, Recorder};

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
        let Input { mut context, limits, .. } = input;
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
        let requests = network.map(|script| script.exchanges()).unwrap_or_default();
        Tried { attempt, exchanges: recorder.exchanges(), requests }
    }
}
