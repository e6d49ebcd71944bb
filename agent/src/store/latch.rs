//! What is remembered of a PIN that came by itself and did not open the token.
//!
//! A token locks after few wrong PINs, and a service that is started again and again would give the same
//! wrong PIN each time. So a PIN that no person has entered (a credential of the service manager, a
//! descriptor at the start) is tried once; where it was wrong, none of that kind is tried again, also
//! after a restart or a reboot, until a person has unlocked. The try is written down before it is made, so
//! that one whose outcome nobody has learned (the worker crashed, the agent was killed) counts as well.

use std::fmt;
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
    /// Absent in older files, which were written for wrong PINs alone.
    #[serde(default)]
    outcome: Outcome,
}

/// What is known of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// The token has said that the PIN is wrong.
    #[default]
    Wrong,
    /// The token was asked, and no answer is known.
    Unknown,
}

/// A try that is remembered. Its text is a clause: what was with such a PIN, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Latched {
    outcome: Outcome,
    since: Timestamp,
}

impl fmt::Display for Latched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since;
        match self.outcome {
            Outcome::Wrong => write!(f, "was wrong on {since}"),
            Outcome::Unknown => write!(f, "was tried on {since}, and whether it was right is not known"),
        }
    }
}

impl PinLatch {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// What is remembered of a try with this token, if anything is.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where the file is damaged, [`StoreError::Io`] where it cannot be read:
    /// then nobody knows, so no PIN may be tried by itself.
    pub(crate) fn latched(&self, token_serial: &str) -> Result<Option<Latched>, StoreError> {
        let Some(text) = atomic::read(&self.path)? else { return Ok(None) };
        let file: File = toml::from_str(&text).map_err(|_| StoreError::Invalid {
            path: self.path.clone(),
            fault: "is damaged, so nobody can say whether the PIN was wrong".to_owned(),
        })?;
        let File { token_serial: of, since, outcome } = file;
        Ok((of == token_serial).then_some(Latched { outcome, since }))
    }

    /// Remembers a try with this token.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(crate) fn set(&self, token_serial: &str, outcome: Outcome) -> Result<(), StoreError> {
        let text = format!(
            "# A PIN that came by itself was tried. None is tried again until a person runs `strongroom unlock`.\n\
             token_serial = {token_serial:?}\nsince = \"{}\"\noutcome = \"{}\"\n",
            Timestamp::now(),
            match outcome {
                Outcome::Wrong => "wrong",
                Outcome::Unknown => "unknown",
            }
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
        assert_eq!(latch.latched("a").unwrap(), None);
        latch.clear().unwrap();
        for outcome in [Outcome::Unknown, Outcome::Wrong] {
            latch.set("a", outcome).unwrap();
            assert_eq!(latch.latched("a").unwrap().unwrap().outcome, outcome);
            assert_eq!(latch.latched("b").unwrap(), None, "another token's PIN is another PIN");
        }
        latch.clear().unwrap();
        assert_eq!(latch.latched("a").unwrap(), None);
    }

    #[test]
    fn refuses_to_guess_from_a_damaged_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wrong-pin.toml");
        std::fs::write(&path, "token_serial = ").unwrap();
        assert!(matches!(PinLatch::new(path).latched("a"), Err(StoreError::Invalid { .. })));
    }
}
