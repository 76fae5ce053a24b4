//! A recording as it is written down.
use std::path::Path;
use std::time::Duration;

use domain::ids::VariableName;
use domain::stage::{ArtifactSpec, LogLevel, LogLine, StageLog, StageOutput};
use domain::{Digest, Json, Limits};
use indexmap::IndexMap;
use semver::Version;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{FORMAT, FORMAT_VERSION, FaultForm, RecordedPlugin, Recording};
use crate::Error;
use crate::context::{
    ArtifactForm, ContextForm, JsonPart as _, Named, Texts, variables_form, variables_of,
};
use crate::exchange::{Exchange, HttpExchange};

/// What is understood of every recording, whichever host wrote it.
#[derive(Debug, Deserialize)]
pub(super) struct Header {
    pub(super) format: Option<String>,
    pub(super) version: Option<u64>,
    #[serde(default, deserialize_with = "version_or_none")]
    pub(super) contract_version: Option<Version>,
}

fn version_or_none<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Version>, D::Error> {
    Ok(Option::<Named<Version>>::deserialize(from)?.map(|version| version.0))
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordingForm {
    format: String,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    contract_version: Option<Named<Version>>,
    plugin: PluginForm,
    #[serde(default)]
    limits: LimitsForm,
    #[serde(skip_serializing_if = "Option::is_none")]
    makes: Option<Vec<SpecForm>>,
    context: ContextForm<Box<RawValue>>,
    #[serde(default)]
    exchanges: Vec<ExchangeOfKind>,
    outcome: OutcomeForm,
    #[serde(default)]
    log: LogForm,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginForm {
    name: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Named<Digest>>,
}

/// Each is an object with one member that says what was asked: later versions of the form add others.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ExchangeOfKind {
    Model(Box<Exchange>),
    Http(Box<HttpExchange>),
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_time_ms_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wall_time_ms_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_bytes_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_bytes_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_count_max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_bytes_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_call_count_max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_request_count_max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage_token_count_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage_cost_nano_usd_max: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpecForm {
    name: String,
    media_type: String,
    #[serde(default)]
    summary: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutcomeForm {
    Output(OutputForm),
    Fault(FaultForm),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputForm {
    #[serde(default)]
    summary: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    artifacts: Vec<ArtifactForm>,
    data: Option<Box<RawValue>>,
    #[serde(default)]
    variables: IndexMap<Named<VariableName>, Box<RawValue>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogForm {
    #[serde(default)]
    lines: Vec<LogLineForm>,
    #[serde(default)]
    dropped_bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogLineForm {
    level: LevelForm,
    message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fields: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy)]
struct LevelForm(LogLevel);

const LEVELS: [LogLevel; 4] = [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error];

impl Serialize for LevelForm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for LevelForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let level = LEVELS.into_iter().find(|level| level.as_str() == word);
        level.map(Self).ok_or_else(|| {
            serde::de::Error::unknown_variant(&word, &["debug", "info", "warn", "error"])
        })
    }
}

impl RecordingForm {
    pub(super) fn of(recording: &Recording) -> Self {
        let plugin = &recording.plugin;
        let exchange = |exchange: &Exchange| ExchangeOfKind::Model(Box::new(exchange.clone()));
        let request = |request: &HttpExchange| ExchangeOfKind::Http(Box::new(request.clone()));
        let questions = recording.exchanges.iter().map(exchange);
        let spec = |spec: &ArtifactSpec| SpecForm {
            name: spec.name.clone(),
            media_type: spec.media_type.clone(),
            summary: spec.summary.clone(),
        };
        Self {
            format: FORMAT.to_owned(),
            version: FORMAT_VERSION.into(),
            contract_version: recording.contract_version.clone().map(Named),
            plugin: PluginForm {
                name: plugin.name.clone(),
                version: plugin.version.clone(),
                digest: plugin.digest.clone().map(Named),
            },
            limits: LimitsForm::of(&recording.limits),
            makes: recording.makes.as_ref().map(|makes| makes.iter().map(spec).collect()),
            context: ContextForm::of(&recording.context),
            exchanges: questions.chain(recording.requests.iter().map(request)).collect(),
            outcome: match &recording.outcome {
                Ok(output) => OutcomeForm::Output(OutputForm::of(output)),
                Err(fault) => OutcomeForm::Fault(FaultForm::from(fault)),
            },
            log: LogForm::of(&recording.log),
        }
    }

    pub(super) fn into_recording(self, path: &Path) -> Result<Recording, Error> {
        let texts = Texts::Inside(path);
        if self.context.limits.is_some() {
            let hint = "say them beside the context, in bytes and milliseconds";
            return Err(texts.problem("/context/limits", "the limits do not stand here", hint));
        }
        let outcome = match self.outcome {
            OutcomeForm::Output(output) => Ok(output.into_output(&texts)?),
            OutcomeForm::Fault(fault) => Err(fault
                .to_fault()
                .map_err(|problem| texts.problem("/outcome/fault", &problem, &fault.cure()))?),
        };
        let spec = |form: SpecForm| ArtifactSpec {
            name: form.name,
            media_type: form.media_type,
            summary: form.summary,
        };
        let (mut exchanges, mut requests) = (Vec::new(), Vec::new());
        for exchange in self.exchanges {
            match exchange {
                ExchangeOfKind::Model(exchange) => exchanges.push(*exchange),
                ExchangeOfKind::Http(request) => requests.push(*request),
            }
        }
        Ok(Recording {
            contract_version: self.contract_version.map(|version| version.0),
            plugin: RecordedPlugin {
                name: self.plugin.name,
                version: self.plugin.version,
                digest: self.plugin.digest.map(|digest| digest.0),
            },
            limits: self.limits.to_limits(),
            makes: self.makes.map(|makes| makes.into_iter().map(spec).collect()),
            context: self.context.into_context(&texts)?,
            exchanges,
            requests,
            outcome,
            log: self.log.into_log(),
        })
    }
}

impl LimitsForm {
    fn of(limits: &Limits) -> Self {
        let ms = |time: Duration| Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        Self {
            memory_bytes_max: Some(limits.memory_bytes_max),
            cpu_time_ms_max: ms(limits.cpu_time_max),
            wall_time_ms_max: ms(limits.wall_time_max),
            call_bytes_max: Some(limits.call_bytes_max),
            log_bytes_max: Some(limits.log_bytes_max),
            artifact_count_max: Some(limits.artifact_count_max),
            artifact_bytes_max: Some(limits.artifact_bytes_max),
            model_call_count_max: Some(limits.model_call_count_max),
            http_request_count_max: Some(limits.http_request_count_max),
            stage_token_count_max: limits.stage_token_count_max,
            stage_cost_nano_usd_max: limits.stage_cost_nano_usd_max,
        }
    }

    fn to_limits(&self) -> Limits {
        let usual = Limits::DEFAULT;
        let ms = |said: Option<u64>, usual: Duration| said.map_or(usual, Duration::from_millis);
        Limits {
            memory_bytes_max: self.memory_bytes_max.unwrap_or(usual.memory_bytes_max),
            cpu_time_max: ms(self.cpu_time_ms_max, usual.cpu_time_max),
            wall_time_max: ms(self.wall_time_ms_max, usual.wall_time_max),
            call_bytes_max: self.call_bytes_max.unwrap_or(usual.call_bytes_max),
            log_bytes_max: self.log_bytes_max.unwrap_or(usual.log_bytes_max),
            artifact_count_max: self.artifact_count_max.unwrap_or(usual.artifact_count_max),
            artifact_bytes_max: self.artifact_bytes_max.unwrap_or(usual.artifact_bytes_max),
            model_call_count_max: self.model_call_count_max.unwrap_or(usual.model_call_count_max),
            http_request_count_max: self
                .http_request_count_max
                .unwrap_or(usual.http_request_count_max),
            stage_token_count_max: self.stage_token_count_max,
            stage_cost_nano_usd_max: self.stage_cost_nano_usd_max,
        }
    }
}

impl OutputForm {
    fn of(output: &StageOutput) -> Self {
        Self {
            summary: output.summary.clone(),
            artifacts: output.artifacts.iter().map(ArtifactForm::of).collect(),
            data: Some(Box::<RawValue>::of(&output.data)),
            variables: variables_form(&output.variables),
        }
    }

    fn into_output(self, texts: &Texts<'_>) -> Result<StageOutput, Error> {
        let artifacts = self.artifacts.into_iter().enumerate().map(|(idx, form)| {
            form.into_artifact(&format!("/outcome/output/artifacts/{idx}"), texts)
        });
        Ok(StageOutput {
            artifacts: artifacts.collect::<Result<_, _>>()?,
            data: self.data.map_or_else(Json::null, |data| data.to_json()),
            summary: self.summary,
            variables: variables_of(&self.variables),
        })
    }
}

impl LogForm {
    fn of(log: &StageLog) -> Self {
        let line = |line: &LogLine| LogLineForm {
            level: LevelForm(line.level),
            message: line.message.clone(),
            fields: line.fields.clone(),
        };
        Self { lines: log.lines.iter().map(line).collect(), dropped_bytes: log.dropped_bytes }
    }

    fn into_log(self) -> StageLog {
        let line = |form: LogLineForm| LogLine {
            level: form.level.0,
            message: form.message,
            fields: form.fields,
        };
        StageLog {
            lines: self.lines.into_iter().map(line).collect(),
            dropped_bytes: self.dropped_bytes,
        }
    }
}
