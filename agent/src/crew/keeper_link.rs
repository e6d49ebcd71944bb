//! The wire to the keeper: many questions in flight, and answers by the number of the question.
//!
//! Questions are collected and written together, and all answers of one read are handed out together,
//! so that under load one system call carries hundreds of signatures. Where few are asked for, their
//! answers are looked for before anybody sleeps (docs/adr/0007).
//!
//! The keeper answers in order, but for signatures that take long, which all others go past (docs/adr/0022). So
//! whoever waits for one of those is noted apart.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::rc::{Rc, Weak};
use std::time::Duration;

use strongroom_link::frame::{self, Inbox};
use strongroom_link::keeper::{FromKeeper, GREETING_JOB, Protection, ToKeeper};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::CrewError;
use super::outbox::Outbox;
use super::slow::Slow;
use super::spawn::{self, Helper};

pub(super) const WHO: &str = "keeper";

/// How long the front looks for the answers to a few questions before it turns to other clients.
const LINGER: Duration = Duration::from_micros(15);
/// How often it is looked whether the keeper still answers.
const LOOK: Duration = Duration::from_secs(1);
/// How long one question may take. A signature takes microseconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

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

/// One keeper's socket, what is on its way, and who waits.
pub(super) struct Link {
    pub(super) socket: UnixStream,
    pub(super) pid: u32,
    pub(super) next_job: Cell<u64>,
    pub(super) outbox: RefCell<Outbox>,
    pub(super) inbox: RefCell<Inbox>,
    /// In the order of the questions.
    pub(super) waiting: RefCell<VecDeque<(u64, Waiter)>>,
    /// Those who wait for signatures that take long.
    pub(super) slow: RefCell<Slow<Waiter>>,
    /// The socket did not take everything, or the keeper is to end.
    pub(super) stir: Notify,
    /// Fewer questions wait for their answers.
    pub(super) drained: Notify,
    /// The process has ended and was waited for.
    pub(super) gone: Notify,
    pub(super) state: Cell<State>,
    /// Why it is being ended, where that was found outside of [`run`].
    pub(super) broken: Cell<Option<CrewError>>,
    /// Whether somebody here has asked it to end.
    pub(super) dismissed: Cell<bool>,
    /// Whether it was given a PIN to keep.
    pub(super) pin_kept: Cell<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Running,
    /// Asked to forget everything; it answers that still.
    Ending,
    /// It answers nothing more, and is being ended.
    Ended,
    /// Its process was waited for.
    Gone,
}

pub(super) enum Waiter {
    Call(oneshot::Sender<Result<Answer, CrewError>>),
    Signature(Deliver),
}

impl Waiter {
    fn fail(self, error: CrewError) {
        match self {
            Self::Call(sender) => drop(sender.send(Err(error))),
            Self::Signature(deliver) => deliver(Err(error)),
        }
    }
}

pub(super) enum Answer {
    Done,
    Forgotten { left: u64 },
    PublicKey([u8; 32]),
    Ready(Protection),
    Sealed(Vec<u8>),
    SeedPort(OwnedFd),
}

impl Link {
    /// Serves a keeper that was started, by tasks of this thread. `greeting` is given its first answer.
    /// `on_end` is called once, when it ends without having been asked to, and was ready before.
    pub(super) fn serve(
        helper: Helper,
        greeting: oneshot::Sender<Result<Answer, CrewError>>,
        on_end: impl FnOnce(CrewError) + 'static,
    ) -> Rc<Self> {
        let pid = helper.process.id().unwrap_or_default();
        let link = Rc::new(Self::new(helper.socket, pid, (GREETING_JOB, Waiter::Call(greeting))));
        tokio::task::spawn_local(run(Rc::clone(&link), helper.process, on_end));
        tokio::task::spawn_local(watch(Rc::downgrade(&link)));
        link
    }

    /// One that waits for its first answer.
    fn new(socket: UnixStream, pid: u32, first: (u64, Waiter)) -> Self {
        Self {
            socket,
            pid,
            next_job: Cell::new(first.0),
            outbox: RefCell::default(),
            inbox: RefCell::default(),
            waiting: RefCell::new(VecDeque::from([first])),
            slow: RefCell::default(),
            stir: Notify::new(),
            drained: Notify::new(),
            gone: Notify::new(),
            state: Cell::new(State::Running),
            broken: Cell::new(None),
            dismissed: Cell::new(false),
            pin_kept: Cell::new(false),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state.get(), State::Ended | State::Gone)
    }

    /// Has the process ended.
    pub(super) fn finish(&self) {
        if !self.is_over() {
            self.state.set(State::Ended);
            self.stir.notify_one();
        }
    }

    pub(super) fn queue(&self, question: ToKeeper<'_>) {
        let mut outbox = self.outbox.borrow_mut();
        if question.descriptors().is_empty() {
            outbox.push(Vec::new(), |out| question.encode(out));
        } else {
            let mut bytes = Vec::new();
            question.encode(&mut bytes);
            outbox.push(question.into_descriptors(), |out| out.extend_from_slice(&bytes));
        }
    }

    pub(super) fn flush(&self) {
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
    }

    pub(super) fn hand_out(&self, inbox: &mut Inbox) -> Result<(), CrewError> {
        let malformed = |source| CrewError::Malformed { who: WHO, source };
        while let Some(frame) = inbox.take().map_err(malformed)? {
            let answer = FromKeeper::decode(frame).map_err(malformed)?;
            let Some(waiter) = self.waiter(answer.job()) else {
                return Err(CrewError::OutOfStep { who: WHO });
            };
            match waiter {
                Waiter::Call(sender) => {
                    if matches!(answer, FromKeeper::Refused { job: GREETING_JOB, .. }) {
                        // Whoever has started it is told, and nobody else.
                        self.dismissed.set(true);
                        self.finish();
                    }
                    let _ = sender.send(match answer {
                        FromKeeper::Done { .. } => Ok(Answer::Done),
                        FromKeeper::Forgotten { left, .. } => Ok(Answer::Forgotten { left }),
                        FromKeeper::PublicKey { key, .. } => Ok(Answer::PublicKey(key)),
                        FromKeeper::Ready { protection, .. } => Ok(Answer::Ready(protection)),
                        FromKeeper::Sealed { envelope, .. } => Ok(Answer::Sealed(envelope.to_vec())),
                        FromKeeper::SeedPort { socket, .. } => Ok(Answer::SeedPort(socket)),
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
        self.drained.notify_waiters();
        Ok(())
    }

    /// Whether fewer questions than `most` wait for their answers.
    pub(super) fn has_fewer(&self, most: usize) -> bool {
        self.waiting.borrow().len() < most || self.is_over()
    }

    /// Waits until fewer do, or until those that do now are answered: they are answered in order, so who comes next
    /// waits for all before it, but not for all who come behind, however many they are.
    pub(super) async fn has_room(&self, most: usize) {
        let last = self.waiting.borrow().back().map(|(job, _)| *job);
        while !self.has_fewer(most) && self.waiting.borrow().front().map(|(job, _)| *job) <= last {
            self.drained.notified().await;
        }
    }

    /// Who waits for the answer to that question.
    fn waiter(&self, job: u64) -> Option<Waiter> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.front().is_some_and(|(first, _)| *first == job) {
            return waiting.pop_front().map(|(_, waiter)| waiter);
        }
        self.slow.borrow_mut().take(job)
    }

    /// What stays the same while the keeper does nothing: the question that has waited longest, and how many of the
    /// signatures that take long were made; nothing where nobody waits. Who waits for the greeting has patience of its own.
    fn stand(&self) -> [Option<u64>; 2] {
        let longest = self.waiting.borrow().front().map(|(job, _)| *job).filter(|job| *job != GREETING_JOB);
        [longest, self.slow.borrow().progress()]
    }

    /// Takes answers that come at once. What goes wrong with the socket is found again by [`run`]; an answer
    /// that is none is taken already, so it is told to it.
    pub(super) fn linger(&self) {
        let mut inbox = self.inbox.borrow_mut();
        if let Ok(1..) = inbox.receive_soon(&self.socket, LINGER)
            && let Err(error) = self.hand_out(&mut inbox)
        {
            self.broken.set(Some(error));
            self.finish();
        }
    }

    /// Receives what is there. `Ok(false)` means that the keeper has closed its end.
    pub(super) fn receive(&self, inbox: &mut Inbox) -> Result<bool, CrewError> {
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
    let outcome = link.broken.take().map_or(outcome, Err);
    link.state.set(State::Ended);
    link.drained.notify_waiters();
    if matches!(outcome, Ok(false)) {
        // It has closed its end, so it is ending: how it does is what there is to tell.
        let _ = timeout(LOOK, process.wait()).await;
    }
    spawn::kill(&process);
    let status = process.wait().await.ok();
    let killed = status.filter(|status| status.signal().is_some());
    let status = status.map(|status| status.to_string());
    link.state.set(State::Gone);
    link.gone.notify_waiters();
    let slow = link.slow.borrow_mut().take_all();
    for waiter in link.waiting.take().into_iter().map(|(_, waiter)| waiter).chain(slow) {
        waiter.fail(ended(status.clone()));
    }
    if !link.dismissed.get() {
        on_end(match (outcome, killed) {
            (Err(error), _) => error,
            (Ok(true), _) => CrewError::Late { who: WHO, after: PATIENCE },
            (Ok(false), Some(status)) => CrewError::Killed { who: WHO, status },
            (Ok(false), None) => ended(status),
        });
    }
}

/// Has a keeper ended that answers no more: stopped, or caught in an endless loop. Those who wait are
/// told, and the agent is locked, rather than every client running into its own deadline.
async fn watch(link: Weak<Link>) {
    let mut stood = [None; 2];
    let mut seen = [0_u32; 2];
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(link) = link.upgrade() else { return };
        if link.is_over() {
            return;
        }
        let now = link.stand();
        for ((seen, now), before) in seen.iter_mut().zip(now).zip(stood) {
            *seen = if now.is_some() && now == before { seen.saturating_add(1) } else { 0 };
        }
        stood = now;
        if seen.into_iter().any(|seen| LOOK.saturating_mul(seen) >= PATIENCE) {
            tracing::error!(pid = link.pid, "the keeper answers no more and is ended");
            link.finish();
        }
    }
}

pub(super) fn ended(detail: Option<String>) -> CrewError {
    CrewError::Ended { who: WHO, detail }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::task::Poll;

    use super::*;

    type Told = Rc<RefCell<Vec<(u64, bool)>>>;

    /// One that waits for signatures under these numbers, of which the latter take long, the other end of its socket,
    /// and who was told what: whether there is a signature.
    fn waiting_for(jobs: &[u64], slow: &[u64]) -> (Link, std::os::unix::net::UnixStream, Told) {
        let (theirs, ours) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let told = Told::default();
        let waiter = |job: &u64| {
            let (job, told) = (*job, Rc::clone(&told));
            let deliver = move |signature: Result<Signature<'_>, CrewError>| {
                told.borrow_mut().push((job, signature.is_ok()));
            };
            (job, Waiter::Signature(Box::new(deliver)))
        };
        let mut waiters: VecDeque<_> = jobs.iter().map(waiter).collect();
        let link = Link::new(UnixStream::from_std(ours).unwrap(), 0, waiters.pop_front().unwrap());
        link.waiting.borrow_mut().extend(waiters);
        for (job, waiter) in slow.iter().map(waiter) {
            link.slow.borrow_mut().put(job, 0, 0, waiter);
        }
        (link, theirs, told)
    }

    fn signatures(jobs: &[u64]) -> Vec<u8> {
        let mut answers = Vec::new();
        for job in jobs {
            FromKeeper::Signature { job: *job, signature: b"s", passphrase: b"" }.encode(&mut answers);
        }
        answers
    }

    #[tokio::test]
    async fn hands_out_quick_answers_in_order_and_slow_ones_in_any() {
        for order in [[1, 2, 3, 4, 5, 6], [6, 5, 4, 1, 2, 3], [1, 5, 2, 4, 3, 6], [5, 1, 6, 2, 4, 3]] {
            let (link, mut theirs, told) = waiting_for(&[1, 2, 3], &[4, 5, 6]);
            theirs.write_all(&signatures(&order)).unwrap();
            link.linger();
            assert_eq!(*told.borrow(), order.map(|job| (job, true)));
            assert!(!link.is_over());
            assert_eq!(link.stand(), [None; 2]);
        }
    }

    #[tokio::test]
    async fn makes_nobody_wait_for_those_who_come_later() {
        let (link, mut theirs, _told) = waiting_for(&[1, 2, 3, 4, 5], &[]);
        let mut room = std::pin::pin!(link.has_room(3));
        let mut has_room = async || {
            std::future::poll_fn(|context| Poll::Ready(room.as_mut().poll(context).is_ready())).await
        };
        assert!(!has_room().await);
        for (answered, asked) in (1..=5).zip(6..) {
            assert!(!has_room().await, "{answered}");
            link.waiting.borrow_mut().push_back((asked, Waiter::Signature(Box::new(|_| {}))));
            theirs.write_all(&signatures(&[answered])).unwrap();
            link.linger();
            assert!(!link.has_fewer(3));
        }
        assert!(has_room().await);

        let mut room = std::pin::pin!(link.has_room(3));
        let mut has_room = async || {
            std::future::poll_fn(|context| Poll::Ready(room.as_mut().poll(context).is_ready())).await
        };
        assert!(!has_room().await);
        theirs.write_all(&signatures(&[6, 7, 8])).unwrap();
        link.linger();
        assert!(has_room().await, "two are left");
    }

    #[tokio::test]
    async fn sees_whether_either_side_goes_on() {
        let (link, mut theirs, _told) = waiting_for(&[1, 2], &[3, 4, 5]);
        assert_eq!(link.stand(), [Some(1), Some(0)]);
        theirs.write_all(&signatures(&[4])).unwrap();
        link.linger();
        assert_eq!(link.stand(), [Some(1), Some(1)]);
        theirs.write_all(&signatures(&[1])).unwrap();
        link.linger();
        assert_eq!(link.stand(), [Some(2), Some(1)]);
    }

    #[tokio::test]
    async fn ends_a_keeper_that_answers_what_nobody_asked_or_was_answered() {
        for answered in [&[7][..], &[1, 1], &[2, 1], &[3, 1, 3]] {
            let (link, mut theirs, _told) = waiting_for(&[1, 2], &[3]);
            theirs.write_all(&signatures(answered)).unwrap();
            link.linger();
            assert!(link.is_over(), "{answered:?}");
            assert!(matches!(link.broken.take(), Some(CrewError::OutOfStep { .. })));
        }
    }

    #[tokio::test]
    async fn fails_whoever_is_given_another_kind_of_answer() {
        let (link, mut theirs, told) = waiting_for(&[1], &[]);
        let mut answer = Vec::new();
        FromKeeper::Done { job: 1 }.encode(&mut answer);
        theirs.write_all(&answer).unwrap();
        link.linger();
        assert_eq!(*told.borrow(), [(1, false)]);
    }
}
