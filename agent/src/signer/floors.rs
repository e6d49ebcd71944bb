//! Which records are too old: the floors, as long as the keeper holds their key.

use sha2::{Digest as _, Sha256};
use strongroom_link::token::{Anchor, AnchorId};
use strongroom_protocol::ErrorCode;

use super::anchor;
use super::filling::overtaken;
use super::keyring::{Keyring, Unlocked};
use super::{Signer, State, on_disk};
use crate::crew::keeper::Keeper;
use crate::crew::token::TokenWorker;
use crate::fault::{Fault, chain};
use crate::store::floors::{CONTEXT, Floors};
use crate::store::record::{CredentialName, Meta};
use crate::store::removed::Removed;
use crate::store::{StoreError, atomic};

/// Floors whose signature was right, and where the keeper holds their key.
#[derive(Debug, Clone)]
pub(super) struct SignedFloors {
    pub(super) floors: Box<Floors>,
    slot: u32,
    /// By which the token knows them.
    pub(super) id: AnchorId,
    /// By which the token knows the audit log beside them.
    pub(super) log_id: AnchorId,
    /// What the token is known to know.
    pub(super) known: Option<Anchor>,
}

impl SignedFloors {
    /// The revision of a record that takes the place of all older ones of that name. `before` is what the one before
    /// it says, which nothing may come of where that does not open.
    ///
    /// # Errors
    /// Where no number is left.
    pub(super) fn next(&self, name: &CredentialName, before: u64) -> Result<u64, Fault> {
        self.floors.of(name).max(before).checked_add(1).ok_or_else(|| {
            let message = format!("the record of {name} has revision {}, and none is above that", u64::MAX);
            let hint = "restore the record from a backup, or enrol the credential with another name";
            Fault::new(ErrorCode::Unavailable, message, hint)
        })
    }

    /// The same where nobody opens the record before: anybody may have written its revision. One that was in force is
    /// ahead of its floor by one at most.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub(super) fn next_unopened(&self, name: &CredentialName, claimed: u64) -> Result<u64, Fault> {
        self.next(name, claimed.min(self.floors.of(name).saturating_add(1)))
    }

    /// Refuses a record that is older than one that was in force.
    ///
    /// # Errors
    /// Names both revisions.
    pub(super) fn check(&self, meta: &Meta) -> Result<(), Fault> {
        let (floor, revision) = (self.floors.of(&meta.name), meta.revision);
        if revision >= floor {
            return Ok(());
        }
        let message = format!(
            "the record was rolled back: it has revision {revision}, and revision {floor} was in force already; `strongroom \
             grant edit {} --accept-older` takes it over",
            meta.name
        );
        let hint = format!(
            "put the newer record back; where it is lost, read what this one grants (`strongroom grant list {}`) before \
             you take it over",
            meta.name
        );
        Err(Fault::new(ErrorCode::Unavailable, message, hint))
    }
}

impl Signer {
    /// The floors for a keeper that is asked to keep a record: those of the keyring, or those of the disk.
    ///
    /// # Errors
    /// Where they are damaged, edited or gone, or token, keeper or disk refuse.
    pub(super) async fn floors(
        &self,
        keeper: &Keeper,
        worker: &mut TokenWorker,
        is_live: bool,
    ) -> Result<SignedFloors, Fault> {
        if !is_live {
            return self.open_floors(keeper, worker, SLOT_BESIDE_ONE_RECORD).await;
        }
        let (slot, known) = match &mut *self.keyring.borrow_mut() {
            State::Unlocked(keyring) => match keyring.floors().cloned() {
                Some(floors) => (floors.slot, Some(floors)),
                None => (keyring.reserve_slot(), None),
            },
            State::Locked(_) => return Err(overtaken("the token was being asked", "do it again")),
        };
        if let Some(mut floors) = known {
            self.bury_noted(keeper, &mut floors).await?;
            self.put_floors(floors.clone());
            return Ok(floors);
        }
        let opened = self.open_floors(keeper, worker, slot).await;
        match &opened {
            Ok(floors) => self.put_floors(floors.clone()),
            Err(_) => self.give_back(slot).await,
        }
        opened
    }

    /// The same for an unlock. Where there are neither floors nor records, there is nothing to do.
    ///
    /// # Errors
    /// As [`floors`](Self::floors).
    pub(super) async fn load_floors(
        &self,
        keyring: &mut Keyring<Unlocked>,
        worker: &mut TokenWorker,
    ) -> Result<(), Fault> {
        let kek_id = &self.config.token.kek_id;
        let needed = self.store.floors_path(kek_id).exists() || self.store.has_records_of(kek_id)?;
        if let Some(mut floors) = keyring.floors().cloned() {
            self.bury_noted(keyring.keeper(), &mut floors).await?;
            keyring.put_floors(floors);
            return Ok(());
        }
        if !needed {
            return Ok(());
        }
        let slot = keyring.reserve_slot();
        let opened = self.open_floors(keyring.keeper(), worker, slot).await?;
        keyring.put_floors(opened);
        Ok(())
    }

    /// Raises the floor of one record, on the disk too.
    ///
    /// # Errors
    /// Where keeper or disk refuse. The record opens all the same: it is newer than its floor.
    pub(super) async fn raise_floors<'m>(
        &self,
        keeper: &Keeper,
        floors: &mut SignedFloors,
        metas: impl Iterator<Item = &'m Meta>,
    ) -> Result<(), Fault> {
        let mut raised = floors.floors.clone();
        let mut changed = false;
        for meta in metas {
            changed |= raised.raise(&meta.name, meta.revision);
        }
        if !changed {
            return Ok(());
        }
        self.write_floors(keeper, floors, raised).await
    }

    /// Signs floors and writes them, one generation on.
    ///
    /// # Errors
    /// Where keeper or disk refuse.
    pub(super) async fn write_floors(
        &self,
        keeper: &Keeper,
        floors: &mut SignedFloors,
        mut raised: Box<Floors>,
    ) -> Result<(), Fault> {
        raised.count();
        raised.sign(&keeper.signature(floors.slot, &raised.message()).await?);
        on_disk(raised.writing(self.store.floors_path(&self.config.token.kek_id))).await?;
        floors.floors = raised;
        Ok(())
    }

    /// Sees to it that the record that was just removed does not open where somebody puts it back: at once, or at the
    /// next login where nobody can sign floors now. Must be called by the one who works with the token.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(super) async fn bury(&self, name: &CredentialName) -> Result<(), Fault> {
        let live = match &*self.keyring.borrow() {
            State::Unlocked(keyring) => {
                keyring.floors().cloned().map(|floors| (keyring.keeper().clone(), floors))
            }
            State::Locked(_) => None,
        };
        if let Some((keeper, mut floors)) = live {
            let mut raised = floors.floors.clone();
            raised.bury(name);
            match self.write_floors(&keeper, &mut floors, raised).await {
                Ok(()) => {
                    self.put_floors(floors);
                    self.anchor_is_behind();
                    return Ok(());
                }
                Err(fault) => {
                    tracing::warn!(%fault, "the floor of a removed record is raised at the next login")
                }
            }
        }
        self.anchor_is_behind();
        self.unburied.borrow_mut().insert(name.clone());
        on_disk(self.store.noting_removed(name)?).await
    }

    /// Raises the floors of records that were removed while nobody could: those that the disk tells of, and those
    /// that this agent has removed itself, because whoever can write the folder can edit what the disk tells.
    async fn bury_noted(&self, keeper: &Keeper, floors: &mut SignedFloors) -> Result<(), Fault> {
        let path = self.store.removed_path();
        let Removed { mut removed } = Removed::read(&path)?;
        let noted = !removed.is_empty();
        removed.extend(self.unburied.borrow().iter().cloned());
        if removed.is_empty() {
            return Ok(());
        }
        let mut raised = floors.floors.clone();
        for name in &removed {
            raised.bury(name);
        }
        self.write_floors(keeper, floors, raised).await?;
        self.unburied.borrow_mut().retain(|name| !removed.contains(name));
        // Left there, it would close what is enrolled by one of these names from now on.
        if noted { on_disk(move || atomic::remove(&path)).await } else { Ok(()) }
    }

    /// Has the keyring go by these, where there is one.
    pub(super) fn put_floors(&self, floors: SignedFloors) {
        if let State::Unlocked(keyring) = &mut *self.keyring.borrow_mut() {
            keyring.put_floors(floors);
        }
    }

    /// Reads the floors and has the keeper hold their key in `slot`; makes them where there is no record yet. Raises
    /// those of removed records.
    async fn open_floors(
        &self,
        keeper: &Keeper,
        worker: &mut TokenWorker,
        slot: u32,
    ) -> Result<SignedFloors, Fault> {
        let mut floors = match self.open_signed_floors(keeper, worker, slot).await? {
            Some(floors) => floors,
            None => self.make_floors(keeper, worker, slot).await?,
        };
        anchor::check(&floors.floors, floors.known.as_ref())?;
        self.bury_noted(keeper, &mut floors).await?;
        Ok(floors)
    }

    /// The same as they stand on the disk, whatever the token knows; nothing where there are none.
    ///
    /// # Errors
    /// As [`floors`](Self::floors).
    pub(super) async fn open_signed_floors(
        &self,
        keeper: &Keeper,
        worker: &mut TokenWorker,
        slot: u32,
    ) -> Result<Option<SignedFloors>, Fault> {
        let token = &self.config.token;
        let path = self.store.floors_path(&token.kek_id);
        let job = keeper.job();
        let Some(floors) = Floors::read(&path, token.kek_id)? else { return Ok(None) };
        let edited = || StoreError::Floors { path: path.clone(), fault: "was edited" };
        let (rung, seed) = floors.seed();
        worker.unprotect(job, token.kek_id, rung, seed).await.map_err(|error| match error {
            // Said of a record's seed; this one is no record's.
            error if error.is_of_one_record() => {
                tracing::debug!(error = %chain(&error), "the seed of the floors does not open");
                edited().into()
            }
            error => Fault::from(error),
        })?;
        let public = keeper.derive(job, slot, CONTEXT).await?;
        let (id, log_id) = (id(FLOORS, &public), id(LOG, &public));
        if !floors.are_signed(&keeper.signature(slot, &floors.message()).await?) {
            return Err(edited().into());
        }
        let known = self.anchored(worker, id, &floors).await?;
        Ok(Some(SignedFloors { floors: Box::new(floors), slot, id, log_id, known }))
    }

    async fn make_floors(
        &self,
        keeper: &Keeper,
        worker: &mut TokenWorker,
        slot: u32,
    ) -> Result<SignedFloors, Fault> {
        let token = &self.config.token;
        let path = self.store.floors_path(&token.kek_id);
        if self.store.has_records_of(&token.kek_id)? {
            return Err(StoreError::Floors { path, fault: "is gone" }.into());
        }
        let job = keeper.job();
        let seed = worker.protect(job, token.kek_id, token.rung).await?;
        let public = keeper.derive(job, slot, CONTEXT).await?;
        let (id, log_id) = (id(FLOORS, &public), id(LOG, &public));
        let mut floors = Box::new(Floors::new(token.kek_id, token.rung, seed));
        let known = self.anchor_new(worker, id, &mut floors).await;
        floors.sign(&keeper.signature(slot, &floors.message()).await?);
        on_disk(floors.writing(path)).await?;
        Ok(SignedFloors { floors, slot, id, log_id, known })
    }
}

/// What the token remembers for the one who has the key of floors.
const FLOORS: &[u8] = b"strongroom floors anchor\0";
const LOG: &[u8] = b"strongroom log anchor\0";

/// By which the token knows `what` of the floors that this key signs.
fn id(what: &[u8], public: &[u8; 32]) -> AnchorId {
    let hash = Sha256::new().chain_update(what).chain_update(public).finalize();
    let mut id = AnchorId::default();
    id.iter_mut().zip(hash).for_each(|(place, byte)| *place = byte);
    id
}

/// A keeper that is started for one record holds that in its first slot.
pub(super) const SLOT_BESIDE_ONE_RECORD: u32 = 1;
