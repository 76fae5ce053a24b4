//! The child that checks uploads, in the place of which scripts stand here that die, dawdle and pry.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::Timestamp;
use domain::upload::Namesake;

use super::*;

/// What becomes of a sound component whose check is this script.
fn checked_by(
    script: &str,
    is_called_off: &(dyn Fn() -> bool + Sync),
) -> Result<Added, UploadError> {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("check");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let checker = Checker { program, subcommand: "check-component" };
    let config = Config { bundled: &[], ..config(folder.path()) };
    let sandbox = Sandbox::open_with(config, Some(checker)).unwrap();
    let asked = NewPlugin { at: Timestamp::from_unix_ms(1), by: None, namesake: Namesake::Stays };
    let added = sandbox.add(&mut &*made::plain_plugin("mine", "1.0.0"), &asked, is_called_off);
    assert_eq!(sandbox.list().0.len(), usize::from(added.is_ok()), "{added:?}");
    added
}

fn refused(script: &str) -> String {
    checked_by(script, &|| false).unwrap_err().to_string()
}

#[test]
fn a_child_is_given_the_component_and_the_cache_and_nothing_else() {
    let answer = r#"printf '{"findings":["%s|%s|%s|%s"]}' "$1" "$2" "$HOME" "$(wc -c)""#;
    let size = made::plain_plugin("mine", "1.0.0").len().to_string();
    let cache = cache_dir().display().to_string();
    assert_says(&refused(answer), &["check-component|", &cache, &format!("||{size}")]);
    assert!(checked_by(r#"echo '{"findings":[]}'"#, &|| false).is_ok());
}

#[test]
fn a_child_that_dies_is_a_finding_that_says_of_what() {
    let memory = "echo 'memory allocation of 512 bytes failed' >&2; kill -ABRT $$";
    assert_says(&refused(memory), &["needed more than 3072.0 MiB of memory", "make it smaller"]);
    assert_says(&refused("kill -XCPU $$"), &["computed for over 300 s"]);
    let crash = "echo 'the compiler crashed' >&2; kill -SEGV $$";
    assert_says(&refused(crash), &["did not come to an end", "the compiler crashed"]);
}

#[test]
fn a_child_that_says_nothing_is_the_machines_failure_and_not_the_components() {
    for script in ["true", "echo nonsense", r#"echo '{"failed":"no room"}'"#] {
        let refused = checked_by(script, &|| false).unwrap_err();
        assert!(matches!(refused, UploadError::Plugin(PluginError::Io { .. })), "{refused:?}");
    }
}

#[test]
fn a_child_that_dawdles_ends_when_its_check_is_called_off() {
    // The first looks are before the child begins, and while it does nothing.
    let look_count = AtomicUsize::new(0);
    let is_called_off = || look_count.fetch_add(1, Ordering::Relaxed) > 3;
    let ended = checked_by("exec sleep 600", &is_called_off).unwrap_err();
    assert_eq!(ended, UploadError::CalledOff);
}
