//! Says who asks, in the way that a registry wants it: Basic, or with a token that a token service gives out for a name
//! and a password, or for nothing.
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::transfer::{Conversation, place};
use super::{Encryption, RegistryError, body};

/// Largest answer of a token service, in bytes. Tokens with many rights have some ten thousand.
const TOKEN_BYTES_MAX: u64 = 1 << 20;

/// What goes with requests to the registry itself.
pub(super) enum Proof {
    Nothing,
    Basic,
    Bearer(HeaderValue),
}

/// How a registry wants to know who asks.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String> },
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Conversation<'_> {
    /// Answers what a registry wants to know, so that the same request can be sent once more.
    pub(super) async fn prove(&mut self, refusal: &HeaderMap) -> Result<(), RegistryError> {
        let challenge = challenge_in(refusal).map_err(|detail| self.challenge_refused(&detail))?;
        self.proof = match challenge {
            Challenge::Basic if self.registry.credentials.is_none() => {
                return Err(RegistryError::CredentialsMissing { registry: self.host() });
            }
            Challenge::Basic => Proof::Basic,
            Challenge::Bearer { realm, service } => {
                Proof::Bearer(self.token(&realm, service.as_deref()).await?)
            }
        };
        Ok(())
    }

    /// What a registry that was told who asks, and still refuses, is taken to mean.
    pub(super) fn unaccepted(&self) -> RegistryError {
        match self.registry.credentials {
            Some(_) => RegistryError::CredentialsRefused { registry: self.host() },
            None => RegistryError::CredentialsMissing { registry: self.host() },
        }
    }

    async fn token(
        &mut self,
        realm: &str,
        service: Option<&str>,
    ) -> Result<HeaderValue, RegistryError> {
        let mut url = self.token_service(realm)?;
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = service {
                query.append_pair("service", service);
            }
            // What is needed, and not what a registry says is needed: the first question of a push is one to read.
            let scope = format!("repository:{}:{}", self.repository, self.actions.as_str());
            query.append_pair("scope", &scope);
        }
        let host = place(&url);
        let mut request = self.registry.client.get(url);
        if let Some(credentials) = &self.registry.credentials {
            let password = credentials.password.expose_secret();
            request = request.basic_auth(&credentials.username, Some(password));
        }
        let response = self.answer_to(request, &host).await?;
        match response.status().as_u16() {
            200 => {}
            401 | 403 => return Err(self.unaccepted()),
            status => {
                return Err(RegistryError::Status {
                    registry: self.host(),
                    doing: "the question for a token",
                    status,
                    words: String::new(),
                });
            }
        }
        let bytes =
            self.whole(response, "the answer of the token service", TOKEN_BYTES_MAX).await?;
        self.keep_token(&bytes)
    }

    /// The realm is the registry's word. Credentials for the registry are what it gets to see anyway, so that it may send
    /// them to any host; but not past TLS, where others would see them too.
    fn token_service(&self, realm: &str) -> Result<Url, RegistryError> {
        let refused = |detail: &str| self.challenge_refused(&format!("{detail}: `{realm}`"));
        let url = Url::parse(realm).map_err(|_| refused("its token service has no address"))?;
        let is_plain_registry = self.registry.encryption == Encryption::Plain
            && url.host_str() == self.registry.base.host_str();
        match url.scheme() {
            "https" => {}
            "http" if is_plain_registry => {}
            _ => return Err(refused("its token service is not reached over `https://`")),
        }
        if url.host_str().is_none() || !url.username().is_empty() || url.password().is_some() {
            return Err(refused("the address of its token service cannot be used"));
        }
        Ok(url)
    }

    fn keep_token(&mut self, bytes: &[u8]) -> Result<HeaderValue, RegistryError> {
        let unusable = || RegistryError::NotTheProtocol {
            registry: self.host(),
            detail: "its token service gives out no token".to_owned(),
        };
        let answer: TokenAnswer = serde_json::from_slice(bytes).map_err(|_| unusable())?;
        let token = answer.token.filter(|token| !token.is_empty()).or(answer.access_token);
        let token = token.filter(|token| !token.is_empty()).ok_or_else(unusable)?;
        let mut value =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| unusable())?;
        value.set_sensitive(true);
        self.secrets.add_key(&SecretString::from(token));
        Ok(value)
    }

    fn challenge_refused(&self, detail: &str) -> RegistryError {
        let detail = body::quotable(&self.secrets, detail);
        RegistryError::ChallengeRefused { registry: self.host(), detail }
    }
}

/// Adds what says who asks.
pub(super) fn with_proof(
    conversation: &Conversation<'_>,
    request: reqwest::RequestBuilder,
) -> reqwest::RequestBuilder {
    match (&conversation.proof, &conversation.registry.credentials) {
        (Proof::Bearer(token), _) => request.header(AUTHORIZATION, token.clone()),
        (Proof::Basic, Some(credentials)) => {
            request.basic_auth(&credentials.username, Some(credentials.password.expose_secret()))
        }
        (Proof::Basic, None) | (Proof::Nothing, _) => request,
    }
}

/// The first challenge that can be answered; a token before a password, because it is worth less to whoever steals it.
fn challenge_in(headers: &HeaderMap) -> Result<Challenge, String> {
    let mut basic = None;
    let mut others = Vec::new();
    for value in headers.get_all(WWW_AUTHENTICATE) {
        let text = value.to_str().map_err(|_| "its challenge is no text".to_owned())?;
        let challenges = http_auth::parse_challenges(text)
            .map_err(|_| format!("its challenge cannot be understood: `{text}`"))?;
        for challenge in challenges {
            let parameter = |wanted: &str| {
                let mut found = challenge.params.iter();
                let found = found.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
                found.map(|(_, value)| value.to_unescaped())
            };
            if challenge.scheme.eq_ignore_ascii_case("bearer") {
                let realm = parameter("realm")
                    .ok_or("its challenge names no token service (`realm`)".to_owned())?;
                return Ok(Challenge::Bearer { realm, service: parameter("service") });
            } else if challenge.scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            } else {
                others.push(challenge.scheme.to_owned());
            }
        }
    }
    basic.ok_or_else(|| match others.as_slice() {
        [] => "it refuses without saying how to (`WWW-Authenticate`)".to_owned(),
        others => format!("it knows only `{}`", others.join("`, `")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(values: &[&str]) -> Result<Challenge, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        challenge_in(&headers)
    }

    #[test]
    fn a_token_is_preferred_and_quotes_are_understood() {
        let bearer =
            r#"Bearer realm="https://auth.example.com/token",service="a, \"b\"",scope="x""#;
        let expected = Challenge::Bearer {
            realm: "https://auth.example.com/token".to_owned(),
            service: Some("a, \"b\"".to_owned()),
        };
        assert_eq!(challenge(&["Basic realm=\"x\"", bearer]), Ok(expected));
        assert_eq!(challenge(&["basic realm=\"x\""]), Ok(Challenge::Basic));
    }

    #[test]
    fn what_cannot_be_answered_is_told() {
        assert!(challenge(&[]).unwrap_err().contains("without saying how"));
        assert!(challenge(&["Digest realm=\"x\""]).unwrap_err().contains("`Digest`"));
        assert!(challenge(&["Bearer service=\"x\""]).unwrap_err().contains("`realm`"));
    }
}
