//! Which credentials were removed while nobody could raise their floors: the next login does, before anything opens.
//!
//! Not signed, because a locked agent has no key: until then whoever can write the folder can delete it again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::atomic::{self, Existing};
use super::record::CredentialName;

/// The names, as they stand in their file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Removed {
    pub(crate) removed: BTreeSet<CredentialName>,
}

impl Removed {
    /// Reads the file; no file means none.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where it is damaged, [`StoreError::Io`].
    pub(crate) fn read(path: &Path) -> Result<Self, StoreError> {
        let Some(text) = atomic::read(path)? else { return Ok(Self::default()) };
        toml::from_str(&text).map_err(|_| {
            let fault = "is damaged, so nobody can say which records were removed; write `removed = [\"NAME\"]` into it";
            StoreError::Invalid { path: path.to_owned(), fault: fault.to_owned() }
        })
    }

    /// The job of writing them, which waits for the disk.
    pub(crate) fn writing(&self, path: PathBuf) -> impl FnOnce() -> Result<(), StoreError> + Send + use<> {
        let text = toml::to_string(self).unwrap_or_default();
        move || atomic::write(&path, format!("{HEADER}{text}").as_bytes(), Existing::Replace)
    }
}

const HEADER: &str = "# Removed while the agent was locked. The next login to the token sees to it that their records open no more.\n";
