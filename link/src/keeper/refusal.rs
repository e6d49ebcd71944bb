//! Why the keeper refuses, as numbers on the wire and as sentences for a person.

use std::fmt;

use super::LOCKED_BYTES;
use crate::codec::Malformed;

/// The kinds of private key that a PEM block names before the key itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyKind {
    /// Ed25519.
    Ed25519,
    /// Ed448.
    Ed448,
    /// An elliptic curve key on P-256.
    P256,
    /// An elliptic curve key on P-384.
    P384,
    /// An elliptic curve key on P-521.
    P521,
    /// RSA.
    Rsa,
    /// An elliptic curve key on secp256k1.
    Secp256k1,
    /// X25519, which agrees on keys and signs nothing.
    X25519,
}

impl KeyKind {
    const ALL: [Self; 8] = [
        Self::Ed25519,
        Self::Ed448,
        Self::P256,
        Self::P384,
        Self::P521,
        Self::Rsa,
        Self::Secp256k1,
        Self::X25519,
    ];

    const fn number(self) -> u32 {
        match self {
            Self::Ed25519 => 1,
            Self::Ed448 => 2,
            Self::P256 => 3,
            Self::P384 => 4,
            Self::P521 => 5,
            Self::Rsa => 6,
            Self::Secp256k1 => 7,
            Self::X25519 => 8,
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ed25519 => "an Ed25519 key",
            Self::Ed448 => "an Ed448 key",
            Self::P256 => "an elliptic curve key on P-256",
            Self::P384 => "an elliptic curve key on P-384",
            Self::P521 => "an elliptic curve key on P-521",
            Self::Rsa => "an RSA key",
            Self::Secp256k1 => "an elliptic curve key on secp256k1",
            Self::X25519 => "an X25519 key, which signs nothing",
        })
    }
}

/// What a secret looks like that is none of the venue's: the form alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Look {
    /// Base64, where something else is due.
    Base64,
    /// Base64 with the alphabet for URLs, or without its padding.
    Base64Url,
    /// Bytes that are no text.
    Bytes,
    /// An X.509 certificate.
    Certificate,
    /// Hexadecimal digits.
    Hexadecimal,
    /// A JSON document.
    Json,
    /// A private key as OpenSSH writes it.
    OpenSsh,
    /// A PEM block of which something is missing, or around which something stands.
    PemCut,
    /// A PEM block whose line breaks have become spaces.
    PemOneLine,
    /// More than one PEM block.
    PemTwice,
    /// A text in quotation marks.
    Quoted,
    /// A text with spaces or line breaks in it or around it.
    Spaced,
}

impl Look {
    const ALL: [Self; 12] = [
        Self::Base64,
        Self::Base64Url,
        Self::Bytes,
        Self::Certificate,
        Self::Hexadecimal,
        Self::Json,
        Self::OpenSsh,
        Self::PemCut,
        Self::PemOneLine,
        Self::PemTwice,
        Self::Quoted,
        Self::Spaced,
    ];

    const fn number(self) -> u32 {
        match self {
            Self::Base64 => 1,
            Self::Base64Url => 2,
            Self::Bytes => 3,
            Self::Certificate => 4,
            Self::Hexadecimal => 5,
            Self::Json => 6,
            Self::OpenSsh => 7,
            Self::PemCut => 8,
            Self::PemOneLine => 9,
            Self::PemTwice => 10,
            Self::Quoted => 11,
            Self::Spaced => 12,
        }
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base64 => "is base64",
            Self::Base64Url => "is base64 in its form for URLs (- and _), or without the = at its end",
            Self::Bytes => "has bytes that are no text",
            Self::Certificate => "is a certificate, which has no private key in it",
            Self::Hexadecimal => "is hexadecimal digits",
            Self::Json => "is a JSON document",
            Self::OpenSsh => "is a private key in OpenSSH's own form",
            Self::PemCut => "is a PEM block that is cut off, damaged, or has something else around it",
            Self::PemOneLine => "is a PEM block whose line breaks have become spaces",
            Self::PemTwice => "is more than one PEM block",
            Self::Quoted => "is in quotation marks",
            Self::Spaced => "has spaces or line breaks in it or around it",
        })
    }
}

/// Why the keeper refuses. Never holds anything of the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The keeper cannot give up what it must not have.
    Confinement,
    /// The typed data is of a domain for which the key was not enrolled.
    ForeignDomain,
    /// The keeper has no room for one more key.
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
    /// No PIN is kept.
    PinAbsent,
    /// The socket for the token worker did not take the PIN.
    PinNotSent,
    /// The PIN is empty or too long, or its descriptor cannot be read to its end.
    PinUnfit,
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
    /// The key is damaged, or its private and its public half do not belong together.
    SecretInconsistent,
    /// The secret is PEM, and the venue's secrets are not.
    SecretIsPem,
    /// The secret has another form than those of the venue.
    SecretLooks {
        /// Which.
        found: Look,
    },
    /// The secret is a phrase of words, from which wallets make private keys.
    SecretMnemonic,
    /// The secret is not standard base64 with padding.
    SecretNotBase64,
    /// The secret is no private key of 64 hexadecimal digits.
    SecretNotHex32,
    /// The secret is no PEM block.
    SecretNotPem,
    /// The secret has bytes that are not printable ASCII, or space around it.
    SecretNotText,
    /// The secret is a number that no private key of the curve is: zero, or too large.
    SecretOutOfRange,
    /// The PEM block holds another kind of key, and names it.
    SecretKeyKind {
        /// Which.
        found: KeyKind,
    },
    /// The PEM block holds something else than a private key of the venue's kind.
    SecretPemKind,
    /// The PEM block is a public key.
    SecretPemPublic,
    /// The RSA key has a length or an exponent that is not taken.
    SecretRsaSize,
    /// The decoded secret is no seed, and no seed with its public key.
    SecretSeedLength {
        /// How many bytes it has.
        bytes: u32,
    },
    /// The kernel has no secret memory.
    SecretMemoryAbsent,
    /// The secret memory cannot be had, for a reason that the keeper's log line names.
    SecretMemoryFailed,
    /// The secret is encrypted PEM; Strongroom needs the plain key once, at enrolment.
    SecretPemEncrypted,
    /// The secret is a public key in hexadecimal.
    SecretPublicKey,
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
    /// So many signatures wait that take long that there is no room for one more.
    SigningQueueFull,
    /// No seed has arrived for this job.
    SeedMissing,
    /// There is no credential in that slot.
    SlotEmpty,
    /// There is a credential in that slot already.
    SlotTaken,
    /// A process that is not the keeper's guard traces the keeper.
    Traced,
    /// The algorithm, the form and the passphrase use of the [`KeySpec`](crate::key::KeySpec) do not go together.
    SpecUnfit,
    /// The message does not fit the algorithm (a place for the secret where none belongs, or none
    /// where one does).
    WrongMessage,
}

impl Refusal {
    pub(super) const fn code(self) -> (u8, u32) {
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
            Self::PinAbsent => (26, 0),
            Self::PinNotSent => (27, 0),
            Self::PinUnfit => (28, 0),
            Self::SigningQueueFull => (29, 0),
            Self::SecretIsPem => (30, 0),
            Self::SecretRsaSize => (31, 0),
            Self::SecretInconsistent => (32, 0),
            Self::SecretSeedLength { bytes } => (33, bytes),
            Self::SecretPemPublic => (34, 0),
            Self::SecretKeyKind { found } => (39, found.number()),
            Self::SecretNotHex32 => (35, 0),
            Self::SecretMnemonic => (36, 0),
            Self::SecretPublicKey => (37, 0),
            Self::SecretOutOfRange => (38, 0),
            Self::ForeignDomain => (40, 0),
            Self::SecretLooks { found } => (41, found.number()),
        }
    }

    pub(super) fn from_code(code: u8, number: u32) -> Result<Self, Malformed> {
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
            26 => Self::PinAbsent,
            27 => Self::PinNotSent,
            28 => Self::PinUnfit,
            29 => Self::SigningQueueFull,
            30 => Self::SecretIsPem,
            31 => Self::SecretRsaSize,
            32 => Self::SecretInconsistent,
            33 => Self::SecretSeedLength { bytes: number },
            34 => Self::SecretPemPublic,
            39 => {
                let found = KeyKind::ALL.into_iter().find(|kind| kind.number() == number);
                Self::SecretKeyKind { found: found.ok_or(Malformed("kind of key"))? }
            }
            35 => Self::SecretNotHex32,
            36 => Self::SecretMnemonic,
            37 => Self::SecretPublicKey,
            38 => Self::SecretOutOfRange,
            40 => Self::ForeignDomain,
            41 => {
                let found = Look::ALL.into_iter().find(|look| look.number() == number);
                Self::SecretLooks { found: found.ok_or(Malformed("form of a secret"))? }
            }
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
            Self::ForeignDomain => f.write_str(
                "the key signs typed data only in the domains that its venue's profile named when it was enrolled, and this is in another",
            ),
            Self::LockLimit { kib } => write!(
                f,
                "the keeper must lock {} KiB of memory, and RLIMIT_MEMLOCK lets it lock {kib} KiB",
                LOCKED_BYTES.div_ceil(1024)
            ),
            Self::SecretMemoryAbsent => f.write_str(
                "the kernel gives no secret memory (memfd_secret), so root could read every secret",
            ),
            Self::SecretMemoryFailed => f.write_str("the keeper cannot map its secret memory"),
            Self::KeyringFull { limit } => write!(
                f,
                "the keeper holds {limit} keys, which is its limit: one of each credential, one of the audit log, and one of the floors of revisions"
            ),
            Self::PassphraseMissing => f.write_str("this venue's keys have a passphrase, and none was given"),
            Self::PassphraseShape => {
                f.write_str("the passphrase is empty, longer than 256 bytes, or has control characters")
            }
            Self::PassphraseUnexpected => {
                f.write_str("this venue's keys have no passphrase, but one was given")
            }
            Self::PinAbsent => f.write_str("the keeper keeps no PIN"),
            Self::PinNotSent => f.write_str("the token worker did not take the PIN from the keeper"),
            Self::PinUnfit => f.write_str(
                "the PIN is empty or longer than 255 bytes, or its descriptor was not closed by its writer",
            ),
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
            Self::SecretInconsistent => {
                f.write_str("the key is damaged, or its private and its public half do not belong together")
            }
            Self::SecretIsPem => f.write_str("the secret is a PEM block, which no secret of this venue is"),
            Self::SecretKeyKind { found } => write!(f, "the PEM block holds {found}"),
            Self::SecretNotBase64 => {
                f.write_str("the secret is not base64 (A-Z a-z 0-9 + / and = at the end)")
            }
            Self::SecretLooks { found } => write!(f, "the secret {found}"),
            Self::SecretMnemonic => f.write_str(
                "the secret is a phrase of words; export the private key of one account of that wallet, and enrol that",
            ),
            Self::SecretNotHex32 => f.write_str(
                "the secret is no private key of 64 hexadecimal digits, with or without 0x in front (an address has 40)",
            ),
            Self::SecretOutOfRange => {
                f.write_str("the secret is no private key of the curve: it is zero, or not below the curve's order")
            }
            Self::SecretPublicKey => {
                f.write_str("the secret is a public key (66 or 130 hexadecimal digits); a private key has 64")
            }
            Self::SecretNotPem => f.write_str("the secret is no PEM block (-----BEGIN … PRIVATE KEY-----)"),
            Self::SecretNotText => f.write_str(
                "the secret has spaces, line breaks or other bytes that no secret of this venue has",
            ),
            Self::SecretPemKind => {
                f.write_str("the secret holds no private key of the kind that this venue uses")
            }
            Self::SecretPemPublic => {
                f.write_str("the PEM block is a public key; the private key is the secret")
            }
            Self::SecretRsaSize => {
                f.write_str("the RSA key has not 2048, 3072 or 4096 bits, or an exponent below 65537")
            }
            Self::SecretSeedLength { bytes } => write!(
                f,
                "the secret is {bytes} bytes in base64; a seed has 32, and 64 with its public key behind it"
            ),
            Self::SigningQueueFull => {
                f.write_str("as many signatures that take long wait already as the keeper has room for")
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
