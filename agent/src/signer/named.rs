//! What must be known of the grants of all records, also by a locked agent: whom they name, so that those are let in
//! although they are neither the agent's user nor admins; and what they restrict although no signature binds it; and which are traps.
//!
//! Read from the records as they lie on the disk, opened or not: a bot of another user must be told that the agent is
//! locked. This opens a door and nothing behind it; what may be signed is decided by grants of records that did open.

use std::collections::{BTreeMap, HashMap};

use strongroom_policy::Subject;

use super::grants::unbound;
use crate::identity::Principal;
use crate::policy::is_to;
use crate::store::Store;
use crate::store::record::{CredentialName, Meta};

/// The users and units that grants name, by credential; clients show a token. And what they restrict although no
/// signature binds it.
#[derive(Debug, Default)]
pub(super) struct Named {
    subjects: HashMap<CredentialName, Box<[Subject]>>,
    unbound: BTreeMap<CredentialName, Vec<String>>,
    /// The traps, and their venues.
    honey: BTreeMap<CredentialName, String>,
}

impl Named {
    /// Of all records in `store` that can be read.
    pub(super) fn read(store: &Store) -> Self {
        let mut named = Self::default();
        for (_, record) in store.records().unwrap_or_default() {
            if let Ok(record) = record {
                named.note(&record.meta);
            }
        }
        named
    }

    /// Notes what the record of a credential says now.
    pub(super) fn note(&mut self, meta: &Meta) {
        let Meta { name, venue, grants, honey, .. } = meta;
        if *honey {
            self.honey.insert(name.clone(), venue.clone());
        } else {
            self.honey.remove(name);
        }
        let outside = |subject: &&Subject| !matches!(subject, Subject::Client(_));
        let subjects: Box<[Subject]> =
            grants.iter().map(|grant| &grant.to).filter(outside).cloned().collect();
        if subjects.is_empty() {
            self.subjects.remove(name);
        } else {
            self.subjects.insert(name.clone(), subjects);
        }
        let unbound: Vec<String> = unbound(name, grants).collect();
        for weakness in &unbound {
            tracing::warn!(weakness, "an admin has accepted that a grant restricts what no signature binds");
        }
        if unbound.is_empty() {
            self.unbound.remove(name);
        } else {
            self.unbound.insert(name.clone(), unbound);
        }
    }

    /// Notes that a credential is gone.
    pub(super) fn forget(&mut self, name: &CredentialName) {
        self.subjects.remove(name);
        self.unbound.remove(name);
        self.honey.remove(name);
    }

    /// The venue of a trap; `None` for what is none.
    pub(super) fn trap(&self, name: &CredentialName) -> Option<&str> {
        self.honey.get(name).map(String::as_str)
    }

    /// What grants restrict although no signature binds it, as weaknesses are named.
    pub(super) fn unbound(&self) -> impl Iterator<Item = &str> {
        self.unbound.values().flatten().map(String::as_str)
    }

    /// Whether any of them is this one, which has shown no token.
    pub(super) fn has(&self, who: &Principal) -> bool {
        self.subjects.values().flatten().any(|subject| is_to(subject, who))
    }
}
