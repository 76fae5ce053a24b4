//! What model calls used up together, and what the host's cache of answers holds.
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::CostDto;

/// Usage, summed up by some keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageReportDto {
    /// The keys, in the order in which they were asked for.
    pub by: Vec<String>,
    /// One record for each group, in the order of the keys.
    pub items: Vec<UsageItemDto>,
    /// All groups together.
    pub total: UsageSumDto,
}

/// One group of calls. Of the keys, those in `by` are there; one that is left out all the same says that the calls have
/// no such thing: chats have neither stage nor mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageItemDto {
    /// The day (UTC) on which the calls ended, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// Name of the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The profile that the run carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// What they used.
    #[serde(flatten)]
    pub sum: UsageSumDto,
}

/// What some calls used up together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageSumDto {
    /// Calls, those from the cache and failed ones included.
    pub calls: u64,
    /// Those among them that the host answered itself, from its cache or from another call.
    pub cache_hits: u64,
    /// Those among them that have no answer.
    pub failed_calls: u64,
    /// Tokens.
    pub usage: TokenSumDto,
    /// What they cost; null if the price of any of them is not known.
    pub cost: Option<CostDto>,
    /// Time until the answers were there, in milliseconds.
    pub model_wait_ms: u64,
}

/// Tokens of some calls. What is not known counts 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenSumDto {
    /// Tokens of the prompts, cached ones included.
    pub input_tokens: u64,
    /// Tokens of the answers, reasoning included.
    pub output_tokens: u64,
    /// The part of the input that was read from the provider's cache.
    pub cached_tokens: u64,
    /// The part of the input that was written into the provider's cache.
    #[serde(default)]
    pub cache_write_tokens: u64,
    /// The part of the output that was reasoning.
    pub reasoning_tokens: u64,
}

/// The host's cache of answers. It is in memory alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CacheDto {
    /// Whether anything is kept at all.
    pub enabled: bool,
    /// Answers that it holds, about.
    pub entries: u64,
    /// Their size in bytes, about.
    pub size_bytes: u64,
    /// Most bytes that it may hold.
    pub bytes_max: u64,
    /// How long an answer is kept, in seconds.
    pub ttl_s: u64,
    /// Questions that it answered since the start.
    pub hits: u64,
    /// Questions since the start that it could have answered and did not hold.
    pub misses: u64,
}

/// What came of an order to forget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ForgottenDto {
    /// How many answers were forgotten.
    pub forgotten: u64,
}
