//! `plugins remove`: removes a plugin that was added.
use super::short;
use crate::args::RemovePlugin;
use crate::error::{Error, Exit};
use crate::session::Session;

pub(in crate::commands) async fn remove(
    session: &Session<'_>,
    asked: &RemovePlugin,
) -> Result<Exit, Error> {
    let client = &session.client;
    let removed = client.remove_plugin(&asked.plugin, asked.force, &session.config.actor).await?;
    if session.output.is_json() {
        session.output.document(&removed);
        return Ok(Exit::Done);
    }
    let (name, version) = (&removed.name, &removed.version);
    session.output.line(&format!("{name}@{version}  {}  removed", short(&removed.digest)));
    Ok(Exit::Done)
}
