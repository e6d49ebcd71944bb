//! The thread that gets lines from the kernel onto the disk, for many requests at once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::AuditError;
use super::head::{Scribe, SignedHead};
use super::segment::Segment;
use crate::fault::chain;

/// The front's end of the thread, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Syncer {
    jobs: Sender<Arc<Segment>>,
    shared: Arc<Shared>,
    scribe: Arc<Scribe>,
}

#[derive(Debug, Default)]
struct Shared {
    /// How often the log was written to.
    written: AtomicU64,
    /// Writes that are on the disk, or that the disk has refused.
    over: AtomicU64,
    /// The thread has a job and has not begun it.
    asked: AtomicBool,
    failed: AtomicBool,
    cause: Mutex<String>,
    done: Notify,
}

impl Syncer {
    /// Starts the thread. It syncs at most once in each `pause`.
    pub(super) fn start(pause: Duration, scribe: Scribe) -> std::io::Result<Self> {
        let (jobs, receiver) = channel();
        let shared = Arc::new(Shared::default());
        let scribe = Arc::new(scribe);
        let (own, own_scribe) = (Arc::clone(&shared), Arc::clone(&scribe));
        let serve = move || serve(&receiver, &own, &own_scribe, pause);
        std::thread::Builder::new().name("audit".to_owned()).spawn(serve)?;
        Ok(Self { jobs, shared, scribe })
    }

    /// Has `head.toml` name a line that was written, once that is on the disk.
    pub(super) fn note(&self, head: SignedHead) {
        self.scribe.note(head);
    }

    /// The job of getting all lines onto the disk now, and `head.toml` behind them.
    pub(super) fn now(
        &self,
        segment: &Arc<Segment>,
    ) -> impl FnOnce() -> Result<(), AuditError> + Send + use<> {
        let (scribe, segment) = (Arc::clone(&self.scribe), Arc::clone(segment));
        move || scribe.behind(|| segment.sync())
    }

    /// The job of getting all lines onto the disk now, and having `head.toml` name this one then.
    pub(super) fn naming(
        &self,
        segment: &Arc<Segment>,
        head: SignedHead,
    ) -> impl FnOnce() -> Result<(), AuditError> + Send + use<> {
        let (scribe, segment) = (Arc::clone(&self.scribe), Arc::clone(segment));
        move || scribe.name(&head, || segment.sync())
    }

    /// Notes that lines were written to `segment`, to be synced soon.
    pub(super) fn written(&self, segment: &Arc<Segment>) {
        self.shared.written.fetch_add(1, Ordering::AcqRel);
        if !self.shared.asked.swap(true, Ordering::AcqRel) {
            let _ = self.jobs.send(Arc::clone(segment));
        }
    }

    /// Notes that lines go to a new segment, beside the one that may still wait.
    pub(super) fn begun(&self, segment: &Arc<Segment>) {
        let _ = self.jobs.send(Arc::clone(segment));
    }

    /// Waits until all that was written is on the disk, or the disk refuses.
    pub(super) async fn settled(&self) {
        let wanted = self.shared.written.load(Ordering::Acquire);
        loop {
            let done = self.shared.done.notified();
            tokio::pin!(done);
            // From here on no notice is missed.
            done.as_mut().enable();
            if self.shared.over.load(Ordering::Acquire) >= wanted {
                return;
            }
            done.await;
        }
    }

    /// Writes that are not on the disk yet.
    pub(super) fn lag(&self) -> u64 {
        let over = self.shared.over.load(Ordering::Acquire);
        self.shared.written.load(Ordering::Acquire).saturating_sub(over)
    }

    /// Why the disk has refused, if it has; told once.
    pub(super) fn fault(&self) -> Option<String> {
        if !self.shared.failed.load(Ordering::Acquire) {
            return None;
        }
        let mut cause = self.shared.cause.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.failed.store(false, Ordering::Release);
        Some(std::mem::take(&mut *cause))
    }
}

fn serve(jobs: &Receiver<Arc<Segment>>, shared: &Shared, scribe: &Scribe, pause: Duration) {
    for first in jobs {
        std::thread::sleep(pause);
        // In this order: what is written from here on asks again.
        shared.asked.store(false, Ordering::Release);
        let written = shared.written.load(Ordering::Acquire);
        // The segment of a line that was noted is known by then: it is among these, or was synced with it.
        let synced = scribe.behind(|| {
            let mut segments = vec![first];
            segments.extend(jobs.try_iter());
            segments.dedup_by(|a, b| Arc::ptr_eq(a, b));
            segments.iter().try_for_each(|segment| segment.sync())
        });
        if let Err(error) = synced {
            *shared.cause.lock().unwrap_or_else(PoisonError::into_inner) = chain(&error);
            shared.failed.store(true, Ordering::Release);
        }
        // After that, so that whoever waits finds out about a refusal.
        shared.over.store(written, Ordering::Release);
        shared.done.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn lets_those_who_wait_go_on_together_when_the_disk_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let segment = Arc::new(Segment::make(folder.path(), 1).unwrap());
        let pause = Duration::from_millis(200);
        let syncer = Syncer::start(pause, Scribe::of(folder.path())).unwrap();
        let settled = tokio::time::timeout(Duration::ZERO, syncer.settled()).await;
        assert!(settled.is_ok(), "nothing was written, so nobody waits");
        let began = Instant::now();
        syncer.written(&segment);
        syncer.written(&segment);
        tokio::join!(syncer.settled(), syncer.settled());
        let took = began.elapsed();
        assert!(took >= pause, "{took:?}");
        assert_eq!(syncer.fault(), None);

        std::fs::remove_file(folder.path().join("audit-000000000001.jsonl")).unwrap();
        syncer.written(&segment);
        syncer.settled().await;
        let fault = syncer.fault().expect("the file is gone");
        assert!(fault.ends_with("the file was deleted"), "{fault}");
        assert_eq!(syncer.fault(), None, "told once");
    }
}
