//! What was given where a secret is due: for what is said to a person who has taken the wrong thing. The parsers
//! decide.

use strongroom_link::keeper::{Look, Refusal};
use strongroom_link::key::{KeySpec, SecretForm};

/// Refuses what could be read as a secret of the venue and is none: nobody hands out a secret in quotation marks or as
/// a JSON document, and base64 of random bytes is never hexadecimal digits alone. Only for a secret that comes from a
/// person.
///
/// # Errors
/// [`Refusal::SecretLooks`].
pub fn check(spec: &KeySpec, secret: &[u8]) -> Result<(), Refusal> {
    let bare = secret.trim_ascii();
    let found = match (bare.first(), bare.last()) {
        (Some(b'{'), Some(b'}')) | (Some(b'['), Some(b']')) => Look::Json,
        (Some(b'"'), Some(b'"')) | (Some(b'\''), Some(b'\'')) if bare.len() > 1 => Look::Quoted,
        _ if spec.form == SecretForm::Base64 && is_hexadecimal(bare) => Look::Hexadecimal,
        _ => return Ok(()),
    };
    Err(Refusal::SecretLooks { found })
}

/// The same refusal, or one that says what the secret looks like, where that tells a person more.
#[must_use]
pub fn instead_of(refusal: Refusal, spec: &KeySpec, secret: &[u8]) -> Refusal {
    let found = match refusal {
        Refusal::SecretNotPem => pem(secret).or_else(|| key_without_lines(secret)),
        Refusal::SecretPemKind if spec.form == SecretForm::Pem => foreign_block(secret),
        Refusal::SecretNotBase64 => bytes(secret)
            .or_else(|| around(secret))
            .or_else(|| unpadded(secret).then_some(Look::Base64Url))
            .or_else(|| is_hexadecimal(secret).then_some(Look::Hexadecimal)),
        Refusal::SecretNotHex32 => bytes(secret).or_else(|| key_without_lines(secret)),
        _ => None,
    };
    found.map_or(refusal, |found| Refusal::SecretLooks { found })
}

fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Bytes of a file that is no text.
fn bytes(text: &[u8]) -> Option<Look> {
    std::str::from_utf8(text).is_err().then_some(Look::Bytes)
}

fn around(text: &[u8]) -> Option<Look> {
    text.iter().any(u8::is_ascii_whitespace).then_some(Look::Spaced)
}

/// Digits of which some are letters and some are none, as those of random bytes are.
fn is_hexadecimal(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"0x").unwrap_or(text);
    digits.len() >= 32
        && digits.iter().all(u8::is_ascii_hexdigit)
        && digits.iter().any(u8::is_ascii_digit)
        && digits.iter().any(u8::is_ascii_alphabetic)
}

/// Base64 of RFC 4648 section 5, or without padding.
fn unpadded(text: &[u8]) -> bool {
    let bare = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let is_url = bare.iter().any(|byte| matches!(byte, b'-' | b'_'));
    bare.len() >= 24
        && bare.len() % 4 != 1
        && (is_url || (bare.len() == text.len() && !bare.len().is_multiple_of(4)))
        && bare.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'/'))
}

fn key_without_lines(text: &[u8]) -> Option<Look> {
    let text = text.trim_ascii();
    let bare = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let is_base64 = text.len() >= 32
        && text.len().is_multiple_of(4)
        && bare.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
    if is_hexadecimal(text) {
        Some(Look::Hexadecimal)
    } else if is_base64 {
        Some(Look::Base64)
    } else {
        bytes(text)
    }
}

const BEGIN: &[u8] = b"-----BEGIN ";

/// What hinders a PEM block from being read as one.
fn pem(text: &[u8]) -> Option<Look> {
    let blocks = text.windows(BEGIN.len()).filter(|window| *window == BEGIN).count();
    let is_one_line = !text.trim_ascii().contains(&b'\n') && !has(text, b"\\n");
    if blocks > 1 {
        Some(Look::PemTwice)
    } else if blocks == 1 && is_one_line && has(text, b"-----END ") {
        Some(Look::PemOneLine)
    } else if has(text, b"PRIVATE KEY") || has(text, b"-----END ") {
        Some(Look::PemCut)
    } else {
        None
    }
}

/// A PEM block whose kind is known, and is no private key of ours.
fn foreign_block(text: &[u8]) -> Option<Look> {
    if has(text, b"-----BEGIN OPENSSH ") {
        Some(Look::OpenSsh)
    } else if has(text, b"-----BEGIN CERTIFICATE") {
        Some(Look::Certificate)
    } else {
        None
    }
}
