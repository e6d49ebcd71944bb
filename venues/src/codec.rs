//! Texts for bytes: hexadecimal, base64 and the percent encodings.

/// Appends `bytes` in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    digits(bytes, b"0123456789abcdef", out);
}

/// Appends `bytes` in upper-case hexadecimal.
pub(crate) fn hex_upper(bytes: &[u8], out: &mut Vec<u8>) {
    digits(bytes, b"0123456789ABCDEF", out);
}

fn digits(bytes: &[u8], alphabet: &[u8; 16], out: &mut Vec<u8>) {
    out.reserve(bytes.len().saturating_mul(2));
    for byte in bytes {
        out.extend_from_slice(&[symbol(alphabet, byte >> 4), symbol(alphabet, byte & 15)]);
    }
}

/// The bytes that `digits` are; nothing where they are no pairs of hexadecimal digits.
pub(crate) fn unhex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(nibble(*high)?.wrapping_shl(4) | nibble(*low)?)).collect()
}

/// The 20 bytes of an address of Ethereum: 40 hexadecimal digits, with or without `0x` in front.
pub(crate) fn address(text: &[u8]) -> Option<[u8; 20]> {
    let digits = text.strip_prefix(b"0x").unwrap_or(text);
    let (pairs, rest) = digits.as_chunks::<2>();
    let pairs: &[[u8; 2]; 20] = pairs.try_into().ok().filter(|_| rest.is_empty())?;
    let mut address = [0; 20];
    for (byte, [high, low]) in address.iter_mut().zip(pairs) {
        *byte = nibble(*high)?.wrapping_shl(4) | nibble(*low)?;
    }
    Some(address)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(digit.wrapping_sub(b'a').wrapping_add(10)),
        b'A'..=b'F' => Some(digit.wrapping_sub(b'A').wrapping_add(10)),
        _ => None,
    }
}

/// Appends `bytes` in base64 with padding (RFC 4648 section 4).
pub(crate) fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let tail = groups(bytes, ALPHABET, out);
    out.extend_from_slice(match tail {
        1 => b"==",
        2 => b"=",
        _ => b"",
    });
}

/// Appends `bytes` in URL-safe base64 without padding (RFC 4648 section 5, RFC 7515).
pub(crate) fn base64url(bytes: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    groups(bytes, ALPHABET, out);
}

/// Appends all symbols without padding; says how many bytes the last, short group had.
fn groups(bytes: &[u8], alphabet: &[u8; 64], out: &mut Vec<u8>) -> usize {
    out.reserve(bytes.len().div_ceil(3).saturating_mul(4));
    let (whole, tail) = bytes.as_chunks::<3>();
    for &[a, b, c] in whole {
        let sextets = [a >> 2, a << 4 | b >> 4, b << 2 | c >> 6, c];
        out.extend_from_slice(&sextets.map(|sextet| symbol(alphabet, sextet & 63)));
    }
    match *tail {
        [a] => out.extend([a >> 2, a << 4].map(|sextet| symbol(alphabet, sextet & 63))),
        [a, b] => out.extend([a >> 2, a << 4 | b >> 4, b << 2].map(|sextet| symbol(alphabet, sextet & 63))),
        _ => {}
    }
    tail.len()
}

/// The symbol for `digit`, which the caller has masked to the size of the alphabet.
fn symbol<const N: usize>(alphabet: &[u8; N], digit: u8) -> u8 {
    alphabet.get(usize::from(digit)).copied().unwrap_or_default()
}

/// How names and values are written into a query or a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escape {
    /// `application/x-www-form-urlencoded`: as [`Escape::Pct`], but a space is `+`.
    Form,
    /// `encodeURIComponent`: as [`Escape::Pct`], but `!~*'()` stay too.
    Js,
    /// RFC 3986: everything but `A-Z a-z 0-9 - _ . ~` is escaped.
    Pct,
    /// Nothing is escaped.
    Raw,
}

/// Appends `text` in the given escape; the ASCII characters of `keep` stay besides.
pub(crate) fn escape(kind: Escape, keep: &str, text: &[u8], out: &mut Vec<u8>) {
    // Nearly all texts are of such characters only, and many bytes are looked at together where none is a way out.
    if kind == Escape::Raw || text.iter().fold(true, |all, byte| all & is_unreserved(*byte)) {
        return out.extend_from_slice(text);
    }
    let stays = |byte: &u8| {
        is_unreserved(*byte)
            || (kind == Escape::Js && matches!(byte, b'!' | b'*' | b'\'' | b'(' | b')'))
            || keep.as_bytes().contains(byte)
    };
    let mut rest = text;
    loop {
        let plain = rest.iter().take_while(|byte| stays(byte)).count();
        let Some((before, [byte, after @ ..])) = rest.split_at_checked(plain) else {
            out.extend_from_slice(rest);
            return;
        };
        out.extend_from_slice(before);
        if kind == Escape::Form && *byte == b' ' {
            out.push(b'+');
        } else {
            out.push(b'%');
            hex_upper(&[*byte], out);
        }
        rest = after;
    }
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl Fn(&[u8], &mut Vec<u8>), bytes: &[u8]) -> String {
        let mut out = Vec::new();
        write(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_the_vectors_of_rfc_4648() {
        for (bytes, padded, url) in [
            (&b""[..], "", ""),
            (b"f", "Zg==", "Zg"),
            (b"fo", "Zm8=", "Zm8"),
            (b"foo", "Zm9v", "Zm9v"),
            (b"foob", "Zm9vYg==", "Zm9vYg"),
            (b"\xfb\xff\xfe", "+//+", "-__-"),
        ] {
            assert_eq!(text(base64, bytes), padded);
            assert_eq!(text(base64url, bytes), url);
        }
        assert_eq!(text(hex, b"\x00\xab\xff"), "00abff");
        assert_eq!(text(hex_upper, b"\x00\xab\xff"), "00ABFF");
    }

    #[test]
    fn escapes_by_the_venues_rule() {
        let sample = "a b+c/d=e&~!*'()-_.漢";
        for (kind, expected) in [
            (Escape::Pct, "a%20b%2Bc%2Fd%3De%26~%21%2A%27%28%29-_.%E6%BC%A2"),
            (Escape::Js, "a%20b%2Bc%2Fd%3De%26~!*'()-_.%E6%BC%A2"),
            (Escape::Form, "a+b%2Bc%2Fd%3De%26~%21%2A%27%28%29-_.%E6%BC%A2"),
            (Escape::Raw, sample),
        ] {
            assert_eq!(
                text(|bytes, out| escape(kind, "", bytes, out), sample.as_bytes()),
                expected,
                "{kind:?}"
            );
        }
    }
}
