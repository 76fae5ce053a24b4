//! What reviewers do at gates: texts that they put in place of a stage's, words that go into its next attempt.
use domain::plan::{GatePolicy, Reviewer, SelfApproval};
use domain::run::{BudgetScope, Refusal, Status, Verdict};
use domain::{RunId, StageKey};
use insta::assert_snapshot;
use model_server::{Behavior as Server, ModelServer};

use super::support::{Behavior, GATED, Host, Setup, Step, decision};
use crate::{ArtifactEdit, Error, GateDecision, StartRun};

/// A run at its gate, whose first stage made `a hive`. The second gives back what it sees.
async fn at_gate(policy: GatePolicy) -> (ModelServer, Host, RunId) {
    let server = ModelServer::start().await;
    server.otherwise(Server::text("a hive"));
    let host = Host::start_with(Setup::asking(&server), &[GATED]).await;
    host.stages.set("first", Behavior::Do(vec![Step::AskRevision]));
    host.stages.set("second", Behavior::Do(vec![Step::Earlier]));
    let with_policy = |created: &mut domain::run::Created| {
        created.started_by = Some("anna".to_owned());
        created.plan.stages[0].gate.as_mut().unwrap().policy = policy;
    };
    let run = host.submit_created("gated", with_policy).await;
    host.reaches(&run, Status::WaitingApproval).await;
    (server, host, run)
}

fn two_grants() -> GatePolicy {
    GatePolicy { grant_count: 2, ..GatePolicy::default() }
}

fn edit(name: &str, body: &str) -> ArtifactEdit {
    ArtifactEdit { name: name.to_owned(), body: body.to_owned() }
}

async fn grant_with(host: &Host, run: &RunId, edits: Vec<ArtifactEdit>) -> GateDecision {
    GateDecision { edits, ..decision(&host.gate(run).await, Verdict::Granted, "bob") }
}

#[track_caller]
fn places(outcome: Result<crate::Decided, Error>) -> Vec<String> {
    match outcome {
        Err(Error::Invalid(problems)) => {
            problems.items().iter().map(|problem| problem.place.to_string()).collect()
        }
        other => panic!("the decision has no problems: {other:?}"),
    }
}

#[track_caller]
fn refusal(outcome: Result<crate::Decided, Error>) -> Refusal {
    match outcome {
        Err(Error::Refused { refusal, .. }) => refusal,
        other => panic!("the decision is not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_reviewers_text_takes_the_place_of_the_stages_and_flows_on() {
    let (_server, host, run) = at_gate(GatePolicy::default()).await;
    let before = host.gate(&run).await.content_hash;

    let asked = grant_with(&host, &run, vec![edit("first.md", "a nest")]).await;
    let decided = host.engine.decide_gate(asked).await.unwrap();
    host.reaches(&run, Status::Completed).await;

    assert!(!decided.is_open);
    assert_eq!((decided.grants, decided.grants_wanted), (1, 1));
    assert_ne!(decided.content_hash, before);
    assert_eq!(host.text(&run, "second").await, "a nest");
    let rows = host.engine.store().artifacts(&run).await.unwrap();
    let versions: Vec<_> = rows
        .iter()
        .filter(|row| row.name.as_str() == "first.md")
        .map(|row| (row.version, row.attempt, row.edited_by.as_deref(), row.current))
        .collect();
    assert_eq!(versions, [(1, 1, None, false), (2, 1, Some("bob"), true)]);
    assert_snapshot!(host.journal(&run).await, @r"
    1 run_created
    2 stage_started 0 attempt=1
    3 model_answered 0 #1
    4 stage_finished 0
    5 gate_opened 0
    6 artifacts_edited 0 by=bob
    7 gate_granted 0 by=bob
    8 stage_started 1 attempt=1
    9 stage_finished 1
    10 run_completed
    ");
    host.check_projections(&run).await;
}

#[tokio::test]
async fn an_edit_that_changes_nothing_is_a_plain_grant() {
    let (_server, host, run) = at_gate(GatePolicy::default()).await;
    let asked = grant_with(&host, &run, vec![edit("first.md", "a hive")]).await;
    host.engine.decide_gate(asked).await.unwrap();
    host.reaches(&run, Status::Completed).await;
    assert!(!host.journal(&run).await.contains("artifacts_edited"));
}

#[tokio::test]
async fn every_problem_of_an_edit_is_reported_and_the_gate_stays_open() {
    let (_server, host, run) = at_gate(GatePolicy::default()).await;
    let max = domain::Limits::DEFAULT.artifact_bytes_max as usize;

    let edits = vec![edit("first.md", ""), edit("first.md", "a nest")];
    let asked = GateDecision {
        actor: "stagewright:deadline".to_owned(),
        ..grant_with(&host, &run, edits).await
    };
    assert_eq!(
        places(host.engine.decide_gate(asked).await),
        ["/actor", "/edits/0/body", "/edits/1/name"]
    );
    let edits = vec![edit("third.md", "a nest"), edit("first.md", &"x".repeat(max + 1))];
    let asked = grant_with(&host, &run, edits).await;
    assert_eq!(places(host.engine.decide_gate(asked).await), ["/edits/0/name", "/edits/1/body"]);
    for verdict in [Verdict::Rejected, Verdict::Revised] {
        let asked =
            GateDecision { verdict, ..grant_with(&host, &run, vec![edit("first.md", "x")]).await };
        assert_eq!(places(host.engine.decide_gate(asked).await), ["/edits"]);
    }
    let wordless = GateDecision {
        verdict: Verdict::Revised,
        comment: Some(" ".to_owned()),
        ..grant_with(&host, &run, Vec::new()).await
    };
    assert_eq!(places(host.engine.decide_gate(wordless).await), ["/comment"]);
    assert!(host.journal(&run).await.ends_with("gate_opened 0\n"));
}

#[test]
fn only_what_is_to_be_json_has_to_be_json() {
    let misfit = |media_type, text| crate::text_misfit(media_type, text);
    let said = misfit("application/ld+json", "{\n  \"a\": 1,\n}");
    assert_eq!(said.as_deref(), Some("not JSON: trailing comma at line 3 column 1"));
    assert_eq!(misfit("application/json; charset=utf-8", "[1]\n"), None);
    assert_eq!(misfit("text/markdown", "no json at all"), None);
}

#[tokio::test]
async fn edits_without_number_are_one_problem_and_not_one_for_each() {
    let (_server, host, run) = at_gate(GatePolicy::default()).await;
    let edits = vec![edit("third.md", ""); 100_000];
    let asked = grant_with(&host, &run, edits).await;
    assert_eq!(places(host.engine.decide_gate(asked).await), ["/edits"]);
}

#[tokio::test]
async fn the_same_edit_again_is_no_error_and_another_one_is_refused() {
    let (_server, host, run) = at_gate(GatePolicy::default()).await;
    let asked = grant_with(&host, &run, vec![edit("first.md", "a nest")]).await;
    let first = host.engine.decide_gate(asked.clone()).await.unwrap();
    host.reaches(&run, Status::Completed).await;
    let before = host.journal(&run).await;

    let again = host.engine.decide_gate(asked.clone()).await.unwrap();
    assert_eq!((again.grants, again.is_open), (1, false));
    assert_eq!(again.content_hash, first.content_hash);
    let other = GateDecision { edits: vec![edit("first.md", "a tree")], ..asked };
    let refused = refusal(host.engine.decide_gate(other).await);
    assert_eq!(refused, Refusal::AlreadyDecided { verdict: Verdict::Granted });
    assert_eq!(host.journal(&run).await, before);
}

#[tokio::test]
async fn the_same_edit_twice_at_once_is_answered_the_same_twice() {
    let (_server, host, run) = at_gate(GatePolicy::default()).await;
    let asked = grant_with(&host, &run, vec![edit("first.md", "a nest")]).await;
    let decide = || host.engine.decide_gate(asked.clone());
    let (one, other) = tokio::join!(decide(), decide());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!((one.grants, other.grants), (1, 1));
    assert_eq!(one.content_hash, other.content_hash);
}

#[tokio::test]
async fn blanks_around_a_name_make_no_second_person() {
    let (_server, host, run) = at_gate(two_grants()).await;
    let row = host.gate(&run).await;
    host.engine.decide_gate(decision(&row, Verdict::Granted, "bob")).await.unwrap();
    for name in ["bob ", " bob", " stagewright:deadline"] {
        let again = decision(&row, Verdict::Granted, name);
        assert_eq!(places(host.engine.decide_gate(again).await), ["/actor"], "{name}");
    }
}

#[tokio::test]
async fn an_edit_voids_earlier_grants_and_is_its_reviewers_own() {
    let (_server, host, run) = at_gate(two_grants()).await;
    let row = host.gate(&run).await;
    let carl = decision(&row, Verdict::Granted, "carl");
    let decided = host.engine.decide_gate(carl.clone()).await.unwrap();
    assert_eq!((decided.grants, decided.grants_wanted, decided.is_open), (1, 2, true));
    assert_eq!(decided.status, Status::WaitingApproval);

    let bob = grant_with(&host, &run, vec![edit("first.md", "a nest")]).await;
    for _ in 0..2 {
        // The second time, as a client does whose answer was lost: it still names what it looked at.
        let decided = host.engine.decide_gate(bob.clone()).await.unwrap();
        assert_eq!((decided.grants, decided.is_open), (1, true));
    }
    assert_eq!(refusal(host.engine.decide_gate(carl).await), Refusal::ContentChanged);
    let carl = decision(&host.gate(&run).await, Verdict::Granted, "carl");
    let decided = host.engine.decide_gate(carl).await.unwrap();
    assert_eq!((decided.grants, decided.is_open), (2, false));
    host.reaches(&run, Status::Completed).await;
    assert_eq!(host.text(&run, "second").await, "a nest");
    host.check_projections(&run).await;
}

#[tokio::test]
async fn a_policy_says_who_may_grant() {
    let policy = GatePolicy {
        reviewers: vec![Reviewer::Group("editors".to_owned()), Reviewer::Actor("anna".to_owned())],
        self_approval: SelfApproval::Refused,
        ..GatePolicy::default()
    };
    let (_server, mut host, run) = at_gate(policy).await;
    host.setup.groups.insert("editors".to_owned(), vec!["bob".to_owned()]);
    let host = host.restart().await;
    let row = host.gate(&run).await;

    let carl = host.engine.decide_gate(decision(&row, Verdict::Granted, "carl")).await;
    assert_eq!(refusal(carl), Refusal::NotAReviewer { actor: "carl".to_owned() });
    let anna = host.engine.decide_gate(decision(&row, Verdict::Granted, "anna")).await;
    assert_eq!(refusal(anna), Refusal::SelfApproval { actor: "anna".to_owned() });
    host.engine.decide_gate(decision(&row, Verdict::Granted, "bob")).await.unwrap();
    host.reaches(&run, Status::Completed).await;
}

#[tokio::test]
async fn a_revised_stage_is_told_the_words_and_the_texts_that_they_are_about() {
    let (server, host, run) = at_gate(GatePolicy::default()).await;
    let revise = GateDecision {
        comment: Some("make it a nest".to_owned()),
        ..decision(&host.gate(&run).await, Verdict::Revised, "bob")
    };
    host.stages.set("first", Behavior::Do(vec![Step::AskRevision, Step::Wait, Step::Ask("more")]));
    let decided = host.engine.decide_gate(revise.clone()).await.unwrap();
    assert!(!decided.is_open);
    host.stages.has_arrived().await;
    let preview = host.engine.prompt(&run, &"first".parse::<StageKey>().unwrap()).await.unwrap();
    assert_eq!(preview.request.messages[0].content, "make it a nest: a hive");

    // The replay is told the same: otherwise it would diverge.
    let host = host.restart().await;
    host.stages.gate.add_permits(2);
    host.reaches(&run, Status::WaitingApproval).await;
    host.engine.decide_gate(revise).await.expect("the same again is no error");

    let preview = host.engine.prompt(&run, &"first".parse::<StageKey>().unwrap()).await.unwrap();
    assert_eq!(preview.request.messages[0].content, "make it a nest: a hive", "it is what it saw");
    assert_eq!(server.count(), 3, "no answered question is asked again");
    let asked = &server.requests()[1].body["messages"][0]["content"];
    assert_eq!(asked, "make it a nest: a hive");
    let rows = host.engine.store().artifacts(&run).await.unwrap();
    let versions: Vec<_> = rows.iter().map(|row| (row.version, row.attempt, row.current)).collect();
    assert_eq!(versions, [(1, 1, false), (2, 2, true)]);
    host.stages.set("first", Behavior::Do(vec![Step::AskRevision]));
    host.decide(&run, Verdict::Granted).await.unwrap();
    host.reaches(&run, Status::Completed).await;
    assert_snapshot!(host.journal(&run).await, @r"
    1 run_created
    2 stage_started 0 attempt=1
    3 model_answered 0 #1
    4 stage_finished 0
    5 gate_opened 0
    6 gate_revised 0 by=bob
    7 stage_started 0 attempt=2
    8 model_answered 0 #1
    9 model_answered 0 #2
    10 stage_finished 0
    11 gate_opened 0
    12 gate_granted 0 by=tester
    13 stage_started 1 attempt=1
    14 stage_finished 1
    15 run_completed
    ");
    host.check_projections(&run).await;
}

#[tokio::test]
async fn a_question_about_a_budget_has_nothing_to_edit_or_revise() {
    let host = Host::start(&[GATED]).await;
    let small = |plan: &mut domain::Plan| {
        plan.on_budget_exceeded = domain::plan::OnBudgetExceeded::Ask;
        plan.stages[0].limits.stage_token_count_max = Some(1);
    };
    let run = host.submit_changed("gated", small).await;
    host.logs(&run, 1, "budget_gate_opened 0").await;
    let row = host.gate(&run).await;
    let is_of_stage = matches!(
        &row.subject,
        domain::run::GateSubject::Budget { bound, .. } if bound.scope == BudgetScope::Stage
    );
    assert!(is_of_stage);

    let edits = vec![edit("first.md", "a nest")];
    let edited = GateDecision { edits, ..decision(&row, Verdict::Granted, "bob") };
    assert_eq!(refusal(host.engine.decide_gate(edited).await), Refusal::NoContent);
    let revised = host.engine.decide_gate(decision(&row, Verdict::Revised, "bob")).await;
    assert_eq!(refusal(revised), Refusal::NoContent);
}

#[tokio::test]
async fn a_run_says_who_started_it_where_that_person_may_not_grant() {
    let profile = GATED.replace("gate: required", "gate: { self_approval: false }");
    let host = Host::start(&[&profile]).await;
    let ask = |actor: Option<&str>| StartRun {
        request_text: "bees".to_owned(),
        mode: "gated".to_owned(),
        actor: actor.map(str::to_owned),
        idempotency_key: Some("order 7".to_owned()),
        ..StartRun::default()
    };
    for actor in [None, Some("stagewright:deadline"), Some("a\nb"), Some(" ")] {
        let Err(Error::Invalid(problems)) = host.engine.start_run(ask(actor)).await else {
            panic!("nobody may be called {actor:?}");
        };
        assert_eq!(problems.items().len(), 1, "{problems}");
        assert_eq!(problems.items()[0].place.to_string(), "/actor");
    }
    let started = host.engine.start_run(ask(Some("anna"))).await.unwrap();
    let again = host.engine.start_run(ask(Some("anna"))).await.unwrap();
    assert_eq!(again.run_id, started.run_id);
    let other = host.engine.start_run(ask(Some("bob"))).await.unwrap_err();
    assert!(matches!(other, Error::IdempotencyConflict { .. }), "{other}");
    let row = host.engine.store().run(&started.run_id).await.unwrap().unwrap();
    assert_eq!(row.started_by.as_deref(), Some("anna"));
}
