//! Taking over a data folder that was restored from a backup, and that the token knows to be older than the newest.
//!
//! What was in force between the backup and now must not come back after it: so the floors begin above everything that
//! was ever in force, and each record of the backup is sealed anew above them. The token is told before that, so that
//! a kill meanwhile leaves no records that open by the newest floors, where somebody puts those back.

use std::rc::Rc;

use strongroom_protocol::ErrorCode;

use super::anchor;
use super::floors::{SLOT_BESIDE_ONE_RECORD, SignedFloors};
use super::grants::reseal;
use super::login::{Keep, PinSource};
use super::unlock::open;
use super::{Signer, busy, on_disk};
use crate::audit::line::{Event, Kind};
use crate::crew::keeper::Keeper;
use crate::crew::token::{Login, TokenWorker};
use crate::fault::{Fault, chain};
use crate::policy::Authorized;
use crate::store::StoreError;
use crate::store::atomic::{self, Existing};
use crate::store::record::{CredentialName, Meta, Record};
use crate::store::removed::Removed;

/// The order to take over a data folder that was restored.
#[derive(Debug)]
pub(crate) struct AcceptRestored {
    pub(crate) login: Login,
}

/// What has become of the records of a folder that was taken over.
#[derive(Debug)]
pub(crate) struct Restored {
    /// The revision of those that open again.
    pub(crate) revision: u64,
    pub(crate) accepted: Vec<CredentialName>,
    /// Those that do not, and why.
    pub(crate) left: Vec<(CredentialName, String)>,
}

impl Signer {
    /// Takes over the data folder as it is. Killed on the way, it is done by doing it again.
    ///
    /// # Errors
    /// Where it is no older than the token knows, or token, keeper or disk refuse.
    pub(crate) async fn accept_restored(
        self: Rc<Self>,
        order: Authorized<AcceptRestored>,
    ) -> Result<Restored, Fault> {
        let by = order.decision();
        let AcceptRestored { login } = order.spend();
        self.audit.check()?;
        let Ok(_alone) = self.custody.try_lock() else { return Err(busy()) };
        let keeper = Keeper::start(self.config.agent.danger_allow_weak_memory, |_| {}).await?;
        let restored = async {
            let mut worker = self.log_in(&keeper, login, Keep::Never, PinSource::Person).await?;
            let restored = self.restore(&keeper, &mut worker).await;
            worker.end().await;
            restored
        };
        let restored = restored.await;
        let _ = keeper.end().await;
        let told = restored.as_ref().err();
        let event = super::account::done(Kind::Restore, &by, None, told);
        let revision = restored.as_ref().ok().map(|restored| restored.revision);
        self.audit.record(&Event { revision, ..event });
        restored
    }

    async fn restore(&self, keeper: &Keeper, worker: &mut TokenWorker) -> Result<Restored, Fault> {
        let opened = self.open_signed_floors(keeper, worker, SLOT_BESIDE_ONE_RECORD).await?;
        let Some(mut floors) =
            opened.filter(|floors| anchor::check(&floors.floors, floors.known.as_ref()).is_err())
        else {
            let message = "there is nothing to accept: the data folder is no older than the token knows";
            return Err(Fault::new(ErrorCode::Invalid, message, "run `strongroom unlock`"));
        };
        let path = self.store.removed_path();
        let Removed { removed } = Removed::read(&path)?;
        let known = floors.known.map(|known| known.generation);
        let mut begun = floors.floors.clone();
        let revision = begun.begin_restoring(known.unwrap_or_default());
        // A token that remembers nothing any more is not asked for it again.
        begun.set_anchored(false);
        self.write_floors(keeper, &mut floors, begun).await?;
        self.anchor(keeper, worker, &mut floors).await;
        if floors.known.is_some_and(|known| known.generation < revision) {
            let message = "the token was not told that a restored data folder is taken over";
            return Err(Fault::new(ErrorCode::Unavailable, message, "do it again"));
        }
        let (mut accepted, mut left) = (Vec::new(), Vec::new());
        for (name, record) in self.store.records()? {
            if removed.contains(&name) {
                left.push((name, "it was removed, and put back".to_owned()));
                continue;
            }
            match self.accept(keeper, worker, &floors, record, revision).await? {
                Ok(()) => accepted.push(name),
                Err(reason) => left.push((name, reason)),
            }
        }
        let mut ended = floors.floors.clone();
        ended.end_restoring();
        self.write_floors(keeper, &mut floors, ended).await?;
        if !removed.is_empty() {
            on_disk(move || atomic::remove(&path)).await?;
        }
        self.anchor(keeper, worker, &mut floors).await;
        Ok(Restored { revision, accepted, left })
    }

    /// Seals one record anew. What is wrong with it alone is told in words.
    async fn accept(
        &self,
        keeper: &Keeper,
        worker: &mut TokenWorker,
        floors: &SignedFloors,
        record: Result<Record, StoreError>,
        revision: u64,
    ) -> Result<Result<(), String>, Fault> {
        let old = match record {
            Ok(record) => record,
            Err(error) => return Ok(Err(chain(&error))),
        };
        let fit = self.check_token(&old.meta).and_then(|()| floors.check(&old.meta));
        if let Err(fault) = fit {
            return Ok(Err(fault.message));
        }
        let mut meta = Meta::clone(&old.meta);
        meta.revision = revision.max(old.meta.revision);
        let new: Record = match reseal(keeper, worker, &old, meta).await {
            Ok(new) => new,
            Err(error) if error.is_of_one_record() => return Ok(Err(chain(&error))),
            Err(error) => return Err(error.into()),
        };
        open(keeper, worker, &new, 0).await?;
        keeper.forget(0).await?;
        on_disk(self.store.writing(&new, None, Existing::Replace)).await?;
        Ok(Ok(()))
    }
}
