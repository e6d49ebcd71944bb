//! The front's end of the keeper: what it can be asked.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socketpair};
use strongroom_link::keeper::{ALLOW_WEAK_MEMORY, Landlock, Protection, ToKeeper};
use strongroom_link::key::KeySpec;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::keeper_link::{Answer, Link, PATIENCE, State, WHO, Waiter, ended};
use super::spawn::{Dropped, GREETING};
use super::{CrewError, spawn};

pub(crate) use super::keeper_link::Signature;

const PROGRAM: &str = "strongroom-keeper";

/// So many signatures are few: their answers are looked for, not waited for.
const FEW: usize = 4;

/// The number of a question that is never sent.
const NO_JOB: u64 = u64::MAX;

/// A signature that was asked for; somebody has to take it.
#[must_use = "an answer that nobody waits for ends the keeper"]
pub(crate) struct SignatureAsked<'a> {
    link: &'a Link,
    /// Absent where the keeper runs no more.
    job: Option<u64>,
    /// The slot and how long the message is, where it takes long.
    slow: Option<(u32, usize)>,
}

impl SignatureAsked<'_> {
    /// Says who takes it.
    pub(crate) fn then(self, deliver: impl FnOnce(Result<Signature<'_>, CrewError>) + 'static) {
        // Who comes while the keeper is ending is told with the others how it did.
        let ending = (self.link.state.get() == State::Ended).then_some(NO_JOB);
        match self.job.or(ending) {
            Some(job) => {
                let waiter = Waiter::Signature(Box::new(deliver));
                match self.slow {
                    Some((slot, message_bytes)) => {
                        self.link.slow.borrow_mut().put(job, slot, message_bytes, waiter);
                    }
                    None => self.link.waiting.borrow_mut().push_back((job, waiter)),
                }
            }
            None => deliver(Err(ended(None))),
        }
    }
}

/// A sealed secret, and what opens it.
pub(crate) struct Sealed<'a> {
    /// The job under which its seed was sent.
    pub(crate) job: u64,
    /// For what it was sealed.
    pub(crate) context: &'a [u8],
    /// The secret, sealed.
    pub(crate) envelope: &'a [u8],
}

/// A running keeper. Clones are the same keeper; it ends when the last is dropped, or by [`end`](Self::end).
#[derive(Clone)]
pub(crate) struct Keeper {
    link: Rc<Link>,
    /// What protects it, as it has measured itself.
    protection: Protection,
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
        // Nothing is known yet, so nothing is claimed.
        let protection = Protection { secret_memory: false, landlock: Landlock::Absent, guarded: false };
        let mut keeper = Self { link: Link::serve(helper, sender, on_end), protection };
        match keeper.answered_within(GREETING, greeting).await? {
            Answer::Ready(protection) => {
                report(protection);
                keeper.protection = protection;
                Ok(keeper)
            }
            _ => Err(CrewError::OutOfStep { who: WHO }),
        }
    }

    /// What protects it, as it has measured itself when it started.
    pub(crate) const fn protection(&self) -> Protection {
        self.protection
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

    /// Has the keeper make a new seed port and gives the token worker's end.
    pub(crate) async fn open_seed_port(&self) -> Result<OwnedFd, CrewError> {
        match self.call(ToKeeper::OpenSeedPort { job: self.job() }).await? {
            Answer::SeedPort(socket) => Ok(socket),
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

    /// Derives a signing key from the seed that was sent under `job`, and gives its public half.
    pub(crate) async fn derive(&self, job: u64, slot: u32, context: &[u8]) -> Result<[u8; 32], CrewError> {
        match self.call(ToKeeper::Derive { job, slot, context }).await? {
            Answer::PublicKey(key) => Ok(key),
            _ => Err(CrewError::OutOfStep { who: WHO }),
        }
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

    /// Opens `record` with the seed that was sent under its job, and seals its secret anew for `context`, under
    /// the seed that was sent under `job`, the later of the two.
    pub(crate) async fn reseal(
        &self,
        spec: KeySpec,
        from: Sealed<'_>,
        job: u64,
        context: &[u8],
    ) -> Result<Vec<u8>, CrewError> {
        let Sealed { job: from_job, context: from_context, envelope } = from;
        match self.call(ToKeeper::Reseal { job, from_job, spec, from_context, context, envelope }).await? {
            Answer::Sealed(envelope) => Ok(envelope),
            _ => Err(CrewError::OutOfStep { who: WHO }),
        }
    }

    /// Has the keeper keep the PIN that this pipe gives, in the place of an older one.
    pub(crate) async fn keep_pin(&self, pin: OwnedFd) -> Result<(), CrewError> {
        // Where it does not keep this one, it does not keep the older one either.
        self.link.pin_kept.set(false);
        self.call(ToKeeper::KeepPin { job: self.job(), pin }).await.and_then(done)?;
        self.link.pin_kept.set(true);
        Ok(())
    }

    /// Whether it has kept a PIN.
    pub(crate) fn keeps_pin(&self) -> bool {
        self.link.pin_kept.get() && !self.link.is_over()
    }

    /// Has the keeper write the PIN into a socket, and gives the other end, which ends behind it. Whoever
    /// gets that can use the token; this process passes it on unread.
    pub(crate) async fn give_pin(&self) -> Result<OwnedFd, CrewError> {
        let made = || -> std::io::Result<_> {
            let (ours, to) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
            shutdown(&ours, Shutdown::Write)?;
            Ok((ours, to))
        };
        let (ours, to) = made().map_err(CrewError::PinDescriptor)?;
        self.call(ToKeeper::GivePin { job: self.job(), to }).await.and_then(done)?;
        Ok(ours)
    }

    /// Has the keeper wipe the PIN that it keeps.
    pub(crate) async fn forget_pin(&self) -> Result<(), CrewError> {
        self.link.pin_kept.set(false);
        self.call(ToKeeper::ForgetPin { job: self.job() }).await.and_then(done)
    }

    /// Forgets one credential.
    pub(crate) async fn forget(&self, slot: u32) -> Result<(), CrewError> {
        self.call(ToKeeper::Forget { job: self.job(), slot }).await.and_then(done)
    }

    /// Forgets everything and ends the process.
    pub(crate) async fn end(&self) -> Result<(), CrewError> {
        self.link.dismissed.set(true);
        if self.link.state.get() == State::Running {
            self.link.state.set(State::Ending);
        }
        let forgotten = self.call(ToKeeper::ForgetAll { job: self.job() }).await.and_then(wiped);
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
        SignatureAsked { link: &self.link, job, slow: None }
    }

    /// The same for a key whose signatures [take long](strongroom_link::key::Algorithm::takes_long).
    pub(crate) fn sign_slowly(&self, slot: u32, message: &[u8]) -> SignatureAsked<'_> {
        SignatureAsked { slow: Some((slot, message.len())), ..self.sign(slot, None, message) }
    }

    /// Whether one more signature that takes long may be asked of this slot; else the keeper would refuse it.
    pub(crate) fn has_room_for_slow(&self, slot: u32) -> bool {
        self.link.slow.borrow().has_room(slot)
    }

    /// Waits until those who have asked this slot for signatures that take long may ask for more.
    pub(crate) async fn has_few_slow(&self, slot: u32) {
        while self.has_many_slow(slot) {
            self.link.drained.notified().await;
        }
    }

    /// Whether those who have asked this slot for signatures that take long are to ask no more.
    pub(crate) fn has_many_slow(&self, slot: u32) -> bool {
        !self.link.is_over() && self.link.slow.borrow().has_many(slot)
    }

    /// Has one message signed, and waits for it.
    pub(crate) async fn signature(&self, slot: u32, message: &[u8]) -> Result<Vec<u8>, CrewError> {
        let (sender, answer) = oneshot::channel();
        self.sign(slot, None, message).then(move |signed| {
            let _ = sender.send(signed.map(|signed| signed.bytes.to_vec()));
        });
        self.link.flush();
        self.answered_within(PATIENCE, answer).await
    }

    /// Sends what is queued, as far as the socket takes it; the rest follows by itself.
    pub(crate) fn flush(&self) {
        self.link.flush();
        let waiting = self.link.waiting.borrow().len();
        if (1..=FEW).contains(&waiting) {
            self.link.linger();
        }
    }

    /// Whether it has fewer questions than `most` to answer.
    pub(crate) fn has_fewer(&self, most: usize) -> bool {
        self.link.has_fewer(most)
    }

    /// Waits until it has fewer questions than `most` to answer, or has answered all that it has now.
    pub(crate) async fn has_room(&self, most: usize) {
        self.link.has_room(most).await;
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
        self.answered_within(PATIENCE, answer).await
    }

    /// Waits for an answer, and ends a keeper that does not give it in time.
    async fn answered_within<T>(
        &self,
        after: Duration,
        answer: oneshot::Receiver<Result<T, CrewError>>,
    ) -> Result<T, CrewError> {
        match timeout(after, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(ended(None)),
            Err(_) => {
                self.link.finish();
                Err(CrewError::Late { who: WHO, after })
            }
        }
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

impl Drop for Keeper {
    fn drop(&mut self) {
        // One clone is this one, the other is that of the task, which lives as long as the process.
        if Rc::strong_count(&self.link) <= 2 {
            self.link.dismissed.set(true);
            self.link.finish();
        }
    }
}

/// What the keeper found when it read its memory back.
fn wiped(answer: Answer) -> Result<(), CrewError> {
    match answer {
        Answer::Forgotten { left: 0 } => {
            tracing::info!("the keeper has wiped its memory and found nothing left");
            Ok(())
        }
        Answer::Forgotten { left } => {
            tracing::error!(left, "the keeper has wiped its memory and found bytes that are not zero");
            Err(CrewError::NotWiped { left })
        }
        _ => Err(CrewError::OutOfStep { who: WHO }),
    }
}

fn done(answer: Answer) -> Result<(), CrewError> {
    match answer {
        Answer::Done => Ok(()),
        _ => Err(CrewError::OutOfStep { who: WHO }),
    }
}
