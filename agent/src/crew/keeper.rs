//! The front's end of the keeper: many questions in flight, answered in order.
//!
//! Questions are collected and written together (`flush`), and all answers of one read are handed out
//! together, so that under load one system call carries hundreds of signatures.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use strongroom_link::frame::{self, Inbox};
use strongroom_link::keeper::{ALLOW_WEAK_MEMORY, FromKeeper, GREETING_JOB, Landlock, Protection, ToKeeper};
use strongroom_link::key::KeySpec;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::outbox::Outbox;
use super::spawn::Dropped;
use super::{CrewError, spawn};

const WHO: &str = "keeper";
const PROGRAM: &str = "strongroom-keeper";

/// Bytes of questions above which no more are to be queued.
const OUTBOX_BYTES: usize = 4 * 1024 * 1024;
/// How long the front looks for the answer to a few questions before it turns to other clients.
const LINGER: Duration = Duration::from_micros(15);
/// So many signatures are few.
const FEW: usize = 4;
/// How long a question other than a signature may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the keeper gives for a signature.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signature<'a> {
    /// Raw bytes.
    pub(crate) bytes: &'a [u8],
    /// What of the passphrase may leave.
    pub(crate) passphrase: &'a [u8],
}

/// Called once with the outcome of one signature, on the front's only thread.
type Deliver = Box<dyn FnOnce(Result<Signature<'_>, CrewError>)>;

/// A signature that was asked for; somebody has to take it.
#[must_use = "the keeper's answers are told apart by their order, so each must be waited for"]
pub(crate) struct SignatureAsked<'a> {
    link: &'a Link,
    /// Absent where the keeper runs no more.
    job: Option<u64>,
}

impl SignatureAsked<'_> {
    /// Says who takes it.
    pub(crate) fn then(self, deliver: impl FnOnce(Result<Signature<'_>, CrewError>) + 'static) {
        match self.job {
            Some(job) => {
                let waiter = Waiter::Signature(Box::new(deliver));
                self.link.waiting.borrow_mut().push_back((job, waiter));
            }
            None => deliver(Err(ended(None))),
        }
    }
}

/// A running keeper. Clones are the same keeper; it ends when the last is dropped, or by [`end`](Self::end).
#[derive(Clone)]
pub(crate) struct Keeper {
    link: Rc<Link>,
}

struct Link {
    socket: UnixStream,
    pid: u32,
    next_job: Cell<u64>,
    outbox: RefCell<Outbox>,
    inbox: RefCell<Inbox>,
    waiting: RefCell<VecDeque<(u64, Waiter)>>,
    /// The socket did not take everything, or the keeper is to end.
    stir: Notify,
    /// The outbox has become small.
    drained: Notify,
    /// The process has ended and was waited for.
    gone: Notify,
    state: Cell<State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// Asked to forget everything; it answers that still.
    Ending,
    /// It answers nothing more, and is being ended.
    Ended,
    /// Its process was waited for.
    Gone,
}

enum Waiter {
    Call(oneshot::Sender<Result<Answer, CrewError>>),
    Signature(Deliver),
}

enum Answer {
    Done,
    Ready(Protection),
    Sealed(Vec<u8>),
    SeedPort(OwnedFd),
}

impl Keeper {
    /// Starts a keeper and waits until it is ready. `on_end` is called once, when it ends later
    /// without having been asked to.
    pub(crate) async fn start(
        allow_weak_memory: bool,
        on_end: impl FnOnce(CrewError) + 'static,
    ) -> Result<Self, CrewError> {
        let arguments: &[_] = if allow_weak_memory { &[ALLOW_WEAK_MEMORY] } else { &[] };
        let helper = spawn::start(WHO, PROGRAM, arguments, &BTreeMap::new(), Dropped::Kill)?;
        let (sender, greeting) = oneshot::channel();
        let link = Rc::new(Link {
            pid: helper.process.id().unwrap_or_default(),
            socket: helper.socket,
            next_job: Cell::new(0),
            outbox: RefCell::default(),
            inbox: RefCell::default(),
            waiting: RefCell::new(VecDeque::from([(GREETING_JOB, Waiter::Call(sender))])),
            stir: Notify::new(),
            drained: Notify::new(),
            gone: Notify::new(),
            state: Cell::new(State::Running),
        });
        tokio::task::spawn_local(run(Rc::clone(&link), helper.process, on_end));
        let keeper = Self { link };
        match keeper.link.answered(greeting).await? {
            Answer::Ready(protection) => {
                report(protection);
                Ok(keeper)
            }
            _ => Err(CrewError::OutOfStep { who: WHO }),
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.link.pid
    }

    /// Says whether it still runs.
    pub(crate) fn check_running(&self) -> Result<(), CrewError> {
        if self.link.state.get() == State::Running { Ok(()) } else { Err(ended(None)) }
    }

    /// A number that no other question has or will have: for a seed that is asked of the token worker
    /// first and used by [`load`](Self::load) or [`seal`](Self::seal) then.
    pub(crate) fn job(&self) -> u64 {
        let job = self.link.next_job.get().wrapping_add(1);
        self.link.next_job.set(job);
        job
    }

    /// Has the keeper make a new seed port and gives its write end.
    pub(crate) async fn open_seed_port(&self) -> Result<OwnedFd, CrewError> {
        match self.call(ToKeeper::OpenSeedPort { job: self.job() }).await? {
            Answer::SeedPort(pipe) => Ok(pipe),
            _ => Err(CrewError::OutOfStep { who: WHO }),
        }
    }

    /// Opens an envelope with the seed that the token worker has sent under `job`.
    pub(crate) async fn load(
        &self,
        job: u64,
        slot: u32,
        spec: KeySpec,
        context: &[u8],
        envelope: &[u8],
    ) -> Result<(), CrewError> {
        self.call(ToKeeper::Load { job, slot, spec, context, envelope }).await.and_then(done)
    }

    /// Seals the secret that `secret` gives under the seed that was sent under `job`.
    pub(crate) async fn seal(
        &self,
        job: u64,
        spec: KeySpec,
        context: &[u8],
        secret: OwnedFd,
        passphrase: Option<OwnedFd>,
    ) -> Result<Vec<u8>, CrewError> {
        match self.call(ToKeeper::Seal { job, spec, context, secret, passphrase }).await? {
            Answer::Sealed(envelope) => Ok(envelope),
            _ => Err(CrewError::OutOfStep { who: WHO }),
        }
    }

    /// Forgets one credential.
    pub(crate) async fn forget(&self, slot: u32) -> Result<(), CrewError> {
        self.call(ToKeeper::Forget { job: self.job(), slot }).await.and_then(done)
    }

    /// Forgets everything and ends the process.
    pub(crate) async fn end(&self) -> Result<(), CrewError> {
        if self.link.state.get() == State::Running {
            self.link.state.set(State::Ending);
        }
        let forgotten = self.call(ToKeeper::ForgetAll { job: self.job() }).await.and_then(done);
        self.link.finish();
        while self.link.state.get() != State::Gone {
            // It is killed, so this is short; only what the kernel cannot end would keep us here.
            if timeout(PATIENCE, self.link.gone.notified()).await.is_err() {
                break;
            }
        }
        forgotten
    }

    /// Queues a signature; nothing is sent before [`flush`](Self::flush).
    pub(crate) fn sign(&self, slot: u32, secret_at: Option<u32>, message: &[u8]) -> SignatureAsked<'_> {
        let job = (self.link.state.get() == State::Running).then(|| self.job());
        if let Some(job) = job {
            self.link.queue(ToKeeper::Sign { job, slot, secret_at, message });
        }
        SignatureAsked { link: &self.link, job }
    }

    /// Sends what is queued, as far as the socket takes it; the rest follows by itself.
    pub(crate) fn flush(&self) {
        self.link.flush();
        let waiting = self.link.waiting.borrow().len();
        if (1..=FEW).contains(&waiting) {
            self.link.linger();
        }
    }

    /// Whether a reader may queue more.
    pub(crate) fn is_roomy(&self) -> bool {
        self.link.outbox.borrow().bytes() <= OUTBOX_BYTES || self.link.is_over()
    }

    /// Waits until a reader may queue more.
    pub(crate) async fn has_room(&self) {
        while !self.is_roomy() {
            self.link.drained.notified().await;
        }
    }

    async fn call(&self, question: ToKeeper<'_>) -> Result<Answer, CrewError> {
        if self.link.is_over() {
            return Err(ended(None));
        }
        let (sender, answer) = oneshot::channel();
        let job = question.job();
        self.link.queue(question);
        self.link.waiting.borrow_mut().push_back((job, Waiter::Call(sender)));
        self.link.flush();
        self.link.answered(answer).await
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // One clone is this one, the other is that of the task, which lives as long as the process.
        if Rc::strong_count(&self.link) <= 2 {
            self.link.finish();
        }
    }
}

impl Link {
    /// Waits for an answer, and ends a keeper that does not give it in time.
    async fn answered(
        &self,
        answer: oneshot::Receiver<Result<Answer, CrewError>>,
    ) -> Result<Answer, CrewError> {
        match timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(ended(None)),
            Err(_) => {
                self.finish();
                Err(CrewError::Late { who: WHO, after: PATIENCE })
            }
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.state.get(), State::Ended | State::Gone)
    }

    /// Has the process ended.
    fn finish(&self) {
        if !self.is_over() {
            self.state.set(State::Ended);
            self.stir.notify_one();
        }
    }

    fn queue(&self, question: ToKeeper<'_>) {
        let mut outbox = self.outbox.borrow_mut();
        if question.descriptors().is_empty() {
            outbox.push(Vec::new(), |out| question.encode(out));
        } else {
            let mut bytes = Vec::new();
            question.encode(&mut bytes);
            outbox.push(question.into_descriptors(), |out| out.extend_from_slice(&bytes));
        }
    }

    fn flush(&self) {
        let mut outbox = self.outbox.borrow_mut();
        while let Some((rest, descriptors)) = outbox.next() {
            match self.socket.try_io(Interest::WRITABLE, || frame::send(&self.socket, rest, &descriptors)) {
                Ok(count) => outbox.sent(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stir.notify_one();
                    break;
                }
                // The reading side sees the end and reports it.
                Err(_) => break,
            }
        }
        if outbox.bytes() <= OUTBOX_BYTES {
            self.drained.notify_waiters();
        }
    }

    fn hand_out(&self, inbox: &mut Inbox) -> Result<(), CrewError> {
        let malformed = |source| CrewError::Malformed { who: WHO, source };
        while let Some(frame) = inbox.take().map_err(malformed)? {
            let answer = FromKeeper::decode(frame).map_err(malformed)?;
            let waiter = self.waiting.borrow_mut().pop_front();
            let Some((_, waiter)) = waiter.filter(|(job, _)| *job == answer.job()) else {
                return Err(CrewError::OutOfStep { who: WHO });
            };
            match waiter {
                Waiter::Call(sender) => {
                    if matches!(answer, FromKeeper::Refused { job: GREETING_JOB, .. }) {
                        // It has never been ready, so whoever started it is told, and nobody else.
                        self.finish();
                    }
                    let _ = sender.send(match answer {
                        FromKeeper::Done { .. } => Ok(Answer::Done),
                        FromKeeper::Ready { protection, .. } => Ok(Answer::Ready(protection)),
                        FromKeeper::Sealed { envelope, .. } => Ok(Answer::Sealed(envelope.to_vec())),
                        FromKeeper::SeedPort { pipe, .. } => Ok(Answer::SeedPort(pipe)),
                        FromKeeper::Refused { refusal, .. } => Err(CrewError::Keeper(refusal)),
                        FromKeeper::Signature { .. } => Err(CrewError::OutOfStep { who: WHO }),
                    });
                }
                Waiter::Signature(deliver) => deliver(match answer {
                    FromKeeper::Signature { signature, passphrase, .. } => {
                        Ok(Signature { bytes: signature, passphrase })
                    }
                    FromKeeper::Refused { refusal, .. } => Err(CrewError::Keeper(refusal)),
                    _ => Err(CrewError::OutOfStep { who: WHO }),
                }),
            }
        }
        Ok(())
    }

    /// Takes answers that come at once. What goes wrong here is found again by [`run`].
    fn linger(&self) {
        let mut inbox = self.inbox.borrow_mut();
        if let Ok(1..) = inbox.receive_soon(&self.socket, LINGER) {
            let _ = self.hand_out(&mut inbox);
        }
    }

    /// Receives what is there. `Ok(false)` means that the keeper has closed its end.
    fn receive(&self, inbox: &mut Inbox) -> Result<bool, CrewError> {
        loop {
            match self.socket.try_io(Interest::READABLE, || inbox.receive(&self.socket)) {
                Ok(0) => return Ok(false),
                Ok(_) => self.hand_out(inbox)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ended(Some(error.to_string()))),
            }
            if inbox.drained() {
                // Nothing was left behind, so the reactor may sleep until the next edge; asking the
                // socket once more would be a system call for each batch.
                let _ = self
                    .socket
                    .try_io(Interest::READABLE, || Err::<(), _>(io::Error::from(io::ErrorKind::WouldBlock)));
                return Ok(true);
            }
        }
    }
}

/// Serves one keeper until it ends, and then fails whoever waits.
async fn run(link: Rc<Link>, mut process: Child, on_end: impl FnOnce(CrewError)) {
    let outcome = loop {
        if link.is_over() {
            break Ok(true);
        }
        let interest = if link.outbox.borrow().bytes() == 0 {
            Interest::READABLE
        } else {
            Interest::READABLE | Interest::WRITABLE
        };
        tokio::select! {
            ready = link.socket.ready(interest) => match ready {
                Ok(ready) => {
                    if ready.is_writable() {
                        link.flush();
                    }
                    if ready.is_readable() || ready.is_read_closed() {
                        match link.receive(&mut link.inbox.borrow_mut()) {
                            Ok(true) => {}
                            other => break other,
                        }
                    }
                }
                Err(error) => break Err(ended(Some(error.to_string()))),
            },
            () = link.stir.notified() => {}
        }
    };
    let asked_to_end = link.state.get() != State::Running;
    link.state.set(State::Ended);
    link.drained.notify_waiters();
    let _ = process.start_kill();
    let status = process.wait().await.ok().map(|status| status.to_string());
    link.state.set(State::Gone);
    link.gone.notify_waiters();
    for (_, waiter) in link.waiting.take() {
        match waiter {
            Waiter::Call(sender) => drop(sender.send(Err(ended(status.clone())))),
            Waiter::Signature(deliver) => deliver(Err(ended(status.clone()))),
        }
    }
    if !asked_to_end {
        on_end(outcome.err().unwrap_or_else(|| ended(status)));
    }
}

/// Logs what protects a keeper, and warns of what does not.
fn report(protection: Protection) {
    let Protection { secret_memory, landlock, guarded } = protection;
    tracing::info!(secret_memory, ?landlock, guarded, "the keeper is ready");
    if !secret_memory {
        tracing::warn!(
            "root can read every secret: this kernel has no memfd_secret, and the configuration allows it"
        );
    }
    if !guarded {
        tracing::warn!(
            "the keeper has no guard, because tracing is forbidden here: root can read its registers"
        );
    }
    if landlock != Landlock::Full {
        tracing::warn!(
            ?landlock,
            "this kernel has not all of Landlock; the keeper's system call filter holds"
        );
    }
}

fn ended(detail: Option<String>) -> CrewError {
    CrewError::Ended { who: WHO, detail }
}

fn done(answer: Answer) -> Result<(), CrewError> {
    match answer {
        Answer::Done => Ok(()),
        _ => Err(CrewError::OutOfStep { who: WHO }),
    }
}
