//! The API as a client meets it: records that can be read back, and a real socket.
use std::net::SocketAddr;

use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::stages::Stages;
use super::support::Host;
use crate::Access;
use crate::dto::*;

async fn read<T: DeserializeOwned>(host: &Host, path: &str) -> T {
    let answer = host.get(path).await;
    serde_json::from_str(answer.text()).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[tokio::test]
async fn every_answer_can_be_read_back_into_its_record() {
    let host = Host::start().await;
    let body = json!({"request_text": "bees", "mode": "gated", "variables": {"price": 1.5}});
    let started = host.post("/api/v2/workflow-runs", body).await;
    let started: StartedRunDto = serde_json::from_str(started.text()).unwrap();
    host.open_approval(&started.run_id).await;
    let run = format!("/api/v2/workflow-runs/{}", started.run_id);

    let shown: RunDto = read(&host, &run).await;
    let approval = shown.pending_approval.unwrap();
    let detail: ApprovalDetailDto =
        read(&host, &format!("/api/v2/approvals/{}", approval.approval_id)).await;
    assert_eq!(detail.approval, approval);
    let events: ListDto<EventDto> = read(&host, &format!("{run}/timeline")).await;
    assert!(matches!(events.items[0].what, EventKindDto::RunCreated { .. }));
    let runs: ListDto<RunSummaryDto> = read(&host, "/api/v2/workflow-runs").await;
    assert_eq!(runs.items, [shown.summary]);
    let _: ListDto<ArtifactDto> = read(&host, &format!("{run}/artifacts")).await;
    let _: ListDto<VariableDto> = read(&host, &format!("{run}/variables")).await;
    let calls: ListDto<CallDto> = read(&host, &format!("{run}/llm-calls")).await;
    let call: CallDetailDto =
        read(&host, &format!("/api/v2/llm-calls/{}", calls.items[0].call_id)).await;
    assert_eq!(call.call, calls.items[0]);
    let _: PromptDto = read(&host, &format!("{run}/stages/second/prompt")).await;
    let _: ListDto<ProfileSummaryDto> = read(&host, "/api/v2/workflow-profiles").await;
    let _: ProfileDto = read(&host, "/api/v2/workflow-profiles/gated").await;
    let _: PluginListDto = read(&host, "/api/v2/plugins").await;
    let _: ListDto<ProviderDto> = read(&host, "/api/v2/providers").await;
    let listed: ListDto<CallDto> = read(&host, "/api/v2/llm-calls").await;
    assert_eq!(listed.items, calls.items);
    let usage: UsageReportDto = read(&host, "/api/v2/usage?by=day,stage").await;
    assert_eq!(usage.items[0].sum, usage.total);
    let _: CacheDto = read(&host, "/api/v2/llm-cache").await;
    let _: ListedModelsDto = read(&host, "/api/v2/providers/scripted/models").await;
    let _: ReadyDto = read(&host, "/api/v1/ready").await;
    let _: ProblemDto = read(&host, "/api/v2/nothing").await;
    let preview = host.post("/api/v2/workflow-profiles/preview", json!({"mode": "gated"})).await;
    let preview: PreviewDto = serde_json::from_str(preview.text()).unwrap();
    assert_eq!(preview.plan, shown.plan);
}

#[tokio::test]
async fn events_with_a_fault_can_be_read_back() {
    let host = Host::start().await;
    host.stages.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let run = host.begin("straight").await;
    host.reaches(&run, "failed").await;
    let path = format!("/api/v2/workflow-runs/{run}/timeline");
    let events: ListDto<EventDto> = read(&host, &path).await;
    let lines: Vec<&str> = events.items.iter().map(|event| event.line.as_str()).collect();
    assert_eq!(
        lines[2..],
        [
            "first: failed: stage_bad_input: the request names no topic",
            "run failed at first: stage_bad_input"
        ]
    );
    let EventKindDto::StageFailed { fault, .. } = &events.items[2].what else {
        panic!("{lines:?}")
    };
    assert_eq!(fault.plugin_code.as_deref(), Some("no_topic"));
}

/// The API on a socket, for as long as the tasks live.
async fn served(host: &Host) -> (SocketAddr, JoinSet<std::io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    let router = host.router.clone();
    tasks.spawn(async move { axum::serve(listener, router).await });
    (address, tasks)
}

#[tokio::test]
async fn a_client_that_sends_too_much_gets_to_read_the_answer() {
    let host = Host::with(Stages::unhindered(), Access::loopback()).await;
    let (address, mut tasks) = served(&host).await;
    let text = json!({"request_text": "a".repeat(12 << 20), "mode": "gated"}).to_string();
    let head = format!(
        "POST /api/v2/workflow-runs HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        text.len()
    );
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(head.as_bytes()).await.unwrap();
    client.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("body_too_large"), "{answer}");
    tasks.shutdown().await;
}

/// It was told to go on by whoever refuses it, because the size was not announced.
#[tokio::test]
async fn a_client_that_asked_first_and_sends_too_much_gets_to_read_the_answer() {
    const GO_ON: &str = "HTTP/1.1 100 Continue\r\n\r\n";
    let host = Host::with(Stages::unhindered(), Access::loopback()).await;
    let (address, mut tasks) = served(&host).await;
    let head = format!(
        "POST /api/v2/workflow-runs HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
    );
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(head.as_bytes()).await.unwrap();
    let mut said = [0; GO_ON.len()];
    client.read_exact(&mut said).await.unwrap();
    assert_eq!(str::from_utf8(&said), Ok(GO_ON));
    let body = format!("{:x}\r\n{}\r\n0\r\n\r\n", 12 << 20, " ".repeat(12 << 20));
    client.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    tasks.shutdown().await;
}
