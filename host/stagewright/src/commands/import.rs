//! `runs import`: takes a run in from an archive.
use crate::args::Import;
use crate::error::{Error, Exit};
use crate::render;
use crate::session::Session;

pub(super) async fn import(session: &Session<'_>, asked: Import) -> Result<Exit, Error> {
    let imported = session.client.import(&asked.file).await?;
    session.flush_files().await;
    if session.output.is_json() {
        session.output.document(&imported);
        return Ok(Exit::Done);
    }
    let status = render::run_status(imported.status, session.output.paint());
    session.output.line(&format!("{}  {status}", imported.run_id));
    if !imported.status.is_final() {
        let resume = session.command_line(&format!("runs resume {}", imported.run_id));
        session.output.note(&format!(
            "it is paused here: cancel the original, so that two hosts do not go on with it, then `{resume}`"
        ));
    }
    Ok(Exit::Done)
}
