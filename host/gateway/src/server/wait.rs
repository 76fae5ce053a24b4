//! How long to wait before another try: what the server asks for, or else a random time that grows.
use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// No random wait is longer: after five doublings a server is down, not busy.
const RANDOM_WAIT_MAX: Duration = Duration::from_secs(20);
/// Longest wait that a server can ask for and still be understood. The call's deadline is always shorter.
const ASKED_WAIT_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// A random wait before try `failed_tries + 1`. Full jitter: callers that failed together do not come back together.
pub(crate) fn random(base: Duration, failed_tries: u32) -> Duration {
    let doublings = failed_tries.saturating_sub(1).min(16);
    let bound = base.saturating_mul(1 << doublings).min(RANDOM_WAIT_MAX);
    bound.mul_f64(rand::random::<f64>())
}

/// The wait that the server asks for.
pub(super) fn asked(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let milliseconds = || seconds(text("retry-after-ms")?).map(|wait| wait / 1000);
    let after = || {
        let value = text(RETRY_AFTER.as_str())?;
        seconds(value).or_else(|| until_date(value, text(DATE.as_str())))
    };
    let resets = || {
        ["requests", "tokens"]
            .into_iter()
            .filter(|unit| {
                // What is not spent needs no wait.
                text(&format!("x-ratelimit-remaining-{unit}")).is_none_or(|left| left == "0")
            })
            .filter_map(|unit| reset(text(&format!("x-ratelimit-reset-{unit}"))?))
            .max()
    };
    let wait: Option<Duration> = milliseconds().or_else(after).or_else(resets);
    wait.map(|wait| wait.min(ASKED_WAIT_MAX))
}

fn seconds(text: &str) -> Option<Duration> {
    from_seconds(text.parse().ok()?)
}

fn from_seconds(seconds: f64) -> Option<Duration> {
    (seconds.is_finite() && seconds >= 0.0)
        .then(|| Duration::from_secs_f64(seconds.min(ASKED_WAIT_MAX.as_secs_f64() * 1000.0)))
}

/// From the server's own `Date` to the date it names: neither clock has to be right. A server that does not say its
/// time is taken to agree with this machine's clock.
fn until_date(date: &str, server_now: Option<&str>) -> Option<Duration> {
    let date: SystemTime = httpdate::parse_http_date(date).ok()?;
    let server_now = server_now.and_then(|now| httpdate::parse_http_date(now).ok());
    let now: SystemTime = server_now.unwrap_or_else(machine_now);
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a date on the wire can be compared with nothing else; no record depends on it"
)]
fn machine_now() -> SystemTime {
    SystemTime::now()
}

/// A time until a limit is filled again, in OpenAI's form or in seconds. A number that is no wait is a date in a form of
/// its own, and not understood.
fn reset(text: &str) -> Option<Duration> {
    go_duration(text).or_else(|| seconds(text)).filter(|wait| *wait < ASKED_WAIT_MAX)
}

/// Times as OpenAI writes them: `1s`, `6m0s`, `20ms`, `1.5s`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let unit_at = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..unit_at].parse().ok()?;
        let after = &rest[unit_at..];
        let unit_len = after.find(|letter: char| letter.is_ascii_digit()).unwrap_or(after.len());
        let unit_seconds = match &after[..unit_len] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        total += number * unit_seconds;
        rest = &after[unit_len..];
    }
    from_seconds(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &str)], expected_ms: Option<u64>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        assert_eq!(asked(&map), expected_ms.map(Duration::from_millis), "{headers:?}");
    }

    #[test]
    fn a_wait_is_understood_in_seconds_milliseconds_and_as_a_date() {
        check(&[("retry-after", "7")], Some(7_000));
        check(&[("retry-after", "0.25")], Some(250));
        check(&[("retry-after", "30"), ("retry-after-ms", "125")], Some(125));
        let now = ("date", "Wed, 21 Oct 2015 07:28:00 GMT");
        check(&[now, ("retry-after", "Wed, 21 Oct 2015 07:29:30 GMT")], Some(90_000));
        check(&[now, ("retry-after", "Wed, 21 Oct 2015 07:00:00 GMT")], Some(0));
    }

    #[test]
    fn a_date_from_a_server_that_does_not_say_its_time_is_compared_with_our_clock() {
        let far = ("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT");
        check(&[far], Some(ASKED_WAIT_MAX.as_millis() as u64));
        check(&[("date", "today"), far], Some(ASKED_WAIT_MAX.as_millis() as u64));
        check(&[("retry-after", "Wed, 21 Oct 2015 07:29:30 GMT")], Some(0));
    }

    #[test]
    fn a_spent_rate_limit_says_when_it_is_filled_again() {
        let spent = ("x-ratelimit-remaining-tokens", "0");
        check(&[spent, ("x-ratelimit-reset-tokens", "6m0.5s")], Some(360_500));
        check(&[spent, ("x-ratelimit-reset-tokens", "20ms")], Some(20));
        check(
            &[("x-ratelimit-reset-requests", "3s"), ("x-ratelimit-reset-tokens", "7")],
            Some(7_000),
        );
        check(&[("x-ratelimit-reset-requests", "1790000000")], None);
        check(&[spent, ("x-ratelimit-reset-tokens", "6m0s"), ("retry-after", "2")], Some(2_000));
        let left = ("x-ratelimit-remaining-requests", "12");
        check(&[left, ("x-ratelimit-reset-requests", "1s")], None);
    }

    #[test]
    fn nonsense_is_no_wait() {
        for value in ["", "soon", "-1", "NaN", "inf", "Wed, 99 Oct 2015 07:28:00 GMT"] {
            check(&[("retry-after", value)], None);
        }
        check(&[("retry-after", "1e300")], Some(7 * 24 * 3600 * 1000));
        check(&[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "5x")], None);
    }

    #[test]
    fn random_waits_grow_and_stay_bounded() {
        let base = Duration::from_millis(500);
        for failed in 1..40 {
            let bound = (base * (1 << (failed - 1).min(10))).min(RANDOM_WAIT_MAX);
            let waits: Vec<Duration> = (0..64).map(|_| random(base, failed)).collect();
            assert!(waits.iter().all(|wait| *wait <= bound));
            // All of 64 in one half: once in some 10^19 runs.
            assert!(waits.iter().any(|wait| *wait > bound / 2), "try {failed}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait < bound / 2), "try {failed}: {waits:?}");
        }
    }
}
