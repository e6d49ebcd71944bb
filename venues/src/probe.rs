//! What a signature binds, found by trying: a request is changed in one place after the other, and the
//! signed text changes with it or does not.
//!
//! `covers` is a promise to the policy engine, and the compiler checks only that the signed text reads
//! what is promised. This looks at what comes out, and for filters that take something out.

mod lossy;
mod sample;
mod shaped;

pub(crate) use self::sample::example;
use self::sample::{Sample, samples};
use crate::canonical::Account;
use crate::clock::Moment;
use crate::error::{Place, Position, RequestError};
use crate::profile::{Profile, RuleAt};
use crate::rule::{Covers, Sign};

/// What one rule of a profile binds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The case, counted from 1 in the order of the profile; nothing for the base.
    pub case: Option<usize>,
    /// What `covers` says.
    pub claimed: Covers,
    /// Where the profile says it.
    pub claimed_at: Position,
    /// What was found.
    pub found: Covers,
    /// Whether one value can be written so that it is signed like two parameters, because values are
    /// signed without escapes. The venue tells them apart, its signature does not.
    pub recut: bool,
    /// How many requests this rule was tried with. None is made up for a case whose conditions leave
    /// no request, or that another case takes all of.
    pub tried: usize,
    /// A change of a request that the signed text does not show, although `covers` promises it.
    pub unseen: Option<String>,
}

impl Finding {
    /// Whether the rule promises what its signature does not keep.
    #[must_use]
    pub const fn overclaims(&self) -> bool {
        self.unseen.is_some()
    }
}

/// Which part of a request a change is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Method,
    Params,
    Path,
}

impl Covers {
    const fn binds(self, part: Part) -> bool {
        match part {
            Part::Method => matches!(self, Self::Full),
            Part::Params => self.params(),
            Part::Path => matches!(self, Self::Full | Self::Path | Self::PathAndParams),
        }
    }

    const fn of(method: bool, path: bool, params: bool) -> Self {
        match (method, path, params) {
            (true, true, true) => Self::Full,
            (false, true, true) => Self::PathAndParams,
            (_, false, true) => Self::Params,
            (_, true, false) => Self::Path,
            (_, false, false) => Self::Nothing,
        }
    }
}

/// How a part of the request fared over all changes.
#[derive(Debug, Clone, Copy, Default)]
struct Bound {
    tried: bool,
    missed: bool,
}

impl Bound {
    const fn holds(self) -> bool {
        self.tried && !self.missed
    }
}

impl Profile {
    /// Finds out what the signature of each rule binds: the base first, then the cases.
    #[must_use]
    pub fn probe(&self) -> Vec<Finding> {
        let cases = (0..self.compiled.cases.len()).map(RuleAt::Case);
        std::iter::once(RuleAt::Base).chain(cases).map(|at| probe(self, at)).collect()
    }
}

fn probe(profile: &Profile, at: RuleAt) -> Finding {
    let rule = profile.compiled.rule(at);
    let claimed = rule.covers;
    let (mut method, mut path, mut params) = (Bound::default(), Bound::default(), Bound::default());
    let (mut tried, mut recut, mut unseen) = (0_usize, false, None);
    for sample in samples(profile, at) {
        let Signed::Text(text) = signed(profile, at, &sample) else { continue };
        tried = tried.saturating_add(1);
        // What is added where nothing was can only show that a part is free: what a venue makes of a signature without
        // it is not known.
        let added = sample.added().into_iter().map(|added| (Part::Params, added, false));
        let changes = sample.changes(profile).into_iter().map(|(part, changed)| (part, changed, true));
        for (part, changed, tries) in changes.chain(added) {
            let bound = match part {
                Part::Method => &mut method,
                Part::Params => &mut params,
                Part::Path => &mut path,
            };
            bound.tried |= tries;
            let why = match signed(profile, at, &changed) {
                Signed::Text(other) if other == text => format!("{sample} is signed like {changed}"),
                Signed::Without(what) => format!(
                    "whoever holds the signature of {sample} can send {changed}: {what} is not in the signed text"
                ),
                // A request that is refused has no signature that could be the same.
                Signed::Not | Signed::Refused | Signed::Text(_) => continue,
            };
            bound.missed = true;
            if claimed.binds(part) && unseen.is_none() {
                unseen = Some(why);
            }
        }
        recut |= claimed.params()
            && sample.cuts(&rule.kv).iter().any(|(one, two)| {
                let (one, two) = (signed(profile, at, one), signed(profile, at, two));
                matches!((one, two), (Signed::Text(one), Signed::Text(two)) if one == two)
            });
    }
    for loss in lossy::losses(profile, at) {
        let bound = match loss.part {
            Part::Method => &mut method,
            Part::Params => &mut params,
            Part::Path => &mut path,
        };
        bound.missed = true;
        if claimed.binds(loss.part) && unseen.is_none() {
            unseen = Some(loss.why);
        }
    }
    // Where the profile signs for one endpoint, there is no other to try.
    let one = profile.compiled.endpoint.is_some();
    let holds = |part, bound: Bound| if one { claimed.binds(part) } else { bound.holds() };
    let found = Covers::of(holds(Part::Method, method), holds(Part::Path, path), params.holds());
    let case = match at {
        RuleAt::Case(at) => Some(at.saturating_add(1)),
        RuleAt::Base | RuleAt::Login(_) => None,
    };
    Finding { case, claimed, claimed_at: rule.covers_at, found, recut, tried, unseen }
}

/// What comes of signing a request, at a time and under an account that are always the same.
enum Signed {
    /// The endpoint takes no signature.
    Not,
    Refused,
    Text(Vec<u8>),
    /// Refused by the engine alone: this would go out unsigned, and the venue would take it.
    Without(&'static str),
}

fn signed(profile: &Profile, at: RuleAt, sample: &Sample) -> Signed {
    let base_url = profile.hosts().first().map_or("https://api.example.com", String::as_str);
    let account = Account { key_id: "key", uid: Some("7"), base_url };
    let moment = Moment { unix_ns: 1_754_000_123_456_000_000, nonce: 1_754_000_123_456, ..Moment::default() };
    let list = sample.list();
    let request = sample.request(&list);
    let rule = profile.compiled.rule(at);
    let typed = matches!(rule.sign, Sign::Eip712 { .. });
    let canonical = profile.plan(&request).and_then(|plan| plan.canonicalise(&account, &moment));
    match canonical {
        Ok(canonical) if canonical.needs_signature() => Signed::Text(canonical.message().to_vec()),
        Ok(_) => Signed::Not,
        Err(RequestError::Unsigned { place: Place::Body, .. }) if sample.is_one_of(&rule.body_methods) => {
            Signed::Without("the body")
        }
        Err(RequestError::Unsigned { place: Place::Query, .. }) if !profile.compiled.query_unsigned => {
            Signed::Without("the query")
        }
        // What typed data leaves out is no field of what the venue takes.
        Err(RequestError::UnsignedMember { .. }) if !typed => Signed::Without("that member of the body"),
        Err(_) => Signed::Refused,
    }
}
