//! `[storage] require_mount`: data that belongs on a disk of its own is not written beside it.
//!
//! An encrypted disk is opened and mounted by the system. When that failed, the directory is there all the same,
//! empty and on the disk below: a server that starts then would begin a new deployment in it.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

/// Why the data directory is not where it must be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// Nothing is mounted there.
    #[error("nothing is mounted on `{path}`", path = .0.display())]
    NotMounted(PathBuf),
    /// The data directory is on another file system.
    #[error("the data directory `{data}` is not in `{mount}`", data = data.display(), mount = mount.display())]
    Outside {
        /// The data directory.
        data: PathBuf,
        /// What `require_mount` says.
        mount: PathBuf,
    },
    /// A path cannot be looked at.
    #[error("cannot look at `{path}`: {error}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl MountError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotMounted(_) => {
                "open and mount the disk, then start again; `[storage] require_mount` asks for it"
            }
            Self::Outside { .. } => "give a data directory on that disk with `--data`",
            Self::File { .. } => "`[storage] require_mount` names a directory that the server can read",
        }
    }
}

/// Checks that something is mounted on `mount` and that `data` lies in it, or will when it is made.
///
/// # Errors
/// [`MountError`].
pub fn check(mount: &Path, data: &Path) -> Result<(), MountError> {
    let root = canonical(mount)?;
    let mounted = is_mount_point(&root).map_err(|error| MountError::File { path: root.clone(), error })?;
    if !mounted {
        return Err(MountError::NotMounted(mount.to_owned()));
    }
    let absolute =
        std::path::absolute(data).map_err(|error| MountError::File { path: data.to_owned(), error })?;
    // At the first start it is not there yet.
    let there = absolute.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    if canonical(there)?.starts_with(&root) {
        Ok(())
    } else {
        Err(MountError::Outside { data: data.to_owned(), mount: mount.to_owned() })
    }
}

fn canonical(path: &Path) -> Result<PathBuf, MountError> {
    path.canonicalize().map_err(|error| MountError::File { path: path.to_owned(), error })
}

/// A bind mount has its parent's device number, so the kernel is asked; one before Linux 5.8 does not say, and
/// then device numbers must do.
fn is_mount_point(path: &Path) -> io::Result<bool> {
    if let Ok(found) = statx(CWD, path, AtFlags::empty(), StatxFlags::empty())
        && found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
    {
        return Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT));
    }
    let Some(parent) = path.parent() else { return Ok(true) };
    Ok(path.metadata()?.dev() != parent.metadata()?.dev())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_is_told_from_a_directory() {
        for (path, mounted) in [("/", true), ("/proc", true), ("/proc/self", false), ("/usr", false)] {
            let found = is_mount_point(&Path::new(path).canonicalize().unwrap()).unwrap();
            assert_eq!(found, mounted, "{path}");
        }
    }

    #[test]
    fn data_that_is_not_on_the_mounted_disk_is_refused_also_before_it_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let new = dir.path().join("not/made/yet");
        assert!(check(Path::new("/"), &new).is_ok());
        assert!(matches!(check(Path::new("/proc"), &new), Err(MountError::Outside { .. })));
        assert!(matches!(check(dir.path(), &new), Err(MountError::NotMounted(_))));
        assert!(matches!(check(&new, &new), Err(MountError::File { .. })));
        // A link to elsewhere is elsewhere.
        std::os::unix::fs::symlink("/proc", dir.path().join("link")).unwrap();
        assert!(check(Path::new("/proc"), &dir.path().join("link")).is_ok());
    }
}
