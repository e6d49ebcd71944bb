//! The contender that has no socket: one page that both processes map, and a futex for each direction.
#![expect(
    unsafe_code,
    reason = "mapping shared memory, and using it from two processes, is unsafe by nature"
)]

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use rustix::thread::futex::{Flags, wait, wake};

use crate::{ANSWER_BYTES, Look, QUESTION_BYTES};

const PAGE_BYTES: usize = 4096;

/// What stands in the page. All of it is zero at first.
#[repr(C)]
struct Page {
    question: Side<QUESTION_BYTES>,
    answer: Side<ANSWER_BYTES>,
}

#[repr(C, align(64))]
struct Side<const BYTES: usize> {
    /// How many messages were written.
    turn: AtomicU32,
    /// Whether the reader sleeps, or is about to.
    asleep: AtomicU32,
    bytes: [u8; BYTES],
}

/// One end.
pub(crate) struct Shared {
    page: NonNull<Page>,
}

/// A page that is to be shared.
pub(crate) fn page() -> io::Result<OwnedFd> {
    let file = memfd_create(c"hop", MemfdFlags::CLOEXEC)?;
    ftruncate(&file, 4096)?;
    Ok(file)
}

impl Shared {
    pub(crate) fn map(file: impl AsFd) -> io::Result<Self> {
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a new mapping somewhere touches nothing that exists. It is never unmapped.
        let page: *mut c_void = unsafe { mmap(ptr::null_mut(), PAGE_BYTES, protection, flags, file, 0)? };
        NonNull::new(page.cast()).map(|page| Self { page }).ok_or_else(|| io::ErrorKind::Other.into())
    }

    pub(crate) fn ask(&self, question: &[u8; QUESTION_BYTES], answer: &mut [u8; ANSWER_BYTES], look: Look) {
        let page = self.page.as_ptr();
        // SAFETY: the page is mapped, and zero is a valid value of all of it. Whose turn it is decides who
        // touches the bytes: `turn` is written after them and read before them.
        unsafe {
            let told = (*page).answer.turn.load(SeqCst);
            (*page).question.bytes = *question;
            hand_over(&(*page).question);
            await_turn(&(*page).answer, told, look);
            *answer = (*page).answer.bytes;
        }
    }

    /// Answers for ever.
    pub(crate) fn answer(
        &self,
        look: Look,
        reply: impl Fn(&[u8; QUESTION_BYTES]) -> [u8; ANSWER_BYTES],
    ) -> ! {
        let page = self.page.as_ptr();
        let mut told = 0;
        loop {
            // SAFETY: as in `ask`.
            unsafe {
                told = await_turn(&(*page).question, told, look);
                (*page).answer.bytes = reply(&(*page).question.bytes);
                hand_over(&(*page).answer);
            }
        }
    }
}

fn hand_over<const BYTES: usize>(side: &Side<BYTES>) {
    side.turn.fetch_add(1, SeqCst);
    if side.asleep.load(SeqCst) != 0 {
        let _woken = wake(&side.turn, Flags::empty(), 1);
    }
}

fn await_turn<const BYTES: usize>(side: &Side<BYTES>, told: u32, look: Look) -> u32 {
    if let Look::For(time) = look
        && let Some(turn) = look_for(side, told, time)
    {
        return turn;
    }
    loop {
        side.asleep.store(1, SeqCst);
        let turn = side.turn.load(SeqCst);
        if turn != told {
            side.asleep.store(0, SeqCst);
            return turn;
        }
        let _woken_or_changed = wait(&side.turn, Flags::empty(), told, None);
    }
}

fn look_for<const BYTES: usize>(side: &Side<BYTES>, told: u32, time: Duration) -> Option<u32> {
    let began = Instant::now();
    loop {
        let turn = side.turn.load(SeqCst);
        if turn != told {
            return Some(turn);
        }
        if began.elapsed() >= time {
            return None;
        }
        std::thread::yield_now();
    }
}
