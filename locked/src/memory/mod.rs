//! Memory that nobody else can read, and work that touches no other.
//!
//! The arena is a piece of `memfd_secret(2)`: the kernel takes its pages out of its own map, so neither
//! another process nor root nor a core dump reads them, and they are never swapped. It has two parts, a
//! stack and a heap. [`Memory::run`] does a piece of work on that stack; what the work allocates comes
//! from that heap ([`Routed`]); when it is done the registers are wiped. So a secret that is only
//! touched by such work is nowhere else. A second thread has a stack of its own there, its [`Aside`].
//!
//! ```text
//! | guard page | stack, grows down | guard page | stack of the second thread | guard page | heap | guard page |
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
pub use process::{block_signals, leave, no_alternate_stack, no_handlers};
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
    /// Stack for the work of a second thread, in bytes; 0 where there is none.
    pub aside: usize,
    /// Everything that is allocated, in bytes.
    pub heap: usize,
}

/// The arena of this process.
pub struct Memory {
    /// Never given back.
    stack: Stack,
    heap: NonNull<u8>,
    sizes: Sizes,
    /// For [`aside`](Self::aside), until it was asked for.
    aside: Option<Aside>,
    /// The stack belongs to one thread.
    one_thread: PhantomData<*mut ()>,
}

/// A stack in secret memory, and what leaving it takes.
struct Stack {
    start: NonNull<u8>,
    bytes: usize,
    is_secret: bool,
    wipe: switch::Wipe,
}

/// The secret stack of a second thread. It can be given to that thread, and back.
///
/// What the work on it allocates comes from the arena once [`Memory::serve_all`] was called, not before.
pub struct Aside(Stack);

// SAFETY: nothing in it belongs to a thread; who owns it is the only one to use the stack.
unsafe impl Send for Aside {}

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
        let stack_at = (memory.stack.start.as_ptr().addr(), memory.stack.bytes);
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
        let (stack, aside, heap, is_secret) = if sizes.aside == 0 {
            let Pieces { pieces: [stack, heap], is_secret, .. } =
                Pieces::map([sizes.stack, sizes.heap], weak)?;
            (stack, None, heap, is_secret)
        } else {
            let Pieces { pieces: [stack, aside, heap], is_secret, .. } =
                Pieces::map([sizes.stack, sizes.aside, sizes.heap], weak)?;
            (stack, Some(aside), heap, is_secret)
        };
        let wipe = switch::register_wipe();
        let stack_of = |(start, bytes)| Stack { start, bytes, is_secret, wipe };
        let (stack, aside) = (stack_of(stack), aside.map(stack_of).map(Aside));
        let sizes = Sizes { stack: stack.bytes, heap: heap.1, ..sizes };
        Ok(Self { stack, heap: heap.0, sizes, aside, one_thread: PhantomData })
    }

    /// Whether it is secret from root too.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        self.stack.is_secret
    }

    /// The stack of a second thread; `None` where it was taken before, or there is none.
    #[must_use]
    pub const fn aside(&mut self) -> Option<Aside> {
        self.aside.take()
    }

    /// Does `work` on the secret stack and wipes the registers afterwards.
    ///
    /// What it returns and what it captures lies on the ordinary stack: pointers, but no secrets.
    pub fn run<R>(&mut self, depth: Depth, work: impl FnOnce() -> R) -> R {
        let outcome = self.stack.run(work);
        if !self.is_secret() {
            self.wipe_stack(depth);
        }
        outcome
    }

    /// Zeroes the stack. The heap is zero where it is free.
    pub fn wipe_stack(&mut self, depth: Depth) {
        self.stack.wipe(match depth {
            Depth::Shallow => self.sizes.shallow,
            Depth::Whole => self.stack.bytes,
        });
    }

    /// Whether one block of `bytes` bytes could be allocated.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        route::has_room(bytes)
    }

    /// Wipes the whole arena, reads it back, and gives the number of bytes that are not zero.
    ///
    /// `aside` is what [`aside`](Self::aside) gave, if it was asked for: nobody works on it any more then. Nothing
    /// can be allocated from the arena any more, and what was is not to be used or dropped.
    #[must_use]
    pub fn erase(mut self, aside: Option<Aside>) -> u64 {
        let aside = aside.or_else(|| self.aside());
        route::close();
        self.stack.wipe(self.stack.bytes);
        // SAFETY: this work is on another stack, nobody else has the arena, and the allocator is closed.
        unsafe { wipe(self.heap.as_ptr(), self.sizes.heap) };
        let aside = match aside {
            Some(Aside(mut stack)) => {
                stack.wipe(stack.bytes);
                not_zero(stack.start, stack.bytes)
            }
            None if self.sizes.aside == 0 => 0,
            // It may be in use still.
            None => u64::MAX,
        };
        aside
            .saturating_add(not_zero(self.stack.start, self.stack.bytes))
            .saturating_add(not_zero(self.heap, self.sizes.heap))
    }

    /// From now on every allocation of the process comes from the arena, so that none needs the kernel.
    pub fn serve_all(&self) {
        if !NAKED {
            route::serve_all();
        }
    }
}

impl Aside {
    /// As [`Memory::run`], on this thread's own stack.
    pub fn run<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let outcome = self.0.run(work);
        if !self.0.is_secret {
            self.0.wipe(self.0.bytes);
        }
        outcome
    }
}

impl Stack {
    fn run<R>(&mut self, work: impl FnOnce() -> R) -> R {
        if NAKED {
            return work();
        }
        let mut task = Task { work: Some(work), outcome: None };
        let enter = enter_for(&task);
        // SAFETY: the stack is mapped, ends at a page, and has one user; it is not in use now, since whoever runs on
        // it has no second `&mut` to it. `enter` takes a task of this type. The wipe changes only registers that
        // every call may change.
        unsafe {
            switch::on_stack((&raw mut task).cast(), enter, self.start.as_ptr().add(self.bytes));
            (self.wipe)();
        }
        // Work that panics does not come back: `enter` aborts.
        task.outcome.unwrap_or_else(|| abort())
    }

    /// Zeroes so much of the upper end.
    fn wipe(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        // SAFETY: inside of the stack, which nobody uses now.
        unsafe { wipe(self.start.as_ptr().add(self.bytes.saturating_sub(bytes)), bytes) };
    }
}

/// How many bytes of a piece of the arena are not zero.
fn not_zero(start: NonNull<u8>, bytes: usize) -> u64 {
    let start = start.cast::<u64>();
    // SAFETY: inside of the arena, whose pieces are whole pages. Volatile, so that what was written is not taken
    // for what is there.
    let words = (0..bytes.div_euclid(size_of::<u64>())).map(|at| unsafe { start.add(at).read_volatile() });
    let left = words.filter(|word| *word != 0).flat_map(u64::to_ne_bytes).filter(|byte| *byte != 0).count();
    u64::try_from(left).unwrap_or(u64::MAX)
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
        let sizes = Sizes { stack: 128 * 1024, shallow: 32 * 1024, aside: 64 * 1024, heap: 256 * 1024 };
        let mut memory = Memory::map(sizes, WeakMemory::Refused).unwrap();
        let mut aside = memory.aside().unwrap();
        assert!(memory.aside().is_none(), "there is one");
        let mut aside = std::thread::spawn(move || {
            aside.run(|| std::hint::black_box([0x5A_u8; 1000]).len());
            aside
        })
        .join()
        .unwrap();
        assert!(not_zero(aside.0.start, aside.0.bytes) >= 1000, "the control");
        assert_eq!(aside.run(|| 7), 7, "it works here too");
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
        let before = not_zero(memory.stack.start, memory.stack.bytes)
            .saturating_add(not_zero(memory.heap, memory.sizes.heap));
        assert!(before > u64::try_from(kept).unwrap(), "the control: {before}");
        assert_eq!(memory.erase(Some(aside)), 0);
        // What was allocated is out of use: freeing it and allocating more change nothing.
        // SAFETY: it was allocated with this layout.
        unsafe { Routed.dealloc(block, layout) };
        assert!(!route::has_room(1));
    }
}
