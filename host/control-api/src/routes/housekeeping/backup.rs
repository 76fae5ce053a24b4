//! A copy of the data folder.
use axum::extract::State;
use axum::response::Response;
use engine::Engine;
use store::Secrets;

use super::download;
use crate::Problem;
use crate::query::{InQuery, QueryReader, QueryWords};

/// What a file is called that nobody names.
const FILE_NAME: &str = "stagewright-backup.tar.gz";

/// What goes into it.
pub(crate) struct BackupQuery {
    secrets: Secrets,
}

impl QueryWords for BackupQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let words = [("true", Secrets::Encrypted), ("false", Secrets::LeftOut)];
        Self { secrets: reader.word("secrets", &words).unwrap_or(Secrets::LeftOut) }
    }
}

/// Makes a copy of the data folder, as of one moment, while runs go on. `stagewright restore` puts it into an empty folder.
#[utoipa::path(
    get, path = "/api/v2/backup", operation_id = "show_backup", tag = "housekeeping",
    params(("secrets" = Option<bool>, Query, description = "With the encrypted keys of providers; never with what opens them")),
    responses((status = 200, description = "A compressed tar file", content_type = "application/gzip", body = String))
)]
pub(crate) async fn show_backup(
    State(engine): State<Engine>,
    InQuery(query): InQuery<BackupQuery>,
) -> Result<Response, Problem> {
    Ok(download(engine.backup(query.secrets).await?, FILE_NAME))
}
