//! The layers of the configuration, each a figment provider with its name, so that every value knows its origin.
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use secrecy::{ExposeSecret, SecretString};

use super::file;
use super::surroundings::Surroundings;
use super::variables::{Reading, VARIABLES, VAULT_KEY};
use crate::error::Error;
use crate::vault::Vault;

/// The origin of what nobody said.
pub(super) const DEFAULT: &str = "default";
const ENVIRONMENT: &str = "environment";
const DOTENV: &str = ".env";
const FLAG: &str = "flag";
const VAULT: &str = "vault";
const FILE_NAME: &str = "stagewright.yaml";

/// What the command line says about the configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flags {
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) config: Option<PathBuf>,
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    /// Who acts. No layer of its own: it is said of a command, and never kept.
    pub(crate) actor: Option<String>,
}

/// Everything that was read. No `Debug`: it holds keys.
pub(super) struct Layers {
    pub(super) figment: Figment,
    environment: BTreeMap<String, String>,
    dotenv_names: BTreeSet<String>,
    vault: Vault,
    pub(super) vault_passphrase: Option<SecretString>,
}

impl Layers {
    /// A variable by name, from the environment, `.env`, or the vault.
    pub(super) fn lookup(&self, name: &str) -> Option<SecretString> {
        let set = self.environment.get(name).map(|value| SecretString::from(value.as_str()));
        set.or_else(|| self.vault.secret(name))
    }

    /// Whether it is the vault that [`Layers::lookup`] takes a name from.
    pub(super) fn is_from_vault(&self, name: &str) -> bool {
        !self.environment.contains_key(name) && self.vault.secret(name).is_some()
    }

    /// The names in the vault.
    pub(super) fn vault_names(&self) -> Vec<String> {
        self.vault.names()
    }

    /// The layer that has a variable and wins over the vault.
    pub(super) fn layer_over_vault(&self, name: &str) -> Option<&'static str> {
        let is_dotenv = self.dotenv_names.contains(name);
        let layer = if is_dotenv { DOTENV } else { ENVIRONMENT };
        self.environment.contains_key(name).then_some(layer)
    }

    /// Whether the value of a key was said in the file, and nowhere else with more weight.
    pub(super) fn is_from_file(&self, key: &str) -> bool {
        let layer = self.figment.find_metadata(key).map(|metadata| metadata.name.as_ref());
        layer.is_some_and(|layer| ![ENVIRONMENT, DOTENV, VAULT, FLAG, DEFAULT].contains(&layer))
    }

    /// Where the value of a key comes from, for people.
    pub(super) fn origin_of(&self, key: &str) -> String {
        let Some(metadata) = self.figment.find_metadata(key) else { return DEFAULT.to_owned() };
        let layer = metadata.name.as_ref();
        let variable = VARIABLES.iter().find(|variable| variable.key == key);
        match variable {
            Some(variable) if [ENVIRONMENT, DOTENV, VAULT].contains(&layer) => {
                format!("{layer}: {}", variable.name)
            }
            _ if layer == FLAG => format!("{FLAG}: --{}", key.replace('_', "-")),
            _ => layer.to_owned(),
        }
    }

    /// A number within its bounds.
    pub(super) fn bounded(
        &self,
        key: &str,
        value: u64,
        range: RangeInclusive<u64>,
    ) -> Result<u64, Error> {
        if range.contains(&value) {
            return Ok(value);
        }
        let (min, max) = range.into_inner();
        let origin = self.origin_of(key);
        let message = format!("`{key}` is {value}, not {min} to {max} ({origin})");
        Err(Error::Config { message, hint: None })
    }

    /// A word that is none of those that are known.
    pub(super) fn one_of(&self, key: &str, found: &str, known: &str) -> Error {
        let message = format!("`{key}` is `{found}`, not {known} ({})", self.origin_of(key));
        Error::Config { message, hint: None }
    }
}

#[derive(Clone)]
struct Layer {
    name: String,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// Reads all layers, the weakest first.
pub(super) fn read(flags: &Flags, surroundings: &Surroundings) -> Result<Layers, Error> {
    let folder = surroundings.working_folder();
    let dotenv = read_dotenv(&folder.join(DOTENV))?;
    let from_dotenv = |name: &str| dotenv.get(name).map(String::as_str);
    let from_environment = |name: &str| surroundings.variable(name);
    let below = [defaults(), file_layer(flags, folder)?];
    let above = [
        variables_layer(DOTENV, &from_dotenv)?,
        variables_layer(ENVIRONMENT, &from_environment)?,
        flags_layer(flags),
    ];
    // The vault lies in the data folder, so that all other layers are needed to find it.
    let without_vault = merged(below.iter().chain(&above));
    let data_dir: PathBuf =
        without_vault.extract_inner("data_dir").map_err(|error| super::unfit(&error))?;
    let vault_passphrase = from_environment(VAULT_KEY)
        .or_else(|| from_dotenv(VAULT_KEY))
        .and_then(said)
        .map(SecretString::from);
    let vault = Vault::open(&folder.join(data_dir), vault_passphrase.as_ref())?;
    let vault_layer = [vault_layer(&vault)];
    let figment = merged(below.iter().chain(&vault_layer).chain(&above));
    let dotenv_names =
        dotenv.keys().filter(|name| from_environment(name).is_none()).cloned().collect();
    let mut environment = dotenv;
    environment.extend(surroundings.variables());
    Ok(Layers { figment, environment, dotenv_names, vault, vault_passphrase })
}

fn merged<'a>(layers: impl Iterator<Item = &'a Layer>) -> Figment {
    layers.fold(Figment::new(), |figment, layer| figment.merge(layer.clone()))
}

/// What the vault holds for variables of ours. What else it holds is found by name, as `key_env` says it.
fn vault_layer(vault: &Vault) -> Layer {
    let mut values = Dict::new();
    for variable in VARIABLES.iter().filter(|variable| variable.reading == Reading::Secret) {
        let Some(secret) = vault.secret(variable.name) else { continue };
        if let Some(text) = said(secret.expose_secret()) {
            put(&mut values, variable.key, Value::from(text));
        }
    }
    Layer { name: VAULT.to_owned(), values }
}

/// A text without the blanks around it; one that is blank says nothing.
pub(super) fn said(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

fn defaults() -> Layer {
    let values = [
        ("data_dir", Value::from(".stagewright")),
        ("host", Value::from("127.0.0.1")),
        ("port", Value::from(8766_u16)),
        ("fallback", Value::from("unknown_mode")),
        ("log_format", Value::from("text")),
        ("model_call_s", Value::from(gateway::Provider::CALL_TIME_MAX.as_secs())),
        // Stages mostly wait for a model; this many fit into 64 MiB each on a small machine's address space.
        ("attempts", Value::from(64_u64)),
        // Answers that are paid for; service managers wait 90 seconds before they kill.
        ("shutdown_s", Value::from(30_u64)),
    ];
    Layer {
        name: DEFAULT.to_owned(),
        values: values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    }
}

fn flags_layer(flags: &Flags) -> Layer {
    let mut values = Dict::new();
    if let Some(data_dir) = &flags.data_dir {
        put(&mut values, "data_dir", Value::from(data_dir.to_string_lossy().into_owned()));
    }
    if let Some(host) = &flags.host {
        put(&mut values, "host", Value::from(host.as_str()));
    }
    if let Some(port) = flags.port {
        put(&mut values, "port", Value::from(port));
    }
    Layer { name: FLAG.to_owned(), values }
}

fn file_layer(flags: &Flags, working_folder: &Path) -> Result<Layer, Error> {
    let path = match &flags.config {
        Some(path) => working_folder.join(path),
        None => working_folder.join(FILE_NAME),
    };
    let shown = flags.config.clone().unwrap_or_else(|| PathBuf::from(FILE_NAME));
    let said = match file::read(&path, &shown)? {
        Some(said) => said,
        None if flags.config.is_none() => file::SaidFile::default(),
        None => {
            return Err(Error::Config {
                message: format!("no configuration file `{}`", shown.display()),
                hint: None,
            });
        }
    };
    let unserializable = |_| Error::Config {
        message: format!("`{}` cannot be understood", shown.display()),
        hint: None,
    };
    let values = match Value::serialize(&said).map_err(unserializable)? {
        Value::Dict(_, values) => values,
        _ => Dict::new(),
    };
    Ok(Layer { name: shown.display().to_string(), values })
}

fn variables_layer<'a>(
    layer: &str,
    lookup: &dyn Fn(&str) -> Option<&'a str>,
) -> Result<Layer, Error> {
    let mut values = Dict::new();
    for variable in VARIABLES {
        let Some(said) = lookup(variable.name).and_then(said) else { continue };
        let value = match variable.reading {
            Reading::Text | Reading::Secret => Value::from(said),
            Reading::Number { max } => match said.parse::<u64>() {
                Ok(number) if number <= max => Value::from(number),
                Ok(_) | Err(_) => {
                    return Err(Error::Config {
                        message: format!(
                            "{layer}: `{}` is `{said}`, not a number up to {max}",
                            variable.name
                        ),
                        hint: None,
                    });
                }
            },
        };
        put(&mut values, variable.key, value);
    }
    Ok(Layer { name: layer.to_owned(), values })
}

/// Puts a value at a dotted key.
fn put(values: &mut Dict, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            values.insert(key.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = values.entry(first.to_owned()).or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

fn read_dotenv(path: &Path) -> Result<BTreeMap<String, String>, Error> {
    let lines = match dotenvy::from_path_iter(path) {
        Ok(lines) => lines,
        Err(error) if error.not_found() => return Ok(BTreeMap::new()),
        Err(error) => return Err(dotenv_error(&error, path)),
    };
    lines
        .collect::<Result<Vec<_>, _>>()
        .map(|pairs| pairs.into_iter().filter(|(_, value)| said(value).is_some()).collect())
        .map_err(|error| dotenv_error(&error, path))
}

/// The library's own message shows the line, which may hold a key; only its place is told.
fn dotenv_error(error: &dotenvy::Error, path: &Path) -> Error {
    let message = match error {
        dotenvy::Error::LineParse(line, column) => {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let found = text.lines().position(|candidate| candidate == line);
            let place =
                found.map_or_else(String::new, |index| format!(":{}:{}", index + 1, column + 1));
            format!("{DOTENV}{place}: the line is not `NAME=value`")
        }
        dotenvy::Error::Io(cause) => format!("`{DOTENV}` cannot be read: {cause}"),
        _ => format!("`{DOTENV}` cannot be read"),
    };
    Error::Config { message, hint: Some("put values with blanks or `#` in quotes".to_owned()) }
}
