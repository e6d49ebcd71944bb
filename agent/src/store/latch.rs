//! What is remembered of a wrong PIN that came by itself.
//!
//! A token locks after few wrong PINs, and a service that is started again and again would give the same
//! wrong PIN each time. So a PIN that no person has entered (a credential of the service manager, a
//! descriptor at the start) is tried once; where it was wrong, none of that kind is tried again, also
//! after a restart or a reboot, until a person has unlocked.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::atomic::{self, Existing};

/// The latch of one data folder.
#[derive(Debug)]
pub(crate) struct PinLatch {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    token_serial: String,
    since: Timestamp,
}

impl PinLatch {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Since when a wrong PIN for this token is remembered, if it is.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where the file is damaged, [`StoreError::Io`] where it cannot be read:
    /// then nobody knows, so no PIN may be tried by itself.
    pub(crate) fn set_since(&self, token_serial: &str) -> Result<Option<Timestamp>, StoreError> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StoreError::Io { action: "reading", path: self.path.clone(), source }),
        };
        let file: File = toml::from_str(&text).map_err(|_| StoreError::Invalid {
            path: self.path.clone(),
            fault: "is damaged, so nobody can say whether the PIN was wrong".to_owned(),
        })?;
        Ok((file.token_serial == token_serial).then_some(file.since))
    }

    /// Remembers that a PIN for this token was wrong.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(crate) fn set(&self, token_serial: &str) -> Result<(), StoreError> {
        let text = format!(
            "# The PIN that came by itself was wrong. It is not tried again until a person runs `strongroom unlock`.\n\
             token_serial = {token_serial:?}\nsince = \"{}\"\n",
            Timestamp::now()
        );
        atomic::write(&self.path, text.as_bytes(), Existing::Replace)
    }

    /// Forgets it, because a PIN was right. Nothing remembered is no error.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(crate) fn clear(&self) -> Result<(), StoreError> {
        match atomic::remove(&self.path) {
            Err(StoreError::Absent { .. }) => Ok(()),
            cleared => cleared,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_one_token_until_it_is_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let latch = PinLatch::new(folder.path().join("wrong-pin.toml"));
        assert_eq!(latch.set_since("a").unwrap(), None);
        latch.clear().unwrap();
        latch.set("a").unwrap();
        assert!(latch.set_since("a").unwrap().is_some());
        assert_eq!(latch.set_since("b").unwrap(), None, "another token's PIN is another PIN");
        latch.clear().unwrap();
        assert_eq!(latch.set_since("a").unwrap(), None);
    }

    #[test]
    fn refuses_to_guess_from_a_damaged_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wrong-pin.toml");
        std::fs::write(&path, "token_serial = ").unwrap();
        assert!(matches!(PinLatch::new(path).set_since("a"), Err(StoreError::Invalid { .. })));
    }
}
