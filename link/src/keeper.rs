//! What the front asks of the keeper, and what the keeper answers.
//!
//! Every question carries a job number of the front's choice, and its answer carries it back. The
//! keeper answers in the order of the questions, but for signatures that take long: those are in order among
//! themselves, and all others go past them. The first answer comes unasked, for the job
//! [`GREETING_JOB`]: [`FromKeeper::Ready`], or [`FromKeeper::Refused`] before the keeper ends.

mod protection;
mod refusal;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::codec::{Malformed, Reader};
use crate::frame::{self, Frame};
use crate::key::KeySpec;

pub use protection::{Landlock, Protection};
pub use refusal::{KeyKind, Refusal};

/// The job number of the keeper's first answer, which no question has.
pub const GREETING_JOB: u64 = 0;

/// Makes the keeper go on where the kernel has no secret memory.
pub const ALLOW_WEAK_MEMORY: &str = "--allow-weak-memory";

/// Memory that the keeper must be able to lock, the page of seeds included: below the 8 MiB that an ordinary
/// user may lock on most systems, and room for [10,000 keys](Refusal::KeyringFull) all the same.
pub const LOCKED_BYTES: usize = 7 * 1024 * 1024;

/// Longest PIN that is kept, in bytes. Longer than any token takes.
pub const MAX_PIN_BYTES: u16 = 255;

/// Most signatures that take long and wait in the keeper. RSA with 4096 bits takes some milliseconds, so the last of
/// them waits for about two seconds.
pub const SLOW_JOBS: usize = 256;

/// Most of them that wait for one credential.
pub const SLOW_JOBS_OF_ONE: usize = 64;

/// Most bytes of their messages: at least two of the longest.
pub const SLOW_BYTES: usize = 2 * frame::MAX_FRAME_BYTES;

/// A question to the keeper.
#[derive(Debug)]
pub enum ToKeeper<'a> {
    /// Derive an Ed25519 key from the seed that has arrived for this job, and keep it in `slot`. The same seed and
    /// context give the same key. Answer: [`FromKeeper::PublicKey`].
    Derive {
        /// Number of this question, and the tag of the seed.
        job: u64,
        /// Where to keep it; must be empty.
        slot: u32,
        /// What it is for.
        context: &'a [u8],
    },
    /// Forget the credential in `slot`. Answer: [`FromKeeper::Done`], also where the slot is empty. Signatures by
    /// it that wait are answered by [`Refusal::SlotEmpty`] before.
    Forget {
        /// Number of this question.
        job: u64,
        /// Which credential.
        slot: u32,
    },
    /// Forget every credential, wipe all memory, and end. Answer: [`FromKeeper::Forgotten`]. Signatures that wait
    /// are not answered.
    ForgetAll {
        /// Number of this question.
        job: u64,
    },
    /// Wipe the PIN that is kept. Answer: [`FromKeeper::Done`], also where none is.
    ForgetPin {
        /// Number of this question.
        job: u64,
    },
    /// Send the PIN that is kept into a socket, and close that. Answer: [`FromKeeper::Done`].
    GivePin {
        /// Number of this question.
        job: u64,
        /// A unix stream socket, whose other end is for the token worker. Never waited for.
        to: OwnedFd,
    },
    /// Keep the PIN that a descriptor gives, in the place of an older one. Answer: [`FromKeeper::Done`].
    KeepPin {
        /// Number of this question.
        job: u64,
        /// Gives the PIN and then ends. Never waited for: its writer must have closed it.
        pin: OwnedFd,
    },
    /// Open `envelope` with the seed that has arrived for this job, and keep the secret in `slot`.
    /// Answer: [`FromKeeper::Done`].
    Load {
        /// Number of this question, and the tag of the seed.
        job: u64,
        /// Where to keep it; must be empty.
        slot: u32,
        /// How the secret is used.
        spec: KeySpec,
        /// The record's metadata, as it was when the record was sealed (associated data).
        context: &'a [u8],
        /// What [`FromKeeper::Sealed`] gave.
        envelope: &'a [u8],
    },
    /// Make a new seed port, closing an older one. Answer: [`FromKeeper::SeedPort`].
    OpenSeedPort {
        /// Number of this question.
        job: u64,
    },
    /// Read a secret from a descriptor, check it against `spec`, and encrypt it under the seed that
    /// has arrived for this job. Answer: [`FromKeeper::Sealed`]. Nothing is kept.
    Seal {
        /// Number of this question, and the tag of the seed.
        job: u64,
        /// What the secret must look like.
        spec: KeySpec,
        /// The record's metadata (associated data).
        context: &'a [u8],
        /// Gives the secret and then ends. Never waited for: its writer must have closed it.
        secret: OwnedFd,
        /// The same for the passphrase, where the venue has one.
        passphrase: Option<OwnedFd>,
    },
    /// Open `envelope` with the seed that has arrived for `from_job`, and seal the same secret for other metadata
    /// under the seed that has arrived for this job. Answer: [`FromKeeper::Sealed`]. Nothing is kept.
    Reseal {
        /// Number of this question, and the tag of the new seed.
        job: u64,
        /// The tag of the old seed, a lower number.
        from_job: u64,
        /// How the secret is used, then as before.
        spec: KeySpec,
        /// The record's metadata, as it was when the record was sealed.
        from_context: &'a [u8],
        /// The record's metadata from now on.
        context: &'a [u8],
        /// What [`FromKeeper::Sealed`] gave.
        envelope: &'a [u8],
    },
    /// Sign `message` with the credential in `slot`. Answer: [`FromKeeper::Signature`].
    Sign {
        /// Number of this question.
        job: u64,
        /// Which credential.
        slot: u32,
        /// For [`crate::key::Algorithm::HashSha256`] only: where in `message` the secret belongs.
        secret_at: Option<u32>,
        /// The exact bytes.
        message: &'a [u8],
    },
}

/// An answer of the keeper.
#[derive(Debug)]
pub enum FromKeeper<'a> {
    /// It is done.
    Done {
        /// Number of the question.
        job: u64,
    },
    /// Everything is forgotten, and the keeper ends.
    Forgotten {
        /// Number of the question.
        job: u64,
        /// How many bytes of the memory that may have held secrets were not zero, when it was read back
        /// after it was wiped. Anything but 0 is a fault of the keeper's.
        left: u64,
    },
    /// The key is kept.
    PublicKey {
        /// Number of the question.
        job: u64,
        /// Its public half.
        key: [u8; 32],
    },
    /// The keeper has started and is confined.
    Ready {
        /// [`GREETING_JOB`].
        job: u64,
        /// What protects it.
        protection: Protection,
    },
    /// It is not done, and nothing has changed.
    Refused {
        /// Number of the question.
        job: u64,
        /// Why.
        refusal: Refusal,
    },
    /// The encrypted secret.
    Sealed {
        /// Number of the question.
        job: u64,
        /// Opaque to everyone but the keeper; holds no secret without its seed.
        envelope: &'a [u8],
    },
    /// The token worker's end of the new seed port.
    SeedPort {
        /// Number of the question.
        job: u64,
        /// For the token worker; nothing can be read from it.
        socket: OwnedFd,
    },
    /// The signature.
    Signature {
        /// Number of the question.
        job: u64,
        /// Raw bytes.
        signature: &'a [u8],
        /// What of the passphrase may leave (see [`crate::key::PassphraseUse`]); else empty.
        passphrase: &'a [u8],
    },
}

const NO_SECRET: u32 = u32::MAX;

impl<'a> ToKeeper<'a> {
    /// Number of this question.
    #[must_use]
    pub const fn job(&self) -> u64 {
        match self {
            Self::Derive { job, .. }
            | Self::Forget { job, .. }
            | Self::ForgetAll { job }
            | Self::ForgetPin { job }
            | Self::GivePin { job, .. }
            | Self::KeepPin { job, .. }
            | Self::Load { job, .. }
            | Self::OpenSeedPort { job }
            | Self::Reseal { job, .. }
            | Self::Seal { job, .. }
            | Self::Sign { job, .. } => *job,
        }
    }

    /// Gives the descriptors that go with it, in order.
    #[must_use]
    pub fn into_descriptors(self) -> Vec<OwnedFd> {
        match self {
            Self::Seal { secret, passphrase, .. } => {
                [Some(secret), passphrase].into_iter().flatten().collect()
            }
            Self::GivePin { to: descriptor, .. } | Self::KeepPin { pin: descriptor, .. } => vec![descriptor],
            _ => Vec::new(),
        }
    }

    /// Appends the frame of this message to `out`. Its descriptors go beside it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        frame::push(out, |to| match self {
            Self::Forget { job, slot } => {
                to.u8(1);
                to.u64(*job);
                to.u32(*slot);
            }
            Self::ForgetAll { job } => {
                to.u8(2);
                to.u64(*job);
            }
            Self::Load { job, slot, spec, context, envelope } => {
                to.u8(3);
                to.u64(*job);
                to.u32(*slot);
                spec.write(to);
                to.bytes(context);
                to.bytes(envelope);
            }
            Self::OpenSeedPort { job } => {
                to.u8(4);
                to.u64(*job);
            }
            Self::Seal { job, spec, context, secret: _, passphrase } => {
                to.u8(5);
                to.u64(*job);
                spec.write(to);
                to.bytes(context);
                to.u8(u8::from(passphrase.is_some()));
            }
            Self::Sign { job, slot, secret_at, message } => {
                to.u8(6);
                to.u64(*job);
                to.u32(*slot);
                to.u32(secret_at.unwrap_or(NO_SECRET));
                to.bytes(message);
            }
            Self::Reseal { job, from_job, spec, from_context, context, envelope } => {
                to.u8(11);
                to.u64(*job);
                to.u64(*from_job);
                spec.write(to);
                to.bytes(from_context);
                to.bytes(context);
                to.bytes(envelope);
            }
            Self::KeepPin { job, pin: _ } => {
                to.u8(7);
                to.u64(*job);
            }
            Self::GivePin { job, to: _ } => {
                to.u8(8);
                to.u64(*job);
            }
            Self::Derive { job, slot, context } => {
                to.u8(10);
                to.u64(*job);
                to.u32(*slot);
                to.bytes(context);
            }
            Self::ForgetPin { job } => {
                to.u8(9);
                to.u64(*job);
            }
        });
    }

    /// The descriptors that go with it, in order.
    #[must_use]
    pub fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            Self::Seal { secret, passphrase, .. } => {
                [Some(secret), passphrase.as_ref()].into_iter().flatten().map(AsFd::as_fd).collect()
            }
            Self::GivePin { to: descriptor, .. } | Self::KeepPin { pin: descriptor, .. } => {
                vec![descriptor.as_fd()]
            }
            _ => Vec::new(),
        }
    }

    /// Reads a received frame.
    ///
    /// # Errors
    /// [`Malformed`] for anything that [`encode`](Self::encode) does not write.
    pub fn decode(mut frame: Frame<'a>) -> Result<Self, Malformed> {
        let mut from = Reader(frame.body);
        let kind = from.u8()?;
        let job = from.u64()?;
        let message = match kind {
            1 => Self::Forget { job, slot: from.u32()? },
            2 => Self::ForgetAll { job },
            3 => Self::Load {
                job,
                slot: from.u32()?,
                spec: KeySpec::read(&mut from)?,
                context: from.bytes()?,
                envelope: from.bytes()?,
            },
            4 => Self::OpenSeedPort { job },
            5 => {
                let spec = KeySpec::read(&mut from)?;
                let context = from.bytes()?;
                let with_passphrase = from.flag()?;
                let secret = frame.descriptor()?;
                let passphrase = if with_passphrase { Some(frame.descriptor()?) } else { None };
                Self::Seal { job, spec, context, secret, passphrase }
            }
            6 => Self::Sign {
                job,
                slot: from.u32()?,
                secret_at: Some(from.u32()?).filter(|at| *at != NO_SECRET),
                message: from.bytes()?,
            },
            7 => Self::KeepPin { job, pin: frame.descriptor()? },
            8 => Self::GivePin { job, to: frame.descriptor()? },
            9 => Self::ForgetPin { job },
            10 => Self::Derive { job, slot: from.u32()?, context: from.bytes()? },
            11 => Self::Reseal {
                job,
                from_job: from.u64()?,
                spec: KeySpec::read(&mut from)?,
                from_context: from.bytes()?,
                context: from.bytes()?,
                envelope: from.bytes()?,
            },
            _ => return Err(Malformed("question to the keeper")),
        };
        from.end()?;
        Ok(message)
    }
}

impl<'a> FromKeeper<'a> {
    /// Number of the question that this answers.
    #[must_use]
    pub const fn job(&self) -> u64 {
        match self {
            Self::Done { job }
            | Self::Forgotten { job, .. }
            | Self::PublicKey { job, .. }
            | Self::Ready { job, .. }
            | Self::Refused { job, .. }
            | Self::Sealed { job, .. }
            | Self::SeedPort { job, .. }
            | Self::Signature { job, .. } => *job,
        }
    }

    /// Appends the frame of this message to `out`. Its descriptors go beside it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        frame::push(out, |to| match self {
            Self::Done { job } => {
                to.u8(1);
                to.u64(*job);
            }
            Self::Refused { job, refusal } => {
                let (code, number) = refusal.code();
                to.u8(2);
                to.u64(*job);
                to.u8(code);
                to.u32(number);
            }
            Self::Sealed { job, envelope } => {
                to.u8(3);
                to.u64(*job);
                to.bytes(envelope);
            }
            Self::SeedPort { job, socket: _ } => {
                to.u8(4);
                to.u64(*job);
            }
            Self::Signature { job, signature, passphrase } => {
                to.u8(5);
                to.u64(*job);
                to.bytes(signature);
                to.bytes(passphrase);
            }
            Self::Forgotten { job, left } => {
                to.u8(7);
                to.u64(*job);
                to.u64(*left);
            }
            Self::PublicKey { job, key } => {
                to.u8(8);
                to.u64(*job);
                to.bytes(key);
            }
            Self::Ready { job, protection } => {
                to.u8(6);
                to.u64(*job);
                protection.write(to);
            }
        });
    }

    /// The descriptors that go with it, in order.
    #[must_use]
    pub fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            Self::SeedPort { socket, .. } => vec![socket.as_fd()],
            _ => Vec::new(),
        }
    }

    /// Reads a received frame.
    ///
    /// # Errors
    /// [`Malformed`] for anything that [`encode`](Self::encode) does not write.
    pub fn decode(mut frame: Frame<'a>) -> Result<Self, Malformed> {
        let mut from = Reader(frame.body);
        let kind = from.u8()?;
        let job = from.u64()?;
        let message = match kind {
            1 => Self::Done { job },
            2 => {
                let code = from.u8()?;
                Self::Refused { job, refusal: Refusal::from_code(code, from.u32()?)? }
            }
            3 => Self::Sealed { job, envelope: from.bytes()? },
            4 => Self::SeedPort { job, socket: frame.descriptor()? },
            5 => Self::Signature { job, signature: from.bytes()?, passphrase: from.bytes()? },
            6 => Self::Ready { job, protection: Protection::read(&mut from)? },
            7 => Self::Forgotten { job, left: from.u64()? },
            8 => {
                let key = from.bytes()?.try_into().map_err(|_| Malformed("public key"))?;
                Self::PublicKey { job, key }
            }
            _ => return Err(Malformed("answer of the keeper")),
        };
        from.end()?;
        Ok(message)
    }
}
