//! Patterns of values. Most are a word or two, and cost no more than that.

use crate::template::{Pattern, check_pattern};

/// What a value has to be, as a whole, in capitals or not.
#[derive(Debug)]
pub(crate) enum Words {
    /// One of these.
    Literal(Vec<String>),
    Pattern(Box<Pattern>),
}

impl std::fmt::Display for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Literal(words) => f.write_str(&words.join("|")),
            Self::Pattern(pattern) => f.write_str(pattern.as_str()),
        }
    }
}

impl Words {
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        let is_word = |word: &str| {
            !word.is_empty()
                && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'-' | b'_'))
        };
        if text.split('|').all(is_word) {
            return Ok(Self::Literal(text.split('|').map(str::to_owned).collect()));
        }
        // By itself first: what closes a group that it did not open is no pattern.
        check_pattern(text)?;
        Pattern::compile(&format!("(?i)^(?:{text})$")).map(|pattern| Self::Pattern(Box::new(pattern)))
    }

    pub(crate) fn fit(&self, text: &str) -> bool {
        match self {
            Self::Literal(words) => words.iter().any(|word| word.eq_ignore_ascii_case(text)),
            Self::Pattern(pattern) => pattern.is_match(text.as_bytes()),
        }
    }
}
