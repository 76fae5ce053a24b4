//! What reaches a receiver, and what a receiver that does not work costs.
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use domain::model::{Message, ModelOptions, ModelRequest, Role};
use domain::plan::Caching;
use gateway::{Config, Delta, Gateway, Provider, Question, SCRIPTED};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use prost::Message as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::layer::SubscriberExt as _;

use super::export::Export;
use super::*;

const PLANTED: &str = "planted-prompt-text";
const PLANTED_KEY: &str = "planted-telemetry-key";

/// A receiver of OTLP/HTTP that keeps what it gets.
#[derive(Clone)]
struct Receiver {
    status: StatusCode,
    got: Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>,
}

impl Receiver {
    /// Its address. It listens until the set is dropped.
    async fn listen(status: StatusCode, tasks: &mut JoinSet<()>) -> (Receiver, String) {
        let receiver = Receiver { status, got: Arc::default() };
        let router = Router::new().fallback(Receiver::take).with_state(receiver.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        (receiver, address)
    }

    fn take(
        State(receiver): State<Receiver>,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Ready<StatusCode> {
        let path = uri.into_parts().path_and_query.unwrap().path().to_owned();
        receiver.got.lock().unwrap().push((path, headers, body));
        ready(receiver.status)
    }

    fn bodies(&self, path: &str) -> Vec<Bytes> {
        let got = self.got.lock().unwrap();
        got.iter().filter(|(at, _, _)| at == path).map(|(_, _, body)| body.clone()).collect()
    }
}

fn settings(endpoint: Option<String>) -> config::Telemetry {
    config::Telemetry {
        otlp_endpoint: endpoint,
        otlp_headers: vec![("x-api-key".to_owned(), PLANTED_KEY.into())],
        service_name: "stagewright-test".to_owned(),
    }
}

async fn ask_the_scripted_writer() {
    let config = Config { providers: vec![Provider::scripted()], ..Config::default() };
    let gateway = Gateway::open(config).unwrap();
    let content = format!("Write about {PLANTED}.");
    let messages = vec![Message { role: Role::User, content }];
    let options = ModelOptions { max_tokens: Some(64), ..ModelOptions::default() };
    let question = Question {
        route: gateway.route(SCRIPTED, None).unwrap(),
        alternatives: Vec::new(),
        request: Arc::new(ModelRequest { messages, options, label: None }),
        time_max: Provider::CALL_TIME_MAX,
        idempotency_key: String::new(),
        caching: Caching::Off,
        stop: CancellationToken::new(),
    };
    let answered = gateway.ask_in("conversation-7", question, &|_: Delta| {}).await;
    answered.outcome.unwrap();
}

fn text_of(attributes: &[KeyValue], name: &str) -> String {
    let value = attributes.iter().find(|attribute| attribute.key == name);
    match value.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("`{name}` is {other:?}"),
    }
}

/// Ends it on a thread that may wait, as the program does.
async fn ended(work: impl FnOnce() + Send + 'static) {
    tokio::task::spawn_blocking(work).await.unwrap();
}

#[tokio::test]
async fn a_model_call_reaches_the_receiver_without_its_texts() {
    let mut tasks = JoinSet::new();
    let (receiver, address) = Receiver::listen(StatusCode::OK, &mut tasks).await;
    let telemetry = Telemetry::install(&settings(Some(format!("{address}/")))).unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry.span_layer());
    {
        let _listening = tracing::subscriber::set_default(subscriber);
        tracing::info!(target: "gateway", "an event quotes {PLANTED}");
        tracing::info_span!("of somebody else", quoted = PLANTED).in_scope(|| {});
        ask_the_scripted_writer().await;
    }
    let metrics = telemetry.metrics();
    assert!(Telemetry::install(&settings(None)).is_err(), "there is one for a process");
    ended(|| telemetry.shutdown()).await;

    let traces = receiver.bodies("/v1/traces");
    let traces = ExportTraceServiceRequest::decode(traces[0].clone()).unwrap();
    let resource = traces.resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(text_of(&resource.attributes, "service.name"), "stagewright-test");
    assert_eq!(text_of(&resource.attributes, "service.version"), env!("CARGO_PKG_VERSION"));
    let spans = &traces.resource_spans[0].scope_spans[0].spans;
    assert_eq!(spans.len(), 1, "{spans:?}");
    assert_eq!(spans[0].name, format!("chat {SCRIPTED}"));
    assert_eq!(spans[0].kind, 3, "it is a client's");
    let attributes = &spans[0].attributes;
    assert_eq!(text_of(attributes, "gen_ai.operation.name"), "chat");
    assert_eq!(text_of(attributes, "gen_ai.provider.name"), SCRIPTED);
    assert_eq!(text_of(attributes, "gen_ai.request.model"), SCRIPTED);
    assert_eq!(text_of(attributes, "gen_ai.request.max_tokens"), "64");
    assert_eq!(text_of(attributes, "gen_ai.conversation.id"), "conversation-7");
    assert!(text_of(attributes, "gen_ai.usage.input_tokens").parse::<u64>().unwrap() > 0);

    let sent = receiver.bodies("/v1/metrics");
    let sent = ExportMetricsServiceRequest::decode(sent.last().unwrap().clone()).unwrap();
    let scopes = sent.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let names: Vec<&str> =
        scopes.flat_map(|scope| &scope.metrics).map(|metric| metric.name.as_str()).collect();
    for name in ["gen_ai.client.operation.duration", "gen_ai.client.token.usage"] {
        assert!(names.contains(&name), "{names:?}");
    }

    for (path, headers, body) in receiver.got.lock().unwrap().iter() {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        assert_eq!(headers["x-api-key"], PLANTED_KEY);
        for planted in [PLANTED, PLANTED_KEY] {
            let found = body.windows(planted.len()).any(|part| part == planted.as_bytes());
            assert!(!found, "`{planted}` was sent to {path}");
        }
    }

    let text = metrics();
    assert!(text.contains("gen_ai_client_operation_duration_seconds_bucket"), "{text}");
    assert!(text.contains("stagewright_model_calls_total{"), "{text}");
    assert!(text.contains("stagewright_build_info{version="), "{text}");
    assert!(!text.contains(PLANTED), "{text}");
}

#[tokio::test]
async fn without_an_address_nothing_is_exported() {
    assert!(Export::begin(&settings(None)).unwrap().is_none());
}

/// Writes log lines into a text.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_receiver_that_refuses_costs_one_warning_and_no_secret() {
    let mut tasks = JoinSet::new();
    let (receiver, address) = Receiver::listen(StatusCode::SERVICE_UNAVAILABLE, &mut tasks).await;
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
    let log = tracing::Dispatch::new(log.finish());
    let headers = settings(None).otlp_headers;
    let (connection, sending) = send::begin_with(&headers, Some(log)).unwrap();
    for _ in 0..3 {
        let request = axum::http::Request::post(format!("{address}/v1/traces"));
        let answer = opentelemetry_http::HttpClient::send_bytes(
            &connection,
            request.body(Bytes::from_static(b"x")).unwrap(),
        );
        assert_eq!(answer.await.unwrap().status(), 503);
    }
    ended(|| sending.end()).await;
    assert_eq!(receiver.bodies("/v1/traces").len(), 3);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.matches("telemetry cannot be exported").count(), 1, "{text}");
    assert!(text.contains("503 Service Unavailable"), "{text}");
    assert!(!text.contains(PLANTED_KEY), "{text}");
}

#[tokio::test]
async fn a_receiver_that_never_answers_does_not_hold_up_the_end() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let export = Export::begin(&settings(Some(address))).unwrap().unwrap();
    let subscriber = tracing_subscriber::registry().with(export.span_layer());
    tracing::subscriber::with_default(subscriber, || {
        tracing::info_span!(target: "gateway", "chat").in_scope(|| {});
    });
    let began = Instant::now();
    ended(|| export.end()).await;
    assert!(began.elapsed() < send::TIME_MAX, "it waited for the whole request");
}

#[test]
fn a_header_that_cannot_be_sent_is_told_without_its_text() {
    let mut settings = settings(Some("http://127.0.0.1:1".to_owned()));
    settings.otlp_headers.push((format!("bad name {PLANTED_KEY}"), "x".into()));
    let Err(error) = Export::begin(&settings) else { panic!("it was accepted") };
    assert_eq!(error.to_string(), "header 2 of `telemetry.otlp_headers` cannot be sent");
    assert!(!format!("{error:?}").contains(PLANTED_KEY));
}

#[test]
fn an_address_that_is_none_is_refused() {
    let Err(error) = Export::begin(&settings(Some("http://[".to_owned()))) else {
        panic!("it was accepted")
    };
    assert!(error.to_string().starts_with("`telemetry.otlp_endpoint` cannot be used:"), "{error}");
}
