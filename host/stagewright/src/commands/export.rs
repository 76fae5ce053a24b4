//! `runs export`: a run as one archive. Also how any archive that the host gives gets into a file.
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;

use super::runs::run_id;
use crate::args::Export;
use crate::client::Download;
use crate::error::{Error, Exit};
use crate::render;
use crate::session::Session;

/// Stands for standard output.
const STANDARD_OUTPUT: &str = "-";

/// A file that was written.
#[derive(Debug, Serialize)]
pub(super) struct Written {
    file: String,
    size_bytes: u64,
}

pub(super) async fn export(session: &Session<'_>, asked: Export) -> Result<Exit, Error> {
    let run = run_id(session, &asked.run).await?;
    let file = asked.file.unwrap_or_else(|| PathBuf::from(format!("{run}.tar.gz")));
    let download = session.client.export(&run).await?;
    if let Some(written) = save(session, download, &file).await? {
        say_written(session, &written);
    }
    Ok(Exit::Done)
}

/// Says which file was written.
pub(super) fn say_written(session: &Session<'_>, written: &Written) {
    if session.output.is_json() {
        session.output.document(written);
    } else {
        session.output.line(&format!("{}  {}", written.file, render::size(written.size_bytes)));
    }
}

/// Writes an archive into a file, which is there as a whole or not at all, or to standard output, and then there is
/// nothing to say.
pub(super) async fn save(
    session: &Session<'_>,
    mut download: Download<'_>,
    path: &Path,
) -> Result<Option<Written>, Error> {
    if path.as_os_str() == STANDARD_OUTPUT {
        if session.output.is_terminal() {
            return Err(Error::usage("an archive is nothing for a terminal: name a file"));
        }
        while let Some(chunk) = download.next().await? {
            session.output.bytes(&chunk);
        }
        return Ok(None);
    }
    let failed =
        |source| Error::Io { what: format!("`{}` cannot be written", path.display()), source };
    if path.exists() {
        return Err(Error::Refused {
            message: format!("the file exists: `{}`", path.display()),
            hint: "name another file, or remove it first",
        });
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let temporary = NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
    let mut file = tokio::fs::File::from_std(temporary.reopen().map_err(failed)?);
    let mut size_bytes = 0;
    while let Some(chunk) = download.next().await? {
        size_bytes += chunk.len() as u64;
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.sync_all().await.map_err(failed)?;
    temporary.persist_noclobber(path).map_err(|error| failed(error.error))?;
    Ok(Some(Written { file: path.display().to_string(), size_bytes }))
}
