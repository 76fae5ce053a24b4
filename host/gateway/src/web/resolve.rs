//! Looks names up, and refuses those that do not lie on the public internet.
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use domain::http::HttpGrant;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::forbidden;

/// A host lies where stages may not go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{host}` has an address that is not public ({what}): stages do not reach it, unless the operator names it in `grants.private_hosts`"
)]
pub(super) struct NotPublic {
    pub(super) host: String,
    pub(super) what: &'static str,
}

/// Gives the addresses that a connection goes to: all that the name has, if none of them is forbidden.
pub(super) struct Checked {
    private_hosts: Arc<[HttpGrant]>,
}

impl Checked {
    pub(super) fn new(private_hosts: Arc<[HttpGrant]>) -> Self {
        Self { private_hosts }
    }
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_ascii_lowercase();
        let may_be_private = self.private_hosts.iter().any(|private| private.names(&host));
        Box::pin(async move {
            // The port is the connection's; 0 stands for it.
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            if found.is_empty() {
                let error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                return Err(error.into());
            }
            // One private address among public ones is no accident worth a guess.
            let what = found.iter().find_map(|address| forbidden(address.ip()));
            match what {
                Some(what) if !may_be_private => Err(NotPublic { host, what }.into()),
                Some(_) | None => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}
