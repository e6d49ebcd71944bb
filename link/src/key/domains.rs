//! The EIP-712 domains in which a wallet's key signs: for whom its typed data may be.

use crate::codec::{Malformed, Reader, Writer};

/// Keccak-256 of an EIP-712 domain: the separator that stands in every message of it.
pub type Separator = [u8; 32];

/// Most domains of one key.
pub const MAX_DOMAINS: usize = 8;

/// The domains in which a wallet's key signs, each once, in the order of their bytes. Other keys have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Domains {
    /// Those in use, then zeros.
    separators: [Separator; MAX_DOMAINS],
    count: usize,
}

/// So many domains are not held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key signs typed data of at most {MAX_DOMAINS} domains")]
pub struct TooManyDomains;

impl Default for Domains {
    fn default() -> Self {
        Self::NONE
    }
}

impl Domains {
    /// No domain.
    pub const NONE: Self = Self { separators: [[0; 32]; MAX_DOMAINS], count: 0 };

    /// These domains, in any order.
    ///
    /// # Errors
    /// [`TooManyDomains`] for more than [`MAX_DOMAINS`] different ones.
    pub fn new(separators: impl IntoIterator<Item = Separator>) -> Result<Self, TooManyDomains> {
        let mut sorted = Vec::from_iter(separators);
        sorted.sort_unstable();
        sorted.dedup();
        let mut domains = Self { count: sorted.len(), ..Self::NONE };
        domains.separators.get_mut(..sorted.len()).ok_or(TooManyDomains)?.copy_from_slice(&sorted);
        Ok(domains)
    }

    /// Their separators, in order.
    #[must_use]
    pub fn separators(&self) -> &[Separator] {
        self.separators.get(..self.count).unwrap_or_default()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether this is the separator of one of them.
    #[must_use]
    pub fn contains(&self, separator: &[u8]) -> bool {
        self.separators().iter().any(|known| known == separator)
    }

    pub(crate) fn write(&self, to: &mut Writer<'_>) {
        to.bytes(self.separators().as_flattened());
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let bytes = from.bytes()?;
        let (separators, []) = bytes.as_chunks() else { return Err(Malformed("domains")) };
        let domains = Self::new(separators.iter().copied()).map_err(|_| Malformed("domains"))?;
        // Another order, or one of them twice, would be a second way to write the same.
        if domains.separators() == separators { Ok(domains) } else { Err(Malformed("domains")) }
    }
}
