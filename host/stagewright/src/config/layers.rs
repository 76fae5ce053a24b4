//! The layers of the configuration, each a figment provider with its name, so that every value knows its origin.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::file;
use super::surroundings::Surroundings;
use crate::error::Error;

/// The origin of what nobody said.
pub(super) const DEFAULT: &str = "default";
const ENVIRONMENT: &str = "environment";
const DOTENV: &str = ".env";
const FLAG: &str = "flag";
const FILE_NAME: &str = "stagewright.yaml";

/// What the command line says about the configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flags {
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) config: Option<PathBuf>,
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
}

/// How the text of a variable is understood.
#[derive(Clone, Copy)]
enum Reading {
    Text,
    Number { max: u64 },
}

/// An environment variable and the key that it sets.
struct Variable {
    name: &'static str,
    key: &'static str,
    reading: Reading,
}

const fn text(name: &'static str, key: &'static str) -> Variable {
    Variable { name, key, reading: Reading::Text }
}

const fn number(name: &'static str, key: &'static str, max: u64) -> Variable {
    Variable { name, key, reading: Reading::Number { max } }
}

const VARIABLES: &[Variable] = &[
    text("KIMI_API_KEY", "providers.kimi.key"),
    text("KIMI_MODEL", "providers.kimi.model"),
    text("KIMI_BASE_URL", "providers.kimi.base_url"),
    text("OPENAI_API_KEY", "providers.openai.key"),
    text("OPENAI_MODEL", "providers.openai.model"),
    text("OPENAI_BASE_URL", "providers.openai.base_url"),
    text("STAGEWRIGHT_DATA_DIR", "data_dir"),
    text("STAGEWRIGHT_PROVIDER", "provider"),
    text("STAGEWRIGHT_TOKEN", "token"),
    text("STAGEWRIGHT_HOST", "host"),
    number("STAGEWRIGHT_PORT", "port", u16::MAX as u64),
    text("STAGEWRIGHT_FALLBACK", "fallback"),
    text("STAGEWRIGHT_LOG", "log"),
    text("STAGEWRIGHT_LOG_FORMAT", "log_format"),
    number("STAGEWRIGHT_MODEL_CALL_S", "model_call_s", super::MODEL_CALL_SECONDS_MAX),
    number("STAGEWRIGHT_ATTEMPTS", "attempts", super::ATTEMPT_COUNT_MAX),
];

/// Everything that was read.
pub(super) struct Layers {
    pub(super) figment: Figment,
    environment: BTreeMap<String, String>,
}

impl Layers {
    /// A variable by name, from the environment or `.env`.
    pub(super) fn lookup(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }
}

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
    let dotenv = read_dotenv(&surroundings.working_folder().join(DOTENV))?;
    let from_dotenv = |name: &str| dotenv.get(name).map(String::as_str);
    let from_environment = |name: &str| surroundings.variable(name);
    let figment = Figment::new()
        .merge(defaults())
        .merge(file_layer(flags, surroundings.working_folder())?)
        .merge(variables_layer(DOTENV, &from_dotenv)?)
        .merge(variables_layer(ENVIRONMENT, &from_environment)?)
        .merge(flags_layer(flags));
    let mut environment = dotenv;
    environment.extend(surroundings.variables());
    Ok(Layers { figment, environment })
}

/// A text without the blanks around it; one that is blank says nothing.
pub(super) fn said(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

/// Where the value of a key comes from, for people.
pub(super) fn origin_of(figment: &Figment, key: &str) -> String {
    let Some(metadata) = figment.find_metadata(key) else { return DEFAULT.to_owned() };
    let layer = metadata.name.as_ref();
    let variable = VARIABLES.iter().find(|variable| variable.key == key);
    match variable {
        Some(variable) if layer == ENVIRONMENT || layer == DOTENV => {
            format!("{layer}: {}", variable.name)
        }
        _ if layer == FLAG => format!("{FLAG}: --{}", key.replace('_', "-")),
        _ => layer.to_owned(),
    }
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
            Reading::Text => Value::from(said),
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
