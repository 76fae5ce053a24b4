//! What a guest can do with HTTP, when it has a grant and when it has none. Who connects is behind the port.
use std::time::Duration;

use domain::fault::Limit;
use domain::http::{HttpError, HttpErrorKind, HttpRequest, HttpResponse};
use domain::port::{HttpAskError, HttpPort};
use serde_json::{Value, json};

use super::*;

/// Answers in order, after a while; then with a status of 404.
#[derive(Default)]
struct TestHttp {
    answers: Mutex<VecDeque<Result<HttpResponse, HttpAskError>>>,
    sent: Mutex<Vec<HttpRequest>>,
    /// Before every answer.
    delay: Duration,
}

impl TestHttp {
    fn answering(
        answers: impl IntoIterator<Item = Result<HttpResponse, HttpAskError>>,
    ) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), ..Self::default() })
    }
}

impl HttpPort for TestHttp {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpAskError>> {
        self.sent.lock().unwrap().push(request);
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move {
            tokio::time::sleep(self.delay).await;
            answer.unwrap_or_else(|| Ok(response(404, "none left")))
        })
    }
}

fn response(status: u16, body: &str) -> HttpResponse {
    let headers = vec![
        ("location".to_owned(), b"http://elsewhere/".to_vec()),
        ("transfer-encoding".to_owned(), b"chunked".to_vec()),
    ];
    HttpResponse { status, headers, body: body.as_bytes().to_vec() }
}

fn failing(kind: HttpErrorKind) -> Result<HttpResponse, HttpAskError> {
    Err(HttpAskError::Http(HttpError { kind, message: "because of the test".to_owned() }))
}

fn settings(verb: &str, text: &str, count: u64) -> String {
    json!({ "verb": verb, "text": text, "count": count }).to_string()
}

async fn attempt(job: StageJob, http: &Arc<TestHttp>) -> Attempt {
    let ports = Ports { models: Arc::new(TestModel::default()), http: Some(Arc::clone(http) as _) };
    sandbox().run(job, ports).await
}

async fn told(settings: &str, http: &Arc<TestHttp>) -> Value {
    let output = attempt(job(settings), http).await.outcome.unwrap();
    serde_json::from_str(output.data.as_str()).unwrap()
}

#[tokio::test]
async fn a_stage_without_a_grant_is_stopped_by_its_first_word_of_http() {
    let job = job(&settings("fetch", "https://example.com/", 1));
    let ports = Ports::models(Arc::new(TestModel::default()));
    let fault = sandbox().run(job, ports).await.outcome.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Trap);
    let cure =
        ["wasi:http/types", "`grants.http` in the profile", "operator's `grants.http_hosts`"];
    assert_says(&fault.message, &cure);
    assert!(crate::wanted_network(&fault.message));
}

#[tokio::test]
async fn a_request_goes_through_the_port_and_its_answer_comes_whole() {
    let body = "bees ".repeat(50_000);
    let http = TestHttp::answering([Ok(response(302, &body))]);
    let found = told(&settings("fetch", "http://example.com:8080/a?b=c", 1), &http).await;
    assert_eq!(found[0]["status"], 302);
    assert_eq!(found[0]["location"], "http://elsewhere/");
    assert_eq!(found[0]["body"].as_str().map(str::len), Some(body.len()));
    let sent = http.sent.lock().unwrap();
    assert_eq!(
        (sent[0].method.as_str(), sent[0].url.as_str()),
        ("GET", "http://example.com:8080/a?b=c")
    );
    assert_eq!(
        sent[0].headers,
        [("x-rogue".to_owned(), b"yes".to_vec())],
        "and nothing of the host's"
    );
    assert!(sent[0].body.is_empty());
}

#[tokio::test]
async fn a_body_is_sent_whole() {
    let http = TestHttp::answering([Ok(response(201, "made"))]);
    let found = told(&settings("fetch", "POST https://example.com/", 1), &http).await;
    assert_eq!(found[0]["status"], 201);
    assert_eq!(http.sent.lock().unwrap()[0].body, b"bees ".repeat(4_000));
}

#[tokio::test]
async fn a_stage_is_told_why_there_is_no_answer_and_its_log_has_the_words() {
    let http = TestHttp::answering(HttpErrorKind::ALL.map(failing));
    let count = HttpErrorKind::ALL.len() as u64;
    let ended = attempt(job(&settings("fetch", "https://example.com/", count)), &http).await;
    let data: Value = serde_json::from_str(ended.outcome.unwrap().data.as_str()).unwrap();
    let errors: Vec<&str> =
        data.as_array().unwrap().iter().map(|told| told["error"].as_str().unwrap()).collect();
    let expected = [
        "ErrorCode::HttpRequestDenied",
        "ErrorCode::DestinationUnavailable",
        "ErrorCode::HttpResponseTimeout",
        "ErrorCode::HttpResponseBodySize(None)",
        "ErrorCode::HttpRequestUriInvalid",
        "ErrorCode::InternalError(Some(\"because of the test\"))",
    ];
    assert_eq!(errors, expected);
    let log = format!("{:?}", ended.log);
    assert!(log.contains("because of the test") && log.contains("http_denied"), "{log}");
}

#[tokio::test]
async fn the_port_can_stop_a_stage() {
    let stop = domain::Fault { kind: FaultKind::ReplayDiverged, message: "no".to_owned() };
    let http = TestHttp::answering([Err(HttpAskError::Stop(stop.clone()))]);
    let ended = attempt(job(&settings("fetch", "https://example.com/", 1)), &http).await;
    assert_eq!(ended.outcome.unwrap_err(), stop);
}

#[tokio::test]
async fn a_request_over_the_limit_of_a_call_stops_the_stage() {
    let http = TestHttp::answering([]);
    let mut job = job(&settings("fetch", "POST https://example.com/", 1));
    job.limits.call_bytes_max = 4 << 10;
    let fault = attempt(job, &http).await.outcome.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Limit(Limit::CallBytes));
    assert!(fault.message.contains("`limits.call_kib`"), "{}", fault.message);
    assert!(http.sent.lock().unwrap().is_empty());
}

#[tokio::test]
async fn to_wait_for_an_answer_is_not_computing_and_is_not_free() {
    let slow = TestHttp { delay: Duration::from_millis(400), ..TestHttp::default() };
    let http = Arc::new(slow);
    let mut patient = job(&settings("fetch", "https://example.com/", 1));
    patient.limits.cpu_time_max = Duration::from_millis(300);
    let ended = attempt(patient.clone(), &http).await;
    assert!(ended.outcome.is_ok(), "{:?}", ended.outcome);
    patient.limits.wall_time_max = Duration::from_millis(100);
    let fault = attempt(patient, &http).await.outcome.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Limit(Limit::WallTime));
}

#[tokio::test]
async fn a_sleep_beside_an_answer_does_not_end_before_it() {
    for delay in [Duration::ZERO, Duration::from_millis(50)] {
        let http = Arc::new(TestHttp { delay, ..TestHttp::default() });
        let found = told(&settings("fetch-race", "https://example.com/", 0), &http).await;
        assert_eq!((&found["first"], &found["answer"]["status"]), (&json!("answer"), &json!(404)));
    }
}

#[tokio::test]
async fn requests_that_are_begun_together_go_out_in_their_order() {
    let answers = (200..204).map(|status| Ok(response(status, "")));
    let http = TestHttp::answering(answers);
    let found = told(&settings("fetch-together", "POST https://example.com/", 4), &http).await;
    let statuses: Vec<&Value> =
        found.as_array().unwrap().iter().map(|told| &told["status"]).collect();
    assert_eq!(statuses, [&json!(200), &json!(201), &json!(202), &json!(203)]);
}

/// Else it would depend on how fast the others are whether a request is sent.
#[tokio::test]
async fn a_request_beyond_those_that_have_room_at_once_waits_for_its_turn() {
    for (method, delay) in
        [("GET", Duration::ZERO), ("GET", Duration::from_millis(2)), ("POST", Duration::ZERO)]
    {
        let http = Arc::new(TestHttp { delay, ..TestHttp::default() });
        let text = format!("{method} https://example.com/");
        let many = told(&settings("fetch-together", &text, 40), &http).await;
        let answered = many.as_array().unwrap().iter().filter(|told| told["status"] == 404);
        assert_eq!(answered.count(), 40, "{method} after {delay:?}: {many}");
        assert_eq!(http.sent.lock().unwrap().len(), 40);
    }
}

#[tokio::test]
async fn a_stage_that_waits_for_room_in_vain_ends_when_its_time_is_up() {
    let http = Arc::new(TestHttp { delay: Duration::from_secs(600), ..TestHttp::default() });
    let mut job = job(&settings("fetch-together", "https://example.com/", 17));
    job.limits.wall_time_max = Duration::from_millis(200);
    let fault = attempt(job, &http).await.outcome.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Limit(Limit::WallTime));
}

#[tokio::test]
async fn a_stage_that_ends_no_body_is_told_what_it_has_waited_for() {
    let unended = |count| {
        let mut job = job(&settings("fetch-unended", "POST https://example.com/", count));
        job.limits.wall_time_max = Duration::from_millis(500);
        job
    };
    let http = TestHttp::answering([]);
    let words = "16 HTTP requests are under way: the next one begins when one of them has ended";
    let ended = attempt(unended(17), &http).await;
    let fault = ended.outcome.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Limit(Limit::WallTime));
    assert_says(&fault.message, &[words]);
    let told = ended.log.lines.iter().filter(|line| line.message.contains(words));
    assert_eq!(told.count(), 1);
    assert!(http.sent.lock().unwrap().is_empty());

    let with_room = attempt(unended(16), &http).await;
    assert_eq!(with_room.outcome.map(|_| ()), Ok(()));
    assert_eq!(with_room.log.lines, []);
}

/// Else the number of a request, by which a replay finds its answer, would depend on how fast the one before was.
#[tokio::test]
async fn a_request_whose_answer_is_dropped_goes_out_all_the_same() {
    for _ in 0..10 {
        let http = TestHttp::answering([Ok(response(201, "first")), Ok(response(202, "second"))]);
        let found = told(&settings("fetch-abandoned", "POST https://example.com/", 0), &http).await;
        assert_eq!(found["status"], 202, "the first answer is nobody's");
        assert_eq!(http.sent.lock().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_method_and_a_host_are_no_place_to_keep_megabytes() {
    let found = told(&settings("fetch-swollen", "", 0), &TestHttp::answering([])).await;
    assert_eq!(found, json!({ "method": false, "authority": false }));
}
