//! Gates for people: who decides, how many of them, in whose words, and what happens when nobody does.
use super::*;

/// A gate with this policy, and a stage after it.
fn gated(policy: GatePolicy) -> Run {
    run_of(vec![stage(0, Some(gate(policy))), stage(1, None)], None)
}

/// The same, at its open gate, after these commands.
#[track_caller]
fn at_gate(policy: GatePolicy, then: impl IntoIterator<Item = Command>) -> Run {
    carried_on(gated(policy), [start(0), finish(0, 1)].into_iter().chain(then))
}

fn two_grants() -> GatePolicy {
    GatePolicy { grant_count: 2, ..GatePolicy::default() }
}

fn deadline(outcome: DeadlineOutcome) -> GatePolicy {
    let deadline = GateDeadline { after: Duration::from_secs(60), outcome };
    GatePolicy { deadline: Some(deadline), ..GatePolicy::default() }
}

fn seen(digit: char, mut command: Command) -> Command {
    if let Command::DecideGate { content_hash, .. } = &mut command {
        *content_hash = Some(hex(digit));
    }
    command
}

fn in_groups(names: &[&str], mut command: Command) -> Command {
    if let Command::DecideGate { groups, .. } = &mut command {
        *groups = names.iter().map(|&name| name.to_owned()).collect();
    }
    command
}

fn granted_by(actor: &str) -> Command {
    decided_by(actor, 1, Verdict::Granted)
}

#[track_caller]
fn expect(mut run: Run, command: Command, expected: &str) {
    assert_eq!(outcome(&mut run, command), expected);
}

#[test]
fn a_gate_for_two_needs_two_different_people() {
    let once = at_gate(two_grants(), [granted_by("anna")]);
    assert_eq!(where_is(&once), "waiting_approval: gate after 0, granted by anna");
    expect(
        once.clone(),
        granted_by("anna"),
        "waiting_approval: gate after 0, granted by anna (nothing recorded)",
    );
    expect(once, granted_by("bob"), "running: ready 1");
}

#[test]
fn whoever_granted_may_repeat_it_when_the_gate_is_passed() {
    let passed = at_gate(two_grants(), [granted_by("anna"), granted_by("bob")]);
    for actor in ["anna", "bob"] {
        expect(passed.clone(), granted_by(actor), "running: ready 1 (nothing recorded)");
    }
}

#[test]
fn one_rejection_or_one_wish_is_enough_also_after_a_grant() {
    let once = at_gate(two_grants(), [granted_by("anna")]);
    expect(once.clone(), decided_by("bob", 1, Verdict::Rejected), "failed: rejected at 0");
    expect(once.clone(), decided_by("anna", 1, Verdict::Rejected), "failed: rejected at 0");
    expect(once, revised_by("bob", 1, "shorter"), "running: ready 0");
}

#[test]
fn an_edit_voids_earlier_grants_and_is_that_persons_grant() {
    let mut run = at_gate(two_grants(), [granted_by("anna")]);
    let events = give(&mut run, edited_by("bob", 1, Some('c'), 'e')).unwrap();
    assert_eq!(kinds(&events), ["artifacts_edited", "gate_grant_added"]);
    assert_eq!(where_is(&run), "waiting_approval: gate after 0, granted by bob");
    assert_eq!(run.open_gate().unwrap().content_hash, hex('e'));
    let result = run.progress()[0].result.as_ref().unwrap();
    assert_eq!((&result.artifacts, &result.content_hash), (&vec![artifact('e')], &hex('e')));
    expect(
        run.clone(),
        seen('c', granted_by("anna")),
        "refused: the content has changed since it was looked at",
    );
    expect(run, seen('e', granted_by("anna")), "running: ready 1");
}

#[test]
fn an_edit_leaves_the_other_artifacts_as_they_are() {
    let other = ArtifactRef { name: "other.md".parse().unwrap(), ..artifact('a') };
    let made = StageResult { artifacts: vec![other.clone(), artifact('c')], ..result() };
    let finished = Command::FinishStage {
        stage: StageIdx(0),
        attempt: 1,
        result: made,
        approval: approval(1),
        at: NOON,
    };
    let run = carried_on(run("g-"), [start(0), finished, edited_by("anna", 1, None, 'e')]);
    assert_eq!(run.progress()[0].result.as_ref().unwrap().artifacts, [other, artifact('e')]);
    let before = run.artifacts_before(StageIdx(1));
    let digests: Vec<&Digest> = before.iter().map(|(_, artifact)| &artifact.digest).collect();
    assert_eq!(digests, [&hex('a'), &hex('e')], "the edited text flows on");
}

#[test]
fn an_edit_of_the_last_gate_completes_the_run() {
    let mut run = carried_on(run("g"), [start(0), finish(0, 1)]);
    let events = give(&mut run, edited_by("anna", 1, Some('c'), 'e')).unwrap();
    assert_eq!(kinds(&events), ["artifacts_edited", "gate_granted", "run_completed"]);
    assert_eq!(where_is(&run), "completed: completed");
}

#[test]
fn an_edit_that_changes_nothing_is_a_plain_grant() {
    let mut run = at_gate(GatePolicy::default(), []);
    let events = give(&mut run, edited_by("anna", 1, Some('c'), 'c')).unwrap();
    assert_eq!(kinds(&events), ["gate_granted"]);
}

#[test]
fn the_same_edit_again_records_nothing() {
    let edit = edited_by("anna", 1, Some('c'), 'e');
    let open = at_gate(two_grants(), [edit.clone()]);
    expect(
        open,
        edit.clone(),
        "waiting_approval: gate after 0, granted by anna (nothing recorded)",
    );
    let passed = at_gate(GatePolicy::default(), [edit.clone()]);
    expect(passed.clone(), edit, "running: ready 1 (nothing recorded)");
    expect(passed, seen('e', granted_by("anna")), "running: ready 1 (nothing recorded)");
}

#[test]
fn an_edit_of_what_somebody_else_has_edited_meanwhile_is_refused() {
    let changed = "refused: the content has changed since it was looked at";
    let edited = at_gate(two_grants(), [edited_by("anna", 1, Some('c'), 'e')]);
    expect(edited.clone(), edited_by("bob", 1, Some('c'), 'f'), changed);
    expect(edited.clone(), edited_by("bob", 1, Some('c'), 'e'), changed);
    let again = "waiting_approval: gate after 0, granted by bob";
    expect(edited, edited_by("bob", 1, Some('e'), 'f'), again);
}

#[test]
fn another_decision_than_the_one_that_holds_is_refused() {
    let granted = "refused: the approval is already granted";
    let plain = at_gate(GatePolicy::default(), [granted_by("anna")]);
    expect(plain.clone(), edited_by("anna", 1, Some('c'), 'e'), granted);
    expect(plain.clone(), seen('e', granted_by("anna")), granted);
    expect(plain.clone(), revised_by("anna", 1, "shorter"), granted);
    expect(plain, seen('c', granted_by("bob")), "running: ready 1 (nothing recorded)");
    let edited = at_gate(GatePolicy::default(), [edited_by("anna", 1, None, 'e')]);
    expect(edited.clone(), edited_by("anna", 1, None, 'f'), granted);
    expect(edited.clone(), seen('c', granted_by("anna")), granted);
    let revised = at_gate(GatePolicy::default(), [revised_by("anna", 1, "shorter")]);
    let already = "refused: the approval is already revised";
    expect(revised.clone(), revised_by("anna", 1, "longer"), already);
    expect(revised.clone(), granted_by("anna"), already);
    expect(revised, revised_by("anna", 1, "shorter"), "running: ready 0 (nothing recorded)");
}

#[test]
fn only_named_people_and_members_of_named_groups_decide() {
    let policy = GatePolicy {
        reviewers: vec![Reviewer::Actor("anna".into()), Reviewer::Group("editors".into())],
        ..GatePolicy::default()
    };
    let open = at_gate(policy, []);
    expect(open.clone(), granted_by("anna"), "running: ready 1");
    expect(open.clone(), in_groups(&["x", "editors"], granted_by("bob")), "running: ready 1");
    let refused = "refused: `bob` may not decide at this gate";
    expect(open.clone(), granted_by("bob"), refused);
    expect(open.clone(), in_groups(&["anna"], granted_by("bob")), refused);
    expect(open.clone(), decided_by("bob", 1, Verdict::Rejected), refused);
    expect(open.clone(), revised_by("bob", 1, "shorter"), refused);
    expect(open.clone(), edited_by("bob", 1, None, 'e'), refused);
    let editors = "refused: `editors` may not decide at this gate";
    expect(open, granted_by("editors"), editors);
}

#[test]
fn whoever_started_the_run_may_be_kept_from_granting() {
    let policy = GatePolicy { self_approval: SelfApproval::Refused, ..GatePolicy::default() };
    let started = run_of(vec![stage(0, Some(gate(policy))), stage(1, None)], Some("anna"));
    let open = carried_on(started, [start(0), finish(0, 1)]);
    let refused =
        "refused: `anna` started the run and may not grant its gates: somebody else has to";
    expect(open.clone(), granted_by("anna"), refused);
    expect(open.clone(), edited_by("anna", 1, None, 'e'), refused);
    expect(open.clone(), decided_by("anna", 1, Verdict::Rejected), "failed: rejected at 0");
    expect(open.clone(), revised_by("anna", 1, "shorter"), "running: ready 0");
    expect(open, granted_by("bob"), "running: ready 1");
}

#[test]
fn whoever_started_the_run_may_grant_where_nothing_is_said() {
    let started = run_of(vec![stage(0, Some(Gate::default())), stage(1, None)], Some("anna"));
    check_run(started, [start(0), finish(0, 1), granted_by("anna")], "running: ready 1");
}

#[test]
fn a_gate_for_a_budget_knows_no_policy_and_has_no_content() {
    let policy = GatePolicy {
        grant_count: 2,
        reviewers: vec![Reviewer::Actor("carl".into())],
        self_approval: SelfApproval::Refused,
        ..board()
    };
    let started = run_of(vec![stage(0, Some(gate(policy)))], Some("anna"));
    let bound = budgets::used(BudgetScope::Run, 100);
    let open = carried_on(started, [start(0), budgets::ask_for_budget(0, 1, 1, bound)]);
    assert_eq!((open.wakes_at(), open.due(Timestamp::from_unix_ms(i64::MAX))), (None, None));
    expect(open.clone(), granted_by("anna"), "running: running 0 attempt 1");
    let no_content = "refused: the gate is about a budget: it can be granted or rejected";
    expect(open.clone(), revised_by("anna", 1, "more"), no_content);
    expect(open.clone(), edited_by("anna", 1, None, 'e'), no_content);
    expect(open, decided_by("anna", 1, Verdict::Rejected), "failed: rejected at 0");
}

#[test]
fn a_deadline_that_passes_rejects_or_grants() {
    let rejected = at_gate(deadline(DeadlineOutcome::Reject), [pass_time(60_000)]);
    assert_eq!(where_is(&rejected), "failed: rejected at 0");
    let granted = at_gate(deadline(DeadlineOutcome::Grant), [pass_time(60_000)]);
    assert_eq!(where_is(&granted), "running: ready 1");
    let last = run_of(vec![stage(0, Some(gate(deadline(DeadlineOutcome::Grant))))], None);
    check_run(last, [start(0), finish(0, 1), pass_time(60_000)], "completed: completed");
    let policy = GatePolicy { grant_count: 3, ..deadline(DeadlineOutcome::Grant) };
    let one_of_three = at_gate(policy, [granted_by("anna"), pass_time(60_000)]);
    assert_eq!(where_is(&one_of_three), "running: ready 1", "however many grants it asks for");
}

#[test]
fn the_deadline_decides_under_a_name_of_its_own() {
    let mut run = at_gate(deadline(DeadlineOutcome::Reject), []);
    let events = give(&mut run, pass_time(60_000)).unwrap();
    let decision = Decision { actor: DEADLINE_ACTOR.into(), comment: None };
    let rejected = Event::GateRejected { stage: StageIdx(0), approval: approval(1), decision };
    assert_eq!(events, [rejected]);
    assert!(DEADLINE_ACTOR.starts_with(HOST_ACTOR_PREFIX));
}

#[test]
fn a_deadline_that_has_not_passed_brings_about_nothing() {
    let open = at_gate(deadline(DeadlineOutcome::Reject), []);
    assert_eq!(open.wakes_at(), Some(NOON.after(Duration::from_secs(60))));
    assert_eq!(open.due(NOON.after(Duration::from_millis(59_999))), None);
    expect(open.clone(), pass_time(59_999), "waiting_approval: gate after 0 (nothing recorded)");
    expect(open.clone(), pass_time(-1), "waiting_approval: gate after 0 (nothing recorded)");
    assert_eq!(open.due(NOON.after(Duration::from_secs(60))), Some(Due::PassTime));
}

#[test]
fn of_a_person_and_the_deadline_the_first_one_decides() {
    let person = at_gate(deadline(DeadlineOutcome::Reject), [granted_by("anna")]);
    expect(person, pass_time(60_000), "running: ready 1 (nothing recorded)");
    let late = at_gate(deadline(DeadlineOutcome::Reject), [pass_time(60_000)]);
    expect(late.clone(), granted_by("anna"), "refused: the approval is already rejected");
    expect(late, pass_time(60_000), "failed: rejected at 0 (nothing recorded)");
    // Nobody gave the time yet: the decision comes first, whatever the clock says.
    let open = at_gate(deadline(DeadlineOutcome::Reject), []);
    assert_eq!(open.due(NOON.after(Duration::from_secs(60))), Some(Due::PassTime));
    expect(open, granted_by("anna"), "running: ready 1");
}

#[test]
fn a_deadline_does_not_pass_during_a_pause_and_at_once_after_it() {
    let paused = at_gate(deadline(DeadlineOutcome::Reject), [pause()]);
    assert_eq!(paused.wakes_at(), None);
    assert_eq!(paused.due(Timestamp::from_unix_ms(i64::MAX)), None);
    expect(paused.clone(), pass_time(90_000), "paused: paused at gate after 0 (nothing recorded)");
    let resumed = at_gate(deadline(DeadlineOutcome::Reject), [pause(), resume()]);
    assert_eq!(resumed.wakes_at(), Some(NOON.after(Duration::from_secs(60))));
    expect(resumed, pass_time(90_000), "failed: rejected at 0");
}

#[test]
fn an_escalation_lets_others_decide_as_well() {
    let refused = "refused: `carl` may not decide at this gate";
    let early = at_gate(board(), []);
    expect(early, granted_by("carl"), refused);
    let escalated = at_gate(board(), [granted_by("anna"), pass_time(3_600_000)]);
    assert_eq!(where_is(&escalated), "waiting_approval: gate after 0, granted by anna");
    assert!(escalated.open_gate().unwrap().is_escalated);
    expect(escalated.clone(), granted_by("carl"), "running: ready 1");
    expect(escalated.clone(), granted_by("bob"), "running: ready 1");
    expect(escalated.clone(), granted_by("dora"), "refused: `dora` may not decide at this gate");
    let again = "waiting_approval: gate after 0, granted by anna (nothing recorded)";
    expect(escalated, pass_time(7_200_000), again);
}

#[test]
fn an_escalation_is_kept_over_a_pause_and_gone_with_the_next_version() {
    let mut paused = at_gate(board(), [pass_time(3_600_000), pause()]);
    let once = "paused: paused at gate after 0, granted by carl";
    assert_eq!(outcome(&mut paused, granted_by("carl")), once);
    let next = [pass_time(3_600_000), revised_by("carl", 1, "shorter"), start(0), finish(0, 2)];
    let next = at_gate(board(), next);
    expect(
        next,
        decided_by("carl", 2, Verdict::Granted),
        "refused: `carl` may not decide at this gate",
    );
}

fn reminded(number: u16, ms: u64) -> Command {
    let at = NOON.after(Duration::from_millis(ms));
    Command::NoteReminder { approval: approval(1), number, at, failure: None }
}

#[test]
fn people_are_reminded_as_often_as_the_policy_says() {
    let in_ms = |ms: u64| Some(NOON.after(Duration::from_millis(ms)));
    let due = |run: &Run, ms: u64| run.due(NOON.after(Duration::from_millis(ms)));
    let remind =
        |number| Some(Due::Remind { approval: approval(1), number, webhook: "desk".into() });
    let open = at_gate(board(), []);
    assert_eq!(open.wakes_at(), in_ms(60_000));
    assert_eq!((due(&open, 59_999), due(&open, 60_000)), (None, remind(1)));
    // The next one is counted from when this one was sent.
    let once = at_gate(board(), [reminded(1, 65_000)]);
    assert_eq!(once.wakes_at(), in_ms(665_000));
    assert_eq!(due(&once, 665_000), remind(2));
    let twice = at_gate(board(), [reminded(1, 65_000), reminded(2, 665_000)]);
    assert_eq!(twice.wakes_at(), in_ms(3_600_000), "only the deadline is left");
    assert_eq!(due(&twice, 3_599_999), None);
}

#[test]
fn a_reminder_that_is_not_the_next_one_is_recorded_as_nothing() {
    let nothing = "waiting_approval: gate after 0 (nothing recorded)";
    for number in [0, 2, 7] {
        expect(at_gate(board(), []), reminded(number, 0), nothing);
    }
    expect(at_gate(board(), [reminded(1, 0)]), reminded(1, 0), nothing);
    let all = at_gate(board(), [reminded(1, 0), reminded(2, 0)]);
    expect(all, reminded(3, 0), nothing);
    expect(at_gate(GatePolicy::default(), []), reminded(1, 0), nothing);
    let granted = at_gate(GatePolicy { grant_count: 1, ..board() }, [granted_by("anna")]);
    expect(granted, reminded(1, 0), "running: ready 1 (nothing recorded)");
}

#[test]
fn a_reminder_without_another_one_is_the_last() {
    let reminder = Reminder { every: None, count_max: 1, ..board().reminder.unwrap() };
    let policy = GatePolicy { reminder: Some(reminder), ..GatePolicy::default() };
    let run = at_gate(policy, [reminded(1, 60_000)]);
    assert_eq!((run.wakes_at(), run.open_gate().unwrap().reminder_count), (None, 1));
}

#[test]
fn the_deadline_comes_before_a_reminder() {
    let open = at_gate(board(), []);
    let much_later = Timestamp::from_unix_ms(i64::MAX);
    assert_eq!(open.due(much_later), Some(Due::PassTime));
    let escalated = at_gate(board(), [pass_time(3_600_000)]);
    let reminder = Due::Remind { approval: approval(1), number: 1, webhook: "desk".into() };
    assert_eq!(escalated.due(much_later), Some(reminder));
}

#[test]
fn a_reminder_that_was_under_way_when_the_run_paused_is_recorded() {
    let paused = at_gate(board(), [pause(), reminded(1, 60_000)]);
    assert_eq!((paused.wakes_at(), paused.open_gate().unwrap().reminder_count), (None, 1));
}

fn wish(words: &str, text: char) -> Option<Wish> {
    Some(Wish { feedback: words.into(), previous: vec![artifact(text)] })
}

#[test]
fn a_revision_does_the_stage_again_with_the_words_and_the_version_they_are_about() {
    let run = at_gate(GatePolicy::default(), [revised_by("anna", 1, "shorter"), start(0)]);
    assert_eq!(where_is(&run), "running: running 0 attempt 2");
    assert_eq!(run.progress()[0].revision, wish("shorter", 'c'));
    let edited = [edited_by("anna", 1, None, 'e'), revised_by("bob", 1, "calmer")];
    let edited = at_gate(two_grants(), edited);
    assert_eq!(edited.progress()[0].revision, wish("calmer", 'e'));
}

#[test]
fn a_revision_takes_back_the_result_and_the_variables_of_the_stage() {
    let mut named = result();
    named.variables = vec![Variable { name: "x".parse().unwrap(), value: Json::from_parsed("1") }];
    let finished = Command::FinishStage {
        stage: StageIdx(0),
        attempt: 1,
        result: named,
        approval: approval(1),
        at: NOON,
    };
    let mut run = carried_on(run("g-"), [start(0), finished]);
    assert_eq!(run.variables().len(), 1);
    give(&mut run, revised_by("anna", 1, "shorter")).unwrap();
    assert_eq!((run.variables(), &run.progress()[0].result), (&[][..], &None));
    assert_eq!(run.artifacts_before(StageIdx(1)), []);
}

#[test]
fn a_wish_is_kept_over_failures_and_retries_of_its_stage_until_the_stage_is_done() {
    let revised = [revised_by("anna", 1, "shorter"), start(0)];
    let failed = at_gate(GatePolicy::default(), revised.into_iter().chain([fail(0, 2)]));
    assert_eq!(failed.progress()[0].revision, wish("shorter", 'c'));
    let mut run = failed;
    for command in [retry(None), start(0)] {
        give(&mut run, command).unwrap();
        assert_eq!(run.progress()[0].revision, wish("shorter", 'c'));
    }
    give(&mut run, finish(0, 3)).unwrap();
    assert_eq!(where_is(&run), "waiting_approval: gate after 0");
    assert_eq!(run.progress()[0].revision, None);
}

#[test]
fn a_wish_is_gone_when_an_earlier_stage_is_done_again() {
    let until_wish = [start(0), finish(0, 1), finish(1, 1), revised_by("anna", 101, "shorter")];
    let canceled = carried_on(run("-g"), until_wish.into_iter().chain([cancel()]));
    let retried = |from: u16| {
        let mut run = canceled.clone();
        give(&mut run, retry(Some(from))).unwrap();
        run.progress()[1].revision.clone()
    };
    assert_eq!((retried(1), retried(0)), (wish("shorter", 'c'), None));
}

#[test]
fn a_revision_during_a_pause_begins_when_the_run_goes_on() {
    let paused = [pause(), revised_by("anna", 1, "shorter")];
    let paused = at_gate(GatePolicy::default(), paused);
    assert_eq!(where_is(&paused), "paused: paused before 0");
    assert_eq!(paused.progress()[0].revision, wish("shorter", 'c'));
    expect(paused, resume(), "running: ready 0");
}

#[test]
fn each_version_has_a_gate_of_its_own() {
    let second = [revised_by("anna", 1, "shorter"), start(0), finish(0, 2)];
    let second = at_gate(two_grants(), [granted_by("anna")].into_iter().chain(second));
    assert_eq!(where_is(&second), "waiting_approval: gate after 0", "grants are not taken over");
    expect(second.clone(), granted_by("anna"), "refused: the approval is already revised");
    let again = "running: ready 0";
    expect(second, revised_by("anna", 2, "shorter still"), again);
}

#[test]
fn a_retry_goes_round_no_gate() {
    let refused = "refused: the gate after stage 0 has not been passed: start again from that stage or before";
    for end in [reject(1), cancel()] {
        let ended = at_gate(GatePolicy::default(), [end]);
        expect(ended.clone(), retry(Some(1)), refused);
        expect(ended, retry(None), "running: ready 0");
    }
    let passed = [grant(1), start(1), fail(1, 1)];
    expect(at_gate(GatePolicy::default(), passed.clone()), retry(Some(1)), "running: ready 1");
    // Each result has a gate of its own to pass.
    let again = passed.into_iter().chain([retry(Some(0)), start(0), finish(0, 2), cancel()]);
    expect(at_gate(GatePolicy::default(), again), retry(Some(1)), refused);
}
