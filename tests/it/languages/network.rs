//! The network from a stage in each language, done as the guide for authors says: in a project that `plugin new` made, with
//! the language's own tool, in a real run.
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use super::projects::{Language, component_of, copy_sources, workspace};
use crate::support::{Folder, Ran, stagewright};

/// More than a stage can write at once, so that a body has several pieces.
const BODY_BYTES: usize = 10_000;

/// What a stage in JavaScript does with its request, which is a URL.
const RUN_IN_JAVASCRIPT: &str = "  async run(context) {
    const url = context.requestText;
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
    const sent = await fetch(url, { method: 'POST', headers: { 'x-hive': '7' }, body: 'x'.repeat(10_000) });
    return output(`# ${await response.text()} ${await sent.text()}`);
  },
});
";

/// The same in Python.
const RUN_IN_PYTHON: &str = "    def run(self, context: StageContext) -> StageOutput:
        url = context.request_text
        response = web.send(\"GET\", url)
        if response.status != 200:
            raise RuntimeError(f\"{url} answered {response.status}\")
        sent = web.send(\"POST\", url, {\"x-hive\": \"7\"}, b\"x\" * 10_000)
        return brief.output(f\"# {response.text()} {sent.text()}\")
";

/// A server of the web; it ends with the process. Gives its host.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever goes away gets no answer.
            answer(&stream).ok();
        }
    });
    format!("localhost:{port}")
}

/// A `GET` of `/facts` gets bees, a `POST` what it brought. There is nothing else.
fn answer(mut stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line)? > 2 {
        head.push_str(&line.to_lowercase());
        line.clear();
    }
    let value =
        |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let len = value("content-length").map_or(0, |len| len.parse().expect("a number"));
    let mut body = vec![0; len];
    reader.read_exact(&mut body)?;
    let (status, text) = match head.split_once(" http/").map(|(line, _)| line) {
        Some("get /facts") => ("200 OK", "bees".to_owned()),
        Some("post /facts") => {
            ("200 OK", format!("{len} of hive {}", value("x-hive").unwrap_or("?")))
        }
        _ => ("404 Not Found", String::new()),
    };
    let len = text.len();
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n{text}")
}

/// Replaces a part of a file, which has to be there.
#[track_caller]
fn change(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("a file");
    assert!(text.contains(from), "`{from}` in {}", path.display());
    fs::write(path, text.replacen(from, to, 1)).expect("a file");
}

/// Has a function at the end of a file do something else.
#[track_caller]
fn change_end(path: &Path, begin: &str, end: &str) {
    let text = fs::read_to_string(path).expect("a file");
    let at = text.rfind(begin).expect("the function is there");
    fs::write(path, format!("{}{end}", &text[..at])).expect("a file");
}

/// A new project whose stage fetches, and that is built as every new one is. `None` without the language's tool.
fn project(folder: &Folder, language: Language) -> Option<PathBuf> {
    language.is_installed(&format!("the network from {language:?}")).then(|| {
        let name = format!("facts-{}", language.as_str());
        let ran = stagewright(folder, &["plugin", "new", &name, "--lang", language.as_str()]);
        assert_eq!(ran.code, 0, "{ran}");
        let project = folder.path().join(name);
        match language {
            Language::JavaScript => {
                change_end(&project.join("src/plugin.js"), "  run(context) {", RUN_IN_JAVASCRIPT);
            }
            Language::Python => {
                let app = project.join("src/app.py");
                change_end(&app, "    def run(self", RUN_IN_PYTHON);
                change(&app, "import brief\n", "import brief\nimport web\n");
            }
        }
        project
    })
}

/// The component of a project with what the guide adds to it for the network.
fn component(folder: &Folder, language: Language) -> Option<PathBuf> {
    let project = project(folder, language)?;
    match language {
        Language::JavaScript => {
            change(
                &project.join("package.json"),
                "--disable http fetch-event",
                "--disable fetch-event",
            );
        }
        Language::Python => {
            copy_sources(&workspace().join("plugins/examples/http-python"), &project);
            let import = "    import log;\n    import wasi:http/outgoing-handler@0.2.0;\n";
            change(&project.join("wit/stage.wit"), "    import log;\n", import);
        }
    }
    Some(component_of(language, &project, &[]))
}

/// Runs a stage. The operator allows the host of the test; the profile grants what is given.
fn run(folder: &Folder, component: &Path, stage: &str, host: &str, url: &str) -> Ran {
    let config =
        format!("grants: {{ http_hosts: [{host}, other.example.com], private_hosts: [{host}] }}\n");
    folder.write("stagewright.yaml", config);
    let plugin = component.display();
    let profile = format!(
        "profile: facts\nversion: \"1\"\nstages:\n  - key: facts\n    plugin: {plugin:?}\n{stage}"
    );
    folder.write(".stagewright/profiles/facts.yaml", profile);
    stagewright(folder, &["run", "facts", "--request", url, "--yes"])
}

fn granting(host: &str) -> String {
    format!("    grants: {{ http: [{host}] }}\n")
}

#[track_caller]
fn assert_told(ran: &Ran, words: &[&str]) {
    assert_eq!(ran.code, 1, "{ran}");
    for words in words {
        assert!(ran.to_string().contains(words), "no `{words}` in {ran}");
    }
}

fn a_granted_host_is_reached(language: Language) {
    let folder = Folder::new();
    let Some(component) = component(&folder, language) else { return };
    let host = serve();
    let url = format!("http://{host}/facts");
    let ran = run(&folder, &component, &granting(&host), &host, &url);
    assert_eq!(ran.code, 0, "{ran}");
    let brief = stagewright(&folder, &["runs", "artifacts", "last", "facts", "brief.md"]);
    assert!(brief.stdout.contains(&format!("# bees {BODY_BYTES} of hive 7")), "{brief}");
    let checked = stagewright(&folder, &["plugin", "check", &component.display().to_string()]);
    assert_eq!(checked.code, 0, "{checked}");
    assert!(checked.stdout.contains("wasi:http/outgoing-handler@0.2"), "{checked}");
}

#[test]
fn a_granted_host_is_reached_from_javascript() {
    a_granted_host_is_reached(Language::JavaScript);
}

#[test]
fn a_granted_host_is_reached_from_python() {
    a_granted_host_is_reached(Language::Python);
}

#[test]
fn a_stage_without_a_grant_is_told_how_to_get_one_in_each_language() {
    for language in Language::ALL {
        let folder = Folder::new();
        let Some(component) = component(&folder, language) else { continue };
        let host = serve();
        let ran = run(&folder, &component, "", &host, &format!("http://{host}/facts"));
        assert_told(&ran, &["reaches no host", "`grants.http`", "`grants.http_hosts`"]);
    }
}

#[test]
fn a_stage_that_asks_another_host_is_told_which_one_to_grant() {
    for (language, words) in [
        (Language::JavaScript, "TypeError: NetworkError"),
        (Language::Python, "web.Failed: GET http://other.example.com/facts: HttpRequestDenied"),
    ] {
        let folder = Folder::new();
        let Some(component) = component(&folder, language) else { continue };
        let host = serve();
        let url = "http://other.example.com/facts";
        let ran = run(&folder, &component, &granting(&host), &host, url);
        let cure = "the profile does not grant `other.example.com:80` to the stage; add it to the stage's `grants.http`";
        assert_told(&ran, &[words, cure]);
    }
}

/// In JavaScript, `run` is over when it waits for the answer: what it throws then has to be told like all else.
#[test]
fn what_a_stage_throws_after_an_answer_is_told_with_its_place() {
    for (language, place) in
        [(Language::JavaScript, "(src/plugin.js:"), (Language::Python, "run (app.py:")]
    {
        let folder = Folder::new();
        let Some(component) = component(&folder, language) else { continue };
        let host = serve();
        let url = format!("http://{host}/nothing");
        let ran = run(&folder, &component, &granting(&host), &host, &url);
        assert_told(&ran, &[&format!("Error: {url} answered 404"), place]);
    }
}

#[test]
fn fetch_that_the_build_left_out_says_how_to_get_it() {
    let folder = Folder::new();
    let Some(project) = project(&folder, Language::JavaScript) else { return };
    let component = component_of(Language::JavaScript, &project, &[]);
    let host = serve();
    let url = format!("http://{host}/facts");
    let ran = run(&folder, &component, &granting(&host), &host, &url);
    assert_told(&ran, &["it called `fetch`, which its build left out", "`package.json`"]);
}

fn run_in_rust(folder: &Folder, stage: &str, host: &str, url: &str) -> Ran {
    let settings = format!("    settings: {{ verb: fetch-text, text: {url:?} }}\n{stage}");
    run(folder, Path::new(plugin_bundle::ROGUE_STAGE_PATH), &settings, host, url)
}

#[test]
fn a_granted_host_is_reached_from_rust() {
    let (folder, host) = (Folder::new(), serve());
    let url = format!("http://{host}/facts");
    let ran = run_in_rust(&folder, &granting(&host), &host, &url);
    assert_eq!(ran.code, 0, "{ran}");
    let run = stagewright(&folder, &["runs", "show", "last", "--output", "json"]).json();
    let run = run["run_id"].as_str().expect("an id");
    let output =
        fs::read_to_string(folder.run(run).join("01-facts/output.json")).expect("an output");
    let output: serde_json::Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!(output["data"], serde_json::json!({ "status": 200, "body": "bees" }));
}

#[test]
fn a_stage_in_rust_is_told_what_to_grant() {
    let (folder, host) = (Folder::new(), serve());
    let ran = run_in_rust(&folder, "", &host, &format!("http://{host}/facts"));
    assert_told(&ran, &["reaches no host", "`grants.http`", "`grants.http_hosts`"]);
    let url = "http://other.example.com/facts";
    let ran = run_in_rust(&folder, &granting(&host), &host, url);
    assert_told(&ran, &[&format!("{url}: ErrorCode::HttpRequestDenied")]);
    let listed = stagewright(&folder, &["runs", "requests", "last"]);
    assert!(
        listed.stderr.contains("the profile does not grant `other.example.com:80`"),
        "{listed}"
    );
}

/// What the guide shows is what is tested here.
#[test]
fn the_guide_shows_what_works() {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let guide =
        words(&fs::read_to_string(workspace().join("plugins/README.md")).expect("the guide"));
    let rust = workspace().join("tests/rogue-stage/src/attack/fetching_text.rs");
    let rust = fs::read_to_string(rust).expect("the source");
    let (_, rust) = rust.split_once("mod wire {").expect("what runs in WebAssembly");
    let (_, rust) = rust.split_once("fn get(").expect("how it asks");
    let (rust, _) = rust.split_once("\n}\n").expect("its end");
    for shown in [
        &format!("fn get({rust}"),
        "use wstd::http::{Body, Client, Error, Request};",
        "wstd = { version = \"0.6\", default-features = false }",
        "const response = await fetch(url);",
        "web.send(\"GET\", url)",
        "import wasi:http/outgoing-handler@0.2.0;",
    ] {
        assert!(guide.contains(&words(shown)), "{shown}");
    }
}
