//! What the front asks.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{Anchor, AnchorId, KekId, Rung, kek_id, rung};
use crate::codec::{Malformed, Reader};
use crate::frame::{self, Frame};

/// A question to the token worker.
#[derive(Debug)]
pub enum ToToken<'a> {
    /// Keep a state of floors in the token, beside the one before. Answer: [`FromToken::Done`](super::FromToken::Done).
    Anchor {
        /// Number of this question.
        job: u64,
        /// Label of the KEK, after which its object is named.
        label: &'a str,
        /// What is kept.
        anchor: Anchor,
    },
    /// Tell the newest state of floors that was kept. Answer: [`FromToken::Anchored`](super::FromToken::Anchored).
    Anchored {
        /// Number of this question.
        job: u64,
        /// Label of the KEK.
        label: &'a str,
        /// Which floors.
        id: AnchorId,
    },
    /// Look for the KEK and read its attributes back. Answer: [`FromToken::Kek`](super::FromToken::Kek).
    FindKek {
        /// Number of this question.
        job: u64,
        /// Its label.
        label: &'a str,
        /// Its id, where it is known; else the only KEK with that label.
        id: Option<KekId>,
    },
    /// Look whether the token is there, without a PIN and without a login. Answer:
    /// [`FromToken::Done`](super::FromToken::Done), or the refusal that says what is there instead.
    Look {
        /// Number of this question.
        job: u64,
        /// Absolute path of the PKCS#11 module.
        module: &'a str,
        /// Serial of the token.
        serial: &'a str,
        /// Label of the token.
        label: &'a str,
    },
    /// Make an AES-256 KEK and read its attributes back. Answer: [`FromToken::Kek`](super::FromToken::Kek).
    MakeKek {
        /// Number of this question.
        job: u64,
        /// Its label; no other key may have it.
        label: &'a str,
    },
    /// Load the module, find the token and log in. Answer: [`FromToken::Done`](super::FromToken::Done).
    Open {
        /// Number of this question.
        job: u64,
        /// Absolute path of the PKCS#11 module.
        module: &'a str,
        /// Serial of the token.
        serial: &'a str,
        /// Label of the token.
        label: &'a str,
        /// Gives the PIN and then ends. Where none comes along a person enters it on the token's pad.
        pin: Option<OwnedFd>,
        /// A person has said that the last try before the token locks may be spent.
        final_try: bool,
        /// The keeper's seed port, where seeds will be needed.
        seed_port: Option<OwnedFd>,
    },
    /// Find out which rung works with that KEK, by using it. Answer: [`FromToken::Probed`](super::FromToken::Probed).
    Probe {
        /// Number of this question.
        job: u64,
        /// Which KEK.
        kek: KekId,
        /// Only try this rung.
        only: Option<Rung>,
    },
    /// Make a seed, protect it under the KEK, and send it to the keeper with this job's number.
    /// Answer: [`FromToken::Protected`](super::FromToken::Protected).
    Protect {
        /// Number of this question, and the tag of the seed.
        job: u64,
        /// Which KEK.
        kek: KekId,
        /// How.
        rung: Rung,
    },
    /// List the initialised tokens that a module shows. Answer: [`FromToken::Tokens`](super::FromToken::Tokens).
    Tokens {
        /// Number of this question.
        job: u64,
        /// Absolute path of the PKCS#11 module.
        module: &'a str,
    },
    /// Sign a digest with the token's own signing key. Answer: [`FromToken::Signed`](super::FromToken::Signed).
    Sign {
        /// Number of this question.
        job: u64,
        /// Label of the KEK, after which the key is named.
        label: &'a str,
        /// SHA-256 of what is signed.
        digest: [u8; 32],
    },
    /// Tell the public half of the token's own signing key. Answer:
    /// [`FromToken::SigningKey`](super::FromToken::SigningKey).
    SigningKey {
        /// Number of this question.
        job: u64,
        /// Label of the KEK.
        label: &'a str,
        /// Make one where there is none.
        make: bool,
    },
    /// Recover a seed and send it to the keeper with this job's number. Answer:
    /// [`FromToken::Done`](super::FromToken::Done).
    Unprotect {
        /// Number of this question, and the tag of the seed.
        job: u64,
        /// Which KEK.
        kek: KekId,
        /// How.
        rung: Rung,
        /// What [`FromToken::Protected`](super::FromToken::Protected) gave.
        blob: &'a [u8],
    },
}

impl<'a> ToToken<'a> {
    /// Number of this question.
    #[must_use]
    pub const fn job(&self) -> u64 {
        match self {
            Self::Anchor { job, .. }
            | Self::Anchored { job, .. }
            | Self::FindKek { job, .. }
            | Self::Look { job, .. }
            | Self::MakeKek { job, .. }
            | Self::Open { job, .. }
            | Self::Probe { job, .. }
            | Self::Protect { job, .. }
            | Self::Sign { job, .. }
            | Self::SigningKey { job, .. }
            | Self::Tokens { job, .. }
            | Self::Unprotect { job, .. } => *job,
        }
    }

    /// Appends the frame of this message to `out`. Its descriptors go beside it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        frame::push(out, |to| match self {
            Self::Anchor { job, label, anchor } => {
                to.u8(9);
                to.u64(*job);
                to.bytes(label.as_bytes());
                anchor.write(to);
            }
            Self::Anchored { job, label, id } => {
                to.u8(10);
                to.u64(*job);
                to.bytes(label.as_bytes());
                to.bytes(id);
            }
            Self::FindKek { job, label, id } => {
                to.u8(1);
                to.u64(*job);
                to.bytes(label.as_bytes());
                to.bytes(id.as_ref().map_or(&[], KekId::as_slice));
            }
            Self::Look { job, module, serial, label } => {
                to.u8(8);
                to.u64(*job);
                to.bytes(module.as_bytes());
                to.bytes(serial.as_bytes());
                to.bytes(label.as_bytes());
            }
            Self::MakeKek { job, label } => {
                to.u8(2);
                to.u64(*job);
                to.bytes(label.as_bytes());
            }
            Self::Open { job, module, serial, label, pin, final_try, seed_port } => {
                to.u8(3);
                to.u64(*job);
                to.bytes(module.as_bytes());
                to.bytes(serial.as_bytes());
                to.bytes(label.as_bytes());
                to.u8(u8::from(pin.is_some()));
                to.u8(u8::from(*final_try));
                to.u8(u8::from(seed_port.is_some()));
            }
            Self::Probe { job, kek, only } => {
                to.u8(4);
                to.u64(*job);
                to.bytes(kek);
                to.u8(only.map_or(0, Rung::number));
            }
            Self::Protect { job, kek, rung } => {
                to.u8(5);
                to.u64(*job);
                to.bytes(kek);
                to.u8(rung.number());
            }
            Self::Sign { job, label, digest } => {
                to.u8(11);
                to.u64(*job);
                to.bytes(label.as_bytes());
                to.bytes(digest);
            }
            Self::SigningKey { job, label, make } => {
                to.u8(12);
                to.u64(*job);
                to.bytes(label.as_bytes());
                to.u8(u8::from(*make));
            }
            Self::Tokens { job, module } => {
                to.u8(6);
                to.u64(*job);
                to.bytes(module.as_bytes());
            }
            Self::Unprotect { job, kek, rung, blob } => {
                to.u8(7);
                to.u64(*job);
                to.bytes(kek);
                to.u8(rung.number());
                to.bytes(blob);
            }
        });
    }

    /// The descriptors that go with it, in order.
    #[must_use]
    pub fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            Self::Open { pin, seed_port, .. } => {
                [pin, seed_port].into_iter().flatten().map(AsFd::as_fd).collect()
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
            1 => {
                let label = from.str()?;
                let id = match from.bytes()? {
                    [] => None,
                    bytes => Some(bytes.try_into().map_err(|_| Malformed("KEK id"))?),
                };
                Self::FindKek { job, label, id }
            }
            2 => Self::MakeKek { job, label: from.str()? },
            3 => {
                let (module, serial, label) = (from.str()?, from.str()?, from.str()?);
                let (with_pin, final_try, with_port) = (from.flag()?, from.flag()?, from.flag()?);
                let pin = if with_pin { Some(frame.descriptor()?) } else { None };
                let seed_port = if with_port { Some(frame.descriptor()?) } else { None };
                Self::Open { job, module, serial, label, pin, final_try, seed_port }
            }
            4 => {
                let kek = kek_id(&mut from)?;
                let only = match from.u8()? {
                    0 => None,
                    number => Some(Rung::from_number(number).ok_or(Malformed("rung"))?),
                };
                Self::Probe { job, kek, only }
            }
            5 => Self::Protect { job, kek: kek_id(&mut from)?, rung: rung(&mut from)? },
            6 => Self::Tokens { job, module: from.str()? },
            7 => {
                Self::Unprotect { job, kek: kek_id(&mut from)?, rung: rung(&mut from)?, blob: from.bytes()? }
            }
            9 => Self::Anchor { job, label: from.str()?, anchor: Anchor::read(&mut from)? },
            10 => Self::Anchored {
                job,
                label: from.str()?,
                id: from.bytes()?.try_into().map_err(|_| Malformed("anchor id"))?,
            },
            8 => Self::Look { job, module: from.str()?, serial: from.str()?, label: from.str()? },
            11 => {
                let (label, digest) = (from.str()?, from.bytes()?);
                Self::Sign { job, label, digest: digest.try_into().map_err(|_| Malformed("digest"))? }
            }
            12 => Self::SigningKey { job, label: from.str()?, make: from.flag()? },
            _ => return Err(Malformed("question to the token worker")),
        };
        from.end()?;
        Ok(message)
    }
}
