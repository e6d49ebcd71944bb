//! One connection, used by many tasks at once, and the task that serves it.

use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use interprocess::local_socket::{ConnectOptions, GenericFilePath, ToFsName as _};
use interprocess::os::unix::uds_local_socket::tokio::Stream;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, send, sendmsg};
use strongroom_protocol::{FrameBuffer, Request, encode, peek_id};
use tokio::io::Interest;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::AbortHandle;

use crate::error::{End, Error, ProtocolError};
use crate::reply::{self, FromReply, Progress};
use crate::socket::{Address, is_connected};
use crate::token::ClientToken;

/// Pause before the next try where the agent's queue of new connections is full.
const QUEUE_PAUSE: Duration = Duration::from_millis(1);

/// Unsent bytes from which on new requests wait.
const MAX_UNSENT_BYTES: usize = 1024 * 1024;

/// Most descriptors that one request carries.
const MAX_DESCRIPTORS: usize = 3;

const SEND_FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// Bytes from which on the next request begins a new chunk.
const CHUNK_BYTES: usize = 64 * 1024;

type Answer = oneshot::Receiver<Box<[u8]>>;

/// Ends the connection and its task when dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    stream: Stream,
    state: Mutex<State>,
    /// There are bytes that the socket did not take at once.
    unsent: Notify,
    /// The socket has taken all bytes.
    drained: Notify,
}

#[derive(Debug)]
struct State {
    next_id: u64,
    waiting: HashMap<u64, oneshot::Sender<Box<[u8]>>>,
    /// Those of them who want to know how far it is.
    following: HashMap<u64, watch::Sender<Progress>>,
    outgoing: VecDeque<Chunk>,
    end: Option<End>,
}

/// Bytes that go out together. Only whole frames, so that a dropped future leaves none half sent.
#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    sent: usize,
    /// They go with the first byte.
    descriptors: Vec<OwnedFd>,
}

/// A request that was queued. Its response is dropped if this is.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    shared: &'a Shared,
    id: u64,
    answer: Answer,
}

impl Connection {
    /// Connects. Waits where the agent's queue is full; the caller sets a limit to that.
    pub(crate) async fn open(address: &Address) -> Result<Self, Error> {
        let path = address.path.as_path();
        let unreachable = |source| Error::NoAgent { path: path.to_owned(), source };
        let stream = loop {
            let name = path.to_fs_name::<GenericFilePath>().map_err(unreachable)?;
            let options = ConnectOptions::new().name(name);
            let stream = options.connect_tokio_as::<Stream>().await.map_err(unreachable)?;
            if is_connected(&stream).map_err(unreachable)? {
                break stream;
            }
            tokio::time::sleep(QUEUE_PAUSE).await;
        };
        let state = State {
            next_id: 1,
            waiting: HashMap::new(),
            following: HashMap::new(),
            outgoing: VecDeque::new(),
            end: None,
        };
        let shared = Arc::new(Shared {
            stream,
            state: Mutex::new(state),
            unsent: Notify::new(),
            drained: Notify::new(),
        });
        let task = tokio::spawn(serve(Arc::clone(&shared))).abort_handle();
        let connection = Self { shared, task };
        if let Some(token) = &address.token {
            connection.say_hello(token).await?;
        }
        Ok(connection)
    }

    /// Says who speaks, and waits for the answer. Not by the queue: these bytes are wiped.
    async fn say_hello(&self, token: &ClientToken) -> Result<(), Error> {
        let shared = &*self.shared;
        let (id, answer) = shared.state().expect_answer()?;
        let asked = Asked { shared, id, answer };
        // A socket that nothing was sent on takes a frame this small whole.
        let sent = {
            let frame = token.hello(id)?;
            retry_on_intr(|| send(&shared.stream, &frame, SEND_FLAGS)) == Ok(frame.len())
        };
        if !sent {
            // The task reads what the agent said before it closed, and then finds the end.
            let _ = rustix::net::shutdown(&shared.stream, rustix::net::Shutdown::Write);
        }
        asked.answer().await
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.shared.state().end.is_some()
    }

    /// Queues a request; [`flush`](Self::flush) sends it. Waits where too much is unsent.
    pub(crate) async fn ask(
        &self,
        request: &mut Request<'_>,
        descriptors: Vec<OwnedFd>,
    ) -> Result<Asked<'_>, Error> {
        loop {
            let drained = self.shared.drained.notified();
            tokio::pin!(drained);
            drained.as_mut().enable();
            {
                let mut state = self.shared.state();
                if let Some(end) = &state.end {
                    return Err(end.error());
                }
                if state.unsent_bytes() < MAX_UNSENT_BYTES {
                    let answer = state.queue(request, descriptors)?;
                    return Ok(Asked { shared: &self.shared, id: request.id, answer });
                }
            }
            drained.await;
        }
    }

    /// Sends what the socket takes now. The task does the rest.
    pub(crate) fn flush(&self) {
        self.shared.flush();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Asked<'_> {
    /// Tells how far it is, from now on and until it is answered.
    pub(crate) fn follow(&self) -> watch::Receiver<Progress> {
        let (sender, receiver) = watch::channel(Progress { done: 0, total: 0 });
        self.shared.state().following.insert(self.id, sender);
        receiver
    }

    pub(crate) async fn answer<T: FromReply>(mut self) -> Result<T, Error> {
        match (&mut self.answer).await {
            Ok(frame) => reply::read(&frame).unwrap_or_else(|end| Err(self.shared.fail(end))),
            Err(_) => Err(self.shared.state().end.as_ref().unwrap_or(&End::Closed).error()),
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.waiting.remove(&self.id);
        state.following.remove(&self.id);
    }
}

impl State {
    fn unsent_bytes(&self) -> usize {
        self.outgoing.iter().map(|chunk| chunk.bytes.len().saturating_sub(chunk.sent)).sum()
    }

    /// Gives the request an id and puts it behind what is unsent.
    fn queue(&mut self, request: &mut Request<'_>, descriptors: Vec<OwnedFd>) -> Result<Answer, Error> {
        request.id = self.next_id;
        match self.outgoing.back_mut() {
            Some(last) if descriptors.is_empty() && last.bytes.len() < CHUNK_BYTES => {
                encode(&*request, &mut last.bytes)?;
            }
            _ => {
                let mut bytes = Vec::new();
                encode(&*request, &mut bytes)?;
                self.outgoing.push_back(Chunk { bytes, sent: 0, descriptors });
            }
        }
        self.expect_answer().map(|(_, answer)| answer)
    }

    /// Takes the next id, and a place among those who wait.
    fn expect_answer(&mut self) -> Result<(u64, Answer), Error> {
        let id = self.next_id;
        // 2^64 ids last longer than the machine; a connection that ran out of them is closed and replaced.
        self.next_id = id.checked_add(1).ok_or(Error::Disconnected)?;
        let (sender, answer) = oneshot::channel();
        self.waiting.insert(id, sender);
        Ok((id, answer))
    }
}

impl Shared {
    fn flush(&self) {
        if self.write().is_err() {
            self.unsent.notify_one();
        }
    }

    /// Sends until all is sent or the socket takes no more (`WouldBlock`).
    fn write(&self) -> io::Result<()> {
        let mut state = self.state();
        while let Some(chunk) = state.outgoing.front_mut() {
            let rest = chunk.bytes.get(chunk.sent..).unwrap_or_default();
            if rest.is_empty() {
                state.outgoing.pop_front();
                continue;
            }
            let sent = if chunk.descriptors.is_empty() {
                send(&self.stream, rest, SEND_FLAGS)
            } else {
                send_with(self.stream.as_fd(), rest, &chunk.descriptors)
            };
            match sent {
                Ok(count) => {
                    chunk.sent = chunk.sent.saturating_add(count);
                    chunk.descriptors.clear();
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(_) => {
                    // The task reads what the agent said before it closed, and then finds the end.
                    state.outgoing.clear();
                }
            }
        }
        drop(state);
        self.drained.notify_waiters();
        Ok(())
    }

    fn is_unsent(&self) -> bool {
        !self.state().outgoing.is_empty()
    }

    /// Receives until nothing is there (`WouldBlock`), and gives each frame to whom it belongs.
    fn read(&self, frames: &mut FrameBuffer) -> io::Result<()> {
        loop {
            match recv(&self.stream, frames.room(), RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Err(self.broken(End::Closed)),
                Ok((count, _)) => frames.filled(count),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(_) => return Err(self.broken(End::Closed)),
            }
            while self.deliver(frames).map_err(|end| self.broken(end))? {}
        }
    }

    fn deliver(&self, frames: &mut FrameBuffer) -> Result<bool, End> {
        let Some(frame) = frames.take()? else { return Ok(false) };
        let id = peek_id(frame)?;
        if id == 0 {
            return Err(reply::of_all(frame));
        }
        let mut state = self.state();
        if id >= state.next_id {
            return Err(End::Protocol(ProtocolError::UnknownId(id)));
        }
        if let Some(following) = state.following.get(&id)
            && let Some(how_far) = reply::progress(frame)
        {
            following.send_replace(how_far);
            return Ok(true);
        }
        if let Some(waiting) = state.waiting.remove(&id) {
            // Who waited may have gone at this moment.
            let _gone = waiting.send(frame.into());
        }
        Ok(true)
    }

    fn broken(&self, end: End) -> io::Error {
        self.fail(end);
        io::ErrorKind::BrokenPipe.into()
    }

    /// Says that the connection is of no more use, and tells all who wait. The first reason counts.
    fn fail(&self, end: End) -> Error {
        let error = end.error();
        let mut state = self.state();
        state.end.get_or_insert(end);
        state.waiting.clear();
        state.following.clear();
        state.outgoing.clear();
        drop(state);
        self.drained.notify_waiters();
        error
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn send_with(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[OwnedFd]) -> Result<usize, Errno> {
    let descriptors: Vec<_> = descriptors.iter().map(OwnedFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(Errno::NOBUFS);
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SEND_FLAGS)
}

/// Reads for all, and writes what the socket did not take at once, until the connection ends.
async fn serve(shared: Arc<Shared>) {
    let shared = EndsWhenDropped(shared);
    let shared = &shared.0;
    let stream = shared.stream.inner();
    let mut frames = FrameBuffer::new();
    loop {
        let interest =
            if shared.is_unsent() { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        let ready = tokio::select! {
            ready = stream.ready(interest) => ready,
            () = shared.unsent.notified() => continue,
        };
        let Ok(ready) = ready else { return };
        if ready.is_writable() {
            // All sent or not: the next round asks.
            let _progress = stream.try_io(Interest::WRITABLE, || shared.write());
        }
        if ready.is_readable() || ready.is_read_closed() {
            match stream.try_io(Interest::READABLE, || shared.read(&mut frames)) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
                _ => {}
            }
        }
    }
}

/// The task may end because its runtime does: nobody must wait for it then.
struct EndsWhenDropped(Arc<Shared>);

impl Drop for EndsWhenDropped {
    fn drop(&mut self) {
        self.0.fail(End::Closed);
    }
}
