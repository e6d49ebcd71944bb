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
//!
//! This is the only module of the keeper with unsafe code, but for the one call that [`crate::guard`] is about.
#![expect(unsafe_code, reason = "mapping memory, changing stacks and allocating are unsafe by nature")]

mod heap;
mod map;
mod process;
mod route;
mod switch;

use std::ffi::c_void;
use std::marker::PhantomData;
use std::process::abort;

pub use map::{MemoryError, WeakMemory};
pub use process::{block_signals, leave};
pub use route::Routed;

use map::Arena;

/// Stack for one piece of work: several times what opening a record takes.
const STACK_BYTES: usize = 256 * 1024;
/// As much of the stack as one signature uses.
const SIGNING_STACK_BYTES: usize = 32 * 1024;
/// As much of the heap as opening or sealing the largest record uses.
const WORK_BYTES: usize = 512 * 1024;

/// The arena of this process.
pub struct Memory {
    arena: Arena,
    wipe: switch::Wipe,
    /// The stack belongs to one thread.
    one_thread: PhantomData<*mut ()>,
}

/// How much of the stack a piece of work uses, where it must be wiped afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// A signature.
    Signing,
    /// Anything.
    Whole,
}

impl Memory {
    /// Maps the arena and has [`Routed`] use it.
    ///
    /// # Errors
    /// [`MemoryError`]; the second call in one process is one.
    pub fn map(weak: WeakMemory) -> Result<Self, MemoryError> {
        let arena = Arena::map(weak)?;
        let heap_at = (arena.heap.as_ptr().addr(), arena.heap_bytes);
        let stack_at = (arena.stack.as_ptr().addr(), STACK_BYTES);
        // SAFETY: the arena was mapped just now, for this alone, and is never unmapped.
        let heap = unsafe { heap::Heap::new(arena.heap, arena.heap_bytes) };
        route::serve_from(heap, heap_at, stack_at);
        Ok(Self { arena, wipe: switch::register_wipe(), one_thread: PhantomData })
    }

    /// Whether it is secret from root too.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        self.arena.is_secret
    }

    /// Does `work` on the secret stack and wipes the registers afterwards.
    ///
    /// What it returns and what it captures lies on the ordinary stack: pointers, but no secrets.
    pub fn run<R>(&mut self, depth: Depth, work: impl FnOnce() -> R) -> R {
        let mut task = Task { work: Some(work), outcome: None };
        let enter = enter_for(&task);
        // SAFETY: the stack is mapped, ends at a page, and is used by this thread alone; it is not in
        // use now, since whoever runs on it has no second `&mut Memory`. `enter` takes a task of this
        // type. The wipe changes only registers that every call may change.
        unsafe {
            switch::on_stack((&raw mut task).cast(), enter, self.arena.stack.as_ptr().add(STACK_BYTES));
            (self.wipe)();
        }
        if !self.arena.is_secret {
            self.wipe_stack(depth);
        }
        // Work that panics does not come back: `enter` aborts.
        task.outcome.unwrap_or_else(|| abort())
    }

    /// Zeroes the stack. The heap is zero where it is free.
    pub fn wipe_stack(&mut self, depth: Depth) {
        let bytes = match depth {
            Depth::Signing => SIGNING_STACK_BYTES,
            Depth::Whole => STACK_BYTES,
        };
        // SAFETY: inside of the stack, which nobody uses now.
        unsafe { heap::wipe(self.arena.stack.as_ptr().add(STACK_BYTES.saturating_sub(bytes)), bytes) };
    }

    /// Whether there is room to open or seal one more record.
    #[must_use]
    pub fn has_room(&self) -> bool {
        route::has_room(WORK_BYTES)
    }

    /// From now on every allocation of the process comes from the arena, so that none needs the kernel.
    pub fn serve_all(&self) {
        route::serve_all();
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
