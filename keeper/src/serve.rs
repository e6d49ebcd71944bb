//! The loop of the keeper: questions of the front in, answers out, in order but for what takes long.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use strongroom_link::Malformed;
use strongroom_link::frame::{self, Inbox};
use strongroom_link::keeper::{FromKeeper, GREETING_JOB, LOCKED_BYTES, Protection, Refusal, ToKeeper};
use strongroom_link::seed::PAGE_BYTES;
use strongroom_locked::ForeignPage;
use strongroom_locked::confine::{Calls, ConfineError};
use strongroom_locked::memory::{self, Aside, Depth, Memory, MemoryError, Sizes, WeakMemory};

use crate::confine;
use crate::envelope::Nonce;
use crate::slow::{Desk, Queue, Wire};
use crate::vault::Vault;

/// Why the keeper ends before its front does. It never holds on: with the process the secrets are
/// gone, and the front says that everything is locked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeeperError {
    /// The front sent what no front sends.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The kernel gave no random bytes.
    #[error("the kernel gives no random bytes")]
    Random(#[from] getrandom::Error),
    /// The system calls cannot be filtered.
    #[error(transparent)]
    Confine(#[from] ConfineError),
    /// There is no room for the page on which seeds arrive.
    #[error(transparent)]
    SeedPage(#[from] MemoryError),
    /// No wire could be made for the seeds.
    #[error("no seed port can be made")]
    SeedPort(#[source] io::Error),
    /// The front's socket failed.
    #[error("the socket of the front failed")]
    Socket(#[source] io::Error),
    /// There can be no second thread.
    #[error("the thread for signatures that take long cannot be started")]
    Thread(#[source] io::Error),
}

/// How long the keeper looks for the next question before it sleeps. A bot that asks for one signature
/// after the other finds it awake.
const LINGER: Duration = Duration::from_micros(50);

/// The arena of a keeper: what it may lock, but for the page of seeds. Opening a record takes a fraction of the stack,
/// a signature of the shallow part.
pub const SIZES: Sizes = Sizes {
    stack: STACK_BYTES,
    shallow: 32 * 1024,
    aside: ASIDE_BYTES,
    heap: LOCKED_BYTES - STACK_BYTES - ASIDE_BYTES - PAGE_BYTES,
};
const STACK_BYTES: usize = 256 * 1024;
/// An RSA signature takes a quarter of it.
const ASIDE_BYTES: usize = 64 * 1024;
/// As much of the heap as opening or sealing the largest record uses.
const WORK_BYTES: usize = 512 * 1024;

/// What serving needs, made before the process gives up asking the kernel for memory.
pub struct Keeper {
    wire: &'static Wire,
    slow: &'static Queue,
    /// What the other thread is given when it starts.
    desk: Option<(Aside, Box<Desk>)>,
    inbox: Inbox,
    memory: Memory,
    /// In secret memory itself: a seed may wait in it, and moved values take padding with them, in
    /// which pieces of a key were found.
    vault: Box<Vault>,
    /// What the vault asks of the kernel for seeds.
    seed_calls: Calls,
    /// Room for the last answer, outside of the arena, which is wiped before it is written.
    farewell: Vec<u8>,
}

impl Keeper {
    /// Allocates all that [`serve`](Self::serve) needs.
    ///
    /// # Errors
    /// [`KeeperError::Random`]: the first random bytes are asked for here, because the C library may
    /// map memory for them; [`KeeperError::SeedPage`], [`KeeperError::Confine`].
    pub fn new(socket: &'static UnixStream, mut memory: Memory) -> Result<Self, KeeperError> {
        Nonce::random()?;
        let weak = if memory.is_secret() { WeakMemory::Refused } else { WeakMemory::Allowed };
        let seed_page = ForeignPage::reserve(weak)?;
        let seed_calls = seed_page.calls()?;
        // For the life of the process: two threads use them, of which one never ends.
        let (wire, slow): (&_, &_) =
            (Box::leak(Box::new(Wire::new(socket))), Box::leak(Box::new(Queue::roomy())));
        let vault = memory.run(Depth::Whole, || Box::new(Vault::new(seed_page, slow)));
        let desk = memory.run(Depth::Whole, || Box::new(Desk::new()));
        let desk = memory.aside().map(|aside| (aside, desk));
        Ok(Self {
            wire,
            slow,
            desk,
            inbox: Inbox::roomy(),
            memory,
            vault,
            seed_calls,
            farewell: Vec::with_capacity(64),
        })
    }

    /// Starts the thread for signatures that take long, and has the process killed at any system call that
    /// [`serve`](Self::serve) does not need. What Landlock takes away, it takes away from a thread and from those that
    /// the thread starts, so this comes after it.
    ///
    /// # Errors
    /// [`KeeperError::Confine`], [`KeeperError::Thread`]; the process must not go on then.
    pub fn confine(&mut self) -> Result<(), KeeperError> {
        if let Some((aside, desk)) = self.desk.take() {
            self.slow.serve(self.wire, aside, desk)?;
        }
        memory::no_handlers();
        Ok(confine::filter_system_calls(std::mem::take(&mut self.seed_calls))?)
    }

    /// Greets the front and answers it until it closes its socket.
    ///
    /// All questions that one read brings are answered by one send: the batch that builds up while the
    /// keeper works is what carries the load of many clients.
    ///
    /// # Errors
    /// [`KeeperError`]; the process must end then.
    pub fn serve(mut self, protection: Protection) -> Result<(), KeeperError> {
        self.memory.serve_all();
        FromKeeper::Ready { job: GREETING_JOB, protection }.encode(&mut self.vault.answers);
        self.send(&[])?;
        loop {
            let received = match self.inbox.receive_soon(self.wire.socket, LINGER) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.inbox.receive(self.wire.socket)
                }
                received => received,
            };
            match received {
                Ok(0) => return Ok(()),
                Ok(_) => {
                    if let Some(job) = self.answer_all()? {
                        return self.end(job);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
                Err(error) => return Err(KeeperError::Socket(error)),
            }
        }
    }

    /// Answers what has arrived, up to the order to forget all, whose job it gives.
    fn answer_all(&mut self) -> Result<Option<u64>, KeeperError> {
        while let Some(frame) = self.inbox.take()? {
            if !self.vault.has_room_for_an_answer() {
                send(self.wire, &mut self.vault, &[])?;
            }
            let Self { wire, memory, vault, .. } = self;
            match ToKeeper::decode(frame)? {
                ToKeeper::Sign { job, slot, secret_at, message } => {
                    memory.run(Depth::Shallow, || vault.sign(job, slot, secret_at, message));
                }
                ToKeeper::Load { job, .. } | ToKeeper::Reseal { job, .. } | ToKeeper::Seal { job, .. }
                    if !memory.has_room(WORK_BYTES) =>
                {
                    vault.refuse_for_lack_of_room(job);
                }
                ToKeeper::Load { job, slot, spec, context, envelope } => {
                    memory.run(Depth::Whole, || vault.load(job, slot, &spec, context, envelope));
                }
                ToKeeper::Seal { job, spec, context, secret, passphrase } => {
                    let nonce = Nonce::random()?;
                    memory.run(Depth::Whole, || vault.seal(nonce, job, &spec, context, secret, passphrase));
                }
                ToKeeper::Derive { job, .. } if !memory.has_room(WORK_BYTES) => {
                    vault.refuse_for_lack_of_room(job);
                }
                ToKeeper::Derive { job, slot, context } => {
                    memory.run(Depth::Whole, || vault.derive(job, slot, context));
                }
                ToKeeper::Reseal { job, from_job, spec, from_context, context, envelope } => {
                    let nonce = Nonce::random()?;
                    let (jobs, contexts) = ((from_job, job), (from_context, context));
                    memory.run(Depth::Whole, || vault.reseal(nonce, jobs, &spec, contexts, envelope));
                }
                ToKeeper::Forget { job, slot } => {
                    memory.run(Depth::Whole, || vault.forget(job, slot));
                }
                ToKeeper::ForgetAll { job } => {
                    self.send(&[])?;
                    return Ok(Some(job));
                }
                ToKeeper::KeepPin { job, pin } => {
                    memory.run(Depth::Whole, || vault.keep_pin(job, pin));
                }
                ToKeeper::GivePin { job, to } => {
                    memory.run(Depth::Whole, || vault.give_pin(job, to));
                }
                ToKeeper::ForgetPin { job } => {
                    memory.run(Depth::Whole, || vault.forget_pin(job));
                    memory.wipe_stack(Depth::Whole);
                }
                ToKeeper::OpenSeedPort { job } => open_seed_port(wire, vault, job)?,
            }
        }
        self.send(&[])?;
        Ok(None)
    }

    /// Forgets everything, proves it, and says so. Nothing can be allocated after that.
    fn end(self, job: u64) -> Result<(), KeeperError> {
        let Self { wire, slow, desk: _, inbox, mut memory, vault, seed_calls, mut farewell } = self;
        // Both may have grown into the arena.
        drop((inbox, seed_calls));
        // Before all else, so that nobody works with a key that is being wiped.
        let aside = slow.end();
        let left_on_page = memory.run(Depth::Whole, || vault.end());
        let left = memory.erase(Some(aside)).saturating_add(left_on_page);
        FromKeeper::Forgotten { job, left }.encode(&mut farewell);
        wire.send(&farewell, &[]).map_err(KeeperError::Socket)
    }

    fn send(&mut self, descriptors: &[BorrowedFd<'_>]) -> Result<(), KeeperError> {
        send(self.wire, &mut self.vault, descriptors)
    }
}

fn open_seed_port(wire: &Wire, vault: &mut Vault, job: u64) -> Result<(), KeeperError> {
    // A send carries its descriptors with its first byte, so what waits goes first.
    send(wire, vault, &[])?;
    let socket_of_worker = vault.open_seed_port().map_err(KeeperError::SeedPort)?;
    let answer = FromKeeper::SeedPort { job, socket: socket_of_worker };
    answer.encode(&mut vault.answers);
    // The front must hold the only other end: dropping the answer closes this one.
    send(wire, vault, &answer.descriptors())
}

/// Sends what waits.
fn send(wire: &Wire, vault: &mut Vault, descriptors: &[BorrowedFd<'_>]) -> Result<(), KeeperError> {
    let sent = wire.send(&vault.answers, descriptors);
    vault.answers.clear();
    sent.map_err(KeeperError::Socket)
}

/// Tells a front why there will be no keeper. One that has gone need not know.
pub fn refuse(socket: &UnixStream, refusal: Refusal) {
    let mut answer = Vec::new();
    FromKeeper::Refused { job: GREETING_JOB, refusal }.encode(&mut answer);
    let _unheard = frame::send_all(socket, &answer, &[]);
}
