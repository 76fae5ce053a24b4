//! The differences between two versions of an artifact.
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use domain::ArtifactName;
use similar::TextDiff;
use store::ArtifactRow;

use super::artifact::{unknown, version_number};
use crate::path::{ArtifactOfRun, InPath};
use crate::query::{InQuery, QueryReader, QueryWords};
use crate::{ApiState, Code, Problem};

/// Longest search for the smallest differences. After it the answer is still right, but may be longer than it has to be;
/// texts of the size that models write take a few milliseconds.
const SEARCH_TIME_MAX: Duration = Duration::from_secs(1);
/// Lines around each difference that are the same in both versions: what other tools show.
const CONTEXT_LINE_COUNT: usize = 3;

/// Which versions.
pub(crate) struct DiffQuery {
    from: Option<u32>,
    to: Option<u32>,
}

impl QueryWords for DiffQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let from = reader.parsed("from", version_number);
        Self { from, to: reader.parsed("to", version_number) }
    }
}

/// Shows what differs between two versions of an artifact, as a unified diff; nothing where they are the same. Left out,
/// `to` is the newest version, and `from` the one before `to`.
#[utoipa::path(
    get, path = "/api/v2/workflow-runs/{run_id}/artifacts/{stage}/{name}/diff", operation_id = "show_artifact_diff", tag = "runs",
    params(
        ("run_id" = String, Path, description = "`run_...`"),
        ("stage" = String, Path, description = "Key of the stage that made it"),
        ("name" = String, Path, description = "Its file name"),
        ("from" = Option<u32>, Query, description = "The older version; the one before `to` if left out"),
        ("to" = Option<u32>, Query, description = "The newer version; the newest if left out"),
    ),
    responses((status = 200, description = "A unified diff", content_type = "text/x-diff", body = String))
)]
pub(crate) async fn show_artifact_diff(
    State(state): State<ApiState>,
    InPath(wanted): InPath<ArtifactOfRun>,
    InQuery(query): InQuery<DiffQuery>,
) -> Result<Response, Problem> {
    let newer = version(&state, &wanted, query.to).await?;
    let older = match query.from {
        Some(from) => from,
        None => before(&wanted, newer.0.version)?,
    };
    let older = version(&state, &wanted, Some(older)).await?;
    let text = state.off_the_loop(move |_| unified(&wanted.name, &older, &newer)).await?;
    Ok(([(header::CONTENT_TYPE, "text/x-diff; charset=utf-8")], text).into_response())
}

type Version = (ArtifactRow, String);

async fn version(
    state: &ApiState,
    wanted: &ArtifactOfRun,
    version: Option<u32>,
) -> Result<Version, Problem> {
    let ArtifactOfRun { run, stage, name } = wanted;
    let found = state.engine.store().artifact(run, stage, name, version).await?;
    found.ok_or_else(|| unknown(wanted, version))
}

fn before(wanted: &ArtifactOfRun, version: u32) -> Result<u32, Problem> {
    match version.checked_sub(1) {
        Some(older) if older > 0 => Ok(older),
        Some(_) | None => {
            let detail = format!("`{}` has no version before {version}", wanted.name);
            let hint = "there is something to compare when the stage is revised, retried or edited";
            Err(Problem::new(Code::ArtifactUnknown, detail).with_hint(hint))
        }
    }
}

fn unified(name: &ArtifactName, older: &Version, newer: &Version) -> String {
    let label = |version: &Version| format!("{name}\tversion {}", version.0.version);
    let diff = TextDiff::configure().timeout(SEARCH_TIME_MAX).diff_lines(&older.1, &newer.1);
    let mut unified = diff.unified_diff();
    unified.context_radius(CONTEXT_LINE_COUNT).header(&label(older), &label(newer));
    unified.to_string()
}
