//! What the front asks of the token worker, and what the worker answers.
//!
//! One worker serves one task (a probe, an enrolment, an unlock) and is then ended. Questions are
//! answered in order. The first answer comes unasked, for the job [`GREETING_JOB`]: [`FromToken::Ready`], or
//! [`FromToken::Refused`] before the worker ends. PINs and seeds never stand in a message: a PIN comes by a descriptor
//! that the worker reads to its end, and seeds leave by the keeper's seed port.

mod anchor;
mod answer;
mod description;
mod protection;
mod question;
mod refusal;
mod signing;

use crate::codec::{Malformed, Reader};
use crate::key::names;

pub use crate::keeper::{ALLOW_WEAK_MEMORY, GREETING_JOB};
pub use anchor::{Anchor, AnchorId};
pub use answer::FromToken;
pub use description::{PinState, TokenDescription, Tries};
pub use protection::Protection;
pub use question::ToToken;
pub use refusal::TokenRefusal;
pub use signing::SigningKey;

/// How the token protects a seed, best first. The choice is made once, by probing, and recorded; it
/// is never lowered silently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rung {
    /// `CKM_AES_CBC` without padding over exactly the 32 bytes of the seed, random IV. The record's
    /// own AEAD is what finds a change.
    AesCbc,
    /// `CKM_AES_GCM`, 96-bit random IV, 128-bit tag.
    AesGcm,
}

names!(Rung {
    AesCbc = 1 "aes-cbc",
    AesGcm = 2 "aes-gcm",
});

/// `CKA_ID` of a KEK: 16 random bytes, made when the KEK is made.
pub type KekId = [u8; 16];

fn kek_id(from: &mut Reader<'_>) -> Result<KekId, Malformed> {
    from.bytes()?.try_into().map_err(|_| Malformed("KEK id"))
}

fn rung(from: &mut Reader<'_>) -> Result<Rung, Malformed> {
    Rung::from_number(from.u8()?).ok_or(Malformed("rung"))
}
