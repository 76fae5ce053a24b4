//! Texts on the command line that may lie in a file: `TEXT`, `@FILE`, `-`, and `NAME=TEXT|@FILE`.
use std::convert::Infallible;
use std::io::Read;
use std::path::PathBuf;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::error::Error;

/// Longest text that is read from a file or from standard input, in bytes: more than the host accepts, so that it is
/// the host who says what is too long.
const TEXT_BYTES_MAX: u64 = 4 << 20;

/// Where a text comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TextSource {
    Literal(String),
    File(PathBuf),
    StandardInput,
}

impl FromStr for TextSource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.strip_prefix('@') {
            Some(path) => TextSource::File(PathBuf::from(path)),
            None if text == "-" => TextSource::StandardInput,
            None => TextSource::Literal(text.to_owned()),
        })
    }
}

impl TextSource {
    pub(crate) fn read(&self) -> Result<String, Error> {
        match self {
            TextSource::Literal(text) => Ok(text.clone()),
            TextSource::File(path) => {
                let place = path.display().to_string();
                let file = std::fs::File::open(path).map_err(|error| unreadable(&place, &error))?;
                read_bounded(file, &place)
            }
            TextSource::StandardInput => read_bounded(std::io::stdin().lock(), "standard input"),
        }
    }
}

fn read_bounded(source: impl Read, place: &str) -> Result<String, Error> {
    let mut text = String::new();
    source
        .take(TEXT_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| unreadable(place, &error))?;
    if text.len() as u64 > TEXT_BYTES_MAX {
        return Err(Error::usage(format!("`{place}` has more than {TEXT_BYTES_MAX} bytes")));
    }
    Ok(text)
}

fn unreadable(place: &str, error: &std::io::Error) -> Error {
    Error::Usage {
        message: format!("`{place}` cannot be read: {error}"),
        hint: Some("name a file that exists after `@`, or `-` for standard input".to_owned()),
    }
}

/// `NAME=TEXT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    name: String,
    value: String,
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok(Assignment { name: name.trim().to_owned(), value: value.to_owned() })
            }
            _ => Err("it is not `NAME=VALUE`".to_owned()),
        }
    }
}

/// Context variables: each value is JSON, or text where it is none.
pub(crate) fn variables(assignments: &[Assignment]) -> Result<Map<String, Value>, Error> {
    let as_json = |text: &str| {
        Ok(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())))
    };
    object("--var", assignments, as_json)
}

/// Texts to put in place of artifacts, by the artifacts' names.
pub(crate) fn edits(assignments: &[Assignment]) -> Result<Vec<(String, String)>, Error> {
    let mut all: Vec<(String, String)> = Vec::new();
    for Assignment { name, value } in assignments {
        if all.iter().any(|(known, _)| known == name) {
            return Err(Error::usage(format!("`--edit {name}` is given twice")));
        }
        let source: TextSource = value.parse().expect("every text is a source");
        all.push((name.clone(), source.read()?));
    }
    Ok(all)
}

/// The JSON object of an override option; `None` if the option was not given.
pub(crate) fn overrides(
    option: &str,
    assignments: &[Assignment],
    as_value: fn(&str) -> Result<Value, String>,
) -> Result<Option<Value>, Error> {
    if assignments.is_empty() {
        return Ok(None);
    }
    let read = |text: &str| match text.strip_prefix('@') {
        Some(path) => {
            as_value(&TextSource::File(PathBuf::from(path)).read()?).map_err(Error::usage)
        }
        None => as_value(text).map_err(Error::usage),
    };
    Ok(Some(Value::Object(object(option, assignments, read)?)))
}

fn object(
    option: &str,
    assignments: &[Assignment],
    read: impl Fn(&str) -> Result<Value, Error>,
) -> Result<Map<String, Value>, Error> {
    let mut values = Map::new();
    for Assignment { name, value } in assignments {
        let value =
            read(value).map_err(|error| Error::usage(format!("`{option} {name}`: {error}")))?;
        if values.insert(name.clone(), value).is_some() {
            return Err(Error::usage(format!("`{option} {name}` is given twice")));
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_may_lie_in_a_file_or_come_from_standard_input() {
        let source = |text: &str| text.parse::<TextSource>().unwrap();
        assert_eq!(source("a brief"), TextSource::Literal("a brief".to_owned()));
        assert_eq!(source("@brief.md"), TextSource::File(PathBuf::from("brief.md")));
        assert_eq!(source("-"), TextSource::StandardInput);
        assert_eq!(source("-- no flag"), TextSource::Literal("-- no flag".to_owned()));
    }

    #[test]
    fn a_file_is_read_and_a_missing_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("brief.md");
        std::fs::write(&path, "honey").unwrap();
        assert_eq!(TextSource::File(path.clone()).read().unwrap(), "honey");
        let missing = TextSource::File(folder.path().join("none.md")).read().unwrap_err();
        assert!(missing.to_string().contains("none.md` cannot be read"));
        assert_eq!(missing.exit(), crate::error::Exit::Usage);
    }

    #[test]
    fn a_variable_is_json_or_text() {
        let assignments: Vec<Assignment> = ["a=1", "b=two words", "c={\"d\":[]}", "e=x=y"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        assert_eq!(
            Value::Object(variables(&assignments).unwrap()),
            json!({"a": 1, "b": "two words", "c": {"d": []}, "e": "x=y"})
        );
    }

    #[test]
    fn an_assignment_without_a_name_or_twice_is_refused() {
        assert!("=x".parse::<Assignment>().is_err());
        assert!("x".parse::<Assignment>().is_err());
        let twice = ["a=1".parse().unwrap(), "a=2".parse().unwrap()];
        assert_eq!(variables(&twice).unwrap_err().to_string(), "`--var a` is given twice");
    }

    #[test]
    fn an_edit_lies_in_a_file_and_each_artifact_is_named_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.md");
        std::fs::write(&path, "my text\n").unwrap();
        let assignment: Assignment = format!("research.md=@{}", path.display()).parse().unwrap();
        let one = edits(std::slice::from_ref(&assignment)).unwrap();
        assert_eq!(one, [("research.md".to_owned(), "my text\n".to_owned())]);
        let twice = edits(&[assignment.clone(), assignment]).unwrap_err();
        assert_eq!(twice.to_string(), "`--edit research.md` is given twice");
    }

    #[test]
    fn an_override_may_lie_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("style.txt");
        std::fs::write(&path, "plain words").unwrap();
        let assignment = format!("house_style=@{}", path.display()).parse().unwrap();
        let as_text = |text: &str| Ok(Value::String(text.to_owned()));
        assert_eq!(
            overrides("--skill-override", &[assignment], as_text).unwrap(),
            Some(json!({"house_style": "plain words"}))
        );
    }
}
