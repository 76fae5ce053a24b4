//! Where metrics and traces go: Prometheus text for `GET /metrics`, and OTLP over HTTP where an address is configured.
//!
//! What is recorded is decided where it happens (`gateway::telemetry`); here it is only collected and handed on. Of the
//! spans those of model calls are exported and nothing else: no log line, and so no text that a log line may quote.
//!
//! Invariants: a collector that does not answer costs the program nothing but memory within bounds, and one warning for
//! each time that it fails; every thread that begins here has ended when [`Telemetry::shutdown`] returns, which takes two
//! seconds at most.
mod export;
mod recorder;
mod send;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use self::export::Export;
use self::recorder::Recorder;
use crate::config;

/// What `GET /metrics` answers.
pub(crate) type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// The exporters of this process. There is one, for as long as the process works.
pub(crate) struct Telemetry {
    recorder: Recorder,
    export: Option<Export>,
}

impl Telemetry {
    /// Begins to collect. To be called once, before the first model call: gauges and counters are looked up there.
    ///
    /// # Errors
    /// [`TelemetryError`] if what is configured cannot be used, or the machine gives no thread.
    pub(crate) fn install(settings: &config::Telemetry) -> Result<Telemetry, TelemetryError> {
        let export = Export::begin(settings)?;
        let recorder = Recorder::begin()?;
        if let Some(export) = &export {
            export.become_global();
        }
        Ok(Telemetry { recorder, export })
    }

    /// Renders everything that has been counted, for Prometheus.
    pub(crate) fn metrics(&self) -> MetricsText {
        self.recorder.render()
    }

    /// The layer that sees the spans of model calls, if they are exported. It has a filter of its own; a filter for log
    /// lines has to be one of their layer and not of the whole subscriber, because that would take the spans away here.
    pub(crate) fn span_layer<S>(&self) -> Option<Box<dyn Layer<S> + Send + Sync>>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        self.export.as_ref().map(Export::span_layer)
    }

    /// Hands on what is left, and ends. Blocks, for two seconds at most; not to be called on a thread of the runtime.
    pub(crate) fn shutdown(self) {
        if let Some(export) = self.export {
            export.end();
        }
        self.recorder.end();
    }
}

/// Why telemetry cannot begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    #[error("`telemetry.otlp_endpoint` cannot be used: {detail}")]
    Endpoint { detail: String },
    /// Neither name nor value is repeated: whoever mixes up the two has the key in the name.
    #[error("header {number} of `telemetry.otlp_headers` cannot be sent")]
    Header { number: usize },
    #[error("metrics are collected already in this process")]
    InstalledAlready,
    #[error("the thread `{name}` cannot be started: {source}")]
    Thread { name: &'static str, source: std::io::Error },
}

impl TelemetryError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            TelemetryError::Endpoint { .. } => {
                "write the address of an OTLP/HTTP receiver such as `http://127.0.0.1:4318`"
            }
            TelemetryError::Header { .. } => {
                "write `name=value`, with letters, digits and `-` in the name, and no line break in the value"
            }
            TelemetryError::InstalledAlready => "",
            TelemetryError::Thread { .. } => "see how many threads this user may have: `ulimit -u`",
        }
    }
}
