//! Where traces and metrics are sent, if anywhere: the standard variables of OpenTelemetry, or the section `telemetry`.
use secrecy::SecretString;

use super::layers::{self, Layers};
use super::providers::shown_base_url;
use super::said::SaidTelemetry;
use crate::error::Error;

const SERVICE_NAME_DEFAULT: &str = "stagewright";
const ENDPOINT: &str = "telemetry.otlp_endpoint";
const HEADERS: &str = "telemetry.otlp_headers";

/// Where traces and metrics are sent.
pub(crate) struct Telemetry {
    /// `None`: nowhere.
    pub(crate) otlp_endpoint: Option<String>,
    pub(crate) otlp_headers: Vec<(String, SecretString)>,
    pub(crate) service_name: String,
}

pub(super) fn resolve(layers: &Layers, said: &SaidTelemetry) -> Result<Telemetry, Error> {
    let text = |said: &Option<String>| said.as_deref().and_then(layers::said).map(str::to_owned);
    let otlp_endpoint = text(&said.otlp_endpoint);
    if let Some(endpoint) = &otlp_endpoint
        && shown_base_url(endpoint) != *endpoint
    {
        return Err(Error::Config {
            message: format!("`{ENDPOINT}` cannot be used ({})", layers.origin_of(ENDPOINT)),
            hint: Some(
                "write an address such as `http://127.0.0.1:4318`, without user name, password, `?` and `#`"
                    .to_owned(),
            ),
        });
    }
    let headers = text(&said.otlp_headers);
    Ok(Telemetry {
        otlp_endpoint,
        otlp_headers: headers.map_or_else(|| Ok(Vec::new()), |text| pairs(layers, &text))?,
        service_name: text(&said.service_name).unwrap_or_else(|| SERVICE_NAME_DEFAULT.to_owned()),
    })
}

/// `name=value,name=value` with percent-encoded values, as the standard has it. What is wrong is not repeated: it may be
/// a key.
fn pairs(layers: &Layers, text: &str) -> Result<Vec<(String, SecretString)>, Error> {
    let unusable = || Error::Config {
        message: format!(
            "`{HEADERS}` is not `name=value,name=value` ({})",
            layers.origin_of(HEADERS)
        ),
        hint: Some("encode commas and blanks in a value, e.g. `%20` for a blank".to_owned()),
    };
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let pair = |part: &str| {
        let (name, value) = part.split_once('=')?;
        let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8().ok()?;
        let name = layers::said(name)?;
        Some((name.to_owned(), SecretString::from(value.into_owned())))
    };
    parts.map(|part| pair(part).ok_or_else(unusable)).collect()
}
