//! Registries that misbehave: nothing of what they do is taken for a component, and nobody gets credentials that are
//! not for them.
mod fake;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use gateway::registry::{Component, Encryption, Patience, Reference, Registry, RegistryError};
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection};
use serde_json::{Value, json};

use self::fake::{
    COMPONENT, Fake, PASSWORD, Seen, answer, config, digest_of, good, is_component, manifest,
    manifest_answer,
};

/// Short enough for a test, and long enough for loopback.
const IMPATIENT: Patience =
    Patience { silence_max: Duration::from_millis(200), whole_max: Duration::from_secs(20) };

/// Base64 of `anna:` and the password.
const BASIC: &str = "Basic YW5uYTpyZWdpc3RyeS1wYXNzd29yZC01ZDFm";

fn component() -> Component {
    Component {
        bytes: Bytes::from_static(COMPONENT),
        title: "outline".to_owned(),
        version: "1.0.0".to_owned(),
        summary: "Writes an outline.".to_owned(),
        exports: vec!["stagewright:stage/plugin@1.0.0".to_owned()],
        imports: Vec::new(),
    }
}

/// What pulling from a registry comes to whose manifest is this one.
async fn pulled_with(manifest: Value) -> RegistryError {
    let fake = Fake::start(move |seen, _| match seen.line.contains("/manifests/") {
        true => manifest_answer(&manifest),
        false => good(seen),
    })
    .await;
    fake.registry().pull(&fake.reference()).await.expect_err("it is refused")
}

/// What pulling comes to where the component is answered like this.
async fn pulled_as(
    layer: impl Fn() -> Response + Send + Sync + 'static,
    patience: Patience,
) -> RegistryError {
    let fake = Fake::start(move |seen, _| match is_component(seen) {
        true => layer(),
        false => good(seen),
    })
    .await;
    fake.registry_with(patience).pull(&fake.reference()).await.expect_err("it is refused")
}

#[tokio::test]
async fn a_component_is_pulled_by_tag_and_by_digest() {
    let fake = Fake::start(|seen, _| good(seen)).await;
    let by_tag = fake.anonymous().pull(&fake.reference()).await.unwrap();
    assert_eq!(by_tag.bytes, COMPONENT);
    assert_eq!(by_tag.component.as_str(), digest_of(COMPONENT));
    assert_eq!(by_tag.manifest.as_str(), digest_of(manifest().to_string().as_bytes()));
    let pinned = fake.reference().pinned_to(&by_tag.manifest);
    assert_eq!(fake.anonymous().pull(&pinned).await.unwrap(), by_tag);
}

#[tokio::test]
async fn what_is_not_what_its_digest_says_is_refused() {
    let mut replaced = COMPONENT.to_vec();
    replaced[8] ^= 1;
    let refused = pulled_as(move || answer(200, &[], replaced.clone()), IMPATIENT).await;
    assert!(
        matches!(&refused, RegistryError::WrongDigest { what: "the component", expected, .. }
            if expected.as_str() == digest_of(COMPONENT)),
        "{refused}"
    );

    let fake = Fake::start(|seen, _| good(seen)).await;
    let other = format!("@{}", digest_of(b"another manifest"));
    let refused = fake.registry().pull(&fake.reference_to(&other)).await.unwrap_err();
    assert!(
        matches!(refused, RegistryError::WrongDigest { what: "the manifest", .. }),
        "{refused}"
    );

    let said = digest_of(b"another manifest");
    let lying = Fake::start(move |_, _| {
        let mut response = manifest_answer(&manifest());
        let said = said.parse().expect("a header");
        response.headers_mut().insert("docker-content-digest", said);
        response
    })
    .await;
    let refused = lying.registry().pull(&lying.reference()).await.unwrap_err();
    assert!(
        matches!(refused, RegistryError::WrongDigest { what: "the manifest", .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn a_component_that_ends_early_or_never_is_refused() {
    let short = pulled_as(|| answer(200, &[], &COMPONENT[1..]), IMPATIENT).await;
    assert!(matches!(short, RegistryError::WrongSize { .. }), "{short}");

    let endless = || {
        let pieces = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[0; 8])));
        answer(200, &[], Body::from_stream(pieces))
    };
    let refused = pulled_as(endless, IMPATIENT).await;
    assert!(
        matches!(refused, RegistryError::WrongSize { found, .. } if found < 1 << 20),
        "{refused}"
    );

    let stalling = || {
        let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(&COMPONENT[..4]))]);
        answer(200, &[], Body::from_stream(first.chain(stream::pending())))
    };
    let refused = pulled_as(stalling, IMPATIENT).await;
    assert!(matches!(refused, RegistryError::TimedOut { .. }), "{refused}");
    assert!(refused.to_string().contains("200 ms"), "{refused}");

    let whole_max = Duration::from_millis(200);
    let short_tempered = Patience { whole_max, ..Patience::default() };
    let refused = pulled_as(stalling, short_tempered).await;
    assert!(matches!(refused, RegistryError::TimedOut { .. }), "{refused}");
}

#[tokio::test]
async fn an_endless_manifest_is_refused_at_its_bound() {
    let fake = Fake::start(|_, _| {
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let pieces =
            stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 65_536])));
        answer(200, &[("content-type", media_type)], Body::from_stream(pieces))
    })
    .await;
    let refused = fake.registry().pull(&fake.reference()).await.unwrap_err();
    assert!(matches!(refused, RegistryError::TooLarge { what: "the manifest", .. }), "{refused}");
}

#[tokio::test]
async fn what_is_no_component_is_refused_before_it_is_fetched() {
    let changed = |change: fn(&mut Value)| {
        let mut value = manifest();
        change(&mut value);
        value
    };
    let cases: [(Value, &str); 4] = [
        (
            changed(|value| value["layers"][0]["mediaType"] = json!("application/x-tar")),
            "its layer has the type `application/x-tar`",
        ),
        (
            changed(|value| {
                let layer = value["layers"][0].clone();
                value["layers"] = json!([layer, layer]);
            }),
            "2 layers",
        ),
        (changed(|value| value["layers"][0]["size"] = json!(1_u64 << 40)), "not at most"),
        (
            changed(|value| {
                let config = &mut value["config"]["mediaType"];
                *config = json!("application/vnd.oci.image.config.v1+json");
            }),
            "its config has the type",
        ),
    ];
    for (manifest, expected) in cases {
        let refused = pulled_with(manifest).await;
        assert!(matches!(refused, RegistryError::NotAPlugin { .. }), "{refused}");
        assert!(refused.to_string().contains(expected), "{refused}");
    }
}

#[tokio::test]
async fn storage_hosts_get_no_credentials() {
    let storage = Fake::start(|_, _| answer(200, &[], COMPONENT)).await;
    let elsewhere = format!("http://{}/bucket?signature=abc", storage.address);
    let fake = Fake::start(move |seen, _| match (&seen.authorization, is_component(seen)) {
        (None, _) => answer(401, &[("www-authenticate", "Basic realm=\"x\"")], ""),
        (Some(_), true) => answer(307, &[("location", &elsewhere)], ""),
        (Some(_), false) => good(seen),
    })
    .await;
    let pulled = fake.registry().pull(&fake.reference()).await.unwrap();
    assert_eq!(pulled.bytes, COMPONENT);
    let proofs: Vec<_> = fake.seen().into_iter().map(|seen| seen.authorization).collect();
    let basic = || Some(BASIC.to_owned());
    assert_eq!(proofs, [None, basic(), basic(), basic()], "asked once without, then with");
    let at_storage = storage.seen();
    assert_eq!(at_storage.len(), 1);
    assert_eq!(at_storage[0].line, "GET /bucket?signature=abc");
    assert_eq!(at_storage[0].authorization, None);
}

#[tokio::test]
async fn a_storage_host_that_asks_who_asks_is_told_nothing() {
    let challenge = [("www-authenticate", "Basic realm=\"x\"")];
    let storage = Fake::start(move |_, _| answer(401, &challenge, "")).await;
    let elsewhere = format!("http://{}/bucket", storage.address);
    let fake = Fake::start(move |seen, _| match is_component(seen) {
        true => answer(307, &[("location", &elsewhere)], ""),
        false => good(seen),
    })
    .await;
    let refused = fake.registry().pull(&fake.reference()).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Status { status: 401, .. }), "{refused}");
    assert!(refused.to_string().contains("another host"), "{refused}");
    assert_eq!(storage.seen().len(), 1);
    assert_eq!(storage.seen()[0].authorization, None);
}

#[tokio::test]
async fn redirects_end_and_lead_nowhere_odd() {
    let locations = ["/v2/again", "ftp://127.0.0.1/x", "http://anna:x@127.0.0.1:1/x", "http://["];
    for location in locations {
        let fake = Fake::start(move |_, _| answer(302, &[("location", location)], "")).await;
        let refused = fake.registry().pull(&fake.reference()).await.unwrap_err();
        assert!(matches!(refused, RegistryError::RedirectRefused { .. }), "{location}: {refused}");
        assert!(fake.seen().len() <= 6, "{location}");
    }
}

#[tokio::test]
async fn a_push_follows_no_redirect() {
    let elsewhere = Fake::start(|seen, _| good(seen)).await;
    let target = format!("http://{}/", elsewhere.address);
    let fake = Fake::start(move |seen, _| match seen.line.starts_with("HEAD ") {
        true => answer(404, &[], ""),
        false => answer(307, &[("location", &target)], ""),
    })
    .await;
    let refused = fake.registry().push(&fake.reference(), &component()).await.unwrap_err();
    assert!(matches!(refused, RegistryError::RedirectRefused { .. }), "{refused}");
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn a_refusal_without_a_challenge_is_told_as_one() {
    let fake = Fake::start(|_, _| answer(401, &[], "")).await;
    let refused = fake.registry().pull(&fake.reference()).await.unwrap_err();
    assert!(matches!(refused, RegistryError::ChallengeRefused { .. }), "{refused}");
    assert!(refused.to_string().contains("without saying how"), "{refused}");
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn a_registry_that_wants_a_name_says_so_to_whoever_has_none() {
    let challenge = [("www-authenticate", "Basic realm=\"x\"")];
    let fake = Fake::start(move |_, _| answer(401, &challenge, "")).await;
    let refused = fake.anonymous().pull(&fake.reference()).await.unwrap_err();
    assert!(matches!(refused, RegistryError::CredentialsMissing { .. }), "{refused}");
    let refused = fake.registry().pull(&fake.reference()).await.unwrap_err();
    assert!(matches!(refused, RegistryError::CredentialsRefused { .. }), "{refused}");
}

/// A registry with its own token service, which wants a name for it.
fn with_tokens(seen: &Seen, address: std::net::SocketAddr) -> Response {
    let challenge = format!(r#"Bearer realm="http://{address}/token",service="reg",scope="wrong""#);
    match (seen.line.starts_with("GET /token"), seen.authorization.as_deref()) {
        (true, Some(BASIC)) => answer(200, &[], r#"{"token":"t-0123456789","expires_in":60}"#),
        (false, Some("Bearer t-0123456789")) => good(seen),
        _ => answer(401, &[("www-authenticate", &challenge)], ""),
    }
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_for_no_more_than_is_needed() {
    let fake = Fake::start(with_tokens).await;
    assert_eq!(fake.registry().pull(&fake.reference()).await.unwrap().bytes, COMPONENT);
    let lines: Vec<String> = fake.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(
        lines,
        [
            "GET /v2/acme/outline/manifests/1.0.0".to_owned(),
            "GET /token?service=reg&scope=repository%3Aacme%2Foutline%3Apull".to_owned(),
            "GET /v2/acme/outline/manifests/1.0.0".to_owned(),
            format!("GET /v2/acme/outline/blobs/{}", digest_of(&config())),
            format!("GET /v2/acme/outline/blobs/{}", digest_of(COMPONENT)),
        ]
    );
    let refused = fake.anonymous().pull(&fake.reference()).await.unwrap_err();
    assert!(matches!(refused, RegistryError::CredentialsMissing { .. }), "{refused}");
}

#[tokio::test]
async fn credentials_go_to_no_token_service_that_others_could_listen_to() {
    let other = Fake::start(|_, _| answer(200, &[], r#"{"token":"t"}"#)).await;
    let realm = format!("http://localhost:{}/token", other.address.port());
    let fake = Fake::start(move |_, _| {
        answer(401, &[("www-authenticate", &format!("Bearer realm=\"{realm}\""))], "")
    })
    .await;
    let refused = fake.registry().pull(&fake.reference()).await.unwrap_err();
    assert!(matches!(refused, RegistryError::ChallengeRefused { .. }), "{refused}");
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn what_a_registry_repeats_of_a_password_is_not_told() {
    let fake = Fake::start(|_, _| {
        let body = json!({"errors": [{"code": "DENIED", "message": format!("no, {PASSWORD}\n!")}]});
        answer(403, &[], body.to_string())
    })
    .await;
    let refused = fake.registry().pull(&fake.reference()).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Denied { .. }), "{refused}");
    let told = format!("{refused} {refused:?}");
    assert!(told.contains("DENIED (no, [redacted] !)") && !told.contains(PASSWORD), "{told}");
}

#[tokio::test]
async fn a_registry_that_keeps_something_else_than_was_pushed_is_told_apart() {
    let fake = Fake::start(|seen, _| match seen.line.split(' ').next() {
        Some("HEAD") => answer(200, &[], ""),
        Some("PUT") => answer(201, &[], ""),
        _ => good(seen),
    })
    .await;
    let refused = fake.registry().push(&fake.reference(), &component()).await.unwrap_err();
    assert!(
        matches!(refused, RegistryError::WrongDigest { what: "the manifest", .. }),
        "{refused}"
    );
    let puts = fake.seen().into_iter().filter(|seen| seen.line.starts_with("PUT"));
    assert_eq!(puts.clone().count(), 1, "blobs that are there are not sent again");
    let manifest: Value = serde_json::from_slice(&puts.last().unwrap().body).unwrap();
    assert_eq!(manifest["layers"][0]["digest"], digest_of(COMPONENT));
}

#[tokio::test]
async fn a_component_is_not_pushed_to_a_digest() {
    let fake = Fake::start(|seen, _| good(seen)).await;
    let reference = fake.reference_to(&format!("@{}", digest_of(b"x")));
    let refused = fake.registry().push(&reference, &component()).await.unwrap_err();
    assert!(matches!(refused, RegistryError::PushedToDigest { .. }), "{refused}");
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn an_encrypted_registry_is_not_spoken_to_in_the_open() {
    let fake = Fake::start(|seen, _| good(seen)).await;
    let host = fake.reference().host().clone();
    let registry = Registry::open(host, Encryption::Tls, None, IMPATIENT).unwrap();
    let refused = registry.pull(&fake.reference()).await.unwrap_err();
    assert!(matches!(refused, RegistryError::NotEncrypted { .. }), "{refused}");
    assert!(refused.hint().contains("`plain_http: true`"), "{}", refused.hint());
    assert!(fake.seen().is_empty());
}

/// Whoever is told to turn TLS off because of a certificate talks to just anybody.
#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused_and_tls_stays_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let reference: Reference =
        format!("{}/acme/outline:1.0.0", listener.local_addr().unwrap()).parse().unwrap();
    let answering = std::thread::spawn(move || answer_with_own_certificate(&listener));
    let registry =
        Registry::open(reference.host().clone(), Encryption::Tls, None, IMPATIENT).unwrap();
    let refused = registry.pull(&reference).await.unwrap_err();
    answering.join().expect("no panic");
    assert!(matches!(refused, RegistryError::CertificateUntrusted { .. }), "{refused}");
    let expected = format!("`{}` is not trusted", reference.host());
    assert!(refused.to_string().contains(&expected), "{refused}");
    assert!(!refused.hint().contains("plain_http"), "{}", refused.hint());
}

/// Shakes hands once, with a certificate that its own key signed. The handshake fails where the other side refuses it.
fn answer_with_own_certificate(listener: &TcpListener) {
    let certificate = include_bytes!("registry/own_certificate.der").as_slice().into();
    let key = PrivatePkcs8KeyDer::from(include_bytes!("registry/own_key.der").as_slice());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .expect("a key with its certificate");
    let mut connection = ServerConnection::new(Arc::new(config)).expect("a connection");
    let (mut socket, _) = listener.accept().expect("somebody connects");
    connection.complete_io(&mut socket).expect_err("the certificate is refused");
}

#[tokio::test]
async fn where_nobody_listens_nobody_is_told_to_turn_tls_off() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let reference: Reference =
        format!("{}/acme/outline:1.0.0", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let registry =
        Registry::open(reference.host().clone(), Encryption::Plain, None, IMPATIENT).unwrap();
    let refused = registry.pull(&reference).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Unreachable { .. }), "{refused}");
    assert!(!refused.hint().contains("plain_http"), "{}", refused.hint());
}

#[tokio::test]
async fn a_digest_that_names_no_manifest_is_told_which_one_is_meant() {
    for (status, code) in [(500, "UNKNOWN"), (404, "MANIFEST_UNKNOWN"), (400, "MANIFEST_INVALID")] {
        let fake = Fake::start(move |_, _| {
            answer(status, &[], json!({"errors": [{"code": code}]}).to_string())
        })
        .await;
        let by_digest = fake.reference_to(&format!("@{}", digest_of(COMPONENT)));
        let refused = fake.registry().pull(&by_digest).await.unwrap_err();
        assert!(refused.to_string().contains(code), "{refused}");
        assert!(refused.hint().contains("the digest of the manifest"), "{}", refused.hint());
        let by_tag = fake.registry().pull(&fake.reference()).await.unwrap_err();
        assert!(!by_tag.hint().contains("manifest"), "{}", by_tag.hint());
    }
}

#[tokio::test]
async fn a_registry_that_is_busy_or_out_of_order_says_nothing_about_the_digest() {
    for status in [429, 502, 503] {
        let fake = Fake::start(move |_, _| answer(status, &[], String::new())).await;
        let by_digest = fake.reference_to(&format!("@{}", digest_of(COMPONENT)));
        let refused = fake.registry().pull(&by_digest).await.unwrap_err();
        assert!(matches!(refused, RegistryError::Status { .. }), "{refused:?}");
        assert!(refused.to_string().contains(&status.to_string()), "{refused}");
        assert!(refused.hint().contains("try again later"), "{}", refused.hint());
    }
}
