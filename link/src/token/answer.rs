//! What the token worker answers.

use super::{Anchor, KekId, Protection, Rung, SigningKey, TokenDescription, TokenRefusal, kek_id, rung};
use crate::codec::{Malformed, Reader};
use crate::frame::{self, Frame};

/// An answer of the token worker.
#[derive(Debug)]
pub enum FromToken<'a> {
    /// What the token remembers.
    Anchored {
        /// Number of the question.
        job: u64,
        /// Nothing where no state of these floors was kept.
        anchor: Option<Anchor>,
    },
    /// It is done.
    Done {
        /// Number of the question.
        job: u64,
    },
    /// The KEK is there and has the attributes that a KEK must have.
    Kek {
        /// Number of the question.
        job: u64,
        /// Its id.
        id: KekId,
    },
    /// This rung works.
    Probed {
        /// Number of the question.
        job: u64,
        /// The best that works.
        rung: Rung,
    },
    /// The protected seed.
    Protected {
        /// Number of the question.
        job: u64,
        /// Useless without the token.
        blob: &'a [u8],
    },
    /// The worker has started.
    Ready {
        /// [`GREETING_JOB`](super::GREETING_JOB).
        job: u64,
        /// What protects it.
        protection: Protection,
    },
    /// It is not done.
    Refused {
        /// Number of the question.
        job: u64,
        /// Why.
        refusal: TokenRefusal,
    },
    /// A signature by the token's own signing key.
    Signed {
        /// Number of the question.
        job: u64,
        /// P-256: both numbers in 64 bytes. RSA: PKCS #1 v1.5 with SHA-256.
        signature: &'a [u8],
    },
    /// The token's own signing key.
    SigningKey {
        /// Number of the question.
        job: u64,
        /// Its public half; nothing where there is none.
        key: Option<SigningKey>,
    },
    /// What the module shows.
    Tokens {
        /// Number of the question.
        job: u64,
        /// In the order of the slots.
        tokens: Vec<TokenDescription>,
    },
}

impl<'a> FromToken<'a> {
    /// Number of the question that this answers.
    #[must_use]
    pub const fn job(&self) -> u64 {
        match self {
            Self::Anchored { job, .. }
            | Self::Done { job }
            | Self::Kek { job, .. }
            | Self::Probed { job, .. }
            | Self::Protected { job, .. }
            | Self::Ready { job, .. }
            | Self::Refused { job, .. }
            | Self::Signed { job, .. }
            | Self::SigningKey { job, .. }
            | Self::Tokens { job, .. } => *job,
        }
    }

    /// Appends the frame of this message to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        frame::push(out, |to| match self {
            Self::Anchored { job, anchor } => {
                to.u8(7);
                to.u64(*job);
                to.u8(u8::from(anchor.is_some()));
                if let Some(anchor) = anchor {
                    anchor.write(to);
                }
            }
            Self::Done { job } => {
                to.u8(1);
                to.u64(*job);
            }
            Self::Kek { job, id } => {
                to.u8(2);
                to.u64(*job);
                to.bytes(id);
            }
            Self::Probed { job, rung } => {
                to.u8(3);
                to.u64(*job);
                to.u8(rung.number());
            }
            Self::Protected { job, blob } => {
                to.u8(4);
                to.u64(*job);
                to.bytes(blob);
            }
            Self::Refused { job, refusal } => {
                to.u8(5);
                to.u64(*job);
                refusal.write(to);
            }
            Self::Ready { job, protection } => {
                to.u8(20);
                to.u64(*job);
                protection.write(to);
            }
            Self::Signed { job, signature } => {
                to.u8(8);
                to.u64(*job);
                to.bytes(signature);
            }
            Self::SigningKey { job, key } => {
                to.u8(9);
                to.u64(*job);
                to.bytes(&key.as_ref().map(SigningKey::to_spki).unwrap_or_default());
            }
            Self::Tokens { job, tokens } => {
                to.u8(6);
                to.u64(*job);
                to.u32(u32::try_from(tokens.len()).unwrap_or(u32::MAX));
                for token in tokens {
                    token.write(to);
                }
            }
        });
    }

    /// Reads a received frame.
    ///
    /// # Errors
    /// [`Malformed`] for anything that [`encode`](Self::encode) does not write.
    pub fn decode(frame: Frame<'a>) -> Result<Self, Malformed> {
        let mut from = Reader(frame.body);
        let kind = from.u8()?;
        let job = from.u64()?;
        let message = match kind {
            1 => Self::Done { job },
            2 => Self::Kek { job, id: kek_id(&mut from)? },
            3 => Self::Probed { job, rung: rung(&mut from)? },
            4 => Self::Protected { job, blob: from.bytes()? },
            5 => Self::Refused { job, refusal: TokenRefusal::read(&mut from)? },
            6 => {
                let mut tokens = Vec::new();
                for _ in 0..from.u32()? {
                    tokens.push(TokenDescription::read(&mut from)?);
                }
                Self::Tokens { job, tokens }
            }
            7 => {
                let anchor = if from.flag()? { Some(Anchor::read(&mut from)?) } else { None };
                Self::Anchored { job, anchor }
            }
            8 => Self::Signed { job, signature: from.bytes()? },
            9 => {
                let key = match from.bytes()? {
                    [] => None,
                    spki => Some(SigningKey::from_spki(spki).ok_or(Malformed("signing key"))?),
                };
                Self::SigningKey { job, key }
            }
            20 => Self::Ready { job, protection: Protection::read(&mut from)? },
            _ => return Err(Malformed("answer of the token worker")),
        };
        from.end()?;
        Ok(message)
    }
}
