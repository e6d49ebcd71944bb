//! `head.toml` beside the log: the line that its newest checkpoint covers, signed by the key of the checkpoints.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};

use super::AuditError;
use super::chain::Head;
use super::checkpoint::PublicKey;
use super::key::hex;
use super::segment::failed;
use crate::fault::chain;
use crate::store::atomic::{self, Existing};
use crate::store::regular;

/// The last line that a checkpoint covers, as it stands in its file: no line of the log says the same, so that nobody
/// makes an older one who has not kept it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignedHead {
    covers: String,
    at: String,
    #[serde(with = "hex")]
    key: Vec<u8>,
    #[serde(with = "hex")]
    signature: Vec<u8>,
}

impl SignedHead {
    /// What is signed for the line `covers` at the time `at`.
    pub(crate) fn message(covers: &str, at: &str) -> Vec<u8> {
        format!("strongroom audit head 1\n{covers}\n{at}\n").into_bytes()
    }

    pub(crate) fn new(covers: String, at: String, key: PublicKey, signature: &[u8]) -> Self {
        Self { covers, at, key: key.to_vec(), signature: signature.to_vec() }
    }

    /// What `head.toml` in the folder of a log names, and by which key; nothing where there is none, or none whose
    /// signature holds.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(super) fn read(folder: &Path) -> Result<Option<(Head, PublicKey)>, AuditError> {
        let path = path(folder);
        match regular::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            text => {
                let text = text.map_err(failed("reading what is known of", &path))?;
                Ok(std::str::from_utf8(&text).ok().and_then(Self::parse))
            }
        }
    }

    /// The number of the line that it names.
    fn line(&self) -> u64 {
        self.covers.parse().map_or(0, |Head { seq, .. }| seq)
    }

    fn to_text(&self) -> String {
        let text = toml::to_string(self).unwrap_or_default();
        format!(
            "# The last line that a checkpoint of the audit log covers. Back it up before the log.\n{text}"
        )
    }

    fn parse(text: &str) -> Option<(Head, PublicKey)> {
        let Self { covers, at, key, signature } = toml::from_str(text).ok()?;
        let key = PublicKey::try_from(key).ok()?;
        let verifier = VerifyingKey::from_bytes(&key).ok()?;
        let signature = Signature::from_slice(&signature).ok()?;
        verifier.verify_strict(&Self::message(&covers, &at), &signature).ok()?;
        Some((covers.parse().ok()?, key))
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("head.toml")
}

/// Writes `head.toml`, each time when the line that it names is on the disk.
#[derive(Debug)]
pub(super) struct Scribe {
    path: PathBuf,
    pending: Mutex<Option<SignedHead>>,
    /// The number of the line that it names. Held while it is written, so that whoever waits for it finds it done.
    named: Mutex<u64>,
}

impl Scribe {
    pub(super) fn of(folder: &Path) -> Self {
        Self { path: path(folder), pending: Mutex::default(), named: Mutex::default() }
    }

    /// Notes a line that was written.
    pub(super) fn note(&self, head: SignedHead) {
        *self.pending.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
    }

    /// Has `sync` get all lines onto the disk, and writes what was noted before that.
    ///
    /// # Errors
    /// Those of `sync`, and of writing.
    pub(super) fn behind(&self, sync: impl FnOnce() -> Result<(), AuditError>) -> Result<(), AuditError> {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = self.pending.lock().unwrap_or_else(PoisonError::into_inner).take();
        sync()?;
        noted.map_or(Ok(()), |head| self.write(&mut named, &head))
    }

    /// Has `sync` get all lines onto the disk, and has the file name this one.
    ///
    /// # Errors
    /// Those of `sync`, and of writing.
    pub(super) fn name(
        &self,
        head: &SignedHead,
        sync: impl FnOnce() -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        sync()?;
        self.write(&mut named, head)
    }

    fn write(&self, named: &mut u64, head: &SignedHead) -> Result<(), AuditError> {
        // A job that was left behind, by a lock say, takes nothing back.
        let line = head.line();
        if line < *named {
            return Ok(());
        }
        let written = atomic::write(&self.path, head.to_text().as_bytes(), Existing::Replace);
        let written = written.map_err(|error| io::Error::other(chain(&error)));
        written.map_err(failed("writing what is known of", &self.path))?;
        *named = line;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    #[test]
    fn believes_no_head_whose_signature_does_not_hold() {
        let key = SigningKey::from_bytes(&[3; 32]);
        let head = Head { seq: 7, hash: [9; 32] };
        let (covers, at) = (head.to_string(), "2026-11-22T04:00:00.000000Z".to_owned());
        let signature = key.sign(&SignedHead::message(&covers, &at)).to_bytes();
        let signed = SignedHead::new(covers, at, *key.verifying_key().as_bytes(), &signature);
        let text = signed.to_text();
        assert_eq!(SignedHead::parse(&text), Some((head, *key.verifying_key().as_bytes())));
        for (from, to) in
            [("7:", "6:"), ("04:00", "05:00"), ("signature = \"", "signature = \"00"), ("at", "ta")]
        {
            let edited = text.replace(from, to);
            assert_ne!(edited, text);
            assert_eq!(SignedHead::parse(&edited), None, "{from}");
        }
        // A checkpoint says the same of the same line, and is no head.
        let checkpoint = crate::audit::checkpoint::message(crate::audit::line::Kind::Checkpoint, "7:", "now");
        assert_ne!(checkpoint, SignedHead::message("7:", "now"));
    }
}
