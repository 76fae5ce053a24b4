//! Who acts: whose name decisions, commands and starts carry.
//!
//! Where the server knows of a header in which a proxy in front of it says who the caller is, that header is the name,
//! and a body cannot say otherwise. Everywhere else the body says it, and the name is as honest as the caller: one token
//! is shared by all who may call, so it proves that somebody may act, not who they are. The header proves as much as the
//! way past the proxy is closed: the proxy has to set it itself, and to drop what a caller sent under its name.
use std::str::FromStr;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};

use crate::dto::ProblemItemDto;
use crate::{ApiState, Code, Problem};

/// Who gives a command that names nobody.
const NAMELESS_ACTOR: &str = "api";

/// Name of the header in which a proxy says who the caller is, e.g. `X-Forwarded-User`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActorHeader(HeaderName); // Invariant: none that carries a secret, for names go into the log of events.

impl ActorHeader {
    /// The name, in lower case.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// A text that cannot be the header of names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidActorHeader {
    /// It is no header's name at all.
    #[error("`{0}` is no name of a header")]
    NotAHeader(String),
    /// Its value is a secret, and a name is recorded.
    #[error("the header `{0}` carries a secret and no name")]
    CarriesSecret(HeaderName),
}

impl FromStr for ActorHeader {
    type Err = InvalidActorHeader;

    fn from_str(text: &str) -> Result<Self, InvalidActorHeader> {
        let name = HeaderName::from_str(text);
        let name = name.map_err(|_| InvalidActorHeader::NotAHeader(text.to_owned()))?;
        if [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE].contains(&name) {
            return Err(InvalidActorHeader::CarriesSecret(name));
        }
        Ok(Self(name))
    }
}

/// Who acts, as far as the request says it before its body is read. Every route whose body may name an actor takes it.
pub(crate) enum Acting {
    /// The proxy says it.
    Proven { header: ActorHeader, actor: String },
    /// The body says it.
    Said,
}

impl Acting {
    /// Whose name the act carries, if anybody is named; what is wrong is noted.
    pub(crate) fn read(
        self,
        said: Option<String>,
        problems: &mut Vec<ProblemItemDto>,
    ) -> Option<String> {
        let (header, actor) = match self {
            Acting::Said => return said,
            Acting::Proven { header, actor } => (header, actor),
        };
        if let Some(said) = said.filter(|said| *said != actor) {
            let header = header.as_str();
            let message =
                format!("`{said}` is not who calls: the header `{header}` says `{actor}`");
            let hint = "leave `actor` out: the server takes it from the header";
            problems.push(ProblemItemDto::at_pointer("/actor", message).with_hint(hint));
        }
        Some(actor)
    }

    /// Whose name the act carries, if anybody is named.
    pub(crate) fn actor(self, said: Option<String>) -> Result<Option<String>, Problem> {
        let mut problems = Vec::new();
        let actor = self.read(said, &mut problems);
        if problems.is_empty() { Ok(actor) } else { Err(Problem::invalid(problems)) }
    }

    /// The same for commands, which need no name.
    pub(crate) fn actor_of_command(self, said: Option<String>) -> Result<String, Problem> {
        Ok(self.actor(said)?.unwrap_or_else(|| NAMELESS_ACTOR.to_owned()))
    }
}

impl<S> FromRequestParts<S> for Acting
where
    S: Send + Sync,
    ApiState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let state = ApiState::from_ref(state);
        match state.access.actor_header() {
            None => Ok(Acting::Said),
            Some(header) => {
                let actor = named_in(&parts.headers, header)?;
                Ok(Acting::Proven { header: header.clone(), actor })
            }
        }
    }
}

fn named_in(headers: &HeaderMap, header: &ActorHeader) -> Result<String, Problem> {
    let refused = |what: &str| {
        let name = header.as_str();
        Problem::new(Code::ActorUnproven, format!("the request {what} `{name}`"))
    };
    let mut given = headers.get_all(&header.0).iter();
    let (first, second) = (given.next(), given.next());
    // The second may be what a caller sent past a proxy that only adds its own.
    if second.is_some() {
        return Err(refused("has more than one header"));
    }
    let value = first.ok_or_else(|| refused("has no header"))?;
    let actor = std::str::from_utf8(value.as_bytes());
    let actor = actor.map_err(|_| refused("has no UTF-8 in its header"))?.trim();
    if actor.is_empty() { Err(refused("has nothing in its header")) } else { Ok(actor.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_carries_a_secret_names_nobody() {
        assert_eq!("X-Forwarded-User".parse::<ActorHeader>().unwrap().as_str(), "x-forwarded-user");
        for text in ["Authorization", "cookie", "Proxy-Authorization"] {
            let refused = text.parse::<ActorHeader>().unwrap_err().to_string();
            assert!(refused.ends_with("carries a secret and no name"), "{refused}");
        }
        let refused = "x user".parse::<ActorHeader>().unwrap_err().to_string();
        assert_eq!(refused, "`x user` is no name of a header");
    }
}
