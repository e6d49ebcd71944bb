//! A heap for a whole process: many small blocks that come and go, of a length that is told when they are freed.
//!
//! In front of [`Heap`] lie lists of free blocks of each small length, so that most blocks are taken and
//! given back without a walk through the holes. Free memory is zero here too, but for headers and links.

use std::alloc::Layout;
use std::ptr;

use super::heap::{Heap, wipe};

/// Every length is a multiple of this.
pub(super) const GRAIN: usize = 16;
/// Longer blocks are not kept in a list.
const LONGEST_LISTED: usize = 1024;
const LISTS: usize = LONGEST_LISTED / GRAIN + 1;

#[repr(C)]
struct Free {
    next: *mut Free,
}

/// The heap and its lists.
pub(super) struct Pool {
    heap: Heap,
    lists: [*mut Free; LISTS],
}

// SAFETY: a pool owns the memory in which its blocks lie; nothing else knows the free ones.
unsafe impl Send for Pool {}

impl Pool {
    pub(super) const fn over(heap: Heap) -> Self {
        Self { heap, lists: [ptr::null_mut(); LISTS] }
    }

    /// Gives a zeroed block, or null where there is no room. `bytes` is a multiple of the grain.
    pub(super) fn take(&mut self, bytes: usize) -> *mut u8 {
        if let Some(first) = list_of(&mut self.lists, bytes)
            && !first.is_null()
        {
            let block = *first;
            // SAFETY: a listed block is free, and starts with the link that this pool wrote.
            *first = unsafe { block.replace(Free { next: ptr::null_mut() }).next };
            return block.cast();
        }
        let Some(layout) = layout(bytes) else { return ptr::null_mut() };
        let block = self.heap.allocate(layout);
        if block.is_null() && self.give_lists_back() { self.heap.allocate(layout) } else { block }
    }

    /// Wipes a block and takes it back.
    ///
    /// # Safety
    /// [`take`](Self::take) gave `block` for this length, and nobody uses it any more.
    pub(super) unsafe fn give(&mut self, block: *mut u8, bytes: usize) {
        if let Some(first) = list_of(&mut self.lists, bytes) {
            let block = block.cast::<Free>();
            // SAFETY: the block has this length, which is at least that of a link, and is nobody else's.
            unsafe {
                wipe(block.cast(), bytes);
                block.write(Free { next: *first });
            }
            *first = block;
        } else if let Some(layout) = layout(bytes) {
            // SAFETY: the caller's contract.
            unsafe { self.heap.free(block, layout) };
        }
    }

    /// Makes holes of all listed blocks. `false` where there was none.
    fn give_lists_back(&mut self) -> bool {
        let mut was_any = false;
        for (at, first) in self.lists.iter_mut().enumerate() {
            let Some(layout) = at.checked_mul(GRAIN).and_then(layout) else { continue };
            while !first.is_null() {
                was_any = true;
                let block = *first;
                // SAFETY: a listed block is free, has the length of its list, and came from the heap.
                unsafe {
                    *first = (*block).next;
                    self.heap.free(block.cast(), layout);
                }
            }
        }
        was_any
    }
}

fn list_of(lists: &mut [*mut Free; LISTS], bytes: usize) -> Option<&mut *mut Free> {
    lists.get_mut(bytes.div_euclid(GRAIN)).filter(|_| bytes > 0)
}

fn layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes, GRAIN).ok()
}
