//! Where a signed text has a number with nothing between it and what the caller says.
//!
//! Of `/x5` and `1754` a venue sees `/x51754`, which is `/x` and `51754` as well. Who holds the signature could cut it
//! there: it would be another endpoint, or a time far ahead. The other way about, a number that loses digits is a
//! time long gone, which no venue takes.

use super::{Filter, Piece, Slot, Template, Values, Var, VarSet};

/// Who says what stands at one place of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The endpoint.
    Endpoint,
    /// The account, or what has a length of its own.
    Fixed,
    /// Time, nonce, or text of the profile's.
    Number(Option<Var>),
    /// The caller's parameters; perhaps none.
    Params(Var),
}

/// A text in which some number has a neighbour of the caller's.
#[derive(Debug)]
struct Text {
    chunks: Vec<Chunk>,
    /// A number is written twice, so both must be cut alike.
    twice: bool,
}

#[derive(Debug)]
enum Chunk {
    Literal(Box<[u8]>),
    Value {
        slot: Slot,
        source: Source,
        /// Text stands in front of it, if there is any of it.
        front: Option<u8>,
    },
}

/// What of one rule's texts is to be looked at.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    texts: Vec<Text>,
    /// The parameters before a number that is written only there, the nearest first.
    before: Vec<Var>,
}

/// Two digits side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clash {
    /// The endpoint ends in so many zeros, before a number: as a number it stays what it is.
    Zeros(usize),
    /// It ends in other digits.
    Endpoint,
    /// A parameter begins with a digit, and a number ends there.
    Params,
}

impl Beside {
    /// Of the texts that are signed: `lets` that go into a digest, and the message. `of` knows what other slots are.
    pub(crate) fn of(
        lets: &[(Slot, Template)],
        message: &Template,
        numbers: VarSet,
        params: &[Slot],
    ) -> Self {
        let source = |slot| source(slot, lets, numbers, params);
        let mut found = Self::default();
        for template in lets.iter().map(|(_, template)| template).chain([message]) {
            let chunks = chunks(template, &source);
            let mut seen = Vec::new();
            let mut twice = Vec::new();
            for chunk in &chunks {
                if let Chunk::Value { source: Source::Number(Some(var)), .. } = chunk {
                    if seen.contains(var) { twice.push(*var) } else { seen.push(*var) }
                }
            }
            for (at, chunk) in chunks.iter().enumerate() {
                let Chunk::Value { source: Source::Number(Some(var)), .. } = chunk else { continue };
                if !twice.contains(var) {
                    let before = chunks.iter().take(at).rev().map_while(|chunk| match chunk {
                        Chunk::Value { source: Source::Params(var), .. } => Some(*var),
                        _ => None,
                    });
                    found.before.extend(before);
                }
            }
            if chunks.iter().any(Chunk::is_callers) {
                found.texts.push(Text { chunks, twice: !twice.is_empty() });
            }
        }
        found
    }

    /// The parameters right before a number, the nearest first: what they end in could be read as the number's.
    pub(crate) fn before(&self) -> &[Var] {
        &self.before
    }

    /// The first place where a digit of the caller's has another digit beside it that is not.
    pub(crate) fn clash(&self, values: &Values) -> Option<Clash> {
        self.texts.iter().find_map(|text| text.clash(values))
    }
}

impl Text {
    fn clash(&self, values: &Values) -> Option<Clash> {
        let mut last: Option<(Source, &[u8])> = None;
        for chunk in &self.chunks {
            let (source, front, bytes) = match chunk {
                Chunk::Literal(text) => (Source::Number(None), None, &**text),
                Chunk::Value { slot, source, front } => (*source, *front, values.get(*slot)),
            };
            let Some(first) = bytes.first() else { continue };
            let digit = front.unwrap_or(*first).is_ascii_digit();
            if let Some((before, text)) = last
                && digit
                && text.last().is_some_and(u8::is_ascii_digit)
            {
                match (before, source) {
                    (Source::Endpoint, Source::Number(_)) => {
                        let run = text.iter().rev().take_while(|byte| byte.is_ascii_digit());
                        let zeros = !self.twice && run.clone().all(|byte| *byte == b'0');
                        return Some(if zeros { Clash::Zeros(run.count()) } else { Clash::Endpoint });
                    }
                    (Source::Fixed, _) => {}
                    (_, Source::Params(_) | Source::Endpoint) => return Some(Clash::Params),
                    _ => {}
                }
            }
            last = Some((source, bytes));
        }
        None
    }
}

impl Chunk {
    const fn is_callers(&self) -> bool {
        matches!(self, Self::Value { source: Source::Endpoint | Source::Params(_), .. })
    }
}

/// The pieces of a template, a digest or another text of fixed length standing for itself.
fn chunks(template: &Template, source: &impl Fn(Slot) -> Source) -> Vec<Chunk> {
    let pieces = template.pieces.iter().filter_map(|piece| match piece {
        Piece::Literal(text) => Some(Chunk::Literal(text.clone())),
        Piece::Secret => None,
        Piece::Value(slot, filters) => {
            let fixed = filters.iter().any(Filter::hides);
            let source = if fixed { Source::Fixed } else { source(*slot) };
            let front = filters.iter().rev().find_map(|filter| match filter {
                Filter::Prefix(text) => text.bytes().next(),
                _ => None,
            });
            Some(Chunk::Value { slot: *slot, source, front })
        }
    });
    pieces.collect()
}

fn source(slot: Slot, lets: &[(Slot, Template)], numbers: VarSet, params: &[Slot]) -> Source {
    if params.contains(&slot) {
        return Source::Endpoint;
    }
    if let Some(var) = Var::ALL.iter().find(|var| var.slot() == slot) {
        return match var {
            Var::Path | Var::Op => Source::Endpoint,
            Var::Ts | Var::Nonce if numbers.contains(*var) => Source::Number(Some(*var)),
            Var::Body | Var::Query | Var::Each | Var::Item => Source::Params(*var),
            var if Var::ALL_PARAMETERS.contains(var) => Source::Params(*var),
            _ => Source::Fixed,
        };
    }
    let Some((_, template)) = lets.iter().find(|(own, _)| *own == slot) else {
        return Source::Params(Var::Kv);
    };
    let sources =
        chunks(template, &|slot| if is_own(slot) { Source::Fixed } else { source(slot, &[], numbers, &[]) });
    let callers = sources.iter().find_map(|chunk| match chunk {
        Chunk::Value { source: source @ (Source::Endpoint | Source::Params(_)), .. } => Some(*source),
        _ => None,
    });
    callers.unwrap_or(Source::Fixed)
}

fn is_own(slot: Slot) -> bool {
    !Var::ALL.iter().any(|var| var.slot() == slot)
}

impl Filter {
    /// Whether what it yields ends and begins with nothing that the caller could choose.
    const fn hides(&self) -> bool {
        matches!(
            self,
            Self::B64
                | Self::B64url
                | Self::Hex
                | Self::HexUpper
                | Self::Json
                | Self::Md5
                | Self::Sha256
                | Self::Sha384
                | Self::Sha512
        )
    }
}
