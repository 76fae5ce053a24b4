//! What can be said of a database before SQLite opens it for writing.
//!
//! Nothing is written here: a database that is damaged, or of a later version of the program, keeps every byte that it
//! has, and so does its write-ahead log, which a connection that can write would move into it when it closes.
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::database::{self, DATABASE_FILE, SCHEMA_KNOWN};
use crate::{Error, check};

/// Bytes at the beginning of the file that tell what it is (SQLite's file format, section 1.3).
const HEADER_LEN: usize = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Size up to which a database is checked before it is opened, if its last user did not close it: a fraction of a second
/// of reading, and the size of some thousand runs. Larger ones are checked while the host works.
pub(crate) const CHECK_AT_ONCE_BYTES_MAX: u64 = 32 << 20;

/// What becomes of a check that an unclean end asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckLeft {
    /// Nothing is left to check: the last user closed the database, or it has been checked here.
    None,
    /// It is to be checked while the host works.
    InBackground,
}

/// Looks at the database of a data folder; there may be none.
///
/// # Errors
/// [`Error::Damaged`] or [`Error::Newer`].
pub(crate) fn look(data_dir: &Path, check_at_once_bytes_max: u64) -> Result<CheckLeft, Error> {
    let path = data_dir.join(DATABASE_FILE);
    let Some((header, size_bytes)) = read_header(&path)? else { return Ok(CheckLeft::None) };
    if !header.starts_with(MAGIC) {
        return Err(damaged(&path, "the file does not begin as a database does"));
    }
    // Whoever closes a database last moves the log into it and takes the log away.
    let log_bytes =
        data_dir.join(format!("{DATABASE_FILE}-wal")).metadata().map_or(0, |log| log.len());
    if log_bytes == 0 {
        expect_known(&path, be_u32(&header, 60))?;
        expect_whole(&path, &header, size_bytes)?;
        return Ok(CheckLeft::None);
    }
    let db = database::open_reader(data_dir)?;
    let schema = db.pragma_query_value(None, "user_version", |row| row.get(0));
    let schema = schema.map_err(|error| Error::from(error).in_folder(data_dir))?;
    expect_known(&path, schema)?;
    // Whoever made it ended before its first transaction was whole: there is nothing in it yet.
    if schema == 0 {
        return Ok(CheckLeft::None);
    }
    if size_bytes > check_at_once_bytes_max {
        return Ok(CheckLeft::InBackground);
    }
    expect_sound(&db, data_dir)?;
    Ok(CheckLeft::None)
}

fn expect_sound(db: &Connection, data_dir: &Path) -> Result<(), Error> {
    let findings = check::quick(db).map_err(|error| error.in_folder(data_dir))?;
    match findings.as_slice() {
        [] => Ok(()),
        [..] => Err(check::damage_of(&findings).in_folder(data_dir)),
    }
}

fn expect_known(path: &Path, schema: u32) -> Result<(), Error> {
    if schema <= SCHEMA_KNOWN {
        Ok(())
    } else {
        Err(Error::Newer { path: path.to_owned(), schema })
    }
}

/// A copy that broke off, or a file system that lost its end, is seen without reading the file.
fn expect_whole(path: &Path, header: &[u8; HEADER_LEN], size_bytes: u64) -> Result<(), Error> {
    // The count of pages is that of the last change only if these two agree.
    let is_counted = be_u32(header, 24) == be_u32(header, 92);
    // 1 stands for 65536, which the field cannot hold.
    let page_bytes = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        bytes => u64::from(bytes),
    };
    let wanted_bytes = u64::from(be_u32(header, 28)) * page_bytes;
    if is_counted && size_bytes < wanted_bytes {
        let detail = format!("the file is cut off: it has {size_bytes} of {wanted_bytes} bytes");
        return Err(damaged(path, &detail));
    }
    Ok(())
}

/// The beginning of the file and its size; `None` if there is no file, or nothing in it yet.
fn read_header(path: &Path) -> Result<Option<([u8; HEADER_LEN], u64)>, Error> {
    let located = |error| Error::io(path, error);
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(located(error)),
    };
    let size_bytes = file.metadata().map_err(located)?.len();
    if size_bytes == 0 {
        return Ok(None);
    }
    let mut header = [0; HEADER_LEN];
    match file.read_exact(&mut header) {
        Ok(()) => Ok(Some((header, size_bytes))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(damaged(path, "the file is shorter than the header of a database"))
        }
        Err(error) => Err(located(error)),
    }
}

fn be_u32(header: &[u8; HEADER_LEN], offset: usize) -> u32 {
    let bytes = [header[offset], header[offset + 1], header[offset + 2], header[offset + 3]];
    u32::from_be_bytes(bytes)
}

fn damaged(path: &Path, detail: &str) -> Error {
    Error::Damaged { path: PathBuf::from(path), detail: detail.to_owned() }
}
