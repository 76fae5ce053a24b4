//! Plugins in registries: pushes a component to an OCI registry, and pulls one from there.
//!
//! The protocol is the OCI Distribution Specification 1.1 (<https://github.com/opencontainers/distribution-spec>), with
//! the two ways to prove who asks that registries have: Basic, and a token of Docker's token service
//! (<https://distribution.github.io/distribution/spec/auth/token/>). What lies in a registry has the Wasm OCI Artifact
//! Layout of the CNCF TAG Runtime (module `artifact`), as `wkg` and other tools for components write and read it.
//!
//! What this does not do: it reads no configuration, keeps nothing, and does not look into a component. Whoever pulls
//! one has it checked like any file that somebody sends.
//!
//! Invariants: every byte that is handed out has the digest that names it. Credentials go to the registry they are for,
//! and to the token service that it names over an encrypted connection; they follow no redirect. Every answer is bounded
//! in size, each wait and the whole in time.
mod artifact;
mod auth;
mod body;
mod error;
mod pull;
mod push;
mod reference;
mod transfer;

use std::time::Duration;

use reqwest::{Client, Url};
use secrecy::SecretString;

pub use self::artifact::{
    COMPONENT_BYTES_MAX, Component, LAYER_MEDIA_TYPE, MANIFEST_MEDIA_TYPE, WASM_CONFIG_MEDIA_TYPE,
};
pub use self::error::RegistryError;
pub use self::pull::Pulled;
pub use self::push::Pushed;
pub use self::reference::{InvalidReference, Reference, RegistryHost, Wanted};
use crate::outgoing::{self, Reach};
use crate::redact::Secrets;

/// Longest time for a connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// Who asks. Has no `Debug`: it holds a password.
#[derive(Clone)]
pub struct Credentials {
    /// The name of an account.
    pub username: String,
    /// Its password, or the token that a registry gives out in place of one.
    pub password: SecretString,
}

/// Whether a registry is spoken to over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// `https://`.
    Tls,
    /// `http://`: for this machine, and for networks where somebody has decided so.
    Plain,
}

/// How long a registry is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Longest wait for the beginning of an answer, and between two pieces of it.
    pub silence_max: Duration,
    /// Longest time for a push or a pull.
    pub whole_max: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            // Registries that fetch what they do not have at once answer after seconds, not minutes.
            silence_max: Duration::from_secs(30),
            // The largest component over 2 Mbit/s.
            whole_max: Duration::from_secs(600),
        }
    }
}

/// One registry. Asks nobody before something is pushed or pulled.
pub struct Registry {
    client: Client,
    host: RegistryHost,
    base: Url,
    encryption: Encryption,
    credentials: Option<Credentials>,
    patience: Patience,
    secrets: Secrets,
}

impl Registry {
    /// Reads the system's certificates where they are needed, and connects to nobody.
    ///
    /// # Errors
    /// [`RegistryError::Unconnectable`] if TLS cannot be set up.
    pub fn open(
        host: RegistryHost,
        encryption: Encryption,
        credentials: Option<Credentials>,
        patience: Patience,
    ) -> Result<Registry, RegistryError> {
        let unconnectable = |detail: String| RegistryError::Unconnectable { detail };
        // A token service and a storage host of a plain registry may be encrypted all the same.
        let client = outgoing::builder(Reach::Encrypted, CONNECT_TIME_MAX)
            .and_then(|builder| Ok(builder.build()?))
            .map_err(|error| unconnectable(error.to_string()))?;
        let scheme = match encryption {
            Encryption::Tls => "https",
            Encryption::Plain => "http",
        };
        let base = Url::parse(&format!("{scheme}://{host}/"))
            .map_err(|error| unconnectable(error.to_string()))?;
        let mut secrets = Secrets::default();
        if let Some(credentials) = &credentials {
            secrets.add_key(&credentials.password);
        }
        Ok(Registry { client, host, base, encryption, credentials, patience, secrets })
    }

    /// Bounds the whole of a push or a pull.
    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        match tokio::time::timeout(self.patience.whole_max, work).await {
            Ok(done) => done,
            Err(_) => Err(RegistryError::TimedOut {
                registry: self.host.to_string(),
                what: "has not come to an end",
                time_max: self.patience.whole_max,
            }),
        }
    }
}
