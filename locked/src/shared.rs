//! One page of secret memory that two processes share.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::fs::{MemfdFlags, SealFlags};
use seccompiler::{SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

use crate::confine::{Calls, ConfineError};
use crate::memory::map::{GUARD_BYTES, lock_error, memfd_secret, step};
use crate::memory::{MemoryError, WeakMemory};

/// What both see: atomic, since the other one may write at any time.
pub type Words = [AtomicU64; 512];

const SECRET_MEMORY: u32 = 0x5345_434d;
const ORDINARY_MEMORY: u32 = 0x0102_1994;

/// Room for one page between two guards, and the page that is mapped there, if any.
struct Place {
    page: NonNull<u8>,
    is_mapped: bool,
}

// SAFETY: the room is this one's alone, whichever thread has it.
unsafe impl Send for Place {}

impl Place {
    fn reserve() -> Result<Self, MemoryError> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping somewhere touches nothing that exists.
        let start = unsafe { libc::mmap(ptr::null_mut(), reserved(), libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(step("mmap"));
        }
        // SAFETY: behind the first guard.
        let page = NonNull::new(unsafe { start.byte_add(GUARD_BYTES) }.cast()).ok_or_else(|| step("mmap"))?;
        Ok(Self { page, is_mapped: false })
    }

    fn map(&mut self, file: &OwnedFd) -> io::Result<()> {
        let (page, bytes, access) =
            (self.page.as_ptr().cast(), page_bytes(), libc::PROT_READ | libc::PROT_WRITE);
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        // SAFETY: the place is this one's, and `&mut self` says that nobody uses what was there.
        if unsafe { libc::mmap(page, bytes, access, flags, file.as_raw_fd(), 0) } == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        self.is_mapped = true;
        for advice in [libc::MADV_DONTFORK, libc::MADV_DONTDUMP] {
            // SAFETY: does not change what this process reads. Secret memory is in no dump anyway.
            if unsafe { libc::madvise(page, bytes, advice) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    fn words(&self) -> Option<&Words> {
        // SAFETY: mapped for reading and writing, at least so long, aligned to a page, and unmapped only
        // by who has `&mut self`. Whatever the other process writes is a number.
        self.is_mapped.then(|| unsafe { self.page.cast::<Words>().as_ref() })
    }

    fn wipe(&self) {
        for word in self.words().into_iter().flatten() {
            word.store(0, Relaxed);
        }
    }

    /// Wipes the page and puts a guard in its place.
    fn clear(&mut self) {
        if !self.is_mapped {
            return;
        }
        self.wipe();
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
        let page = self.page.as_ptr().cast();
        // SAFETY: as for `map`.
        let cleared = unsafe { libc::mmap(page, page_bytes(), libc::PROT_NONE, flags, -1, 0) };
        self.is_mapped = cleared == libc::MAP_FAILED;
    }
}

/// The place itself stays reserved: a confined process must not ask for more than that.
impl Drop for Place {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A page that this process has made, and whose descriptor another one is given.
pub struct SharedPage(Place);

impl SharedPage {
    /// Makes a page. The descriptor must be closed as soon as the other process has it.
    ///
    /// # Errors
    /// [`MemoryError`]
    pub fn make(weak: WeakMemory) -> Result<(Self, OwnedFd), MemoryError> {
        let (file, is_secret) = make_file(weak)?;
        let mut place = Place::reserve()?;
        place.map(&file).map_err(|source| lock_error("mmap", source, page_bytes()))?;
        if !is_secret {
            let page = place.page.as_ptr().cast();
            // SAFETY: the page was mapped just now.
            if unsafe { libc::mlock(page, page_bytes()) } != 0 {
                return Err(lock_error("mlock", io::Error::last_os_error(), page_bytes()));
            }
            rustix::fs::fcntl_add_seals(&file, SEALS).map_err(io::Error::from).map_err(failed("sealing"))?;
        }
        Ok((Self(place), file))
    }
}

impl AsRef<Words> for SharedPage {
    fn as_ref(&self) -> &Words {
        static NOTHING: Words = [const { AtomicU64::new(0) }; 512];
        // It is mapped from the start to the end.
        self.0.words().unwrap_or(&NOTHING)
    }
}

/// A file of one page, and whether it is secret.
fn make_file(weak: WeakMemory) -> Result<(OwnedFd, bool), MemoryError> {
    let (file, is_secret) = match memfd_secret() {
        Ok(file) => (file, true),
        Err(_) if weak == WeakMemory::Allowed => {
            let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
            let file = rustix::fs::memfd_create(c"", flags);
            (file.map_err(io::Error::from).map_err(failed("memfd_create"))?, false)
        }
        Err(error) => return Err(MemoryError::Absent(error)),
    };
    let bytes = u64::try_from(page_bytes()).unwrap_or(u64::MAX);
    rustix::fs::ftruncate(&file, bytes).map_err(io::Error::from).map_err(failed("ftruncate"))?;
    Ok((file, is_secret))
}

fn failed(step: &'static str) -> impl Fn(io::Error) -> MemoryError {
    move |source| MemoryError::Step { step, source }
}

/// So that the one who maps it cannot be made to touch a page that is no more.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// A place for the page of another process, one at a time.
pub struct ForeignPage {
    place: Place,
    weak: WeakMemory,
}

impl ForeignPage {
    /// Reserves the place. `weak` says whether a page that root can read is taken too. A page of this process's
    /// own is mapped there once, so that a limit that is too low is found now and not when a seed comes.
    ///
    /// # Errors
    /// [`MemoryError`]
    pub fn reserve(weak: WeakMemory) -> Result<Self, MemoryError> {
        let mut place = Place::reserve()?;
        let (file, _) = make_file(weak)?;
        place.map(&file).map_err(|source| lock_error("mmap", source, page_bytes()))?;
        place.clear();
        Ok(Self { place, weak })
    }

    /// Maps the page of another process, in the place of an older one. The descriptor is closed.
    ///
    /// # Errors
    /// `InvalidInput` where it is no such page; else what the kernel says. There is none then.
    pub fn map(&mut self, file: OwnedFd) -> io::Result<()> {
        self.place.clear();
        if !self.is_page(&file)? {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.place.map(&file).inspect_err(|_| self.place.clear())
    }

    /// What the other process sees too.
    #[must_use]
    pub fn words(&self) -> Option<&Words> {
        self.place.words()
    }

    /// Wipes and unmaps the page, if there is one.
    pub fn clear(&mut self) {
        self.place.clear();
    }

    /// Wipes the page, reads it back, and gives the number of bytes that are not zero.
    pub fn erase(&mut self) -> u64 {
        self.place.wipe();
        let words = self.place.words().into_iter().flatten();
        let left = words.flat_map(|word| word.load(Relaxed).to_ne_bytes()).filter(|byte| *byte != 0).count();
        self.place.clear();
        u64::try_from(left).unwrap_or(u64::MAX)
    }

    /// Whether it is one page that nobody can shorten, so that reading it cannot be a fault. Secret
    /// memory has that from the kernel: its length is set once. The length is read last: before the
    /// seals are seen it may still change.
    fn is_page(&self, file: &OwnedFd) -> io::Result<bool> {
        let kind = u32::try_from(rustix::fs::fstatfs(file)?.f_type).unwrap_or_default();
        let is_fixed = match kind {
            SECRET_MEMORY => true,
            ORDINARY_MEMORY if self.weak == WeakMemory::Allowed => {
                rustix::fs::fcntl_get_seals(file)?.contains(SEALS)
            }
            _ => false,
        };
        Ok(is_fixed && usize::try_from(rustix::fs::fstat(file)?.st_size) == Ok(page_bytes()))
    }

    /// The system calls of [`map`](Self::map), [`clear`](Self::clear) and [`erase`](Self::erase), with
    /// these arguments only: at this place, one page, never executable.
    ///
    /// # Errors
    /// [`ConfineError`] where the rules cannot be made.
    pub fn calls(&self) -> Result<Calls, ConfineError> {
        let at = u64::try_from(self.place.page.as_ptr().addr()).unwrap_or_default();
        let bytes = u64::try_from(page_bytes()).unwrap_or_default();
        let equals = |(index, value): (u8, u64)| {
            SeccompCondition::new(index, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value)
        };
        let number = |value: i32| u64::try_from(value).unwrap_or_default();
        let rule = |conditions: &[(u8, u64)]| {
            let conditions = conditions.iter().copied().map(equals).collect::<Result<_, _>>()?;
            SeccompRule::new(conditions)
        };
        let read_write = number(libc::PROT_READ | libc::PROT_WRITE);
        let shared = number(libc::MAP_SHARED | libc::MAP_FIXED);
        let nothing = number(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED);
        let mapping = |access, flags| rule(&[(0, at), (1, bytes), (2, access), (3, flags)]);
        let advice = |advice| rule(&[(0, at), (1, bytes), (2, number(advice))]);
        let seals =
            SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, number(libc::F_GET_SEALS))?;
        Ok(Calls::from([
            (libc::SYS_mmap, vec![mapping(read_write, shared)?, mapping(0, nothing)?]),
            (libc::SYS_madvise, vec![advice(libc::MADV_DONTFORK)?, advice(libc::MADV_DONTDUMP)?]),
            (libc::SYS_fstat, vec![]),
            (libc::SYS_fstatfs, vec![]),
            (libc::SYS_fcntl, vec![SeccompRule::new(vec![seals])?]),
            (libc::SYS_close, vec![]),
        ]))
    }
}

fn page_bytes() -> usize {
    rustix::param::page_size()
}

fn reserved() -> usize {
    page_bytes().saturating_add(GUARD_BYTES).saturating_add(GUARD_BYTES)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    fn refusal(weak: WeakMemory, file: OwnedFd) -> io::ErrorKind {
        let mut foreign = ForeignPage::reserve(weak).unwrap();
        let error = foreign.map(file).unwrap_err();
        assert!(foreign.words().is_none());
        error.kind()
    }

    fn ordinary(seals: SealFlags, bytes: usize) -> OwnedFd {
        let file = rustix::fs::memfd_create(c"", MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&file, bytes.try_into().unwrap()).unwrap();
        rustix::fs::fcntl_add_seals(&file, seals).unwrap();
        file
    }

    #[test]
    fn shows_both_what_either_writes_until_it_is_cleared() {
        let (page, file) = SharedPage::make(WeakMemory::Refused).unwrap();
        let mut foreign = ForeignPage::reserve(WeakMemory::Refused).unwrap();
        foreign.map(file).unwrap();
        page.as_ref()[7].store(77, Relaxed);
        assert_eq!(foreign.words().unwrap()[7].load(Relaxed), 77);
        foreign.clear();
        assert!(foreign.words().is_none());
        assert_eq!(page.as_ref()[7].load(Relaxed), 0, "wiped for both");
    }

    #[test]
    fn tells_that_nothing_is_left_after_an_erasure() {
        let (page, file) = SharedPage::make(WeakMemory::Refused).unwrap();
        let mut foreign = ForeignPage::reserve(WeakMemory::Refused).unwrap();
        foreign.map(file).unwrap();
        page.as_ref()[511].store(u64::MAX, Relaxed);
        assert_eq!(foreign.erase(), 0);
        assert!(foreign.words().is_none());
        assert_eq!(page.as_ref()[511].load(Relaxed), 0);
    }

    #[test]
    fn takes_only_a_page_that_cannot_be_shortened() {
        let invalid = io::ErrorKind::InvalidInput;
        let bytes = page_bytes();
        let secret = |bytes: usize| {
            let file = memfd_secret().unwrap();
            rustix::fs::ftruncate(&file, bytes.try_into().unwrap()).unwrap();
            file
        };
        assert_eq!(refusal(WeakMemory::Refused, secret(2 * bytes)), invalid);
        assert_eq!(refusal(WeakMemory::Refused, memfd_secret().unwrap()), invalid, "no length");
        assert_eq!(refusal(WeakMemory::Refused, ordinary(SEALS, bytes)), invalid, "root can read it");
        assert_eq!(refusal(WeakMemory::Allowed, ordinary(SealFlags::GROW, bytes)), invalid, "not sealed");
        assert_eq!(refusal(WeakMemory::Allowed, ordinary(SEALS, 2 * bytes)), invalid);
        let socket = rustix::net::socketpair(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::STREAM,
            rustix::net::SocketFlags::empty(),
            None,
        );
        assert_eq!(refusal(WeakMemory::Allowed, socket.unwrap().0), invalid);
        let program = std::fs::File::open("/proc/self/exe").unwrap();
        assert_eq!(refusal(WeakMemory::Allowed, program.into()), invalid);

        let mut foreign = ForeignPage::reserve(WeakMemory::Allowed).unwrap();
        foreign.map(ordinary(SEALS, bytes)).unwrap();
        foreign.map(secret(bytes)).unwrap();
    }

    /// What the check of the length rests on.
    #[test]
    fn keeps_the_length_of_secret_memory_once_it_is_set() {
        let (_page, file) = SharedPage::make(WeakMemory::Refused).unwrap();
        for bytes in [0, 1, 2 * u64::try_from(page_bytes()).unwrap()] {
            assert_eq!(rustix::fs::ftruncate(file.as_fd(), bytes), Err(rustix::io::Errno::INVAL), "{bytes}");
        }
    }
}
