//! Plugins that are uploaded: kept once they are checked, found, damaged, and removed.
use std::fs;

use domain::port::PluginSource;
use domain::upload::Namesake;
use domain::{Digest, Timestamp};

use super::*;
use crate::catalog::digest_of;

pub(super) struct Host {
    pub(super) folder: tempfile::TempDir,
    pub(super) sandbox: Sandbox,
}

impl Host {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Self::open(folder.path());
        Self { folder, sandbox }
    }

    /// Without anything that is shipped.
    fn open(folder: &Path) -> Sandbox {
        Sandbox::open(Config { bundled: &[], ..config(folder) }).unwrap()
    }

    pub(super) fn started_again(self) -> Self {
        let Self { folder, sandbox } = self;
        drop(sandbox);
        Self { sandbox: Self::open(folder.path()), folder }
    }

    fn add_at(&self, bytes: &[u8], at_ms: i64, namesake: Namesake) -> Result<Added, UploadError> {
        let at = Timestamp::from_unix_ms(at_ms);
        let asked = NewPlugin { at, by: Some("anna".to_owned()), namesake };
        self.sandbox.add(&mut &*bytes, &asked, &|| false)
    }

    pub(super) fn add(&self, bytes: &[u8]) -> Result<Added, UploadError> {
        self.add_at(bytes, 1, Namesake::Stays)
    }

    pub(super) fn file(&self, digest: &Digest) -> PathBuf {
        self.folder.path().join("plugins/uploaded").join(format!("{}.wasm", digest.hex()))
    }

    pub(super) fn found(&self, name: &str) -> Result<KnownPlugin, PluginError> {
        self.sandbox.find(&name.parse().unwrap(), None)
    }

    /// What lies in the folder of uploads.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join("plugins/uploaded")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

pub(super) fn mine(version: &str) -> Vec<u8> {
    made::plain_plugin("mine", version)
}

/// The same component with other bytes, as a build at another time makes.
pub(super) fn rebuilt(mut bytes: Vec<u8>, note: &str) -> Vec<u8> {
    let size = u8::try_from(note.len() + 2).unwrap();
    // A custom section with the name `n`.
    bytes.extend_from_slice(&[0, size, 1, b'n']);
    bytes.extend_from_slice(note.as_bytes());
    bytes
}

#[test]
fn an_upload_is_found_also_after_a_start_and_says_how_it_came() {
    let host = Host::new();
    let bytes = mine("1.0.0");
    let added = host.add(&bytes).unwrap();
    assert!(matches!(added, Added::New(_)), "{added:?}");
    let host = host.started_again();
    let digest = digest_of(&bytes);
    for name in ["mine", "mine@1.0.0", digest.as_str()] {
        let found = host.found(name).unwrap();
        assert_eq!(&found, added.plugin());
        let PluginSource::Uploaded(upload) = found.source else { panic!("{:?}", found.source) };
        assert_eq!((upload.at.as_unix_ms(), upload.by.as_deref()), (1, Some("anna")));
        assert_eq!(upload.path, host.file(&digest).display().to_string());
    }
    assert_eq!(fs::read(host.file(&digest)).unwrap(), bytes);
    assert_eq!(host.sandbox.list().0.len(), 1);
}

#[test]
fn the_same_bytes_are_kept_once() {
    let host = Host::new();
    host.add(&mine("1.0.0")).unwrap();
    let again = host.add_at(&mine("1.0.0"), 2, Namesake::StepsBack).unwrap();
    let Added::Known(plugin) = again else { panic!("{again:?}") };
    let PluginSource::Uploaded(upload) = plugin.source else { panic!() };
    assert_eq!(upload.at.as_unix_ms(), 1);
    assert_eq!(host.names().len(), 2);
}

#[test]
fn what_cannot_be_a_plugin_is_refused_with_its_findings_and_leaves_nothing() {
    let host = Host::new();
    let cases: [(Vec<u8>, &str); 3] = [
        (b"\0asm\x01\0\0\0".to_vec(), "it is a core module"),
        (b"not a component at all".to_vec(), "it is not WebAssembly"),
        (made::plugin_out_of_bounds(), "`describe` gave no answer"),
    ];
    for (bytes, finding) in cases {
        let refused = host.add(&bytes).unwrap_err();
        assert_says(&refused.to_string(), &["the component", finding]);
        assert_eq!(host.names(), Vec::<String>::new());
    }
    assert_eq!(host.sandbox.list(), (Vec::new(), Vec::new()));
}

#[test]
fn another_plugin_under_a_known_version_is_refused_unless_it_is_to_take_its_place() {
    let host = Host::new();
    let (first, second) = (mine("1.0.0"), rebuilt(mine("1.0.0"), "second"));
    host.add(&first).unwrap();
    let refused = host.add(&second).unwrap_err();
    let UploadError::VersionTaken { digest, may_step_back: true, .. } = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!(*digest, digest_of(&first));
    assert_says(&refused.to_string(), &["`mine@1.0.0` is another plugin here", "it was uploaded"]);
    assert_eq!(host.found("mine@1.0.0").unwrap().digest, digest_of(&first));

    host.add_at(&second, 2, Namesake::StepsBack).unwrap();
    for name in ["mine", "mine@1.0.0"] {
        assert_eq!(host.found(name).unwrap().digest, digest_of(&second), "{name}");
    }
    // The earlier one is what its digest says, and comes back when the later one goes.
    assert!(host.found(digest_of(&first).as_str()).is_ok());
    host.sandbox.remove(&digest_of(&second)).unwrap();
    assert_eq!(host.found("mine").unwrap().digest, digest_of(&first));
}

#[test]
fn an_earlier_upload_takes_its_name_back_when_it_is_asked_for() {
    let host = Host::new();
    let (first, second) = (mine("1.0.0"), rebuilt(mine("1.0.0"), "second"));
    host.add(&first).unwrap();
    host.add_at(&second, 2, Namesake::StepsBack).unwrap();
    let stays = host.add_at(&first, 3, Namesake::Stays).unwrap();
    assert!(matches!(stays, Added::Known(_)), "{stays:?}");
    assert_eq!(host.found("mine@1.0.0").unwrap().digest, digest_of(&second));

    let taken = host.add_at(&first, 4, Namesake::StepsBack).unwrap();
    let Added::Latest(plugin) = &taken else { panic!("{taken:?}") };
    let PluginSource::Uploaded(upload) = &plugin.source else { panic!("{plugin:?}") };
    assert_eq!(upload.at.as_unix_ms(), 4);
    let host = host.started_again();
    for name in ["mine", "mine@1.0.0", digest_of(&first).as_str()] {
        assert_eq!(&host.found(name).unwrap(), plugin, "{name}");
    }
    assert_eq!(host.names().len(), 4);

    // Of a version that a person's file has, no upload has the name.
    let file = rebuilt(mine("1.0.0"), "own");
    fs::write(host.folder.path().join("plugins/own.wasm"), &file).unwrap();
    let refused = host.add_at(&second, 5, Namesake::StepsBack).unwrap_err();
    assert!(matches!(refused, UploadError::VersionTaken { may_step_back: false, .. }));
    assert_eq!(host.found("mine").unwrap().digest, digest_of(&file));
}

#[test]
fn what_is_part_of_the_program_takes_its_name_back_from_an_upload() {
    let folder = tempfile::tempdir().unwrap();
    let shipped = rogue()[0].1;
    let sandbox = Sandbox::open(config(folder.path())).unwrap();
    let add = |bytes: &[u8], at_ms: i64| {
        let at = Timestamp::from_unix_ms(at_ms);
        let asked = NewPlugin { at, by: None, namesake: Namesake::StepsBack };
        sandbox.add(&mut &*bytes, &asked, &|| false).unwrap()
    };
    let own = rebuilt(shipped.to_vec(), "own");
    let name = add(&own, 1).plugin().info.name.clone();
    assert_eq!(sandbox.find(&named(&name), None).unwrap().digest, digest_of(&own));
    assert!(matches!(add(shipped, 2), Added::Latest(_)));
    assert_eq!(sandbox.find(&named(&name), None).unwrap().digest, digest_of(shipped));
}

#[test]
fn the_bytes_of_a_damaged_upload_heal_it_and_change_nothing_that_a_name_means() {
    let host = Host::new();
    let (first, second) = (mine("1.0.0"), rebuilt(mine("1.0.0"), "second"));
    host.add(&first).unwrap();
    host.add_at(&second, 2, Namesake::StepsBack).unwrap();
    for (damaged, at_ms) in [(&second, 2), (&first, 1)] {
        let digest = digest_of(damaged);
        fs::write(host.file(&digest), "changed").unwrap();
        let healed = host.add_at(damaged, 9, Namesake::Stays).unwrap();
        let PluginSource::Uploaded(upload) = &healed.plugin().source else { panic!("{healed:?}") };
        assert_eq!(upload.at.as_unix_ms(), at_ms);
        assert_eq!(host.found(digest.as_str()).as_ref(), Ok(healed.plugin()));
        assert_eq!(host.found("mine").unwrap().digest, digest_of(&second));
        assert_eq!(host.sandbox.list().1, []);
    }
    // Also while a person's file has the same bytes, or others under the same version.
    fs::write(host.file(&digest_of(&first)), "changed").unwrap();
    fs::write(host.folder.path().join("plugins/own.wasm"), &first).unwrap();
    assert!(matches!(host.add(&first).unwrap(), Added::New(_)));
    fs::write(host.file(&digest_of(&second)), "changed").unwrap();
    assert!(matches!(host.add_at(&second, 9, Namesake::StepsBack).unwrap(), Added::New(_)));
    assert_eq!(host.sandbox.list().1, []);
    assert_eq!(host.found("mine").unwrap().digest, digest_of(&first));
}

#[test]
fn a_damaged_upload_gives_its_name_to_another_one_that_is_asked_for() {
    let host = Host::new();
    let (first, second) = (mine("1.0.0"), rebuilt(mine("1.0.0"), "second"));
    host.add(&first).unwrap();
    host.add_at(&second, 2, Namesake::StepsBack).unwrap();
    fs::write(host.file(&digest_of(&second)), "changed").unwrap();
    assert!(host.found("mine@1.0.0").is_err());
    assert!(matches!(host.add_at(&first, 3, Namesake::StepsBack).unwrap(), Added::Latest(_)));
    assert_eq!(host.found("mine@1.0.0").unwrap().digest, digest_of(&first));
    // And takes it back when it is whole.
    host.add_at(&second, 4, Namesake::StepsBack).unwrap();
    assert_eq!(host.found("mine@1.0.0").unwrap().digest, digest_of(&second));
}

#[test]
fn a_persons_file_keeps_its_version() {
    let host = Host::new();
    let plugins = host.folder.path().join("plugins");
    fs::create_dir_all(&plugins).unwrap();
    fs::write(plugins.join("own.wasm"), mine("1.0.0")).unwrap();
    let known = host.add(&mine("1.0.0")).unwrap();
    assert!(matches!(known, Added::Known(_)));
    let other = rebuilt(mine("1.0.0"), "other");
    let refused = host.add_at(&other, 2, Namesake::StepsBack).unwrap_err();
    assert!(matches!(refused, UploadError::VersionTaken { may_step_back: false, .. }));
    assert_says(&refused.to_string(), &["own.wasm"]);
    let refused = host.sandbox.uploaded(&named("mine")).unwrap_err();
    assert_says(&refused.to_string(), &["`mine` was not uploaded", "own.wasm"]);
}

fn named(name: &str) -> PluginRef {
    name.parse().unwrap()
}

#[tokio::test]
async fn a_tampered_file_is_refused_by_name_and_never_run() {
    let host = Host::new();
    let (old, new) = (mine("1.0.0"), mine("2.0.0"));
    host.add(&old).unwrap();
    let pin = host.add(&new).unwrap().plugin().pin();
    fs::write(host.file(&pin.digest), made::plain_plugin("mine", "6.6.6")).unwrap();
    let host = host.started_again();
    let (plugins, errors) = host.sandbox.list();
    assert_eq!(plugins.len(), 1);
    assert_says(
        &errors[0].to_string(),
        &["somebody has changed the bytes", "`mine@2.0.0`", pin.digest.as_str()],
    );
    // The older one does not take its place without a word.
    for name in ["mine", "mine@2.0.0", pin.digest.as_str()] {
        assert_eq!(host.found(name).unwrap_err(), errors[0], "{name}");
    }
    assert!(host.found("mine@1.0.0").is_ok());
    assert!(host.found("mine@6.6.6").is_err());
    assert!(host.sandbox.pin(&pin.digest).is_err());
    let mut job = job(&verb("fine"));
    job.plugin = pin.clone();
    let ran = host.sandbox.run(job, Ports::models(Arc::new(TestModel::default()))).await;
    assert_eq!(ran.outcome.unwrap_err().kind, FaultKind::PluginNotLoadable);

    // The same upload makes it whole again, and so does its removal.
    assert!(matches!(host.add(&new).unwrap(), Added::New(_)));
    assert_eq!(host.found("mine").unwrap().digest, pin.digest);
    fs::remove_file(host.file(&pin.digest)).unwrap();
    assert_says(&host.found("mine").unwrap_err().to_string(), &["the bytes are gone"]);
    host.sandbox.remove(&pin.digest).unwrap();
    assert_eq!(host.found("mine").unwrap().info.version, "1.0.0");
}

#[test]
fn what_comes_in_the_place_of_a_changed_file_is_read_also_if_it_looks_as_old() {
    let host = Host::new();
    let digest = host.add(&mine("2.0.0")).unwrap().plugin().digest.clone();
    fs::write(host.file(&digest), mine("6.6.6")).unwrap();
    assert!(host.found("mine").is_err());
    let changed_at = fs::metadata(host.file(&digest)).unwrap().modified().unwrap();
    host.add(&mine("2.0.0")).unwrap();
    let file = fs::File::options().write(true).open(host.file(&digest)).unwrap();
    file.set_modified(changed_at).unwrap();
    assert_eq!(host.found("mine").unwrap().digest, digest);
}

#[test]
fn what_is_removed_is_gone_but_for_the_copies_of_runs() {
    let host = Host::new();
    let one = host.add(&mine("1.0.0")).unwrap().plugin().digest.clone();
    let two = host.add(&mine("2.0.0")).unwrap().plugin().digest.clone();
    host.sandbox.pin(&one).unwrap();
    let ambiguous = host.sandbox.uploaded(&named("mine")).unwrap_err();
    assert_says(&ambiguous.to_string(), &["`mine` may be any of", "mine@1.0.0", two.as_str()]);
    assert_eq!(host.sandbox.uploaded(&named("mine@2.0.0")).unwrap().plugin.digest, two);
    for digest in [&one, &two] {
        host.sandbox.remove(digest).unwrap();
        assert!(host.sandbox.remove(digest).is_err());
    }
    assert_eq!(host.names(), Vec::<String>::new());
    assert!(host.sandbox.read(&one).is_ok());
    assert!(host.found(two.as_str()).is_err());
    assert!(host.found("mine").is_err());
}

#[test]
fn an_upload_that_a_crash_left_half_goes_with_the_next_one() {
    let host = Host::new();
    host.add(&mine("1.0.0")).unwrap();
    let folder = host.folder.path().join("plugins/uploaded");
    fs::write(folder.join("incoming-x"), "half").unwrap();
    host.add(&mine("2.0.0")).unwrap();
    assert_eq!(host.names().len(), 4, "{:?}", host.names());
}

#[test]
fn bytes_without_a_record_are_told_and_can_be_added_again() {
    let host = Host::new();
    let digest = host.add(&mine("3.0.0")).unwrap().plugin().digest.clone();
    fs::remove_file(host.file(&digest).with_extension("json")).unwrap();
    let host = host.started_again();
    assert!(host.found("mine@3.0.0").is_err());
    let (plugins, errors) = host.sandbox.list();
    assert_eq!(plugins, []);
    let file = host.file(&digest).display().to_string();
    assert_says(
        &errors[0].to_string(),
        &["the record of this upload is gone", "plugins add", &file],
    );
    assert_eq!(host.found(digest.as_str()).unwrap_err(), errors[0]);
    assert_eq!(
        host.sandbox.digests(),
        std::slice::from_ref(&digest),
        "so that its beginning says it, too"
    );

    // Another upload takes nothing away.
    host.add(&mine("2.0.0")).unwrap();
    assert_eq!(host.sandbox.list().1, errors);
    host.add(&fs::read(host.file(&digest)).unwrap()).unwrap();
    assert_eq!(host.sandbox.list().1, []);
    assert_eq!(host.found("mine@3.0.0").unwrap().digest, digest);
}

#[test]
fn an_upload_whose_record_cannot_be_written_leaves_nothing_that_was_not_there() {
    let host = Host::new();
    let digest = digest_of(&mine("1.0.0"));
    let record = host.file(&digest).with_extension("json");
    // A folder in the place of a file is in the way of everybody, of root too.
    fs::create_dir_all(&record).unwrap();
    let refused = host.add(&mine("1.0.0")).unwrap_err();
    assert!(matches!(refused, UploadError::Plugin(PluginError::Io { .. })), "{refused:?}");
    assert_eq!(host.names(), [record.file_name().unwrap().to_str().unwrap()]);

    fs::write(host.file(&digest), mine("1.0.0")).unwrap();
    assert!(host.add(&mine("1.0.0")).is_err());
    assert_eq!(fs::read(host.file(&digest)).unwrap(), mine("1.0.0"), "it may be all that is left");
    fs::remove_dir(&record).unwrap();
    assert!(host.add(&mine("1.0.0")).is_ok());
    assert_eq!(host.found("mine").unwrap().digest, digest);
    assert_eq!(host.sandbox.list().1, []);
}

#[test]
fn an_upload_whose_bytes_cannot_be_removed_is_no_plugin_any_more() {
    let host = Host::new();
    let digest = host.add(&mine("1.0.0")).unwrap().plugin().digest.clone();
    fs::remove_file(host.file(&digest)).unwrap();
    fs::create_dir(host.file(&digest)).unwrap();
    let refused = host.sandbox.remove(&digest).unwrap_err();
    assert!(matches!(refused, UploadError::Plugin(PluginError::Io { .. })), "{refused:?}");
    assert!(host.sandbox.uploaded(&named("mine")).is_err());
    let (plugins, errors) = host.sandbox.list();
    assert_eq!((plugins.len(), errors.len()), (0, 1));
    assert_says(&errors[0].to_string(), &["the record of this upload is gone"]);
    assert_eq!(host.found(digest.as_str()).unwrap_err(), errors[0]);
}

#[test]
fn releases_go_before_pre_releases_which_are_found_where_there_is_nothing_else() {
    let host = Host::new();
    host.add(&mine("2.0.0-rc.1")).unwrap();
    host.add(&mine("2.0.0-rc.2")).unwrap();
    assert_eq!(host.found("mine").unwrap().info.version, "2.0.0-rc.2");
    host.add(&mine("1.0.0")).unwrap();
    assert_eq!(host.found("mine").unwrap().info.version, "1.0.0");
    let candidate = host.found("mine@2.0.0-rc.1").unwrap();

    // A pre-release that was damaged is no stronger than the release.
    fs::write(host.file(&candidate.digest), "changed").unwrap();
    assert_eq!(host.found("mine").unwrap().info.version, "1.0.0");
}

#[test]
fn where_a_version_was_named_the_candidates_are_digests() {
    let host = Host::new();
    let (first, second) = (mine("1.0.0"), rebuilt(mine("1.0.0"), "second"));
    host.add(&first).unwrap();
    host.add_at(&second, 2, Namesake::StepsBack).unwrap();
    let refused = host.sandbox.uploaded(&named("mine@1.0.0")).unwrap_err();
    let UploadError::Ambiguous { candidates, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(candidates, [digest_of(&first).to_string(), digest_of(&second).to_string()]);
}

#[test]
fn a_record_that_cannot_be_read_is_told() {
    let host = Host::new();
    let digest = host.add(&mine("1.0.0")).unwrap().plugin().digest.clone();
    fs::write(host.file(&digest).with_extension("json"), "{").unwrap();
    let host = host.started_again();
    let (plugins, errors) = host.sandbox.list();
    assert_eq!(plugins, []);
    assert_says(&errors[0].to_string(), &["the record of an upload cannot be read"]);
}

#[test]
fn an_upload_that_is_called_off_is_not_kept() {
    let host = Host::new();
    let at = Timestamp::from_unix_ms(1);
    let asked = NewPlugin { at, by: None, namesake: Namesake::Stays };
    let refused = host.sandbox.add(&mut &*mine("1.0.0"), &asked, &|| true).unwrap_err();
    assert_eq!(refused, UploadError::CalledOff);
    assert_eq!(host.sandbox.list().0, []);
}

#[test]
fn what_is_too_large_is_refused_before_it_is_whole() {
    let host = Host::new();
    let at = Timestamp::from_unix_ms(1);
    let asked = NewPlugin { at, by: None, namesake: Namesake::Stays };
    let refused = host.sandbox.add(&mut std::io::repeat(0), &asked, &|| false).unwrap_err();
    assert_says(&refused.to_string(), &["it has over 128.0 MiB"]);
    assert_eq!(host.names(), Vec::<String>::new());
}
