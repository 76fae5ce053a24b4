//! What is stored as JSON: one record type for each thing of the domain, so that a change there is not a change on disk.
//!
//! The form of each is held by a snapshot test. Unknown fields are skipped when reading, so that a later version of the
//! program may add some; nothing may be renamed or removed without a migration.
mod budget;
mod event;
mod fault;
mod http;
mod log;
mod model;
mod plan;
mod policy;
#[cfg(test)]
mod tests;

use std::str::FromStr;

use domain::model::{Completion, ModelRequest};
use domain::run::{BudgetBound, Event, GateSubject};
use domain::stage::StageLog;
use domain::{Json, Plan};
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::Error;

pub(crate) use fault::model_error_kind;
pub(crate) use http::{
    HttpTextRecord, decode_http_response, decode_http_text, encode_http_request,
    encode_http_response, encode_http_text,
};
pub(crate) use model::{usage_source_of, usage_source_word};
pub(crate) use plan::{PlanRecord, fallback_of, fallback_word};

use budget::BudgetSubjectRecord;
use event::EventRecord;
use log::LogRecord;
use model::{CompletionRecord, RequestRecord};

/// A stored text that does not say what it should.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreadable(String);

pub(crate) fn encode_event(event: &Event) -> Result<String, Error> {
    encode(&EventRecord::from(event))
}

pub(crate) fn decode_event(text: &str) -> Result<Event, Error> {
    decode::<EventRecord, _>(text)
}

pub(crate) fn encode_request(request: &ModelRequest) -> Result<String, Error> {
    encode(&RequestRecord::from(request))
}

pub(crate) fn decode_request(text: &str) -> Result<ModelRequest, Error> {
    decode::<RequestRecord, _>(text)
}

pub(crate) fn encode_completion(completion: &Completion) -> Result<String, Error> {
    encode(&CompletionRecord::from(completion))
}

pub(crate) fn decode_completion(text: &str) -> Result<Completion, Error> {
    decode::<CompletionRecord, _>(text)
}

pub(crate) fn encode_log(log: &StageLog) -> Result<String, Error> {
    encode(&LogRecord::from(log))
}

pub(crate) fn decode_log(text: &str) -> Result<StageLog, Error> {
    decode::<LogRecord, _>(text)
}

/// What a gate for a budget asks.
pub(crate) fn encode_budget_subject(attempt: u32, bound: &BudgetBound) -> Result<String, Error> {
    encode(&BudgetSubjectRecord::new(attempt, bound))
}

pub(crate) fn decode_budget_subject(text: &str) -> Result<GateSubject, Error> {
    decode::<BudgetSubjectRecord, _>(text)
}

/// The plan in the form that `plan.json` shows.
pub(crate) fn plan_record(plan: &Plan) -> PlanRecord {
    PlanRecord::from(plan)
}

fn encode(record: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(record).map_err(|error| Error::database(error.to_string()))
}

fn decode<Record, Meaning>(text: &str) -> Result<Meaning, Error>
where
    Record: DeserializeOwned,
    Meaning: TryFrom<Record>,
    Meaning::Error: std::fmt::Display,
{
    let record: Record =
        serde_json::from_str(text).map_err(|error| Error::damaged(error.to_string()))?;
    Meaning::try_from(record).map_err(|error| Error::damaged(error.to_string()))
}

fn parsed<T: FromStr>(what: &str, text: &str) -> Result<T, Unreadable>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| Unreadable(format!("{what} `{text}`: {error}")))
}

/// JSON inside of a record, as JSON and with its exact text.
#[derive(Debug)]
pub(crate) struct JsonRecord(Box<str>);

impl From<&Json> for JsonRecord {
    fn from(json: &Json) -> Self {
        Self(json.as_str().into())
    }
}

impl From<JsonRecord> for Json {
    fn from(record: JsonRecord) -> Self {
        Json::from_parsed(record.0)
    }
}

impl JsonRecord {
    /// A stored JSON text that is shown in a file.
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text.into())
    }
}

impl Serialize for JsonRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(S::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JsonRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer).map_err(D::Error::custom)?;
        Ok(Self(raw.get().into()))
    }
}
