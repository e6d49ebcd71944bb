//! What the front asks of the keeper, and what the keeper answers.
//!
//! Every question carries a job number of the front's choice, and its answer carries it back. The
//! keeper answers in the order of the questions. The first answer comes unasked, for the job
//! [`GREETING_JOB`]: [`FromKeeper::Ready`], or [`FromKeeper::Refused`] before the keeper ends.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::codec::{Malformed, Reader, Writer};
use crate::frame::{self, Frame};
use crate::key::KeySpec;

/// The job number of the keeper's first answer, which no question has.
pub const GREETING_JOB: u64 = 0;

/// Makes the keeper go on where the kernel has no secret memory.
pub const ALLOW_WEAK_MEMORY: &str = "--allow-weak-memory";

/// Memory that the keeper locks when it starts: below the 8 MiB that an ordinary user may lock on most
/// systems, and room for [10,000 credentials](Refusal::KeyringFull) all the same.
pub const LOCKED_BYTES: usize = 7 * 1024 * 1024;

/// A question to the keeper.
#[derive(Debug)]
pub enum ToKeeper<'a> {
    /// Forget the credential in `slot`. Answer: [`FromKeeper::Done`], also where the slot is empty.
    Forget {
        /// Number of this question.
        job: u64,
        /// Which credential.
        slot: u32,
    },
    /// Forget every credential and close the seed port. Answer: [`FromKeeper::Done`].
    ForgetAll {
        /// Number of this question.
        job: u64,
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
    /// The write end of the new seed port.
    SeedPort {
        /// Number of the question.
        job: u64,
        /// For the token worker. The keeper holds the only read end.
        pipe: OwnedFd,
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

/// What protects a keeper that has started, as far as that depends on the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    /// Secrets lie in memory that root cannot read either (`memfd_secret`).
    pub secret_memory: bool,
    /// How much of Landlock is in force.
    pub landlock: Landlock,
    /// A guard traces the keeper, so that nobody else can.
    pub guarded: bool,
}

/// How much of Landlock is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landlock {
    /// The kernel has none.
    Absent,
    /// All that was asked for.
    Full,
    /// What an older kernel knows of it.
    Partial,
}

impl Landlock {
    const fn number(self) -> u8 {
        match self {
            Self::Absent => 1,
            Self::Full => 2,
            Self::Partial => 3,
        }
    }
}

impl Protection {
    fn write(self, to: &mut Writer<'_>) {
        to.u8(u8::from(self.secret_memory));
        to.u8(self.landlock.number());
        to.u8(u8::from(self.guarded));
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            secret_memory: from.flag()?,
            landlock: match from.u8()? {
                1 => Landlock::Absent,
                2 => Landlock::Full,
                3 => Landlock::Partial,
                _ => return Err(Malformed("landlock")),
            },
            guarded: from.flag()?,
        })
    }
}

/// Why the keeper refuses. Never holds anything of the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The keeper cannot give up what it must not have.
    Confinement,
    /// The keeper has no room for one more credential.
    KeyringFull {
        /// How many it holds at most.
        limit: u32,
    },
    /// The keeper may not lock the memory that it needs.
    LockLimit {
        /// How many KiB it may lock.
        kib: u32,
    },
    /// The venue needs a passphrase, and none came.
    PassphraseMissing,
    /// The passphrase is empty, too long, or has control characters.
    PassphraseShape,
    /// A passphrase came for a venue that has none.
    PassphraseUnexpected,
    /// The envelope does not belong to this metadata, or either was edited.
    RecordChanged,
    /// The envelope was written by a newer Strongroom.
    RecordVersion {
        /// The version that it names.
        version: u8,
    },
    /// The writer of the secret's descriptor has not closed it, or it cannot be read.
    SecretDescriptor,
    /// The secret is empty.
    SecretEmpty,
    /// The secret is not standard base64 with padding.
    SecretNotBase64,
    /// The secret is no PEM block.
    SecretNotPem,
    /// The secret has bytes that are not printable ASCII, or space around it.
    SecretNotText,
    /// The PEM block holds another kind of key.
    SecretPemKind,
    /// The kernel has no secret memory.
    SecretMemoryAbsent,
    /// The secret memory cannot be had, for a reason that the keeper's log line names.
    SecretMemoryFailed,
    /// The secret is encrypted PEM; Strongroom needs the plain key once, at enrolment.
    SecretPemEncrypted,
    /// The secret is longer than the venue's secrets are.
    SecretTooLong {
        /// Longest, in bytes as written by the venue.
        limit: u32,
    },
    /// The secret is shorter than the venue's secrets are.
    SecretTooShort {
        /// Shortest, in bytes as written by the venue.
        limit: u32,
    },
    /// No seed has arrived for this job.
    SeedMissing,
    /// There is no credential in that slot.
    SlotEmpty,
    /// There is a credential in that slot already.
    SlotTaken,
    /// A process that is not the keeper's guard traces the keeper.
    Traced,
    /// The algorithm, the form and the passphrase use of the [`KeySpec`] do not go together.
    SpecUnfit,
    /// The message does not fit the algorithm (a place for the secret where none belongs, or none
    /// where one does).
    WrongMessage,
}

impl Refusal {
    const fn code(self) -> (u8, u32) {
        match self {
            Self::KeyringFull { limit } => (1, limit),
            Self::PassphraseMissing => (2, 0),
            Self::PassphraseShape => (3, 0),
            Self::PassphraseUnexpected => (4, 0),
            Self::RecordChanged => (5, 0),
            #[expect(clippy::as_conversions, reason = "widening, in a const fn")]
            Self::RecordVersion { version } => (6, version as u32),
            Self::SecretDescriptor => (7, 0),
            Self::SecretEmpty => (8, 0),
            Self::SecretNotBase64 => (9, 0),
            Self::SecretNotPem => (10, 0),
            Self::SecretNotText => (11, 0),
            Self::SecretPemKind => (12, 0),
            Self::SecretPemEncrypted => (13, 0),
            Self::SecretTooLong { limit } => (14, limit),
            Self::SecretTooShort { limit } => (15, limit),
            Self::SeedMissing => (16, 0),
            Self::SlotEmpty => (17, 0),
            Self::SlotTaken => (18, 0),
            Self::WrongMessage => (19, 0),
            Self::SpecUnfit => (20, 0),
            Self::SecretMemoryAbsent => (21, 0),
            Self::LockLimit { kib } => (22, kib),
            Self::SecretMemoryFailed => (23, 0),
            Self::Confinement => (24, 0),
            Self::Traced => (25, 0),
        }
    }

    fn from_code(code: u8, number: u32) -> Result<Self, Malformed> {
        let refusal = match code {
            1 => Self::KeyringFull { limit: number },
            2 => Self::PassphraseMissing,
            3 => Self::PassphraseShape,
            4 => Self::PassphraseUnexpected,
            5 => Self::RecordChanged,
            6 => Self::RecordVersion { version: u8::try_from(number).map_err(|_| Malformed("version"))? },
            7 => Self::SecretDescriptor,
            8 => Self::SecretEmpty,
            9 => Self::SecretNotBase64,
            10 => Self::SecretNotPem,
            11 => Self::SecretNotText,
            12 => Self::SecretPemKind,
            13 => Self::SecretPemEncrypted,
            14 => Self::SecretTooLong { limit: number },
            15 => Self::SecretTooShort { limit: number },
            16 => Self::SeedMissing,
            17 => Self::SlotEmpty,
            18 => Self::SlotTaken,
            19 => Self::WrongMessage,
            20 => Self::SpecUnfit,
            21 => Self::SecretMemoryAbsent,
            22 => Self::LockLimit { kib: number },
            23 => Self::SecretMemoryFailed,
            24 => Self::Confinement,
            25 => Self::Traced,
            _ => return Err(Malformed("refusal")),
        };
        // A number where none belongs would be a second way to write the same refusal.
        if refusal.code() == (code, number) { Ok(refusal) } else { Err(Malformed("refusal")) }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Confinement => {
                f.write_str("the keeper cannot confine itself: its system call filter fails")
            }
            Self::LockLimit { kib } => write!(
                f,
                "the keeper must lock {} KiB of memory, and RLIMIT_MEMLOCK lets it lock {kib} KiB",
                LOCKED_BYTES.div_ceil(1024)
            ),
            Self::SecretMemoryAbsent => f.write_str(
                "the kernel gives no secret memory (memfd_secret), so root could read every secret",
            ),
            Self::SecretMemoryFailed => f.write_str("the keeper cannot map its secret memory"),
            Self::KeyringFull { limit } => {
                write!(f, "the keeper holds {limit} credentials, which is its limit")
            }
            Self::PassphraseMissing => f.write_str("this venue's keys have a passphrase, and none was given"),
            Self::PassphraseShape => {
                f.write_str("the passphrase is empty, longer than 256 bytes, or has control characters")
            }
            Self::PassphraseUnexpected => {
                f.write_str("this venue's keys have no passphrase, but one was given")
            }
            Self::RecordChanged => {
                f.write_str("the record does not open: it was edited, damaged, or swapped with another")
            }
            Self::RecordVersion { version } => {
                write!(f, "the record has envelope version {version}, which this Strongroom does not know")
            }
            Self::SecretDescriptor => {
                f.write_str("the secret's descriptor was not closed by its writer, or cannot be read")
            }
            Self::SecretEmpty => f.write_str("the secret is empty"),
            Self::SecretNotBase64 => {
                f.write_str("the secret is not base64 (A-Z a-z 0-9 + / and = at the end)")
            }
            Self::SecretNotPem => f.write_str("the secret is no PEM block (-----BEGIN … PRIVATE KEY-----)"),
            Self::SecretNotText => f.write_str(
                "the secret has spaces, line breaks or other bytes that no secret of this venue has",
            ),
            Self::SecretPemKind => {
                f.write_str("the PEM block holds no private key of the kind that this venue uses")
            }
            Self::SecretPemEncrypted => {
                f.write_str("the PEM block is encrypted; decrypt it first and enrol the plain key")
            }
            Self::SecretTooLong { limit } => {
                write!(f, "the secret is longer than {limit} bytes, the longest that this venue hands out")
            }
            Self::SecretTooShort { limit } => {
                write!(f, "the secret is shorter than {limit} bytes, the shortest that this venue hands out")
            }
            Self::SeedMissing => f.write_str("no seed has arrived from the token worker"),
            Self::SlotEmpty => f.write_str("the keeper holds no such credential"),
            Self::SlotTaken => f.write_str("the keeper holds a credential in that slot already"),
            Self::Traced => f.write_str("another process traces the keeper, so it could read every secret"),
            Self::SpecUnfit => f.write_str("the profile's algorithm cannot use a secret of that form"),
            Self::WrongMessage => {
                f.write_str("the canonical request does not fit the credential's algorithm")
            }
        }
    }
}

const NO_SECRET: u32 = u32::MAX;

impl<'a> ToKeeper<'a> {
    /// Number of this question.
    #[must_use]
    pub const fn job(&self) -> u64 {
        match self {
            Self::Forget { job, .. }
            | Self::ForgetAll { job }
            | Self::Load { job, .. }
            | Self::OpenSeedPort { job }
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
        });
    }

    /// The descriptors that go with it, in order.
    #[must_use]
    pub fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            Self::Seal { secret, passphrase, .. } => {
                [Some(secret), passphrase.as_ref()].into_iter().flatten().map(AsFd::as_fd).collect()
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
            Self::SeedPort { job, pipe: _ } => {
                to.u8(4);
                to.u64(*job);
            }
            Self::Signature { job, signature, passphrase } => {
                to.u8(5);
                to.u64(*job);
                to.bytes(signature);
                to.bytes(passphrase);
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
            Self::SeedPort { pipe, .. } => vec![pipe.as_fd()],
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
            4 => Self::SeedPort { job, pipe: frame.descriptor()? },
            5 => Self::Signature { job, signature: from.bytes()?, passphrase: from.bytes()? },
            6 => Self::Ready { job, protection: Protection::read(&mut from)? },
            _ => return Err(Malformed("answer of the keeper")),
        };
        from.end()?;
        Ok(message)
    }
}
