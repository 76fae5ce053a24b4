use model_server::Recording;

use super::*;
use crate::config::{Anthropic, OpenAi, Provider};

const KEY: &str = "sk-planted-key";

fn server() -> Server {
    let server = OpenAi {
        base_url: "https://api.kimi.com/coding/v1".to_owned(),
        key: Some(KEY.into()),
        headers: Vec::new(),
    };
    Server::parse(&Provider::openai("kimi", server, "m")).unwrap()
}

fn anthropic() -> Server {
    let server = Anthropic {
        base_url: "https://api.anthropic.com".to_owned(),
        key: Some(KEY.into()),
        headers: Vec::new(),
    };
    Server::parse(&Provider::anthropic("anthropic", server, "m")).unwrap()
}

fn refusal(status: u16, body: &str) -> TryFailed {
    let words = ProviderWords::of_body(body.as_bytes());
    understand(&server(), StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), &words)
}

/// What a recorded refusal is understood as: its code, and the wait before another try in milliseconds.
#[track_caller]
fn check_recorded(name: &str, expected_code: &str, expected_again: Again) {
    let recording = Recording::find(name).unwrap();
    let words = ProviderWords::of_body(recording.body());
    let mut headers = HeaderMap::new();
    for (header, value) in recording.headers() {
        headers.insert(header, value.parse().unwrap());
    }
    let server = if name.starts_with("anthropic") { anthropic() } else { server() };
    let status = StatusCode::from_u16(recording.status()).unwrap();
    let failed = understand(&server, status, &headers, &words);
    assert_eq!((failed.error.kind.code(), failed.again), (expected_code, expected_again), "{name}");
}

#[test]
fn every_recorded_refusal_is_understood() {
    let after_ms = |wait_ms| Again::After(Some(Duration::from_millis(wait_ms)));
    let whenever = Again::After(None);
    check_recorded("openai-rate-limit", "model_rate_limited", after_ms(20));
    check_recorded("openai-spent-quota", "model_quota_exhausted", Again::Never);
    check_recorded("openai-wrong-key", "model_unauthorized", Again::Never);
    check_recorded("openai-unknown-model", "model_not_found", Again::Never);
    check_recorded("openai-too-long", "model_context_too_long", Again::Never);
    check_recorded("kimi-access-terminated", "model_unauthorized", Again::Never);
    check_recorded("kimi-spent-plan", "model_quota_exhausted", Again::Never);
    check_recorded("kimi-rate-limit", "model_rate_limited", whenever);
    check_recorded("vllm-too-long", "model_context_too_long", Again::Never);
    check_recorded("vllm-broken", "model_unavailable", whenever);
    check_recorded("llamacpp-loading", "model_unavailable", whenever);
    check_recorded("anthropic-overloaded", "model_unavailable", whenever);
    check_recorded("anthropic-rate-limit", "model_rate_limited", after_ms(1_000));
    check_recorded("anthropic-spend-cap", "model_quota_exhausted", Again::Never);
    check_recorded("anthropic-usage-limit", "model_quota_exhausted", Again::Never);
    check_recorded("anthropic-no-credit", "model_quota_exhausted", Again::Never);
    check_recorded("anthropic-too-long", "model_context_too_long", Again::Never);
    check_recorded("anthropic-wrong-key", "model_unauthorized", Again::Never);
    check_recorded("anthropic-no-permission", "model_unauthorized", Again::Never);
    check_recorded("anthropic-unknown-model", "model_not_found", Again::Never);
    check_recorded("anthropic-too-large", "model_context_too_long", Again::Never);
}

#[test]
fn a_spent_quota_is_no_rate_limit_though_it_names_a_wait() {
    let words = ProviderWords::of_body(Recording::find("anthropic-spend-cap").unwrap().body());
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", "300".parse().unwrap());
    let failed = understand(&anthropic(), StatusCode::TOO_MANY_REQUESTS, &headers, &words);
    assert_eq!((failed.error.kind.code(), failed.again), ("model_quota_exhausted", Again::Never));
}

#[test]
fn only_an_overload_before_the_first_piece_is_asked_again() {
    let error = |kind: &str| serde_json::json!({ "type": kind, "message": "Overloaded" });
    let again = |server: &Server, kind: &str, is_heard| {
        refused_in_answer(server, &error(kind), is_heard).again
    };
    let overloaded = "overloaded_error";
    assert_eq!(again(&anthropic(), overloaded, false), Again::After(None));
    assert_eq!(again(&anthropic(), overloaded, true), Again::Never);
    assert_eq!(again(&anthropic(), "api_error", false), Again::Never);
    assert_eq!(again(&server(), overloaded, false), Again::Never);
}

#[track_caller]
fn check(status: u16, body: &str, expected_code: &str, is_tried_again: bool) {
    let refusal = refusal(status, body);
    assert_eq!(refusal.error.kind.code(), expected_code, "{body}");
    assert_eq!(refusal.again != Again::Never, is_tried_again, "{body}");
}

#[test]
fn statuses_and_codes_become_kinds_and_only_some_are_tried_again() {
    check(401, r#"{"error":{"message":"bad key"}}"#, "model_unauthorized", false);
    check(403, r#"{"error":{"type":"access_terminated_error"}}"#, "model_unauthorized", false);
    check(402, "no balance", "model_quota_exhausted", false);
    check(404, r#"{"error":{"code":"model_not_found"}}"#, "model_not_found", false);
    check(404, "<html>", "model_not_found", false);
    check(400, r#"{"error":{"code":"context_length_exceeded"}}"#, "model_context_too_long", false);
    check(
        400,
        r#"{"message":"This model's maximum context length is 8192 tokens"}"#,
        "model_context_too_long",
        false,
    );
    check(413, "", "model_context_too_long", false);
    check(400, r#"{"error":"bad"}"#, "model_rejected", false);
    check(422, r#"{"detail":[{"msg":"extra"}]}"#, "model_rejected", false);
    check(429, r#"{"error":{"type":"insufficient_quota"}}"#, "model_quota_exhausted", false);
    check(
        429,
        r#"{"error":{"type":"exceeded_current_quota_error"}}"#,
        "model_quota_exhausted",
        false,
    );
    check(429, "slow down", "model_rate_limited", true);
    check(500, "", "model_unavailable", true);
    check(503, "<html>busy</html>", "model_unavailable", true);
    check(529, "", "model_unavailable", true);
    check(408, "", "model_unavailable", true);
    check(302, "", "model_rejected", false);
}

#[test]
fn a_message_says_who_where_what_and_what_to_do() {
    assert_eq!(
        refusal(401, r#"{"error":{"message":"Invalid Authentication"}}"#).error.message,
        "provider `kimi` (https://api.kimi.com/coding/v1) answered 401: Invalid Authentication; check the key in \
         `KIMI_API_KEY`, and that it belongs to the platform at `KIMI_BASE_URL`"
    );
    let terminated = refusal(403, r#"{"error":{"message":"no","type":"access_terminated_error"}}"#);
    assert!(terminated.error.message.contains("`providers.kimi.headers`"));
}

#[test]
fn a_providers_words_are_bounded_in_one_line_and_without_the_key() {
    let body = format!("a\n{KEY}\u{1b}[31m {}", "x".repeat(5_000));
    let message = refusal(500, &body).error.message;
    assert!(message.contains("answered 500: a [redacted] [31m xxx"), "{message}");
    assert!(message.len() < 700 && !message.contains("planted"), "{message}");
}

#[test]
fn words_are_found_in_all_the_forms_that_servers_use() {
    let message = |body: &str| ProviderWords::of_body(body.as_bytes()).message;
    assert_eq!(message(r#"{"error":{"message":"a"}}"#), "a");
    assert_eq!(message(r#"[{"error":{"message":"a"}}]"#), "a");
    assert_eq!(message(r#"{"error":"a"}"#), "a");
    assert_eq!(message(r#"{"detail":"a"}"#), "a");
    assert_eq!(message(r#"{"object":"error","message":"a","code":40}"#), "a");
    assert_eq!(message(" a\n"), "a");
    assert_eq!(message(r#"{"x":1}"#), r#"{"x":1}"#);
}

#[test]
fn an_error_in_an_answer_is_classified_by_its_words() {
    let kind = |error: Value| refused_in_answer(&server(), &error, false).error.kind.code();
    assert_eq!(
        kind(serde_json::json!({"code": "context_length_exceeded"})),
        "model_context_too_long"
    );
    assert_eq!(kind(serde_json::json!({"code": 429})), "model_rate_limited");
    assert_eq!(kind(serde_json::json!("overloaded")), "model_unavailable");
}
