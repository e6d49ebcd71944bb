//! One allocator for everything in a process, foreign code included.
//!
//! `strongroom-malloc` calls it under the names that C code knows. Until the arena is mapped it serves
//! from a piece of ordinary memory, in which nothing secret can be yet: that is for the loader, and for the first
//! steps of `main`. What lies there stays until it is freed, or moves when it grows.
//!
//! Before each block stands how long it is. Blocks are zero when they are given and wiped when they are
//! taken back. Where the arena is full, C code is given none, and hears so; our own code, which could
//! only end then, is given some of a reserve, so that it can tell.

use std::cell::UnsafeCell;

use std::process::abort;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::heap::Heap;
use super::pool::{GRAIN, Pool};
use super::route::Range;

/// What is taken from the end of the arena for [`Who::Us`].
pub(super) const RESERVE_BYTES: usize = 128 * 1024;
const EARLY_BYTES: usize = 512 * 1024;

/// Who asks for memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Code that can be told that there is none.
    Foreign,
    /// Rust code, which ends the process where there is none.
    Us,
}

/// The memory before the arena.
#[repr(C, align(4096))]
struct Early(UnsafeCell<[u8; EARLY_BYTES]>);

// SAFETY: only the pool over it touches it.
unsafe impl Sync for Early {}

static EARLY: Early = Early(UnsafeCell::new([0; EARLY_BYTES]));

static EARLY_POOL: Mutex<Option<Pool>> = Mutex::new(None);
static POOL: Mutex<Option<Pool>> = Mutex::new(None);
static RESERVE: Mutex<Option<Pool>> = Mutex::new(None);
static POOL_AT: Range = Range::nowhere();
static RESERVE_AT: Range = Range::nowhere();
static WAS_FULL: AtomicBool = AtomicBool::new(false);

/// From now on every allocation of the process is served from here.
///
/// # Safety
/// As for [`Heap::new`]; the length is more than that of the reserve.
pub(super) unsafe fn serve_from(start: NonNull<u8>, bytes: usize) {
    let main = bytes.saturating_sub(RESERVE_BYTES);
    // SAFETY: the caller gives the memory; the two parts do not overlap, and are whole pages.
    let (pool, reserve, reserve_at) = unsafe {
        let reserve_at = start.add(main);
        (Heap::new(start, main), Heap::new(reserve_at, RESERVE_BYTES), reserve_at)
    };
    *lock(&POOL) = Some(Pool::over(pool));
    *lock(&RESERVE) = Some(Pool::over(reserve));
    RESERVE_AT.set(reserve_at.as_ptr().addr(), RESERVE_BYTES);
    POOL_AT.set(start.as_ptr().addr(), main);
}

/// From now on [`was_full`] tells of what comes.
pub fn forget_full() {
    WAS_FULL.store(false, Relaxed);
}

/// Whether foreign code was refused memory because the arena is full, since [`forget_full`].
#[must_use]
pub fn was_full() -> bool {
    WAS_FULL.load(Relaxed)
}

/// Stands right before each block that is given out.
#[repr(C)]
struct Header {
    /// Length of the whole, from the pool's point of view.
    bytes: usize,
    /// From the start of the whole to what is given out.
    before: usize,
}

/// Gives zeroed memory of that alignment, a power of two; null where there is none.
#[must_use]
pub fn allocate(bytes: usize, align: usize, who: Who) -> *mut u8 {
    let spare = if align > GRAIN { align } else { 0 };
    let whole = bytes
        .max(1)
        .checked_add(size_of::<Header>())
        .and_then(|bytes| bytes.checked_add(spare))
        .and_then(|bytes| bytes.checked_next_multiple_of(GRAIN));
    let Some(whole) = whole.filter(|whole| isize::try_from(*whole).is_ok()) else { return ptr::null_mut() };
    let start = take(whole, who);
    if start.is_null() {
        return start;
    }
    let first = start.addr().saturating_add(size_of::<Header>());
    let place = first.checked_next_multiple_of(align.max(GRAIN)).unwrap_or(first);
    let before = place.saturating_sub(start.addr());
    // SAFETY: with `spare` the block has room for the header and for moving up to the next multiple of
    // `align`, and both are multiples of the grain.
    unsafe {
        let given = start.add(before);
        given.cast::<Header>().sub(1).write(Header { bytes: whole, before });
        given
    }
}

fn take(whole: usize, who: Who) -> *mut u8 {
    if POOL_AT.is_nowhere() {
        // SAFETY: nobody else touches it, it is zero, and lives as long as the process.
        let early = || unsafe { Pool::over(Heap::new(NonNull::from(&EARLY).cast(), EARLY_BYTES)) };
        return lock(&EARLY_POOL).get_or_insert_with(early).take(whole);
    }
    let block = take_of(&POOL, whole);
    if !block.is_null() {
        return block;
    }
    match who {
        Who::Us => take_of(&RESERVE, whole),
        Who::Foreign => {
            WAS_FULL.store(true, Relaxed);
            block
        }
    }
}

fn take_of(pool: &Mutex<Option<Pool>>, whole: usize) -> *mut u8 {
    lock(pool).as_mut().map_or(ptr::null_mut(), |pool| pool.take(whole))
}

/// Wipes a block and takes it back. Null, and what came from elsewhere, is left alone.
///
/// # Safety
/// [`allocate`] or [`resize`] gave `block`, or nobody here, and nobody uses it any more.
pub unsafe fn free(block: *mut u8) {
    let Some((pool, Header { bytes, before })) = header(block) else { return };
    if let Some(pool) = lock(pool).as_mut() {
        // SAFETY: the header stands there since the block was given out; with it goes the whole.
        unsafe { pool.give(block.sub(before), bytes) };
    }
}

/// Gives a block of another length with the same content, wiping the old one; null where there is no room, and
/// then the old one stays.
///
/// # Safety
/// As for [`free`].
#[must_use]
pub unsafe fn resize(block: *mut u8, bytes: usize, align: usize, who: Who) -> *mut u8 {
    // SAFETY: the caller's contract.
    let room = unsafe { length(block) };
    let stays = POOL_AT.has(block.addr());
    if stays && bytes <= room && bytes >= room / 2 {
        return block;
    }
    let new = allocate(bytes, align, who);
    if !new.is_null() && !block.is_null() {
        // SAFETY: both blocks have at least that length, and the new one is nobody else's.
        unsafe {
            new.copy_from_nonoverlapping(block, room.min(bytes));
            free(block);
        }
    }
    new
}

/// How much of a block may be used; 0 of what came from elsewhere.
///
/// # Safety
/// As for [`free`], but that it stays in use.
#[must_use]
pub unsafe fn length(block: *mut u8) -> usize {
    header(block).map_or(0, |(_, Header { bytes, before })| bytes.saturating_sub(before))
}

/// From where a block came, and its header.
///
/// Ends the process where no block begins there: a module that frees one twice, or a pointer into one,
/// would else have two owners of the same memory. What is free has no valid header: it is zero but for the
/// links of the lists and of the holes.
fn header(block: *mut u8) -> Option<(&'static Mutex<Option<Pool>>, Header)> {
    let address = block.addr();
    let early = Range::new(NonNull::from(&EARLY).addr().get(), EARLY_BYTES);
    let pools = [(&POOL_AT, &POOL), (&early, &EARLY_POOL), (&RESERVE_AT, &RESERVE)];
    let (range, pool) = pools.into_iter().find(|(range, _)| range.has(address))?;
    let is_placed = |before: usize, bytes: usize| {
        let start = address.checked_sub(before);
        start.is_some_and(|start| range.has_all(start, bytes))
    };
    if !address.is_multiple_of(GRAIN) || !is_placed(size_of::<Header>(), size_of::<Header>()) {
        end();
    }
    // SAFETY: it lies in a pool and is aligned; whatever stands there is two numbers.
    let header = unsafe { block.cast::<Header>().sub(1).read() };
    let Header { bytes, before } = header;
    let is_valid = before >= size_of::<Header>()
        && before < bytes
        && before.is_multiple_of(GRAIN)
        && bytes.is_multiple_of(GRAIN)
        && is_placed(before, bytes);
    if !is_valid {
        end();
    }
    Some((pool, header))
}

/// Ends the process, as the C library's own allocator does then, and says why.
fn end() -> ! {
    const LINE: &[u8] = b"memory was freed twice, or from its middle; this process ends\n";
    // SAFETY: reads the line.
    let _unheard = unsafe { libc::write(libc::STDERR_FILENO, LINE.as_ptr().cast(), LINE.len()) };
    abort()
}

/// Nothing that holds a lock can panic.
fn lock(pool: &Mutex<Option<Pool>>) -> MutexGuard<'_, Option<Pool>> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}
