use std::sync::Mutex;

use proptest::prelude::*;
use tokio::task::JoinSet;

use super::window::{WINDOW, Window};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn limits(requests: Option<u32>, tokens: Option<u64>, calls: Option<u32>) -> Limits {
    Limits { requests_per_minute: requests, tokens_per_minute: tokens, concurrent_calls_max: calls }
}

fn within(time: Duration) -> Instant {
    Instant::now() + time
}

/// Polls somebody once, so that it stands in the line.
async fn line_up<F: Future>(waiting: &mut std::pin::Pin<Box<F>>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match waiting.as_mut().poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn without_limits_nobody_waits_and_what_is_open_is_counted() {
    let limiter = Limiter::new(Limits::default());
    let mut places = Vec::new();
    for _ in 0..1_000 {
        let mut place = limiter.enter(u64::MAX, Instant::now()).await.unwrap();
        place.reconcile(7);
        places.push(place);
    }
    assert_eq!((limiter.open(), limiter.waiting()), (1_000, 0));
    drop(places);
    assert_eq!(limiter.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_request_after_the_last_of_a_minute_waits_until_the_first_is_a_minute_old() {
    let limiter = Limiter::new(limits(Some(2), None, None));
    let began = Instant::now();
    drop(limiter.enter(0, within(SECOND)).await.unwrap());
    tokio::time::advance(20 * SECOND).await;
    drop(limiter.enter(0, within(SECOND)).await.unwrap());
    drop(limiter.enter(0, within(90 * SECOND)).await.unwrap());
    assert_eq!(began.elapsed().as_secs(), 60);
    drop(limiter.enter(0, within(90 * SECOND)).await.unwrap());
    assert_eq!(began.elapsed().as_secs(), 80);
}

#[tokio::test(start_paused = true)]
async fn places_are_given_in_the_order_of_arrival_and_much_is_not_overtaken_by_little() {
    let limiter = Limiter::new(limits(None, Some(100), None));
    drop(limiter.enter(60, within(SECOND)).await.unwrap());
    let order = Mutex::new(Vec::new());
    let ask = async |tokens: u64| {
        let place = limiter.enter(tokens, within(600 * SECOND)).await.unwrap();
        order.lock().unwrap().push(tokens);
        drop(place);
    };
    // 90 does not fit beside the 60, 1 and 2 would.
    let mut many = Box::pin(ask(90));
    let mut one = Box::pin(ask(1));
    let mut two = Box::pin(ask(2));
    assert!(line_up(&mut many).await.is_none());
    assert!(line_up(&mut one).await.is_none());
    assert!(line_up(&mut two).await.is_none());
    assert_eq!(limiter.waiting(), 3);
    tokio::join!(two, one, many);
    assert_eq!(*order.lock().unwrap(), [90, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_get_in_before_the_deadline_is_told_at_once_and_when_to_come_back() {
    let limiter = Limiter::new(limits(Some(1), None, None));
    drop(limiter.enter(0, within(SECOND)).await.unwrap());
    tokio::time::advance(10 * SECOND).await;
    let asked_at = Instant::now();
    let refused = limiter.enter(0, within(30 * SECOND)).await.unwrap_err();
    assert_eq!(asked_at.elapsed(), Duration::ZERO);
    assert_eq!(refused.wait, Some(50 * SECOND));
    assert_eq!(
        refused.to_string(),
        "`requests_per_minute` is 1, and leaves no place before the time for the call is over; the next is free in 50 s"
    );
}

#[tokio::test(start_paused = true)]
async fn who_stands_behind_others_is_told_at_once_that_they_use_up_its_time() {
    let limiter = Limiter::new(limits(Some(1), None, None));
    drop(limiter.enter(0, within(SECOND)).await.unwrap());
    let mut ahead = Box::pin(limiter.enter(0, within(600 * SECOND)));
    assert!(line_up(&mut ahead).await.is_none());
    let refused = limiter.enter(0, within(119 * SECOND)).await.unwrap_err();
    assert_eq!(refused.wait, Some(120 * SECOND));
    let (ahead, behind) = tokio::join!(ahead, limiter.enter(0, within(120 * SECOND)));
    assert!(ahead.is_ok() && behind.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_reservation_above_the_limit_never_fits_and_is_told_so() {
    let limiter = Limiter::new(limits(None, Some(100), None));
    let refused = limiter.enter(101, within(600 * SECOND)).await.unwrap_err();
    assert_eq!((refused.asked, refused.limit, refused.wait), (101, 100, None));
    assert_eq!(refused.to_string(), "the question needs about 101, and `tokens_per_minute` is 100");
    assert!(limiter.enter(100, within(SECOND)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn all_places_taken_is_waited_for_until_the_deadline_and_not_longer() {
    let limiter = Limiter::new(limits(None, None, Some(1)));
    let held = limiter.enter(0, within(SECOND)).await.unwrap();
    let asked_at = Instant::now();
    let refused = limiter.enter(0, within(3 * SECOND)).await.unwrap_err();
    assert_eq!(asked_at.elapsed(), 3 * SECOND);
    assert_eq!((refused.setting, refused.wait), ("concurrent_calls_max", None));
    assert_eq!((limiter.open(), limiter.waiting()), (1, 0));
    drop(held);
    assert!(limiter.enter(0, within(SECOND)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_line_closes_up_behind_who_gives_up() {
    let limiter = Limiter::new(limits(None, Some(100), Some(2)));
    let held = limiter.enter(60, within(SECOND)).await.unwrap();
    let mut first = Box::pin(limiter.enter(90, within(600 * SECOND)));
    let mut middle = Box::pin(limiter.enter(10, within(600 * SECOND)));
    let mut last = Box::pin(limiter.enter(20, within(600 * SECOND)));
    assert!(line_up(&mut first).await.is_none());
    assert!(line_up(&mut middle).await.is_none());
    assert!(line_up(&mut last).await.is_none());
    drop(middle);
    assert_eq!(limiter.waiting(), 2);
    // The second of the line did not fit behind the first, and fits as soon as that is gone.
    let asked_at = Instant::now();
    drop(first);
    assert!(last.await.is_ok());
    assert_eq!(asked_at.elapsed(), Duration::ZERO);
    drop(held);
    assert_eq!((limiter.open(), limiter.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_was_given_to_somebody_who_is_gone_is_not_lost() {
    let limiter = Limiter::new(limits(None, None, Some(1)));
    let held = limiter.enter(0, within(SECOND)).await.unwrap();
    let mut gone = Box::pin(limiter.enter(0, within(600 * SECOND)));
    let mut next = Box::pin(limiter.enter(0, within(600 * SECOND)));
    assert!(line_up(&mut gone).await.is_none());
    assert!(line_up(&mut next).await.is_none());
    drop(held);
    drop(gone);
    let asked_at = Instant::now();
    assert!(next.await.is_ok());
    assert_eq!(asked_at.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_was_reserved_and_not_used_lets_the_next_in() {
    let limiter = Limiter::new(limits(None, Some(100), None));
    let mut place = limiter.enter(100, within(SECOND)).await.unwrap();
    let mut next = Box::pin(limiter.enter(70, within(5 * SECOND)));
    // What is only reserved may come back, so it is waited for.
    assert!(line_up(&mut next).await.is_none());
    place.reconcile(31);
    assert!(line_up(&mut next).await.is_none(), "31 and 70 are more than 100");
    drop(place);
    assert!(next.await.is_err());

    let limiter = Limiter::new(limits(None, Some(100), None));
    let mut place = limiter.enter(100, within(SECOND)).await.unwrap();
    let mut next = Box::pin(limiter.enter(70, within(5 * SECOND)));
    assert!(line_up(&mut next).await.is_none());
    place.reconcile(30);
    assert!(line_up(&mut next).await.is_some_and(|entered| entered.is_ok()));
}

#[tokio::test(start_paused = true)]
async fn what_was_used_above_the_reservation_counts_from_when_it_is_known() {
    let limiter = Limiter::new(limits(None, Some(100), None));
    let mut place = limiter.enter(10, within(SECOND)).await.unwrap();
    tokio::time::advance(30 * SECOND).await;
    place.reconcile(95);
    drop(place);
    let refused = limiter.enter(16, within(45 * SECOND)).await.unwrap_err();
    assert_eq!(refused.wait, Some(60 * SECOND));
    // The 10 are forgotten after a minute, the 85 half a minute later.
    let began = Instant::now();
    assert!(limiter.enter(15, within(45 * SECOND)).await.is_ok());
    assert_eq!(began.elapsed(), 30 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_dropped_without_a_word_keeps_its_tokens_and_one_given_back_keeps_nothing()
{
    let limiter = Limiter::new(limits(Some(1), Some(100), None));
    limiter.enter(100, within(SECOND)).await.unwrap().give_back();
    let place = limiter.enter(100, within(SECOND)).await.unwrap();
    drop(place);
    let refused = limiter.enter(1, within(30 * SECOND)).await.unwrap_err();
    assert_eq!(refused.wait, Some(60 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn the_log_stays_small_whatever_is_let_through() {
    let mut window = Window::default();
    for _ in 0..20_000 {
        tokio::time::advance(Duration::from_millis(7)).await;
        window.forget(Instant::now());
        let charge = window.reserve(1, Instant::now());
        window.reconcile(&charge, 2, Instant::now());
    }
    assert!(window.slice_count() <= 602, "{}", window.slice_count());
    tokio::time::advance(WINDOW).await;
    window.forget(Instant::now());
    assert_eq!((window.slice_count(), window.requests(), window.tokens()), (0, 0, 0));
}

/// One question of a made-up crowd.
#[derive(Debug, Clone)]
struct Caller {
    comes_after_ms: u64,
    reserves: u64,
    /// `None`: dropped without a word.
    uses: Option<u64>,
    holds_ms: u64,
    gives_up_after_ms: Option<u64>,
}

/// Tokens that count from a moment on.
#[derive(Debug, Clone, Copy)]
struct Counted {
    /// The caller that got in at that moment; `None`: it had used more than it had reserved, which was known then.
    entered: Option<usize>,
    at: Instant,
    tokens: u64,
}

const REQUESTS: u32 = 5;
const TOKENS: u64 = 100;
const CALLS: u32 = 3;

fn crowd() -> impl Strategy<Value = Vec<Caller>> {
    let caller = (
        prop_oneof![Just(0_u64), 0..500_u64, 0..40_000_u64],
        0..=TOKENS,
        proptest::option::of(0..=2_000_u64),
        0..30_000_u64,
        proptest::option::weighted(0.2, 0..20_000_u64),
    );
    let caller =
        caller.prop_map(|(comes_after_ms, reserves, uses_promille, holds_ms, gives_up)| Caller {
            comes_after_ms,
            reserves,
            uses: uses_promille.map(|promille| reserves * promille / 1_000),
            holds_ms,
            gives_up_after_ms: gives_up,
        });
    proptest::collection::vec(caller, 1..40)
}

/// Runs the crowd through a limiter by a clock that jumps, and says what counted from when on. Who waits has all the time
/// it needs.
fn run(crowd: Vec<Caller>) -> Vec<Counted> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async move {
        let limiter = Limiter::new(limits(Some(REQUESTS), Some(TOKENS), Some(CALLS)));
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for (number, caller) in crowd.into_iter().enumerate() {
            tokio::time::sleep(Duration::from_millis(caller.comes_after_ms)).await;
            tasks.spawn(call(limiter.clone(), number, caller, log.clone()));
            tokio::task::yield_now().await;
        }
        while let Some(ended) = tasks.join_next().await {
            ended.expect("no caller panics");
        }
        assert_eq!((limiter.open(), limiter.waiting()), (0, 0));
        log.lock().unwrap().clone()
    })
}

async fn call(limiter: Arc<Limiter>, number: usize, caller: Caller, log: Arc<Mutex<Vec<Counted>>>) {
    let enter = limiter.enter(caller.reserves, within(Duration::from_secs(86_400)));
    let patience = Duration::from_millis(caller.gives_up_after_ms.unwrap_or(86_400_000));
    let Ok(place) = tokio::time::timeout(patience, enter).await else { return };
    let mut place = place.expect("a day is enough for everybody");
    assert!(limiter.open() <= CALLS);
    let used = caller.uses.unwrap_or(caller.reserves);
    let count = |entered, tokens| {
        log.lock().unwrap().push(Counted { entered, at: Instant::now(), tokens });
    };
    count(Some(number), used.min(caller.reserves));
    tokio::time::sleep(Duration::from_millis(caller.holds_ms)).await;
    if caller.uses.is_some() {
        place.reconcile(used);
        count(None, used.saturating_sub(caller.reserves));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Each minute that ends with somebody being let in. What was used above a reservation counts as soon as it is known:
    /// nobody is let in on top of it.
    #[test]
    fn in_no_minute_more_is_let_through_than_the_limits_say(crowd in crowd()) {
        let log = run(crowd);
        for (idx, last) in log.iter().enumerate().filter(|(_, last)| last.entered.is_some()) {
            let minute = log[..=idx].iter().filter(|other| other.at + WINDOW > last.at);
            let (requests, tokens) = minute.fold((0_u32, 0_u64), |(requests, tokens), other| {
                (requests + u32::from(other.entered.is_some()), tokens + other.tokens)
            });
            prop_assert!(requests <= REQUESTS, "{requests} requests in a minute");
            prop_assert!(tokens <= TOKENS, "{tokens} tokens in a minute");
        }
    }

    #[test]
    fn everybody_who_waits_gets_in_and_in_the_order_of_arrival(crowd in crowd()) {
        let patient: Vec<usize> = crowd
            .iter()
            .enumerate()
            .filter(|(_, caller)| caller.gives_up_after_ms.is_none())
            .map(|(number, _)| number)
            .collect();
        let order: Vec<usize> = run(crowd).iter().filter_map(|counted| counted.entered).collect();
        prop_assert!(order.is_sorted(), "{order:?}");
        for number in patient {
            prop_assert!(order.contains(&number), "{number} never got in");
        }
    }
}
