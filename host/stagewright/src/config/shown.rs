//! The configuration for people: every value with where it came from. Of a secret only whether there is one.
use std::fmt::Display;
use std::path::PathBuf;

use super::layers::{self, Layers};
use super::said::{SaidBudgets, SaidProvider};
use super::{Merged, Setting, grants, people, providers, registries};

pub(super) fn settings(
    layers: &Layers,
    merged: &Merged,
    default_provider: &str,
    providers: &[gateway::Provider],
) -> Vec<Setting> {
    let shown = Shown { layers };
    let mut all = shown.general(merged, default_provider);
    for provider in providers {
        if let Some(said) = merged.providers.get(&provider.name) {
            all.extend(shown.provider(provider, said));
        }
    }
    all.extend(shown.people(merged));
    all.extend(shown.costs(merged));
    all.extend(shown.retention(merged));
    all.extend(shown.telemetry(merged));
    all.extend(registries::shown(layers, merged));
    all.extend(grants::shown(layers, &merged.grants));
    all
}

struct Shown<'a> {
    layers: &'a Layers,
}

impl Shown<'_> {
    fn one(&self, key: &str, value: &dyn Display) -> Setting {
        Setting {
            origin: self.layers.origin_of(key),
            key: key.to_owned(),
            value: value.to_string(),
        }
    }

    fn some(&self, key: &str, value: Option<impl Display>) -> Option<Setting> {
        value.map(|value| self.one(key, &value))
    }

    fn retention(&self, merged: &Merged) -> Vec<Setting> {
        let said = &merged.retention;
        let modes = said.modes.iter().flatten().map(|(mode, _)| mode.as_str());
        let modes = modes.collect::<Vec<_>>().join(", ");
        let all = [
            self.some("retention.keep_days", said.keep_days),
            self.some("retention.keep_runs", said.keep_runs),
            self.some("retention.modes", Some(modes).filter(|modes| !modes.is_empty())),
            self.some("retention.automatic", said.automatic.as_ref()),
        ];
        all.into_iter().flatten().collect()
    }

    fn general(&self, merged: &Merged, default_provider: &str) -> Vec<Setting> {
        let list = |paths: &[PathBuf]| {
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
        };
        let mut provider = self.one("provider", &default_provider);
        if merged.provider.is_none() {
            provider.origin = "derived from the configured providers".to_owned();
        }
        vec![
            self.one("data_dir", &merged.data_dir.display()),
            self.one("host", &merged.host),
            self.one("port", &merged.port),
            self.one("token", &is_set(merged.token.as_deref())),
            provider,
            self.one("fallback", &merged.fallback),
            self.one("model_call_s", &merged.model_call_s),
            self.one("attempts", &merged.attempts),
            self.one("shutdown_s", &merged.shutdown_s),
            self.one("log", &merged.log.as_deref().unwrap_or("by command")),
            self.one("log_format", &merged.log_format),
            self.one("profile_dirs", &list(&merged.profile_dirs)),
            self.one("allowed_hosts", &merged.allowed_hosts.join(", ")),
            self.one("allowed_origins", &merged.allowed_origins.join(", ")),
        ]
    }

    fn provider(&self, provider: &gateway::Provider, said: &SaidProvider) -> Vec<Setting> {
        let key = |field: &str| format!("providers.{}.{field}", provider.name);
        let (base_url, has_key) = match &provider.kind {
            gateway::Kind::Scripted => return Vec::new(),
            gateway::Kind::OpenAi(server) => (&server.base_url, server.key.is_some()),
            gateway::Kind::Anthropic(server) => (&server.base_url, server.key.is_some()),
        };
        let mut all = vec![
            self.one(&key("kind"), &provider.kind.as_str()),
            self.one(&key("base_url"), &providers::shown_base_url(base_url)),
            self.one(&key("model"), &provider.model),
        ];
        let mut secret = self.one(&key("key"), &if has_key { "set" } else { "not set" });
        if let Some(origin) = self.origin_of_named_key(provider, said) {
            secret.origin = origin;
        }
        all.push(secret);
        let limits = said.limits.as_ref();
        let breaker = said.breaker.as_ref();
        let numbers = [
            ("limits.requests_per_minute", limits.and_then(|limits| limits.requests_per_minute)),
            ("limits.tokens_per_minute", limits.and_then(|limits| limits.tokens_per_minute)),
            ("limits.concurrent_calls", limits.and_then(|limits| limits.concurrent_calls)),
            ("breaker.failures", breaker.and_then(|breaker| breaker.failures)),
            ("breaker.open_s", breaker.and_then(|breaker| breaker.open_s)),
            ("breaker.open_s_max", breaker.and_then(|breaker| breaker.open_s_max)),
            ("connect_s", said.connect_s),
            ("first_token_s", said.first_token_s),
            ("idle_s", said.idle_s),
            ("call_s", said.call_s),
            ("tries", said.tries),
        ];
        // Most providers are configured by a key alone: their defaults would be most of the page.
        let numbers =
            numbers.into_iter().filter_map(|(field, value)| self.some(&key(field), value));
        all.extend(numbers);
        let models = said.models.iter().flatten().map(|model| model.name.as_str());
        let models = models.collect::<Vec<_>>().join(", ");
        all.extend(self.some(&key("models"), Some(models).filter(|models| !models.is_empty())));
        all
    }

    /// Where the key comes from, if a name in `key_env` led to it.
    fn origin_of_named_key(
        &self,
        provider: &gateway::Provider,
        said: &SaidProvider,
    ) -> Option<String> {
        let key = format!("providers.{}.key", provider.name);
        let own = said.key.as_deref().and_then(layers::said);
        let name = said.key_env.as_deref()?;
        if own.is_some() && !self.layers.is_from_file(&key) {
            return None;
        }
        self.layers.lookup(name)?;
        let via = self.layers.origin_of(&format!("providers.{}.key_env", provider.name));
        Some(if self.layers.is_from_vault(name) {
            format!("vault: {name} (`key_env` in {via})")
        } else {
            format!("`key_env` in {via}")
        })
    }

    fn people(&self, merged: &Merged) -> Vec<Setting> {
        let mut all = Vec::new();
        all.extend(self.some("actor_header", merged.actor_header.as_deref()));
        for (name, members) in &merged.groups {
            all.push(self.one(&format!("groups.{name}"), &members.join(", ")));
        }
        for (name, said) in &merged.webhooks {
            let (value, origin) = people::shown_webhook(self.layers, name, said);
            all.push(Setting { key: format!("webhooks.{name}"), value, origin });
        }
        all
    }

    fn costs(&self, merged: &Merged) -> Vec<Setting> {
        let cache = gateway::Cache::default();
        let mib = merged.cache.mib.unwrap_or(cache.bytes_max >> 20);
        let ttl_s = merged.cache.ttl_s.unwrap_or(cache.time_max.as_secs());
        let prices = merged.prices.as_ref().map(|path| path.display().to_string());
        let texts = merged.records.texts.as_deref().unwrap_or("whole");
        let mut all = vec![
            self.one("prices", &prices.unwrap_or_else(|| "shipped".to_owned())),
            self.one("cache.mib", &mib),
            self.one("cache.ttl_s", &ttl_s),
            self.one("records.texts", &texts),
        ];
        all.extend(self.some("records.trim_bytes", merged.records.trim_bytes));
        all.extend(self.budgets(&merged.budgets));
        all
    }

    fn budgets(&self, said: &SaidBudgets) -> Vec<Setting> {
        let mut all = Vec::new();
        all.extend(self.some("budgets.day_tokens", said.day_tokens));
        all.extend(self.some("budgets.day_usd", said.day_usd.as_deref()));
        all.extend(self.some("budgets.warn_percent", said.warn_percent));
        for (name, said) in said.providers.iter().flatten() {
            let key = |field: &str| format!("budgets.providers.{name}.{field}");
            all.extend(self.some(&key("day_tokens"), said.day_tokens));
            all.extend(self.some(&key("day_usd"), said.day_usd.as_deref()));
        }
        all
    }

    fn telemetry(&self, merged: &Merged) -> Vec<Setting> {
        let said = &merged.telemetry;
        let endpoint = said.otlp_endpoint.as_deref().map(providers::shown_base_url);
        let mut all = vec![
            self.one("telemetry.otlp_endpoint", &endpoint.unwrap_or_else(|| "not set".to_owned())),
        ];
        let headers = said.otlp_headers.as_deref().and_then(layers::said).map(|_| "set");
        all.extend(self.some("telemetry.otlp_headers", headers));
        all.extend(self.some("telemetry.service_name", said.service_name.as_deref()));
        all
    }
}

fn is_set(text: Option<&str>) -> &'static str {
    if text.and_then(layers::said).is_some() { "set" } else { "not set" }
}
