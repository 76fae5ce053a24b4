//! The log: lines on standard error about what the program does, for whoever runs it. Not the log of a run.
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::args::Command;
use crate::config::{Config, LogFormat};
use crate::error::Error;
use crate::telemetry::Telemetry;

/// A server tells what it does; a command at a terminal tells only what went wrong. A certificate that is refused is told
/// by whoever wanted to connect, with what to do about it.
const SERVER_FILTER: &str = "info,rusqlite_migration=warn,rustls_platform_verifier=off";
const COMMAND_FILTER: &str = "error,rustls_platform_verifier=off";

/// Starts the log, and has spans seen by whatever exports them.
pub(crate) fn begin(
    config: &Config,
    command: &Command,
    telemetry: &Telemetry,
) -> Result<(), Error> {
    let usual = match command {
        Command::Serve(_) => SERVER_FILTER,
        _ => COMMAND_FILTER,
    };
    let said = config.log.as_deref().unwrap_or(usual);
    let filter = EnvFilter::try_new(said).map_err(|error| Error::Config {
        message: format!("`log` is no filter: `{said}`: {error}"),
        hint: Some("use a level such as `info`, or `engine=debug,warn`".to_owned()),
    })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match config.log_format {
        LogFormat::Json => lines.json().boxed(),
        LogFormat::Text => lines.with_ansi(false).boxed(),
    };
    // The filter is that of the lines alone: whatever else listens to spans decides for itself.
    let subscriber =
        tracing_subscriber::registry().with(telemetry.span_layer()).with(lines.with_filter(filter));
    subscriber.try_init().map_err(|error| Error::Io {
        what: "the log cannot be started".to_owned(),
        source: std::io::Error::other(error),
    })
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::fmt::TestWriter;

    use super::*;

    #[test]
    fn a_refused_certificate_is_not_told_twice() {
        for filter in [SERVER_FILTER, COMMAND_FILTER] {
            let filter = EnvFilter::try_new(filter).unwrap();
            let lines = tracing_subscriber::fmt::layer().with_writer(TestWriter::new());
            let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter));
            tracing::subscriber::with_default(subscriber, || {
                const VERIFIER: &str = "rustls_platform_verifier::verification::others";
                assert!(!tracing::enabled!(target: VERIFIER, tracing::Level::ERROR));
                assert!(tracing::enabled!(target: "engine", tracing::Level::ERROR));
            });
        }
    }
}
