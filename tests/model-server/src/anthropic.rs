//! Answers as Anthropic's Messages send them.
use serde_json::{Value, json};

use crate::MODEL;
use crate::behavior::{Answer, UsageForm};

/// The count in `message_start` that is no count.
const PLACEHOLDER_TOKENS: u64 = 1;

/// The events of a stream, word by word.
pub(crate) fn events(answer: &Answer, request: &Value, text: &str) -> Vec<String> {
    let (input, output) = usage(answer.usage, request, text);
    let mut events = vec![json!({ "type": "message_start", "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": placeholder(&input),
    }})];
    let mut block = |index: usize, kind: &str, field: &str, pieces: Vec<&str>| {
        events.push(json!({
            "type": "content_block_start",
            "index": index,
            "content_block": { "type": kind, field: "" },
        }));
        for piece in pieces {
            events.push(json!({
                "type": "content_block_delta",
                "index": index,
                "delta": { "type": format!("{kind}_delta"), field: piece },
            }));
        }
        events.push(json!({ "type": "content_block_stop", "index": index }));
    };
    if let Some(reasoning) = &answer.reasoning {
        block(0, "thinking", "thinking", vec![reasoning]);
    }
    let index = usize::from(answer.reasoning.is_some());
    block(index, "text", "text", text.split_inclusive(' ').collect());
    events.push(json!({
        "type": "message_delta",
        "delta": { "stop_reason": stop_reason(&answer.finish_reason), "stop_sequence": null },
        "usage": with_output(&Value::Null, output),
    }));
    if answer.done {
        events.push(json!({ "type": "message_stop" }));
    }
    let event = |event: Value| {
        let name = event["type"].as_str().unwrap_or_default().to_owned();
        format!("event: {name}\ndata: {event}\n\n")
    };
    events.into_iter().map(event).collect()
}

/// One object in place of a stream.
pub(crate) fn whole(answer: &Answer, request: &Value, text: &str) -> Value {
    let (input, output) = usage(answer.usage, request, text);
    let thinking = answer
        .reasoning
        .iter()
        .map(|reasoning| json!({ "type": "thinking", "thinking": reasoning, "signature": "" }));
    let content: Vec<Value> = thinking.chain([json!({ "type": "text", "text": text })]).collect();
    json!({
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": stop_reason(&answer.finish_reason),
        "stop_sequence": null,
        "usage": with_output(&input, output),
    })
}

/// The behavior names reasons in OpenAI's words.
fn stop_reason(finish_reason: &str) -> &str {
    match finish_reason {
        "stop" => "end_turn",
        "length" => "max_tokens",
        "content_filter" => "refusal",
        other => other,
    }
}

/// The counts of the input and of the output.
fn usage(form: UsageForm, request: &Value, text: &str) -> (Value, Value) {
    let output = text.split_whitespace().count();
    let input = request.to_string().split_whitespace().count();
    match form {
        UsageForm::Usual | UsageForm::Kimi => {
            let counts = json!({
                "input_tokens": input - 1,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 1,
            });
            (counts, json!(output))
        }
        UsageForm::Zero => (json!({ "input_tokens": 0 }), json!(0)),
        UsageForm::Missing => (Value::Null, Value::Null),
    }
}

fn placeholder(input: &Value) -> Value {
    if input.is_null() { Value::Null } else { with_output(input, json!(PLACEHOLDER_TOKENS)) }
}

fn with_output(input: &Value, output: Value) -> Value {
    if output.is_null() {
        return Value::Null;
    }
    let mut usage = input.clone();
    usage["output_tokens"] = output;
    usage
}
