//! The grants of one credential, as they stand in its record: the text as an admin has written it, comments and all.
//!
//! The text is what is authenticated, not what a parser makes of it: so a later version that knows more limits still
//! opens a record of this one, and nobody's remarks are lost by a change.

use serde::{Deserialize, Serialize};

/// Longest text. It goes over the client wire in one frame, with everything else about its credential.
pub(crate) const MAX_BYTES: usize = 60_000;

/// Grants as TOML: a list of `[[grant]]`, which may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct GrantsText(String);

impl GrantsText {
    /// Takes a text as it came, with the line ends of this system.
    pub(crate) fn new(text: &str) -> Self {
        let mut text = text.replace("\r\n", "\n");
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}
