//! What holds the lines together: numbers without a gap, and in each line the hash of the one before.
//!
//! Pure: bytes in, findings out. Whoever can write the files can write a whole new chain from some line on, or leave
//! the end of one out; that is found by checkpoints, and by a line that is known from elsewhere, see
//! [`Verifier::expect`].

mod finding;

use std::collections::VecDeque;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

pub(crate) use self::finding::{Fault, Finding, Place};
use super::accepted::{Acceptance, Gap};
use super::checkpoint::{Checkpoint, PublicKey};
use super::line::{Clock, Hash, Kind, Line, Verdict, write};
use super::pen::Pen;
use super::vouch::{Fingerprint, Unvouched, Vouched, Vouching};

/// Where a chain has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Number of the last line; 0 before the first.
    pub(crate) seq: u64,
    /// SHA-256 of it, its newline with it.
    pub(crate) hash: Hash,
}

impl Head {
    /// Before the first line.
    pub(crate) const START: Self = Self { seq: 0, hash: [0; 32] };

    /// The head behind a line that was read.
    pub(crate) fn behind(seq: u64, text: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(text);
        hash.update(b"\n");
        Self { seq, hash: hash.finalize().into() }
    }

    /// Appends the next line to `out` and goes on behind it. `members` writes what it tells.
    pub(crate) fn write(
        &mut self,
        clock: &mut Clock,
        now: Timestamp,
        members: impl FnOnce(&mut Pen<'_>),
        out: &mut Vec<u8>,
    ) {
        let begin = out.len();
        self.seq = self.seq.saturating_add(1);
        write(self.seq, clock.text(now), &self.hash, members, out);
        self.hash = Sha256::digest(out.get(begin..).unwrap_or_default()).into();
    }
}

impl std::fmt::Display for Head {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{}:{}", self.seq, base16ct::lower::encode_string(&self.hash))
    }
}

impl std::str::FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (seq, hash) = text.split_once(':')?;
            let hash = base16ct::lower::decode_vec(hash).ok()?.try_into().ok()?;
            Some(Self { seq: seq.parse().ok()?, hash })
        };
        parse().ok_or_else(|| "a head is NUMBER:HASH, as `strongroom audit verify` prints it".to_owned())
    }
}

/// Takes the lines of a log one after the other and finds what does not hold.
#[derive(Debug)]
pub(crate) struct Verifier {
    /// Number that the next line must have; `None` where any may be the first.
    next: Option<u64>,
    /// The line before, where its hash is to be trusted.
    before: Option<(Head, Place)>,
    /// The hash in this line is not that of the line before: which of the two was edited shows in the next one.
    doubt: Option<(Finding, Finding)>,
    whole: bool,
    noted: Vec<Head>,
    /// Demanded of every checkpoint.
    key: Option<PublicKey>,
    keys: Vec<PublicKey>,
    vouching: Vouching,
    signed: u64,
    /// Number of the first line, and its hash of the one before.
    first: Option<Head>,
    /// Lines up to which the agent has deleted, by its own signature.
    pruned: Vec<Checkpoint>,
    /// The last lines, for the checkpoint that covers one of them.
    recent: VecDeque<Head>,
    missing: Vec<Absent>,
    accepted: Vec<Acceptance>,
    findings: Vec<Finding>,
    head: Head,
    lines: u64,
}

impl Verifier {
    /// Of a whole log, or of one whose beginning is elsewhere.
    pub(crate) fn new(whole: bool) -> Self {
        Self {
            next: whole.then_some(1),
            before: whole.then_some((Head::START, Place { file: 0, line: 0 })),
            doubt: None,
            whole,
            noted: Vec::new(),
            key: None,
            keys: Vec::new(),
            vouching: Vouching::new(whole),
            signed: 0,
            first: None,
            pruned: Vec::new(),
            recent: VecDeque::new(),
            missing: Vec::new(),
            accepted: Vec::new(),
            findings: Vec::new(),
            head: Head::START,
            lines: 0,
        }
    }

    /// Whether it is of a whole log.
    pub(crate) const fn is_whole(&self) -> bool {
        self.whole
    }

    /// Demands that this line is in the log.
    pub(crate) fn expect(&mut self, noted: Head) {
        self.noted.push(noted);
    }

    /// Demands that every checkpoint is of this key.
    pub(crate) fn demand_key(&mut self, key: PublicKey) {
        self.key = Some(key);
    }

    /// Demands that the token vouches for the checkpoints, by this key.
    pub(crate) const fn demand_token(&mut self, key: Fingerprint) {
        self.vouching.demand(key);
    }

    /// Takes the token's word for a session whose beginning was deleted from the line that tells of that.
    pub(crate) const fn take_carried(&mut self) {
        self.vouching.take_carried();
    }

    /// Takes one line without its newline; gives what it says, where it is one.
    pub(crate) fn line(&mut self, place: Place, text: &[u8]) -> Option<Line> {
        self.lines = self.lines.saturating_add(1);
        let Some(line) = Line::parse(text) else {
            let seq = self.next.unwrap_or_default();
            self.found(Fault::Edited { seq }, place);
            self.settle_doubt(None);
            (self.next, self.before) = (self.next.map(|next| next.saturating_add(1)), None);
            return None;
        };
        let head = Head::behind(line.seq, text);
        self.first.get_or_insert(Head { seq: line.seq, hash: line.prev });
        let follows = self.before.map(|(before, _)| before.hash == line.prev);
        self.settle_doubt(follows);
        let next = self.next.unwrap_or(line.seq);
        if line.seq == next {
            if let (Some(false), Some((before, at))) = (follows, self.before) {
                let finding = |seq, place| Finding { fault: Fault::Edited { seq }, place };
                self.doubt = Some((finding(before.seq, at), finding(line.seq, place)));
            }
            self.go_on(head, place, next);
        } else if follows == Some(true) {
            // It stands where it belongs, under another number; the hash in the next line is of the old one.
            self.found(Fault::Edited { seq: next }, place);
            (self.next, self.before) = (Some(next.saturating_add(1)), None);
            // Nor is it the line that has its number now.
            return Some(line);
        } else if line.seq > next {
            let behind = self.before.map(|(before, _)| before.hash);
            self.missing.push(Absent { from: next, to: line.seq.saturating_sub(1), behind, place });
            self.go_on(head, place, line.seq);
        } else {
            let fault = if self.was_missing(line.seq) {
                Fault::Moved { seq: line.seq }
            } else {
                Fault::Repeated { seq: line.seq }
            };
            self.found(fault, place);
            self.before = None;
        }
        self.compare(head, place);
        self.vouching.line(line.seq, &line.event);
        if line.event.kind == Kind::Cut {
            let covers = line.event.covers.as_deref().and_then(|covers| covers.parse().ok());
            let known = covers.map_or(0, |Head { seq, .. }| seq);
            self.found(Fault::Cut { seq: line.seq, known }, place);
        }
        if let (Kind::AcceptCut, Some(key)) = (line.event.kind, self.vouching.demanded())
            && line.event.verdict == Some(Verdict::Allowed)
        {
            match Acceptance::of(line.seq, &line.event, self.recent.back(), key) {
                Some(acceptance) => self.accepted.push(acceptance),
                None => self.found(Fault::Unaccepted { seq: line.seq }, place),
            }
        }
        if matches!(line.event.kind, Kind::Checkpoint | Kind::Prune) {
            self.checkpoint(&line, place);
        }
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(head);
        Some(line)
    }

    fn checkpoint(&mut self, line: &Line, place: Place) {
        let demanded = self.key;
        let of_key = |found: &Checkpoint| demanded.is_none_or(|key| key == found.key);
        let Some(Checkpoint { key, covers }) = Checkpoint::of(&line.event).filter(of_key) else {
            return self.found(Fault::Forged { seq: line.seq }, place);
        };
        if line.event.kind == Kind::Prune {
            let found = Checkpoint { key, covers };
            return match self.vouching.prune(line.seq, &line.event, &found) {
                Ok(()) => self.pruned.push(found),
                Err(_) => self.found(Fault::Forged { seq: line.seq }, place),
            };
        }
        match self.recent.iter().rev().find(|head| head.seq == covers.seq) {
            None if self.explains_absence(covers.seq) => return,
            None => return self.found(Fault::Forged { seq: line.seq }, place),
            Some(head) if *head != covers => return self.found(Fault::Forged { seq: line.seq }, place),
            Some(_) => {}
        }
        match self.vouching.checkpoint(line.seq, &line.event, &Checkpoint { key, covers }) {
            Ok(()) => {}
            Err(Unvouched::Forged) => return self.found(Fault::Forged { seq: line.seq }, place),
            Err(Unvouched::Uncertified) => return self.found(Fault::Uncertified { seq: line.seq }, place),
        }
        self.signed = self.signed.max(covers.seq);
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
    }

    /// Whether a checkpoint may cover a line that was not read: one before the first, or one of which something is
    /// found already. It vouches for nothing then, neither for that line nor for its own key.
    fn explains_absence(&self, seq: u64) -> bool {
        let is_elsewhere = self.first.is_some_and(|first| seq < first.seq);
        is_elsewhere || !self.missing.is_empty() || !self.findings.is_empty()
    }

    /// Takes what stands behind the last newline.
    pub(crate) fn torn(&mut self, place: Place) {
        self.found(Fault::Torn { seq: self.next.unwrap_or_default() }, place);
    }

    fn go_on(&mut self, head: Head, place: Place, seq: u64) {
        self.head = head;
        self.next = Some(seq.saturating_add(1));
        self.before = Some((head, place));
    }

    /// The next line shows whose hash was wrong: where it fits this one, this one is whole.
    fn settle_doubt(&mut self, fits: Option<bool>) {
        let Some((before, this)) = self.doubt.take() else { return };
        if fits == Some(false) {
            self.findings.push(this);
            // What follows a line that was edited cannot fit it, and says nothing more.
            self.before = None;
        } else {
            self.findings.push(before);
        }
    }

    fn was_missing(&mut self, seq: u64) -> bool {
        let Some(at) = self.missing.iter().position(|absent| (absent.from..=absent.to).contains(&seq)) else {
            return false;
        };
        let whole = self.missing.remove(at);
        let parts = [
            Absent { to: seq.saturating_sub(1), ..whole },
            Absent { from: seq.saturating_add(1), behind: None, ..whole },
        ];
        self.missing.extend(parts.into_iter().filter(|part| part.from <= part.to));
        true
    }

    fn compare(&mut self, head: Head, place: Place) {
        if self.noted.iter().any(|noted| noted.seq == head.seq && noted.hash != head.hash) {
            self.found(Fault::NotAsNoted { seq: head.seq }, place);
        }
    }

    fn found(&mut self, fault: Fault, place: Place) {
        self.findings.push(Finding { fault, place });
    }

    /// What was found, by number, and the last line.
    pub(crate) fn finish(mut self, end: Place) -> Verified {
        self.settle_doubt(None);
        let last = self.next.map_or(0, |next| next.saturating_sub(1));
        if let Some(noted) = self.noted.iter().map(|noted| noted.seq).max().filter(|noted| *noted > last) {
            let from = last.saturating_add(1);
            self.missing.push(Absent { from, to: noted, behind: None, place: end });
        }
        let pruned = self.settle_pruned();
        let (mut gaps, mut accepted) = (Vec::new(), Vec::new());
        for Absent { from, to, behind, place } in std::mem::take(&mut self.missing) {
            let finding = Finding { fault: Fault::Missing { from, to }, place };
            match self.accepted_in(finding.fault, behind) {
                Some(line) => accepted.push((finding, line)),
                None => {
                    self.findings.push(finding);
                    gaps.extend(behind.map(|behind| Gap { from, to, behind }));
                }
            }
        }
        for finding in std::mem::take(&mut self.findings) {
            match self.accepted_in(finding.fault, None) {
                Some(line) => accepted.push((finding, line)),
                None => self.findings.push(finding),
            }
        }
        // Where lines are missing or edited, the token's may be among them.
        if self.findings.is_empty() && self.vouching.is_missing() {
            // It is about no line in particular.
            self.found(Fault::Unvouched, Place { line: 0, ..end });
        }
        self.findings.sort_by_key(|finding| (finding.fault.seq(), finding.place));
        accepted.sort_by_key(|(finding, _)| (finding.fault.seq(), finding.place));
        let Self { findings, head, lines, signed, keys, vouching, .. } = self;
        Verified { findings, accepted, gaps, head, lines, signed, pruned, keys, vouched: vouching.finish() }
    }

    /// The line in which the owner has accepted that, if it was.
    fn accepted_in(&self, fault: Fault, behind: Option<Hash>) -> Option<u64> {
        self.accepted.iter().find_map(|acceptance| acceptance.answers(fault, behind))
    }

    /// Lines that the agent has deleted by itself are not missing. Gives the last of them; 0 where there are none.
    fn settle_pruned(&mut self) -> u64 {
        let Some(first) = self.first else { return 0 };
        let before = self.pruned.iter().filter(|pruned| self.vouching.may_prune(&pruned.key, &self.keys));
        let before = before.map(|pruned| pruned.covers).filter(|pruned| pruned.seq < first.seq);
        let Some(last) = before.max_by_key(|pruned| pruned.seq) else { return 0 };
        let Some(absent) = self.missing.first_mut().filter(|absent| absent.from == 1) else { return 0 };
        absent.from = last.seq.saturating_add(1);
        absent.behind = Some(last.hash);
        let place = absent.place;
        if absent.from > absent.to {
            self.missing.remove(0);
            if last.hash != first.hash {
                self.found(Fault::Edited { seq: first.seq }, place);
            }
        }
        last.seq
    }
}

/// Lines that are not there.
#[derive(Debug, Clone, Copy)]
struct Absent {
    from: u64,
    to: u64,
    /// Hash of the line before them, where that is to be trusted.
    behind: Option<Hash>,
    /// Where that was seen.
    place: Place,
}

/// What a [`Verifier`] has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) findings: Vec<Finding>,
    /// What its owner has accepted of what was found, and in which line.
    pub(crate) accepted: Vec<(Finding, u64)>,
    /// Where numbers leave lines out, and nobody has accepted it.
    pub(crate) gaps: Vec<Gap>,
    /// The last line that stands where it belongs.
    pub(crate) head: Head,
    pub(crate) lines: u64,
    /// The last line that a checkpoint covers; 0 where none does.
    pub(crate) signed: u64,
    /// The last line that the agent has deleted because the configuration says so; 0 where it has deleted none.
    pub(crate) pruned: u64,
    /// The keys of all checkpoints that hold.
    pub(crate) keys: Vec<PublicKey>,
    /// What the token itself vouches for.
    pub(crate) vouched: Vouched,
}

/// So far behind may the line be that a checkpoint covers: it is signed while others are written.
const RECENT: usize = 8_192;

#[cfg(test)]
mod tests;
