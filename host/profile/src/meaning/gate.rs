//! The gate of a stage on this host: the groups and the webhook that it names have to be configured.
use domain::plan::Gate;

use super::Meaning;
use crate::findings::{Findings, known_hint};
use crate::said::gate::{SaidGate, SaidReview};
use crate::said::parts::StageParts;
use crate::said::{At, SaidStage};

impl Meaning<'_> {
    pub(super) fn gate(
        &self,
        stage: &SaidStage,
        changed: Option<&StageParts>,
        findings: &mut Findings,
    ) -> Option<Gate> {
        let said = changed
            .and_then(|parts| parts.gate.as_ref())
            .unwrap_or_else(|| stage.gate(&self.said.defaults));
        match said {
            SaidGate::None => None,
            SaidGate::Required(review) => Some(self.review(review, findings)),
        }
    }

    fn review(&self, said: &SaidReview, findings: &mut Findings) -> Gate {
        let SaidReview { question, policy, groups, webhook } = said;
        let known = self.names.groups();
        groups.iter().for_each(|group| expect_known("group", group, &known, findings));
        let known = self.names.webhooks();
        webhook.iter().for_each(|webhook| expect_known("webhook", webhook, &known, findings));
        Gate { question: question.clone(), policy: policy.clone() }
    }
}

fn expect_known(what: &str, asked: &At<String>, known: &[&str], findings: &mut Findings) {
    let At { value: name, spot } = asked;
    if !known.contains(&name.as_str()) {
        findings.at(spot, format!("the host has no {what} `{name}`")).hint(known_hint(
            name,
            &format!("the {what}s of its configuration"),
            known,
        ));
    }
}
