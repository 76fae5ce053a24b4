//! The example stage as an Extism plugin: the same logic, with JSON as what goes in and out, as Extism has it.
#[path = "../../../../../plugins/examples/tagline-rust/src/taglines.rs"]
#[allow(dead_code, reason = "the schema is for `describe`")]
mod taglines;

use extism_pdk::{FnResult, Json, host_fn, plugin_fn};
use serde::Deserialize;
use serde_json::{Value, json};
use stage_sdk::StageContext;

#[host_fn]
extern "ExtismHost" {
    fn ask(request: String) -> String;
}

#[derive(Deserialize)]
struct Input {
    request_text: String,
    settings: Value,
}

#[plugin_fn]
pub fn run(Json(input): Json<Input>) -> FnResult<String> {
    let context = StageContext::new(input.request_text).with_settings(&input.settings);
    let question = taglines::question(&context).expect("a request with a text");
    let messages: Vec<Value> =
        question.messages.iter().map(|message| json!({ "content": message.content })).collect();
    // The host is outside of what can be checked here.
    let answer = unsafe { ask(json!({ "messages": messages }).to_string())? };
    let count = taglines::count_of(&context).expect("settings");
    let written = taglines::read(&answer, count).expect("an answer that can be used");
    let output = taglines::output(&written);
    let artifacts: Vec<Value> = output
        .artifacts
        .iter()
        .map(|artifact| json!({ "name": artifact.name, "body": artifact.body }))
        .collect();
    let output = json!({ "summary": output.summary, "data": output.data, "artifacts": artifacts });
    Ok(output.to_string())
}
