//! Who is turned away again and again fills no disk.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::identity::{ClientName, Principal};

/// A user or client gets one line for each rule in this time.
const ONCE_IN: Duration = Duration::from_secs(1);
/// So many are told apart in that; all others count as one.
const MAX: usize = 256;

/// Who was turned away by which rule; `None` for all for whom there is no more room.
type Who = Option<(u32, Option<ClientName>, &'static str)>;

/// When somebody was turned away, and how often since without a line.
#[derive(Debug, Default)]
pub(super) struct TurnedAway(HashMap<Who, (Instant, u64)>);

impl TurnedAway {
    /// How often a line is to tell of; none is to be written now where it is `None`.
    pub(super) fn times(&mut self, who: &Principal, rule: &'static str) -> Option<u64> {
        let seen = &mut self.0;
        let mut key = Some((who.uid, who.client.clone(), rule));
        if seen.len() >= MAX && !seen.contains_key(&key) {
            seen.retain(|_, (at, _)| at.elapsed() < ONCE_IN);
            if seen.len() >= MAX {
                key = None;
            }
        }
        match seen.get_mut(&key) {
            Some((at, unsaid)) if at.elapsed() < ONCE_IN => {
                *unsaid = unsaid.saturating_add(1);
                None
            }
            Some((at, unsaid)) => {
                *at = Instant::now();
                Some(std::mem::take(unsaid).saturating_add(1))
            }
            None => {
                seen.insert(key, (Instant::now(), 0));
                Some(1)
            }
        }
    }
}
