//! The form of each record. A difference here is a difference on the disks of everybody who has a data folder.
use std::sync::Arc;
use std::time::Duration;

use domain::fault::Limit;
use domain::model::{ModelErrorKind, ResponseFormat};
use domain::plan::{
    DeadlineOutcome, Gate, GateDeadline, GatePolicy, Reminder, RetryOn, RetryPolicy, Reviewer,
    SelfApproval, WhenSpent,
};
use domain::run::{BudgetScope, BudgetUnit, CallOutcome, Decision, Event, GateTiming, StageResult};
use domain::stage::{LogLevel, LogLine, StageLog};
use domain::{ArtifactRef, Fault, FaultKind, StageIdx};
use insta::assert_snapshot;

use super::*;
use crate::tests::scene;

/// The stored form, after making sure that it comes back.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "the callers read better")]
fn stored(event: Event) -> String {
    let text = encode_event(&event).unwrap();
    assert_eq!(decode_event(&text).unwrap(), event);
    assert!(text.starts_with(&format!("{{\"{}\":", event.kind())), "{text}");
    text
}

const STAGE: StageIdx = StageIdx(1);

fn decision() -> Decision {
    Decision { actor: "ann".to_owned(), comment: Some("good".to_owned()) }
}

#[test]
fn the_creation_of_a_run() {
    let mut plan = scene::plan();
    plan.stages.truncate(1);
    let text = stored(Event::RunCreated(Arc::new(scene::created(plan))));
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_snapshot!(serde_json::to_string_pretty(&value).unwrap(), @r#"
    {
      "run_created": {
        "brand_id": null,
        "plan": {
          "budget_warn_percent": 80,
          "effective_mode": "foundation_stack",
          "fallback": "unknown_mode",
          "on_budget_exceeded": "ask",
          "profile_version": "3",
          "requested_mode": "fancy",
          "run_cost_nano_usd_max": null,
          "run_token_count_max": 100000,
          "skill_overrides": {},
          "stage_overrides": {},
          "stages": [
            {
              "gate": {
                "question": "Is the research right?"
              },
              "key": "research",
              "limits": {
                "artifact_bytes_max": 4194304,
                "artifact_count_max": 16,
                "call_bytes_max": 4194304,
                "cpu_time_ms_max": 5000,
                "log_bytes_max": 262144,
                "memory_bytes_max": 67108864,
                "model_call_count_max": 8,
                "stage_cost_nano_usd_max": null,
                "stage_token_count_max": null,
                "wall_time_ms_max": 600000
              },
              "makes": [
                {
                  "media_type": "text/markdown",
                  "name": "research.md",
                  "summary": "What was found."
                }
              ],
              "model": {
                "alternatives": [
                  {
                    "model": "small",
                    "provider": "local"
                  }
                ],
                "caching": true,
                "call_time_ms_max": null,
                "max_tokens": null,
                "model": "scripted-1",
                "provider": "scripted",
                "temperature": 0.7
              },
              "needs": [],
              "plugin": {
                "digest": "sha256:66f62d1807d3821a3865f2573b69c74be033f1341240ac861fefc6d430bff5e0",
                "name": "research",
                "version": "1.0.0"
              },
              "settings": {
                "depth": 2
              },
              "skills": [
                {
                  "body": "Be kind.",
                  "name": "tone"
                }
              ],
              "title": "The research",
              "uses": [
                "brief.md"
              ]
            }
          ],
          "title": "Foundation"
        },
        "project_id": null,
        "request_text": "A lamp for bees",
        "thread_id": "thread-1",
        "variables": [
          {
            "name": "audience",
            "value": "beekeepers"
          }
        ]
      }
    }
    "#);
}

#[test]
fn events_of_stages() {
    let result = StageResult {
        artifacts: vec![ArtifactRef {
            name: "a.md".parse().unwrap(),
            media_type: "text/markdown".to_owned(),
            digest: scene::digest("a"),
            size_bytes: 1,
        }],
        data: scene::digest("d"),
        summary: "short".to_owned(),
        variables: vec![scene::variable("light", r#"{ "on": true }"#)],
        content_hash: scene::digest("c"),
    };
    assert_snapshot!(stored(Event::StageStarted { stage: STAGE, attempt: 2 }), @r#"{"stage_started":{"stage":1,"attempt":2}}"#);
    assert_snapshot!(stored(Event::StageFinished { stage: STAGE, attempt: 2, result }), @r#"{"stage_finished":{"stage":1,"attempt":2,"result":{"artifacts":[{"name":"a.md","media_type":"text/markdown","digest":"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb","size_bytes":1}],"data":"sha256:18ac3e7343f016890c510e93f935261169d9e3f565436429830faf0934f4f8e4","summary":"short","variables":[{"name":"light","value":{ "on": true }}],"content_hash":"sha256:2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6"}}}"#);
    let fault = scene::fault("slow down");
    assert_snapshot!(stored(Event::StageFailed { stage: STAGE, attempt: 2, fault }), @r#"{"stage_failed":{"stage":1,"attempt":2,"fault":{"code":"model_rate_limited","retry_after_ms":1500,"message":"slow down","retryable":true}}}"#);
    let outcome =
        CallOutcome::Answered { model: "m".to_owned(), input_tokens: Some(1), output_tokens: None };
    let answered = |outcome| Event::ModelAnswered {
        stage: STAGE,
        attempt: 2,
        ordinal: 1,
        call: scene::call_id(3),
        outcome,
    };
    assert_snapshot!(stored(answered(outcome)), @r#"{"model_answered":{"stage":1,"attempt":2,"ordinal":1,"call":"call_00000000000000000000000000000003","outcome":{"answered":{"model":"m","input_tokens":1,"output_tokens":null}}}}"#);
    let outcome = CallOutcome::Failed { code: "model_timeout".to_owned(), message: "m".to_owned() };
    assert_snapshot!(stored(answered(outcome)), @r#"{"model_answered":{"stage":1,"attempt":2,"ordinal":1,"call":"call_00000000000000000000000000000003","outcome":{"failed":{"code":"model_timeout","message":"m"}}}}"#);
}

#[test]
fn events_of_gates() {
    let approval = scene::approval_id(1);
    let opened = Event::GateOpened {
        timing: Default::default(),
        stage: STAGE,
        approval: approval.clone(),
        content_hash: scene::digest("c"),
    };
    assert_snapshot!(stored(opened), @r#"{"gate_opened":{"stage":1,"approval":"appr_00000000000000000000000000000001","content_hash":"sha256:2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6"}}"#);
    let granted =
        Event::GateGranted { stage: STAGE, approval: approval.clone(), decision: decision() };
    assert_snapshot!(stored(granted), @r#"{"gate_granted":{"stage":1,"approval":"appr_00000000000000000000000000000001","actor":"ann","comment":"good"}}"#);
    let decision = Decision { actor: "ann".to_owned(), comment: None };
    assert_snapshot!(stored(Event::GateRejected { stage: STAGE, approval, decision }), @r#"{"gate_rejected":{"stage":1,"approval":"appr_00000000000000000000000000000001","actor":"ann","comment":null}}"#);
}

#[test]
fn events_of_gates_with_policies() {
    let approval = scene::approval_id(1);
    let opened = Event::GateOpened {
        stage: STAGE,
        approval: approval.clone(),
        content_hash: scene::digest("c"),
        timing: GateTiming { deadline_at: Some(scene::at(9)), remind_at: Some(scene::at(5)) },
    };
    assert_snapshot!(stored(opened), @r#"{"gate_opened":{"stage":1,"approval":"appr_00000000000000000000000000000001","content_hash":"sha256:2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6","deadline_at":9,"remind_at":5}}"#);
    let added =
        Event::GateGrantAdded { stage: STAGE, approval: approval.clone(), decision: decision() };
    assert_snapshot!(stored(added), @r#"{"gate_grant_added":{"stage":1,"approval":"appr_00000000000000000000000000000001","actor":"ann","comment":"good"}}"#);
    let revised =
        Event::GateRevised { stage: STAGE, approval: approval.clone(), decision: decision() };
    assert_snapshot!(stored(revised), @r#"{"gate_revised":{"stage":1,"approval":"appr_00000000000000000000000000000001","actor":"ann","comment":"good"}}"#);
    let edited = Event::ArtifactsEdited {
        stage: STAGE,
        approval: approval.clone(),
        actor: "ann".to_owned(),
        artifacts: vec![ArtifactRef {
            name: "a.md".parse().unwrap(),
            media_type: "text/markdown".to_owned(),
            digest: scene::digest("a"),
            size_bytes: 1,
        }],
        content_hash: scene::digest("c"),
    };
    assert_snapshot!(stored(edited), @r#"{"artifacts_edited":{"stage":1,"approval":"appr_00000000000000000000000000000001","actor":"ann","artifacts":[{"name":"a.md","media_type":"text/markdown","digest":"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb","size_bytes":1}],"content_hash":"sha256:2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6"}}"#);
    let reminded = |next_at: Option<i64>, failure: Option<&str>| Event::GateReminded {
        stage: STAGE,
        approval: approval.clone(),
        number: 2,
        next_at: next_at.map(scene::at),
        failure: failure.map(str::to_owned),
    };
    assert_snapshot!(stored(reminded(Some(5), None)), @r#"{"gate_reminded":{"stage":1,"approval":"appr_00000000000000000000000000000001","number":2,"next_at":5,"failure":null}}"#);
    stored(reminded(None, Some("no answer")));
    let escalated = Event::GateEscalated { stage: STAGE, approval: approval.clone() };
    assert_snapshot!(stored(escalated), @r#"{"gate_escalated":{"stage":1,"approval":"appr_00000000000000000000000000000001"}}"#);
}

#[test]
fn events_of_retries() {
    let fault = || scene::fault("slow down");
    let scheduled =
        Event::RetryScheduled { stage: STAGE, failures: 2, at: scene::at(9), fault: fault() };
    assert_snapshot!(stored(scheduled), @r#"{"retry_scheduled":{"stage":1,"failures":2,"at":9,"fault":{"code":"model_rate_limited","retry_after_ms":1500,"message":"slow down","retryable":true}}}"#);
    assert_snapshot!(stored(Event::RetryDue { stage: STAGE }), @r#"{"retry_due":{"stage":1}}"#);
    let spent = Event::RetriesSpent { stage: STAGE, fault: fault() };
    assert_snapshot!(stored(spent), @r#"{"retries_spent":{"stage":1,"fault":{"code":"model_rate_limited","retry_after_ms":1500,"message":"slow down","retryable":true}}}"#);
}

/// A plan whose only stage has these policies, as the creation that it is stored in.
fn created_with(gate: GatePolicy, retry: RetryPolicy) -> Event {
    let mut plan = scene::plan();
    plan.stages.truncate(1);
    plan.stages[0].gate = Some(Gate { question: None, policy: gate });
    plan.stages[0].retry = retry;
    Event::RunCreated(Arc::new(scene::created(plan)))
}

#[test]
fn policies_of_gates_and_retries() {
    let people = || vec![Reviewer::Actor("ann".to_owned()), Reviewer::Group("legal".to_owned())];
    let deadline = |outcome| Some(GateDeadline { after: Duration::from_hours(1), outcome });
    let gate = |outcome| GatePolicy {
        grant_count: 2,
        reviewers: people(),
        self_approval: SelfApproval::Refused,
        deadline: deadline(outcome),
        reminder: Some(Reminder {
            webhook: "chat".to_owned(),
            after: Duration::ZERO,
            every: Some(Duration::from_mins(1)),
            count_max: 3,
        }),
    };
    let retry = RetryPolicy {
        attempt_count_max: 4,
        wait: Duration::from_millis(1_500),
        wait_max: Duration::from_mins(1),
        on: RetryOn::Codes(vec!["model_timeout".to_owned()]),
        when_spent: WhenSpent::Pause,
    };
    let escalate = DeadlineOutcome::Escalate { to: people() };
    let text = stored(created_with(gate(escalate), retry));
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let stage = &value["run_created"]["plan"]["stages"][0];
    assert_snapshot!(stage["gate"], @r#"{"policy":{"deadline":{"after_ms":3600000,"outcome":{"escalate":[{"actor":"ann"},{"group":"legal"}]}},"grant_count":2,"reminder":{"after_ms":0,"count_max":3,"every_ms":60000,"webhook":"chat"},"reviewers":[{"actor":"ann"},{"group":"legal"}],"self_approval":false},"question":null}"#);
    assert_snapshot!(stage["retry"], @r#"{"attempt_count_max":4,"codes":["model_timeout"],"pauses":true,"wait_ms":1500,"wait_ms_max":60000}"#);
    for outcome in [DeadlineOutcome::Grant, DeadlineOutcome::Reject] {
        let reminder = Reminder { every: None, ..gate(outcome.clone()).reminder.unwrap() };
        let gate = GatePolicy { reminder: Some(reminder), ..gate(outcome) };
        stored(created_with(gate, RetryPolicy { attempt_count_max: 2, ..RetryPolicy::NONE }));
    }
}

#[test]
fn whoever_started_a_run() {
    let started_by = Some("ann".to_owned());
    let created = domain::run::Created { started_by, ..scene::created(scene::plan()) };
    let text = stored(Event::RunCreated(Arc::new(created)));
    assert!(text.ends_with(r#""started_by":"ann"}}"#), "{text}");
}

/// As a program of schema 1 wrote it.
const CREATED_BEFORE_POLICIES: &str = r#"{"run_created":{"request_text":"A hive","thread_id":null,"brand_id":null,"project_id":null,"plan":{"requested_mode":"pair","effective_mode":"pair","fallback":null,"profile_version":"1.0.0","title":"A pair","stages":[{"key":"draft","title":"Draft","plugin":{"name":"rogue-stage","version":"1.0.0","digest":"sha256:8df1adde6a39f165f5dac28b6b1c2d007cc700b08f0e3082b79a67275c7afd57"},"settings":{},"skills":[],"needs":[],"uses":[],"makes":[],"gate":{"question":"Is the draft right?"},"limits":{"memory_bytes_max":67108864,"cpu_time_ms_max":5000,"wall_time_ms_max":600000,"call_bytes_max":4194304,"log_bytes_max":262144,"artifact_count_max":16,"artifact_bytes_max":4194304,"model_call_count_max":8,"stage_token_count_max":null,"stage_cost_nano_usd_max":null},"model":{"provider":"local","model":"small","temperature":null,"max_tokens":null,"call_time_ms_max":null,"alternatives":[],"caching":false}}],"skill_overrides":{},"stage_overrides":{},"run_token_count_max":null,"run_cost_nano_usd_max":null,"on_budget_exceeded":"stop","budget_warn_percent":null},"variables":[]}}"#;
const OPENED_BEFORE_POLICIES: &str = r#"{"gate_opened":{"stage":1,"approval":"appr_00000000000000000000000000000001","content_hash":"sha256:2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6"}}"#;

#[test]
fn events_from_before_there_were_policies_mean_what_they_meant() {
    let Event::RunCreated(created) = decode_event(CREATED_BEFORE_POLICIES).unwrap() else {
        panic!("a creation");
    };
    assert_eq!(created.started_by, None);
    let stage = &created.plan.stages[0];
    let question = Some("Is the draft right?".to_owned());
    assert_eq!(stage.gate, Some(Gate { question, policy: GatePolicy::default() }));
    assert_eq!(stage.retry, RetryPolicy::NONE);
    // And a program of that schema could read what has no policies.
    assert_eq!(stored(Event::RunCreated(created)), CREATED_BEFORE_POLICIES);
    let opened = decode_event(OPENED_BEFORE_POLICIES).unwrap();
    assert!(
        matches!(&opened, Event::GateOpened { timing, .. } if *timing == GateTiming::default())
    );
    assert_eq!(stored(opened), OPENED_BEFORE_POLICIES);
}

#[test]
fn events_of_budgets() {
    let warned = Event::BudgetWarned {
        stage: STAGE,
        attempt: 2,
        bound: BudgetBound {
            scope: BudgetScope::ProviderDay { provider: "local".to_owned() },
            unit: BudgetUnit::NanoUsd,
            max: 1_000,
            used: 900,
        },
    };
    assert_snapshot!(stored(warned), @r#"{"budget_warned":{"stage":1,"attempt":2,"bound":{"scope":"provider_day","provider":"local","unit":"nano_usd","max":1000,"used":900}}}"#);
    let opened = Event::BudgetGateOpened {
        stage: STAGE,
        attempt: 2,
        approval: scene::approval_id(1),
        content_hash: scene::digest("c"),
        bound: scene::bound(),
    };
    assert_snapshot!(stored(opened), @r#"{"budget_gate_opened":{"stage":1,"attempt":2,"approval":"appr_00000000000000000000000000000001","content_hash":"sha256:2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6","bound":{"scope":"run","provider":null,"unit":"tokens","max":18446744073709551615,"used":99990}}}"#);
    for scope in [BudgetScope::Stage, BudgetScope::Day] {
        let bound = BudgetBound { scope, ..scene::bound() };
        stored(Event::BudgetWarned { stage: STAGE, attempt: 1, bound });
    }
}

#[test]
fn what_a_gate_for_a_budget_asks() {
    let text = encode_budget_subject(2, &scene::bound()).unwrap();
    assert_snapshot!(text, @r#"{"attempt":2,"bound":{"scope":"run","provider":null,"unit":"tokens","max":18446744073709551615,"used":99990}}"#);
    let subject = GateSubject::Budget { attempt: 2, bound: scene::bound() };
    assert_eq!(decode_budget_subject(&text).unwrap(), subject);
    assert!(decode_budget_subject(&text.replace("run", "month")).is_err());
    assert!(decode_budget_subject(&text.replace("tokens", "words")).is_err());
}

#[test]
fn events_of_runs() {
    let actor = || "ann".to_owned();
    assert_snapshot!(stored(Event::PauseRequested { actor: actor() }), @r#"{"pause_requested":{"actor":"ann"}}"#);
    assert_snapshot!(stored(Event::RunPaused), @r#"{"run_paused":{}}"#);
    assert_snapshot!(stored(Event::RunResumed { actor: actor() }), @r#"{"run_resumed":{"actor":"ann"}}"#);
    assert_snapshot!(stored(Event::RunRetried { from: STAGE, actor: actor() }), @r#"{"run_retried":{"from":1,"actor":"ann"}}"#);
    assert_snapshot!(stored(Event::RunCompleted), @r#"{"run_completed":{}}"#);
    let fault = Fault {
        kind: FaultKind::BadInput { code: "no-topic".to_owned() },
        message: "no topic".to_owned(),
    };
    assert_snapshot!(stored(Event::RunFailed { stage: STAGE, fault }), @r#"{"run_failed":{"stage":1,"fault":{"code":"stage_bad_input","plugin_code":"no-topic","message":"no topic","retryable":false}}}"#);
    let reason = Some("late".to_owned());
    assert_snapshot!(stored(Event::RunCanceled { actor: actor(), reason }), @r#"{"run_canceled":{"actor":"ann","reason":"late"}}"#);
}

#[test]
fn every_fault_comes_back() {
    let code = || "its-code".to_owned();
    let mut kinds = vec![
        FaultKind::Trap,
        FaultKind::PluginNotLoadable,
        FaultKind::ModelCallInPreview,
        FaultKind::ArtifactName,
        FaultKind::ArtifactSet,
        FaultKind::OutputNotJson,
        FaultKind::BadInput { code: code() },
        FaultKind::InvalidOutput { code: code() },
        FaultKind::Transient { code: code() },
        FaultKind::NeedsHuman { code: code() },
        FaultKind::ReplayDiverged,
        FaultKind::Host,
    ];
    let limits = [
        Limit::Memory,
        Limit::CpuTime,
        Limit::WallTime,
        Limit::CallBytes,
        Limit::ArtifactCount,
        Limit::ArtifactBytes,
        Limit::Stack,
    ];
    kinds.extend(limits.map(FaultKind::Limit));
    let models = [
        ModelErrorKind::RateLimited { retry_after_ms: Some(5) },
        ModelErrorKind::RateLimited { retry_after_ms: None },
        ModelErrorKind::Unavailable,
        ModelErrorKind::Timeout,
        ModelErrorKind::BadResponse,
        ModelErrorKind::Rejected,
        ModelErrorKind::Unauthorized,
        ModelErrorKind::ModelNotFound,
        ModelErrorKind::QuotaExhausted,
        ModelErrorKind::ContextTooLong,
        ModelErrorKind::BudgetExhausted,
        ModelErrorKind::NotGranted,
        ModelErrorKind::Canceled,
    ];
    kinds.extend(models.map(FaultKind::Model));
    for kind in kinds {
        let fault = Fault { kind, message: "why".to_owned() };
        stored(Event::StageFailed { stage: STAGE, attempt: 1, fault });
    }
}

#[test]
fn a_question_and_its_answer() {
    let mut request = scene::request("Why?");
    let text = encode_request(&request).unwrap();
    assert_snapshot!(text, @r#"{"label":"draft","messages":[{"role":"system","content":"Answer."},{"role":"user","content":"Why?"}],"response_format":"text"}"#);
    assert_eq!(decode_request(&text).unwrap(), request);
    let schema = r#"{"type": "object"}"#.to_owned();
    request.options.response_format =
        ResponseFormat::JsonSchema { name: "answer".to_owned(), schema };
    request.options.temperature = Some(0.7);
    request.options.seed = Some(u64::MAX);
    request.options.stop = vec!["END".to_owned()];
    let text = encode_request(&request).unwrap();
    assert_snapshot!(text, @r#"{"label":"draft","messages":[{"role":"system","content":"Answer."},{"role":"user","content":"Why?"}],"temperature":0.7,"stop":["END"],"seed":18446744073709551615,"response_format":{"json_schema":{"name":"answer","schema":"{\"type\": \"object\"}"}}}"#);
    assert_eq!(decode_request(&text).unwrap(), request);
    let mut completion = scene::completion("Because.", Some(7));
    let text = encode_completion(&completion).unwrap();
    assert_snapshot!(text, @r#"{"content":"Because.","finish_reason":"stop","model":"scripted-1.1","input_tokens":100,"output_tokens":20,"reasoning_tokens":5,"usage_source":"provider","cost_nano_usd":7}"#);
    assert_eq!(decode_completion(&text).unwrap(), completion);
    completion.usage.cache_write_tokens = Some(11);
    let text = encode_completion(&completion).unwrap();
    assert!(text.contains(r#""cache_write_tokens":11"#), "{text}");
    assert_eq!(decode_completion(&text).unwrap(), completion);
}

#[test]
fn a_log() {
    let line = |level, fields| LogLine { level, message: "m".to_owned(), fields };
    let log = StageLog {
        lines: vec![
            line(LogLevel::Info, Vec::new()),
            line(LogLevel::Error, vec![("k".to_owned(), "v".to_owned())]),
        ],
        dropped_bytes: 3,
    };
    let text = encode_log(&log).unwrap();
    assert_snapshot!(text, @r#"{"lines":[{"level":"info","message":"m"},{"level":"error","message":"m","fields":[["k","v"]]}],"dropped_bytes":3}"#);
    assert_eq!(decode_log(&text).unwrap(), log);
}

#[test]
fn fields_of_a_later_version_are_skipped() {
    let text = r#"{"stage_started":{"stage":1,"attempt":2,"mood":"good"}}"#;
    assert_eq!(decode_event(text).unwrap(), Event::StageStarted { stage: STAGE, attempt: 2 });
    assert!(matches!(decode_event(r#"{"run_flown":{}}"#), Err(Error::Damaged { .. })));
}

#[test]
fn json_that_is_none_is_not_stored() {
    let mut created = scene::created(scene::plan());
    created.variables = vec![scene::variable("light", "{")];
    let refused = encode_event(&Event::RunCreated(Arc::new(created)));
    assert!(matches!(refused, Err(Error::Database { .. })));
}
