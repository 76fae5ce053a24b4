//! Who answers the questions of a stage, as far as it is said: by `defaults`, a stage or an override of it.
use domain::plan::Caching;

use super::At;
use super::fields::{Bound, Fields, line, whole};
use super::parts::shown;
use crate::findings::Findings;
use crate::node::{Node, NodeValue, Spot};

/// Longest name of a provider or a model, in bytes.
const MODEL_NAME_BYTES_MAX: usize = 200;
/// Hottest temperature that any provider takes.
const TEMPERATURE_MAX: f64 = 2.0;
// The longest answer that a model gives today is an eighth of this.
const MAX_TOKENS: Bound = Bound { key: "max_tokens", min: 1, max: 1_000_000, unit: "tokens" };
// An hour: a reasoning model on a slow machine.
const CALL_S: Bound = Bound { key: "call_s", min: 1, max: 3_600, unit: "s" };
/// Most alternatives of a stage. They share the time of one question, and a tenth would never get its turn.
const ALTERNATIVE_COUNT_MAX: usize = 8;

const ALTERNATIVES: &str = "alternatives";
const CACHE: &str = "cache";
const KEYS: [&str; 7] =
    ["provider", "model", "temperature", MAX_TOKENS.key, CALL_S.key, ALTERNATIVES, CACHE];

/// Who answers, as far as it is said.
#[derive(Debug, Clone, Default)]
pub(crate) struct SaidModel {
    pub(crate) provider: Option<At<String>>,
    pub(crate) model: Option<At<String>>,
    pub(crate) temperature: Option<f32>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) call_time_ms_max: Option<u64>,
    /// An empty list says that there are none, also where `defaults` have some.
    pub(crate) alternatives: Option<Vec<SaidAlternative>>,
    pub(crate) caching: Option<Caching>,
}

/// Somebody else who may answer.
#[derive(Debug, Clone)]
pub(crate) struct SaidAlternative {
    pub(crate) spot: Spot,
    /// An alternative without one would mean another provider in each stage that inherits it.
    pub(crate) provider: At<String>,
    pub(crate) model: Option<At<String>>,
}

impl SaidModel {
    /// Reads the member `model`.
    pub(crate) fn read(fields: &Fields<'_>, findings: &mut Findings) -> SaidModel {
        let Some(model) = fields.map("model", &KEYS, findings) else {
            return SaidModel::default();
        };
        let mut number =
            |bound: &Bound| model.node(bound.key).and_then(|node| whole(node, bound, findings));
        let (max_tokens, call_s) = (number(&MAX_TOKENS), number(&CALL_S));
        SaidModel {
            provider: name(&model, "provider", findings),
            model: name(&model, "model", findings),
            max_tokens: max_tokens.and_then(|count| u32::try_from(count).ok()),
            call_time_ms_max: call_s.map(|seconds| seconds * 1_000),
            temperature: model.node("temperature").and_then(|node| temperature(node, findings)),
            alternatives: model.node(ALTERNATIVES).and_then(|node| alternatives(node, findings)),
            caching: model.node(CACHE).and_then(|node| caching(node, findings)),
        }
    }

    /// Lays what is said later over this.
    ///
    /// Another provider does not have this one's model, so naming one forgets the model that was said with the other.
    /// Alternatives say their own provider, and stay.
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
        if over.alternatives.is_some() {
            self.alternatives = over.alternatives.clone();
        }
        self.temperature = over.temperature.or(self.temperature);
        self.max_tokens = over.max_tokens.or(self.max_tokens);
        self.call_time_ms_max = over.call_time_ms_max.or(self.call_time_ms_max);
        self.caching = over.caching.or(self.caching);
    }
}

fn name(fields: &Fields<'_>, key: &str, findings: &mut Findings) -> Option<At<String>> {
    let node = fields.node(key)?;
    let value = line(node, key, MODEL_NAME_BYTES_MAX, findings)?;
    Some(At { value, spot: node.spot.clone() })
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

fn alternatives(node: &Node, findings: &mut Findings) -> Option<Vec<SaidAlternative>> {
    let NodeValue::List(items) = &node.value else {
        findings
            .at(&node.spot, format!("`{ALTERNATIVES}` has to be a list, not {}", node.kind()))
            .hint("write `[{ provider: …, model: … }]`");
        return None;
    };
    if items.len() > ALTERNATIVE_COUNT_MAX {
        findings.at(
            &node.spot,
            format!("{} alternatives, and a stage may have {ALTERNATIVE_COUNT_MAX}", items.len()),
        );
        // Whoever wrote so many did not write them by hand; which of them are known is of no use.
        return None;
    }
    Some(items.iter().filter_map(|item| alternative(item, findings)).collect())
}

fn alternative(node: &Node, findings: &mut Findings) -> Option<SaidAlternative> {
    let fields = Fields::open(node, "an alternative", &["provider", "model"], findings)?;
    fields.required("provider", findings);
    let provider = name(&fields, "provider", findings);
    let model = match fields.node("model") {
        // What cannot be read does not mean the provider's own model.
        Some(_) => Some(name(&fields, "model", findings)?),
        None => None,
    };
    Some(SaidAlternative { spot: node.spot.clone(), provider: provider?, model })
}

/// YAML 1.2 has `true` and `false` for booleans, and `on` and `off` are words. People write all four.
fn caching(node: &Node, findings: &mut Findings) -> Option<Caching> {
    match &node.value {
        NodeValue::Bool(true) => Some(Caching::On),
        NodeValue::Bool(false) => Some(Caching::Off),
        NodeValue::Text(word) if word == "on" => Some(Caching::On),
        NodeValue::Text(word) if word == "off" => Some(Caching::Off),
        _ => {
            findings
                .at(&node.spot, format!("`{CACHE}` cannot be {}", shown(node)))
                .hint("write `on` or `off`");
            None
        }
    }
}
