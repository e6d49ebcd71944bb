//! Everything that is on disk: records, nonces, and the lock that makes one process their owner.
//!
//! Layout of the data folder (mode 0700; files 0600):
//!
//! ```text
//! lock                 held while an agent runs or a command writes
//! records/NAME.toml    one credential, its secret wrapped
//! profiles/SHA256.toml a user's own profile, as it was when a credential was enrolled by it
//! budgets/NAME.toml    what that credential's grants have spent
//! nonces/NAME.toml     how far that credential's nonces are reserved
//! clients.toml         who has a client token
//! removed.toml         only until the next login: whose floors are to be raised
//! floors/KEK.toml      below which revision the records of that KEK are too old
//! audit/               what was decided; written by [`crate::audit`]
//! wrong-pin.toml       only while a wrong PIN that came by itself is remembered
//! ```

pub(crate) mod atomic;
pub(crate) mod budget;
pub(crate) mod floors;
pub(crate) mod latch;
pub(crate) mod nonce;
pub(crate) mod profiles;
pub(crate) mod record;
pub(crate) mod regular;
pub(crate) mod removed;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use strongroom_link::token::KekId;
use strongroom_protocol::ErrorCode;

use self::atomic::Existing;
use self::latch::PinLatch;
use self::profiles::{COPIES, ProfileHash};
use self::record::{CredentialName, Record};
use self::removed::Removed;
use crate::fault::{Fault, chain};

/// Why the store refuses.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("there is no credential `{}`", path.file_stem().unwrap_or_default().display())]
    Absent { path: PathBuf },
    #[error("the copy of the profile that it signs by, {}, {fault}", path.display())]
    Copy { path: PathBuf, fault: &'static str },
    #[error("{} exists already", path.display())]
    Exists { path: PathBuf },
    #[error("{} {fault}, so nobody can say which records are too old", path.display())]
    Floors { path: PathBuf, fault: &'static str },
    #[error("{} {fault}", path.display())]
    Invalid { path: PathBuf, fault: String },
    #[error("{action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("refusing to replace {}: it is no regular file", path.display())]
    NoFile { path: PathBuf },
    #[error("another process works on {}", path.display())]
    Owned { path: PathBuf },
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let (code, hint) = match &error {
            StoreError::Absent { .. } => (ErrorCode::NotFound, "`strongroom list` shows what there is"),
            StoreError::Copy { .. } => (
                ErrorCode::Unavailable,
                "restore it from the backup of the data folder, or have the credential sign by the profile as it is now: \
                 `strongroom venue repin`",
            ),
            StoreError::Exists { .. } => (ErrorCode::Exists, "choose another name, or use --replace"),
            StoreError::Floors { .. } => (
                ErrorCode::Unavailable,
                "restore it from the backup of the data folder; docs/reference/record.md says what to do without one",
            ),
            StoreError::Invalid { .. } => (
                ErrorCode::Unavailable,
                "restore the file from a backup, or enrol the credential again with --replace",
            ),
            StoreError::Io { .. } => {
                (ErrorCode::Unavailable, "free the disk or mend the permissions, then try again")
            }
            StoreError::NoFile { .. } => (ErrorCode::Invalid, "name a file, or what is not there yet"),
            StoreError::Owned { .. } => (
                ErrorCode::Unavailable,
                "an agent or another command is running on this folder; use its socket, or wait for it",
            ),
        };
        Self::new(code, chain(&error), hint)
    }
}

/// A record's name, and what its file holds.
pub(crate) type Found = (CredentialName, Result<Record, StoreError>);

/// A credential's name, and below which its nonces may have been handed out.
pub(crate) type Reserved = (CredentialName, Result<u64, StoreError>);

/// The data folder, owned by this process.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    _lock: File,
}

impl Store {
    /// Opens the data folder, makes it where it is missing, and takes its lock.
    ///
    /// # Errors
    /// [`StoreError::Owned`] where another process has it; [`StoreError::Io`].
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let below = [RECORDS, NONCES, FLOORS, BUDGETS, COPIES].map(|below| folder.join(below));
        for folder in std::iter::once(folder).chain(below.iter().map(PathBuf::as_path)) {
            atomic::make_folder(folder)?;
        }
        let path = folder.join("lock");
        let lock = atomic::take_lock(&path)?.ok_or_else(|| StoreError::Owned { path: folder.to_owned() })?;
        for below in std::iter::once(folder.to_owned()).chain(below) {
            atomic::sweep(&below)?;
        }
        Ok(Self { folder: folder.to_owned(), _lock: lock })
    }

    /// Reads the record of `name`.
    ///
    /// # Errors
    /// [`StoreError::Absent`], [`StoreError::Invalid`], [`StoreError::Io`].
    pub(crate) fn record(&self, name: &CredentialName) -> Result<Record, StoreError> {
        read_record(&self.folder, name)
    }

    /// Where the record of `name` is, or would be.
    pub(crate) fn record_path(&self, name: &CredentialName) -> PathBuf {
        record_path(&self.folder, name)
    }

    /// All records, by name; one that cannot be read comes as its error.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the folder cannot be read.
    pub(crate) fn records(&self) -> Result<Vec<Found>, StoreError> {
        read_records(&self.folder)
    }

    /// Names of all records, sorted.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the folder cannot be read.
    pub(crate) fn names(&self) -> Result<Vec<CredentialName>, StoreError> {
        names(&self.folder)
    }

    /// When a record was put there last, or taken away; `None` where that cannot be known.
    pub(crate) fn records_changed(&self) -> Option<SystemTime> {
        std::fs::metadata(self.folder.join(RECORDS)).and_then(|folder| folder.modified()).ok()
    }

    /// Whether there is a record of that KEK.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the folder cannot be read.
    pub(crate) fn has_records_of(&self, kek_id: &KekId) -> Result<bool, StoreError> {
        let of = |name| self.record(name).is_ok_and(|record| record.meta.kek_id == *kek_id);
        Ok(self.names()?.iter().any(of))
    }

    /// The job of writing a record: after it the record is on the disk; before, the old state is. It
    /// waits for the disk, so it is run beside the thread that serves clients. `profile` is the text whose hash the
    /// record names, where there may be no copy of it yet.
    ///
    /// The job fails with [`StoreError::Exists`] where there is a record that must not be replaced, or
    /// with [`StoreError::Io`].
    pub(crate) fn writing(
        &self,
        record: &Record,
        profile: Option<String>,
        existing: Existing,
    ) -> impl FnOnce() -> Result<(), StoreError> + Send + use<> {
        let (path, text) = (record_path(&self.folder, &record.meta.name), record.to_text());
        let folder = self.folder.clone();
        move || {
            if let Some(text) = profile {
                let path = profiles::copy_path(&folder, ProfileHash::of(&text));
                atomic::write(&path, text.as_bytes(), Existing::Replace)?;
            }
            let written = atomic::write(&path, text.as_bytes(), existing);
            profiles::sweep(&folder);
            written
        }
    }

    /// The job of deleting a record, to be run like [`writing`](Self::writing). Its reserved nonces
    /// stay, so that a later credential of that name goes on above them.
    ///
    /// The job fails with [`StoreError::Absent`] or [`StoreError::Io`].
    pub(crate) fn removing(
        &self,
        name: &CredentialName,
    ) -> impl FnOnce() -> Result<(), StoreError> + Send + use<> {
        let (path, folder) = (record_path(&self.folder, name), self.folder.clone());
        move || {
            atomic::remove(&path)?;
            profiles::sweep(&folder);
            Ok(())
        }
    }

    /// The job of noting that the floor of a removed record is to be raised, to be run like
    /// [`writing`](Self::writing).
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where the list is damaged, [`StoreError::Io`].
    pub(crate) fn noting_removed(
        &self,
        name: &CredentialName,
    ) -> Result<impl FnOnce() -> Result<(), StoreError> + Send + use<>, StoreError> {
        let path = self.removed_path();
        let mut removed = Removed::read(&path)?;
        removed.removed.insert(name.clone());
        Ok(removed.writing(path))
    }

    /// Where it is kept who has a client token.
    pub(crate) fn clients_path(&self) -> PathBuf {
        clients_path(&self.folder)
    }

    /// What is remembered of a wrong PIN.
    pub(crate) fn pin_latch(&self) -> PinLatch {
        pin_latch(&self.folder)
    }

    /// Where the floors of the records of that KEK are.
    pub(crate) fn floors_path(&self, kek_id: &KekId) -> PathBuf {
        self.folder.join(FLOORS).join(format!("{}.toml", crate::config::kek_id::text(kek_id)))
    }

    /// Whether there are floors, and so there were records once.
    pub(crate) fn has_floors(&self) -> bool {
        has_floors(&self.folder)
    }

    /// Where it is kept whose floors are to be raised.
    pub(crate) fn removed_path(&self) -> PathBuf {
        self.folder.join("removed.toml")
    }

    /// The folder of the audit log.
    pub(crate) fn audit_folder(&self) -> PathBuf {
        audit_folder(&self.folder)
    }

    /// Where it is kept what the grants of `name` have spent.
    pub(crate) fn budget_path(&self, name: &CredentialName) -> PathBuf {
        self.folder.join(BUDGETS).join(format!("{name}.toml"))
    }

    /// Where the nonces of `name` are reserved.
    pub(crate) fn nonce_path(&self, name: &CredentialName) -> PathBuf {
        self.folder.join(NONCES).join(format!("{name}.toml"))
    }
}

/// Whether there are floors in a data folder. One that cannot be read may have some.
pub(crate) fn has_floors(folder: &Path) -> bool {
    match std::fs::read_dir(folder.join(FLOORS)) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// The folder of the audit log in a data folder.
pub(crate) fn audit_folder(folder: &Path) -> PathBuf {
    folder.join("audit")
}

/// Reads one record without owning the folder.
///
/// # Errors
/// As [`Store::record`].
pub(crate) fn read_record(folder: &Path, name: &CredentialName) -> Result<Record, StoreError> {
    let path = record_path(folder, name);
    let text = regular::read_text(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => StoreError::Absent { path: path.clone() },
        _ => StoreError::Io { action: "reading", path: path.clone(), source },
    })?;
    let record =
        Record::from_text(&text).map_err(|fault| StoreError::Invalid { path: path.clone(), fault })?;
    if record.meta.name == *name {
        Ok(record)
    } else {
        let fault = format!("holds the record of `{}`; records must not be renamed", record.meta.name);
        Err(StoreError::Invalid { path, fault })
    }
}

/// Reads all records without owning the folder. No folder means no records.
///
/// # Errors
/// As [`Store::records`].
pub(crate) fn read_records(folder: &Path) -> Result<Vec<Found>, StoreError> {
    let read = |name: CredentialName| {
        let record = read_record(folder, &name);
        (name, record)
    };
    Ok(names(folder)?.into_iter().map(read).collect())
}

/// How far the nonces of each name are reserved, without owning the folder.
///
/// # Errors
/// [`StoreError::Io`] where the folder cannot be read.
pub(crate) fn read_nonces(folder: &Path) -> Result<Vec<Reserved>, StoreError> {
    let path = folder.join(NONCES);
    let read = |name: CredentialName| {
        let ceiling = nonce::ceiling(&path.join(format!("{name}.toml")));
        (name, ceiling)
    };
    Ok(names_in(&path)?.into_iter().map(read).collect())
}

/// The file of each name's budgets, and why it cannot be spent from, without owning the folder.
///
/// # Errors
/// [`StoreError::Io`] where the folder cannot be read.
pub(crate) fn read_budgets(
    folder: &Path,
) -> Result<Vec<(CredentialName, PathBuf, Option<String>)>, StoreError> {
    let folder = folder.join(BUDGETS);
    let read = |name: CredentialName| {
        let path = folder.join(format!("{name}.toml"));
        let fault = budget::fault(&path);
        (name, path, fault)
    };
    Ok(names_in(&folder)?.into_iter().map(read).collect())
}

/// What is remembered of a PIN that came by itself, without owning the folder.
pub(crate) fn pin_latch(folder: &Path) -> PinLatch {
    PinLatch::new(folder.join("wrong-pin.toml"))
}

/// Where it is kept who has a client token.
pub(crate) fn clients_path(folder: &Path) -> PathBuf {
    folder.join("clients.toml")
}

/// Names of all records, sorted.
fn names(folder: &Path) -> Result<Vec<CredentialName>, StoreError> {
    names_in(&folder.join(RECORDS))
}

/// The credentials after which the files of one folder are named, sorted. No folder means none.
fn names_in(path: &Path) -> Result<Vec<CredentialName>, StoreError> {
    let broken = |source| StoreError::Io { action: "reading", path: path.to_owned(), source };
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(broken(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let file = entry.map_err(broken)?.file_name();
        let name = file.to_str().and_then(|name| name.strip_suffix(".toml"));
        names.extend(name.and_then(|name| name.parse::<CredentialName>().ok()));
    }
    names.sort();
    Ok(names)
}

fn record_path(folder: &Path, name: &CredentialName) -> PathBuf {
    folder.join(RECORDS).join(format!("{name}.toml"))
}

const RECORDS: &str = "records";
const NONCES: &str = "nonces";
const FLOORS: &str = "floors";
const BUDGETS: &str = "budgets";
