//! A TOML file that is read again when it has changed.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::de::DeserializeOwned;

/// The last contents. Files are replaced and never written in place, so that inode and time tell.
pub(crate) struct TomlFile<T>(Mutex<Option<(Stamp, T)>>);

type Stamp = (u64, i64, i64, u64);

impl<T: Clone + DeserializeOwned> TomlFile<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// What it says now.
    ///
    /// # Errors
    /// In words, for the log.
    pub(crate) fn read(&self, path: &Path) -> Result<T, String> {
        let said = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let now = std::fs::metadata(path).map_err(|error| said(&error))?;
        let stamp = (now.ino(), now.mtime(), now.mtime_nsec(), now.size());
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, value)) = last.as_ref().filter(|(of, _)| *of == stamp) {
            return Ok(value.clone());
        }
        let text = std::fs::read_to_string(path).map_err(|error| said(&error))?;
        let value: T = toml::from_str(&text).map_err(|error| said(&error))?;
        *last = Some((stamp, value.clone()));
        Ok(value)
    }
}
