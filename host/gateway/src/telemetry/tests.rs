use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use domain::model::{Message, ModelRequest, Role};
use domain::plan::Caching;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio_util::sync::CancellationToken;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::{Layer, Registry};

use super::*;
use crate::{Config, Gateway, Provider, SCRIPTED};

const PLANTED: &str = "planted-prompt-text";

/// Keeps the fields of all spans.
#[derive(Clone, Default)]
struct Fields(Arc<Mutex<BTreeMap<String, String>>>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.lock().unwrap().insert(field.name().to_owned(), format!("{value:?}"));
    }
}

impl<S: tracing::Subscriber> Layer<S> for Fields {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        attributes.record(&mut self.clone());
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        values.record(&mut self.clone());
    }
}

fn question(gateway: &Gateway, model: &str) -> Question {
    let content = format!("Write about {PLANTED}.");
    let options =
        ModelOptions { max_tokens: Some(64), temperature: Some(0.5), ..Default::default() };
    let messages = vec![Message { role: Role::User, content }];
    Question {
        route: gateway.route(SCRIPTED, Some(model)).unwrap(),
        alternatives: Vec::new(),
        request: Arc::new(ModelRequest { messages, options, label: None }),
        time_max: Provider::CALL_TIME_MAX,
        idempotency_key: String::new(),
        caching: Caching::On,
        stop: CancellationToken::new(),
    }
}

fn gateway() -> Gateway {
    let config = Config { providers: vec![Provider::scripted()], ..Config::default() };
    Gateway::open(config).unwrap()
}

/// What is done in `work` is seen by whoever listens on this thread.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

#[test]
fn a_call_is_one_span_in_the_words_of_the_conventions_and_without_any_text() {
    let fields = Fields::default();
    let subscriber = Registry::default().with(fields.clone());
    let gateway = gateway();
    tracing::subscriber::with_default(subscriber, || {
        let question = question(&gateway, SCRIPTED);
        block_on(gateway.ask_in("sess_1", question, &|_| {})).outcome.unwrap();
    });
    let fields = fields.0.lock().unwrap();
    for (name, expected) in [
        ("otel.name", "\"chat scripted\""),
        ("otel.kind", "\"client\""),
        ("gen_ai.operation.name", "\"chat\""),
        ("gen_ai.provider.name", "\"scripted\""),
        ("gen_ai.conversation.id", "\"sess_1\""),
        ("gen_ai.request.model", "\"scripted\""),
        ("gen_ai.request.max_tokens", "64"),
        ("gen_ai.request.temperature", "0.5"),
        ("gen_ai.response.model", "\"scripted\""),
        ("gen_ai.response.finish_reasons", "[\"length\"]"),
        ("gen_ai.output.type", "\"text\""),
        ("stagewright.source", "\"provider\""),
    ] {
        assert_eq!(fields.get(name).map(String::as_str), Some(expected), "{name}");
    }
    assert!(fields.contains_key("gen_ai.usage.input_tokens"), "{fields:?}");
    assert!(!fields.contains_key("error.type"), "{fields:?}");
    assert!(!format!("{fields:?}").contains(PLANTED), "{fields:?}");
}

#[test]
fn an_error_is_named_by_its_code() {
    let fields = Fields::default();
    let subscriber = Registry::default().with(fields.clone());
    let gateway = gateway();
    tracing::subscriber::with_default(subscriber, || {
        let question = question(&gateway, SCRIPTED);
        question.stop.cancel();
        block_on(gateway.ask(question, &|_| {})).outcome.unwrap_err();
    });
    let fields = fields.0.lock().unwrap();
    assert_eq!(fields["error.type"], "\"model_canceled\"");
    assert_eq!(fields["otel.status_code"], "\"ERROR\"");
}

/// Metrics by name and labels.
fn recorded(work: impl FnOnce()) -> Vec<(String, DebugValue)> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, work);
    let all = snapshotter.snapshot().into_vec().into_iter();
    all.map(|(key, _, _, value)| {
        let key = key.key();
        let labels = key.labels().map(|label| format!("{}={}", label.key(), label.value()));
        (format!("{} {}", key.name(), labels.collect::<Vec<_>>().join(" ")), value)
    })
    .collect()
}

#[test]
fn calls_tokens_and_times_are_counted_by_provider_and_model() {
    let gateway = gateway();
    let recorded = recorded(|| {
        for _ in 0..2 {
            block_on(gateway.ask(question(&gateway, SCRIPTED), &|_| {})).outcome.unwrap();
        }
        let stopped = question(&gateway, "another");
        stopped.stop.cancel();
        block_on(gateway.ask(stopped, &|_| {})).outcome.unwrap_err();
    });
    let value = |name: &str| {
        let found = recorded.iter().find(|(key, _)| key == name);
        &found.unwrap_or_else(|| panic!("there is no {name} in {recorded:#?}")).1
    };
    let ours = "provider=scripted model=scripted";
    let calls = format!("{CALLS} {ours} outcome=ok source=provider");
    // Cut at 64 tokens, so not kept: asked twice.
    assert_eq!(*value(&calls), DebugValue::Counter(2));
    assert_eq!(
        *value(&format!(
            "{CALLS} provider=scripted model=another outcome=model_canceled source=provider"
        )),
        DebugValue::Counter(1)
    );
    let conventional =
        "gen_ai_operation_name=chat gen_ai_provider_name=scripted gen_ai_request_model=scripted";
    for name in [
        format!("{DURATION} {conventional}"),
        format!("{TOKEN_USAGE} {conventional} gen_ai_token_type=output"),
        format!("{QUEUE} {ours}"),
    ] {
        let DebugValue::Histogram(values) = value(&name) else { panic!("{name}") };
        assert_eq!(values.len(), 2, "{name}");
    }
}

#[test]
fn names_that_callers_make_up_share_a_label_beyond_a_bound() {
    let gateway = gateway();
    let recorded = recorded(|| {
        for number in 0..300 {
            let made_up = question(&gateway, &format!("made-up-{number}"));
            block_on(gateway.ask(made_up, &|_| {})).outcome.unwrap();
        }
    });
    let counted = recorded.iter().filter(|(name, _)| name.starts_with(CALLS));
    assert_eq!(counted.count(), 101);
    let others = format!("{CALLS} provider=scripted model=other outcome=ok source=provider");
    let (_, count) = recorded.iter().find(|(name, _)| *name == others).unwrap();
    assert_eq!(*count, DebugValue::Counter(200));
}

#[test]
fn who_stands_behind_a_provider_is_named_as_the_conventions_do() {
    for (provider, kind, address, expected) in [
        ("mine", "openai", Some("api.openai.com"), "openai"),
        ("kimi", "openai", Some("api.kimi.com"), "moonshot_ai"),
        ("claude", "anthropic", Some("proxy.example.com"), "anthropic"),
        ("openai", "openai", Some("127.0.0.1"), "openai"),
        ("local", "openai", Some("127.0.0.1"), "local"),
        ("scripted", "scripted", None, "scripted"),
    ] {
        assert_eq!(system(provider, kind, address), expected, "{provider}");
    }
}
