//! The part of the API that is about language models: providers, calls, usage, the cache of answers.
use axum::body::Body;
use axum::http::{Method, Request};
use control_api::dto::{
    CacheDto, CallDetailDto, CallDto, ForgottenDto, ListDto, ListedModelDto, ProviderCheckDto,
    ProviderDto, UsageReportDto,
};

use super::{Client, joined, unsendable, with_query};
use crate::error::Error;

const CALLS: &str = "/api/v2/llm-calls";
const CACHE: &str = "/api/v2/llm-cache";
const PROVIDERS: &str = "/api/v2/providers";
const USAGE: &str = "/api/v2/usage";

impl Client {
    pub(crate) async fn call(&self, call: &str) -> Result<CallDetailDto, Error> {
        self.read(&joined(CALLS, &[call])).await
    }

    pub(crate) async fn all_calls(
        &self,
        query: &[(&str, String)],
    ) -> Result<ListDto<CallDto>, Error> {
        self.read(&with_query(CALLS, query)).await
    }

    pub(crate) async fn usage(&self, query: &[(&str, String)]) -> Result<UsageReportDto, Error> {
        self.read(&with_query(USAGE, query)).await
    }

    pub(crate) async fn cache(&self) -> Result<CacheDto, Error> {
        self.read(CACHE).await
    }

    pub(crate) async fn clear_cache(
        &self,
        query: &[(&str, String)],
    ) -> Result<ForgottenDto, Error> {
        let request = Request::builder()
            .method(Method::DELETE)
            .uri(with_query(CACHE, query))
            .body(Body::empty())
            .map_err(|error| unsendable(&error))?;
        self.answer(request).await
    }

    pub(crate) async fn providers(&self) -> Result<Vec<ProviderDto>, Error> {
        let list: ListDto<ProviderDto> = self.read(PROVIDERS).await?;
        Ok(list.items)
    }

    pub(crate) async fn check_provider(&self, name: &str) -> Result<ProviderCheckDto, Error> {
        self.write(&joined(PROVIDERS, &[name, "check"]), &serde_json::Map::new()).await
    }

    pub(crate) async fn provider_models(
        &self,
        name: &str,
    ) -> Result<ListDto<ListedModelDto>, Error> {
        self.read(&joined(PROVIDERS, &[name, "models"])).await
    }
}
