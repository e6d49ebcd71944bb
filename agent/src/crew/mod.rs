//! The front's two helpers: the keeper, which holds secrets, and the token worker, which holds the PIN.
//!
//! The front starts them, asks them, and replaces them. It passes descriptors between them and never
//! reads one.

pub(crate) mod keeper;
mod keeper_link;
mod outbox;
pub(crate) mod pin;
mod slow;
mod spawn;
pub(crate) mod token;

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use strongroom_link::Malformed;
use strongroom_link::keeper::Refusal;
use strongroom_link::token::TokenRefusal;
use strongroom_protocol::ErrorCode;

use crate::fault::{Fault, chain};

/// Why a helper did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CrewError {
    #[error("the {who} ended while it was asked{}", detail.as_ref().map(|d| format!(": {d}")).unwrap_or_default())]
    Ended { who: &'static str, detail: Option<String> },
    #[error("{0}")]
    Keeper(Refusal),
    #[error(
        "the {who} was killed ({status}): by somebody, by the kernel for want of memory, or because its guard ended; all secrets are forgotten, and `strongroom unlock` starts another"
    )]
    Killed { who: &'static str, status: ExitStatus },
    #[error("the {who} did not answer within {} s and was ended", after.as_secs())]
    Late { who: &'static str, after: Duration },
    #[error("the {who} broke the private protocol")]
    Malformed {
        who: &'static str,
        #[source]
        source: Malformed,
    },
    #[error("the keeper has ended, but {left} bytes of its memory were not wiped before")]
    NotWiped { left: u64 },
    #[error("the {who} answered another question than was asked")]
    OutOfStep { who: &'static str },
    #[error("the PIN cannot be taken from its descriptor")]
    PinDescriptor(#[source] io::Error),
    #[error("the {who} cannot be started from {}", path.display())]
    Spawn {
        who: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0}")]
    Token(TokenRefusal),
}

impl CrewError {
    /// Whether only the record in question is to blame, so that the next may well open.
    pub(crate) const fn is_of_one_record(&self) -> bool {
        matches!(self, Self::Keeper(_) | Self::Token(TokenRefusal::SeedRejected { .. }))
    }
}

const NO_SECRET_MEMORY: &str = "use Linux 6.5 or newer, or boot an older one with secretmem.enable=1; danger_allow_weak_memory goes on without";
const RAISE_THE_LIMIT: &str = "raise the limit: `ulimit -l 8192`, memlock in /etc/security/limits.conf, or LimitMEMLOCK=8M in the unit (for a user unit: of user@.service)";

impl From<CrewError> for Fault {
    fn from(error: CrewError) -> Self {
        use ErrorCode::{Failed, Invalid, Unavailable};
        let (code, hint) = match &error {
            CrewError::Keeper(refusal) => match refusal {
                Refusal::KeyringFull { .. } => (
                    Unavailable,
                    "remove credentials that nobody uses, or give some to a second agent of another user",
                ),
                Refusal::SigningQueueFull => (
                    Unavailable,
                    "ask again, less often: RSA signatures are computed one after the other; Ed25519 and HMAC keys are faster",
                ),
                Refusal::SecretMemoryAbsent => (Unavailable, NO_SECRET_MEMORY),
                Refusal::LockLimit { .. } => (Unavailable, RAISE_THE_LIMIT),
                Refusal::Traced => (Unavailable, "end the debugger or tracer; the keeper starts under none"),
                Refusal::SecretMemoryFailed | Refusal::Confinement => {
                    (Unavailable, "the agent's log says what the kernel refused")
                }
                Refusal::PassphraseMissing => {
                    (Invalid, "give it with --passphrase-fd, or type it when asked")
                }
                Refusal::PassphraseUnexpected => (Invalid, "leave the passphrase out"),
                Refusal::PassphraseShape => (Invalid, "copy the passphrase again from the venue"),
                Refusal::ForeignDomain => {
                    (Unavailable, "look at the profile, then enrol the credential again with --replace")
                }
                Refusal::RecordChanged | Refusal::RecordVersion { .. } => (
                    Unavailable,
                    "restore the record from a backup, or enrol the credential again with --replace",
                ),
                Refusal::SeedMissing
                | Refusal::SlotEmpty
                | Refusal::SlotTaken
                | Refusal::SpecUnfit
                | Refusal::WrongMessage => (Failed, "please report it, with the agent's log"),
                _ => (Invalid, "copy the secret again from the venue; nothing was stored"),
            },
            CrewError::Token(refusal) => match refusal {
                TokenRefusal::PinIncorrect { .. } => {
                    (Unavailable, "enter the right PIN; it is not tried again by itself")
                }
                TokenRefusal::PinFinalTry => (
                    Unavailable,
                    "log in once with the token's own tool, which makes its counter full again, or be sure of the PIN and use --final-try",
                ),
                TokenRefusal::PadAbsent => (Invalid, "give a PIN with --pin-fd or --pin-stdin, or type it"),
                TokenRefusal::PadCancelled { .. } => (Unavailable, "run it again, and enter the PIN"),
                TokenRefusal::PinLocked => {
                    (Unavailable, "unblock the PIN with the token's own tool (SO PIN or PUK)")
                }
                TokenRefusal::PinMissing { .. } => {
                    (Invalid, "enter a PIN, or give it with --pin-fd or --pin-stdin")
                }
                TokenRefusal::TokenAbsent { .. } => (Unavailable, "plug the token in, then try again"),
                TokenRefusal::KekAbsent { .. }
                | TokenRefusal::KekAmbiguous { .. }
                | TokenRefusal::KekUnfit { .. }
                | TokenRefusal::LabelTaken { .. } => (
                    Unavailable,
                    "run `strongroom init` with another --kek-label, or clear the token's keys up",
                ),
                TokenRefusal::SeedRejected { .. } => (
                    Unavailable,
                    "restore the record from a backup, or enrol the credential again with --replace",
                ),
                TokenRefusal::SecretMemoryAbsent => (Unavailable, NO_SECRET_MEMORY),
                TokenRefusal::LockLimit { .. } => (Unavailable, RAISE_THE_LIMIT),
                TokenRefusal::MemoryFull { .. } => (
                    Unavailable,
                    "raise the limit: LimitMEMLOCK=16M in the unit, `ulimit -l 16384`, or memlock in /etc/security/limits.conf",
                ),
                TokenRefusal::Traced => {
                    (Unavailable, "end the debugger or tracer; the token worker starts under none")
                }
                TokenRefusal::SecretMemoryFailed | TokenRefusal::Confinement => {
                    (Unavailable, "the agent's log says what the kernel refused")
                }
                TokenRefusal::NoRung { .. } => (Unavailable, "use a token with AES-GCM or AES-CBC"),
                TokenRefusal::ModuleLoad { .. } | TokenRefusal::ModuleStart { .. } => {
                    (Invalid, "name the vendor's PKCS#11 library with --module")
                }
                _ => (Unavailable, "check the token with its own tool, then try again"),
            },
            CrewError::PinDescriptor(_) => (Invalid, "write the PIN into a pipe and close it"),
            CrewError::Spawn { .. } => (Unavailable, "install all three programs into one folder"),
            CrewError::Ended { .. } | CrewError::Killed { .. } | CrewError::Late { .. } => {
                (Unavailable, "the agent's log may say more; try again")
            }
            CrewError::NotWiped { .. } => (Failed, "please report it, with the agent's log"),
            CrewError::Malformed { .. } | CrewError::OutOfStep { .. } => {
                (Failed, "are all three programs of one version? If so, please report it")
            }
        };
        Self::new(code, chain(&error), hint)
    }
}
