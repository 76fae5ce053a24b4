//! A write-ahead log that lost its end, as by a power failure on a disk that promised too much.
//!
//! What a checkpoint has moved into the database was on the disk before, by SQLite's order of things, and can be torn by
//! no power failure. How far that goes is in the index beside the log, in SQLite's documented format.
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use rand::Rng as _;
use rand::rngs::StdRng;

/// Bytes of the log's own header.
const HEADER_BYTES: u64 = 32;
/// Bytes before the page of a frame.
const FRAME_HEADER_BYTES: u64 = 24;
/// Where the index says how many frames there are; the size of a page; and to which frame checkpoints were begun.
const FRAME_COUNT_AT: usize = 16;
const PAGE_SIZE_AT: usize = 14;
const MOVED_FRAME_COUNT_AT: usize = 128;

/// Cuts the log at a random byte, or fills it with zeros from there on. `false`: there is nothing to cut.
pub(crate) fn tear(data: &Path, chance: &mut StdRng) -> bool {
    let log = data.join("stagewright.db-wal");
    let index = std::fs::read(data.join("stagewright.db-shm")).unwrap_or_default();
    let word = |at: usize| {
        let bytes = index.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, |bytes| u64::from(u32::from_ne_bytes(bytes)))
    };
    let size = index.get(PAGE_SIZE_AT..PAGE_SIZE_AT + 2).and_then(|bytes| bytes.try_into().ok());
    let page_bytes = u64::from(size.map_or(0, u16::from_ne_bytes));
    let place = |frames: u64| HEADER_BYTES + frames * (FRAME_HEADER_BYTES + page_bytes);
    let (moved, end) = (place(word(MOVED_FRAME_COUNT_AT)), place(word(FRAME_COUNT_AT)));
    let size = std::fs::metadata(&log).map_or(0, |found| found.len());
    if page_bytes == 0 || moved >= end || size < end {
        return false;
    }
    let cut = chance.random_range(moved..end);
    let mut file = OpenOptions::new().write(true).append(false).open(&log).expect("the log");
    if chance.random_bool(0.6) {
        file.set_len(cut).expect("a shorter log");
        return true;
    }
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(cut)).expect("a place in the log");
    let zeros = vec![0; usize::try_from(size - cut).expect("the log fits into memory")];
    file.write_all(&zeros).expect("zeros in the log");
    true
}
