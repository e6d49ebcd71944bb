//! Templates: text with `{variable}` or `{variable|filter|filter}` in it.
//!
//! A template is compiled once. It has no loops, no conditions and no arithmetic; what it may read is
//! decided when it is compiled, by the [`Stage`] in which it runs. Values are bytes, and a template
//! knows whether it yields text or raw bytes, so that a digest cannot end up in a header by mistake.

mod beside;
mod filter;
mod names;
mod parse;
mod pattern;
mod vars;

pub(crate) use self::beside::{Beside, Clash};
pub(crate) use self::filter::{Filter, Kind};
pub(crate) use self::names::{KvForm, Names, ParamUse, Release, View};
pub(crate) use self::parse::Stage;
pub(crate) use self::pattern::{Cut, Pattern, check as check_pattern};
pub(crate) use self::vars::{Slot, Values, Var, VarSet};

use crate::error::RequestError;

/// A compiled template.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pieces: Box<[Piece]>,
    kind: Kind,
    reads: VarSet,
}

#[derive(Debug, Clone)]
enum Piece {
    Literal(Box<[u8]>),
    /// Where a hash-signed text has room for the secret.
    Secret,
    Value(Slot, Box<[Filter]>),
}

/// Longest text that a template may yield; far more than any request needs.
pub(crate) const MAX_TEXT_BYTES: usize = 512 * 1024;

impl Template {
    /// Whether it yields text or raw bytes.
    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// The variables that it reads, also through other templates.
    pub(crate) const fn reads(&self) -> VarSet {
        self.reads
    }

    /// Where the values are that it reads.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.values().map(|(slot, _)| slot)
    }

    /// The values that it reads, and what is done to each.
    pub(crate) fn values(&self) -> impl Iterator<Item = (Slot, &[Filter])> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Value(slot, filters) => Some((*slot, &**filters)),
            Piece::Literal(_) | Piece::Secret => None,
        })
    }

    /// Whether it is `{var}` and nothing else.
    pub(crate) fn is_exactly(&self, var: Var) -> bool {
        matches!(&*self.pieces, [Piece::Value(slot, filters)] if filters.is_empty() && *slot == var.slot())
    }

    /// Whether the values of these two stand one behind the other, with nothing between them.
    pub(crate) fn adjoins(&self, first: Var, second: Var) -> bool {
        let is = |piece: &Piece, var: Var| matches!(piece, Piece::Value(slot, _) if *slot == var.slot());
        self.pieces.windows(2).any(|two| matches!(two, [one, other] if is(one, first) && is(other, second)))
    }

    /// Whether it begins with all that `other` is.
    pub(crate) fn begins_with(&self, other: &Self) -> bool {
        let same = |(one, other): (&Piece, &Piece)| match (one, other) {
            (Piece::Literal(one), Piece::Literal(other)) => one.starts_with(other),
            (Piece::Value(one, filters), Piece::Value(other, others)) => {
                one == other && filters.is_empty() && others.is_empty()
            }
            _ => false,
        };
        self.pieces.len() >= other.pieces.len() && self.pieces.iter().zip(&other.pieces).all(same)
    }

    /// Whether it always yields nothing, which is how a case takes something away.
    pub(crate) const fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// A pattern of what it yields, where `of` knows that of each value; nothing where something is filtered.
    pub(crate) fn pattern(&self, mut of: impl FnMut(Slot) -> Option<String>) -> Option<String> {
        let mut pattern = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => pattern.push_str(&regex::escape(std::str::from_utf8(text).ok()?)),
                Piece::Value(slot, filters) if filters.is_empty() => pattern.push_str(&of(*slot)?),
                Piece::Secret | Piece::Value(..) => return None,
            }
        }
        Some(pattern)
    }

    /// Appends what it yields to `out`; says where in `out` the secret belongs, if it does.
    pub(crate) fn render(&self, values: &Values, out: &mut Vec<u8>) -> Result<Option<usize>, RequestError> {
        let mut secret_at = None;
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text),
                Piece::Secret => secret_at = Some(out.len()),
                Piece::Value(slot, filters) => filter::apply(filters, values.get(*slot), out)?,
            }
            if out.len() > MAX_TEXT_BYTES {
                return Err(filter::TOO_LONG);
            }
        }
        Ok(secret_at)
    }

    /// What it yields, as text.
    pub(crate) fn text(&self, values: &Values) -> Result<String, RequestError> {
        let mut out = Vec::with_capacity(64);
        self.render(values, &mut out)?;
        String::from_utf8(out).map_err(|_| RequestError::Bug("a text template yielded raw bytes"))
    }
}
