//! Getting memory from the kernel that nobody else reads.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr::{self, NonNull};

use crate::NAKED;

pub(crate) const GUARD_BYTES: usize = 64 * 1024;

/// Whether memory may do that root can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeakMemory {
    /// Where the kernel has no secret memory, take what can at least not be swapped.
    Allowed,
    /// Secret memory or none.
    Refused,
}

/// Why there is no such memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The kernel has no secret memory, or a filter forbids it.
    #[error("the kernel gives no secret memory (memfd_secret)")]
    Absent(#[source] io::Error),
    /// The process may not lock that much.
    #[error("the process may not lock {needed} bytes of memory more (RLIMIT_MEMLOCK is {limit})")]
    LockLimit {
        /// How many bytes were asked for.
        needed: usize,
        /// How many bytes it may lock.
        limit: u64,
    },
    /// The process has an arena.
    #[error("the process has its secret memory already")]
    Second,
    /// The heap is no longer than what is reserved of it.
    #[error("a heap of {bytes} bytes is too small: {reserve} are reserved")]
    TooSmall {
        /// How long it was to be.
        bytes: usize,
        /// How much of it is reserved.
        reserve: usize,
    },
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

/// Some pieces of memory that lie in a row, with a guard before, between and behind them.
pub(crate) struct Pieces<const N: usize> {
    /// Where each starts, and its length in bytes.
    pub(crate) pieces: [(NonNull<u8>, usize); N],
    pub(crate) is_secret: bool,
    reservation: (NonNull<u8>, usize),
}

impl<const N: usize> Pieces<N> {
    /// Maps pieces of at least these lengths. They are zero.
    pub(crate) fn map(lengths: [usize; N], weak: WeakMemory) -> Result<Self, MemoryError> {
        match memfd_secret() {
            // The mapping stays when the descriptor is closed; an open one could be stolen and mapped.
            Ok(file) => Self::map_from(lengths, Some(&file)),
            Err(_) if weak == WeakMemory::Allowed => Self::map_from(lengths, None),
            Err(error) => Err(MemoryError::Absent(error)),
        }
    }

    fn map_from(lengths: [usize; N], file: Option<&OwnedFd>) -> Result<Self, MemoryError> {
        let lengths = lengths.map(|bytes| bytes.max(1).next_multiple_of(rustix::param::page_size()));
        let sum = lengths.iter().sum::<usize>();
        let reservation = lengths
            .iter()
            .fold(GUARD_BYTES, |all, bytes| all.saturating_add(*bytes).saturating_add(GUARD_BYTES));
        // Never accessible as a whole, so that what is not mapped over is a guard.
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping somewhere touches nothing that exists.
        let start = unsafe { libc::mmap(ptr::null_mut(), reservation, libc::PROT_NONE, flags, -1, 0) };
        let start = mapped(start).ok_or_else(|| step("mmap"))?;
        let mut mapped = Self {
            pieces: lengths.map(|bytes| (start, bytes)),
            is_secret: file.is_some(),
            reservation: (start, reservation),
        };
        let filled = mapped.fill(sum, file);
        if filled.is_err() {
            // SAFETY: mapped here, and nobody knows it.
            unsafe { mapped.unmap() };
        }
        filled.map(|()| mapped)
    }

    fn fill(&mut self, sum: usize, file: Option<&OwnedFd>) -> Result<(), MemoryError> {
        if let Some(file) = file {
            let bytes = i64::try_from(sum).unwrap_or(i64::MAX);
            // SAFETY: changes the length of a file that nobody else knows.
            if unsafe { libc::ftruncate(file.as_raw_fd(), bytes) } != 0 {
                return Err(step("ftruncate"));
            }
        }
        let (mut at, mut in_file) = (GUARD_BYTES, 0);
        for (place, bytes) in &mut self.pieces {
            // SAFETY: inside of the reservation.
            let start = unsafe { self.reservation.0.add(at) };
            *place = map_piece(start, *bytes, file, in_file, sum)?;
            at = at.saturating_add(*bytes).saturating_add(GUARD_BYTES);
            in_file = in_file.saturating_add(*bytes);
        }
        Ok(())
    }

    /// Gives everything back to the kernel.
    ///
    /// # Safety
    /// Nobody uses any of the pieces any more.
    pub(crate) unsafe fn unmap(&mut self) {
        let (start, bytes) = self.reservation;
        // SAFETY: the reservation is this one's, and nobody uses it.
        unsafe { libc::munmap(start.as_ptr().cast(), bytes) };
    }
}

/// Maps one piece over a reservation.
fn map_piece(
    place: NonNull<u8>,
    bytes: usize,
    file: Option<&OwnedFd>,
    in_file: usize,
    sum: usize,
) -> Result<NonNull<u8>, MemoryError> {
    let flags = libc::MAP_FIXED
        | if file.is_some() { libc::MAP_SHARED } else { libc::MAP_PRIVATE | libc::MAP_ANONYMOUS };
    let descriptor = file.map_or(-1, |file| file.as_raw_fd());
    let in_file = file.map_or(0, |_| i64::try_from(in_file).unwrap_or(i64::MAX));
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the piece lies inside of a reservation, which nobody uses.
    let piece = unsafe { libc::mmap(place.as_ptr().cast(), bytes, access, flags, descriptor, in_file) };
    let piece = mapped(piece).ok_or_else(|| lock_error("mmap", io::Error::last_os_error(), sum))?;
    // Secret memory is locked, in no core dump, and cannot be wiped on fork; a child must not have it.
    let advices: &[_] = if file.is_some() {
        &[libc::MADV_DONTFORK]
    } else {
        // SAFETY: the piece was mapped just now.
        if unsafe { libc::mlock(piece.as_ptr().cast(), bytes) } != 0 {
            return Err(lock_error("mlock", io::Error::last_os_error(), sum));
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

pub(crate) fn memfd_secret() -> io::Result<OwnedFd> {
    if NAKED {
        return Err(io::ErrorKind::Unsupported.into());
    }
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

pub(crate) fn step(step: &'static str) -> MemoryError {
    MemoryError::Step { step, source: io::Error::last_os_error() }
}

/// The kernel says "try again" or "not permitted" or "no memory" where the limit is too low.
pub(crate) fn lock_error(call: &'static str, source: io::Error, needed: usize) -> MemoryError {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current;
    let is_short = limit.is_some_and(|limit| u64::try_from(needed).is_ok_and(|needed| limit < needed));
    match (limit, source.raw_os_error()) {
        (Some(limit), Some(libc::EAGAIN | libc::EPERM)) => MemoryError::LockLimit { needed, limit },
        (Some(limit), _) if is_short => MemoryError::LockLimit { needed, limit },
        _ => MemoryError::Step { step: call, source },
    }
}
