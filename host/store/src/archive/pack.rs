//! Archives as such: compressed tar files, written and read entry by entry, with bounds.
//!
//! What is read may come from anywhere: an entry is a plain file with a plain name, or the archive is refused. The
//! extensions of tar are not read, because a library keeps what they hold in memory, however large it says it is.
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Component, Path};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use tar::{Archive, Builder, EntryType, Header};

pub(super) use domain::upload::PLUGIN_BYTES_MAX;

use super::ArchiveError;
use crate::Error;

/// Largest archive of a run, in bytes: far more than a thousand calls with long prompts, and little enough to be kept
/// aside while it is looked at.
pub const ARCHIVE_BYTES_MAX: u64 = 512 << 20;
/// Most bytes that an archive of a run may have when it is unpacked: what compresses better than this was made to.
pub(super) const UNPACKED_BYTES_MAX: u64 = 4 << 30;
/// Most entries of an archive: ten thousand stages with a hundred texts each.
const ENTRY_COUNT_MAX: u64 = 1_000_000;
/// Bytes that are unpacked at once.
const COPIED_BYTES: usize = 64 << 10;
/// Rights of a file in an archive: its user may read and write it.
const FILE_MODE: u32 = 0o600;

/// What a name may not have because it would lead out of its folder, or into another stream of a file. Elsewhere these are
/// letters like others, and a backup has the files that have them.
const SPECIAL_CHARS: &[char] = if cfg!(windows) { &['\\', ':', '\0'] } else { &['\0'] };

/// An archive that is written.
pub(crate) struct Packing {
    tar: Builder<GzEncoder<BufWriter<File>>>,
}

impl Packing {
    pub(crate) fn into_file(file: File) -> Self {
        let encoder = GzEncoder::new(BufWriter::new(file), Compression::default());
        Self { tar: Builder::new(encoder) }
    }

    /// Adds an entry of so many bytes.
    pub(crate) fn add(
        &mut self,
        name: &str,
        size_bytes: u64,
        content: impl Read,
    ) -> Result<(), ArchiveError> {
        let mut header = Header::new_ustar();
        let detail =
            "the name is too long for an archive, in which a file may have one of 100 bytes";
        header.set_path(name).map_err(|_| ArchiveError::bad(name, detail))?;
        header.set_size(size_bytes);
        header.set_mode(FILE_MODE);
        header.set_entry_type(EntryType::Regular);
        header.set_cksum();
        // The library takes whatever comes, and with less than was said everything behind it would be out of place.
        let mut content = content.take(size_bytes);
        let added = self.tar.append(&header, &mut content);
        added.map_err(|error| packing_failed(name, error))?;
        if content.limit() == 0 {
            return Ok(());
        }
        let cause = "it became shorter while it was read; try again";
        Err(packing_failed(name, io::Error::new(io::ErrorKind::UnexpectedEof, cause)))
    }

    pub(crate) fn add_bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.add(name, bytes.len() as u64, bytes)
    }

    /// Adds the content of a file that was written for it.
    pub(crate) fn add_file(&mut self, name: &str, mut file: File) -> Result<(), ArchiveError> {
        file.rewind().map_err(|error| packing_failed(name, error))?;
        let size_bytes = file.metadata().map_err(|error| packing_failed(name, error))?.len();
        self.add(name, size_bytes, BufReader::new(file).take(size_bytes))
    }

    /// Ends the archive; gives the file, at its beginning.
    pub(crate) fn finish(self) -> Result<File, ArchiveError> {
        let failed = |error| packing_failed("the archive", error);
        let encoder = self.tar.into_inner().map_err(failed)?;
        let buffer = encoder.finish().map_err(failed)?;
        let mut file = buffer.into_inner().map_err(|error| failed(error.into_error()))?;
        file.flush().and_then(|()| file.rewind()).map_err(failed)?;
        Ok(file)
    }
}

fn packing_failed(what: &str, error: io::Error) -> ArchiveError {
    ArchiveError::Store(Error::io(Path::new(what), error))
}

/// The entries of an archive, which are read once from the first to the last.
pub(crate) struct Entries<'a> {
    file: &'a File,
    unpacked_bytes_max: u64,
}

impl<'a> Entries<'a> {
    /// Those of an archive of a run.
    pub(crate) fn of(file: &'a File) -> Result<Self, ArchiveError> {
        Self::bounded(file, UNPACKED_BYTES_MAX)
    }

    /// Those of an archive that may be as large as this when it is unpacked.
    pub(crate) fn bounded(
        mut file: &'a File,
        unpacked_bytes_max: u64,
    ) -> Result<Self, ArchiveError> {
        file.rewind().map_err(|error| packing_failed("the archive", error))?;
        Ok(Self { file, unpacked_bytes_max })
    }

    /// Shows each entry in turn.
    pub(crate) fn each(
        self,
        mut show: impl FnMut(&mut Entry<'_>) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let bad = |error: io::Error| unreadable("the archive", error);
        // An archive that goes on behind the bound ends early, and is refused for that.
        let bounded = MultiGzDecoder::new(BufReader::new(self.file)).take(self.unpacked_bytes_max);
        let mut archive = Archive::new(bounded);
        let mut count = 0;
        for entry in archive.entries().map_err(bad)?.raw(true) {
            let mut entry = entry.map_err(bad)?;
            count += 1;
            if count > ENTRY_COUNT_MAX {
                let detail = format!("it has more than {ENTRY_COUNT_MAX} entries");
                return Err(ArchiveError::bad("the archive", detail));
            }
            let (name, size_bytes) = (plain_name(entry.header())?, entry.size());
            show(&mut Entry { name, size_bytes, content: &mut entry })?;
        }
        Ok(())
    }
}

/// Tells what is wrong with an archive from what is wrong with the disk on which it lies: the libraries that unpack it have
/// errors of these kinds alone, and an operating system that cannot read a file has others.
fn unreadable(what: &str, error: io::Error) -> ArchiveError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            ArchiveError::bad(what, format!("the archive is cut off: {error}"))
        }
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
            ArchiveError::bad(what, format!("the archive is damaged, or none: {error}"))
        }
        _ => packing_failed(what, error),
    }
}

/// The name of an entry that is a file and stays where it belongs.
fn plain_name(header: &Header) -> Result<String, ArchiveError> {
    let path = header.path().map_err(|error| ArchiveError::bad("the archive", error))?;
    let shown = path.display().to_string();
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    let name = path.to_str().filter(|name| is_plain && !name.is_empty() && !name.ends_with('/'));
    let Some(name) = name.filter(|name| !name.contains(SPECIAL_CHARS)) else {
        return Err(ArchiveError::bad(shown, "the name is not one that an entry may have"));
    };
    if header.entry_type() != EntryType::Regular {
        return Err(ArchiveError::bad(shown, "it is not a plain file"));
    }
    Ok(name.to_owned())
}

/// An entry of an archive.
pub(crate) struct Entry<'a> {
    name: String,
    size_bytes: u64,
    content: &'a mut dyn Read,
}

impl Entry<'_> {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Everything, if it is not more than this.
    pub(crate) fn bytes(&mut self, bytes_max: u64) -> Result<Vec<u8>, ArchiveError> {
        if self.size_bytes > bytes_max {
            let detail = format!("it has {} bytes; {bytes_max} are allowed", self.size_bytes);
            return Err(ArchiveError::bad(&self.name, detail));
        }
        let mut bytes = Vec::new();
        let read = self.content.read_to_end(&mut bytes);
        read.map_err(|error| unreadable(&self.name, error))?;
        if bytes.len() as u64 == self.size_bytes {
            return Ok(bytes);
        }
        Err(ArchiveError::bad(&self.name, "it ends early"))
    }

    /// Everything as text.
    pub(crate) fn text(&mut self, bytes_max: u64) -> Result<String, ArchiveError> {
        let bytes = self.bytes(bytes_max)?;
        String::from_utf8(bytes).map_err(|_| ArchiveError::bad(&self.name, "it is no text"))
    }

    /// Shows each line with its number, 1 for the first.
    pub(crate) fn lines(
        &mut self,
        line_bytes_max: u64,
        mut show: impl FnMut(u64, &str) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let name = &self.name;
        let mut content = BufReader::new(&mut self.content);
        let (mut number, mut line, mut read_bytes) = (0, Vec::new(), 0);
        loop {
            line.clear();
            let mut bounded = content.by_ref().take(line_bytes_max);
            let read = bounded.read_until(b'\n', &mut line);
            let read = read.map_err(|error| unreadable(name, error))?;
            read_bytes += read as u64;
            if read == 0 {
                break;
            }
            number += 1;
            let bad = |detail: &str| ArchiveError::bad(name, format!("line {number}: {detail}"));
            if line.pop() != Some(b'\n') {
                return Err(bad("it is too long, or ends early"));
            }
            let text = std::str::from_utf8(&line).map_err(|_| bad("it is no text"))?;
            show(number, text)?;
        }
        if read_bytes == self.size_bytes {
            return Ok(());
        }
        Err(ArchiveError::bad(name, "it ends early"))
    }

    /// Writes everything to a file; gives its digest in hexadecimal.
    pub(crate) fn copy_to(&mut self, file: &mut File) -> Result<String, ArchiveError> {
        let (mut hash, mut copied, mut buffer) = (Sha256::new(), 0, vec![0; COPIED_BYTES]);
        loop {
            let read = match self.content.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // Apart from those of writing: the archive can be bad where the disk is well.
                Err(error) => return Err(unreadable(&self.name, error)),
            };
            let piece = buffer.get(..read).unwrap_or_default();
            hash.update(piece);
            file.write_all(piece).map_err(|error| packing_failed(&self.name, error))?;
            copied += read as u64;
        }
        if copied == self.size_bytes {
            return Ok(hex::encode(hash.finalize()));
        }
        Err(ArchiveError::bad(&self.name, "it ends early"))
    }
}

/// Takes the digest of what is read through it.
pub(crate) struct Hashing<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Hashing<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, hash: Sha256::new() }
    }

    /// The digest so far, in hexadecimal.
    pub(crate) fn hex(self) -> String {
        hex::encode(self.hash.finalize())
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}
