//! Who may call.
//!
//! Three questions are asked of every request. Does it call the server by one of its names? If not, a page of another
//! site may have pointed a name of its own at this machine (DNS rebinding). Does it come from a page of another site?
//! And, where the server has a token, does it know it? A request that fails one of them reaches no handler.
mod check;

use std::sync::Arc;

use axum::http::uri::Authority;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::ActorHeader;

pub(crate) use check::refuse_strangers;

/// The secret that callers have to know. Only its digest is kept, so that nothing can print it.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl Token {
    /// The token with this text.
    pub fn new(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Whether the text is the token. Digests have one length and are compared in constant time, so that the time of
    /// an answer says nothing about how much of a guess was right.
    fn is(&self, guess: &str) -> bool {
        self.0.ct_eq(&Self::new(guess).0).into()
    }
}

/// The rules by which callers are let in. Cheap to clone: every request has its own.
#[derive(Clone)]
pub struct Access {
    rule: Arc<Rule>,
}

#[derive(Clone)]
enum Rule {
    /// The caller is this process.
    Anyone,
    Network {
        token: Option<Token>,
        /// Names, in lower case and without a port, that the server goes by beside the loopback ones.
        hosts: Vec<String>,
        /// Origins, such as `https://stagewright.example`, whose pages may call.
        origins: Vec<String>,
        /// Where a proxy says who the caller is.
        actor_header: Option<ActorHeader>,
    },
}

impl Access {
    /// For requests that this process makes itself: nothing is asked.
    pub fn in_process() -> Self {
        Self { rule: Arc::new(Rule::Anyone) }
    }

    /// For a server on the loopback interface, by its loopback names.
    pub fn loopback() -> Self {
        Self::network(None)
    }

    /// For a server on a network. With a token, it may also be called by any IP address: an address cannot be pointed
    /// elsewhere as a name can, and no browser sends the token by itself.
    pub fn network(token: Option<Token>) -> Self {
        let (hosts, origins) = (Vec::new(), Vec::new());
        Self { rule: Arc::new(Rule::Network { token, hosts, origins, actor_header: None }) }
    }

    /// Also goes by this name (without a port).
    #[must_use]
    pub fn with_host(mut self, host: &str) -> Self {
        if let Rule::Network { hosts, .. } = Arc::make_mut(&mut self.rule) {
            hosts.push(host.trim_matches(['[', ']']).to_ascii_lowercase());
        }
        self
    }

    /// Takes the names of those who decide, command and start from this header, which a proxy in front sets.
    #[must_use]
    pub fn with_actor_header(mut self, header: ActorHeader) -> Self {
        if let Rule::Network { actor_header, .. } = Arc::make_mut(&mut self.rule) {
            *actor_header = Some(header);
        }
        self
    }

    /// Where a proxy says who the caller is. A request of this process comes through no proxy: it is made by whoever
    /// sits at the machine, and says itself who that is.
    pub(crate) fn actor_header(&self) -> Option<&ActorHeader> {
        match &*self.rule {
            Rule::Anyone => None,
            Rule::Network { actor_header, .. } => actor_header.as_ref(),
        }
    }

    /// Pages of this origin may call as well, e.g. of a proxy that changes the name.
    #[must_use]
    pub fn with_origin(mut self, origin: &str) -> Self {
        if let Rule::Network { origins, .. } = Arc::make_mut(&mut self.rule) {
            origins.push(origin.trim_end_matches('/').to_ascii_lowercase());
        }
        self
    }
}

/// The name or address of a `Host`, without brackets and port, in lower case.
fn name_of(host: &Authority) -> String {
    host.host().trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase()
}
