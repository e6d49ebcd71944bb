//! PEM private keys, also as they stand in JSON files, where a line break is the two characters `\n`.

use p256::pkcs8::der::pem::Decoder;
use strongroom_link::keeper::{KeyKind, Refusal};
use zeroize::Zeroizing;

use super::shape::BUFFER_BYTES;

/// The kinds of PEM block that hold a plain private key of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    /// `RSA PRIVATE KEY` (RFC 8017 appendix A.1.2).
    Pkcs1,
    /// `PRIVATE KEY` (RFC 5958).
    Pkcs8,
    /// `EC PRIVATE KEY` (RFC 5915).
    Sec1,
}

const BEGIN: &[u8] = b"-----BEGIN ";
const DASHES: &[u8] = b"-----";

/// Whether somebody means this to be PEM.
pub(super) fn is_pem(text: &[u8]) -> bool {
    text.trim_ascii_start().starts_with(BEGIN)
}

/// Decodes the one block that `text` is into `der`. Line breaks may be LF, CRLF or the escapes `\n`
/// and `\r\n`; lines may have any one width; space around the block is nothing.
pub(super) fn decode<'d>(text: &[u8], der: &'d mut [u8]) -> Result<(Label, &'d [u8]), Refusal> {
    let mut unescaped = Zeroizing::new([0; BUFFER_BYTES]);
    let text = unescape(text, unescaped.as_mut_slice()).ok_or(Refusal::SecretNotPem)?.trim_ascii();
    let text = behind_parameters(text);
    let label = label(text)?;
    let mut decoder = Decoder::new_detect_wrap(text).map_err(|_| Refusal::SecretNotPem)?;
    let room = der.get_mut(..decoder.remaining_len()).ok_or(Refusal::SecretNotPem)?;
    let der = decoder.decode(room).map_err(|_| Refusal::SecretNotPem)?;
    if decoder.is_finished() { Ok((label, der)) } else { Err(Refusal::SecretNotPem) }
}

/// `text` without the block in front that `openssl ecparam -genkey` writes: it names the curve, and the key behind it
/// names that again.
fn behind_parameters(text: &[u8]) -> &[u8] {
    const END: &[u8] = b"-----END EC PARAMETERS-----";
    if !text.starts_with(b"-----BEGIN EC PARAMETERS-----") {
        return text;
    }
    let end = text.windows(END.len()).position(|window| window == END);
    let behind = end.and_then(|end| text.get(end.saturating_add(END.len())..));
    // With nothing behind it the block is what it says: no private key.
    behind.map(<[u8]>::trim_ascii).filter(|behind| !behind.is_empty()).unwrap_or(text)
}

/// Reads the label, and tells an encrypted key from a foreign one, since the person can do something
/// about the first.
fn label(text: &[u8]) -> Result<Label, Refusal> {
    let rest = text.strip_prefix(BEGIN).ok_or(Refusal::SecretNotPem)?;
    let end = rest.windows(DASHES.len()).position(|window| window == DASHES).ok_or(Refusal::SecretNotPem)?;
    // RFC 1421 headers stand in encrypted keys of the old OpenSSL form; base64 has no colon.
    let has_headers = rest.contains(&b':');
    match rest.get(..end) {
        Some(b"ENCRYPTED PRIVATE KEY") => Err(Refusal::SecretPemEncrypted),
        Some(_) if has_headers => Err(Refusal::SecretPemEncrypted),
        Some(b"EC PRIVATE KEY") => Ok(Label::Sec1),
        Some(b"PRIVATE KEY") => Ok(Label::Pkcs8),
        Some(b"RSA PRIVATE KEY") => Ok(Label::Pkcs1),
        Some(label) if label.ends_with(b"PUBLIC KEY") => Err(Refusal::SecretPemPublic),
        _ => Err(Refusal::SecretPemKind),
    }
}

/// Why a block gives no key of the `wanted` kind: it names another, or is damaged.
pub(super) fn refusal(wanted: KeyKind, label: Label, der: &[u8]) -> Refusal {
    let named = match label {
        Label::Pkcs1 => Some(KeyKind::Rsa),
        // The kind stands before the key.
        Label::Pkcs8 => kind_in(der.get(..32).unwrap_or(der)),
        Label::Sec1 => kind_in(der),
    };
    match named {
        Some(found) if found != wanted => Refusal::SecretKeyKind { found },
        Some(_) => Refusal::SecretInconsistent,
        None => Refusal::SecretPemKind,
    }
}

/// The kind whose object identifier stands in there: for the message alone, since the parsers decide.
fn kind_in(der: &[u8]) -> Option<KeyKind> {
    const IDENTIFIERS: [(&[u8], KeyKind); 8] = [
        (b"\x06\x03\x2b\x65\x70", KeyKind::Ed25519),
        (b"\x06\x03\x2b\x65\x71", KeyKind::Ed448),
        (b"\x06\x03\x2b\x65\x6e", KeyKind::X25519),
        (b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", KeyKind::P256),
        (b"\x06\x05\x2b\x81\x04\x00\x22", KeyKind::P384),
        (b"\x06\x05\x2b\x81\x04\x00\x23", KeyKind::P521),
        (b"\x06\x05\x2b\x81\x04\x00\x0a", KeyKind::Secp256k1),
        (b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", KeyKind::Rsa),
    ];
    let stands = |identifier: &[u8]| der.windows(identifier.len()).any(|window| window == identifier);
    IDENTIFIERS.into_iter().find(|(identifier, _)| stands(identifier)).map(|(_, kind)| kind)
}

/// Copies `text` into `room` with each two-character `\n` made a line feed and each `\r` dropped.
/// A backslash stands nowhere else in PEM, so nothing is lost.
fn unescape<'r>(text: &[u8], room: &'r mut [u8]) -> Option<&'r [u8]> {
    let mut length: usize = 0;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'\\' => match bytes.next()? {
                b'n' => b'\n',
                b'r' => continue,
                _ => return None,
            },
            b'\r' => continue,
            other => *other,
        };
        *room.get_mut(length)? = byte;
        length = length.checked_add(1)?;
    }
    room.get(..length)
}
