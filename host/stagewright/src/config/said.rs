//! What the sections of `stagewright.yaml` may say, as they were written. No type here has `Debug`: a section may hold
//! keys. What a value may be is decided where it is understood (`providers`, `costs`, `telemetry`).
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::layers::said;

/// One provider as it was written, in the file or in the environment.
#[derive(Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidProvider {
    /// How it is spoken to.
    #[serde(skip_serializing_if = "is_unsaid")]
    pub(super) kind: Option<String>,
    #[serde(skip_serializing_if = "is_unsaid")]
    pub(super) base_url: Option<String>,
    /// The key itself.
    #[serde(skip_serializing_if = "is_unsaid")]
    pub(super) key: Option<String>,
    /// The environment variable, or the name in the vault, that holds the key.
    #[serde(skip_serializing_if = "is_unsaid")]
    pub(super) key_env: Option<String>,
    /// The model for what names none.
    #[serde(skip_serializing_if = "is_unsaid")]
    pub(super) model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) headers: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) models: Option<Vec<SaidModel>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limits: Option<SaidLimits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) breaker: Option<SaidBreaker>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connect_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_token_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) idle_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) call_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tries: Option<u64>,
}

/// What is known of one model. Prices are US dollars for a million tokens.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidModel {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) context_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input_usd_per_million: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cached_input_usd_per_million: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cache_write_usd_per_million: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output_usd_per_million: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning_usd_per_million: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limits: Option<SaidLimits>,
}

/// What a provider or a model may be asked.
#[derive(Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) requests_per_minute: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tokens_per_minute: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) concurrent_calls: Option<u64>,
}

/// When a model that fails is left alone.
#[derive(Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidBreaker {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failures: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) open_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) open_s_max: Option<u64>,
}

/// How answers are kept to be given again.
#[derive(Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidCache {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mib: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ttl_s: Option<u64>,
}

/// What may be used up in a day.
#[derive(Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidBudgets {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) day_tokens: Option<u64>,
    #[serde(skip_serializing_if = "is_unsaid")]
    pub(super) day_usd: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) warn_percent: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) providers: Option<BTreeMap<String, SaidDayBudget>>,
}

/// What one provider may use up in a day.
#[derive(Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidDayBudget {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) day_tokens: Option<u64>,
    #[serde(skip_serializing_if = "is_unsaid")]
    pub(super) day_usd: Option<String>,
}

/// How much of the texts of model calls is kept.
#[derive(Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidRecords {
    #[serde(skip_serializing_if = "is_unsaid")]
    pub(super) texts: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trim_bytes: Option<u64>,
}

/// Where reminders of gates go.
#[derive(Deserialize, Serialize)]
#[serde(untagged, expecting = "a webhook is an address, or `{ url_env: NAME }`")]
pub(super) enum SaidWebhook {
    Address(String),
    Named(SaidAddress),
}

/// An address that is kept somewhere else.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidAddress {
    /// The environment variable, or the name in the vault, that holds the address.
    pub(super) url_env: String,
}

/// Where traces and metrics are sent.
#[derive(Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidTelemetry {
    #[serde(skip_serializing_if = "is_unsaid")]
    pub(super) otlp_endpoint: Option<String>,
    /// `name=value,name=value`, as the standard variable has it.
    #[serde(skip_serializing_if = "is_unsaid")]
    pub(super) otlp_headers: Option<String>,
    #[serde(skip_serializing_if = "is_unsaid")]
    pub(super) service_name: Option<String>,
}

/// A key without a text, e.g. one that is kept in the file for later, counts as not set.
pub(super) fn is_unsaid(text: &Option<String>) -> bool {
    text.as_deref().and_then(said).is_none()
}
