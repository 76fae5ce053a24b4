//! HTTP requests of a stage and what came of each, as files say them.
#[cfg(test)]
mod tests;

use std::path::Path;

use domain::Digest;
use domain::http::{HttpError, HttpErrorKind, HttpRequest, HttpResponse, masked_url};
use http::{HeaderName, HeaderValue};
use profile::Problem;
use serde::{Deserialize, Serialize};

use super::{digest_of_bytes, parse_json};
use crate::Error;
use crate::context::{parse_yaml, read_text, written_yaml};

/// The status of an answer that ends a connection's HTTP.
const SWITCHING_PROTOCOLS: u16 = 101;
/// Every other status that a stage can get, those included that no standard knows and some servers send. What else begins
/// with 1 comes before an answer, and no stage sees it.
const STATUSES: std::ops::RangeInclusive<u16> = 200..=999;

/// A request, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "HttpExchangeForm", into = "HttpExchangeForm")]
pub struct HttpExchange {
    /// For example `GET`.
    pub method: String,
    /// Where it went.
    pub url: String,
    /// Digest over the whole request. `None`, where a person wrote the file: method and URL are compared, and a secret in
    /// the URL may be masked.
    pub request_digest: Option<Digest>,
    /// What came of it; `None`: the attempt ended before.
    pub answer: Option<Result<HttpResponse, HttpError>>,
}

impl HttpExchange {
    /// Reads the file of one response: what is sent, and what comes of it.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Problems`] if it cannot be understood, or answers nothing.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let exchange: Self = parse_json(&read_text(path)?, path)?;
        if exchange.answer.is_none() {
            let message = "it has neither `answer` nor `error`";
            let problem = Problem::of_file(path.display().to_string(), message)
                .with_hint("write at least `\"answer\": { \"status\": 200 }`");
            return Err(Error::Problems(problem.into()));
        }
        Ok(exchange)
    }

    /// Whether it is about this request: by the digest if there is one, else by method and URL.
    pub(crate) fn is_of(&self, sent: &HttpRequest) -> bool {
        match &self.request_digest {
            Some(digest) => *digest == digest_of_bytes(&sent.digest_bytes()),
            None => {
                let is_url = self.url == sent.url || self.url == masked_url(&sent.url);
                self.method == sent.method && is_url
            }
        }
    }
}

/// A request in a word, for people: secrets in its URL are masked.
pub(crate) fn line_of(method: &str, url: &str) -> String {
    format!("{method} {}", masked_url(url))
}

/// A request as a fixture expects it. Headers are left out: libraries add their own, and each language has other ones.
/// Secrets in the URL are masked: the file goes into version control.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpRequestForm {
    method: String,
    url: String,
    #[serde(default, skip_serializing_if = "BytesForm::is_empty")]
    body: BytesForm,
}

impl HttpRequestForm {
    fn masked(self) -> Self {
        Self { url: masked_url(&self.url), ..self }
    }
}

/// Requests for people and for comparisons, as YAML.
pub(crate) fn requests_as_yaml(requests: &[HttpRequest]) -> String {
    let form = |request: &HttpRequest| HttpRequestForm {
        method: request.method.clone(),
        url: request.url.clone(),
        body: request.body.clone().into(),
    };
    written_yaml(&requests.iter().map(form).map(HttpRequestForm::masked).collect::<Vec<_>>())
}

/// The same requests as this program writes them.
pub(crate) fn requests_rewritten(text: &str, path: &Path) -> Result<String, Error> {
    let forms: Vec<HttpRequestForm> = parse_yaml(text, path)?;
    Ok(written_yaml(&forms.into_iter().map(HttpRequestForm::masked).collect::<Vec<_>>()))
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpExchangeForm {
    method: String,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<ResponseForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorForm>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResponseForm {
    status: u16,
    #[serde(default)]
    headers: Vec<(String, BytesForm)>,
    #[serde(default)]
    body: BytesForm,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorForm {
    kind: String,
    #[serde(default)]
    message: String,
}

/// Bytes: as they are where they are text, else in hexadecimal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "a body and the value of a header are a text (JSON as its text, in quotes), or `{ \"hex\": \"...\" }` for bytes that are no text"
)]
enum BytesForm {
    Text(String),
    Hex { hex: String },
}

impl Default for BytesForm {
    fn default() -> Self {
        BytesForm::Text(String::new())
    }
}

impl BytesForm {
    fn is_empty(&self) -> bool {
        matches!(self, BytesForm::Text(text) if text.is_empty())
    }
}

impl From<Vec<u8>> for BytesForm {
    fn from(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(
            |bytes| BytesForm::Hex { hex: hex::encode(bytes.as_bytes()) },
            BytesForm::Text,
        )
    }
}

impl TryFrom<BytesForm> for Vec<u8> {
    type Error = String;

    fn try_from(form: BytesForm) -> Result<Self, String> {
        match form {
            BytesForm::Text(text) => Ok(text.into_bytes()),
            BytesForm::Hex { hex } => {
                hex::decode(hex).map_err(|problem| format!("`hex` is not hexadecimal: {problem}"))
            }
        }
    }
}

impl From<HttpExchange> for HttpExchangeForm {
    fn from(exchange: HttpExchange) -> Self {
        let (answer, error) = match exchange.answer {
            Some(Ok(response)) => {
                let header = |(name, value): (String, Vec<u8>)| (name, BytesForm::from(value));
                let form = ResponseForm {
                    status: response.status,
                    headers: response.headers.into_iter().map(header).collect(),
                    body: response.body.into(),
                };
                (Some(form), None)
            }
            Some(Err(error)) => {
                let kind = error.kind.code().to_owned();
                (None, Some(ErrorForm { kind, message: error.message }))
            }
            None => (None, None),
        };
        Self {
            method: exchange.method,
            url: exchange.url,
            request_digest: exchange.request_digest.map(|digest| digest.to_string()),
            answer,
            error,
        }
    }
}

impl TryFrom<HttpExchangeForm> for HttpExchange {
    type Error = String;

    fn try_from(form: HttpExchangeForm) -> Result<Self, String> {
        let answer = match (form.answer, form.error) {
            (Some(_), Some(_)) => {
                return Err(
                    "it has both `answer`, which is what came, and `error`, which says that nothing did: keep one of the two"
                        .to_owned(),
                );
            }
            (Some(response), None) => Some(Ok(response.into_response()?)),
            (None, Some(error)) => Some(Err(error.into_error()?)),
            (None, None) => None,
        };
        let parse = |text: String| {
            text.parse::<Digest>().map_err(|problem| format!("`request_digest`: {problem}"))
        };
        let request_digest = form.request_digest.map(parse).transpose()?;
        Ok(Self { method: form.method, url: form.url, request_digest, answer })
    }
}

impl ResponseForm {
    fn into_response(self) -> Result<HttpResponse, String> {
        if self.status != SWITCHING_PROTOCOLS && !STATUSES.contains(&self.status) {
            return Err(format!(
                "no stage gets the `status` {}: there are {SWITCHING_PROTOCOLS}, and {} to {}",
                self.status,
                STATUSES.start(),
                STATUSES.end()
            ));
        }
        let header = |(idx, (name, value)): (usize, (String, BytesForm))| {
            header(&name, value).map_err(|problem| format!("`/answer/headers/{idx}`: {problem}"))
        };
        Ok(HttpResponse {
            status: self.status,
            headers: self.headers.into_iter().enumerate().map(header).collect::<Result<_, _>>()?,
            body: self.body.try_into()?,
        })
    }
}

/// A header as a server can send it. One that it cannot would fail in the stage, which has no part in it.
fn header(name: &str, value: BytesForm) -> Result<(String, Vec<u8>), String> {
    let shown = name.escape_debug();
    let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
        format!("`{shown}` is no name of a header: it has letters, digits and `-`, and no blank")
    })?;
    let value: Vec<u8> = value.try_into()?;
    HeaderValue::from_bytes(&value).map_err(|_| {
        format!("the value of `{shown}` has a line break or another control character, which no server can send")
    })?;
    Ok((known.as_str().to_owned(), value))
}

impl ErrorForm {
    fn into_error(self) -> Result<HttpError, String> {
        let Some(kind) = HttpErrorKind::from_code(&self.kind) else {
            let known: Vec<&str> = HttpErrorKind::ALL.iter().map(|kind| kind.code()).collect();
            return Err(format!("no error `{}`: there are `{}`", self.kind, known.join("`, `")));
        };
        Ok(HttpError { kind, message: self.message })
    }
}
