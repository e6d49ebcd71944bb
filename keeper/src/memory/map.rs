//! Getting the arena from the kernel.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use strongroom_link::keeper::LOCKED_BYTES;

use super::STACK_BYTES;

const GUARD_BYTES: usize = 64 * 1024;
const HEAP_BYTES: usize = LOCKED_BYTES - STACK_BYTES;

/// Whether memory may do that root can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeakMemory {
    /// Where the kernel has no secret memory, take what can at least not be swapped.
    Allowed,
    /// Secret memory or none.
    Refused,
}

/// Why there is no arena.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The kernel has no secret memory, or a filter forbids it.
    #[error("the kernel gives no secret memory (memfd_secret)")]
    Absent(#[source] io::Error),
    /// The process may not lock that much.
    #[error("the process may not lock {LOCKED_BYTES} bytes of memory (RLIMIT_MEMLOCK)")]
    LockLimit {
        /// How many bytes it may lock.
        limit: u64,
    },
    /// The process has an arena.
    #[error("the process has its secret memory already")]
    Second,
    /// Something else failed.
    #[error("{step} failed for the secret memory")]
    Step {
        /// Which call.
        step: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// The mapped pieces. Never unmapped.
pub(super) struct Arena {
    pub(super) stack: NonNull<u8>,
    pub(super) heap: NonNull<u8>,
    pub(super) heap_bytes: usize,
    pub(super) is_secret: bool,
}

impl Arena {
    pub(super) fn map(weak: WeakMemory) -> Result<Self, MemoryError> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, Relaxed) {
            return Err(MemoryError::Second);
        }
        match memfd_secret() {
            // The mapping stays when the descriptor is closed; an open one could be stolen and mapped.
            Ok(file) => Self::map_from(Some(&file)),
            Err(_) if weak == WeakMemory::Allowed => Self::map_from(None),
            Err(error) => Err(MemoryError::Absent(error)),
        }
    }

    fn map_from(file: Option<&OwnedFd>) -> Result<Self, MemoryError> {
        // Never accessible as a whole, so that what is not mapped over is a guard.
        let reservation = GUARD_BYTES + STACK_BYTES + GUARD_BYTES + HEAP_BYTES + GUARD_BYTES;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping somewhere touches nothing that exists.
        let start = unsafe { libc::mmap(ptr::null_mut(), reservation, libc::PROT_NONE, flags, -1, 0) };
        let start = mapped(start).ok_or_else(|| step("mmap"))?;

        if let Some(file) = file {
            let bytes = i64::try_from(LOCKED_BYTES).unwrap_or(i64::MAX);
            // SAFETY: changes the length of a file that nobody else knows.
            if unsafe { libc::ftruncate(file.as_raw_fd(), bytes) } != 0 {
                return Err(step("ftruncate"));
            }
        }
        let stack = map_piece(start, GUARD_BYTES, STACK_BYTES, file, 0)?;
        let heap = map_piece(start, GUARD_BYTES + STACK_BYTES + GUARD_BYTES, HEAP_BYTES, file, STACK_BYTES)?;
        Ok(Self { stack, heap, heap_bytes: HEAP_BYTES, is_secret: file.is_some() })
    }
}

/// Maps one piece over the reservation, `at` bytes from its start.
fn map_piece(
    start: NonNull<u8>,
    at: usize,
    bytes: usize,
    file: Option<&OwnedFd>,
    file_offset: usize,
) -> Result<NonNull<u8>, MemoryError> {
    let flags = libc::MAP_FIXED
        | if file.is_some() { libc::MAP_SHARED } else { libc::MAP_PRIVATE | libc::MAP_ANONYMOUS };
    let descriptor = file.map_or(-1, |file| file.as_raw_fd());
    let file_offset = file.map_or(0, |_| i64::try_from(file_offset).unwrap_or(i64::MAX));
    // SAFETY: the piece lies inside of the reservation, which nobody uses.
    let piece = unsafe {
        let place = start.as_ptr().add(at).cast();
        libc::mmap(place, bytes, libc::PROT_READ | libc::PROT_WRITE, flags, descriptor, file_offset)
    };
    let piece = mapped(piece).ok_or_else(|| lock_error("mmap"))?;
    // Secret memory is locked, in no core dump, and cannot be wiped on fork; a child must not have it.
    let advices: &[_] = if file.is_some() {
        &[libc::MADV_DONTFORK]
    } else {
        // SAFETY: the piece was mapped just now.
        if unsafe { libc::mlock(piece.as_ptr().cast(), bytes) } != 0 {
            return Err(lock_error("mlock"));
        }
        &[libc::MADV_DONTFORK, libc::MADV_DONTDUMP, libc::MADV_WIPEONFORK]
    };
    for advice in advices {
        // SAFETY: none of these changes what this process reads.
        if unsafe { libc::madvise(piece.as_ptr().cast(), bytes, *advice) } != 0 {
            return Err(step("madvise"));
        }
    }
    Ok(piece)
}

fn memfd_secret() -> io::Result<OwnedFd> {
    // SAFETY: makes a descriptor and nothing else.
    let descriptor = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    match i32::try_from(descriptor) {
        // SAFETY: the kernel made it just now, for nobody else.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn mapped(address: *mut libc::c_void) -> Option<NonNull<u8>> {
    if address == libc::MAP_FAILED { None } else { NonNull::new(address.cast()) }
}

fn step(step: &'static str) -> MemoryError {
    MemoryError::Step { step, source: io::Error::last_os_error() }
}

/// The kernel says "try again" or "no memory" or "not permitted" where the limit is too low.
fn lock_error(call: &'static str) -> MemoryError {
    let error = step(call);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current;
    let needed = u64::try_from(LOCKED_BYTES).unwrap_or(u64::MAX);
    match limit {
        Some(limit) if limit < needed => MemoryError::LockLimit { limit },
        _ => error,
    }
}
