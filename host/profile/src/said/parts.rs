//! What can be said of a stage, by a profile and by the overrides of a request alike.
use domain::Mode;
use domain::plan::PluginRef;

use super::At;
use super::fields::{Bound, Fields, line, named, text, whole};
use super::limits::SaidLimits;
use crate::findings::Findings;
use crate::node::{Node, NodeValue, Spot};

/// Keys that a stage and an override have in common.
pub(crate) const PART_KEYS: [&str; 6] = ["plugin", "settings", "skills", "gate", "limits", "model"];

/// Longest question at a gate, in bytes: it is read before a decision, not studied.
pub(crate) const QUESTION_BYTES_MAX: usize = 1_000;
/// Longest name of a provider or a model, in bytes.
const MODEL_NAME_BYTES_MAX: usize = 200;
/// Hottest temperature that any provider takes.
const TEMPERATURE_MAX: f64 = 2.0;
// The longest answer that a model gives today is an eighth of this.
const MAX_TOKENS: Bound = Bound { key: "max_tokens", min: 1, max: 1_000_000, unit: "tokens" };
// An hour: a reasoning model on a slow machine.
const CALL_S: Bound = Bound { key: "call_s", min: 1, max: 3_600, unit: "s" };

/// What is said of a stage; what is not said is left to whoever spoke before.
#[derive(Debug, Clone, Default)]
pub(crate) struct StageParts {
    pub(crate) plugin: Option<At<PluginRef>>,
    /// A map.
    pub(crate) settings: Option<Node>,
    pub(crate) skills: Option<Vec<At<String>>>,
    pub(crate) gate: Option<SaidGate>,
    pub(crate) limits: SaidLimits,
    pub(crate) model: SaidModel,
}

/// Whether a person has to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SaidGate {
    None,
    Required { question: Option<String> },
}

/// Who answers, as far as it is said.
#[derive(Debug, Clone, Default)]
pub(crate) struct SaidModel {
    pub(crate) provider: Option<At<String>>,
    pub(crate) model: Option<At<String>>,
    pub(crate) temperature: Option<f32>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) call_time_ms_max: Option<u64>,
}

impl StageParts {
    pub(crate) fn read(fields: &Fields<'_>, findings: &mut Findings) -> StageParts {
        StageParts {
            plugin: fields.node("plugin").and_then(|node| named(node, "plugin", findings)),
            settings: settings(fields, findings),
            skills: skills(fields, findings),
            gate: SaidGate::read(fields, findings),
            limits: SaidLimits::read(fields, findings),
            model: SaidModel::read(fields, findings),
        }
    }
}

fn settings(fields: &Fields<'_>, findings: &mut Findings) -> Option<Node> {
    let node = fields.node("settings")?;
    if matches!(node.value, NodeValue::Map(_)) {
        return Some(node.clone());
    }
    findings.at(&node.spot, format!("`settings` has to be a map, not {}", node.kind()));
    None
}

fn skills(fields: &Fields<'_>, findings: &mut Findings) -> Option<Vec<At<String>>> {
    let node = fields.node("skills")?;
    let NodeValue::List(items) = &node.value else {
        findings.at(
            &node.spot,
            format!("`skills` of a stage has to be a list of names, not {}", node.kind()),
        );
        return None;
    };
    let mut names: Vec<At<String>> = Vec::new();
    for item in items {
        let Some(name) = text(item, "skills", QUESTION_BYTES_MAX, findings) else { continue };
        let Some(name) = skill_name(&name, &item.spot, findings) else { continue };
        if names.iter().any(|earlier| earlier.value == name.value) {
            findings.at(&item.spot, format!("the skill `{}` is listed twice", name.value));
        } else {
            names.push(name);
        }
    }
    Some(names)
}

/// Skills are named like modes: both are words of a profile's author.
pub(crate) fn skill_name(name: &str, spot: &Spot, findings: &mut Findings) -> Option<At<String>> {
    match name.parse::<Mode>() {
        Ok(_) => Some(At { value: name.to_owned(), spot: spot.clone() }),
        Err(error) => {
            findings.at(spot, format!("a skill cannot be named `{name}`: {error}"));
            None
        }
    }
}

impl SaidGate {
    /// Reads the member `gate`.
    pub(crate) fn read(fields: &Fields<'_>, findings: &mut Findings) -> Option<SaidGate> {
        let node = fields.node("gate")?;
        match &node.value {
            NodeValue::Text(word) if word == "required" => {
                Some(SaidGate::Required { question: None })
            }
            NodeValue::Text(word) if word == "none" => Some(SaidGate::None),
            NodeValue::Map(_) => {
                let gate = Fields::open(node, "`gate`", &["question"], findings)?;
                let question = gate.required("question", findings)?;
                let question = text(question, "question", QUESTION_BYTES_MAX, findings)?;
                Some(SaidGate::Required { question: Some(question) })
            }
            _ => {
                findings
                    .at(&node.spot, format!("`gate` cannot be {}", shown(node)))
                    .hint("write `required`, `none` or `{ question: \"…\" }`");
                None
            }
        }
    }
}

fn shown(node: &Node) -> String {
    match &node.value {
        NodeValue::Text(text) => format!("`{text}`"),
        _ => node.kind().to_owned(),
    }
}

impl SaidModel {
    /// Reads the member `model`.
    pub(crate) fn read(fields: &Fields<'_>, findings: &mut Findings) -> SaidModel {
        let known = ["provider", "model", "temperature", MAX_TOKENS.key, CALL_S.key];
        let Some(model) = fields.map("model", &known, findings) else {
            return SaidModel::default();
        };
        let mut name = |key: &str| {
            let node = model.node(key)?;
            let value = line(node, key, MODEL_NAME_BYTES_MAX, findings)?;
            Some(At { value, spot: node.spot.clone() })
        };
        let (provider, name) = (name("provider"), name("model"));
        let mut number =
            |bound: &Bound| model.node(bound.key).and_then(|node| whole(node, bound, findings));
        SaidModel {
            provider,
            model: name,
            max_tokens: number(&MAX_TOKENS).and_then(|count| u32::try_from(count).ok()),
            call_time_ms_max: number(&CALL_S).map(|seconds| seconds * 1_000),
            temperature: model.node("temperature").and_then(|node| temperature(node, findings)),
        }
    }

    /// Lays what is said later over this.
    ///
    /// Another provider does not have this one's model, so naming one forgets the model that was said with the other.
    pub(crate) fn overlay(&mut self, over: &SaidModel) {
        if let Some(provider) = &over.provider {
            if self.provider.as_ref().is_none_or(|before| before.value != provider.value) {
                self.model = None;
            }
            self.provider = Some(provider.clone());
        }
        if over.model.is_some() {
            self.model = over.model.clone();
        }
        self.temperature = over.temperature.or(self.temperature);
        self.max_tokens = over.max_tokens.or(self.max_tokens);
        self.call_time_ms_max = over.call_time_ms_max.or(self.call_time_ms_max);
    }
}

fn temperature(node: &Node, findings: &mut Findings) -> Option<f32> {
    let said = match &node.value {
        NodeValue::Number { number, .. } => number.as_f64(),
        _ => None,
    };
    match said {
        Some(said) if (0.0..=TEMPERATURE_MAX).contains(&said) => Some(said as f32),
        _ => {
            findings.at(
                &node.spot,
                format!("`temperature` has to be a number from 0 to {TEMPERATURE_MAX}"),
            );
            None
        }
    }
}
