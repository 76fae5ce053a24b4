//! Answers in all the forms that servers send.
use domain::model::{FinishReason, Usage, UsageSource};
use gateway::{Delta, Model, Price};
use model_server::{Answer, Behavior, ModelServer, UsageForm};

use crate::support::{PROVIDER, ask_usual, gateway, gateway_to, provider};

const TEXT: &str = "Grüße von den Bienen 🐝 und 蜂蜡";

fn answer() -> Answer {
    Answer { text: Some(TEXT.to_owned()), ..Answer::default() }
}

#[tokio::test]
async fn an_answer_comes_in_pieces_and_whole_with_the_servers_counts() {
    let server = ModelServer::start().await;
    server.push(Behavior::Answer(answer()));
    let asked = ask_usual(&gateway_to(&server)).await;
    let completion = asked.completion();
    assert_eq!(completion.content, TEXT);
    assert_eq!(asked.text(), TEXT);
    assert!(asked.deltas.len() > 3);
    assert_eq!(completion.finish_reason, FinishReason::Stop);
    assert_eq!(completion.model, model_server::MODEL);
    assert_eq!(completion.usage.output_tokens, Some(7));
    assert_eq!(completion.usage.cached_tokens, Some(1));
    assert_eq!(completion.usage.source, UsageSource::Provider);
    assert_eq!(completion.cost_nano_usd, None, "an unknown price is not 0");
    assert_eq!(asked.answered.timing.tries, 1);
    assert!(asked.answered.timing.first_token_ms.is_some());
}

#[tokio::test]
async fn every_form_of_a_stream_is_the_same_answer() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    let forms = [
        Answer { piece_bytes: Some(1), ..answer() },
        Answer { piece_bytes: Some(1), bom: true, crlf: true, pings: true, ..answer() },
        Answer { piece_bytes: Some(7), crlf: true, done: false, ..answer() },
        Answer { bom: true, done: false, ..answer() },
        Answer { whole: true, ..answer() },
        Answer { whole: true, piece_bytes: Some(3), ..answer() },
    ];
    for form in forms {
        let shown = format!("{form:?}");
        server.push(Behavior::Answer(form));
        let asked = ask_usual(&gateway).await;
        assert_eq!(asked.completion().content, TEXT, "{shown}");
        assert_eq!(asked.text(), TEXT, "{shown}");
        assert_eq!(asked.completion().usage.output_tokens, Some(7), "{shown}");
    }
}

#[tokio::test]
async fn usage_that_is_missing_is_counted_and_marked() {
    let server = ModelServer::start().await;
    server.push(Behavior::Answer(Answer {
        usage: UsageForm::Missing,
        reasoning: Some("Let me think about bees.".to_owned()),
        text: Some("Bees fly.".to_owned()),
        ..Answer::default()
    }));
    let usage = ask_usual(&gateway_to(&server)).await.completion().usage;
    let expected = Usage {
        input_tokens: Some(21),
        output_tokens: Some(10),
        cached_tokens: None,
        cache_write_tokens: None,
        reasoning_tokens: Some(6),
        source: UsageSource::Estimated,
    };
    assert_eq!(usage, expected);
}

#[tokio::test]
async fn counts_that_no_model_can_reach_are_not_believed() {
    let server = ModelServer::start().await;
    for (count, source) in [
        (u64::MAX, UsageSource::Estimated),
        ((1 << 40) + 1, UsageSource::Estimated),
        (1 << 40, UsageSource::Provider),
    ] {
        let body = format!(
            "{{\"choices\":[{{\"message\":{{\"content\":\"Bees fly.\"}},\"finish_reason\":\"stop\"}}],\
             \"usage\":{{\"prompt_tokens\":{count},\"completion_tokens\":3,\"cached_tokens\":{count},\
             \"completion_tokens_details\":{{\"reasoning_tokens\":{count}}}}}}}"
        );
        server.push(Behavior::raw("application/json", body));
        let usage = ask_usual(&gateway_to(&server)).await.completion().usage;
        assert_eq!((usage.output_tokens, usage.source), (Some(3), source));
        let believed = (source == UsageSource::Provider).then_some(count);
        assert_eq!(usage.input_tokens, believed.or(Some(21)));
        assert_eq!((usage.cached_tokens, usage.reasoning_tokens), (believed, believed));
    }
}

#[tokio::test]
async fn a_usage_of_zero_is_zero_and_not_missing() {
    let server = ModelServer::start().await;
    server.push(Behavior::Answer(Answer { usage: UsageForm::Zero, ..answer() }));
    let usage = ask_usual(&gateway_to(&server)).await.completion().usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(0), Some(0)));
    assert_eq!(usage.source, UsageSource::Provider);
}

#[tokio::test]
async fn kimis_counts_and_reasoning_are_understood_and_priced_once() {
    let server = ModelServer::start().await;
    server.push(Behavior::Answer(Answer {
        usage: UsageForm::Kimi,
        reasoning: Some("Hm.".to_owned()),
        ..answer()
    }));
    let mut provider = provider(server.base_url());
    provider.models.push(Model {
        name: model_server::MODEL.to_owned(),
        price: Some(Price {
            input: 1_000_000,
            cached_input: Some(10_000),
            cache_write: None,
            output: 100_000_000,
            reasoning: None,
        }),
        ..Model::default()
    });
    let asked = ask_usual(&gateway(provider)).await;
    let completion = asked.completion();
    assert_eq!(completion.content, TEXT);
    assert_eq!(asked.deltas[0], Delta::Reasoning("Hm.".to_owned()));
    let usage = completion.usage;
    assert_eq!(usage.cached_tokens, Some(1));
    let fresh = usage.input_tokens.unwrap() - 1;
    assert_eq!(completion.cost_nano_usd, Some(fresh * 1_000 + 10 + 7 * 100_000));
}

#[tokio::test]
async fn an_answer_cut_at_the_bound_says_so() {
    let server = ModelServer::start().await;
    let answer = Answer { finish_reason: "length".to_owned(), ..answer() };
    server.push(Behavior::Answer(answer));
    let asked = ask_usual(&gateway_to(&server)).await;
    assert_eq!(asked.completion().finish_reason, FinishReason::Length);
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = ModelServer::start().await;
    let gateway = gateway_to(&server);
    for _ in 0..10 {
        ask_usual(&gateway).await.completion();
        // The connection comes back on a task of its own, which wants its turn.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!((server.count(), server.connection_count()), (10, 1));
}

#[tokio::test]
async fn the_scripted_writer_answers_through_the_same_door() {
    let server = ModelServer::start().await;
    let gateway = gateway::Gateway::open(gateway::Config {
        providers: vec![provider(server.base_url()), gateway::Provider::scripted()],
        ..gateway::Config::default()
    })
    .unwrap();
    let mut question = crate::support::question(&gateway, Default::default());
    question.route = gateway.route(gateway::SCRIPTED, None).unwrap();
    let asked = crate::support::ask(&gateway, question).await;
    assert_eq!(asked.completion().cost_nano_usd, Some(0));
    assert_eq!(asked.text(), asked.completion().content);
    let live: Vec<bool> = gateway.providers().iter().map(|info| info.live).collect();
    assert_eq!((live, server.count()), (vec![true, false], 0), "{PROVIDER} was not asked");
}
