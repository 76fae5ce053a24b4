//! What a call leaves for those who watch the host: one span over all its tries, and metrics.
//!
//! Names and attributes follow OpenTelemetry's semantic conventions for generative AI; what they do not know is named
//! `stagewright…`. Metrics go through the `metrics` facade; the two histograms of the conventions go to OpenTelemetry's
//! global meter as well. Both are looked up at the first call of a model, so an exporter has to be installed before.
//!
//! Invariants: no text of a prompt or an answer gets in here, and no message of a provider, which may quote one. Names of
//! models come from callers: those beyond a bound share the label `other`.
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::model::{ModelOptions, ResponseFormat, Usage};
use metrics::{Counter, Gauge, Histogram, Label, Unit};
use opentelemetry::metrics::Histogram as OtelHistogram;
use opentelemetry::{KeyValue, global};
use tracing::Span;
use tracing::field::Empty;

use crate::question::{AnswerSource, Answered, BreakerState, Question, Route};

/// Label of the models that have no label of their own.
pub(crate) const OTHER_MODEL: &str = "other";
/// What all calls are, in the words of the conventions.
const OPERATION: &str = "chat";
/// The name of the instrumentation, for spans and for OpenTelemetry's meter.
const SCOPE: &str = "gateway";

/// Where a provider is, as spans and metrics name it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The configured name.
    provider: Arc<str>,
    /// The name that the conventions have for who stands behind it; else the configured one.
    system: Arc<str>,
    address: Option<Arc<str>>,
    port: Option<u16>,
}

impl Place {
    /// `server`: its host and its port.
    pub(crate) fn new(provider: &str, kind: &str, server: Option<(&str, Option<u16>)>) -> Self {
        let address = server.map(|(address, _)| address);
        Self {
            provider: provider.into(),
            system: system(provider, kind, address).into(),
            address: address.map(Arc::from),
            port: server.and_then(|(_, port)| port),
        }
    }

    pub(crate) fn provider(&self) -> &str {
        &self.provider
    }
}

fn system<'a>(provider: &'a str, kind: &'a str, address: Option<&str>) -> &'a str {
    match address {
        Some("api.openai.com") => "openai",
        Some("api.moonshot.ai" | "api.moonshot.cn" | "api.kimi.com") => "moonshot_ai",
        Some(_) if kind == "anthropic" => kind,
        _ => provider,
    }
}

/// Opens the span of a call. Costs next to nothing while nobody listens: values are computed for a listener alone.
pub(crate) fn span(question: &Question, place: Option<&Place>, conversation: Option<&str>) -> Span {
    let route = &question.route;
    // Taken apart by name: an option that is added later has to be thought of here.
    let ModelOptions { max_tokens, temperature, top_p, stop: _, seed, response_format } =
        &question.request.options;
    tracing::info_span!(
        target: SCOPE,
        "chat",
        otel.name = format!("{OPERATION} {}", route.model),
        otel.kind = "client",
        otel.status_code = Empty,
        "error.type" = Empty,
        gen_ai.operation.name = OPERATION,
        gen_ai.provider.name = place.map_or(route.provider.as_str(), |place| &place.system),
        gen_ai.conversation.id = conversation,
        "gen_ai.output.type" = match response_format {
            ResponseFormat::Text => "text",
            ResponseFormat::Json | ResponseFormat::JsonSchema { .. } => "json",
        },
        gen_ai.request.model = route.model,
        gen_ai.request.stream = true,
        gen_ai.request.max_tokens = max_tokens,
        gen_ai.request.temperature = temperature.map(f64::from),
        gen_ai.request.top_p = top_p.map(f64::from),
        gen_ai.request.seed = seed,
        gen_ai.response.model = Empty,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.response.time_to_first_chunk = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.cache_creation.input_tokens = Empty,
        gen_ai.usage.reasoning.output_tokens = Empty,
        server.address = place.and_then(|place| place.address.as_deref()),
        server.port = place.and_then(|place| place.port),
        stagewright.provider = route.provider,
        stagewright.source = Empty,
        stagewright.tries = Empty,
        stagewright.queue_ms = Empty,
        stagewright.cost_nano_usd = Empty,
        stagewright.fallback.provider = Empty,
        stagewright.fallback.model = Empty,
    )
}

/// Puts what came of a call into its span.
pub(crate) fn record(span: &Span, asked: &Route, answered: &Answered, times: &Times) {
    if span.is_disabled() {
        return;
    }
    match &answered.outcome {
        Ok(completion) => {
            span.record("gen_ai.response.model", completion.model.as_str());
            let reasons = [completion.finish_reason.as_str()];
            span.record("gen_ai.response.finish_reasons", tracing::field::debug(reasons));
        }
        Err(error) => {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", error.kind.code());
        }
    }
    if let Some((usage, cost)) = used(answered) {
        let counts = [
            ("gen_ai.usage.input_tokens", usage.input_tokens),
            ("gen_ai.usage.output_tokens", usage.output_tokens),
            ("gen_ai.usage.cache_read.input_tokens", usage.cached_tokens),
            ("gen_ai.usage.cache_creation.input_tokens", usage.cache_write_tokens),
            ("gen_ai.usage.reasoning.output_tokens", usage.reasoning_tokens),
            ("stagewright.cost_nano_usd", cost),
        ];
        for (name, count) in counts {
            span.record(name, count);
        }
    }
    span.record(
        "gen_ai.response.time_to_first_chunk",
        times.first_token.map(|time| time.as_secs_f64()),
    );
    span.record("stagewright.source", answered.source.as_str());
    span.record("stagewright.tries", answered.timing.tries);
    span.record("stagewright.queue_ms", answered.timing.queue_ms);
    if answered.route != *asked {
        span.record("stagewright.fallback.provider", answered.route.provider.as_str());
        span.record("stagewright.fallback.model", answered.route.model.as_str());
    }
}

/// How long the parts of a call took, finer than the record says.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    pub(crate) total: Duration,
    pub(crate) queue: Duration,
    pub(crate) first_token: Option<Duration>,
}

/// The metrics of one model of a provider.
pub(crate) struct Meters {
    place: Place,
    model: Arc<str>,
    calls: OnceLock<Calls>,
}

/// What is recorded often, looked up once.
struct Calls {
    open: Gauge,
    waiting: Gauge,
    breaker: Gauge,
    tries: Counter,
    cost: Counter,
    queue: Histogram,
    first_token: Histogram,
    input_tokens: Histogram,
    output_tokens: Histogram,
    answered: Counter,
    answered_duration: Histogram,
    otel_tokens: OtelHistogram<u64>,
    otel_duration: OtelHistogram<f64>,
}

impl Meters {
    pub(crate) fn new(place: Place, model: &str) -> Self {
        Self { place, model: model.into(), calls: OnceLock::new() }
    }

    pub(crate) fn count_tries(&self, count: u32) {
        self.calls().tries.increment(u64::from(count));
    }

    pub(crate) fn open_call(&self) {
        self.calls().open.increment(1.0);
    }

    pub(crate) fn close_call(&self) {
        self.calls().open.decrement(1.0);
    }

    pub(crate) fn begin_waiting(&self) {
        self.calls().waiting.increment(1.0);
    }

    pub(crate) fn end_waiting(&self) {
        self.calls().waiting.decrement(1.0);
    }

    /// 0: closed, 1: half open, 2: open.
    pub(crate) fn show_breaker(&self, state: &BreakerState) {
        self.calls().breaker.set(match state {
            BreakerState::Closed { .. } => 0.0,
            BreakerState::HalfOpen => 1.0,
            BreakerState::Open { .. } => 2.0,
        });
    }

    /// Records what came of a call that this model answered, or was asked last for.
    pub(crate) fn count_call(&self, answered: &Answered, times: &Times) {
        let calls = self.calls();
        let seconds = times.total.as_secs_f64();
        match (&answered.outcome, answered.source) {
            (Ok(_), AnswerSource::Provider) => {
                calls.answered.increment(1);
                calls.answered_duration.record(seconds);
                calls.otel_duration.record(seconds, &self.attributes(None));
            }
            (Ok(_), source) => self.counter_of_calls("ok", source).increment(1),
            (Err(error), source) => {
                let code = error.kind.code();
                self.counter_of_calls(code, source).increment(1);
                if source == AnswerSource::Provider {
                    let labels = [self.conventional(), vec![Label::new("error_type", code)]];
                    metrics::histogram!(DURATION, labels.concat()).record(seconds);
                    let error = KeyValue::new("error.type", code);
                    calls.otel_duration.record(seconds, &self.attributes(Some(error)));
                }
            }
        }
        calls.queue.record(times.queue.as_secs_f64());
        if answered.source != AnswerSource::Provider {
            return;
        }
        if let Some(first_token) = times.first_token {
            calls.first_token.record(first_token.as_secs_f64());
        }
        if let Some((usage, cost)) = used(answered) {
            calls.cost.increment(cost.unwrap_or(0));
            self.count_tokens(calls, &usage);
        }
    }

    fn count_tokens(&self, calls: &Calls, usage: &Usage) {
        let counts = [
            (usage.input_tokens, &calls.input_tokens, "input"),
            (usage.output_tokens, &calls.output_tokens, "output"),
        ];
        for (count, histogram, kind) in counts {
            // An unknown count is not recorded: it is not 0.
            let Some(count) = count else { continue };
            // Exact up to 2^53.
            histogram.record(count as f64);
            let kind = KeyValue::new("gen_ai.token.type", kind);
            calls.otel_tokens.record(count, &self.attributes(Some(kind)));
        }
    }

    fn counter_of_calls(&self, outcome: &'static str, source: AnswerSource) -> Counter {
        let mut labels = self.ours();
        labels.push(Label::new("outcome", outcome));
        labels.push(Label::new("source", source.as_str()));
        metrics::counter!(CALLS, labels)
    }

    fn calls(&self) -> &Calls {
        self.calls.get_or_init(|| {
            describe();
            let tokens = |kind: &'static str| {
                let labels = [self.conventional(), vec![Label::new("gen_ai_token_type", kind)]];
                metrics::histogram!(TOKEN_USAGE, labels.concat())
            };
            let meter = global::meter(SCOPE);
            Calls {
                open: metrics::gauge!(OPEN, self.ours()),
                waiting: metrics::gauge!(WAITING, self.ours()),
                breaker: metrics::gauge!(BREAKER, self.ours()),
                tries: metrics::counter!(TRIES, self.ours()),
                cost: metrics::counter!(COST, self.ours()),
                queue: metrics::histogram!(QUEUE, self.ours()),
                first_token: metrics::histogram!(FIRST_TOKEN, self.ours()),
                input_tokens: tokens("input"),
                output_tokens: tokens("output"),
                answered: self.counter_of_calls("ok", AnswerSource::Provider),
                answered_duration: metrics::histogram!(DURATION, self.conventional()),
                otel_tokens: meter
                    .u64_histogram("gen_ai.client.token.usage")
                    .with_unit("{token}")
                    .with_description("Number of input and output tokens used.")
                    .with_boundaries(TOKEN_BUCKETS.to_vec())
                    .build(),
                otel_duration: meter
                    .f64_histogram("gen_ai.client.operation.duration")
                    .with_unit("s")
                    .with_description("GenAI operation duration.")
                    .with_boundaries(SECOND_BUCKETS.to_vec())
                    .build(),
            }
        })
    }

    fn ours(&self) -> Vec<Label> {
        vec![
            Label::new("provider", Arc::clone(&self.place.provider)),
            Label::new("model", Arc::clone(&self.model)),
        ]
    }

    fn conventional(&self) -> Vec<Label> {
        vec![
            Label::new("gen_ai_operation_name", OPERATION),
            Label::new("gen_ai_provider_name", Arc::clone(&self.place.system)),
            Label::new("gen_ai_request_model", Arc::clone(&self.model)),
        ]
    }

    fn attributes(&self, more: Option<KeyValue>) -> Vec<KeyValue> {
        let place = &self.place;
        let address = place.address.as_ref();
        let known = [
            Some(KeyValue::new("gen_ai.operation.name", OPERATION)),
            Some(KeyValue::new("gen_ai.provider.name", Arc::clone(&place.system))),
            Some(KeyValue::new("gen_ai.request.model", Arc::clone(&self.model))),
            address.map(|address| KeyValue::new("server.address", Arc::clone(address))),
            place.port.map(|port| KeyValue::new("server.port", i64::from(port))),
            more,
        ];
        known.into_iter().flatten().collect()
    }
}

/// What a call used, and what it costs.
fn used(answered: &Answered) -> Option<(Usage, Option<u64>)> {
    match (&answered.outcome, &answered.broken_off) {
        (Ok(completion), _) => Some((completion.usage, completion.cost_nano_usd)),
        (Err(_), Some(broken_off)) => Some((broken_off.usage, broken_off.cost_nano_usd)),
        (Err(_), None) => None,
    }
}

const CALLS: &str = "stagewright_model_calls_total";
const TRIES: &str = "stagewright_model_tries_total";
const COST: &str = "stagewright_model_cost_nano_usd_total";
const QUEUE: &str = "stagewright_model_queue_seconds";
const FIRST_TOKEN: &str = "stagewright_model_first_token_seconds";
const OPEN: &str = "stagewright_model_open_calls";
const WAITING: &str = "stagewright_model_waiting_calls";
const BREAKER: &str = "stagewright_model_breaker_state";
const DURATION: &str = "gen_ai_client_operation_duration_seconds";
/// The histogram of tokens, by its name in Prometheus.
pub const TOKEN_USAGE: &str = "gen_ai_client_token_usage";

/// Boundaries that OpenTelemetry's conventions for generative AI ask for, in tokens.
pub const TOKEN_BUCKETS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// Boundaries that the conventions ask for, in seconds.
const SECOND_BUCKETS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// Says what the metrics are; a recorder takes the same words again without harm.
fn describe() {
    metrics::describe_counter!(
        CALLS,
        "Questions, by what came of them and where the answer came from."
    );
    metrics::describe_counter!(TRIES, "Requests that were sent to providers, or attempted.");
    metrics::describe_counter!(COST, "Cost in billionths of a US dollar, where it is known.");
    metrics::describe_histogram!(QUEUE, Unit::Seconds, "Waits for a place within the limits.");
    metrics::describe_histogram!(FIRST_TOKEN, Unit::Seconds, "From a question to the first piece.");
    metrics::describe_gauge!(OPEN, "Requests that are being answered.");
    metrics::describe_gauge!(WAITING, "Questions that wait for a place within the limits.");
    metrics::describe_gauge!(BREAKER, "0: closed, 1: half open, 2: open.");
    metrics::describe_histogram!(
        DURATION,
        Unit::Seconds,
        "Duration of model calls, all tries included."
    );
    metrics::describe_histogram!(TOKEN_USAGE, "Tokens of model calls, by gen_ai_token_type.");
}

#[cfg(test)]
mod tests;
