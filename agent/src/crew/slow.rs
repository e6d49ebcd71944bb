//! Signatures that take long: who waits for them, and how many more may be asked for.
//!
//! The keeper's line before them is bounded ([`SLOW_JOBS`]), and what it refuses has been charged to a budget already.
//! So the front counts what is in it: it reads no further from whoever has some in it where there are many, and
//! refuses, before anything is charged, what the line would have no room for.

use std::collections::{HashMap, VecDeque};

use strongroom_link::frame::MAX_FRAME_BYTES;
use strongroom_link::keeper::{SLOW_BYTES, SLOW_JOBS, SLOW_JOBS_OF_ONE};

/// Questions for one slot above which those who have asked one are to ask no more: enough that the thread never waits
/// for the front.
const MANY_OF_ONE: usize = 8;
/// The same for all slots together, and how many bytes of messages.
const MANY: usize = 64;
const MANY_BYTES: usize = SLOW_BYTES / 8;

/// Those who wait for signatures that take long.
#[derive(Debug)]
pub(super) struct Slow<W> {
    /// In the order of the questions.
    waiting: VecDeque<Place<W>>,
    /// What is asked of each slot of which something is asked.
    slots: HashMap<u32, Load>,
    all: Load,
    /// How many were answered.
    answered: u64,
}

#[derive(Debug)]
struct Place<W> {
    job: u64,
    slot: u32,
    message_bytes: usize,
    waiter: W,
}

/// How much is asked.
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    jobs: usize,
    bytes: usize,
}

impl Load {
    const fn add(&mut self, bytes: usize) {
        self.jobs = self.jobs.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    const fn take(&mut self, bytes: usize) {
        self.jobs = self.jobs.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

impl<W> Default for Slow<W> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), slots: HashMap::new(), all: Load::default(), answered: 0 }
    }
}

impl<W> Slow<W> {
    /// Notes who waits for a signature with the key in `slot`.
    pub(super) fn put(&mut self, job: u64, slot: u32, message_bytes: usize, waiter: W) {
        self.all.add(message_bytes);
        self.slots.entry(slot).or_default().add(message_bytes);
        self.waiting.push_back(Place { job, slot, message_bytes, waiter });
    }

    /// Who waits for the answer to that question.
    pub(super) fn take(&mut self, job: u64) -> Option<W> {
        let at = self.waiting.iter().position(|place| place.job == job)?;
        let Place { slot, message_bytes, waiter, .. } = self.waiting.remove(at)?;
        self.all.take(message_bytes);
        if let Some(load) = self.slots.get_mut(&slot) {
            load.take(message_bytes);
            if load.jobs == 0 {
                self.slots.remove(&slot);
            }
        }
        self.answered = self.answered.wrapping_add(1);
        Some(waiter)
    }

    /// All who wait.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = W> + use<W> {
        std::mem::take(self).waiting.into_iter().map(|place| place.waiter)
    }

    /// How many were answered, where somebody waits. They are answered in another order than they were asked, so that
    /// one waits long does not mean that the keeper does nothing.
    pub(super) fn progress(&self) -> Option<u64> {
        (!self.waiting.is_empty()).then_some(self.answered)
    }

    /// Whether the keeper's line has room for one more of this slot, however long. The second half of it is for slots
    /// of which nothing is asked yet.
    pub(super) fn has_room(&self, slot: u32) -> bool {
        let (own, all) = (self.load(slot), self.all);
        let fits = all.jobs < SLOW_JOBS && all.bytes <= SLOW_BYTES.saturating_sub(MAX_FRAME_BYTES);
        let has_share = own.jobs < SLOW_JOBS_OF_ONE && own.bytes < MANY_BYTES && all.jobs < SLOW_JOBS / 2;
        fits && (own.jobs == 0 || has_share)
    }

    /// Whether those who have asked something of this slot are to ask no more.
    pub(super) fn has_many(&self, slot: u32) -> bool {
        let own = self.load(slot);
        own.jobs > 0 && (own.jobs >= MANY_OF_ONE || self.all.jobs >= MANY || self.all.bytes >= MANY_BYTES)
    }

    fn load(&self, slot: u32) -> Load {
        self.slots.get(&slot).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_room_for_others_beside_a_slot_that_has_its_share() {
        let mut slow = Slow::default();
        let mut job = 0;
        while slow.has_room(7) {
            slow.put(job, 7, 100, ());
            job += 1;
        }
        assert_eq!(slow.load(7).jobs, SLOW_JOBS_OF_ONE);
        while slow.has_room(8) {
            slow.put(job, 8, 100, ());
            job += 1;
        }
        assert_eq!(slow.all.jobs, SLOW_JOBS / 2, "half of it is taken");
        for slot in (100..).take(SLOW_JOBS / 2) {
            assert!(slow.has_room(slot), "{slot}");
            slow.put(job, slot, 100, ());
            job += 1;
            assert!(!slow.has_room(slot), "one each");
        }
        assert!(!slow.has_room(1), "the control: all is full");
    }

    #[test]
    fn has_room_for_one_of_the_longest_only_where_it_fits() {
        let mut slow = Slow::default();
        slow.put(1, 7, MAX_FRAME_BYTES, ());
        assert!(slow.has_room(8));
        assert!(!slow.has_room(7));
        slow.put(2, 8, 1, ());
        assert!(!slow.has_room(9));
        slow.take(2);
        assert!(slow.has_room(9));
    }

    #[test]
    fn holds_back_whoever_has_asked_where_there_are_many() {
        let mut slow = Slow::default();
        for job in 0..8 {
            assert!(!slow.has_many(7), "{job}");
            slow.put(job, 7, 1, ());
        }
        assert!(slow.has_many(7));
        assert!(!slow.has_many(8));
        slow.take(3);
        assert!(!slow.has_many(7));
        for job in 100..156 {
            slow.put(job, u32::try_from(job).unwrap(), 1, ());
        }
        assert!(!slow.has_many(100));
        slow.put(156, 156, 1, ());
        assert!(slow.has_many(100));
        assert!(!slow.has_many(1), "who has asked nothing may");
    }

    #[test]
    fn forgets_what_was_answered_in_whatever_order() {
        let mut slow = Slow::default();
        assert_eq!(slow.progress(), None);
        for job in 0..6 {
            slow.put(job, u32::try_from(job % 2).unwrap(), 10, job);
        }
        for (count, job) in (0..).zip([5, 0, 3, 1, 4, 2]) {
            assert_eq!(slow.progress(), Some(count));
            assert_eq!(slow.take(job), Some(job));
            assert_eq!(slow.take(job), None);
        }
        assert_eq!(slow.progress(), None);
        assert!(slow.slots.is_empty());
        assert_eq!((slow.all.jobs, slow.all.bytes), (0, 0));
    }
}
