//! From what was said about providers to what the gateway is opened with: defaults filled in, keys looked up, prices
//! made exact. No connection is made.
use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;

use super::file::{SaidModel, SaidProvider};
use super::layers;
use crate::error::Error;

const KIMI: &str = "kimi";
const OPENAI: &str = "openai";
/// The model that OpenAI is asked for where nobody names one: cheap, and it takes all options that a stage may set.
const OPENAI_MODEL: &str = "gpt-4.1-mini";
/// Digits after the point that a price for a million tokens may have: the third is a billionth of a dollar per token,
/// which is the unit of every account here.
const PRICE_DIGITS_MAX: usize = 3;

/// All providers, the scripted one first.
pub(super) fn resolve(
    said: &BTreeMap<String, SaidProvider>,
    model_call_s: u64,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<gateway::Provider>, Error> {
    let mut providers = vec![gateway::Provider::scripted()];
    for (name, said) in said {
        if let Some(mut provider) = provider(name, said, lookup)? {
            provider.call_time_max = Duration::from_secs(model_call_s);
            providers.push(provider);
        }
    }
    Ok(providers)
}

/// `None`: named, e.g. by a `KIMI_MODEL` alone, but with nothing to reach it by.
fn provider(
    name: &str,
    said: &SaidProvider,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<gateway::Provider>, Error> {
    if name == gateway::SCRIPTED {
        return Err(wrong(name, "the name belongs to the built-in writer", "choose another name"));
    }
    let key = key(name, said, lookup)?;
    let is_well_known = name == KIMI || name == OPENAI;
    if is_well_known && key.is_none() && said.base_url.is_none() {
        return Ok(None);
    }
    let default_url = match name {
        KIMI => Some(gateway::KIMI_BASE_URL),
        OPENAI => Some(gateway::OPENAI_BASE_URL),
        _ => None,
    };
    let base_url =
        said.base_url.clone().or_else(|| default_url.map(str::to_owned)).ok_or_else(|| {
            wrong(
                name,
                "it has no `base_url`",
                "set the part of its address before `/chat/completions`",
            )
        })?;
    let default_model = match name {
        KIMI => Some(gateway::KIMI_MODEL),
        OPENAI => Some(OPENAI_MODEL),
        _ => said.models.as_ref().and_then(|models| models.first()).map(|model| &*model.name),
    };
    let model =
        said.model.clone().or_else(|| default_model.map(str::to_owned)).ok_or_else(|| {
            wrong(name, "it has no `model`", "set the name of the model that it serves")
        })?;
    let headers = said.headers.iter().flatten();
    let headers = headers.map(|(name, value)| (name.clone(), SecretString::from(value.clone())));
    let server = gateway::OpenAi { base_url, key, headers: headers.collect() };
    let mut provider = gateway::Provider::openai(name, server, model);
    provider.models = said
        .models
        .iter()
        .flatten()
        .map(|model| priced(name, model))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Some(provider))
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

fn key(
    name: &str,
    said: &SaidProvider,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<SecretString>, Error> {
    // A key in the environment (`KIMI_API_KEY`) has been merged over one in the file already.
    if let Some(key) = said.key.as_deref().and_then(layers::said) {
        return Ok(Some(SecretString::from(key)));
    }
    let Some(variable) = &said.key_env else { return Ok(None) };
    match lookup(variable).as_deref().and_then(layers::said) {
        Some(key) => Ok(Some(SecretString::from(key))),
        None => Err(wrong(
            name,
            &format!("`key_env` names `{variable}`, which is not set"),
            "set it in the environment or in `.env`, or remove `key_env` if the server needs no key",
        )),
    }
}

fn priced(provider: &str, said: &SaidModel) -> Result<gateway::Model, Error> {
    let price = |key: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => nano_usd_per_token(text).map(Some).ok_or_else(|| {
            wrong(
                provider,
                &format!("`{key}` of model `{}` is no price: `{text}`", said.name),
                "write US dollars for a million tokens, with at most three digits after the point",
            )
        }),
    };
    Ok(gateway::Model {
        name: said.name.clone(),
        context_tokens: said.context_tokens,
        input_nano_usd_per_token: price("input_usd_per_million", &said.input_usd_per_million)?,
        cached_nano_usd_per_token: price(
            "cached_input_usd_per_million",
            &said.cached_input_usd_per_million,
        )?,
        output_nano_usd_per_token: price("output_usd_per_million", &said.output_usd_per_million)?,
    })
}

/// One US dollar for a million tokens is a thousand billionths for one. Exact: no floating point.
fn nano_usd_per_token(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > PRICE_DIGITS_MAX {
        return None;
    }
    let thousandths: u64 = format!("{fraction:0<PRICE_DIGITS_MAX$}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000)?.checked_add(thousandths)
}

/// Name of the provider for what names none: what was said, else the one that is configured, else the built-in writer.
pub(super) fn default_name(
    said: Option<&str>,
    providers: &[gateway::Provider],
) -> Result<String, Error> {
    let is_configured = |name: &str| providers.iter().any(|provider| provider.name == name);
    if let Some(said) = said {
        return if is_configured(said) {
            Ok(said.to_owned())
        } else {
            Err(not_configured(said, providers))
        };
    }
    if let Some(known) = [KIMI, OPENAI].into_iter().find(|name| is_configured(name)) {
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

fn not_configured(said: &str, providers: &[gateway::Provider]) -> Error {
    let known: Vec<&str> = providers.iter().map(|provider| provider.name.as_str()).collect();
    let hint = match said {
        KIMI => "set `KIMI_API_KEY`".to_owned(),
        OPENAI => "set `OPENAI_API_KEY`".to_owned(),
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
    use super::{nano_usd_per_token, shown_base_url};

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

    #[test]
    fn a_price_is_exact_or_refused() {
        assert_eq!(nano_usd_per_token("0.60"), Some(600));
        assert_eq!(nano_usd_per_token("2.5"), Some(2_500));
        assert_eq!(nano_usd_per_token("15"), Some(15_000));
        assert_eq!(nano_usd_per_token("0.0750"), Some(75));
        assert_eq!(nano_usd_per_token("0.0001"), None);
        assert_eq!(nano_usd_per_token("-1"), None);
        assert_eq!(nano_usd_per_token("1e3"), None);
        assert_eq!(nano_usd_per_token("."), None);
    }
}
