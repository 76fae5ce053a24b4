//! Registries that plugins may be pushed to and pulled from. Off unless the file says otherwise, and then only those that
//! it names. Passwords lie in the environment or in the vault, never in the file.
use gateway::registry::{Credentials, Encryption, Patience, Reference, Registry, RegistryHost};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::layers::{self, Layers};
use super::{Merged, Setting};
use crate::error::Error;

const ENABLED: &str = "registries.enabled";
const ALLOWED: &str = "registries.allowed";
/// Most registries that may be named: ten times of what anybody uses.
const REGISTRY_COUNT_MAX: usize = 100;

/// What the file says about registries.
#[derive(Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidRegistries {
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed: Option<Vec<SaidRegistry>>,
}

/// What the file says about one registry.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SaidRegistry {
    /// The host, with its port where it is not the usual one.
    host: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// The environment variable, or the name in the vault, that holds the password or an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    password_env: Option<String>,
    /// Whether it is spoken to without TLS. Left out, that is so on this machine alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    plain_http: Option<bool>,
}

/// The registries that plugins may be pushed to and pulled from. No `Debug`: it holds passwords.
#[derive(Default)]
pub(crate) struct Registries {
    switch: Switch,
    allowed: Vec<AllowedRegistry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Switch {
    #[default]
    Off,
    On,
}

struct AllowedRegistry {
    host: RegistryHost,
    encryption: Encryption,
    account: Account,
}

enum Account {
    Anonymous,
    Known(Credentials),
    /// The name that holds the password holds nothing. No error before the registry is used: most commands do not.
    PasswordMissing {
        password_env: String,
    },
}

impl Registries {
    /// Opens the registry of a reference, if that is allowed. Connects to nobody.
    pub(crate) fn open(&self, reference: &Reference) -> Result<Registry, Error> {
        if self.switch == Switch::Off {
            return Err(Error::Refused {
                message: format!("registries are off: `{ENABLED}` is not `true`"),
                hint: "to push and pull plugins, write `registries: { enabled: true, allowed: [{ host: registry.example.com }] }` into `stagewright.yaml`",
            });
        }
        let host = reference.host();
        let Some(registry) = self.allowed.iter().find(|registry| registry.host == *host) else {
            let names = self.allowed.iter().map(|registry| format!("`{}`", registry.host));
            let names = names.collect::<Vec<_>>().join(", ");
            return Err(Error::Refused {
                message: format!(
                    "the registry `{host}` is not among those in `{ALLOWED}`: {names}"
                ),
                hint: "add `{ host: ... }` with that host to `registries.allowed` in `stagewright.yaml`, if it is to be trusted with plugins",
            });
        };
        let credentials = match &registry.account {
            Account::Anonymous => None,
            Account::Known(credentials) => Some(credentials.clone()),
            Account::PasswordMissing { password_env } => {
                return Err(Error::Config {
                    message: format!(
                        "`{ALLOWED}`: `{host}` names `{password_env}` in `password_env`, which is not set"
                    ),
                    hint: Some(format!(
                        "set it in the environment or in `.env`, or keep it with `stagewright secrets set {password_env}`"
                    )),
                });
            }
        };
        let patience = Patience::default();
        Ok(Registry::open(host.clone(), registry.encryption, credentials, patience)?)
    }
}

pub(super) fn resolve(layers: &Layers, said: &SaidRegistries) -> Result<Registries, Error> {
    let switch = if said.enabled.unwrap_or(false) { Switch::On } else { Switch::Off };
    let named = said.allowed.as_deref().unwrap_or_default();
    if named.len() > REGISTRY_COUNT_MAX {
        let what = format!("has {} registries, not at most {REGISTRY_COUNT_MAX}", named.len());
        return Err(wrong(&what, "leave out those that are not used"));
    }
    if switch == Switch::On && named.is_empty() {
        return Err(wrong(
            &format!("names no registry, and `{ENABLED}` is `true`"),
            "name those that may be asked, e.g. `allowed: [{ host: registry.example.com }]`",
        ));
    }
    let mut allowed: Vec<AllowedRegistry> = Vec::with_capacity(named.len());
    for said in named {
        let registry = one(layers, said)?;
        if allowed.iter().any(|other| other.host == registry.host) {
            let what = format!("has `{}` twice", registry.host);
            return Err(wrong(&what, "leave one of them out"));
        }
        allowed.push(registry);
    }
    Ok(Registries { switch, allowed })
}

fn one(layers: &Layers, said: &SaidRegistry) -> Result<AllowedRegistry, Error> {
    let host: RegistryHost = said.host.trim().parse().map_err(|_| {
        wrong(
            &format!("has a host that cannot be one: `{}`", said.host),
            "write it without `https://` and without a path, with its port if it has one, e.g. `registry.example.com`",
        )
    })?;
    let is_plain = said.plain_http.unwrap_or_else(|| host.is_loopback());
    let encryption = if is_plain { Encryption::Plain } else { Encryption::Tls };
    let username = said.username.as_deref().and_then(layers::said);
    if encryption == Encryption::Plain && username.is_some() && !host.is_loopback() {
        return Err(wrong(
            &format!(
                "has both `plain_http: true` and `username` for `{host}`: whoever is in between would read the password"
            ),
            "leave out `plain_http`, or `username` and `password_env`; only a registry on this machine gets a password without TLS",
        ));
    }
    let password_env = said.password_env.as_deref().and_then(layers::said);
    let account = match (username, password_env) {
        (None, None) => Account::Anonymous,
        (Some(username), Some(name)) => account(layers, username, name),
        (Some(_), None) | (None, Some(_)) => {
            return Err(wrong(
                &format!("has only one of `username` and `password_env` for `{host}`"),
                "say both, or neither; for an access token the registry's pages say which user name goes with it",
            ));
        }
    };
    if username.is_some_and(|username| username.contains(':') || !is_visible(username)) {
        return Err(wrong(
            &format!("has a user name for `{host}` that cannot be one"),
            "write it without `:` and without control characters",
        ));
    }
    Ok(AllowedRegistry { host, encryption, account })
}

fn is_visible(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

fn account(layers: &Layers, username: &str, password_env: &str) -> Account {
    let found = layers.lookup(password_env);
    match found.as_ref().and_then(|text| layers::said(text.expose_secret())) {
        Some(password) => Account::Known(Credentials {
            username: username.to_owned(),
            password: SecretString::from(password),
        }),
        None => Account::PasswordMissing { password_env: password_env.to_owned() },
    }
}

fn wrong(what: &str, cure: &str) -> Error {
    Error::Config { message: format!("`{ALLOWED}` {what}"), hint: Some(cure.to_owned()) }
}

/// The registries for people.
pub(super) fn shown(layers: &Layers, merged: &Merged) -> Vec<Setting> {
    let setting = |key: &str, value: String| Setting {
        key: key.to_owned(),
        value,
        origin: layers.origin_of(key),
    };
    let said = &merged.registries;
    let named = said.allowed.iter().flatten();
    let hosts: Vec<&str> = named.map(|registry| registry.host.as_str()).collect();
    let mut all = vec![setting(ENABLED, said.enabled.unwrap_or(false).to_string())];
    if !hosts.is_empty() {
        all.push(setting(ALLOWED, hosts.join(", ")));
    }
    all
}

/// The keys that a name of a secret is said in.
pub(super) fn uses_of<'a>(merged: &'a Merged, name: &'a str) -> impl Iterator<Item = String> + 'a {
    let named = merged.registries.allowed.iter().flatten();
    named
        .filter(move |registry| registry.password_env.as_deref() == Some(name))
        .map(|registry| format!("{ALLOWED}: {}: password_env", registry.host))
}
