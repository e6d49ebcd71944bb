//! A global allocator: who allocates on the secret stack gets secret memory.
//!
//! So what the cryptographic crates allocate while they work is as safe as what we do, and none of them
//! has to know. Once the process is confined, when no more memory can be had from the kernel, all
//! allocations are served from there.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::heap::Heap;
use super::switch;

static HEAP: Mutex<Heap> = Mutex::new(Heap::empty());
static HEAP_AT: Range = Range::nowhere();
static STACK_AT: Range = Range::nowhere();
static ONLY: AtomicBool = AtomicBool::new(false);
static CLOSED: AtomicBool = AtomicBool::new(false);

/// A range of addresses that is set once.
pub(super) struct Range {
    from: AtomicUsize,
    bytes: AtomicUsize,
}

impl Range {
    pub(super) const fn nowhere() -> Self {
        Self::new(0, 0)
    }
    pub(super) const fn new(from: usize, bytes: usize) -> Self {
        Self { from: AtomicUsize::new(from), bytes: AtomicUsize::new(bytes) }
    }
    pub(super) fn is_nowhere(&self) -> bool {
        self.bytes.load(Relaxed) == 0
    }
    pub(super) fn set(&self, from: usize, bytes: usize) {
        self.from.store(from, Relaxed);
        self.bytes.store(bytes, Relaxed);
    }
    pub(super) fn has(&self, address: usize) -> bool {
        address.wrapping_sub(self.from.load(Relaxed)) < self.bytes.load(Relaxed)
    }
    /// Whether all of `bytes` bytes from `address` on lie in it.
    pub(super) fn has_all(&self, address: usize, bytes: usize) -> bool {
        let room = self.bytes.load(Relaxed);
        let at = address.wrapping_sub(self.from.load(Relaxed));
        at < room && bytes <= room.saturating_sub(at)
    }
}

/// Gives the allocator its memory, and tells it where the secret stack lies.
pub(super) fn serve_from(heap: Heap, heap_at: (usize, usize), stack_at: (usize, usize)) {
    *lock() = heap;
    HEAP_AT.set(heap_at.0, heap_at.1);
    STACK_AT.set(stack_at.0, stack_at.1);
}

/// From now on nothing is allocated elsewhere.
pub(super) fn serve_all() {
    ONLY.store(true, Relaxed);
}

/// From now on nothing is allocated from the arena, and nothing is given back to it.
pub(super) fn close() {
    CLOSED.store(true, Relaxed);
    *lock() = Heap::empty();
}

/// Whether one block of `bytes` could be allocated.
pub(super) fn has_room(bytes: usize) -> bool {
    lock().has_room(bytes)
}

/// Nothing that holds the lock can panic.
fn lock() -> MutexGuard<'static, Heap> {
    HEAP.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves what runs on the secret stack from secret memory, and all else from the system.
///
/// For `#[global_allocator]` of a binary. Before [`Memory::map`](super::Memory::map) there is
/// no secret stack, and it is the system's allocator.
#[derive(Debug)]
pub struct Routed;

// SAFETY: each block is freed where it came from, told by its address; both allocators keep the
// contract, and a resized block is a new one with the old content.
unsafe impl GlobalAlloc for Routed {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if STACK_AT.has(switch::stack_pointer()) || ONLY.load(Relaxed) {
            lock().allocate(layout)
        } else {
            // SAFETY: the caller's contract is the same.
            unsafe { System.alloc(layout) }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the same, for the allocator that gave the block.
        unsafe {
            if HEAP_AT.has(block.addr()) {
                if !CLOSED.load(Relaxed) {
                    lock().free(block, layout);
                }
            } else if !ONLY.load(Relaxed) {
                // A confined process keeps what it had before: giving it back may be a system call.
                System.dealloc(block, layout);
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if STACK_AT.has(switch::stack_pointer()) || ONLY.load(Relaxed) {
            // What is free is zero.
            lock().allocate(layout)
        } else {
            // SAFETY: the caller's contract is the same.
            unsafe { System.alloc_zeroed(layout) }
        }
    }

    /// What lies in secret memory stays there.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        let is_secret = HEAP_AT.has(block.addr());
        let to_secret = is_secret || STACK_AT.has(switch::stack_pointer()) || ONLY.load(Relaxed);
        if !to_secret {
            // SAFETY: the caller's contract is the same.
            return unsafe { System.realloc(block, layout, bytes) };
        }
        let Ok(wanted) = Layout::from_size_align(bytes, layout.align()) else { return ptr::null_mut() };
        let new = lock().allocate(wanted);
        if !new.is_null() {
            // SAFETY: both blocks have at least that length, and the new one is nobody else's.
            unsafe {
                new.copy_from_nonoverlapping(block, layout.size().min(bytes));
                self.dealloc(block, layout);
            }
        }
        new
    }
}
