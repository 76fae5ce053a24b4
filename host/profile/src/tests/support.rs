//! A host that is made up: a catalog with the five stages of the Foundation workflow, and two providers.
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use domain::http::HttpGrant;
use domain::plan::PluginRef;
use domain::port::{KnownPlugin, PluginCatalog, PluginError, PluginSource};
use domain::stage::{ArtifactSpec, StageInfo};
use domain::upload::{Added, NewPlugin, UploadError, UploadedPlugin};
use domain::{Digest, Json, PlannedStage};
use serde_json::{Value, json};

use crate::{Ask, FallbackPolicy, HostNames, Library, Problems, Resolved};

pub(super) struct FakeCatalog {
    pub(super) plugins: Vec<KnownPlugin>,
}

/// Name, needs, uses, makes and settings of a plugin.
pub(super) fn plugin(
    name: &str,
    needs: &[&str],
    uses: &[&str],
    makes: &[&str],
    properties: &Value,
) -> KnownPlugin {
    let schema =
        json!({ "type": "object", "additionalProperties": false, "properties": properties });
    plugin_with_schema(name, needs, uses, makes, &schema.to_string())
}

pub(super) fn plugin_with_schema(
    name: &str,
    needs: &[&str],
    uses: &[&str],
    makes: &[&str],
    schema: &str,
) -> KnownPlugin {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    KnownPlugin {
        info: StageInfo {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            summary: format!("does {name}"),
            needs: owned(needs),
            uses: owned(uses),
            makes: makes
                .iter()
                .map(|&name| ArtifactSpec {
                    name: name.to_owned(),
                    media_type: "text/markdown".to_owned(),
                    summary: String::new(),
                })
                .collect(),
            settings_schema: Json::from_parsed(schema),
        },
        digest: digest_of(name),
        size_bytes: 1,
        source: PluginSource::Bundled,
        imports: Vec::new(),
        contract_version: "1.0.0".to_owned(),
    }
}

/// No hash: any 64 digits that differ by name.
pub(super) fn digest_of(name: &str) -> Digest {
    let hex: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex:0<64.64}").parse().unwrap()
}

impl FakeCatalog {
    pub(super) fn foundation() -> Self {
        let language = json!({ "type": "string", "maxLength": 60, "default": "" });
        let words = json!({ "type": "integer", "minimum": 300, "maximum": 6000, "default": 1000 });
        let research = json!({
            "depth": { "enum": ["brief", "standard", "deep"], "default": "standard" },
            "competitor_count_max":
                { "type": "integer", "minimum": 1, "maximum": 20, "default": 5 },
            "language": language,
            "word_count_max": { "type": "integer", "minimum": 300, "maximum": 10000 },
        });
        let keywords = json!({
            "keyword_count_max":
                { "type": "integer", "minimum": 3, "maximum": 200, "default": 30 },
            "market": { "type": "string", "maxLength": 200, "default": "" },
            "seed_keywords": { "type": "array", "maxItems": 50, "default": [] },
        });
        let text = json!({ "language": language, "word_count_max": words });
        let all = ["research.md", "brand-voice.md", "positioning.md", "keywords.md"];
        let plugins = vec![
            plugin("research", &[], &[], &["research.md"], &research),
            plugin("brand-voice", &["research.md"], &[], &["brand-voice.md"], &text),
            plugin(
                "positioning",
                &["research.md"],
                &["brand-voice.md"],
                &["positioning.md"],
                &text,
            ),
            plugin(
                "keywords",
                &["research.md", "positioning.md"],
                &["brand-voice.md"],
                &["keywords.md", "keywords.json"],
                &keywords,
            ),
            plugin("foundation-brief", &all, &[], &["foundation-brief.md"], &text),
        ];
        Self { plugins }
    }

    /// All shipped plugins, with what the shipped profiles use of them.
    pub(super) fn shipped() -> Self {
        let marked = |mark: &str| json!({ "type": "array", "default": [], mark: true });
        let named = |stem: &str, default: &str| json!({ "default": default, "x-artifact": stem });
        let prompt = json!({
            "type": "object",
            "properties": {
                "artifact": named("document", ""),
                "needs": marked("x-needs"),
                "uses": marked("x-uses"),
            },
        });
        let developer =
            json!({ "artifact": named("implementation", "implementation"), "discipline": {} });
        let none = json!({});
        let more = [
            plugin_with_schema(
                "prompt",
                &[],
                &[],
                &["document.md", "document.json"],
                &prompt.to_string(),
            ),
            plugin("product-manager", &[], &[], &["product-brief.md", "stories.json"], &none),
            plugin(
                "developer",
                &["stories.json"],
                &["architecture.md"],
                &["implementation.md", "implementation.json"],
                &developer,
            ),
            plugin(
                "tester",
                &["stories.json"],
                &["implementation.md", "frontend.md"],
                &["test-plan.md", "test-plan.json"],
                &none,
            ),
            plugin(
                "reviewer",
                &["product-brief.md", "implementation.md"],
                &["test-plan.md"],
                &["review.md", "review.json"],
                &none,
            ),
        ];
        more.into_iter().fold(Self::foundation(), Self::with)
    }

    pub(super) fn with(mut self, plugin: KnownPlugin) -> Self {
        self.plugins.push(plugin);
        self
    }
}

impl PluginCatalog for FakeCatalog {
    fn list(&self) -> (Vec<KnownPlugin>, Vec<PluginError>) {
        (self.plugins.clone(), Vec::new())
    }

    fn find(&self, reference: &PluginRef, base: Option<&str>) -> Result<KnownPlugin, PluginError> {
        let matches = |plugin: &&KnownPlugin| match reference {
            PluginRef::Name(name) => plugin.info.name == *name,
            PluginRef::Version { name, version } => {
                plugin.info.name == *name && plugin.info.version == *version
            }
            PluginRef::Digest(digest) => plugin.digest == *digest,
            PluginRef::Path(_) => false,
        };
        if let PluginRef::Path(path) = reference {
            let place = Path::new(base.unwrap_or("nowhere")).join(path).display().to_string();
            return Err(PluginError::Io { place, detail: "no such file".to_owned() });
        }
        let known = match reference {
            PluginRef::Digest(_) => Vec::new(),
            PluginRef::Name(_) | PluginRef::Version { .. } | PluginRef::Path(_) => {
                self.plugins.iter().map(|plugin| plugin.info.name.clone()).collect()
            }
        };
        let unknown = || PluginError::Unknown { asked: reference.to_string(), known };
        self.plugins.iter().find(matches).cloned().ok_or_else(unknown)
    }

    fn pin(&self, _digest: &Digest) -> Result<(), PluginError> {
        Ok(())
    }

    fn read(&self, digest: &Digest) -> Result<Vec<u8>, PluginError> {
        Err(PluginError::Unknown { asked: digest.to_string(), known: Vec::new() })
    }

    fn keep(&self, _: &Digest, _: &[u8]) -> Result<(), PluginError> {
        Ok(())
    }

    fn add(
        &self,
        _: &mut (dyn Read + Send),
        _: &NewPlugin,
        _: &(dyn Fn() -> bool + Sync),
    ) -> Result<Added, UploadError> {
        Err(UploadError::CalledOff)
    }

    fn uploaded(&self, reference: &PluginRef) -> Result<UploadedPlugin, UploadError> {
        let asked = reference.to_string();
        Err(PluginError::Unknown { asked, known: Vec::new() }.into())
    }

    fn remove(&self, digest: &Digest) -> Result<(), UploadError> {
        let asked = digest.to_string();
        Err(PluginError::Unknown { asked, known: Vec::new() }.into())
    }
}

pub(super) struct FakeNames;

impl HostNames for FakeNames {
    fn route(
        &self,
        provider: Option<&str>,
        model: Option<&str>,
    ) -> Result<(String, String), String> {
        let provider = provider.unwrap_or("scripted");
        if !["scripted", "kimi"].contains(&provider) {
            return Err(format!("no provider `{provider}`: there are `scripted`, `kimi`"));
        }
        let model = model.map_or_else(|| format!("{provider}-default"), str::to_owned);
        Ok((provider.to_owned(), model))
    }

    fn groups(&self) -> Vec<&str> {
        vec!["editors", "owners"]
    }

    fn webhooks(&self) -> Vec<&str> {
        vec!["desk"]
    }

    fn http_hosts(&self) -> &[HttpGrant] {
        static ALLOWED: LazyLock<Vec<HttpGrant>> = LazyLock::new(|| {
            ["*.example.com", "10.0.0.1:80"].map(|host| host.parse().unwrap()).into()
        });
        &ALLOWED
    }

    fn closed_address(&self, host: &HttpGrant) -> Option<&'static str> {
        host.address().map(|_| "private")
    }
}

pub(super) const NO_OVERRIDES: Ask<'static> =
    Ask { mode: "tried", skill_overrides: None, stage_overrides: None };

/// A folder with one profile, `tried.yaml`.
pub(super) struct Tried {
    folder: tempfile::TempDir,
    pub(super) catalog: FakeCatalog,
}

impl Tried {
    pub(super) fn new(yaml: impl AsRef<[u8]>) -> Self {
        let tried =
            Self { folder: tempfile::tempdir().unwrap(), catalog: FakeCatalog::foundation() };
        tried.add("tried.yaml", yaml);
        tried
    }

    pub(super) fn with(mut self, plugin: KnownPlugin) -> Self {
        self.catalog = self.catalog.with(plugin);
        self
    }

    pub(super) fn add(&self, file_name: &str, yaml: impl AsRef<[u8]>) {
        std::fs::write(self.folder.path().join(file_name), yaml).unwrap();
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub(super) fn library(&self) -> Library {
        Library::load(&[self.path()])
    }

    pub(super) fn check(&self) -> Result<Resolved, Problems> {
        Library::check_file(&self.folder.path().join("tried.yaml"), &self.catalog, &FakeNames)
    }

    pub(super) fn resolve(&self, ask: &Ask<'_>) -> Result<Resolved, Problems> {
        self.library().resolve(ask, &self.catalog, &FakeNames, &FallbackPolicy::Off)
    }

    pub(super) fn with_stage_overrides(&self, overrides: &Value) -> Result<Resolved, Problems> {
        self.resolve(&Ask { stage_overrides: Some(overrides), ..NO_OVERRIDES })
    }

    /// The problems as a person reads them, without the folder.
    pub(super) fn render(&self, resolved: &Result<Resolved, Problems>) -> String {
        let folder = format!("{}/", self.folder.path().display());
        match resolved {
            Ok(_) => "it has a plan".to_owned(),
            Err(problems) => render(problems).replace(&folder, ""),
        }
    }

    /// What is wrong with the file.
    pub(super) fn problems(&self) -> String {
        self.render(&self.check())
    }
}

pub(super) fn render(problems: &Problems) -> String {
    let lines = problems.items().iter().map(|problem| match &problem.hint {
        Some(hint) => format!("{problem}\n    hint: {hint}"),
        None => problem.to_string(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What is wrong with a profile of this text.
pub(super) fn problems_of(yaml: &str) -> String {
    Tried::new(yaml).problems()
}

/// A profile with these stages.
pub(super) fn profile(stages: &str) -> String {
    format!("profile: tried\nversion: \"1\"\nstages:\n{stages}")
}

/// One line per stage of the plan.
pub(super) fn lines(resolved: &Result<Resolved, Problems>) -> String {
    match resolved {
        Ok(resolved) => resolved.plan.stages.iter().map(line).collect::<Vec<_>>().join("\n"),
        Err(problems) => render(problems),
    }
}

fn line(stage: &PlannedStage) -> String {
    let gate = match &stage.gate {
        None => "-",
        Some(gate) => gate.question.as_deref().unwrap_or("required"),
    };
    let skills: Vec<&str> = stage.skills.iter().map(|skill| skill.name.as_str()).collect();
    format!(
        "{} | {}@{} | {} | {} | gate: {gate} | {}/{}",
        stage.key,
        stage.plugin.name,
        stage.plugin.version,
        stage.settings.as_str(),
        skills.join(","),
        stage.model.provider,
        stage.model.model,
    )
}
