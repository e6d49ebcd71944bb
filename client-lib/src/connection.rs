//! One connection, used by many threads at once.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use interprocess::local_socket::prelude::*;
use interprocess::os::unix::uds_local_socket::Stream;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, send, sendmsg};
use strongroom_protocol::{FrameBuffer, MAX_FRAME_BYTES, peek_id};

use crate::error::{End, Error};
use crate::inbox::{Inbox, Turn};
use crate::reply;
use crate::socket::{self, Address};
use crate::token::ClientToken;

/// Most descriptors that one request carries.
const MAX_DESCRIPTORS: usize = 3;

/// How long a writer who is stuck waits before it looks again whether anybody reads.
const STUCK_PAUSE: Duration = Duration::from_millis(10);

/// How long a reader looks before it sleeps. A signature on a quiet machine takes about 20 µs.
const LINGER: Duration = Duration::from_micros(40);

/// What the write buffer may keep between calls.
const KEPT_BYTES: usize = 2 * MAX_FRAME_BYTES;

/// Most reads from a connection that takes no more; more than the kernel holds for it.
const MAX_LAST_READS: usize = 64;

const SEND_FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// A socket, who writes to it and who reads from it.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    /// How long the kernel lets a `recv` wait. Set once, so that a read that may take that long is one call.
    patience: Duration,
    /// Held while frames are encoded and written; the buffer is kept between calls.
    writer: Mutex<Vec<u8>>,
    inbox: Mutex<Inbox>,
    /// What the inbox knows too, for those who only want to know whether to connect anew.
    ended: AtomicBool,
}

/// Gets the id and the frame of a response. An error says why the connection is of no more use.
type Take<'a, T> = dyn FnMut(u64, &[u8]) -> Result<T, End> + 'a;

/// By when a call must be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) after: Duration,
    pub(crate) at: Instant,
}

impl Deadline {
    pub(crate) fn start(after: Duration) -> Self {
        let now = Instant::now();
        // A deadline that the clock cannot express is as good as one in a year.
        let at = now.checked_add(after).or_else(|| now.checked_add(Duration::from_hours(8_760)));
        Self { after, at: at.unwrap_or(now) }
    }

    pub(crate) fn left(&self) -> Result<Duration, Error> {
        match self.at.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(Error::Deadline { after: self.after }),
            left => Ok(left),
        }
    }
}

/// The place of one who waits for the responses to `ids`. Left when dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    connection: &'a Connection,
    pub(crate) ids: Range<u64>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.connection.inbox().leave(&self.ids);
    }
}

impl Connection {
    pub(crate) fn open(address: &Address, patience: Duration, deadline: Deadline) -> Result<Self, Error> {
        let path = address.path.as_path();
        let stream = socket::connect(path, deadline.at)?;
        // Zero would mean for ever.
        let patience = patience.max(Duration::from_millis(1));
        stream
            .set_recv_timeout(Some(patience))
            .map_err(|source| Error::NoAgent { path: path.to_owned(), source })?;
        let connection = Self {
            stream,
            patience,
            writer: Mutex::default(),
            inbox: Mutex::new(Inbox::new()),
            ended: AtomicBool::new(false),
        };
        if let Some(token) = &address.token {
            connection.say_hello(token, deadline)?;
        }
        Ok(connection)
    }

    /// Says who speaks, and waits for the answer. Not by the buffer that is kept: this one is wiped.
    fn say_hello(&self, token: &ClientToken, deadline: Deadline) -> Result<(), Error> {
        deadline.left()?;
        let place = self.enter(1)?;
        let frame = token.hello(place.ids.start)?;
        // A socket that nothing was sent on takes a frame this small whole.
        if retry_on_intr(|| send(&self.stream, &frame, SEND_FLAGS)) != Ok(frame.len()) {
            self.hear_last_words();
        }
        let mut result = None;
        self.wait(&place, 1, deadline, &mut |_, frame| {
            result = Some(reply::read(frame)?);
            Ok(())
        })?;
        result.unwrap_or(Err(Error::Disconnected))
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Enters one who will wait for `count` responses.
    pub(crate) fn enter(&self, count: u64) -> Result<Place<'_>, Error> {
        let ids = self.inbox().enter(count)?;
        Ok(Place { connection: self, ids })
    }

    /// Writes what `encode` appends, in one call where the socket takes it; nothing past the deadline.
    /// `descriptors` go with its first byte. A connection that is found dead is no error here:
    /// [`wait`](Self::wait) tells why it ended.
    pub(crate) fn write(
        &self,
        descriptors: &[BorrowedFd<'_>],
        deadline: Deadline,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // What is late already is not asked: the agent would act on it, and a fast one's answer be taken.
        deadline.left()?;
        let mut bytes = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.clear();
        bytes.shrink_to(KEPT_BYTES);
        encode(&mut bytes)?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let begun = rest.len() < bytes.len();
            let sent = if begun || descriptors.is_empty() {
                send(&self.stream, rest, SEND_FLAGS)
            } else {
                self.send_with(rest, descriptors)
            };
            match sent {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => match self.read_while_stuck(deadline) {
                    Ok(()) => {}
                    Err(error) => {
                        if begun {
                            // Half a frame is on its way: nobody can write another one after it.
                            self.fail(End::Closed);
                        }
                        return Err(error);
                    }
                },
                Err(_) => {
                    self.hear_last_words();
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Waits until `take` has had `count` more of the frames that `place` is for. It may get more of them.
    pub(crate) fn wait(
        &self,
        place: &Place<'_>,
        count: usize,
        deadline: Deadline,
        take: &mut Take<'_, ()>,
    ) -> Result<(), Error> {
        let mut missing = count;
        let mut take = |id: u64, frame: &[u8]| {
            missing = missing.saturating_sub(1);
            take(id, frame).map(|()| missing == 0)
        };
        // Not for a first read that may take as long as the kernel lets it.
        let mut watch = deadline.after < self.patience;
        loop {
            let turn = self.inbox().turn(&place.ids)?;
            let enough = match turn {
                Turn::Take(frames) => {
                    let mut enough = false;
                    for (id, frame) in frames {
                        enough = take(id, &frame).map_err(|end| self.fail(end))?;
                    }
                    enough
                }
                Turn::Sleep => {
                    std::thread::park_timeout(deadline.left()?);
                    watch = true;
                    false
                }
                Turn::Read(mut frames) => {
                    let read = self.read_until(&mut frames, place, deadline, watch, &mut take);
                    self.inbox().hand_back(frames);
                    read?;
                    true
                }
            };
            if enough {
                return Ok(());
            }
        }
    }

    /// Reads for all until `take` says that it is enough. `watch` says whether the deadline needs to be
    /// looked at before the first read.
    fn read_until(
        &self,
        frames: &mut FrameBuffer,
        place: &Place<'_>,
        deadline: Deadline,
        mut watch: bool,
        take: &mut Take<'_, bool>,
    ) -> Result<(), Error> {
        if self.look(frames)? && self.sort(frames, &place.ids, take)? {
            return Ok(());
        }
        loop {
            let flags = if watch { self.await_bytes(deadline)? } else { RecvFlags::empty() };
            watch = true;
            if self.receive(frames, flags)? && self.sort(frames, &place.ids, take)? {
                return Ok(());
            }
        }
    }

    /// Looks for an answer that comes at once, before the thread goes to sleep: to sleep and be woken takes
    /// longer than most signatures. Others run in between. Says whether anything came.
    fn look(&self, frames: &mut FrameBuffer) -> Result<bool, Error> {
        let began = Instant::now();
        while !self.receive(frames, RecvFlags::DONTWAIT)? {
            if began.elapsed() > LINGER {
                return Ok(false);
            }
            std::thread::yield_now();
        }
        Ok(true)
    }

    /// Waits for bytes as long as the deadline allows and the kernel would not do it by itself.
    fn await_bytes(&self, deadline: Deadline) -> Result<RecvFlags, Error> {
        let left = deadline.left()?;
        if left >= self.patience {
            return Ok(RecvFlags::empty());
        }
        self.poll(PollFlags::IN, left);
        Ok(RecvFlags::DONTWAIT)
    }

    /// Receives once. Says whether anything came.
    fn receive(&self, frames: &mut FrameBuffer, flags: RecvFlags) -> Result<bool, Error> {
        match recv(&self.stream, frames.room(), flags) {
            Ok((0, _)) => Err(self.fail(End::Closed)),
            Ok((count, _)) => {
                frames.filled(count);
                Ok(true)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(_) => Err(self.fail(End::Closed)),
        }
    }

    /// Gives each whole frame to whom it belongs. Says whether `take` has enough.
    fn sort(
        &self,
        frames: &mut FrameBuffer,
        mine: &Range<u64>,
        take: &mut Take<'_, bool>,
    ) -> Result<bool, Error> {
        let mut enough = false;
        let mut next = || -> Result<bool, End> {
            let Some(frame) = frames.take()? else { return Ok(false) };
            match peek_id(frame)? {
                id if mine.contains(&id) => enough = take(id, frame)?,
                0 => return Err(reply::of_all(frame)),
                id => self.inbox().deliver(id, frame)?,
            }
            Ok(true)
        };
        while next().map_err(|end| self.fail(end))? {}
        Ok(enough)
    }

    /// The agent takes no more bytes; perhaps because its own responses wait to be read.
    fn read_while_stuck(&self, deadline: Deadline) -> Result<(), Error> {
        let left = deadline.left()?;
        let frames = self.inbox().take_reader();
        let Some(mut frames) = frames else {
            self.poll(PollFlags::OUT, left.min(STUCK_PAUSE));
            return Ok(());
        };
        let ready = self.poll(PollFlags::IN | PollFlags::OUT, left);
        let read = if ready.contains(PollFlags::IN) { self.read_for_others(&mut frames) } else { Ok(()) };
        self.inbox().hand_back(frames);
        read
    }

    /// Reads what the agent said before it closed, for instance that it speaks another version.
    fn hear_last_words(&self) {
        let frames = self.inbox().take_reader();
        if let Some(mut frames) = frames {
            for _ in 0..MAX_LAST_READS {
                let read = self.read_for_others(&mut frames);
                if read.is_err() || self.poll(PollFlags::IN, Duration::ZERO).is_empty() {
                    break;
                }
            }
            self.inbox().hand_back(frames);
        }
        self.fail(End::Closed);
    }

    fn read_for_others(&self, frames: &mut FrameBuffer) -> Result<(), Error> {
        if self.receive(frames, RecvFlags::DONTWAIT)? {
            self.sort(frames, &(0..0), &mut |_, _| Ok(false))?;
        }
        Ok(())
    }

    fn send_with(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<usize, Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(Errno::NOBUFS);
        }
        sendmsg(&self.stream, &[IoSlice::new(bytes)], &mut control, SEND_FLAGS)
    }

    /// Waits for one of `flags`. Nothing where none came, or a signal.
    fn poll(&self, flags: PollFlags, left: Duration) -> PollFlags {
        let mut sockets = [PollFd::new(&self.stream, flags)];
        let Ok(left) = Timespec::try_from(left) else { return PollFlags::empty() };
        match (poll(&mut sockets, Some(&left)), &sockets) {
            (Ok(_), [socket]) => socket.revents(),
            (Err(_), _) => PollFlags::empty(),
        }
    }

    fn fail(&self, end: End) -> Error {
        let error = end.error();
        // First, so that whom the inbox tells does not come back to this connection.
        self.ended.store(true, Ordering::Relaxed);
        self.inbox().end(end);
        error
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
