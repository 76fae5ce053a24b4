//! Answers as OpenAI's chat completions send them, and as Kimi does.
use serde_json::{Value, json};

use crate::MODEL;
use crate::behavior::{Answer, UsageForm};

/// The events of a stream, word by word.
pub(crate) fn events(answer: &Answer, request: &Value, text: &str) -> Vec<String> {
    let usage = usage(answer.usage, request, text);
    let chunks = chunks(answer, text, &usage);
    let mut events: Vec<String> =
        chunks.into_iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    if answer.done {
        events.push("data: [DONE]\n\n".to_owned());
    }
    events
}

fn chunks(answer: &Answer, text: &str, usage: &Value) -> Vec<Value> {
    let chunk = |delta: Value| {
        json!({
            "id": "cmpl-1",
            "object": "chat.completion.chunk",
            "model": MODEL,
            "choices": [{ "index": 0, "delta": delta, "finish_reason": null }],
        })
    };
    let mut chunks = vec![chunk(json!({ "role": "assistant", "content": "" }))];
    if let Some(reasoning) = &answer.reasoning {
        chunks.push(chunk(json!({ "reasoning_content": reasoning })));
    }
    chunks.extend(text.split_inclusive(' ').map(|word| chunk(json!({ "content": word }))));
    let mut last = chunk(json!({}));
    last["choices"][0]["finish_reason"] = json!(answer.finish_reason);
    match answer.usage {
        UsageForm::Kimi => last["choices"][0]["usage"] = usage.clone(),
        UsageForm::Usual | UsageForm::Zero | UsageForm::Missing => {}
    }
    chunks.push(last);
    if matches!(answer.usage, UsageForm::Usual | UsageForm::Zero) {
        chunks.push(json!({ "model": MODEL, "choices": [], "usage": usage }));
    }
    chunks
}

/// One object in place of a stream.
pub(crate) fn whole(answer: &Answer, request: &Value, text: &str) -> Value {
    let mut message = json!({ "role": "assistant", "content": text });
    if let Some(reasoning) = &answer.reasoning {
        message["reasoning_content"] = json!(reasoning);
    }
    let mut body = json!({
        "object": "chat.completion",
        "model": MODEL,
        "choices": [{ "index": 0, "message": message, "finish_reason": answer.finish_reason }],
    });
    let usage = usage(answer.usage, request, text);
    if !usage.is_null() {
        body["usage"] = usage;
    }
    body
}

fn usage(form: UsageForm, request: &Value, text: &str) -> Value {
    let output = text.split_whitespace().count();
    let input = request.to_string().split_whitespace().count();
    match form {
        UsageForm::Usual => json!({
            "prompt_tokens": input,
            "completion_tokens": output,
            "total_tokens": input + output,
            "prompt_tokens_details": { "cached_tokens": 1 },
            "completion_tokens_details": { "reasoning_tokens": 0 },
        }),
        UsageForm::Kimi => json!({
            "prompt_tokens": input,
            "completion_tokens": output,
            "total_tokens": input + output,
            "cached_tokens": 1,
        }),
        UsageForm::Zero => json!({ "prompt_tokens": 0, "completion_tokens": 0 }),
        UsageForm::Missing => Value::Null,
    }
}
