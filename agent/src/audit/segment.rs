//! The files of the log: each is named after the number of its first line, and the last one is written to.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::AuditError;
use super::chain::Head;
use super::line::{Line, MAX_LINE_BYTES};
use crate::store::{atomic, regular};

/// One file that lines are appended to.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    path: PathBuf,
    /// Holds its name, which is not on the disk for certain before the first sync.
    folder: File,
    fresh: AtomicBool,
}

/// What stood behind the last whole line when the log was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Torn {
    pub(super) bytes: u64,
    /// Name of the file in which it was set aside.
    pub(super) file: String,
}

/// The file to go on with.
pub(super) struct Opened {
    pub(super) segment: Segment,
    pub(super) head: Head,
    /// Bytes of whole lines in it.
    pub(super) bytes: u64,
    pub(super) torn: Option<Torn>,
}

const PREFIX: &str = "audit-";
const SUFFIX: &str = ".jsonl";

pub(super) fn failed<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> AuditError + use<'a> {
    move |source| AuditError::Io { action, path: path.to_owned(), source }
}

/// All files of a log, in order. No folder means no files.
///
/// # Errors
/// Where the folder cannot be read.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>, AuditError> {
    Ok(numbered(folder)?.into_iter().map(|(_, path)| path).collect())
}

/// The same, each with the number of its first line.
///
/// # Errors
/// Where the folder cannot be read.
pub(super) fn numbered(folder: &Path) -> Result<Vec<(u64, PathBuf)>, AuditError> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed("reading", folder))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed("reading", folder))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
        if let Some(first) = number.and_then(|number| number.parse::<u64>().ok()) {
            found.push((first, folder.join(&name)));
        }
    }
    found.sort();
    Ok(found)
}

impl Segment {
    fn of(file: File, path: PathBuf) -> Result<Self, AuditError> {
        let folder = File::open(path.parent().unwrap_or(Path::new(".")));
        let folder = folder.map_err(failed("opening the folder of", &path))?;
        Ok(Self { file, path, folder, fresh: AtomicBool::new(true) })
    }

    /// Makes the file whose first line has this number.
    pub(super) fn make(folder: &Path, first: u64) -> Result<Self, AuditError> {
        let path = folder.join(format!("{PREFIX}{first:012}{SUFFIX}"));
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path);
        Self::of(file.map_err(failed("making", &path))?, path)
    }

    /// Opens the log in `folder` where it ends, or begins one. What a crash has left behind the last whole line is
    /// copied into a file of its own first, and then cut off.
    pub(super) fn open_last(folder: &Path) -> Result<Opened, AuditError> {
        let mut paths = files(folder)?;
        let Some(path) = paths.pop() else {
            let segment = Self::make(folder, Head::START.seq.saturating_add(1))?;
            return Ok(Opened { segment, head: Head::START, bytes: 0, torn: None });
        };
        let file = regular::open_with(&path, OpenOptions::new().read(true).append(true));
        let file = file.map_err(failed("opening", &path))?;
        let (last, bytes, rest) = tail(&file).map_err(failed("reading", &path))?;
        let head = match &last {
            Some(text) => read_head(text, &path)?,
            // No line of ours is so long.
            None if bytes > 0 => return Err(AuditError::Foreign { path }),
            // It was begun, and its first line did not come; the last one is in the file before.
            None => match paths.pop() {
                None => Head::START,
                Some(before) => {
                    let file = regular::open(&before).map_err(failed("opening", &before))?;
                    let (text, _, _) = tail(&file).map_err(failed("reading", &before))?;
                    read_head(&text.unwrap_or_default(), &before)?
                }
            },
        };
        let segment = Self::of(file, path)?;
        let torn = if rest.is_empty() { None } else { Some(segment.set_aside(folder, head, bytes, &rest)?) };
        Ok(Opened { segment, head, bytes, torn })
    }

    fn set_aside(&self, folder: &Path, head: Head, bytes: u64, rest: &[u8]) -> Result<Torn, AuditError> {
        let name = format!("torn-{:012}.bin", head.seq.saturating_add(1));
        let path = folder.join(&name);
        let written = atomic::write(&path, rest, atomic::Existing::Replace);
        written
            .map_err(|error| io::Error::other(crate::fault::chain(&error)))
            .map_err(failed("writing", &path))?;
        self.file.set_len(bytes).map_err(failed("cutting", &self.path))?;
        Ok(Torn { bytes: u64::try_from(rest.len()).unwrap_or(u64::MAX), file: name })
    }

    /// Opens this file anew, as far as whole lines were written to it. `None` where it is not there any more, or
    /// somebody has cut it.
    pub(super) fn again(&self, bytes: u64) -> Result<Option<Self>, AuditError> {
        let path = self.path.clone();
        let file = match regular::open_with(&path, OpenOptions::new().append(true)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed("opening", &path))?,
        };
        if file.metadata().map_err(failed("reading", &path))?.len() < bytes {
            return Ok(None);
        }
        file.set_len(bytes).map_err(failed("cutting", &path))?;
        Self::of(file, path).map(Some)
    }

    /// Hands whole lines to the kernel: from then on a kill of this process does not lose them.
    pub(super) fn append(&self, lines: &[u8]) -> Result<(), AuditError> {
        (&self.file).write_all(lines).map_err(failed("writing", &self.path))
    }

    /// Waits until everything is on the disk.
    pub(super) fn sync(&self) -> Result<(), AuditError> {
        self.file.sync_data().map_err(failed("syncing", &self.path))?;
        if self.fresh.swap(false, Ordering::AcqRel) {
            self.folder.sync_all().map_err(failed("syncing the folder of", &self.path))?;
        }
        if self.file.metadata().map_err(failed("reading", &self.path))?.nlink() == 0 {
            let source = io::Error::new(io::ErrorKind::NotFound, "the file was deleted");
            return Err(failed("syncing", &self.path)(source));
        }
        Ok(())
    }
}

/// Files that are older than the configuration keeps them.
#[derive(Debug)]
pub(crate) struct Old {
    pub(crate) files: Vec<PathBuf>,
    /// The last line in them.
    pub(crate) covers: Head,
    pub(crate) bytes: u64,
}

impl Old {
    pub(super) fn find(folder: &Path, keep: usize) -> Result<Option<Self>, AuditError> {
        let mut files = files(folder)?;
        files.truncate(files.len().saturating_sub(keep));
        let Some(last) = files.last() else { return Ok(None) };
        let file = regular::open(last).map_err(failed("opening", last))?;
        let (text, _, _) = tail(&file).map_err(failed("reading", last))?;
        let covers = read_head(&text.unwrap_or_default(), last)?;
        let bytes = files.iter().filter_map(|path| Some(path.metadata().ok()?.len())).sum();
        Ok(Some(Self { files, covers, bytes }))
    }

    /// Deletes them, the oldest first.
    pub(super) fn delete(&self) -> Result<(), AuditError> {
        self.files.iter().try_for_each(|path| std::fs::remove_file(path).map_err(failed("deleting", path)))
    }
}

fn read_head(text: &[u8], path: &Path) -> Result<Head, AuditError> {
    let line = Line::parse(text).ok_or_else(|| AuditError::Foreign { path: path.to_owned() })?;
    Ok(Head::behind(line.seq, text))
}

/// The last whole line, without its newline; how many bytes there are up to its end; and what stands behind.
fn tail(file: &File) -> io::Result<(Option<Vec<u8>>, u64, Vec<u8>)> {
    let length = file.metadata()?.len();
    // Two lines at most: one that is whole, and one that is not.
    let begin = length.saturating_sub(u64::try_from(MAX_LINE_BYTES.saturating_mul(2)).unwrap_or(u64::MAX));
    let mut bytes = Vec::new();
    let mut from = file;
    from.seek(SeekFrom::Start(begin))?;
    from.take(length.saturating_sub(begin)).read_to_end(&mut bytes)?;
    let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else {
        return Ok((None, begin, bytes));
    };
    let rest = bytes.split_off(end.saturating_add(1));
    bytes.pop();
    let whole = begin.saturating_add(u64::try_from(end).unwrap_or(u64::MAX)).saturating_add(1);
    let line = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at.saturating_add(1));
    Ok((Some(bytes.split_off(line)), whole, rest))
}
