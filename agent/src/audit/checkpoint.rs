//! Checkpoints: lines in which a key that only the token brings to life vouches for all lines before. A line of
//! kind `prune` is one too, for lines that the agent was about to delete.
//!
//! Pure: what is signed, and whether a signature holds.

use ed25519_dalek::{Signature, VerifyingKey};

use super::chain::Head;
use super::line::{Event, Kind};

/// The public half of the key.
pub(crate) type PublicKey = [u8; 32];

/// What is signed for the line `covers` at the time `at`, as they stand in the line of this kind.
pub(crate) fn message(kind: Kind, covers: &str, at: &str) -> Vec<u8> {
    format!("strongroom audit {} 1\n{covers}\n{at}\n", kind.name()).into_bytes()
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
        verifier.verify_strict(&message(event.kind, covers, at), &signature).ok()?;
        Some(Self { key, covers: covers.parse().ok()? })
    }
}
