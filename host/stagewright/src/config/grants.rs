//! Which hosts stages may reach by HTTP. None, unless the file says so; and a profile has to grant each of them as well.
use std::time::Duration;

use domain::http::{HTTP_GRANT_COUNT_MAX, HttpGrant};
use engine::HttpSettings;
use serde::{Deserialize, Serialize};

use super::Setting;
use super::layers::Layers;
use crate::error::Error;

const HTTP_HOSTS: &str = "grants.http_hosts";
const PRIVATE_HOSTS: &str = "grants.private_hosts";
const REQUEST_S: &str = "grants.request_s";
/// Longest time for one request that may be configured, in seconds: what takes longer is no answer to a stage.
const REQUEST_SECONDS_MAX: u64 = 600;

/// What the file says about it.
#[derive(Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidGrants {
    #[serde(skip_serializing_if = "Option::is_none")]
    http_hosts: Option<Vec<String>>,
    /// Of these, the ones whose addresses need not be public: for intranets and tests. A port means that port alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    private_hosts: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_s: Option<u64>,
}

pub(super) fn resolve(layers: &Layers, said: &SaidGrants) -> Result<HttpSettings, Error> {
    let mut settings = HttpSettings {
        hosts: hosts(HTTP_HOSTS, said.http_hosts.as_deref())?,
        private_hosts: hosts(PRIVATE_HOSTS, said.private_hosts.as_deref())?,
        ..HttpSettings::default()
    };
    let covered = |host: &HttpGrant| settings.hosts.iter().any(|allowed| allowed.covers(host));
    if let Some(host) = settings.private_hosts.iter().find(|host| !covered(host)) {
        return Err(Error::Config {
            message: format!("`{PRIVATE_HOSTS}` names `{host}`, which `{HTTP_HOSTS}` does not"),
            hint: Some(uncovered_hint(host, &settings.hosts)),
        });
    }
    if let Some(seconds) = said.request_s {
        let seconds = layers.bounded(REQUEST_S, seconds, 1..=REQUEST_SECONDS_MAX)?;
        settings.request_time_max = Duration::from_secs(seconds);
    }
    Ok(settings)
}

/// What to do about a private host that may not be reached at all: mostly it is a port that was left out.
fn uncovered_hint(private: &HttpGrant, allowed: &[HttpGrant]) -> String {
    let same_host = |allowed: &&HttpGrant| private.covers_host(allowed);
    let meant: Vec<String> =
        allowed.iter().filter(same_host).map(|host| format!("\"{host}\"")).collect();
    if meant.is_empty() {
        return format!("add it to `{HTTP_HOSTS}`: it says which hosts are reached at all");
    }
    format!(
        "an entry without a port means port 443, and one with a port that port alone: write `private_hosts: [{}]`, as in \
         `{HTTP_HOSTS}`",
        meant.join(", ")
    )
}

fn hosts(key: &str, said: Option<&[String]>) -> Result<Vec<HttpGrant>, Error> {
    let said = said.unwrap_or_default();
    if said.len() > HTTP_GRANT_COUNT_MAX {
        let message =
            format!("`{key}` has {} hosts, and {HTTP_GRANT_COUNT_MAX} are allowed", said.len());
        return Err(Error::Config { message, hint: None });
    }
    let parsed = said.iter().map(|text| {
        text.parse().map_err(|error| Error::Config {
            message: format!("`{key}` cannot have `{text}`: {error}"),
            hint: Some(
                "write hosts as `api.example.com`, `*.example.com` or `intranet.example:8080`"
                    .to_owned(),
            ),
        })
    });
    parsed.collect()
}

/// The section for people, as far as it was said.
pub(super) fn shown(layers: &Layers, said: &SaidGrants) -> Vec<Setting> {
    let list = |hosts: &Option<Vec<String>>| hosts.as_ref().map(|hosts| hosts.join(", "));
    let values = [
        (HTTP_HOSTS, list(&said.http_hosts)),
        (PRIVATE_HOSTS, list(&said.private_hosts)),
        (REQUEST_S, said.request_s.map(|seconds| seconds.to_string())),
    ];
    let said = values.into_iter().filter_map(|(key, value)| {
        let (key, origin) = (key.to_owned(), layers.origin_of(key));
        value.map(|value| Setting { key, value, origin })
    });
    said.collect()
}
