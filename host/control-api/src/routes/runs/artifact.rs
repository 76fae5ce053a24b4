//! The text of an artifact. A model wrote it, so a browser gets to show it and nothing else.
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use engine::Engine;
use store::ArtifactRow;

use crate::convert::segment;
use crate::path::{ArtifactOfRun, InPath};
use crate::query::{InQuery, QueryReader, QueryWords};
use crate::{Code, Problem};

/// Which version.
pub(crate) struct ArtifactQuery {
    version: Option<u32>,
}

impl QueryWords for ArtifactQuery {
    fn read(reader: &mut QueryReader) -> Self {
        Self { version: reader.parsed("version", version_number) }
    }
}

pub(super) fn version_number(text: &str) -> Result<u32, &'static str> {
    match text.parse() {
        Ok(version) if version > 0 => Ok(version),
        Ok(_) | Err(_) => Err("versions are 1, 2, 3 and so on"),
    }
}

/// The text of an artifact: the newest version, or the one that is asked for.
#[utoipa::path(
    get, path = "/api/v2/workflow-runs/{run_id}/artifacts/{stage}/{name}", operation_id = "show_artifact", tag = "runs",
    params(
        ("run_id" = String, Path, description = "`run_...`"),
        ("stage" = String, Path, description = "Key of the stage that made it"),
        ("name" = String, Path, description = "Its file name"),
        ("version" = Option<u32>, Query, description = "1 for the first; the newest if left out"),
    ),
    responses((status = 200, description = "The text, with its media type", content_type = "text/*", body = String))
)]
pub(crate) async fn show_artifact(
    State(engine): State<Engine>,
    InPath(wanted): InPath<ArtifactOfRun>,
    InQuery(query): InQuery<ArtifactQuery>,
) -> Result<Response, Problem> {
    let ArtifactOfRun { run, stage, name } = &wanted;
    let found = engine.store().artifact(run, stage, name, query.version).await?;
    let (row, text) = found.ok_or_else(|| unknown(&wanted, query.version))?;
    Ok(file(&row, text))
}

pub(super) fn unknown(wanted: &ArtifactOfRun, version: Option<u32>) -> Problem {
    let ArtifactOfRun { run, stage, name } = wanted;
    let version = version.map(|version| format!(" in version {version}")).unwrap_or_default();
    let detail = format!("run `{run}` has no artifact `{name}`{version} of a stage `{stage}`");
    Problem::new(Code::ArtifactUnknown, detail)
}

fn file(row: &ArtifactRow, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media_type(&row.media_type)),
        (header::CONTENT_DISPOSITION, disposition(row.name.as_str())),
        (
            header::ETAG,
            HeaderValue::from_str(&format!("\"{}\"", row.digest.hex()))
                .expect("hexadecimal digits are visible ASCII"),
        ),
    ];
    (headers, text).into_response()
}

/// Text and JSON keep their type. Everything else, which a plugin may call what it likes, is just bytes.
fn media_type(said: &str) -> HeaderValue {
    let essence = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let plain = |char: char| char.is_ascii_alphanumeric() || "-+.".contains(char);
    let is_text = essence
        .strip_prefix("text/")
        .is_some_and(|subtype| !subtype.is_empty() && subtype.chars().all(plain));
    let shown = match essence.as_str() {
        "application/json" => Some(essence.clone()),
        _ if is_text => Some(format!("{essence}; charset=utf-8")),
        _ => None,
    };
    let shown = shown.and_then(|shown| HeaderValue::from_str(&shown).ok());
    shown.unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

/// The file name twice: in ASCII for old clients, and whole (RFC 6266).
fn disposition(name: &str) -> HeaderValue {
    let ascii: String = name
        .chars()
        .map(|char| {
            if char.is_ascii_graphic() && !"\"\\%".contains(char) || char == ' ' {
                char
            } else {
                '_'
            }
        })
        .collect();
    let encoded = segment(name);
    HeaderValue::from_str(&format!("inline; filename=\"{ascii}\"; filename*=UTF-8''{encoded}"))
        .expect("every character was replaced that no header may have")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_and_json_keep_their_type() {
        assert_eq!(media_type("text/markdown"), "text/markdown; charset=utf-8");
        assert_eq!(media_type("application/json"), "application/json");
        assert_eq!(media_type("image/svg+xml"), "application/octet-stream");
        assert_eq!(media_type("text/x\r\nset-cookie: a"), "application/octet-stream");
    }

    #[test]
    fn a_file_name_breaks_out_of_no_header() {
        assert_eq!(
            disposition("Überblick \"2\".md"),
            "inline; filename=\"_berblick _2_.md\"; filename*=UTF-8''%C3%9Cberblick%20%222%22.md"
        );
    }
}
