//! Files and folders that only the host may touch.
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

pub(crate) use domain::upload::PLUGIN_BYTES_MAX;

/// Creates a folder and those above it, and closes it to everybody else.
pub(crate) fn create_private_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Whether there is a file in a folder or below it.
pub(crate) fn has_file(folder: &Path) -> bool {
    let mut entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.any(|entry| {
        entry
            .file_type()
            .is_ok_and(|kind| kind.is_file() || (kind.is_dir() && has_file(&entry.path())))
    })
}

/// Writes a file so that nobody ever sees half of it. Only the host may read it (0600).
pub(crate) fn write_private_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    create_private_folder(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Reads a plugin, and refuses what is too large to be one before it is in memory.
pub(crate) fn read_plugin(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(PLUGIN_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > PLUGIN_BYTES_MAX {
        let detail = format!("it has over {} MiB: no plugin is as large", PLUGIN_BYTES_MAX >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, detail));
    }
    Ok(bytes)
}
