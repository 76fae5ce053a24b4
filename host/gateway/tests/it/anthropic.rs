//! Anthropic's Messages: what is sent, what is understood, and what is left out for a server that does not take it.
use std::sync::Arc;

use domain::model::{
    FinishReason, Message, ModelOptions, ModelRequest, ResponseFormat, Role, UsageSource,
};
use gateway::{Delta, Gateway, Model, Price, Provider};
use model_server::{Answer, Behavior, ModelServer, Recorded, Replay, UsageForm};
use serde_json::{Value, json};

use crate::support::{
    KEY, PROVIDER, SHORT, anthropic, anthropic_gateway_to, ask, ask_usual, gateway, question,
};

fn schema() -> ModelOptions {
    let schema = json!({ "type": "object", "properties": { "bee": { "type": "string" } } });
    let response_format =
        ResponseFormat::JsonSchema { name: "bees".to_owned(), schema: schema.to_string() };
    ModelOptions { response_format, ..ModelOptions::default() }
}

async fn sent(server: &ModelServer, gateway: &Gateway, options: ModelOptions) -> Vec<Recorded> {
    let before = server.count();
    ask(gateway, question(gateway, options)).await.completion();
    server.requests().split_off(before)
}

async fn bodies(server: &ModelServer, gateway: &Gateway, options: ModelOptions) -> Vec<Value> {
    sent(server, gateway, options).await.into_iter().map(|request| request.body).collect()
}

async fn body_of(messages: &[(Role, &str)]) -> Value {
    let server = ModelServer::start().await;
    let gateway = anthropic_gateway_to(&server);
    let message =
        |(role, content): &(Role, &str)| Message { role: *role, content: (*content).to_owned() };
    let mut question = question(&gateway, ModelOptions::default());
    question.request = Arc::new(ModelRequest {
        messages: messages.iter().map(message).collect(),
        options: ModelOptions::default(),
        label: None,
    });
    ask(&gateway, question).await.completion();
    server.requests()[0].body.clone()
}

#[tokio::test]
async fn a_request_has_what_was_asked_for_in_the_protocols_words() {
    let server = ModelServer::start().await;
    let gateway = anthropic_gateway_to(&server);
    let options = ModelOptions {
        max_tokens: Some(100),
        temperature: Some(0.3),
        top_p: Some(0.9),
        stop: vec!["END".to_owned()],
        seed: Some(7),
        ..ModelOptions::default()
    };
    let request = &sent(&server, &gateway, options).await[0];
    let expected = json!({
        "model": "test-model",
        "max_tokens": 100,
        "stream": true,
        "system": "You are a test.",
        "messages": [{ "role": "user", "content": "Say something about bees." }],
        "temperature": 0.3,
        "top_p": 0.9,
        "stop_sequences": ["END"],
    });
    assert_eq!((request.path.as_str(), &request.body), ("/v1/messages", &expected));
    assert_eq!(request.header("x-api-key"), Some(KEY));
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(request.header("user-agent"), Some(gateway::USER_AGENT));
    assert_eq!(request.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_bound_is_always_sent_and_a_temperature_stays_in_the_protocols_range() {
    let server = ModelServer::start().await;
    let gateway = anthropic_gateway_to(&server);
    let options = ModelOptions { temperature: Some(1.7), ..ModelOptions::default() };
    let body = &bodies(&server, &gateway, options).await[0];
    assert_eq!((&body["max_tokens"], &body["temperature"]), (&json!(16_384), &json!(1.0)));
}

#[tokio::test]
async fn extra_headers_are_sent_and_replace_ours() {
    let server = ModelServer::start().await;
    let kind = gateway::Anthropic {
        base_url: server.base_url(),
        key: Some(KEY.into()),
        headers: vec![
            ("anthropic-version".to_owned(), "2030-01-01".into()),
            ("anthropic-beta".to_owned(), "bees-2026".into()),
        ],
    };
    let gateway = gateway(Provider::anthropic(PROVIDER, kind, "m"));
    let request = &sent(&server, &gateway, ModelOptions::default()).await[0];
    assert_eq!(request.header("anthropic-version"), Some("2030-01-01"));
    assert_eq!(request.header("anthropic-beta"), Some("bees-2026"));
}

#[tokio::test]
async fn the_roles_are_put_in_turn_and_the_user_begins() {
    use Role::{Assistant, System, User};
    let body = body_of(&[
        (System, "Be brief."),
        (User, "a"),
        (User, "b"),
        (Assistant, "c"),
        (System, "Be kind."),
        (Assistant, "  "),
        (User, "d"),
    ])
    .await;
    assert_eq!(body["system"], "Be brief.\n\nBe kind.");
    let expected = json!([
        { "role": "user", "content": "a\n\nb" },
        { "role": "assistant", "content": "c" },
        { "role": "user", "content": "d" },
    ]);
    assert_eq!(body["messages"], expected);

    let body = body_of(&[(Assistant, "c"), (User, "d"), (Assistant, "{ ")]).await;
    assert_eq!(body["messages"][0]["role"], "user");
    assert_eq!(body["messages"][1], json!({ "role": "assistant", "content": "c" }));
    assert_eq!(body["messages"][3], json!({ "role": "assistant", "content": "{" }));
    assert!(body.get("system").is_none());

    let body = body_of(&[(System, "Write.")]).await;
    assert_eq!(body["messages"], json!([{ "role": "user", "content": "Write." }]));
    assert!(body.get("system").is_none());
}

#[tokio::test]
async fn a_recorded_stream_is_heard_in_pieces_and_counted() {
    let server = ModelServer::start().await;
    server.push(Behavior::replay("anthropic-stream"));
    let asked = ask_usual(&anthropic_gateway_to(&server)).await;
    let completion = asked.completion();
    assert_eq!(completion.content, "Grüße von den Bienen 🐝");
    assert_eq!((asked.text(), asked.deltas.len()), (completion.content.clone(), 3));
    assert_eq!(completion.model, "claude-sonnet-4-5-20250929");
    assert_eq!(completion.finish_reason, FinishReason::Stop);
    let usage = completion.usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(25), Some(15)));
    assert_eq!(usage.source, UsageSource::Provider);
}

#[tokio::test]
async fn every_form_of_an_answer_is_the_same_answer() {
    let server = ModelServer::start().await;
    let gateway = anthropic_gateway_to(&server);
    let text = "Grüße von den Bienen 🐝 und 蜂蜡";
    let answer = || Answer { text: Some(text.to_owned()), ..Answer::default() };
    for form in [
        answer(),
        Answer { piece_bytes: Some(1), bom: true, crlf: true, pings: true, ..answer() },
        Answer { piece_bytes: Some(7), crlf: true, done: false, ..answer() },
        Answer { whole: true, ..answer() },
        Answer { whole: true, piece_bytes: Some(3), ..answer() },
    ] {
        let shown = format!("{form:?}");
        server.push(Behavior::Answer(form));
        let asked = ask_usual(&gateway).await;
        assert_eq!(asked.completion().content, text, "{shown}");
        assert_eq!(asked.text(), text, "{shown}");
        let usage = asked.completion().usage;
        assert_eq!((usage.output_tokens, usage.cached_tokens), (Some(7), Some(1)), "{shown}");
    }
}

#[tokio::test]
async fn thinking_is_heard_and_cached_tokens_are_priced_once() {
    let server = ModelServer::start().await;
    server.push(Behavior::replay("anthropic-thinking-stream"));
    let mut provider = anthropic(server.url());
    provider.models.push(Model {
        name: model_server::MODEL.to_owned(),
        price: Some(Price {
            input: 3_000_000,
            cached_input: Some(300_000),
            cache_write: Some(3_750_000),
            output: 15_000_000,
            reasoning: None,
        }),
        ..Model::default()
    });
    let asked = ask_usual(&gateway(provider)).await;
    let completion = asked.completion();
    assert_eq!(asked.deltas[0], Delta::Reasoning("The user wants bees.".to_owned()));
    assert_eq!(completion.finish_reason, FinishReason::Length);
    assert_eq!(completion.usage.input_tokens, Some(2_009));
    let expected = 21 * 3_000 + 1_800 * 300 + 188 * 3_750 + 64 * 15_000;
    assert_eq!(completion.cost_nano_usd, Some(expected));
}

#[tokio::test]
async fn the_placeholder_of_an_answer_that_breaks_off_is_not_taken_for_a_count() {
    let server = ModelServer::start().await;
    let until_text = model_server::Recording::find("anthropic-stream").unwrap().text();
    let cut_at = until_text.find("event: content_block_stop").unwrap();
    server
        .push(Behavior::Replay(Replay { cut_at: Some(cut_at), ..Replay::of("anthropic-stream") }));
    let asked = ask_usual(&anthropic_gateway_to(&server)).await;
    assert_eq!((asked.code(), server.count()), ("model_unavailable", 1));
    let broken_off = asked.answered.broken_off.as_ref().unwrap();
    assert_eq!(broken_off.content, "Grüße von den Bienen 🐝");
    assert_eq!(broken_off.usage.input_tokens, Some(25), "this was told");
    assert!(broken_off.usage.output_tokens > Some(5), "{broken_off:?}");
    assert_eq!(broken_off.usage.source, UsageSource::Estimated);
}

#[tokio::test]
async fn usage_that_is_missing_is_counted_and_marked() {
    let server = ModelServer::start().await;
    let answer = Answer {
        usage: UsageForm::Missing,
        text: Some("Bees fly.".to_owned()),
        ..Answer::default()
    };
    server.push(Behavior::Answer(answer));
    let usage = ask_usual(&anthropic_gateway_to(&server)).await.completion().usage;
    assert_eq!((usage.output_tokens, usage.source), (Some(4), UsageSource::Estimated));
    server.push(Behavior::Answer(Answer { usage: UsageForm::Zero, ..Answer::default() }));
    let usage = ask_usual(&anthropic_gateway_to(&server)).await.completion().usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(0), Some(0)));
    assert_eq!(usage.source, UsageSource::Provider);
}

#[tokio::test]
async fn an_overload_is_asked_again_before_the_first_piece_and_not_after_it() {
    let server = ModelServer::start().await;
    let gateway = anthropic_gateway_to(&server);
    server.push(Behavior::replay("anthropic-overloaded"));
    server.push(Behavior::replay("anthropic-overloaded-at-once"));
    server.push(Behavior::replay("anthropic-stream"));
    let asked = ask_usual(&gateway).await;
    assert_eq!(asked.completion().content, "Grüße von den Bienen 🐝");
    assert_eq!((server.count(), asked.answered.timing.tries), (3, 3));
    assert_eq!(asked.completion().usage.input_tokens, Some(25), "of the last try alone");

    server.push(Behavior::replay("anthropic-overloaded-midway"));
    let asked = ask_usual(&gateway).await;
    assert_eq!((asked.code(), server.count()), ("model_unavailable", 4));
    assert!(asked.error().message.contains("Overloaded"), "{}", asked.error().message);
    assert_eq!(asked.answered.broken_off.as_ref().unwrap().content, "Grüße");
}

#[tokio::test]
async fn a_rate_limit_is_waited_for_and_a_spend_cap_is_not() {
    let server = ModelServer::start().await;
    let gateway = anthropic_gateway_to(&server);
    server.push(Behavior::Status {
        status: 429,
        headers: vec![("retry-after".to_owned(), "0.02".to_owned())],
        body: r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}"#
            .into(),
    });
    let asked = ask_usual(&gateway).await;
    asked.completion();
    assert_eq!((asked.waits_ms(), server.count()), (vec![20], 2));
    for recording in ["anthropic-spend-cap", "anthropic-usage-limit", "anthropic-no-credit"] {
        let before = server.count();
        server.push(Behavior::replay(recording));
        let asked = ask_usual(&gateway).await;
        assert_eq!((asked.code(), server.count()), ("model_quota_exhausted", before + 1));
        assert!(asked.error().message.contains("add credit"), "{}", asked.error().message);
    }
}

#[tokio::test]
async fn what_cannot_get_better_is_asked_once() {
    let server = ModelServer::start().await;
    let gateway = anthropic_gateway_to(&server);
    for (recording, code) in [
        ("anthropic-wrong-key", "model_unauthorized"),
        ("anthropic-no-permission", "model_unauthorized"),
        ("anthropic-unknown-model", "model_not_found"),
        ("anthropic-too-large", "model_context_too_long"),
        ("anthropic-too-long", "model_context_too_long"),
    ] {
        let before = server.count();
        server.push(Behavior::replay(recording));
        let asked = ask_usual(&gateway).await;
        assert_eq!((asked.code(), server.count()), (code, before + 1), "{recording}");
    }
}

#[tokio::test]
async fn a_schema_goes_as_a_setting_with_closed_objects() {
    let server = ModelServer::start().await;
    let gateway = anthropic_gateway_to(&server);
    let asked = ask(&gateway, question(&gateway, schema())).await;
    let answer: Value = serde_json::from_str(&asked.completion().content).unwrap();
    assert!(answer["bee"].is_string());
    let format = &server.requests()[0].body["output_config"]["format"];
    assert_eq!(format["type"], "json_schema");
    assert_eq!(format["schema"]["properties"], json!({ "bee": { "type": "string" } }));
    assert_eq!(format["schema"]["additionalProperties"], json!(false));
}

#[tokio::test]
async fn a_server_without_schemas_gets_them_in_words_and_is_remembered() {
    for refusal in [
        "output_config: Extra inputs are not permitted",
        "'claude-3-haiku-20240307' does not support output format.",
    ] {
        let server = ModelServer::start().await;
        let gateway = anthropic_gateway_to(&server);
        server.push(Behavior::anthropic_error(400, "invalid_request_error", refusal));
        let sent = bodies(&server, &gateway, schema()).await;
        assert_eq!(sent.len(), 2, "{refusal}");
        assert!(sent[1].get("output_config").is_none());
        let system = sent[1]["system"].as_str().unwrap();
        assert!(system.starts_with("You are a test.\n\n") && system.contains("\"bee\""));
        assert_eq!(bodies(&server, &gateway, schema()).await.len(), 1, "what was learnt is kept");
    }
}

#[tokio::test]
async fn a_schema_that_the_server_does_not_take_says_nothing_about_the_next() {
    let server = ModelServer::start().await;
    let gateway = anthropic_gateway_to(&server);
    let refusal =
        "output_config.format.schema: For 'string' type, property 'minLength' is not supported";
    server.push(Behavior::anthropic_error(400, "invalid_request_error", refusal));
    assert_eq!(bodies(&server, &gateway, schema()).await.len(), 2);
    let next = bodies(&server, &gateway, schema()).await;
    assert!(next[0].get("output_config").is_some());
}

#[tokio::test]
async fn json_without_a_schema_is_asked_for_in_words() {
    let server = ModelServer::start().await;
    let gateway = anthropic_gateway_to(&server);
    let options = ModelOptions { response_format: ResponseFormat::Json, ..ModelOptions::default() };
    let body = &bodies(&server, &gateway, options).await[0];
    assert!(body["system"].as_str().unwrap().ends_with("one JSON object and nothing else."));
    assert!(body.get("output_config").is_none());
}

#[tokio::test]
async fn a_bound_above_the_models_is_lowered_to_it_once_and_for_all() {
    let server = ModelServer::start().await;
    let gateway = anthropic_gateway_to(&server);
    let refusal = "max_tokens: 16384 > 8192, which is the maximum allowed number of output tokens for claude-3-5-haiku";
    server.push(Behavior::anthropic_error(400, "invalid_request_error", refusal));
    let sent = bodies(&server, &gateway, ModelOptions::default()).await;
    assert_eq!((&sent[0]["max_tokens"], &sent[1]["max_tokens"]), (&json!(16384), &json!(8192)));
    let low = ModelOptions { max_tokens: Some(50), ..ModelOptions::default() };
    assert_eq!(bodies(&server, &gateway, low).await[0]["max_tokens"], 50);
    let next = bodies(&server, &gateway, ModelOptions::default()).await;
    assert_eq!((next.len(), &next[0]["max_tokens"]), (1, &json!(8192)));
}

#[tokio::test]
async fn a_long_prompt_gets_the_room_that_is_left_unless_the_bound_was_asked_for() {
    let server = ModelServer::start().await;
    let gateway = anthropic_gateway_to(&server);
    let refusal = |bound: u32| {
        let words = format!(
            "input length and `max_tokens` exceed context limit: 190000 + {bound} > 200000, decrease input length"
        );
        Behavior::anthropic_error(400, "invalid_request_error", &words)
    };
    server.push(refusal(16_384));
    let sent = bodies(&server, &gateway, ModelOptions::default()).await;
    assert_eq!((sent.len(), &sent[1]["max_tokens"]), (2, &json!(10_000)));
    let next = bodies(&server, &gateway, ModelOptions::default()).await;
    assert_eq!(next[0]["max_tokens"], 16_384, "the next prompt may be shorter");
    server.push(refusal(20_000));
    let options = ModelOptions { max_tokens: Some(20_000), ..ModelOptions::default() };
    let asked = ask(&gateway, question(&gateway, options)).await;
    assert_eq!(asked.code(), "model_context_too_long");
}

#[tokio::test]
async fn numbers_that_a_model_does_not_take_are_left_out_and_remembered() {
    let server = ModelServer::start().await;
    let gateway = anthropic_gateway_to(&server);
    let options =
        || ModelOptions { temperature: Some(0.5), top_p: Some(0.5), ..ModelOptions::default() };
    let both =
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one.";
    server.push(Behavior::anthropic_error(400, "invalid_request_error", both));
    let sent = bodies(&server, &gateway, options()).await;
    assert_eq!((&sent[1]["temperature"], sent[1].get("top_p")), (&json!(0.5), None));
    let deprecated = "`temperature` is deprecated for this model.";
    server.push(Behavior::anthropic_error(400, "invalid_request_error", deprecated));
    let sent = bodies(&server, &gateway, options()).await;
    assert!(sent[1].get("temperature").is_none());
    assert_eq!(bodies(&server, &gateway, options()).await.len(), 1);
}

#[tokio::test]
async fn a_server_that_only_pings_runs_into_the_first_token_bound() {
    let server = ModelServer::start().await;
    let bounded = Provider { first_token_time_max: SHORT, ..anthropic(server.url()) };
    let started = model_server::Recording::find("anthropic-stream").unwrap().text();
    let stall_at = started.find("event: content_block_delta").unwrap();
    server.otherwise(Behavior::Replay(Replay {
        stall_at: Some(stall_at),
        ..Replay::of("anthropic-stream")
    }));
    let asked = ask_usual(&gateway(bounded)).await;
    assert_eq!((asked.code(), server.count()), ("model_timeout", 1));
    assert!(asked.error().message.contains("did not begin to answer within 150 ms"));
    let closed = server.wait_for_closed(0).await;
    assert!(closed.abandoned);
}

#[tokio::test]
async fn a_check_lists_the_models_and_asks_for_a_few_tokens() {
    let server = ModelServer::start().await;
    server.require_key(KEY);
    let gateway = anthropic_gateway_to(&server);
    let checked = gateway.check(PROVIDER).await.unwrap();
    assert!(checked.detail.contains("lists the model"), "{}", checked.detail);
    assert_eq!(server.requests()[0].body["max_tokens"], 16);
    server.require_key("another");
    let error = gateway.check(PROVIDER).await.unwrap_err();
    assert_eq!((error.kind.code(), server.count()), ("model_unauthorized", 1));
    assert!(!error.message.contains(KEY), "{}", error.message);
}

#[tokio::test]
async fn a_body_of_another_protocol_names_the_one_that_is_spoken() {
    let server = ModelServer::start().await;
    server.push(Behavior::replay("openai-whole"));
    let asked = ask_usual(&anthropic_gateway_to(&server)).await;
    assert_eq!(asked.code(), "model_bad_response");
    let message = &asked.error().message;
    assert!(message.contains("a server that speaks Anthropic's Messages"), "{message}");
}
