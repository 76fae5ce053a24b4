//! Gates with policies: several grants, texts that a reviewer puts in place, other versions, deadlines and reminders.
//! `Scene` compares the projections with a replay after each step.
use std::time::Duration;

use domain::Plan;
use domain::plan::{DeadlineOutcome, GateDeadline, GatePolicy, Reminder, Reviewer};
use domain::run::{Command, DEADLINE_ACTOR, Status, Verdict};

use super::scene::{Scene, at, cancel, digest, key, pause, plan, resume, retry, variable};
use crate::{ApprovalRow, ApprovalStatus, ArtifactRow};

/// Two stages; the gate after the first has this policy.
fn with(policy: GatePolicy) -> Plan {
    let mut plan = plan();
    plan.stages[0].gate.as_mut().unwrap().policy = policy;
    plan
}

fn two_grants() -> Plan {
    with(GatePolicy { grant_count: 2, ..GatePolicy::default() })
}

fn deadline(outcome: DeadlineOutcome) -> GatePolicy {
    let deadline = GateDeadline { after: Duration::from_millis(1_000), outcome };
    GatePolicy { deadline: Some(deadline), ..GatePolicy::default() }
}

fn reminder() -> Reminder {
    Reminder {
        webhook: "chat".to_owned(),
        after: Duration::from_millis(300),
        every: Some(Duration::from_millis(200)),
        count_max: 2,
    }
}

/// A run that waits at its first gate, at 20 ms.
async fn at_gate(plan: Plan) -> Scene {
    let mut scene = Scene::of(plan).await;
    scene.start(0).await;
    scene.finish(0, "draft").await;
    scene
}

impl Scene {
    /// The question with this number.
    async fn question(&self, number: u32) -> ApprovalRow {
        self.store.approval(&super::scene::approval_id(number)).await.unwrap().unwrap()
    }

    async fn granted_by(&self, number: u32) -> Vec<String> {
        let grants = self.store.grants(&super::scene::approval_id(number)).await.unwrap();
        grants.into_iter().map(|grant| grant.actor).collect()
    }

    /// Each version of each artifact in one line.
    async fn versions(&self) -> String {
        let line = |made: &ArtifactRow| {
            let edited = made.edited_by.as_ref().map(|by| format!(" edited by {by}"));
            let current = if made.current { " current" } else { "" };
            format!(
                "{} v{} attempt={}{current}{}",
                made.name,
                made.version,
                made.attempt,
                edited.unwrap_or_default()
            )
        };
        let made = self.store.artifacts(self.run.id()).await.unwrap();
        made.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    async fn text(&self, version: Option<u32>) -> String {
        let name = "research.md".parse().unwrap();
        let (run, stage) = (self.run.id(), key("research"));
        self.store.artifact(run, &stage, &name, version).await.unwrap().unwrap().1
    }

    async fn remind(&mut self, ms: i64, failure: Option<&str>) {
        let gate = self.run.open_gate().unwrap();
        let (approval, number) = (gate.approval.clone(), gate.reminder_count + 1);
        self.now = ms - super::scene::STEP_MS;
        let failure = failure.map(str::to_owned);
        self.give(Command::NoteReminder { approval, number, at: at(ms), failure }).await;
    }

    async fn wakes(&self) -> Vec<i64> {
        let wakes = self.store.wakes(None, 10).await.unwrap();
        wakes.into_iter().map(|wake| wake.at.as_unix_ms()).collect()
    }

    async fn everything_again(&self) {
        let before = (self.row().await, self.stages().await, self.question(1).await);
        let grants = self.granted_by(1).await;
        self.store.rebuild_projections().await.unwrap();
        self.check().await;
        assert_eq!((self.row().await, self.stages().await, self.question(1).await), before);
        assert_eq!(self.granted_by(1).await, grants);
    }
}

#[tokio::test]
async fn a_gate_for_two_is_passed_by_the_second() {
    let mut scene = at_gate(two_grants()).await;
    assert_eq!(scene.question(1).await.grant_count, 2);
    scene.decide_as("ann", Verdict::Granted).await;
    assert_eq!(scene.status().await, Status::WaitingApproval);
    assert_eq!(scene.granted_by(1).await, ["ann"]);
    // The same person again is no second one.
    scene.decide_as("ann", Verdict::Granted).await;
    assert_eq!(scene.granted_by(1).await, ["ann"]);
    scene.everything_again().await;
    scene.decide_as("bob", Verdict::Granted).await;
    let question = scene.question(1).await;
    assert_eq!(
        (question.status, question.actor.as_deref()),
        (ApprovalStatus::Granted, Some("bob"))
    );
    assert_eq!(scene.granted_by(1).await, ["ann"], "the last one is the approval's own");
    assert_eq!(scene.status().await, Status::Running);
}

#[tokio::test]
async fn one_rejection_is_enough_and_the_grants_before_it_stay_to_be_seen() {
    let mut scene = at_gate(two_grants()).await;
    scene.decide_as("ann", Verdict::Granted).await;
    scene.decide_as("bob", Verdict::Rejected).await;
    assert_eq!(scene.status().await, Status::Failed);
    assert_eq!(scene.granted_by(1).await, ["ann"]);
    scene.everything_again().await;
    scene.give(retry(None)).await;
    scene.start(0).await;
    scene.finish(0, "second").await;
    assert_eq!(scene.granted_by(2).await, [""; 0], "another question, and nobody has answered it");
}

#[tokio::test]
async fn an_edit_flows_on_and_is_marked() {
    let mut scene = at_gate(plan()).await;
    scene.edit_as("ann", "better").await;
    assert_eq!(scene.status().await, Status::Running);
    insta::assert_snapshot!(scene.versions().await, @r"
    research.md v1 attempt=1
    research.md v2 attempt=1 current edited by ann
    ");
    assert_eq!(
        (scene.text(None).await, scene.text(Some(1)).await),
        ("better".into(), "draft".into())
    );
    let question = scene.question(1).await;
    assert_eq!(
        (question.content_hash, question.status),
        (digest("better"), ApprovalStatus::Granted)
    );
    let seen = scene.run.artifacts_before(domain::StageIdx(1))[0].1.digest.clone();
    assert_eq!(seen, digest("better"), "the next stage sees what the row names as current");
    scene.everything_again().await;
}

#[tokio::test]
async fn an_edit_voids_the_grants_of_those_who_did_not_see_it() {
    let mut scene = at_gate(two_grants()).await;
    scene.decide_as("ann", Verdict::Granted).await;
    scene.edit_as("bob", "better").await;
    assert_eq!(scene.status().await, Status::WaitingApproval);
    assert_eq!(scene.granted_by(1).await, ["bob"]);
    scene.edit_as("ann", "best").await;
    assert_eq!(scene.granted_by(1).await, ["ann"]);
    scene.everything_again().await;
    scene.decide_as("bob", Verdict::Granted).await;
    assert_eq!(scene.status().await, Status::Running);
    insta::assert_snapshot!(scene.versions().await, @r"
    research.md v1 attempt=1
    research.md v2 attempt=1 edited by bob
    research.md v3 attempt=1 current edited by ann
    ");
}

#[tokio::test]
async fn a_revision_begins_the_stage_again_and_keeps_both_versions() {
    let mut scene = Scene::of(plan()).await;
    scene.start(0).await;
    scene.finish_with(0, "draft", vec![variable("light", "1")]).await;
    scene.decide(Verdict::Revised).await;
    let row = scene.row().await;
    assert_eq!((row.status, row.stages_done, row.open_approval), (Status::Running, 0, None));
    assert_eq!(scene.question(1).await.status, ApprovalStatus::Revised);
    assert_eq!(scene.store.variables(scene.run.id()).await.unwrap().len(), 1, "only the first");
    let stage = scene.store.stages(scene.run.id()).await.unwrap().remove(0);
    assert_eq!((stage.feedback.as_deref(), stage.ended_at), (Some("as it is"), None));
    scene.everything_again().await;
    scene.start(0).await;
    scene.fail(0).await;
    let stage = scene.store.stages(scene.run.id()).await.unwrap().remove(0);
    assert!(stage.feedback.is_some(), "the wish holds until the stage is done");
    scene.give(retry(None)).await;
    scene.start(0).await;
    scene.finish(0, "second").await;
    let stage = scene.store.stages(scene.run.id()).await.unwrap().remove(0);
    assert_eq!(stage.feedback, None);
    scene.edit_as("ann", "third").await;
    insta::assert_snapshot!(scene.versions().await, @r"
    research.md v1 attempt=1
    research.md v2 attempt=3
    research.md v3 attempt=3 current edited by ann
    ");
    insta::assert_snapshot!(scene.stages().await, @r"
    research done attempt=3 queue=30 work=30 model=0 human=20
    voice pending attempt=0 queue=0 work=0 model=0 human=0
    ");
    let texts = [scene.text(Some(1)).await, scene.text(Some(2)).await, scene.text(None).await];
    assert_eq!(texts, ["draft", "second", "third"]);
}

#[tokio::test]
async fn a_revision_in_a_paused_run_begins_when_the_run_goes_on() {
    let mut scene = at_gate(plan()).await;
    scene.give(pause()).await;
    scene.decide(Verdict::Revised).await;
    let row = scene.row().await;
    assert_eq!((row.status, row.open_approval), (Status::Paused, None));
    insta::assert_snapshot!(scene.stages().await, @r"
    research pending attempt=1 queue=10 work=10 model=0 human=20
    voice pending attempt=0 queue=0 work=0 model=0 human=0
    ");
    scene.everything_again().await;
    // Nobody waits for room during the pause.
    scene.now += 1_000;
    scene.give(resume()).await;
    assert_eq!(scene.status().await, Status::Running);
    scene.start(0).await;
    scene.finish(0, "second").await;
    scene.decide(Verdict::Granted).await;
    insta::assert_snapshot!(scene.stages().await, @r"
    research done attempt=2 queue=20 work=20 model=0 human=30
    voice pending attempt=0 queue=0 work=0 model=0 human=0
    ");
}

#[tokio::test]
async fn a_retry_from_an_earlier_stage_forgets_the_wish_for_a_later_one() {
    let mut plan = plan();
    plan.stages[1].gate = plan.stages[0].gate.take();
    let mut scene = Scene::of(plan).await;
    scene.start(0).await;
    scene.finish(0, "draft").await;
    scene.finish(1, "voice").await;
    scene.decide(Verdict::Revised).await;
    scene.start(1).await;
    scene.give(cancel()).await;
    let feedback =
        async |scene: &Scene| scene.store.stages(scene.run.id()).await.unwrap().remove(1).feedback;
    assert!(feedback(&scene).await.is_some());
    scene.give(retry(None)).await;
    assert!(feedback(&scene).await.is_some(), "the stage was never done again");
    scene.give(cancel()).await;
    scene.give(retry(Some(0))).await;
    assert_eq!(feedback(&scene).await, None);
}

#[tokio::test]
async fn deadlines_grant_and_reject_by_themselves() {
    for (outcome, status, run_status) in [
        (DeadlineOutcome::Grant, ApprovalStatus::Granted, Status::Running),
        (DeadlineOutcome::Reject, ApprovalStatus::Rejected, Status::Failed),
    ] {
        let policy = GatePolicy { grant_count: 2, ..deadline(outcome) };
        let mut scene = at_gate(with(policy)).await;
        assert_eq!(scene.wakes().await, [1_020]);
        assert_eq!(scene.question(1).await.deadline_at, Some(at(1_020)));
        scene.pass_to(1_019).await;
        assert_eq!(scene.status().await, Status::WaitingApproval, "not yet");
        scene.pass_to(1_020).await;
        let question = scene.question(1).await;
        assert_eq!((question.status, question.actor.as_deref()), (status, Some(DEADLINE_ACTOR)));
        assert_eq!(scene.status().await, run_status);
        assert_eq!(scene.wakes().await, [0; 0]);
        scene.everything_again().await;
    }
}

#[tokio::test]
async fn an_escalated_gate_waits_on_without_a_deadline() {
    let to = vec![Reviewer::Actor("eve".to_owned())];
    let reviewers = vec![Reviewer::Actor("ann".to_owned())];
    let policy = GatePolicy { reviewers, ..deadline(DeadlineOutcome::Escalate { to }) };
    let mut scene = at_gate(with(policy)).await;
    scene.pass_to(2_000).await;
    let question = scene.question(1).await;
    assert!(question.is_escalated && question.deadline_at.is_none(), "{question:?}");
    assert_eq!((question.status, scene.wakes().await), (ApprovalStatus::Pending, Vec::new()));
    scene.everything_again().await;
    scene.decide_as("eve", Verdict::Granted).await;
    assert_eq!(scene.status().await, Status::Running);
}

#[tokio::test]
async fn reminders_are_counted_and_the_deadline_stays() {
    let policy = GatePolicy { reminder: Some(reminder()), ..deadline(DeadlineOutcome::Reject) };
    let mut scene = at_gate(with(policy)).await;
    assert_eq!(scene.wakes().await, [320], "the earlier of the two");
    scene.remind(320, Some("no answer")).await;
    let question = scene.question(1).await;
    assert_eq!((question.reminder_count, question.remind_at), (1, Some(at(520))));
    assert_eq!(question.reminder_failure.as_deref(), Some("no answer"));
    assert_eq!(scene.wakes().await, [520]);
    scene.everything_again().await;
    scene.remind(520, None).await;
    let question = scene.question(1).await;
    assert_eq!((question.reminder_count, question.remind_at), (2, None));
    assert_eq!(question.reminder_failure, None);
    assert_eq!(scene.wakes().await, [1_020], "the deadline is left");
    scene.pass_to(1_020).await;
    assert_eq!(scene.status().await, Status::Failed);
}

#[tokio::test]
async fn a_gate_that_is_decided_or_closed_reminds_nobody() {
    let policy = || GatePolicy { reminder: Some(reminder()), ..GatePolicy::default() };
    let mut scene = at_gate(with(policy())).await;
    scene.decide(Verdict::Granted).await;
    assert_eq!((scene.wakes().await, scene.question(1).await.remind_at), (Vec::new(), None));
    let mut scene = at_gate(with(policy())).await;
    scene.give(cancel()).await;
    assert_eq!((scene.wakes().await, scene.question(1).await.remind_at), (Vec::new(), None));
}

#[tokio::test]
async fn time_brings_about_nothing_in_a_paused_run_and_goes_on_with_it() {
    let policy = GatePolicy { reminder: Some(reminder()), ..deadline(DeadlineOutcome::Reject) };
    let mut scene = at_gate(with(policy)).await;
    scene.give(pause()).await;
    assert_eq!(scene.wakes().await, [0; 0]);
    // A reminder that was on its way when the run paused.
    scene.remind(320, None).await;
    assert_eq!(scene.wakes().await, [0; 0]);
    scene.pass_to(5_000).await;
    assert_eq!(scene.status().await, Status::Paused);
    scene.give(resume()).await;
    assert_eq!(scene.wakes().await, [520]);
    scene.pass_to(5_100).await;
    assert_eq!(scene.status().await, Status::Failed);
}
