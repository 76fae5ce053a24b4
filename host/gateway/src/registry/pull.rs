//! Pulls a component: its manifest, its config, and then the one layer that is the component.
use domain::Digest;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap};

use super::artifact::{self, Announced, MANIFEST_BYTES_MAX, MANIFEST_MEDIA_TYPE};
use super::body::quotable;
use super::transfer::{Actions, Ask, Conversation};
use super::{Reference, Registry, RegistryError, Wanted};

/// The digest of what a registry was asked for, as it says. Only a check: what counts is the digest of the bytes.
const DIGEST_HEADER: &str = "docker-content-digest";

/// What was pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The component.
    pub bytes: Vec<u8>,
    /// The digest of the component.
    pub component: Digest,
    /// The digest of its manifest, by which a registry gives out the same for ever.
    pub manifest: Digest,
}

/// A manifest, compared with the digest that it was asked by.
pub(super) struct FoundManifest {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
    content_type: String,
}

impl Registry {
    /// Pulls the component that a reference names.
    ///
    /// # Errors
    /// [`RegistryError`] if it is not there, is no component, is too large, or is not what its digest says.
    pub async fn pull(&self, reference: &Reference) -> Result<Pulled, RegistryError> {
        self.in_time(async {
            let mut conversation = Conversation::new(self, reference, Actions::Pull);
            conversation.pull(reference).await
        })
        .await
    }
}

impl Conversation<'_> {
    async fn pull(&mut self, reference: &Reference) -> Result<Pulled, RegistryError> {
        let secrets = &self.registry.secrets;
        let not_a_plugin = |finding: String| RegistryError::NotAPlugin {
            reference: reference.to_string(),
            finding: quotable(secrets, &finding),
        };
        let manifest = self.manifest(reference).await?;
        let announced =
            artifact::announced(&manifest.bytes, &manifest.content_type).map_err(not_a_plugin)?;
        let config = self.blob(reference, &announced.config).await?;
        artifact::check_config(&config, &announced.component.digest).map_err(not_a_plugin)?;
        let bytes = self.blob(reference, &announced.component).await?;
        Ok(Pulled { bytes, component: announced.component.digest, manifest: manifest.digest })
    }

    pub(super) async fn manifest(
        &mut self,
        reference: &Reference,
    ) -> Result<FoundManifest, RegistryError> {
        let wanted = match reference.wanted() {
            Wanted::Tag(tag) => tag.clone(),
            Wanted::Digest(digest) => digest.to_string(),
        };
        let url = self.url(&format!("manifests/{wanted}"));
        let ask = Ask { accept: Some(MANIFEST_MEDIA_TYPE), ..Ask::get(url) };
        let response = self.send(ask).await?;
        if response.status() != StatusCode::OK {
            let what = reference.to_string();
            let refusal = self.refusal(response, "the question for a manifest", &what).await;
            return Err(match reference.wanted() {
                Wanted::Digest(_) if may_be_no_manifest(&refusal) => {
                    RegistryError::NoManifest { refusal: Box::new(refusal) }
                }
                Wanted::Digest(_) | Wanted::Tag(_) => refusal,
            });
        }
        let content_type = response.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let content_type = content_type.to_owned();
        let said = self.said_digest(response.headers())?;
        let bytes = self.whole(response, "the manifest", MANIFEST_BYTES_MAX).await?;
        let digest = artifact::digest_of(&bytes);
        let asked = match reference.wanted() {
            Wanted::Tag(_) => None,
            Wanted::Digest(digest) => Some(digest.clone()),
        };
        if let Some(expected) = [asked, said].into_iter().flatten().find(|said| *said != digest) {
            return Err(RegistryError::WrongDigest {
                what: "the manifest",
                expected,
                found: digest,
            });
        }
        Ok(FoundManifest { bytes, digest, content_type })
    }

    /// The digest that a registry says. One that is made with another function than SHA-256 says nothing that could be
    /// compared.
    pub(super) fn said_digest(&self, headers: &HeaderMap) -> Result<Option<Digest>, RegistryError> {
        let Some(value) = headers.get(DIGEST_HEADER) else { return Ok(None) };
        let text = value.to_str().unwrap_or_default();
        if !text.starts_with(Digest::PREFIX) {
            return Ok(None);
        }
        let unreadable = |_| self.not_the_protocol("its `Docker-Content-Digest` is no digest");
        text.parse().map(Some).map_err(unreadable)
    }

    async fn blob(
        &mut self,
        reference: &Reference,
        announced: &Announced,
    ) -> Result<Vec<u8>, RegistryError> {
        let url = self.url(&format!("blobs/{}", announced.digest));
        let response = self.send(Ask::get(url)).await?;
        if response.status() != StatusCode::OK {
            let what = format!("{} of {reference}", announced.what);
            return Err(self.refusal(response, "the question for a blob", &what).await);
        }
        self.announced(response, announced).await
    }
}

/// Whether a registry answers so where the digest names something that is no manifest: 404 if it looks among manifests,
/// 400 or 500 if it finds the bytes and cannot read them as one. Any other status says nothing about the digest.
fn may_be_no_manifest(refusal: &RegistryError) -> bool {
    matches!(
        refusal,
        RegistryError::NotFound { .. } | RegistryError::Status { status: 400 | 500, .. }
    )
}
