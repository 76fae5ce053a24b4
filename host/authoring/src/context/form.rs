//! A stage's context as it is written down.
//!
//! JSON that a stage sees is carried in two ways: as a value where a person wrote it as YAML, and as its very text in a
//! recording, because a stage may depend on each of its bytes.
use std::fmt::Display;
use std::str::FromStr;

use domain::ids::VariableName;
use domain::stage::{Belonging, EarlierArtifact, Revision, Skill, StageContext, Variable};
use domain::{Artifact, ArtifactName, Json, RunId, StageKey};
use indexmap::IndexMap;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Texts, json_of, media_type_of};
use crate::Error;

/// The run that a context belongs to where none is named.
const RUN_OF_NOBODY: &str = "run_00000000000000000000000000000000";
/// The stage's key where none is said.
const USUAL_STAGE_KEY: &str = "stage";

/// JSON as a form carries it.
pub(crate) trait JsonPart: Sized {
    fn of(json: &Json) -> Self;
    fn to_json(&self) -> Json;
    fn is_object(&self) -> bool;
}

impl JsonPart for Value {
    fn of(json: &Json) -> Self {
        serde_json::from_str(json.as_str()).expect("whoever made it has parsed it as JSON")
    }

    fn to_json(&self) -> Json {
        json_of(self)
    }

    fn is_object(&self) -> bool {
        Value::is_object(self)
    }
}

impl JsonPart for Box<RawValue> {
    fn of(json: &Json) -> Self {
        RawValue::from_string(json.as_str().to_owned())
            .expect("whoever made it has parsed it as JSON")
    }

    fn to_json(&self) -> Json {
        Json::from_parsed(self.get())
    }

    fn is_object(&self) -> bool {
        self.get().starts_with('{')
    }
}

/// A name that its own type checks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Named<T>(pub(crate) T);

impl<T: Display> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T> Deserialize<'de> for Named<T>
where
    T: FromStr,
    T::Err: Display,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map(Self)
            .map_err(|problem| D::Error::custom(format!("`{text}` cannot be used here: {problem}")))
    }
}

fn is_empty<K, V>(map: &IndexMap<K, V>) -> bool {
    map.is_empty()
}

fn attempt_or_none<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    match Option::<u32>::deserialize(from)? {
        Some(0) => Err(D::Error::custom("there is no `attempt` 0: the first one is 1")),
        said => Ok(said),
    }
}

/// A stage's context, and the limits that a fixture says beside it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "J: Deserialize<'de>"))]
pub(crate) struct ContextForm<J> {
    request_text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<Named<RunId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    brand_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage_key: Option<Named<StageKey>>,
    #[serde(
        default,
        deserialize_with = "attempt_or_none",
        skip_serializing_if = "Option::is_none"
    )]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<J>,
    #[serde(default = "IndexMap::new", skip_serializing_if = "is_empty")]
    variables: IndexMap<Named<VariableName>, J>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    artifacts: Vec<EarlierForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    skills: Vec<SkillForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<RevisionForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limits: Option<Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EarlierForm {
    stage: Named<StageKey>,
    name: Named<ArtifactName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

/// An artifact with its text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArtifactForm {
    name: Named<ArtifactName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SkillForm {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RevisionForm {
    feedback: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    previous: Vec<ArtifactForm>,
}

impl<J: JsonPart> ContextForm<J> {
    /// Everything that a context says; no limits.
    pub(crate) fn of(context: &StageContext) -> Self {
        let earlier = |earlier: &EarlierArtifact| EarlierForm {
            stage: Named(earlier.stage.clone()),
            name: Named(earlier.artifact.name.clone()),
            media_type: Some(earlier.artifact.media_type.clone()),
            body: Some(earlier.artifact.body.clone()),
            file: None,
        };
        let skill = |skill: &Skill| SkillForm {
            name: skill.name.clone(),
            body: Some(skill.body.clone()),
            file: None,
        };
        let revision = |revision: &Revision| RevisionForm {
            feedback: revision.feedback.clone(),
            previous: revision.previous.iter().map(ArtifactForm::of).collect(),
        };
        let Belonging { thread_id, brand_id, project_id } = context.belonging.clone();
        Self {
            request_text: context.request_text.clone(),
            run_id: Some(Named(context.run_id.clone())),
            thread_id,
            brand_id,
            project_id,
            stage_key: Some(Named(context.stage_key.clone())),
            attempt: Some(context.attempt),
            settings: Some(J::of(&context.settings)),
            variables: variables_form(&context.variables),
            artifacts: context.artifacts.iter().map(earlier).collect(),
            skills: context.skills.iter().map(skill).collect(),
            revision: context.revision.as_ref().map(revision),
            limits: None,
        }
    }

    /// The files that it names, in its order.
    pub(crate) fn files(&self) -> Vec<String> {
        let previous = self.revision.iter().flat_map(|revision| &revision.previous);
        let artifacts = self.artifacts.iter().map(|earlier| &earlier.file);
        let skills = self.skills.iter().map(|skill| &skill.file);
        let files = artifacts.chain(skills).chain(previous.map(|artifact| &artifact.file));
        files.flatten().cloned().collect()
    }

    /// The context, with the texts that it names, and with fixed values where nothing is said.
    pub(crate) fn into_context(self, texts: &Texts<'_>) -> Result<StageContext, Error> {
        let settings = match &self.settings {
            Some(settings) if settings.is_object() => settings.to_json(),
            Some(_) => {
                let hint = "write `settings: {}` or name settings of the plugin";
                return Err(texts.problem("/settings", "it is no map", hint));
            }
            None => Json::empty_object(),
        };
        let mut artifacts = Vec::new();
        for (idx, earlier) in self.artifacts.into_iter().enumerate() {
            let EarlierForm { stage, name, media_type, body, file } = earlier;
            let form = ArtifactForm { name, media_type, body, file };
            let artifact = form.into_artifact(&format!("/artifacts/{idx}"), texts)?;
            artifacts.push(EarlierArtifact { stage: stage.0, artifact });
        }
        let mut skills = Vec::new();
        for (idx, SkillForm { name, body, file }) in self.skills.into_iter().enumerate() {
            let body = texts.body(&format!("/skills/{idx}"), body, file.as_deref())?;
            skills.push(Skill { name, body });
        }
        let revision = self.revision.map(|revision| revision.into_revision(texts)).transpose()?;
        Ok(StageContext {
            request_text: self.request_text,
            run_id: self.run_id.map_or_else(run_of_nobody, |run| run.0),
            belonging: Belonging {
                thread_id: self.thread_id,
                brand_id: self.brand_id,
                project_id: self.project_id,
            },
            stage_key: self.stage_key.map_or_else(usual_stage_key, |key| key.0),
            attempt: self.attempt.unwrap_or(1),
            settings,
            variables: variables_of(&self.variables),
            artifacts,
            skills,
            revision,
        })
    }
}

impl RevisionForm {
    fn into_revision(self, texts: &Texts<'_>) -> Result<Revision, Error> {
        let previous = self
            .previous
            .into_iter()
            .enumerate()
            .map(|(idx, form)| form.into_artifact(&format!("/revision/previous/{idx}"), texts));
        Ok(Revision { feedback: self.feedback, previous: previous.collect::<Result<_, _>>()? })
    }
}

impl ArtifactForm {
    pub(crate) fn of(artifact: &Artifact) -> Self {
        Self {
            name: Named(artifact.name.clone()),
            media_type: Some(artifact.media_type.clone()),
            body: Some(artifact.body.clone()),
            file: None,
        }
    }

    pub(crate) fn into_artifact(self, pointer: &str, texts: &Texts<'_>) -> Result<Artifact, Error> {
        let body = texts.body(pointer, self.body, self.file.as_deref())?;
        let usual = media_type_of(self.name.0.as_str());
        let media_type = self.media_type.unwrap_or_else(|| usual.to_owned());
        Ok(Artifact { name: self.name.0, media_type, body })
    }
}

/// Variables by their names, in their order.
pub(crate) fn variables_form<J: JsonPart>(
    variables: &[Variable],
) -> IndexMap<Named<VariableName>, J> {
    let pair = |variable: &Variable| (Named(variable.name.clone()), J::of(&variable.value));
    variables.iter().map(pair).collect()
}

pub(crate) fn variables_of<J: JsonPart>(form: &IndexMap<Named<VariableName>, J>) -> Vec<Variable> {
    form.iter()
        .map(|(name, value)| Variable { name: name.0.clone(), value: value.to_json() })
        .collect()
}

fn run_of_nobody() -> RunId {
    RUN_OF_NOBODY.parse().expect("it has the form of a run's identifier")
}

fn usual_stage_key() -> StageKey {
    USUAL_STAGE_KEY.parse().expect("it has the form of a stage's key")
}
