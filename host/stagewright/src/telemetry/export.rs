//! Traces and metrics over OTLP/HTTP with protobuf, batched by threads of OpenTelemetry's SDK.
use std::time::{Duration, Instant};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, Protocol, RetryPolicy, SpanExporter, WithExportConfig,
    WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::TelemetryError;
use super::send::{self, Connection, Sending};
use crate::config;

/// Spans that wait for the next batch, at most; further ones are dropped. Two seconds at 3,000 calls a second, a few KiB
/// each.
const SPAN_COUNT_MAX: usize = 8192;
/// How often metrics are sent. OpenTelemetry's usual minute makes a dashboard lag behind.
const METRICS_INTERVAL: Duration = Duration::from_secs(30);
/// Longest time for handing on what is left at the end. A person waits for it.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(2);
/// Spans of model calls have this target, and a tracer of this name.
const SCOPE: &str = "gateway";

/// An export that has begun.
pub(super) struct Export {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
    sending: Sending,
}

impl Export {
    /// `None` if no address is configured.
    pub(super) fn begin(settings: &config::Telemetry) -> Result<Option<Export>, TelemetryError> {
        let Some(endpoint) = settings.otlp_endpoint.as_deref() else { return Ok(None) };
        let (connection, sending) = send::begin(&settings.otlp_headers)?;
        let resource = Resource::builder()
            .with_service_name(settings.service_name.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let begun = providers(endpoint, connection, resource);
        match begun {
            Ok((traces, metrics)) => Ok(Some(Export { traces, metrics, sending })),
            Err(error) => {
                sending.end();
                Err(TelemetryError::Endpoint { detail: error.to_string() })
            }
        }
    }

    /// Has what is recorded through OpenTelemetry's global meter go here.
    pub(super) fn become_global(&self) {
        global::set_meter_provider(self.metrics.clone());
    }

    pub(super) fn span_layer<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let of_calls = filter_fn(|metadata| metadata.is_span() && metadata.target() == SCOPE)
            .with_max_level_hint(LevelFilter::INFO);
        tracing_opentelemetry::layer()
            .with_tracer(self.traces.tracer(SCOPE))
            // Where in the source a call is made says nothing about it, and costs room in each span.
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_filter(of_calls)
            .boxed()
    }

    /// Hands on what is left. What cannot be sent in time is given up, and every thread ends.
    pub(super) fn end(self) {
        let deadline = Instant::now() + FLUSH_TIME_MAX;
        // From the deadline on every request fails at once, which is what ends a wait of the SDK that has no bound of
        // its own, or a longer one.
        self.sending.fail_from(deadline);
        // Both say what went wrong; the connection has told it already.
        self.traces.shutdown_with_timeout(FLUSH_TIME_MAX * 2).ok();
        self.metrics.shutdown().ok();
        self.sending.end();
    }
}

fn providers(
    endpoint: &str,
    connection: Connection,
    resource: Resource,
) -> Result<(SdkTracerProvider, SdkMeterProvider), ExporterBuildError> {
    let base = endpoint.trim_end_matches('/');
    let spans = SpanExporter::builder()
        .with_http()
        .with_http_client(connection.clone())
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{base}/v1/traces"))
        .with_timeout(send::TIME_MAX)
        // A batch that is lost is not worth a thread that sleeps when the program wants to end.
        .with_retry_policy(RetryPolicy::disabled())
        .build()?;
    let metrics = MetricExporter::builder()
        .with_http()
        .with_http_client(connection)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{base}/v1/metrics"))
        .with_timeout(send::TIME_MAX)
        .with_retry_policy(RetryPolicy::disabled())
        .build()?;
    let batches = BatchConfigBuilder::default().with_max_queue_size(SPAN_COUNT_MAX).build();
    let traces = SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(spans).with_batch_config(batches).build())
        .with_resource(resource.clone())
        .build();
    let reader = PeriodicReader::builder(metrics).with_interval(METRICS_INTERVAL).build();
    let metrics = SdkMeterProvider::builder().with_reader(reader).with_resource(resource).build();
    Ok((traces, metrics))
}
