//! What the front does, as far as a test of the keeper needs it.

use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use strongroom_link::frame::{self, Inbox};
use strongroom_link::keeper::{FromKeeper, GREETING_JOB, Protection, Refusal, ToKeeper};
use strongroom_link::key::{Algorithm, Domains, KeySpec, PassphraseUse, SecretForm};
use strongroom_link::seed::{Seed, Sender};
use strongroom_locked::SharedPage;
use strongroom_locked::memory::WeakMemory;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_strongroom-keeper");
pub(crate) const CONTEXT: &[u8] = b"binance-main";
pub(crate) const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiPqh3e3UZjInClVN65XAbvqqM6A7H5fATj";

pub(crate) const SPEC: KeySpec = KeySpec {
    algorithm: Algorithm::HmacSha256,
    form: SecretForm::Utf8,
    passphrase: PassphraseUse::Absent,
    min_bytes: 1,
    max_bytes: 128,
    domains: Domains::NONE,
};

/// A keeper that hangs fails the test instead of hanging it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An answer that owns what it holds.
#[derive(Debug)]
pub(crate) enum Answer {
    Done(u64),
    Forgotten(u64, u64),
    Ready(u64, Protection),
    PublicKey(u64, [u8; 32]),
    Refused(u64, Refusal),
    Sealed(u64, Vec<u8>),
    SeedPort(u64, OwnedFd),
    Signature(u64, Vec<u8>, Vec<u8>),
}

/// A keeper process and this end of its socket.
pub(crate) struct Keeper {
    process: Child,
    socket: UnixStream,
    inbox: Inbox,
    last_job: u64,
}

impl Keeper {
    /// Starts the real binary as the front does, and hears its greeting.
    pub(crate) fn start() -> Self {
        let (keeper, protection) = Self::try_start(&[], |_| {}).expect("the keeper is ready");
        assert!(protection.secret_memory, "this kernel has no memfd_secret");
        assert!(protection.guarded, "tracing is forbidden here");
        keeper
    }

    /// The same with other arguments, and with `change` made to the command.
    pub(crate) fn try_start(
        arguments: &[&str],
        change: impl FnOnce(&mut Command),
    ) -> Result<(Self, Protection), (Refusal, Output)> {
        let mut keeper = Self::spawn(arguments, change);
        match keeper.answer() {
            Answer::Ready(GREETING_JOB, protection) => Ok((keeper, protection)),
            Answer::Refused(GREETING_JOB, refusal) => Err((refusal, keeper.ended())),
            other => panic!("{other:?}"),
        }
    }

    /// Starts it and hears nothing yet.
    pub(crate) fn spawn(arguments: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let (socket, theirs) = UnixStream::pair().expect("a socket pair");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut command = Command::new(BINARY);
        command
            .args(arguments)
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        change(&mut command);
        let process = command.spawn().expect("the keeper starts");
        Self { process, socket, inbox: Inbox::default(), last_job: 0 }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn next_job(&mut self) -> u64 {
        self.last_job += 1;
        self.last_job
    }

    pub(crate) fn send(&self, bytes: &[u8]) {
        frame::send_all(&self.socket, bytes, &[]).expect("the keeper reads");
    }

    /// Sends one question with its descriptors.
    pub(crate) fn put(&self, question: ToKeeper<'_>) {
        let mut bytes = Vec::new();
        question.encode(&mut bytes);
        frame::send_all(&self.socket, &bytes, &question.descriptors()).expect("the keeper reads");
    }

    /// Receives once and gives the number of bytes.
    pub(crate) fn receive(&mut self) -> usize {
        loop {
            match self.inbox.receive(self.socket.as_fd()) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                received => return received.expect("the keeper answers in time"),
            }
        }
    }

    /// An answer that has arrived, if there is one.
    pub(crate) fn arrived(&mut self) -> Option<Answer> {
        let frame = self.inbox.take().expect("whole frames")?;
        Some(match FromKeeper::decode(frame).expect("an answer") {
            FromKeeper::Done { job } => Answer::Done(job),
            FromKeeper::Forgotten { job, left } => Answer::Forgotten(job, left),
            FromKeeper::PublicKey { job, key } => Answer::PublicKey(job, key),
            FromKeeper::Ready { job, protection } => Answer::Ready(job, protection),
            FromKeeper::Refused { job, refusal } => Answer::Refused(job, refusal),
            FromKeeper::Sealed { job, envelope } => Answer::Sealed(job, envelope.to_vec()),
            FromKeeper::SeedPort { job, socket } => Answer::SeedPort(job, socket),
            FromKeeper::Signature { job, signature, passphrase } => {
                Answer::Signature(job, signature.to_vec(), passphrase.to_vec())
            }
        })
    }

    /// The next answer.
    pub(crate) fn answer(&mut self) -> Answer {
        loop {
            if let Some(answer) = self.arrived() {
                return answer;
            }
            assert_ne!(self.receive(), 0, "the keeper has closed its socket");
        }
    }

    pub(crate) fn ask(&mut self, question: ToKeeper<'_>) -> Answer {
        self.put(question);
        self.answer()
    }

    /// Asks what is done or refused.
    pub(crate) fn told(&mut self, question: ToKeeper<'_>) -> Result<(), Refusal> {
        match self.ask(question) {
            Answer::Done(_) => Ok(()),
            Answer::Refused(_, refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn open_seed_port(&mut self) -> Port {
        worker(self.seed_socket())
    }

    /// What the front gets of a new seed port.
    pub(crate) fn seed_socket(&mut self) -> OwnedFd {
        let job = self.next_job();
        match self.ask(ToKeeper::OpenSeedPort { job }) {
            Answer::SeedPort(answered, socket) if answered == job => socket,
            other => panic!("{other:?}"),
        }
    }

    /// Seals with a seed for the right job, as the front and a token worker would.
    pub(crate) fn seal(
        &mut self,
        port: &mut Port,
        spec: KeySpec,
        secret: OwnedFd,
        passphrase: Option<OwnedFd>,
    ) -> Result<Vec<u8>, Refusal> {
        let job = self.next_job();
        port.send(job, &record_seed()).expect("the keeper holds the port");
        match self.ask(ToKeeper::Seal { job, spec, context: CONTEXT, secret, passphrase }) {
            Answer::Sealed(answered, envelope) if answered == job => Ok(envelope),
            Answer::Refused(answered, refusal) if answered == job => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn load(
        &mut self,
        port: &mut Port,
        slot: u32,
        spec: KeySpec,
        envelope: &[u8],
    ) -> Result<(), Refusal> {
        let job = self.next_job();
        port.send(job, &record_seed()).expect("the keeper holds the port");
        self.told(ToKeeper::Load { job, slot, spec, context: CONTEXT, envelope })
    }

    /// Seals [`CONTEXT`]'s secret anew for `context` under `seed`.
    pub(crate) fn reseal(
        &mut self,
        port: &mut Port,
        envelope: &[u8],
        seed: &Seed,
        context: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        let (from_job, job) = (self.next_job(), self.next_job());
        port.send(from_job, &record_seed()).expect("the keeper holds the port");
        port.send(job, seed).expect("the keeper holds the port");
        let from_context = CONTEXT;
        self.resealed(ToKeeper::Reseal { job, from_job, spec: SPEC, from_context, context, envelope })
    }

    /// What is answered to a [`ToKeeper::Reseal`].
    pub(crate) fn resealed(&mut self, question: ToKeeper<'_>) -> Result<Vec<u8>, Refusal> {
        let job = question.job();
        match self.ask(question) {
            Answer::Sealed(answered, envelope) if answered == job => Ok(envelope),
            Answer::Refused(answered, refusal) if answered == job => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    /// The signature and what of the passphrase goes with it.
    /// Derives a key from a seed; gives its public half.
    pub(crate) fn derive(
        &mut self,
        port: &mut Port,
        seed: &Seed,
        slot: u32,
        context: &[u8],
    ) -> Result<[u8; 32], Refusal> {
        let job = self.next_job();
        port.send(job, seed).expect("a seed");
        match self.ask(ToKeeper::Derive { job, slot, context }) {
            Answer::PublicKey(answered, key) if answered == job => Ok(key),
            Answer::Refused(answered, refusal) if answered == job => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn sign(&mut self, slot: u32, message: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
        self.sign_at(slot, None, message)
    }

    /// The same for an algorithm that hashes the secret with the message, here before it.
    pub(crate) fn sign_with_secret(
        &mut self,
        slot: u32,
        message: &[u8],
    ) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
        self.sign_at(slot, Some(0), message)
    }

    fn sign_at(
        &mut self,
        slot: u32,
        secret_at: Option<u32>,
        message: &[u8],
    ) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
        let job = self.next_job();
        match self.ask(ToKeeper::Sign { job, slot, secret_at, message }) {
            Answer::Signature(answered, signature, passphrase) if answered == job => {
                Ok((signature, passphrase))
            }
            Answer::Refused(answered, refusal) if answered == job => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    /// Has it forget everything and end, and gives how many bytes were not wiped.
    pub(crate) fn forget_all(mut self) -> u64 {
        let job = self.next_job();
        let left = match self.ask(ToKeeper::ForgetAll { job }) {
            Answer::Forgotten(answered, left) if answered == job => left,
            other => panic!("{other:?}"),
        };
        let output = self.ended();
        assert!(output.status.success(), "{output:?}");
        left
    }

    /// Waits for the process to end by itself, leaving the socket open.
    pub(crate) fn ended(self) -> Output {
        let output = self.process.wait_with_output().expect("an exit code");
        drop(self.socket);
        output
    }

    /// Closes the socket and waits.
    pub(crate) fn hang_up(self) -> Output {
        drop(self.socket);
        self.process.wait_with_output().expect("an exit code")
    }
}

/// The token worker's side of a seed port.
pub(crate) type Port = Sender<SharedPage>;

/// Does with its end of a seed port what a worker does.
pub(crate) fn worker(socket: OwnedFd) -> Port {
    let (page, file) = SharedPage::make(WeakMemory::Refused).expect("a page");
    Sender::begin(socket, page, file).expect("the keeper holds the port")
}

/// The seed of the one record that the tests seal and load.
pub(crate) fn record_seed() -> Seed {
    Seed::new(
        *b"\x9e\x37\x79\xb9\x7f\x4a\x7c\x15\xf3\x9c\xc0\x60\x5c\xed\xc8\x34\
        \x10\x82\x27\x6b\xf3\xa2\x72\x51\xf8\x6c\x6a\x11\xd0\xc1\x8e\x95",
    )
}

/// A pipe that holds `bytes` and has no writer any more.
pub(crate) fn piped(bytes: &[u8]) -> OwnedFd {
    let (read, write) = open_pipe(bytes);
    drop(write);
    read
}

/// A pipe that holds `bytes` and whose writer stays.
pub(crate) fn open_pipe(bytes: &[u8]) -> (OwnedFd, OwnedFd) {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
    assert_eq!(rustix::io::write(&write, bytes).expect("room"), bytes.len());
    (read, write)
}
