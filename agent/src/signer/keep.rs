//! From a new record to one that is in force: made in the keeper, opened again, written, its floor raised, and live.

use std::rc::Rc;

use super::filling::{Filling, overtaken};
use super::floors::SignedFloors;
use super::keyring::Live;
use super::login::{Keep, PinSource};
use super::profiles::Chosen;
use super::unlock::open;
use super::{Signer, State, on_disk};
use crate::crew::keeper::Keeper;
use crate::crew::token::{Login, TokenWorker};
use crate::fault::Fault;
use crate::store::atomic::Existing;
use crate::store::record::{CredentialName, Record};

/// What is kept, and how.
pub(super) struct KeepJob {
    pub(super) name: CredentialName,
    /// By what it signs from now on.
    pub(super) chosen: Chosen,
    pub(super) login: Login,
    pub(super) existing: Existing,
    /// What happens to the credential, as in "it was being …".
    pub(super) doing: &'static str,
    /// What to do where a lock has come in between.
    pub(super) again: &'static str,
}

/// With what a record is made.
pub(super) struct Making<'a> {
    pub(super) keeper: &'a Keeper,
    /// Logged in.
    pub(super) worker: &'a mut TokenWorker,
    pub(super) floors: &'a SignedFloors,
}

impl Signer {
    /// Has `make` make a record, and puts it in force: at once where the agent is unlocked. Must be called by the one
    /// who works with the token.
    ///
    /// # Errors
    /// Where token, keeper or disk refuse, or a lock comes in between. Nothing has changed then, unless only the
    /// floor could not be raised: then the record is in force, and the fault says so.
    pub(super) async fn keep(
        self: &Rc<Self>,
        job: KeepJob,
        make: impl AsyncFnOnce(Making<'_>) -> Result<Record, Fault>,
    ) -> Result<(), Fault> {
        let KeepJob { name, chosen: Chosen { profile, own }, login, existing, doing, again } = job;
        let nonces = self.nonces(&name)?;
        let locks_before = self.locks.get();
        let (keeper, slot, filling) = match self.live_keeper() {
            Some((keeper, slot)) => (keeper, slot, None),
            None => {
                let keeper = Keeper::start(self.config.agent.danger_allow_weak_memory, |_| {}).await?;
                let Some(filling) = Filling::show(self, &keeper, locks_before) else {
                    let _ = keeper.end().await;
                    return Err(locked_meanwhile(doing, again));
                };
                (keeper, 0, Some(filling))
            }
        };
        let is_live = filling.is_none();
        let written = async {
            let mut worker = self.log_in(&keeper, login, Keep::Never, PinSource::Person).await?;
            let mut floors = self.floors(&keeper, &mut worker, is_live).await?;
            let making = Making { keeper: &keeper, worker: &mut worker, floors: &floors };
            let record = make(making).await?;
            open(&keeper, &mut worker, &record, slot).await?;
            on_disk(self.store.writing(&record, own.map(|own| own.text), existing)).await?;
            self.known.borrow_mut().note(&record.meta);
            let raised = self.raise_floors(&keeper, &mut floors, std::iter::once(&*record.meta)).await;
            self.anchor(&keeper, &mut worker, &mut floors).await;
            worker.end().await;
            if is_live {
                self.put_floors(floors);
            }
            Ok((record, raised.map_err(not_raised)))
        };
        match written.await {
            Ok((record, raised)) if is_live => {
                tracing::info!(credential = %record.meta.name, revision = record.meta.revision, "{doing}");
                let budgets = self.budgets(&record.meta.name);
                self.put(Live::new(record.meta, profile, nonces, budgets, slot)).await?;
                raised
            }
            Ok((record, raised)) => {
                let Record { meta, .. } = record;
                tracing::info!(credential = %meta.name, revision = meta.revision, "{doing}; for the next unlock");
                let ended = keeper.end().await;
                // Where a lock has ended it, the lock has told how that went.
                if self.locks.get() == locks_before {
                    ended?;
                }
                raised
            }
            Err(fault) => {
                if is_live {
                    self.give_back(slot).await;
                } else {
                    let _ = keeper.end().await;
                }
                Err(if self.locks.get() == locks_before { fault } else { locked_meanwhile(doing, again) })
            }
        }
    }

    /// The running keeper and a slot of it, where the agent is unlocked.
    fn live_keeper(&self) -> Option<(Keeper, u32)> {
        match &mut *self.keyring.borrow_mut() {
            State::Unlocked(keyring) => Some((keyring.keeper().clone(), keyring.reserve_slot())),
            State::Locked(_) => None,
        }
    }

    /// Adds a credential to the keyring, and has the one that it replaces forgotten.
    async fn put(&self, live: Live) -> Result<(), Fault> {
        let replaced = match &mut *self.keyring.borrow_mut() {
            State::Unlocked(keyring) => keyring.put(live).map(|slot| (keyring.keeper().clone(), slot)),
            // The keeper has ended since; the record is written and opens at the next unlock.
            State::Locked(_) => None,
        };
        if let Some((keeper, slot)) = replaced {
            keeper.forget(slot).await?;
            self.release(slot);
        }
        Ok(())
    }

    /// Empties a slot that was not used after all.
    pub(super) async fn give_back(&self, slot: u32) {
        let keeper = match &*self.keyring.borrow() {
            State::Unlocked(keyring) => keyring.keeper().clone(),
            State::Locked(_) => return,
        };
        if keeper.forget(slot).await.is_ok() {
            self.release(slot);
        }
    }

    /// Notes that the keeper has emptied a slot.
    pub(super) fn release(&self, slot: u32) {
        if let State::Unlocked(keyring) = &mut *self.keyring.borrow_mut() {
            keyring.release_slot(slot);
        }
    }
}

fn locked_meanwhile(doing: &str, again: &str) -> Fault {
    overtaken(&format!("the credential was being {doing}"), again)
}

fn not_raised(fault: Fault) -> Fault {
    let message = format!(
        "it is done and in force, but the record before it could still be put back: its floor was not raised: {}",
        fault.message
    );
    Fault { message, ..fault }
}
