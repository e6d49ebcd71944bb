//! What the token remembers of the floors of records, so that a folder that is older is told from the newest.

use crate::codec::{Malformed, Reader, Writer};

/// One state of one file of floors, as a private data object of the token names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Which floors: from the public half of the key that signs them.
    pub id: AnchorId,
    /// How often they were written; each time one more.
    pub generation: u64,
    /// SHA-256 of what is signed of them.
    pub hash: [u8; 32],
}

/// Names one file of floors, whatever becomes of it.
pub type AnchorId = [u8; 16];

const MAGIC: &[u8; 8] = b"SRfloor1";
const BYTES: usize = 64;

impl Anchor {
    /// The value of its data object.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let parts = [MAGIC.as_slice(), &self.id, &self.generation.to_le_bytes(), &self.hash].concat();
        for (place, byte) in bytes.iter_mut().zip(parts) {
            *place = byte;
        }
        bytes
    }

    /// Reads the value of a data object; `None` where it is no anchor.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk()?;
        let (id, rest) = rest.split_first_chunk()?;
        let (generation, hash) = rest.split_first_chunk()?;
        let anchor =
            Self { id: *id, generation: u64::from_le_bytes(*generation), hash: hash.try_into().ok()? };
        (magic == MAGIC).then_some(anchor)
    }

    pub(super) fn write(&self, to: &mut Writer<'_>) {
        to.bytes(&self.to_bytes());
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Self::from_bytes(from.bytes()?).ok_or(Malformed("anchor"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_has_written_and_nothing_else() {
        let anchor = Anchor { id: [7; 16], generation: 0x0102_0304, hash: [9; 32] };
        let bytes = anchor.to_bytes();
        assert_eq!(Anchor::from_bytes(&bytes), Some(anchor));
        assert_eq!(bytes.get(..8), Some(MAGIC.as_slice()));
        for (case, other) in [
            ("cut", bytes.split_last().map(|(_, rest)| rest.to_vec())),
            ("longer", Some([bytes.as_slice(), &[0]].concat())),
            ("another kind", Some([b"SRfloor2".as_slice(), bytes.get(8..).unwrap_or_default()].concat())),
            ("nothing", Some(Vec::new())),
        ] {
            assert_eq!(Anchor::from_bytes(&other.unwrap_or_default()), None, "{case}");
        }
    }
}
