//! The configuration: flags, then environment, then `.env`, then the vault, then `stagewright.yaml`, then defaults.
//!
//! The only place that reads the environment and the only one that reads keys. A key is a `SecretString` from here on;
//! every value is kept with its origin, so that `doctor` can say where it came from. Of the data folder the vault alone is
//! read here; nothing opens a connection.
//!
//! Invariant: no text made here (setting, note, error) contains a key.
mod costs;
mod file;
mod grants;
mod layers;
mod models;
mod people;
mod providers;
mod registries;
mod retention;
mod said;
mod secrets;
mod shown;
mod surroundings;
mod telemetry;
mod variables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::{DayBudgets, HttpSettings};
use profile::FallbackPolicy;
use secrecy::SecretString;
use serde::Deserialize;

pub(crate) use self::layers::Flags;
use self::layers::Layers;
pub(crate) use self::registries::Registries;
pub(crate) use self::retention::{Automatic, Housekeeping};
pub(crate) use self::secrets::SecretUse;
pub(crate) use self::surroundings::Surroundings;
pub(crate) use self::telemetry::Telemetry;
pub(crate) use self::variables::VAULT_KEY;
use crate::error::Error;

/// Most attempts at the same time that may be configured: what the sandbox can hold in address space.
pub(crate) const ATTEMPT_COUNT_MAX: u64 = 1_000;
/// Longest time for one model call that may be configured, in seconds. A call that takes an hour has failed.
pub(crate) const MODEL_CALL_SECONDS_MAX: u64 = 3_600;
/// Longest time that a server may take to end, in seconds: the longest model call that may be configured.
pub(crate) const SHUTDOWN_SECONDS_MAX: u64 = MODEL_CALL_SECONDS_MAX;

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
    /// How long open model calls may go on when a server is ended.
    pub(crate) shutdown_grace: Duration,
    /// Folders with profiles, the data folder's own included.
    pub(crate) profile_dirs: Vec<PathBuf>,
    /// Host names by which a server may be called, beside loopback.
    pub(crate) allowed_hosts: Vec<String>,
    /// Origins of other sites, e.g. of a proxy, whose pages may call.
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) providers: Vec<gateway::Provider>,
    /// What models cost where their provider's configuration does not say.
    pub(crate) prices: gateway::PriceList,
    /// Where the prices come from, beside the list that is shipped.
    pub(crate) prices_file: Option<PathBuf>,
    pub(crate) cache: gateway::Cache,
    /// What may be used up in a day.
    pub(crate) budgets: DayBudgets,
    /// The header in which a proxy in front of a server names whoever calls.
    pub(crate) actor_header: Option<control_api::ActorHeader>,
    /// Who is in which group of reviewers.
    pub(crate) groups: BTreeMap<String, Vec<String>>,
    /// Where reminders of gates go.
    pub(crate) webhooks: BTreeMap<String, gateway::Webhook>,
    /// Which ended runs stay.
    pub(crate) housekeeping: Housekeeping,
    /// How much of the texts of model calls is kept.
    pub(crate) texts: store::Texts,
    pub(crate) telemetry: Telemetry,
    /// Which hosts stages may reach, if a profile grants it.
    pub(crate) http: HttpSettings,
    /// Where plugins may be pushed to and pulled from.
    pub(crate) registries: Registries,
    /// What the vault holds.
    pub(crate) vault: Vec<SecretUse>,
    /// Who acts at this terminal.
    pub(crate) actor: String,
    /// The program that texts are edited with.
    pub(crate) editor: Option<String>,
    pub(crate) settings: Vec<Setting>,
    /// The configuration file, where the command line names one.
    pub(crate) file_flag: Option<PathBuf>,
}

/// The part of the configuration that the vault needs, so that a key that is missing can be put there.
pub(crate) struct VaultConfig {
    /// The data folder, in which the vault lies.
    pub(crate) data_dir: PathBuf,
    pub(crate) passphrase: Option<SecretString>,
    merged: Merged,
    layers: Layers,
}

impl VaultConfig {
    /// Reads everything, and checks nothing that has to do with providers.
    pub(crate) fn load(flags: &Flags, surroundings: &Surroundings) -> Result<VaultConfig, Error> {
        let layers = layers::read(flags, surroundings)?;
        let merged: Merged = layers.figment.extract().map_err(|error| unfit(&error))?;
        Ok(VaultConfig {
            data_dir: surroundings.working_folder().join(&merged.data_dir),
            passphrase: layers.vault_passphrase.clone(),
            merged,
            layers,
        })
    }

    /// What a name is used for.
    pub(crate) fn use_of(&self, name: &str) -> SecretUse {
        secrets::use_of(&self.layers, &self.merged, name)
    }
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
    shutdown_s: u64,
    #[serde(default)]
    profile_dirs: Vec<PathBuf>,
    #[serde(default)]
    allowed_hosts: Vec<String>,
    #[serde(default)]
    allowed_origins: Vec<String>,
    actor_header: Option<String>,
    #[serde(default)]
    groups: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    webhooks: BTreeMap<String, said::SaidWebhook>,
    #[serde(default)]
    providers: BTreeMap<String, said::SaidProvider>,
    prices: Option<PathBuf>,
    #[serde(default)]
    cache: said::SaidCache,
    #[serde(default)]
    budgets: said::SaidBudgets,
    #[serde(default)]
    records: said::SaidRecords,
    #[serde(default)]
    retention: retention::SaidRetention,
    #[serde(default)]
    telemetry: said::SaidTelemetry,
    #[serde(default)]
    grants: grants::SaidGrants,
    #[serde(default)]
    registries: registries::SaidRegistries,
}

impl Config {
    /// Reads and checks everything; later layers of the list in the module's comment yield to earlier ones.
    pub(crate) fn load(flags: &Flags, surroundings: &Surroundings) -> Result<Config, Error> {
        let layers = layers::read(flags, surroundings)?;
        let merged: Merged = layers.figment.extract().map_err(|error| unfit(&error))?;
        let providers = providers::resolve(&layers, &merged.providers, merged.model_call_s)?;
        let default_provider = providers::default_name(merged.provider.as_deref(), &providers)?;
        let mut profile_dirs = vec![merged.data_dir.join("profiles")];
        profile_dirs.extend(merged.profile_dirs.iter().cloned());
        let model_call_s =
            layers.bounded("model_call_s", merged.model_call_s, 1..=MODEL_CALL_SECONDS_MAX)?;
        let attempts = layers.bounded("attempts", merged.attempts, 1..=ATTEMPT_COUNT_MAX)?;
        let shutdown_s =
            layers.bounded("shutdown_s", merged.shutdown_s, 0..=SHUTDOWN_SECONDS_MAX)?;
        let prices = costs::prices(merged.prices.as_deref(), surroundings.working_folder())?;
        let names = named_providers(&merged);
        let names_in_vault = layers.vault_names();
        Ok(Config {
            settings: shown::settings(&layers, &merged, &default_provider, &providers),
            fallback: fallback(&layers, &merged.fallback)?,
            log_format: log_format(&layers, &merged.log_format)?,
            model_call_time_max: Duration::from_secs(model_call_s),
            attempt_count_max: usize::try_from(attempts).unwrap_or(usize::MAX),
            cache: costs::cache(&layers, &merged.cache)?,
            budgets: costs::budgets(&layers, &merged.budgets, &names)?,
            shutdown_grace: Duration::from_secs(shutdown_s),
            actor_header: people::actor_header(&layers, merged.actor_header.as_deref())?,
            groups: people::groups(&merged.groups)?,
            webhooks: people::webhooks(&layers, &merged.webhooks)?,
            housekeeping: retention::resolve(&layers, &merged.retention)?,
            texts: costs::texts(&layers, &merged.records)?,
            telemetry: telemetry::resolve(&layers, &merged.telemetry)?,
            http: grants::resolve(&layers, &merged.grants)?,
            registries: registries::resolve(&layers, &merged.registries)?,
            vault: names_in_vault
                .iter()
                .map(|name| secrets::use_of(&layers, &merged, name))
                .collect(),
            host: merged.host,
            port: merged.port,
            token: merged.token.as_deref().and_then(layers::said).map(SecretString::from),
            log: merged.log,
            data_dir: merged.data_dir,
            profile_dirs,
            allowed_hosts: merged.allowed_hosts,
            allowed_origins: merged.allowed_origins,
            prices_file: merged.prices,
            prices,
            default_provider,
            providers,
            actor: people::actor(flags.actor.as_deref(), surroundings.actor())?,
            editor: surroundings.editor(),
            file_flag: flags.config.clone(),
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

/// Names of providers that a budget may be given to. A provider whose key is missing today keeps its budget.
fn named_providers(merged: &Merged) -> Vec<String> {
    let mut names = vec![gateway::SCRIPTED.to_owned()];
    names.extend(providers::WELL_KNOWN.map(str::to_owned));
    names.extend(merged.providers.keys().cloned());
    names.sort();
    names.dedup();
    names
}

fn fallback(layers: &Layers, text: &str) -> Result<FallbackPolicy, Error> {
    match text {
        "off" => Ok(FallbackPolicy::Off),
        "unknown_mode" => Ok(FallbackPolicy::UnknownMode),
        "forced" => Ok(FallbackPolicy::Forced),
        other => Err(layers.one_of("fallback", other, "`off`, `unknown_mode` or `forced`")),
    }
}

fn log_format(layers: &Layers, text: &str) -> Result<LogFormat, Error> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(layers.one_of("log_format", other, "`text` or `json`")),
    }
}

#[cfg(test)]
mod tests;
