//! Answers on their way to one client, and which of them are recalled where the audit log is lost.

use strongroom_protocol::Reply;

use super::reply;
use crate::fault::Fault;

/// Answers that were not sent yet, in order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    marks: Vec<Mark>,
}

/// One answer in it.
#[derive(Debug)]
struct Mark {
    id: u64,
    end: usize,
    /// For a signature: how often lines of the audit log were lost when its own was noted.
    signed_after: Option<u64>,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn bytes_to_send(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.marks.clear();
    }

    /// Queues an answer. `failures` is how often lines of the audit log were lost so far.
    pub(super) fn push(&mut self, id: u64, reply: Reply<'_>, failures: u64) {
        let signed_after = matches!(reply, Reply::Signed(_)).then_some(failures);
        reply::write(id, reply, &mut self.bytes);
        self.marks.push(Mark { id, end: self.bytes.len(), signed_after });
    }

    /// Puts an error into the place of each signature whose line is lost.
    pub(super) fn recall(&mut self, failures: u64, fault: impl FnOnce() -> Fault) {
        let is_lost = |mark: &Mark| mark.signed_after.is_some_and(|before| before != failures);
        if !self.marks.iter().any(is_lost) {
            return;
        }
        let fault = fault();
        let (mut kept, mut begin) = (Vec::new(), 0);
        for mark in &self.marks {
            if is_lost(mark) {
                reply::write(mark.id, reply::error(&fault), &mut kept);
            } else {
                kept.extend_from_slice(self.bytes.get(begin..mark.end).unwrap_or_default());
            }
            begin = mark.end;
        }
        self.bytes = kept;
        self.marks.clear();
    }
}

#[cfg(test)]
mod tests {
    use strongroom_protocol::{ErrorCode, FrameBuffer, Response, Signed, decode};

    use super::*;

    fn signed() -> Reply<'static> {
        Reply::Signed(Signed { method: "GET", url: "https://a.example/", headers: Vec::new(), body: b"" })
    }

    fn told(outbox: &Outbox) -> Vec<(u64, String)> {
        let mut buffer = FrameBuffer::new();
        let mut rest = outbox.bytes_to_send();
        while !rest.is_empty() {
            let room = buffer.room();
            let count = room.len().min(rest.len());
            room[..count].copy_from_slice(&rest[..count]);
            buffer.filled(count);
            rest = &rest[count..];
        }
        let mut told = Vec::new();
        while let Some(frame) = buffer.take().unwrap() {
            let response: Response<'_> = decode(frame).unwrap();
            told.push((
                response.id,
                match response.reply {
                    Reply::Error(refusal) => refusal.message.to_owned(),
                    Reply::Signed(_) => "signed".to_owned(),
                    other => format!("{other:?}"),
                },
            ));
        }
        told
    }

    #[test]
    fn recalls_signatures_whose_lines_are_lost_and_nothing_else() {
        let mut outbox = Outbox::default();
        outbox.push(1, signed(), 0);
        outbox.push(2, Reply::Done, 0);
        outbox.push(3, signed(), 1);
        let fault = || Fault::new(ErrorCode::Unavailable, "stopped", "");
        outbox.recall(1, fault);
        let expected = [(1, "stopped".to_owned()), (2, "Done".to_owned()), (3, "signed".to_owned())];
        assert_eq!(told(&outbox), expected);

        outbox.clear();
        assert!(outbox.is_empty());
        outbox.push(4, signed(), 1);
        outbox.recall(1, || panic!("nothing is lost"));
        assert_eq!(told(&outbox), [(4, "signed".to_owned())]);
    }
}
