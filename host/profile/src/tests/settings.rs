//! Settings against the schema of a plugin.
use insta::assert_snapshot;

use super::support::{Tried, plugin_with_schema, problems_of, profile};

fn with_schema(schema: &str, settings: &str) -> Tried {
    let yaml = profile(&format!("  - key: own\n    plugin: own\n    settings: {settings}\n"));
    Tried::new(yaml).with(plugin_with_schema("own", &[], &[], &[], schema))
}

/// The settings of the plan, or what is wrong.
fn settled(schema: &str, settings: &str) -> String {
    let tried = with_schema(schema, settings);
    match tried.check() {
        Ok(resolved) => resolved.plan.stages[0].settings.as_str().to_owned(),
        Err(_) => tried.problems(),
    }
}

#[test]
fn each_wrong_setting_has_its_own_place() {
    let yaml = profile(
        "  - key: research\n    plugin: research\n    settings:\n      depth: dep\n      competitor_count_max: 21\n      \
         word_count_max: a lot\n      colour: blue\n",
    );
    assert_snapshot!(problems_of(&yaml), @r"
    tried.yaml:7:14: `depth` is `dep`, and has to be one of `brief`, `standard`, `deep`
        hint: did you mean `deep`?
    tried.yaml:8:29: `competitor_count_max` is `21`, and may be no more than 20
    tried.yaml:9:23: `word_count_max` is `a lot`, and has to be of type integer
    tried.yaml:10:7: there is no setting `colour`
        hint: the settings: `competitor_count_max`, `depth`, `language`, `word_count_max`
    ");
}

#[test]
fn defaults_are_filled_in_where_nothing_is_said() {
    let yaml = profile("  - {key: research, plugin: research, settings: {depth: deep}}\n");
    let plan = Tried::new(yaml).check().unwrap().plan;
    assert_eq!(
        plan.stages[0].settings.as_str(),
        r#"{"competitor_count_max":5,"depth":"deep","language":""}"#
    );
}

#[test]
fn defaults_of_groups_are_filled_in_where_the_group_is_there() {
    let schema = r##"{
        "type": "object",
        "properties": {
            "group": { "$ref": "#/$defs/group" },
            "absent": { "type": "object", "properties": { "a": { "default": 1 } } },
            "list": { "items": { "$ref": "#/$defs/group" } },
            "made": { "type": "object", "default": {}, "properties": { "b": { "default": 2 } } }
        },
        "$defs": { "group": { "type": "object", "properties": { "x": { "default": true } } } }
    }"##;
    assert_snapshot!(settled(schema, "{ group: {}, list: [{}, {x: false}] }"), @r#"{"group":{"x":true},"list":[{"x":true},{"x":false}],"made":{"b":2}}"#);
}

#[test]
fn a_schema_that_contains_itself_ends() {
    let schema = r##"{ "$ref": "#/$defs/a",
        "$defs": { "a": { "type": "object", "properties": { "x": { "$ref": "#/$defs/a", "default": {} } } } } }"##;
    assert!(settled(schema, "{}").len() < 200);
    assert_snapshot!(settled(r##"{ "$ref": "#" }"##, "{}"), @"{}");
}

#[test]
fn a_text_that_does_not_have_its_form_gets_the_hint_of_the_plugins_author() {
    let schema = |hint: &str| {
        format!(
            r#"{{ "type": "object", "properties": {{ "list": {{ "items": {{ "pattern": "^[a-z]+$"{hint} }} }} }} }}"#
        )
    };
    let hinted = schema(r#", "x-pattern-hint": "use small letters alone""#);
    assert_snapshot!(settled(&hinted, "{ list: [bees, Bees] }"), @r"
    tried.yaml:6:30: `list[1]` does not have the form that the plugin reads
        hint: use small letters alone
    ");
    let lines = schema(r#", "x-pattern-hint": "use small letters", "x-line-pattern": "^[a-z]*$""#);
    assert_snapshot!(settled(&lines, r#"{ list: ["bees\nBees\nwasps", "one\ntwo"] }"#), @r"
    tried.yaml:6:24: `list[0]` does not have the form that the plugin reads, in its line 2: `Bees`
        hint: use small letters
    tried.yaml:6:45: `list[1]` does not have the form that the plugin reads
        hint: use small letters
    ");
    let without_hint = settled(&schema(""), "{ list: [Bees] }");
    assert!(without_hint.contains("^[a-z]+$"), "{without_hint}");
    let said = serde_json::json!({ "list": ["Bees"] });
    let wrong = crate::SettingsSchema::compile(&hinted).unwrap().settle(&said).unwrap_err();
    let expected =
        "`list[0]` does not have the form that the plugin reads: use small letters alone";
    assert_eq!(wrong, [expected]);
}

#[test]
fn members_that_are_no_settings_are_called_as_the_plugin_s_author_calls_them() {
    let schema = r##"{ "type": "object", "properties": { "form": { "$ref": "#/$defs/keywords" } },
        "$defs": { "keywords": { "properties": { "minLength": {}, "items": { "$ref": "#/$defs/keywords" } },
                                 "additionalProperties": false, "x-members": "the keywords" } } }"##;
    assert_snapshot!(settled(schema, "{ form: { items: { minLenght: 3 } } }"), @r"
    tried.yaml:6:34: `minLenght` is none of the keywords
        hint: did you mean `minLength`? the keywords: `items`, `minLength`
    ");
    let said = serde_json::json!({ "form": { "not": {} } });
    let wrong = crate::SettingsSchema::compile(schema).unwrap().settle(&said).unwrap_err();
    assert_eq!(wrong, ["`not` is none of the keywords"]);
}

#[test]
fn what_a_condition_of_the_schema_asks_for_is_named_like_anything_else() {
    let schema = r#"{ "type": "object", "properties": { "t": { "if": { "type": "array" },
        "then": { "items": { "enum": ["text"] } }, "else": { "enum": ["text"] } } } }"#;
    assert_snapshot!(settled(schema, "{ t: txt }"), @r"
    tried.yaml:6:20: `t` is `txt`, and has to be one of `text`
        hint: did you mean `text`?
    ");
}

#[test]
fn a_required_setting_that_is_missing_is_named() {
    let schema =
        r#"{ "type": "object", "required": ["tone", "place"], "properties": { "tone": {} } }"#;
    assert_snapshot!(settled(schema, "{}"), @r"
    tried.yaml:6:15: the setting `tone` is missing
    tried.yaml:6:15: the setting `place` is missing
    ");
    let yaml = profile("  - {key: own, plugin: own}\n");
    let tried = Tried::new(yaml).with(plugin_with_schema("own", &[], &[], &[], schema));
    assert_snapshot!(tried.problems(), @r"
    tried.yaml:4:24: the setting `tone` is missing
    tried.yaml:4:24: the setting `place` is missing
    ");
}

#[test]
fn nested_settings_have_their_places() {
    let schema = r#"{ "type": "object", "properties": { "words": { "type": "array", "maxItems": 2,
        "items": { "type": "object", "additionalProperties": false, "required": ["text"],
                   "properties": { "text": { "type": "string", "minLength": 2, "pattern": "^[a-z]+$" } } } } } }"#;
    assert_snapshot!(settled(schema, "\n      words:\n        - text: A\n        - {txt: b}\n        - 3\n"), @r#"
    tried.yaml:8:9: `words`: value has more than 2 items
    tried.yaml:8:17: `text`: value is shorter than 2 characters
    tried.yaml:8:17: `text`: value does not match "^[a-z]+$"
    tried.yaml:9:11: the setting `text` is missing
    tried.yaml:9:12: there is no setting `txt`
        hint: did you mean `text`? the settings: `text`
    tried.yaml:10:11: `words[2]` is `3`, and has to be of type object
    "#);
}

#[test]
fn a_schema_that_cannot_be_used_is_the_plugin_s_problem() {
    assert_snapshot!(settled("{", "{}"), @r"
    tried.yaml:5:13: the settings schema of plugin `own` is not usable: not JSON: EOF while parsing an object at line 1 column 1
        hint: ask the plugin's author for a fixed version
    ");
    assert_snapshot!(settled(r#"{ "type": "nonsense" }"#, "{}"), @r#"
    tried.yaml:5:13: the settings schema of plugin `own` is not usable: "nonsense" is not valid under any of the schemas listed in the 'anyOf' keyword
        hint: ask the plugin's author for a fixed version
    "#);
    assert_snapshot!(settled(r#"{ "$ref": "https://example.com/schema.json" }"#, "{}"), @r"
    tried.yaml:5:13: the settings schema of plugin `own` is not usable: Resource 'https://example.com/schema.json' is not present in a registry and retrieving it failed: Retrieval is disabled, cannot fetch https://example.com/schema.json
        hint: ask the plugin's author for a fixed version
    ");
    assert_snapshot!(settled(r#"{ "properties": { "a": { "pattern": "(?=x)" } } }"#, "{}"), @r#"
    tried.yaml:5:13: the settings schema of plugin `own` is not usable: "(?=x)" is not a "regex"
        hint: ask the plugin's author for a fixed version
    "#);
}

#[test]
fn settings_have_to_be_a_map() {
    let yaml = profile("  - {key: research, plugin: research, settings: [depth]}\n");
    assert_snapshot!(problems_of(&yaml), @"tried.yaml:4:49: `settings` has to be a map, not a list");
}

#[test]
fn settings_that_exclude_each_other_are_named_together() {
    let schema = r#"{"type":"object","properties":{"a":{},"b":{}},"not":{"required":["a","b"]}}"#;
    assert_snapshot!(settled(schema, "{a: 1, b: 2}"), @"tried.yaml:6:15: `a`, `b` do not go together");
    assert_snapshot!(settled(schema, "{b: 2}"), @r#"{"b":2}"#);
}
