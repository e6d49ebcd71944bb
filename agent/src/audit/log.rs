//! The writer. One for a data folder, in the process that owns it.
//!
//! Lines are collected, and written by one system call before the first answer that depends on one of them leaves
//! ([`AuditLog::gate`]): so a line outlives a kill of this process whenever a client has its signature. Getting them
//! onto the disk is for [`super::sync`].
//!
//! Where they cannot be written they are dropped and counted, the answers that wait are recalled, and nothing is
//! signed until a line that tells of the gap is on the disk.

mod cut;
mod inner;
mod old;
mod reach;
mod sheets;
mod turned_away;

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use self::inner::Inner;
use self::reach::Reach;
use self::sheets::Sheets;
use self::turned_away::TurnedAway;
use super::AuditError;
use super::chain::Head;
use super::head::{Scribe, SignedHead};
use super::journal::Journal;
use super::known::Known;
use super::line::{Clock, Event, Kind, Verdict, clip};
use super::pen::Pen;
use super::segment::{Opened, Segment, Torn, failed};
use super::sync::Syncer;
use crate::config::{AuditConfig, Durability};
use crate::fault::chain;
use crate::identity::Principal;
use crate::store::atomic;

/// How long lines may be in the kernel only, where nobody waits for the disk.
const GROUP: Duration = Duration::from_millis(100);
/// How often it is tried to go on where the log could not be written.
const RETRY: Duration = Duration::from_millis(50);
/// Longest cause in a line.
pub(crate) const MAX_CAUSE_BYTES: usize = 400;
/// Longest name in a line.
pub(crate) const MAX_NAME_BYTES: usize = 128;
/// Longest path in a line.
pub(crate) const MAX_TEXT_BYTES: usize = 512;

/// The audit log of one data folder.
#[derive(Debug)]
pub(crate) struct AuditLog {
    folder: PathBuf,
    config: AuditConfig,
    syncer: Syncer,
    journal: Option<Journal>,
    inner: RefCell<Inner>,
    sheets: RefCell<Sheets>,
    turned_away: RefCell<TurnedAway>,
    /// How often lines were lost.
    failures: Cell<u64>,
    /// Lines were found to be missing since it was opened.
    cut: Cell<bool>,
}

/// Where a checkpoint stands in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CheckpointAt {
    /// Number of its line.
    pub(crate) line: u64,
    pub(crate) at: Timestamp,
}

/// How the log is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogState {
    pub(crate) writable: bool,
    /// Number of the last line.
    pub(crate) lines: u64,
    /// Of the file that is written to.
    pub(crate) bytes: u64,
    /// Writes that are not on the disk.
    pub(crate) lag: u64,
    /// Lines that no checkpoint covers.
    pub(crate) unsigned: u64,
    /// How often lines were lost.
    pub(crate) failures: u64,
}

impl AuditLog {
    /// Opens the log in `folder` where it ends, or begins one. Where lines are not there that were, its first one
    /// says so; where there are records, there was a log.
    ///
    /// # Errors
    /// Where it cannot be read or written, or ends with what is no line of it.
    pub(crate) fn open(folder: &Path, config: AuditConfig, has_records: bool) -> Result<Self, AuditError> {
        let made = atomic::make_folder(folder).map_err(|error| std::io::Error::other(chain(&error)));
        made.map_err(failed("making", folder))?;
        let pause = match config.durability {
            Durability::Group => GROUP,
            Durability::Sync => Duration::ZERO,
        };
        let syncer =
            Syncer::start(pause, Scribe::of(folder)).map_err(failed("starting the thread of", folder))?;
        let journal = config.journald.then(Journal::open).transpose();
        let journal = journal.map_err(failed("opening the journal for", folder))?;
        let Opened { segment, head, bytes, torn } = Segment::open_last(folder)?;
        let gone = Known::of(folder, has_records)?.missing(folder, head.seq)?;
        let inner = Inner {
            segment: Arc::new(segment),
            bytes,
            written: head,
            head,
            clock: Clock::default(),
            buffer: Vec::new(),
            kinds: Vec::new(),
            stopped: None,
            reach: Reach::behind(head.seq),
            rotated: false,
        };
        let log = Self {
            folder: folder.to_owned(),
            config,
            syncer,
            journal,
            inner: RefCell::new(inner),
            sheets: RefCell::default(),
            turned_away: RefCell::default(),
            failures: Cell::new(0),
            cut: Cell::new(false),
        };
        if let Some(Torn { bytes, file }) = torn {
            tracing::warn!(bytes, file, "the audit log ended within a line; the rest was set aside");
            let event = Event { file: Some(file.into()), bytes: Some(bytes), ..Event::of(Kind::Recovered) };
            log.record(&event);
        }
        gone.inspect(|gone| log.tell_cut(*gone));
        Ok(log)
    }

    /// Has `head.toml` name this line, which was written, once it is on the disk.
    pub(crate) fn note_head(&self, head: SignedHead) {
        self.syncer.note(head);
    }

    /// The job of having `head.toml` name this line now, once it is on the disk.
    pub(crate) fn naming(&self, head: SignedHead) -> impl FnOnce() -> Result<(), AuditError> + Send + use<> {
        self.settle();
        self.syncer.naming(&self.inner.borrow().segment, head)
    }

    /// The last line that was written.
    pub(crate) fn written(&self) -> Head {
        self.inner.borrow().written
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The job of getting all lines onto the disk now, which waits for it.
    pub(crate) fn syncing(&self) -> impl FnOnce() -> Result<(), AuditError> + Send + use<> {
        self.settle();
        self.syncer.now(&self.inner.borrow().segment)
    }

    /// Says whether lines can be written; where they could not, tries again.
    ///
    /// # Errors
    /// [`AuditError::Stopped`]: nothing may be signed.
    pub(crate) fn check(&self) -> Result<(), AuditError> {
        self.heed_disk();
        let mut inner = self.inner.borrow_mut();
        let Some(stopped) = &mut inner.stopped else { return Ok(()) };
        if stopped.tried.elapsed() >= RETRY {
            stopped.tried = Instant::now();
            match inner.go_on(&self.folder, self.config.rotate_bytes()) {
                Ok(line) => {
                    if let Some(journal) = &self.journal {
                        journal.copy(&line);
                    }
                    tracing::info!("the audit log can be written again");
                    return Ok(());
                }
                Err(error) => {
                    if let Some(stopped) = &mut inner.stopped {
                        stopped.cause = chain(&error);
                    }
                }
            }
        }
        let cause = inner.stopped.as_ref().map(|stopped| stopped.cause.as_str()).unwrap_or_default();
        Err(self.stopped_by(cause))
    }

    /// Adds a line, to be written by the next [`gate`](Self::gate) or [`settle`](Self::settle).
    ///
    /// # Errors
    /// [`AuditError::Stopped`]: it is counted as lost, and what depends on it must not leave.
    pub(crate) fn note(&self, event: &Event<'_>) -> Result<(), AuditError> {
        let at = self.note_members(event.kind, |pen| event.write(pen))?;
        if event.kind == Kind::Checkpoint {
            let covers = event.covers.as_deref().and_then(|covers| covers.parse().ok());
            self.inner.borrow_mut().reach.collect(at, covers.map_or(0, |Head { seq, .. }| seq));
        }
        Ok(())
    }

    /// Says where it stands.
    fn note_members(
        &self,
        kind: Kind,
        members: impl FnOnce(&mut Pen<'_>),
    ) -> Result<CheckpointAt, AuditError> {
        let mut inner = self.inner.borrow_mut();
        let Inner { head, clock, buffer, kinds, stopped, .. } = &mut *inner;
        if let Some(stopped) = stopped {
            let count = stopped.lost.entry(kind.name()).or_default();
            *count = count.saturating_add(1);
            return Err(self.stopped_by(&stopped.cause));
        }
        let now = Timestamp::now();
        head.write(clock, now, members, buffer);
        kinds.push(kind);
        Ok(CheckpointAt { line: head.seq, at: now })
    }

    /// A sheet for the first members of a line about what `who` does, with these on it: its kind and who it is.
    pub(crate) fn begin(&self, kind: Kind, who: &Rc<Principal>) -> Vec<u8> {
        self.sheets.borrow_mut().begin(kind, who)
    }

    /// Adds the line that was begun on a sheet; `rest` writes its last members.
    ///
    /// # Errors
    /// As [`note`](Self::note).
    pub(crate) fn finish(
        &self,
        kind: Kind,
        sheet: Vec<u8>,
        rest: impl FnOnce(&mut Pen<'_>),
    ) -> Result<(), AuditError> {
        let noted = self.note_members(kind, |pen| {
            pen.members(&sheet);
            rest(pen);
        });
        self.sheets.borrow_mut().put_back(sheet);
        noted.map(drop)
    }

    /// Adds a line about what has been done already, and writes it at once. Where it cannot be written it is
    /// counted as lost.
    pub(crate) fn record(&self, event: &Event<'_>) {
        let _counted = self.note(event);
        self.settle();
    }

    /// Adds a line about a client that was turned away; one for each user or client, rule and second, which has the
    /// number.
    pub(crate) fn turned_away(&self, who: &Principal, rule: &'static str, cause: &str) {
        let Some(times) = self.turned_away.borrow_mut().times(who, rule) else { return };
        self.record(&Event {
            verdict: Some(Verdict::Denied),
            rule: Some(rule.into()),
            cause: Some(clip(cause, MAX_CAUSE_BYTES)),
            times: Some(times),
            ..Event::by(Kind::Connect, who)
        });
    }

    /// Writes what was collected. Where that does not succeed, it is counted as lost.
    pub(crate) fn settle(&self) {
        self.heed_disk();
        let mut inner = self.inner.borrow_mut();
        if inner.buffer.is_empty() {
            return;
        }
        match inner.write(&self.folder, self.config.rotate_bytes(), &self.syncer) {
            Ok(()) => {
                self.syncer.written(&inner.segment);
                if let Some(journal) = &self.journal {
                    journal.copy(&inner.buffer);
                }
                inner.buffer.clear();
                inner.kinds.clear();
            }
            Err(error) => self.stop(&mut inner, chain(&error)),
        }
    }

    /// To be passed before anything goes to a client: all lines are written then and, where the configuration asks
    /// for it, on the disk. An answer may leave if the number of [`failures`](Self::failures) was this one when its
    /// line was noted; else the line is lost.
    pub(crate) async fn gate(&self) -> u64 {
        self.settle();
        if self.config.durability == Durability::Sync {
            self.syncer.settled().await;
            self.heed_disk();
        }
        self.failures.get()
    }

    /// How often lines were lost so far.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.get()
    }

    /// Lines that no checkpoint was asked for. What was there when the log was opened is one.
    pub(crate) fn lines_since_checkpoint(&self) -> u64 {
        let inner = self.inner.borrow();
        inner.reach.unasked(inner.head.seq)
    }

    /// Writes what was collected, and gives the last line for a checkpoint over it; `None` where nothing is new.
    pub(crate) fn begin_checkpoint(&self) -> Option<Head> {
        self.settle();
        let mut inner = self.inner.borrow_mut();
        let written = inner.written;
        inner.reach.ask(written.seq).then_some(written)
    }

    /// Notes that a checkpoint that was begun was not signed.
    pub(crate) fn give_up_checkpoint(&self) {
        self.inner.borrow_mut().reach.give_up();
    }

    /// The last checkpoint that was written since the log was opened.
    pub(crate) fn last_checkpoint(&self) -> Option<CheckpointAt> {
        self.inner.borrow().reach.last()
    }

    /// How it is, for who watches.
    pub(crate) fn state(&self) -> LogState {
        self.heed_disk();
        let inner = self.inner.borrow();
        LogState {
            writable: inner.stopped.is_none(),
            lines: inner.written.seq,
            bytes: inner.bytes,
            lag: self.syncer.lag(),
            unsigned: inner.reach.uncovered(inner.head.seq),
            failures: self.failures.get(),
        }
    }

    /// Whether a file was begun since this was asked last.
    pub(crate) fn has_rotated(&self) -> bool {
        std::mem::take(&mut self.inner.borrow_mut().rotated)
    }

    /// Why nothing is signed, for a client whose answer was recalled.
    pub(crate) fn stopped(&self) -> AuditError {
        let inner = self.inner.borrow();
        self.stopped_by(inner.stopped.as_ref().map_or("it failed for a moment", |stopped| &stopped.cause))
    }

    fn stopped_by(&self, cause: &str) -> AuditError {
        AuditError::Stopped { cause: cause.to_owned(), folder: self.folder.clone() }
    }

    /// Writes all lines, and waits for the disk. For the end of the process.
    pub(crate) fn close(&self) {
        self.settle();
        if let Err(error) = self.syncer.now(&self.inner.borrow().segment)() {
            tracing::error!(error = %chain(&error), "the last lines of the audit log may not be on the disk");
        }
    }

    fn heed_disk(&self) {
        if let Some(cause) = self.syncer.fault() {
            self.stop(&mut self.inner.borrow_mut(), cause);
        }
    }

    fn stop(&self, inner: &mut Inner, cause: String) {
        self.failures.set(self.failures.get().saturating_add(1));
        tracing::error!(%cause, "the audit log cannot be written; nothing is signed");
        inner.stop(cause);
    }
}
