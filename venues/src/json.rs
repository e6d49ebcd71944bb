//! JSON, read strictly once and written back compactly.
//!
//! What is signed is re-serialised from the parsed value, and policy reads that same value, so there
//! must be only one way to read a text: RFC 8259 without its leniencies. Duplicate names, lone
//! surrogates, text after the value and deep nesting are refused. Numbers keep their text, because a
//! price must not pass through a floating-point type.

mod read;
mod write;

use std::borrow::Cow;

pub use read::{JsonError, parse};
pub use write::write;
pub(crate) use write::{array as write_array, members as write_members, string as write_string};

/// Deepest nesting of arrays and objects that [`parse`] accepts.
pub const MAX_DEPTH: usize = 32;

/// A JSON value that borrows from its text where no escape stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// `[…]`
    Array(Vec<Self>),
    /// `true` or `false`
    Bool(bool),
    /// `null`
    Null,
    /// The digits as they were written.
    Number(Cow<'a, str>),
    /// `{…}`, in the order of the text; no name occurs twice.
    Object(Vec<Member<'a>>),
    /// The text without its escapes.
    Text(Cow<'a, str>),
}

/// A named value.
pub type Member<'a> = (Cow<'a, str>, Value<'a>);

impl<'a> Value<'a> {
    /// The member of an object called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(n, _)| n == name).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The text of a string.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What a scalar looks like in a query or a form; nothing for `null` and containers.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Array(_) | Self::Null | Self::Object(_) => None,
        }
    }
}
