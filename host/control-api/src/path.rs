//! Reads the names in the path of a request. A name that cannot be one is told apart from one that nobody has: the
//! first is a mistake of the caller, and the answer says which.
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use domain::{ApprovalId, ArtifactName, CallId, Mode, RunId, StageKey};

use crate::dto::ProblemItemDto;
use crate::{Code, Problem};

/// Takes the names out of the path.
pub(crate) struct InPath<T>(pub(crate) T);

/// What a path may name.
pub(crate) trait PathNames: Sized {
    /// The names, or `None` after [`PathReader`] noted what is wrong.
    fn read(reader: &mut PathReader) -> Option<Self>;
}

impl PathNames for RunId {
    fn read(reader: &mut PathReader) -> Option<Self> {
        reader.parse("run_id", "run id")
    }
}

impl PathNames for ApprovalId {
    fn read(reader: &mut PathReader) -> Option<Self> {
        reader.parse("approval_id", "approval id")
    }
}

impl PathNames for CallId {
    fn read(reader: &mut PathReader) -> Option<Self> {
        reader.parse("call_id", "call id")
    }
}

impl PathNames for Mode {
    fn read(reader: &mut PathReader) -> Option<Self> {
        reader.parse("mode", "mode")
    }
}

/// A stage of a run.
pub(crate) struct StageOfRun {
    pub(crate) run: RunId,
    pub(crate) stage: StageKey,
}

impl PathNames for StageOfRun {
    fn read(reader: &mut PathReader) -> Option<Self> {
        let run = reader.parse("run_id", "run id");
        let stage = reader.parse("stage", "stage");
        Some(Self { run: run?, stage: stage? })
    }
}

/// An attempt at a stage of a run.
pub(crate) struct AttemptOfRun {
    pub(crate) run: RunId,
    pub(crate) stage: StageKey,
    /// `None`: the last one that has ended.
    pub(crate) attempt: Option<u32>,
}

/// A number from 1, or the word for the last one.
struct WhichAttempt(Option<u32>);

impl FromStr for WhichAttempt {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "latest" {
            return Ok(Self(None));
        }
        let number = text.parse().ok().filter(|number| *number > 0);
        number.map(|number| Self(Some(number))).ok_or("it is neither a number from 1 nor `latest`")
    }
}

impl PathNames for AttemptOfRun {
    fn read(reader: &mut PathReader) -> Option<Self> {
        let StageOfRun { run, stage } = StageOfRun::read(reader)?;
        let attempt: WhichAttempt = reader.parse("attempt", "attempt")?;
        Some(Self { run, stage, attempt: attempt.0 })
    }
}

/// An artifact of a run.
pub(crate) struct ArtifactOfRun {
    pub(crate) run: RunId,
    pub(crate) stage: StageKey,
    pub(crate) name: ArtifactName,
}

impl PathNames for ArtifactOfRun {
    fn read(reader: &mut PathReader) -> Option<Self> {
        let run = reader.parse("run_id", "run id");
        let stage = reader.parse("stage", "stage");
        let name = reader.parse("name", "artifact name");
        Some(Self { run: run?, stage: stage?, name: name? })
    }
}

/// A name that only a lookup can judge.
pub(crate) struct AnyName(pub(crate) String);

impl PathNames for AnyName {
    fn read(reader: &mut PathReader) -> Option<Self> {
        reader.parse("name", "name").map(AnyName)
    }
}

/// The decoded parts of a path, and what is wrong with them.
pub(crate) struct PathReader {
    values: Vec<(String, String)>,
    problems: Vec<ProblemItemDto>,
}

impl PathReader {
    fn parse<T>(&mut self, parameter: &str, noun: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        let found = self.values.iter().find(|(name, _)| name == parameter);
        let text = found.map(|(_, value)| value.as_str()).unwrap_or_default();
        match text.parse() {
            Ok(value) => Some(value),
            Err(reason) => {
                let message = format!("`{text}` is no {noun}: {reason}");
                self.problems
                    .push(ProblemItemDto::at(format!("path parameter `{parameter}`"), message));
                None
            }
        }
    }
}

impl<T: PathNames, S: Send + Sync> FromRequestParts<S> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let raw = RawPathParams::from_request_parts(parts, state).await.map_err(|rejection| {
            Problem::new(Code::IdInvalid, format!("the path cannot be read: {rejection}"))
        })?;
        let values = raw.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut reader = PathReader { values, problems: Vec::new() };
        if let Some(names) = T::read(&mut reader) {
            return Ok(Self(names));
        }
        let messages: Vec<&str> =
            reader.problems.iter().map(|item| item.message.as_str()).collect();
        let detail = messages.join("; ");
        Err(Problem::new(Code::IdInvalid, detail).with_items(reader.problems))
    }
}
