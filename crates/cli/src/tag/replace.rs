//! A file takes the place of another, which is kept as `FILE.bak`.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Puts `bytes` in the place of `file` with mode 0644 less umask; the old file becomes `FILE.bak`.
///
/// At every instant there is a whole file at `file`: the old one or, synced, the new one.
///
/// # Errors
/// If any of it fails; then `file` is as it was.
pub fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = beside(file, &format!(".{}.new", std::process::id()));
    let result = write_new(&new, bytes).and_then(|()| swap(file, &new));
    if result.is_err() {
        let _ = fs::remove_file(&new);
    }
    result?;
    // The swap is done. Not every file system can sync a directory, and there is nothing to take back.
    let directory = file.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn swap(file: &Path, new: &Path) -> io::Result<()> {
    let backup = beside(file, ".bak");
    // A second name for the old file first, so that there is never none.
    let second = beside(file, &format!(".{}.old", std::process::id()));
    if fs::hard_link(file, &second).is_ok() {
        let renamed = fs::rename(&second, &backup);
        // Still there after an error, and when the backup is this very file already.
        let _ = fs::remove_file(&second);
        renamed?;
        return fs::rename(new, file);
    }
    // A file system without hard links.
    fs::rename(file, &backup)?;
    fs::rename(new, file).inspect_err(|_| {
        let _ = fs::rename(&backup, file);
    })
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(directory: &Path) -> Vec<String> {
        let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_old_file_is_kept_and_an_older_backup_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a");
        fs::write(&file, "one").unwrap();
        replace(&file, b"two").unwrap();
        replace(&file, b"three").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"three");
        assert_eq!(fs::read(directory.path().join("a.bak")).unwrap(), b"two");
        assert_eq!(listing(directory.path()), ["a", "a.bak"]);
    }

    #[test]
    fn a_backup_that_is_the_file_itself_does_no_harm() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a");
        fs::write(&file, "one").unwrap();
        fs::hard_link(&file, directory.path().join("a.bak")).unwrap();
        replace(&file, b"two").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::read(directory.path().join("a.bak")).unwrap(), b"one");
        assert_eq!(listing(directory.path()), ["a", "a.bak"]);
    }

    #[test]
    fn when_the_backup_cannot_be_made_nothing_is_touched() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a");
        fs::write(&file, "one").unwrap();
        fs::create_dir(directory.path().join("a.bak")).unwrap();
        assert!(replace(&file, b"two").is_err());
        assert_eq!(fs::read(&file).unwrap(), b"one");
        assert_eq!(listing(directory.path()), ["a", "a.bak"]);
    }
}
