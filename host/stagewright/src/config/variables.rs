//! The environment variables that set something, each with the key of `stagewright.yaml` that it stands for.
use super::{ATTEMPT_COUNT_MAX, MODEL_CALL_SECONDS_MAX, SHUTDOWN_SECONDS_MAX, costs};

/// Opens the vault. Never kept in the vault itself.
pub(crate) const VAULT_KEY: &str = "STAGEWRIGHT_VAULT_KEY";

/// How the text of a variable is understood.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Text,
    Number {
        max: u64,
    },
    /// A text that is never shown, and that may lie in the vault.
    Secret,
}

/// An environment variable and the key that it sets.
pub(super) struct Variable {
    pub(super) name: &'static str,
    pub(super) key: &'static str,
    pub(super) reading: Reading,
}

const fn text(name: &'static str, key: &'static str) -> Variable {
    Variable { name, key, reading: Reading::Text }
}

const fn secret(name: &'static str, key: &'static str) -> Variable {
    Variable { name, key, reading: Reading::Secret }
}

const fn number(name: &'static str, key: &'static str, max: u64) -> Variable {
    Variable { name, key, reading: Reading::Number { max } }
}

pub(super) const VARIABLES: &[Variable] = &[
    secret("KIMI_API_KEY", "providers.kimi.key"),
    text("KIMI_MODEL", "providers.kimi.model"),
    text("KIMI_BASE_URL", "providers.kimi.base_url"),
    secret("OPENAI_API_KEY", "providers.openai.key"),
    text("OPENAI_MODEL", "providers.openai.model"),
    text("OPENAI_BASE_URL", "providers.openai.base_url"),
    secret("ANTHROPIC_API_KEY", "providers.anthropic.key"),
    text("ANTHROPIC_MODEL", "providers.anthropic.model"),
    text("ANTHROPIC_BASE_URL", "providers.anthropic.base_url"),
    text("STAGEWRIGHT_DATA_DIR", "data_dir"),
    text("STAGEWRIGHT_PROVIDER", "provider"),
    secret("STAGEWRIGHT_TOKEN", "token"),
    text("STAGEWRIGHT_HOST", "host"),
    number("STAGEWRIGHT_PORT", "port", u16::MAX as u64),
    text("STAGEWRIGHT_FALLBACK", "fallback"),
    text("STAGEWRIGHT_LOG", "log"),
    text("STAGEWRIGHT_LOG_FORMAT", "log_format"),
    number("STAGEWRIGHT_MODEL_CALL_S", "model_call_s", MODEL_CALL_SECONDS_MAX),
    number("STAGEWRIGHT_ATTEMPTS", "attempts", ATTEMPT_COUNT_MAX),
    number("STAGEWRIGHT_SHUTDOWN_S", "shutdown_s", SHUTDOWN_SECONDS_MAX),
    text("STAGEWRIGHT_ACTOR_HEADER", "actor_header"),
    text("STAGEWRIGHT_PRICES", "prices"),
    number("STAGEWRIGHT_CACHE_MIB", "cache.mib", costs::CACHE_MIB_MAX),
    number("STAGEWRIGHT_CACHE_TTL_S", "cache.ttl_s", costs::CACHE_SECONDS_MAX),
    number("STAGEWRIGHT_DAY_TOKENS", "budgets.day_tokens", costs::DAY_TOKENS_MAX),
    text("STAGEWRIGHT_DAY_USD", "budgets.day_usd"),
    number("STAGEWRIGHT_WARN_PERCENT", "budgets.warn_percent", costs::WARN_PERCENT_MAX),
    text("STAGEWRIGHT_RECORDS_TEXTS", "records.texts"),
    number("STAGEWRIGHT_RECORDS_TRIM_BYTES", "records.trim_bytes", costs::TRIM_BYTES_MAX),
    text("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp_endpoint"),
    secret("OTEL_EXPORTER_OTLP_HEADERS", "telemetry.otlp_headers"),
    text("OTEL_SERVICE_NAME", "telemetry.service_name"),
];
