//! The part of the keeper that touches secrets. All of it runs on the secret stack.
//!
//! So the seeds that it copies and the secrets that it reads from pipes go straight into secret memory, and so does
//! whatever the algorithms leave behind.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use strongroom_link::keeper::{FromKeeper, Refusal};
use strongroom_link::key::KeySpec;
use strongroom_locked::ForeignPage;

use crate::envelope::{self, Nonce};
use crate::kept_pin::KeptPin;
use crate::key::{LONGEST_SIGNATURE_BYTES, SigningKey};
use crate::keyring::{Found, Keyring};
use crate::looks;
use crate::secret_pipe::{PassphraseText, SecretText};
use crate::seed_port::SeedPort;
use crate::slow::{Queue, Slow};

/// Longest answer: a sealed envelope and the few bytes around it.
const LONGEST_ANSWER_BYTES: usize = envelope::LONGEST_BYTES.next_multiple_of(1024);

/// Answers are sent at the latest when there is no room for one more, so the buffer never grows.
const ANSWERS_BYTES: usize = 64 * 1024;

/// Keys, and what came or waits to go.
pub(crate) struct Vault {
    keyring: Keyring,
    seeds: SeedPort,
    pin: KeptPin,
    /// Answers that were not sent yet; there are passphrases in them.
    pub(crate) answers: Vec<u8>,
    /// Room for one signature.
    signature: Vec<u8>,
    slow: &'static Queue,
}

impl Vault {
    pub(crate) fn new(seed_page: ForeignPage, slow: &'static Queue) -> Self {
        Self {
            keyring: Keyring::roomy(),
            seeds: SeedPort::new(seed_page),
            pin: KeptPin::default(),
            answers: Vec::with_capacity(ANSWERS_BYTES),
            signature: Vec::with_capacity(LONGEST_SIGNATURE_BYTES),
            slow,
        }
    }

    pub(crate) fn has_room_for_an_answer(&self) -> bool {
        self.answers.len().saturating_add(LONGEST_ANSWER_BYTES) <= ANSWERS_BYTES
    }

    /// Allocates nothing for an HMAC: both buffers are kept. A signature that takes long is queued, and answered by
    /// another thread.
    pub(crate) fn sign(&mut self, job: u64, slot: u32, secret_at: Option<u32>, message: &[u8]) {
        let signed = match self.keyring.key(slot) {
            Ok(Found::Quick(key)) => {
                self.signature.clear();
                key.sign(message, secret_at, &mut self.signature).map(|()| key.released_passphrase())
            }
            Ok(Found::Slow(key)) => {
                let slow = Slow { job, slot, secret_at, key: Arc::clone(key) };
                match self.slow.put(slow, message) {
                    Ok(()) => return,
                    Err(refusal) => Err(refusal),
                }
            }
            Err(refusal) => Err(refusal),
        };
        match signed {
            Ok(passphrase) => FromKeeper::Signature { job, signature: &self.signature, passphrase },
            Err(refusal) => FromKeeper::Refused { job, refusal },
        }
        .encode(&mut self.answers);
    }

    pub(crate) fn load(&mut self, job: u64, slot: u32, spec: &KeySpec, context: &[u8], envelope: &[u8]) {
        // Before all else, so that a seed is used up whatever comes of it.
        let loaded = self.seeds.take(job).and_then(|seed| {
            let key = envelope::open(&seed, spec, context, envelope)?;
            self.keyring.keep(slot, key)
        });
        self.done_or_refused(job, loaded);
    }

    pub(crate) fn derive(&mut self, job: u64, slot: u32, context: &[u8]) {
        let derived = self.seeds.take(job).and_then(|seed| {
            let (key, public) = SigningKey::derived(&seed, context)?;
            self.keyring.keep(slot, key)?;
            Ok(public)
        });
        match derived {
            Ok(key) => FromKeeper::PublicKey { job, key }.encode(&mut self.answers),
            Err(refusal) => self.done_or_refused(job, Err(refusal)),
        }
    }

    pub(crate) fn seal(
        &mut self,
        nonce: Nonce,
        job: u64,
        spec: &KeySpec,
        context: &[u8],
        secret: OwnedFd,
        passphrase: Option<OwnedFd>,
    ) {
        let seed = self.seeds.take(job);
        let sealed = || {
            let secret = SecretText::read(secret)?;
            let passphrase = passphrase.map(PassphraseText::read).transpose()?;
            let passphrase = passphrase.as_ref().map(PassphraseText::as_bytes);
            let (seed, secret) = (seed?, secret.as_bytes());
            looks::check(spec, secret)?;
            envelope::seal(nonce, &seed, spec, context, secret, passphrase)
                .map_err(|refusal| looks::instead_of(refusal, spec, secret))
        };
        match sealed() {
            Ok(envelope) => FromKeeper::Sealed { job, envelope: &envelope }.encode(&mut self.answers),
            Err(refusal) => self.done_or_refused(job, Err(refusal)),
        }
    }

    pub(crate) fn reseal(
        &mut self,
        nonce: Nonce,
        (from_job, job): (u64, u64),
        spec: &KeySpec,
        (from_context, context): (&[u8], &[u8]),
        envelope: &[u8],
    ) {
        // Both, whatever comes of the first.
        let (from_seed, seed) = (self.seeds.take(from_job), self.seeds.take(job));
        let resealed = || {
            let opened = envelope::unseal(&from_seed?, spec, from_context, envelope)?;
            envelope::seal(nonce, &seed?, spec, context, opened.secret()?, opened.passphrase()?)
        };
        match resealed() {
            Ok(envelope) => FromKeeper::Sealed { job, envelope: &envelope }.encode(&mut self.answers),
            Err(refusal) => self.done_or_refused(job, Err(refusal)),
        }
    }

    pub(crate) fn forget(&mut self, job: u64, slot: u32) {
        let answers = &mut self.answers;
        self.slow.forget(slot, |job| {
            FromKeeper::Refused { job, refusal: Refusal::SlotEmpty }.encode(answers);
        });
        self.keyring.forget(slot);
        self.done_or_refused(job, Ok(()));
    }

    /// Forgets everything, and gives the number of bytes of the page of seeds that are not zero then.
    pub(crate) fn end(mut self) -> u64 {
        self.seeds.erase()
    }

    pub(crate) fn keep_pin(&mut self, job: u64, pin: OwnedFd) {
        let kept = self.pin.keep(pin);
        self.done_or_refused(job, kept);
    }

    pub(crate) fn give_pin(&mut self, job: u64, to: OwnedFd) {
        let given = self.pin.give(to);
        self.done_or_refused(job, given);
    }

    pub(crate) fn forget_pin(&mut self, job: u64) {
        self.pin.forget();
        self.done_or_refused(job, Ok(()));
    }

    pub(crate) fn refuse_for_lack_of_room(&mut self, job: u64) {
        let limit = self.keyring.held();
        self.done_or_refused(job, Err(Refusal::KeyringFull { limit }));
    }

    pub(crate) fn open_seed_port(&mut self) -> io::Result<OwnedFd> {
        self.seeds.open()
    }

    fn done_or_refused(&mut self, job: u64, outcome: Result<(), Refusal>) {
        match outcome {
            Ok(()) => FromKeeper::Done { job },
            Err(refusal) => FromKeeper::Refused { job, refusal },
        }
        .encode(&mut self.answers);
    }
}
