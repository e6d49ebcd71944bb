//! Strictly rising nonces that survive a restart and a kill, without an fsync on the signing path.
//!
//! A sequence may only hand out numbers below its *ceiling*, and the ceiling is on the disk before the
//! first number below it is used. It is raised by a block at a time: by a thread of its own when half
//! of the block is used, and at once, while the caller waits, where there is nothing left (the first
//! use, or after a long pause). After a crash the sequence goes on at the ceiling, so up to one block
//! is skipped and nothing is ever used twice.
//!
//! Numbers follow the clock where they can: `max(now, last + 1)`, in the unit of the venue.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::atomic::{self, Existing};

/// How much is reserved at once, in seconds of the venue's clock.
const BLOCK_SECONDS: u64 = 60;

/// A venue whose nonce would be further ahead of the clock than this is not asked to accept it: the
/// sequence is damaged or the clock was. In seconds.
const MAX_AHEAD_SECONDS: u64 = 366 * 24 * 3600;

/// Why there is no nonce.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NonceError {
    #[error("the next nonce, {next}, is more than a year ahead of the clock ({now})")]
    FarAhead { next: u64, now: u64 },
    #[error("the request's own nonce {wanted} is not above the last one that was used, {last}")]
    NotRising { wanted: u64, last: u64 },
    #[error("the nonce could not be reserved")]
    Store(#[from] StoreError),
}

/// The sequence of one credential.
#[derive(Debug)]
pub(crate) struct NonceSequence {
    /// The last number handed out; 0 before the first.
    last: u64,
    shared: Arc<Shared>,
}

/// The time on the agent's clock, in the unit of a venue's nonces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticks {
    /// Ticks since 1970.
    pub(crate) now: u64,
    /// Ticks in one second.
    pub(crate) per_second: u64,
}

/// What the sequence and the reserving thread both see.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// All numbers below it may be handed out: it is on the disk.
    ceiling: AtomicU64,
    /// Keeps two raises of one file apart.
    raising: Mutex<()>,
    /// Whether the reserving thread has been asked and has not answered.
    asked: AtomicBool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    ceiling: u64,
}

impl NonceSequence {
    /// Opens the sequence that is reserved in `path`. No file means a sequence that was never used.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where the file is damaged: without it nobody knows which numbers are
    /// used, so nothing may be signed.
    pub(crate) fn open(path: PathBuf) -> Result<Self, StoreError> {
        let shared = Shared::of(path);
        let ceiling = {
            let _one_at_a_time = shared.raising.lock().unwrap_or_else(PoisonError::into_inner);
            let on_disk = ceiling(&shared.path)?;
            shared.ceiling.fetch_max(on_disk, Ordering::AcqRel).max(on_disk)
        };
        Ok(Self { last: ceiling.saturating_sub(1), shared })
    }

    /// The next number: the clock, or one more than the last. Blocks for one fsync where nothing is
    /// reserved.
    ///
    /// # Errors
    /// [`NonceError`]; then nothing was handed out.
    pub(crate) fn next(&mut self, clock: Ticks, reserver: &Reserver) -> Result<u64, NonceError> {
        self.take(clock.now.max(self.last.saturating_add(1)), clock, reserver)
    }

    /// Takes the number that the request brought, which must be above the last.
    ///
    /// # Errors
    /// [`NonceError`]; then nothing was handed out.
    pub(crate) fn take_wanted(
        &mut self,
        wanted: u64,
        clock: Ticks,
        reserver: &Reserver,
    ) -> Result<u64, NonceError> {
        if wanted <= self.last {
            return Err(NonceError::NotRising { wanted, last: self.last });
        }
        self.take(wanted, clock, reserver)
    }

    fn take(&mut self, number: u64, clock: Ticks, reserver: &Reserver) -> Result<u64, NonceError> {
        let Ticks { now, per_second } = clock;
        if number > now.saturating_add(MAX_AHEAD_SECONDS.saturating_mul(per_second)) {
            return Err(NonceError::FarAhead { next: number, now });
        }
        let block = BLOCK_SECONDS.saturating_mul(per_second);
        let ceiling = self.shared.ceiling.load(Ordering::Acquire);
        let wanted = number.saturating_add(block);
        if number >= ceiling {
            self.shared.raise(wanted)?;
        } else if ceiling.saturating_sub(number) < block / 2 {
            reserver.raise_soon(&self.shared, wanted);
        }
        self.last = number;
        Ok(number)
    }
}

/// Below which numbers may have been handed out, as `path` says. No file means that none was.
///
/// # Errors
/// As [`NonceSequence::open`].
pub(super) fn ceiling(path: &Path) -> Result<u64, StoreError> {
    let Some(text) = atomic::read(path)? else { return Ok(0) };
    let file = toml::from_str::<File>(&text).map_err(|_| {
        let fault = "is damaged, so nobody can say which nonces are used; write `ceiling = N` into it, \
                     with N above every nonce that the venue has seen";
        StoreError::Invalid { path: path.to_owned(), fault: fault.to_owned() }
    })?;
    Ok(file.ceiling)
}

impl Shared {
    /// The one of that file. An earlier sequence of it may have ended while a raise was under way, which must not
    /// write a lower ceiling over that of the next.
    fn of(path: PathBuf) -> Arc<Self> {
        static ALL: Mutex<BTreeMap<PathBuf, Weak<Shared>>> = Mutex::new(BTreeMap::new());
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = all.get(&path).and_then(Weak::upgrade) {
            return shared;
        }
        all.retain(|_, shared| shared.strong_count() > 0);
        let shared = Arc::new(Self {
            path: path.clone(),
            ceiling: AtomicU64::new(0),
            raising: Mutex::new(()),
            asked: AtomicBool::new(false),
        });
        all.insert(path, Arc::downgrade(&shared));
        shared
    }

    /// Raises the ceiling, on the disk first. Never lowers it.
    fn raise(&self, ceiling: u64) -> Result<(), StoreError> {
        let _one_at_a_time = self.raising.lock().unwrap_or_else(PoisonError::into_inner);
        if ceiling > self.ceiling.load(Ordering::Acquire) {
            write(&self.path, ceiling)?;
            self.ceiling.store(ceiling, Ordering::Release);
        }
        Ok(())
    }
}

fn write(path: &Path, ceiling: u64) -> Result<(), StoreError> {
    let text = format!(
        "# Nonces below this are used or reserved. Deleting this file may make the venue refuse requests.\n\
         ceiling = {ceiling}\n"
    );
    atomic::write(path, text.as_bytes(), Existing::Replace)
}

/// The thread that raises ceilings before they are reached.
#[derive(Debug)]
pub(crate) struct Reserver(Sender<(Arc<Shared>, u64)>);

impl Reserver {
    /// Starts the thread. It ends when the reserver is dropped.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(crate) fn start() -> std::io::Result<Self> {
        let (sender, jobs) = channel();
        std::thread::Builder::new().name("nonces".to_owned()).spawn(move || serve(&jobs))?;
        Ok(Self(sender))
    }

    /// A lost job is no loss: where the ceiling is reached, the caller raises it itself.
    fn raise_soon(&self, sequence: &Arc<Shared>, ceiling: u64) {
        if !sequence.asked.swap(true, Ordering::AcqRel) {
            let _ = self.0.send((Arc::clone(sequence), ceiling));
        }
    }
}

fn serve(jobs: &Receiver<(Arc<Shared>, u64)>) {
    for (sequence, ceiling) in jobs {
        if let Err(error) = sequence.raise(ceiling) {
            tracing::warn!(error = %crate::fault::chain(&error), "nonces could not be reserved ahead");
        }
        sequence.asked.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(now: u64) -> Ticks {
        Ticks { now, per_second: 1_000 }
    }

    fn open(folder: &Path) -> NonceSequence {
        NonceSequence::open(folder.join("a.toml")).unwrap()
    }

    #[test]
    fn follows_the_clock_and_rises_when_it_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let reserver = Reserver::start().unwrap();
        let mut sequence = open(folder.path());
        let clock = [1_000_000, 1_000_000, 1_000_005, 999_000, 1_000_006];
        let given = clock.map(|now| sequence.next(ms(now), &reserver).unwrap());
        assert_eq!(given, [1_000_000, 1_000_001, 1_000_005, 1_000_006, 1_000_007]);
    }

    #[test]
    fn never_gives_a_number_twice_over_restarts_without_a_farewell() {
        let folder = tempfile::tempdir().unwrap();
        let reserver = Reserver::start().unwrap();
        let mut last = 0;
        for restart in 0..20 {
            let mut sequence = open(folder.path());
            for _ in 0..500 {
                let number = sequence.next(ms(5_000_000 + restart), &reserver).unwrap();
                assert!(number > last, "{number} after {last}");
                last = number;
            }
        }
    }

    #[test]
    fn has_reserved_on_disk_whatever_it_hands_out() {
        let folder = tempfile::tempdir().unwrap();
        let reserver = Reserver::start().unwrap();
        let mut sequence = open(folder.path());
        for step in 0..3_000_u64 {
            let number = sequence.next(ms(1_000_000 + step * 50), &reserver).unwrap();
            let text = std::fs::read_to_string(folder.path().join("a.toml")).unwrap();
            let ceiling = toml::from_str::<File>(&text).unwrap().ceiling;
            assert!(number < ceiling, "{number} is not below {ceiling}");
        }
    }

    #[test]
    fn never_lowers_the_ceiling_by_a_raise_that_comes_late() {
        let folder = tempfile::tempdir().unwrap();
        let reserver = Reserver::start().unwrap();
        let mut before = open(folder.path());
        assert_eq!(before.next(ms(1_000_000), &reserver).unwrap(), 1_000_000);
        // What the thread still has to do when the sequence is dropped.
        let late = Arc::clone(&before.shared);
        drop(before);
        let mut after = open(folder.path());
        assert_eq!(after.next(ms(9_000_000), &reserver).unwrap(), 9_000_000);
        late.raise(1_500_000).unwrap();
        drop((late, after));
        assert_eq!(ceiling(&folder.path().join("a.toml")).unwrap(), 9_060_000);
        assert_eq!(open(folder.path()).next(ms(50), &reserver).unwrap(), 9_060_000);
    }

    #[test]
    fn refuses_a_nonce_of_the_caller_that_does_not_rise() {
        let folder = tempfile::tempdir().unwrap();
        let reserver = Reserver::start().unwrap();
        let mut sequence = open(folder.path());
        assert_eq!(sequence.take_wanted(77, ms(50), &reserver).unwrap(), 77);
        let refused = sequence.take_wanted(77, ms(50), &reserver);
        assert!(matches!(refused, Err(NonceError::NotRising { wanted: 77, last: 77 })));
        assert_eq!(sequence.next(ms(50), &reserver).unwrap(), 78);
    }

    #[test]
    fn refuses_a_nonce_a_year_ahead() {
        let folder = tempfile::tempdir().unwrap();
        let reserver = Reserver::start().unwrap();
        let mut sequence = open(folder.path());
        assert!(matches!(
            sequence.take_wanted(u64::MAX, ms(50), &reserver),
            Err(NonceError::FarAhead { .. })
        ));
        assert_eq!(sequence.next(ms(50), &reserver).unwrap(), 50);
    }

    #[test]
    fn refuses_to_sign_where_the_reservation_is_damaged_or_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        std::fs::write(&path, "ceiling = many").unwrap();
        assert!(matches!(NonceSequence::open(path.clone()), Err(StoreError::Invalid { .. })));
        std::fs::remove_file(&path).unwrap();

        let reserver = Reserver::start().unwrap();
        let mut sequence = NonceSequence::open(folder.path().join("gone/a.toml")).unwrap();
        assert!(matches!(sequence.next(ms(50), &reserver), Err(NonceError::Store(_))));
        assert!(
            matches!(sequence.next(ms(50), &reserver), Err(NonceError::Store(_))),
            "and goes on refusing"
        );
    }
}
