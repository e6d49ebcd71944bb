//! Symbols, and patterns of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::grant::{MAX_WORD_BYTES, is_word};

/// A symbol, or a glob: `*` stands for any characters, none too. Case is no difference, as it is none at the venues.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

/// The text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a symbol has 1 to 64 printable characters of ASCII without quotes, backslashes and spaces; `*` in it stands for any characters"
)]
pub struct NotAPattern;

impl Pattern {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for one symbol only.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !self.0.contains('*')
    }

    /// Whether this symbol fits. A symbol with `*` in it, or longer than 64 bytes, never does.
    #[must_use]
    pub fn matches(&self, symbol: &str) -> bool {
        symbol.len() <= MAX_WORD_BYTES && !symbol.contains('*') && fits(self.0.as_bytes(), symbol.as_bytes())
    }
}

/// Goes back to the last `*` only, so the work is at most the product of the two lengths.
fn fits(mut pattern: &[u8], mut text: &[u8]) -> bool {
    let mut again: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (Some((b'*', rest)), _) => {
                pattern = rest;
                again = Some((rest, text));
            }
            (None, None) => return true,
            (Some((wanted, pattern_rest)), Some((found, text_rest)))
                if wanted.eq_ignore_ascii_case(found) =>
            {
                (pattern, text) = (pattern_rest, text_rest);
            }
            _ => {
                let Some((rest, from)) = again else { return false };
                let Some((_, later)) = from.split_first() else { return false };
                (pattern, text) = (rest, later);
                again = Some((rest, later));
            }
        }
    }
}

impl FromStr for Pattern {
    type Err = NotAPattern;
    fn from_str(text: &str) -> Result<Self, NotAPattern> {
        if is_word(text) { Ok(Self(text.to_owned())) } else { Err(NotAPattern) }
    }
}

impl TryFrom<String> for Pattern {
    type Error = NotAPattern;
    fn try_from(text: String) -> Result<Self, NotAPattern> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
