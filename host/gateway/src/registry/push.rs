//! Pushes a component: its blobs as far as the registry does not have them, then its manifest, which makes them
//! reachable, and reads that back.
use bytes::Bytes;
use domain::Digest;
use reqwest::StatusCode;

use super::artifact::{self, COMPONENT_BYTES_MAX, Component, MANIFEST_MEDIA_TYPE};
use super::transfer::{Actions, Ask, Conversation};
use super::{Reference, Registry, RegistryError, Wanted};

/// What was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The digest of the component.
    pub component: Digest,
    /// The digest of its manifest, by which it can be pulled for ever.
    pub manifest: Digest,
}

impl Registry {
    /// Pushes a component to a tag. The same component with the same name, version and summary always makes the same
    /// manifest, so that to push it again changes nothing.
    ///
    /// # Errors
    /// [`RegistryError`] if the registry does not take it, or then has something else.
    pub async fn push(
        &self,
        reference: &Reference,
        component: &Component,
    ) -> Result<Pushed, RegistryError> {
        let Wanted::Tag(tag) = reference.wanted() else {
            return Err(RegistryError::PushedToDigest { reference: reference.to_string() });
        };
        if component.bytes.len() as u64 > COMPONENT_BYTES_MAX {
            let bytes_max = COMPONENT_BYTES_MAX;
            return Err(RegistryError::TooLarge { what: "the component", bytes_max });
        }
        self.in_time(async {
            let mut conversation = Conversation::new(self, reference, Actions::PullAndPush);
            conversation.push(reference, tag, component).await
        })
        .await
    }
}

impl Conversation<'_> {
    async fn push(
        &mut self,
        reference: &Reference,
        tag: &str,
        component: &Component,
    ) -> Result<Pushed, RegistryError> {
        let artifact = artifact::artifact_of(component);
        let layer = self.push_blob(reference, &artifact.layer).await?;
        self.push_blob(reference, &artifact.config).await?;
        let manifest = artifact::digest_of(&artifact.manifest);
        let url = self.url(&format!("manifests/{tag}"));
        let ask = Ask::put(url, MANIFEST_MEDIA_TYPE, artifact.manifest);
        let response = self.send(ask).await?;
        if response.status() != StatusCode::CREATED {
            let what = reference.to_string();
            return Err(self.refusal(response, "the push of a manifest", &what).await);
        }
        let kept = self.manifest(&reference.pinned_to(&manifest)).await?;
        Ok(Pushed { component: layer, manifest: kept.digest })
    }

    /// Sends a blob in one piece, unless it is there.
    async fn push_blob(
        &mut self,
        reference: &Reference,
        bytes: &Bytes,
    ) -> Result<Digest, RegistryError> {
        let digest = artifact::digest_of(bytes);
        let there = self.send(Ask::head(self.url(&format!("blobs/{digest}")))).await?;
        match there.status() {
            StatusCode::OK => return Ok(digest),
            StatusCode::NOT_FOUND => {}
            _ => {
                let what = reference.to_string();
                return Err(self.refusal(there, "the question whether it has a blob", &what).await);
            }
        }
        let begun = self.send(Ask::post(self.url("blobs/uploads/"))).await?;
        if begun.status() != StatusCode::ACCEPTED {
            let what = reference.to_string();
            return Err(self.refusal(begun, "the beginning of an upload", &what).await);
        }
        let mut url = self.location(begun.url(), begun.headers())?;
        url.query_pairs_mut().append_pair("digest", digest.as_str());
        let ask = Ask::put(url, "application/octet-stream", bytes.clone());
        let response = self.send(ask).await?;
        if response.status() != StatusCode::CREATED {
            let what = reference.to_string();
            return Err(self.refusal(response, "an upload", &what).await);
        }
        match self.said_digest(response.headers())? {
            Some(found) if found != digest => {
                Err(RegistryError::WrongDigest { what: "what was pushed", expected: digest, found })
            }
            Some(_) | None => Ok(digest),
        }
    }
}
