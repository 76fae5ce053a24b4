//! Stages and the network: nothing by default; with a grant of the profile and of the operator, the named hosts; and every
//! request on record, sent once.
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use model_server::{Behavior, ModelServer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::{Api, Folder, Ran, Server, stagewright};

/// Longest wait for a request; it only ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than a call of 8 KiB may carry.
const LARGE_BYTES: usize = 16 << 10;

/// A server of the web. `/hang` does not answer until it is told to.
struct Web {
    address: SocketAddr,
    /// The request lines that came, in their order.
    heard: watch::Receiver<Vec<String>>,
    holds: Arc<watch::Sender<bool>>,
    _tasks: JoinSet<()>,
}

impl Web {
    async fn start() -> Web {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, heard) = watch::channel(Vec::new());
        let holds = Arc::new(watch::Sender::new(true));
        let holding = Arc::clone(&holds);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            // It ends with the test, which drops the set.
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, holds) = (sender.clone(), holding.subscribe());
                connections.spawn(async move { drop(answer(stream, sender, holds).await) });
            }
        });
        Web { address, heard, holds, _tasks: tasks }
    }

    fn host(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host())
    }

    fn heard(&self) -> Vec<String> {
        self.heard.borrow().clone()
    }

    async fn wait_for(&self, count: usize) {
        let mut heard = self.heard.clone();
        let reached = heard.wait_for(|heard| heard.len() >= count);
        let reached = tokio::time::timeout(PATIENCE, reached).await;
        reached.expect("the requests come in time").expect("the server lives");
    }

    fn release(&self) {
        self.holds.send_replace(false);
    }
}

async fn answer(
    mut stream: TcpStream,
    heard: watch::Sender<Vec<String>>,
    mut holds: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&buffer[..read]);
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let line = text.lines().next().unwrap_or_default().replace(" HTTP/1.1", "");
    heard.send_modify(|heard| heard.push(line.clone()));
    let path = line.split(' ').nth(1).unwrap_or_default();
    let (status, location, body) = match path {
        "/large" => ("200 OK", "", "x".repeat(LARGE_BYTES)),
        "/away" => ("302 Found", "location: http://169.254.169.254/keys\r\n", String::new()),
        "/hang" => {
            holds.wait_for(|holds| !holds).await.ok();
            ("200 OK", "", "late bees".to_owned())
        }
        _ => ("200 OK", "", "bees".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\n{location}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// Writes the operator's configuration.
fn allow(folder: &Folder, hosts: &[&str], private_hosts: &[&str], more: &str) {
    let text =
        format!("grants:\n  http_hosts: {hosts:?}\n  private_hosts: {private_hosts:?}\n{more}");
    folder.write("stagewright.yaml", text);
}

/// Writes the profile `web`: one stage for each of the settings, with these grants.
fn write_profile(folder: &Folder, granted: &[&str], stages: &[&str]) {
    let mut text = "profile: web\nversion: \"1\"\nstages:\n".to_owned();
    for (idx, settings) in stages.iter().enumerate() {
        text.push_str(&format!(
            "  - key: stage-{idx}\n    plugin: {:?}\n    settings: {settings}\n    grants: {{ http: {granted:?} }}\n    limits: {{ call_kib: 8, http_requests: 2 }}\n",
            plugin_bundle::ROGUE_STAGE_PATH
        ));
    }
    folder.write(".stagewright/profiles/web.yaml", text);
}

fn fetch(verb: &str, text: &str, count: u64) -> String {
    json!({ "verb": verb, "text": text, "count": count }).to_string()
}

/// What the last stage of a run left as data.
fn data(folder: &Folder, run: &str, stage: &str) -> Value {
    let path = folder.run(run).join(stage).join("output.json");
    let text = std::fs::read_to_string(path).expect("the stage has an output");
    serde_json::from_str::<Value>(&text).expect("JSON")["data"].clone()
}

/// A line for each request on record.
async fn requests(api: &Api, run: &str) -> Vec<String> {
    let listed = api.get(&format!("/api/v2/workflow-runs/{run}/http-requests")).await.ok();
    let line = |request: &Value| {
        let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
        let outcome = match &request["answer_status"] {
            Value::Null => text("error_code"),
            status => status.to_string(),
        };
        let path = text("url").split('/').skip(3).collect::<Vec<_>>().join("/");
        format!(
            "{} /{path} {} {outcome} tries={}",
            text("method"),
            text("status"),
            request["tries"]
        )
    };
    listed["items"].as_array().expect("requests").iter().map(line).collect()
}

/// Runs the profile to its end; gives what the first stage saw, and what is on record.
async fn ran(folder: &Folder) -> (Value, Vec<String>) {
    let server = Server::start(folder);
    let run = server.api.start("web").await;
    let ended = server.api.finish(&run).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let listed = requests(&server.api, &run).await;
    server.stop();
    (data(folder, &run, "01-stage-0"), listed)
}

#[tokio::test]
async fn a_granted_host_is_reached_and_the_request_is_on_record() {
    let web = Web::start().await;
    let folder = Folder::new();
    allow(&folder, &[&web.host()], &[&web.host()], "");
    write_profile(&folder, &[&web.host()], &[&fetch("fetch", &web.url("/a"), 1)]);
    let (seen, listed) = ran(&folder).await;
    assert_eq!((&seen[0]["status"], &seen[0]["body"]), (&json!(200), &json!("bees")));
    assert_eq!(listed, ["GET /a answered 200 tries=1"]);
    assert_eq!(web.heard(), ["GET /a"]);
    let shown = stagewright(&folder, &["runs", "requests", "last"]);
    assert!(shown.stdout.contains("GET") && shown.stdout.contains(&web.url("/a")), "{shown}");
}

#[tokio::test]
async fn a_secret_in_a_url_is_sent_and_stands_in_no_record_and_a_replay_knows_it_all_the_same() {
    let web = Web::start().await;
    let folder = Folder::new();
    allow(&folder, &[&web.host()], &[&web.host()], "");
    let stage = fetch("fetch", &web.url("/a?api_key=s3cret&page=2"), 1);
    write_profile(&folder, &[&web.host()], &[&stage]);
    let (_, listed) = ran(&folder).await;
    assert_eq!(web.heard(), ["GET /a?api_key=s3cret&page=2"]);
    assert_eq!(listed, ["GET /a?api_key=***&page=2 answered 200 tries=1"]);
    let record = ["plugin", "record", "last", "stage-0", "--to", "one.recording.json"];
    let recorded = stagewright(&folder, &record);
    assert_eq!(recorded.code, 0, "{recorded}");
    let text = std::fs::read_to_string(folder.path().join("one.recording.json")).unwrap();
    let mut recording: Value = serde_json::from_str(&text).unwrap();
    let requests = recording["exchanges"].to_string();
    assert!(requests.contains("api_key=***") && !requests.contains("s3cret"), "{requests}");
    let ran = replayed(&folder, &recording);
    assert_eq!((ran.code, &ran.json()["equal"]), (0, &json!(true)), "{ran}");
    // Another secret is another request, and what is said about it tells neither.
    recording["context"]["settings"]["text"] = json!(web.url("/a?api_key=0ther&page=2"));
    let ran = replayed(&folder, &recording);
    let divergence = ran.json()["divergence"].to_string();
    assert!(divergence.contains("a secret in its URL"), "{ran}");
    assert!(!divergence.contains("0ther") && !divergence.contains("s3cret"), "{ran}");
}

#[tokio::test]
async fn what_the_operator_does_not_allow_begins_no_run() {
    let folder = Folder::new();
    write_profile(&folder, &["api.example.com"], &["{ verb: fine }"]);
    let server = Server::start(&folder);
    let body = json!({ "mode": "web", "request_text": "Honey" });
    let refused = server.api.post("/api/v2/workflow-runs", &body).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "request_invalid"));
    for words in ["api.example.com", "`grants.http_hosts`"] {
        assert!(refused.text.contains(words), "{}", refused.text);
    }
    server.stop();
    let checked = stagewright(&folder, &["profiles", "check"]);
    assert!(checked.to_string().contains("`grants.http_hosts`"), "{checked}");
    allow(&folder, &["*.example.com"], &[], "");
    let checked = stagewright(&folder, &["profiles", "check"]);
    assert_eq!(checked.code, 0, "{checked}");
}

#[tokio::test]
async fn a_request_cannot_grant_itself_anything() {
    let folder = Folder::new();
    allow(&folder, &["*.example.com"], &[], "");
    write_profile(&folder, &["api.example.com"], &["{ verb: fine }"]);
    let server = Server::start(&folder);
    let grants = json!({ "stage-0": { "grants": { "http": ["evil.example.com"] } } });
    let body = json!({ "mode": "web", "request_text": "Honey", "stage_overrides": grants });
    let refused = server.api.post("/api/v2/workflow-runs", &body).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("/stage_overrides/stage-0/grants"), "{}", refused.text);
}

#[tokio::test]
async fn a_host_that_the_profile_does_not_grant_is_not_reached() {
    let web = Web::start().await;
    let folder = Folder::new();
    allow(&folder, &[&web.host(), "*.example.com"], &[&web.host()], "");
    write_profile(&folder, &["api.example.com"], &[&fetch("fetch", &web.url("/a"), 1)]);
    let (seen, listed) = ran(&folder).await;
    assert_eq!(seen[0]["error"], "ErrorCode::HttpRequestDenied");
    assert_eq!(listed, ["GET /a failed http_denied tries=0"]);
    assert!(web.heard().is_empty());
}

#[tokio::test]
async fn a_private_address_is_not_reached_by_name() {
    let web = Web::start().await;
    let folder = Folder::new();
    allow(&folder, &[&web.host()], &[], "");
    write_profile(&folder, &[&web.host()], &[&fetch("fetch", &web.url("/by-name"), 1)]);
    let (seen, listed) = ran(&folder).await;
    assert_eq!(seen[0]["error"], "ErrorCode::HttpRequestDenied");
    assert_eq!(listed, ["GET /by-name failed http_denied tries=1"]);
    assert!(web.heard().is_empty());
}

/// What a number leads to is known before anything is done.
#[tokio::test]
async fn a_private_address_that_is_granted_by_number_begins_no_run() {
    let folder = Folder::new();
    allow(&folder, &["127.0.0.1:9"], &[], "");
    write_profile(&folder, &["127.0.0.1:9"], &["{ verb: fine }"]);
    let checked = stagewright(&folder, &["profiles", "check"]);
    assert_eq!(checked.code, 1, "{checked}");
    assert!(checked.to_string().contains("`127.0.0.1:9` to `grants.private_hosts`"), "{checked}");
    let server = Server::start(&folder);
    let body = json!({ "mode": "web", "request_text": "Honey" });
    let refused = server.api.post("/api/v2/workflow-runs", &body).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "request_invalid"));
    assert!(refused.text.contains("`grants.private_hosts`"), "{}", refused.text);
    server.stop();
    allow(&folder, &["127.0.0.1:9"], &["127.0.0.1:9"], "");
    let checked = stagewright(&folder, &["profiles", "check"]);
    assert_eq!(checked.code, 0, "{checked}");
}

#[tokio::test]
async fn a_redirect_is_the_stages_business_and_leads_to_no_private_address() {
    let web = Web::start().await;
    let folder = Folder::new();
    allow(&folder, &[&web.host()], &[&web.host()], "");
    let stages =
        [fetch("fetch", &web.url("/away"), 1), fetch("fetch", "http://169.254.169.254/keys", 1)];
    write_profile(&folder, &[&web.host()], &[&stages[0], &stages[1]]);
    let (seen, listed) = ran(&folder).await;
    assert_eq!(seen[0]["status"], 302, "nobody followed it");
    assert_eq!(seen[0]["location"], "http://169.254.169.254/keys");
    let expected = ["GET /away answered 302 tries=1", "GET /keys failed http_denied tries=0"];
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn answers_are_bounded_in_size_time_and_number() {
    let web = Web::start().await;
    let folder = Folder::new();
    allow(&folder, &[&web.host()], &[&web.host()], "  request_s: 1\n");
    let stages = [
        fetch("fetch", &web.url("/large"), 1),
        fetch("fetch", &web.url("/hang"), 1),
        fetch("fetch", &web.url("/often"), 3),
    ];
    write_profile(&folder, &[&web.host()], &[&stages[0], &stages[1], &stages[2]]);
    let server = Server::start(&folder);
    let run = server.api.start("web").await;
    let ended = server.api.finish(&run).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let listed = requests(&server.api, &run).await;
    let expected = [
        "GET /large failed http_too_large tries=1",
        "GET /hang failed http_timeout tries=1",
        "GET /often answered 200 tries=1",
        "GET /often answered 200 tries=1",
    ];
    assert_eq!(listed, expected);
    server.stop();
    let error = |stage: &str| data(&folder, &run, stage)[0]["error"].clone();
    assert_eq!(error("01-stage-0"), "ErrorCode::HttpResponseBodySize(None)");
    assert_eq!(error("02-stage-1"), "ErrorCode::HttpResponseTimeout");
    assert_eq!(data(&folder, &run, "03-stage-2")[2]["error"], "ErrorCode::HttpRequestDenied");
}

#[tokio::test]
async fn after_a_crash_what_changes_nothing_is_sent_once_more_and_what_may_is_not() {
    for (method, seen, listed, heard) in [
        ("GET", json!(200), "GET /hang answered 200 tries=2", 2),
        ("POST", Value::Null, "POST /hang failed http_interrupted tries=1", 1),
    ] {
        let web = Web::start().await;
        let folder = Folder::new();
        allow(&folder, &[&web.host()], &[&web.host()], "");
        let text = format!("{method} {}", web.url("/hang"));
        // A body of 20,000 bytes has to fit into one call.
        write_profile(&folder, &[&web.host()], &[&fetch("fetch", &text, 1)]);
        let profile = std::fs::read_to_string(folder.data().join("profiles/web.yaml")).unwrap();
        let profile = profile.replace("call_kib: 8", "call_kib: 64");
        folder.write(".stagewright/profiles/web.yaml", profile);
        let server = Server::start(&folder);
        let run = server.api.start("web").await;
        web.wait_for(1).await;
        server.kill();
        web.release();
        let server = Server::start(&folder);
        let ended = server.api.finish(&run).await;
        assert_eq!(ended["status"], "completed", "{ended:#}");
        assert_eq!(requests(&server.api, &run).await, [listed]);
        assert_eq!(web.heard().len(), heard, "{method}");
        server.stop();
        assert_eq!(data(&folder, &run, "01-stage-0")[0]["status"], seen, "{method}");
    }
}

#[tokio::test]
async fn a_replay_sends_nothing_again_whatever_the_configuration_says_now() {
    let models = ModelServer::start().await;
    models.otherwise(Behavior::Hang);
    let web = Web::start().await;
    let folder = Folder::with_models(&models);
    allow(&folder, &[&web.host()], &[&web.host()], "");
    let settings = fetch("fetch-ask", &web.url("/once"), 1);
    write_profile(&folder, &[&web.host()], &[&settings, &fetch("fetch", &web.url("/later"), 1)]);
    let server = Server::start(&folder);
    let run = server.api.start("web").await;
    models.wait_for_requests(1).await;
    server.kill();
    models.otherwise(Behavior::text("Honey."));
    // The operator takes it back, and wants no texts on record.
    folder.write("stagewright.yaml", "records: { texts: off }\n".replace("off", "'off'"));
    let server = Server::start(&folder);
    let ended = server.api.finish(&run).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert_eq!(web.heard(), ["GET /once"], "it was sent before, and its answer was kept");
    let expected = ["GET / answered 200 tries=1", "GET / failed http_denied tries=0"];
    assert_eq!(requests(&server.api, &run).await, expected, "only the host is left of the address");
    server.stop();
    assert_eq!(data(&folder, &run, "01-stage-0")[0]["body"], "bees");
    let later = data(&folder, &run, "02-stage-1");
    assert_eq!(later[0]["error"], "ErrorCode::HttpRequestDenied");
}

/// The recording with a change, replayed with the same component.
fn replayed(folder: &Folder, recording: &Value) -> Ran {
    let path = folder.write("changed.recording.json", recording.to_string());
    let path = path.display().to_string();
    let component = plugin_bundle::ROGUE_STAGE_PATH;
    let replay = ["-o", "json", "plugin", "replay", &path, "--component", component];
    stagewright(folder, &replay)
}

#[tokio::test]
async fn recorded_requests_replay_equal_and_the_first_that_is_another_is_named() {
    let web = Web::start().await;
    let folder = Folder::new();
    allow(&folder, &[&web.host()], &[&web.host()], "");
    // The third is one more than the limits allow; the second stage asks for a host that is not granted.
    let stages = [fetch("fetch", &web.url("/a"), 3), fetch("fetch", "https://b.example/", 1)];
    write_profile(&folder, &[&web.host()], &[&stages[0], &stages[1]]);
    ran(&folder).await;
    let recorded = |stage: &str| {
        let name = format!("{stage}.recording.json");
        let ran = stagewright(&folder, &["plugin", "record", "last", stage, "--to", &name]);
        assert_eq!(ran.code, 0, "{ran}");
        let text = std::fs::read_to_string(folder.path().join(&name)).expect("the recording");
        serde_json::from_str::<Value>(&text).expect("a recording is JSON")
    };
    let (fetched, refused) = (recorded("stage-0"), recorded("stage-1"));
    assert_eq!(fetched["exchanges"].as_array().expect("exchanges").len(), 2);
    assert_eq!(refused["exchanges"][0]["http"]["error"]["kind"], "http_denied");
    for recording in [&fetched, &refused] {
        let ran = replayed(&folder, recording);
        assert_eq!((ran.code, &ran.json()["equal"]), (0, &json!(true)), "{ran}");
    }
    assert_eq!(web.heard().len(), 2, "a replay sends nothing");

    let divergence = |recording: &Value| {
        let ran = replayed(&folder, recording);
        assert_eq!(ran.code, 1, "{ran}");
        let divergence = ran.json()["divergence"].clone();
        let text = |name: &str| divergence[name].as_str().expect("a text").to_owned();
        format!("{}: {}", text("part"), text("message"))
    };
    let mut changed = fetched.clone();
    changed["exchanges"][1]["http"]["answer"]["body"] = json!("wasps");
    assert_eq!(divergence(&changed), "the data: it differs");
    let mut changed = fetched.clone();
    changed["exchanges"].as_array_mut().expect("exchanges").remove(1);
    let added = "HTTP request 2: it is sent in the replay, and was not when it was recorded";
    assert_eq!(divergence(&changed), added);
    let mut changed = fetched.clone();
    changed["context"]["settings"]["text"] = json!(web.url("/b"));
    let other = "HTTP request 1: the stage sends something else than when it was recorded";
    assert_eq!(divergence(&changed), other);
    let mut changed = fetched;
    changed["context"]["settings"]["count"] = json!(1);
    let missing = "HTTP request 2: it was sent when it was recorded, and is not sent in the replay";
    assert_eq!(divergence(&changed), missing);
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused_with_the_cure() {
    let folder = Folder::new();
    for (text, says) in [
        ("grants: { http_hosts: ['https://example.com/'] }", "leave out the scheme"),
        ("grants: { http_hosts: ['*'] }", "`*.example.com`"),
        ("grants: { private_hosts: ['localhost:1'] }", "`grants.http_hosts`"),
        (
            "grants: { http_hosts: ['localhost:8977'], private_hosts: [localhost] }",
            "write `private_hosts: [\"localhost:8977\"]`",
        ),
        ("grants: { request_s: 0 }", "1 to 600"),
        ("grants: { hosts: [] }", "hosts"),
    ] {
        folder.write("stagewright.yaml", text);
        let refused = stagewright(&folder, &["profiles", "list"]);
        assert_ne!(refused.code, 0, "{text}: {refused}");
        assert!(refused.stderr.contains(says), "{text}: {refused}");
    }
}
