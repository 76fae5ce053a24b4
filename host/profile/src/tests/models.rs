//! Who is asked instead, and whether an answer may be used again.
use domain::plan::{Caching, ModelChoice};
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::support::{NO_OVERRIDES, Tried, problems_of, render};
use crate::Problems;

/// Two stages: one with what is said, the other with nothing of its own.
fn yaml(defaults: &str, stage: &str) -> String {
    format!(
        "profile: tried\nversion: '1'\ndefaults: {{model: {{{defaults}}}}}\nstages:\n  \
         - key: research\n    plugin: research\n    model: {{{stage}}}\n  \
         - {{key: brand-voice, plugin: brand-voice}}\n"
    )
}

/// What a stage says by itself, and what is wrong with it.
fn problems_of_model(said: &str) -> String {
    problems_of(&yaml("", said))
}

fn shown(choice: &ModelChoice) -> String {
    let others: Vec<String> = choice
        .alternatives
        .iter()
        .map(|other| format!("{}/{}", other.provider, other.model))
        .collect();
    let caching = match choice.caching {
        Caching::On => "on",
        Caching::Off => "off",
    };
    let ModelChoice { provider, model, .. } = choice;
    format!("{provider}/{model}, else [{}], cache {caching}", others.join(", "))
}

fn both(resolved: &Result<crate::Resolved, Problems>) -> String {
    match resolved {
        Ok(resolved) => {
            let stages = resolved.plan.stages.iter();
            stages.map(|stage| shown(&stage.model)).collect::<Vec<_>>().join("\n")
        }
        Err(problems) => render(problems),
    }
}

fn with_overrides(defaults: &str, stage: &str, model: &Value) -> String {
    let overrides = json!({ "research": { "model": model } });
    let tried = Tried::new(yaml(defaults, stage));
    match tried.with_stage_overrides(&overrides) {
        Ok(resolved) => both(&Ok(resolved)),
        wrong => tried.render(&wrong),
    }
}

#[test]
fn a_stage_has_no_alternatives_and_no_cache_unless_it_is_said() {
    assert_snapshot!(both(&Tried::new(yaml("", "")).check()), @r"
    scripted/scripted-default, else [], cache off
    scripted/scripted-default, else [], cache off
    ");
}

#[test]
fn alternatives_keep_their_order_and_get_the_model_of_their_provider() {
    let stage = "provider: kimi, alternatives: [{provider: scripted}, {provider: kimi, model: k2}, \
                 {provider: kimi, model: k1}]";
    assert_snapshot!(both(&Tried::new(yaml("", stage)).check()), @r"
    kimi/kimi-default, else [scripted/scripted-default, kimi/k2, kimi/k1], cache off
    scripted/scripted-default, else [], cache off
    ");
}

#[test]
fn what_is_said_in_the_defaults_holds_until_a_stage_says_otherwise() {
    let defaults = "provider: kimi, cache: on, alternatives: [{provider: scripted}]";
    assert_snapshot!(both(&Tried::new(yaml(defaults, "")).check()), @r"
    kimi/kimi-default, else [scripted/scripted-default], cache on
    kimi/kimi-default, else [scripted/scripted-default], cache on
    ");
    let stage = "cache: off, alternatives: [{provider: kimi, model: k2}]";
    assert_snapshot!(both(&Tried::new(yaml(defaults, stage)).check()), @r"
    kimi/kimi-default, else [kimi/k2], cache off
    kimi/kimi-default, else [scripted/scripted-default], cache on
    ");
    assert_snapshot!(both(&Tried::new(yaml(defaults, "alternatives: []")).check()), @r"
    kimi/kimi-default, else [], cache on
    kimi/kimi-default, else [scripted/scripted-default], cache on
    ");
    // A key without a value counts as not said, and another model does not change who is asked instead.
    let stage = "model: k2, cache: , alternatives: null";
    assert_snapshot!(both(&Tried::new(yaml(defaults, stage)).check()), @r"
    kimi/k2, else [scripted/scripted-default], cache on
    kimi/kimi-default, else [scripted/scripted-default], cache on
    ");
}

#[test]
fn one_request_can_change_both() {
    let defaults = "provider: kimi, cache: on, alternatives: [{provider: scripted}]";
    assert_snapshot!(with_overrides(defaults, "", &json!({ "cache": false, "alternatives": [] })), @r"
    kimi/kimi-default, else [], cache off
    kimi/kimi-default, else [scripted/scripted-default], cache on
    ");
    let over = json!({ "provider": "scripted", "alternatives": [{ "provider": "kimi" }] });
    assert_snapshot!(with_overrides(defaults, "cache: off", &over), @r"
    scripted/scripted-default, else [kimi/kimi-default], cache off
    kimi/kimi-default, else [scripted/scripted-default], cache on
    ");
}

#[test]
fn the_cache_is_switched_by_a_word_or_a_boolean() {
    for (word, is_on) in
        [("on", true), ("true", true), ("'on'", true), ("off", false), ("false", false)]
    {
        let plan =
            Tried::new(yaml("", &format!("cache: {word}"))).resolve(&NO_OVERRIDES).unwrap().plan;
        assert_eq!(plan.stages[0].model.caching == Caching::On, is_on, "{word}");
    }
}

#[test]
fn what_does_not_switch_the_cache_is_a_problem() {
    assert_snapshot!(problems_of_model("cache: On"), @r"
    tried.yaml:7:20: `cache` cannot be `On`
        hint: write `on` or `off`
    ");
    assert_snapshot!(problems_of_model("cache: 1"), @r"
    tried.yaml:7:20: `cache` cannot be a number
        hint: write `on` or `off`
    ");
    assert_snapshot!(with_overrides("", "", &json!({ "cache": { "ttl_s": 5 } })), @r"
    /stage_overrides/research/model/cache: `cache` cannot be a map
        hint: write `on` or `off`
    ");
}

#[test]
fn every_problem_of_the_alternatives_has_its_place() {
    let yaml = "\
profile: tried
version: '1'
stages:
  - key: research
    plugin: research
    model:
      provider: nobody
      alternatives:
        - provider: noone
        - model: k2
        - provider: kimi
          modle: k2
        - provider: ''
          model: 5
        - kimi
        -
";
    assert_snapshot!(problems_of(yaml), @r"
    tried.yaml:7:17: no provider `nobody`: there are `scripted`, `kimi`
    tried.yaml:9:21: no provider `noone`: there are `scripted`, `kimi`
    tried.yaml:10:11: `provider` is missing
    tried.yaml:12:11: an alternative has no `modle`
        hint: did you mean `model`? it may have: `provider`, `model`
    tried.yaml:13:21: `provider` is blank
    tried.yaml:14:18: `model` has to be a text, not a number
        hint: write it in quotes
    tried.yaml:15:11: an alternative has to be a map, not a text
    tried.yaml:16:10: an alternative cannot be empty
    ");
}

#[test]
fn every_problem_of_alternatives_in_a_request_has_its_pointer() {
    let alternatives =
        json!([{ "provider": "kimi" }, { "provider": "noone" }, { "provider": "kimi" }, "kimi"]);
    assert_snapshot!(with_overrides("", "", &json!({ "alternatives": alternatives })), @r"
    /stage_overrides/research/model/alternatives/3: an alternative has to be a map, not a text
    /stage_overrides/research/model/alternatives/1/provider: no provider `noone`: there are `scripted`, `kimi`
    /stage_overrides/research/model/alternatives/2: `kimi-default` at `kimi` is an alternative twice
    ");
}

#[test]
fn the_same_route_twice_is_a_problem() {
    assert_snapshot!(problems_of_model("alternatives: [{provider: kimi}, {provider: kimi, model: kimi-default}]"), @"tried.yaml:7:46: `kimi-default` at `kimi` is an alternative twice");
    assert_snapshot!(problems_of_model("alternatives: [{provider: kimi}, {provider: scripted}]"), @r"
    tried.yaml:7:46: `scripted-default` at `scripted` is asked first anyway
        hint: leave it out, or give the stage `alternatives` of its own
    ");
}

#[test]
fn a_model_that_cannot_be_read_is_not_taken_for_the_one_of_its_provider() {
    let said = "provider: kimi, alternatives: [{provider: kimi, model: 5}]";
    assert_snapshot!(problems_of_model(said), @r"
    tried.yaml:7:68: `model` has to be a text, not a number
        hint: write it in quotes
    ");
}

#[test]
fn an_alternative_of_the_defaults_that_a_stage_asks_first_is_a_problem_where_it_stands() {
    let defaults = "alternatives: [{provider: kimi}]";
    assert_snapshot!(problems_of(&yaml(defaults, "provider: kimi")), @r"
    tried.yaml:3:35: `kimi-default` at `kimi` is asked first anyway
        hint: leave it out, or give the stage `alternatives` of its own
    ");
    assert_snapshot!(with_overrides(defaults, "", &json!({ "provider": "kimi" })), @r"
    tried.yaml:3:35: `kimi-default` at `kimi` is asked first anyway
        hint: leave it out, or give the stage `alternatives` of its own
    ");
}

#[test]
fn an_unknown_provider_among_the_alternatives_of_the_defaults_is_one_problem() {
    assert_snapshot!(problems_of(&yaml("alternatives: [{provider: noone}]", "")), @"tried.yaml:3:46: no provider `noone`: there are `scripted`, `kimi`");
}

#[test]
fn alternatives_are_a_list_of_at_most_eight() {
    assert_snapshot!(problems_of_model("alternatives: {provider: kimi}"), @r"
    tried.yaml:7:27: `alternatives` has to be a list, not a map
        hint: write `[{ provider: …, model: … }]`
    ");
    let models = |count: usize| {
        let models = (0..count).map(|idx| format!("{{provider: kimi, model: k{idx}}}"));
        format!("alternatives: [{}]", models.collect::<Vec<_>>().join(", "))
    };
    assert_snapshot!(problems_of_model(&models(9)), @"tried.yaml:7:27: 9 alternatives, and a stage may have 8");
    let plan = Tried::new(yaml("", &models(8))).check().unwrap().plan;
    assert_eq!(plan.stages[0].model.alternatives.len(), 8);
}
