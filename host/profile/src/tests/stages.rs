//! What a file says of its stages, right and wrong.
use std::time::Duration;

use domain::Limits;
use insta::assert_snapshot;

use super::support::{Tried, lines, problems_of, profile};

#[test]
fn every_problem_of_a_file_is_reported_at_once() {
    let yaml = "\
profile: Tried
titel: Wrong
version: 1.0
defaults:
  gate: maybe
  limits: { memory_mib: 0, cpu: 3 }
  model: { provider: claude, temperature: 3 }
budget: { run_tokens: -1, run_usd: two }
skills: { House: text, empty: ' ' }
stages:
  - key: research
    plugin: reserch
    settings: { depth: loud }
  - key: research
    plugin: brand-voice
    settings: { word_count_max: 'many' }
    skills: [house_style]
    gate: { ask: me }
  - key: Brand Voice
    plugin: ''
  - just a text
";
    assert_snapshot!(problems_of(yaml), @r#"
    tried.yaml:1:10: `profile` cannot be `Tried`: it does not start with a lower-case letter
    tried.yaml:2:1: a profile has no `titel`
        hint: did you mean `title`? it may have: `profile`, `title`, `description`, `version`, `defaults`, `budget`, `skills`, `stages`
    tried.yaml:3:10: `version` has to be a text, not a number
        hint: write it in quotes
    tried.yaml:5:9: `gate` cannot be `maybe`
        hint: write `required`, `none` or a map such as `{ question: "…" }`
    tried.yaml:6:25: `memory_mib` is 0, and may be 1 to 512 MiB
    tried.yaml:6:28: `limits` has no `cpu`
        hint: did you mean `cpu_ms`? it may have: `memory_mib`, `cpu_ms`, `wall_s`, `call_kib`, `log_kib`, `artifacts`, `artifact_kib`, `model_calls`, `http_requests`, `stage_tokens`, `stage_usd`
    tried.yaml:7:22: no provider `claude`: there are `scripted`, `kimi`
    tried.yaml:7:43: `temperature` has to be a number from 0 to 2
    tried.yaml:8:23: `run_tokens` has to be a whole number (1 to 1000000000 tokens), not -1
    tried.yaml:8:36: `run_usd` is no amount in US dollars: `two`
        hint: write digits with at most 9 after the point, e.g. `"2.50"`
    tried.yaml:9:11: a skill cannot be named `House`: it does not start with a lower-case letter
    tried.yaml:9:31: `empty` is blank
    tried.yaml:12:13: no plugin `reserch`
        hint: did you mean `research`? the plugins: `research`, `brand-voice`, `positioning`, `keywords`, `foundation-brief`
    tried.yaml:14:10: a second stage has the key `research`
        hint: give it another key; the first is in line 11
    tried.yaml:16:33: `word_count_max` is `many`, and has to be of type integer
    tried.yaml:17:14: the skill `house_style` has no text
        hint: the skills with a text: none
    tried.yaml:18:13: `gate` has no `ask`
        hint: it may have: `question`, `approvals`, `reviewers`, `self_approval`, `deadline`, `reminder`
    tried.yaml:19:10: `key` cannot be `Brand Voice`: it does not start with a lower-case letter
    tried.yaml:20:13: `plugin` is blank
    tried.yaml:21:5: a stage has to be a map, not a text
    "#);
}

#[test]
fn what_is_missing_is_named() {
    assert_snapshot!(problems_of("title: Nothing else\n"), @r"
    tried.yaml:1:1: `profile` is missing
    tried.yaml:1:1: `version` is missing
    tried.yaml:1:1: `stages` is missing
    ");
    assert_snapshot!(problems_of("profile:\nversion: ''\nstages: []\n"), @r"
    tried.yaml:1:1: `profile` is missing
    tried.yaml:2:10: `version` is blank
    tried.yaml:3:9: 0 stages, and a profile has 1 to 64
    ");
    assert_snapshot!(problems_of(&profile("  - {title: A stage}\n")), @r"
    tried.yaml:4:5: `plugin` is missing
    tried.yaml:4:5: `key` is missing
    ");
    assert_snapshot!(problems_of("profile: tried\nversion: '1'\nstages: {a: b}\n"), @"tried.yaml:3:9: `stages` has to be a list, not a map");
}

#[test]
fn a_name_for_a_list_is_one_line_and_cannot_steer_a_terminal() {
    let yaml = format!(
        "title: \"a\\e[31mb\"\nred\x7f\u{9b}: 1\n{}",
        profile("  - {key: research, plugin: research}\n")
    );
    assert_snapshot!(problems_of(&yaml), @r"tried.yaml:2:1: not YAML: unexpected character: `\u{7f}'");
    let yaml = format!(
        "title: |\n  a\n  b\n\"k\\e[31m\": 1\n{}",
        profile("  - {key: research, plugin: research}\n")
    );
    assert_snapshot!(problems_of(&yaml), @r"
    tried.yaml:2:3: `title` has a line break or a control character
    tried.yaml:4:1: a profile has no `k\u{1b}[31m`
        hint: it may have: `profile`, `title`, `description`, `version`, `defaults`, `budget`, `skills`, `stages`
    ");
}

#[test]
fn a_profile_has_at_most_64_stages() {
    let stages: String =
        (0..65).map(|idx| format!("  - {{key: s{idx}, plugin: research}}\n")).collect();
    assert_snapshot!(problems_of(&profile(&stages)), @"tried.yaml:4:3: 65 stages, and a profile has 1 to 64");
}

#[test]
fn names_and_texts_are_bounded() {
    let yaml = format!(
        "profile: {mode}\ntitle: {title}\nversion: '{version}'\nskills: {{ s: {skill} }}\nstages:\n  - key: {key}\n    \
         plugin: research\n    gate: {{ question: {question} }}\n",
        mode = "m".repeat(65),
        title = "t".repeat(201),
        version = "v".repeat(65),
        skill = "s".repeat((256 << 10) + 1),
        key = "k".repeat(65),
        question = "q".repeat(1001),
    );
    let shown =
        problems_of(&yaml).replace(&"m".repeat(65), "[mode]").replace(&"k".repeat(65), "[key]");
    assert_snapshot!(shown, @r"
    tried.yaml:1:10: `profile` cannot be `[mode]`: it has 65 characters, not 1 to 64
    tried.yaml:2:8: `title` has 201 bytes, and 200 are allowed
    tried.yaml:3:10: `version` has 65 bytes, and 64 are allowed
    tried.yaml:4:14: `s` has 262145 bytes, and 262144 are allowed
    tried.yaml:6:10: `key` cannot be `[key]`: it has 65 characters, not 1 to 64
    tried.yaml:8:23: `question` has 1001 bytes, and 1000 are allowed
    ");
}

#[test]
fn limits_are_bounded() {
    let yaml = profile(
        "  - key: research\n    plugin: research\n    limits:\n      memory_mib: 100000\n      cpu_ms: 1\n      \
         wall_s: 1.5\n      call_kib: lots\n      log_kib: -1\n      artifacts: 0\n      artifact_kib: 99999999\n      \
         model_calls: 5000\n      stage_tokens: 0\n      stage_usd: 2000000\n",
    );
    assert_snapshot!(problems_of(&yaml), @r"
    tried.yaml:7:19: `memory_mib` is 100000, and may be 1 to 512 MiB
    tried.yaml:8:15: `cpu_ms` is 1, and may be 20 to 600000 ms
    tried.yaml:9:15: `wall_s` has to be a whole number (1 to 86400 s), not 1.5
    tried.yaml:10:17: `call_kib` has to be a whole number (4 to 65536 KiB), not a text
    tried.yaml:11:16: `log_kib` has to be a whole number (0 to 16384 KiB), not -1
    tried.yaml:12:18: `artifacts` is 0, and may be 1 to 256
    tried.yaml:13:21: `artifact_kib` is 99999999, and may be 1 to 65536 KiB
    tried.yaml:14:20: `model_calls` is 5000, and may be 0 to 1000
    tried.yaml:15:21: `stage_tokens` is 0, and may be 1 to 1000000000 tokens
    tried.yaml:16:18: `stage_usd` is 2000000, and may be 0 to 100000
    ");
}

#[test]
fn limits_of_a_stage_go_before_the_defaults() {
    let yaml = "profile: tried\nversion: '1'\ndefaults:\n  limits: { wall_s: 60, cpu_ms: 100, stage_usd: 0.30, \
                stage_tokens: 1000 }\nstages:\n  - key: research\n    plugin: research\n    limits: { wall_s: 90, \
                stage_tokens: null }\n";
    let resolved = Tried::new(yaml).check().unwrap();
    let expected = Limits {
        wall_time_max: Duration::from_secs(90),
        cpu_time_max: Duration::from_millis(100),
        stage_cost_nano_usd_max: Some(300_000_000),
        stage_token_count_max: None,
        ..Limits::DEFAULT
    };
    assert_eq!(resolved.plan.stages[0].limits, expected);
}

#[test]
fn money_is_exact_in_quotes_and_without() {
    for (written, nano) in [
        ("\"2.50\"", 2_500_000_000),
        ("2.50", 2_500_000_000),
        ("0.1", 100_000_000),
        ("0.123456789", 123_456_789),
        ("7", 7_000_000_000),
    ] {
        let yaml = format!(
            "profile: tried\nversion: '1'\nbudget: {{run_usd: {written}, run_tokens: 5}}\nstages:\n  \
             - {{key: research, plugin: research}}\n"
        );
        let plan = Tried::new(yaml).check().unwrap().plan;
        assert_eq!(plan.run_cost_nano_usd_max, Some(nano), "{written}");
        assert_eq!(plan.run_token_count_max, Some(5));
    }
}

#[test]
fn an_amount_that_would_be_rounded_is_refused() {
    let yaml = "profile: tried\nversion: '1'\nbudget: {run_usd: 2.00000000001}\nstages:\n  \
                - {key: research, plugin: research}\n";
    assert_snapshot!(problems_of(yaml), @r#"
    tried.yaml:3:19: `run_usd` is no amount in US dollars: `2.00000000001`
        hint: write digits with at most 9 after the point, e.g. `"2.50"`
    "#);
}

#[test]
fn gates_and_models_come_from_the_defaults_unless_the_stage_says_otherwise() {
    let yaml = "\
profile: tried
version: '1'
defaults:
  gate: required
  model: { provider: kimi, model: kimi-thinking, temperature: 0.5, max_tokens: 900, call_s: 30 }
stages:
  - { key: research, plugin: research }
  - { key: brand-voice, plugin: brand-voice@1.0.0, gate: none, model: { model: kimi-fast } }
  - { key: positioning, plugin: positioning, gate: { question: Sure? }, model: { provider: scripted, temperature: 0 } }
";
    let resolved = Tried::new(yaml).check();
    assert_snapshot!(lines(&resolved), @r#"
    research | research@1.0.0 | {"competitor_count_max":5,"depth":"standard","language":""} |  | gate: required | kimi/kimi-thinking
    brand-voice | brand-voice@1.0.0 | {"language":"","word_count_max":1000} |  | gate: - | kimi/kimi-fast
    positioning | positioning@1.0.0 | {"language":"","word_count_max":1000} |  | gate: Sure? | scripted/scripted-default
    "#);
    let models: Vec<_> =
        resolved.unwrap().plan.stages.into_iter().map(|stage| stage.model).collect();
    assert_eq!(
        (models[0].temperature, models[0].max_tokens, models[0].call_time_ms_max),
        (Some(0.5), Some(900), Some(30_000))
    );
    assert_eq!(models[2].temperature, Some(0.0));
}

#[test]
fn an_unknown_provider_of_the_defaults_is_one_problem() {
    let yaml = "profile: tried\nversion: '1'\ndefaults: {model: {provider: nobody}}\nstages:\n  \
                - {key: research, plugin: research}\n  - {key: brand-voice, plugin: brand-voice}\n";
    assert_snapshot!(problems_of(yaml), @"tried.yaml:3:30: no provider `nobody`: there are `scripted`, `kimi`");
}

#[test]
fn a_plugin_that_is_not_there_is_named_with_what_is() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let stages = "  - {key: a, plugin: reserch}\n  - {key: b, plugin: research@9.9.9}\n  - {key: c, plugin: ./own.wasm}\n  \
                  - {key: d, plugin: 'No such thing'}\n  - {key: e, plugin: 'sha256:12'}\n  - {key: f, plugin: 'DIGEST'}\n";
    let yaml = profile(&stages.replace("DIGEST", &digest));
    assert_snapshot!(problems_of(&yaml).replace("/tmp", "").replace(&digest, "[digest]"), @r"
    tried.yaml:4:22: no plugin `reserch`
        hint: did you mean `research`? the plugins: `research`, `brand-voice`, `positioning`, `keywords`, `foundation-brief`
    tried.yaml:5:22: no plugin `research@9.9.9`
        hint: the plugins: `research`, `brand-voice`, `positioning`, `keywords`, `foundation-brief`
    tried.yaml:6:22: ./own.wasm: no such file
        hint: a relative path starts at the folder of the profile
    tried.yaml:7:22: `plugin` cannot be `No such thing`: not a plugin: write a name (`research`), a name with version (`research@1.0.0`), a digest (`sha256:…`) or a path (`./research.wasm`)
    tried.yaml:8:22: `plugin` cannot be `sha256:12`: not a whole digest: a profile needs `sha256:` and all 64 digits, as `stagewright plugins show` says them
    tried.yaml:9:22: no plugin `[digest]`
        hint: `stagewright plugins list` says what is there; `stagewright plugins add FILE` adds it
    ");
}

#[test]
fn a_skill_without_a_text_is_a_problem() {
    let yaml = "profile: tried\nversion: '1'\nskills: {house_style: Plain words.}\nstages:\n  \
                - {key: research, plugin: research, skills: [house_stile, house_style, house_style]}\n";
    assert_snapshot!(problems_of(yaml), @r"
    tried.yaml:5:48: the skill `house_stile` has no text
        hint: did you mean `house_style`? the skills with a text: `house_style`
    tried.yaml:5:74: the skill `house_style` is listed twice
    ");
}

#[test]
fn titles_are_made_from_names_where_none_is_said() {
    let yaml = "profile: my_own_flow\nversion: '1'\nstages:\n  - {key: research, plugin: research}\n  \
                - {key: brand-voice, plugin: brand-voice}\n";
    let plan = Tried::new(yaml).check().unwrap().plan;
    assert_eq!(plan.title, "My own flow");
    assert_eq!(plan.stages[1].title, "Brand voice");
}
