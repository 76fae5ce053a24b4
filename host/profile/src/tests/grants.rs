//! What a profile says that stages may reach.
use insta::assert_snapshot;
use serde_json::json;

use super::support::{Tried, problems_of, profile};

#[test]
fn a_grant_that_the_operator_allows_is_in_the_plan() {
    let yaml = profile(
        "  - key: research\n    plugin: research\n    grants: { http: [API.example.com, '*.a.example.com'] }\n    \
         limits: { http_requests: 3 }\n  - key: brand-voice\n    plugin: brand-voice\n",
    );
    let plan = Tried::new(yaml).check().unwrap().plan;
    let hosts: Vec<String> = plan.stages[0].grants.http.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["api.example.com", "*.a.example.com"]);
    assert_eq!(plan.stages[0].limits.http_request_count_max, 3);
    assert!(plan.stages[1].grants.http.is_empty(), "nothing by default");
}

#[test]
fn nonsense_and_what_the_operator_does_not_allow_are_reported_at_their_places() {
    let yaml = profile(
        "  - key: research\n    plugin: research\n    grants:\n      http:\n        - https://api.example.com/\n        \
         - '*'\n        - api.example.org\n        - a.example.com\n        - A.example.com\n        - 7\n      \
         files: all\n",
    );
    assert_snapshot!(problems_of(&yaml), @r"
    tried.yaml:8:11: `http` cannot be `https://api.example.com/`: it is an address of a page, not of a host; leave out the scheme and the path
    tried.yaml:9:11: `http` cannot be `*`: a star stands for the first part of a name of at least three, as in `*.example.com`
    tried.yaml:10:11: the configuration of this host does not allow stages to reach `api.example.org`
        hint: add `api.example.org` to `grants.http_hosts` in `stagewright.yaml`, or take it out of the profile; allowed there: `*.example.com`, `10.0.0.1:80`
    tried.yaml:12:11: the host `a.example.com` is granted twice
    tried.yaml:13:11: `http` has to be a text, not a number
        hint: write it in quotes
    tried.yaml:14:7: `grants` has no `files`
        hint: it may have: `http`
    ");
}

#[test]
fn an_address_that_is_always_refused_is_reported_with_the_setting_that_opens_it() {
    let yaml =
        profile("  - key: research\n    plugin: research\n    grants: { http: ['10.0.0.1:80'] }\n");
    assert_snapshot!(problems_of(&yaml), @r"
    tried.yaml:6:22: `10.0.0.1:80` has an address that is not public (private), and the configuration of this host does not let stages reach it
        hint: add `10.0.0.1:80` to `grants.private_hosts` in `stagewright.yaml`, or take it out of the profile
    ");
}

#[test]
fn a_request_grants_nothing() {
    let tried = Tried::new(profile("  - key: research\n    plugin: research\n"));
    let wanted = json!({ "research": { "grants": { "http": ["a.example.com"] } } });
    let said = tried.with_stage_overrides(&wanted).unwrap_err().to_string();
    assert!(said.contains("an override of a stage has no `grants`"), "{said}");
}
