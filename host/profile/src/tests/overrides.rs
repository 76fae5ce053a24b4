//! What one request wants different.
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::support::{NO_OVERRIDES, Tried, lines};
use crate::Ask;

const YAML: &str = "\
profile: tried
version: '1'
skills: { house_style: Plain words. }
stages:
  - key: research
    plugin: research
    settings: { depth: brief, competitor_count_max: 3 }
    skills: [house_style]
  - key: keywords
    plugin: own-keywords
    gate: required
";

fn tried() -> Tried {
    let keywords = super::support::plugin(
        "own-keywords",
        &[],
        &[],
        &["keywords.md"],
        &json!({ "market": { "type": ["string", "null"], "default": "everywhere" },
                 "group": { "type": "object", "properties": { "a": {}, "b": {} } } }),
    );
    Tried::new(YAML).with(keywords)
}

fn wrong(overrides: &Value) -> String {
    let tried = tried();
    tried.render(&tried.with_stage_overrides(overrides))
}

fn with_skills(skills: &Value, stages: &Value) -> String {
    let tried = tried();
    let ask = Ask { skill_overrides: Some(skills), stage_overrides: Some(stages), ..NO_OVERRIDES };
    match tried.resolve(&ask) {
        Ok(resolved) => format!("{:?}", resolved.plan.stages[0].skills),
        Err(problems) => super::support::render(&problems),
    }
}

#[test]
fn settings_are_merged_and_the_rest_is_replaced() {
    let resolved = tried().with_stage_overrides(&json!({
        "research": {
            "settings": { "competitor_count_max": 9 },
            "gate": { "question": "Really?" },
            "limits": { "model_calls": 2 },
            "model": { "provider": "kimi" },
            "skills": [],
        },
        "keywords": { "gate": "none", "settings": { "market": null, "group": { "a": 1 } } },
    }));
    assert_snapshot!(lines(&resolved), @r#"
    research | research@1.0.0 | {"competitor_count_max":9,"depth":"brief","language":""} |  | gate: Really? | kimi/kimi-default
    keywords | own-keywords@1.0.0 | {"group":{"a":1},"market":null} |  | gate: - | scripted/scripted-default
    "#);
    assert_eq!(resolved.unwrap().plan.stages[0].limits.model_call_count_max, 2);
}

#[test]
fn a_plugin_can_be_swapped() {
    let overrides = json!({ "keywords": { "plugin": "research@1.0.0" } });
    assert_snapshot!(lines(&tried().with_stage_overrides(&overrides)), @r#"
    research | research@1.0.0 | {"competitor_count_max":3,"depth":"brief","language":""} | house_style | gate: - | scripted/scripted-default
    keywords | research@1.0.0 | {"competitor_count_max":5,"depth":"standard","language":""} |  | gate: required | scripted/scripted-default
    "#);
}

#[test]
fn a_request_cannot_name_a_file_of_the_host() {
    for path in ["/etc/passwd", "../other.wasm", "own.wasm"] {
        let shown = wrong(&json!({ "research": { "plugin": path } }));
        assert!(shown.starts_with("/stage_overrides/research/plugin: a request cannot"), "{shown}");
    }
}

#[test]
fn every_problem_of_the_overrides_has_its_pointer() {
    assert_snapshot!(wrong(&json!({
        "reserch": {},
        "a/b~c": {},
        "keywords": 5,
        "research": {
            "settings": { "depth": "dep", "competitor_count_max": 0, "tone": "calm" },
            "gate": true,
            "limits": { "memory_mib": 1_000_000, "stage_usd": "free" },
            "model": { "provider": "nobody" },
            "skills": ["unknown"],
            "title": "Other",
            "plugin": "unknown",
        },
    })), @r#"
    /stage_overrides/a~1b~0c: the profile has no stage `a/b~c`
        hint: its stages: `research`, `keywords`
    /stage_overrides/keywords: an override of a stage has to be a map, not a number
    /stage_overrides/research/title: an override of a stage has no `title`
        hint: it may have: `plugin`, `settings`, `skills`, `gate`, `retry`, `limits`, `model`
    /stage_overrides/research/gate: `gate` cannot be a boolean
        hint: write `required`, `none` or a map such as `{ question: "…" }`
    /stage_overrides/research/limits/memory_mib: `memory_mib` is 1000000, and may be 1 to 512 MiB
    /stage_overrides/research/limits/stage_usd: `stage_usd` is no amount in US dollars: `free`
        hint: write digits with at most 9 after the point, e.g. `"2.50"`
    /stage_overrides/reserch: the profile has no stage `reserch`
        hint: did you mean `research`? its stages: `research`, `keywords`
    /stage_overrides/research/plugin: no plugin `unknown`
        hint: the plugins: `research`, `brand-voice`, `positioning`, `keywords`, `foundation-brief`, `own-keywords`
    /stage_overrides/research/skills/0: the skill `unknown` has no text
        hint: the skills with a text: `house_style`
    /stage_overrides/research/model/provider: no provider `nobody`: there are `scripted`, `kimi`
    "#);
}

#[test]
fn problems_of_settings_point_at_whoever_said_them() {
    assert_snapshot!(wrong(&json!({
        "research": { "settings": { "depth": "dep", "competitor_count_max": 0, "tone": "calm" } },
        "keywords": { "settings": { "market": { "not": "text" } } },
    })), @r"
    /stage_overrides/research/settings/competitor_count_max: `competitor_count_max` is `0`, and may be no less than 1
    /stage_overrides/research/settings/depth: `depth` is `dep`, and has to be one of `brief`, `standard`, `deep`
        hint: did you mean `deep`?
    /stage_overrides/research/settings/tone: there is no setting `tone`
        hint: the settings: `competitor_count_max`, `depth`, `language`, `word_count_max`
    /stage_overrides/keywords/settings/market: `market` is a map, and has to be of type null or string
    ");
    // What the file says does not fit another plugin, and the file is where it stands.
    assert_snapshot!(wrong(&json!({ "research": { "plugin": "own-keywords" } })), @r"
    tried.yaml:7:17: there is no setting `depth`
        hint: the settings: `group`, `market`
    tried.yaml:7:31: there is no setting `competitor_count_max`
        hint: the settings: `group`, `market`
    ");
}

#[test]
fn overrides_have_to_be_objects() {
    assert_snapshot!(wrong(&json!([])), @"/stage_overrides: overrides have to be a JSON object");
    assert_snapshot!(wrong(&json!("text")), @"/stage_overrides: overrides have to be a JSON object");
    assert_snapshot!(wrong(&json!({ "research": null, "keywords": [] })), @"/stage_overrides/keywords: an override of a stage has to be a map, not a list");
    assert_snapshot!(wrong(&json!(null)), @"it has a plan");
    let large = "x".repeat(1 << 20);
    assert_snapshot!(wrong(&json!({ "research": { "settings": { "depth": large } } })), @"/stage_overrides: the overrides have more than 1024 KiB");
}

#[test]
fn a_skill_of_the_profile_gets_another_text() {
    assert_snapshot!(with_skills(&json!({ "house_style": "Long words." }), &json!({})), @r#"[Skill { name: "house_style", body: "Long words." }]"#);
}

#[test]
fn a_skill_can_be_added_where_the_request_lists_it() {
    let stages = json!({ "research": { "skills": ["house_style", "tone"] } });
    assert_snapshot!(with_skills(&json!({ "tone": "Calm." }), &stages), @r#"[Skill { name: "house_style", body: "Plain words." }, Skill { name: "tone", body: "Calm." }]"#);
    assert_snapshot!(with_skills(&json!({}), &stages), @r"
    /stage_overrides/research/skills/1: the skill `tone` has no text
        hint: the skills with a text: `house_style`
    ");
}

#[test]
fn a_skill_that_nobody_lists_is_a_problem() {
    let skills = json!({ "house_stile": "x", "Bad Name": "x", "house_style": 5 });
    assert_snapshot!(with_skills(&skills, &json!({})), @r"
    /skill_overrides/Bad Name: a skill cannot be named `Bad Name`: it does not start with a lower-case letter
    /skill_overrides/house_stile: no stage has a skill `house_stile`
        hint: did you mean `house_style`? the skills: `house_style`
    /skill_overrides/house_style: `house_style` has to be a text, not a number
        hint: write it in quotes
    ");
    let long = json!({ "house_style": "x".repeat((256 << 10) + 1) });
    assert_snapshot!(with_skills(&long, &json!({})), @"/skill_overrides/house_style: `house_style` has 262145 bytes, and 262144 are allowed");
}

#[test]
fn the_plan_keeps_the_overrides_as_they_were_said() {
    let (skills, stages) = (json!({ "house_style": "x" }), json!({ "research": {} }));
    let ask =
        Ask { skill_overrides: Some(&skills), stage_overrides: Some(&stages), ..NO_OVERRIDES };
    let plan = tried().resolve(&ask).unwrap().plan;
    assert_eq!(plan.skill_overrides.as_str(), r#"{"house_style":"x"}"#);
    assert_eq!(plan.stage_overrides.as_str(), r#"{"research":{}}"#);
    let plain = tried().resolve(&NO_OVERRIDES).unwrap().plan;
    assert_eq!(plain.stage_overrides.as_str(), "{}");
}
