use std::time::Duration;

use super::*;

fn answers(bytes_max: u64) -> Answers {
    Answers::new(config::Cache { bytes_max, time_max: Duration::from_secs(60) })
}

fn route(provider: &str, model: &str) -> Route {
    Route { provider: provider.to_owned(), model: model.to_owned() }
}

fn answer<'a>(content: &'a str, finish_reason: &'a FinishReason) -> Answer<'a> {
    Answer { content, model: "m-2026", finish_reason }
}

fn keep(answers: &Answers, key: u8, route: &Route) {
    answers.keep([key; 32], route, answer("bees", &FinishReason::Stop), answers.since());
}

#[test]
fn a_kept_answer_costs_nothing_and_only_a_whole_one_is_kept() {
    let answers = answers(1 << 20);
    let mine = route("mine", "m");
    keep(&answers, 0, &mine);
    let completion = answers.find(&[0; 32]).unwrap().completion();
    assert_eq!((completion.content.as_str(), completion.model.as_str()), ("bees", "m-2026"));
    assert_eq!((completion.usage, completion.cost_nano_usd), (NOTHING_USED, Some(0)));
    for reason in [
        FinishReason::Length,
        FinishReason::ContentFilter,
        FinishReason::Other("tool_calls".to_owned()),
    ] {
        answers.keep([1; 32], &mine, answer("bees", &reason), answers.since());
        assert!(answers.find(&[1; 32]).is_none(), "{reason:?}");
    }
}

#[test]
fn the_filter_chooses_what_is_forgotten_and_the_count_is_exact() {
    let answers = answers(1 << 20);
    for (key, (provider, model)) in
        [("one", "a"), ("one", "b"), ("two", "a"), ("two", "b")].into_iter().enumerate()
    {
        keep(&answers, key as u8, &route(provider, model));
    }
    let forget = |provider: Option<&str>, model: Option<&str>| {
        let own = |text: &str| text.to_owned();
        answers.forget(&CacheFilter { provider: provider.map(own), model: model.map(own) })
    };
    assert_eq!(answers.status().entry_count, 4);
    assert_eq!(forget(Some("three"), None), 0);
    assert_eq!(forget(Some("one"), Some("b")), 1);
    assert!(answers.find(&[1; 32]).is_none() && answers.find(&[0; 32]).is_some());
    assert_eq!(forget(None, Some("a")), 2);
    assert_eq!(forget(None, None), 1);
    assert_eq!((forget(None, None), answers.status().entry_count), (0, 0));
}

#[test]
fn an_answer_that_was_asked_for_before_all_was_forgotten_is_not_kept() {
    let answers = answers(1 << 20);
    let since = answers.since();
    answers.forget(&CacheFilter::default());
    answers.keep([0; 32], &route("mine", "m"), answer("bees", &FinishReason::Stop), since);
    assert!(answers.find(&[0; 32]).is_none());
}

#[test]
fn the_size_is_bounded_in_bytes() {
    let answers = answers(100 << 10);
    let long = "b".repeat(10 << 10);
    for key in 0..100 {
        let stop = FinishReason::Stop;
        answers.keep([key; 32], &route("mine", "m"), answer(&long, &stop), answers.since());
    }
    let status = answers.status();
    assert!(status.size_bytes <= 100 << 10 && status.entry_count <= 10, "{status:?}");
    let whale = "b".repeat(200 << 10);
    answers.keep(
        [200; 32],
        &route("mine", "m"),
        answer(&whale, &FinishReason::Stop),
        answers.since(),
    );
    answers.status();
    assert!(answers.find(&[200; 32]).is_none());
}

#[test]
fn a_cache_for_no_bytes_is_off_and_one_for_all_time_is_none_too_long() {
    assert!(!answers(0).is_on());
    let for_ever = Answers::new(config::Cache { bytes_max: 1, time_max: Duration::MAX });
    assert!(for_ever.is_on());
}
