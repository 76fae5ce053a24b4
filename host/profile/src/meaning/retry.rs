//! What happens when an attempt at a stage fails: what was said for it, with the defaults filled in.
use std::time::Duration;

use domain::plan::RetryPolicy;

use super::Meaning;
use crate::findings::Findings;
use crate::said::parts::StageParts;
use crate::said::retry::SaidRetry;
use crate::said::{At, SaidStage};

impl Meaning<'_> {
    pub(super) fn retry(
        &self,
        stage: &SaidStage,
        changed: Option<&StageParts>,
        findings: &mut Findings,
    ) -> RetryPolicy {
        let mut said: SaidRetry = self.said.defaults.retry.clone();
        said.overlay(&stage.parts.retry);
        if let Some(changed) = changed {
            said.overlay(&changed.retry);
        }
        check(&said, findings);
        let default = RetryPolicy::NONE;
        let seconds = |said: &At<u64>| Duration::from_secs(said.value);
        let (wait, wait_max) = (said.wait_s.as_ref(), said.wait_max_s.as_ref());
        // Whoever says one of the two alone means it: the other one gives way.
        let (wait, wait_max) = match (wait.map(seconds), wait_max.map(seconds)) {
            (Some(wait), Some(wait_max)) => (wait, wait_max),
            (Some(wait), None) => (wait, default.wait_max.max(wait)),
            (None, Some(wait_max)) => (default.wait.min(wait_max), wait_max),
            (None, None) => (default.wait, default.wait_max),
        };
        RetryPolicy {
            attempt_count_max: said.attempts.unwrap_or(default.attempt_count_max),
            wait,
            wait_max,
            on: said.on.unwrap_or(default.on),
            when_spent: said.when_spent.unwrap_or(default.when_spent),
        }
    }
}

fn check(said: &SaidRetry, findings: &mut Findings) {
    if let (Some(spot), None, false) = (&said.spot, said.attempts, said.is_broken) {
        findings
            .at(spot, "`attempts` is missing")
            .hint("say how often the stage is tried, the first time included");
    }
    let (Some(wait), Some(wait_max)) = (&said.wait_s, &said.wait_max_s) else { return };
    if wait.value > wait_max.value {
        let message =
            format!("`wait_s` is {}, and more than `wait_max_s`, {}", wait.value, wait_max.value);
        findings.at(&wait.spot, message);
    }
}
