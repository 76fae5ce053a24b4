//! `plugin check` and `plugin run`: what an author is told of a component, and of one stage done with it. And what a run
//! tells of a plugin's fault.
use insta::assert_snapshot;
use serde_json::Value;

use crate::support::{Folder, Ran, stagewright};

/// Runs the check and gives what it found, for programs.
fn checked(folder: &Folder, file: &str, code: i32) -> Value {
    let ran = stagewright(folder, &["plugin", "check", file, "-o", "json"]);
    assert_eq!(ran.code, code, "{ran}");
    ran.json()
}

fn codes(checked: &Value) -> Vec<&str> {
    let findings = checked["findings"].as_array().expect("findings");
    findings.iter().map(|finding| finding["code"].as_str().expect("a code")).collect()
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_what_to_do() {
    let folder = Folder::new();
    let rogue = std::fs::read(plugin_bundle::ROGUE_STAGE_PATH).expect("the rogue stage");
    folder.write("script.wasm", "#!/bin/sh\n");
    folder.write("cut.wasm", &rogue[..rogue.len() / 2]);
    folder.write("core.wasm", wat::parse_str("(module)").expect("a module"));
    let importing = r#"(component
        (import "acme:db/sql@1.0.0" (instance (export "query" (func))))
        (import "wasi:cli/environment@0.3.0" (instance)))"#;
    folder.write("importing.wasm", wat::parse_str(importing).expect("a component"));
    let later = r#"(component (instance $nothing)
        (export "stagewright:stage/plugin@2.0.0" (instance $nothing)))"#;
    folder.write("later.wasm", wat::parse_str(later).expect("a component"));
    let empty = r#"(component (instance $nothing)
        (export "stagewright:stage/plugin@1.0.0" (instance $nothing)))"#;
    folder.write("empty.wasm", wat::parse_str(empty).expect("a component"));
    for (file, wanted) in [
        ("script.wasm", &["not_webassembly"][..]),
        ("cut.wasm", &["cut_off"]),
        ("core.wasm", &["core_module"]),
        ("importing.wasm", &["import_refused", "import_refused", "export_wrong"]),
        ("later.wasm", &["contract_version"]),
        ("empty.wasm", &["export_wrong", "export_wrong", "export_wrong"]),
    ] {
        let checked = checked(&folder, file, 1);
        assert_eq!(codes(&checked), wanted, "{file}: {checked:#}");
        assert_eq!(checked["fit"], false);
        for finding in checked["findings"].as_array().expect("findings") {
            assert_ne!(finding["cure"], "", "{file}: {finding}");
        }
    }
    assert_snapshot!(stagewright(&folder, &["plugin", "check", "script.wasm"]).told(&folder), @"
    exit 1
    -- stdout
    not ok script.wasm
      - it is not WebAssembly
        hint: give the `.wasm` file that `stagewright plugin build` or `cargo build --target wasm32-wasip2` makes

    digest  sha256:a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf
    size    10 B
    -- stderr
    error: `script.wasm` cannot be used: 1 finding
    ");
    let missing = stagewright(&folder, &["plugin", "check", "missing.wasm"]);
    assert!(
        missing.code == 2 && missing.stderr.contains("`missing.wasm` cannot be read"),
        "{missing}"
    );
}

#[test]
fn a_component_that_fits_is_described_and_measured() {
    let folder = Folder::new();
    let ran = stagewright(&folder, &["plugin", "check", plugin_bundle::ROGUE_STAGE_PATH]);
    assert_eq!(ran.code, 0, "{ran}");
    for words in [
        "ok ",
        "plugin    rogue-stage@1.0.0",
        "contract  1.0.0",
        "rogue.md (text/markdown): Whatever the verb left.",
        "count (integer; default 0)",
        "stagewright:stage/llm@1.0.0",
        "WASI that is empty and deterministic",
        "costs, measured on this machine at this moment",
        "its first question was not tried: it has settings without a default",
    ] {
        assert!(ran.stdout.contains(words), "`{words}` is missing: {ran}");
    }
    let checked = checked(&folder, plugin_bundle::ROGUE_STAGE_PATH, 0);
    let costs = &checked["costs"];
    for cost in ["load_us", "start_us", "start_memory_bytes", "describe_memory_bytes"] {
        assert!(costs[cost].as_u64().is_some_and(|cost| cost > 0), "{cost}: {costs}");
    }
}

/// A folder with the keywords plugin, which asks once, and an input for it.
fn keywords() -> Folder {
    let folder = Folder::new();
    let (_, bytes) =
        plugin_bundle::PLUGINS.iter().find(|(name, _)| *name == "keywords").expect("it is shipped");
    folder.write("keywords.wasm", bytes);
    folder.write(
        "input.yaml",
        "request_text: Honey from city bees\nartifacts:\n  - { stage: research, name: research.md, body: \"# Research\\n\\nBees.\\n\" }\n  - { stage: positioning, name: positioning.md, body: \"# Positioning\\n\\nLocal.\\n\" }\n  - { stage: brand-voice, name: brand-voice.md, body: \"# Voice\\n\\nWarm.\\n\" }\n",
    );
    folder
}

fn run(folder: &Folder, more: &[&str]) -> Ran {
    let command = ["plugin", "run", "keywords.wasm", "--input", "input.yaml"];
    stagewright(folder, &[&command[..], more].concat())
}

#[test]
fn one_stage_is_done_without_a_key_and_its_artifacts_stay_in_their_folder() {
    let folder = keywords();
    let outside = folder.write("outside.md", "untouched");
    std::fs::create_dir(folder.path().join("made")).expect("a folder");
    std::os::unix::fs::symlink(&outside, folder.path().join("made/keywords.md")).expect("a link");
    let ran = run(&folder, &["--to", "made", "--record", "one.recording.json"]);
    assert_eq!(ran.code, 0, "{ran}");
    for words in ["keywords@", "the scripted writer, which is not a language model", "questions"] {
        assert!(ran.stdout.contains(words), "`{words}` is missing: {ran}");
    }
    let made = std::fs::read_to_string(folder.path().join("made/keywords.md")).expect("it is made");
    assert!(made.contains('#'), "{made}");
    assert_eq!(std::fs::read_to_string(outside).expect("it is there"), "untouched");
    let replay = ["plugin", "replay", "one.recording.json", "--component", "keywords.wasm"];
    let replayed = stagewright(&folder, &replay);
    assert_eq!(replayed.code, 0, "{replayed}");
    let printed = run(&folder, &["-o", "json"]).json();
    assert_eq!(printed["succeeded"], true, "{printed:#}");
    assert_eq!(printed["exchanges"].as_array().map(Vec::len), Some(1), "{printed:#}");
}

#[test]
fn an_answer_that_cannot_be_used_is_told_with_the_command_that_does_it_again() {
    let folder = keywords();
    folder.write("answer-1.md", "I would rather not.");
    folder.write("answer-2.md", "No.");
    let ran = run(&folder, &["--answer", "answer-1.md", "--answer", "answer-2.md"]);
    assert_eq!(ran.code, 1, "{ran}");
    for words in [
        "the stage failed: stage `",
        "(plugin `keywords` ",
        "the model's answer could not be used",
        "stage_invalid_output",
        "hint: do the same again with `stagewright plugin run keywords.wasm --input input.yaml --answer answer-1.md --answer answer-2.md`",
    ] {
        assert!(ran.stderr.contains(words), "`{words}` is missing: {ran}");
    }
    let wrong = run(&folder, &["--provider", "nobody"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("no provider `nobody`"), "{wrong}");
}

#[test]
fn an_answer_that_is_missing_is_told_with_how_to_give_it_and_one_too_many_is_counted() {
    let folder = keywords();
    folder.write("answer-1.md", "I would rather not.");
    let ran = run(&folder, &["--answer", "answer-1.md"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("no answer for it: say `--answer FILE` once more"), "{ran}");
    assert!(!ran.to_string().contains("may succeed if tried again"), "{ran}");
    let fault = run(&folder, &["--answer", "answer-1.md", "-o", "json"]).json()["fault"].take();
    assert_eq!(fault["retryable"], false, "{fault}");

    let rogue = std::fs::read(plugin_bundle::ROGUE_STAGE_PATH).expect("the rogue stage");
    folder.write("keywords.wasm", rogue);
    for (verb, told) in [("fine", "asked nothing"), ("ask", "asked 1 question")] {
        let input = format!("request_text: bees\nsettings: {{ verb: {verb} }}\n");
        folder.write("input.yaml", input);
        let ran = run(&folder, &["--answer", "answer-1.md", "--answer", "answer-1.md"]);
        let wanted = format!("the stage {told}, and 2 answers were given");
        assert!(ran.stderr.contains(&wanted), "{ran}");
    }
}

#[test]
fn a_folder_in_the_place_of_a_component_and_the_other_noun_are_told_with_what_is_meant() {
    let folder = Folder::new();
    let project = "language: rust\ncomponent: dist/plugin.wasm\n";
    folder.write("mine/stagewright-plugin.yaml", project);
    assert_snapshot!(stagewright(&folder, &["plugin", "check", "mine"]).told(&folder), @"
    exit 2
    -- stdout
    -- stderr
    error: `mine` is a folder, and no component
    hint: name its component, which `plugin build` makes: `mine/dist/plugin.wasm`
    ");
    let ran = stagewright(&folder, &["plugin", "run", ".", "--input", "input.yaml"]);
    assert!(ran.code == 2 && ran.stderr.contains("name the `.wasm` file"), "{ran}");
    for (asked, wanted) in [
        (&["plugin", "list"][..], "`stagewright plugins list`"),
        (&["plugin", "add", "mine/dist/plugin.wasm", "--replace"], "`stagewright plugins add …`"),
        (&["plugins", "check", "mine/dist/plugin.wasm"], "`stagewright plugin check …`"),
    ] {
        let ran = stagewright(&folder, asked);
        assert!(ran.code == 2 && ran.stderr.contains(wanted), "{ran}");
    }
    assert_snapshot!(stagewright(&folder, &["plugins", "check", "--help"]).told(&folder), @r"
    exit 2
    -- stdout
    -- stderr
    error: `plugins` are those of a host; what an author does is `plugin`
    hint: type `stagewright plugin check …`
    ");
    let mistyped = stagewright(&folder, &["plugins", "tset"]);
    assert!(mistyped.code == 2 && !mistyped.stderr.contains("'test'"), "{mistyped}");
}

#[test]
fn completions_offer_each_noun_its_own_commands_alone() {
    let script = stagewright(&Folder::new(), &["completions", "fish"]).stdout;
    for (noun, commands) in [
        ("plugins", "list show add remove push pull help"),
        ("plugin", "new build check run test replay record help"),
    ] {
        let of_noun = format!("using_subcommand {noun}; and not __fish_seen_subcommand_from ");
        let mut lines = script.lines().filter_map(|line| line.split_once(&of_noun)).peekable();
        assert!(lines.peek().is_some(), "{script}");
        for (_, offered) in lines {
            assert_eq!(offered.split_once('"').map(|(words, _)| words), Some(commands));
        }
    }
}

#[test]
fn settings_and_artifacts_that_a_run_would_not_begin_with_are_told() {
    let folder = keywords();
    folder.write("input.yaml", "request_text: Honey\nsettings: { depth_of_honey: 3 }\n");
    let refused = run(&folder, &[]);
    assert!(refused.code == 1 && refused.stderr.contains("depth_of_honey"), "{refused}");
    folder.write("input.yaml", "request_text: Honey\n");
    let warned = run(&folder, &[]);
    assert!(warned.stderr.contains("no run would begin the stage"), "{warned}");
}

#[test]
fn a_run_that_a_plugin_failed_says_how_to_do_it_again_outside_of_the_run() {
    let folder = Folder::new();
    folder.write_rogue_profile("rogue", &["{ verb: panic, text: no sections }"]);
    let ran = stagewright(&folder, &["run", "rogue", "--request", "bees"]);
    assert_eq!(ran.code, 1, "{ran}");
    let wanted = "stage-0 --attempt 1 --to stage-0.recording.json && stagewright plugin replay stage-0.recording.json`";
    assert!(ran.stderr.contains(wanted), "{ran}");
    let shown = stagewright(&folder, &["runs", "show", "last"]);
    assert!(shown.stdout.contains(wanted), "{shown}");
    let shown = stagewright(&folder, &["runs", "show", "last", "-o", "json"]).json();
    let command = shown["stages"][0]["reproduce"].as_str().expect("a command").to_owned();
    let (record, replay) = command.split_once(" && ").expect("two commands");
    let words = |line: &str| line.split(' ').skip(1).map(str::to_owned).collect::<Vec<String>>();
    for (line, words_of_it) in [(record, "recording"), (replay, "")] {
        let arguments = words(line);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let done = stagewright(&folder, &arguments);
        assert_eq!(done.code, 0, "{line}: {done}");
        assert!(done.to_string().contains(words_of_it), "{line}: {done}");
    }
}
