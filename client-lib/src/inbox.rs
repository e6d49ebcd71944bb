//! Who waits for which response on one connection. Bookkeeping only: no socket, no clock.

use std::ops::Range;
use std::thread::Thread;

use strongroom_protocol::FrameBuffer;

use crate::error::{End, Error, ProtocolError};

/// The side of a connection that responses arrive at, shared by all threads that use it.
///
/// There is no thread of its own: of those who wait, one at a time holds the [`FrameBuffer`] and reads for
/// all. Who has what he waited for hands the buffer back and wakes another.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// Absent while somebody reads.
    reader: Option<FrameBuffer>,
    /// In the order of their ids.
    waiting: Vec<Waiting>,
    next_id: u64,
    end: Option<End>,
}

#[derive(Debug)]
struct Waiting {
    ids: Range<u64>,
    /// Set while it sleeps.
    asleep: Option<Thread>,
    /// Frames that somebody else read for it.
    arrived: Vec<(u64, Box<[u8]>)>,
}

/// What one who waits does next.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Take these frames.
    Take(Vec<(u64, Box<[u8]>)>),
    /// Read for all, then hand the buffer back.
    Read(FrameBuffer),
    /// Sleep until woken.
    Sleep,
}

impl Inbox {
    pub(crate) const fn new() -> Self {
        // 0 is the id of a response to a request that could not be read.
        Self { reader: Some(FrameBuffer::new()), waiting: Vec::new(), next_id: 1, end: None }
    }

    /// Enters one who will wait for `count` responses, and gives it that many ids.
    pub(crate) fn enter(&mut self, count: u64) -> Result<Range<u64>, Error> {
        if let Some(end) = &self.end {
            return Err(end.error());
        }
        let start = self.next_id;
        // 2^64 ids last longer than the machine; a connection that ran out of them is closed and replaced.
        let Some(next) = start.checked_add(count) else { return Err(Error::Disconnected) };
        self.next_id = next;
        self.waiting.push(Waiting { ids: start..next, asleep: None, arrived: Vec::new() });
        Ok(start..next)
    }

    /// Forgets one who waited. Responses that come for it later are dropped.
    pub(crate) fn leave(&mut self, ids: &Range<u64>) {
        if let Some(at) = self.position(ids.start) {
            self.waiting.remove(at);
        }
        self.wake_successor();
    }

    /// What the one who waits for `ids` does next.
    pub(crate) fn turn(&mut self, ids: &Range<u64>) -> Result<Turn, Error> {
        let position = self.position(ids.start);
        let Some(waiting) = position.and_then(|at| self.waiting.get_mut(at)) else {
            return Err(Error::Disconnected);
        };
        waiting.asleep = None;
        if !waiting.arrived.is_empty() {
            return Ok(Turn::Take(std::mem::take(&mut waiting.arrived)));
        }
        if let Some(end) = &self.end {
            return Err(end.error());
        }
        if let Some(reader) = self.reader.take() {
            return Ok(Turn::Read(reader));
        }
        waiting.asleep = Some(std::thread::current());
        Ok(Turn::Sleep)
    }

    /// Takes the buffer to read for others, if nobody has it.
    pub(crate) const fn take_reader(&mut self) -> Option<FrameBuffer> {
        self.reader.take()
    }

    /// Takes the buffer back and wakes one who sleeps, to read on.
    pub(crate) fn hand_back(&mut self, reader: FrameBuffer) {
        self.reader = Some(reader);
        self.wake_successor();
    }

    /// Keeps a frame for the one who waits for it. Drops it where nobody does any more.
    pub(crate) fn deliver(&mut self, id: u64, frame: &[u8]) -> Result<(), End> {
        if id == 0 || id >= self.next_id {
            return Err(End::Protocol(ProtocolError::UnknownId(id)));
        }
        if let Some(waiting) = self.position(id).and_then(|at| self.waiting.get_mut(at)) {
            waiting.arrived.push((id, frame.into()));
            if let Some(thread) = &waiting.asleep {
                thread.unpark();
            }
        }
        Ok(())
    }

    /// Says that the connection is of no more use, and wakes all. The first reason counts.
    pub(crate) fn end(&mut self, end: End) {
        self.end.get_or_insert(end);
        for thread in self.waiting.iter().filter_map(|waiting| waiting.asleep.as_ref()) {
            thread.unpark();
        }
    }

    fn wake_successor(&self) {
        if self.reader.is_some()
            && let Some(thread) = self.waiting.iter().find_map(|waiting| waiting.asleep.as_ref())
        {
            thread.unpark();
        }
    }

    fn position(&self, id: u64) -> Option<usize> {
        let after = self.waiting.partition_point(|waiting| waiting.ids.start <= id);
        let at = after.checked_sub(1)?;
        self.waiting.get(at).is_some_and(|waiting| waiting.ids.contains(&id)).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_every_id_once_and_never_0() {
        let mut inbox = Inbox::new();
        assert_eq!(inbox.enter(1).unwrap(), 1..2);
        assert_eq!(inbox.enter(3).unwrap(), 2..5);
        inbox.leave(&(1..2));
        assert_eq!(inbox.enter(1).unwrap(), 5..6);
    }

    #[test]
    fn lets_one_read_at_a_time_and_keeps_frames_for_the_others() {
        let mut inbox = Inbox::new();
        let (first, second) = (inbox.enter(1).unwrap(), inbox.enter(2).unwrap());
        let Turn::Read(reader) = inbox.turn(&first).unwrap() else { panic!("the first reads") };
        assert!(matches!(inbox.turn(&second).unwrap(), Turn::Sleep));
        inbox.deliver(3, b"late").unwrap();
        inbox.deliver(2, b"early").unwrap();
        let Turn::Take(arrived) = inbox.turn(&second).unwrap() else { panic!("two frames have arrived") };
        assert_eq!(arrived, [(3, b"late".as_slice().into()), (2, b"early".as_slice().into())]);
        inbox.hand_back(reader);
        assert!(matches!(inbox.turn(&second).unwrap(), Turn::Read(_)));
    }

    #[test]
    fn drops_what_comes_too_late_and_refuses_what_was_never_asked() {
        let mut inbox = Inbox::new();
        let ids = inbox.enter(1).unwrap();
        inbox.leave(&ids);
        assert_eq!(inbox.deliver(1, b"late"), Ok(()));
        assert_eq!(inbox.deliver(2, b"x"), Err(End::Protocol(ProtocolError::UnknownId(2))));
        assert_eq!(inbox.deliver(0, b"x"), Err(End::Protocol(ProtocolError::UnknownId(0))));
    }

    #[test]
    fn hands_out_what_arrived_before_it_says_that_the_connection_ended() {
        let mut inbox = Inbox::new();
        let ids = inbox.enter(1).unwrap();
        inbox.deliver(1, b"answer").unwrap();
        inbox.end(End::Closed);
        inbox.end(End::Version(2));
        assert!(matches!(inbox.turn(&ids).unwrap(), Turn::Take(_)));
        assert!(matches!(inbox.turn(&ids).unwrap_err(), Error::Disconnected));
        assert!(matches!(inbox.enter(1).unwrap_err(), Error::Disconnected));
    }
}
