//! How far the clocks of venues are from ours.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Milliseconds by which the clock of a venue is ahead of ours; less than zero where it is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub(crate) struct Skew(i64);

/// The number is no skew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a skew is a whole number of milliseconds, at most a minute: -60000 to 60000; for more, set this machine's clock"
)]
pub(crate) struct NotASkew;

impl TryFrom<i64> for Skew {
    type Error = NotASkew;

    fn try_from(ms: i64) -> Result<Self, NotASkew> {
        if (-60_000..=60_000).contains(&ms) { Ok(Self(ms)) } else { Err(NotASkew) }
    }
}

impl From<Skew> for i64 {
    fn from(skew: Skew) -> Self {
        skew.0
    }
}

impl std::str::FromStr for Skew {
    type Err = NotASkew;

    fn from_str(text: &str) -> Result<Self, NotASkew> {
        text.parse::<i64>().map_err(|_| NotASkew)?.try_into()
    }
}

/// The skews by venue. One that is not here has our clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Skews(pub(crate) BTreeMap<String, Skew>);

impl Skews {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// That of a venue, in milliseconds.
    pub(crate) fn of(&self, venue: &str) -> i64 {
        self.0.get(venue).map_or(0, |skew| skew.0)
    }
}
