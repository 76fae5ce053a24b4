use std::sync::Mutex;

use domain::model::FinishReason;
use model_server::Recording;
use proptest::prelude::*;

use super::*;
use crate::question::Delta;
use crate::server::Answer;

const PROTOCOLS: [Protocol; 2] = [Protocol::OpenAi, Protocol::Anthropic];

fn read(protocol: Protocol, pieces: &[&[u8]]) -> (Result<(), Broken>, Answer, Vec<Delta>) {
    let deltas = Mutex::new(Vec::new());
    let listener = |delta: Delta| deltas.lock().unwrap().push(delta);
    let mut reader = BodyReader::new(protocol);
    let mut answer = Answer::default();
    let mut hearing = Hearing::new(&mut answer, &listener);
    let mut outcome = Ok(());
    for piece in pieces {
        outcome = outcome.and_then(|()| reader.feed(piece, &mut hearing));
    }
    let ended = outcome.and_then(|()| reader.finish(&mut hearing));
    (ended, answer, deltas.into_inner().unwrap())
}

fn content_of(body: &str) -> Result<String, Broken> {
    let (ended, answer, deltas) = read(Protocol::OpenAi, &[body.as_bytes()]);
    assert_eq!(text(&deltas), answer.content, "the pieces are the whole");
    ended.map(|()| answer.content)
}

fn text(deltas: &[Delta]) -> String {
    let texts = deltas.iter().filter_map(|delta| match delta {
        Delta::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// All that the reader makes of a body, for a comparison.
fn meaning(protocol: Protocol, pieces: &[&[u8]]) -> String {
    let (ended, answer, deltas) = read(protocol, pieces);
    let (finish, usage) = (answer.finish_reason, answer.usage);
    format!("{ended:?} {:?} {finish:?} {usage:?} {deltas:?}", answer.model)
}

fn streams() -> impl Iterator<Item = (Protocol, &'static str)> {
    [
        (Protocol::OpenAi, "openai-stream"),
        (Protocol::OpenAi, "openai-reasoning-stream"),
        (Protocol::OpenAi, "openai-whole"),
        (Protocol::OpenAi, "kimi-stream"),
        (Protocol::OpenAi, "vllm-stream"),
        (Protocol::OpenAi, "llamacpp-stream"),
        (Protocol::OpenAi, "messy-stream"),
        (Protocol::Anthropic, "anthropic-stream"),
        (Protocol::Anthropic, "anthropic-thinking-stream"),
        (Protocol::Anthropic, "anthropic-overloaded-at-once"),
        (Protocol::Anthropic, "anthropic-overloaded-midway"),
        (Protocol::Anthropic, "anthropic-whole"),
    ]
    .into_iter()
}

fn body(name: &str) -> &'static [u8] {
    Recording::find(name).expect("it is recorded").body()
}

#[test]
fn a_recorded_stream_means_the_same_in_single_bytes_and_cut_in_two_anywhere() {
    for (protocol, name) in streams() {
        let body = body(name);
        let expected = meaning(protocol, &[body]);
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(meaning(protocol, &bytes), expected, "{name} in single bytes");
        for at in 0..body.len() {
            let (head, tail) = body.split_at(at);
            assert_eq!(meaning(protocol, &[head, tail]), expected, "{name} cut at {at}");
        }
    }
}

#[test]
fn an_event_of_several_lines_is_one_event_whatever_ends_them_and_wherever_they_are_cut() {
    for end in ["\n", "\r\n", "\r"] {
        let lines = ["event: error", "data: {\"message\":", "data: \"busy — später\"}", "", ""];
        let body = lines.join(end);
        for at in 0..body.len() {
            let (head, tail) = body.as_bytes().split_at(at);
            let (ended, ..) = read(Protocol::OpenAi, &[head, tail]);
            let expected = Broken::Refused(serde_json::json!({ "message": "busy — später" }));
            assert_eq!(ended, Err(expected), "{end:?} cut at {at}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_recorded_stream_means_the_same_wherever_it_is_cut(
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        which in any::<prop::sample::Index>(),
    ) {
        let streams: Vec<_> = streams().collect();
        let (protocol, name) = streams[which.index(streams.len())];
        let body = body(name);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len())).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &body[cut[0]..cut[1]]).collect();
        prop_assert_eq!(meaning(protocol, &pieces), meaning(protocol, &[body]));
    }

    #[test]
    fn a_stream_that_ends_anywhere_is_either_complete_or_broken(
        which in any::<prop::sample::Index>(),
        end in any::<prop::sample::Index>(),
    ) {
        let streams: Vec<_> = streams().collect();
        let (protocol, name) = streams[which.index(streams.len())];
        let body = body(name);
        let (ended, answer, _) = read(protocol, &[&body[..end.index(body.len())]]);
        let (_, whole, _) = read(protocol, &[body]);
        prop_assert!(whole.content.starts_with(&answer.content));
        if ended.is_ok() {
            prop_assert_eq!(answer.content, whole.content);
            prop_assert!(answer.finish_reason.is_some());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8)
    ) {
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        for protocol in PROTOCOLS {
            let _ = read(protocol, &pieces);
        }
    }

    #[test]
    fn no_json_makes_it_panic(values in prop::collection::vec("[\\[\\]{}:,\"a-z0-9 ]{0,60}", 0..6)) {
        for protocol in PROTOCOLS {
            let body: String = values.iter().map(|value| format!("data: {value}\n\n")).collect();
            let _ = read(protocol, &[body.as_bytes()]);
        }
    }
}

#[test]
fn a_mark_crlf_comments_pings_and_split_characters_change_nothing() {
    let (ended, answer, deltas) = read(Protocol::OpenAi, &[body("messy-stream")]);
    assert_eq!((ended, answer.content.as_str()), (Ok(()), "Grüße 蜂蜡 🐝"));
    assert_eq!(deltas.len(), 2);
    assert_eq!(answer.usage.output_tokens, Some(0), "a usage of 0 is 0");
}

#[test]
fn kimis_reasoning_and_its_two_copies_of_one_count_are_read_once() {
    let (ended, answer, _) = read(Protocol::OpenAi, &[body("kimi-stream")]);
    assert_eq!((ended, answer.content.as_str()), (Ok(()), "蜜蜂 fly."));
    assert_eq!(answer.reasoning, "The user wants bees. 蜜蜂。");
    let usage = answer.usage;
    assert_eq!((usage.input_tokens, usage.cached_tokens), (Some(1840), Some(1792)));
    assert_eq!(usage.output_tokens, Some(93));
}

#[test]
fn a_stream_without_counts_and_one_without_done_are_answers() {
    let (ended, answer, _) = read(Protocol::OpenAi, &[body("vllm-stream")]);
    assert_eq!((ended, answer.content.as_str()), (Ok(()), "Bees fly."));
    assert_eq!((answer.reasoning.as_str(), answer.usage.output_tokens), ("Hm.", None));
    let (ended, answer, _) = read(Protocol::OpenAi, &[body("llamacpp-stream")]);
    assert_eq!((ended, answer.content.as_str()), (Ok(()), "Bees fly."));
    assert_eq!(answer.usage.output_tokens, Some(3));
}

#[test]
fn the_three_parts_of_anthropics_input_are_one_sum_and_their_parts() {
    let (ended, answer, deltas) = read(Protocol::Anthropic, &[body("anthropic-thinking-stream")]);
    assert_eq!((ended, answer.content.as_str()), (Ok(()), "Bees fly."));
    assert_eq!(answer.reasoning, "The user wants bees.");
    assert_eq!(deltas.len(), 2, "a signature is nothing to hear");
    assert_eq!(answer.finish_reason, Some(FinishReason::Length));
    let usage = answer.usage;
    assert_eq!(usage.input_tokens, Some(21 + 188 + 1800));
    assert_eq!((usage.cached_tokens, usage.cache_write_tokens), (Some(1800), Some(188)));
    assert_eq!((usage.output_tokens, usage.reasoning_tokens), (Some(64), Some(51)));
}

#[test]
fn anthropics_placeholder_is_never_a_count() {
    let stream = body("anthropic-stream");
    let delta_at = stream.windows(20).position(|part| part == b"event: message_delta").unwrap();
    let (ended, answer, _) = read(Protocol::Anthropic, &[&stream[..delta_at]]);
    assert_eq!((ended, answer.content.as_str()), (Err(Broken::Ended), "Grüße von den Bienen 🐝"));
    assert_eq!((answer.usage.input_tokens, answer.usage.output_tokens), (Some(25), None));
    let (ended, answer, _) = read(Protocol::Anthropic, &[stream]);
    assert_eq!((ended, answer.usage.output_tokens), (Ok(()), Some(15)));
}

#[test]
fn a_server_that_counts_the_input_at_the_end_only_is_believed() {
    let stream = concat!(
        "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":0,\"output_tokens\":0}}}\n\n",
        "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n",
        "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},",
        "\"usage\":{\"input_tokens\":12,\"output_tokens\":0}}\n\n",
    );
    let (ended, answer, _) = read(Protocol::Anthropic, &[stream.as_bytes()]);
    assert_eq!((ended, answer.content.as_str()), (Ok(()), "hi"));
    assert_eq!((answer.usage.input_tokens, answer.usage.output_tokens), (Some(12), Some(0)));
}

#[test]
fn a_whole_object_may_come_after_blanks_and_a_mark_in_pieces() {
    let body = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#;
    let (head, tail) = body.as_bytes().split_at(20);
    let blanks = [b'\n'; 5000];
    let pieces: &[&[u8]] = &[&blanks, b"\xef", b"\xbb\xbf", head, tail];
    let (ended, answer, _) = read(Protocol::OpenAi, pieces);
    assert_eq!((ended, answer.content.as_str()), (Ok(()), "hi"));
}

#[test]
fn a_stream_without_done_is_complete_when_it_has_a_reason_to_end() {
    let begun = r#"data: {"choices":[{"delta":{"content":"a"}}]}"#;
    let ended = r#"data: {"choices":[{"delta":{"content":"b"},"finish_reason":"length"}]}"#;
    assert_eq!(content_of(&format!("{begun}\n\n{ended}\n\n")), Ok("ab".to_owned()));
    assert_eq!(content_of(&format!("{begun}\n\n{ended}")), Ok("ab".to_owned()));
    assert_eq!(content_of(&format!("{begun}\n\ndata: [DONE]")), Ok("a".to_owned()));
    assert_eq!(content_of(&format!("{begun}\n\n")), Err(Broken::Ended));
    assert_eq!(content_of(&format!("{begun}\n\n{}", &ended[..40])), Err(Broken::Ended));
}

#[test]
fn an_error_in_a_stream_is_told_in_the_servers_words() {
    let error = serde_json::json!({ "message": "overloaded" });
    let expected = Err(Broken::Refused(error));
    assert_eq!(content_of("data: {\"error\":{\"message\":\"overloaded\"}}\n\n"), expected);
    assert_eq!(content_of("event: error\ndata: {\"message\":\"overloaded\"}\n\n"), expected);
    assert_eq!(content_of("{\"error\":{\"message\":\"overloaded\"}}"), expected);
    let (ended, answer, _) = read(Protocol::Anthropic, &[body("anthropic-overloaded-midway")]);
    assert!(matches!(&ended, Err(Broken::Refused(error)) if error["type"] == "overloaded_error"));
    assert_eq!(answer.content, "Grüße");
}

#[test]
fn a_body_that_is_no_answer_is_shown() {
    let found = |protocol, body: &str| match read(protocol, &[body.as_bytes()]).0 {
        Err(Broken::NotTheProtocol(found)) => found,
        other => panic!("{other:?}"),
    };
    for protocol in PROTOCOLS {
        assert_eq!(found(protocol, ""), "an empty body");
        assert_eq!(found(protocol, " \n\n"), "an empty body");
        assert_eq!(found(protocol, "<html>hi"), "a body that is not an answer: `<html>hi`");
        assert_eq!(found(protocol, "{\"a\":1}"), "a body that is not an answer: `{\"a\":1}`");
        let cut = "{\"choices\":";
        assert_eq!(found(protocol, cut), format!("a body that is not an answer: `{cut}`"));
        let line = "a line that is not JSON as it should be: `nope`";
        assert_eq!(found(protocol, "data: nope\n\n"), line);
    }
    let done = "data: [DONE]\n\n";
    assert_eq!(found(Protocol::OpenAi, done), "a body that is not an answer: `data: [DONE]`");
    let stop = "data: {\"type\":\"message_stop\"}\n\n";
    assert!(found(Protocol::Anthropic, stop).starts_with("a body that is not an answer"));
}

#[test]
fn fields_of_another_type_are_fields_that_were_not_sent() {
    let body = r#"{"model":7,"choices":[{"index":"x","message":{"content":[{"type":"text","text":"a"},{"text":"b"}],
        "reasoning":null},"finish_reason":null}],"usage":{"prompt_tokens":"many","completion_tokens":2}}"#;
    let (ended, answer, _) = read(Protocol::OpenAi, &[body.as_bytes()]);
    assert_eq!((ended, answer.content.as_str(), answer.model), (Ok(()), "ab", None));
    let usage = answer.usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (None, Some(2)));
    let body = r#"{"model":7,"content":[{"type":"text","text":"a"},{"text":7},{"x":1}],"stop_reason":3,
        "usage":{"input_tokens":"many","output_tokens":2,"cache_read_input_tokens":null}}"#;
    let (ended, answer, _) = read(Protocol::Anthropic, &[body.as_bytes()]);
    assert_eq!((ended, answer.content.as_str(), answer.model), (Ok(()), "a", None));
    let usage = answer.usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (None, Some(2)));
}

#[test]
fn a_line_of_four_megabytes_is_read_and_one_of_seventeen_is_refused() {
    let line = |megabytes: usize| {
        let text = "x".repeat(megabytes << 20);
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\ndata: [DONE]\n\n"
        )
    };
    assert_eq!(content_of(&line(4)).map(|text| text.len()), Ok(4 << 20));
    let too_large = |part| Err(Broken::TooLarge { part, bytes_max: ANSWER_BYTES_MAX });
    assert_eq!(content_of(&line(17)), too_large("line"));
    assert_eq!(content_of(&line(9).replace("data: [DONE]", &line(9))), too_large("answer"));
    assert_eq!(content_of(&format!("{{{}", " ".repeat(17 << 20))), too_large("body"));
}

#[test]
fn no_more_is_held_than_the_bound_whatever_comes() {
    // A line without end, an event of endless lines, a name and an id without end, an object without end. What is held
    // can be no more than what was fed since the last event, so the end has to come when that reaches the bound.
    let line = format!("data: {}\n", "x".repeat(1_000));
    let endless = ["data: x", &line, "event: x", "id: x", "{ "];
    let piece_bytes = 64 << 10;
    for unit in endless {
        let mut answer = Answer::default();
        let listener = |_: Delta| {};
        let mut hearing = Hearing::new(&mut answer, &listener);
        let mut reader = BodyReader::new(Protocol::OpenAi);
        let rest = if unit.ends_with('\n') { unit } else { &unit[unit.len() - 1..] };
        let piece = rest.repeat(piece_bytes / rest.len());
        reader.feed(unit.as_bytes(), &mut hearing).unwrap();
        let mut fed_bytes = 0;
        while reader.feed(piece.as_bytes(), &mut hearing).is_ok() {
            fed_bytes += piece.len();
            // The names of fields are not held; they are a hundredth at most.
            let held_bytes = fed_bytes / 100 * 99;
            assert!(held_bytes <= ANSWER_BYTES_MAX + piece_bytes, "{unit:.20}");
        }
    }
}

#[test]
fn a_refusal_in_the_models_words_is_a_filtered_answer() {
    let body = r#"{"choices":[{"message":{"content":null,"refusal":"I cannot."},"finish_reason":"stop"}]}"#;
    let (_, answer, _) = read(Protocol::OpenAi, &[body.as_bytes()]);
    assert_eq!(answer.content, "I cannot.");
    assert_eq!(answer.finish_reason, Some(FinishReason::ContentFilter));
}
