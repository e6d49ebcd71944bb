//! What the agent says about itself and its credentials: nothing secret.

use std::collections::BTreeSet;
use std::rc::Rc;

use jiff::Timestamp;
use strongroom_link::{keeper, token};
use strongroom_policy::Part;

use super::{Signer, State, credential_name};
use crate::config::TokenConfig;
use crate::crew::keeper::Keeper;
use crate::fault::{Fault, chain};
use crate::identity::Principal;
use crate::policy::{Authorized, Sight, is_to};
use crate::store::record::{CredentialName, Meta, Record};
use crate::store::{self, StoreError};

/// The only custody of this version: the secret is unwrapped into the keeper.
pub(crate) const CUSTODY: &str = "keeper";

/// The order to tell what there is, as far as who asks is told of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inspect {
    pub(crate) sight: Sight,
}

/// One credential.
#[derive(Debug, Clone)]
pub(crate) struct CredentialReport {
    pub(crate) name: CredentialName,
    /// What its record says; absent where the record cannot be read.
    pub(crate) meta: Option<Meta>,
    /// Whether it can sign now.
    pub(crate) ready: bool,
    /// Why not; empty where it can.
    pub(crate) fault: String,
    /// SHA-256 of the user's own profile that it signs by; empty for one that ships.
    pub(crate) profile: String,
}

/// Bytes of credentials behind which a page ends. One credential has at most a few thousand, so that a
/// page is far from the limit of a frame.
const PAGE_BYTES: usize = 32 * 1024;

impl CredentialReport {
    fn new(name: CredentialName, meta: Option<Meta>, ready: bool, fault: String) -> Self {
        let profile = meta.as_ref().and_then(|meta| meta.profile);
        let profile = profile.map_or_else(String::new, |hash| hash.to_string());
        Self { name, meta, ready, fault, profile }
    }

    /// About how much room it takes in an answer.
    fn bytes(&self) -> usize {
        let meta = self.meta.as_ref().map_or(0, |meta| {
            [meta.venue.len(), meta.key_id.len(), meta.base_url.len(), meta.token_serial.len()].iter().sum()
        });
        // Lengths, numbers and the names of algorithm, custody and rung.
        const REST: usize = 64;
        [REST, meta, self.name.as_str().len(), self.fault.len(), self.profile.len()].iter().sum()
    }
}

impl CredentialReport {
    /// Leaves what `who` is told of, and says whether that is anything.
    fn show_to(&mut self, who: &Principal, sight: Sight) -> bool {
        match (sight, &mut self.meta) {
            (Sight::All, _) => true,
            (Sight::Granted, None) => false,
            (Sight::Granted, Some(meta)) => {
                meta.grants.retain(|grant| is_to(&grant.to, who));
                // Who might fall into a trap is not told that it is one.
                meta.honey = false;
                !meta.grants.is_empty()
            }
        }
    }

    /// Its grants as text.
    pub(crate) fn grants(&self) -> String {
        self.meta.as_ref().map_or_else(String::new, |meta| meta.grants.to_toml())
    }

    /// What its grants restrict although no signature binds it.
    pub(crate) fn accept_unbound(&self) -> String {
        let Some(meta) = &self.meta else { return String::new() };
        let accepted: BTreeSet<Part> =
            meta.grants.accepted_unbound().flat_map(|grant| grant.accept_unbound.iter().copied()).collect();
        accepted.into_iter().map(Part::name).collect::<Vec<_>>().join(",")
    }
}

/// The agent as a whole.
#[derive(Debug, Clone)]
pub(crate) struct StatusReport {
    /// Why it is locked, if it is.
    pub(crate) locked: Option<String>,
    pub(crate) since: Timestamp,
    pub(crate) credentials: u32,
    pub(crate) ready: u32,
    pub(crate) keeper_pid: u32,
    /// What protects the keeper, while one runs.
    pub(crate) keeper: Option<keeper::Protection>,
    /// What protected the last token worker that has logged in.
    pub(crate) worker: Option<token::Protection>,
    pub(crate) token: TokenConfig,
    pub(crate) weaknesses: Vec<String>,
}

impl Signer {
    /// How the agent is.
    pub(crate) fn status(&self, order: Authorized<Inspect>) -> StatusReport {
        let Inspect { sight } = order.spend();
        let named = self.named.borrow();
        // They name credentials.
        let unbound = named.unbound().filter(|_| sight == Sight::All);
        let credentials = self.store.names().map_or(0, |names| names.len());
        let (locked, since, ready, keeper) = match &*self.keyring.borrow() {
            State::Locked(keyring) => (Some(keyring.state.reason.clone()), keyring.since, 0, None),
            State::Unlocked(keyring) => (None, keyring.since, keyring.len(), Some(keyring.keeper().clone())),
        };
        StatusReport {
            locked,
            since,
            credentials: u32::try_from(credentials).unwrap_or(u32::MAX),
            ready: u32::try_from(ready).unwrap_or(u32::MAX),
            keeper_pid: keeper.as_ref().map_or(0, Keeper::pid),
            keeper: keeper.as_ref().map(Keeper::protection),
            worker: self.worker.get(),
            token: self.config.token.clone(),
            weaknesses: self
                .config
                .weaknesses()
                .into_iter()
                .chain(self.token_sight.get().weakness())
                .chain(unbound)
                .chain(self.audit_weakness())
                .map(str::to_owned)
                .collect(),
        }
    }

    /// Credentials whose names sort behind `after`, by name, as many as fit one answer; and whether
    /// there are more. Who is told of few may have many read, so others have their turn after each.
    ///
    /// # Errors
    /// Where the folder of records cannot be read.
    pub(crate) async fn list(
        self: Rc<Self>,
        order: Authorized<Inspect>,
        after: String,
    ) -> Result<(Vec<CredentialReport>, bool), Fault> {
        // However many ask, one reads.
        let _alone = self.listing.lock().await;
        let who = order.decision().who;
        let Inspect { sight } = order.spend();
        let mut names = self.store.names()?.into_iter().filter(|name| name.as_str() > after.as_str());
        let (mut page, mut room) = (Vec::new(), PAGE_BYTES);
        for name in names.by_ref() {
            tokio::task::yield_now().await;
            let record = self.store.record(&name);
            let mut report = self.report(name, record);
            if !report.show_to(&who, sight) {
                continue;
            }
            room = room.saturating_sub(report.bytes());
            page.push(report);
            if room == 0 {
                break;
            }
        }
        Ok((page, names.next().is_some()))
    }

    /// One credential.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) fn show(
        &self,
        order: Authorized<Inspect>,
        credential: &str,
    ) -> Result<CredentialReport, Fault> {
        let who = order.decision().who;
        let Inspect { sight } = order.spend();
        let name = credential_name(credential)?;
        let path = self.store.record_path(&name);
        match self.store.record(&name) {
            Err(error @ StoreError::Absent { .. }) => Err(error.into()),
            record => {
                // One that cannot be read is told of with its fault, as a list does.
                let mut report = self.report(name, record);
                if report.show_to(&who, sight) { Ok(report) } else { Err(StoreError::Absent { path }.into()) }
            }
        }
    }

    fn report(&self, name: CredentialName, record: Result<Record, StoreError>) -> CredentialReport {
        let (ready, fault) = match (&*self.keyring.borrow(), &record) {
            (State::Unlocked(keyring), _) if keyring.is_live(&name) => (true, String::new()),
            (_, Err(error)) => (false, chain(error)),
            (State::Locked(_), Ok(_)) => (false, "the agent is locked".to_owned()),
            (State::Unlocked(keyring), Ok(_)) => {
                (false, keyring.fault(&name).unwrap_or("it was added since the last unlock").to_owned())
            }
        };
        CredentialReport::new(name, record.ok().map(|record| record.meta), ready, fault)
    }
}

/// What the records on the disk say, for a command that finds no agent.
///
/// # Errors
/// As [`Signer::list`].
pub(crate) fn offline(folder: &std::path::Path) -> Result<Vec<CredentialReport>, Fault> {
    let reports = store::read_records(folder)?.into_iter().map(|(name, record)| {
        let fault =
            record.as_ref().err().map_or_else(|| "no agent is running".to_owned(), |error| chain(error));
        CredentialReport::new(name, record.ok().map(|record| record.meta), false, fault)
    });
    Ok(reports.collect())
}
