//! Bytes on their way to a helper, and the descriptors that must go with them.

use std::collections::VecDeque;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// What was queued and not yet sent, in order.
///
/// A message with descriptors is a piece of its own, because the kernel attaches descriptors to bytes;
/// messages without are collected in one piece, so that one system call sends them all.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pieces: VecDeque<Piece>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Piece {
    bytes: Vec<u8>,
    sent: usize,
    descriptors: Vec<OwnedFd>,
}

impl Outbox {
    /// Bytes that were not sent yet.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Queues what `encode` writes, with these descriptors.
    pub(super) fn push(&mut self, descriptors: Vec<OwnedFd>, encode: impl FnOnce(&mut Vec<u8>)) {
        let joins =
            descriptors.is_empty() && self.pieces.back().is_some_and(|piece| piece.descriptors.is_empty());
        if !joins {
            self.pieces.push_back(Piece { descriptors, ..Piece::default() });
        }
        if let Some(piece) = self.pieces.back_mut() {
            let before = piece.bytes.len();
            encode(&mut piece.bytes);
            self.bytes = self.bytes.saturating_add(piece.bytes.len().saturating_sub(before));
        }
    }

    /// What to send next, and the descriptors that go with its first byte.
    pub(super) fn next(&mut self) -> Option<(&[u8], Vec<BorrowedFd<'_>>)> {
        // Pieces that were sent whole are dropped here, all but the last: its buffer is used again.
        while self.pieces.len() > 1 && self.pieces.front().is_some_and(|piece| piece.rest().is_empty()) {
            self.pieces.pop_front();
        }
        let piece = self.pieces.front()?;
        let descriptors = match piece.sent {
            0 => piece.descriptors.iter().map(|descriptor| descriptor.as_fd()).collect(),
            _ => Vec::new(),
        };
        Some((piece.rest(), descriptors)).filter(|(rest, _)| !rest.is_empty())
    }

    /// Notes that `count` bytes of what [`next`](Self::next) gave were sent.
    pub(super) fn sent(&mut self, count: usize) {
        self.bytes = self.bytes.saturating_sub(count);
        let Some(piece) = self.pieces.front_mut() else { return };
        piece.sent = piece.sent.saturating_add(count);
        if piece.rest().is_empty() {
            // A descriptor that was sent is the receiver's; ours must not keep its pipe open.
            piece.descriptors.clear();
            piece.bytes.clear();
            piece.sent = 0;
        }
    }
}

impl Piece {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor() -> OwnedFd {
        OwnedFd::from(std::fs::File::open("/dev/null").unwrap())
    }

    /// Sends everything in steps of at most `step` bytes; gives each step with its descriptors.
    fn drain(outbox: &mut Outbox, step: usize) -> Vec<(Vec<u8>, usize)> {
        let mut steps = Vec::new();
        while let Some((rest, descriptors)) = outbox.next() {
            let count = rest.len().min(step);
            steps.push((rest[..count].to_vec(), descriptors.len()));
            outbox.sent(count);
        }
        steps
    }

    #[test]
    fn sends_messages_without_descriptors_together() {
        let mut outbox = Outbox::default();
        outbox.push(Vec::new(), |out| out.extend(b"one"));
        outbox.push(Vec::new(), |out| out.extend(b"two"));
        assert_eq!(outbox.bytes(), 6);
        assert_eq!(drain(&mut outbox, 100), [(b"onetwo".to_vec(), 0)]);
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn sends_descriptors_once_and_with_the_first_byte_of_their_message() {
        let mut outbox = Outbox::default();
        outbox.push(Vec::new(), |out| out.extend(b"a"));
        outbox.push(vec![descriptor(), descriptor()], |out| out.extend(b"bcd"));
        outbox.push(Vec::new(), |out| out.extend(b"ef"));
        let steps = drain(&mut outbox, 2);
        let expected = [(b"a".to_vec(), 0), (b"bc".to_vec(), 2), (b"d".to_vec(), 0), (b"ef".to_vec(), 0)];
        assert_eq!(steps, expected);
    }

    #[test]
    fn goes_on_after_it_was_emptied() {
        let mut outbox = Outbox::default();
        outbox.push(Vec::new(), |out| out.extend(b"a"));
        assert_eq!(drain(&mut outbox, 9).len(), 1);
        outbox.push(vec![descriptor()], |out| out.extend(b"b"));
        assert_eq!(drain(&mut outbox, 9), [(b"b".to_vec(), 1)]);
        outbox.push(vec![descriptor()], |out| out.extend(b"c"));
        assert_eq!(drain(&mut outbox, 9), [(b"c".to_vec(), 1)]);
        outbox.push(Vec::new(), |out| out.extend(b"d"));
        assert_eq!(drain(&mut outbox, 9), [(b"d".to_vec(), 0)]);
    }
}
