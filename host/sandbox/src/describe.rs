//! What a plugin says about itself: asked once per digest, checked, and kept on disk, so that a start with a warm cache
//! runs no plugin to know its name.
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::plan::PinnedPlugin;
use domain::stage::{ArtifactSpec, StageInfo};
use domain::{ArtifactName, Digest, FaultKind, Json, Limits, StageKey};
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::bindings::stagewright::stage::types as wit;
use crate::component::LoadedComponent;
use crate::fault::Culprit;
use crate::files;
use crate::finding::{Finding, FindingKind};
use crate::guest::{Reached, Seed};
use crate::machine::{Machine, Slots, Visit};
use crate::output::parse_json;
use crate::text::clean_line;

/// What `describe` may use up. It gives back constants; the time is for runtimes of other languages to start.
pub(crate) const DESCRIBE_LIMITS: Limits = Limits {
    memory_bytes_max: 256 << 20,
    cpu_time_max: Duration::from_secs(2),
    wall_time_max: Duration::from_secs(30),
    call_bytes_max: 1 << 20,
    log_bytes_max: 16 << 10,
    artifact_count_max: 0,
    artifact_bytes_max: 0,
    model_call_count_max: 0,
    http_request_count_max: 0,
    ..Limits::DEFAULT
};

/// Longest summary of a plugin or an artifact, in bytes; the contract says so for plugins.
const SUMMARY_BYTES_MAX: usize = 200;

/// Most artifacts that a plugin may need, use, or make.
const NAME_COUNT_MAX: usize = 64;

/// Longest version, in bytes. A semantic version can carry text of any length.
const VERSION_BYTES_MAX: usize = 64;

/// Longest media type, in bytes; RFC 6838 has 127 for each half.
const MEDIA_TYPE_BYTES_MAX: usize = 255;

/// Longest settings schema, in bytes.
const SCHEMA_BYTES_MAX: usize = 256 << 10;

/// Names the checks that a kept record has passed. Another host asks the plugin again.
const CHECKED_BY: &str = concat!(env!("CARGO_PKG_VERSION"), " wasmtime 48, checks 1");

/// What is known about the bytes with one digest, wherever they lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) info: StageInfo,
    pub(crate) size_bytes: u64,
    pub(crate) imports: Vec<String>,
    pub(crate) contract_version: String,
}

/// Why nothing is known about some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Everything that is wrong with them. The same bytes are as wrong the next time.
    Plugin(Vec<Finding>),
    /// The machine could not ask.
    Machine(Finding),
}

/// [`Facts`] as they are kept on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    checked_by: String,
    size_bytes: u64,
    imports: Vec<String>,
    contract_version: String,
    name: String,
    version: String,
    summary: String,
    needs: Vec<String>,
    uses: Vec<String>,
    makes: Vec<RecordedArtifact>,
    settings_schema: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordedArtifact {
    name: String,
    media_type: String,
    summary: String,
}

fn record_path(cache_dir: &Path, digest: &Digest) -> PathBuf {
    cache_dir.join("described").join(format!("{}.json", digest.hex()))
}

/// What an earlier start found out. Anything odd about the record means that there is none.
pub(crate) fn read_record(cache_dir: &Path, digest: &Digest) -> Option<Facts> {
    let text = fs::read_to_string(record_path(cache_dir, digest)).ok()?;
    let record: Record = serde_json::from_str(&text).ok()?;
    if record.checked_by != CHECKED_BY {
        return None;
    }
    let makes = record.makes.into_iter().map(|artifact| wit::ArtifactSpec {
        name: artifact.name,
        media_type: artifact.media_type,
        summary: artifact.summary,
    });
    let info = check_info(wit::StageInfo {
        name: record.name,
        version: record.version,
        summary: record.summary,
        needs: record.needs,
        uses: record.uses,
        makes: makes.collect(),
        settings_schema: record.settings_schema,
    });
    Some(Facts {
        info: info.ok()?,
        size_bytes: record.size_bytes,
        imports: record.imports,
        contract_version: record.contract_version,
    })
}

/// Keeps what was found out. A cache that cannot be written costs time at the next start and nothing else.
pub(crate) fn write_record(cache_dir: &Path, digest: &Digest, facts: &Facts) {
    let Facts { info, size_bytes, imports, contract_version } = facts.clone();
    let makes = info.makes.into_iter().map(|artifact| RecordedArtifact {
        name: artifact.name,
        media_type: artifact.media_type,
        summary: artifact.summary,
    });
    let record = Record {
        checked_by: CHECKED_BY.to_owned(),
        size_bytes,
        imports,
        contract_version,
        name: info.name,
        version: info.version,
        summary: info.summary,
        needs: info.needs,
        uses: info.uses,
        makes: makes.collect(),
        settings_schema: info.settings_schema.as_str().to_owned(),
    };
    let path = record_path(cache_dir, digest);
    let written = serde_json::to_vec(&record)
        .map_err(std::io::Error::from)
        .and_then(|bytes| files::write_private_file(&path, &bytes));
    if let Err(error) = written {
        let path = path.display();
        tracing::debug!(%path, %error, "`{path}` could not be written");
    }
}

/// Asks a component who it is. Blocks until it answers, also on a thread that drives a runtime: the guest gets a thread
/// of its own.
///
/// # Errors
/// Everything that is wrong with its answer, each with what to do.
fn ask(
    machine: &Machine,
    digest: &Digest,
    component: &LoadedComponent,
) -> Result<StageInfo, Unfit> {
    let machine_failed = |reason: String| Unfit::Machine(not_asked(&reason));
    let answer = std::thread::scope(|scope| {
        let asking =
            std::thread::Builder::new().name("describe".to_owned()).spawn_scoped(scope, || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
                runtime
                    .map_err(|error| machine_failed(error.to_string()))
                    .and_then(|runtime| runtime.block_on(call(machine, digest, component)))
            });
        match asking {
            Ok(asking) => asking
                .join()
                .unwrap_or_else(|_| Err(machine_failed("the host panicked".to_owned()))),
            Err(error) => Err(machine_failed(error.to_string())),
        }
    });
    check_info(answer?).map_err(Unfit::Plugin)
}

fn no_answer(reason: &str) -> Finding {
    let what = format!("`describe` gave no answer: {reason}");
    let cure = "have it give back constants, and call nothing";
    Finding::new(FindingKind::NoDescription, what, cure)
}

/// The plugin may be as it should: it was not asked.
fn not_asked(reason: &str) -> Finding {
    let what = format!("`describe` gave no answer: {reason}");
    Finding::new(FindingKind::Machine, what, "try again when the machine has room")
}

async fn call(
    machine: &Machine,
    digest: &Digest,
    component: &LoadedComponent,
) -> Result<wit::StageInfo, Unfit> {
    // Who it is is the question; until it is answered the digest has to do.
    let plugin =
        PinnedPlugin { name: String::new(), version: String::new(), digest: digest.clone() };
    let culprit = Culprit { stage: None, plugin };
    let visit = Visit {
        culprit: &culprit,
        limits: &DESCRIBE_LIMITS,
        seed: Seed::of_plugin(digest),
        reached: Reached::nobody("describe"),
        slots: Slots::Previews,
    };
    let visited = machine
        .visit(component, visit, |store, plugin| {
            Box::pin(plugin.stagewright_stage_plugin().call_describe(store))
        })
        .await;
    visited.outcome.map_err(|fault| match fault.kind {
        FaultKind::Host => Unfit::Machine(not_asked(&fault.message)),
        _ => Unfit::Plugin(vec![no_answer(&fault.message)]),
    })
}

/// Checks what a plugin says about itself against the bounds that the contract states.
fn check_info(info: wit::StageInfo) -> Result<StageInfo, Vec<Finding>> {
    let mut wrong = Wrong::default();
    let wit::StageInfo { name, version, summary, needs, uses, makes, settings_schema } = info;
    if let Err(reason) = name.parse::<StageKey>() {
        let shown = clean_line(&name, 80);
        wrong.add(format!("its name `{shown}` is none: {reason}"), "write e.g. `brand-voice`");
    }
    if version.len() > VERSION_BYTES_MAX || Version::parse(&version).is_err() {
        let shown = clean_line(&version, VERSION_BYTES_MAX);
        wrong.add(format!("its version `{shown}` is no semantic version"), "write e.g. `1.0.0`");
    }
    wrong.check_summary(&summary, "its summary");
    wrong.check_names("`needs`", needs.iter());
    wrong.check_names("`uses`", uses.iter());
    wrong.check_names("`makes`", makes.iter().map(|spec| &spec.name));
    for spec in &makes {
        let shown = clean_line(&spec.name, 80);
        wrong.check_summary(&spec.summary, &format!("the summary of `{shown}`"));
        if !is_media_type(&spec.media_type) {
            wrong.add(format!("the media type of `{shown}` is none"), "write e.g. `text/markdown`");
        }
    }
    if let Err(reason) = check_schema(&settings_schema) {
        wrong.add(format!("its settings schema {reason}"), "give a JSON Schema of an object");
    }
    if !wrong.findings.is_empty() {
        return Err(wrong.findings);
    }
    let makes = makes.into_iter().map(|spec| ArtifactSpec {
        name: spec.name,
        media_type: spec.media_type,
        summary: spec.summary,
    });
    Ok(StageInfo {
        name,
        version,
        summary,
        needs,
        uses,
        makes: makes.collect(),
        settings_schema: Json::from_parsed(settings_schema),
    })
}

/// What is wrong with what a plugin says about itself.
#[derive(Default)]
struct Wrong {
    findings: Vec<Finding>,
}

impl Wrong {
    fn add(&mut self, what: String, cure: &str) {
        self.findings.push(Finding::new(FindingKind::DescriptionWrong, what, cure));
    }

    fn check_summary(&mut self, summary: &str, what: &str) {
        let is_line = clean_line(summary, SUMMARY_BYTES_MAX) == summary;
        if !is_line {
            let bound = format!("one line of at most {SUMMARY_BYTES_MAX} bytes");
            self.add(format!("{what} is not {bound} without control characters"), "shorten it");
        }
    }

    /// Names of artifacts have to be file names. Two that differ only in case are one file on some systems.
    fn check_names<'a>(&mut self, what: &str, names: impl ExactSizeIterator<Item = &'a String>) {
        if names.len() > NAME_COUNT_MAX {
            let count = names.len();
            self.add(
                format!("{what} has {count} names, not at most {NAME_COUNT_MAX}"),
                "name less",
            );
            return;
        }
        let mut seen: Vec<String> = Vec::new();
        for name in names {
            let shown = clean_line(name, 80);
            if let Err(reason) = name.parse::<ArtifactName>() {
                let what = format!("`{shown}` in {what} is no name for an artifact: {reason}");
                self.add(what, "write e.g. `brand-voice.md`");
            }
            let folded = name.to_lowercase();
            if seen.contains(&folded) {
                self.add(format!("`{shown}` stands in {what} twice"), "name it once");
            }
            seen.push(folded);
        }
    }
}

fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    text.len() <= MEDIA_TYPE_BYTES_MAX
        && text.split_once('/').is_some_and(|(kind, subkind)| is_token(kind) && is_token(subkind))
}

fn check_schema(schema: &str) -> Result<(), String> {
    if schema.len() > SCHEMA_BYTES_MAX {
        return Err(format!("has over {} KiB", SCHEMA_BYTES_MAX >> 10));
    }
    parse_json(schema).map_err(|reason| format!("is not JSON ({reason})"))?;
    let is_object = schema.trim_start().starts_with('{');
    if is_object { Ok(()) } else { Err("is not an object".to_owned()) }
}

/// Loads a component and asks it who it is.
///
/// # Errors
/// Everything that is wrong with it, each with what to do.
pub(crate) fn examine(machine: &Machine, digest: &Digest, bytes: &[u8]) -> Result<Facts, Unfit> {
    let component = machine.load(digest, bytes).map_err(Unfit::Plugin)?;
    let info = ask(machine, digest, &component)?;
    Ok(Facts {
        info,
        size_bytes: bytes.len() as u64,
        imports: component.imports.clone(),
        contract_version: component.contract_version.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::in_words;

    fn info() -> wit::StageInfo {
        wit::StageInfo {
            name: "brand-voice".to_owned(),
            version: "1.0.0".to_owned(),
            summary: "Finds the voice.".to_owned(),
            needs: vec!["research.md".to_owned()],
            uses: Vec::new(),
            makes: vec![wit::ArtifactSpec {
                name: "brand-voice.md".to_owned(),
                media_type: "text/markdown".to_owned(),
                summary: "The voice.".to_owned(),
            }],
            settings_schema: "{}".to_owned(),
        }
    }

    #[test]
    fn everything_that_is_wrong_is_found_at_once() {
        assert!(check_info(info()).is_ok());
        let mut wrong = info();
        wrong.name = "Brand Voice".to_owned();
        wrong.version = "1".to_owned();
        wrong.summary = "two\nlines".to_owned();
        wrong.needs.push("../up.md".to_owned());
        wrong.makes[0].media_type = "markdown".to_owned();
        wrong.settings_schema = "[]".to_owned();
        let findings = check_info(wrong).unwrap_err();
        assert_eq!(findings.len(), 6, "{findings:#?}");
    }

    #[test]
    fn names_that_some_file_systems_take_for_one_are_refused() {
        let mut wrong = info();
        wrong.makes.push(wit::ArtifactSpec {
            name: "Brand-Voice.md".to_owned(),
            ..wrong.makes[0].clone()
        });
        assert_eq!(
            in_words(&check_info(wrong).unwrap_err()),
            ["`Brand-Voice.md` stands in `makes` twice: name it once"]
        );
    }

    #[test]
    fn a_record_comes_back_and_a_damaged_one_does_not() {
        let cache = tempfile::tempdir().unwrap();
        let digest: Digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        let facts = Facts {
            info: check_info(info()).unwrap(),
            size_bytes: 7,
            imports: vec!["wasi:io/streams@0.2.6".to_owned()],
            contract_version: "1.0.0".to_owned(),
        };
        assert_eq!(read_record(cache.path(), &digest), None);
        write_record(cache.path(), &digest, &facts);
        assert_eq!(read_record(cache.path(), &digest), Some(facts));
        let path = record_path(cache.path(), &digest);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("1.0.0", "one")).unwrap();
        assert_eq!(read_record(cache.path(), &digest), None);
        fs::write(&path, "{").unwrap();
        assert_eq!(read_record(cache.path(), &digest), None);
    }
}
