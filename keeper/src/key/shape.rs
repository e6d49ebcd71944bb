//! What a secret and a passphrase must look like, by the form in which the venue writes them.

use base64ct::{Base64, Encoding as _};
use strongroom_link::keeper::Refusal;
use strongroom_link::key::{KeySpec, MAX_PASSPHRASE_BYTES, MAX_SECRET_BYTES, PassphraseUse};
use zeroize::Zeroizing;

use super::base58;
use super::pem::{self, Label};

/// Room for the longest secret: no decoding here makes one longer.
#[expect(clippy::as_conversions, reason = "widening, in a const")]
pub(super) const BUFFER_BYTES: usize = MAX_SECRET_BYTES as usize;

/// Room for a decoded secret: never reallocated, so that no copy stays behind, and wiped when dropped.
pub(super) struct Decoded(Zeroizing<[u8; BUFFER_BYTES]>);

impl Decoded {
    pub(super) fn new() -> Self {
        Self(Zeroizing::new([0; BUFFER_BYTES]))
    }

    /// Decodes standard base64 with padding; anything else, also space around it, is refused.
    pub(super) fn base64(&mut self, text: &[u8]) -> Result<&[u8], Refusal> {
        Base64::decode(text, self.0.as_mut_slice()).map_err(|_| Refusal::SecretNotBase64)
    }

    /// Decodes a private key of 64 hexadecimal digits. Wallets put `0x` in front of them, or do not.
    pub(super) fn hex32(&mut self, text: &[u8]) -> Result<&[u8; 32], Refusal> {
        const PUBLIC_KEY_DIGITS: [usize; 2] = [66, 130];
        let digits = text.strip_prefix(b"0x").unwrap_or(text);
        let hexadecimal = digits.iter().all(u8::is_ascii_hexdigit);
        if hexadecimal && PUBLIC_KEY_DIGITS.contains(&digits.len()) {
            return Err(Refusal::SecretPublicKey);
        }
        if text.split(|byte| *byte == b' ').filter(|word| word.iter().all(u8::is_ascii_lowercase)).count()
            >= 12
        {
            return Err(Refusal::SecretMnemonic);
        }
        if digits.len() != 64 {
            return Err(Refusal::SecretNotHex32);
        }
        base16ct::mixed::decode(digits, self.0.as_mut_slice()).map_err(|_| Refusal::SecretNotHex32)?;
        self.0.first_chunk().ok_or(Refusal::SecretNotHex32)
    }

    /// Decodes an Ed25519 seed, with or without the public key behind it, from base64, hexadecimal digits or base58.
    /// What is the one is never the other: so many digits would be 48 or 96 bytes in base64, whose 32 or 64 bytes end
    /// in `=`, which base58 does not have.
    pub(super) fn seed(&mut self, text: &[u8]) -> Result<&[u8], Refusal> {
        const SEED_DIGITS: usize = 64;
        const PAIR_DIGITS: usize = 128;
        // NEAR's name of the curve, which Orderly and its brokers hand out with the key.
        let text = text.strip_prefix(b"ed25519:").unwrap_or(text);
        if matches!(text.len(), SEED_DIGITS | PAIR_DIGITS) && text.iter().all(u8::is_ascii_hexdigit) {
            return base16ct::mixed::decode(text, self.0.as_mut_slice())
                .map_err(|_| Refusal::SecretNotBase64);
        }
        match base58::decode(text, self.0.as_mut_slice()) {
            Some(length) => self.0.get(..length).ok_or(Refusal::SecretNotBase64),
            None => self.base64(text),
        }
    }

    /// Decodes one PEM block.
    pub(super) fn pem(&mut self, text: &[u8]) -> Result<(Label, &[u8]), Refusal> {
        pem::decode(text, self.0.as_mut_slice())
    }
}

/// A secret whose text is the key: printable ASCII, and no space around it, because a space there was
/// pasted and not handed out.
pub(super) fn text(secret: &[u8]) -> Result<&[u8], Refusal> {
    let printable = secret.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if printable && secret.trim_ascii().len() == secret.len() {
        Ok(secret)
    } else {
        Err(Refusal::SecretNotText)
    }
}

/// The length limits of the venue, over the text as the venue writes it.
pub(super) fn length(spec: &KeySpec, text: &[u8]) -> Result<(), Refusal> {
    if text.len() < usize::from(spec.min_bytes) {
        return Err(Refusal::SecretTooShort { limit: spec.min_bytes.into() });
    }
    if text.len() > usize::from(spec.max_bytes) {
        return Err(Refusal::SecretTooLong { limit: spec.max_bytes.into() });
    }
    Ok(())
}

/// A passphrase where the venue has one, nothing where it has none. It goes into a header, so it must
/// be text without control characters.
pub(super) fn passphrase(expected: PassphraseUse, given: Option<&[u8]>) -> Result<&[u8], Refusal> {
    match (expected, given) {
        (PassphraseUse::Absent, None) => Ok(&[]),
        (PassphraseUse::Absent, Some(_)) => Err(Refusal::PassphraseUnexpected),
        (PassphraseUse::Mac | PassphraseUse::Plain, None) => Err(Refusal::PassphraseMissing),
        (PassphraseUse::Mac | PassphraseUse::Plain, Some(bytes)) => {
            let text = std::str::from_utf8(bytes).map_err(|_| Refusal::PassphraseShape)?;
            let fits = (1..=usize::from(MAX_PASSPHRASE_BYTES)).contains(&bytes.len());
            if fits && !text.contains(char::is_control) { Ok(bytes) } else { Err(Refusal::PassphraseShape) }
        }
    }
}
