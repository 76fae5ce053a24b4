//! The part of the API that keeps a data folder in order. Archives pass through in pieces, however large they are.
use std::path::Path;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::{Method, Request, header};
use control_api::dto::{ImportedRunDto, PruneRequest, PrunedDto};
use futures_util::{StreamExt, stream};
use tokio::io::AsyncReadExt;

use super::{Client, RUNS, joined, of_run, unsendable, with_query, without_body};
use crate::error::Error;

const BACKUP: &str = "/api/v2/backup";
const ARCHIVE_MEDIA_TYPE: &str = "application/gzip";
/// How much of an archive is read at a time, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// An archive as it comes.
pub(crate) struct Download<'a> {
    client: &'a Client,
    chunks: BodyDataStream,
}

impl Download<'_> {
    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let chunk = self.chunks.next().await.transpose();
        chunk.map_err(|error| self.client.transport.not_understood(&error))
    }
}

impl Client {
    pub(crate) async fn prune(&self, ask: &PruneRequest) -> Result<PrunedDto, Error> {
        self.write(&joined(RUNS, &["prune"]), ask).await
    }

    pub(crate) async fn export(&self, run: &str) -> Result<Download<'_>, Error> {
        self.download(&of_run(run, &["export"])).await
    }

    pub(crate) async fn backup(&self, with_secrets: bool) -> Result<Download<'_>, Error> {
        self.download(&with_query(BACKUP, &[("secrets", with_secrets.to_string())])).await
    }

    /// Sends an archive.
    pub(crate) async fn import(&self, path: &Path) -> Result<ImportedRunDto, Error> {
        let file = tokio::fs::File::open(path).await;
        let file = file.map_err(|error| Error::unreadable_archive(path, &error))?;
        let chunks = stream::try_unfold(file, |mut file| async move {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            let read = (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut chunk).await?;
            Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(chunk), file)))
        });
        let request = Request::builder()
            .method(Method::POST)
            .uri(joined(RUNS, &["import"]))
            .header(header::CONTENT_TYPE, ARCHIVE_MEDIA_TYPE)
            .body(Body::from_stream(chunks))
            .map_err(|error| unsendable(&error))?;
        self.answer(request).await
    }

    async fn download(&self, path: &str) -> Result<Download<'_>, Error> {
        let response = self.transport.send(without_body(path)?).await?;
        if !response.status().is_success() {
            return Err(self.transport.problem_of(response).await);
        }
        Ok(Download { client: self, chunks: response.into_body().into_data_stream() })
    }
}
