//! YAML, and JSON as a part of it, read into forms with the place of what is wrong; and forms written as YAML.
use std::path::Path;

use profile::{Place, Problem};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_saphyr::{Error as YamlError, Options, UserMessageFormatter};

use crate::Error;

/// Deepest nesting of JSON that crosses the contract, and some levels of the form around it.
const DEPTH_MAX: usize = 140;
/// Most values of a file: an input with every variable and artifact that the contract allows stays far below.
const NODE_COUNT_MAX: usize = 250_000;
/// Bytes of all texts of a file: as many as the file may have.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// Understands the text of the file at `path`.
pub(crate) fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_saphyr::from_str_with_options(text, options())
        .map_err(|error| Error::Problems(problem(&error, path).into()))
}

/// A form as YAML. Texts of several lines stand as they are, so that a diff shows what changed.
pub(crate) fn written<T: Serialize>(form: &T) -> String {
    let options = serde_saphyr::ser_options! {
        // A long line stays one: where it is folded depends on its words, and a change of one would move the rest.
        folded_wrap_chars: usize::MAX,
    };
    serde_saphyr::to_string_with_options(form, options)
        .expect("the forms of this crate have texts as keys")
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_nodes: NODE_COUNT_MAX,
            max_total_scalar_bytes: TEXT_BYTES_MAX,
        },
        strict_booleans: true,
        with_snippet: false,
    }
}

fn problem(error: &YamlError, path: &Path) -> Problem {
    let root = error.without_snippet();
    let (message, hint) = match root {
        YamlError::SerdeUnknownField { field, expected, .. } => {
            (format!("there is no `{field}` here"), Some(known_hint(field, expected)))
        }
        YamlError::SerdeUnknownVariant { variant, expected, .. } => {
            (format!("`{variant}` is not known here"), Some(known_hint(variant, expected)))
        }
        YamlError::SerdeMissingField { field, .. } => (format!("`{field}` is missing"), None),
        YamlError::DuplicateMappingKey { key: Some(key), .. } => {
            (format!("`{key}` is said twice"), Some("keep one of the two".to_owned()))
        }
        other => (rendered(other), None),
    };
    let path = path.display().to_string();
    let location = error.location().or_else(|| root.location()).filter(|place| place.line() > 0);
    let clamped = |place: u64| u32::try_from(place).unwrap_or(u32::MAX);
    let place = match location {
        Some(place) => Place::File {
            path,
            line: clamped(place.line()),
            column: clamped(place.column().max(1)),
        },
        None => Place::FileOnly { path },
    };
    Problem { place, message, hint }
}

/// The parser's message without the place, which stands beside it.
fn rendered(error: &YamlError) -> String {
    let whole = error.render_with_formatter(&UserMessageFormatter);
    let line = whole.lines().next().unwrap_or_default();
    let line = line.rfind(" at line ").map_or(line, |end| &line[..end]);
    line.trim().trim_end_matches('.').to_owned()
}

/// Names what was probably meant, and all that is known.
pub(crate) fn known_hint(asked: &str, known: &[&str]) -> String {
    let listed = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match profile::closest(asked, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`? there are {listed}"),
        None => format!("there are {listed}"),
    }
}
