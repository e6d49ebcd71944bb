//! The name of a client that has a token.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strongroom_policy::is_name;

/// A name that an admin has given to a client.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ClientName(String);

/// The text is no client name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a client name has 1 to 64 of the characters a-z 0-9 . _ - and begins with a letter or digit")]
pub(crate) struct NoClientName;

impl ClientName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientName {
    type Err = NoClientName;

    fn from_str(text: &str) -> Result<Self, NoClientName> {
        if is_name(text) { Ok(Self(text.to_owned())) } else { Err(NoClientName) }
    }
}

impl TryFrom<String> for ClientName {
    type Error = NoClientName;

    fn try_from(text: String) -> Result<Self, NoClientName> {
        text.parse()
    }
}

impl From<ClientName> for String {
    fn from(name: ClientName) -> Self {
        name.0
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}
