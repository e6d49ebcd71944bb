//! What must never be found, and finding it.

use std::collections::{BTreeMap, HashMap};

use crate::memory::Dump;

/// Shorter pieces of a secret are not looked for. A spelling of fewer of its bytes stands in a front full of signatures
/// by chance, most of all where each character spells four bits or six: numbers, and the base64 of numbers.
pub const WINDOW: usize = 8;

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

/// All that must never be found, in windows of [`WINDOW`] bytes of the secret.
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
        self.add_spelled(class, of, spelling, bytes, WINDOW);
    }

    /// Adds a spelling, this many bytes of which spell [`WINDOW`] of the secret: never fewer than that.
    pub(crate) fn add_spelled(
        &mut self,
        class: Class,
        of: &str,
        spelling: &'static str,
        bytes: &[u8],
        window: usize,
    ) {
        let piece = Piece { bytes: bytes.to_vec(), window };
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
    use base64ct::{Base64Unpadded, Encoding as _};

    use super::*;

    fn found(needles: &Needles, bytes: &[u8]) -> usize {
        let mut found = Vec::new();
        needles.find(bytes, |needle| found.push(needle));
        found.len()
    }

    const SECRET: [u8; 16] = *b"q7Zt1LxWvB0pKd93";

    /// Pieces of the secret of this length in all spellings, each as it stands among other bytes.
    fn spelled(length: usize) -> Vec<Vec<u8>> {
        let mut spelled = Vec::new();
        for secret in SECRET.windows(length) {
            let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
            spelled.extend([secret.to_vec(), hex.into_bytes()]);
            for before in 0..3 {
                let whole = [&[0xff; 2][..before], secret, &[0xff]].concat();
                spelled.push(Base64Unpadded::encode_string(&whole).into_bytes());
            }
            spelled.push(secret.iter().flat_map(|byte| [*byte, 0]).collect());
        }
        spelled.iter().map(|piece| [b"before ", piece.as_slice(), b" behind"].concat()).collect()
    }

    #[test]
    fn finds_eight_bytes_of_a_secret_however_they_are_spelled() {
        let mut needles = Needles::new();
        needles.secret(Class::Plain, "a key", &SECRET);
        for piece in spelled(8) {
            assert!(found(&needles, &piece) > 0, "{}", piece.escape_ascii());
        }
    }

    #[test]
    fn takes_no_shorter_piece_for_the_secret() {
        let mut needles = Needles::new();
        needles.secret(Class::Plain, "a key", &SECRET);
        for piece in spelled(7) {
            assert_eq!(found(&needles, &piece), 0, "{}", piece.escape_ascii());
        }
    }

    #[test]
    fn finds_eight_bytes_of_a_secret_in_the_digits_that_spell_it() {
        let digits: String = SECRET.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut needles = Needles::new();
        needles.hex_secret(Class::Plain, "a key", &digits);
        let base64 =
            |length| Base64Unpadded::encode_string(format!("{{\"{}\"}}", &digits[..length]).as_bytes());
        assert!(found(&needles, base64(16).as_bytes()) > 0);
        // Six digits, which eight characters spell, are some number of every token of a busy front.
        assert_eq!(found(&needles, base64(14).as_bytes()), 0);
        assert!(found(&needles, &SECRET[3..11]) > 0);
    }
}
