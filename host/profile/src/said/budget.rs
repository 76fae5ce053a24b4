//! The `budget` of a profile: what a whole run may use, and what happens when it would use more.
use domain::plan::OnBudgetExceeded;

use super::fields::{Bound, Fields, whole};
use super::{money, parts};
use crate::findings::Findings;
use crate::node::{Node, NodeValue};

// What a whole run may use, by the same reasons as a stage.
const RUN_TOKENS: Bound = Bound { key: "run_tokens", min: 1, max: 1_000_000_000, unit: "tokens" };
const RUN_USD: &str = "run_usd";
const ON_EXCEEDED: &str = "on_exceeded";
// At 0 every run would warn before its first question, and at 100 there is nothing left to warn of.
const WARN_PERCENT: Bound = Bound { key: "warn_percent", min: 1, max: 99, unit: "percent" };

const KEYS: [&str; 4] = [RUN_TOKENS.key, RUN_USD, ON_EXCEEDED, WARN_PERCENT.key];

/// The budget of a run, as far as it is said.
#[derive(Debug, Clone, Default)]
pub(crate) struct SaidBudget {
    pub(crate) run_token_count_max: Option<u64>,
    pub(crate) run_cost_nano_usd_max: Option<u64>,
    pub(crate) on_exceeded: OnBudgetExceeded,
    pub(crate) warn_percent: Option<u8>,
}

impl SaidBudget {
    /// Reads the member `budget`.
    pub(crate) fn read(fields: &Fields<'_>, findings: &mut Findings) -> SaidBudget {
        let Some(budget) = fields.map("budget", &KEYS, findings) else {
            return SaidBudget::default();
        };
        let mut number =
            |bound: &Bound| budget.node(bound.key).and_then(|node| whole(node, bound, findings));
        SaidBudget {
            run_token_count_max: number(&RUN_TOKENS),
            warn_percent: number(&WARN_PERCENT).and_then(|percent| u8::try_from(percent).ok()),
            run_cost_nano_usd_max: budget
                .node(RUN_USD)
                .and_then(|node| money::nano_usd(node, RUN_USD, findings)),
            on_exceeded: budget
                .node(ON_EXCEEDED)
                .and_then(|node| on_exceeded(node, findings))
                .unwrap_or_default(),
        }
    }
}

fn on_exceeded(node: &Node, findings: &mut Findings) -> Option<OnBudgetExceeded> {
    match &node.value {
        NodeValue::Text(word) if word == "stop" => Some(OnBudgetExceeded::Stop),
        NodeValue::Text(word) if word == "ask" => Some(OnBudgetExceeded::Ask),
        _ => {
            findings
                .at(&node.spot, format!("`{ON_EXCEEDED}` cannot be {}", parts::shown(node)))
                .hint("write `stop` to refuse the question, or `ask` to wait for a person");
            None
        }
    }
}
