//! Checkpoints: lines in which a key that only the token brings to life vouches for all lines before.
//!
//! Pure: what is signed, and whether a signature holds.

use ed25519_dalek::{Signature, VerifyingKey};

use super::chain::Head;
use super::line::Event;

/// The public half of the key.
pub(crate) type PublicKey = [u8; 32];

/// What is signed for the line `covers` at the time `at`, as they stand in the checkpoint.
pub(crate) fn message(covers: &str, at: &str) -> Vec<u8> {
    format!("strongroom audit checkpoint 1\n{covers}\n{at}\n").into_bytes()
}

/// A checkpoint whose signature holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) key: PublicKey,
    pub(crate) covers: Head,
}

impl Checkpoint {
    /// Reads what a line tells, and checks its signature.
    pub(crate) fn of(event: &Event<'_>) -> Option<Self> {
        let (covers, at) = (event.covers.as_deref()?, event.at.as_deref()?);
        let key = event.key?;
        let signature = base16ct::lower::decode_vec(event.signature.as_deref()?).ok()?;
        let signature = Signature::from_slice(&signature).ok()?;
        let verifier = VerifyingKey::from_bytes(&key).ok()?;
        verifier.verify_strict(&message(covers, at), &signature).ok()?;
        Some(Self { key, covers: covers.parse().ok()? })
    }
}
