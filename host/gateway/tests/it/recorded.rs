//! What real servers send, replayed byte by byte over a connection, cut, stalled and broken off anywhere.
use domain::model::UsageSource;
use gateway::{Breaker, Gateway, Model, Price, Provider};
use model_server::{Behavior, ModelServer, Recording, Replay, Split};

use crate::support::{
    SHORT, anthropic, anthropic_gateway_to, ask_usual, gateway, gateway_to, provider,
};

/// Streams of OpenAI's protocol, and what they say.
const CHATS: &[(&str, &str)] = &[
    ("openai-stream", "Grüße von den Bienen 🐝"),
    ("openai-reasoning-stream", "Bees fly."),
    ("openai-whole", "Grüße von den Bienen 🐝"),
    ("kimi-stream", "蜜蜂 fly."),
    ("vllm-stream", "Bees fly."),
    ("llamacpp-stream", "Bees fly."),
    ("messy-stream", "Grüße 蜂蜡 🐝"),
];
const MESSAGES: &[(&str, &str)] = &[
    ("anthropic-stream", "Grüße von den Bienen 🐝"),
    ("anthropic-thinking-stream", "Bees fly."),
    ("anthropic-whole", "Grüße von den Bienen 🐝"),
];

fn split(recording: &str, split: Split) -> Behavior {
    Behavior::Replay(Replay { split, ..Replay::of(recording) })
}

async fn check_splits(server: &ModelServer, gateway: &Gateway, recordings: &[(&str, &str)]) {
    for (recording, text) in recordings {
        let middle = Recording::find(recording).expect("it is recorded").body().len() / 2;
        for cut in [
            Split::Whole,
            Split::EachByte,
            Split::Every(7),
            Split::At(vec![1, 2, 5, middle, middle + 1]),
        ] {
            let shown = format!("{recording}, {cut:?}");
            server.push(split(recording, cut));
            let asked = ask_usual(gateway).await;
            assert_eq!(asked.completion().content, *text, "{shown}");
            assert_eq!(asked.text(), *text, "{shown}");
        }
    }
    assert_eq!(server.connection_count(), 1, "each body was read to its end");
}

#[tokio::test]
async fn recorded_answers_are_understood_however_the_network_cuts_them() {
    let server = ModelServer::start().await;
    check_splits(&server, &gateway_to(&server), CHATS).await;
    let server = ModelServer::start().await;
    check_splits(&server, &anthropic_gateway_to(&server), MESSAGES).await;
}

#[tokio::test]
async fn an_answer_that_is_cut_off_anywhere_is_an_error_with_what_had_come() {
    let server = ModelServer::start().await;
    // So many failures in a row would have it left alone.
    let never = Breaker { failure_count: 0, ..Breaker::default() };
    let chats = gateway(Provider { breaker: never, ..provider(server.base_url()) });
    let messages = gateway(Provider { breaker: never, ..anthropic(server.url()) });
    let recordings = CHATS.iter().map(|chat| (&chats, chat));
    let recordings = recordings.chain(MESSAGES.iter().map(|message| (&messages, message)));
    for (gateway, (recording, text)) in recordings {
        let size_bytes = Recording::find(recording).unwrap().body().len();
        for cut_at in (0..size_bytes).step_by(size_bytes / 5) {
            let shown = format!("{recording}, {cut_at}");
            let before = server.count();
            server.push(Behavior::Replay(Replay { cut_at: Some(cut_at), ..Replay::of(recording) }));
            let asked = ask_usual(gateway).await;
            // Nothing at all has come of a connection that closes before its head.
            let tries = if cut_at == 0 { server.count() - before } else { 1 };
            assert_eq!(server.count(), before + tries, "{shown}");
            if asked.answered.outcome.is_ok() {
                assert_eq!(asked.text(), *text, "{shown}");
                continue;
            }
            assert_eq!(asked.code(), "model_unavailable", "{shown}");
            assert!(text.starts_with(&asked.text()), "{shown}");
            if !asked.text().is_empty() {
                let broken_off = asked.answered.broken_off.as_ref().unwrap();
                assert_eq!(broken_off.content, asked.text(), "{shown}");
                assert!(broken_off.usage.output_tokens.is_some(), "{shown}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_said_why_it_ended_is_whole_whatever_becomes_of_its_connection() {
    let server = ModelServer::start().await;
    let cases = [
        (provider(server.base_url()), "openai-stream", "\"finish_reason\":\"stop\""),
        (anthropic(server.url()), "anthropic-stream", "\"stop_reason\":\"end_turn\""),
    ];
    for (provider, recording, end) in cases {
        let gateway = gateway(Provider { idle_time_max: SHORT, ..provider });
        let body = Recording::find(recording).unwrap().text();
        let at = body.find(end).unwrap();
        let at = at + body[at..].find("\n\n").unwrap() + 2;
        let replay = || Replay::of(recording);
        for replay in
            [Replay { cut_at: Some(at), ..replay() }, Replay { stall_at: Some(at), ..replay() }]
        {
            let shown = format!("{replay:?}");
            server.push(Behavior::Replay(replay));
            let asked = ask_usual(&gateway).await;
            assert_eq!(asked.completion().content, "Grüße von den Bienen 🐝", "{shown}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_stalls_is_left_and_its_connection_closed() {
    let server = ModelServer::start().await;
    let cases = [
        (provider(server.base_url()), "openai-stream", "Grüße von"),
        (anthropic(server.url()), "anthropic-stream", "Grüße von den"),
    ];
    for (index, (provider, recording, text)) in cases.into_iter().enumerate() {
        let gateway = gateway(Provider { idle_time_max: SHORT, ..provider });
        let last_word = text.rsplit(' ').next().unwrap();
        let body = Recording::find(recording).unwrap().text();
        let after = body.find(&format!(" {last_word}")).or(body.find(last_word)).unwrap();
        let stall_at = after + body[after..].find("\n\n").unwrap() + 5;
        server.push(Behavior::Replay(Replay { stall_at: Some(stall_at), ..Replay::of(recording) }));
        let asked = ask_usual(&gateway).await;
        assert_eq!((asked.code(), asked.text().as_str()), ("model_timeout", text));
        assert!(asked.answered.broken_off.is_some());
        let closed = server.wait_for_closed(index).await;
        assert!(closed.abandoned && closed.sent_bytes == stall_at, "{closed:?}");
    }
}

#[tokio::test]
async fn cached_and_reasoning_tokens_are_parts_of_the_counts_and_paid_once() {
    let server = ModelServer::start().await;
    let mut provider = provider(server.base_url());
    provider.models.push(Model {
        name: model_server::MODEL.to_owned(),
        price: Some(Price {
            input: 1_000_000,
            cached_input: Some(100_000),
            cache_write: None,
            output: 10_000_000,
            reasoning: None,
        }),
        ..Model::default()
    });
    let gateway = gateway(provider);
    for (recording, input, cached, output) in [
        ("openai-stream", 1_117, 1_024, 12),
        ("openai-whole", 1_117, 1_024, 12),
        ("openai-reasoning-stream", 75, 0, 268),
        ("kimi-stream", 1_840, 1_792, 93),
    ] {
        server.push(Behavior::replay(recording));
        let asked = ask_usual(&gateway).await;
        let completion = asked.completion();
        let usage = completion.usage;
        assert_eq!((usage.input_tokens, usage.cached_tokens), (Some(input), Some(cached)));
        assert_eq!((usage.output_tokens, usage.source), (Some(output), UsageSource::Provider));
        let expected = (input - cached) * 1_000 + cached * 100 + output * 10_000;
        assert_eq!(completion.cost_nano_usd, Some(expected), "{recording}");
    }
}

#[tokio::test]
async fn counts_that_a_compatible_server_does_not_send_are_estimated() {
    let server = ModelServer::start().await;
    server.push(Behavior::replay("vllm-stream"));
    let asked = ask_usual(&gateway_to(&server)).await;
    let usage = asked.completion().usage;
    assert_eq!(usage.source, UsageSource::Estimated);
    assert!(usage.input_tokens > Some(10) && usage.output_tokens > Some(3), "{usage:?}");
    assert!(usage.reasoning_tokens > Some(0), "{usage:?}");
}

#[tokio::test]
async fn recorded_refusals_are_told_in_words_and_only_some_are_asked_again() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    for (recording, code, tries, words) in [
        ("openai-spent-quota", "model_quota_exhausted", 1, "exceeded your current quota"),
        ("openai-wrong-key", "model_unauthorized", 1, "`providers.mine.key`"),
        ("openai-unknown-model", "model_not_found", 1, "`providers.mine.model`"),
        ("openai-too-long", "model_context_too_long", 1, "shorten the request"),
        ("kimi-access-terminated", "model_unauthorized", 1, "`providers.mine.headers`"),
        ("kimi-spent-plan", "model_quota_exhausted", 1, "add credit"),
        ("kimi-rate-limit", "model_rate_limited", 3, "max RPM: 20"),
        ("vllm-too-long", "model_context_too_long", 1, "8192 tokens"),
        ("vllm-broken", "model_unavailable", 3, "answered 500: Internal Server Error"),
        ("llamacpp-loading", "model_unavailable", 3, "Loading model"),
    ] {
        let before = server.count();
        server.otherwise(Behavior::replay(recording));
        let asked = ask_usual(&gateway).await;
        assert_eq!((asked.code(), server.count() - before), (code, tries), "{recording}");
        assert!(asked.error().message.contains(words), "{}", asked.error().message);
    }
}

#[tokio::test]
async fn a_limit_without_a_wait_of_its_own_is_waited_for_until_it_is_filled_again() {
    let server = ModelServer::start().await;
    server.push(Behavior::replay("openai-rate-limit"));
    let asked = ask_usual(&gateway_to(&server)).await;
    asked.completion();
    assert_eq!(asked.waits_ms(), [20]);
}
