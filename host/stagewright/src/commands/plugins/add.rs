//! `plugins add`: checks a component and keeps it.
use super::{Meaning, render, short};
use crate::args::AddPlugin;
use crate::client::{AddedPlugin, ComponentFile};
use crate::error::{Error, Exit};
use crate::session::Session;

pub(in crate::commands) async fn add(
    session: &Session<'_>,
    asked: &AddPlugin,
) -> Result<Exit, Error> {
    let component = ComponentFile::open(&asked.file).await?;
    if !session.output.is_json() {
        session.output.note("checking the component; a large one takes some seconds");
    }
    let added = session.client.add_plugin(component, asked.replace, &session.config.actor).await?;
    let (plugin, word) = match &added {
        AddedPlugin::New(plugin) => (plugin, "added"),
        AddedPlugin::Known(plugin) => (plugin, "was here already"),
    };
    if session.output.is_json() {
        session.output.document(plugin);
        return Ok(Exit::Done);
    }
    session.output.line(&format!(
        "{}@{}  {}  {}  {word}",
        plugin.name,
        plugin.version,
        short(&plugin.digest),
        render::size(plugin.size_bytes)
    ));
    session.output.note(&Meaning::of(&session.client, plugin).await.hint());
    Ok(Exit::Done)
}
