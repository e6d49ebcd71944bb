//! One client: reading frames, and writing answers as they become ready.
//!
//! Two tasks a client. The reader takes whatever has arrived, acts on every whole frame of it, and only
//! then lets the keeper be asked; the writer sends whatever answers are ready. Both batches are as
//! large as the client makes them. A client that does not read its answers is not read from.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use interprocess::os::unix::uds_local_socket::tokio::Stream;
use strongroom_link::peer;
use strongroom_protocol::{ErrorCode, FrameBuffer, Reply};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use super::dispatch::{self, Next};
use super::door::{self, Stranger};
use super::outbox::Outbox;
use super::turns::{Turn, Unread};
use super::{Server, reply, stranger};
use crate::audit::log::AuditLog;
use crate::fault::Fault;
use crate::identity::{Client, ClientName, Impostor, Principal, Rest, log_of};

/// Requests of one client that are worked on at once.
const MAX_IN_WORK: usize = 1_024;
/// Time for one frame to arrive, and for a client to take some of its answers.
const PATIENCE: Duration = Duration::from_secs(10);
/// Descriptors that one frame may bring.
const MAX_DESCRIPTORS: usize = 3;

/// The rule by which a connection is dropped that somebody else sends on.
const IMPOSTOR: &str = "impostor";

/// One client, as seen by those who answer it.
pub(super) struct Connection {
    socket: Stream,
    client: Client,
    audit: Rc<AuditLog>,
    /// Until it has said hello: one whom nothing else names.
    stranger: RefCell<Option<Stranger>>,
    /// Who speaks on it, from its first request on and to its end.
    speaker: OnceCell<Rc<Principal>>,
    outbox: RefCell<Outbox>,
    in_work: Cell<usize>,
    /// Of which of the keeper's slots it has last asked a signature that takes long.
    slow_slot: Cell<Option<u32>>,
    /// There is something to write, or nothing more will come.
    answers: Notify,
    /// Answers were taken, or the connection is over.
    taken: Notify,
    over: Cell<bool>,
    /// Bytes of answers that the writer has taken and not sent.
    leaving: Cell<usize>,
    /// The writer is between two bytes of an answer.
    sending: Cell<bool>,
    unread: Unread,
}

impl Connection {
    fn new(server: &Server, socket: Stream, client: Client, stranger: Option<Stranger>) -> Rc<Self> {
        Rc::new(Self {
            socket,
            client,
            audit: Rc::clone(&server.audit),
            stranger: RefCell::new(stranger),
            speaker: OnceCell::new(),
            outbox: RefCell::default(),
            in_work: Cell::new(0),
            slow_slot: Cell::new(None),
            answers: Notify::new(),
            taken: Notify::new(),
            over: Cell::new(false),
            leaving: Cell::new(0),
            sending: Cell::new(false),
            unread: server.turns.unread(),
        })
    }

    fn stream(&self) -> &UnixStream {
        self.socket.inner()
    }

    /// Who asks.
    pub(super) fn principal(&self) -> &Rc<Principal> {
        self.speaker.get().unwrap_or(&self.client.principal)
    }

    /// Whether something was asked on it already, so that it is settled who speaks.
    pub(super) fn has_begun(&self) -> bool {
        self.speaker.get().is_some()
    }

    /// Settles who speaks on it: this client, or else whom the kernel names. The first time counts.
    pub(super) fn begin_as(&self, client: Option<ClientName>) {
        self.speaker.get_or_init(|| match client {
            None => Rc::clone(&self.client.principal),
            client => Rc::new(Principal { client, ..(*self.client.principal).clone() }),
        });
        self.stranger.take();
    }

    /// What a stranger is told who does not say hello; it is written down, too. `None` for others.
    pub(super) fn refuse_stranger(&self) -> Option<Fault> {
        let stranger = self.stranger.borrow();
        let Stranger { otherwise, rule, .. } = stranger.as_ref()?;
        self.audit.turned_away(self.principal(), rule, &otherwise.message);
        Some(otherwise.clone())
    }

    /// Notes that one more request is worked on.
    pub(super) fn begin(&self) {
        self.in_work.set(self.in_work.get().saturating_add(1));
    }

    /// Notes that a signature is asked for that takes long.
    pub(super) fn asks_slowly(&self, slot: u32) {
        self.slow_slot.set(Some(slot));
    }

    /// Whether it is to wait for some of its signatures that take long: to refuse more of them would be to punish it
    /// for asking early.
    fn is_held_back(&self, server: &Server) -> bool {
        let slot = self.slow_slot.get().filter(|_| self.in_work.get() > 0);
        slot.is_some_and(|slot| server.signer.busy_with(slot).is_some())
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
            self.count_unread();
            self.answers.notify_one();
        }
    }

    /// Whether nobody waits for answers any more.
    pub(super) fn is_over(&self) -> bool {
        self.over.get()
    }

    fn count_unread(&self) {
        self.unread.set(self.outbox.borrow().bytes().saturating_add(self.leaving.get()));
    }

    /// Whether nothing of it is worked on: who has only one request does not stand behind those who have many.
    fn is_idle(&self) -> bool {
        self.in_work.get() == 0
    }

    /// Waits until more of it may be worked on, for all that it has asked itself.
    async fn has_own_room(&self, server: &Server) {
        while !self.over.get() && (self.in_work.get() >= MAX_IN_WORK || self.unread.is_too_much()) {
            self.taken.notified().await;
        }
        if !self.is_idle() {
            self.has_few_slow(server).await;
        }
    }

    /// The same for all that the keeper was asked, by whomever.
    async fn has_room_of_the_keeper(&self, server: &Server, turn: &Turn<'_>) {
        if !self.is_idle() {
            server.signer.has_room(turn.most_asked()).await;
        }
    }

    /// Waits while it has something in work and there are many signatures before it that take long. One whose questions
    /// were all answered goes on at once, whoever else waits.
    async fn has_few_slow(&self, server: &Server) {
        let Some(slot) = self.slow_slot.take() else { return };
        while !self.over.get()
            && !self.is_idle()
            && let Some(keeper) = server.signer.busy_with(slot)
        {
            tokio::select! {
                () = keeper.has_few_slow(slot) => {}
                () = self.taken.notified() => {}
            }
        }
    }

    /// Ends it at once, since its token was revoked: what was asked for is not answered.
    pub(super) fn cut(&self) {
        self.outbox.borrow_mut().clear();
        self.audit.settle();
        // Half an answer that is on its way cannot be followed by another.
        if !self.sending.get() {
            let message = "the token of this client was revoked";
            let fault = Fault::new(ErrorCode::Denied, message, "ask an admin why");
            let mut last = Vec::new();
            reply::write(0, reply::error(&fault), &mut last);
            // One that does not fit is one that the client does not read.
            let _ = self.stream().try_write(&last);
        }
        self.end();
        let _ = rustix::net::shutdown(self.stream(), rustix::net::Shutdown::Both);
    }

    fn end(&self) {
        self.over.set(true);
        self.answers.notify_one();
        self.taken.notify_one();
    }
}

/// Serves one client to its end.
pub(super) async fn serve(server: &Rc<Server>, socket: Stream, full: bool) {
    let client = match server.kernel.identify(socket.inner()) {
        Ok(client) => client,
        Err(error) => {
            tracing::warn!(%error, "a client was turned away");
            if let Some(fault) = stranger::told(&error) {
                turn_away(&socket, &fault).await;
            }
            return;
        }
    };
    let entered = if full {
        Err(Fault::new(
            ErrorCode::Unavailable,
            "the agent has as many clients as it can serve",
            "close connections that nobody uses",
        ))
    } else {
        door::enter(server, &client)
    };
    let stranger = match entered {
        Ok(stranger) => stranger,
        Err(fault) => {
            log_of!(warn, client.principal, %fault, "a client was turned away");
            return turn_away(&socket, &fault).await;
        }
    };
    log_of!(debug, client.principal, "connected");
    let connection = Connection::new(server, socket, client, stranger);
    let reading = async {
        let ended = read(server, &connection).await;
        server.desk.leave(&connection);
        match ended {
            Ok(()) => {
                // What is still worked on is answered first; then the writer ends.
                while connection.in_work.get() > 0 && !connection.over.get() {
                    connection.taken.notified().await;
                }
            }
            Err(impostor) => drop_for(&connection, impostor),
        }
        connection.end();
    };
    tokio::join!(reading, write(&connection));
    server.live.leave(&connection);
}

/// Sees to it that nobody has anything more of this connection.
fn drop_for(connection: &Connection, impostor: Impostor) {
    match impostor {
        Impostor::Ended => {
            log_of!(debug, connection.principal(), %impostor, "a connection was dropped");
            // Whoever reads now is not who asked.
            connection.outbox.borrow_mut().clear();
            connection.audit.settle();
        }
        Impostor::Process { .. } | Impostor::Program { .. } | Impostor::User { .. } => {
            log_of!(warn, connection.principal(), %impostor, "a connection was dropped");
            connection.audit.turned_away(connection.principal(), IMPOSTOR, &impostor.to_string());
            connection.say(0, reply::error(&Fault::from(impostor)));
        }
    }
}

/// Says why, and closes.
async fn turn_away(socket: &Stream, fault: &Fault) {
    let mut answer = Vec::new();
    reply::write(0, reply::error(fault), &mut answer);
    if let Err(error) = send_all(socket.inner(), &answer).await {
        tracing::debug!(%error, "a client that was turned away did not hear why");
    }
    let _ = rustix::net::shutdown(socket.inner(), rustix::net::Shutdown::Both);
}

/// Reads until the client ends, or its connection is somebody else's.
async fn read(server: &Rc<Server>, connection: &Rc<Connection>) -> Result<(), Impostor> {
    let mut buffer = FrameBuffer::new();
    let mut descriptors = VecDeque::new();
    let is_stranger = connection.stranger.borrow().is_some();
    let mut frame_deadline = is_stranger.then(|| Instant::now().checked_add(door::HELLO_PATIENCE)).flatten();
    let mut turn = server.turns.none();
    while !connection.over.get() {
        connection.has_own_room(server).await;
        connection.has_room_of_the_keeper(server, &turn).await;
        let received = tokio::select! {
            biased;
            received = within(frame_deadline, receive(connection, &mut buffer, &mut descriptors)) => received,
            () = connection.client.ended() => return Err(Impostor::Ended),
        };
        match received {
            Ok(Ok(Some(sender))) => sender?,
            Ok(_) => return Ok(()),
            Err(_) => {
                log_of!(debug, connection.principal(), "a client did not finish its frame");
                if let Some(fault) = connection.refuse_stranger() {
                    connection.say(0, reply::error(&fault));
                }
                return Ok(());
            }
        }
        if connection.over.get() {
            return Ok(());
        }
        let mut acted = false;
        turn.begin(connection.is_idle());
        loop {
            let frame = match buffer.take() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => {
                    let fault = Fault::new(
                        ErrorCode::Malformed,
                        error.to_string(),
                        "is the client one of strongroom's?",
                    );
                    connection.say(0, reply::error(&fault));
                    server.signer.flush();
                    return Ok(());
                }
            };
            if turn.is_over() || connection.is_held_back(server) {
                turn.end();
                server.signer.flush();
                connection.has_own_room(server).await;
                turn.next().await;
                // At the head of the line, so that nobody in it asks the keeper for more meanwhile.
                connection.has_room_of_the_keeper(server, &turn).await;
            }
            if connection.over.get() {
                break;
            }
            acted = true;
            turn.use_up();
            match dispatch::act(server, connection, frame, &mut descriptors) {
                Next::GoOn => {}
                Next::Rest => turn.rest(),
                Next::Close => {
                    server.signer.flush();
                    return Ok(());
                }
            }
        }
        turn.end();
        server.signer.flush();
        frame_deadline = match (buffer.is_partial(), acted, frame_deadline) {
            (false, _, _) => None,
            (true, false, Some(deadline)) => Some(deadline),
            (true, _, _) => Instant::now().checked_add(PATIENCE),
        };
        if frame_deadline.is_none() {
            // Descriptors belong to the frame that they came with.
            descriptors.clear();
        }
    }
    Ok(())
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

/// Receives once, and says whether the client has sent it; `None` where it has closed.
async fn receive(
    connection: &Connection,
    buffer: &mut FrameBuffer,
    descriptors: &mut VecDeque<OwnedFd>,
) -> io::Result<Option<Result<(), Impostor>>> {
    let stream = connection.stream();
    let received = stream
        .async_io(Interest::READABLE, || {
            let received = peer::receive(stream, buffer.room(), descriptors)?;
            descriptors.truncate(MAX_DESCRIPTORS);
            Ok(received)
        })
        .await?;
    if received.bytes == 0 {
        return Ok(None);
    }
    buffer.filled(received.bytes);
    let rest = connection.client.check(received.sender, stream);
    if rest == Ok(Rest::Nothing) {
        // Sleep until the next edge, without asking the socket once more.
        let _ =
            stream.try_io(Interest::READABLE, || Err::<(), _>(io::Error::from(io::ErrorKind::WouldBlock)));
    }
    Ok(Some(rest.map(|_| ())))
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
        connection.leaving.set(sending.bytes());
        // No signature leaves before its line in the audit log is written.
        let failures = connection.audit.gate().await;
        sending.recall(failures, || Fault::from(connection.audit.stopped()));
        connection.sending.set(true);
        let sent = send_all(stream, sending.bytes_to_send()).await;
        connection.sending.set(false);
        connection.leaving.set(0);
        connection.count_unread();
        if let Err(error) = sent {
            log_of!(debug, connection.principal(), %error, "a client did not take its answers");
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
