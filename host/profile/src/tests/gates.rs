//! Who may decide at a gate, and what happens when nobody does.
use std::time::Duration;

use domain::plan::{
    DeadlineOutcome, Gate, GateDeadline, GatePolicy, Reminder, Reviewer, SelfApproval,
};
use insta::assert_snapshot;
use serde_json::json;

use super::support::{NO_OVERRIDES, Tried, problems_of, profile};

const HOUR: Duration = Duration::from_secs(3_600);

fn with_gate(gate: &str) -> String {
    profile(&format!("  - key: research\n    plugin: research\n    gate: {gate}\n"))
}

#[track_caller]
fn gate_of(gate: &str) -> Gate {
    let resolved = Tried::new(with_gate(gate)).check();
    resolved.unwrap().plan.stages.remove(0).gate.unwrap()
}

fn wrong(gate: &str) -> String {
    problems_of(&with_gate(gate)).replace("tried.yaml:6:", "")
}

fn actor(name: &str) -> Reviewer {
    Reviewer::Actor(name.to_owned())
}

fn group(name: &str) -> Reviewer {
    Reviewer::Group(name.to_owned())
}

#[test]
fn a_gate_says_who_decides_until_when_and_how_people_are_reminded() {
    let yaml = "\
profile: tried
version: '1'
stages:
  - key: research
    plugin: research
    gate:
      question: Is it true?
      approvals: 2
      reviewers: [anna@example.com, { group: editors }]
      self_approval: false
      deadline: { after_h: 48, outcome: escalate, escalate_to: [{ group: owners }] }
      reminder: { webhook: desk, after_h: 4, every_h: 24, count: 3 }
";
    let gate = Tried::new(yaml).check().unwrap().plan.stages.remove(0).gate.unwrap();
    let policy = GatePolicy {
        grant_count: 2,
        reviewers: vec![actor("anna@example.com"), group("editors")],
        self_approval: SelfApproval::Refused,
        deadline: Some(GateDeadline {
            after: 48 * HOUR,
            outcome: DeadlineOutcome::Escalate { to: vec![group("owners")] },
        }),
        reminder: Some(Reminder {
            webhook: "desk".to_owned(),
            after: 4 * HOUR,
            every: Some(24 * HOUR),
            count_max: 3,
        }),
    };
    assert_eq!(gate, Gate { question: Some("Is it true?".to_owned()), policy });
}

#[test]
fn what_a_gate_does_not_say_is_the_usual() {
    assert_eq!(gate_of("required"), Gate::default());
    assert_eq!(gate_of("{}"), Gate::default());
    assert_eq!(gate_of("{ question: , approvals: 1, self_approval: true }"), Gate::default());
    let reminder = gate_of("{ reminder: { webhook: desk, after_s: 0 } }").policy.reminder.unwrap();
    assert_eq!((reminder.after, reminder.every, reminder.count_max), (Duration::ZERO, None, 1));
    let deadline = gate_of("{ deadline: { after_s: 90, outcome: grant } }").policy.deadline;
    let outcome = DeadlineOutcome::Grant;
    assert_eq!(deadline, Some(GateDeadline { after: Duration::from_secs(90), outcome }));
}

#[test]
fn a_gate_of_a_stage_replaces_that_of_the_defaults_as_a_whole() {
    let yaml = "\
profile: tried
version: '1'
defaults:
  gate: { approvals: 2, reviewers: [{ group: editors }] }
stages:
  - { key: research, plugin: research }
  - { key: brand-voice, plugin: brand-voice, gate: { reviewers: [bob] } }
";
    let tried = Tried::new(yaml);
    let policies = |resolved: crate::Resolved| {
        let gates = resolved.plan.stages.into_iter().map(|stage| stage.gate.unwrap().policy);
        gates.map(|policy| (policy.grant_count, policy.reviewers)).collect::<Vec<_>>()
    };
    let file = policies(tried.check().unwrap());
    assert_eq!(file, [(2, vec![group("editors")]), (1, vec![actor("bob")])]);
    let overrides = json!({ "research": { "gate": { "approvals": 3 } } });
    let overridden = policies(tried.with_stage_overrides(&overrides).unwrap());
    assert_eq!(overridden, [(3, vec![]), (1, vec![actor("bob")])]);
}

#[test]
fn every_problem_of_a_gate_is_reported() {
    assert_snapshot!(wrong(
        "{ approvals: 17, reviewers: [5, ' ', { team: a }, 'stagewright:deadline', { group: Big }], \
         self_approval: 'no', deadline: { after_h: 0, outcome: shrug }, \
         reminder: { webhook: 'https://example.com', every_s: 1.5, count: 101 } }"
    ), @r#"
    24: `approvals` is 17, and may be 1 to 16 people
    40: a reviewer cannot be a number
        hint: write the name of somebody who decides, or `{ group: NAME }`
    43: `reviewer` is blank
    48: `group` is missing
    50: a reviewer has no `team`
        hint: it may have: `group`
    61: a reviewer cannot be `stagewright:deadline`: that is the host itself
    94: `group` cannot be `Big`: it does not start with a lower-case letter
    117: `self_approval` cannot be `no`
        hint: write `true`, or `false` if whoever starts a run may not grant its gate
    144: `after_h` is 0, and may be 1 to 8760 hours
    156: `outcome` cannot be `shrug`
        hint: write `reject`, `grant` or `escalate`
    175: `after_h` or `after_s` is missing
    186: `webhook` cannot be `https://example.com`: it has a character other than lower-case letters, digits and `_`
    218: `every_s` has to be a whole number (1 to 31536000 seconds), not 1.5
    230: `count` is 101, and may be 1 to 100 reminders
    "#);
}

#[test]
fn a_gate_that_contradicts_itself_is_a_problem() {
    assert_snapshot!(wrong("{ approvals: 3, reviewers: [anna, bob] }"), @r"
    24: 3 people have to grant, and `reviewers` names 2
        hint: name more people or a group, or ask for fewer grants
    ");
    assert_snapshot!(wrong("{ reviewers: [anna, { group: editors }, anna, { group: editors }] }"), @r"
    51: `anna` is named twice
    57: the group `editors` is named twice
    ");
    assert_snapshot!(wrong("{ reviewers: ['bob '] }"), @"25: `bob ` has blanks before or after the name");
    assert_snapshot!(wrong("{ reviewers: [] }"), @r"
    24: `reviewers` names nobody
        hint: name people or groups, or leave it out
    ");
    assert_snapshot!(wrong("{ deadline: { after_h: 1, after_s: 5, outcome: reject, escalate_to: [anna] } }"), @r"
    46: `after_s` is said beside `after_h`
        hint: keep one of them
    79: `escalate_to` goes with the outcome `escalate` only
        hint: leave it out, or write `outcome: escalate`
    ");
    assert_snapshot!(wrong("{ reviewers: [anna], deadline: { after_h: 1, outcome: escalate } }"), @"42: `escalate_to` is missing");
    assert_snapshot!(wrong("{ deadline: { after_h: 1, outcome: escalate, escalate_to: [anna] } }"), @r"
    69: everybody may decide, so there is nobody to escalate to
        hint: say in `reviewers` who decides before the deadline
    ");
    assert_snapshot!(wrong("{ reviewers: [anna], deadline: { after_h: 1, outcome: escalate, escalate_to: [bob, anna] } }"), @r"
    88: `escalate_to` names `anna`, who may decide anyway
        hint: name only those who may not decide before
    ");
}

#[test]
fn a_reminder_that_contradicts_itself_is_a_problem() {
    assert_snapshot!(wrong("{ reminder: { webhook: desk, after_h: 1, count: 2 } }"), @r"
    59: 2 reminders need the time between them
        hint: say `every_h` or `every_s`
    ");
    assert_snapshot!(wrong("{ reminder: { webhook: desk, after_h: 1, every_h: 1 } }"), @r"
    61: there is one reminder, so there is no time between two
        hint: say with `count` how many there are, or leave it out
    ");
    let late = |outcome: &str| {
        wrong(&format!(
            "{{ reviewers: [anna], deadline: {{ after_h: 2, outcome: {outcome} }}, \
             reminder: {{ webhook: desk, after_s: 7200 }} }}"
        ))
    };
    assert_snapshot!(late("reject"), @r"
    96: the reminder comes when the deadline has passed
        hint: let the first reminder come before the deadline
    ");
    // After an escalation the gate waits on, and somebody else is to be reminded.
    assert_snapshot!(late("escalate, escalate_to: [bob]"), @"it has a plan");
}

#[test]
fn a_group_or_a_webhook_that_the_host_does_not_have_is_a_problem() {
    assert_snapshot!(wrong(
        "{ reviewers: [{ group: editor }], deadline: { after_h: 1, outcome: escalate, \
         escalate_to: [{ group: board }] }, reminder: { webhook: mail, after_h: 1 } }"
    ), @r"
    34: the host has no group `editor`
        hint: did you mean `editors`? the groups of its configuration: `editors`, `owners`
    111: the host has no group `board`
        hint: the groups of its configuration: `editors`, `owners`
    144: the host has no webhook `mail`
        hint: the webhooks of its configuration: `desk`
    ");
}

#[test]
fn a_gate_of_a_request_has_the_same_problems_with_pointers() {
    let tried = Tried::new(with_gate("required"));
    let overrides = json!({ "research": { "gate": {
        "reviewers": ["anna", { "group": "nobody" }],
        "deadline": { "after_h": 1, "outcome": "escalate" },
        "approval": 2,
    } } });
    assert_snapshot!(tried.render(&tried.with_stage_overrides(&overrides)), @r"
    /stage_overrides/research/gate/approval: `gate` has no `approval`
        hint: did you mean `approvals`? it may have: `question`, `approvals`, `reviewers`, `self_approval`, `deadline`, `reminder`
    /stage_overrides/research/gate/deadline: `escalate_to` is missing
    /stage_overrides/research/gate/reviewers/1/group: the host has no group `nobody`
        hint: the groups of its configuration: `editors`, `owners`
    ");
}

#[test]
fn a_gate_that_a_request_takes_away_is_not_looked_at() {
    let tried = Tried::new(with_gate("{ reviewers: [{ group: nobody }] }"));
    assert!(tried.resolve(&NO_OVERRIDES).is_err());
    let without = json!({ "research": { "gate": "none" } });
    assert_eq!(tried.render(&tried.with_stage_overrides(&without)), "it has a plan");
}
