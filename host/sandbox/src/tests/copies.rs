//! Copies that runs are bound to: for them alone, for as long as there are such runs, and only as they were.
use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

use domain::naming::AskedPlugin;

use super::uploads::{Host, mine, rebuilt};
use super::*;
use crate::catalog::digest_of;

fn copy(host: &Host, digest: &Digest) -> PathBuf {
    host.folder.path().join("pinned").join(format!("{}.wasm", digest.hex()))
}

async fn ran(host: &Host, plugin: PinnedPlugin) -> Fault {
    let mut job = job(&verb("fine"));
    job.plugin = plugin;
    let ran = host.sandbox.run(job, Ports::models(Arc::new(TestModel::default()))).await;
    ran.outcome.unwrap_err()
}

#[tokio::test]
async fn what_was_removed_is_found_by_no_digest_and_serves_only_the_runs_that_have_it() {
    let host = Host::new();
    let plugin = host.add(&mine("1.0.0")).unwrap().plugin().pin();
    host.sandbox.pin(&plugin.digest).unwrap();
    host.sandbox.remove(&plugin.digest).unwrap();
    let host = host.started_again();
    let unknown = host.found(plugin.digest.as_str()).unwrap_err();
    assert!(matches!(unknown, PluginError::Unknown { .. }), "{unknown:?}");
    assert_eq!(host.sandbox.list(), (Vec::new(), Vec::new()));
    // Its beginning means what the whole digest means.
    let beginning: AskedPlugin = plugin.digest.as_str()[..15].parse().unwrap();
    let reference = beginning.meant(&host.sandbox).unwrap();
    assert_eq!(reference, PluginRef::Digest(plugin.digest.clone()));
    let refused = host.sandbox.uploaded(&reference).unwrap_err();
    assert!(matches!(refused, UploadError::OnlyBound { .. }), "{refused:?}");
    let said = ["nothing of `sha256:", "is in the store", "keep their copy"];
    assert_says(&refused.to_string(), &said);

    assert_eq!(host.sandbox.bound(&plugin.digest).unwrap().info.name, "mine");
    // It is loaded, and traps as it was made to.
    assert_eq!(ran(&host, plugin.clone()).await.kind, FaultKind::Trap);
}

#[test]
fn what_no_copy_and_no_upload_has_is_bound_to_nothing_although_it_was_known() {
    let host = Host::new();
    let digest = host.add(&mine("1.0.0")).unwrap().plugin().digest.clone();
    host.sandbox.remove(&digest).unwrap();
    let unknown = host.sandbox.bound(&digest).unwrap_err();
    assert!(matches!(unknown, PluginError::Unknown { .. }), "{unknown:?}");
}

#[test]
fn a_copy_goes_when_no_run_is_bound_to_it_unless_it_is_young() {
    let host = Host::new();
    let mut digests: Vec<Digest> = ["1.0.0", "2.0.0"]
        .into_iter()
        .map(|version| host.add(&mine(version)).unwrap().plugin().digest.clone())
        .collect();
    digests.iter().for_each(|digest| host.sandbox.pin(digest).unwrap());
    let foreign = copy(&host, &digests[0]).with_file_name("notes.wasm");
    fs::write(&foreign, "mine").unwrap();
    // Runs that begin at this moment have pinned them, and are not written down yet.
    assert_eq!(host.sandbox.release(&BTreeSet::new()), Ok(0));

    let host = host.started_again();
    let (gone, stays) = (digests.remove(0), digests.remove(0));
    assert_eq!(host.sandbox.release(&BTreeSet::from([stays.clone()])), Ok(1));
    assert!(!copy(&host, &gone).exists());
    assert!(copy(&host, &stays).exists() && foreign.exists());
    host.sandbox.pin(&gone).unwrap();
    assert!(copy(&host, &gone).exists(), "whoever needs it again has it again");
    assert_eq!(host.sandbox.release(&BTreeSet::new()), Ok(1));
}

#[test]
fn a_copy_that_this_process_made_goes_once_it_is_old_and_asking_again_makes_it_young() {
    let host = Host::new();
    let [kept, early, again, late] = ["1.0.0", "2.0.0", "3.0.0", "4.0.0"]
        .map(|version| host.add(&mine(version)).unwrap().plugin().digest.clone());
    for digest in [&kept, &early, &again] {
        host.sandbox.pin(digest).unwrap();
    }
    let then = Instant::now();
    for digest in [&again, &late] {
        host.sandbox.pin(digest).unwrap();
    }
    let bound = BTreeSet::from([kept.clone()]);
    let release = || host.sandbox.catalog.release_old(&bound, |pinned_at| pinned_at <= then);
    assert_eq!(release(), Ok(1));
    let is_there = [&kept, &early, &again, &late].map(|digest| copy(&host, digest).exists());
    assert_eq!(is_there, [true, false, true, true]);
    // What has gone is not remembered as there.
    host.sandbox.pin(&early).unwrap();
    assert!(copy(&host, &early).exists());
    assert_eq!(release(), Ok(0));
}

#[tokio::test]
async fn a_copy_that_cannot_be_read_is_not_told_as_one_that_was_changed() {
    let host = Host::new();
    let plugin = host.add(&mine("1.0.0")).unwrap().plugin().pin();
    host.sandbox.pin(&plugin.digest).unwrap();
    host.sandbox.remove(&plugin.digest).unwrap();
    let file = copy(&host, &plugin.digest);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let refused = host.sandbox.read(&plugin.digest).unwrap_err();
    let PluginError::Io { place, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(*place, file.display().to_string());
    let fault = ran(&host, plugin).await;
    assert_eq!(fault.kind, FaultKind::PluginNotLoadable);
    assert_says(&fault.message, &[place]);
    assert!(!fault.message.contains("changed"), "{}", fault.message);
}

#[tokio::test]
async fn a_copy_that_was_changed_is_told_and_whole_again_when_the_plugin_is_added_again() {
    let host = Host::new();
    let plugin = host.add(&mine("1.0.0")).unwrap().plugin().pin();
    host.sandbox.pin(&plugin.digest).unwrap();
    host.sandbox.remove(&plugin.digest).unwrap();
    assert_eq!(host.sandbox.compare_kept(), (1, Vec::new()));
    fs::write(copy(&host, &plugin.digest), mine("6.6.6")).unwrap();
    let host = host.started_again();
    let said = ["somebody has changed the file", plugin.digest.as_str(), "add that plugin again"];
    let fault = ran(&host, plugin.clone()).await;
    assert_eq!(fault.kind, FaultKind::PluginNotLoadable);
    assert_says(&fault.message, &said);
    let (_, changed) = host.sandbox.compare_kept();
    assert_eq!(changed.len(), 1);
    assert_says(&changed[0].to_string(), &said);

    host.add(&mine("1.0.0")).unwrap();
    assert_eq!(host.sandbox.compare_kept(), (2, Vec::new()));
    assert_eq!(ran(&host, plugin).await.kind, FaultKind::Trap);
}

#[test]
fn the_beginning_of_a_digest_means_the_only_plugin_that_begins_so() {
    let host = Host::new();
    let digest = host.add(&mine("1.0.0")).unwrap().plugin().digest.clone();
    let meant = |text: &str| text.parse::<AskedPlugin>().unwrap().meant(&host.sandbox);
    assert_eq!(meant(&digest.as_str()[..15]), Ok(PluginRef::Digest(digest.clone())));
    let other = if digest.hex().starts_with('0') { "sha256:11111111" } else { "sha256:00000000" };
    let unknown = meant(other).unwrap_err();
    assert!(matches!(unknown, UploadError::Plugin(PluginError::Unknown { .. })), "{unknown:?}");
    assert_eq!(meant(&digest.hex()[..8]), Ok(PluginRef::Digest(digest.clone())));
    assert_eq!(meant(digest.hex()), Ok(PluginRef::Digest(digest.clone())));
    // One that was damaged can be removed by its beginning, too.
    fs::write(host.file(&digest), "changed").unwrap();
    assert_eq!(meant(&digest.as_str()[..15]), Ok(PluginRef::Digest(digest.clone())));
}

#[test]
fn digits_that_are_a_name_mean_the_plugin_that_has_it_before_a_digest_that_begins_so() {
    let host = Host::new();
    let meant = |text: &str| text.parse::<AskedPlugin>().unwrap().meant(&host.sandbox);
    // Some build of it has a digest that begins with a letter, and so may be a name.
    let builds = (0..100_u8).map(|idx| rebuilt(mine("1.0.0"), &idx.to_string()));
    let is_name = |bytes: &Vec<u8>| digest_of(bytes).hex().starts_with(|first| first >= 'a');
    let bytes = builds.into_iter().find(is_name).unwrap();
    let digest = digest_of(&bytes);
    let name = &digest.hex()[..8];
    assert_says(&meant(name).unwrap_err().to_string(), &[&format!("no plugin `{name}`")]);
    host.add(&bytes).unwrap();
    assert_eq!(meant(name), Ok(PluginRef::Digest(digest.clone())));
    host.add(&made::plain_plugin(name, "1.0.0")).unwrap();
    assert_eq!(meant(name), Ok(PluginRef::Name(name.to_owned())));
}

#[test]
fn to_look_for_a_digest_asks_no_plugin_who_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let cache_dir = folder.path().join("cache");
    let config = Config { cache_dir: cache_dir.clone(), ..config(folder.path()) };
    fs::create_dir_all(&config.plugin_dir).unwrap();
    fs::write(config.plugin_dir.join("mine.wasm"), mine("1.0.0")).unwrap();
    let cold = Sandbox::open(config).unwrap();
    let mut expected = vec![digest_of(rogue()[0].1), digest_of(&mine("1.0.0"))];
    expected.sort();
    assert_eq!(cold.digests(), expected);
    assert!(!crate::files::has_file(&cache_dir), "somebody was compiled");
}
