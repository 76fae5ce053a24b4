use std::path::Path;
use std::sync::Arc;

use domain::fault::Limit;
use domain::http::{HttpRequest, HttpResponse};
use domain::model::{
    Completion, FinishReason, Message, ModelError, ModelErrorKind, ModelOptions, ModelRequest,
    Role, Usage,
};
use domain::port::{
    AskError, Attempt, BoxFuture, Consumed, HttpAskError, KnownPlugin, PluginSource, Ports,
    StageJob, StageRunner,
};
use domain::stage::{
    EarlierArtifact, Revision, Skill, StageContext, StageInfo, StageLog, StageOutput, Variable,
};
use domain::{Artifact, Fault, FaultKind, Json, Limits};
use insta::assert_snapshot;

use super::{Part, Recording, Replayed, replay};
use crate::context::Input;
use crate::exchange::{Answer, Exchange, HttpExchange, digest_of};

const DIGEST: &str = "sha256:0d2b50d667578c83101d8fb1f1bf3bfee4cfef0252ecb547679594ba5df07ca0";

fn asking(text: &str) -> ModelRequest {
    let message = Message { role: Role::User, content: text.to_owned() };
    ModelRequest { messages: vec![message], options: ModelOptions::default(), label: None }
}

fn artifact(name: &str, body: &str) -> Artifact {
    Artifact {
        name: name.parse().unwrap(),
        media_type: "text/markdown".to_owned(),
        body: body.to_owned(),
    }
}

/// Asks one question, reads the answer of a second one in pieces, sends a request where it may, and makes of everything
/// that it was told one artifact.
struct Plain {
    question: &'static str,
}

impl StageRunner for Plain {
    fn run(&self, job: StageJob, ports: Ports) -> BoxFuture<'_, Attempt> {
        Box::pin(async move {
            let outcome = self.work(&job, &ports).await.map_err(|error| match error {
                AskError::Stop(fault) => fault,
                AskError::Model(error) => {
                    Fault { kind: FaultKind::Model(error.kind), message: error.message }
                }
            });
            Attempt { outcome, log: StageLog::default(), consumed: Consumed::default() }
        })
    }

    fn build_prompt(&self, _: StageJob) -> BoxFuture<'_, Result<ModelRequest, Fault>> {
        Box::pin(async { Ok(asking(self.question)) })
    }
}

impl Plain {
    async fn work(&self, job: &StageJob, ports: &Ports) -> Result<StageOutput, AskError> {
        let first = ports.models.ask(asking(self.question)).await?;
        let mut stream = ports.models.stream(asking(&first.content)).await?;
        let mut read = String::new();
        let ending = loop {
            match stream.next().await {
                Ok(Some(piece)) => read.push_str(&piece),
                Ok(None) => break "whole".to_owned(),
                Err(AskError::Model(error)) => break error.kind.code().to_owned(),
                Err(stop) => return Err(stop),
            }
        };
        if let Some(http) = &ports.http {
            let request = HttpRequest {
                method: "GET".to_owned(),
                url: "https://bees.example/list".to_owned(),
                headers: Vec::new(),
                body: Vec::new(),
            };
            let response = http.send(request).await.map_err(|error| match error {
                HttpAskError::Stop(fault) => AskError::Stop(fault),
                HttpAskError::Http(_) => unreachable!("the recording has an answer"),
            })?;
            read.push_str(&format!("\nstatus {}", response.status));
        }
        let told = job.context.revision.as_ref().map_or("", |revision| &revision.feedback);
        Ok(StageOutput {
            artifacts: vec![artifact("bees.md", &format!("{read}\n{ending}\n{told}\n"))],
            data: Json::from_parsed("{ \"b\":1,\"a\" : 2 }"),
            summary: "about bees".to_owned(),
            variables: job.context.variables.clone(),
        })
    }
}

fn plugin() -> KnownPlugin {
    KnownPlugin {
        info: StageInfo {
            name: "bees".to_owned(),
            version: "1.2.3".to_owned(),
            summary: String::new(),
            needs: Vec::new(),
            uses: Vec::new(),
            makes: Vec::new(),
            settings_schema: Json::empty_object(),
        },
        digest: DIGEST.parse().unwrap(),
        size_bytes: 1,
        source: PluginSource::Bundled,
        imports: Vec::new(),
        contract_version: sandbox::CONTRACT_VERSION.to_string(),
    }
}

fn context() -> StageContext {
    let input = Input::parse("request_text: bees", Path::new("input.yaml")).unwrap();
    StageContext {
        settings: Json::from_parsed("{\"z\": [1.0, 1e2],\n \"a\":null}"),
        variables: vec![
            Variable { name: "zeal".parse().unwrap(), value: Json::from_parsed("1.50") },
            Variable { name: "age".parse().unwrap(), value: Json::from_parsed("\"\\u00fc\"") },
        ],
        artifacts: vec![EarlierArtifact {
            stage: "research".parse().unwrap(),
            artifact: artifact("research.md", "edited by a person\r\n"),
        }],
        skills: vec![Skill { name: "style".to_owned(), body: "short".to_owned() }],
        revision: Some(Revision {
            feedback: "shorter".to_owned(),
            previous: vec![artifact("bees.md", "long")],
        }),
        ..input.context
    }
}

fn broken_off() -> Answer {
    let kind = ModelErrorKind::RateLimited { retry_after_ms: Some(1_500) };
    let error = ModelError { kind, message: "slow down".to_owned() };
    Answer::Failed { error, partial: "half of".to_owned() }
}

/// An attempt of [`Plain`] with these answers, as a run would have recorded it.
async fn recorded(second: Answer) -> Recording {
    let job = StageJob {
        plugin: plugin().pin(),
        context: context(),
        limits: Limits { memory_bytes_max: 7 << 20, ..Limits::DEFAULT },
        makes: Vec::new(),
    };
    let exchange = |question: &str, answer| Exchange {
        request: asking(question),
        request_digest: Some(digest_of(&asking(question))),
        answer,
    };
    let mut first = exchange("what about bees?", Answer::of_text("tell more".to_owned()));
    // A run fills in what the stage leaves open.
    first.request.options.max_tokens = Some(300);
    let exchanges = vec![first, exchange("tell more", second)];
    let fault = Fault { kind: FaultKind::Host, message: String::new() };
    let contract = Some(sandbox::CONTRACT_VERSION);
    let log = StageLog::default();
    let mut recording = Recording::of(job, contract, exchanges, Err(fault), log);
    recording.requests = vec![HttpExchange {
        method: "GET".to_owned(),
        url: "https://bees.example/list".to_owned(),
        request_digest: None,
        answer: Some(Ok(HttpResponse {
            status: 200,
            headers: vec![("x".to_owned(), vec![0xff, b'\t'])],
            body: b"queen".to_vec(),
        })),
    }];
    recording.outcome = again(&recording, "what about bees?").await.attempt.outcome;
    recording
}

async fn again(recording: &Recording, question: &'static str) -> Replayed {
    replay(&Plain { question }, recording, &plugin()).await
}

fn complete() -> Answer {
    Answer::Complete(Completion {
        content: "queens live long".to_owned(),
        finish_reason: FinishReason::Length,
        model: "m".to_owned(),
        usage: Usage { input_tokens: Some(3), output_tokens: Some(0), ..Usage::default() },
        cost_nano_usd: Some(12),
    })
}

#[tokio::test]
async fn what_is_written_is_read_again_byte_by_byte_and_replays_equal() {
    for second in [complete(), broken_off()] {
        let recording = recorded(second).await;
        let text = recording.to_json();
        let read = Recording::parse(&text, Path::new("bees.recording.json")).unwrap();
        assert_eq!(read, recording);
        assert_eq!(read.to_json(), text);
        let replayed = again(&read, "what about bees?").await;
        assert_eq!(replayed.divergence, None);
        assert!(!replayed.is_other_component);
    }
}

#[tokio::test]
async fn another_answer_diverges_at_the_artifact_that_is_made_of_it() {
    let mut recording = recorded(complete()).await;
    recording.exchanges[1].answer = broken_off();
    let divergence = again(&recording, "what about bees?").await.divergence.unwrap();
    assert_eq!(divergence.part, Part::Artifact("bees.md".to_owned()));
    assert_snapshot!(divergence.diff, @r"
    --- recorded
    +++ replayed
    @@ -1,4 +1,4 @@
    -queens live long
    +half of
     status 200
    -whole
    +model_rate_limited
     shorter
    ");
}

#[tokio::test]
async fn another_answer_diverges_at_the_question_that_follows_from_it() {
    let mut recording = recorded(complete()).await;
    recording.exchanges[0].answer = Answer::of_text("tell less".to_owned());
    let divergence = again(&recording, "what about bees?").await.divergence.unwrap();
    assert_eq!(divergence.part, Part::Question(2));
    assert!(divergence.diff.contains("-  - role: user\n") || divergence.diff.contains("tell less"));
}

#[tokio::test]
async fn another_question_is_named_and_what_a_run_filled_in_is_no_difference_of_it() {
    let recording = recorded(complete()).await;
    let divergence = again(&recording, "what about wasps?").await.divergence.unwrap();
    assert_eq!(divergence.part, Part::Question(1));
    assert!(divergence.diff.contains("what about wasps?"), "{}", divergence.diff);
    assert!(!divergence.diff.contains("max_tokens"), "{}", divergence.diff);
}

#[tokio::test]
async fn questions_and_requests_that_are_not_asked_again_diverge() {
    let mut recording = recorded(complete()).await;
    let further = recording.exchanges[0].clone();
    recording.exchanges.push(further);
    let divergence = again(&recording, "what about bees?").await.divergence.unwrap();
    assert_eq!(divergence.part, Part::Question(3));

    let mut recording = recorded(complete()).await;
    recording.exchanges.pop();
    let divergence = again(&recording, "what about bees?").await.divergence.unwrap();
    assert_eq!(divergence.part, Part::Question(2));

    let mut recording = recorded(complete()).await;
    recording.requests[0].url = "https://wasps.example/".to_owned();
    let divergence = again(&recording, "what about bees?").await.divergence.unwrap();
    assert_eq!(divergence.part, Part::Request(1));
}

#[tokio::test]
async fn an_attempt_that_ended_while_a_question_was_open_ends_there_again() {
    let mut recording = recorded(Answer::Open { partial: "half".to_owned() }).await;
    recording.requests.clear();
    let fault = Fault { kind: FaultKind::Limit(Limit::WallTime), message: "601 s".to_owned() };
    recording.outcome = Err(fault.clone());
    let replayed = again(&recording, "what about bees?").await;
    assert_eq!(replayed.divergence, None);
    assert_eq!(replayed.attempt.outcome, Err(fault));
}

#[tokio::test]
async fn data_in_other_bytes_and_another_failure_diverge() {
    let mut recording = recorded(complete()).await;
    let mut output = recording.outcome.clone().unwrap();
    output.data = Json::from_parsed("{\"a\":2,\"b\":1}");
    recording.outcome = Ok(output);
    let divergence = again(&recording, "what about bees?").await.divergence.unwrap();
    assert_eq!(divergence.part, Part::Data);
    assert!(!divergence.diff.is_empty());
    recording.outcome = Err(Fault { kind: FaultKind::Trap, message: String::new() });
    let divergence = again(&recording, "what about bees?").await.divergence.unwrap();
    assert_eq!(divergence.part, Part::Outcome);
}

#[tokio::test]
async fn a_recording_by_hand_says_little() {
    let text = r#"{
        "format": "stagewright-recording", "version": 1,
        "plugin": { "name": "bees", "version": "1.2.3" },
        "context": { "request_text": "bees" },
        "exchanges": [
            { "model": {
                "request": { "messages": [{ "role": "user", "content": "what about bees?" }] },
                "answer": { "content": "tell more" }
            } },
            { "model": {
                "request": { "messages": [{ "role": "user", "content": "tell more" }] },
                "answer": { "error": { "kind": "timeout" }, "partial": "ha" }
            } }
        ],
        "outcome": { "output": {
            "summary": "about bees",
            "artifacts": [{ "name": "bees.md", "body": "ha\nmodel_timeout\n\n" }],
            "data": { "b":1,"a" : 2 }
        } }
    }"#;
    let mut recording = Recording::parse(text, Path::new("by-hand.json")).unwrap();
    // The blanks within it are part of what is compared.
    let mut output = recording.outcome.clone().unwrap();
    assert_eq!(output.data.as_str(), "{ \"b\":1,\"a\" : 2 }");
    output.data = Json::from_parsed("{ \"b\":1,\"a\" : 2 }");
    recording.outcome = Ok(output);
    assert_eq!(again(&recording, "what about bees?").await.divergence, None);
}

#[test]
fn what_is_no_recording_or_a_newer_one_is_refused_with_a_plain_word() {
    let refused = |text: &str| {
        let error = Recording::parse(text, Path::new("r.json")).unwrap_err();
        format!("{error} ({})", error.hint().unwrap_or_default())
    };
    let told = [
        "{}",
        r#"{ "format": "stagewright-recording" }"#,
        r#"{ "format": "stagewright-recording", "version": 2, "shape": "unknown" }"#,
        r#"{ "format": "stagewright-recording", "version": 1, "contract_version": "1.7.0" }"#,
        r#"{ "format": "stagewright-recording", "version": 1 }"#,
        "{",
    ]
    .map(refused);
    assert_snapshot!(told.join("\n"), @r#"
    r.json: it is no recording: it does not say `"format": "stagewright-recording"` (take one with `stagewright plugin record RUN STAGE --to FILE`)
    r.json: it does not say which version of the format it has (add `"version": 1`)
    r.json: it is a recording of version 2, and this host reads those up to 1 (replay it with the host that wrote it, or a newer one)
    r.json: its plugin was built for version 1.7.0 of the contract, and this host knows 1.0.0 (replay it with a newer host)
    r.json:1:51: missing field `plugin` ()
    r.json:1:1: EOF while parsing an object (take one with `stagewright plugin record RUN STAGE --to FILE`)
    "#);
}

/// A recording of a question and this answer, in which the attempt is this one.
fn by_hand(attempt: u32, digest: &str, answer: &str) -> String {
    format!(
        r#"{{ "format": "stagewright-recording", "version": 1,
        "plugin": {{ "name": "bees", "version": "1.2.3" }},
        "context": {{ "request_text": "bees", "attempt": {attempt} }},
        "exchanges": [{{ "model": {{
            "request": {{ "messages": [] }}, "request_digest": "{digest}", "answer": {answer}
        }} }}],
        "outcome": {{ "output": {{}} }} }}"#
    )
}

#[test]
fn a_slip_in_a_recording_is_refused_as_it_is_in_a_fixture() {
    let slip = r#"{ "content": "x", "finish_reason": "lenght" }"#;
    let both = r#"{ "content": "x", "error": { "kind": "timeout" } }"#;
    let fine = r#"{ "content": "x" }"#;
    let told = [(1, DIGEST, slip), (1, DIGEST, both), (0, DIGEST, fine), (1, "sha256:12", fine)]
        .map(|(attempt, digest, answer)| {
            let text = by_hand(attempt, digest, answer);
            Recording::parse(&text, Path::new("r.json")).unwrap_err().to_string()
        });
    assert_snapshot!(told.join("\n"), @r#"
    r.json:6:10: no `finish_reason` `lenght`: there are `stop`, `length`, `content_filter`, `stopped_by_stage`, and `{ "other": "..." }` for a provider's own words
    r.json:6:10: it has both `content`, which is an answer, and `error`, which says that there is none: keep one of the two
    r.json:3:59: there is no `attempt` 0: the first one is 1
    r.json:6:10: `request_digest`: it has 2 characters after its prefix, not 64
    "#);
}

#[test]
fn every_reason_why_an_answer_ended_is_read_as_it_was_written() {
    for (said, reason) in [
        (r#""stop""#, FinishReason::Stop),
        (r#""length""#, FinishReason::Length),
        (r#""content_filter""#, FinishReason::ContentFilter),
        (r#""content-filter""#, FinishReason::ContentFilter),
        (r#""stopped_by_stage""#, FinishReason::Other("stopped_by_stage".to_owned())),
        (r#"{ "other": "eos" }"#, FinishReason::Other("eos".to_owned())),
        (r#"{ "other": "stop" }"#, FinishReason::Other("stop".to_owned())),
    ] {
        let text = by_hand(1, DIGEST, &format!(r#"{{ "content": "x", "finish_reason": {said} }}"#));
        let recording = Recording::parse(&text, Path::new("r.json")).unwrap();
        let Answer::Complete(completion) = &recording.exchanges[0].answer else {
            panic!("it has content")
        };
        assert_eq!(completion.finish_reason, reason);
        let again = Recording::parse(&recording.to_json(), Path::new("r.json")).unwrap();
        assert_eq!(again, recording);
    }
}

#[tokio::test]
async fn whoever_records_a_port_writes_down_what_the_stage_saw() {
    let script =
        crate::exchange::Script::new(vec![Answer::of_text("tell more".to_owned()), broken_off()]);
    let recorder = Arc::new(crate::exchange::Recorder::new(Arc::new(script)));
    let job = StageJob {
        plugin: plugin().pin(),
        context: context(),
        limits: Limits::DEFAULT,
        makes: Vec::new(),
    };
    let runner = Plain { question: "what about bees?" };
    let attempt = runner.run(job.clone(), Ports::models(recorder.clone())).await;
    let recording =
        Recording::of(job, None, recorder.exchanges(), attempt.outcome, StageLog::default());
    assert_eq!(recording.exchanges[1].answer, broken_off());
    assert_eq!(again(&recording, "what about bees?").await.divergence, None);
}
