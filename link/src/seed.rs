//! The one-way wire from the token worker to the keeper.
//!
//! The keeper makes a pair of sockets and gives the front one of them for the token worker. Nothing can
//! be read from that one: the keeper never writes, and has said so to the kernel; and a socket, unlike a
//! pipe, cannot be opened anew through `/proc`. Over it the worker sends, once, the descriptor of a page
//! of secret memory that it has made. Both map it and close the descriptor. From then on a seed is
//! written into a slot of the page, and a small message says for which job and where; the keeper copies
//! it out and wipes the slot.
//!
//! The worker takes the slots in turn and never waits for one: a seed that the keeper has not been asked
//! for while [`SLOTS`] others came is overwritten. So is its job number, which stands beside it, so that
//! it cannot be taken for another.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType, recvmsg, sendmsg, shutdown,
    socketpair,
};
use zeroize::{Zeroize as _, Zeroizing};

/// Length of the seed that protects one record, in bytes.
pub const SEED_BYTES: usize = 32;

/// The random value from which one record's key is derived. Wiped when dropped.
pub type Seed = Zeroizing<[u8; SEED_BYTES]>;

/// What the two processes share.
pub type Page = [AtomicU64; PAGE_WORDS];
/// Length of the [`Page`], in words of 64 bits: what every processor has in a page.
pub const PAGE_WORDS: usize = 512;
/// Length of the [`Page`] in bytes.
pub const PAGE_BYTES: usize = size_of::<Page>();
/// So many seeds may be on their way at once.
pub const SLOTS: u32 = 64;

/// A job number and the seed. No job has the number 0, which stands in an empty slot.
const SLOT_WORDS: usize = 8;
const SEED_WORDS: usize = SEED_BYTES / size_of::<u64>();

const JOB_BYTES: usize = 8;
const MESSAGE_BYTES: usize = JOB_BYTES + size_of::<u32>();

/// Makes the two ends: the keeper's, which only reads, and the worker's, which only writes.
///
/// # Errors
/// What the kernel says.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    shutdown(&ours, Shutdown::Write)?;
    Ok((ours, theirs))
}

/// The worker's side.
pub struct Sender<P> {
    port: OwnedFd,
    page: P,
    next: u32,
}

impl<P: AsRef<Page>> Sender<P> {
    /// Gives the keeper the page whose descriptor is `file`, and closes that here.
    ///
    /// # Errors
    /// What `sendmsg` says; `BrokenPipe` where the keeper is gone.
    pub fn begin(port: OwnedFd, page: P, file: OwnedFd) -> io::Result<Self> {
        put(&port, &[0; MESSAGE_BYTES], Some(&file))?;
        Ok(Self { port, page, next: 0 })
    }

    /// Sends the seed for `job`, which is not 0.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn send(&mut self, job: u64, seed: &Seed) -> io::Result<()> {
        let slot = self.next;
        self.next = slot.wrapping_add(1) % SLOTS;
        let (tag, words) = place(self.page.as_ref(), slot).ok_or(io::ErrorKind::InvalidInput)?;
        tag.store(0, Ordering::Release);
        for (word, bytes) in words.iter().zip(seed.as_chunks().0) {
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
        tag.store(job, Ordering::Release);
        let mut message = [0; MESSAGE_BYTES];
        let (head, tail) = message.split_at_mut(JOB_BYTES);
        head.copy_from_slice(&job.to_le_bytes());
        tail.copy_from_slice(&slot.to_le_bytes());
        put(&self.port, &message, None)
    }
}

/// What the worker has sent.
#[derive(Debug)]
pub enum Arrived {
    /// The descriptor of its page.
    Page(OwnedFd),
    /// A seed lies in a slot.
    Seed {
        /// For which job.
        job: u64,
        /// Where.
        slot: u32,
    },
}

/// Takes the next message, without waiting.
///
/// # Errors
/// `WouldBlock` where none has arrived, `UnexpectedEof` where the worker has closed its end,
/// `InvalidData` for what no worker sends.
pub fn receive(port: impl AsFd) -> io::Result<Arrived> {
    // One byte more, which tells that a message is too long.
    let mut message = [0; MESSAGE_BYTES + 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let got = loop {
        match recvmsg(&port, &mut [IoSliceMut::new(&mut message)], &mut control, flags) {
            Err(rustix::io::Errno::INTR) => {}
            got => break got?,
        }
    };
    let (mut file, mut too_many) = (None, got.flags.contains(ReturnFlags::CTRUNC));
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut arrived) = part {
            file = arrived.next();
            too_many |= arrived.next().is_some();
        }
    }
    if got.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if got.bytes != MESSAGE_BYTES || too_many {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let (job, rest) = message.split_first_chunk().ok_or(io::ErrorKind::InvalidData)?;
    let (slot, _) = rest.split_first_chunk().ok_or(io::ErrorKind::InvalidData)?;
    match (u64::from_le_bytes(*job), u32::from_le_bytes(*slot), file) {
        (0, 0, Some(file)) => Ok(Arrived::Page(file)),
        (job @ 1.., slot @ 0..SLOTS, None) => Ok(Arrived::Seed { job, slot }),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Takes the seed for `job` out of a slot and wipes that. `None` where it holds another or none.
#[must_use]
pub fn take(page: &Page, slot: u32, job: u64) -> Option<Seed> {
    let (tag, words) = place(page, slot)?;
    if tag.load(Ordering::Acquire) != job {
        return None;
    }
    let mut seed = Seed::default();
    for (word, bytes) in words.iter().zip(seed.as_chunks_mut().0) {
        let mut value = word.load(Ordering::Relaxed);
        *bytes = value.to_ne_bytes();
        value.zeroize();
        word.store(0, Ordering::Relaxed);
    }
    tag.store(0, Ordering::Release);
    Some(seed)
}

/// The job number and the seed of a slot.
fn place(page: &Page, slot: u32) -> Option<(&AtomicU64, &[AtomicU64; SEED_WORDS])> {
    let at = usize::try_from(slot).ok()?.checked_mul(SLOT_WORDS)?;
    let (tag, rest) = page.get(at..)?.split_first()?;
    Some((tag, rest.first_chunk()?))
}

/// Sends one message, waiting where the keeper has not taken the older ones.
fn put(port: &OwnedFd, message: &[u8], file: Option<&OwnedFd>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let files = file.map(AsFd::as_fd);
    if let Some(files) = files.as_ref()
        && !control.push(SendAncillaryMessage::ScmRights(std::slice::from_ref(files)))
    {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    loop {
        match sendmsg(port, &[IoSlice::new(message)], &mut control, SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            sent => return sent.map(drop).map_err(Into::into),
        }
    }
}
