//! Providers of language models.
use domain::model::ModelError;
use gateway::{
    BreakerState, Checked, Gateway, Limits, Model, ModelStatus, Price, ProviderStatus, Route,
};

use super::decimal;
use crate::Code;
use crate::dto::{
    BreakerDto, BreakerStateDto, CallLimitsDto, ListedModelDto, ModelActivityDto, PriceDto,
    ProviderCheckDto, ProviderDto, ProviderModelDto,
};

/// Prices of the gateway are in trillionths of a US dollar.
const PICO_USD_PER_NANO_USD: f64 = 1_000.0;

impl ProviderDto {
    /// A provider, how it does, and whether it has this name.
    pub(crate) fn new(status: &ProviderStatus, default_name: &str, gateway: &Gateway) -> Self {
        let provider = &status.info;
        let price = |model: &str| price_dto(gateway, &provider.name, model);
        let activity = |model: &ModelStatus| ModelActivityDto {
            model: model.model.clone(),
            breaker: BreakerDto::from(&model.breaker),
            open_calls: model.open_calls,
            waiting_calls: model.waiting_calls,
            price_known: !provider.live || price(&model.model).is_some(),
        };
        Self {
            name: provider.name.clone(),
            kind: provider.kind.to_owned(),
            base_url: provider.base_url.clone(),
            default_model: provider.model.clone(),
            default_model_price: price(&provider.model),
            models: provider
                .models
                .iter()
                .map(|model| ProviderModelDto::new(model, price(&model.name)))
                .collect(),
            limits: CallLimitsDto::from(&provider.limits),
            has_key: provider.has_key,
            live: provider.live,
            is_default: provider.name == default_name,
            activity: status.models.iter().map(activity).collect(),
        }
    }
}

impl ProviderModelDto {
    fn new(model: &Model, price: Option<PriceDto>) -> Self {
        let own = model.price.as_ref();
        Self {
            name: model.name.clone(),
            context_tokens: model.context_tokens,
            input_nano_usd_per_token: own.map(|price| nano_usd(price.input)),
            cached_nano_usd_per_token: own.and_then(|price| price.cached_input).map(nano_usd),
            output_nano_usd_per_token: own.map(|price| nano_usd(price.output)),
            price,
            limits: CallLimitsDto::from(&model.limits),
        }
    }
}

impl ListedModelDto {
    /// A model as its provider names it.
    pub(crate) fn new(gateway: &Gateway, default: &Route, name: String) -> Self {
        let price = price_dto(gateway, &default.provider, &name);
        Self { is_default: name == default.model, price, name }
    }
}

/// What the tokens of a model cost; `None` if it is not known.
fn price_dto(gateway: &Gateway, provider: &str, model: &str) -> Option<PriceDto> {
    let route = Route { provider: provider.to_owned(), model: model.to_owned() };
    gateway.price_of(&route).map(|price| PriceDto::from(&price))
}

impl From<&Price> for PriceDto {
    fn from(price: &Price) -> Self {
        Self {
            input_usd_per_million: usd_per_million(price.input),
            cached_input_usd_per_million: price.cached_input.map(usd_per_million),
            cache_write_usd_per_million: price.cache_write.map(usd_per_million),
            output_usd_per_million: usd_per_million(price.output),
            reasoning_usd_per_million: price.reasoning.map(usd_per_million),
        }
    }
}

/// Trillionths for one token are millionths for a million.
fn usd_per_million(pico_usd: u64) -> String {
    let (whole, rest) = (pico_usd / 1_000_000, pico_usd % 1_000_000);
    decimal(whole, &format!("{rest:06}"))
}

/// Exact for every price that somebody may ask: a number of this size keeps three digits after the point.
#[expect(clippy::cast_precision_loss, reason = "prices lie far below 2^53 trillionths")]
fn nano_usd(pico_usd: u64) -> f64 {
    pico_usd as f64 / PICO_USD_PER_NANO_USD
}

impl From<&Limits> for CallLimitsDto {
    fn from(limits: &Limits) -> Self {
        Self {
            requests_per_minute: limits.requests_per_minute,
            tokens_per_minute: limits.tokens_per_minute,
            concurrent_calls: limits.concurrent_calls_max,
        }
    }
}

impl From<&BreakerState> for BreakerDto {
    fn from(state: &BreakerState) -> Self {
        let idle = |state| Self { state, failure_count: None, retry_in_ms: None, cause: None };
        match state {
            BreakerState::Closed { failure_count } => {
                Self { failure_count: Some(*failure_count), ..idle(BreakerStateDto::Closed) }
            }
            BreakerState::Open { retry_in_ms, cause } => Self {
                retry_in_ms: Some(*retry_in_ms),
                cause: Some(cause.clone()),
                ..idle(BreakerStateDto::Open)
            },
            BreakerState::HalfOpen => idle(BreakerStateDto::HalfOpen),
        }
    }
}

impl ProviderCheckDto {
    /// What came of a check. A provider that does not work is an answer, not a failure of the request.
    pub(crate) fn new(provider: String, checked: Result<Checked, ModelError>) -> Self {
        match checked {
            Ok(checked) => Self {
                provider,
                ok: true,
                model: Some(checked.model),
                latency_ms: Some(checked.latency_ms),
                detail: checked.detail,
                error_code: None,
                retryable: None,
                hint: None,
            },
            Err(error) => Self {
                provider,
                ok: false,
                model: None,
                latency_ms: None,
                detail: error.message,
                error_code: Some(error.kind.code().to_owned()),
                retryable: Some(error.kind.is_retryable()),
                hint: Some(Code::from(error.kind).hint().to_owned()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact() {
        assert_eq!(usd_per_million(12_500), "0.0125");
        assert_eq!(usd_per_million(15_000_000), "15");
        assert_eq!(usd_per_million(0), "0");
        assert_eq!(serde_json::to_string(&nano_usd(12_500)).unwrap(), "12.5");
    }
}
