//! Memory that nobody else can read, and work that touches no other.
//!
//! The arena is a piece of `memfd_secret(2)`: the kernel takes its pages out of its own map, so neither
//! another process nor root nor a core dump reads them, and they are never swapped. It has two parts, a
//! stack and a heap. [`Memory::run`] does a piece of work on that stack; what the work allocates comes
//! from that heap ([`Routed`]); when it is done the registers are wiped. So a secret that is only
//! touched by such work is nowhere else.
//!
//! ```text
//! | guard page | stack, grows down | guard page | heap | guard page |
//! ```

mod heap;
pub(crate) mod map;
mod pool;
mod process;
mod route;
mod switch;
pub mod whole;

use std::ffi::c_void;
use std::marker::PhantomData;
use std::process::abort;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

pub use map::{MemoryError, WeakMemory};
pub use process::{block_signals, leave, no_alternate_stack};
pub use route::Routed;

use crate::NAKED;
pub(crate) use heap::wipe;
use map::Pieces;

/// How large the arena of a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Stack for one piece of work, in bytes: several times what the largest takes.
    pub stack: usize,
    /// As much of the stack as [`Depth::Shallow`] work uses.
    pub shallow: usize,
    /// Everything that is allocated, in bytes.
    pub heap: usize,
}

/// The arena of this process.
pub struct Memory {
    /// Never given back.
    stack: NonNull<u8>,
    heap: NonNull<u8>,
    sizes: Sizes,
    is_secret: bool,
    wipe: switch::Wipe,
    /// The stack belongs to one thread.
    one_thread: PhantomData<*mut ()>,
}

/// How much of the stack a piece of work uses, where it must be wiped afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// [`Sizes::shallow`].
    Shallow,
    /// Anything.
    Whole,
}

impl Memory {
    /// Maps the arena and has [`Routed`] use it.
    ///
    /// # Errors
    /// [`MemoryError`]; the second call in one process is one.
    pub fn map(sizes: Sizes, weak: WeakMemory) -> Result<Self, MemoryError> {
        let memory = Self::map_pieces(sizes, weak)?;
        let heap_at = (memory.heap.as_ptr().addr(), memory.sizes.heap);
        let stack_at = (memory.stack.as_ptr().addr(), memory.sizes.stack);
        // SAFETY: the arena was mapped just now, for this alone, and is never unmapped.
        let holes = unsafe { heap::Heap::new(memory.heap, memory.sizes.heap) };
        route::serve_from(holes, heap_at, stack_at);
        Ok(memory)
    }

    /// Maps the arena and has [`whole`] serve the whole process from it.
    ///
    /// # Errors
    /// As [`map`](Self::map); [`MemoryError::TooSmall`].
    pub fn map_for_all(sizes: Sizes, weak: WeakMemory) -> Result<Self, MemoryError> {
        if sizes.heap <= whole::RESERVE_BYTES {
            return Err(MemoryError::TooSmall { bytes: sizes.heap, reserve: whole::RESERVE_BYTES });
        }
        let memory = Self::map_pieces(sizes, weak)?;
        // SAFETY: as for `map`, and it is longer than the reserve.
        unsafe { whole::serve_from(memory.heap, memory.sizes.heap) };
        Ok(memory)
    }

    fn map_pieces(sizes: Sizes, weak: WeakMemory) -> Result<Self, MemoryError> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, Relaxed) {
            return Err(MemoryError::Second);
        }
        let Pieces { pieces, is_secret, .. } = Pieces::map([sizes.stack, sizes.heap], weak)?;
        let [(stack, stack_bytes), (heap, heap_bytes)] = pieces;
        let sizes = Sizes { stack: stack_bytes, heap: heap_bytes, ..sizes };
        Ok(Self { stack, heap, sizes, is_secret, wipe: switch::register_wipe(), one_thread: PhantomData })
    }

    /// Whether it is secret from root too.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        self.is_secret
    }

    /// Does `work` on the secret stack and wipes the registers afterwards.
    ///
    /// What it returns and what it captures lies on the ordinary stack: pointers, but no secrets.
    pub fn run<R>(&mut self, depth: Depth, work: impl FnOnce() -> R) -> R {
        if NAKED {
            return work();
        }
        let mut task = Task { work: Some(work), outcome: None };
        let enter = enter_for(&task);
        // SAFETY: the stack is mapped, ends at a page, and is used by this thread alone; it is not in
        // use now, since whoever runs on it has no second `&mut Memory`. `enter` takes a task of this
        // type. The wipe changes only registers that every call may change.
        unsafe {
            switch::on_stack((&raw mut task).cast(), enter, self.stack.as_ptr().add(self.sizes.stack));
            (self.wipe)();
        }
        if !self.is_secret {
            self.wipe_stack(depth);
        }
        // Work that panics does not come back: `enter` aborts.
        task.outcome.unwrap_or_else(|| abort())
    }

    /// Zeroes the stack. The heap is zero where it is free.
    pub fn wipe_stack(&mut self, depth: Depth) {
        let stack = self.sizes.stack;
        let bytes = match depth {
            Depth::Shallow => self.sizes.shallow.min(stack),
            Depth::Whole => stack,
        };
        // SAFETY: inside of the stack, which nobody uses now.
        unsafe { wipe(self.stack.as_ptr().add(stack.saturating_sub(bytes)), bytes) };
    }

    /// Whether one block of `bytes` bytes could be allocated.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        route::has_room(bytes)
    }

    /// Wipes the whole arena, reads it back, and gives the number of bytes that are not zero.
    ///
    /// Nothing can be allocated from it any more, and what was is not to be used or dropped.
    #[must_use]
    pub fn erase(self) -> u64 {
        route::close();
        // SAFETY: this work is on another stack, nobody else has the arena, and the allocator is closed.
        unsafe {
            wipe(self.stack.as_ptr(), self.sizes.stack);
            wipe(self.heap.as_ptr(), self.sizes.heap);
        }
        self.bytes_not_zero()
    }

    fn bytes_not_zero(&self) -> u64 {
        let pieces = [(self.stack, self.sizes.stack), (self.heap, self.sizes.heap)];
        let words = pieces.into_iter().flat_map(|(start, bytes)| {
            let start = start.cast::<u64>();
            // SAFETY: inside of the arena, whose pieces are whole pages. Volatile, so that what was written
            // is not taken for what is there.
            (0..bytes.div_euclid(size_of::<u64>())).map(move |at| unsafe { start.add(at).read_volatile() })
        });
        let left =
            words.filter(|word| *word != 0).flat_map(u64::to_ne_bytes).filter(|byte| *byte != 0).count();
        u64::try_from(left).unwrap_or(u64::MAX)
    }

    /// From now on every allocation of the process comes from the arena, so that none needs the kernel.
    pub fn serve_all(&self) {
        if !NAKED {
            route::serve_all();
        }
    }
}

struct Task<F, R> {
    work: Option<F>,
    outcome: Option<R>,
}

/// Runs the task at `data`. A panic must not unwind over the change of stacks; `extern "C"` aborts.
unsafe extern "C" fn enter<F: FnOnce() -> R, R>(data: *mut c_void) {
    // SAFETY: `run` gives a task of this type, and waits.
    let task = unsafe { &mut *data.cast::<Task<F, R>>() };
    task.outcome = task.work.take().map(|work| work());
}

/// Names the types of a task.
fn enter_for<F: FnOnce() -> R, R>(_: &Task<F, R>) -> switch::Work {
    enter::<F, R>
}

#[cfg(test)]
mod tests {
    use std::alloc::{GlobalAlloc as _, Layout};

    use super::*;

    #[test]
    fn is_all_zero_when_it_was_erased_and_was_not_before() {
        let sizes = Sizes { stack: 128 * 1024, shallow: 32 * 1024, heap: 256 * 1024 };
        let mut memory = Memory::map(sizes, WeakMemory::Refused).unwrap();
        let layout = Layout::from_size_align(100, 1).unwrap();
        let (block, kept) = memory.run(Depth::Whole, || {
            let on_stack = std::hint::black_box([0xA5_u8; 1000]);
            // SAFETY: the block is as long as the layout says.
            let block = unsafe {
                let block = Routed.alloc(layout);
                block.copy_from_nonoverlapping(on_stack.as_ptr(), layout.size());
                block
            };
            (block, layout.size() + on_stack.len())
        });
        let before = memory.bytes_not_zero();
        assert!(before > u64::try_from(kept).unwrap(), "the control: {before}");
        assert_eq!(memory.erase(), 0);
        // What was allocated is out of use: freeing it and allocating more change nothing.
        // SAFETY: it was allocated with this layout.
        unsafe { Routed.dealloc(block, layout) };
        assert!(!route::has_room(1));
    }
}
