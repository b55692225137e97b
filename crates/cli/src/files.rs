//! Files that are read and written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use countersign_model::digest::{Digest, HashAlg, Hasher};
use indicatif::{ProgressBar, ProgressStyle};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Larger than any key, policy, proof or certificate.
const MAX_SMALL: u64 = 4 << 20;

/// A progress bar is shown from this length on: below, hashing takes less than a quarter of a second.
const LONG: u64 = 256 << 20;

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Whom the umask allows.
    Public,
    /// The owner alone.
    Private,
}

/// Whether a path stands for standard input or output.
pub fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Opens a file, or standard input for `-`. With it comes the length, where it is known.
///
/// # Errors
/// If it cannot be opened or is a directory.
pub fn open(path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>), Failure> {
    if is_dash(path) {
        return Ok((Box::new(io::stdin()), None));
    }
    let failed = |error| Failure::file("read", path, &error);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(Failure::unknown(format!("cannot read `{}`: it is a directory", path.display()))
            .hint("sign an archive of it: `tar c DIR | countersign sign - …`"));
    }
    Ok((Box::new(file), metadata.is_file().then_some(metadata.len())))
}

/// Reads a short file, which may be secret, or standard input for `-`.
///
/// # Errors
/// If it cannot be read or is larger than 4 MiB.
pub fn read_small(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let (file, length) = open(path)?;
    // Sized for the whole, so that no copies are left behind as it grows.
    let capacity = length.map_or(1 << 16, |length| length.min(MAX_SMALL) as usize + 1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(MAX_SMALL + 1).read_to_end(&mut bytes).map_err(|error| Failure::file("read", path, &error))?;
    if bytes.len() as u64 > MAX_SMALL {
        return Err(Failure::unknown(format!("`{}` is larger than 4 MiB", path.display())));
    }
    Ok(bytes)
}

/// Reads a file of at most `limit` bytes that a scheme without a hash signs whole.
///
/// # Errors
/// If it cannot be read or is larger.
pub fn read_whole(path: &Path, limit: u64) -> Result<Bytes, Failure> {
    let (file, _) = open(path)?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| Failure::file("read", path, &error))?;
    if bytes.len() as u64 > limit {
        return Err(Failure::refused(format!(
            "`{}` is larger than {} MiB, which a scheme without a hash cannot sign",
            path.display(),
            limit >> 20
        ))
        .hint("sign a digest of it, or use a key of another type"));
    }
    Ok(bytes.into())
}

/// Hashes a file as it is read, in fixed memory, with a progress bar when it is long.
///
/// # Errors
/// If it cannot be read.
pub fn hash(path: &Path, alg: HashAlg) -> Result<Digest, Failure> {
    measure(path, alg).map(|(digest, _)| digest)
}

/// As [`hash`], with the number of bytes that were hashed.
///
/// # Errors
/// As [`hash`].
pub fn measure(path: &Path, alg: HashAlg) -> Result<(Digest, u64), Failure> {
    let mut hasher = Hasher::new(alg);
    let mut bytes = 0;
    feed(path, |piece| {
        hasher.update(piece);
        bytes += piece.len() as u64;
        ControlFlow::Continue(())
    })?;
    Ok((hasher.finish(), bytes))
}

/// Reads a file in pieces, in fixed memory, with a progress bar when it is long; `each` may end it early.
///
/// # Errors
/// If it cannot be read.
pub fn feed(path: &Path, mut each: impl FnMut(&[u8]) -> ControlFlow<()>) -> Result<(), Failure> {
    let (mut file, length) = open(path)?;
    let bar = progress(path, length);
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                bar.inc(n as u64);
                if each(&buffer[..n]).is_break() {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::file("read", path, &error)),
        }
    }
    bar.finish_and_clear();
    Ok(())
}

fn progress(path: &Path, length: Option<u64>) -> ProgressBar {
    match length {
        Some(length) if length >= LONG && io::stderr().is_terminal() => {
            let style = ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {eta}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(length).with_style(style).with_message(path.display().to_string())
        }
        _ => ProgressBar::hidden(),
    }
}

/// Writes a file so that either the old or the new one is there: beside it, synced, renamed.
///
/// # Errors
/// If it cannot be written.
pub fn write(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), Failure> {
    let mut making = Making::begin(path, mode)?;
    making.file().write_all(bytes).map_err(|error| Failure::file("write", path, &error))?;
    making.finish()
}

/// As [`write()`], but durable only after [`make_durable`]: for many files.
///
/// # Errors
/// If it cannot be written.
pub fn write_of_many(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), Failure> {
    let mut making = Making::begin(path, mode)?;
    let done = making.file.write_all(bytes).and_then(|()| fs::rename(&making.beside, path));
    done.map_err(|error| Failure::file("write", path, &error))
}

/// Makes durable what was written to the file system of `directory`.
///
/// # Errors
/// If the file system refuses.
pub fn make_durable(directory: &Path) -> Result<(), Failure> {
    let synced = File::open(directory).and_then(|opened| Ok(rustix::fs::syncfs(opened)?));
    synced.map_err(|error| Failure::file("write", directory, &error))
}

/// A file in the making, beside the place that it takes when it is whole. Dropped before, it leaves
/// nothing behind.
pub struct Making {
    path: PathBuf,
    beside: PathBuf,
    file: File,
}

impl Making {
    /// Begins a file that will be at `path`.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn begin(path: &Path, mode: Mode) -> Result<Self, Failure> {
        let beside = beside(path);
        let file = create_new(&beside, mode).map_err(|error| Failure::file("write", path, &error))?;
        Ok(Self { path: path.to_owned(), beside, file })
    }

    /// What to write to.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Makes what was written durable, and opens it from its beginning.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn read_back(&self) -> Result<File, Failure> {
        let opened = self.file.sync_all().and_then(|()| File::open(&self.beside));
        opened.map_err(|error| Failure::file("read back", &self.path, &error))
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn finish(self) -> Result<(), Failure> {
        let finish = || {
            self.file.sync_all()?;
            fs::rename(&self.beside, &self.path)?;
            let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
        };
        finish().map_err(|error| Failure::file("write", &self.path, &error))
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        // Not there any more if it was finished.
        let _ = fs::remove_file(&self.beside);
    }
}

/// Writes a file that must not be there yet: a secret must not take the place of another.
///
/// # Errors
/// If it is there, or cannot be written.
pub fn write_new(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), Failure> {
    write_new_file(path, bytes, mode).map_err(|error| {
        let failure = Failure::file("write", path, &error);
        if error.kind() == io::ErrorKind::AlreadyExists {
            failure.hint("choose another name")
        } else {
            failure
        }
    })
}

fn write_new_file(path: &Path, bytes: &[u8], mode: Mode) -> io::Result<()> {
    let mut file = create_new(path, mode)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn create_new(path: &Path, mode: Mode) -> io::Result<File> {
    let bits = if mode == Mode::Private { 0o600 } else { 0o666 };
    OpenOptions::new().write(true).create_new(true).mode(bits).open(path)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}

/// `path` with `suffix` after the whole of its name: `a.tar` and `.sig` make `a.tar.sig`.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_hashes_as_its_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let bytes = vec![7; (1 << 18) + 5];
        fs::write(&path, &bytes).unwrap();
        let digest = HashAlg::Sha384.digest(&bytes);
        assert_eq!(hash(&path, HashAlg::Sha384).unwrap(), digest);
        assert_eq!(measure(&path, HashAlg::Sha384).unwrap(), (digest, bytes.len() as u64));
    }

    #[test]
    fn a_private_file_is_for_its_owner_and_takes_no_others_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        write_new(&path, b"x", Mode::Private).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(write_new(&path, b"y", Mode::Private).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"x");
    }

    #[test]
    fn writing_replaces_and_leaves_nothing_beside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sig");
        write(&path, b"one", Mode::Public).unwrap();
        write(&path, b"two", Mode::Public).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_in_the_making_takes_its_place_when_it_is_whole_and_leaves_nothing_when_it_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.backup");
        fs::write(&path, b"old").unwrap();
        let mut making = Making::begin(&path, Mode::Private).unwrap();
        making.file().write_all(b"ha").unwrap();
        drop(making);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let mut making = Making::begin(&path, Mode::Private).unwrap();
        making.file().write_all(b"new").unwrap();
        assert_eq!(io::read_to_string(making.read_back().unwrap()).unwrap(), "new");
        making.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_too_long_for_its_scheme_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, [0; 11]).unwrap();
        assert_eq!(read_whole(&path, 11).unwrap().len(), 11);
        assert_eq!(read_whole(&path, 10).unwrap_err().code(), 1);
    }

    #[test]
    fn a_suffix_comes_after_the_whole_name() {
        assert_eq!(with_suffix(Path::new("d/a.tar"), ".sig"), Path::new("d/a.tar.sig"));
    }
}
