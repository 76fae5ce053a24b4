//! Who acts, and who hears of it: the actor at this terminal, groups of reviewers, webhooks of reminders, and the header
//! that names whoever calls a server.
use std::collections::BTreeMap;

use axum::http::Uri;
use control_api::ActorHeader;
use domain::Mode;
use engine::ACTOR_BYTES_MAX;
use secrecy::{ExposeSecret, SecretString};

use super::layers::{self, Layers};
use super::said::{SaidAddress, SaidWebhook};
use crate::error::Error;

/// Most actors of one group: a gate that thousand people may decide needs no group.
const MEMBER_COUNT_MAX: usize = 1_000;
/// What names that the host gives itself begin with. Nobody else may go by one.
const HOST_ACTOR_PREFIX: &str = "stagewright:";
/// Groups with their members, each as it was written.
pub(super) fn groups(
    said: &BTreeMap<String, Vec<String>>,
) -> Result<BTreeMap<String, Vec<String>>, Error> {
    for (name, members) in said {
        named("groups", name)?;
        let place = format!("groups.{name}");
        if members.is_empty() {
            return Err(wrong(&place, "has no members", "name at least one actor, or remove it"));
        }
        if members.len() > MEMBER_COUNT_MAX {
            let what = format!("has {} members, not at most {MEMBER_COUNT_MAX}", members.len());
            return Err(wrong(&place, &what, "leave out members, or split it into groups"));
        }
        for (idx, member) in members.iter().enumerate() {
            let twice = members[..idx].contains(member).then(|| "is named twice".to_owned());
            if let Some(reason) = unfit_actor(member).or(twice) {
                let what = format!("has a member that cannot be one: `{member}` {reason}");
                return Err(wrong(&place, &what, ACTOR_CURE));
            }
        }
    }
    Ok(said.clone())
}

/// The addresses of webhooks. What is wrong with one is told without it: it may hold a secret.
pub(super) fn webhooks(
    layers: &Layers,
    said: &BTreeMap<String, SaidWebhook>,
) -> Result<BTreeMap<String, gateway::Webhook>, Error> {
    let mut known = BTreeMap::new();
    for (name, webhook) in said {
        named("webhooks", name)?;
        let place = format!("webhooks.{name}");
        let address = address(layers, &place, webhook)?;
        let webhook = gateway::Webhook::new(address.expose_secret())
            .map_err(|invalid| wrong(&place, &format!("cannot be used: {invalid}"), URL_CURE))?;
        known.insert(name.clone(), webhook);
    }
    Ok(known)
}

const ACTOR_CURE: &str =
    "name people as they name themselves when they decide, e.g. `anna@example.com`";
const URL_CURE: &str =
    "write an address such as `https://hooks.example.com/reviews`, or `{ url_env: NAME }`";

fn address(layers: &Layers, place: &str, said: &SaidWebhook) -> Result<SecretString, Error> {
    match said {
        SaidWebhook::Address(text) => Ok(SecretString::from(text.trim())),
        SaidWebhook::Named(SaidAddress { url_env }) => {
            let found = layers.lookup(url_env);
            let found = found.filter(|text| layers::said(text.expose_secret()).is_some());
            found.map(|text| SecretString::from(text.expose_secret().trim())).ok_or_else(|| {
                wrong(
                    place,
                    &format!("names `{url_env}` in `url_env`, which is not set"),
                    &format!(
                        "set it in the environment or in `.env`, or keep it with `stagewright secrets set {url_env}`"
                    ),
                )
            })
        }
    }
}

/// Where a webhook leads, for people: the host alone, for its path is often the secret.
pub(super) fn shown_webhook(layers: &Layers, name: &str, said: &SaidWebhook) -> (String, String) {
    let key = format!("webhooks.{name}");
    let host = address(layers, &key, said).ok().and_then(|address| {
        let uri: Uri = address.expose_secret().parse().ok()?;
        Some(format!("{}://{}", uri.scheme_str()?, uri.host()?))
    });
    let origin = match said {
        SaidWebhook::Address(_) => layers.origin_of(&key),
        SaidWebhook::Named(SaidAddress { url_env }) => {
            let via = layers.origin_of(&key);
            let vault = if layers.is_from_vault(url_env) { "vault: " } else { "" };
            format!("{vault}{url_env} (`url_env` in {via})")
        }
    };
    (host.unwrap_or_else(|| "set, and not usable".to_owned()), origin)
}

/// The header that an authenticating proxy names its user in.
pub(super) fn actor_header(
    layers: &Layers,
    said: Option<&str>,
) -> Result<Option<ActorHeader>, Error> {
    let Some(text) = said.and_then(layers::said) else { return Ok(None) };
    let header: Result<ActorHeader, _> = text.parse();
    header.map(Some).map_err(|invalid| Error::Config {
        message: format!("`actor_header`: {invalid} ({})", layers.origin_of("actor_header")),
        hint: Some(
            "name the header in which your proxy says who calls, e.g. `X-Forwarded-User`"
                .to_owned(),
        ),
    })
}

/// Who acts at this terminal: what was said, or who is logged in.
pub(super) fn actor(said: Option<&str>, surroundings: String) -> Result<String, Error> {
    let Some(text) = said else { return Ok(surroundings) };
    match unfit_actor(text) {
        None => Ok(text.to_owned()),
        Some(reason) => Err(Error::Usage {
            message: format!("`--actor` cannot be `{text}`: it {reason}"),
            hint: Some("name whoever acts, e.g. `anna@example.com`".to_owned()),
        }),
    }
}

/// Why a text cannot name an actor.
fn unfit_actor(text: &str) -> Option<String> {
    if text.trim().is_empty() || text.len() > ACTOR_BYTES_MAX {
        return Some(format!("has {} bytes, not 1 to {ACTOR_BYTES_MAX}, blanks apart", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Some("has a control character".to_owned());
    }
    if text.trim() != text {
        return Some("has blanks before or after the name".to_owned());
    }
    let is_host = text.starts_with(HOST_ACTOR_PREFIX);
    is_host.then(|| format!("begins with `{HOST_ACTOR_PREFIX}`, as only the host itself does"))
}

fn named(section: &str, name: &str) -> Result<(), Error> {
    name.parse::<Mode>().map(drop).map_err(|invalid| {
        let cure = "use lower-case letters, digits and `_`, beginning with a letter";
        wrong(section, &format!("has a name that cannot be one: `{name}`: {invalid}"), cure)
    })
}

fn wrong(place: &str, what: &str, cure: &str) -> Error {
    Error::Config { message: format!("`{place}` {what}"), hint: Some(cure.to_owned()) }
}
