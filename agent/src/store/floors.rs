//! Below which revision each record is too old: so that nobody who can write the data folder brings back an older one.
//!
//! One file holds the floors of all records of one KEK. It is signed by a key that the keeper derives from a seed,
//! which the token has wrapped and which lies in the same file: who cannot log in to the token can make no such file,
//! and deleting it closes all records of that KEK. It is written when a record has been written, and before that one is
//! used: after a crash between both the record is newer than its floor, and the floor is raised when it is opened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use strongroom_link::token::{Anchor, AnchorId, KekId, Rung};

use super::StoreError;
use super::atomic::{self, Existing};
use super::record::{CredentialName, base64};
use crate::config::{by_name, kek_id};

/// What the key of the floors is derived for.
pub(crate) const CONTEXT: &[u8] = b"record floors";

/// The floors of one KEK, as they stand in their file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Floors {
    #[serde(with = "kek_id")]
    kek_id: KekId,
    #[serde(with = "by_name")]
    rung: Rung,
    /// Of the key, wrapped by the KEK.
    #[serde(with = "base64")]
    seed: Vec<u8>,
    #[serde(with = "base64")]
    signature: Vec<u8>,
    /// Higher each time they are written, and no lower than any floor; 0 in a file of a version that did not count.
    #[serde(default)]
    generation: u64,
    /// Whether the token has kept a state of them: from then on it must know one.
    #[serde(default)]
    anchored: bool,
    /// The floor of every name that is not there.
    #[serde(default)]
    others: u64,
    /// The revision with which records of a restored folder are being sealed anew; 0 where none are.
    #[serde(default, skip_serializing_if = "is_zero")]
    restoring: u64,
    #[serde(default)]
    floor: BTreeMap<CredentialName, u64>,
}

impl Floors {
    /// No floors, and the wrapped seed of their key. They are not signed yet.
    pub(crate) const fn new(kek_id: KekId, rung: Rung, seed: Vec<u8>) -> Self {
        let (generation, anchored, others) = (1, false, 0);
        Self {
            kek_id,
            rung,
            seed,
            signature: Vec::new(),
            generation,
            anchored,
            others,
            restoring: 0,
            floor: BTreeMap::new(),
        }
    }

    /// Reads a file of floors; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError::Floors`] where it is none, [`StoreError::Io`].
    pub(crate) fn read(path: &Path, kek_id: KekId) -> Result<Option<Self>, StoreError> {
        let Some(text) = atomic::read(path)? else { return Ok(None) };
        match toml::from_str::<Self>(&text) {
            Ok(floors) if floors.kek_id == kek_id => Ok(Some(floors)),
            _ => Err(StoreError::Floors { path: path.to_owned(), fault: "is damaged" }),
        }
    }

    /// The wrapped seed of their key, and how it is wrapped.
    pub(crate) fn seed(&self) -> (Rung, &[u8]) {
        (self.rung, &self.seed)
    }

    /// Which writing of them it is: later ones have higher numbers.
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether the token must know a state of them.
    pub(crate) const fn is_anchored(&self) -> bool {
        self.anchored
    }

    /// Notes whether the token has kept a state of them.
    pub(crate) const fn set_anchored(&mut self, anchored: bool) {
        self.anchored = anchored;
    }

    /// Counts that they are written once more. The count is never below a floor: so no revision that was ever in force
    /// is above it by more than a record is ahead of its floor.
    pub(crate) fn count(&mut self) {
        let highest = self.floor.values().copied().max().unwrap_or_default().max(self.others);
        self.generation = self.generation.saturating_add(1).max(highest);
    }

    /// Marks that records are sealed anew above everything that these floors, and those of `generation`, have ever let
    /// in. Gives their revision. Until [`end_restoring`](Self::end_restoring) the floors are those from before.
    pub(crate) fn begin_restoring(&mut self, generation: u64) -> u64 {
        self.count();
        self.generation = self.generation.max(generation).saturating_add(AHEAD);
        self.restoring = self.generation;
        self.restoring
    }

    /// Whether records were being sealed anew when they were written.
    pub(crate) const fn is_restoring(&self) -> bool {
        self.restoring > 0
    }

    /// From here on no record opens that was made before they were sealed anew.
    pub(crate) fn end_restoring(&mut self) {
        let first = std::mem::take(&mut self.restoring);
        self.others = first;
        self.floor.values_mut().for_each(|floor| *floor = first);
    }

    /// This state, as the token keeps it.
    pub(crate) fn anchor(&self, id: AnchorId) -> Anchor {
        Anchor { id, generation: self.generation, hash: Sha256::digest(self.message()).into() }
    }

    /// The lowest revision of that record that is not too old; 0 for a name that had none.
    pub(crate) fn of(&self, name: &CredentialName) -> u64 {
        self.floor.get(name).copied().unwrap_or(self.others)
    }

    /// Raises a floor, and says whether that was needed. The signature does not fit then any more.
    pub(crate) fn raise(&mut self, name: &CredentialName, revision: u64) -> bool {
        let raised = self.of(name) < revision;
        if raised {
            self.floor.insert(name.clone(), revision);
        }
        raised
    }

    /// Raises the floor above every record of that name that was in force: one is ahead of its floor by one at most.
    pub(crate) fn bury(&mut self, name: &CredentialName) {
        self.raise(name, self.of(name).saturating_add(2));
    }

    /// What is signed: a label, and the hash of all names and floors with their lengths.
    pub(crate) fn message(&self) -> Vec<u8> {
        let mut hash = Sha256::new();
        let label: &[u8] =
            if self.generation == 0 && !self.anchored && self.others == 0 && self.restoring == 0 {
                b"strongroom record floors 1\0"
            } else {
                hash.update(self.generation.to_le_bytes());
                hash.update([u8::from(self.anchored)]);
                hash.update(self.others.to_le_bytes());
                if self.restoring == 0 {
                    b"strongroom record floors 2\0"
                } else {
                    hash.update(self.restoring.to_le_bytes());
                    b"strongroom record floors 3\0"
                }
            };
        for (name, floor) in &self.floor {
            let length = u32::try_from(name.as_str().len()).unwrap_or(u32::MAX);
            hash.update(length.to_le_bytes());
            hash.update(name.as_str());
            hash.update(floor.to_le_bytes());
        }
        [label, &hash.finalize()].concat()
    }

    /// Whether this is the signature that they came with. The same key and message always give the same one.
    pub(crate) fn are_signed(&self, signature: &[u8]) -> bool {
        self.signature == signature
    }

    pub(crate) fn sign(&mut self, signature: &[u8]) {
        self.signature = signature.to_owned();
    }

    /// The job of writing them, which waits for the disk.
    pub(crate) fn writing(&self, path: PathBuf) -> impl FnOnce() -> Result<(), StoreError> + Send + use<> {
        let text = toml::to_string(self).unwrap_or_default();
        move || atomic::write(&path, format!("{HEADER}{text}").as_bytes(), Existing::Replace)
    }
}

/// More than a record can be ahead of its floor: by one after a crash, and by one more with each change while the disk
/// takes records and no floors.
const AHEAD: u64 = 1_000;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

const HEADER: &str = "# The lowest revision of each record that still opens. Signed: edited, it closes every record.\n\
                      # Back it up with the records.\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> CredentialName {
        text.parse().unwrap()
    }

    fn some() -> Floors {
        let mut floors = Floors::new([7; 16], Rung::AesGcm, b"wrapped".to_vec());
        assert!(floors.raise(&name("a.b"), 3));
        assert!(floors.raise(&name("c"), 1));
        floors.sign(b"signature");
        floors
    }

    #[test]
    fn reads_what_it_has_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek.toml");
        assert!(Floors::read(&path, [7; 16]).unwrap().is_none());
        some().writing(path.clone())().unwrap();
        let read = Floors::read(&path, [7; 16]).unwrap().unwrap();
        assert!(read.are_signed(b"signature") && !read.are_signed(b"another"));
        assert_eq!((read.of(&name("a.b")), read.of(&name("c")), read.of(&name("d"))), (3, 1, 0));
        assert_eq!(read.message(), some().message());
        assert_eq!(read.seed(), (Rung::AesGcm, b"wrapped".as_slice()));
        assert!(matches!(Floors::read(&path, [8; 16]), Err(StoreError::Floors { .. })), "of another KEK");
        std::fs::write(&path, "floor = 1").unwrap();
        assert!(matches!(Floors::read(&path, [7; 16]), Err(StoreError::Floors { .. })));
    }

    #[test]
    fn never_lowers_a_floor() {
        let mut floors = some();
        assert!(!floors.raise(&name("a.b"), 3));
        assert!(!floors.raise(&name("a.b"), 2));
        assert_eq!(floors.of(&name("a.b")), 3);
    }

    #[test]
    fn raises_the_floor_of_a_removed_record_above_one_that_was_ahead_of_it() {
        let mut floors = some();
        floors.bury(&name("a.b"));
        floors.bury(&name("d"));
        assert_eq!((floors.of(&name("a.b")), floors.of(&name("d")), floors.of(&name("c"))), (5, 2, 1));
    }

    #[test]
    fn restores_above_every_revision_that_could_have_been_in_force() {
        let mut older = Floors::new([7; 16], Rung::AesGcm, b"wrapped".to_vec());
        let mut floors = older.clone();
        for _ in 0..5 {
            floors.bury(&name("a.b"));
            floors.count();
        }
        // Not only by how often they were written.
        assert!(floors.raise(&name("d"), 700));
        floors.count();
        let (newest, generation) = (floors.of(&name("d")) + 1, floors.generation());
        assert!(older.raise(&name("c"), 1));
        let first = older.begin_restoring(generation);
        assert!(first > newest, "{first} {newest}");
        assert!(older.is_restoring());
        assert_eq!(
            (older.of(&name("c")), older.of(&name("d"))),
            (1, 0),
            "the records from before open still"
        );
        // Killed, and done again.
        let (before, again) = (first, older.begin_restoring(generation));
        assert!(again > before);
        older.end_restoring();
        assert!(!older.is_restoring());
        for each in ["a.b", "c", "never-seen"] {
            assert_eq!(older.of(&name(each)), again, "{each}");
        }
        older.count();
        assert!(older.generation() > generation && older.generation() >= again);
        // A file that did not count begins no lower than its own floors.
        let mut old = Floors { generation: 0, ..some() };
        assert!(old.floor.insert(name("c"), 77).is_some());
        old.count();
        assert_eq!(old.generation(), 77);
    }

    #[test]
    fn restores_a_hundred_times_and_has_numbers_left() {
        let mut floors = some();
        let mut before = 0;
        for nth in 0..100 {
            let known = floors.generation() + 20;
            let first = floors.begin_restoring(known);
            assert!(first > before && first > known, "{nth}");
            floors.count();
            floors.end_restoring();
            floors.count();
            assert!(floors.raise(&name("a.b"), first + 1));
            floors.count();
            assert!(floors.generation() > first, "{nth}");
            before = first;
        }
        assert!(floors.generation() < 1 << 20, "{}", floors.generation());
    }

    #[test]
    fn reads_a_file_that_did_not_count_with_the_signature_that_it_had() {
        let mut old = some();
        old.generation = 0;
        assert!(old.message().starts_with(b"strongroom record floors 1\0"));
        let text = toml::to_string(&old).unwrap();
        let lines = text
            .lines()
            .filter(|line| !["generation", "anchored", "others"].iter().any(|field| line.starts_with(field)));
        let without: Floors = toml::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap();
        assert_eq!(without.message(), old.message());
    }

    #[test]
    fn signs_every_name_and_floor() {
        let whole = some();
        let mut messages = vec![whole.message()];
        for (changed, floor) in [("a.b", 4), ("c", 2), ("d", 1)] {
            let mut other = some();
            other.raise(&name(changed), floor);
            messages.push(other.message());
        }
        let mut fewer = some();
        fewer.floor.remove(&name("c"));
        messages.push(fewer.message());
        let mut counted = some();
        counted.count();
        let mut anchored = some();
        anchored.set_anchored(true);
        let mut higher = some();
        higher.others = 1;
        let mut restoring = some();
        restoring.restoring = 1;
        let mut restoring_later = some();
        restoring_later.restoring = 2;
        messages
            .extend([counted, anchored, higher, restoring, restoring_later].map(|floors| floors.message()));
        let all = messages.len();
        messages.sort();
        messages.dedup();
        assert_eq!(messages.len(), all);
    }
}
