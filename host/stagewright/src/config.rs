//! The configuration: flags, then environment, then `.env`, then `stagewright.yaml`, then defaults.
//!
//! The only place that reads the environment and the only one that reads keys. A key is a `SecretString` from here on;
//! every value is kept with its origin, so that `doctor` can say where it came from. Nothing here opens the data folder
//! or a connection.
//!
//! Invariant: no text made here (setting, note, error) contains a key.
mod file;
mod layers;
mod providers;
mod surroundings;

use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use profile::FallbackPolicy;
use secrecy::SecretString;
use serde::Deserialize;

pub(crate) use self::layers::Flags;
pub(crate) use self::surroundings::Surroundings;
use crate::error::Error;

/// Most attempts at the same time that may be configured: what the sandbox can hold in address space.
pub(crate) const ATTEMPT_COUNT_MAX: u64 = 1_000;
/// Longest time for one model call that may be configured, in seconds. A call that takes an hour has failed.
pub(crate) const MODEL_CALL_SECONDS_MAX: u64 = 3_600;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// One value of the configuration, for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Setting {
    /// Its name in `stagewright.yaml`.
    pub(crate) key: String,
    /// Its value; of a secret only whether there is one.
    pub(crate) value: String,
    /// Where it came from.
    pub(crate) origin: String,
}

/// What holds for this process.
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) token: Option<SecretString>,
    pub(crate) default_provider: String,
    pub(crate) fallback: FallbackPolicy,
    pub(crate) log: Option<String>,
    pub(crate) log_format: LogFormat,
    pub(crate) model_call_time_max: Duration,
    pub(crate) attempt_count_max: usize,
    /// Folders with profiles, the data folder's own included.
    pub(crate) profile_dirs: Vec<PathBuf>,
    /// Host names by which a server may be called, beside loopback.
    pub(crate) allowed_hosts: Vec<String>,
    /// Origins of other sites, e.g. of a proxy, whose pages may call.
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) providers: Vec<gateway::Provider>,
    /// Who acts at this terminal.
    pub(crate) actor: String,
    pub(crate) settings: Vec<Setting>,
    /// What was found and is not used, with the reason.
    pub(crate) notes: Vec<String>,
}

/// The merged layers, typed. No `Debug`: it holds keys.
#[derive(Deserialize)]
struct Merged {
    data_dir: PathBuf,
    host: String,
    port: u16,
    token: Option<String>,
    provider: Option<String>,
    fallback: String,
    log: Option<String>,
    log_format: String,
    model_call_s: u64,
    attempts: u64,
    #[serde(default)]
    profile_dirs: Vec<PathBuf>,
    #[serde(default)]
    allowed_hosts: Vec<String>,
    #[serde(default)]
    allowed_origins: Vec<String>,
    #[serde(default)]
    providers: std::collections::BTreeMap<String, file::SaidProvider>,
}

impl Config {
    /// Reads and checks everything; later layers of the list in the module's comment yield to earlier ones.
    pub(crate) fn load(flags: &Flags, surroundings: &Surroundings) -> Result<Config, Error> {
        let layers = layers::read(flags, surroundings)?;
        let merged: Merged = layers.figment.extract().map_err(|error| unfit(&error))?;
        let lookup = |name: &str| layers.lookup(name);
        let providers = providers::resolve(&merged.providers, merged.model_call_s, &lookup)?;
        let default_provider = providers::default_name(merged.provider.as_deref(), &providers)?;
        let mut profile_dirs = vec![merged.data_dir.join("profiles")];
        profile_dirs.extend(merged.profile_dirs.iter().cloned());
        Ok(Config {
            settings: settings(&layers.figment, &merged, &default_provider, &providers),
            notes: notes(&lookup),
            host: merged.host,
            port: merged.port,
            token: merged.token.as_deref().and_then(layers::said).map(SecretString::from),
            fallback: fallback(&merged.fallback)?,
            log: merged.log,
            log_format: log_format(&merged.log_format)?,
            model_call_time_max: Duration::from_secs(bounded(
                "model_call_s",
                merged.model_call_s,
                MODEL_CALL_SECONDS_MAX,
            )?),
            attempt_count_max: bounded("attempts", merged.attempts, ATTEMPT_COUNT_MAX)? as usize,
            data_dir: merged.data_dir,
            profile_dirs,
            allowed_hosts: merged.allowed_hosts,
            allowed_origins: merged.allowed_origins,
            default_provider,
            providers,
            actor: surroundings.actor(),
        })
    }

    /// The address of the data folder's own plugins.
    pub(crate) fn plugin_dir(&self) -> PathBuf {
        self.data_dir.join("plugins")
    }

    /// Where a run's files lie.
    pub(crate) fn run_dir(&self, run_id: &str) -> PathBuf {
        self.data_dir.join("runs").join(Path::new(run_id))
    }
}

/// A value of the wrong type. Only its place is named: the value may be a key.
fn unfit(error: &figment::Error) -> Error {
    let origin = error.metadata.as_ref().map_or("the configuration", |metadata| &metadata.name);
    Error::Config {
        message: format!("`{}` in {origin} has a value of another type", error.path.join(".")),
        hint: Some("see `stagewright doctor` for what is configured and from where".to_owned()),
    }
}

fn bounded(key: &str, value: u64, max: u64) -> Result<u64, Error> {
    if (1..=max).contains(&value) {
        return Ok(value);
    }
    Err(Error::Config { message: format!("`{key}` is {value}, not 1 to {max}"), hint: None })
}

fn fallback(text: &str) -> Result<FallbackPolicy, Error> {
    match text {
        "off" => Ok(FallbackPolicy::Off),
        "unknown_mode" => Ok(FallbackPolicy::UnknownMode),
        "forced" => Ok(FallbackPolicy::Forced),
        other => Err(one_of("fallback", other, "`off`, `unknown_mode` or `forced`")),
    }
}

fn log_format(text: &str) -> Result<LogFormat, Error> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(one_of("log_format", other, "`text` or `json`")),
    }
}

fn one_of(key: &str, found: &str, known: &str) -> Error {
    Error::Config { message: format!("`{key}` is `{found}`, not {known}"), hint: None }
}

/// Providers whose keys are recognized and whose connector this version does not have.
fn notes(lookup: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let found: Vec<&str> = ["ANTHROPIC_API_KEY", "ANTHROPIC_MODEL", "ANTHROPIC_BASE_URL"]
        .into_iter()
        .filter(|name| lookup(name).is_some())
        .collect();
    if found.is_empty() {
        return Vec::new();
    }
    vec![format!("{} is set, but this version has no Anthropic connector", found.join(", "))]
}

fn settings(
    figment: &Figment,
    merged: &Merged,
    default_provider: &str,
    providers: &[gateway::Provider],
) -> Vec<Setting> {
    let set = |is_set: bool| if is_set { "set" } else { "not set" }.to_owned();
    let list = |paths: &[PathBuf]| {
        paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    };
    let one = |key: &str, value: String| Setting {
        origin: layers::origin_of(figment, key),
        key: key.to_owned(),
        value,
    };
    let mut all = vec![
        one("data_dir", merged.data_dir.display().to_string()),
        one("host", merged.host.clone()),
        one("port", merged.port.to_string()),
        one("token", set(merged.token.as_deref().and_then(layers::said).is_some())),
        one("provider", default_provider.to_owned()),
        one("fallback", merged.fallback.clone()),
        one("model_call_s", merged.model_call_s.to_string()),
        one("attempts", merged.attempts.to_string()),
        one("log", merged.log.clone().unwrap_or_else(|| "by command".to_owned())),
        one("log_format", merged.log_format.clone()),
        one("profile_dirs", list(&merged.profile_dirs)),
        one("allowed_hosts", merged.allowed_hosts.join(", ")),
        one("allowed_origins", merged.allowed_origins.join(", ")),
    ];
    if merged.provider.is_none() {
        all[4].origin = "derived from the configured providers".to_owned();
    }
    for provider in providers {
        if let gateway::Kind::OpenAi(connector) = &provider.kind {
            let key = |field: &str| format!("providers.{}.{field}", provider.name);
            all.push(one(&key("base_url"), providers::shown_base_url(&connector.base_url)));
            all.push(one(&key("model"), provider.model.clone()));
            let via = layers::origin_of(figment, &key("key_env"));
            let mut secret = one(&key("key"), set(connector.key.is_some()));
            if secret.origin == layers::DEFAULT && via != layers::DEFAULT {
                secret.origin = format!("`key_env` in {via}");
            }
            all.push(secret);
        }
    }
    all
}

#[cfg(test)]
mod tests;
