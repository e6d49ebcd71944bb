//! Random moments.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A stream of numbers that nobody can foresee well enough to hide from; no cryptography.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// Begins at the time of day.
    #[must_use]
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::from(now.subsec_nanos()) ^ now.as_secs() << 30)
    }

    /// A number below `limit` (SplitMix64).
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31).checked_rem(limit).unwrap_or_default()
    }

    /// Sleeps for less than `longest`.
    pub fn sleep(&mut self, longest: Duration) {
        let longest = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        std::thread::sleep(Duration::from_nanos(self.below(longest)));
    }
}

impl Default for Chance {
    fn default() -> Self {
        Self::new()
    }
}
