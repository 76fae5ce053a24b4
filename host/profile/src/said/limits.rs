//! The `limits` of a stage, each within its own bounds.
//!
//! The bounds keep a slip of the finger from becoming a run that never ends or a host without memory. What holds where
//! nothing is said stands in [`domain::Limits::DEFAULT`].
use std::time::Duration;

use domain::Limits;

use super::fields::{Bound, Fields, whole};
use super::money;
use crate::findings::Findings;
use crate::node::{Node, NodeValue};

// At most what the sandbox has room for in one of its slots.
const MEMORY_MIB: Bound = Bound { key: "memory_mib", min: 1, max: 512, unit: "MiB" };
// Two ticks of the sandbox's clock, since one of them may be over at once; and ten minutes, which no formatting takes.
const CPU_MS: Bound = Bound { key: "cpu_ms", min: 20, max: 600_000, unit: "ms" };
// A day: the longest that somebody might leave a slow local model alone with a stage.
const WALL_S: Bound = Bound { key: "wall_s", min: 1, max: 86_400, unit: "s" };
// A prompt of one page, and sixteen times the largest context that models have.
const CALL_KIB: Bound = Bound { key: "call_kib", min: 4, max: 65_536, unit: "KiB" };
// No log at all is allowed; sixteen MiB is more than a person reads.
const LOG_KIB: Bound = Bound { key: "log_kib", min: 0, max: 16_384, unit: "KiB" };
// Each artifact is a file in a list that a person looks through.
const ARTIFACTS: Bound = Bound { key: "artifacts", min: 1, max: 256, unit: "" };
// As much as one call may carry.
const ARTIFACT_KIB: Bound = Bound { key: "artifact_kib", min: 1, max: 65_536, unit: "KiB" };
// A stage may work without a model; a thousand calls are an evening's money.
const MODEL_CALLS: Bound = Bound { key: "model_calls", min: 0, max: 1_000, unit: "" };
// A stage may have no use for it; a thousand requests are a crawl, and not a stage.
const HTTP_REQUESTS: Bound = Bound { key: "http_requests", min: 0, max: 1_000, unit: "" };
// One prompt; and more than any account is allowed in a day.
const STAGE_TOKENS: Bound =
    Bound { key: "stage_tokens", min: 1, max: 1_000_000_000, unit: "tokens" };

const STAGE_USD: &str = "stage_usd";

const KEYS: [&str; 11] = [
    MEMORY_MIB.key,
    CPU_MS.key,
    WALL_S.key,
    CALL_KIB.key,
    LOG_KIB.key,
    ARTIFACTS.key,
    ARTIFACT_KIB.key,
    MODEL_CALLS.key,
    HTTP_REQUESTS.key,
    STAGE_TOKENS.key,
    STAGE_USD,
];

/// Limits, as far as they are said.
#[derive(Debug, Clone, Default)]
pub(crate) struct SaidLimits {
    memory_mib: Option<u64>,
    cpu_ms: Option<u64>,
    wall_s: Option<u64>,
    call_kib: Option<u64>,
    log_kib: Option<u64>,
    artifacts: Option<u64>,
    artifact_kib: Option<u64>,
    model_calls: Option<u64>,
    http_requests: Option<u64>,
    stage_tokens: Option<Ceiling>,
    stage_nano_usd: Option<Ceiling>,
}

/// A limit that can be lifted.
#[derive(Debug, Clone, Copy)]
enum Ceiling {
    At(u64),
    /// `null`: a stage can lift what `defaults` say.
    Lifted,
}

impl Ceiling {
    fn limit(self) -> Option<u64> {
        match self {
            Ceiling::At(limit) => Some(limit),
            Ceiling::Lifted => None,
        }
    }
}

impl SaidLimits {
    /// Reads the member `limits`.
    pub(crate) fn read(fields: &Fields<'_>, findings: &mut Findings) -> SaidLimits {
        let Some(limits) = fields.map("limits", &KEYS, findings) else {
            return SaidLimits::default();
        };
        let mut number =
            |bound: &Bound| limits.node(bound.key).and_then(|node| whole(node, bound, findings));
        SaidLimits {
            memory_mib: number(&MEMORY_MIB),
            cpu_ms: number(&CPU_MS),
            wall_s: number(&WALL_S),
            call_kib: number(&CALL_KIB),
            log_kib: number(&LOG_KIB),
            artifacts: number(&ARTIFACTS),
            artifact_kib: number(&ARTIFACT_KIB),
            model_calls: number(&MODEL_CALLS),
            http_requests: number(&HTTP_REQUESTS),
            stage_tokens: ceiling(limits.said(STAGE_TOKENS.key), |node| {
                whole(node, &STAGE_TOKENS, findings)
            }),
            stage_nano_usd: ceiling(limits.said(STAGE_USD), |node| {
                money::nano_usd(node, STAGE_USD, findings)
            }),
        }
    }

    /// Sets what is said here, and leaves the rest.
    pub(crate) fn apply(&self, limits: &mut Limits) {
        set(&mut limits.memory_bytes_max, self.memory_mib.map(|mib| mib << 20));
        set(&mut limits.cpu_time_max, self.cpu_ms.map(Duration::from_millis));
        set(&mut limits.wall_time_max, self.wall_s.map(Duration::from_secs));
        set(&mut limits.call_bytes_max, self.call_kib.map(|kib| kib << 10));
        set(&mut limits.log_bytes_max, self.log_kib.map(|kib| kib << 10));
        set(&mut limits.artifact_count_max, self.artifacts.map(count));
        set(&mut limits.artifact_bytes_max, self.artifact_kib.map(|kib| kib << 10));
        set(&mut limits.model_call_count_max, self.model_calls.map(count));
        set(&mut limits.http_request_count_max, self.http_requests.map(count));
        set(&mut limits.stage_token_count_max, self.stage_tokens.map(Ceiling::limit));
        set(&mut limits.stage_cost_nano_usd_max, self.stage_nano_usd.map(Ceiling::limit));
    }
}

fn ceiling(node: Option<&Node>, read: impl FnOnce(&Node) -> Option<u64>) -> Option<Ceiling> {
    let node = node?;
    if matches!(node.value, NodeValue::Null) {
        return Some(Ceiling::Lifted);
    }
    read(node).map(Ceiling::At)
}

fn set<T>(limit: &mut T, said: Option<T>) {
    if let Some(said) = said {
        *limit = said;
    }
}

/// Every count was read within bounds that fit.
fn count(said: u64) -> u32 {
    u32::try_from(said).unwrap_or(u32::MAX)
}
