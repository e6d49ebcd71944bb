//! Small files: read whole, and written so that a crash at any point leaves the old one or the new one.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::StoreError;

/// What happens to a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It stays, and the write is refused.
    Keep,
    /// The new file takes its place in one step.
    Replace,
}

/// Names of temporary files begin with this, so that a sweep finds those that a crash has left.
const TEMPORARY: &str = ".new-";

fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StoreError + use<'a> {
    move |source| StoreError::Io { action, path: path.to_owned(), source }
}

/// What the file says; nothing where there is none.
///
/// # Errors
/// [`StoreError::Io`].
pub(crate) fn read(path: &Path) -> Result<Option<String>, StoreError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("reading", path)(error)),
    }
}

/// Writes `bytes` to `path` with mode 0600: temporary file, fsync, rename, fsync of the folder.
///
/// # Errors
/// [`StoreError::Exists`] where a file is there that must stay; [`StoreError::Io`]. Nothing has changed
/// then, unless the folder's own fsync failed.
pub(crate) fn write(path: &Path, bytes: &[u8], existing: Existing) -> Result<(), StoreError> {
    let folder = folder_of(path);
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .tempfile_in(folder)
        .map_err(failed("making a temporary file beside", path))?;
    file.write_all(bytes).map_err(failed("writing", path))?;
    file.as_file().sync_all().map_err(failed("syncing", path))?;
    let renamed = match existing {
        Existing::Keep => file.persist_noclobber(path),
        Existing::Replace => file.persist(path),
    };
    renamed.map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => StoreError::Exists { path: path.to_owned() },
        _ => failed("renaming to", path)(error.error),
    })?;
    sync_folder(folder)
}

/// As [`write()`], for a file that a person has named: where a link stands there, what it leads to is replaced, and
/// what is no regular file is left alone. A rename would put a file into the place of a device.
///
/// # Errors
/// [`StoreError::NoFile`], [`StoreError::Io`].
pub(crate) fn write_named(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    match std::fs::canonicalize(path) {
        Ok(real) if real.is_file() => write(&real, bytes, Existing::Replace),
        Ok(_) => Err(StoreError::NoFile { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => write(path, bytes, Existing::Replace),
        Err(error) => Err(failed("looking at", path)(error)),
    }
}

/// Deletes `path`, durably.
///
/// # Errors
/// [`StoreError::Absent`], [`StoreError::Io`].
pub(crate) fn remove(path: &Path) -> Result<(), StoreError> {
    std::fs::remove_file(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => StoreError::Absent { path: path.to_owned() },
        _ => failed("deleting", path)(source),
    })?;
    sync_folder(folder_of(path))
}

/// Makes a folder that only this user can enter, and those above it where they are missing.
///
/// # Errors
/// [`StoreError::Io`].
pub(crate) fn make_folder(folder: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("making", folder))
}

/// Deletes temporary files that a crash has left in `folder`. Only its owner may.
///
/// # Errors
/// [`StoreError::Io`].
pub(crate) fn sweep(folder: &Path) -> Result<(), StoreError> {
    for entry in std::fs::read_dir(folder).map_err(failed("reading", folder))? {
        let entry = entry.map_err(failed("reading", folder))?;
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            std::fs::remove_file(entry.path()).map_err(failed("sweeping", &entry.path()))?;
        }
    }
    Ok(())
}

/// Takes the lock that `path` is; `None` where another process has it. It is released when the file
/// is dropped, also by a kill.
///
/// # Errors
/// [`StoreError::Io`].
pub(crate) fn take_lock(path: &Path) -> Result<Option<File>, StoreError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(failed("opening", path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(source)) => Err(failed("locking", path)(source)),
    }
}

/// The folder that `path` is in; a bare name is in the current one.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("syncing the folder", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_existing_file_where_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        write(&path, b"one", Existing::Keep).unwrap();
        assert!(matches!(write(&path, b"two", Existing::Keep), Err(StoreError::Exists { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        write(&path, b"three", Existing::Replace).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
        let entries = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(entries, 1, "no temporary file stays");
    }

    #[test]
    fn replaces_what_a_link_leads_to_and_leaves_alone_what_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        write_named(&path("new"), b"one").unwrap();
        std::os::unix::fs::symlink("new", path("link")).unwrap();
        write_named(&path("link"), b"two").unwrap();
        assert!(std::fs::symlink_metadata(path("link")).unwrap().is_symlink());
        assert_eq!(std::fs::read(path("new")).unwrap(), b"two");
        let socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        std::os::unix::fs::symlink("/dev/null", path("null")).unwrap();
        for name in ["socket", "null", "."] {
            let refused = write_named(&path(name), b"three");
            assert!(matches!(refused, Err(StoreError::NoFile { .. })), "{name}: {refused:?}");
        }
        drop(socket);
    }

    #[test]
    fn knows_the_folder_of_a_bare_name() {
        for (path, folder) in [("rep.html", "."), ("a/rep.html", "a"), ("/rep.html", "/")] {
            assert_eq!(folder_of(Path::new(path)), Path::new(folder), "{path}");
        }
    }

    #[test]
    fn gives_a_lock_to_one_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = take_lock(&path).unwrap();
        assert!(first.is_some());
        assert!(take_lock(&path).unwrap().is_none());
        drop(first);
        assert!(take_lock(&path).unwrap().is_some());
    }

    #[test]
    fn sweeps_what_a_crash_has_left_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".new-abc"), "half").unwrap();
        std::fs::write(folder.path().join("binance.toml"), "whole").unwrap();
        sweep(folder.path()).unwrap();
        let left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["binance.toml"]);
    }
}
