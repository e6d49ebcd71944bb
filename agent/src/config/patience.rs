//! What the configuration says about waiting for the token.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::locks::{OutOfBounds, Seconds};

/// Seconds that the token may take for one thing: a login, a new key, one seed.
///
/// A client waits for a minute, so that it hears of a token that has used all of them up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Patience(Seconds<1, MOST>);

const MOST: u64 = 50;

impl Patience {
    /// The longest that a client waits for.
    pub(crate) const fn most() -> Duration {
        Duration::from_secs(MOST)
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self(Seconds(30))
    }
}

impl From<Patience> for Duration {
    fn from(patience: Patience) -> Self {
        patience.0.into()
    }
}

impl FromStr for Patience {
    type Err = OutOfBounds;

    fn from_str(text: &str) -> Result<Self, OutOfBounds> {
        text.parse().map(Self)
    }
}
