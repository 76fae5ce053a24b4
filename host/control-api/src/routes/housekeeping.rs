//! What keeps a data folder in order: runs that go, runs that travel, and copies of everything.
mod backup;
mod export;
mod import;
mod prune;

use std::fs::File;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::io::AsyncReadExt;

pub(crate) use {backup::*, export::*, import::*, prune::*};

/// Media type of archives.
const ARCHIVE_MEDIA_TYPE: &str = "application/gzip";
/// How much of a file is read at a time, in bytes: enough that a disk is not asked too often, and all that a slow reader
/// holds in memory.
const CHUNK_BYTES: usize = 64 << 10;

/// A file as an answer that is read from the disk as it is sent. The name is ASCII.
fn download(file: File, name: &str) -> Response {
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(ARCHIVE_MEDIA_TYPE)),
        (header::CONTENT_DISPOSITION, disposition.expect("names of archives are ASCII")),
    ];
    let file = tokio::fs::File::from_std(file);
    let chunks = stream::try_unfold(file, |mut file| async move {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let read = (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut chunk).await?;
        Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(chunk), file)))
    });
    (headers, Body::from_stream(chunks)).into_response()
}
