//! Reads profiles from folders and from the program itself, one file at a time.
//!
//! A file that cannot be read is a profile with problems, never an error: one broken file must not hide the others.
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::Problem;
use crate::findings::Findings;
use crate::library::{Profile, Source};
use crate::said::{self, Said};
use crate::yaml::{self, FILE_BYTES_MAX};

/// Most profiles of one folder: a page lists them all.
const FILE_COUNT_MAX: usize = 500;

/// Every profile of a folder, in the order of their file names. A folder that does not exist has none.
pub(crate) fn read_folder(folder: &Path) -> Vec<Profile> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => return vec![unreadable(folder, &error)],
    };
    let mut paths: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| is_profile(path)).collect();
    paths.sort();
    let mut profiles: Vec<Profile> =
        paths.iter().take(FILE_COUNT_MAX).map(|path| read_file(path)).collect();
    if paths.len() > FILE_COUNT_MAX {
        let message = format!(
            "the folder has {} profiles, and only the first {FILE_COUNT_MAX} are read",
            paths.len()
        );
        profiles.push(broken(folder, Problem::of_file(folder.display().to_string(), message)));
    }
    profiles
}

fn is_profile(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    matches!(extension, Some("yaml" | "yml")) && !hidden
}

/// One profile.
pub(crate) fn read_file(path: &Path) -> Profile {
    match bytes_of(path) {
        Ok(bytes) => understand(Source::File(path.to_owned()), &bytes),
        Err(error) => unreadable(path, &error),
    }
}

/// A profile that is part of the program.
pub(crate) fn read_shipped(file_name: &'static str, text: &str) -> Profile {
    understand(Source::Shipped(file_name), text.as_bytes())
}

/// One byte over the limit is enough to know that the file is too large.
fn bytes_of(path: &Path) -> std::io::Result<Vec<u8>> {
    // Opening a pipe would wait for whoever writes into it.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn understand(source: Source, bytes: &[u8]) -> Profile {
    let mut findings = Findings::new(source.path());
    let said = match yaml::parse(bytes, &mut findings) {
        Some(root) => said::read(&root, &mut findings),
        None => Said::default(),
    };
    let text = String::from_utf8_lossy(bytes).into_owned();
    Profile::new(source, text, said, findings.into_problems())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Profile {
    let message = format!("it cannot be read: {error}");
    broken(path, Problem::of_file(path.display().to_string(), message))
}

fn broken(path: &Path, problem: Problem) -> Profile {
    let source = Source::File(path.to_owned());
    Profile::new(source, String::new(), Said::default(), vec![problem])
}
