//! The variables of a template, and the values that they have for one request.

use std::ops::Range;

use super::Template;
use super::names::MAX_OWN;
use crate::error::RequestError;

/// Where a value is kept: fixed variables first, then what the profile itself names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(usize);

macro_rules! vars {
    ($($variant:ident = $number:literal $name:literal),+ $(,)?) => {
        /// A variable that every profile has.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Var { $($variant),+ }

        impl Var {
            /// Every variable in the order of their slots.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),+];

            const fn number(self) -> usize {
                match self { $(Self::$variant => $number),+ }
            }

            const fn bit(self) -> u32 {
                match self { $(Self::$variant => 1 << $number),+ }
            }

            /// The name in a template.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

vars! {
    Base = 0 "base",
    Body = 1 "body",
    Each = 2 "each",
    Hex16 = 3 "hex16",
    Host = 4 "host",
    Item = 5 "item",
    Key = 6 "key",
    Kv = 7 "kv",
    KvConcat = 8 "kvconcat",
    KvQuery = 9 "kvquery",
    Method = 10 "method",
    Nonce = 11 "nonce",
    Op = 12 "op",
    ParamsJson = 13 "params_json",
    Passphrase = 14 "passphrase",
    Path = 15 "path",
    Query = 16 "query",
    Sig = 17 "sig",
    Ts = 18 "ts",
    Uid = 19 "uid",
    Uuid = 20 "uuid",
    Uuid16 = 21 "uuid16",
    Uuid22 = 22 "uuid22",
    ByHost = 23 "by_host",
    Msgpack = 24 "msgpack",
    Param = 25 "param",
    SigR = 26 "sig_r",
    SigS = 27 "sig_s",
    SigV = 28 "sig_v",
}

impl Var {
    /// The views on all parameters together, query and body.
    pub(crate) const ALL_PARAMETERS: [Self; 4] = [Self::Kv, Self::KvConcat, Self::KvQuery, Self::ParamsJson];

    /// The signature, or a part of it.
    pub(crate) const SIGNATURE: [Self; 4] = [Self::Sig, Self::SigR, Self::SigS, Self::SigV];

    /// Its slot.
    pub(crate) const fn slot(self) -> Slot {
        Slot(self.number())
    }
}

impl Slot {
    /// The first slot behind the fixed variables.
    pub(crate) const FIRST_OWN: Self = Self(Var::ALL.len());

    /// The slot after this one.
    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A set of variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct VarSet(u32);

impl VarSet {
    pub(crate) const EMPTY: Self = Self(0);

    pub(crate) const fn contains(self, var: Var) -> bool {
        self.0 & var.bit() != 0
    }

    /// Whether one of `vars` is in it.
    pub(crate) fn contains_any(self, vars: &[Var]) -> bool {
        vars.iter().any(|var| self.contains(*var))
    }

    pub(crate) const fn with(self, var: Var) -> Self {
        Self(self.0 | var.bit())
    }

    pub(crate) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The fixed variables, what a profile may name itself, and the query as it is sent.
const MAX_SLOTS: usize = Var::ALL.len().saturating_add(MAX_OWN).saturating_add(1);

/// Where a value starts and ends. Values are limited to far less than four GiB.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn range(self) -> Range<usize> {
        let wide = |at| usize::try_from(at).unwrap_or(usize::MAX);
        wide(self.start)..wide(self.end)
    }
}

fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// All values for one request, one after the other in one buffer.
#[derive(Debug)]
pub(crate) struct Values {
    bytes: Vec<u8>,
    /// In place, because the number of slots is bounded.
    spans: [Span; MAX_SLOTS],
    /// Where a template writes that reads the values.
    scratch: Vec<u8>,
}

impl Values {
    /// Room for about `bytes` bytes.
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), spans: [Span::default(); MAX_SLOTS], scratch: Vec::new() }
    }

    /// The value in `slot`; empty if nothing was put there.
    pub(crate) fn get(&self, slot: Slot) -> &[u8] {
        self.spans.get(slot.0).and_then(|span| self.bytes.get(span.range())).unwrap_or_default()
    }

    /// How many bytes all values have together.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The value of `var`.
    pub(crate) fn var(&self, var: Var) -> &[u8] {
        self.get(var.slot())
    }

    /// Puts what `write` appends into `slot`.
    pub(crate) fn put<E>(
        &mut self,
        slot: Slot,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        write(&mut self.bytes)?;
        self.set(slot, start..self.bytes.len());
        Ok(())
    }

    /// Puts `bytes` into the slot of `var`.
    pub(crate) fn put_var(&mut self, var: Var, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.set(var.slot(), start..self.bytes.len());
    }

    /// Puts `text` into `slot`.
    pub(crate) fn put_text(&mut self, slot: Slot, text: &str) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(text.as_bytes());
        self.set(slot, start..self.bytes.len());
    }

    /// Puts what `write` appends into the slot of `var`.
    pub(crate) fn put_with(&mut self, var: Var, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.set(var.slot(), start..self.bytes.len());
    }

    /// Gives `slot` the value of `of`.
    pub(crate) fn alias(&mut self, slot: Slot, of: Slot) {
        let span = self.spans.get(of.0).copied().unwrap_or_default();
        self.set(slot, span.range());
    }

    /// Makes `var` a cut of the value of `of`.
    pub(crate) fn put_cut(&mut self, var: Var, of: Var, cut: Range<usize>) {
        let start = self.spans.get(of.slot().0).map_or(0, |span| span.range().start);
        self.set(var.slot(), start.saturating_add(cut.start)..start.saturating_add(cut.end));
    }

    /// Puts what `template` yields into `slot`.
    pub(crate) fn put_template(&mut self, slot: Slot, template: &Template) -> Result<(), RequestError> {
        let mut text = std::mem::take(&mut self.scratch);
        text.clear();
        template.render(self, &mut text)?;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&text);
        self.set(slot, start..self.bytes.len());
        self.scratch = text;
        Ok(())
    }

    fn set(&mut self, slot: Slot, span: Range<usize>) {
        if let Some(place) = self.spans.get_mut(slot.0) {
            *place = Span { start: narrow(span.start), end: narrow(span.end) };
        }
    }
}
