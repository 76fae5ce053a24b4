//! What happens when an attempt at a stage fails.
use std::time::Duration;

use domain::plan::{RetryOn, RetryPolicy, WhenSpent};
use insta::assert_snapshot;
use serde_json::json;

use super::support::{Tried, problems_of, profile};

fn with_retry(retry: &str) -> String {
    profile(&format!("  - key: research\n    plugin: research\n    retry: {retry}\n"))
}

#[track_caller]
fn retry_of(retry: &str) -> RetryPolicy {
    Tried::new(with_retry(retry)).check().unwrap().plan.stages.remove(0).retry
}

fn wrong(retry: &str) -> String {
    problems_of(&with_retry(retry)).replace("tried.yaml:6:", "")
}

#[test]
fn a_stage_says_how_often_it_is_tried_and_what_happens_then() {
    let codes = ["model_timeout", "stage_transient"].map(str::to_owned).to_vec();
    let said = "{ attempts: 5, wait_s: 10, wait_max_s: 600, on: [model_timeout, stage_transient], when_spent: pause }";
    let expected = RetryPolicy {
        attempt_count_max: 5,
        wait: Duration::from_secs(10),
        wait_max: Duration::from_secs(600),
        on: RetryOn::Codes(codes),
        when_spent: WhenSpent::Pause,
    };
    assert_eq!(retry_of(said), expected);
}

#[test]
fn what_is_not_said_is_the_usual() {
    assert_eq!(retry_of(""), RetryPolicy::NONE);
    let usual = RetryPolicy { attempt_count_max: 3, ..RetryPolicy::NONE };
    assert_eq!(retry_of("{ attempts: 3 }"), usual);
    assert_eq!(retry_of("{ attempts: 3, on: retryable, when_spent: fail }"), usual);
}

#[test]
fn a_wait_and_the_longest_wait_give_way_to_each_other_where_only_one_is_said() {
    let waits = |said: &str| {
        let RetryPolicy { wait, wait_max, .. } = retry_of(said);
        (wait.as_secs(), wait_max.as_secs())
    };
    assert_eq!(waits("{ attempts: 2, wait_s: 300 }"), (300, 300));
    assert_eq!(waits("{ attempts: 2, wait_s: 0 }"), (0, 60));
    assert_eq!(waits("{ attempts: 2, wait_max_s: 1 }"), (1, 1));
    assert_eq!(waits("{ attempts: 2, wait_max_s: 900 }"), (2, 900));
}

#[test]
fn defaults_stage_and_request_are_merged_key_by_key() {
    let yaml = "\
profile: tried
version: '1'
defaults:
  retry: { attempts: 3, wait_s: 5, when_spent: pause }
stages:
  - { key: research, plugin: research }
  - { key: brand-voice, plugin: brand-voice, retry: { wait_s: 7, on: [model_timeout] } }
";
    let overrides = json!({ "brand-voice": { "retry": { "attempts": 4, "on": "retryable" } } });
    let plan = Tried::new(yaml).with_stage_overrides(&overrides).unwrap().plan;
    let of_defaults = RetryPolicy {
        attempt_count_max: 3,
        wait: Duration::from_secs(5),
        when_spent: WhenSpent::Pause,
        ..RetryPolicy::NONE
    };
    assert_eq!(plan.stages[0].retry, of_defaults);
    let merged = RetryPolicy { attempt_count_max: 4, wait: Duration::from_secs(7), ..of_defaults };
    assert_eq!(plan.stages[1].retry, merged);
}

#[test]
fn every_problem_of_a_retry_is_reported() {
    assert_snapshot!(wrong(
        "{ attempts: 0, wait_s: -1, wait_max_s: 100000, on: [model_timeot, 5, model_timeout, model_timeout], \
         when_spent: stop, tries: 2 }"
    ), @r"
    24: `attempts` is 0, and may be 1 to 20
    35: `wait_s` has to be a whole number (0 to 3600 s), not -1
    51: `wait_max_s` is 100000, and may be 0 to 86400 s
    64: no attempt fails with `model_timeot`
        hint: did you mean `model_timeout`? the codes: `plugin_trapped`, `plugin_not_loadable`, `model_call_in_preview`, `artifact_name_invalid`, `artifact_set_invalid`, `output_not_json`, `stage_bad_input`, `stage_invalid_output`, `stage_transient`, `stage_needs_human`, `replay_diverged`, `host_failure`, `limit_memory`, `limit_cpu_time`, `limit_wall_time`, `limit_call_bytes`, `limit_artifact_count`, `limit_artifact_bytes`, `limit_stack`, `model_rate_limited`, `model_unavailable`, `model_timeout`, `model_bad_response`, `model_rejected`, `model_unauthorized`, `model_not_found`, `model_quota_exhausted`, `model_context_too_long`, `budget_exhausted`, `model_not_granted`, `model_canceled`
    78: `on` has to be a text, not a number
        hint: write it in quotes
    96: `model_timeout` is listed twice
    124: `when_spent` cannot be `stop`
        hint: write `fail` or `pause`
    130: `retry` has no `tries`
        hint: it may have: `attempts`, `wait_s`, `wait_max_s`, `on`, `when_spent`
    ");
    assert_snapshot!(wrong("{ attempts: 2, on: [] }"), @r"
    31: `on` lists no code
        hint: leave it out, or say `attempts: 1` if nothing is tried again
    ");
    assert_snapshot!(wrong("3"), @"12: `retry` has to be a map, not a number");
}

#[test]
fn a_retry_that_contradicts_itself_is_a_problem() {
    assert_snapshot!(wrong("{ attempts: 2, wait_s: 61, wait_max_s: 60 }"), @"35: `wait_s` is 61, and more than `wait_max_s`, 60");
    assert_snapshot!(wrong("{ wait_s: 1 }"), @r"
    12: `attempts` is missing
        hint: say how often the stage is tried, the first time included
    ");
    let yaml = "\
profile: tried
version: '1'
defaults: { retry: { attempts: 3, wait_max_s: 10 } }
stages:
  - { key: research, plugin: research, retry: { wait_s: 20 } }
";
    assert_snapshot!(problems_of(yaml), @"tried.yaml:5:57: `wait_s` is 20, and more than `wait_max_s`, 10");
}

#[test]
fn a_retry_of_a_request_has_the_same_problems_with_pointers() {
    let tried = Tried::new(with_retry("{ attempts: 2, wait_max_s: 30 }"));
    let overrides = json!({ "research": { "retry": { "wait_s": 31, "on": ["no_such"] } } });
    let shown = tried.render(&tried.with_stage_overrides(&overrides));
    assert_eq!(
        shown.lines().filter(|line| !line.contains("hint")).collect::<Vec<_>>(),
        [
            "/stage_overrides/research/retry/on/0: no attempt fails with `no_such`",
            "/stage_overrides/research/retry/wait_s: `wait_s` is 31, and more than `wait_max_s`, 30",
        ]
    );
}
