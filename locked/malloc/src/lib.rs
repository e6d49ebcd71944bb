//! `malloc` and its family, for a program whose whole heap lies in secret memory.
//!
//! A program that links this crate exports these functions, so the C library itself and every library
//! that the program loads later use them instead of the C library's own: a PKCS#11 module leaves nothing
//! of a seed or a PIN on a heap that root can read. `strdup` and the like call them too.
//!
//! It is a crate of its own because the names alone do it: the keeper and the command line, which link
//! [`strongroom_locked`], keep the allocator that they have.
#![expect(unsafe_code, reason = "these names are the C library's, and pointers are what they are about")]

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use strongroom_locked::memory::whole::{self, Who};

/// What `malloc` is aligned to on every processor that this is built for.
const ALIGN: usize = 16;

/// For `#[global_allocator]`: as `malloc`, but with a reserve, since Rust code cannot be told that there
/// is no memory.
#[derive(Debug)]
pub struct Whole;

// SAFETY: `whole` gives blocks of that length and alignment, each to one, and keeps their content.
unsafe impl GlobalAlloc for Whole {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        whole::allocate(layout.size(), layout.align(), Who::Us)
    }
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller's contract is the same.
        unsafe { give_back(block) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // What is given is zero.
        whole::allocate(layout.size(), layout.align(), Who::Us)
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller's contract is the same.
        unsafe { whole::resize(block, bytes, layout.align(), Who::Us) }
    }
}

/// Gives what there is, or sets `errno`, and tells the front's log once.
fn given(block: *mut u8) -> *mut c_void {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if block.is_null() {
        const LINE: &[u8] =
            b"strongroom-token: the module wants more memory than may be locked (RLIMIT_MEMLOCK)\n";
        if whole::was_full() && !TOLD.swap(true, Relaxed) {
            // SAFETY: reads the line.
            let _unheard = unsafe { libc::write(libc::STDERR_FILENO, LINE.as_ptr().cast(), LINE.len()) };
        }
        // SAFETY: the calling thread's own `errno`.
        unsafe { *libc::__errno_location() = libc::ENOMEM };
    }
    block.cast()
}

/// Takes a block back and keeps `errno`, which waiting for a lock may change: who frees on the way out of a
/// failed call reads it afterwards (POSIX.1-2024, `free`).
///
/// # Safety
/// As for [`whole::free`].
unsafe fn give_back(block: *mut u8) {
    // SAFETY: the caller's contract; the calling thread's own `errno`.
    unsafe {
        let errno = libc::__errno_location();
        let kept = *errno;
        whole::free(block);
        *errno = kept;
    }
}

/// As C has it.
#[unsafe(no_mangle)]
pub extern "C" fn malloc(bytes: usize) -> *mut c_void {
    given(whole::allocate(bytes, ALIGN, Who::Foreign))
}

/// As C has it.
#[unsafe(no_mangle)]
pub extern "C" fn calloc(count: usize, bytes: usize) -> *mut c_void {
    match count.checked_mul(bytes) {
        // What is given is zero.
        Some(bytes) => given(whole::allocate(bytes, ALIGN, Who::Foreign)),
        None => given(ptr::null_mut()),
    }
}

/// As C has it.
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(block: *mut c_void, bytes: usize) -> *mut c_void {
    if bytes == 0 && !block.is_null() {
        // As the GNU library does.
        // SAFETY: the caller's contract.
        unsafe { whole::free(block.cast()) };
        return ptr::null_mut();
    }
    // SAFETY: the caller's contract.
    given(unsafe { whole::resize(block.cast(), bytes, ALIGN, Who::Foreign) })
}

/// As the GNU library has it.
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reallocarray(block: *mut c_void, count: usize, bytes: usize) -> *mut c_void {
    match count.checked_mul(bytes) {
        // SAFETY: the caller's contract.
        Some(bytes) => unsafe { realloc(block, bytes) },
        None => given(ptr::null_mut()),
    }
}

/// As C has it.
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(block: *mut c_void) {
    // SAFETY: the caller's contract.
    unsafe { give_back(block.cast()) }
}

/// As POSIX has it.
///
/// # Safety
/// `to` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(to: *mut *mut c_void, align: usize, bytes: usize) -> i32 {
    if !align.is_power_of_two() || align < size_of::<*mut c_void>() {
        return libc::EINVAL;
    }
    let block = whole::allocate(bytes, align, Who::Foreign);
    if block.is_null() {
        let _told = given(block);
        return libc::ENOMEM;
    }
    // SAFETY: the caller's contract.
    unsafe { to.write(block.cast()) };
    0
}

/// As C has it.
#[unsafe(no_mangle)]
pub extern "C" fn aligned_alloc(align: usize, bytes: usize) -> *mut c_void {
    memalign(align, bytes)
}

/// As the GNU library has it.
#[unsafe(no_mangle)]
pub extern "C" fn memalign(align: usize, bytes: usize) -> *mut c_void {
    match align.checked_next_power_of_two() {
        Some(align) => given(whole::allocate(bytes, align, Who::Foreign)),
        None => given(ptr::null_mut()),
    }
}

/// As the GNU library has it.
#[unsafe(no_mangle)]
pub extern "C" fn valloc(bytes: usize) -> *mut c_void {
    memalign(page_bytes(), bytes)
}

/// As the GNU library has it.
#[unsafe(no_mangle)]
pub extern "C" fn pvalloc(bytes: usize) -> *mut c_void {
    match bytes.checked_next_multiple_of(page_bytes()) {
        Some(bytes) => memalign(page_bytes(), bytes),
        None => given(ptr::null_mut()),
    }
}

/// As the GNU library has it.
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    // SAFETY: the caller's contract.
    unsafe { whole::length(block.cast()) }
}

fn page_bytes() -> usize {
    // SAFETY: reads a constant of the system.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_errno_when_a_block_is_freed_while_others_want_the_same_lock() -> Result<(), String> {
        let changes = || {
            let changed = (0..50_000).filter(|_| {
                let block = malloc(40);
                // SAFETY: the block was given just now, or is null; the thread's own `errno`.
                unsafe {
                    *libc::__errno_location() = libc::ENOTTY;
                    free(block);
                    *libc::__errno_location() != libc::ENOTTY
                }
            });
            changed.count()
        };
        let changed: usize = std::thread::scope(|threads| {
            let running: Vec<_> = (0..4).map(|_| threads.spawn(changes)).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        // A panic with its backtrace would want more memory than there is before the arena.
        if changed == 0 { Ok(()) } else { Err(format!("{changed} times")) }
    }
}
