//! The journal: entries in the order they came, and the one place where durability happens.
//!
//! ```text
//! segment = group…                   a file named by the number of its first entry; only the last one grows
//! group   = "CSG1" | bytes of entries (u32) | first 8 bytes of their SHA-256 | entries
//! entries = (length (u16) | entry)…  as in an entry bundle; numbers are big-endian
//! ```
//! A group is what one sync made durable. A crash can leave the last one unfinished, in any order of its
//! bytes; a group that is not whole before one that is means damage, and the log is not opened.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use countersign_model::digest::sha256;

use crate::failpoint;

/// The file that grows.
pub(super) struct Journal {
    dir: PathBuf,
    file: File,
    /// Bytes that are known to be on the disk.
    durable: u64,
    /// Length of the file. What is beyond `durable` is zeros: a sync that does not change the length of the
    /// file need not wait for the file system's own journal.
    length: u64,
    /// After a failed sync nobody knows what is on the disk: no more writes until a restart reads it back.
    broken: Option<String>,
}

/// A segment as it was read back.
pub(super) struct Segment {
    /// Number of its first entry.
    pub first: u64,
    bytes: Vec<u8>,
}

/// A journal that was read back and not touched yet.
pub(super) struct ReadBack {
    dir: PathBuf,
    /// In order.
    pub segments: Vec<Segment>,
    /// Bytes of whole groups in the last one.
    whole: u64,
}

impl ReadBack {
    /// Reads what is in the journal; nothing, if there is none. Changes nothing: first the log must be known
    /// to be the right one.
    pub(super) fn of(dir: &Path) -> Result<Self, String> {
        let failed = |e: io::Error| format!("the log's journal: {e}");
        let mut segments = Vec::new();
        for first in segment_numbers(dir).map_err(failed)? {
            let bytes = fs::read(path_of(dir, first)).map_err(failed)?;
            segments.push(Segment { first, bytes });
        }
        let mut whole = 0;
        let count = segments.len();
        for (i, segment) in segments.iter_mut().enumerate() {
            whole = segment.whole_groups();
            let rest = &segment.bytes[whole..];
            // Behind the last group there may be zeros, and in the last segment an unfinished group.
            if (i + 1 < count && rest.iter().any(|byte| *byte != 0)) || holds_group(rest) {
                let first = segment.first;
                return Err(format!("the log's journal is damaged in the segment of entry {first}"));
            }
            segment.bytes.truncate(whole);
        }
        Ok(Self { dir: dir.to_owned(), segments, whole: whole as u64 })
    }

    /// Opens it to be written on; begins one if there is none. What a crash left unfinished at the very end
    /// is cut off: it was never acknowledged.
    pub(super) fn open(self) -> Result<Journal, String> {
        let Self { dir, segments, whole } = self;
        let open = || match segments.last() {
            None => {
                fs::create_dir_all(&dir)?;
                create(&dir, 0)
            }
            Some(last) => {
                let file = OpenOptions::new().write(true).open(path_of(&dir, last.first))?;
                file.set_len(whole)?;
                file.sync_all()?;
                Ok(file)
            }
        };
        let file = open().map_err(|e: io::Error| format!("the log's journal: {e}"))?;
        Ok(Journal { dir, file, durable: whole, length: whole, broken: None })
    }
}

/// Why an append failed. In every case nothing of it is in the log.
#[derive(Debug)]
pub(super) enum AppendError {
    /// No space.
    Full,
    /// Anything else.
    Failed(String),
}

/// Zeros that are written ahead: a few thousand entries.
const ROOM: usize = 1 << 20;
/// Free bytes on the disk above which zeros are written ahead.
const PLENTY: u64 = 64 << 20;
/// Zeros that a probe writes: more than a block of any file system.
const PROBE: usize = 64 << 10;
const MAGIC: &[u8; 4] = b"CSG1";
const GROUP_HEAD: usize = 16;

impl Journal {
    /// Adds a group of entries, in the form of a bundle, and returns when they are on the disk.
    pub(super) fn append(&mut self, entries: &[u8]) -> Result<(), AppendError> {
        if let Some(why) = &self.broken {
            return Err(AppendError::Failed(why.clone()));
        }
        let group = group(entries).ok_or_else(|| AppendError::Failed("the group is too large".into()))?;
        self.make_room(group.len() as u64);
        failpoint::pass("log-before-append");
        let written =
            failpoint::check("journal-write").and_then(|()| self.file.write_all_at(&group, self.durable));
        if let Err(error) = written {
            // What was written in part was not acknowledged: take it back.
            if self.cut().is_err() {
                self.broken =
                    Some("a write failed and could not be taken back; restart when the disk is well".into());
            }
            return Err(append_error(&error));
        }
        failpoint::pass("log-after-append");
        let synced = failpoint::check("journal-sync").and_then(|()| self.file.sync_data());
        if let Err(error) = synced {
            let _ = self.cut();
            self.broken = Some(format!("a sync failed ({error}); restart when the disk is well"));
            return Err(append_error(&error));
        }
        failpoint::pass("log-after-sync");
        self.durable += group.len() as u64;
        self.length = self.length.max(self.durable);
        Ok(())
    }

    /// Tries a write and a sync behind the last group, of zeros: no entry, and what the next group covers.
    pub(super) fn probe(&mut self) -> Result<(), AppendError> {
        if let Some(why) = &self.broken {
            return Err(AppendError::Failed(why.clone()));
        }
        let zeros = vec![0; PROBE];
        let written = failpoint::check("journal-write")
            .and_then(|()| self.file.write_all_at(&zeros, self.durable))
            .and_then(|()| failpoint::check("journal-sync"))
            .and_then(|()| self.file.sync_all());
        match written {
            Ok(()) => {
                self.length = self.length.max(self.durable + zeros.len() as u64);
                Ok(())
            }
            // Nothing that was acknowledged was touched, so the next group may try its own luck.
            Err(error) => {
                let _ = self.cut();
                Err(append_error(&error))
            }
        }
    }

    /// Lengthens the file by zeros, if `bytes` more do not fit. Best effort, and not on a disk that is nearly
    /// full: what is left is for groups and tiles.
    fn make_room(&mut self, bytes: u64) {
        let plenty =
            || rustix::fs::fstatvfs(&self.file).is_ok_and(|disk| disk.f_bavail * disk.f_frsize > PLENTY);
        if self.durable + bytes <= self.length || !plenty() {
            return;
        }
        let zeros = vec![0; ROOM + bytes as usize];
        let written = self.file.write_all_at(&zeros, self.durable).and_then(|()| self.file.sync_all());
        if written.is_ok() {
            self.length = self.durable + zeros.len() as u64;
        } else {
            let _ = self.cut();
        }
    }

    /// Cuts off what is not known to be on the disk.
    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.durable)?;
        self.length = self.durable;
        Ok(())
    }

    /// Leaves the file as long as its content.
    pub(super) fn close(&mut self) {
        // What stays is zeros, which the next start cuts off.
        let _ = self.cut();
    }

    /// Bytes in the segment that grows.
    pub(super) fn segment_bytes(&self) -> u64 {
        self.durable
    }

    /// Goes on in a new segment that begins with entry `first`: the number of entries written so far, so
    /// that the segment before ends where this one begins.
    pub(super) fn rotate(&mut self, first: u64) -> io::Result<()> {
        match create(&self.dir, first) {
            Ok(file) => {
                self.close();
                self.file = file;
                self.durable = 0;
                self.length = 0;
                Ok(())
            }
            Err(error) => {
                // The old segment goes on. A new one beside it would look like a gap at the next start.
                if remove(&self.dir, first).is_err() {
                    self.broken = Some(format!(
                        "a segment of the journal could not be made ({error}) nor taken back; restart when \
                         the disk is well"
                    ));
                }
                Err(error)
            }
        }
    }
}

/// Deletes the segments that end before entry `first`, the oldest first.
pub(super) fn remove_before(dir: &Path, first: u64) -> io::Result<()> {
    for number in segment_numbers(dir)?.into_iter().filter(|n| *n < first) {
        remove(dir, number)?;
    }
    Ok(())
}

/// Deletes a segment, if it is there; it does not come back after a crash.
fn remove(dir: &Path, first: u64) -> io::Result<()> {
    match fs::remove_file(path_of(dir, first)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => File::open(dir)?.sync_all(),
    }
}

impl Segment {
    /// The entries, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &[u8]> {
        let mut groups = self.bytes.as_slice();
        let mut entries: &[u8] = &[];
        std::iter::from_fn(move || {
            if entries.is_empty() {
                (entries, groups) = split_group(groups)?;
            }
            let (entry, rest) = split_entry(entries)?;
            entries = rest;
            Some(entry)
        })
    }

    fn whole_groups(&self) -> usize {
        let mut rest = self.bytes.as_slice();
        while let Some((_, after)) = split_group(rest) {
            rest = after;
        }
        self.bytes.len() - rest.len()
    }
}

fn group(entries: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(entries.len()).ok()?;
    let mut group = Vec::with_capacity(GROUP_HEAD + entries.len());
    group.extend_from_slice(MAGIC);
    group.extend_from_slice(&length.to_be_bytes());
    group.extend_from_slice(&sha256(entries)[..8]);
    group.extend_from_slice(entries);
    Some(group)
}

/// The entries of the first group, if it is whole, and what comes after it.
fn split_group(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(GROUP_HEAD)?;
    let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    let (entries, after) = rest.split_at_checked(length as usize)?;
    let whole = length > 0 && head.starts_with(MAGIC) && sha256(entries)[..8] == head[8..];
    whole.then_some((entries, after))
}

/// Whether a whole group begins anywhere in `bytes`. No entry has the magic in it at random: entries are
/// text without line ends, and what looks like a group must have the right hash.
fn holds_group(bytes: &[u8]) -> bool {
    let starts = bytes.windows(MAGIC.len()).enumerate().filter(|(_, window)| *window == MAGIC);
    starts.take(MAX_STARTS).any(|(at, _)| split_group(&bytes[at..]).is_some())
}

/// Places that may look like groups in an unfinished one: a bound on the work for bytes of whatever origin.
const MAX_STARTS: usize = 4096;

fn split_entry(entries: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = entries.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

fn create(dir: &Path, first: u64) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(path_of(dir, first))?;
    failpoint::check("journal-create")?;
    file.sync_all()?;
    File::open(dir)?.sync_all()?;
    Ok(file)
}

fn path_of(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}"))
}

fn segment_numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(numbers),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name();
        if let Some(number) = name.to_str().filter(|n| n.len() == 20).and_then(|n| n.parse().ok()) {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn append_error(error: &io::Error) -> AppendError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            AppendError::Full
        }
        _ => AppendError::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(entries: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for entry in entries {
            countersign_tlog::tile::push_entry(&mut out, entry).unwrap();
        }
        out
    }

    fn groups(groups: &[&[&[u8]]]) -> Vec<u8> {
        groups.iter().flat_map(|entries| group(&bundle(entries)).unwrap()).collect()
    }

    fn read_back(dir: &Path) -> Vec<(u64, Vec<Vec<u8>>)> {
        let segments = ReadBack::of(dir).unwrap().segments;
        segments.iter().map(|s| (s.first, s.entries().map(<[u8]>::to_vec).collect())).collect()
    }

    #[test]
    fn entries_come_back_in_order_over_segments() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = ReadBack::of(dir.path()).unwrap().open().unwrap();
        journal.append(&bundle(&[b"a", b"bb"])).unwrap();
        journal.rotate(2).unwrap();
        journal.append(&bundle(&[b"c"])).unwrap();
        let wanted = vec![(0, vec![b"a".to_vec(), b"bb".to_vec()]), (2, vec![b"c".to_vec()])];
        assert_eq!(read_back(dir.path()), wanted);
        remove_before(dir.path(), 2).unwrap();
        assert_eq!(read_back(dir.path()), wanted[1..]);
    }

    #[test]
    fn an_unfinished_end_is_cut_off_wherever_the_crash_was() {
        let whole = groups(&[&[b"first"], &[b"second", b"third"]]);
        let first = groups(&[&[b"first"]]).len();
        for cut in first..whole.len() {
            let dir = tempfile::tempdir().unwrap();
            fs::write(path_of(dir.path(), 0), &whole[..cut]).unwrap();
            assert_eq!(read_back(dir.path()), [(0, vec![b"first".to_vec()])], "cut at {cut}");
            let mut journal = ReadBack::of(dir.path()).unwrap().open().unwrap();
            journal.append(&bundle(&[b"again"])).unwrap();
            assert_eq!(read_back(dir.path()), [(0, vec![b"first".to_vec(), b"again".to_vec()])]);
        }
    }

    #[test]
    fn a_probe_leaves_zeros_that_the_next_group_covers() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = ReadBack::of(dir.path()).unwrap().open().unwrap();
        for entry in [b"a", b"b"] {
            journal.probe().unwrap();
            journal.append(&bundle(&[entry])).unwrap();
            journal.probe().unwrap();
        }
        assert_eq!(read_back(dir.path()), [(0, vec![b"a".to_vec(), b"b".to_vec()])]);
        journal.close();
        let length = fs::metadata(path_of(dir.path(), 0)).unwrap().len();
        assert_eq!(length, groups(&[&[b"a"], &[b"b"]]).len() as u64);
    }

    #[test]
    fn zeros_after_a_crash_are_not_entries() {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = groups(&[&[b"first"]]);
        bytes.extend_from_slice(&[0; 4096]);
        fs::write(path_of(dir.path(), 0), bytes).unwrap();
        assert_eq!(read_back(dir.path()), [(0, vec![b"first".to_vec()])]);
    }

    #[test]
    fn damage_before_the_last_segment_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(path_of(dir.path(), 0), &groups(&[&[b"first"]])[..8]).unwrap();
        fs::write(path_of(dir.path(), 1), groups(&[&[b"second"]])).unwrap();
        assert!(ReadBack::of(dir.path()).is_err());
    }

    #[test]
    fn an_unfinished_group_is_cut_off_in_whatever_order_its_bytes_came() {
        let whole = groups(&[&[b"first"], &[b"second", b"third"]]);
        let first = groups(&[&[b"first"]]).len();
        for at in first..whole.len() {
            let dir = tempfile::tempdir().unwrap();
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            fs::write(path_of(dir.path(), 0), bytes).unwrap();
            assert_eq!(read_back(dir.path()), [(0, vec![b"first".to_vec()])], "byte {at}");
        }
    }

    #[test]
    fn damage_before_a_whole_group_is_refused() {
        let whole = groups(&[&[b"first"], &[b"second"], &[b"third"]]);
        let last = groups(&[&[b"first"], &[b"second"]]).len();
        for at in 0..last {
            let dir = tempfile::tempdir().unwrap();
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            fs::write(path_of(dir.path(), 0), bytes).unwrap();
            assert!(ReadBack::of(dir.path()).is_err(), "byte {at}");
        }
    }
}
