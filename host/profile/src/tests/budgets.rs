//! What a run may use, and what happens when it would use more.
use domain::plan::OnBudgetExceeded;
use insta::assert_snapshot;

use super::support::{Tried, problems_of};

fn yaml(budget: &str) -> String {
    format!(
        "profile: tried\nversion: '1'\nbudget: {budget}\nstages:\n  \
         - {{key: research, plugin: research}}\n"
    )
}

fn planned(budget: &str) -> (OnBudgetExceeded, Option<u8>) {
    let plan = Tried::new(yaml(budget)).check().unwrap().plan;
    (plan.on_budget_exceeded, plan.budget_warn_percent)
}

#[test]
fn a_run_stops_and_does_not_warn_unless_it_is_said() {
    for budget in ["", "{}", "{run_tokens: 5}", "{on_exceeded: , warn_percent: null}"] {
        assert_eq!(planned(budget), (OnBudgetExceeded::Stop, None), "{budget}");
    }
}

#[test]
fn a_run_can_ask_and_warn() {
    assert_eq!(planned("{on_exceeded: ask}"), (OnBudgetExceeded::Ask, None));
    assert_eq!(planned("{on_exceeded: stop}"), (OnBudgetExceeded::Stop, None));
    for percent in [1, 80, 99] {
        let budget = format!("{{run_usd: 2, on_exceeded: ask, warn_percent: {percent}}}");
        assert_eq!(planned(&budget), (OnBudgetExceeded::Ask, Some(percent)));
    }
}

#[test]
fn every_problem_of_a_budget_has_its_place() {
    let budget = "{run_tokens: 0, on_exceeded: wait, warn_percent: 100, on_exceed: ask}";
    assert_snapshot!(problems_of(&yaml(budget)), @r"
    tried.yaml:3:22: `run_tokens` is 0, and may be 1 to 1000000000 tokens
    tried.yaml:3:38: `on_exceeded` cannot be `wait`
        hint: write `stop` to refuse the question, or `ask` to wait for a person
    tried.yaml:3:58: `warn_percent` is 100, and may be 1 to 99 percent
    tried.yaml:3:63: `budget` has no `on_exceed`
        hint: did you mean `on_exceeded`? it may have: `run_tokens`, `run_usd`, `on_exceeded`, `warn_percent`
    ");
    assert_snapshot!(problems_of(&yaml("{on_exceeded: true, warn_percent: 0}")), @r"
    tried.yaml:3:23: `on_exceeded` cannot be a boolean
        hint: write `stop` to refuse the question, or `ask` to wait for a person
    tried.yaml:3:43: `warn_percent` is 0, and may be 1 to 99 percent
    ");
    assert_snapshot!(problems_of(&yaml("{on_exceeded: [ask], warn_percent: 80%}")), @r"
    tried.yaml:3:23: `on_exceeded` cannot be a list
        hint: write `stop` to refuse the question, or `ask` to wait for a person
    tried.yaml:3:44: `warn_percent` has to be a whole number (1 to 99 percent), not a text
    ");
    assert_snapshot!(problems_of(&yaml("{warn_percent: 0.8}")), @"tried.yaml:3:24: `warn_percent` has to be a whole number (1 to 99 percent), not 0.8");
    assert_snapshot!(problems_of(&yaml("ask")), @"tried.yaml:3:9: `budget` has to be a map, not a text");
}
