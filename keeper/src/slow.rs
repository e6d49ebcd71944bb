//! Signatures that take long, by a thread of their own.
//!
//! An RSA signature takes a thousand times as long as an HMAC. So that bots whose signatures are HMACs do not wait
//! for it, the thread of the front's socket only queues it here and goes on; this thread signs, one after the other,
//! and sends each answer itself. What waits is bounded, and each key has its turn ([`Line`]). The thread has a secret
//! stack of its own, and even fewer system calls than the other.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use strongroom_link::frame::{self, MAX_FRAME_BYTES};
use strongroom_link::keeper::{FromKeeper, Refusal};
use strongroom_locked::confine::ConfineError;
use strongroom_locked::memory::{self, Aside};

use crate::confine;
use crate::key::{LONGEST_SIGNATURE_BYTES, SigningKey};
use crate::line::Line;
use crate::serve::KeeperError;

/// The work is done on the secret stack; this one only waits and sends.
const ORDINARY_STACK_BYTES: usize = 64 * 1024;

/// The front's socket, on which two threads send whole answers in turn.
pub(crate) struct Wire {
    pub(crate) socket: &'static UnixStream,
    turn: Mutex<()>,
}

impl Wire {
    pub(crate) const fn new(socket: &'static UnixStream) -> Self {
        Self { socket, turn: Mutex::new(()) }
    }

    /// Sends whole answers. A front that has gone is found by the next receive.
    pub(crate) fn send(&self, answers: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let _in_turn = lock(&self.turn);
        match frame::send_all(self.socket, answers, descriptors) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}

/// A signature that waits.
pub(crate) struct Slow {
    pub(crate) job: u64,
    pub(crate) slot: u32,
    pub(crate) secret_at: Option<u32>,
    /// One owner more of a key that the keyring has too, and forgets first.
    pub(crate) key: Arc<SigningKey>,
}

/// The other thread's queue.
pub(crate) struct Queue {
    state: Mutex<State>,
    /// There is something to do.
    stir: Condvar,
    /// Something is done.
    done: Condvar,
}

/// Lies in ordinary memory: messages are no secrets, and keys are behind pointers.
struct State {
    line: Line<Slow>,
    /// With which slot's key the thread signs now.
    busy: Option<u32>,
    confined: Option<Result<(), ConfineError>>,
    is_over: bool,
    given_back: Option<Aside>,
}

impl Queue {
    /// Has all the memory that it will ever need.
    pub(crate) fn roomy() -> Self {
        let state =
            State { line: Line::roomy(), busy: None, confined: None, is_over: false, given_back: None };
        Self { state: Mutex::new(state), stir: Condvar::new(), done: Condvar::new() }
    }

    /// Starts the thread and waits until it is confined.
    ///
    /// # Errors
    /// [`KeeperError::Thread`], [`KeeperError::Confine`].
    pub(crate) fn serve(
        &'static self,
        wire: &'static Wire,
        aside: Aside,
        desk: Box<Desk>,
    ) -> Result<(), KeeperError> {
        // Neither thread can ask the kernel for memory later.
        let message = Vec::with_capacity(MAX_FRAME_BYTES);
        let work = move || {
            memory::no_alternate_stack();
            let confined = confine::filter_slow_thread();
            let is_confined = confined.is_ok();
            self.lock().confined = Some(confined);
            self.done.notify_all();
            if is_confined {
                self.work(wire, aside, desk, message);
            }
        };
        let builder = thread::Builder::new().name("keeper-slow".into()).stack_size(ORDINARY_STACK_BYTES);
        let _detached = builder.spawn(work).map_err(KeeperError::Thread)?;
        let mut state = self.lock();
        loop {
            match state.confined.take() {
                Some(confined) => return Ok(confined?),
                None => state = wait(&self.done, state),
            }
        }
    }

    /// Queues a signature.
    ///
    /// # Errors
    /// [`Refusal::SigningQueueFull`].
    pub(crate) fn put(&self, slow: Slow, message: &[u8]) -> Result<(), Refusal> {
        self.lock().line.put(slow.slot, slow, message)?;
        self.stir.notify_one();
        Ok(())
    }

    /// Drops what waits for the key in `slot`, telling `dropped` the jobs, and waits until nobody signs with it: that
    /// is one signature at most.
    pub(crate) fn forget(&self, slot: u32, mut dropped: impl FnMut(u64)) {
        let mut state = self.lock();
        state.line.drop_all_of(slot, |slow| dropped(slow.job));
        while state.busy == Some(slot) {
            state = wait(&self.done, state);
        }
    }

    /// Drops all that waits, and the answer to what is being signed, and takes the thread's stack away for good.
    pub(crate) fn end(&self) -> Aside {
        let mut state = self.lock();
        state.is_over = true;
        state.line.clear();
        self.stir.notify_one();
        loop {
            match state.given_back.take() {
                Some(aside) => return aside,
                None => state = wait(&self.done, state),
            }
        }
    }

    /// Signs until the end.
    fn work(&self, wire: &Wire, mut aside: Aside, mut desk: Box<Desk>, mut message: Vec<u8>) {
        while let Some(slow) = self.take(&mut message) {
            aside.run(|| desk.sign(slow, &message));
            // The answer to a question from before the end is nobody's any more.
            if !self.lock().is_over && wire.send(&desk.answer, &[]).is_err() {
                // Half an answer may be out: the front could read nothing that comes behind it.
                memory::leave(false);
            }
            self.lock().busy = None;
            self.done.notify_all();
        }
        drop(desk);
        self.lock().given_back = Some(aside);
        self.done.notify_all();
        // Ending a thread takes system calls that it has not.
        loop {
            thread::park();
        }
    }

    /// The next one and its message, when there is one; nothing at the end.
    fn take(&self, message: &mut Vec<u8>) -> Option<Slow> {
        let mut state = self.lock();
        loop {
            if state.is_over {
                return None;
            }
            if let Some((slot, slow)) = state.line.take(message) {
                state.busy = Some(slot);
                return Some(slow);
            }
            state = wait(&self.stir, state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Where the thread signs; all of it in secret memory, since a passphrase may go out with an answer.
pub(crate) struct Desk {
    signature: Vec<u8>,
    answer: Vec<u8>,
}

impl Desk {
    /// To be called on a secret stack.
    pub(crate) fn new() -> Self {
        Self { signature: Vec::with_capacity(LONGEST_SIGNATURE_BYTES), answer: Vec::with_capacity(1024) }
    }

    fn sign(&mut self, slow: Slow, message: &[u8]) {
        let Slow { job, slot: _, secret_at, key } = slow;
        self.signature.clear();
        self.answer.clear();
        match key.sign(message, secret_at, &mut self.signature) {
            Ok(()) => FromKeeper::Signature {
                job,
                signature: &self.signature,
                passphrase: key.released_passphrase(),
            },
            Err(refusal) => FromKeeper::Refused { job, refusal },
        }
        .encode(&mut self.answer);
    }
}

/// A panic ends the process, so nobody finds a lock poisoned.
fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait<'g, T>(until: &Condvar, held: MutexGuard<'g, T>) -> MutexGuard<'g, T> {
    until.wait(held).unwrap_or_else(PoisonError::into_inner)
}
