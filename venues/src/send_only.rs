//! Venues that take key and secret as they are, in every request. There is nothing to sign: whoever may send a request
//! has the secret. They are known, so that who asks for one is told why.

use crate::compile::{self, compile};
use crate::error::ProfileError;

/// A venue of static keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendOnly {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) docs: String,
    pub(crate) checked: String,
    pub(crate) hosts: Vec<String>,
}

impl SendOnly {
    /// Compiles the text of a profile; nothing if its venue signs requests.
    ///
    /// # Errors
    /// The first thing that is wrong, with line and column.
    pub fn compile(text: &str) -> Result<Option<Self>, ProfileError> {
        match compile(text)? {
            compile::Text::SendOnly(venue, _) => Ok(Some(venue)),
            compile::Text::Signed(_) => Ok(None),
        }
    }

    /// The id of the profile.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The venue's name for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The vendor's page; empty if the profile names none.
    #[must_use]
    pub fn docs(&self) -> &str {
        &self.docs
    }

    /// When the profile was last compared, and with what.
    #[must_use]
    pub fn checked(&self) -> &str {
        &self.checked
    }

    /// The base URLs of the venue, without a slash at the end.
    #[must_use]
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }
}

macro_rules! profiles {
    ($($id:literal),+ $(,)?) => {
        &[$(($id, include_str!(concat!("../profiles/send-only/", $id, ".toml")))),+]
    };
}

const PROFILES: &[(&str, &str)] =
    profiles!["alpaca", "bitteam", "blockchaincom", "luno", "mudrex", "onetrading"];

/// Id and text of every shipped profile of a venue of static keys, sorted by id.
#[must_use]
pub const fn send_only_profiles() -> &'static [(&'static str, &'static str)] {
    PROFILES
}

/// Compiles the shipped one called `id`; nothing if there is none.
///
/// # Errors
/// Never for a released version: a test compiles every one.
pub fn send_only(id: &str) -> Option<Result<SendOnly, ProfileError>> {
    let (_, text) = PROFILES.iter().find(|(known, _)| *known == id)?;
    SendOnly::compile(text).transpose()
}
