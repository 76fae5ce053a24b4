//! Whether a provider works as configured.
use gateway::Provider;
use model_server::{Behavior, ModelServer};

use crate::support::{KEY, PROVIDER, anthropic_gateway_to, gateway, gateway_to, provider};

#[tokio::test]
async fn a_server_that_works_says_which_model_answered() {
    let server = ModelServer::start().await;
    server.require_key(KEY);
    let checked = gateway_to(&server).check(PROVIDER).await.unwrap();
    assert_eq!(checked.model, model_server::MODEL);
    assert!(checked.detail.contains("lists the model"), "{}", checked.detail);
    assert_eq!(server.requests()[0].body["max_tokens"], 16);
}

#[tokio::test]
async fn a_wrong_key_is_found_before_a_token_is_paid() {
    let server = ModelServer::start().await;
    server.require_key("another");
    let error = gateway_to(&server).check(PROVIDER).await.unwrap_err();
    assert_eq!(error.kind.code(), "model_unauthorized");
    assert!(error.message.contains("`providers.mine.key`"), "{}", error.message);
    assert!(!error.message.contains(KEY), "{}", error.message);
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_wrong_model_is_told_with_the_models_that_there_are() {
    let server = ModelServer::start().await;
    server.push(Behavior::error(404, "model_not_found", "no such model"));
    let misnamed = Provider { model: "tset-model".to_owned(), ..provider(server.base_url()) };
    let error = gateway(misnamed).check(PROVIDER).await.unwrap_err();
    assert_eq!(error.kind.code(), "model_not_found");
    assert!(error.message.ends_with("(it has test-model)"), "{}", error.message);
}

#[tokio::test]
async fn a_server_without_a_list_of_models_can_still_work() {
    let server = ModelServer::start().await;
    let unlisted = Provider { model: "other".to_owned(), ..provider(server.base_url()) };
    let checked = gateway(unlisted).check(PROVIDER).await.unwrap();
    assert!(checked.detail.contains("does not list the model, but answers for it"));
}

#[tokio::test]
async fn the_models_are_those_that_the_server_lists() {
    let server = ModelServer::start().await;
    let listed = gateway_to(&server).models(PROVIDER).await.unwrap();
    assert_eq!(listed, Some(vec![model_server::MODEL.to_owned()]));
    let listed = anthropic_gateway_to(&server).models(PROVIDER).await.unwrap();
    assert_eq!(listed, Some(vec![model_server::MODEL.to_owned()]));
    server.require_key("another");
    let error = gateway_to(&server).models(PROVIDER).await.unwrap_err();
    assert_eq!(error.kind.code(), "model_unauthorized");
    let nowhere = gateway(provider(format!("{}/nowhere", server.url())));
    assert_eq!(nowhere.models(PROVIDER).await.unwrap(), None);
}

#[tokio::test]
async fn the_scripted_writer_needs_nothing_and_an_unknown_provider_is_refused() {
    let gateway = gateway(Provider::scripted());
    let checked = gateway.check(gateway::SCRIPTED).await.unwrap();
    assert!(checked.detail.contains("not a language model"));
    assert_eq!(gateway.check("gone").await.unwrap_err().kind.code(), "model_rejected");
}
