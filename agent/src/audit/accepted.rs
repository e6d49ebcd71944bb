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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_gap_that_it_has_written_and_no_other_text() {
        let gap = Gap { from: 12, to: 40, behind: [7; 32] };
        let text = gap.to_string();
        assert_eq!(text.parse(), Ok(gap));
        for other in ["", "12-40", "12:40", &text.replace('-', "+"), &text[..text.len() - 1]] {
            assert_eq!(other.parse::<Gap>(), Err("a gap is FROM-TO:HASH"), "{other}");
        }
    }

    #[test]
    fn answers_that_very_gap_and_what_was_told_before_it() {
        let gap = Gap { from: 12, to: 40, behind: [7; 32] };
        let acceptance = Acceptance { line: 60, covers: Head { seq: 59, hash: [1; 32] }, gaps: vec![gap] };
        let missing = |from, to| Fault::Missing { from, to };
        for (case, fault, behind, expected) in [
            ("that gap", missing(12, 40), Some([7; 32]), Some(60)),
            ("behind another line", missing(12, 40), Some([8; 32]), None),
            ("behind a line that is not to be trusted", missing(12, 40), None, None),
            ("one line more", missing(11, 40), Some([7; 32]), None),
            ("a cut before it", Fault::Cut { seq: 41, known: 40 }, None, Some(60)),
            ("a cut behind it", Fault::Cut { seq: 61, known: 40 }, None, None),
            ("an edit", Fault::Edited { seq: 12 }, Some([7; 32]), None),
        ] {
            assert_eq!(acceptance.answers(fault, behind), expected, "{case}");
        }
    }

    #[test]
    fn signs_every_part_of_what_is_accepted() {
        let gaps = |texts: &[&'static str]| texts.iter().map(|text| (*text).into()).collect::<Vec<_>>();
        let mut said = vec![
            statement("9:aa", "now", 1, &gaps(&["1-2:bb"])),
            statement("8:aa", "now", 1, &gaps(&["1-2:bb"])),
            statement("9:aa", "then", 1, &gaps(&["1-2:bb"])),
            statement("9:aa", "now", 2, &gaps(&["1-2:bb"])),
            statement("9:aa", "now", 1, &gaps(&["1-3:bb"])),
            statement("9:aa", "now", 1, &gaps(&["1-2:bb", "4-5:cc"])),
            statement("9:aa", "now", 1, &[]),
            crate::audit::vouch::statement(&[0; 32], "9:aa", "now"),
        ];
        let all = said.len();
        said.sort();
        said.dedup();
        assert_eq!(said.len(), all);
    }
}
