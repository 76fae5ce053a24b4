//! `plugins push` and `plugins pull`: plugins in OCI registries.
//!
//! It is this process that talks to the registry, with its own configuration; a server is never told to fetch something.
//! What was pulled then takes the way of every upload: it is checked before it is kept.
use std::io::Write as _;

use control_api::dto::PluginDto;
use domain::naming::AskedPlugin;
use domain::port::{KnownPlugin, PluginCatalog, PluginError};
use domain::upload::UploadError;
use engine::DriveOnStart;
use gateway::registry::{Component, Pulled, Reference};
use serde::Serialize;
use tempfile::NamedTempFile;

use super::plugins::Meaning;
use crate::args::{Pull, Push};
use crate::client::{AddedPlugin, ComponentFile};
use crate::config::Config;
use crate::error::{Error, Exit};
use crate::output::Output;
use crate::render;
use crate::session::{Session, open_sandbox};

/// The interface that every plugin exports.
const PLUGIN_INTERFACE: &str = "stagewright:stage/plugin";

#[derive(Serialize)]
struct PushedPlugin {
    /// Where it was pushed to.
    reference: String,
    /// The same with the digest of the manifest: what leads to these bytes for ever.
    pinned_reference: String,
    name: String,
    version: String,
    /// The digest of the component, as profiles name it.
    digest: String,
}

#[derive(Serialize)]
struct PulledPlugin {
    /// Where it was pulled from.
    reference: String,
    /// The same with the digest of the manifest.
    pinned_reference: String,
    plugin: PluginDto,
}

pub(super) async fn push(config: &Config, output: &Output, asked: &Push) -> Result<Exit, Error> {
    let reference = parsed(&asked.reference)?;
    let registry = config.registries.open(&reference)?;
    let plugin: AskedPlugin = asked
        .plugin
        .parse()
        .map_err(|invalid| Error::usage(format!("`{}` is {invalid}", asked.plugin)))?;
    let component = component(config, plugin).await?;
    let size = render::size(component.bytes.len() as u64);
    output.note(&format!("pushing {size} to `{}`", reference.host()));
    let pushed = registry.push(&reference, &component).await?;
    let told = PushedPlugin {
        reference: reference.to_string(),
        pinned_reference: reference.pinned_to(&pushed.manifest).to_string(),
        name: component.title,
        version: component.version,
        digest: pushed.component.to_string(),
    };
    if output.is_json() {
        output.document(&told);
        return Ok(Exit::Done);
    }
    let facts = [
        ("plugin", format!("{}@{}", told.name, told.version)),
        ("digest", told.digest),
        ("pushed", told.reference),
        ("pinned", told.pinned_reference),
    ];
    output.line(&render::pairs(&facts, output.paint()));
    Ok(Exit::Done)
}

/// The bytes of a plugin of this host, and what it says of itself. Describing it may compile it, which takes seconds.
async fn component(config: &Config, asked: AskedPlugin) -> Result<Component, Error> {
    let sandbox = open_sandbox(config)?;
    let reading = tokio::task::spawn_blocking(move || {
        let plugin = sandbox.find(&asked.meant(&sandbox)?, None)?;
        let bytes = sandbox.read(&plugin.digest)?;
        Ok::<_, UploadError>((plugin, bytes))
    });
    let read = reading.await.map_err(|error| Error::Io {
        what: "the plugin was not read".to_owned(),
        source: std::io::Error::other(error),
    })?;
    let (plugin, bytes): (KnownPlugin, Vec<u8>) = read.map_err(|error| unusable(&error))?;
    Ok(Component {
        bytes: bytes.into(),
        title: plugin.info.name,
        version: plugin.info.version,
        summary: plugin.info.summary,
        exports: vec![format!("{PLUGIN_INTERFACE}@{}", plugin.contract_version)],
        imports: plugin.imports,
    })
}

fn unusable(error: &UploadError) -> Error {
    let hint = match error {
        UploadError::Plugin(PluginError::Unfit { .. }) => {
            "see what to do about each finding with `stagewright plugin check FILE`"
        }
        UploadError::Plugin(PluginError::Io { .. }) => {
            "name a file that exists and that you may read"
        }
        UploadError::Ambiguous { .. } => "name one of these digests",
        // To look for a plugin gives none of the others.
        UploadError::Plugin(PluginError::Unknown { .. })
        | UploadError::VersionTaken { .. }
        | UploadError::Busy { .. }
        | UploadError::CalledOff
        | UploadError::NotUploaded { .. }
        | UploadError::OnlyBound { .. } => "list the plugins with `stagewright plugins list`",
    };
    Error::Refused { message: error.to_string(), hint }
}

pub(super) async fn pull(config: &Config, output: &Output, asked: &Pull) -> Result<Exit, Error> {
    let reference = parsed(&asked.reference)?;
    let registry = config.registries.open(&reference)?;
    output.note(&format!("pulling from `{}`", reference.host()));
    // Before the data folder is opened: nobody else has to wait for a slow registry.
    let pulled = registry.pull(&reference).await?;
    let session = Session::open(config, output, DriveOnStart::Nothing).await?;
    let outcome = keep(&session, asked, &reference, &pulled).await;
    session.close().await;
    outcome
}

async fn keep(
    session: &Session<'_>,
    asked: &Pull,
    reference: &Reference,
    pulled: &Pulled,
) -> Result<Exit, Error> {
    let file = file_of(&pulled.bytes)?;
    let actor = &session.config.actor;
    let component = ComponentFile::open(file.path()).await?;
    let added = session.client.add_plugin(component, asked.replace, actor).await?;
    let (plugin, is_new) = match added {
        AddedPlugin::New(plugin) => (plugin, true),
        AddedPlugin::Known(plugin) => (plugin, false),
    };
    let told = PulledPlugin {
        reference: reference.to_string(),
        pinned_reference: reference.pinned_to(&pulled.manifest).to_string(),
        plugin,
    };
    let output = session.output;
    if output.is_json() {
        output.document(&told);
        return Ok(Exit::Done);
    }
    let meaning = Meaning::of(&session.client, &told.plugin).await;
    let hint = meaning.hint();
    let facts = [
        ("plugin", format!("{}@{}", told.plugin.name, told.plugin.version)),
        ("summary", render::unbroken(&told.plugin.summary)),
        ("digest", told.plugin.digest),
        ("size", render::size(told.plugin.size_bytes)),
        ("pulled", told.reference),
        ("pinned", told.pinned_reference),
    ];
    output.line(&render::pairs(&facts, output.paint()));
    if !is_new {
        output.note("it was here already");
    }
    output.note(&hint);
    Ok(Exit::Done)
}

/// Puts what was pulled into a file that only this user may read, and that is gone when it is dropped: an upload comes
/// from a file.
fn file_of(bytes: &[u8]) -> Result<NamedTempFile, Error> {
    let unwritable = |source| Error::Io { what: "a temporary file".to_owned(), source };
    let mut file = NamedTempFile::with_prefix("stagewright-pulled-").map_err(unwritable)?;
    file.write_all(bytes).and_then(|()| file.flush()).map_err(unwritable)?;
    Ok(file)
}

fn parsed(text: &str) -> Result<Reference, Error> {
    text.parse().map_err(|invalid: gateway::registry::InvalidReference| Error::Usage {
        message: format!("`{text}` names no place in a registry: {invalid}"),
        hint: Some(invalid.hint().to_owned()),
    })
}
