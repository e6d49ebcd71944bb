//! The loop of the keeper: questions of the front in, answers out, in order.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use strongroom_link::Malformed;
use strongroom_link::frame::{self, Inbox};
use strongroom_link::keeper::{FromKeeper, Refusal, ToKeeper};
use strongroom_link::key::KeySpec;
use zeroize::zeroize_stack;

use crate::envelope::{self, Nonce};
use crate::keyring::Keyring;
use crate::secret_pipe::{PassphraseText, SecretText};
use crate::seed_port::SeedPort;

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

/// Answers the front until it closes its socket.
///
/// All questions that one read brings are answered by one send: the batch that builds up while the
/// keeper works is what carries the load of many clients.
///
/// # Errors
/// [`KeeperError`]; the process must end then.
pub fn serve(socket: &UnixStream) -> Result<(), KeeperError> {
    let mut inbox = Inbox::default();
    let mut keeper = Keeper::new(socket);
    loop {
        let received = match inbox.receive_soon(socket, LINGER) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => inbox.receive(socket),
            received => received,
        };
        match received {
            Ok(0) => return Ok(()),
            Ok(_) => keeper.answer_all(&mut inbox)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(KeeperError::Socket(error)),
        }
        // Signing leaves nonces and half-keyed hash states on the stack. The answers are out already,
        // so nobody waits for this.
        zeroize_stack::<SIGNING_STACK_BYTES>();
    }
}

/// How long the keeper looks for the next question before it sleeps. A bot that asks for one signature
/// after the other finds it awake.
const LINGER: Duration = Duration::from_micros(50);

/// More stack than one signature needs.
const SIGNING_STACK_BYTES: usize = 16 * 1024;

/// More stack than loading or sealing needs, with their buffers for secrets.
const SECRET_STACK_BYTES: usize = 128 * 1024;

/// Longest answer: a sealed envelope and the few bytes around it.
const LONGEST_ANSWER_BYTES: usize = envelope::LONGEST_BYTES.next_multiple_of(1024);

/// Answers are sent at the latest when there is no room for one more: the buffer never grows, so no
/// passphrase stays behind in memory that was given back.
const ANSWERS_BYTES: usize = 64 * 1024;

struct Keeper<'s> {
    socket: &'s UnixStream,
    keyring: Keyring,
    seeds: SeedPort,
    /// Answers that were not sent yet.
    answers: Vec<u8>,
    /// Room for one signature.
    signature: Vec<u8>,
}

impl<'s> Keeper<'s> {
    fn new(socket: &'s UnixStream) -> Self {
        Self {
            socket,
            keyring: Keyring::default(),
            seeds: SeedPort::default(),
            answers: Vec::with_capacity(ANSWERS_BYTES),
            signature: Vec::with_capacity(64),
        }
    }

    /// Never inlined, so that all that signing leaves on the stack lies below [`serve`]'s frame.
    #[inline(never)]
    fn answer_all(&mut self, inbox: &mut Inbox) -> Result<(), KeeperError> {
        while let Some(frame) = inbox.take()? {
            if self.answers.len().saturating_add(LONGEST_ANSWER_BYTES) > ANSWERS_BYTES {
                self.send(&[])?;
            }
            self.answer(ToKeeper::decode(frame)?)?;
        }
        self.send(&[])
    }

    fn answer(&mut self, question: ToKeeper<'_>) -> Result<(), KeeperError> {
        match question {
            ToKeeper::Sign { job, slot, secret_at, message } => self.sign(job, slot, secret_at, message),
            ToKeeper::Load { job, slot, spec, context, envelope } => {
                let loaded = self.load(job, slot, &spec, context, envelope);
                zeroize_stack::<SECRET_STACK_BYTES>();
                self.done_or_refused(job, loaded);
            }
            ToKeeper::Seal { job, spec, context, secret, passphrase } => {
                let nonce = Nonce::random()?;
                let sealed = self.seal(nonce, job, &spec, context, secret, passphrase);
                zeroize_stack::<SECRET_STACK_BYTES>();
                match sealed {
                    Ok(envelope) => {
                        FromKeeper::Sealed { job, envelope: &envelope }.encode(&mut self.answers);
                    }
                    Err(refusal) => self.done_or_refused(job, Err(refusal)),
                }
            }
            ToKeeper::Forget { job, slot } => {
                self.keyring.forget(slot);
                self.done_or_refused(job, Ok(()));
            }
            ToKeeper::ForgetAll { job } => {
                self.keyring.forget_all();
                self.seeds = SeedPort::default();
                self.done_or_refused(job, Ok(()));
            }
            ToKeeper::OpenSeedPort { job } => return self.open_seed_port(job),
        }
        Ok(())
    }

    fn done_or_refused(&mut self, job: u64, outcome: Result<(), Refusal>) {
        match outcome {
            Ok(()) => FromKeeper::Done { job },
            Err(refusal) => FromKeeper::Refused { job, refusal },
        }
        .encode(&mut self.answers);
    }

    /// Allocates nothing for an HMAC: both buffers are kept.
    fn sign(&mut self, job: u64, slot: u32, secret_at: Option<u32>, message: &[u8]) {
        self.signature.clear();
        let signed = self.keyring.key(slot).and_then(|key| {
            key.sign(message, secret_at, &mut self.signature)?;
            Ok(key.released_passphrase())
        });
        match signed {
            Ok(passphrase) => FromKeeper::Signature { job, signature: &self.signature, passphrase },
            Err(refusal) => FromKeeper::Refused { job, refusal },
        }
        .encode(&mut self.answers);
    }

    /// Never inlined, so that the copies of the seed that moving it leaves lie below the caller's
    /// frame, which the caller wipes.
    #[inline(never)]
    fn load(
        &mut self,
        job: u64,
        slot: u32,
        spec: &KeySpec,
        context: &[u8],
        envelope: &[u8],
    ) -> Result<(), Refusal> {
        // Before all else, so that a seed is used up whatever comes of it.
        let seed = self.seeds.take(job)?;
        self.keyring.keep(slot, envelope::open(&seed, spec, context, envelope)?)
    }

    /// Never inlined, as [`load`](Self::load).
    #[inline(never)]
    fn seal(
        &mut self,
        nonce: Nonce,
        job: u64,
        spec: &KeySpec,
        context: &[u8],
        secret: OwnedFd,
        passphrase: Option<OwnedFd>,
    ) -> Result<Vec<u8>, Refusal> {
        let seed = self.seeds.take(job);
        let secret = SecretText::read(secret)?;
        let passphrase = passphrase.map(PassphraseText::read).transpose()?;
        let passphrase = passphrase.as_ref().map(PassphraseText::as_bytes);
        envelope::seal(nonce, &seed?, spec, context, secret.as_bytes(), passphrase)
    }

    fn open_seed_port(&mut self, job: u64) -> Result<(), KeeperError> {
        // A send carries its descriptors with its first byte, so what waits goes first.
        self.send(&[])?;
        let pipe = self.seeds.open().map_err(KeeperError::SeedPort)?;
        let answer = FromKeeper::SeedPort { job, pipe };
        answer.encode(&mut self.answers);
        // The front must hold the only write end: dropping the answer closes this one.
        self.send(&answer.descriptors())
    }

    /// Sends what waits. A front that has gone is found by the next receive.
    fn send(&mut self, descriptors: &[BorrowedFd<'_>]) -> Result<(), KeeperError> {
        let sent = frame::send_all(self.socket, &self.answers, descriptors);
        self.answers.clear();
        match sent {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(KeeperError::Socket(error)),
            _ => Ok(()),
        }
    }
}
