//! Anchoring: the token remembers the newest state of the floors, so that a whole data folder that is rolled back,
//! its floors with its records, is told from the newest one. Beside it the token remembers a line of the audit log, so
//! that one whose end was cut off is found at the next login.
//!
//! The file is written first and the token second. A crash between both, and a removal without a login, leave a file
//! that is newer than what the token knows; it is no attack, because only who has logged in signs floors, and the
//! next login tells the token.

use strongroom_link::token::{Anchor, AnchorId};
use strongroom_protocol::ErrorCode;

use super::Signer;
use super::floors::SignedFloors;
use super::keyring::{Keyring, Unlocked};
use crate::audit::chain::Head;
use crate::crew::CrewError;
use crate::crew::keeper::Keeper;
use crate::crew::token::TokenWorker;
use crate::fault::{Fault, chain};
use crate::store::floors::Floors;

/// What is known of the floors in the token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Anchoring {
    /// The token keeps no such thing.
    Absent,
    /// The floors on the disk are newer than those that the token knows.
    Behind,
    /// The token knows the newest.
    Newest,
    /// Nobody has logged in yet.
    #[default]
    Unknown,
}

/// The name of the weakness that an unlock ends.
pub(crate) const ANCHOR_BEHIND: &str = "anchor_behind";

impl Anchoring {
    /// What `status` says of it.
    pub(super) const fn weakness(self) -> Option<&'static str> {
        match self {
            Self::Absent => Some("anchor_absent"),
            Self::Behind => Some(ANCHOR_BEHIND),
            Self::Newest | Self::Unknown => None,
        }
    }
}

/// Refuses floors that are older than those that the token knows, or others, or with which a restore was begun.
///
/// # Errors
/// Says which, and how a restored backup is taken over.
pub(super) fn check(floors: &Floors, known: Option<&Anchor>) -> Result<(), Fault> {
    let own = floors.generation();
    let message = match known {
        Some(known) if own < known.generation => format!(
            "the data folder was rolled back: its floors have the number {own}, and the token knows number {}",
            known.generation
        ),
        Some(known) if own == known.generation && floors.anchor(known.id) != *known => {
            format!(
                "the data folder was rolled back: its floors are others than the token knows as number {own}"
            )
        }
        None if floors.is_anchored() => {
            "the token does not know the floors of this data folder any more, though it did".to_owned()
        }
        _ if floors.is_restoring() => {
            let message = "a restored data folder was being taken over, and that was not finished";
            return Err(Fault::new(ErrorCode::Unavailable, message, "run `strongroom accept-restore` again"));
        }
        _ => return Ok(()),
    };
    let hint = "put the newest data folder back; where there is only an older backup, look at its grants \
                (`strongroom grant list`), and take it over with `strongroom accept-restore`";
    Err(Fault::new(ErrorCode::Unavailable, message, hint))
}

impl Signer {
    /// What the token knows of these floors. A token that cannot tell is asked no more of, unless it could before.
    pub(super) async fn anchored(
        &self,
        worker: &mut TokenWorker,
        id: AnchorId,
        floors: &Floors,
    ) -> Result<Option<Anchor>, Fault> {
        match worker.anchored(&self.config.token.kek_label, id).await {
            Ok(known) => Ok(known),
            Err(error @ CrewError::Token(_)) if !floors.is_anchored() => {
                tracing::warn!(error = %chain(&error), "the token tells nothing of floors");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Has the token know these floors. Where it does not, what was asked for is done all the same: `status` says so,
    /// and the next login tries again.
    pub(super) async fn anchor(&self, keeper: &Keeper, worker: &mut TokenWorker, floors: &mut SignedFloors) {
        let was_anchored = floors.floors.is_anchored();
        match self.try_anchor(keeper, worker, floors).await {
            Ok(()) => self.anchoring.set(Anchoring::Newest),
            Err(fault) if was_anchored => {
                self.anchoring.set(Anchoring::Behind);
                tracing::warn!(%fault, "the token was not told of the newest floors; the next login tries again");
            }
            Err(fault) => {
                self.anchoring.set(Anchoring::Absent);
                tracing::warn!(%fault, "the token keeps no floors, so a data folder that is rolled back as a whole is not found out");
            }
        }
    }

    async fn try_anchor(
        &self,
        keeper: &Keeper,
        worker: &mut TokenWorker,
        floors: &mut SignedFloors,
    ) -> Result<(), Fault> {
        self.tell_token(worker, floors).await?;
        if !floors.floors.is_anchored() {
            let mut marked = floors.floors.clone();
            marked.set_anchored(true);
            self.write_floors(keeper, floors, marked).await?;
            self.tell_token(worker, floors).await?;
        }
        Ok(())
    }

    async fn tell_token(&self, worker: &mut TokenWorker, floors: &mut SignedFloors) -> Result<(), Fault> {
        let newest = floors.floors.anchor(floors.id);
        if floors.known != Some(newest) {
            worker.anchor(&self.config.token.kek_label, newest).await?;
            floors.known = Some(newest);
        }
        Ok(())
    }

    /// Looks whether the last line that the token knows is in the audit log, and writes down where it is not.
    pub(super) async fn heed_log(&self, keyring: &Keyring<Unlocked>, worker: &mut TokenWorker) {
        let Some(floors) = keyring.floors() else { return };
        let known = match worker.anchored(&self.config.token.kek_label, floors.log_id).await {
            Ok(Some(Anchor { generation, hash, .. })) => Head { seq: generation, hash },
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(error = %chain(&error), "the token tells nothing of the audit log");
                return;
            }
        };
        let holds = match tokio::task::spawn_blocking(self.audit.holding(known)).await {
            Ok(holds) => holds.map_err(Fault::from),
            Err(error) => Err(Fault::defect(error)),
        };
        match holds {
            Ok(true) => {}
            Ok(false) => self.audit.go_on_behind(known),
            Err(fault) => tracing::error!(%fault, "the audit log was not compared with what the token knows"),
        }
    }

    /// Has the token remember the last line that it vouches for, or the last one where it does for none. One that is
    /// not on the disk may be lost by itself, so it is written there before.
    pub(super) async fn anchor_log(
        &self,
        keyring: &Keyring<Unlocked>,
        worker: &mut TokenWorker,
        id: AnchorId,
    ) {
        let key = keyring.audit_key().or_else(|| keyring.opening().map(|opening| &*opening.key));
        let certificate = key.and_then(|key| key.certificate.as_ref());
        let Head { seq, hash } =
            certificate.map_or_else(|| self.audit.written(), |certificate| certificate.covers);
        let told = async {
            tokio::task::spawn_blocking(self.audit.syncing()).await.map_err(Fault::defect)??;
            worker.anchor(&self.config.token.kek_label, Anchor { id, generation: seq, hash }).await?;
            Ok::<_, Fault>(())
        };
        if let Err(fault) = told.await {
            tracing::warn!(%fault, "the token was not told how far the audit log goes");
        }
    }

    /// Floors that nobody has written yet are told first: so the first file says already that the token must know it.
    pub(super) async fn anchor_new(
        &self,
        worker: &mut TokenWorker,
        id: AnchorId,
        floors: &mut Floors,
    ) -> Option<Anchor> {
        floors.set_anchored(true);
        let first = floors.anchor(id);
        match worker.anchor(&self.config.token.kek_label, first).await {
            Ok(()) => Some(first),
            Err(error) => {
                tracing::debug!(error = %chain(&error), "the token keeps no floors");
                floors.set_anchored(false);
                // It may have kept that state all the same, before it failed.
                floors.count();
                None
            }
        }
    }

    /// Notes that floors were written without a login.
    pub(super) fn anchor_is_behind(&self) {
        if self.anchoring.get() != Anchoring::Absent {
            self.anchoring.set(Anchoring::Behind);
        }
    }
}
