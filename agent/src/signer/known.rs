//! What the records say, without reading them: they are read when the agent starts and at each unlock, and noted at
//! each change of its own. Whoever asks what there is costs no more than a look at the time of their folder, however
//! often; a record that somebody has put there or taken away changes that time.
//!
//! The records are known as they lie on the disk, opened or not: a bot of another user must be told that the agent is
//! locked. That a grant names somebody opens a door and nothing behind it; what may be signed is decided by grants of
//! records that did open.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use strongroom_policy::Subject;

use super::grants::unbound;
use crate::fault::chain;
use crate::identity::Principal;
use crate::store::record::{CredentialName, Meta};
use crate::store::{Found, Store, StoreError};

/// What one record says, or why it cannot be read.
pub(super) type Said = Result<Rc<Meta>, Rc<str>>;

/// All records.
#[derive(Debug, Default)]
pub(super) struct Known {
    records: BTreeMap<CredentialName, Said>,
    /// The users and units that grants name, and how often; clients show a token.
    subjects: HashMap<Subject, usize>,
    /// What grants restrict although no signature binds it.
    unbound: BTreeMap<CredentialName, Vec<String>>,
    /// When the folder had changed last, as these are; `None` where it may have changed since within the same tick.
    as_of: Option<SystemTime>,
}

/// A tick of the clock that files have is shorter.
const TICK: Duration = Duration::from_millis(100);

impl Known {
    /// What was read from the disk; of records that cannot be read, too.
    pub(super) fn of(found: &[Found]) -> Self {
        let mut known = Self::default();
        for (name, record) in found {
            match record {
                Ok(record) => known.note(&record.meta),
                Err(error) => known.note_fault(name, error),
            }
        }
        known
    }

    /// Sees whether somebody has put records there, or taken some away.
    pub(super) fn look(&mut self, store: &Store) {
        let changed = store.records_changed();
        if changed.is_none() || changed == self.as_of {
            return;
        }
        self.as_of = changed.filter(|at| at.elapsed().is_ok_and(|ago| ago > TICK));
        let Ok(names) = store.names() else { return };
        let gone = |name: &&CredentialName| names.binary_search(name).is_err();
        let gone: Vec<CredentialName> = self.records.keys().filter(gone).cloned().collect();
        for name in &gone {
            self.forget(name);
        }
        for name in &names {
            if !self.records.contains_key(name) {
                match store.record(name) {
                    Ok(record) => self.note(&record.meta),
                    Err(error) => self.note_fault(name, &error),
                }
            }
        }
    }

    /// Notes what the record of a credential says now.
    pub(super) fn note(&mut self, meta: &Rc<Meta>) {
        self.forget(&meta.name);
        for subject in outside(meta) {
            let times = self.subjects.entry(subject.clone()).or_default();
            *times = times.saturating_add(1);
        }
        let unbound: Vec<String> = unbound(&meta.name, &meta.grants).collect();
        for weakness in &unbound {
            tracing::warn!(weakness, "an admin has accepted that a grant restricts what no signature binds");
        }
        if !unbound.is_empty() {
            self.unbound.insert(meta.name.clone(), unbound);
        }
        self.records.insert(meta.name.clone(), Ok(Rc::clone(meta)));
    }

    fn note_fault(&mut self, name: &CredentialName, error: &StoreError) {
        self.records.insert(name.clone(), Err(chain(error).into()));
    }

    /// Notes that a credential is gone.
    pub(super) fn forget(&mut self, name: &CredentialName) {
        self.unbound.remove(name);
        let Some(Ok(meta)) = self.records.remove(name) else { return };
        for subject in outside(&meta) {
            if let Some(times) = self.subjects.get_mut(subject) {
                *times = times.saturating_sub(1);
            }
        }
        self.subjects.retain(|_, times| *times > 0);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// What the record of a credential says; `None` where there is none.
    pub(super) fn get(&self, name: &CredentialName) -> Option<&Said> {
        self.records.get(name)
    }

    /// Those whose names sort behind `name`, by name.
    pub(super) fn behind(&self, name: &str) -> impl Iterator<Item = (&CredentialName, &Said)> {
        self.records.range::<str, _>((Bound::Excluded(name), Bound::Unbounded))
    }

    /// The venue of a trap; `None` for what is none.
    pub(super) fn trap(&self, name: &str) -> Option<&str> {
        let meta = self.records.get(name)?.as_ref().ok()?;
        meta.honey.then_some(meta.venue.as_str())
    }

    /// What grants restrict although no signature binds it, as weaknesses are named.
    pub(super) fn unbound(&self) -> impl Iterator<Item = &str> {
        self.unbound.values().flatten().map(String::as_str)
    }

    /// Whether any grant names this one, which has shown no token.
    pub(super) fn names(&self, who: &Principal) -> bool {
        let unit = || who.unit.as_ref().map(|unit| Subject::Unit(unit.as_str().to_owned()));
        who.client.is_none()
            && (self.subjects.contains_key(&Subject::User(who.uid))
                || unit().is_some_and(|unit| self.subjects.contains_key(&unit)))
    }
}

fn outside(meta: &Meta) -> impl Iterator<Item = &Subject> {
    meta.grants.iter().map(|grant| &grant.to).filter(|subject| !matches!(subject, Subject::Client(_)))
}
