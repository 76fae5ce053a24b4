use std::fs;
use std::path::Path;

use domain::Limits;
use insta::assert_snapshot;

use super::Input;

fn problems(text: &str) -> String {
    let error = Input::parse(text, Path::new("fixtures/a/input.yaml")).unwrap_err();
    format!("{error} ({})", error.hint().unwrap_or_default())
}

#[test]
fn the_request_alone_is_enough() {
    let input = Input::parse("request_text: bees", Path::new("input.yaml")).unwrap();
    assert_eq!(input.context.request_text, "bees");
    assert_eq!((input.context.attempt, input.context.stage_key.as_str()), (1, "stage"));
    assert_eq!(input.context.settings.as_str(), "{}");
    assert_eq!(input.limits, Limits::DEFAULT);
}

#[test]
fn everything_that_a_stage_may_know_can_be_said_and_texts_may_lie_in_files_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("research.md"), "# Bees\n").unwrap();
    let path = folder.path().join("input.yaml");
    let text = r#"
request_text: bees
stage_key: keywords
attempt: 2
settings: { count: 3 }
variables:
  zeal: [1, 2.5]
  age: old
artifacts:
  - { stage: research, name: research.md, file: research.md }
  - { stage: research, name: list.json, body: "[]" }
skills: [{ name: style, body: short }]
revision:
  feedback: shorter
  previous: [{ name: keywords.md, body: long }]
limits: { memory_mib: 8 }
"#;
    fs::write(&path, text).unwrap();
    let Input { context, limits, files } = Input::read(&path).unwrap();
    assert_eq!(context.artifacts[0].artifact.body, "# Bees\n");
    assert_eq!(context.artifacts[0].artifact.media_type, "text/markdown");
    assert_eq!(context.artifacts[1].artifact.media_type, "application/json");
    assert_eq!(context.settings.as_str(), r#"{"count":3}"#);
    let variables: Vec<String> = context
        .variables
        .iter()
        .map(|variable| format!("{}={}", variable.name.as_str(), variable.value.as_str()))
        .collect();
    assert_eq!(variables, ["zeal=[1,2.5]", "age=\"old\""]);
    assert_eq!(context.revision.unwrap().previous[0].body, "long");
    assert_eq!(limits.memory_bytes_max, 8 << 20);
    assert_eq!(files, ["research.md"]);
}

#[test]
fn what_cannot_be_used_is_named_with_its_place_and_its_cure() {
    let told = [
        "request_txt: bees",
        "request_text: bees\nartifacts:\n  - { stage: research, nam: a.md, body: x }",
        "settings: {}",
        "request_text: bees\nstage_key: Two Words",
        "request_text: bees\nsettings: 3",
        "request_text: bees\nlimits: { memory_mb: 3 }",
        "request_text: bees\nartifacts: [{ stage: research, name: a.md }]",
        "request_text: bees\nartifacts: [{ stage: research, name: a.md, file: ../a.md }]",
        "request_text: bees\nartifacts: [{ stage: research, name: a.md, file: /etc/passwd }]",
        "request_text: a\nrequest_text: b",
        "request_text: [",
        "request_text: bees\nattempt: 0",
        "request_text: bees\nskills: [{ name: style, file: nope.md }]",
    ]
    .map(problems);
    assert_snapshot!(told.join("\n"), @r"
    fixtures/a/input.yaml:1:1: there is no `request_txt` here (did you mean `request_text`? there are `request_text`, `run_id`, `thread_id`, `brand_id`, `project_id`, `stage_key`, `attempt`, `settings`, `variables`, `artifacts`, `skills`, `revision`, `limits`)
    fixtures/a/input.yaml:3:24: there is no `nam` here (did you mean `name`? there are `stage`, `name`, `media_type`, `body`, `file`)
    fixtures/a/input.yaml:1:1: `request_text` is missing ()
    fixtures/a/input.yaml:2:12: `Two Words` cannot be used here: it does not start with a lower-case letter ()
    fixtures/a/input.yaml: `/settings`: it is no map (write `settings: {}` or name settings of the plugin)
    fixtures/a/input.yaml: `/limits/memory_mb`: `limits` has no `memory_mb` (did you mean `memory_mib`? it may have: `memory_mib`, `cpu_ms`, `wall_s`, `call_kib`, `log_kib`, `artifacts`, `artifact_kib`, `model_calls`, `http_requests`, `stage_tokens`, `stage_usd`)
    fixtures/a/input.yaml: `/artifacts/0`: there is no text (say it in `body`, or name its file in `file`)
    fixtures/a/input.yaml: `/artifacts/0`: `../a.md` is outside of the folder (name a file below the folder of this one, without `..`)
    fixtures/a/input.yaml: `/artifacts/0`: `/etc/passwd` is outside of the folder (name a file below the folder of this one, without `..`)
    fixtures/a/input.yaml:2:1: `request_text` is said twice (keep one of the two)
    fixtures/a/input.yaml:1:15: expected string scalar ()
    fixtures/a/input.yaml:2:10: there is no `attempt` 0: the first one is 1 ()
    fixtures/a/input.yaml: `/skills/0`: `file` names `nope.md`, which cannot be read: No such file or directory (os error 2) (write that file, or correct its name)
    ");
}

#[cfg(unix)]
#[test]
fn a_link_leads_to_no_text_outside_of_the_folder() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("bees");
    fs::create_dir(&inside).unwrap();
    fs::write(folder.path().join("secret.md"), "outside").unwrap();
    fs::write(inside.join("plain.md"), "inside").unwrap();
    symlink("../secret.md", inside.join("out.md")).unwrap();
    symlink("..", inside.join("up")).unwrap();
    symlink("plain.md", inside.join("in.md")).unwrap();
    let read = |file: &str| {
        let path = inside.join("input.yaml");
        let text = format!("request_text: bees\nskills: [{{ name: a, file: {file} }}]\n");
        fs::write(&path, text).unwrap();
        let input = Input::read(&path).map_err(|error| error.to_string());
        input.map(|input| input.context.skills[0].body.clone())
    };
    assert_eq!(read("in.md").unwrap(), "inside");
    for file in ["out.md", "up/secret.md"] {
        let refused = read(file).unwrap_err();
        let expected = format!("`/skills/0`: `{file}` leads out of the folder by a link");
        assert!(refused.ends_with(&expected), "{refused}");
    }
}
