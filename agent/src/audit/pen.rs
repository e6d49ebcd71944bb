//! The one spelling of what stands in a line: JSON in ASCII, without a space.

use std::fmt::{Display, Write as _};

use super::line::Hash;

/// Writes members one behind the other, a comma before each.
#[derive(Debug)]
pub(crate) struct Pen<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> Pen<'o> {
    /// Goes on behind what stands in `out`.
    pub(crate) const fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out }
    }

    /// A member whose value `write` appends.
    pub(crate) fn member(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.members(b",\"");
        self.members(name.as_bytes());
        self.members(b"\":");
        write(self.out);
    }

    /// Members that were written before.
    pub(crate) fn members(&mut self, written: &[u8]) {
        self.out.extend_from_slice(written);
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.member(name, |out| string(value, out));
    }

    pub(crate) fn number(&mut self, name: &str, value: impl Into<i128> + Display) {
        self.member(name, |out| number(value, out));
    }

    pub(crate) fn hash(&mut self, name: &str, value: &Hash) {
        self.member(name, |out| {
            out.push(b'"');
            hex(value, out);
            out.push(b'"');
        });
    }
}

/// Appends a number.
pub(crate) fn number(value: impl Into<i128> + Display, out: &mut Vec<u8>) {
    // Memory takes everything.
    let _ = write!(Ascii(out), "{value}");
}

/// Appends a hash as 64 digits.
pub(crate) fn hex(hash: &Hash, out: &mut Vec<u8>) {
    let mut digits = [0; 64];
    out.extend_from_slice(base16ct::lower::encode(hash, &mut digits).unwrap_or_default());
}

/// Appends a text in quotes. No byte of it means anything to a terminal.
pub(crate) fn string(text: &str, out: &mut Vec<u8>) {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    out.push(b'"');
    // Without a way out in the middle, so that many bytes are looked at together.
    if text.bytes().fold(true, |all, byte| all & plain(byte)) {
        out.extend_from_slice(text.as_bytes());
    } else {
        text.chars().for_each(|c| character(c, out));
    }
    out.push(b'"');
}

fn character(c: char, out: &mut Vec<u8>) {
    let short = match c {
        '"' => b"\\\"",
        '\\' => b"\\\\",
        '\u{8}' => b"\\b",
        '\u{c}' => b"\\f",
        '\n' => b"\\n",
        '\r' => b"\\r",
        '\t' => b"\\t",
        ' '..='~' => return out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        c => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(Ascii(out), "\\u{unit:04x}");
            }
            return;
        }
    };
    out.extend_from_slice(short);
}

/// What is written by a format.
struct Ascii<'o>(&'o mut Vec<u8>);

impl std::fmt::Write for Ascii<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_any_reader_of_json_reads_back() {
        for text in
            ["", "plain", "a \"b\" \\ c", "\u{8}\u{c}\n\r\t\u{0}\u{1b}[31m\u{7f}", "\u{e4}\u{202e}\u{1f600}"]
        {
            let mut out = Vec::new();
            string(text, &mut out);
            assert!(out.iter().all(|byte| (b' '..=b'~').contains(byte)), "{out:?}");
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
