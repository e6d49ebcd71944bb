//! Frames and descriptors on a unix stream socket.
//!
//! A frame is a `u32` little-endian length and that many bytes. Descriptors travel beside the bytes
//! (`SCM_RIGHTS`) in the order of the messages that name them; the kernel keeps both in order, so a
//! message takes its descriptors from the front of the queue. All functions work on blocking and on
//! non-blocking sockets; the latter return [`io::ErrorKind::WouldBlock`].

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::codec::{Malformed, Writer};

/// Longest frame, without its length field. A client frame has at most 64 KiB, and what is signed is
/// never much longer than what was asked.
pub const MAX_FRAME_BYTES: usize = 256 * 1024;

/// Most descriptors that one `sendmsg` carries here.
pub const MAX_DESCRIPTORS: usize = 4;

const LENGTH_BYTES: usize = 4;
const RECEIVE_BYTES: usize = 64 * 1024;

/// Bytes and descriptors that have arrived and were not taken yet.
#[derive(Debug, Default)]
pub struct Inbox {
    /// Zeroed room, of which `taken..filled` holds bytes that wait.
    buffer: Vec<u8>,
    taken: usize,
    filled: usize,
    descriptors: VecDeque<OwnedFd>,
    drained: bool,
}

/// One received frame, and the queue from which it takes its descriptors.
#[derive(Debug)]
pub struct Frame<'a> {
    /// What stands after the length field.
    pub body: &'a [u8],
    /// Descriptors that arrived so far and belong to this or a later frame.
    pub descriptors: &'a mut VecDeque<OwnedFd>,
}

impl Frame<'_> {
    /// The next descriptor that this frame names.
    ///
    /// # Errors
    /// [`Malformed`] where the sender named one and sent none.
    pub fn descriptor(&mut self) -> Result<OwnedFd, Malformed> {
        self.descriptors.pop_front().ok_or(Malformed("a descriptor is missing"))
    }
}

impl Inbox {
    /// Receives once. Returns the number of bytes; 0 means that the other side has closed.
    ///
    /// # Errors
    /// What `recvmsg` says; [`io::ErrorKind::InvalidData`] where descriptors were cut off.
    pub fn receive(&mut self, socket: impl AsFd) -> io::Result<usize> {
        self.receive_with(socket, RecvFlags::CMSG_CLOEXEC)
    }

    /// Receives what arrives within `linger`, without sleeping: it asks again and again, and lets others
    /// run in between. To sleep and be woken costs several times what a short answer takes.
    ///
    /// # Errors
    /// As [`receive`](Self::receive); [`io::ErrorKind::WouldBlock`] where nothing came in time.
    pub fn receive_soon(&mut self, socket: impl AsFd, linger: Duration) -> io::Result<usize> {
        let began = Instant::now();
        loop {
            match self.receive_with(&socket, RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && began.elapsed() < linger => {
                    std::thread::yield_now();
                }
                outcome => return outcome,
            }
        }
    }

    fn receive_with(&mut self, socket: impl AsFd, flags: RecvFlags) -> io::Result<usize> {
        self.buffer.copy_within(self.taken..self.filled, 0);
        self.filled = self.filled.saturating_sub(self.taken);
        self.taken = 0;
        let wanted = self.filled.saturating_add(RECEIVE_BYTES);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        let room = self.buffer.get_mut(self.filled..).unwrap_or_default();

        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let message = recvmsg(socket, &mut [IoSliceMut::new(room)], &mut control, flags)?;
        let room_bytes = self.buffer.len().saturating_sub(self.filled);
        self.filled = self.filled.saturating_add(message.bytes);
        self.drained = message.bytes < room_bytes;
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(arrived) = part {
                // The kernel ends a read behind descriptors, however much more is waiting.
                self.drained = false;
                self.descriptors.extend(arrived);
            }
        }
        if message.flags.contains(ReturnFlags::CTRUNC) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "more descriptors than a frame may carry",
            ));
        }
        Ok(message.bytes)
    }

    /// Whether the last [`receive`](Self::receive) took all that was waiting then, so that an
    /// edge-triggered reader may sleep without asking once more.
    #[must_use]
    pub const fn drained(&self) -> bool {
        self.drained
    }

    /// Takes the next whole frame, if one has arrived.
    ///
    /// # Errors
    /// [`Malformed`] where the length is over [`MAX_FRAME_BYTES`].
    pub fn take(&mut self) -> Result<Option<Frame<'_>>, Malformed> {
        let waiting = self.buffer.get(self.taken..self.filled).unwrap_or_default();
        let Some((length, rest)) = waiting.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Malformed("frame length"))?;
        if length > MAX_FRAME_BYTES {
            return Err(Malformed("frame length"));
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        self.taken = self.taken.saturating_add(LENGTH_BYTES).saturating_add(length);
        Ok(Some(Frame { body, descriptors: &mut self.descriptors }))
    }
}

/// Appends one frame to `out`; `fill` writes its body.
pub(crate) fn push(out: &mut Vec<u8>, fill: impl FnOnce(&mut Writer<'_>)) {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    let body = out.len();
    fill(&mut Writer(out));
    let length = u32::try_from(out.len().saturating_sub(body)).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(start..body) {
        field.copy_from_slice(&length.to_le_bytes());
    }
}

/// Sends some of `bytes`, and with their first byte all of `descriptors`. Returns how many bytes
/// went; where that is not zero the descriptors went with them.
///
/// # Errors
/// What `sendmsg` says. The signal for a closed peer is suppressed.
pub fn send(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "more descriptors than a frame may carry"));
    }
    Ok(sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?)
}

/// Sends everything on a blocking socket.
///
/// # Errors
/// As [`send`].
pub fn send_all(socket: impl AsFd, mut bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut descriptors = descriptors;
    while !bytes.is_empty() {
        match send(&socket, bytes, descriptors) {
            Ok(sent) => {
                bytes = bytes.get(sent..).unwrap_or_default();
                descriptors = &[];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
