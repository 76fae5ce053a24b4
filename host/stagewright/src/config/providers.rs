//! From what was said about providers to what the gateway is opened with: defaults filled in, keys looked up. No
//! connection is made.
use std::collections::BTreeMap;
use std::time::Duration;

use gateway::{Anthropic, OpenAi, Provider};
use secrecy::SecretString;

use super::layers::{self, Layers};
use super::models::{limits, model};
use super::said::{SaidBreaker, SaidProvider};
use crate::error::Error;

const KIMI: &str = "kimi";
const OPENAI: &str = "openai";
const ANTHROPIC: &str = "anthropic";
/// The model that OpenAI is asked for where nobody names one: cheap, and it takes all options that a stage may set.
const OPENAI_MODEL: &str = "gpt-4.1-mini";
/// The model that Anthropic is asked for where nobody names one: the cheapest of its current family. It refuses a
/// temperature; the gateway leaves it out then.
const ANTHROPIC_MODEL: &str = "claude-haiku-5-5";
/// Providers whose address and model are known, in the order in which they become the default.
pub(super) const WELL_KNOWN: [&str; 3] = [KIMI, OPENAI, ANTHROPIC];

/// Longest wait for a connection that may be configured, in seconds: five minutes are no network.
const CONNECT_SECONDS_MAX: u64 = 300;
/// Most tries for one call that may be configured. With doubling waits, more of them fit into no deadline.
const TRY_COUNT_MAX: u64 = 20;
/// Most failures after which a breaker may be told to open.
const FAILURE_COUNT_MAX: u64 = 1_000;
/// Longest time that a breaker may stay open, in seconds: a day.
const OPEN_SECONDS_MAX: u64 = 86_400;

/// All providers, the scripted one first.
pub(super) fn resolve(
    layers: &Layers,
    said: &BTreeMap<String, SaidProvider>,
    model_call_s: u64,
) -> Result<Vec<Provider>, Error> {
    let mut providers = vec![Provider::scripted()];
    for (name, said) in said {
        if let Some(mut provider) = provider(layers, name, said)? {
            let place = Place { layers, provider: name };
            provider.call_time_max = Duration::from_secs(model_call_s);
            bounds(&place, said, &mut provider)?;
            provider.breaker = breaker(&place, said.breaker.as_ref())?;
            provider.limits = limits(&place, "", said.limits.as_ref())?;
            providers.push(provider);
        }
    }
    Ok(providers)
}

/// Where in the configuration a provider stands.
pub(super) struct Place<'a> {
    layers: &'a Layers,
    provider: &'a str,
}

impl Place<'_> {
    pub(super) fn bounded(&self, key: &str, value: u64, min: u64, max: u64) -> Result<u64, Error> {
        self.layers.bounded(&format!("providers.{}.{key}", self.provider), value, min..=max)
    }

    pub(super) fn wrong(&self, what: &str, cure: &str) -> Error {
        wrong(self.provider, what, cure)
    }
}

/// `None`: named, e.g. by a `KIMI_MODEL` alone, but with nothing to reach it by.
fn provider(layers: &Layers, name: &str, said: &SaidProvider) -> Result<Option<Provider>, Error> {
    if name == gateway::SCRIPTED {
        return Err(wrong(name, "the name belongs to the built-in writer", "choose another name"));
    }
    let key = key(layers, name, said)?;
    if WELL_KNOWN.contains(&name) && key.is_none() && said.base_url.is_none() {
        return Ok(None);
    }
    let speaks_anthropic = speaks_anthropic(layers, name, said)?;
    let known_url = match name {
        KIMI if !speaks_anthropic => Some(gateway::KIMI_BASE_URL),
        OPENAI if !speaks_anthropic => Some(gateway::OPENAI_BASE_URL),
        ANTHROPIC if speaks_anthropic => Some(gateway::ANTHROPIC_BASE_URL),
        _ => None,
    };
    let path = if speaks_anthropic { "/v1/messages" } else { "/chat/completions" };
    let base_url =
        said.base_url.clone().or_else(|| known_url.map(str::to_owned)).ok_or_else(|| {
            let cure = format!("set the part of its address before `{path}`");
            wrong(name, "it has no `base_url`", &cure)
        })?;
    let known_model = match name {
        KIMI => Some(gateway::KIMI_MODEL),
        OPENAI => Some(OPENAI_MODEL),
        ANTHROPIC => Some(ANTHROPIC_MODEL),
        _ => said.models.as_ref().and_then(|models| models.first()).map(|model| &*model.name),
    };
    let default_model =
        said.model.clone().or_else(|| known_model.map(str::to_owned)).ok_or_else(|| {
            wrong(name, "it has no `model`", "set the name of the model that it serves")
        })?;
    let headers = said.headers.iter().flatten();
    let headers =
        headers.map(|(name, value)| (name.clone(), SecretString::from(value.clone()))).collect();
    let mut provider = if speaks_anthropic {
        Provider::anthropic(name, Anthropic { base_url, key, headers }, default_model)
    } else {
        Provider::openai(name, OpenAi { base_url, key, headers }, default_model)
    };
    let place = Place { layers, provider: name };
    let models = said.models.iter().flatten().map(|said| model(&place, said));
    provider.models = models.collect::<Result<_, _>>()?;
    Ok(Some(provider))
}

fn speaks_anthropic(layers: &Layers, name: &str, said: &SaidProvider) -> Result<bool, Error> {
    match said.kind.as_deref().and_then(layers::said) {
        None => Ok(name == ANTHROPIC),
        Some("openai") => Ok(false),
        Some("anthropic") => Ok(true),
        Some(other) => {
            let key = format!("providers.{name}.kind");
            Err(layers.one_of(&key, other, "`openai` or `anthropic`"))
        }
    }
}

fn bounds(place: &Place<'_>, said: &SaidProvider, provider: &mut Provider) -> Result<(), Error> {
    let call_max = super::MODEL_CALL_SECONDS_MAX;
    let times = [
        ("connect_s", said.connect_s, CONNECT_SECONDS_MAX, &mut provider.connect_time_max),
        ("first_token_s", said.first_token_s, call_max, &mut provider.first_token_time_max),
        ("idle_s", said.idle_s, call_max, &mut provider.idle_time_max),
        ("call_s", said.call_s, call_max, &mut provider.call_time_max),
    ];
    for (key, said, max, time) in times {
        if let Some(seconds) = said {
            *time = Duration::from_secs(place.bounded(key, seconds, 1, max)?);
        }
    }
    if let Some(tries) = said.tries {
        let tries = place.bounded("tries", tries, 1, TRY_COUNT_MAX)?;
        provider.tries_max = u32::try_from(tries).unwrap_or(u32::MAX);
    }
    Ok(())
}

fn breaker(place: &Place<'_>, said: Option<&SaidBreaker>) -> Result<gateway::Breaker, Error> {
    let mut breaker = gateway::Breaker::default();
    let Some(said) = said else { return Ok(breaker) };
    if let Some(failures) = said.failures {
        let failures = place.bounded("breaker.failures", failures, 0, FAILURE_COUNT_MAX)?;
        breaker.failure_count = u32::try_from(failures).unwrap_or(u32::MAX);
    }
    if let Some(seconds) = said.open_s {
        let seconds = place.bounded("breaker.open_s", seconds, 1, OPEN_SECONDS_MAX)?;
        breaker.open_time = Duration::from_secs(seconds);
        breaker.open_time_max = breaker.open_time_max.max(breaker.open_time);
    }
    if let Some(seconds) = said.open_s_max {
        let min = breaker.open_time.as_secs();
        let seconds = place.bounded("breaker.open_s_max", seconds, min, OPEN_SECONDS_MAX)?;
        breaker.open_time_max = Duration::from_secs(seconds);
    }
    Ok(breaker)
}

/// A base URL for people. One that may hold a secret is not shown; the gateway refuses it as well.
pub(super) fn shown_base_url(base_url: &str) -> String {
    let text = base_url.trim();
    let is_usable = authority(text).is_some_and(|authority| !authority.contains('@'))
        && !text.contains(['?', '#'])
        && !text.contains(char::is_control);
    if is_usable { text.to_owned() } else { "set, and not usable".to_owned() }
}

/// What stands between the scheme and the path. Browsers' rules: a backslash is a slash, and how many there are does not
/// matter.
fn authority(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    let is_http = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let slashes: &[char] = &['/', '\\'];
    is_http.then(|| rest.trim_start_matches(slashes).split(slashes).next().unwrap_or_default())
}

fn key(layers: &Layers, name: &str, said: &SaidProvider) -> Result<Option<SecretString>, Error> {
    let own = said.key.as_deref().and_then(layers::said).map(SecretString::from);
    // One in the environment (`KIMI_API_KEY`), `.env` or the vault has been merged over one in the file already.
    if own.is_some() && !layers.is_from_file(&format!("providers.{name}.key")) {
        return Ok(own);
    }
    let Some(variable) = &said.key_env else { return Ok(own) };
    match layers.lookup(variable) {
        Some(key) => Ok(Some(key)),
        None if own.is_some() => Ok(own),
        None => {
            let what = format!("`key_env` names `{variable}`, which is not set");
            let cure = format!(
                "set it in the environment or in `.env`, keep it with `stagewright secrets set {variable}`, or remove \
                 `key_env` if the server needs no key"
            );
            Err(wrong(name, &what, &cure))
        }
    }
}

/// Name of the provider for what names none: what was said, else the one that is configured, else the built-in writer.
pub(super) fn default_name(said: Option<&str>, providers: &[Provider]) -> Result<String, Error> {
    let is_configured = |name: &str| providers.iter().any(|provider| provider.name == name);
    if let Some(said) = said {
        return if is_configured(said) {
            Ok(said.to_owned())
        } else {
            Err(not_configured(said, providers))
        };
    }
    if let Some(known) = WELL_KNOWN.into_iter().find(|name| is_configured(name)) {
        return Ok(known.to_owned());
    }
    let mut others = providers.iter().filter(|provider| provider.name != gateway::SCRIPTED);
    match (others.next(), others.next()) {
        (None, _) => Ok(gateway::SCRIPTED.to_owned()),
        (Some(only), None) => Ok(only.name.clone()),
        // Whichever were taken, half of the readers would expect the other.
        (Some(_), Some(_)) => Err(Error::Config {
            message: "several providers are configured, and none is chosen".to_owned(),
            hint: Some(
                "set `provider:` in `stagewright.yaml`, or `STAGEWRIGHT_PROVIDER`".to_owned(),
            ),
        }),
    }
}

fn not_configured(said: &str, providers: &[Provider]) -> Error {
    let known: Vec<&str> = providers.iter().map(|provider| provider.name.as_str()).collect();
    let hint = match said {
        KIMI => "set `KIMI_API_KEY`".to_owned(),
        OPENAI => "set `OPENAI_API_KEY`".to_owned(),
        ANTHROPIC => "set `ANTHROPIC_API_KEY`".to_owned(),
        _ => format!("configured are: {}", known.join(", ")),
    };
    Error::Config {
        message: format!("the default provider is not configured: `{said}`"),
        hint: Some(hint),
    }
}

fn wrong(provider: &str, what: &str, cure: &str) -> Error {
    Error::Config { message: format!("provider `{provider}`: {what}"), hint: Some(cure.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::shown_base_url;

    #[test]
    fn a_base_url_that_may_hold_a_secret_is_not_shown() {
        for shown in ["https://api.example.com/v1", "http://[::1]:8080/v1/@me", "HTTP://localhost"]
        {
            assert_eq!(shown_base_url(&format!(" {shown} ")), shown);
        }
        for hidden in [
            "https://user:secret@h/v1",
            "https://secret@h",
            "https:///user:secret@h/v1",
            "https:\\\\user:secret@h/v1",
            "https:user:secret@h/v1",
            "https://h/v1?key=secret",
            "https://h/v1#secret",
            "https://us\ner:secret@h",
            "sk-secret",
            "ftp://h/secret",
        ] {
            assert_eq!(shown_base_url(hidden), "set, and not usable", "{hidden}");
        }
    }
}
