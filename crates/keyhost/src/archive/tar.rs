//! Tar archives of plain files, in memory.
//!
//! Nothing is ever unpacked to a disk, so a hostile name could not reach one; it is refused all the same,
//! because nobody who made the archive in good faith put it there.

use std::collections::BTreeMap;
use std::io::Cursor;

use super::ArchiveError;
use super::buffer::WipedBuffer;

/// The most entries that are read.
pub const MAX_ENTRIES: usize = 20_000;

/// Files by their path, `/` between its parts.
pub type Files<'a> = BTreeMap<String, &'a [u8]>;

/// Lists the regular files of an archive. Directories are passed over.
///
/// # Errors
/// [`ArchiveError::Tar`] if the archive is damaged or cut short; [`ArchiveError::Entry`] for a link, a device,
/// a sparse file, a path that is absolute, has `..` or is not UTF-8, and a file that comes twice;
/// [`ArchiveError::TooLarge`] for more than [`MAX_ENTRIES`].
pub fn read(archive: &[u8]) -> Result<Files<'_>, ArchiveError> {
    let mut files = Files::new();
    let mut reader = ::tar::Archive::new(Cursor::new(archive));
    for (count, entry) in reader.entries().map_err(|_| ArchiveError::Tar)?.enumerate() {
        if count == MAX_ENTRIES {
            return Err(ArchiveError::TooLarge);
        }
        let entry = entry.map_err(|_| ArchiveError::Tar)?;
        let path = clean_path(&entry.path_bytes())?;
        match entry.header().entry_type() {
            ::tar::EntryType::Directory => continue,
            ::tar::EntryType::Regular | ::tar::EntryType::Continuous => {}
            _ => return Err(refused(&path, "it is neither a file nor a directory")),
        }
        let content = content(archive, entry.raw_file_position(), entry.size()).ok_or(ArchiveError::Tar)?;
        if path.is_empty() || files.insert(path.clone(), content).is_some() {
            return Err(refused(&path, "it comes twice"));
        }
    }
    Ok(files)
}

fn content(archive: &[u8], position: u64, size: u64) -> Option<&[u8]> {
    let start = usize::try_from(position).ok()?;
    archive.get(start..start.checked_add(usize::try_from(size).ok()?)?)
}

/// A path of plain parts. A leading `./`, which some archivers write, and a final `/` of a directory are cut.
fn clean_path(bytes: &[u8]) -> Result<String, ArchiveError> {
    let path = std::str::from_utf8(bytes)
        .map_err(|_| refused(&String::from_utf8_lossy(bytes), "its name is not UTF-8"))?;
    let inner = path.strip_suffix('/').unwrap_or(path);
    let inner = inner.strip_prefix("./").unwrap_or(inner);
    if matches!(inner, "" | ".") && !path.starts_with('/') {
        return Ok(String::new());
    }
    if inner.split('/').any(|part| matches!(part, "" | "." | "..")) || inner.contains(['\0', '\\']) {
        return Err(refused(path, "its path leaves the archive or has empty parts"));
    }
    Ok(inner.to_owned())
}

fn refused(path: &str, why: &'static str) -> ArchiveError {
    let path = path.chars().take(80).flat_map(char::escape_debug).collect();
    ArchiveError::Entry { path, why }
}

/// What contents are padded to.
const BLOCK: usize = 512;

/// Writes an archive: directories first, then files, all as of one time.
pub(super) struct Writer {
    builder: ::tar::Builder<WipedBuffer>,
    time: u64,
}

impl Writer {
    pub(super) fn new(time: u64) -> Self {
        Self { builder: ::tar::Builder::new(WipedBuffer::new()), time }
    }

    pub(super) fn directory(&mut self, path: &str, mode: u32) -> Result<(), ArchiveError> {
        let mut header = self.header(::tar::EntryType::Directory, mode, 0);
        self.builder.append_data(&mut header, path, std::io::empty()).map_err(failed)
    }

    pub(super) fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<(), ArchiveError> {
        let mut header = self.header(::tar::EntryType::Regular, mode, content.len() as u64);
        self.builder.append_data(&mut header, path, std::io::empty()).map_err(failed)?;
        // Not through the library, which copies by a buffer that nobody wipes: the content may be a key.
        let archive = self.builder.get_mut();
        archive.push(content);
        archive.push(&[0; BLOCK][..content.len().next_multiple_of(BLOCK) - content.len()]);
        Ok(())
    }

    pub(super) fn finish(self) -> Result<WipedBuffer, ArchiveError> {
        self.builder.into_inner().map_err(failed)
    }

    fn header(&self, entry_type: ::tar::EntryType, mode: u32, size: u64) -> ::tar::Header {
        let mut header = ::tar::Header::new_gnu();
        header.set_entry_type(entry_type);
        header.set_mode(mode);
        header.set_size(size);
        header.set_mtime(self.time);
        header.set_uid(0);
        header.set_gid(0);
        header
    }
}

fn failed(error: std::io::Error) -> ArchiveError {
    ArchiveError::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&[u8], ::tar::EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = ::tar::Builder::new(Vec::new());
        for (path, entry_type, content) in entries {
            let mut header = ::tar::Header::new_gnu();
            header.as_mut_bytes()[..path.len()].copy_from_slice(path);
            header.set_entry_type(*entry_type);
            header.set_size(content.len() as u64);
            header.set_mode(0o600);
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    const FILE: ::tar::EntryType = ::tar::EntryType::Regular;

    #[test]
    fn files_are_listed_and_directories_passed_over() {
        let bytes = archive(&[
            (b"x509/", ::tar::EntryType::Directory, b""),
            (b"x509/a.crt", FILE, b"one"),
            (b"./gpg/pubring.kbx", FILE, b"two"),
            (b"./", ::tar::EntryType::Directory, b""),
        ]);
        let expected = Files::from([("gpg/pubring.kbx".into(), &b"two"[..]), ("x509/a.crt".into(), b"one")]);
        assert_eq!(read(&bytes).unwrap(), expected);
    }

    #[test]
    fn names_that_leave_the_archive_are_refused() {
        for bad in [
            &b"/etc/passwd"[..],
            b"../x",
            b"a/../b",
            b"a/..",
            b"..",
            b"a//b",
            b"a/./b",
            b"/",
            b"a\\b",
            b"\xff",
        ] {
            let bytes = archive(&[(bad, FILE, b"x")]);
            let refused = read(&bytes);
            assert!(matches!(refused, Err(ArchiveError::Entry { .. })), "{bad:?}: {refused:?}");
        }
    }

    #[test]
    fn links_devices_and_doubles_are_refused() {
        use ::tar::EntryType;
        for bad in [EntryType::Symlink, EntryType::Link, EntryType::Char, EntryType::Block, EntryType::Fifo] {
            let bytes = archive(&[(b"x509/a.key", bad, b"")]);
            assert!(matches!(read(&bytes), Err(ArchiveError::Entry { .. })), "{bad:?}");
        }
        let twice = archive(&[(b"a", FILE, b"1"), (b"./a", FILE, b"2")]);
        assert!(matches!(read(&twice), Err(ArchiveError::Entry { .. })));
    }

    #[test]
    fn a_size_that_is_only_announced_is_refused() {
        let mut bytes = archive(&[(b"a", FILE, &[7; 100])]);
        bytes.truncate(512 + 50);
        assert_eq!(read(&bytes).unwrap_err(), ArchiveError::Tar);
        let mut header = ::tar::Header::new_gnu();
        header.set_path("a").unwrap();
        header.set_size(u64::MAX / 2);
        header.set_cksum();
        assert_eq!(read(header.as_bytes()).unwrap_err(), ArchiveError::Tar);
        assert_eq!(read(&[1; 600]).unwrap_err(), ArchiveError::Tar);
    }

    #[test]
    fn what_is_written_is_read_again_also_with_long_names() {
        let long = format!("x509/{}.PK.auth", "a".repeat(120));
        let mut writer = Writer::new(1_700_000_000);
        writer.directory("x509", 0o755).unwrap();
        writer.file(&long, 0o600, b"auth").unwrap();
        let (block, larger) = ([7; 512], [8; 513]);
        writer.file("block", 0o600, &block).unwrap();
        writer.file("empty", 0o600, b"").unwrap();
        writer.file("larger", 0o600, &larger).unwrap();
        let bytes = writer.finish().unwrap();
        let expected =
            [(long.as_str(), &b"auth"[..]), ("block", &block), ("empty", b""), ("larger", &larger)];
        let expected: Files<'_> = expected.map(|(path, content)| (path.to_owned(), content)).into();
        assert_eq!(read(bytes.as_slice()).unwrap(), expected);
    }
}
