//! What is shown to whoever collects metrics.
use axum::body::Body;
use axum::http::{Request, header};
use tower::ServiceExt;

use super::stages::Stages;
use super::support::{Answer, Host};
use crate::{Access, ApiState, Token, router};

#[tokio::test]
async fn metrics_are_plain_text_of_the_version_that_prometheus_reads() {
    let host = Host::start().await;
    let answer = host.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "text/plain; version=0.0.4");
    assert_eq!(answer.text(), "stagewright_tests 1\n");
}

#[tokio::test]
async fn a_server_without_metrics_says_so() {
    let host = Host::start().await;
    let bare = router(ApiState::new(host.engine.clone(), Access::in_process()));
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let answer = Answer::of(bare.oneshot(request).await.unwrap()).await;
    let body = answer.refused(404, "route_unknown");
    assert_eq!(body["detail"], "the server keeps no metrics");
}

#[tokio::test]
async fn metrics_ask_for_the_token_like_every_other_route() {
    let access = Access::network(Some(Token::new("open sesame")));
    let host = Host::with(Stages::unhindered(), access).await;
    let request = |token: Option<&str>| {
        let request = Request::get("/metrics").header(header::HOST, "127.0.0.1");
        let request = match token {
            Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        };
        request.body(Body::empty()).unwrap()
    };
    host.send(request(None)).await.refused(401, "unauthorized");
    assert_eq!(host.send(request(Some("open sesame"))).await.status, 200);
}
