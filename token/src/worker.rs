//! The wire: takes questions in order, answers each, and ends with the front.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use strongroom_link::Malformed;
use strongroom_link::frame::{self, Inbox};
use strongroom_link::seed::Sender;
use strongroom_link::token::{
    Anchor, FromToken, GREETING_JOB, KekId, Protection, Rung, SigningKey, ToToken, TokenDescription,
    TokenRefusal,
};
use strongroom_locked::SharedPage;
use strongroom_locked::memory::{Depth, Memory, WeakMemory, whole};

use crate::module::Module;
use crate::protect::{full_instead, memory_refusal};
use crate::token::Token;
use crate::watch::Seen;

/// Why the worker stops before its front does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// The front sent what is no question. Nothing after it can be trusted.
    #[error("refusing to go on")]
    Malformed(#[source] Malformed),
    /// The socket gave an error that is no end.
    #[error("the socket to the front broke")]
    Socket(#[source] io::Error),
}

/// Greets one front, serves it until it closes the socket, and leaves the module finalised. Whatever calls the
/// module runs on the secret stack.
///
/// Blocks for as long as the module blocks.
///
/// # Errors
/// [`Broken`]; the process should end in either case.
pub fn serve(socket: &UnixStream, mut memory: Memory, guarded: bool) -> Result<(), Broken> {
    let weak = if memory.is_secret() { WeakMemory::Refused } else { WeakMemory::Allowed };
    let protection = Protection { secret_memory: memory.is_secret(), guarded };
    let mut worker = Worker { weak, module: None, token: None, seeds: None, seen: None };
    let served = worker.greet(socket, protection).and_then(|()| worker.serve(socket, &mut memory));
    memory.run(Depth::Whole, || worker.unload());
    served
}

struct Worker {
    weak: WeakMemory,
    module: Option<Rc<Module>>,
    token: Option<Token>,
    seeds: Option<Sender<SharedPage>>,
    seen: Option<Seen>,
}

impl Worker {
    fn greet(&self, socket: &UnixStream, protection: Protection) -> Result<(), Broken> {
        let mut answer = Vec::new();
        FromToken::Ready { job: GREETING_JOB, protection }.encode(&mut answer);
        match frame::send_all(socket, &answer, &[]) {
            Err(error) if !is_end(&error) => Err(Broken::Socket(error)),
            _ => Ok(()),
        }
    }

    fn serve(&mut self, socket: &UnixStream, memory: &mut Memory) -> Result<(), Broken> {
        let mut inbox = Inbox::default();
        let mut answer = Vec::new();
        loop {
            match inbox.receive(socket) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if is_end(&error) => return Ok(()),
                Err(error) => return Err(Broken::Socket(error)),
            }
            while let Some(frame) = inbox.take().map_err(Broken::Malformed)? {
                let question = ToToken::decode(frame).map_err(Broken::Malformed)?;
                answer.clear();
                memory.run(Depth::Whole, || self.answer(question, &mut answer));
                match frame::send_all(socket, &answer, &[]) {
                    Ok(()) => {}
                    Err(error) if is_end(&error) => return Ok(()),
                    Err(error) => return Err(Broken::Socket(error)),
                }
            }
        }
    }

    /// Answers one question, as a frame in `out`.
    fn answer(&mut self, question: ToToken<'_>, out: &mut Vec<u8>) {
        let job = question.job();
        // What an earlier question wanted too much of is no reason for what fails now.
        whole::forget_full();
        match self.attempt(question) {
            Ok(Outcome::Anchored(anchor)) => FromToken::Anchored { job, anchor }.encode(out),
            Ok(Outcome::Done) => FromToken::Done { job }.encode(out),
            Ok(Outcome::Kek(id)) => FromToken::Kek { job, id }.encode(out),
            Ok(Outcome::Probed(rung)) => FromToken::Probed { job, rung }.encode(out),
            Ok(Outcome::Protected(blob)) => FromToken::Protected { job, blob: &blob }.encode(out),
            Ok(Outcome::Signed(signature)) => FromToken::Signed { job, signature: &signature }.encode(out),
            Ok(Outcome::SigningKey(key)) => FromToken::SigningKey { job, key }.encode(out),
            Ok(Outcome::Tokens(tokens)) => FromToken::Tokens { job, tokens }.encode(out),
            Err(refusal) => FromToken::Refused { job, refusal: full_instead(refusal) }.encode(out),
        }
    }

    fn attempt(&mut self, question: ToToken<'_>) -> Result<Outcome, TokenRefusal> {
        Ok(match question {
            ToToken::Anchor { job: _, label, anchor } => {
                self.open()?.anchor(label, &anchor)?;
                Outcome::Done
            }
            ToToken::Anchored { job: _, label, id } => Outcome::Anchored(self.open()?.anchored(label, &id)?),
            ToToken::FindKek { job: _, label, id } => {
                Outcome::Kek(self.open()?.find_kek(label, id.as_ref())?)
            }
            ToToken::Look { job: _, module, serial, label } => {
                self.look(module, serial, label)?;
                Outcome::Done
            }
            ToToken::MakeKek { job: _, label } => Outcome::Kek(self.open()?.make_kek(label)?),
            ToToken::Open { job: _, module, serial, label, pin, final_try, seed_port } => {
                self.close();
                let module = self.load(module)?;
                self.token = Some(Token::open(module, serial, label, pin.as_ref(), final_try)?);
                self.seeds = seed_port.map(|port| seed_port_of(port, self.weak)).transpose()?;
                Outcome::Done
            }
            ToToken::Probe { job: _, kek, only } => Outcome::Probed(self.open()?.probe(&kek, only)?),
            ToToken::Protect { job, kek, rung } => {
                let (token, seeds) = self.open_with_port()?;
                let (seed, blob) = token.protect(&kek, rung)?;
                seeds.send(job, &seed).map_err(|_| TokenRefusal::SeedPort)?;
                Outcome::Protected(blob)
            }
            ToToken::Sign { job: _, label, digest } => Outcome::Signed(self.open()?.sign(label, &digest)?),
            ToToken::SigningKey { job: _, label, make } => {
                Outcome::SigningKey(self.open()?.signing_key(label, make)?)
            }
            ToToken::Tokens { job: _, module } => Outcome::Tokens(self.load(module)?.tokens()?),
            ToToken::Unprotect { job, kek, rung, blob } => {
                let (token, seeds) = self.open_with_port()?;
                let seed = token.unprotect(&kek, rung, blob)?;
                seeds.send(job, &seed).map_err(|_| TokenRefusal::SeedPort)?;
                Outcome::Done
            }
        })
    }

    fn look(&mut self, path: &str, serial: &str, label: &str) -> Result<(), TokenRefusal> {
        if let Some(mut seen) = self.seen.take().filter(|seen| seen.is(path, serial, label)) {
            seen.look_again()?;
            self.seen = Some(seen);
        } else {
            self.seen = Some(Seen::find(self.load(path)?, serial, label)?);
        }
        Ok(())
    }

    fn open(&mut self) -> Result<&mut Token, TokenRefusal> {
        self.token.as_mut().ok_or(TokenRefusal::NotOpen)
    }

    fn open_with_port(&mut self) -> Result<(&mut Token, &mut Sender<SharedPage>), TokenRefusal> {
        let token = self.token.as_mut().ok_or(TokenRefusal::NotOpen)?;
        let seeds = self.seeds.as_mut().ok_or(TokenRefusal::SeedPort)?;
        Ok((token, seeds))
    }

    /// The module at that path: the one that is loaded, or a new one in its place.
    fn load(&mut self, path: &str) -> Result<Rc<Module>, TokenRefusal> {
        if let Some(module) = self.module.as_ref().filter(|module| module.path() == path) {
            return Ok(Rc::clone(module));
        }
        self.unload();
        let module = Rc::new(Module::load(path)?);
        self.module = Some(Rc::clone(&module));
        Ok(module)
    }

    fn close(&mut self) {
        self.seeds = None;
        self.seen = None;
        if let Some(token) = self.token.take() {
            token.close();
        }
    }

    fn unload(&mut self) {
        self.close();
        if let Some(module) = self.module.take() {
            module.finalize();
        }
    }
}

/// What an answer tells beside its job.
enum Outcome {
    Anchored(Option<Anchor>),
    Done,
    Kek(KekId),
    Probed(Rung),
    Protected(Vec<u8>),
    Signed(Vec<u8>),
    SigningKey(Option<SigningKey>),
    Tokens(Vec<TokenDescription>),
}

/// Makes the page on which seeds are handed over, and gives it to the keeper.
fn seed_port_of(port: OwnedFd, weak: WeakMemory) -> Result<Sender<SharedPage>, TokenRefusal> {
    let (page, file) = SharedPage::make(weak).map_err(|error| memory_refusal(&error))?;
    Sender::begin(port, page, file).map_err(|_| TokenRefusal::SeedPort)
}

/// Whether an error only says that the front is gone.
fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}
