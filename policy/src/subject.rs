//! To whom a grant is given.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One who may ask: the holder of a client token, a systemd unit, or a user of this machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Subject {
    /// The client with this name.
    Client(String),
    /// The unit, as `system/bot.service` or `user@1000/bot.service`.
    Unit(String),
    /// The user with this id.
    User(u32),
}

/// The text is no subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotASubject {
    /// A client's name that is none.
    #[error(
        "a client is written as client:NAME, where NAME has 1 to 64 of a-z 0-9 . _ - and begins with a letter or digit"
    )]
    Client,
    /// No kind before the colon.
    #[error(
        "a grant is given to client:NAME, unit:system/NAME.service, unit:user@UID/NAME.service or user:UID"
    )]
    Kind,
    /// A unit without its manager, or with a name that no unit has.
    #[error(
        "a unit is written with the manager that named it: unit:system/grid.service, or unit:user@1000/grid.service \
         for a unit of a user's own"
    )]
    Unit,
    /// No user id.
    #[error("a user is written as user:UID with the number that `id -u NAME` prints")]
    User,
}

impl FromStr for Subject {
    type Err = NotASubject;
    fn from_str(text: &str) -> Result<Self, NotASubject> {
        let (kind, name) = text.split_once(':').ok_or(NotASubject::Kind)?;
        match kind {
            "client" if is_name(name) => Ok(Self::Client(name.to_owned())),
            "client" => Err(NotASubject::Client),
            "unit" if is_unit(name) => Ok(Self::Unit(name.to_owned())),
            "unit" => Err(NotASubject::Unit),
            "user" => uid(name).map(Self::User).ok_or(NotASubject::User),
            _ => Err(NotASubject::Kind),
        }
    }
}

/// Whether this can be the name of a client or of a credential: 1 to 64 of `a-z 0-9 . _ -`, of which the first is a
/// letter or digit.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let first = name.bytes().next().is_some_and(plain);
    first && name.len() <= MAX_CLIENT_BYTES && name.bytes().all(|byte| plain(byte) || b"._-".contains(&byte))
}

fn is_unit(text: &str) -> bool {
    let Some((manager, name)) = text.split_once('/') else { return false };
    let known = manager == "system" || manager.strip_prefix("user@").and_then(uid).is_some();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    // systemd.unit(5); a name has a kind behind its last point.
    let kind = name.rsplit_once('.').is_some_and(|(stem, kind)| !stem.is_empty() && !kind.is_empty());
    known && kind && name.len() <= MAX_UNIT_BYTES && name.bytes().all(plain)
}

/// Only as `id -u` writes it: no sign, no leading zero.
fn uid(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number: &u32| number.to_string() == text)
}

const MAX_CLIENT_BYTES: usize = 64;
/// systemd's own limit.
const MAX_UNIT_BYTES: usize = 256;

impl TryFrom<String> for Subject {
    type Error = NotASubject;
    fn try_from(text: String) -> Result<Self, NotASubject> {
        text.parse()
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.to_string()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(name) => write!(f, "client:{name}"),
            Self::Unit(name) => write!(f, "unit:{name}"),
            Self::User(uid) => write!(f, "user:{uid}"),
        }
    }
}
