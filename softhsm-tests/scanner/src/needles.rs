//! What must never be found, and finding it.

use std::collections::{BTreeMap, HashMap};

use crate::memory::Dump;

/// Shorter pieces of a secret are not looked for.
pub const WINDOW: usize = 8;

/// The same piece where each byte is spelled with two, as in hexadecimal. Eight digits of a number that has nothing to do with
/// the secret stand in a front full of signatures by chance.
const WIDE_WINDOW: usize = 16;

/// What somebody has who has found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The secret itself, in any spelling.
    Plain,
    /// What signs as well as the secret: MAC states, expanded keys.
    KeyEquivalent,
    /// The nonce of a signature, which gives the key away to whoever has the signature too.
    Nonce,
    /// The seed of a record or a key made of it, which opens the record.
    Seed,
    /// The token's PIN.
    Pin,
}

impl Class {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 5] = [Self::Plain, Self::KeyEquivalent, Self::Nonce, Self::Seed, Self::Pin];

    /// As it stands in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::KeyEquivalent => "key-equivalent",
            Self::Nonce => "nonce",
            Self::Seed => "seed",
            Self::Pin => "PIN",
        }
    }
}

/// One needle that was looked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Needle {
    /// What it is worth.
    pub class: Class,
    /// Of which secret, such as the name of a credential.
    pub of: String,
    /// How it is spelled.
    pub spelling: &'static str,
}

/// What was found: which needle in which mapping, and in how many windows.
pub type Hits = BTreeMap<(Needle, String), usize>;

/// The classes among hits.
#[must_use]
pub fn classes(hits: &Hits) -> Vec<Class> {
    let mut found: Vec<_> = hits.keys().map(|(needle, _)| needle.class).collect();
    found.dedup();
    found
}

/// The bytes of a needle, and how many of them in a row must be found.
#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    window: usize,
}

/// All that must never be found, in windows of eight bytes of the secret.
#[derive(Debug)]
pub struct Needles {
    /// By its first eight bytes: which needle, and where in it.
    windows: HashMap<u64, (usize, usize)>,
    needles: Vec<(Needle, Piece)>,
    /// One bit for each value of [`hash`]; where it is zero there is no such window.
    filter: Vec<u64>,
}

const FILTER_BITS: u32 = 19;
const PAGE: usize = 4096;

impl Needles {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self { windows: HashMap::new(), needles: Vec::new(), filter: vec![0; 1 << FILTER_BITS >> 6] }
    }

    /// Adds these bytes. Windows that could be anything (zeroes, counters) are left out.
    pub fn add(&mut self, class: Class, of: &str, spelling: &'static str, bytes: &[u8]) {
        self.add_piece(class, of, spelling, Piece { bytes: bytes.to_vec(), window: WINDOW });
    }

    /// Adds bytes two of which spell one.
    pub fn add_wide(&mut self, class: Class, of: &str, spelling: &'static str, bytes: &[u8]) {
        self.add_piece(class, of, spelling, Piece { bytes: bytes.to_vec(), window: WIDE_WINDOW });
    }

    fn add_piece(&mut self, class: Class, of: &str, spelling: &'static str, piece: Piece) {
        let number = self.needles.len();
        let starts = (piece.bytes.len().saturating_add(1)).saturating_sub(piece.window);
        for (at, window) in piece.bytes.array_windows::<WINDOW>().enumerate().take(starts) {
            if !is_trivial(window) {
                let value = u64::from_le_bytes(*window);
                if let Some(word) = self.filter.get_mut(word(value)) {
                    *word |= bit(value);
                }
                self.windows.entry(value).or_insert((number, at));
            }
        }
        self.needles.push((Needle { class, of: of.to_owned(), spelling }, piece));
    }

    /// How many windows are looked for.
    #[must_use]
    pub fn count(&self) -> usize {
        self.windows.len()
    }

    /// What these bytes show.
    pub fn find<'a>(&'a self, bytes: &[u8], mut found: impl FnMut(&'a Needle)) {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..) {
            // A window that begins in a page of zeroes begins with a zero, and no needle ends in eight.
            let page = rest.get(..PAGE.saturating_add(WINDOW).min(rest.len())).unwrap_or_default();
            if !is_zero(page) {
                let with_next =
                    rest.get(..PAGE.saturating_add(WINDOW - 1).min(rest.len())).unwrap_or_default();
                for (place, window) in with_next.array_windows::<WINDOW>().enumerate() {
                    let value = u64::from_le_bytes(*window);
                    if self.filter.get(word(value)).is_some_and(|word| word & bit(value) != 0)
                        && let Some(needle) = self.needle_at(value, rest.get(place..).unwrap_or_default())
                    {
                        found(needle);
                    }
                }
            }
            at = at.saturating_add(PAGE);
        }
    }

    /// The needle of which a whole window stands at the start of `bytes`.
    fn needle_at(&self, first: u64, bytes: &[u8]) -> Option<&Needle> {
        let (number, at) = *self.windows.get(&first)?;
        let (needle, piece) = self.needles.get(number)?;
        let wanted = piece.bytes.get(at..)?.get(..piece.window)?;
        bytes.starts_with(wanted).then_some(needle)
    }

    /// What a dump shows.
    #[must_use]
    pub fn hits(&self, dump: &Dump) -> Hits {
        let mut hits = Hits::new();
        for piece in &dump.pieces {
            self.find(&piece.bytes, |needle| {
                let count = hits.entry((needle.clone(), piece.mapping.clone())).or_insert(0_usize);
                *count = count.saturating_add(1);
            });
        }
        hits
    }

    /// What a text or a file shows, under this name.
    #[must_use]
    pub fn hits_in(&self, name: &str, bytes: &[u8]) -> Hits {
        self.hits(&Dump::of_bytes(name, bytes.to_vec()))
    }
}

impl Default for Needles {
    fn default() -> Self {
        Self::new()
    }
}

/// Fewer than five different bytes.
fn is_trivial(window: &[u8; WINDOW]) -> bool {
    let mut different = *window;
    different.sort_unstable();
    let changes = different.array_windows::<2>().filter(|[one, next]| one != next).count();
    changes < 4
}

fn is_zero(bytes: &[u8]) -> bool {
    let (chunks, rest) = bytes.as_chunks::<32>();
    chunks.iter().all(|chunk| *chunk == [0; 32]) && rest.iter().all(|byte| *byte == 0)
}

const fn hash(value: u64) -> u64 {
    value.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - FILTER_BITS)
}

fn word(value: u64) -> usize {
    usize::try_from(hash(value) >> 6).unwrap_or_default()
}

const fn bit(value: u64) -> u64 {
    1 << (hash(value) & 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(needles: &Needles, bytes: &[u8]) -> usize {
        let mut found = Vec::new();
        needles.find(bytes, |needle| found.push(needle));
        found.len()
    }

    #[test]
    fn finds_eight_bytes_of_a_secret_however_they_are_spelled() {
        let secret = *b"q7Zt1LxWvB0pKd93";
        let mut needles = Needles::new();
        needles.secret(Class::Plain, "a key", &secret);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        for piece in [secret[3..11].to_vec(), hex(&secret[3..11]).into_bytes()] {
            let dump = [b"before ".as_slice(), &piece, b" behind"].concat();
            assert_eq!(found(&needles, &dump), 1, "{piece:?}");
        }
    }

    #[test]
    fn takes_no_shorter_piece_for_the_secret() {
        let secret = *b"q7Zt1LxWvB0pKd93";
        let mut needles = Needles::new();
        needles.secret(Class::Plain, "a key", &secret);
        let hex: String = secret[3..10].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found(&needles, format!("number {hex}, another").as_bytes()), 0);
        assert_eq!(found(&needles, &[b"text ".as_slice(), &secret[3..10], b" text"].concat()), 0);
    }
}
