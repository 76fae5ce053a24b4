//! The part of the API that is about plugins. Components pass through in pieces, however large they are.
use std::path::Path;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request, StatusCode, header};
use control_api::dto::{PluginDto, PluginListDto, RemovedPluginDto};
use domain::upload::PLUGIN_BYTES_MAX;
use futures_util::stream;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::{Client, joined, unsendable, with_query};
use crate::error::Error;

const PLUGINS: &str = "/api/v2/plugins";
const COMPONENT_MEDIA_TYPE: &str = "application/wasm";
/// How much of a component is read at a time, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// What came of an upload.
pub(crate) enum AddedPlugin {
    New(PluginDto),
    Known(PluginDto),
}

/// The file of a component, which can be read and is not too large.
pub(crate) struct ComponentFile(File);

impl ComponentFile {
    pub(crate) async fn open(path: &Path) -> Result<ComponentFile, Error> {
        let unreadable = |error: &std::io::Error| Error::unreadable_component(path, error);
        let file = File::open(path).await.map_err(|error| unreadable(&error))?;
        let metadata = file.metadata().await.map_err(|error| unreadable(&error))?;
        if !metadata.is_file() {
            return Err(unreadable(&std::io::Error::other("it is no file")));
        }
        // A server ends the connection in the middle of what is too large, and then its answer may not arrive.
        if metadata.len() > PLUGIN_BYTES_MAX {
            return Err(Error::Refused {
                message: format!(
                    "`{}` has more than {} MiB: no plugin is as large",
                    path.display(),
                    PLUGIN_BYTES_MAX >> 20
                ),
                hint: "strip it, or leave out what it does not need",
            });
        }
        Ok(ComponentFile(file))
    }
}

impl Client {
    pub(crate) async fn plugins(&self) -> Result<PluginListDto, Error> {
        self.read(PLUGINS).await
    }

    pub(crate) async fn plugin(&self, plugin: &str) -> Result<PluginDto, Error> {
        self.read(&joined(PLUGINS, &[plugin])).await
    }

    /// Sends a component.
    pub(crate) async fn add_plugin(
        &self,
        ComponentFile(file): ComponentFile,
        replace: bool,
        actor: &str,
    ) -> Result<AddedPlugin, Error> {
        let chunks = stream::try_unfold(file, |mut file| async move {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            let read = (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut chunk).await?;
            Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(chunk), file)))
        });
        let query = [("actor", actor.to_owned()), ("replace", replace.to_string())];
        let request = Request::builder()
            .method(Method::POST)
            .uri(with_query(PLUGINS, &query))
            .header(header::CONTENT_TYPE, COMPONENT_MEDIA_TYPE)
            .body(Body::from_stream(chunks))
            .map_err(|error| unsendable(&error))?;
        let response = self.transport.send(request).await?;
        let is_new = response.status() == StatusCode::CREATED;
        let bytes = self.transport.bytes_of(response).await?;
        let plugin = serde_json::from_slice(&bytes);
        let plugin = plugin.map_err(|error| self.transport.not_understood(&error))?;
        Ok(if is_new { AddedPlugin::New(plugin) } else { AddedPlugin::Known(plugin) })
    }

    pub(crate) async fn remove_plugin(
        &self,
        plugin: &str,
        force: bool,
        actor: &str,
    ) -> Result<RemovedPluginDto, Error> {
        let query = [("actor", actor.to_owned()), ("force", force.to_string())];
        let request = Request::builder()
            .method(Method::DELETE)
            .uri(with_query(&joined(PLUGINS, &[plugin]), &query))
            .body(Body::empty())
            .map_err(|error| unsendable(&error))?;
        self.answer(request).await
    }
}
