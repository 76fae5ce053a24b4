//! What the projections say on every way that a run can take. `Scene` compares them with a replay after each step.
use domain::StageIdx;
use domain::run::{Command, GateSubject, Status, Verdict};

use super::scene::{Scene, bound, cancel, digest, pause, plan, planned, resume, retry, variable};
use crate::{ApprovalFilter, ApprovalRow, ApprovalStatus, Page};

#[tokio::test]
async fn a_run_to_its_end() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.status().await, Status::Queued);
    scene.start(0).await;
    scene.finish_with(0, "Bees like light", vec![variable("light", "true")]).await;
    let row = scene.row().await;
    assert_eq!(row.status, Status::WaitingApproval);
    assert_eq!(row.current_stage.unwrap().as_str(), "research");
    scene.decide(Verdict::Granted).await;
    scene.start(1).await;
    scene.finish_with(1, "Warm", vec![variable("audience", r#""all""#)]).await;
    let row = scene.row().await;
    assert_eq!((row.status, row.stages_done, row.current_stage), (Status::Completed, 2, None));
    assert_eq!(row.ended_at.unwrap().as_unix_ms(), scene.now);
    assert_eq!(row.version, scene.version);
    insta::assert_snapshot!(scene.stages().await, @r"
    research done attempt=1 queue=10 work=10 model=0 human=10
    voice done attempt=1 queue=10 work=10 model=0 human=0
    ");
    let variables = scene.store.variables(scene.run.id()).await.unwrap();
    assert_eq!(variables, [variable("audience", r#""all""#), variable("light", "true")]);
}

#[tokio::test]
async fn a_failed_run_is_retried_and_takes_back_what_the_stage_had_set() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    scene.finish_with(0, "first", vec![variable("light", "1")]).await;
    scene.decide(Verdict::Granted).await;
    scene.start(1).await;
    scene.fail(1).await;
    let row = scene.row().await;
    assert_eq!(row.status, Status::Failed);
    let fault = row.fault.unwrap();
    assert_eq!((fault.code.as_str(), fault.retryable), ("model_rate_limited", true));
    scene.give(retry(None)).await;
    assert_eq!((scene.status().await, scene.row().await.fault), (Status::Running, None));
    scene.start(1).await;
    scene.finish(1, "Warm").await;
    scene.give(retry(Some(0))).await;
    let variables = scene.store.variables(scene.run.id()).await.unwrap();
    assert_eq!(variables, [variable("audience", r#""beekeepers""#)]);
    scene.start(0).await;
    scene.finish(0, "second").await;
    let artifacts = scene.store.artifacts(scene.run.id()).await.unwrap();
    let line = |made: &crate::ArtifactRow| {
        let (stage, name) = (&made.stage, &made.name);
        format!(
            "{stage}/{name} v{} attempt={} current={}",
            made.version, made.attempt, made.current
        )
    };
    let lines: Vec<String> = artifacts.iter().map(line).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    research/research.md v1 attempt=1 current=false
    research/research.md v2 attempt=2 current=true
    voice/voice.md v1 attempt=2 current=false
    ");
    let name = "research.md".parse().unwrap();
    let stage = super::scene::key("research");
    let text = |version| {
        let store = scene.store.clone();
        let (run, stage, name) = (scene.run.id().clone(), stage.clone(), &name);
        async move { store.artifact(&run, &stage, name, version).await.unwrap().map(|found| found.1) }
    };
    assert_eq!(text(None).await.as_deref(), Some("second"));
    assert_eq!(text(Some(1)).await.as_deref(), Some("first"));
    assert_eq!(text(Some(3)).await, None);
}

#[tokio::test]
async fn a_rejected_run_says_so_at_its_gate() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    scene.finish(0, "thin").await;
    scene.decide(Verdict::Rejected).await;
    assert_eq!(scene.status().await, Status::Failed);
    let approvals =
        scene.store.approvals(ApprovalFilter::default(), Page::first(10)).await.unwrap().items;
    let [approval] = approvals.as_slice() else { panic!("one approval") };
    assert_eq!(approval.status, ApprovalStatus::Rejected);
    assert_eq!(approval.actor.as_deref(), Some("ann"));
    assert_eq!(approval.question.as_deref(), Some("Is the research right?"));
    assert_eq!(approval.content_hash, digest("thin"));
    scene.give(retry(None)).await;
    scene.start(0).await;
    scene.finish(0, "thick").await;
    scene.decide(Verdict::Granted).await;
    insta::assert_snapshot!(scene.stages().await, @r"
    research done attempt=2 queue=20 work=20 model=0 human=20
    voice pending attempt=0 queue=0 work=0 model=0 human=0
    ");
}

#[tokio::test]
async fn a_run_that_is_called_off_closes_its_gate() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    scene.finish(0, "draft").await;
    scene.give(cancel()).await;
    let row = scene.row().await;
    assert_eq!((row.status, row.open_approval), (Status::Canceled, None));
    let filter = ApprovalFilter { status: Some(ApprovalStatus::Closed), run: None };
    let closed = scene.store.approvals(filter, Page::first(10)).await.unwrap().items;
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].run_status, Status::Canceled);
}

#[tokio::test]
async fn pauses_hold_wherever_they_come() {
    let mut scene = Scene::new().await;
    scene.give(pause()).await;
    scene.give(resume()).await;
    assert_eq!(scene.status().await, Status::Queued);
    scene.start(0).await;
    scene.give(pause()).await;
    assert_eq!(scene.status().await, Status::Running);
    scene.give(resume()).await;
    scene.give(pause()).await;
    scene.finish(0, "draft").await;
    let row = scene.row().await;
    assert_eq!(row.status, Status::Paused);
    assert!(row.open_approval.is_some());
    scene.give(resume()).await;
    assert_eq!(scene.status().await, Status::WaitingApproval);
    scene.give(pause()).await;
    scene.decide(Verdict::Granted).await;
    assert_eq!(scene.status().await, Status::Paused);
    scene.give(resume()).await;
    scene.start(1).await;
    scene.give(cancel()).await;
    insta::assert_snapshot!(scene.stages().await, @r"
    research done attempt=1 queue=20 work=40 model=0 human=30
    voice canceled attempt=1 queue=10 work=10 model=0 human=0
    ");
}

#[tokio::test]
async fn a_run_called_off_before_it_began_is_queued_by_a_retry() {
    let mut scene = Scene::new().await;
    scene.give(cancel()).await;
    scene.give(retry(None)).await;
    assert_eq!(scene.status().await, Status::Queued);
}

#[tokio::test]
async fn a_gate_after_the_last_stage_completes_the_run() {
    let mut plan = plan();
    plan.stages = vec![planned("research", false), planned("voice", true)];
    let mut scene = Scene::of(plan).await;
    scene.start(0).await;
    scene.finish(0, "one").await;
    assert_eq!(scene.status().await, Status::Running);
    scene.finish(1, "two").await;
    scene.give(pause()).await;
    scene.decide(Verdict::Granted).await;
    assert_eq!(scene.status().await, Status::Completed);
}

#[tokio::test]
async fn everything_is_made_again_from_the_log() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    scene.finish_with(0, "draft", vec![variable("light", "1")]).await;
    let (row, stages) = (scene.row().await, scene.stages().await);
    scene
        .store
        .tamper(|db| db.execute_batch("UPDATE runs SET status = 'failed'").unwrap())
        .await
        .unwrap();
    let compared = scene.store.projections_equal_replay(scene.run.id()).await.unwrap();
    assert!(compared.unwrap_err().starts_with("table `runs` has"));
    scene.store.tamper(|db| db.execute_batch("DELETE FROM stages").unwrap()).await.unwrap();
    scene.store.rebuild_projections().await.unwrap();
    scene.check().await;
    assert_eq!((scene.row().await, scene.stages().await), (row, stages));
}

impl Scene {
    /// The question that was opened last.
    async fn last_approval(&self) -> ApprovalRow {
        let listed = self.store.approvals(ApprovalFilter::default(), Page::first(1)).await.unwrap();
        listed.items.into_iter().next().unwrap()
    }
}

#[tokio::test]
async fn an_attempt_that_waits_for_a_budget_goes_on_when_it_is_granted() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    let warning = Command::WarnBudget { stage: StageIdx(0), attempt: 1, bound: bound() };
    scene.give(warning).await;
    scene.open_budget_gate(0).await;
    let row = scene.row().await;
    assert_eq!(row.status, Status::WaitingApproval);
    assert_eq!(row.current_stage.unwrap().as_str(), "research");
    let approval = scene.last_approval().await;
    assert_eq!(approval.status, ApprovalStatus::Pending);
    assert_eq!(approval.subject, GateSubject::Budget { attempt: 1, bound: bound() });
    assert_eq!(approval.question, None, "the profile's words ask about the result");
    insta::assert_snapshot!(scene.stages().await, @r"
    research waiting_approval attempt=1 queue=10 work=20 model=0 human=0
    voice pending attempt=0 queue=0 work=0 model=0 human=0
    ");
    assert_eq!(scene.store.stages(scene.run.id()).await.unwrap()[0].ended_at, None);
    scene.store.rebuild_projections().await.unwrap();
    assert_eq!(scene.last_approval().await, approval);

    scene.decide(Verdict::Granted).await;
    assert_eq!((scene.status().await, scene.row().await.open_approval), (Status::Running, None));
    scene.finish(0, "draft").await;
    assert_eq!(scene.last_approval().await.subject, GateSubject::Result);
    scene.decide(Verdict::Granted).await;
    insta::assert_snapshot!(scene.stages().await, @r"
    research done attempt=1 queue=10 work=30 model=0 human=20
    voice pending attempt=0 queue=0 work=0 model=0 human=0
    ");
}

#[tokio::test]
async fn an_attempt_that_is_granted_more_in_a_paused_run_goes_on_when_the_run_does() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    scene.open_budget_gate(0).await;
    scene.give(pause()).await;
    let row = scene.row().await;
    assert_eq!(row.status, Status::Paused);
    assert!(row.open_approval.is_some());
    scene.decide(Verdict::Granted).await;
    let row = scene.row().await;
    assert_eq!((row.status, row.open_approval), (Status::Paused, None));
    scene.give(resume()).await;
    assert_eq!(scene.status().await, Status::Running);
    insta::assert_snapshot!(scene.stages().await, @r"
    research running attempt=1 queue=10 work=10 model=0 human=20
    voice pending attempt=0 queue=0 work=0 model=0 human=0
    ");
    // Asked for again while a pause waits for the attempt: the gate opens in a run that pauses with it.
    scene.give(pause()).await;
    scene.open_budget_gate(0).await;
    assert_eq!(scene.status().await, Status::Paused);
    scene.give(resume()).await;
    assert_eq!(scene.status().await, Status::WaitingApproval);
    scene.decide(Verdict::Granted).await;
    scene.finish(0, "draft").await;
    insta::assert_snapshot!(scene.stages().await, @r"
    research waiting_approval attempt=1 queue=10 work=40 model=0 human=40
    voice pending attempt=0 queue=0 work=0 model=0 human=0
    ");
}

#[tokio::test]
async fn a_budget_that_is_refused_ends_the_attempt_and_the_run() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    scene.open_budget_gate(0).await;
    scene.decide(Verdict::Rejected).await;
    assert_eq!(scene.status().await, Status::Failed);
    let stage = &scene.store.stages(scene.run.id()).await.unwrap()[0];
    assert_eq!(stage.status.as_str(), "rejected");
    assert_eq!(stage.ended_at.unwrap().as_unix_ms(), scene.now);
    scene.give(retry(None)).await;
    scene.start(0).await;
    insta::assert_snapshot!(scene.stages().await, @r"
    research running attempt=2 queue=20 work=10 model=0 human=10
    voice pending attempt=0 queue=0 work=0 model=0 human=0
    ");
}

#[tokio::test]
async fn a_run_is_called_off_while_its_attempt_waits_for_a_budget_or_for_its_run() {
    let mut scene = Scene::new().await;
    scene.start(0).await;
    scene.open_budget_gate(0).await;
    scene.give(cancel()).await;
    assert_eq!(scene.last_approval().await.status, ApprovalStatus::Closed);
    let stage = &scene.store.stages(scene.run.id()).await.unwrap()[0];
    assert_eq!(stage.ended_at.unwrap().as_unix_ms(), scene.now);
    scene.give(retry(None)).await;
    scene.start(0).await;
    scene.open_budget_gate(0).await;
    scene.give(pause()).await;
    scene.decide(Verdict::Granted).await;
    scene.give(cancel()).await;
    insta::assert_snapshot!(scene.stages().await, @r"
    research canceled attempt=2 queue=20 work=20 model=0 human=30
    voice pending attempt=0 queue=0 work=0 model=0 human=0
    ");
}
