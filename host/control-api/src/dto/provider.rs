//! Providers of language models, without their secrets.
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ListDto;

/// A configured provider, and how it does at this moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProviderDto {
    /// Its name.
    pub name: String,
    /// The protocol that it speaks.
    pub kind: String,
    /// Where it is; null if it is built in.
    pub base_url: Option<String>,
    /// The model that is used where none is named.
    pub default_model: String,
    /// What its tokens cost; null if not known.
    pub default_model_price: Option<PriceDto>,
    /// Models that the configuration knows.
    pub models: Vec<ProviderModelDto>,
    /// What all its models together may be asked.
    pub limits: CallLimitsDto,
    /// Whether a key is configured.
    pub has_key: bool,
    /// Whether a real model answers; false for the built-in scripted writer.
    pub live: bool,
    /// Whether it is used where none is named.
    pub is_default: bool,
    /// How the models do that were asked since the start.
    pub activity: Vec<ModelActivityDto>,
}

/// A model of a provider. Prices of one token are in billionths of a US dollar; null if not known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProviderModelDto {
    /// Its name.
    pub name: String,
    /// Tokens of its context; null if not known.
    pub context_tokens: Option<u64>,
    /// Price of a token of the prompt.
    pub input_nano_usd_per_token: Option<f64>,
    /// Price of a token of the prompt that the provider had in its cache.
    pub cached_nano_usd_per_token: Option<f64>,
    /// Price of a token of the answer.
    pub output_nano_usd_per_token: Option<f64>,
    /// All of its prices, exactly; null if not known.
    pub price: Option<PriceDto>,
    /// What it may be asked, within what its provider may be asked.
    pub limits: CallLimitsDto,
}

/// What the tokens of a model cost: US dollars for a million of them, as exact decimal numbers. Null: as other tokens of
/// the prompt or of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceDto {
    /// Tokens of the prompt.
    pub input_usd_per_million: String,
    /// Tokens of the prompt that came from the provider's cache.
    pub cached_input_usd_per_million: Option<String>,
    /// Tokens of the prompt that were written into the provider's cache.
    pub cache_write_usd_per_million: Option<String>,
    /// Tokens of the answer.
    pub output_usd_per_million: String,
    /// Tokens of reasoning.
    pub reasoning_usd_per_million: Option<String>,
}

/// What may be asked. Null: not bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallLimitsDto {
    /// Requests in any 60 seconds.
    pub requests_per_minute: Option<u32>,
    /// Tokens, input and output, in any 60 seconds.
    pub tokens_per_minute: Option<u64>,
    /// Requests at the same time.
    pub concurrent_calls: Option<u32>,
}

/// How one model does at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelActivityDto {
    /// Its name.
    pub model: String,
    /// Whether it is asked at all.
    pub breaker: BreakerDto,
    /// Requests that are being answered.
    pub open_calls: u32,
    /// Questions that wait for a place within the limits.
    pub waiting_calls: u32,
    /// Whether its price is known.
    pub price_known: bool,
}

/// Whether a model is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BreakerDto {
    /// The state.
    pub state: BreakerStateDto,
    /// Failures since the last answer, while it is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_count: Option<u32>,
    /// Until the model is tried again, in milliseconds, while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
    /// The last failure, while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// The state of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerStateDto {
    /// The model is asked.
    Closed,
    /// It failed too often, and is left alone for a while.
    Open,
    /// One question is let through, to see.
    HalfOpen,
}

impl BreakerStateDto {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            BreakerStateDto::Closed => "closed",
            BreakerStateDto::Open => "open",
            BreakerStateDto::HalfOpen => "half_open",
        }
    }
}

/// The models of a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ListedModelsDto {
    /// Whether the provider said so; false: it has no such list, and these are the ones that are configured.
    pub listed: bool,
    /// The models.
    #[serde(flatten)]
    pub list: ListDto<ListedModelDto>,
}

/// A model as its provider lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListedModelDto {
    /// Its name.
    pub name: String,
    /// Whether it is used where none is named.
    pub is_default: bool,
    /// What its tokens cost; null if not known.
    pub price: Option<PriceDto>,
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
