//! How far checkpoints reach: as was asked for, and as is written.

use super::CheckpointAt;

/// Numbers of lines. The line of a checkpoint itself needs none, so each is one more than what is covered.
#[derive(Debug)]
pub(super) struct Reach {
    asked: u64,
    written: u64,
    last: Option<CheckpointAt>,
    /// One that was collected, and up to where it reaches.
    collected: Option<(CheckpointAt, u64)>,
}

impl Reach {
    /// Of a log that was opened behind this line. What stands there is for the next unlock to cover.
    pub(super) const fn behind(line: u64) -> Self {
        Self { asked: line, written: line, last: None, collected: None }
    }

    /// Notes that one over this line is asked for; says whether anything is new.
    pub(super) fn ask(&mut self, line: u64) -> bool {
        let is_new = line > self.asked;
        if is_new {
            self.asked = line.saturating_add(1);
        }
        is_new
    }

    /// Notes the line of one that covers `covers`.
    pub(super) fn collect(&mut self, at: CheckpointAt, covers: u64) {
        self.collected = Some((at, covers));
    }

    /// Notes that what was collected is written.
    pub(super) fn write(&mut self) {
        let Some((at, covers)) = self.collected.take() else { return };
        self.last = Some(at);
        self.written = self.written.max(covers.saturating_add(1));
        self.asked = self.asked.max(self.written);
    }

    /// Notes that what was asked for does not come: it is to be asked for again.
    pub(super) fn give_up(&mut self) {
        self.asked = self.written;
        self.collected = None;
    }

    /// Lines up to this one for which none was asked.
    pub(super) const fn unasked(&self, line: u64) -> u64 {
        line.saturating_sub(self.asked)
    }

    /// Lines up to this one that none covers.
    pub(super) const fn uncovered(&self, line: u64) -> u64 {
        line.saturating_sub(self.written)
    }

    /// The last one that was written.
    pub(super) const fn last(&self) -> Option<CheckpointAt> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn asks_again_for_what_did_not_come_and_not_for_its_own_line() {
        let at = |line| CheckpointAt { line, at: Timestamp::UNIX_EPOCH };
        let mut reach = Reach::behind(4);
        assert!(!reach.ask(4), "nothing is new");
        assert!(reach.ask(6));
        assert_eq!((reach.unasked(6), reach.uncovered(6)), (0, 2));
        reach.collect(at(7), 6);
        reach.write();
        assert_eq!((reach.unasked(7), reach.uncovered(7)), (0, 0));
        assert!(!reach.ask(7), "that is its own line");
        assert!(reach.ask(9));
        reach.collect(at(10), 9);
        reach.give_up();
        reach.write();
        assert_eq!((reach.unasked(9), reach.uncovered(9)), (2, 2));
        assert_eq!(reach.last().map(|last| last.line), Some(7));
        assert!(reach.ask(9));
    }
}
