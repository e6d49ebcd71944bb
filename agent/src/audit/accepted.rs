//! Gaps of a log that its owner has accepted: an older log was restored from a backup, knowingly. The token signs
//! which, so that nobody accepts one who has not its PIN; it stays visible for ever.
//!
//! Pure: what is signed, and which findings it answers.

use std::borrow::Cow;
use std::str::FromStr;

use strongroom_link::token::SigningKey;

use super::chain::{Fault, Head};
use super::line::{Event, Hash};
use super::vouch::{Fingerprint, holds};

/// Numbers of lines that are not there. The hash of the line before binds what stands before it, which no line
/// behind does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) behind: Hash,
}

impl std::fmt::Display for Gap {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{}-{}:{}", self.from, self.to, base16ct::lower::encode_string(&self.behind))
    }
}

impl FromStr for Gap {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (numbers, hash) = text.split_once(':')?;
            let (from, to) = numbers.split_once('-')?;
            let behind = base16ct::lower::decode_vec(hash).ok()?.try_into().ok()?;
            Some(Self { from: from.parse().ok()?, to: to.parse().ok()?, behind })
        };
        parse().ok_or("a gap is FROM-TO:HASH")
    }
}

/// What the token signs: that user `uid` accepts these gaps of the log whose last line is `covers`.
pub(crate) fn statement(covers: &str, at: &str, uid: u32, gaps: &[Cow<'_, str>]) -> Vec<u8> {
    format!("strongroom audit accept-cut 1\n{covers}\n{at}\n{uid}\n{}\n", gaps.join("\n")).into_bytes()
}

/// A line in which the owner has accepted gaps, and that the token has signed.
#[derive(Debug, Clone)]
pub(super) struct Acceptance {
    /// Its number.
    line: u64,
    /// The line before it.
    covers: Head,
    gaps: Vec<Gap>,
}

impl Acceptance {
    /// Reads a line behind `before`; nothing where it is not signed by that key of the token, or not for this place.
    pub(super) fn of(
        line: u64,
        event: &Event<'_>,
        before: Option<&Head>,
        demanded: Fingerprint,
    ) -> Option<Self> {
        let (covers, at, gaps) = (event.covers.as_deref()?, event.at.as_deref()?, event.gaps.as_deref()?);
        let bytes = |text: &Option<Cow<'_, str>>| base16ct::lower::decode_vec(text.as_deref()?).ok();
        let key = SigningKey::from_spki(&bytes(&event.token_key)?)?;
        let statement = statement(covers, at, event.uid?, gaps);
        let is_signed = holds(&key, &statement, &bytes(&event.token_signature)?);
        if !is_signed || Fingerprint::of(&key) != demanded {
            return None;
        }
        let covers = covers.parse().ok().filter(|covers| Some(covers) == before)?;
        let gaps = gaps.iter().map(|gap| gap.parse().ok()).collect::<Option<_>>()?;
        Some(Self { line, covers, gaps })
    }

    /// The number of its line, where it answers a fault. `behind` is the hash of the line before those that are
    /// missing.
    pub(super) fn answers(&self, fault: Fault, behind: Option<Hash>) -> Option<u64> {
        let answers = match fault {
            Fault::Cut { seq, .. } => seq <= self.covers.seq,
            Fault::Missing { from, to } => {
                behind.is_some_and(|behind| self.gaps.contains(&Gap { from, to, behind }))
            }
            _ => false,
        };
        answers.then_some(self.line)
    }
}
