//! What the configuration says about locking without being asked.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What happens to loaded keys when the token is pulled out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnTokenRemoved {
    /// They sign on, and `status` says that the token is gone.
    Keep,
    /// They are forgotten.
    #[default]
    Lock,
}

/// Seconds between two looks at the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct WatchEvery(Seconds<1, 3_600>);

impl Default for WatchEvery {
    fn default() -> Self {
        Self(Seconds(1))
    }
}

impl From<WatchEvery> for Duration {
    fn from(every: WatchEvery) -> Self {
        every.0.into()
    }
}

/// Seconds without a signature after which the agent locks: at most a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct IdleLimit(Seconds<1, 604_800>);

impl From<IdleLimit> for Duration {
    fn from(limit: IdleLimit) -> Self {
        limit.0.into()
    }
}

/// A number of seconds within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64")]
pub(super) struct Seconds<const LEAST: u64, const MOST: u64>(pub(super) u64);

impl<const LEAST: u64, const MOST: u64> TryFrom<u64> for Seconds<LEAST, MOST> {
    type Error = OutOfBounds;

    fn try_from(seconds: u64) -> Result<Self, OutOfBounds> {
        match seconds {
            seconds if (LEAST..=MOST).contains(&seconds) => Ok(Self(seconds)),
            _ => Err(OutOfBounds { least: LEAST, most: MOST }),
        }
    }
}

impl<const LEAST: u64, const MOST: u64> FromStr for Seconds<LEAST, MOST> {
    type Err = OutOfBounds;

    fn from_str(text: &str) -> Result<Self, OutOfBounds> {
        text.parse::<u64>().map_err(|_| OutOfBounds { least: LEAST, most: MOST })?.try_into()
    }
}

impl<const LEAST: u64, const MOST: u64> From<Seconds<LEAST, MOST>> for Duration {
    fn from(seconds: Seconds<LEAST, MOST>) -> Self {
        Self::from_secs(seconds.0)
    }
}

/// A number of seconds that is too small or too large.
#[derive(Debug, thiserror::Error)]
#[error("this is {least} to {most} seconds")]
pub(crate) struct OutOfBounds {
    least: u64,
    most: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        every: WatchEvery,
        idle: Option<IdleLimit>,
    }

    fn read(text: &str) -> Result<(Duration, Option<Duration>), String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        Ok((file.every.into(), file.idle.map(Duration::from)))
    }

    #[test]
    fn refuses_seconds_out_of_bounds_and_names_the_bounds() {
        let s = Duration::from_secs;
        assert_eq!(read("").unwrap(), (s(1), None));
        assert_eq!(read("every = 3600\nidle = 604800").unwrap(), (s(3_600), Some(s(604_800))));
        for (text, bounds) in [
            ("every = 0", "1 to 3600 seconds"),
            ("every = 3601", "1 to 3600 seconds"),
            ("idle = 0", "1 to 604800 seconds"),
            ("idle = 604801", "1 to 604800 seconds"),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.contains(bounds), "{text}: {told}");
        }
        assert!(read("idle = -1").is_err());
    }
}
