//! Questions of a stage to models, and what came of each, as files say them.
//!
//! Fixtures, trials and recordings share these forms. The ports that give answers of files, or write down what others
//! answer, are in `ports`.
mod form;
mod http;
mod ports;
mod script;
#[cfg(test)]
mod tests;

use std::path::Path;

use domain::Digest;
use domain::model::{Completion, FinishReason, ModelError, ModelRequest, Usage, UsageSource};
use profile::Problem;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub(crate) use form::parse_json;
use form::{AnswerForm, ExchangeForm, RequestForm};
pub use http::HttpExchange;
pub(crate) use http::{line_of, requests_as_yaml, requests_rewritten};
pub(crate) use ports::Kept;
pub use ports::{CallBound, Recorder, Script};
pub use script::HttpScript;

use crate::Error;
use crate::context::{read_text, written_yaml};

/// A question, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ExchangeForm", into = "ExchangeForm")]
pub struct Exchange {
    /// The question. In a recording of a run it is as it went out, with the options that the profile fills in.
    pub request: ModelRequest,
    /// Digest of the question as the stage asked it. `None`, where a person wrote the file: the question itself is
    /// compared.
    pub request_digest: Option<Digest>,
    /// What came of it.
    pub answer: Answer,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An answer.
    Complete(Completion),
    /// None.
    Failed {
        /// What the stage was told.
        error: ModelError,
        /// The text that had come, for a stage that reads in pieces.
        partial: String,
    },
    /// The attempt ended while the question was open.
    Open {
        /// The text that had come.
        partial: String,
    },
}

impl Answer {
    /// An answer that has just this text.
    pub fn of_text(content: String) -> Self {
        Answer::Complete(Completion {
            content,
            finish_reason: FinishReason::Stop,
            model: "fixture".to_owned(),
            usage: Usage { source: UsageSource::Estimated, ..Usage::default() },
            cost_nano_usd: None,
        })
    }

    /// Reads the file of one answer: `*.json` says it in full, any other file is its text.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Problems`] if it cannot be understood, or answers nothing.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = read_text(path)?;
        if path.extension().is_none_or(|extension| extension != "json") {
            return Ok(Self::of_text(text));
        }
        let form: AnswerForm = parse_json(&text, path)?;
        let problem = |message: String| Problem::of_file(path.display().to_string(), message);
        if !form.answers() {
            let problem = problem("it has neither `content` nor `error`".to_owned());
            let hint =
                "write `\"content\": \"...\"`, or e.g. `\"error\": { \"kind\": \"timeout\" }`";
            return Err(Error::Problems(problem.with_hint(hint).into()));
        }
        Answer::try_from(form).map_err(|message: String| Error::Problems(problem(message).into()))
    }
}

/// The digest by which a replay recognizes a question, as in the journal of a run.
pub fn digest_of(request: &ModelRequest) -> Digest {
    digest_of_bytes(&request.digest_bytes())
}

pub(crate) fn digest_of_bytes(bytes: &[u8]) -> Digest {
    let text = format!("{}{}", Digest::PREFIX, hex::encode(Sha256::digest(bytes)));
    text.parse().expect("a SHA-256 in hexadecimal is a digest")
}

/// Questions for people and for comparisons, as YAML.
pub(crate) fn questions_as_yaml(requests: &[ModelRequest]) -> String {
    written_yaml(&requests.iter().map(RequestForm::from).collect::<Vec<_>>())
}

/// The questions that a YAML file has.
pub(crate) fn questions_from_yaml(text: &str, path: &Path) -> Result<Vec<ModelRequest>, Error> {
    let forms: Vec<RequestForm> = crate::context::parse_yaml(text, path)?;
    Ok(forms.into_iter().map(ModelRequest::from).collect())
}
