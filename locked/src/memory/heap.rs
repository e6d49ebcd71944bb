//! An allocator over one piece of memory: first fit, holes in order of address.
//!
//! All free memory is zero but for the header of each hole, so what is allocated is zero, and what is
//! freed is wiped at once. It is made for few and small allocations: keys that stay, and buffers that
//! live as long as one question.

use std::alloc::Layout;
use std::ptr::{self, NonNull};

/// Every block starts and ends at a multiple of this.
const GRAIN: usize = size_of::<Hole>();

/// Stands at the start of each hole.
#[repr(C)]
struct Hole {
    bytes: usize,
    next: *mut Hole,
}

/// The holes of one piece of memory.
pub(super) struct Heap {
    first: *mut Hole,
}

// SAFETY: a heap owns the memory in which its holes lie; nothing else knows them.
unsafe impl Send for Heap {}

impl Heap {
    /// Has no memory.
    pub(super) const fn empty() -> Self {
        Self { first: ptr::null_mut() }
    }

    /// Takes over `bytes` bytes from `start` on.
    ///
    /// # Safety
    /// The memory is zero, writable, and for this heap alone as long as the process lives. Start and
    /// length are multiples of a page.
    pub(super) unsafe fn new(start: NonNull<u8>, bytes: usize) -> Self {
        let first = start.as_ptr().cast::<Hole>();
        // SAFETY: the caller gives the memory, which is larger and better aligned than a header.
        unsafe { first.write(Hole { bytes, next: ptr::null_mut() }) };
        Self { first }
    }

    /// Whether one block of `bytes` could be allocated.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let mut hole = self.first;
        while !hole.is_null() {
            // SAFETY: a hole in the list is a header that this heap wrote.
            let Hole { bytes: size, next } = unsafe { hole.read() };
            if size >= bytes {
                return true;
            }
            hole = next;
        }
        false
    }

    /// Gives zeroed memory, or null where no hole is large enough.
    pub(super) fn allocate(&mut self, layout: Layout) -> *mut u8 {
        let Some(wanted) = block_bytes(layout) else { return ptr::null_mut() };
        let mut link: *mut *mut Hole = &raw mut self.first;
        loop {
            // SAFETY: `link` is the field `first`, or the field `next` of a hole in the list.
            let hole = unsafe { *link };
            if hole.is_null() {
                return ptr::null_mut();
            }
            // SAFETY: a hole in the list is a header that this heap wrote.
            let Hole { bytes, next } = unsafe { hole.read() };
            let before = hole.cast::<u8>().align_offset(layout.align());
            let Some(behind) = bytes.checked_sub(before).and_then(|rest| rest.checked_sub(wanted)) else {
                // SAFETY: as above.
                link = unsafe { &raw mut (*hole).next };
                continue;
            };
            // SAFETY: `before + wanted + behind` is the length of the hole, and all three are
            // multiples of the grain, so each part has room for a header or is empty.
            unsafe {
                let block = hole.cast::<u8>().add(before);
                let rest = if behind == 0 {
                    next
                } else {
                    let rest = block.add(wanted).cast::<Hole>();
                    rest.write(Hole { bytes: behind, next });
                    rest
                };
                if before == 0 {
                    hole.write(Hole { bytes: 0, next: ptr::null_mut() });
                    *link = rest;
                } else {
                    hole.write(Hole { bytes: before, next: rest });
                }
                return block;
            }
        }
    }

    /// Wipes a block and takes it back.
    ///
    /// # Safety
    /// [`allocate`](Self::allocate) gave `block` for this layout, and nobody uses it any more.
    pub(super) unsafe fn free(&mut self, block: *mut u8, layout: Layout) {
        let Some(mut bytes) = block_bytes(layout) else { return };
        // SAFETY: the block has this length and is nobody else's; holes are headers of this heap.
        unsafe {
            wipe(block, bytes);
            let block = block.cast::<Hole>();
            let mut previous: *mut Hole = ptr::null_mut();
            let mut next = self.first;
            while !next.is_null() && next < block {
                previous = next;
                next = (*next).next;
            }
            if !next.is_null() && block.byte_add(bytes) == next {
                let behind = next.read();
                next.write(Hole { bytes: 0, next: ptr::null_mut() });
                bytes = bytes.saturating_add(behind.bytes);
                next = behind.next;
            }
            if previous.is_null() {
                block.write(Hole { bytes, next });
                self.first = block;
            } else if previous.byte_add((*previous).bytes) == block {
                let bytes = bytes.saturating_add((*previous).bytes);
                previous.write(Hole { bytes, next });
            } else {
                block.write(Hole { bytes, next });
                (*previous).next = block;
            }
        }
    }
}

/// How much a layout takes. Alignment beyond the grain costs a hole in front, no length.
fn block_bytes(layout: Layout) -> Option<usize> {
    layout.size().max(1).checked_next_multiple_of(GRAIN)
}

/// Zeroes memory that is about to be forgotten.
///
/// # Safety
/// The memory is the caller's.
pub(crate) unsafe fn wipe(start: *mut u8, bytes: usize) {
    // SAFETY: the caller's memory. The empty assembly may read it, for all that the compiler knows, so
    // the zeroes are written even if nobody looks at them.
    unsafe {
        start.write_bytes(0, bytes);
        std::arch::asm!("/* {0} */", in(reg) start, options(nostack, preserves_flags, readonly));
    }
}

#[cfg(test)]
#[expect(
    clippy::undocumented_unsafe_blocks,
    reason = "the tests own all of the memory and obey the contract"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[repr(C, align(4096))]
    struct Memory([u8; BYTES]);
    const BYTES: usize = 8 * 4096;

    fn heap(memory: &mut Memory) -> Heap {
        unsafe { Heap::new(NonNull::from(&mut memory.0).cast(), BYTES) }
    }

    fn layout(bytes: usize, align: usize) -> Layout {
        Layout::from_size_align(bytes, align).unwrap()
    }

    #[test]
    fn refuses_what_does_not_fit_and_goes_on() {
        let mut memory = Box::new(Memory([0; BYTES]));
        let mut heap = heap(&mut memory);
        assert!(heap.allocate(layout(BYTES + 1, 1)).is_null());
        assert!(heap.has_room(BYTES) && !heap.has_room(BYTES + 1));
        let all = heap.allocate(layout(BYTES, 8));
        assert!(!all.is_null());
        assert!(heap.allocate(layout(1, 1)).is_null());
        assert!(!heap.has_room(1));
        unsafe { heap.free(all, layout(BYTES, 8)) };
        assert!(heap.has_room(BYTES));
    }

    proptest! {
        /// Blocks are aligned, zero, and apart; freed memory is zero; in the end all is one hole again.
        #[test]
        fn keeps_blocks_apart_and_free_memory_zero(
            steps in prop::collection::vec((any::<prop::sample::Index>(), 0..700_usize, 0..8_u32), 1..200),
        ) {
            let mut memory = Box::new(Memory([0; BYTES]));
            let mut heap = heap(&mut memory);
            let mut held: Vec<(*mut u8, Layout, u8)> = Vec::new();
            for (step, (which, bytes, align)) in steps.into_iter().enumerate() {
                if bytes % 3 == 0 && !held.is_empty() {
                    let (block, layout, mark) = held.swap_remove(which.index(held.len()));
                    unsafe {
                        let content = std::slice::from_raw_parts(block, layout.size());
                        prop_assert!(content.iter().all(|byte| *byte == mark));
                        heap.free(block, layout);
                    }
                    continue;
                }
                let layout = layout(bytes, 1 << align);
                let block = heap.allocate(layout);
                if block.is_null() {
                    continue;
                }
                prop_assert_eq!(block.align_offset(layout.align()), 0);
                let mark = u8::try_from(step % 250).unwrap() | 1;
                unsafe {
                    let content = std::slice::from_raw_parts_mut(block, layout.size());
                    prop_assert!(content.iter().all(|byte| *byte == 0));
                    content.fill(mark);
                }
                held.push((block, layout, mark));
            }
            for (block, layout, mark) in held {
                unsafe {
                    let content = std::slice::from_raw_parts(block, layout.size());
                    prop_assert!(content.iter().all(|byte| *byte == mark));
                    heap.free(block, layout);
                }
            }
            prop_assert!(heap.has_room(BYTES));
            prop_assert!(memory.0.iter().skip(GRAIN).all(|byte| *byte == 0));
        }
    }
}
