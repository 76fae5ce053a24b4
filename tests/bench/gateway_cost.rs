//! What a model call costs that goes through the program, beside the same call made directly: added latency, requests
//! in a second, memory, and the delay of the first token of a stream.
//!
//! The program is the real binary, a process of its own that listens, with its records on disk. The model server answers
//! at once, on threads of its own in this process, one for each connection. Direct and through are measured in turns, so
//! that what else the machine does falls on both. `cargo bench --bench gateway_cost` prints the figures beside their
//! bounds; nothing is asserted, since machines differ. The client shares the cores with the program: what the program
//! itself needs for a request is told as CPU time.
mod support {
    pub(crate) mod process;
    pub(crate) mod program;
    pub(crate) mod upstream;
}

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use reqwest::Client;
use tempfile::TempDir;
use tokio::task::JoinSet;

use support::process;
use support::program::Program;
use support::upstream::{self, FIRST_WORD};

/// Requests one after another, each way.
const LONE_REQUESTS: usize = 3_000;
/// Streams one after another, each way.
const LONE_STREAMS: usize = 1_000;
/// Requests that fill caches and open connections before anything is measured, each way.
const WARM_UP_REQUESTS: usize = 500;
/// Requests at the same time.
const CONCURRENCY: usize = 32;
/// Rounds under load, each way, and how long one takes.
const LOAD_ROUNDS: usize = 5;
const LOAD_ROUND: Duration = Duration::from_secs(2);

/// What the figures are to be.
const ADDED_P50_MAX: Duration = Duration::from_micros(400);
const ADDED_P99_MAX: Duration = Duration::from_millis(1);
const REQUESTS_PER_SECOND_MIN: f64 = 3_000.0;
const MEMORY_KIB_MAX: u64 = 100 * 1_000_000 / 1_024;
const FIRST_TOKEN_DELAY_MAX: Duration = Duration::from_micros(500);

fn main() {
    // The client wants one, although nothing is encrypted here.
    rustls::crypto::ring::default_provider().install_default().expect("nobody chose before");
    let upstream = upstream::start();
    let folder =
        TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on the disk as it is");
    let program = Program::start(folder.path(), &upstream, "");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure(&program, &upstream));
}

async fn measure(program: &Program, upstream: &str) {
    let client = Client::builder().no_proxy().build().expect("a client");
    let direct = Target::direct(client.clone(), upstream);
    let through = Target::through(client, program.url());
    for _ in 0..WARM_UP_REQUESTS {
        direct.ask(Mode::Whole).await;
        through.ask(Mode::Whole).await;
    }
    let at_rest = process::memory_kib(program.pid());
    report_latency("whole answer", &pairs(&direct, &through, Mode::Whole, LONE_REQUESTS).await);
    let streams = pairs(&direct, &through, Mode::FirstToken, LONE_STREAMS).await;
    report_first_token(&streams);
    report_load(program, &direct, &through).await;
    report_memory(program, &at_rest);
}

/// One way to the model server.
#[derive(Clone)]
struct Target {
    client: Client,
    url: String,
    whole: &'static str,
    stream: &'static str,
}

/// How long is measured: to the end of the answer, or to its first token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Whole,
    FirstToken,
}

impl Target {
    /// As the program asks: it streams, whatever its own client wants.
    fn direct(client: Client, base_url: &str) -> Self {
        let body = r#"{"model":"instant","messages":[{"role":"user","content":"Name a color."}],"stream":true,"stream_options":{"include_usage":true}}"#;
        let url = format!("{base_url}/chat/completions");
        Self { client, url, whole: body, stream: body }
    }

    fn through(client: Client, url: &str) -> Self {
        Self {
            client,
            url: format!("{url}/api/chat"),
            whole: r#"{"message":"Name a color."}"#,
            stream: r#"{"message":"Name a color.","stream":true}"#,
        }
    }

    /// Asks once, reads the answer to its end, and says how long it took.
    async fn ask(&self, mode: Mode) -> Duration {
        let body = if mode == Mode::Whole { self.whole } else { self.stream };
        let began = Instant::now();
        let request = self.client.post(&self.url).header("content-type", "application/json");
        let response = request.body(body).send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{}", self.url);
        let mut answer = Vec::new();
        let mut first_token = None;
        let mut pieces = response.bytes_stream();
        while let Some(piece) = pieces.next().await {
            answer.extend_from_slice(&piece.expect("the whole answer"));
            if first_token.is_none() && has_first_word(&answer) {
                first_token = Some(began.elapsed());
            }
        }
        let whole = began.elapsed();
        let first_token = first_token.expect("the answer of the model server");
        if mode == Mode::Whole { whole } else { first_token }
    }
}

fn has_first_word(answer: &[u8]) -> bool {
    answer.windows(FIRST_WORD.len()).any(|window| window == FIRST_WORD.as_bytes())
}

/// Direct and through, one pair after another.
async fn pairs(direct: &Target, through: &Target, mode: Mode, count: usize) -> Pairs {
    let mut pairs = Pairs { direct: Vec::new(), through: Vec::new() };
    for idx in 0..count {
        // Who is first changes, because the second finds the model server's caches warm.
        if idx % 2 == 0 {
            pairs.direct.push(direct.ask(mode).await);
            pairs.through.push(through.ask(mode).await);
        } else {
            pairs.through.push(through.ask(mode).await);
            pairs.direct.push(direct.ask(mode).await);
        }
    }
    pairs
}

struct Pairs {
    direct: Vec<Duration>,
    through: Vec<Duration>,
}

impl Pairs {
    /// What the way through the program adds at that percentile of both.
    fn added(&self, percent: usize) -> Duration {
        let through = percentile(&self.through, percent);
        through.saturating_sub(percentile(&self.direct, percent))
    }
}

fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() - 1) * percent / 100]
}

/// What was done under load.
struct Load {
    requests_per_second: f64,
    times: Vec<Duration>,
}

async fn load(target: &Target) -> Load {
    let began = Instant::now();
    let mut askers = JoinSet::new();
    for _ in 0..CONCURRENCY {
        let target = target.clone();
        askers.spawn(async move {
            let mut times = Vec::new();
            while began.elapsed() < LOAD_ROUND {
                times.push(target.ask(Mode::Whole).await);
            }
            times
        });
    }
    let times: Vec<Duration> = askers.join_all().await.concat();
    Load { requests_per_second: times.len() as f64 / began.elapsed().as_secs_f64(), times }
}

fn report_latency(what: &str, pairs: &Pairs) {
    for (percent, bound) in [(50, ADDED_P50_MAX), (99, ADDED_P99_MAX)] {
        let (direct, through) =
            (percentile(&pairs.direct, percent), percentile(&pairs.through, percent));
        let added = pairs.added(percent);
        say(
            &format!("{what}, one at a time, p{percent}"),
            &format!(
                "direct {}   through {}   added {}   bound {}",
                ms(direct),
                ms(through),
                ms(added),
                verdict(&ms(bound), added <= bound),
            ),
        );
    }
}

fn report_first_token(streams: &Pairs) {
    let added = streams.added(50);
    let line = format!(
        "direct {}   through {}   added {}   bound {}",
        ms(percentile(&streams.direct, 50)),
        ms(percentile(&streams.through, 50)),
        ms(added),
        verdict(&ms(FIRST_TOKEN_DELAY_MAX), added <= FIRST_TOKEN_DELAY_MAX),
    );
    say("first token of a stream, p50", &line);
    say("first token of a stream, p99", &format!("added {}", ms(streams.added(99))));
}

async fn report_load(program: &Program, direct: &Target, through: &Target) {
    let (mut rates, mut direct_rates, mut times) = (Vec::new(), Vec::new(), Vec::new());
    let mut cpu = Duration::ZERO;
    for _ in 0..LOAD_ROUNDS {
        direct_rates.push(load(direct).await.requests_per_second);
        let cpu_before = process::cpu_time(program.pid());
        let round = load(through).await;
        cpu += process::cpu_time(program.pid()) - cpu_before;
        rates.push(round.requests_per_second);
        times.extend(round.times);
    }
    let rate = median(rates);
    let line = format!(
        "direct {:.0}   through {rate:.0}   bound {}",
        median(direct_rates),
        verdict(&format!("{REQUESTS_PER_SECOND_MIN:.0}"), rate >= REQUESTS_PER_SECOND_MIN),
    );
    say(&format!("requests per second, {CONCURRENCY} at a time"), &line);
    let each = cpu / u32::try_from(times.len()).expect("fewer requests than that");
    let line = format!(
        "p50 {}   p99 {}   CPU of the program for one {:.0} us, so at most {:.0} per second and core",
        ms(percentile(&times, 50)),
        ms(percentile(&times, 99)),
        each.as_secs_f64() * 1e6,
        1.0 / each.as_secs_f64(),
    );
    say(&format!("through, {CONCURRENCY} at a time"), &line);
}

fn report_memory(program: &Program, at_rest: &process::Memory) {
    let after = process::memory_kib(program.pid());
    let mb = |kib: u64| format!("{:.1} MB", kib as f64 * 1_024.0 / 1e6);
    let line = format!(
        "after the start {}   now {}, of which its own {}   most {}   bound {}",
        mb(at_rest.resident),
        mb(after.resident),
        mb(after.own),
        mb(after.most),
        verdict(&mb(MEMORY_KIB_MAX), after.most < MEMORY_KIB_MAX),
    );
    say("resident memory of the program", &line);
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn ms(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}

fn verdict(bound: &str, is_met: bool) -> String {
    format!("{bound}: {}", if is_met { "met" } else { "NOT met" })
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn say(what: &str, line: &str) {
    println!("{what:<40} {line}");
}
