//! Collects what goes through the `metrics` facade, and renders it for Prometheus.
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use gateway::{TOKEN_BUCKETS, TOKEN_USAGE};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::{MetricsText, TelemetryError};

/// How often samples are sorted into their buckets. Until then each takes eight bytes; at 3,000 calls a second and four
/// samples each, half a megabyte gathers in this time.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
/// Longest text, in bytes: some hundred models, each with all its histograms.
const TEXT_BYTES_MAX: usize = 8 << 20;
const UPKEEP_THREAD: &str = "telemetry-upkeep";

/// Boundaries for durations, in seconds. Those that OpenTelemetry asks for begin at 10 ms; a queue that is short and a
/// cache that answers need finer ones below.
const SECOND_BUCKETS: [f64; 18] = [
    0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12,
    10.24, 20.48, 40.96, 81.92,
];
const BUILD: &str = "stagewright_build_info";

/// The recorder of this process, and the thread that keeps it small.
pub(super) struct Recorder {
    handle: PrometheusHandle,
    /// Dropped to end the thread.
    stop: SyncSender<()>,
    upkeep: JoinHandle<()>,
}

impl Recorder {
    pub(super) fn begin() -> Result<Recorder, TelemetryError> {
        let recorder = builder().build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::InstalledAlready)?;
        metrics::describe_gauge!(BUILD, "1; the version is a label.");
        metrics::gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        let (stop, stopped) = sync_channel(0);
        let kept_small = handle.clone();
        let upkeep = std::thread::Builder::new()
            .name(UPKEEP_THREAD.to_owned())
            .spawn(move || keep_small(&kept_small, &stopped))
            .map_err(|source| TelemetryError::Thread { name: UPKEEP_THREAD, source })?;
        Ok(Recorder { handle, stop, upkeep })
    }

    pub(super) fn render(&self) -> MetricsText {
        let handle = self.handle.clone();
        Arc::new(move || {
            handle.run_upkeep();
            bounded(handle.render(), TEXT_BYTES_MAX)
        })
    }

    pub(super) fn end(self) {
        drop(self.stop);
        // It does nothing that can panic; if it did, there would be nothing left to end.
        self.upkeep.join().ok();
    }
}

fn builder() -> PrometheusBuilder {
    let buckets = [
        (Matcher::Suffix("_seconds".to_owned()), SECOND_BUCKETS.as_slice()),
        (Matcher::Full(TOKEN_USAGE.to_owned()), TOKEN_BUCKETS.as_slice()),
    ];
    buckets.into_iter().fold(PrometheusBuilder::new(), |builder, (matcher, buckets)| {
        builder.set_buckets_for_metric(matcher, buckets).expect("there are buckets")
    })
}

fn keep_small(handle: &PrometheusHandle, stopped: &Receiver<()>) {
    while stopped.recv_timeout(UPKEEP_INTERVAL) == Err(RecvTimeoutError::Timeout) {
        handle.run_upkeep();
    }
}

/// Whole lines only, so that what is left can still be read.
fn bounded(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let end = text.as_bytes()[..bytes_max].iter().rposition(|byte| *byte == b'\n');
        text.truncate(end.map_or(0, |end| end + 1));
        text.push_str("# cut off: there is more than fits\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_ends_with_a_whole_line() {
        assert_eq!(bounded("a 1\nb 2\n".to_owned(), 8), "a 1\nb 2\n");
        assert_eq!(
            bounded("a 1\nb 2\n".to_owned(), 7),
            "a 1\n# cut off: there is more than fits\n"
        );
        assert_eq!(bounded("ü".repeat(9), 7), "# cut off: there is more than fits\n");
    }

    #[test]
    fn durations_and_tokens_have_buckets() {
        let recorder = builder().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("stagewright_model_queue_seconds").record(0.003);
            metrics::histogram!(TOKEN_USAGE).record(100.0);
        });
        let text = handle.render();
        assert!(text.contains("stagewright_model_queue_seconds_bucket{le=\"0.005\"} 1"), "{text}");
        assert!(text.contains("gen_ai_client_token_usage_bucket{le=\"256\"} 1"), "{text}");
    }
}
