//! How fast new clients are let in.
//!
//! To find out who has connected takes tens of microseconds of the one thread that serves everybody. Who
//! connects again and again must not take them from those who are connected.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// So many may connect at once after a pause.
const BURST: u32 = 1_024;
/// And after these, one in this time. Who comes faster waits in the socket's queue.
const INTERVAL: Duration = Duration::from_millis(2);

/// Spaces out connections: a generic cell rate.
#[derive(Debug)]
pub(super) struct Pace {
    /// When the next would be due if all had come at [`INTERVAL`].
    due: Cell<Instant>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { due: Cell::new(Instant::now()) }
    }

    /// Waits until one more may be let in.
    pub(super) async fn next(&self) {
        if let Some(at) = self.admit(Instant::now()) {
            sleep_until(at).await;
        }
    }

    /// When one that comes at `now` may be let in, where that is later.
    fn admit(&self, now: Instant) -> Option<Instant> {
        let due = self.due.get().max(now);
        self.due.set(due.checked_add(INTERVAL).unwrap_or(due));
        let ahead = INTERVAL.saturating_mul(BURST.saturating_sub(1));
        due.checked_sub(ahead).filter(|at| *at > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_a_burst_in_at_once_and_spaces_out_the_rest() {
        let (pace, now) = (Pace::new(), Instant::now() + Duration::from_secs(60));
        for _ in 0..BURST {
            assert_eq!(pace.admit(now), None);
        }
        assert_eq!(pace.admit(now), Some(now + INTERVAL));
        assert_eq!(pace.admit(now), Some(now + 2 * INTERVAL));
        let later = now + 10 * INTERVAL;
        for _ in 0..8 {
            assert_eq!(pace.admit(later), None);
        }
        assert!(pace.admit(later).is_some());
    }
}
