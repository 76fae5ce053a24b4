//! Providers of language models, without their secrets.
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A configured provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProviderDto {
    /// Its name.
    pub name: String,
    /// The protocol that it speaks.
    pub kind: String,
    /// Where it is; null if it is built in.
    pub base_url: Option<String>,
    /// The model that is used where none is named.
    pub default_model: String,
    /// Models that the configuration knows.
    pub models: Vec<ProviderModelDto>,
    /// Whether a key is configured.
    pub has_key: bool,
    /// Whether a real model answers; false for the built-in scripted writer.
    pub live: bool,
    /// Whether it is used where none is named.
    pub is_default: bool,
}

/// A model of a provider. Prices are in billionths of a US dollar for one token; null if not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProviderModelDto {
    /// Its name.
    pub name: String,
    /// Tokens of its context; null if not known.
    pub context_tokens: Option<u64>,
    /// Price of a token of the prompt.
    pub input_nano_usd_per_token: Option<u64>,
    /// Price of a token of the prompt that the provider had in its cache.
    pub cached_nano_usd_per_token: Option<u64>,
    /// Price of a token of the answer.
    pub output_nano_usd_per_token: Option<u64>,
}

/// What came of a real request to a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProviderCheckDto {
    /// The provider.
    pub provider: String,
    /// Whether it answered.
    pub ok: bool,
    /// The model that answered.
    pub model: Option<String>,
    /// Time until the answer was there, in milliseconds.
    pub latency_ms: Option<u64>,
    /// One line for a person.
    pub detail: String,
    /// Stable code of what went wrong.
    pub error_code: Option<String>,
    /// Whether the same check may succeed later without anybody changing anything.
    pub retryable: Option<bool>,
    /// What to do about it.
    pub hint: Option<String>,
}
