//! A plugin is tested against plain files: what it is told, what the model answers, what it has to make.
use serde_json::json;

use crate::support::{Folder, Ran, stagewright};

const ANSWER: &str = "answer-1.md";

/// A project with the shipped `research` and one fixture, whose answer is what the scripted writer would say.
fn project() -> Folder {
    let folder = Folder::new();
    let (_, component) = plugin_bundle::PLUGINS
        .iter()
        .find(|(name, _)| *name == "research")
        .expect("it ships with the program");
    folder.write("research.wasm", component);
    folder.write("fixtures/bees/input.yaml", "request_text: All about bees\n");
    let asked = ["run", "foundation_stack", "--request", "All about bees", "--yes"];
    let ran = stagewright(&folder, &asked);
    assert_eq!(ran.code, 0, "{ran}");
    let record = ["plugin", "record", "last", "research", "--to", "r.json"];
    let ran = stagewright(&folder, &record);
    assert_eq!(ran.code, 0, "{ran}");
    let text = std::fs::read_to_string(folder.path().join("r.json")).expect("a recording");
    let recording: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let answer = &recording["exchanges"][0]["model"]["answer"]["content"];
    folder.write(&format!("fixtures/bees/{ANSWER}"), answer.as_str().expect("an answer"));
    folder
}

fn test(folder: &Folder, more: &[&str]) -> Ran {
    let mut arguments = vec!["plugin", "test", ".", "--component", "research.wasm"];
    arguments.extend(more);
    stagewright(folder, &arguments)
}

#[test]
fn a_fixture_is_accepted_once_passes_then_and_fails_when_something_else_comes_out() {
    let folder = project();
    let ran = test(&folder, &[]);
    assert_eq!(ran.code, 1, "nothing is expected yet: {ran}");
    assert!(ran.stdout.contains("expected/research.md: came out, and is not expected"), "{ran}");
    assert!(ran.stderr.contains("plugin test --component research.wasm --update"), "{ran}");

    let ran = test(&folder, &["--update"]);
    assert_eq!(ran.code, 0, "{ran}");
    for file in ["research.md", "output.yaml", "requests.yaml"] {
        assert!(folder.path().join("fixtures/bees/expected").join(file).is_file(), "{file}");
    }
    let ran = test(&folder, &[]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stdout.starts_with("ok bees\n"), "{ran}");

    folder.write("fixtures/bees/input.yaml", "request_text: All about wasps\n");
    let ran = test(&folder, &[]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stdout.contains("expected/requests.yaml: came out otherwise"), "{ran}");
    assert!(ran.stdout.contains("All about wasps"), "{ran}");
    let ran = test(&folder, &["-o", "json"]);
    assert_eq!(ran.json()["fixtures"][0]["verdict"], "differs", "{ran}");
}

#[test]
fn an_update_removes_what_is_not_made_any_more_and_leaves_links_alone() {
    let folder = project();
    folder.write("fixtures/bees/expected/old.md", "from an earlier version\n");
    let ran = test(&folder, &["--update"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stdout.contains("expected/old.md: removed"), "{ran}");
    assert!(!folder.path().join("fixtures/bees/expected/old.md").exists());

    let outside = folder.write("outside.md", "a person's own\n");
    let link = folder.path().join("fixtures/bees/expected/research.md");
    std::fs::remove_file(&link).expect("the artifact was written");
    std::os::unix::fs::symlink(&outside, &link).expect("a link");
    let ran = test(&folder, &["--update"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert_eq!(std::fs::read_to_string(&outside).expect("it is there"), "a person's own\n");
}

#[test]
fn too_few_and_too_many_answers_are_told_apart() {
    let folder = project();
    folder.write("fixtures/bees/answer-2.md", "nobody asks for this");
    let ran = test(&folder, &["--update"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stdout.contains("the stage asked once, and there are 2 answers"), "{ran}");
    for answer in ["answer-1.md", "answer-2.md"] {
        std::fs::remove_file(folder.path().join("fixtures/bees").join(answer)).expect("a file");
    }
    let ran = test(&folder, &[]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stdout.contains("write `answer-1.md`"), "{ran}");
    folder.write("fixtures/bees/answer1.md", "a slip of the keyboard");
    let ran = test(&folder, &[]);
    assert!(ran.stdout.contains("answer1.md: it is named almost like an answer"), "{ran}");
}

#[test]
fn a_stage_that_fails_unexpectedly_says_why_and_with_which_log() {
    let folder = Folder::new();
    let rogue = std::fs::read(plugin_bundle::ROGUE_STAGE_PATH).expect("the rogue stage");
    folder.write("research.wasm", rogue);
    let input = "request_text: bees\nsettings: { verb: panic, text: no sections }\n";
    folder.write("fixtures/panics/input.yaml", input);
    folder.write("fixtures/panics/expected/rogue.md", "what it made before\n");
    let ran = test(&folder, &[]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stdout.contains("the stage failed: "), "{ran}");
    assert!(ran.stdout.contains("panicked: no sections"), "{ran}");
    assert!(ran.stdout.contains("in its code, innermost first:"), "{ran}");
    assert!(!ran.stdout.contains("-what it made before"), "{ran}");
    let told = test(&folder, &["-o", "json"]).json();
    assert_eq!(told["fixtures"][0]["failure"]["error_code"], "plugin_trapped", "{told}");

    let ran = test(&folder, &["--update"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stdout.contains("write `expected/error.yaml` by hand"), "{ran}");
    let before = folder.path().join("fixtures/panics/expected/rogue.md");
    assert!(before.is_file(), "a mistake of the stage takes nothing from the fixture");

    folder.write("fixtures/panics/expected/error.yaml", "kind: plugin_trapped\n");
    test(&folder, &["--update"]);
    let ran = test(&folder, &[]);
    assert_eq!(ran.code, 0, "what is expected is no failure: {ran}");
    assert!(!ran.stdout.contains("the stage failed"), "{ran}");
}

/// A folder whose one fixture has these settings and limits, and a component that obeys them.
fn rogue(input: &str) -> Folder {
    let folder = Folder::new();
    let rogue = std::fs::read(plugin_bundle::ROGUE_STAGE_PATH).expect("the rogue stage");
    folder.write("research.wasm", rogue);
    folder.write("fixtures/bees/input.yaml", format!("request_text: bees\n{input}\n"));
    folder
}

#[test]
fn a_stage_that_broke_down_is_told_by_its_cause_with_its_log_once_and_nothing_that_leads_astray() {
    let folder = rogue("settings: { verb: flood-log, count: 1000000000 }\nlimits: { cpu_ms: 100 }");
    folder.write("fixtures/bees/answer-1.md", "It does not come to that.");
    let ran = test(&folder, &[]);
    assert_eq!(ran.code, 1, "{ran}");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[1].starts_with("  the stage failed: ") && lines[1].contains("cpu"), "{ran}");
    assert_eq!(ran.stdout.matches("last lines of its log:").count(), 1, "{ran}");
    assert!(ran.stdout.contains("  number="), "a line of a log has its fields: {ran}");
    assert!(!ran.stdout.contains("asked nothing"), "that is what came of it: {ran}");
    assert!(!ran.stderr.contains("--update"), "it would be refused: {ran}");
    let told = test(&folder, &["-o", "json"]).json();
    assert_eq!(told["fixtures"][0]["acceptable"], false, "{told}");
    let ran = test(&folder, &["--update"]);
    assert!(ran.stdout.contains("did not fail by its own decision"), "{ran}");

    folder.write("fixtures/bees/expected/error.yaml", "kind: limit_cpu_time\n");
    let ran = test(&folder, &[]);
    assert!(ran.stdout.contains("asked nothing"), "it fails as it has to, and: {ran}");
}

#[test]
fn a_failure_that_is_expected_is_not_told_as_what_is_wrong() {
    let folder = rogue("settings: { verb: bad-input }");
    assert_eq!(test(&folder, &["--update"]).code, 0);
    let requests = folder.path().join("fixtures/bees/expected/requests.yaml");
    std::fs::remove_file(requests).expect("it was written");
    let ran = test(&folder, &[]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stdout.contains("expected/requests.yaml: came out, and is not expected"), "{ran}");
    assert!(!ran.stdout.contains("the stage failed"), "{ran}");
    assert!(ran.stderr.contains("--update"), "{ran}");
}

#[test]
fn code_that_was_compiled_in_a_project_is_there_for_each_command_that_comes_next() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = rogue("settings: { verb: fine }");
    let component = std::fs::read(plugin_bundle::ROGUE_STAGE_PATH).expect("the rogue stage");
    folder.write("mine/dist/plugin.wasm", component);
    let project = "language: rust\ncomponent: dist/plugin.wasm\n";
    folder.write("mine/stagewright-plugin.yaml", project);
    folder.write("mine/fixtures/bees/input.yaml", "request_text: b\nsettings: { verb: fine }\n");
    let done = |arguments: &[&str]| {
        let ran = stagewright(&folder, &[&["--data-dir", "nowhere"], arguments].concat());
        assert!(!folder.path().join("nowhere").exists(), "no data folder is made: {ran}");
        (ran.stderr.contains("compiling it for this machine: seconds"), ran)
    };
    let check = ["plugin", "check", "mine/dist/plugin.wasm", "-o", "json"];
    let (compiled, ran) = done(&check);
    assert!(compiled && ran.json()["costs"]["compile_ms"].is_u64(), "{ran}");
    let (compiled, ran) = done(&check);
    assert!(!compiled && ran.json()["costs"]["compile_ms"].is_null(), "{ran}");
    let test = ["plugin", "test", "mine", "--component", "mine/dist/plugin.wasm", "--update"];
    let run = ["plugin", "run", "mine/dist/plugin.wasm", "--input", "mine/fixtures/bees"];
    for next in [&test[..], &run] {
        let (compiled, ran) = done(next);
        assert!(!compiled && ran.code == 0, "{ran}");
    }
    let own = folder.path().join("mine/.stagewright");
    std::fs::remove_dir_all(own.join("cache/compiled")).expect("compiled code");
    let (compiled, ran) = done(&check);
    assert!(compiled && ran.json()["costs"]["compile_ms"].is_u64(), "it is removed: {ran}");
    assert!(own.join("cache/compiled").is_dir());
    let mode = std::fs::metadata(own).expect("it was made").permissions().mode();
    assert_eq!(mode & 0o077, 0, "it may become a data folder");

    let (compiled, ran) = done(&["plugin", "check", "research.wasm"]);
    assert!(compiled && ran.code == 0, "outside of a project nothing is kept: {ran}");
}

#[test]
fn an_error_of_the_model_is_an_answer_and_a_failure_can_be_expected() {
    let folder = project();
    std::fs::remove_file(folder.path().join("fixtures/bees").join(ANSWER)).expect("a file");
    let error = r#"{ "error": { "kind": "unauthorized", "message": "bad key" } }"#;
    folder.write("fixtures/bees/answer-1.json", error);
    assert_eq!(test(&folder, &["--update"]).code, 0);
    let expected = folder.path().join("fixtures/bees/expected");
    let said = std::fs::read_to_string(expected.join("error.yaml")).expect("an error");
    assert!(said.contains("kind: model_unauthorized"), "{said}");
    assert!(!expected.join("output.yaml").exists());
    assert_eq!(test(&folder, &[]).code, 0);
}

#[test]
fn bad_files_are_named_with_the_place_and_no_fixtures_with_how_to_begin_one() {
    let folder = project();
    folder.write("fixtures/bees/input.yaml", "request_text: bees\nsettigns: {}\n");
    let ran = test(&folder, &[]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stdout.contains("input.yaml:2:1: there is no `settigns` here"), "{ran}");
    assert!(ran.stdout.contains("did you mean `settings`?"), "{ran}");

    std::fs::remove_file(folder.path().join("fixtures/bees/input.yaml")).expect("the input");
    let ran = test(&folder, &[]);
    assert!(ran.stdout.contains("it has no `input.yaml`"), "{ran}");
    folder.write("elsewhere.yaml", "request_text: bees\n");
    let link = folder.path().join("fixtures/bees/input.yaml");
    std::os::unix::fs::symlink("../../elsewhere.yaml", link).expect("a link");
    let ran = test(&folder, &[]);
    assert!(ran.stdout.contains("input.yaml: it is no plain file"), "{ran}");

    let ran = stagewright(&folder, &["plugin", "test", "."]);
    assert!(ran.stderr.contains("is no plugin project"), "{ran}");

    std::fs::remove_dir_all(folder.path().join("fixtures")).expect("the fixtures");
    let ran = test(&folder, &[]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("fixtures/first/input.yaml"), "{ran}");
}

#[test]
fn a_file_that_nobody_reads_fails_its_fixture_and_says_what_it_was_probably_meant_for() {
    let folder = rogue("settings: { verb: fine }\nskills: [{ name: style, file: texts/style.md }]");
    folder.write("fixtures/bees/texts/style.md", "short");
    for name in ["README.md", ".gitkeep"] {
        folder.write(&format!("fixtures/bees/{name}"), "for people");
    }
    assert_eq!(test(&folder, &["--update"]).code, 0);
    for (name, meant) in [
        ("anser-2.md", "did you mean `answer-2.md`?"),
        ("respnse-1.json", "did you mean `response-1.json`?"),
        ("expcted/brief.md", "did you mean `expected`?"),
        ("input.yml", "did you mean `input.yaml`?"),
        ("notes.txt", "name it as a `file` in `input.yaml`"),
    ] {
        let path = folder.write(&format!("fixtures/bees/{name}"), "x");
        let ran = test(&folder, &[]);
        assert!(ran.code == 1 && ran.stdout.contains(meant), "{name}: {ran}");
        std::fs::remove_file(path).expect("it was written");
        std::fs::remove_dir(folder.path().join("fixtures/bees/expcted")).ok();
    }
    assert_eq!(test(&folder, &[]).code, 0);

    let input = folder.path().join("fixtures/bees/input.yaml");
    std::fs::rename(&input, input.with_extension("yml")).expect("another name");
    let ran = test(&folder, &[]);
    assert!(ran.stdout.contains("it has no `input.yaml`"), "{ran}");
    assert!(ran.stdout.contains("did you mean `input.yaml`?"), "{ran}");
    assert!(!ran.stdout.contains("texts"), "that may be named by it: {ran}");
}

const BEES_URL: &str = "https://api.example.com/bees";

/// A response to a GET of [`BEES_URL`].
fn response(body: &str) -> String {
    let answer =
        json!({ "status": 200, "headers": [["content-type", "text/plain"]], "body": body });
    json!({ "method": "GET", "url": BEES_URL, "answer": answer }).to_string()
}

/// A project with one fixture, whose stage sends this request so many times.
fn fetching(request: &str, count: u64) -> Folder {
    let settings = json!({ "verb": "fetch", "text": request, "count": count });
    rogue(&format!("settings: {settings}"))
}

#[test]
fn a_fixture_answers_http_requests_in_their_order_and_keeps_what_was_sent() {
    let folder = fetching(BEES_URL, 2);
    folder.write("fixtures/bees/response-1.json", response("a hive"));
    let error = json!({ "kind": "http_timeout", "message": "slow bees" });
    let second = json!({ "method": "GET", "url": BEES_URL, "error": error });
    folder.write("fixtures/bees/response-2.json", second.to_string());
    let ran = test(&folder, &["--update"]);
    assert_eq!(ran.code, 0, "{ran}");
    let expected = |name: &str| {
        let path = folder.path().join("fixtures/bees/expected").join(name);
        std::fs::read_to_string(path).expect("it came out")
    };
    let output = expected("output.yaml");
    assert!(output.contains("body: a hive") && output.contains("HttpResponseTimeout"), "{output}");
    let line = format!("- method: GET\n  url: {BEES_URL}\n");
    assert_eq!(expected("http-requests.yaml"), line.repeat(2));
    assert_eq!(test(&folder, &[]).code, 0);

    folder.write("fixtures/bees/response-1.json", response("wasps"));
    let ran = test(&folder, &[]);
    assert!(ran.stdout.contains("+- body: wasps"), "{ran}");
}

#[test]
fn a_request_that_no_response_is_for_fails_the_fixture_and_so_does_one_that_never_came() {
    let folder = fetching(BEES_URL, 2);
    folder.write("fixtures/bees/response-1.json", response("a hive"));
    let problem = |folder: &Folder| {
        let ran = test(folder, &["--update", "-o", "json"]);
        assert_eq!(ran.code, 1, "{ran}");
        let report = &ran.json()["fixtures"][0];
        assert_eq!(report["verdict"], "failed", "{ran}");
        assert!(report["failure"].is_null(), "the problem says it: {ran}");
        report["problems"][0].as_str().expect("a problem").to_owned()
    };
    let told = problem(&folder);
    assert!(told.starts_with("the stage sent HTTP request 2, `GET https://api."), "{told}");
    assert!(told.contains("write `response-2.json`"), "{told}");

    let folder = fetching(&format!("POST {BEES_URL}"), 1);
    folder.write("fixtures/bees/response-1.json", response("a hive"));
    let told = problem(&folder);
    let wanted = format!("as `POST {BEES_URL}`, and response 1 is for `GET {BEES_URL}`");
    assert!(told.contains(&wanted), "{told}");

    let folder = fetching(BEES_URL, 1);
    folder.write("fixtures/bees/response-1.json", response("a hive"));
    folder.write("fixtures/bees/response-2.json", response("a hive"));
    let told = problem(&folder);
    assert!(told.starts_with("the stage sent 1 HTTP request, and there are 2 responses"), "{told}");
    folder.write("fixtures/bees/response-2.json", r#"{ "method": "GET", "url": "x" }"#);
    let told = problem(&folder);
    assert!(told.contains("neither `answer` nor `error`"), "{told}");
}

#[test]
fn a_trial_gets_responses_of_files_and_its_recording_replays_equal() {
    let folder = fetching(BEES_URL, 1);
    folder.write("bees.json", response("a hive"));
    let run = ["plugin", "run", "research.wasm", "--input", "fixtures/bees/input.yaml"];
    let ran = stagewright(&folder, &run);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("write `response-1.json` into the fixture"), "{ran}");

    let more = ["--response", "bees.json", "--record", "r.json"];
    let ran = stagewright(&folder, &[&run[..], &more].concat());
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stdout.contains(&format!("1 GET {BEES_URL}: 200, 6 B")), "{ran}");
    let replay = ["plugin", "replay", "r.json", "--component", "research.wasm"];
    let ran = stagewright(&folder, &replay);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stdout.contains("0 questions, 1 HTTP request, "), "{ran}");

    let ran = stagewright(&folder, &[&run[..], &["--response", "bees.json"].repeat(2)].concat());
    assert!(ran.stderr.contains("sent 1 HTTP request, and 2 responses were given"), "{ran}");
}

#[test]
fn a_trial_that_ended_at_a_request_without_an_answer_replays_equal() {
    let folder = fetching(BEES_URL, 1);
    let other = response("wasps").replace("bees", "wasps");
    folder.write("other.json", other);
    let run = ["plugin", "run", "research.wasm", "--input", "fixtures/bees/input.yaml"];
    let more = ["--response", "other.json", "--record", "r.json"];
    let ran = stagewright(&folder, &[&run[..], &more].concat());
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stdout.contains(&format!("1 GET {BEES_URL}: no answer")), "{ran}");
    let ran = stagewright(&folder, &["plugin", "replay", "r.json", "--component", "research.wasm"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stdout.contains("0 questions, 1 HTTP request"), "{ran}");
}

#[test]
fn secrets_of_urls_are_in_no_message_no_recording_and_no_fixture() {
    let url = format!("{BEES_URL}?api_key=s3cret");
    let folder = fetching(&url, 1);
    let read = |name: &str| {
        std::fs::read_to_string(folder.path().join(name)).unwrap_or_else(|_| panic!("no `{name}`"))
    };
    let secret = |text: &str| text.contains("s3cret");
    let masked = response("a hive").replace(BEES_URL, &format!("{BEES_URL}?api_key=***"));
    folder.write("fixtures/bees/response-1.json", &masked);
    let ran = test(&folder, &["--update"]);
    assert!(ran.code == 0 && !secret(&ran.to_string()), "{ran}");
    let requests = "fixtures/bees/expected/http-requests.yaml";
    assert_eq!(read(requests), format!("- method: GET\n  url: {BEES_URL}?api_key=***\n"));
    folder.write(requests, format!("- {{ method: GET, url: \"{url}\" }}\n"));
    assert_eq!(test(&folder, &[]).code, 0, "whoever writes the real one says the same");

    folder.write("fixtures/bees/response-1.json", response("a hive"));
    let ran = test(&folder, &[]);
    assert!(ran.code == 1 && !secret(&ran.to_string()), "{ran}");
    folder.write("other.json", response("a hive"));
    let run = ["plugin", "run", "research.wasm", "--input", "fixtures/bees/input.yaml"];
    let more = ["--response", "other.json", "--record", "r.json"];
    let ran = stagewright(&folder, &[&run[..], &more].concat());
    assert!(ran.code == 1 && !secret(&ran.to_string()), "{ran}");
    let recording: serde_json::Value = serde_json::from_str(&read("r.json")).expect("JSON");
    for told in ["exchanges", "outcome", "log"] {
        assert!(!secret(&recording[told].to_string()), "{told}: {recording}");
    }
    let message = recording["outcome"]["fault"]["message"].as_str().expect("a message");
    assert!(message.contains("bees?api_key=***"), "{message}");

    let folder = rogue("settings: { verb: fine }");
    folder.write(requests, format!("- {{ method: GET, url: \"{url}\" }}\n"));
    let ran = test(&folder, &[]);
    assert!(ran.stdout.contains("bees?api_key=***") && !secret(&ran.to_string()), "{ran}");
}

#[test]
fn files_that_cannot_be_used_are_told_before_anything_is_compiled() {
    let folder = rogue("settings: { verb: fine }");
    folder.write("answer.json", "{}");
    folder.write("response.json", r#"{ "method": "GET", "url": "x" }"#);
    folder.write("input.yaml", "settings: {}\n");
    let fixture = "fixtures/bees/input.yaml";
    for (input, more, told) in [
        ("input.yaml", None, "`request_text` is missing"),
        (fixture, Some(["--answer", "answer.json"]), "it has neither `content` nor `error`"),
        (fixture, Some(["--response", "response.json"]), "it has neither `answer` nor `error`"),
    ] {
        let run = ["--data-dir", "nowhere", "plugin", "run", "research.wasm", "--input", input];
        let more = more.iter().flatten().copied();
        let ran = stagewright(&folder, &run.into_iter().chain(more).collect::<Vec<_>>());
        assert!(ran.code != 0 && ran.stderr.contains(told), "{ran}");
        assert!(!ran.stderr.contains("compiling"), "{ran}");
    }
}

#[test]
fn a_slip_in_the_finish_reason_is_refused_with_those_that_there_are() {
    let folder = project();
    std::fs::remove_file(folder.path().join("fixtures/bees").join(ANSWER)).expect("a file");
    let answer = |reason: &str| format!(r#"{{ "content": "x", "finish_reason": {reason} }}"#);
    folder.write("fixtures/bees/answer-1.json", answer(r#""lenght""#));
    let ran = test(&folder, &["--update"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(
        ran.stdout.contains("no `finish_reason` `lenght`: there are `stop`, `length`"),
        "{ran}"
    );
    for reason in [r#""length""#, r#""content-filter""#, r#"{ "other": "eos" }"#] {
        folder.write("fixtures/bees/answer-1.json", answer(reason));
        let ran = test(&folder, &["--update"]);
        assert!(!ran.stdout.contains("no `finish_reason`"), "{ran}");
    }
}
