//! The line before the thread that signs slowly: bounded, and fair between keys.
//!
//! Each key that something waits for has one signature made, then the next has. So whoever asks for one signature
//! waits for one of each other key at most, however many those have asked for.

use std::collections::VecDeque;

use strongroom_link::keeper::{Refusal, SLOW_BYTES, SLOW_JOBS, SLOW_JOBS_OF_ONE};

/// What waits, in the order in which it came.
pub(crate) struct Line<T> {
    waiting: VecDeque<Place<T>>,
    /// The messages of `waiting`, one behind the other.
    messages: VecDeque<u8>,
    /// The slots that something waits for, each once, the next one first.
    turns: VecDeque<u32>,
}

struct Place<T> {
    slot: u32,
    what: T,
    message_bytes: usize,
}

impl<T> Line<T> {
    /// Has all the memory that it will ever need.
    pub(crate) fn roomy() -> Self {
        Self {
            waiting: VecDeque::with_capacity(SLOW_JOBS),
            messages: VecDeque::with_capacity(SLOW_BYTES),
            turns: VecDeque::with_capacity(SLOW_JOBS),
        }
    }

    /// Puts one at the end of its slot's.
    ///
    /// # Errors
    /// [`Refusal::SigningQueueFull`]: all is full, or this slot has its share.
    pub(crate) fn put(&mut self, slot: u32, what: T, message: &[u8]) -> Result<(), Refusal> {
        let bytes = self.messages.len().saturating_add(message.len());
        let own = self.waiting.iter().filter(|place| place.slot == slot).count();
        if self.waiting.len() >= SLOW_JOBS || bytes > SLOW_BYTES || own >= SLOW_JOBS_OF_ONE {
            return Err(Refusal::SigningQueueFull);
        }
        if own == 0 {
            self.turns.push_back(slot);
        }
        self.messages.extend(message);
        self.waiting.push_back(Place { slot, what, message_bytes: message.len() });
        Ok(())
    }

    /// Takes the next one, and its message into `message`.
    pub(crate) fn take(&mut self, message: &mut Vec<u8>) -> Option<(u32, T)> {
        let slot = self.turns.pop_front()?;
        let at = self.waiting.iter().position(|place| place.slot == slot)?;
        let begin: usize = self.waiting.iter().take(at).map(|place| place.message_bytes).sum();
        let Place { slot, what, message_bytes } = self.waiting.remove(at)?;
        message.clear();
        message.extend(self.messages.drain(begin..begin.saturating_add(message_bytes)));
        if self.waiting.iter().any(|place| place.slot == slot) {
            self.turns.push_back(slot);
        }
        Some((slot, what))
    }

    /// Drops what waits for `slot`, telling `dropped` what that was.
    pub(crate) fn drop_all_of(&mut self, slot: u32, mut dropped: impl FnMut(&T)) {
        let Self { waiting, messages, turns } = self;
        let mut at = 0_usize;
        waiting.retain(|place| {
            let end = at.saturating_add(place.message_bytes);
            if place.slot != slot {
                at = end;
                return true;
            }
            messages.drain(at..end);
            dropped(&place.what);
            false
        });
        turns.retain(|turn| *turn != slot);
    }

    /// Drops all.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
        self.messages.clear();
        self.turns.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: u64) -> Vec<u8> {
        vec![b'm'; usize::try_from(number % 7).unwrap()]
    }

    /// Takes all, and looks that each has its own message.
    fn taken(line: &mut Line<u64>) -> Vec<(u32, u64)> {
        let mut message = Vec::new();
        let mut all = Vec::new();
        while let Some((slot, job)) = line.take(&mut message) {
            assert_eq!(message, text(job));
            all.push((slot, job));
        }
        assert!(line.messages.is_empty() && line.waiting.is_empty() && line.turns.is_empty());
        all
    }

    #[test]
    fn gives_each_slot_one_turn_after_the_other() {
        let mut line = Line::roomy();
        for job in 0..20 {
            line.put(7, job, &text(job)).unwrap();
        }
        for (slot, job) in [(1, 100), (1, 101), (2, 200)] {
            line.put(slot, job, &text(job)).unwrap();
        }
        let order = taken(&mut line);
        assert_eq!(order[..6], [(7, 0), (1, 100), (2, 200), (7, 1), (1, 101), (7, 2)]);
        let of_flood: Vec<u64> = order.iter().filter(|(slot, _)| *slot == 7).map(|(_, job)| *job).collect();
        assert!(of_flood.into_iter().eq(0..20), "in order among themselves");
    }

    /// Whoever asks again after each answer waits for one signature of the flood each time.
    #[test]
    fn never_has_one_question_wait_for_two_of_another_slot() {
        let (mut line, mut message) = (Line::roomy(), Vec::new());
        let mut next = 0;
        let mut refill = |line: &mut Line<u64>| {
            while line.put(7, next, &text(next)).is_ok() {
                next += 1
            }
        };
        refill(&mut line);
        for round in 0..200 {
            line.put(1, round, &text(round)).unwrap();
            refill(&mut line);
            let turns = [line.take(&mut message).unwrap().0, line.take(&mut message).unwrap().0];
            assert!(turns.contains(&1), "{turns:?}");
            refill(&mut line);
        }
    }

    #[test]
    fn leaves_room_for_other_slots_beside_one_that_has_its_share() {
        let mut line = Line::roomy();
        let share = u64::try_from(SLOW_JOBS_OF_ONE).unwrap();
        for job in 0..share {
            line.put(7, job, b"").unwrap();
        }
        assert_eq!(line.put(7, share, b""), Err(Refusal::SigningQueueFull));
        assert_eq!(line.put(1, share, b""), Ok(()));
        // The control: all together have a bound, too.
        let others = (100..).map(|slot| line.put(slot, 0, b"")).take_while(Result::is_ok).count();
        assert_eq!(others, SLOW_JOBS - SLOW_JOBS_OF_ONE - 1);
    }

    #[test]
    fn drops_what_waits_for_one_slot_and_keeps_the_others_with_their_messages() {
        let mut line = Line::roomy();
        for job in 0..30 {
            line.put(u32::try_from(job % 3).unwrap(), job, &text(job)).unwrap();
        }
        let mut dropped = Vec::new();
        line.drop_all_of(1, |job| dropped.push(*job));
        assert!(dropped.into_iter().eq((0..30).filter(|job| job % 3 == 1)));
        let left = taken(&mut line);
        assert_eq!(left.len(), 20);
        assert!(left.iter().all(|(slot, _)| *slot != 1));
    }
}
