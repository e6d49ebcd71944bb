//! One line of the audit log: JSON in one spelling only.
//!
//! A line is `{"seq":…,"time":"…","prev":"…",` and the members of its [`Event`], in the order of the fields here,
//! without a space, in ASCII. [`Line::parse`] takes nothing that [`write()`] would have written otherwise.

mod kind;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

pub(crate) use self::kind::{Kind, Verdict};
use super::pen::{self, Pen};
use crate::identity::Principal;

/// SHA-256.
pub(crate) type Hash = [u8; 32];

/// Longer lines are not written, and not read.
pub(crate) const MAX_LINE_BYTES: usize = 16 * 1024;

/// What a line tells, in the order in which it stands there. docs/reference/audit.md explains each member.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Event<'a> {
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) uid: Option<u32>,
    #[serde(default)]
    pub(crate) pid: Option<i32>,
    #[serde(default)]
    pub(crate) unit: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) client: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) credential: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) venue: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) action: Option<Cow<'a, str>>,
    /// The rule of the venue's action table that says so.
    #[serde(default)]
    pub(crate) endpoint: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) method: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) path: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) query: Option<Cow<'a, RawValue>>,
    #[serde(default)]
    pub(crate) body: Option<Cow<'a, RawValue>>,
    #[serde(default)]
    pub(crate) orders: Option<Cow<'a, RawValue>>,
    /// SHA-256 of the bytes that were signed.
    #[serde(default, deserialize_with = "hash_text")]
    pub(crate) canonical: Option<Hash>,
    #[serde(default)]
    pub(crate) verdict: Option<Verdict>,
    #[serde(default)]
    pub(crate) rule: Option<Cow<'a, str>>,
    /// Who has said yes, where a human was asked.
    #[serde(default)]
    pub(crate) confirmed: Option<Cow<'a, str>>,
    /// The record's, from now on.
    #[serde(default)]
    pub(crate) revision: Option<u64>,
    /// The grants that are in force from now on.
    #[serde(default)]
    pub(crate) grants: Option<Vec<Cow<'a, str>>>,
    /// What of them no signature keeps.
    #[serde(default)]
    pub(crate) accept_unbound: Option<Vec<Cow<'a, str>>>,
    /// Whether a record that was rolled back was accepted.
    #[serde(default)]
    pub(crate) accept_older: Option<bool>,
    /// SHA-256 of the user's own profile that it signs by from now on.
    #[serde(default, deserialize_with = "hash_text")]
    pub(crate) profile: Option<Hash>,
    #[serde(default)]
    pub(crate) cause: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) micros: Option<u64>,
    #[serde(default)]
    pub(crate) version: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) times: Option<u64>,
    #[serde(default)]
    pub(crate) since: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) lost: Option<BTreeMap<Cow<'a, str>, u64>>,
    /// Lines that are missing and were accepted to be.
    #[serde(default)]
    pub(crate) gaps: Option<Vec<Cow<'a, str>>>,
    #[serde(default)]
    pub(crate) file: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) bytes: Option<u64>,
    /// The public half of the key of a checkpoint.
    #[serde(default, deserialize_with = "hash_text")]
    pub(crate) key: Option<Hash>,
    #[serde(default)]
    pub(crate) covers: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) at: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) signature: Option<Cow<'a, str>>,
    /// The public half of the token's own key, where that has signed too.
    #[serde(default)]
    pub(crate) token_key: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) token_signature: Option<Cow<'a, str>>,
    /// What the token has signed for, where that is not what the line itself covers.
    #[serde(default)]
    pub(crate) token_covers: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) token_at: Option<Cow<'a, str>>,
}

impl<'a> Event<'a> {
    /// Writes its members.
    pub(crate) fn write(&self, pen: &mut Pen<'_>) {
        let text = |pen: &mut Pen<'_>, name, value: &Option<Cow<'_, str>>| {
            if let Some(value) = value {
                pen.text(name, value);
            }
        };
        let raw = |pen: &mut Pen<'_>, name, value: &Option<Cow<'_, RawValue>>| {
            if let Some(value) = value {
                pen.member(name, |out| out.extend_from_slice(value.get().as_bytes()));
            }
        };
        let number = |pen: &mut Pen<'_>, name, value: Option<i128>| {
            if let Some(value) = value {
                pen.number(name, value);
            }
        };
        let list = |pen: &mut Pen<'_>, name, value: &Option<Vec<Cow<'_, str>>>| {
            if let Some(value) = value {
                pen.member(name, |out| texts(value, out));
            }
        };
        let hash = |pen: &mut Pen<'_>, name, value: &Option<Hash>| {
            if let Some(value) = value {
                pen.hash(name, value);
            }
        };
        pen.text("kind", self.kind.name());
        number(pen, "uid", self.uid.map(i128::from));
        number(pen, "pid", self.pid.map(i128::from));
        text(pen, "unit", &self.unit);
        text(pen, "client", &self.client);
        text(pen, "credential", &self.credential);
        text(pen, "venue", &self.venue);
        text(pen, "action", &self.action);
        text(pen, "endpoint", &self.endpoint);
        text(pen, "method", &self.method);
        text(pen, "path", &self.path);
        raw(pen, "query", &self.query);
        raw(pen, "body", &self.body);
        raw(pen, "orders", &self.orders);
        hash(pen, "canonical", &self.canonical);
        if let Some(verdict) = self.verdict {
            pen.text("verdict", verdict.name());
        }
        text(pen, "rule", &self.rule);
        text(pen, "confirmed", &self.confirmed);
        number(pen, "revision", self.revision.map(i128::from));
        list(pen, "grants", &self.grants);
        list(pen, "accept_unbound", &self.accept_unbound);
        if let Some(yes) = self.accept_older {
            pen.member("accept_older", |out| out.extend_from_slice(if yes { b"true" } else { b"false" }));
        }
        hash(pen, "profile", &self.profile);
        text(pen, "cause", &self.cause);
        number(pen, "micros", self.micros.map(i128::from));
        text(pen, "version", &self.version);
        number(pen, "times", self.times.map(i128::from));
        text(pen, "since", &self.since);
        if let Some(lost) = &self.lost {
            pen.member("lost", |out| counts(lost, out));
        }
        list(pen, "gaps", &self.gaps);
        text(pen, "file", &self.file);
        number(pen, "bytes", self.bytes.map(i128::from));
        hash(pen, "key", &self.key);
        text(pen, "covers", &self.covers);
        text(pen, "at", &self.at);
        text(pen, "signature", &self.signature);
        text(pen, "token_key", &self.token_key);
        text(pen, "token_signature", &self.token_signature);
        text(pen, "token_covers", &self.token_covers);
        text(pen, "token_at", &self.token_at);
    }

    /// Something that `who` has done.
    pub(crate) fn by(kind: Kind, who: &'a Principal) -> Self {
        Self {
            uid: Some(who.uid),
            pid: Some(who.pid),
            unit: who.unit.as_ref().map(|unit| unit.as_str().into()),
            client: who.client.as_ref().map(|client| client.as_str().into()),
            ..Self::of(kind)
        }
    }

    /// Something that has happened, of which nothing more is told.
    pub(crate) const fn of(kind: Kind) -> Self {
        Self {
            kind,
            uid: None,
            pid: None,
            unit: None,
            client: None,
            credential: None,
            venue: None,
            action: None,
            endpoint: None,
            method: None,
            path: None,
            query: None,
            body: None,
            orders: None,
            canonical: None,
            verdict: None,
            rule: None,
            confirmed: None,
            revision: None,
            grants: None,
            accept_unbound: None,
            accept_older: None,
            profile: None,
            cause: None,
            micros: None,
            version: None,
            times: None,
            since: None,
            lost: None,
            gaps: None,
            file: None,
            bytes: None,
            key: None,
            covers: None,
            at: None,
            signature: None,
            token_key: None,
            token_signature: None,
            token_covers: None,
            token_at: None,
        }
    }
}

/// Appends a list of texts.
fn texts(list: &[Cow<'_, str>], out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, text) in list.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        pen::string(text, out);
    }
    out.push(b']');
}

/// Leaves a list as it is, or cuts it behind `bytes` bytes of texts and says so by three dots.
pub(crate) fn clip_list(list: impl IntoIterator<Item = String>, bytes: usize) -> Vec<Cow<'static, str>> {
    let (mut kept, mut left) = (Vec::new(), bytes);
    for text in list {
        let Some(rest) = left.checked_sub(text.len()) else {
            kept.push("...".into());
            break;
        };
        left = rest;
        kept.push(text.into());
    }
    kept
}

/// Appends how many there are of each kind.
fn counts(lost: &BTreeMap<Cow<'_, str>, u64>, out: &mut Vec<u8>) {
    let mut between = b'{';
    for (kind, count) in lost {
        out.push(between);
        pen::string(kind, out);
        out.push(b':');
        pen::number(*count, out);
        between = b',';
    }
    if between == b'{' {
        out.push(between);
    }
    out.push(b'}');
}

/// A line that was read.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// Its number; the first is 1.
    pub(crate) seq: u64,
    pub(crate) time: Timestamp,
    /// SHA-256 of the line before, its newline with it; zeros in the first.
    pub(crate) prev: Hash,
    pub(crate) event: Event<'static>,
}

/// What stands between the number, the time, the hash and the rest.
const PARTS: [&str; 4] = [r#"{"seq":"#, r#","time":""#, r#"","prev":""#, r#"""#];

/// Appends a line, its newline with it. `time` is what [`Clock`] gives; `members` writes the rest.
pub(crate) fn write(
    seq: u64,
    time: &str,
    prev: &Hash,
    members: impl FnOnce(&mut Pen<'_>),
    out: &mut Vec<u8>,
) {
    let [begin, at, after, rest] = PARTS;
    out.extend_from_slice(begin.as_bytes());
    pen::number(seq, out);
    for part in [at, time, after] {
        out.extend_from_slice(part.as_bytes());
    }
    pen::hex(prev, out);
    out.extend_from_slice(rest.as_bytes());
    members(&mut Pen::new(out));
    out.extend_from_slice(b"}\n");
}

impl Line {
    /// Reads a line, without its newline. `None` where it is not exactly what is written for what it says.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() < MAX_LINE_BYTES)?;
        let [begin, at, after, rest] = PARTS;
        let (seq, tail) = text.strip_prefix(begin)?.split_once(at)?;
        let (time_text, tail) = tail.split_once(after)?;
        let (prev, members) = tail.split_once(rest)?;
        let line = Self {
            seq: seq.parse().ok()?,
            time: time_text.parse().ok()?,
            prev: hash_of(prev)?,
            event: serde_json::from_str(&format!("{{{}", members.strip_prefix(',')?)).ok()?,
        };
        let mut again = Vec::with_capacity(text.len().saturating_add(1));
        line.write(&mut again);
        (again.strip_suffix(b"\n") == Some(text.as_bytes())).then_some(line)
    }

    /// Appends it as it was, its newline with it.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mut clock = Clock::default();
        write(self.seq, clock.text(self.time), &self.prev, |pen| self.event.write(pen), out);
    }
}

fn hash_of(hex: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    let bytes = base16ct::lower::decode(hex, &mut hash).ok()?;
    (bytes.len() == 32).then_some(hash)
}

/// Writes times as RFC 3339 in UTC with six digits: `2026-11-21T21:53:01.000042Z`.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    second: Option<i64>,
    text: String,
}

/// Letters up to the second.
const SECOND_LETTERS: usize = 19;

impl Clock {
    /// The text of `time`. Within one second only its last digits are written anew.
    pub(crate) fn text(&mut self, time: Timestamp) -> &str {
        let second = time.as_second();
        if self.second != Some(second) {
            self.text = Timestamp::from_second(second).unwrap_or_default().to_string();
            self.second = Some(second);
        }
        self.text.truncate(SECOND_LETTERS);
        // Digits behind the second are negative before 1970, when no line was written.
        let _ = write!(self.text, ".{:06}Z", time.subsec_nanosecond().max(0) / 1_000);
        &self.text
    }
}

/// Leaves a text as it is, or cuts it behind `bytes` bytes and says so by three dots.
pub(crate) fn clip(text: &str, bytes: usize) -> Cow<'_, str> {
    if text.len() <= bytes {
        return Cow::Borrowed(text);
    }
    let end = (0..=bytes).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    Cow::Owned(format!("{}...", text.get(..end).unwrap_or_default()))
}

/// Reads a hash that stands as 64 hexadecimal digits.
fn hash_text<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Hash>, D::Error> {
    let text = String::deserialize(from)?;
    let unreadable = || serde::de::Error::custom("a hash has 64 hexadecimal digits");
    hash_of(&text).map(Some).ok_or_else(unreadable)
}

#[cfg(test)]
mod tests;
