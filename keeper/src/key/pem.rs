//! PEM private keys, also as they stand in JSON files, where a line break is the two characters `\n`.

use p256::pkcs8::der::pem::Decoder;
use strongroom_link::keeper::Refusal;
use zeroize::Zeroizing;

use super::shape::BUFFER_BYTES;

/// The kinds of PEM block that hold a plain private key of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    /// `PRIVATE KEY` (RFC 5958).
    Pkcs8,
    /// `EC PRIVATE KEY` (RFC 5915).
    Sec1,
}

const BEGIN: &[u8] = b"-----BEGIN ";
const DASHES: &[u8] = b"-----";

/// Decodes the one block that `text` is into `der`. Line breaks may be LF, CRLF or the escapes `\n`
/// and `\r\n`; lines may have any one width; space around the block is nothing.
pub(super) fn decode<'d>(text: &[u8], der: &'d mut [u8]) -> Result<(Label, &'d [u8]), Refusal> {
    let mut unescaped = Zeroizing::new([0; BUFFER_BYTES]);
    let text = unescape(text, unescaped.as_mut_slice()).ok_or(Refusal::SecretNotPem)?.trim_ascii();
    let label = label(text)?;
    let mut decoder = Decoder::new_detect_wrap(text).map_err(|_| Refusal::SecretNotPem)?;
    let room = der.get_mut(..decoder.remaining_len()).ok_or(Refusal::SecretNotPem)?;
    let der = decoder.decode(room).map_err(|_| Refusal::SecretNotPem)?;
    if decoder.is_finished() { Ok((label, der)) } else { Err(Refusal::SecretNotPem) }
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
        _ => Err(Refusal::SecretPemKind),
    }
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
