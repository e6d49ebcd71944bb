//! The loop of the keeper: questions of the front in, answers out, in order.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use strongroom_link::Malformed;
use strongroom_link::frame::{self, Inbox};
use strongroom_link::keeper::{FromKeeper, GREETING_JOB, LOCKED_BYTES, Protection, Refusal, ToKeeper};
use strongroom_locked::memory::{Depth, Memory, Sizes};

use crate::envelope::Nonce;
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
    /// No pipe could be made for the seeds.
    #[error("no seed port can be made")]
    SeedPort(#[source] io::Error),
    /// The front's socket failed.
    #[error("the socket of the front failed")]
    Socket(#[source] io::Error),
}

/// How long the keeper looks for the next question before it sleeps. A bot that asks for one signature
/// after the other finds it awake.
const LINGER: Duration = Duration::from_micros(50);

/// The arena of a keeper. Opening a record takes a fraction of the stack, a signature of the shallow part.
pub const SIZES: Sizes = Sizes { stack: STACK_BYTES, shallow: 32 * 1024, heap: LOCKED_BYTES - STACK_BYTES };
const STACK_BYTES: usize = 256 * 1024;
/// As much of the heap as opening or sealing the largest record uses.
const WORK_BYTES: usize = 512 * 1024;

/// What serving needs, made before the process gives up asking the kernel for memory.
pub struct Keeper<'s> {
    socket: &'s UnixStream,
    inbox: Inbox,
    memory: Memory,
    /// In secret memory itself: a seed may wait in it, and moved values take padding with them, in
    /// which pieces of a key were found.
    vault: Box<Vault>,
}

impl<'s> Keeper<'s> {
    /// Allocates all that [`serve`](Self::serve) needs.
    ///
    /// # Errors
    /// [`KeeperError::Random`]: the first random bytes are asked for here, because the C library may
    /// map memory for them.
    pub fn new(socket: &'s UnixStream, mut memory: Memory) -> Result<Self, KeeperError> {
        Nonce::random()?;
        let vault = memory.run(Depth::Whole, || Box::new(Vault::new()));
        Ok(Self { socket, inbox: Inbox::roomy(), memory, vault })
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
            let received = match self.inbox.receive_soon(self.socket, LINGER) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.inbox.receive(self.socket),
                received => received,
            };
            match received {
                Ok(0) => return Ok(()),
                Ok(_) => self.answer_all()?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
                Err(error) => return Err(KeeperError::Socket(error)),
            }
        }
    }

    fn answer_all(&mut self) -> Result<(), KeeperError> {
        while let Some(frame) = self.inbox.take()? {
            if !self.vault.has_room_for_an_answer() {
                send(self.socket, &mut self.vault, &[])?;
            }
            let Self { socket, memory, vault, .. } = self;
            match ToKeeper::decode(frame)? {
                ToKeeper::Sign { job, slot, secret_at, message } => {
                    memory.run(Depth::Shallow, || vault.sign(job, slot, secret_at, message));
                }
                ToKeeper::Load { job, .. } | ToKeeper::Seal { job, .. } if !memory.has_room(WORK_BYTES) => {
                    vault.refuse_for_lack_of_room(job);
                }
                ToKeeper::Load { job, slot, spec, context, envelope } => {
                    memory.run(Depth::Whole, || vault.load(job, slot, &spec, context, envelope));
                }
                ToKeeper::Seal { job, spec, context, secret, passphrase } => {
                    let nonce = Nonce::random()?;
                    memory.run(Depth::Whole, || vault.seal(nonce, job, &spec, context, secret, passphrase));
                }
                ToKeeper::Forget { job, slot } => {
                    memory.run(Depth::Whole, || vault.forget(job, slot));
                }
                ToKeeper::ForgetAll { job } => {
                    memory.run(Depth::Whole, || vault.forget_all(job));
                    memory.wipe_stack(Depth::Whole);
                }
                ToKeeper::OpenSeedPort { job } => open_seed_port(socket, vault, job)?,
            }
        }
        self.send(&[])
    }

    fn send(&mut self, descriptors: &[BorrowedFd<'_>]) -> Result<(), KeeperError> {
        send(self.socket, &mut self.vault, descriptors)
    }
}

fn open_seed_port(socket: &UnixStream, vault: &mut Vault, job: u64) -> Result<(), KeeperError> {
    // A send carries its descriptors with its first byte, so what waits goes first.
    send(socket, vault, &[])?;
    let pipe = vault.open_seed_port().map_err(KeeperError::SeedPort)?;
    let answer = FromKeeper::SeedPort { job, pipe };
    answer.encode(&mut vault.answers);
    // The front must hold the only write end: dropping the answer closes this one.
    send(socket, vault, &answer.descriptors())
}

/// Sends what waits. A front that has gone is found by the next receive.
fn send(socket: &UnixStream, vault: &mut Vault, descriptors: &[BorrowedFd<'_>]) -> Result<(), KeeperError> {
    let sent = frame::send_all(socket, &vault.answers, descriptors);
    vault.answers.clear();
    match sent {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(KeeperError::Socket(error)),
        _ => Ok(()),
    }
}

/// Tells a front why there will be no keeper. One that has gone need not know.
pub fn refuse(socket: &UnixStream, refusal: Refusal) {
    let mut answer = Vec::new();
    FromKeeper::Refused { job: GREETING_JOB, refusal }.encode(&mut answer);
    let _unheard = frame::send_all(socket, &answer, &[]);
}
