//! Why the token worker refuses: facts for the front, sentences for a person.

use crate::codec::{Malformed, Reader, Writer};

/// Why the token worker refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenRefusal {
    /// No key with that label (and id) is a KEK.
    #[error("the token has no KEK labelled `{label}`")]
    KekAbsent {
        /// The label.
        label: String,
    },
    /// Several keys fit.
    #[error("the token has {count} keys labelled `{label}`, so none of them can be told to be the KEK")]
    KekAmbiguous {
        /// The label.
        label: String,
        /// How many.
        count: String,
    },
    /// There is such a key, but its attributes would let the secret out.
    #[error("the key `{label}` cannot be the KEK: {fault}")]
    KekUnfit {
        /// The label.
        label: String,
        /// Which attribute, in words.
        fault: String,
    },
    /// A call into the module failed.
    #[error("{function} failed: {code}")]
    ModuleCall {
        /// The PKCS#11 function.
        function: String,
        /// The CKR code by name.
        code: String,
    },
    /// The module cannot be loaded.
    #[error("the PKCS#11 module `{path}` cannot be loaded: {reason}")]
    ModuleLoad {
        /// Its path.
        path: String,
        /// What the loader says.
        reason: String,
    },
    /// The module is loaded, but does not start. With some that is how a token that is gone shows.
    #[error("the PKCS#11 module `{path}` cannot be loaded: {reason}")]
    ModuleStart {
        /// Its path.
        path: String,
        /// What the module says.
        reason: String,
    },
    /// None of the rungs works with this KEK.
    #[error("this token can protect a seed with none of: {tried}")]
    NoRung {
        /// What was tried, and what the module said.
        tried: String,
    },
    /// A question that needs an open token came before `Open`.
    #[error("no token is open")]
    NotOpen,
    /// No PIN came, and nobody can enter one.
    #[error("no PIN came, and the token has no pad to enter it on")]
    PadAbsent,
    /// The person at the pad gave up, or took too long.
    #[error("no PIN was entered on the token's pad: it was cancelled there, or took too long ({code})")]
    PadCancelled {
        /// The CKR code by name.
        code: String,
    },
    /// The PIN is wrong. One try of the token's counter is gone.
    #[error("the PIN is wrong; one try of the token's counter is gone{left}")]
    PinIncorrect {
        /// What the token's flags say now, with its own punctuation; may be empty.
        left: String,
    },
    /// The PIN's descriptor is empty or cannot be read.
    #[error("no PIN came: {reason}")]
    PinMissing {
        /// What was seen.
        reason: String,
    },
    /// The token has locked its PIN.
    #[error("the token has locked its PIN")]
    PinLocked,
    /// The keeper's end of the seed port is gone, or none was given.
    #[error("the seed port to the keeper is closed")]
    SeedPort,
    /// The token does not give a seed for this blob.
    #[error(
        "the token does not recover the record's seed ({code}): the record is damaged or belongs to another KEK"
    )]
    SeedRejected {
        /// The CKR code by name, or what was wrong with the result.
        code: String,
    },
    /// No slot holds that token.
    #[error("token `{label}` (serial {serial}) is not in any slot; present: {present}")]
    TokenAbsent {
        /// Wanted label.
        label: String,
        /// Wanted serial.
        serial: String,
        /// What is there, or `none`.
        present: String,
    },
    /// A new KEK cannot have that label.
    #[error("the token already has an object labelled `{label}`; take another label, or use that key")]
    LabelTaken {
        /// The label.
        label: String,
    },
    /// The next wrong PIN would lock the token, so none is tried.
    #[error("refusing to try the PIN: one more wrong one locks the token")]
    PinFinalTry,
    /// The token's own signing key cannot be used.
    #[error("the token's signing key `{label}` cannot be used: {fault}")]
    SigningKeyUnfit {
        /// Its label.
        label: String,
        /// Why.
        fault: String,
    },
    /// The kernel has no secret memory, or a filter forbids it.
    #[error(
        "the kernel gives no secret memory (memfd_secret), so root could read the PIN and the seeds in the token worker"
    )]
    SecretMemoryAbsent,
    /// Secret memory cannot be mapped for another reason.
    #[error("the token worker cannot map its secret memory")]
    SecretMemoryFailed,
    /// The worker may lock too little memory.
    #[error("the token worker must lock {needed} KiB of memory, and RLIMIT_MEMLOCK lets it lock {kib} KiB")]
    LockLimit {
        /// How much it needs.
        needed: String,
        /// How much it may lock.
        kib: String,
    },
    /// The module wants more memory than may be locked.
    #[error(
        "the PKCS#11 module wants more memory than the {kib} KiB that the token worker has locked ({call})"
    )]
    MemoryFull {
        /// The call that failed, and what the module said.
        call: String,
        /// How much there is.
        kib: String,
    },
    /// The worker cannot give up system calls.
    #[error("the token worker cannot confine itself: its system call filter fails")]
    Confinement,
    /// Somebody else traces the worker.
    #[error("another process traces the token worker, so it could read the PIN and the seeds")]
    Traced,
}

impl TokenRefusal {
    /// Whether the worker or the module has failed before it could see any token, so that this says nothing
    /// about where the token is.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        match self {
            Self::ModuleLoad { .. } | Self::MemoryFull { .. } => true,
            Self::ModuleCall { code, .. } => code == "CKR_HOST_MEMORY",
            _ => false,
        }
    }
}

macro_rules! refusals {
    ($($number:literal $variant:ident { $($field:ident),* }),+ $(,)?) => {
        impl TokenRefusal {
            pub(super) fn write(&self, to: &mut Writer<'_>) {
                match self {
                    $(Self::$variant { $($field),* } => {
                        to.u8($number);
                        $(to.bytes($field.as_bytes());)*
                    })+
                }
            }
            pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
                Ok(match from.u8()? {
                    $($number => Self::$variant { $($field: from.str()?.to_owned()),* },)+
                    _ => return Err(Malformed("refusal")),
                })
            }
        }
    };
}

refusals! {
    1 KekAbsent { label },
    2 KekAmbiguous { label, count },
    3 KekUnfit { label, fault },
    4 ModuleCall { function, code },
    5 ModuleLoad { path, reason },
    6 NoRung { tried },
    7 NotOpen {},
    8 PinIncorrect { left },
    9 PinMissing { reason },
    10 PinLocked {},
    11 SeedPort {},
    12 SeedRejected { code },
    13 TokenAbsent { label, serial, present },
    14 LabelTaken { label },
    15 PinFinalTry {},
    40 SecretMemoryAbsent {},
    41 SecretMemoryFailed {},
    42 LockLimit { needed, kib },
    43 MemoryFull { call, kib },
    44 Confinement {},
    45 Traced {},
    16 PadAbsent {},
    17 PadCancelled { code },
    18 ModuleStart { path, reason },
    19 SigningKeyUnfit { label, fault },
}
