//! What one attempt at one stage may use up.
use std::time::Duration;

/// Bounds on one attempt at one stage. A profile may change each; the defaults stand in [`Limits::DEFAULT`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory, in bytes, over all memories of the component.
    pub memory_bytes_max: u64,
    /// Time that the guest computes. Time inside a host call does not count.
    pub cpu_time_max: Duration,
    /// From the first instruction to the last, waiting for a model included.
    pub wall_time_max: Duration,
    /// Bytes that one call between guest and host may carry.
    pub call_bytes_max: u64,
    /// Bytes of log, standard output and standard error that are kept; the rest is counted and dropped.
    pub log_bytes_max: u64,
    /// Artifacts of one attempt.
    pub artifact_count_max: u32,
    /// Bytes of one artifact.
    pub artifact_bytes_max: u64,
    /// Model calls of one attempt.
    pub model_call_count_max: u32,
    /// HTTP requests of one attempt, where the profile grants any.
    pub http_request_count_max: u32,
    /// Tokens, input and output, of all attempts of the stage together. `None`: not bounded.
    pub stage_token_count_max: Option<u64>,
    /// Cost of all attempts of the stage together, in billionths of a US dollar. `None`: not bounded.
    pub stage_cost_nano_usd_max: Option<u64>,
}

impl Limits {
    /// What holds where a profile says nothing.
    pub const DEFAULT: Limits = Limits {
        // Room for a JavaScript runtime with its heap; a Rust stage needs under 4 MiB.
        memory_bytes_max: 64 << 20,
        // A stage formats text: milliseconds. Five seconds end a loop before a person wonders.
        cpu_time_max: Duration::from_secs(5),
        // Eight slow answers of a reasoning model.
        wall_time_max: Duration::from_secs(600),
        // More than any model's context holds.
        call_bytes_max: 4 << 20,
        log_bytes_max: 256 << 10,
        artifact_count_max: 16,
        artifact_bytes_max: 4 << 20,
        model_call_count_max: 8,
        // Some pages of a list, or a search and what it finds.
        http_request_count_max: 16,
        stage_token_count_max: None,
        stage_cost_nano_usd_max: None,
    };
}
