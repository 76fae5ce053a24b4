//! What the host reports when a plugin in another language misbehaves.
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use domain::fault::Limit;
use domain::model::{Completion, ModelRequest};
use domain::plan::PluginRef;
use domain::port::{
    AnswerStream, AskError, Attempt, BoxFuture, ModelPort, PluginCatalog as _, Ports, StageJob,
    StageRunner as _,
};
use domain::stage::{Belonging, StageContext};
use domain::{Fault, FaultKind, Json, Limits};
use insta::assert_snapshot;
use sandbox::Sandbox;

use super::projects::{Language, component_of, workspace};

/// Nobody is asked: the misbehaving plugins never come so far.
struct NoModel;

impl ModelPort for NoModel {
    fn ask(&self, _: ModelRequest) -> BoxFuture<'_, Result<Completion, AskError>> {
        unreachable!("a misbehaving plugin asks nothing")
    }

    fn stream(&self, _: ModelRequest) -> BoxFuture<'_, Result<Box<dyn AnswerStream>, AskError>> {
        unreachable!("a misbehaving plugin asks nothing")
    }
}

fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let config = sandbox::Config {
            cache_dir: folder.join("compiled"),
            plugin_dir: folder.join("no-plugins"),
            pinned_dir: folder.join("pinned"),
            bundled: &[],
            instance_count_max: 2,
        };
        Sandbox::open(config).expect("a sandbox")
    })
}

/// The misbehaving plugin of a language does what the verb says.
async fn attempt(language: Language, verb: &str) -> Attempt {
    let project = workspace().join(format!("tests/languages/rogue-{}", language.as_str()));
    let common = match language {
        Language::JavaScript => "js/src/stage.js",
        Language::Python => "python/src/stage.py",
    };
    let common = workspace().join("host/authoring/templates").join(common);
    let component = component_of(language, &project, &[&common]);
    attempt_of(&component, verb).await
}

/// The same with a component that is built.
pub(super) async fn attempt_of(component: &Path, verb: &str) -> Attempt {
    let reference = PluginRef::Path(component.display().to_string());
    let plugin = sandbox().find(&reference, None).expect("it fits the contract");
    sandbox().pin(&plugin.digest).expect("it is kept");
    let context = StageContext {
        request_text: "bees".to_owned(),
        run_id: format!("run_{}", "0".repeat(32)).parse().expect("an id"),
        belonging: Belonging::default(),
        stage_key: "rogue".parse().expect("a key"),
        attempt: 1,
        settings: Json::from_parsed(format!(r#"{{"verb":"{verb}"}}"#)),
        variables: Vec::new(),
        artifacts: Vec::new(),
        skills: Vec::new(),
        revision: None,
    };
    let makes = plugin.info.makes.clone();
    // A loop has to be waited for.
    let limits = Limits { cpu_time_max: Duration::from_millis(500), ..Limits::DEFAULT };
    let job = StageJob { plugin: plugin.pin(), context, limits, makes };
    sandbox().run(job, Ports::models(Arc::new(NoModel))).await
}

/// The report with what differs from build to build, and from run to run, replaced by its name. Frames of an interpreter
/// are those of its build.
pub(super) fn report(fault: &Fault) -> String {
    let is_of_author =
        |line: &str| [".py:", ".js:", "(./src/"].iter().any(|mark| line.contains(mark));
    let lines = fault.message.lines();
    let told = lines.filter(|line| !line.starts_with("  at ") || is_of_author(line));
    let text: String = told.map(|line| format!("{line}\n")).collect();
    let text = replaced(&text, "1.2.3, ", ")", "[digest]");
    replaced(&text, "over the limit on computing time: ", ", with", "[time]")
}

/// Replaces what stands between two texts, where it does.
fn replaced(text: &str, before: &str, after: &str, name: &str) -> String {
    let Some((start, rest)) = text.split_once(before) else { return text.to_owned() };
    let Some((_, end)) = rest.split_once(after) else { return text.to_owned() };
    format!("{start}{before}{name}{after}{end}")
}

/// What the misbehaving plugin of a language ends with. `None` where there is no tool to build it.
fn fault(language: Language, verb: &str) -> Option<Fault> {
    let test = format!("the fault `{verb}` of {language:?}");
    language.is_installed(&test).then(|| done(attempt(language, verb)).outcome.expect_err(&test))
}

/// Compiling takes long, and both languages have all verbs: one at a time, so that the first one compiles.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub(super) fn done<T>(work: impl Future<Output = T>) -> T {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

#[test]
fn an_exception_of_javascript_is_told_with_its_file_and_line() {
    let Some(fault) = fault(Language::JavaScript, "throw") else { return };
    assert_eq!(fault.kind, FaultKind::Trap);
    assert_snapshot!(report(&fault), @r#"
    stage `rogue` (plugin `rogue-js` 1.2.3, [digest]): the plugin raised an exception: TypeError: can't access property "trim", tagline is undefined
    in its code, innermost first:
      at writeTagline (src/plugin.js:50)
      at throw (src/plugin.js:8)
      at run (src/plugin.js:79)
      at exported/told/</< (src/stage.js:59)
      at tellingWhatIsThrown (src/stage.js:65)
      at exported/told/< (src/stage.js:59)
    last lines of its log:
      info: about to throw
      info: said on standard output
    "#);
}

#[test]
fn an_exception_of_python_is_told_with_its_file_and_line() {
    let Some(fault) = fault(Language::Python, "throw") else { return };
    assert_eq!(fault.kind, FaultKind::Trap);
    assert_snapshot!(report(&fault), @r#"
    stage `rogue` (plugin `rogue-python` 1.2.3, [digest]): the plugin raised an exception: AttributeError: 'NoneType' object has no attribute 'strip'
    in its code, innermost first:
      at write_tagline (app.py:20)
      at throw (app.py:16)
      at run (app.py:92)
      at told (stage.py:47)
    last lines of its log:
      info: about to throw
      info: said on standard output
    "#);
}

#[test]
fn a_recursion_of_javascript_is_told_once() {
    let Some(fault) = fault(Language::JavaScript, "recurse") else { return };
    assert_snapshot!(report(&fault), @r#"
    stage `rogue` (plugin `rogue-js` 1.2.3, [digest]): the plugin raised an exception: InternalError: too much recursion
    in its code, innermost first:
      at deeper (src/plugin.js:21), 30 times
    last lines of its log:
      info: about to recurse
      info: said on standard output
    "#);
}

#[test]
fn a_recursion_of_python_is_told_once() {
    let Some(fault) = fault(Language::Python, "recurse") else { return };
    assert_snapshot!(report(&fault), @r#"
    stage `rogue` (plugin `rogue-python` 1.2.3, [digest]): the plugin raised an exception: RecursionError: maximum recursion depth exceeded
    in its code, innermost first:
      at recurse (app.py:35), 3 times
      at run (app.py:92)
      at told (stage.py:47)
    last lines of its log:
      info: about to recurse
      info: said on standard output
    "#);
}

#[test]
fn a_loop_of_javascript_ends_at_its_limit() {
    let Some(fault) = fault(Language::JavaScript, "spin") else { return };
    assert_eq!(fault.kind, FaultKind::Limit(Limit::CpuTime));
    // Its engine is built without names.
    let frames = fault.message.lines().filter(|line| line.starts_with("  at "));
    let (counted, named): (Vec<&str>, Vec<&str>) =
        frames.partition(|line| line.contains(" without "));
    assert_eq!(counted.len(), 1, "{}", fault.message);
    assert!(!named.iter().any(|line| line.contains("at function ")), "{}", fault.message);
    assert_snapshot!(report(&fault), @r#"
    stage `rogue` (plugin `rogue-js` 1.2.3, [digest]): over the limit on computing time: [time], with 500 ms allowed; if the stage needs more, raise `limits.cpu_ms` in the profile
    in its code, innermost first:
    last lines of its log:
      info: about to spin
      info: said on standard output
    "#);
}

#[test]
fn a_loop_of_python_ends_at_its_limit() {
    let Some(fault) = fault(Language::Python, "spin") else { return };
    assert_eq!(fault.kind, FaultKind::Limit(Limit::CpuTime));
    assert_snapshot!(report(&fault), @r#"
    stage `rogue` (plugin `rogue-python` 1.2.3, [digest]): over the limit on computing time: [time], with 500 ms allowed; if the stage needs more, raise `limits.cpu_ms` in the profile
    in its code, innermost first:
    last lines of its log:
      info: about to spin
      info: said on standard output
    "#);
}

#[test]
fn the_heap_of_javascript_ends_at_its_limit() {
    let Some(fault) = fault(Language::JavaScript, "grow") else { return };
    assert_eq!(fault.kind, FaultKind::Limit(Limit::Memory));
    assert_snapshot!(report(&fault), @r#"
    stage `rogue` (plugin `rogue-js` 1.2.3, [digest]): over the limit on memory: 64.1 MiB, with 64.0 MiB allowed; if the stage needs more, raise `limits.memory_mib` in the profile
    in its code, innermost first:
    last lines of its log:
      info: about to grow
      info: said on standard output
    "#);
}

#[test]
fn the_heap_of_python_ends_at_its_limit() {
    let Some(fault) = fault(Language::Python, "grow") else { return };
    assert_eq!(fault.kind, FaultKind::Limit(Limit::Memory));
    assert_snapshot!(report(&fault), @r#"
    stage `rogue` (plugin `rogue-python` 1.2.3, [digest]): over the limit on memory: 64.6 MiB, with 64.0 MiB allowed; if the stage needs more, raise `limits.memory_mib` in the profile
    in its code, innermost first:
    last lines of its log:
      info: about to grow
      info: said on standard output
    "#);
}

#[test]
fn an_output_that_cannot_be_used_is_told_alike_in_every_language() {
    for language in Language::ALL {
        let Some(fault) = fault(language, "unusable") else { continue };
        let report = report(&fault).replace(language.as_str(), "[language]");
        insta::allow_duplicates! {
            assert_snapshot!(report, @r#"
        stage `rogue` (plugin `rogue-[language]` 1.2.3, [digest]): `../up.md` is no name for an artifact: it has a path separator
        last lines of its log:
          info: about to unusable
          info: said on standard output
        "#);
        }
    }
}

#[test]
fn an_output_of_the_wrong_type_is_told_in_the_words_of_javascript() {
    let Some(fault) = fault(Language::JavaScript, "wrong_type") else { return };
    assert_snapshot!(report(&fault), @r#"
    stage `rogue` (plugin `rogue-js` 1.2.3, [digest]): the plugin raised an exception: TypeError: `artifacts` of what `run` returns is string, and has to be an array
    last lines of its log:
      info: about to wrong_type
      info: said on standard output
    "#);
}

#[test]
fn an_output_of_the_wrong_type_is_told_in_the_words_of_python() {
    let Some(fault) = fault(Language::Python, "wrong_type") else { return };
    assert_snapshot!(report(&fault), @r#"
    stage `rogue` (plugin `rogue-python` 1.2.3, [digest]): the plugin raised an exception: TypeError: `artifacts` of what `run` returns is str, and has to be a list
    in its code, innermost first:
      at told (stage.py:49)
    last lines of its log:
      info: about to wrong_type
      info: said on standard output
    "#);
}

#[test]
fn a_return_that_is_missing_is_told_in_the_words_of_javascript() {
    let Some(fault) = fault(Language::JavaScript, "no_return") else { return };
    assert_snapshot!(report(&fault), @r#"
    stage `rogue` (plugin `rogue-js` 1.2.3, [digest]): the plugin raised an exception: TypeError: what `run` returns is undefined, and has to be an object with `artifacts`, `data`, `summary`, `variables`
    last lines of its log:
      info: about to no_return
      info: said on standard output
    "#);
}

#[test]
fn a_return_that_is_missing_is_told_in_the_words_of_python() {
    let Some(fault) = fault(Language::Python, "no_return") else { return };
    assert_snapshot!(report(&fault), @r#"
    stage `rogue` (plugin `rogue-python` 1.2.3, [digest]): the plugin raised an exception: TypeError: what `run` returns is NoneType, and has to be StageOutput
    in its code, innermost first:
      at told (stage.py:49)
    last lines of its log:
      info: about to no_return
      info: said on standard output
    "#);
}

#[test]
fn fetch_without_a_grant_says_how_to_get_one() {
    let Some(fault) = fault(Language::JavaScript, "reach_out") else { return };
    assert_snapshot!(report(&fault), @r#"
    stage `rogue` (plugin `rogue-js` 1.2.3, [digest]): it called `wasi:http/types@0.2.10#[constructor]fields`, and reaches no host: if it needs one, name it in the stage's `grants.http` in the profile and in the operator's `grants.http_hosts`; models are asked through `llm`
    in its code, innermost first:
    last lines of its log:
      info: about to reach_out
      info: said on standard output
    "#);
}

#[test]
fn the_clock_stands_still_and_chance_repeats_itself() {
    for language in Language::ALL {
        if language.is_installed(&format!("the clock of {language:?}")) {
            let data = || done(attempt(language, "hide")).outcome.expect("it does its work").data;
            let first = data();
            assert!(first.as_str().contains("946684800"), "{}", first.as_str());
            assert_eq!(first, data());
        }
    }
}
