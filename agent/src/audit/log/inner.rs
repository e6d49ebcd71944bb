//! Lines that were collected, and where they are written: the chain up to the last one of either.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::MAX_CAUSE_BYTES;
use super::reach::Reach;
use crate::audit::AuditError;
use crate::audit::chain::Head;
use crate::audit::line::{Clock, Event, Kind, clip};
use crate::audit::segment::Segment;
use crate::audit::sync::Syncer;

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) segment: Arc<Segment>,
    /// Bytes of whole lines in it.
    pub(super) bytes: u64,
    /// Behind the last line that was written.
    pub(super) written: Head,
    /// Behind the last line that was collected.
    pub(super) head: Head,
    pub(super) clock: Clock,
    pub(super) buffer: Vec<u8>,
    /// Of which kinds the lines in the buffer are.
    pub(super) kinds: Vec<Kind>,
    pub(super) stopped: Option<Stopped>,
    pub(super) reach: Reach,
    /// A file was begun since it was asked last.
    pub(super) rotated: bool,
}

/// The log cannot be written.
#[derive(Debug)]
pub(super) struct Stopped {
    pub(super) cause: String,
    pub(super) since: Timestamp,
    pub(super) tried: Instant,
    pub(super) lost: BTreeMap<&'static str, u64>,
}

impl Inner {
    pub(super) fn write(&mut self, folder: &Path, most: u64, syncer: &Syncer) -> Result<(), AuditError> {
        let more = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        if self.bytes > 0 && self.bytes.saturating_add(more) > most {
            self.segment = Arc::new(Segment::make(folder, self.written.seq.saturating_add(1))?);
            self.bytes = 0;
            self.rotated = true;
            syncer.begun(&self.segment);
        }
        self.segment.append(&self.buffer)?;
        self.bytes = self.bytes.saturating_add(more);
        self.written = self.head;
        self.reach.write();
        Ok(())
    }

    /// Drops what could not be written, and counts it.
    pub(super) fn stop(&mut self, cause: String) {
        let stopped = self.stopped.get_or_insert_with(|| Stopped {
            cause: String::new(),
            since: Timestamp::now(),
            tried: Instant::now(),
            lost: BTreeMap::new(),
        });
        stopped.cause = cause;
        for kind in self.kinds.drain(..) {
            let count = stopped.lost.entry(kind.name()).or_default();
            *count = count.saturating_add(1);
        }
        self.buffer.clear();
        self.reach.give_up();
        self.head = self.written;
    }

    /// Goes on behind the last line that was written, with one that tells of the gap and is on the disk at once.
    pub(super) fn go_on(&mut self, folder: &Path, most: u64) -> Result<Vec<u8>, AuditError> {
        let Some(Stopped { cause, since, lost, .. }) = &self.stopped else { return Ok(Vec::new()) };
        let again = if self.bytes < most { self.segment.again(self.bytes)? } else { None };
        let segment = match again {
            Some(segment) => segment,
            None => {
                let segment = Segment::make(folder, self.written.seq.saturating_add(1))?;
                self.bytes = 0;
                segment
            }
        };
        self.segment = Arc::new(segment);
        let event = Event {
            cause: Some(clip(cause, MAX_CAUSE_BYTES)),
            since: Some(Clock::default().text(*since).to_owned().into()),
            lost: Some(lost.iter().map(|(kind, count)| ((*kind).into(), *count)).collect()),
            ..Event::of(Kind::Gap)
        };
        let (mut head, mut line) = (self.written, Vec::new());
        head.write(&mut self.clock, Timestamp::now(), |pen| event.write(pen), &mut line);
        self.segment.append(&line)?;
        self.segment.sync()?;
        self.bytes = self.bytes.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
        (self.written, self.head) = (head, head);
        self.stopped = None;
        Ok(line)
    }
}
