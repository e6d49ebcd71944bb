//! What the agent says about itself and its credentials: nothing secret.

use std::collections::BTreeSet;
use std::rc::Rc;

use jiff::Timestamp;
use strongroom_link::{keeper, token};
use strongroom_policy::Part;

use super::known::Said;
use super::{Signer, State, credential_name};
use crate::audit::log::CheckpointAt;
use crate::config::TokenConfig;
use crate::crew::keeper::Keeper;
use crate::fault::{Fault, chain};
use crate::identity::Principal;
use crate::policy::{Authorized, Sight, is_to};
use crate::store::record::{CredentialName, Meta};
use crate::store::{self, StoreError};

/// The only custody of this version: the secret is unwrapped into the keeper.
pub(crate) const CUSTODY: &str = "keeper";

/// The order to tell what there is, as far as who asks is told of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inspect {
    pub(crate) sight: Sight,
}

/// The order to tell the last line of the audit log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AskHead;

/// One credential.
#[derive(Debug, Clone)]
pub(crate) struct CredentialReport {
    pub(crate) name: CredentialName,
    /// What its record says; absent where the record cannot be read.
    pub(crate) meta: Option<Rc<Meta>>,
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
/// So many credentials are looked at before others have their turn.
const LOOKED_AT: usize = 64;

impl CredentialReport {
    fn new(name: CredentialName, meta: Option<Rc<Meta>>, ready: bool, fault: String) -> Self {
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
                if !meta.grants.iter().any(|grant| is_to(&grant.to, who)) {
                    return false;
                }
                let told = Rc::make_mut(meta);
                told.grants.retain(|grant| is_to(&grant.to, who));
                // Who might fall into a trap is not told that it is one.
                told.honey = false;
                true
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
    /// The last checkpoint of the audit log, where who asks is told of it.
    pub(crate) checkpoint: Option<CheckpointAt>,
}

impl Signer {
    /// The last line that was written to the audit log, and where that is.
    pub(crate) fn audit_head(&self, order: Authorized<AskHead>) -> (String, String) {
        let AskHead = order.spend();
        (self.audit.written().to_string(), self.audit.folder().display().to_string())
    }

    /// How the agent is.
    pub(crate) fn status(&self, order: Authorized<Inspect>) -> StatusReport {
        let who = order.decision().who;
        let Inspect { sight } = order.spend();
        let known = self.known();
        // They name credentials.
        let unbound = known.unbound().filter(|_| sight == Sight::All);
        let (locked, since, all_ready, keeper) = match &*self.keyring.borrow() {
            State::Locked(keyring) => (Some(keyring.state.reason.clone()), keyring.since, 0, None),
            State::Unlocked(keyring) => (None, keyring.since, keyring.len(), Some(keyring.keeper().clone())),
        };
        // How many there are is told of those that a list would have.
        let (credentials, ready) = match sight {
            Sight::All => (known.len(), all_ready),
            Sight::Granted => {
                let seen = |said: &Said| {
                    said.as_ref().is_ok_and(|meta| meta.grants.iter().any(|grant| is_to(&grant.to, &who)))
                };
                let own: Vec<_> = known.behind("").filter(|(_, said)| seen(said)).collect();
                let ready = own.iter().filter(|(name, said)| self.report(name, said).ready);
                (own.len(), ready.count())
            }
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
            // How fast lines come tells of what others do.
            checkpoint: self.audit.last_checkpoint().filter(|_| sight == Sight::All),
            weaknesses: self
                .config
                .weaknesses()
                .into_iter()
                .chain(self.token_sight.get().weakness())
                .chain(unbound)
                .chain(self.audit_weaknesses())
                .chain(self.anchoring.get().weakness())
                .map(str::to_owned)
                .collect(),
        }
    }

    /// Credentials whose names sort behind `after`, by name, as many as fit one answer; and whether
    /// there are more. Who is told of few may have many looked through, so others have their turn in between.
    pub(crate) async fn list(
        self: Rc<Self>,
        order: Authorized<Inspect>,
        mut after: String,
    ) -> (Vec<CredentialReport>, bool) {
        // However many ask, one looks.
        let _alone = self.listing.lock().await;
        let who = order.decision().who;
        let Inspect { sight } = order.spend();
        let (mut page, mut room) = (Vec::new(), PAGE_BYTES);
        loop {
            tokio::task::yield_now().await;
            let known = self.known();
            let mut behind = known.behind(&after).peekable();
            let mut last = None;
            for (name, said) in behind.by_ref().take(LOOKED_AT) {
                last = Some(name);
                let mut report = self.report(name, said);
                if report.show_to(&who, sight) {
                    room = room.saturating_sub(report.bytes());
                    page.push(report);
                }
                if room == 0 {
                    break;
                }
            }
            let more = behind.peek().is_some();
            match last.map(|last| last.as_str().to_owned()) {
                Some(last) if more && room > 0 => {
                    drop(behind);
                    after = last;
                }
                _ => return (page, more),
            }
        }
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
        let known = self.known();
        let report = known.get(&name).map(|said| self.report(&name, said));
        match report.map(|mut report| report.show_to(&who, sight).then_some(report)) {
            Some(Some(report)) => Ok(report),
            _ => Err(StoreError::Absent { path: self.store.record_path(&name) }.into()),
        }
    }

    /// One that cannot be read is told of with its fault.
    fn report(&self, name: &CredentialName, said: &Said) -> CredentialReport {
        let (ready, fault) = match (&*self.keyring.borrow(), said) {
            (State::Unlocked(keyring), _) if keyring.is_live(name) => (true, String::new()),
            (_, Err(fault)) => (false, fault.to_string()),
            (State::Locked(_), Ok(_)) => (false, "the agent is locked".to_owned()),
            (State::Unlocked(keyring), Ok(_)) => {
                (false, keyring.fault(name).unwrap_or("it was added since the last unlock").to_owned())
            }
        };
        CredentialReport::new(name.clone(), said.as_ref().ok().cloned(), ready, fault)
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
