//! The other end of the worker's socket: what the front and the keeper do, in one test.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::pipe::pipe;
use strongroom_link::frame::{self, Inbox};
use strongroom_link::seed::{self, Arrived, SEED_BYTES};
use strongroom_link::token::{
    Anchor, FromToken, GREETING_JOB, KekId, Protection, Rung, SigningKey, ToToken, TokenDescription,
    TokenRefusal,
};
use strongroom_locked::ForeignPage;
use strongroom_locked::memory::WeakMemory;
use strongroom_softhsm_tests::softhsm::FreshToken;

/// Longer than any answer of a software token takes; a test that waits longer has found a hang.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const WORKER: &str = env!("CARGO_BIN_EXE_strongroom-token");

/// An answer that owns what it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Anchored(Option<Anchor>),
    Done,
    Kek(KekId),
    Probed(Rung),
    Protected(Vec<u8>),
    Ready(Protection),
    Refused(TokenRefusal),
    Signed(Vec<u8>),
    SigningKey(Option<SigningKey>),
    Tokens(Vec<TokenDescription>),
}

/// A running worker, seen from the front; and the keeper's end of the seed port.
pub(crate) struct Front {
    pub(crate) child: Child,
    pub(crate) socket: UnixStream,
    inbox: Inbox,
    job: u64,
    seeds: OwnedFd,
    seed_port: OwnedFd,
    page: ForeignPage,
}

impl Front {
    /// Starts a worker that sees this token and nothing else of the test's environment.
    pub(crate) fn start(token: &FreshToken) -> Self {
        Self::start_with(&[("SOFTHSM2_CONF", token.conf.as_os_str())])
    }

    pub(crate) fn start_with(environment: &[(&str, &OsStr)]) -> Self {
        let (front, protection) = Self::try_start(environment, &[WORKER], |_| {}).unwrap();
        assert_eq!(protection, Protection { secret_memory: true, guarded: true });
        front
    }

    /// The same with this command line, with `change` made to the command.
    pub(crate) fn try_start(
        environment: &[(&str, &OsStr)],
        line: &[&str],
        change: impl FnOnce(&mut Command),
    ) -> Result<(Self, Protection), (TokenRefusal, ExitStatus, String)> {
        let mut front = Self::spawn(environment, line, change);
        match front.answer(GREETING_JOB) {
            Answer::Ready(protection) => Ok((front, protection)),
            Answer::Refused(refusal) => {
                let (status, talk) = front.end();
                Err((refusal, status, talk))
            }
            other => panic!("{other:?}"),
        }
    }

    /// Starts a worker and hears nothing yet.
    pub(crate) fn spawn(
        environment: &[(&str, &OsStr)],
        line: &[&str],
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let (socket, theirs) = UnixStream::pair().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let (program, arguments) = line.split_first().unwrap();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        change(&mut command);
        let child = command.spawn().unwrap();
        let (seeds, seed_port) = seed::pair().unwrap();
        let page = ForeignPage::reserve(WeakMemory::Allowed).unwrap();
        Self { child, socket, inbox: Inbox::default(), job: 0, seeds, seed_port, page }
    }

    /// Asks one question, whose job number `question` is given, and waits for its answer.
    pub(crate) fn ask<'a>(&mut self, question: impl FnOnce(u64) -> ToToken<'a>) -> Answer {
        self.job += 1;
        let question = question(self.job);
        let mut bytes = Vec::new();
        question.encode(&mut bytes);
        frame::send_all(&self.socket, &bytes, &question.descriptors()).unwrap();
        drop(question);
        self.answer(self.job)
    }

    pub(crate) fn answer(&mut self, job: u64) -> Answer {
        loop {
            if let Some(frame) = self.inbox.take().unwrap() {
                let answer = FromToken::decode(frame).unwrap();
                assert_eq!(answer.job(), job);
                return match answer {
                    FromToken::Ready { protection, .. } => Answer::Ready(protection),
                    FromToken::Anchored { anchor, .. } => Answer::Anchored(anchor),
                    FromToken::Done { .. } => Answer::Done,
                    FromToken::Kek { id, .. } => Answer::Kek(id),
                    FromToken::Probed { rung, .. } => Answer::Probed(rung),
                    FromToken::Protected { blob, .. } => Answer::Protected(blob.to_vec()),
                    FromToken::Refused { refusal, .. } => Answer::Refused(refusal),
                    FromToken::Signed { signature, .. } => Answer::Signed(signature.to_vec()),
                    FromToken::SigningKey { key, .. } => Answer::SigningKey(key),
                    FromToken::Tokens { tokens, .. } => Answer::Tokens(tokens),
                };
            }
            assert_ne!(receive(&mut self.inbox, &self.socket), 0, "the worker has ended");
        }
    }

    /// Opens a token with its right PIN.
    pub(crate) fn open(&mut self, token: &FreshToken) -> Answer {
        self.open_as(&token.module, &token.serial, &token.label, token.pin.as_bytes())
    }

    pub(crate) fn open_as(&mut self, module: &Path, serial: &str, label: &str, pin: &[u8]) -> Answer {
        let seed_port = self.seed_port.try_clone().unwrap();
        let module = module.to_str().unwrap();
        let pin = readable(pin);
        let (pin, seed_port) = (Some(pin), Some(seed_port));
        self.ask(|job| ToToken::Open { job, module, serial, label, pin, final_try: false, seed_port })
    }

    pub(crate) fn tokens(&mut self, module: &Path) -> Answer {
        let module = module.to_str().unwrap();
        self.ask(|job| ToToken::Tokens { job, module })
    }

    pub(crate) fn find(&mut self, label: &str, id: Option<KekId>) -> Answer {
        self.ask(|job| ToToken::FindKek { job, label, id })
    }

    /// Makes a KEK, which must succeed.
    pub(crate) fn make(&mut self, label: &str) -> KekId {
        match self.ask(|job| ToToken::MakeKek { job, label }) {
            Answer::Kek(id) => id,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn probe(&mut self, kek: KekId, only: Option<Rung>) -> Answer {
        self.ask(|job| ToToken::Probe { job, kek, only })
    }

    /// Protects a new seed, and gives it as the keeper gets it.
    pub(crate) fn protect(&mut self, kek: KekId, rung: Rung) -> (Vec<u8>, [u8; SEED_BYTES]) {
        match self.ask(|job| ToToken::Protect { job, kek, rung }) {
            Answer::Protected(blob) => (blob, self.seed()),
            other => panic!("{other:?}"),
        }
    }

    /// Recovers the seed of a blob, and gives it as the keeper gets it.
    pub(crate) fn unprotect(
        &mut self,
        kek: KekId,
        rung: Rung,
        blob: &[u8],
    ) -> Result<[u8; SEED_BYTES], TokenRefusal> {
        match self.ask(|job| ToToken::Unprotect { job, kek, rung, blob }) {
            Answer::Done => Ok(self.seed()),
            Answer::Refused(refusal) => {
                assert_eq!(self.waiting(), None, "a refusal sends no seed");
                Err(refusal)
            }
            other => panic!("{other:?}"),
        }
    }

    /// The one seed that has arrived, which must be for the last job.
    fn seed(&mut self) -> [u8; SEED_BYTES] {
        let (job, slot) = self.waiting().unwrap();
        assert_eq!(job, self.job);
        assert_eq!(self.waiting(), None, "one job sends one seed");
        *seed::take(self.page.words().unwrap(), slot, job).unwrap()
    }

    /// The job and the slot of a seed that waits, behind the page that came before the first.
    fn waiting(&mut self) -> Option<(u64, u32)> {
        loop {
            match seed::receive(&self.seeds) {
                Ok(Arrived::Page(file)) => self.page.map(file).unwrap(),
                Ok(Arrived::Seed { job, slot }) => return Some((job, slot)),
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                    return None;
                }
            }
        }
    }

    /// Closes the keeper's end of the seed port, as a keeper does that dies.
    pub(crate) fn lose_the_keeper(&mut self) {
        (self.seeds, self.seed_port) = seed::pair().unwrap();
    }

    /// Closes the socket, and gives how the worker ended and what it wrote to standard error.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        self.socket.shutdown(std::net::Shutdown::Both).unwrap();
        let status = self.child.wait().unwrap();
        let mut talk = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut talk).unwrap();
        (status, talk)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // A test that failed leaves no process behind; one that passed has nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Receives once; a signal that comes meanwhile is no answer.
pub(crate) fn receive(inbox: &mut Inbox, socket: &UnixStream) -> usize {
    loop {
        match inbox.receive(socket) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            received => return received.unwrap(),
        }
    }
}

/// A descriptor that gives these bytes and then ends.
pub(crate) fn readable(bytes: &[u8]) -> OwnedFd {
    let (reader, writer) = pipe().unwrap();
    File::from(writer).write_all(bytes).unwrap();
    reader
}
