//! What is sent, and what is left out for servers that do not know it.
use domain::model::{ModelOptions, ResponseFormat};
use gateway::{Gateway, OpenAi, Provider};
use model_server::{Behavior, ModelServer};
use serde_json::{Value, json};

use crate::support::{KEY, ask, gateway, gateway_to, provider, question};

fn schema() -> ModelOptions {
    let schema = json!({ "type": "object", "properties": { "bee": { "type": "string" } } });
    let response_format =
        ResponseFormat::JsonSchema { name: "bees".to_owned(), schema: schema.to_string() };
    ModelOptions { response_format, ..ModelOptions::default() }
}

async fn bodies(server: &ModelServer, gateway: &Gateway, options: ModelOptions) -> Vec<Value> {
    let before = server.count();
    ask(gateway, question(gateway, options)).await.completion();
    server.requests().split_off(before).into_iter().map(|request| request.body).collect()
}

#[tokio::test]
async fn a_request_has_what_was_asked_for_and_nothing_else() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    let options = ModelOptions {
        max_tokens: Some(100),
        temperature: Some(0.3),
        stop: vec!["END".to_owned()],
        seed: Some(7),
        ..ModelOptions::default()
    };
    let expected = json!({
        "model": "test-model",
        "messages": [
            { "role": "system", "content": "You are a test." },
            { "role": "user", "content": "Say something about bees." },
        ],
        "stream": true,
        "stream_options": { "include_usage": true },
        "max_tokens": 100,
        "temperature": 0.3,
        "stop": ["END"],
        "seed": 7,
    });
    assert_eq!(bodies(&server, &gateway, options).await, [expected]);
    let request = &server.requests()[0];
    assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(request.header("user-agent"), Some(gateway::USER_AGENT));
    assert_eq!(request.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn extra_headers_are_sent_and_replace_ours() {
    let server = ModelServer::start().await;
    let headers =
        vec![("User-Agent".to_owned(), "my-agent/1".into()), ("x-plan".to_owned(), "gold".into())];
    let kind = OpenAi { base_url: server.base_url(), key: None, headers };
    let gateway = gateway(Provider::openai("mine", kind, "m"));
    bodies(&server, &gateway, ModelOptions::default()).await;
    let request = &server.requests()[0];
    assert_eq!(request.header("user-agent"), Some("my-agent/1"));
    assert_eq!(request.header("x-plan"), Some("gold"));
    assert_eq!(request.header("authorization"), None);
}

#[tokio::test]
async fn a_schema_goes_as_json_schema_and_its_answer_follows_it() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    let asked = ask(&gateway, question(&gateway, schema())).await;
    let answer: Value = serde_json::from_str(&asked.completion().content).unwrap();
    assert!(answer["bee"].is_string());
    let format = &server.requests()[0].body["response_format"];
    assert_eq!(format["type"], "json_schema");
    assert_eq!(format["json_schema"]["name"], "bees");
    assert_eq!(format["json_schema"]["schema"]["type"], "object");
}

#[tokio::test]
async fn a_server_without_schemas_is_asked_for_an_object_with_the_schema_in_words() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    let refusal = "response_format.type json_schema is not supported";
    server.push(Behavior::error(400, "invalid_request_error", refusal));
    let sent = bodies(&server, &gateway, schema()).await;
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[1]["response_format"], json!({ "type": "json_object" }));
    let instructions = sent[1]["messages"][1]["content"].as_str().unwrap();
    assert!(instructions.contains("JSON Schema") && instructions.contains("\"bee\""));
    assert_eq!(sent[1]["messages"][1]["role"], "system");
    let again = bodies(&server, &gateway, schema()).await;
    assert_eq!(again.len(), 1, "what was learnt is kept");
}

#[tokio::test]
async fn a_server_without_any_format_gets_it_in_words() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    for _ in 0..2 {
        server.push(Behavior::error(400, "bad", "unknown field response_format"));
    }
    let sent = bodies(&server, &gateway, schema()).await;
    assert_eq!(sent.len(), 3);
    assert!(sent[2].get("response_format").is_none());
    server.push(Behavior::error(400, "bad", "unknown field response_format"));
    let asked = ask(&gateway, question(&gateway, schema())).await;
    assert_eq!(asked.code(), "model_rejected", "there is nothing left to leave out");
}

#[tokio::test]
async fn an_invalid_schema_says_nothing_about_the_next() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    server.push(Behavior::error(400, "bad", "Invalid schema for response_format 'bees'"));
    assert_eq!(bodies(&server, &gateway, schema()).await.len(), 2);
    let next = bodies(&server, &gateway, schema()).await;
    assert_eq!(next[0]["response_format"]["type"], "json_schema");
}

#[tokio::test]
async fn json_is_named_in_the_messages_because_openai_demands_it() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    let options = ModelOptions { response_format: ResponseFormat::Json, ..ModelOptions::default() };
    let sent = bodies(&server, &gateway, options).await;
    assert_eq!(sent[0]["response_format"], json!({ "type": "json_object" }));
    assert!(sent[0]["messages"].to_string().contains("JSON object"));
}

#[tokio::test]
async fn refused_parameters_are_renamed_or_left_out() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    let refusals = [
        "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
        "unknown field `stream_options`",
        "invalid temperature: only 1 is allowed for this model",
    ];
    for refusal in refusals {
        server.push(Behavior::error(400, "invalid_request_error", refusal));
    }
    let options =
        || ModelOptions { max_tokens: Some(50), temperature: Some(0.2), ..ModelOptions::default() };
    let sent = bodies(&server, &gateway, options()).await;
    let last = &sent[3];
    assert_eq!(last["max_completion_tokens"], 50);
    for left_out in ["max_tokens", "stream_options", "temperature"] {
        assert!(last.get(left_out).is_none(), "{left_out}");
    }
    assert_eq!(bodies(&server, &gateway, options()).await.len(), 1);
}

#[tokio::test]
async fn a_refused_value_is_told_and_says_nothing_about_the_next() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    let options =
        || ModelOptions { temperature: Some(1.9), top_p: Some(0.5), ..ModelOptions::default() };
    let about = |param: &str, message: &str| {
        let error = json!({ "error": { "message": message, "param": param } });
        Behavior::status(400, error.to_string())
    };
    for refusal in [
        Behavior::error(400, "invalid_request_error", "temperature must be between 0 and 1"),
        about("temperature", "temperature must be between 0 and 1"),
        about("top_p", "top_p is too low"),
        about("seed", "Unknown parameter: 'seed'. There are temperature, top_p and others."),
    ] {
        server.push(refusal);
        let before = server.count();
        let asked = ask(&gateway, question(&gateway, options())).await;
        assert_eq!((asked.code(), server.count()), ("model_rejected", before + 1));
    }
    let [sent] = &bodies(&server, &gateway, options()).await[..] else {
        panic!("the next question needs one try")
    };
    assert_eq!((&sent["temperature"], &sent["top_p"]), (&json!(1.9), &json!(0.5)));
}

#[tokio::test]
async fn only_the_parameter_that_is_not_supported_is_left_out() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    let refusal = json!({ "error": {
        "message": "Unsupported parameter: 'top_p' is not supported with this model; use temperature.",
        "param": "top_p",
        "code": "unsupported_parameter",
    }});
    server.push(Behavior::status(400, refusal.to_string()));
    let options =
        || ModelOptions { temperature: Some(0.5), top_p: Some(0.5), ..ModelOptions::default() };
    for tries in [2, 1] {
        let sent = bodies(&server, &gateway, options()).await;
        assert_eq!(sent.len(), tries);
        assert_eq!(sent[tries - 1]["temperature"], 0.5);
        assert!(sent[tries - 1].get("top_p").is_none());
    }
}

#[tokio::test]
async fn a_format_that_is_refused_for_one_question_is_asked_for_by_the_next() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    let refusals = [
        "response_format: the messages are too long for constrained output",
        // What is learnt meanwhile is kept without what holds for the call alone.
        "unknown field `stream_options`",
    ];
    for refusal in refusals {
        server.push(Behavior::error(400, "invalid_request_error", refusal));
    }
    let sent = bodies(&server, &gateway, schema()).await;
    assert_eq!(sent[2]["response_format"]["type"], "json_object");
    let next = bodies(&server, &gateway, schema()).await;
    assert_eq!((next.len(), &next[0]["response_format"]["type"]), (1, &json!("json_schema")));
    assert!(next[0].get("stream_options").is_none());
}

#[tokio::test]
async fn another_form_has_another_idempotency_key() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    for refusal in ["unknown field `response_format`", "unknown field `stream_options`"] {
        server.push(Behavior::error(400, "invalid_request_error", refusal));
    }
    server.push(Behavior::status(503, "busy"));
    bodies(&server, &gateway, schema()).await;
    let requests = server.requests();
    let keys: Vec<&str> =
        requests.iter().filter_map(|request| request.header("idempotency-key")).collect();
    let expected = ["call_1", "call_1-object", "call_1-object-no_usage", "call_1-object-no_usage"];
    assert_eq!(keys, expected);
}

#[tokio::test]
async fn a_schema_that_is_not_json_is_refused_before_anybody_is_asked() {
    let server = ModelServer::start().await;
    let gateway = gateway(provider(server.base_url()));
    let response_format =
        ResponseFormat::JsonSchema { name: "bees".to_owned(), schema: "{".to_owned() };
    let options = ModelOptions { response_format, ..ModelOptions::default() };
    let asked = ask(&gateway, question(&gateway, options)).await;
    assert_eq!((asked.code(), server.count()), ("model_rejected", 0));
    assert!(asked.error().message.contains("the JSON schema `bees` is not JSON"));
}
