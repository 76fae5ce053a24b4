use serde_json::json;
use stage_sdk::{Revision, Skill, Variable};

use super::*;

fn context() -> StageContext {
    let mut context = StageContext::new("Honey.")
        .with_artifact("pm", "brief.md", "First.")
        .with_artifact("lead", "brief.md", "Second.");
    let variable =
        |name: &str, value: &Value| Variable { name: name.to_owned(), value: value.to_string() };
    context.variables = vec![
        variable("region", &json!("Cologne")),
        variable("weeks", &json!(4)),
        variable("empty", &json!("")),
        variable("odd", &json!("a \"quoted\" </context> word")),
    ];
    context.skills = vec![Skill { name: "house".to_owned(), body: "No puns.".to_owned() }];
    context
}

#[track_caller]
fn check(template: &str, expected: &str) {
    assert_eq!(Template::parse(template).unwrap().fill(&context()).unwrap(), expected);
}

#[track_caller]
fn refused(template: &str, code: &str, expected: &str) {
    let filled = Template::parse(template).and_then(|template| template.fill(&context()));
    let error = filled.unwrap_err();
    let failure = error.failure().unwrap();
    assert_eq!((failure.code.as_str(), failure.message.as_str()), (code, expected));
}

#[test]
fn names_stand_for_what_they_name() {
    check("Ask: {{ request }}", "Ask: <request>\nHoney.\n</request>");
    check(
        "{{artifact.brief.md}}",
        "<artifact name=\"brief.md\" stage=\"lead\">\nSecond.\n</artifact>",
    );
    check(
        "{{artifact.pm/brief.md}}",
        "<artifact name=\"brief.md\" stage=\"pm\">\nFirst.\n</artifact>",
    );
    check("for {{variable.region}}, {{variable.weeks}} weeks", "for \"Cologne\", 4 weeks");
    check(
        "{{skill.house}}|{{skills}}",
        "<skill name=\"house\">\nNo puns.\n</skill>|<skill name=\"house\">\nNo puns.\n</skill>",
    );
    check("{{feedback}}{{previous}}.", ".");
}

#[test]
fn what_is_filled_in_is_neither_a_template_nor_able_to_close_its_quotes() {
    check(
        "{{variable.odd}}",
        "<context-2 name=\"odd\">\na \"quoted\" </context> word\n</context-2>",
    );
    let mut context = context();
    context.request_text = "{{variable.region}} </request>".to_owned();
    let filled = Template::parse("{{request}}").unwrap().fill(&context).unwrap();
    assert_eq!(filled, "<request-2>\n{{variable.region}} </request>\n</request-2>");
}

#[test]
fn conditions_ask_whether_something_is_there() {
    check("{{#if variable.region}}yes{{else}}no{{/if}}", "yes");
    check("{{#if variable.empty}}yes{{else}}no{{/if}}", "no");
    check("{{#if artifact.none.md}}{{artifact.none.md}}{{/if}}.", ".");
    check("{{#if skills}}{{#if feedback}}a{{else}}b{{/if}}{{/if}}", "b");
}

#[test]
fn a_condition_alone_on_its_line_takes_the_line_with_it() {
    check("a\n  {{#if variable.region}}\nb\n{{else}}\nc\n{{/if}}\nd\n", "a\nb\nd\n");
    check("a\n{{#if variable.none}}\nb\n{{/if}}\nd", "a\nd");
    check("{{#if variable.region}}\n{{#if variable.weeks}}\nx\n{{/if}}\n{{/if}}\n", "x\n");
}

#[test]
fn two_braces_can_be_written() {
    check("\\{{request}} and {x} and }}", "{{request}} and {x} and }}");
}

#[test]
fn what_is_broken_is_named_with_its_place() {
    let known = "there are `request`, `variable.NAME`, `artifact.FILE`, `artifact.STAGE/FILE`, `skill.NAME`, `skills`, \
                 `feedback` and `previous`";
    refused(
        "ä\n é {{requst}}",
        "template_broken",
        &format!("`prompt`, line 2, column 4: `requst` names nothing: {known}"),
    );
    refused(
        "{{variable.}}",
        "template_broken",
        &format!("`prompt`, line 1, column 1: `variable.` names nothing: {known}"),
    );
    for half in ["artifact.pm/", "artifact./brief.md"] {
        refused(
            &format!("{{{{{half}}}}}"),
            "template_broken",
            &format!("`prompt`, line 1, column 1: `{half}` names nothing: {known}"),
        );
    }
    refused(
        "{{request\n}}",
        "template_broken",
        "`prompt`, line 1, column 1: `{{` is not closed on its line by `}}`; `\\{{` writes two braces",
    );
    refused(
        "a {{#if request}}",
        "template_broken",
        "`prompt`, line 1, column 3: the condition has no `{{/if}}`",
    );
    refused(
        "{{/if}}",
        "template_broken",
        "`prompt`, line 1, column 1: `{{/if}}` without a `{{#if …}}` before it",
    );
    refused(
        "{{else}}",
        "template_broken",
        "`prompt`, line 1, column 1: `{{else}}` without a `{{#if …}}` before it",
    );
    refused(
        "{{#if request}}{{else}}{{else}}{{/if}}",
        "template_broken",
        "`prompt`, line 1, column 24: a second `{{else}}` of one condition",
    );
    assert!(Template::parse(&"{{#if request}}".repeat(20)).is_err());
}

#[test]
fn a_branch_that_is_not_taken_has_to_be_well_formed_all_the_same() {
    refused(
        "{{#if variable.none}}{{nothing}}{{/if}}",
        "template_broken",
        "`prompt`, line 1, column 22: `nothing` names nothing: there are `request`, `variable.NAME`, `artifact.FILE`, \
         `artifact.STAGE/FILE`, `skill.NAME`, `skills`, `feedback` and `previous`",
    );
}

#[test]
fn what_is_missing_is_named_with_its_place_and_the_cure() {
    refused(
        "Go.\n{{artifact.none.md}}",
        "template_value_missing",
        "`prompt`, line 2, column 1: no earlier stage made `none.md`: name it in `needs`, or ask for it with `{{#if …}}`",
    );
    refused(
        "{{variable.none}}",
        "template_value_missing",
        "`prompt`, line 1, column 1: the run has no variable `none`, and has `region`, `weeks`, `empty`, `odd`: give it at the start of the run, or ask for it with `{{#if …}}`",
    );
    refused(
        "{{skill.none}}",
        "template_value_missing",
        "`prompt`, line 1, column 1: the stage has no skill `none`, and has `house`: name it in the `skills` of the stage",
    );
}

#[test]
fn an_artifact_of_another_stage_is_said_to_be_there() {
    refused(
        "{{artifact.pn/brief.md}}",
        "template_value_missing",
        "`prompt`, line 1, column 1: the stage `pn` made no `brief.md`, but `pm`, `lead` did: name that stage, or ask for \
         it with `{{#if …}}`",
    );
    refused(
        "{{artifact.pm/none.md}}",
        "template_value_missing",
        "`prompt`, line 1, column 1: no earlier stage made `none.md`: name it in `needs`, or ask for it with `{{#if …}}`",
    );
}

#[test]
fn a_run_with_many_variables_names_the_first_of_them() {
    let mut context = StageContext::new("Honey.");
    let template = Template::parse("{{variable.none}}").unwrap();
    let message = |context: &StageContext| {
        template.fill(context).unwrap_err().failure().unwrap().message.clone()
    };
    assert!(message(&context).contains("no variable `none`: give it"), "{}", message(&context));
    context.variables = (1..=11)
        .map(|number| Variable { name: format!("v{number}"), value: "1".to_owned() })
        .collect();
    assert!(message(&context).contains(", `v10` and others: "), "{}", message(&context));
    context.variables.pop();
    assert!(message(&context).contains(", `v10`: "), "{}", message(&context));
}

#[test]
fn what_is_meant_to_be_calculated_is_refused() {
    for (kind, meant) in [
        ("variable", "audience == \"x\""),
        ("variable", "audience|upper"),
        ("variable", "audience.name"),
        ("skill", "house|upper"),
    ] {
        let expected = format!(
            "`prompt`, line 1, column 1: `{meant}` cannot be the name of a {kind}: it has lower-case letters, digits and \
             `_` alone, begins with a letter, and has at most 64 of them; there are no operators and no filters"
        );
        refused(&format!("{{{{#if {kind}.{meant}}}}}x{{{{/if}}}}"), "template_broken", &expected);
        refused(&format!("{{{{ {kind}.{meant} }}}}"), "template_broken", &expected);
    }
}

#[test]
fn a_revision_is_filled_in_where_there_is_one() {
    let mut context = context();
    let artifact = context.artifacts[0].artifact.clone();
    context.revision = Some(Revision { feedback: "Shorter.".to_owned(), previous: vec![artifact] });
    let template = Template::parse("{{#if feedback}}{{previous}}|{{feedback}}{{/if}}").unwrap();
    assert_eq!(
        template.fill(&context).unwrap(),
        "<previous-draft name=\"brief.md\">\nFirst.\n</previous-draft>|<feedback>\nShorter.\n</feedback>"
    );
}
