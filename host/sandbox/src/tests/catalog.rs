//! Finding plugins by name, version, digest and path, and keeping those that runs need.
use std::fs;
use std::time::{Duration, Instant};

use domain::port::PluginSource;

use super::*;

struct TestCatalog {
    folder: tempfile::TempDir,
    config: Config,
}

impl TestCatalog {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        fs::create_dir_all(&config.plugin_dir).unwrap();
        Self { folder, config }
    }

    fn open(&self) -> Sandbox {
        Sandbox::open(self.config.clone()).unwrap()
    }

    /// Puts a plugin that is named like the shipped one into the plugin folder.
    fn put(&self, file: &str, version: &str) -> PathBuf {
        let path = self.config.plugin_dir.join(file);
        fs::write(&path, made::plugin("rogue-stage", version)).unwrap();
        path
    }
}

fn named(name: &str) -> PluginRef {
    name.parse().unwrap()
}

fn found(sandbox: &Sandbox, reference: &PluginRef) -> (String, PluginSource) {
    let plugin = sandbox.find(reference, None).unwrap();
    (plugin.info.version, plugin.source)
}

#[test]
fn the_newest_version_wins_and_a_file_beats_what_is_shipped() {
    let catalog = TestCatalog::new();
    let sandbox = catalog.open();
    assert_eq!(found(&sandbox, &named("rogue-stage")).1, PluginSource::Bundled);

    let same = catalog.put("same.wasm", "1.0.0");
    let source = |path: &Path| PluginSource::File(path.display().to_string());
    assert_eq!(found(&sandbox, &named("rogue-stage")).1, source(&same));

    let old = catalog.put("old.wasm", "0.9.9");
    let new = catalog.put("new.wasm", "1.0.9");
    assert_eq!(found(&sandbox, &named("rogue-stage")), ("1.0.9".to_owned(), source(&new)));
    assert_eq!(found(&sandbox, &named("rogue-stage@0.9.9")), ("0.9.9".to_owned(), source(&old)));
    let versions: Vec<String> =
        sandbox.list().0.into_iter().map(|plugin| plugin.info.version).collect();
    assert_eq!(versions, ["0.9.9", "1.0.0", "1.0.0", "1.0.9"]);
}

#[test]
fn a_plugin_says_what_it_is() {
    let plugin = sandbox().find(&named("rogue-stage"), None).unwrap();
    assert_eq!(plugin.contract_version, "1.0.0");
    assert_eq!(plugin.size_bytes, rogue()[0].1.len() as u64);
    assert_eq!(plugin.info.makes[0].name, "rogue.md");
    assert!(plugin.imports.iter().any(|import| import.starts_with("stagewright:stage/llm@1.")));
    assert!(plugin.imports.iter().any(|import| import.starts_with("wasi:io/streams@0.2.")));
}

#[test]
fn what_is_not_there_is_answered_with_what_is() {
    let unknown = sandbox().find(&named("reserch"), None).unwrap_err();
    let known = vec!["rogue-stage".to_owned()];
    assert_eq!(unknown, PluginError::Unknown { asked: "reserch".to_owned(), known });
    let unknown = sandbox().find(&named("rogue-stage@7.0.0"), None).unwrap_err();
    let known = vec!["rogue-stage@1.0.0".to_owned()];
    assert_eq!(unknown, PluginError::Unknown { asked: "rogue-stage@7.0.0".to_owned(), known });
}

#[test]
fn a_broken_file_is_listed_with_the_reason_and_hides_nothing() {
    let catalog = TestCatalog::new();
    fs::write(catalog.config.plugin_dir.join("broken.wasm"), b"\0asm\x01\0\0\0").unwrap();
    fs::write(catalog.config.plugin_dir.join("notes.txt"), "not a plugin").unwrap();
    let sandbox = catalog.open();
    let (plugins, errors) = sandbox.list();
    assert_eq!(plugins.len(), 1);
    assert_eq!(errors.len(), 1);
    assert_says(&errors[0].to_string(), &["broken.wasm", "it is a core module"]);
    assert_eq!(sandbox.find(&named("broken"), None).unwrap_err(), errors[0]);
}

#[test]
fn a_path_starts_at_the_base() {
    let catalog = TestCatalog::new();
    catalog.put("mine.wasm", "1.2.3");
    let sandbox = catalog.open();
    let base = catalog.folder.path().display().to_string();
    let plugin = sandbox.find(&named("./plugins/mine.wasm"), Some(&base)).unwrap();
    assert_eq!(plugin.info.version, "1.2.3");
    let missing = sandbox.find(&named("./plugins/none.wasm"), Some(&base)).unwrap_err();
    assert!(matches!(missing, PluginError::Io { .. }), "{missing:?}");
}

#[tokio::test]
async fn a_pinned_plugin_runs_after_it_was_replaced_and_the_host_was_started_again() {
    let catalog = TestCatalog::new();
    let path = catalog.put("mine.wasm", "1.0.9");
    let plugin = {
        let sandbox = catalog.open();
        let plugin = sandbox.find(&named("rogue-stage"), None).unwrap();
        sandbox.pin(&plugin.digest).unwrap();
        plugin
    };
    catalog.put("mine.wasm", "2.0.0");
    let sandbox = catalog.open();
    let mut job = job(&verb("fine"));
    job.plugin = plugin.pin();
    // It runs, and traps as it was made to.
    let fault =
        sandbox.run(job, Ports::models(Arc::new(TestModel::default()))).await.outcome.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Trap, "{}", fault.message);
    let again = sandbox.bound(&plugin.digest).unwrap();
    assert_eq!(again.info, plugin.info);
    assert_eq!(found(&sandbox, &named("rogue-stage")).0, "2.0.0");
    fs::remove_file(path).unwrap();
    assert_eq!(found(&sandbox, &named("rogue-stage")).0, "1.0.0");
}

#[test]
fn a_shipped_plugin_is_pinned_too_and_only_the_host_may_read_the_copy() {
    let catalog = TestCatalog::new();
    let sandbox = catalog.open();
    let digest = sandbox.find(&named("rogue-stage"), None).unwrap().digest;
    sandbox.pin(&digest).unwrap();
    sandbox.pin(&digest).unwrap();
    let path = catalog.config.pinned_dir.join(format!("{}.wasm", digest.hex()));
    assert_eq!(fs::read(&path).unwrap(), rogue()[0].1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&catalog.config.pinned_dir), 0o700);
        assert_eq!(mode(&cache_dir().join("compiled")), 0o700);
    }
}

#[tokio::test]
async fn a_damaged_copy_is_not_run() {
    let mut catalog = TestCatalog::new();
    let digest = {
        let sandbox = catalog.open();
        let digest = sandbox.find(&named("rogue-stage"), None).unwrap().digest;
        sandbox.pin(&digest).unwrap();
        digest
    };
    let path = catalog.config.pinned_dir.join(format!("{}.wasm", digest.hex()));
    fs::write(&path, made::plugin("rogue-stage", "6.6.6")).unwrap();
    catalog.config.bundled = &[];
    let sandbox = catalog.open();
    assert!(matches!(sandbox.pin(&digest).unwrap_err(), PluginError::Unknown { .. }));
    let fault = sandbox
        .run(job(&verb("fine")), Ports::models(Arc::new(TestModel::default())))
        .await
        .outcome;
    let fault = fault.unwrap_err();
    assert_eq!(fault.kind, FaultKind::PluginNotLoadable);
    let said = ["somebody has changed the file", digest.as_str(), "add that plugin again"];
    assert_says(&fault.message, &said);
}

#[test]
fn a_warm_cache_compiles_nothing_and_asks_nobody() {
    let catalog = TestCatalog::new();
    catalog.open().list();
    let sandbox = catalog.open();
    let (plugins, errors) = sandbox.list();
    assert_eq!((plugins.len(), errors.len()), (1, 0));
    assert!(sandbox.machine.loaded.get(&plugins[0].digest).is_none());
}

#[tokio::test]
async fn a_plugin_is_loaded_ahead_and_what_cannot_be_is_told_by_its_call() {
    let catalog = TestCatalog::new();
    let digest = catalog.open().find(&named("rogue-stage"), None).unwrap().digest;
    let sandbox = catalog.open();
    let unknown = crate::catalog::digest_of(b"nobody");
    sandbox.prepare(vec![unknown.clone(), digest.clone()]).await;
    assert!(sandbox.machine.loaded.get(&digest).is_some_and(|outcome| outcome.is_ok()));
    assert!(sandbox.machine.loaded.get(&unknown).is_none());
    // What failed may be tried again, and what is there is not asked for again.
    assert_eq!(sandbox.machine.loaded.expect(vec![digest, unknown.clone()]), [unknown]);
}

#[test]
fn a_cache_that_cannot_be_used_is_done_without() {
    let mut catalog = TestCatalog::new();
    let file = catalog.folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    catalog.config.cache_dir = file;
    catalog.config.bundled = &[];
    let sandbox = catalog.open();
    assert_says(&sandbox.inspect(b"x", "x.wasm").unwrap_err().to_string(), &["x.wasm"]);
}

/// Overwrites every file below a folder, and says how many there were.
fn damage(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            if path.is_dir() {
                return damage(&path);
            }
            fs::write(path, "damaged").unwrap();
            1
        })
        .sum()
}

#[test]
fn a_damaged_cache_is_made_anew_without_a_word() {
    let mut catalog = TestCatalog::new();
    catalog.config.cache_dir = catalog.folder.path().join("cache");
    catalog.config.bundled = &[];
    catalog.put("mine.wasm", "1.0.0");
    let before = catalog.open().list();
    assert_eq!(before.0.len(), 1, "{:?}", before.1);
    assert!(damage(&catalog.config.cache_dir) >= 2);
    assert_eq!(catalog.open().list(), before);
}

#[test]
fn a_plugin_that_does_not_fit_is_asked_once() {
    let mut catalog = TestCatalog::new();
    catalog.config.bundled = &[];
    let path = catalog.config.plugin_dir.join("broken.wasm");
    let bytes = made::plugin_that("unreachable");
    fs::write(&path, &bytes).unwrap();
    let sandbox = catalog.open();
    let before = sandbox.list().1;
    assert_says(&before[0].to_string(), &["broken.wasm", "`describe` gave no answer"]);
    // Other bytes under the same date: whoever asked again would have to read them, and find another plugin.
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, vec![0; bytes.len()]).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert_eq!(sandbox.list().1, before);
}

#[test]
fn only_the_plugins_that_could_win_are_asked() {
    let mut catalog = TestCatalog::new();
    catalog.config.cache_dir = catalog.folder.path().join("cache");
    catalog.config.bundled = &[];
    let digest = |path: &Path| crate::catalog::digest_of(&fs::read(path).unwrap());
    let weaker = digest(&catalog.put("a.wasm", "1.0.0"));
    let stronger = digest(&catalog.put("b.wasm", "2.0.0"));
    let sandbox = catalog.open();
    assert_eq!(found(&sandbox, &named("rogue-stage@2.0.0")).0, "2.0.0");
    assert!(sandbox.machine.loaded.get(&stronger).is_some());
    assert!(sandbox.machine.loaded.get(&weaker).is_none());
    let sandbox = catalog.open();
    assert_eq!(found(&sandbox, &PluginRef::Digest(weaker.clone())).0, "1.0.0");
    assert!(sandbox.machine.loaded.get(&weaker).is_some());
    assert!(sandbox.machine.loaded.get(&stronger).is_none());
}

#[test]
fn a_cache_that_others_may_enter_is_closed_and_says_whether_it_is_warm() {
    let mut catalog = TestCatalog::new();
    catalog.config.cache_dir = catalog.folder.path().join("cache");
    catalog.config.bundled = &[];
    let compiled = catalog.config.cache_dir.join("compiled");
    fs::create_dir_all(&compiled).unwrap();
    #[cfg(unix)]
    let mode = |path: &Path, mode: Option<u32>| {
        use std::os::unix::fs::PermissionsExt;
        if let Some(mode) = mode {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    #[cfg(unix)]
    for folder in [&catalog.config.cache_dir, &compiled] {
        mode(folder, Some(0o777));
    }
    let sandbox = catalog.open();
    #[cfg(unix)]
    for folder in [&catalog.config.cache_dir, &compiled] {
        assert_eq!(mode(folder, None), 0o700, "{}", folder.display());
    }
    assert!(!catalog.config.has_compiled_code());
    catalog.put("mine.wasm", "1.0.0");
    assert_eq!(sandbox.list().0.len(), 1);
    assert!(catalog.config.has_compiled_code());
}

#[test]
fn a_sandbox_that_cannot_exist_is_refused_with_a_hint() {
    let mut catalog = TestCatalog::new();
    catalog.config.instance_count_max = 0;
    let Err(error) = Sandbox::open(catalog.config.clone()) else { panic!("it opened") };
    assert_says(error.hint(), &["from 1 to 10000"]);
}

#[test]
fn many_instances_cost_address_space_and_no_time() {
    let mut catalog = TestCatalog::new();
    catalog.config.instance_count_max = 1000;
    let start = Instant::now();
    drop(catalog.open());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
