//! Headers and body of an HTTP request or answer, as they are stored. A body that is no text is kept in hexadecimal.
use domain::http::{HttpRequest, HttpResponse, is_secret};
use serde::{Deserialize, Serialize};

use super::{Unreadable, decode, encode};
use crate::Error;

/// What stands in place of the value of a header that is a secret.
const NOT_KEPT: &str = "(not kept)";

/// A request or an answer.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HttpTextRecord {
    /// Of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    headers: Vec<(String, BytesRecord)>,
    body: BytesRecord,
    /// How long the body was, where it was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    whole_bytes: Option<usize>,
}

/// Bytes, readable where they are text.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BytesRecord {
    Text(String),
    Hex(String),
}

impl From<&[u8]> for BytesRecord {
    fn from(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => BytesRecord::Text(text.to_owned()),
            Err(_) => BytesRecord::Hex(hex::encode(bytes)),
        }
    }
}

impl TryFrom<BytesRecord> for Vec<u8> {
    type Error = Unreadable;

    fn try_from(record: BytesRecord) -> Result<Self, Unreadable> {
        match record {
            BytesRecord::Text(text) => Ok(text.into_bytes()),
            BytesRecord::Hex(text) => {
                hex::decode(text).map_err(|error| Unreadable(format!("bytes: {error}")))
            }
        }
    }
}

impl HttpTextRecord {
    /// Cuts the body to so many bytes; says whether that changed anything.
    pub(crate) fn shorten(&mut self, bytes_max: usize) -> bool {
        let whole_bytes = match &self.body {
            BytesRecord::Text(text) => text.len(),
            BytesRecord::Hex(text) => text.len() / 2,
        };
        if whole_bytes <= bytes_max {
            return false;
        }
        match &mut self.body {
            BytesRecord::Text(text) => text.truncate(text.floor_char_boundary(bytes_max)),
            BytesRecord::Hex(text) => text.truncate(bytes_max * 2),
        }
        self.whole_bytes = Some(whole_bytes);
        true
    }
}

fn header(name: &str, value: &[u8]) -> (String, BytesRecord) {
    (name.to_owned(), BytesRecord::from(value))
}

pub(crate) fn encode_http_request(request: &HttpRequest) -> Result<String, Error> {
    let kept = |(name, value): &(String, Vec<u8>)| match is_secret(name) {
        true => header(name, NOT_KEPT.as_bytes()),
        false => header(name, value),
    };
    encode(&HttpTextRecord {
        status: None,
        headers: request.headers.iter().map(kept).collect(),
        body: BytesRecord::from(request.body.as_slice()),
        whole_bytes: None,
    })
}

pub(crate) fn encode_http_response(response: &HttpResponse) -> Result<String, Error> {
    encode(&HttpTextRecord {
        status: Some(response.status),
        headers: response.headers.iter().map(|(name, value)| header(name, value)).collect(),
        body: BytesRecord::from(response.body.as_slice()),
        whole_bytes: None,
    })
}

pub(crate) fn decode_http_response(text: &str) -> Result<HttpResponse, Error> {
    decode::<HttpTextRecord, _>(text)
}

impl TryFrom<HttpTextRecord> for HttpResponse {
    type Error = Unreadable;

    fn try_from(record: HttpTextRecord) -> Result<Self, Unreadable> {
        let status =
            record.status.ok_or_else(|| Unreadable("an answer has a status".to_owned()))?;
        let headers = record.headers.into_iter().map(|(name, value)| Ok((name, value.try_into()?)));
        Ok(Self {
            status,
            headers: headers.collect::<Result<_, Unreadable>>()?,
            body: record.body.try_into()?,
        })
    }
}

pub(crate) fn encode_http_text(record: &HttpTextRecord) -> Result<String, Error> {
    encode(record)
}

pub(crate) fn decode_http_text(text: &str) -> Result<HttpTextRecord, Error> {
    serde_json::from_str(text).map_err(|error| Error::damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_as_this_and_comes_back() {
        let response = HttpResponse {
            status: 404,
            headers: vec![("x-a".to_owned(), b"b".to_vec()), ("x-b".to_owned(), vec![0xff])],
            body: b"no bees".to_vec(),
        };
        let text = encode_http_response(&response).unwrap();
        insta::assert_snapshot!(text, @r#"{"status":404,"headers":[["x-a",{"text":"b"}],["x-b",{"hex":"ff"}]],"body":{"text":"no bees"}}"#);
        assert_eq!(decode_http_response(&text).unwrap(), response);
    }

    #[test]
    fn secrets_of_a_request_are_not_kept_and_a_body_can_be_cut() {
        let request = HttpRequest {
            method: "POST".to_owned(),
            url: "https://example.com/".to_owned(),
            headers: vec![("authorization".to_owned(), b"Bearer s3cret".to_vec())],
            body: "süße Bienen".as_bytes().to_vec(),
        };
        let text = encode_http_request(&request).unwrap();
        assert!(!text.contains("s3cret"), "{text}");
        let mut record = decode_http_text(&text).unwrap();
        assert!(record.shorten(2) && !record.shorten(2));
        insta::assert_snapshot!(encode_http_text(&record).unwrap(), @r#"{"headers":[["authorization",{"text":"(not kept)"}]],"body":{"text":"s"},"whole_bytes":13}"#);
        assert!(decode_http_response(&text).is_err());
    }
}
