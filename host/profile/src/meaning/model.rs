//! Who answers the questions of a stage: what was said for it, with the names that the host knows.
use domain::plan::{ModelAlternative, ModelChoice};

use super::Meaning;
use crate::findings::Findings;
use crate::node::Spot;
use crate::said::model::{SaidAlternative, SaidModel};
use crate::said::parts::StageParts;
use crate::said::{At, SaidStage};

impl Meaning<'_> {
    pub(super) fn model(
        &self,
        stage: &SaidStage,
        changed: Option<&StageParts>,
        findings: &mut Findings,
    ) -> Option<ModelChoice> {
        let mut said: SaidModel = self.said.defaults.model.clone();
        said.overlay(&stage.parts.model);
        if let Some(changed) = changed {
            said.overlay(&changed.model);
        }
        let place = said.provider.as_ref().or(said.model.as_ref());
        let place = place.map_or(&stage.spot, |said| &said.spot);
        let first = self.route(said.provider.as_ref(), said.model.as_ref(), place, findings);
        let alternatives = said.alternatives.as_deref().unwrap_or_default();
        let alternatives = self.alternatives(first.as_ref(), alternatives, findings);
        let ModelAlternative { provider, model } = first?;
        Some(ModelChoice {
            provider,
            model,
            temperature: said.temperature,
            max_tokens: said.max_tokens,
            call_time_ms_max: said.call_time_ms_max,
            alternatives,
            caching: said.caching.unwrap_or_default(),
        })
    }

    fn route(
        &self,
        provider: Option<&At<String>>,
        model: Option<&At<String>>,
        place: &Spot,
        findings: &mut Findings,
    ) -> Option<ModelAlternative> {
        let text = |said: Option<&At<String>>| said.map(|said| said.value.clone());
        match self.names.route(text(provider).as_deref(), text(model).as_deref()) {
            Ok((provider, model)) => Some(ModelAlternative { provider, model }),
            Err(detail) => {
                findings.at(place, detail);
                None
            }
        }
    }

    /// Whoever was asked in vain is not asked a second time, so the same route twice is a slip, also where only one of
    /// the two says the model.
    fn alternatives(
        &self,
        first: Option<&ModelAlternative>,
        said: &[SaidAlternative],
        findings: &mut Findings,
    ) -> Vec<ModelAlternative> {
        let mut known: Vec<ModelAlternative> = Vec::new();
        for SaidAlternative { spot, provider, model } in said {
            let place = &provider.spot;
            let Some(other) = self.route(Some(provider), model.as_ref(), place, findings) else {
                continue;
            };
            let ModelAlternative { provider, model } = &other;
            if first == Some(&other) {
                findings
                    .at(spot, format!("`{model}` at `{provider}` is asked first anyway"))
                    .hint("leave it out, or give the stage `alternatives` of its own");
            } else if known.contains(&other) {
                findings.at(spot, format!("`{model}` at `{provider}` is an alternative twice"));
            } else {
                known.push(other);
            }
        }
        known
    }
}
