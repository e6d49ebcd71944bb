//! The front's end of one token worker: one task, then it is ended.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use strongroom_link::frame::{self, Inbox};
use strongroom_link::token::{
    ALLOW_WEAK_MEMORY, Anchor, AnchorId, FromToken, GREETING_JOB, KekId, Protection, Rung, SigningKey,
    ToToken, TokenDescription, TokenRefusal,
};
use tokio::io::Interest;
use tokio::time::timeout;

use super::CrewError;
use super::spawn::{self, Dropped, GREETING, Helper};
use crate::config::{Config, Patience, TokenConfig};

const WHO: &str = "token worker";
const PROGRAM: &str = "strongroom-token";
/// How long a process that has closed its socket may take to its end. On a busy machine its guard, which must take note
/// of that first, may have to wait for its turn.
const LAST_WORD: Duration = Duration::from_secs(5);

/// Whose PIN goes to the token.
#[derive(Debug)]
pub(crate) struct Login {
    /// Gives the PIN and then ends; nobody in this process reads it. Without one a person enters it on the
    /// token's pad.
    pub(crate) pin: Option<OwnedFd>,
    /// A person has said that the last try before the token locks may be spent.
    pub(crate) final_try: bool,
}

/// A running token worker. Dropping it ends the token's session, and the process: not by a kill, which may
/// hit the module while it writes to its token.
#[derive(Debug)]
pub(crate) struct TokenWorker {
    helper: Helper,
    inbox: Inbox,
    next_job: u64,
    /// How long one question may take. A card that makes a key or checks a PIN needs seconds; a module
    /// that hangs is ended after this.
    patience: Duration,
    /// What protects it, as it has measured itself.
    protection: Protection,
}

impl TokenWorker {
    /// Starts a worker whose environment is `environment` and nothing else, and waits until it is ready.
    pub(crate) async fn start(
        environment: &BTreeMap<String, String>,
        patience: Patience,
        allow_weak_memory: bool,
    ) -> Result<Self, CrewError> {
        let arguments: &[_] = if allow_weak_memory { &[ALLOW_WEAK_MEMORY] } else { &[] };
        // Its own questions are numbered from the top, so that they never meet the numbers of seeds,
        // which are the keeper's jobs.
        let mut worker = Self {
            helper: spawn::start(WHO, PROGRAM, arguments, environment, Dropped::LetEnd)?,
            inbox: Inbox::default(),
            next_job: 1 << 63,
            patience: patience.into(),
            // Nothing is known yet, so nothing is claimed.
            protection: Protection { secret_memory: false, guarded: false },
        };
        let greeting = worker.answer(GREETING_JOB, |answer| match answer {
            FromToken::Ready { protection, .. } => Some(protection),
            _ => None,
        });
        match timeout(GREETING, greeting).await {
            Ok(protection) => worker.protection = protection.inspect(|told| report(*told))?,
            Err(_) => {
                spawn::kill(&worker.helper.process);
                return Err(CrewError::Late { who: WHO, after: GREETING });
            }
        }
        Ok(worker)
    }

    /// What protects it, as it has measured itself when it started.
    pub(crate) const fn protection(&self) -> Protection {
        self.protection
    }

    /// What the configured token says about itself. Costs no try.
    pub(crate) async fn describe(&mut self, config: &TokenConfig) -> Result<TokenDescription, CrewError> {
        let tokens = self.tokens(&config.module.to_string_lossy()).await?;
        let is_it = |token: &&TokenDescription| token.serial == config.serial && token.label == config.label;
        tokens.iter().find(is_it).cloned().ok_or_else(|| {
            let present: Vec<_> = tokens.iter().map(ToString::to_string).collect();
            let present = if present.is_empty() { "none".to_owned() } else { present.join(", ") };
            let (label, serial) = (config.label.clone(), config.serial.clone());
            CrewError::Token(TokenRefusal::TokenAbsent { label, serial, present })
        })
    }

    /// The initialised tokens that `module` shows.
    pub(crate) async fn tokens(&mut self, module: &str) -> Result<Vec<TokenDescription>, CrewError> {
        let job = self.job();
        self.ask(ToToken::Tokens { job, module }, |answer| match answer {
            FromToken::Tokens { tokens, .. } => Some(tokens),
            _ => None,
        })
        .await
    }

    /// Finds the configured token by serial and label, and logs in. Without a PIN it waits for the person at
    /// the pad, whom the reader gives half a minute.
    pub(crate) async fn open(
        &mut self,
        module: &str,
        serial: &str,
        label: &str,
        login: Login,
        seed_port: Option<OwnedFd>,
    ) -> Result<(), CrewError> {
        let (job, Login { pin, final_try }) = (self.job(), login);
        let patience = if pin.is_some() { self.patience } else { Patience::most() };
        let question = ToToken::Open { job, module, serial, label, pin, final_try, seed_port };
        self.ask_within(patience, question, done).await
    }

    /// Looks whether the token is there. No PIN, no login.
    pub(crate) async fn look(&mut self, token: &TokenConfig) -> Result<(), CrewError> {
        let (job, module) = (self.job(), token.module.to_string_lossy());
        let TokenConfig { serial, label, .. } = token;
        self.ask(ToToken::Look { job, module: &module, serial, label }, done).await
    }

    /// Makes a KEK.
    pub(crate) async fn make_kek(&mut self, label: &str) -> Result<KekId, CrewError> {
        let job = self.job();
        self.ask(ToToken::MakeKek { job, label }, kek).await
    }

    /// Finds the KEK and has its attributes read back.
    pub(crate) async fn find_kek(&mut self, label: &str, id: Option<KekId>) -> Result<KekId, CrewError> {
        let job = self.job();
        self.ask(ToToken::FindKek { job, label, id }, kek).await
    }

    /// Has the token remember a state of floors.
    pub(crate) async fn anchor(&mut self, label: &str, anchor: Anchor) -> Result<(), CrewError> {
        let job = self.job();
        self.ask(ToToken::Anchor { job, label, anchor }, done).await
    }

    /// The newest state of floors that the token remembers.
    pub(crate) async fn anchored(&mut self, label: &str, id: AnchorId) -> Result<Option<Anchor>, CrewError> {
        let job = self.job();
        self.ask(ToToken::Anchored { job, label, id }, |answer| match answer {
            FromToken::Anchored { anchor, .. } => Some(anchor),
            _ => None,
        })
        .await
    }

    /// The public half of the token's own signing key; made where there is none, if that is wanted.
    pub(crate) async fn signing_key(
        &mut self,
        label: &str,
        make: bool,
    ) -> Result<Option<SigningKey>, CrewError> {
        let job = self.job();
        self.ask(ToToken::SigningKey { job, label, make }, |answer| match answer {
            FromToken::SigningKey { key, .. } => Some(key),
            _ => None,
        })
        .await
    }

    /// Has the token sign a SHA-256 digest with its own signing key.
    pub(crate) async fn sign(&mut self, label: &str, digest: [u8; 32]) -> Result<Vec<u8>, CrewError> {
        let job = self.job();
        self.ask(ToToken::Sign { job, label, digest }, |answer| match answer {
            FromToken::Signed { signature, .. } => Some(signature.to_vec()),
            _ => None,
        })
        .await
    }

    /// Finds out which rung works.
    pub(crate) async fn probe(&mut self, kek: KekId, only: Option<Rung>) -> Result<Rung, CrewError> {
        let job = self.job();
        self.ask(ToToken::Probe { job, kek, only }, |answer| match answer {
            FromToken::Probed { rung, .. } => Some(rung),
            _ => None,
        })
        .await
    }

    /// Makes a seed, sends it to the keeper under the number `job`, and gives it protected.
    pub(crate) async fn protect(&mut self, job: u64, kek: KekId, rung: Rung) -> Result<Vec<u8>, CrewError> {
        self.ask(ToToken::Protect { job, kek, rung }, |answer| match answer {
            FromToken::Protected { blob, .. } => Some(blob.to_vec()),
            _ => None,
        })
        .await
    }

    /// Recovers a seed and sends it to the keeper under the number `job`.
    pub(crate) async fn unprotect(
        &mut self,
        job: u64,
        kek: KekId,
        rung: Rung,
        blob: &[u8],
    ) -> Result<(), CrewError> {
        self.ask(ToToken::Unprotect { job, kek, rung, blob }, done).await
    }

    /// Ends the worker: its socket is closed, so that it logs out, and it is killed if it does not end.
    pub(crate) async fn end(self) {
        let Helper { socket, mut process } = self.helper;
        drop(socket);
        // It gives itself two seconds.
        if timeout(Duration::from_secs(3), process.wait()).await.is_err() {
            tracing::warn!("the token worker did not end by itself and was killed");
            // What the kernel itself does not let go of is left behind.
            spawn::kill(&process);
            let _ = timeout(Duration::from_secs(1), process.wait()).await;
        }
    }

    fn job(&mut self) -> u64 {
        self.next_job = self.next_job.wrapping_add(1);
        self.next_job
    }

    /// One question, one answer. After an error the worker is of no more use.
    async fn ask<T>(
        &mut self,
        question: ToToken<'_>,
        pick: impl FnOnce(FromToken<'_>) -> Option<T>,
    ) -> Result<T, CrewError> {
        self.ask_within(self.patience, question, pick).await
    }

    async fn ask_within<T>(
        &mut self,
        patience: Duration,
        question: ToToken<'_>,
        pick: impl FnOnce(FromToken<'_>) -> Option<T>,
    ) -> Result<T, CrewError> {
        match timeout(patience, self.exchange(question, pick)).await {
            Ok(answer) => answer,
            Err(_) => {
                spawn::kill(&self.helper.process);
                Err(CrewError::Late { who: WHO, after: patience })
            }
        }
    }

    async fn exchange<T>(
        &mut self,
        question: ToToken<'_>,
        pick: impl FnOnce(FromToken<'_>) -> Option<T>,
    ) -> Result<T, CrewError> {
        let asked = question.job();
        let mut frame = Vec::new();
        question.encode(&mut frame);
        let mut bytes = frame.as_slice();
        let mut descriptors = question.descriptors();
        let socket = &self.helper.socket;
        while !bytes.is_empty() {
            match socket.async_io(Interest::WRITABLE, || frame::send(socket, bytes, &descriptors)).await {
                Ok(sent) => {
                    bytes = bytes.get(sent..).unwrap_or_default();
                    descriptors.clear();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(self.ended().await),
            }
        }
        // The PIN and the port for seeds are the worker's now.
        drop(descriptors);
        drop(question);
        self.answer(asked, pick).await
    }

    /// Waits for the answer to the question `asked`.
    async fn answer<T>(
        &mut self,
        asked: u64,
        pick: impl FnOnce(FromToken<'_>) -> Option<T>,
    ) -> Result<T, CrewError> {
        loop {
            let malformed = |source| CrewError::Malformed { who: WHO, source };
            if let Some(frame) = self.inbox.take().map_err(malformed)? {
                return match FromToken::decode(frame).map_err(malformed)? {
                    answer if answer.job() != asked => Err(CrewError::OutOfStep { who: WHO }),
                    FromToken::Refused { refusal, .. } => Err(CrewError::Token(refusal)),
                    answer => pick(answer).ok_or(CrewError::OutOfStep { who: WHO }),
                };
            }
            let socket = &self.helper.socket;
            let inbox = &mut self.inbox;
            match socket.async_io(Interest::READABLE, || inbox.receive(socket)).await {
                Ok(0) => return Err(self.ended().await),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(self.ended().await),
            }
        }
    }

    /// What is known about a worker that has closed its socket.
    async fn ended(&mut self) -> CrewError {
        let status = timeout(LAST_WORD, self.helper.process.wait()).await;
        let detail = status.ok().and_then(Result::ok).map(|status| status.to_string());
        CrewError::Ended { who: WHO, detail }
    }
}

/// Starts a worker for the configured token.
pub(crate) async fn start_configured(config: &Config) -> Result<TokenWorker, CrewError> {
    let Config { token, agent, audit: _, alert: _, venue_skew_ms: _ } = config;
    TokenWorker::start(&token.environment, token.patience_s, agent.danger_allow_weak_memory).await
}

/// What the configured token says about itself. Costs no try.
pub(crate) async fn look(config: &Config) -> Result<TokenDescription, CrewError> {
    let mut worker = start_configured(config).await?;
    let token = worker.describe(&config.token).await?;
    worker.end().await;
    Ok(token)
}

/// Logs what protects a worker, and warns of what does not.
fn report(protection: Protection) {
    let Protection { secret_memory, guarded } = protection;
    tracing::info!(secret_memory, guarded, "the token worker is ready");
    if !secret_memory {
        tracing::warn!(
            "root can read the PIN and the seeds: this kernel has no memfd_secret, and the configuration allows it"
        );
    }
    if !guarded {
        tracing::warn!(
            "the token worker has no guard, because tracing is forbidden here: root can read its registers"
        );
    }
}

fn done(answer: FromToken<'_>) -> Option<()> {
    matches!(answer, FromToken::Done { .. }).then_some(())
}

fn kek(answer: FromToken<'_>) -> Option<KekId> {
    match answer {
        FromToken::Kek { id, .. } => Some(id),
        _ => None,
    }
}
