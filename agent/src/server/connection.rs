//! One client: reading frames, and writing answers as they become ready.
//!
//! Two tasks a client. The reader takes whatever has arrived, acts on every whole frame of it, and only
//! then lets the keeper be asked; the writer sends whatever answers are ready. Both batches are as
//! large as the client makes them. A client that does not read its answers is not read from.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use interprocess::os::unix::uds_local_socket::tokio::Stream;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use strongroom_protocol::{ErrorCode, FrameBuffer, Reply};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use super::dispatch::{self, Next};
use super::outbox::Outbox;
use super::{Server, reply};
use crate::audit::log::AuditLog;
use crate::fault::Fault;
use crate::identity::Principal;

/// Requests of one client that are worked on at once.
const MAX_IN_WORK: usize = 1_024;
/// Bytes of answers that a client has not taken.
const MAX_UNREAD_BYTES: usize = 1024 * 1024;
/// Time for one frame to arrive, and for a client to take some of its answers.
const PATIENCE: Duration = Duration::from_secs(10);
/// Descriptors that one frame may bring.
const MAX_DESCRIPTORS: usize = 3;

/// One client, as seen by those who answer it.
pub(super) struct Connection {
    socket: Stream,
    pub(super) principal: Principal,
    audit: Rc<AuditLog>,
    outbox: RefCell<Outbox>,
    in_work: Cell<usize>,
    /// There is something to write, or nothing more will come.
    answers: Notify,
    /// Answers were taken, or the connection is over.
    taken: Notify,
    over: Cell<bool>,
}

impl Connection {
    fn new(socket: Stream, principal: Principal, audit: Rc<AuditLog>) -> Rc<Self> {
        Rc::new(Self {
            socket,
            principal,
            audit,
            outbox: RefCell::default(),
            in_work: Cell::new(0),
            answers: Notify::new(),
            taken: Notify::new(),
            over: Cell::new(false),
        })
    }

    fn stream(&self) -> &UnixStream {
        self.socket.inner()
    }

    /// Notes that one more request is worked on.
    pub(super) fn begin(&self) {
        self.in_work.set(self.in_work.get().saturating_add(1));
    }

    /// Queues the answer to a request that was begun.
    pub(super) fn answer(&self, id: u64, reply: Reply<'_>) {
        self.in_work.set(self.in_work.get().saturating_sub(1));
        self.say(id, reply);
    }

    /// Queues an answer that no request was begun for.
    pub(super) fn say(&self, id: u64, reply: Reply<'_>) {
        if self.over.get() {
            // Nobody waits for it, but what was noted about it is written.
            self.audit.settle();
        } else {
            self.outbox.borrow_mut().push(id, reply, self.audit.failures());
            self.answers.notify_one();
        }
    }

    fn is_full(&self) -> bool {
        self.in_work.get() >= MAX_IN_WORK || self.outbox.borrow().bytes() >= MAX_UNREAD_BYTES
    }

    fn end(&self) {
        self.over.set(true);
        self.answers.notify_one();
        self.taken.notify_one();
    }
}

/// Serves one client to its end.
pub(super) async fn serve(server: &Rc<Server>, socket: Stream, full: bool) {
    let principal = match Principal::of(socket.inner()) {
        Ok(principal) => principal,
        Err(error) => return tracing::warn!(%error, "a client without credentials was turned away"),
    };
    let connection = Connection::new(socket, principal, Rc::clone(&server.audit));
    let refused = if full {
        Some(Fault::new(
            ErrorCode::Unavailable,
            "the agent has as many clients as it can serve",
            "close connections that nobody uses",
        ))
    } else {
        server.decide(&principal, ()).err().map(Fault::from)
    };
    match refused {
        Some(fault) => {
            tracing::warn!(uid = principal.uid, pid = principal.pid, %fault, "a client was turned away");
            connection.say(0, reply::error(&fault));
            connection.end();
            write(&connection).await;
        }
        None => {
            let reading = async {
                read(server, &connection).await;
                // What is still worked on is answered first; then the writer ends.
                while connection.in_work.get() > 0 && !connection.over.get() {
                    connection.taken.notified().await;
                }
                connection.end();
            };
            tokio::join!(reading, write(&connection));
        }
    }
}

async fn read(server: &Rc<Server>, connection: &Rc<Connection>) {
    let mut buffer = FrameBuffer::new();
    let mut descriptors = VecDeque::new();
    let mut frame_deadline = None;
    while !connection.over.get() {
        while connection.is_full() && !connection.over.get() {
            connection.taken.notified().await;
        }
        server.signer.has_room().await;
        match within(frame_deadline, receive(connection, &mut buffer, &mut descriptors)).await {
            Ok(Ok(bytes)) if bytes > 0 => {}
            Ok(_) => return,
            Err(_) => {
                return tracing::debug!(pid = connection.principal.pid, "a client did not finish its frame");
            }
        }
        let mut whole = false;
        loop {
            match buffer.take() {
                Ok(Some(frame)) => {
                    whole = true;
                    match dispatch::act(server, connection, frame, &mut descriptors) {
                        Next::GoOn => {}
                        Next::Close => {
                            server.signer.flush();
                            return;
                        }
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    let fault = Fault::new(
                        ErrorCode::Malformed,
                        error.to_string(),
                        "is the client one of strongroom's?",
                    );
                    connection.say(0, reply::error(&fault));
                    server.signer.flush();
                    return;
                }
            }
        }
        server.signer.flush();
        frame_deadline = match (buffer.is_partial(), whole, frame_deadline) {
            (false, _, _) => None,
            (true, false, Some(deadline)) => Some(deadline),
            (true, _, _) => Instant::now().checked_add(PATIENCE),
        };
        if frame_deadline.is_none() {
            // Descriptors belong to the frame that they came with.
            descriptors.clear();
        }
    }
}

async fn within<T>(
    deadline: Option<Instant>,
    work: impl Future<Output = T>,
) -> Result<T, tokio::time::error::Elapsed> {
    match deadline {
        Some(deadline) => timeout_at(deadline, work).await,
        None => Ok(work.await),
    }
}

/// Receives once. 0 bytes mean that the client has closed.
async fn receive(
    connection: &Connection,
    buffer: &mut FrameBuffer,
    descriptors: &mut VecDeque<OwnedFd>,
) -> io::Result<usize> {
    let stream = connection.stream();
    let mut drained = false;
    let bytes = stream
        .async_io(Interest::READABLE, || {
            let room = buffer.room();
            let room_bytes = room.len();
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let message = rustix::io::retry_on_intr(|| {
                recvmsg(stream, &mut [IoSliceMut::new(room)], &mut control, RecvFlags::CMSG_CLOEXEC)
            })?;
            drained = message.bytes < room_bytes;
            for part in control.drain() {
                if let RecvAncillaryMessage::ScmRights(arrived) = part {
                    // The kernel ends a read behind descriptors, whatever more is waiting.
                    drained = false;
                    descriptors.extend(arrived);
                }
            }
            descriptors.truncate(MAX_DESCRIPTORS);
            Ok(message.bytes)
        })
        .await?;
    buffer.filled(bytes);
    if drained {
        // Nothing is left: sleep until the next edge, without asking the socket once more.
        let _ =
            stream.try_io(Interest::READABLE, || Err::<(), _>(io::Error::from(io::ErrorKind::WouldBlock)));
    }
    Ok(bytes)
}

/// Writes answers until the connection is over and all are written.
async fn write(connection: &Connection) {
    let mut sending = Outbox::default();
    let stream = connection.stream();
    loop {
        if connection.outbox.borrow().is_empty() {
            if connection.over.get() {
                break;
            }
            connection.answers.notified().await;
            continue;
        }
        // Two buffers change places, so that neither is allocated again.
        std::mem::swap(&mut sending, &mut connection.outbox.borrow_mut());
        // No signature leaves before its line in the audit log is written.
        let failures = connection.audit.gate().await;
        sending.recall(failures, || Fault::from(connection.audit.stopped()));
        if let Err(error) = send_all(stream, sending.bytes_to_send()).await {
            tracing::debug!(pid = connection.principal.pid, %error, "a client did not take its answers");
            break;
        }
        sending.clear();
        connection.taken.notify_one();
    }
    connection.end();
    connection.audit.settle();
    // Wakes the reader too, which may be waiting for a client that will send nothing more.
    let _ = rustix::net::shutdown(stream, rustix::net::Shutdown::Both);
}

async fn send_all(stream: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.try_write(bytes) {
            Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                timeout(PATIENCE, stream.writable()).await??
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
