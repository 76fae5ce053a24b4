use std::sync::Mutex;

use domain::model::{Completion, Message, ModelOptions, Role};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{Caching, Config, Delta, Gateway, Provider, Question, SCRIPTED};

const REQUEST: &str =
    "Reusable beeswax wraps for small kitchens in Portland, sold by subscription.";

fn request(prompt: String, response_format: ResponseFormat) -> ModelRequest {
    let message = |role, content| Message { role, content };
    ModelRequest {
        messages: vec![
            message(Role::System, "You are a strategist.".to_owned()),
            message(Role::User, prompt),
        ],
        options: ModelOptions { response_format, ..ModelOptions::default() },
        label: None,
    }
}

fn with_sections() -> ModelRequest {
    let prompt = format!(
        "<request>\n{REQUEST}\n</request>\n\nRequired sections, in this order:\n\
         ## Market - size and growth\n## Audience - who buys\n## Positioning statement - one sentence"
    );
    request(prompt, ResponseFormat::Text)
}

fn ask(request: &ModelRequest) -> (Completion, Vec<String>) {
    let pieces = Mutex::new(Vec::new());
    let note = |delta| match delta {
        Delta::Text(text) => pieces.lock().unwrap().push(text),
        Delta::Reasoning(_) | Delta::Retrying { .. } | Delta::FallingBack { .. } => {
            panic!("the writer only writes")
        }
    };
    let config = Config { providers: vec![Provider::scripted()], ..Config::default() };
    let gateway = Gateway::open(config).unwrap();
    let question = Question {
        route: gateway.route(SCRIPTED, None).unwrap(),
        alternatives: Vec::new(),
        request: Arc::new(request.clone()),
        time_max: Provider::CALL_TIME_MAX,
        idempotency_key: String::new(),
        caching: Caching::Off,
        stop: CancellationToken::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let answered = runtime.block_on(gateway.ask(question, &note));
    (answered.outcome.unwrap(), pieces.into_inner().unwrap())
}

fn instance(schema: &Value) -> Value {
    let format = ResponseFormat::JsonSchema { name: "s".to_owned(), schema: schema.to_string() };
    let (completion, _) = ask(&request(format!("<request>\n{REQUEST}\n</request>"), format));
    serde_json::from_str(&completion.content).unwrap()
}

#[test]
fn a_draft_has_the_required_sections_in_order_and_says_what_it_is() {
    let (completion, _) = ask(&with_sections());
    let headings: Vec<&str> =
        completion.content.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(headings, ["Market", "Audience", "Positioning statement"]);
    let first = completion.content.lines().next().unwrap();
    assert!(first.starts_with("# Scripted draft: Reusable beeswax wraps"), "{first}");
    assert!(completion.content.contains(&format!("\n> {LABEL}\n")));
    assert!(completion.content.contains("size and growth"));
    assert_eq!((completion.model.as_str(), completion.cost_nano_usd), ("scripted", Some(0)));
}

#[test]
fn a_section_that_has_to_have_code_gets_a_block_under_a_path() {
    let prompt = format!(
        "<request>\n{REQUEST}\n</request>\n\nRequired sections, in this order:\n\
         ## Files - each with a path and one fenced code block\n## Audience - who buys"
    );
    let (completion, _) = ask(&request(prompt, ResponseFormat::Text));
    let block = format!("\n### `reusable.txt`\n\n```text\n{LABEL}\nReusable beeswax wraps");
    assert!(completion.content.contains(&block), "{}", completion.content);
    assert_eq!(completion.content.matches("```text").count(), 1);
}

#[test]
fn the_same_prompt_gives_the_same_answer_in_small_pieces() {
    let (first, pieces) = ask(&with_sections());
    let (second, _) = ask(&with_sections());
    assert_eq!(first, second);
    assert_eq!(pieces.concat(), first.content);
    assert!(pieces.len() > 5 && pieces.iter().all(|piece| piece.len() <= PIECE_BYTES));
    assert_eq!(first.usage.source, UsageSource::Estimated);
    assert!(first.usage.output_tokens > Some(100));
}

#[test]
fn the_bound_on_tokens_and_stop_texts_end_an_answer() {
    let mut bounded = with_sections();
    bounded.options.max_tokens = Some(10);
    let (completion, _) = ask(&bounded);
    assert_eq!((completion.finish_reason, completion.content.len()), (FinishReason::Length, 40));
    let mut stopped = with_sections();
    stopped.options.stop = vec!["## Audience".to_owned()];
    let (completion, _) = ask(&stopped);
    assert!(!completion.content.contains("Audience"));
    assert_eq!(completion.finish_reason, FinishReason::Stop);
}

#[test]
fn a_small_request_is_answered_at_once_and_a_large_one_on_another_thread() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        // The only other thread is taken, so that what goes there waits.
        let (release, released) = std::sync::mpsc::channel::<()>();
        let taken = tokio::task::spawn_blocking(move || released.recv());
        let small = Arc::new(request("bees ".repeat(1 << 10), ResponseFormat::Text));
        let large = Arc::new(request("bees ".repeat(1 << 15), ResponseFormat::Text));
        let is_at_once = async |request| {
            tokio::select! {
                biased;
                _ = write_answer(request) => true,
                () = std::future::ready(()) => false,
            }
        };
        assert!(is_at_once(&small).await);
        assert!(!is_at_once(&large).await);
        drop(release);
        taken.await.unwrap().unwrap_err();
        let (content, _) = write_answer(&large).await.unwrap();
        assert!(content.contains("\"bees bees"), "{content}");
    });
}

#[test]
fn a_chat_is_told_that_no_model_answers() {
    let (completion, _) = ask(&request("How do bees fly?".to_owned(), ResponseFormat::Text));
    assert!(completion.content.contains(LABEL));
    assert!(completion.content.contains("\"How do bees fly\""), "{}", completion.content);
}

#[test]
fn json_follows_the_schema_with_the_words_of_the_request() {
    let schema = json!({
        "type": "object",
        "properties": {
            "note": { "type": "string" },
            "primary": { "type": "array", "minItems": 5, "maxItems": 8, "items": { "$ref": "#/$defs/keyword" } },
            "empty": { "type": "array", "maxItems": 0, "items": { "type": "string" } },
            "score": { "type": "number", "minimum": 0, "maximum": 1 },
            "maybe": { "anyOf": [{ "type": "null" }, { "type": "integer", "minimum": 7 }] },
            "kind": { "const": "plan" },
        },
        "required": ["primary", "kind"],
        "$defs": { "keyword": {
            "type": "object",
            "properties": {
                "keyword": { "type": "string", "maxLength": 30 },
                "intent": { "enum": ["informational", "commercial"] },
                "priority": { "type": "integer", "minimum": 1, "maximum": 3 },
                "rationale": { "type": "string", "minLength": 200 },
            },
        }},
    });
    let value = instance(&schema);
    assert_eq!(value["note"], LABEL);
    assert_eq!(
        (&value["kind"], &value["maybe"], &value["empty"]),
        (&json!("plan"), &json!(7), &json!([]))
    );
    let primary = value["primary"].as_array().unwrap();
    assert_eq!(primary.len(), 5);
    let mut words: Vec<&str> =
        primary.iter().map(|item| item["keyword"].as_str().unwrap()).collect();
    assert_eq!(words[..2], ["reusable", "beeswax"]);
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), 5, "keywords differ");
    for item in primary {
        assert!(["informational", "commercial"].contains(&item["intent"].as_str().unwrap()));
        assert!((1..=3).contains(&item["priority"].as_i64().unwrap()));
        assert!(item["rationale"].as_str().unwrap().chars().count() >= 200);
    }
}

#[test]
fn an_instance_without_a_field_for_remarks_says_what_it_is_where_it_explains() {
    let texts = json!({ "type": "object", "properties": {
        "findings": { "type": "array", "items": { "properties": { "why": {}, "hours": { "type": "number", "minimum": 0, "maximum": 80 } } } },
        "summary": { "type": "string" },
    }});
    let value = instance(&texts);
    assert!(value["summary"].as_str().unwrap().starts_with(LABEL), "{value}");
    assert_eq!(value.to_string().matches(LABEL).count(), 1);
    assert_eq!(value["findings"][1]["hours"], 26.67);
}

#[test]
fn a_schema_that_contains_itself_ends() {
    let schema = json!({
        "type": "object",
        "properties": { "children": { "type": "array", "items": { "$ref": "#" } } },
    });
    assert!(instance(&schema)["children"].is_array());
    let endless = json!({ "$ref": "#" });
    assert_eq!(instance(&endless), Value::Null);
}

/// Twenty required fields that are the whole again.
fn branching(property: &Value) -> Value {
    let names: Vec<String> = (0..20).map(|number| format!("field_{number}")).collect();
    let properties: serde_json::Map<String, Value> =
        names.iter().map(|name| (name.clone(), property.clone())).collect();
    json!({ "type": "object", "properties": properties, "required": names })
}

#[test]
fn a_schema_that_doubles_at_each_level_is_cut_off() {
    let itself = json!({ "$ref": "#" });
    let whole_again = json!({ "allOf": [itself, itself, itself] });
    let union = json!({ "anyOf": [{ "type": "null" }, itself] });
    let list = json!({ "type": "array", "minItems": 1_000, "items": itself });
    for schema in [branching(&itself), branching(&whole_again), branching(&union), branching(&list)]
    {
        let size_bytes = instance(&schema).to_string().len();
        assert!((100..4 << 20).contains(&size_bytes), "{size_bytes} bytes");
    }
    instance(&json!({ "allOf": vec![itself; 50] }));
}

#[test]
fn a_huge_constant_is_not_copied_a_thousand_times() {
    let text = "x".repeat(1 << 20);
    let nested: Vec<Value> = (0..40_000).map(|_| json!([])).collect();
    for (keyword, value) in [
        ("const", json!(text)),
        ("const", json!(nested)),
        ("enum", json!([text])),
        ("enum", json!([{ "a": nested }])),
    ] {
        let schema = json!({
            "type": "array", "minItems": 1_000, "items": { "$ref": "#/$defs/huge" },
            "$defs": { "huge": { keyword: value } },
        });
        let size_bytes = instance(&schema).to_string().len();
        assert!(size_bytes < 4 << 20, "{keyword}: {size_bytes} bytes");
    }
    assert_eq!(instance(&json!({ "const": text })), json!(text));
}

#[test]
fn what_is_gone_through_many_times_is_counted_each_time() {
    let optional: serde_json::Map<String, Value> =
        (0..50_000).map(|number| (format!("o{number}"), json!({ "type": "null" }))).collect();
    let names: Vec<String> = (0..50_000).map(|number| format!("r{number}")).collect();
    let wide = json!({ "type": "object", "properties": optional, "required": names });
    let long_name = "n".repeat(1 << 20);
    let named = json!({ "type": "object", "properties": { long_name: {
        "type": "array", "minItems": 1_000, "items": { "type": "string", "minLength": 1_000 },
    }}});
    let mut schema = branching(&json!({ "$ref": "#/$defs/list" }));
    schema["$defs"] = json!({
        "list": { "type": "array", "minItems": 1_000, "items": { "$ref": "#/$defs/wide" } },
        "wide": wide,
    });
    for schema in [schema, named] {
        assert!(instance(&schema).to_string().len() < 4 << 20);
    }
}

#[test]
fn phrases_stay_distinct_when_a_schema_wants_many() {
    let value =
        instance(&json!({ "type": "array", "minItems": 200, "items": { "type": "string" } }));
    let mut phrases: Vec<&str> =
        value.as_array().unwrap().iter().map(|phrase| phrase.as_str().unwrap()).collect();
    phrases.sort_unstable();
    phrases.dedup();
    assert_eq!(phrases.len(), 200);
}
