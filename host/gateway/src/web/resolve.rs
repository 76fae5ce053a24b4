//! Looks names up, and refuses those that do not lie on the public internet.
use std::io;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::forbidden;

/// A host lies where stages may not go. Which port was meant, only the request knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address is not public ({what})")]
pub(super) struct NotPublic {
    pub(super) what: &'static str,
}

/// Where a connection may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    /// The public internet alone.
    Public,
    /// Any address: the operator named the host with its port.
    Any,
}

/// Gives the addresses that a connection goes to: all that the name has, if none of them is forbidden.
pub(super) struct Checked(pub(super) Ground);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_ascii_lowercase();
        let ground = self.0;
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
                Some(what) if ground == Ground::Public => Err(NotPublic { what }.into()),
                Some(_) | None => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}
