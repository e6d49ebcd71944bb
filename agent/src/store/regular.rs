//! Files of the data folder, opened so that whatever lies in the place of one holds nobody up: a pipe would be waited
//! for without end, and a device may have none.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Largest file that is read whole. One of ours has a few hundred KiB at most, but for lists of 10,000 names.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Opens a file to read it.
///
/// # Errors
/// Where it is no regular file, and whatever the system says.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    open_with(path, OpenOptions::new().read(true))
}

/// Opens a file as `options` say, without waiting for anybody.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_with(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = options.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
    }
}

/// Reads a whole file.
///
/// # Errors
/// As [`open`]; and where it is larger than any of ours.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = open(path)?.take(MAX_BYTES.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read <= MAX_BYTES) {
        Ok(bytes)
    } else {
        Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 16 MiB"))
    }
}

/// Reads a whole file of text.
///
/// # Errors
/// As [`read`]; and where it is no UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|_bytes| io::Error::new(io::ErrorKind::InvalidData, "it is no UTF-8"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn reads_files_and_nothing_that_has_no_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "text").unwrap();
        symlink(path("file"), path("link")).unwrap();
        for name in ["file", "link"] {
            assert_eq!(read_text(&path(name)).unwrap(), "text", "{name}");
        }
        symlink("/dev/zero", path("zero")).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for (name, said) in [("zero", "it is no regular file"), ("pipe", "it is no regular file")] {
            assert_eq!(read(&path(name)).unwrap_err().to_string(), said, "{name}");
            let written = open_with(&path(name), OpenOptions::new().read(true).append(true));
            assert_eq!(written.unwrap_err().to_string(), said, "{name}");
        }
        File::create(path("huge")).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert_eq!(read(&path("huge")).unwrap_err().to_string(), "it has more than 16 MiB");
        File::create(path("large")).unwrap().set_len(MAX_BYTES).unwrap();
        assert_eq!(read(&path("large")).unwrap().len(), 16 * 1024 * 1024);
        std::fs::write(path("bytes"), [0xff]).unwrap();
        assert_eq!(read_text(&path("bytes")).unwrap_err().to_string(), "it is no UTF-8");
        assert_eq!(read(&path("nothing")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
