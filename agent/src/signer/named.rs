//! Whom the grants of all records name, so that they are let in although they are neither the agent's user nor admins.
//!
//! Read from the records as they lie on the disk, opened or not: a bot of another user must be told that the agent is
//! locked. This opens a door and nothing behind it; what may be signed is decided by grants of records that did open.

use std::collections::HashMap;

use strongroom_policy::{Grants, Subject};

use crate::identity::Principal;
use crate::policy::is_to;
use crate::store::Store;
use crate::store::record::CredentialName;

/// The users and units that grants name, by credential. Clients show a token.
#[derive(Debug, Default)]
pub(super) struct Named(HashMap<CredentialName, Box<[Subject]>>);

impl Named {
    /// Of all records in `store` that can be read.
    pub(super) fn read(store: &Store) -> Self {
        let mut named = Self::default();
        for (name, record) in store.records().unwrap_or_default() {
            if let Ok(record) = record {
                named.note(&name, &record.meta.grants);
            }
        }
        named
    }

    /// Notes which grants a credential has now.
    pub(super) fn note(&mut self, name: &CredentialName, grants: &Grants) {
        let outside = |subject: &&Subject| !matches!(subject, Subject::Client(_));
        let subjects: Box<[Subject]> =
            grants.iter().map(|grant| &grant.to).filter(outside).cloned().collect();
        if subjects.is_empty() {
            self.0.remove(name);
        } else {
            self.0.insert(name.clone(), subjects);
        }
    }

    /// Notes that a credential is gone.
    pub(super) fn forget(&mut self, name: &CredentialName) {
        self.0.remove(name);
    }

    /// Whether any of them is this one, which has shown no token.
    pub(super) fn has(&self, who: &Principal) -> bool {
        self.0.values().flatten().any(|subject| is_to(subject, who))
    }
}
