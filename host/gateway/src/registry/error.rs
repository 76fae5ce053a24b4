//! Why nothing was pushed or pulled: who, what, and what to do about it.
use std::time::Duration;

use domain::Digest;

use crate::server::in_words;

/// Why nothing was pushed or pulled. Holds no credentials; what a registry says is quoted without them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// No connection could be tried.
    #[error("no registry can be asked: {detail}")]
    Unconnectable {
        /// What is in the way.
        detail: String,
    },
    /// The registry, its token service, or its storage cannot be reached, or broke off.
    #[error("`{host}` cannot be reached: {detail}")]
    Unreachable {
        /// Who was asked.
        host: String,
        /// What went wrong.
        detail: String,
    },
    /// Something answers there, and not over TLS.
    #[error("`{host}` does not speak TLS: {detail}")]
    NotEncrypted {
        /// Who was asked.
        host: String,
        /// What went wrong.
        detail: String,
    },
    /// Who answers there cannot show that it is the one that was asked.
    #[error("the certificate of `{host}` is not trusted: {detail}")]
    CertificateUntrusted {
        /// Who was asked.
        host: String,
        /// What about the certificate.
        detail: String,
    },
    /// It took too long.
    #[error("the registry `{registry}` {what} within {}", in_words(*.time_max))]
    TimedOut {
        /// The registry.
        registry: String,
        /// What did not happen.
        what: &'static str,
        /// The longest time for it.
        time_max: Duration,
    },
    /// The registry wants to know who asks, and nobody was named.
    #[error("the registry `{registry}` wants to know who asks")]
    CredentialsMissing {
        /// The registry.
        registry: String,
    },
    /// The registry does not accept who asks.
    #[error("the registry `{registry}` does not accept the user name and the password")]
    CredentialsRefused {
        /// The registry.
        registry: String,
    },
    /// How a registry wants to know who asks is not understood, or not safe.
    #[error(
        "the registry `{registry}` wants to know who asks in a way that is not taken: {detail}"
    )]
    ChallengeRefused {
        /// The registry.
        registry: String,
        /// What about it.
        detail: String,
    },
    /// Whoever asks may not do this.
    #[error("the registry `{registry}` does not allow this{words}")]
    Denied {
        /// The registry.
        registry: String,
        /// What it says, beginning with `: `; or empty.
        words: String,
    },
    /// It is not there.
    #[error("`{what}` is not in the registry{words}")]
    NotFound {
        /// What was asked for.
        what: String,
        /// What the registry says, beginning with `: `; or empty.
        words: String,
    },
    /// The registry answers what the protocol does not have there.
    #[error("the registry `{registry}` answers {doing} with status {status}{words}")]
    Status {
        /// The registry.
        registry: String,
        /// What it was asked to do.
        doing: &'static str,
        /// The status.
        status: u16,
        /// What it says, beginning with `: `; or empty.
        words: String,
    },
    /// The registry's answer cannot be understood.
    #[error("the registry `{registry}` does not follow the protocol: {detail}")]
    NotTheProtocol {
        /// The registry.
        registry: String,
        /// What about it.
        detail: String,
    },
    /// The registry leads to where nothing is fetched from or sent to.
    #[error("the registry `{registry}` leads to another place that is not taken: {detail}")]
    RedirectRefused {
        /// The registry.
        registry: String,
        /// What about it.
        detail: String,
    },
    /// Something is larger than it may be.
    #[error("{what} has more than {bytes_max} bytes")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Most bytes of it.
        bytes_max: u64,
    },
    /// Something does not have the size that it is announced with.
    #[error("{what} does not have the {expected} bytes that its manifest says: {found} came")]
    WrongSize {
        /// What.
        what: &'static str,
        /// Bytes announced.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },
    /// Something is not what its digest says.
    #[error("{what} has the digest `{found}`, not `{expected}`")]
    WrongDigest {
        /// What.
        what: &'static str,
        /// The digest that names it.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// What lies there is not one component in the layout of the CNCF.
    #[error("`{reference}` is no plugin: {finding}")]
    NotAPlugin {
        /// What was asked for.
        reference: String,
        /// What about it.
        finding: String,
    },
    /// Nothing comes for a digest. Many registries answer so too where there is something that is no manifest.
    #[error("{refusal}")]
    NoManifest {
        /// What the registry made of it.
        refusal: Box<RegistryError>,
    },
    /// A digest says what is there, and not where to put something.
    #[error("`{reference}` has a digest, and a component is pushed to a tag")]
    PushedToDigest {
        /// What was asked for.
        reference: String,
    },
}

impl RegistryError {
    /// What to do about it, as one imperative sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            RegistryError::Unconnectable { .. } => "check the system's certificates",
            RegistryError::Unreachable { .. } => {
                "check the name of the registry, its port, and the network"
            }
            RegistryError::NotEncrypted { .. } => {
                "check the port; if the registry has no TLS and its network is trusted, set `plain_http: true` beside its `host` in `registries.allowed`"
            }
            RegistryError::CertificateUntrusted { .. } => {
                "check that the host has the name that its certificate is for; if its authority (CA) is your own, add that to the certificates that this machine trusts"
            }
            RegistryError::TimedOut { .. } => "try again later",
            RegistryError::CredentialsMissing { .. } => {
                "set `username` and `password_env` beside its `host` in `registries.allowed`"
            }
            RegistryError::CredentialsRefused { .. } => {
                "correct `username` or the secret that `password_env` names; many registries want an access token in place of the password"
            }
            RegistryError::ChallengeRefused { .. } => {
                "ask whoever runs the registry for Basic authentication, or for a token service that is reached over `https://`"
            }
            RegistryError::Denied { .. } => {
                "ask whoever runs the registry for the right to this repository, or name another account with `username`"
            }
            RegistryError::NotFound { .. } => {
                "check the repository, and the tag or the digest; a registry may also hide what the account may not see"
            }
            RegistryError::Status { .. } | RegistryError::NotTheProtocol { .. } => {
                "check that the host is a registry with the OCI distribution API, and try again later"
            }
            RegistryError::RedirectRefused { .. } => {
                "ask whoever runs the registry to lead to `https://` addresses"
            }
            RegistryError::TooLarge { .. } => {
                "make the component smaller, e.g. without debug information"
            }
            RegistryError::WrongSize { .. } | RegistryError::WrongDigest { .. } => {
                "do not use it: what came is damaged or was replaced on its way; try again, and tell whoever runs the registry"
            }
            RegistryError::NotAPlugin { .. } => {
                "push it with `stagewright plugins push`, or with `wkg`, in the layout for components"
            }
            RegistryError::NoManifest { .. } => {
                "name the digest of the manifest, which `stagewright plugins push` prints as `pinned`, and not that of the component"
            }
            RegistryError::PushedToDigest { .. } => "end the reference with a tag, e.g. `:1.0.0`",
        }
    }
}
