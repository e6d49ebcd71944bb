//! What the configuration says about asking a human.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::locks::Seconds;

/// Seconds within which a human must say yes to a request whose grant asks for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ConfirmWithin(Seconds<5, 600>);

impl Default for ConfirmWithin {
    fn default() -> Self {
        Self(Seconds(60))
    }
}

impl From<ConfirmWithin> for Duration {
    fn from(within: ConfirmWithin) -> Self {
        within.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        within: ConfirmWithin,
    }

    #[test]
    fn refuses_seconds_out_of_bounds() {
        let read = |text| toml::from_str::<File>(text).map(|file| Duration::from(file.within).as_secs());
        assert_eq!(read("").unwrap(), 60);
        assert_eq!(read("within = 5").unwrap(), 5);
        assert_eq!(read("within = 600").unwrap(), 600);
        for text in ["within = 4", "within = 601", "within = -5", "within = \"60\""] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("within = 0").unwrap_err().to_string().contains("5 to 600 seconds"));
    }
}
