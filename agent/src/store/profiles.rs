//! Copies of users' own profiles, each under the SHA-256 of its text: what a credential signs by, whatever becomes of
//! the file that it was enrolled with.
//!
//! A copy is written before the record that names it, and deleted when no record names it any more.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{StoreError, atomic, read_records};
use crate::fault::chain;

/// The SHA-256 of a profile's text, as 64 hexadecimal digits where it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ProfileHash([u8; 32]);

/// The text is no hash of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a profile is named by its SHA-256: 64 digits of 0-9 a-f")]
pub(crate) struct NoHash;

impl ProfileHash {
    pub(crate) fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Its bytes.
    pub(crate) const fn bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Display for ProfileHash {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&base16ct::lower::encode_string(&self.0))
    }
}

impl FromStr for ProfileHash {
    type Err = NoHash;

    fn from_str(text: &str) -> Result<Self, NoHash> {
        let bytes = base16ct::lower::decode_vec(text).map_err(|_| NoHash)?;
        bytes.try_into().map(Self).map_err(|_| NoHash)
    }
}

impl TryFrom<String> for ProfileHash {
    type Error = NoHash;

    fn try_from(text: String) -> Result<Self, NoHash> {
        text.parse()
    }
}

impl From<ProfileHash> for String {
    fn from(hash: ProfileHash) -> Self {
        hash.to_string()
    }
}

/// The folder of the copies in a data folder.
pub(super) const COPIES: &str = "profiles";

/// Where the copy of the text with this hash is, or would be.
pub(crate) fn copy_path(folder: &Path, hash: ProfileHash) -> PathBuf {
    folder.join(COPIES).join(format!("{hash}.toml"))
}

/// Reads the copy of the text with this hash, without owning the folder.
///
/// # Errors
/// [`StoreError::Copy`] where it is not there, or not as it was; [`StoreError::Io`].
pub(crate) fn read_copy(folder: &Path, hash: ProfileHash) -> Result<String, StoreError> {
    let path = copy_path(folder, hash);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(StoreError::Copy { path, fault: "is not there" });
        }
        Err(source) => return Err(StoreError::Io { action: "reading", path, source }),
    };
    match String::from_utf8(bytes) {
        Ok(text) if ProfileHash::of(&text) == hash => Ok(text),
        _ => Err(StoreError::Copy { path, fault: "was changed" }),
    }
}

/// Deletes copies that no record names. Where a record cannot be read, all stay, because it may name any of them. Only
/// the owner of the folder may.
pub(super) fn sweep(folder: &Path) {
    if let Err(error) = try_sweep(folder) {
        // What stays is harmless: it is read only where a record names it.
        tracing::warn!(cause = %chain(&error), "copies of profiles that nothing uses were not deleted");
    }
}

fn try_sweep(folder: &Path) -> Result<(), StoreError> {
    let copies = folder.join(COPIES);
    let failed = |source| StoreError::Io { action: "reading", path: copies.clone(), source };
    let mut unused = BTreeSet::new();
    for entry in std::fs::read_dir(&copies).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let name = name.to_str().and_then(|name| name.strip_suffix(".toml"));
        unused.extend(name.and_then(|name| name.parse::<ProfileHash>().ok()));
    }
    if unused.is_empty() {
        return Ok(());
    }
    for (_, record) in read_records(folder)? {
        let Ok(record) = record else { return Ok(()) };
        if let Some(hash) = record.meta.profile {
            unused.remove(&hash);
        }
    }
    for hash in unused {
        atomic::remove(&copy_path(folder, hash))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_copy_only_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(COPIES)).unwrap();
        let hash = ProfileHash::of("profile = \"a\"\n");
        let path = copy_path(folder.path(), hash);
        let fault = |text: Option<&str>| {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            match read_copy(folder.path(), hash) {
                Ok(text) => text,
                Err(StoreError::Copy { fault, .. }) => fault.to_owned(),
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(fault(None), "is not there");
        assert_eq!(fault(Some("profile = \"a\"\n")), "profile = \"a\"\n");
        assert_eq!(fault(Some("profile = \"a\" \n")), "was changed");
        assert_eq!(fault(Some("")), "was changed");
    }

    #[test]
    fn reads_a_hash_only_as_it_writes_one() {
        let hash = ProfileHash::of("");
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hash.to_string(), text);
        assert_eq!(text.parse(), Ok(hash));
        for other in ["", "e3", &text.to_uppercase(), &format!("{text}00"), &text.replace('e', "g")] {
            assert_eq!(other.parse::<ProfileHash>(), Err(NoHash), "{other}");
        }
    }
}
