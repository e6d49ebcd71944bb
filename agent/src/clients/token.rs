//! The token of a client: 256 bits of the kernel's, their text, and what is kept of them.
//!
//! The text is `strongroom_`, 64 hexadecimal digits, and 8 more that check them. The prefix is for programs that look
//! for secrets in public places; the check tells a typing error from a token that is not valid.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A token, as it is shown once.
pub(crate) struct Token(Zeroizing<[u8; BYTES]>);

/// All that is kept of a token. The token cannot be had from it: it is 256 bits of chance, too many to try, so
/// that a slow hash, or salt, would add nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenHash([u8; BYTES]);

/// Why a text is no token. Says nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoToken {
    #[error("this is no client token: one has `{PREFIX}` and {DIGITS} hexadecimal digits")]
    Form,
    #[error("the client token has a typing error: its last digits do not fit the others")]
    Mistyped,
}

const PREFIX: &str = "strongroom_";
const BYTES: usize = 32;
const CHECK_BYTES: usize = 4;
const DIGITS: usize = 2 * (BYTES + CHECK_BYTES);

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// Where the kernel gives no randomness.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        getrandom::fill(bytes.as_mut())?;
        Ok(Self(bytes))
    }

    /// Reads the text of one.
    ///
    /// # Errors
    /// [`NoToken`].
    pub(crate) fn from_text(text: &str) -> Result<Self, NoToken> {
        let digits = text.strip_prefix(PREFIX).ok_or(NoToken::Form)?;
        let mut all = Zeroizing::new([0; BYTES + CHECK_BYTES]);
        match base16ct::lower::decode(digits, all.as_mut()) {
            Ok(read) if read.len() == BYTES + CHECK_BYTES => {}
            _ => return Err(NoToken::Form),
        }
        let (bytes, check) = all.split_first_chunk::<BYTES>().ok_or(NoToken::Form)?;
        let token = Self(Zeroizing::new(*bytes));
        if token.check() == check { Ok(token) } else { Err(NoToken::Mistyped) }
    }

    /// Its text.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        // So much that it is never moved, which would leave a copy behind.
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len().saturating_add(DIGITS)));
        text.push_str(PREFIX);
        for part in [self.0.as_slice(), &self.check()] {
            text.push_str(&Zeroizing::new(base16ct::lower::encode_string(part)));
        }
        text
    }

    /// What is kept of it.
    pub(crate) fn hash(&self) -> TokenHash {
        TokenHash(digest("strongroom client token\0", self.0.as_slice()))
    }

    fn check(&self) -> [u8; CHECK_BYTES] {
        let [a, b, c, d, ..] = digest("strongroom client token check\0", self.0.as_slice());
        [a, b, c, d]
    }
}

impl TokenHash {
    /// Whether both are of one token. Takes the same time wherever they differ.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl TryFrom<String> for TokenHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let mut hash = [0; BYTES];
        match base16ct::lower::decode(&text, &mut hash) {
            Ok(read) if read.len() == BYTES => Ok(Self(hash)),
            _ => Err("the hash of a token is 64 hexadecimal digits"),
        }
    }
}

impl From<TokenHash> for String {
    fn from(hash: TokenHash) -> Self {
        base16ct::lower::encode_string(&hash.0)
    }
}

fn digest(label: &str, bytes: &[u8]) -> [u8; BYTES] {
    Sha256::new().chain_update(label).chain_update(bytes).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_text_that_it_writes_and_no_other() {
        let token = Token::new().unwrap();
        let text = token.text();
        assert_eq!(text.len(), 83);
        assert!(Token::from_text(&text).unwrap().hash().is(&token.hash()));
        assert!(!Token::new().unwrap().hash().is(&token.hash()), "no two are the same");
        let digits = text.strip_prefix(PREFIX).unwrap().to_owned();
        for (case, text) in [
            ("nothing", String::new()),
            ("no prefix", digits.clone()),
            ("another prefix", format!("strongbox_{digits}")),
            ("no digits", PREFIX.to_owned()),
            ("a digit less", text[..text.len() - 1].to_owned()),
            ("a byte less", text[..text.len() - 2].to_owned()),
            ("a digit more", format!("{}0", *text)),
            ("a byte more", format!("{}00", *text)),
            ("a line end", format!("{}\n", *text)),
            ("capitals", format!("{PREFIX}{}", "AB".repeat(36))),
        ] {
            assert_eq!(Token::from_text(&text).err(), Some(NoToken::Form), "{case}");
        }
    }

    #[test]
    fn finds_every_wrong_digit() {
        let text = Token::new().unwrap().text();
        for place in PREFIX.len()..text.len() {
            let wrong = if text.as_bytes()[place] == b'0' { "1" } else { "0" };
            let mut mistyped = text.to_string();
            mistyped.replace_range(place..=place, wrong);
            assert_eq!(Token::from_text(&mistyped).err(), Some(NoToken::Mistyped), "digit {place}");
        }
    }
}
