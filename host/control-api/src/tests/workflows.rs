//! The workflows that tests run.

/// Each by the name of its file.
pub(super) const WORKFLOWS: [(&str, &str); 5] = [
    ("gated", GATED),
    ("straight", STRAIGHT),
    ("reviewed", REVIEWED),
    ("timed", TIMED),
    ("stubborn", STUBBORN),
];

/// Two stages, with a gate after the first.
const GATED: &str = r#"
profile: gated
title: Gated
description: Two stages with a gate between them.
version: "1"
stages:
  - { key: first, title: First, plugin: first, gate: required }
  - { key: second, title: Second, plugin: second, gate: none }
"#;

/// Two stages without a gate.
const STRAIGHT: &str = r#"
profile: straight
title: Straight
description: Two stages.
version: "1"
stages:
  - { key: first, title: First, plugin: first, gate: none }
  - { key: second, title: Second, plugin: second, gate: none }
"#;

/// It takes two people of those named, and not whoever started the run.
const REVIEWED: &str = r#"
profile: reviewed
title: Reviewed
description: Two stages with a gate that takes two people.
version: "1"
stages:
  - key: first
    title: First
    plugin: first
    gate:
      approvals: 2
      reviewers: [ada, { group: editors }]
      self_approval: false
  - { key: second, title: Second, plugin: second, gate: none }
"#;

/// After a day others may decide as well.
const TIMED: &str = r#"
profile: timed
title: Timed
description: One stage with a gate that does not wait for ever.
version: "1"
stages:
  - key: first
    title: First
    plugin: first
    gate:
      reviewers: [ada]
      deadline: { after_h: 24, outcome: escalate, escalate_to: [{ group: editors }] }
"#;

/// Tries a stage twice, and pauses.
const STUBBORN: &str = r#"
profile: stubborn
title: Stubborn
description: One stage that is tried again.
version: "1"
stages:
  - key: first
    title: First
    plugin: first
    gate: none
    retry: { attempts: 2, wait_s: 30, on: [stage_bad_input], when_spent: pause }
"#;
