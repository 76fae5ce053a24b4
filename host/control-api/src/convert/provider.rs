//! Providers of language models.
use domain::model::ModelError;
use gateway::{Checked, Model, ProviderInfo};

use crate::Code;
use crate::dto::{ProviderCheckDto, ProviderDto, ProviderModelDto};

impl ProviderDto {
    /// A provider, and whether it has this name.
    pub(crate) fn new(provider: &ProviderInfo, default_name: &str) -> Self {
        Self {
            name: provider.name.clone(),
            kind: provider.kind.to_owned(),
            base_url: provider.base_url.clone(),
            default_model: provider.model.clone(),
            models: provider.models.iter().map(ProviderModelDto::from).collect(),
            has_key: provider.has_key,
            live: provider.live,
            is_default: provider.name == default_name,
        }
    }
}

impl From<&Model> for ProviderModelDto {
    fn from(model: &Model) -> Self {
        Self {
            name: model.name.clone(),
            context_tokens: model.context_tokens,
            input_nano_usd_per_token: model.input_nano_usd_per_token,
            cached_nano_usd_per_token: model.cached_nano_usd_per_token,
            output_nano_usd_per_token: model.output_nano_usd_per_token,
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
