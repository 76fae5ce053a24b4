//! What a component costs: measured on the machine of whoever checks it, at this moment.
use std::time::Duration;

use domain::Limits;
use domain::port::{Consumed, KnownPlugin};
use domain::stage::{Belonging, EarlierArtifact, StageContext};
use domain::{Artifact, Fault, Json};
use sandbox::{MEMORY_BYTES_BOUND, Sandbox, StartCosts};
use serde::Serialize;

use super::Finding;
use crate::context::{Input, media_type_of};
use crate::trial::Trial;

/// What a component costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Costs {
    /// From its bytes to machine code: once for each version of it and of the host, in milliseconds. `None` where its
    /// compiled code was in the cache.
    pub compile_ms: Option<u64>,
    /// The same from the cache: once for each start of the host, in microseconds.
    pub load_us: u64,
    /// A fresh instance, for each call: the median of several, in microseconds.
    pub start_us: u64,
    /// Memory of a fresh instance, in bytes.
    pub start_memory_bytes: u64,
    /// Most memory while it says who it is, in bytes.
    pub describe_memory_bytes: u64,
    /// What its first question takes.
    pub first_prompt: FirstPrompt,
}

/// What `build-prompt` takes for a small context that has every artifact the plugin names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum FirstPrompt {
    /// It answered: with a question, or with an error of the plugin's own.
    Answered {
        /// Most memory, in bytes.
        memory_bytes: u64,
    },
    /// It broke down.
    Failed {
        /// The code of the fault.
        error_code: String,
        /// What happened.
        message: String,
    },
    /// It was not tried.
    NotTried {
        /// Why.
        reason: String,
    },
}

impl Costs {
    pub(super) fn new(
        compile_time: Option<Duration>,
        load_time: Duration,
        start: StartCosts,
        first_prompt: FirstPrompt,
    ) -> Costs {
        let number = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
        Costs {
            compile_ms: compile_time.map(|time| number(time.as_millis())),
            load_us: number(load_time.as_micros()),
            start_us: number(start.time.as_micros()),
            start_memory_bytes: start.memory_bytes,
            describe_memory_bytes: start.describe_memory_bytes,
            first_prompt,
        }
    }

    /// Most memory that was seen, in bytes.
    pub fn peak_memory_bytes(&self) -> u64 {
        let prompt = match self.first_prompt {
            FirstPrompt::Answered { memory_bytes } => memory_bytes,
            FirstPrompt::Failed { .. } | FirstPrompt::NotTried { .. } => 0,
        };
        self.start_memory_bytes.max(self.describe_memory_bytes).max(prompt)
    }

    /// What works, and is not as users of the plugin would like it.
    pub(super) fn warnings(&self) -> Vec<Finding> {
        let mut warnings = Vec::new();
        let peak_mib = self.peak_memory_bytes().div_ceil(1 << 20);
        let granted_mib = Limits::DEFAULT.memory_bytes_max >> 20;
        if peak_mib > granted_mib {
            warnings.push(Finding {
                code: "memory",
                what: format!(
                    "it uses {peak_mib} MiB before its first question, and a profile grants {granted_mib} MiB where it \
                     says nothing"
                ),
                cure: format!(
                    "make it smaller, or tell its users to set `limits: {{ memory_mib: {} }}`",
                    peak_mib.next_power_of_two()
                ),
            });
        }
        if let FirstPrompt::Failed { error_code, message } = &self.first_prompt {
            warnings.push(Finding {
                code: "build_prompt",
                what: format!(
                    "`build-prompt` broke down on a small context ({error_code}): {message}"
                ),
                cure: "have it refuse what it cannot use with `bad-input`".to_owned(),
            });
        }
        warnings
    }
}

/// Starts the component and has it build a question.
pub(super) async fn measure(
    sandbox: &Sandbox,
    plugin: &KnownPlugin,
    bytes: &[u8],
) -> Result<(StartCosts, FirstPrompt), Fault> {
    let start = sandbox.start_costs(plugin, bytes).await?;
    let trial = match Trial::prepare(plugin, sample(plugin), "the sample".as_ref()) {
        Ok(trial) => trial,
        Err(_) => {
            let reason = "it has settings without a default".to_owned();
            return Ok((start, FirstPrompt::NotTried { reason }));
        }
    };
    let (outcome, Consumed { memory_bytes, .. }) =
        sandbox.prompt_costs(trial.job().clone(), bytes).await;
    let first_prompt = match outcome {
        Ok(()) => FirstPrompt::Answered { memory_bytes },
        Err(fault) if fault.kind.is_declared() => FirstPrompt::Answered { memory_bytes },
        Err(fault) => {
            FirstPrompt::Failed { error_code: fault.kind.code().to_owned(), message: fault.message }
        }
    };
    Ok((start, first_prompt))
}

/// A small context with everything that the plugin names.
fn sample(plugin: &KnownPlugin) -> Input {
    let artifact = |name: &String| {
        let media_type = media_type_of(name);
        let body = if media_type == "application/json" { "{}" } else { "# Sample\n\nA line.\n" };
        Some(EarlierArtifact {
            stage: "earlier".parse().ok()?,
            artifact: Artifact {
                name: name.parse().ok()?,
                media_type: media_type.to_owned(),
                body: body.to_owned(),
            },
        })
    };
    let info = &plugin.info;
    let context = StageContext {
        request_text: "Honey from city bees.".to_owned(),
        run_id: "run_00000000000000000000000000000000".parse().expect("it has 32 digits"),
        belonging: Belonging::default(),
        stage_key: "check".parse().expect("it is a key"),
        attempt: 1,
        settings: Json::from_parsed("{}"),
        variables: Vec::new(),
        artifacts: info.needs.iter().chain(&info.uses).filter_map(artifact).collect(),
        skills: Vec::new(),
        revision: None,
    };
    // What it uses is to be seen, not to be cut off.
    let limits = Limits { memory_bytes_max: MEMORY_BYTES_BOUND, ..Limits::DEFAULT };
    Input { context, limits, files: Vec::new() }
}
