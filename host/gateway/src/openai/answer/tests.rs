use proptest::prelude::*;

use super::*;

fn read(pieces: &[&[u8]]) -> (Result<(), Broken>, Answer, Vec<Read>) {
    let mut reader = AnswerReader::new();
    let mut answer = Answer::default();
    let mut reads = Vec::new();
    let mut on_read = |read| reads.push(read);
    for piece in pieces {
        if let Err(broken) = reader.feed(piece, &mut answer, &mut on_read) {
            return (Err(broken), answer, reads);
        }
    }
    let ended = reader.finish(&mut answer, &mut on_read);
    (ended, answer, reads)
}

fn content_of(body: &str) -> Result<String, Broken> {
    let (ended, answer, reads) = read(&[body.as_bytes()]);
    let told: String = reads
        .iter()
        .filter_map(|read| match read {
            Read::Text(text) => Some(text.as_str()),
            Read::Reasoning(_) => None,
        })
        .collect();
    assert_eq!(told, answer.content, "the pieces are the whole");
    ended.map(|()| answer.content)
}

const STREAM: &str = concat!(
    "\u{feff}: ping\r\n\r\n",
    "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"reasoning_content\":\"hm 🐝\"}}]}\r\n\r\n",
    "event: ping\r\ndata:\r\n\r\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"Grüße \"}}]}\r\n\r\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"🐝 蜂\"}}]}\r\n\r\n",
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\r\n\r\n",
    "data: [DONE]\r\n\r\n",
);

proptest! {
    #[test]
    fn a_stream_means_the_same_wherever_it_is_cut(
        cuts in prop::collection::vec(0..STREAM.len(), 0..40)
    ) {
        let mut cuts = cuts;
        cuts.extend([0, STREAM.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> =
            cuts.windows(2).map(|cut| &STREAM.as_bytes()[cut[0]..cut[1]]).collect();
        let (ended, answer, _) = read(&pieces);
        prop_assert_eq!(ended, Ok(()));
        prop_assert_eq!(answer.content, "Grüße 🐝 蜂");
        prop_assert_eq!(answer.reasoning, "hm 🐝");
        prop_assert_eq!(answer.finish_reason, Some(FinishReason::Stop));
        prop_assert_eq!(answer.usage.unwrap().into_usage().input_tokens, Some(3));
    }

    #[test]
    fn no_bytes_make_it_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8)) {
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let _ = read(&pieces);
    }
}

#[test]
fn a_whole_object_may_come_after_blanks_and_a_mark_in_pieces() {
    let body = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#;
    let (head, tail) = body.as_bytes().split_at(20);
    let blanks = [b'\n'; 5000];
    let (ended, answer, _) = read(&[&blanks, b"\xef", b"\xbb\xbf", head, tail]);
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
}

#[test]
fn a_body_that_is_no_answer_is_shown() {
    let found = |body| match content_of(body) {
        Err(Broken::NotTheProtocol(found)) => found,
        other => panic!("{other:?}"),
    };
    assert_eq!(found(""), "an empty body");
    assert_eq!(found(" \n\n"), "an empty body");
    assert_eq!(found("<html>hi"), "a body that is not an answer: `<html>hi`");
    assert_eq!(found("{\"a\":1}"), "a body that is not an answer: `{\"a\":1}`");
    assert_eq!(found("{\"choices\":"), "a body that is not an answer: `{\"choices\":`");
    assert_eq!(found("data: [DONE]\n\n"), "a body that is not an answer: `data: [DONE]`");
    assert_eq!(found("data: nope\n\n"), "a line that is not JSON as it should be: `nope`");
}

#[test]
fn fields_of_another_type_are_fields_that_were_not_sent() {
    let body = r#"{"model":7,"choices":[{"index":"x","message":{"content":[{"type":"text","text":"a"},{"text":"b"}],
        "reasoning":null},"finish_reason":null}],"usage":{"prompt_tokens":"many","completion_tokens":2}}"#;
    let (ended, answer, _) = read(&[body.as_bytes()]);
    assert_eq!((ended, answer.content.as_str(), answer.model), (Ok(()), "ab", None));
    let usage = answer.usage.unwrap().into_usage();
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
fn a_refusal_in_the_models_words_is_a_filtered_answer() {
    let body = r#"{"choices":[{"message":{"content":null,"refusal":"I cannot."},"finish_reason":"stop"}]}"#;
    let (_, answer, _) = read(&[body.as_bytes()]);
    assert_eq!(answer.content, "I cannot.");
    assert_eq!(answer.finish_reason, Some(FinishReason::ContentFilter));
}
