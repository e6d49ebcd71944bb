//! The envelope of a record: the one form in which a secret is stored.
//!
//! The token protects a random 32-byte seed for each record and never sees the secret. This module
//! turns the seed into a key and encrypts the secret, and it alone decides whether a record is whole:
//! tokens report a changed blob each in their own way, or not at all.
//!
//! ```text
//! associated = "strongroom record 1" 00  algorithm 00  form 00  passphrase-use 00  context
//!              or, where the key has domains,
//!              "strongroom record 1 with domains" 00  algorithm 00  form 00  passphrase-use 00
//!              count (1 byte)  separators (32 each)  context
//! prk        = HKDF-SHA256-Extract(salt: none, seed)
//! key        = HKDF-SHA256-Expand(prk, "strongroom record 1 key" 00 SHA-256(associated), 32)
//! commitment = HKDF-SHA256-Expand(prk, "strongroom record 1 commitment" 00 SHA-256(associated), 32)
//!
//! plaintext  = u16 length, secret, u16 length, passphrase         lengths little-endian; 0: none
//! envelope   = version (1 byte, 01)  commitment (32)  nonce (12)  AES-256-GCM ciphertext  tag (16)
//!              under key and nonce, with associated as associated data
//! ```
//!
//! - `algorithm`, `form` and `passphrase-use` are the names of the [`KeySpec`]. The keeper writes them
//!   itself, so a front that was taken over cannot have a secret used in another way than the one it
//!   was enrolled for, say to have a passphrase in clear that may only leave as a MAC.
//! - The `domains` are the EIP-712 domains of the [`KeySpec`], of a wallet's key alone; for the same reason. The label
//!   is another one, so that no context passes for domains, and none for a context.
//! - `context` is the record's metadata as the front keeps it; its meaning is no concern of this room.
//! - The commitment binds the ciphertext to one key: GCM alone lets one ciphertext open under two.
//! - The length limits of the spec are not bound: they check what a person types, and may be corrected.

#[cfg(test)]
mod tests;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use strongroom_link::keeper::Refusal;
use strongroom_link::key::{KeySpec, MAX_PASSPHRASE_BYTES, MAX_SECRET_BYTES};
use strongroom_link::seed::Seed;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use crate::key::SigningKey;

/// The only version so far.
const VERSION: u8 = 1;
const COMMITMENT_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const LENGTH_BYTES: usize = 2;

/// A random GCM nonce, spent by sealing one envelope.
///
/// No two envelopes share a key, since no two share a seed; the nonce is random all the same, so that
/// a token worker that repeats a seed does not break two records at once.
pub struct Nonce([u8; NONCE_BYTES]);

impl Nonce {
    /// Takes one from the kernel.
    ///
    /// # Errors
    /// What the kernel says; nothing can be sealed then.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)?;
        Ok(Self(nonce))
    }
}

/// Checks a secret (and passphrase) against `spec` and encrypts it under `seed`, bound to `spec` and
/// `context`.
///
/// Only what [`SigningKey::parse`] accepts is ever sealed; the key is dropped at once.
///
/// # Errors
/// What [`SigningKey::parse`] refuses.
pub fn seal(
    nonce: Nonce,
    seed: &Seed,
    spec: &KeySpec,
    context: &[u8],
    secret: &[u8],
    passphrase: Option<&[u8]>,
) -> Result<Vec<u8>, Refusal> {
    drop(SigningKey::parse(spec, secret, passphrase)?);
    let passphrase = passphrase.unwrap_or_default();
    let too_long = Refusal::SecretTooLong { limit: MAX_SECRET_BYTES.into() };
    let secret_length = u16::try_from(secret.len()).map_err(|_| too_long)?;
    let passphrase_length = u16::try_from(passphrase.len()).map_err(|_| Refusal::PassphraseShape)?;

    let record = RecordKey::derive(seed, spec, context)?;
    // One buffer, large enough from the start: what grows leaves a copy of its content behind. It is
    // wiped on every way out but the last, where only ciphertext is left in it.
    let mut envelope = Zeroizing::new(Vec::with_capacity(LONGEST_BYTES));
    envelope.push(VERSION);
    envelope.extend_from_slice(&record.commitment);
    envelope.extend_from_slice(&nonce.0);
    let head = envelope.len();
    envelope.extend_from_slice(&secret_length.to_le_bytes());
    envelope.extend_from_slice(secret);
    envelope.extend_from_slice(&passphrase_length.to_le_bytes());
    envelope.extend_from_slice(passphrase);
    let plaintext = envelope.get_mut(head..).unwrap_or_default();
    let tag = record
        .cipher()
        .encrypt_inout_detached(&nonce.0.into(), &record.associated, plaintext.into())
        .map_err(|_| too_long)?;
    envelope.extend_from_slice(&tag);
    Ok(std::mem::take(&mut *envelope))
}

/// Opens an envelope and gives what it holds as a key; the plaintext is wiped before this returns.
///
/// # Errors
/// As [`unseal`], and what [`SigningKey::parse`] refuses, where the limits of the venue have changed since.
pub fn open(seed: &Seed, spec: &KeySpec, context: &[u8], envelope: &[u8]) -> Result<SigningKey, Refusal> {
    let opened = unseal(seed, spec, context, envelope)?;
    SigningKey::parse(spec, opened.secret()?, opened.passphrase()?)
}

/// What an envelope held: the texts that were sealed. Wiped when it is dropped.
pub struct Opened(Zeroizing<Vec<u8>>);

impl Opened {
    /// The secret.
    ///
    /// # Errors
    /// [`Refusal::RecordChanged`] where the plaintext is none.
    pub fn secret(&self) -> Result<&[u8], Refusal> {
        Ok(self.fields()?.0)
    }

    /// The passphrase, where there is one.
    ///
    /// # Errors
    /// As [`secret`](Self::secret).
    pub fn passphrase(&self) -> Result<Option<&[u8]>, Refusal> {
        Ok(Some(self.fields()?.1).filter(|passphrase| !passphrase.is_empty()))
    }

    fn fields(&self) -> Result<(&[u8], &[u8]), Refusal> {
        let (secret, rest) = split_field(&self.0).ok_or(Refusal::RecordChanged)?;
        let (passphrase, []) = split_field(rest).ok_or(Refusal::RecordChanged)? else {
            return Err(Refusal::RecordChanged);
        };
        Ok((secret, passphrase))
    }
}

/// Opens an envelope, to be sealed again.
///
/// # Errors
/// [`Refusal::RecordVersion`] for another version. [`Refusal::RecordChanged`] where the seed, the
/// spec, the context or any bit of the envelope is not what was sealed: one answer for all, because
/// which of them it was helps nobody but the one who changed it.
pub fn unseal(seed: &Seed, spec: &KeySpec, context: &[u8], envelope: &[u8]) -> Result<Opened, Refusal> {
    let (version, rest) = envelope.split_first().ok_or(Refusal::RecordChanged)?;
    if *version != VERSION {
        return Err(Refusal::RecordVersion { version: *version });
    }
    if envelope.len() > LONGEST_BYTES {
        return Err(Refusal::RecordChanged);
    }
    let (commitment, rest) = rest.split_first_chunk::<COMMITMENT_BYTES>().ok_or(Refusal::RecordChanged)?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(Refusal::RecordChanged)?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(Refusal::RecordChanged)?;

    let record = RecordKey::derive(seed, spec, context)?;
    if !bool::from(commitment.ct_eq(&record.commitment)) {
        return Err(Refusal::RecordChanged);
    }
    let mut plaintext = Zeroizing::new(ciphertext.to_vec());
    record
        .cipher()
        .decrypt_inout_detached(
            &(*nonce).into(),
            &record.associated,
            plaintext.as_mut_slice().into(),
            &(*tag).into(),
        )
        .map_err(|_| Refusal::RecordChanged)?;
    Ok(Opened(plaintext))
}

/// Longest envelope that [`seal`] makes, and that [`open`] looks at.
#[expect(clippy::as_conversions, reason = "widening, in a const")]
pub const LONGEST_BYTES: usize = 1
    + COMMITMENT_BYTES
    + NONCE_BYTES
    + LENGTH_BYTES
    + MAX_SECRET_BYTES as usize
    + LENGTH_BYTES
    + MAX_PASSPHRASE_BYTES as usize
    + TAG_BYTES;

/// What one seed gives for one spec and one context.
struct RecordKey {
    key: [u8; 32],
    commitment: [u8; COMMITMENT_BYTES],
    associated: Vec<u8>,
}

impl RecordKey {
    fn derive(seed: &Seed, spec: &KeySpec, context: &[u8]) -> Result<Self, Refusal> {
        let domains = spec.domains.separators();
        let label: &[u8] =
            if domains.is_empty() { b"strongroom record 1\0" } else { b"strongroom record 1 with domains\0" };
        let mut associated = Vec::from(label);
        for name in [spec.algorithm.name(), spec.form.name(), spec.passphrase.name()] {
            associated.extend_from_slice(name.as_bytes());
            associated.push(0);
        }
        if let Some(count) = u8::try_from(domains.len()).ok().filter(|count| *count > 0) {
            associated.push(count);
            associated.extend_from_slice(domains.as_flattened());
        }
        associated.extend_from_slice(context);
        let bound_to = Sha256::digest(&associated);

        let hkdf = Hkdf::<Sha256>::new(None, seed.as_slice());
        let mut record = Self { key: [0; 32], commitment: [0; COMMITMENT_BYTES], associated };
        for (label, output) in [
            (b"strongroom record 1 key\0".as_slice(), &mut record.key),
            (b"strongroom record 1 commitment\0", &mut record.commitment),
        ] {
            // HKDF-SHA256 refuses only outputs over 8,160 bytes; a key that was not written must
            // never be used all the same.
            hkdf.expand_multi_info(&[label, &bound_to], output).map_err(|_| Refusal::RecordChanged)?;
        }
        Ok(record)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new((&self.key).into())
    }
}

impl Drop for RecordKey {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// Splits a length-prefixed field off the front.
fn split_field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))
}
