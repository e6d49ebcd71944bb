//! Unlocking: the token gives the seeds, the keeper opens the records.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use strongroom_protocol::ErrorCode;

use super::keyring::{Keyring, Live, Unlocked};
use super::{Signer, State, Unlock};
use crate::crew::keeper::Keeper;
use crate::crew::token::{self, TokenWorker};
use crate::fault::Fault;
use crate::policy::Authorized;
use crate::store::nonce::NonceSequence;
use crate::store::record::{CredentialName, Meta, Record};

impl Signer {
    /// Logs in to the token with one try of the PIN, and loads every record.
    ///
    /// # Errors
    /// Where the token refuses or is not there: the agent stays locked, and the PIN is not tried again.
    /// Where no record opened although there are some: the first cause.
    pub(crate) async fn unlock(self: Rc<Self>, order: Authorized<Unlock>) -> Result<(), Fault> {
        let Unlock { pin } = order.spend();
        self.unlock_with(pin).await
    }

    /// Unlocks with a PIN that the service manager or the command line gave to the agent itself.
    ///
    /// # Errors
    /// As [`unlock`](Self::unlock).
    pub(crate) async fn unlock_with(self: &Rc<Self>, pin: OwnedFd) -> Result<(), Fault> {
        let Ok(_alone) = self.custody.try_lock() else {
            let message = "the agent is working with the token already";
            return Err(Fault::new(ErrorCode::Unavailable, message, "wait for it, then try again"));
        };
        let outcome = self.try_unlock(pin).await;
        if let (Err(fault), State::Locked(keyring)) = (&outcome, &mut *self.keyring.borrow_mut()) {
            keyring.state.reason = format!("the last unlock failed: {fault}");
        }
        outcome
    }

    /// Must be called by the one who works with the token.
    async fn try_unlock(self: &Rc<Self>, pin: OwnedFd) -> Result<(), Fault> {
        if matches!(&*self.keyring.borrow(), State::Unlocked(_)) {
            return Ok(());
        }
        let locks_before = self.locks.get();
        let keeper = self.start_keeper().await?;
        let port = keeper.open_seed_port().await?;
        let mut worker = token::open_configured(&self.config.token, pin, Some(port)).await?;
        let mut keyring = Keyring::unlocked(keeper);
        let mut first_fault = None;
        for (name, record) in self.store.records()? {
            let loaded = match record {
                Ok(record) => self.load(&mut keyring, &mut worker, &record).await,
                Err(error) => Err(Fault::from(error)),
            };
            if let Err(fault) = loaded {
                tracing::warn!(credential = %name, %fault, "a record does not open");
                keyring.put_fault(name.clone(), fault.message.clone());
                first_fault.get_or_insert(Fault { message: format!("{name}: {}", fault.message), ..fault });
            }
        }
        worker.end().await;
        if self.locks.get() != locks_before {
            keyring.keeper().end().await?;
            return Err(Fault::new(
                ErrorCode::Locked,
                "the agent was locked while it was being unlocked",
                "unlock it again",
            ));
        }
        keyring.keeper().check_running()?;
        let ready = keyring.len();
        tracing::info!(ready, "unlocked");
        self.keyring.replace(State::Unlocked(keyring));
        match first_fault {
            Some(fault) if ready == 0 => Err(fault),
            _ => Ok(()),
        }
    }

    /// Starts a keeper whose end locks this signer.
    pub(super) async fn start_keeper(self: &Rc<Self>) -> Result<Keeper, Fault> {
        let signer = Rc::downgrade(self);
        let on_end = move |error| {
            if let Some(signer) = signer.upgrade() {
                signer.keeper_ended(&error);
            }
        };
        Ok(Keeper::start(self.config.agent.danger_allow_weak_memory, on_end).await?)
    }

    async fn load(
        &self,
        keyring: &mut Keyring<Unlocked>,
        worker: &mut TokenWorker,
        record: &Record,
    ) -> Result<(), Fault> {
        let meta = &record.meta;
        self.check_token(meta)?;
        let profile = self.profiles.get(&meta.venue)?;
        let nonces = self.nonces(&meta.name)?;
        let slot = keyring.reserve_slot();
        let opened = open(keyring.keeper(), worker, record, slot).await;
        if opened.is_err() {
            keyring.release_slot(slot);
        }
        opened?;
        keyring.put(Live::new(meta.clone(), profile, nonces, slot));
        Ok(())
    }

    /// Refuses a record of another token before that token's PIN tries or the KEK are touched.
    fn check_token(&self, meta: &Meta) -> Result<(), Fault> {
        let token = &self.config.token;
        if meta.token_serial == token.serial && meta.kek_id == token.kek_id {
            return Ok(());
        }
        let message = format!(
            "the record was wrapped by token `{}` (serial {}), or by another KEK of it; this agent uses token `{}` (serial {})",
            meta.token_label, meta.token_serial, token.label, token.serial
        );
        Err(Fault::new(
            ErrorCode::Unavailable,
            message,
            "configure that token, or enrol the credential again with --replace",
        ))
    }

    /// The nonce sequence of a credential.
    pub(super) fn nonces(&self, name: &CredentialName) -> Result<NonceSequence, Fault> {
        Ok(NonceSequence::open(self.store.nonce_path(name))?)
    }
}

/// Has the token recover a record's seed and the keeper open its envelope into `slot`.
pub(super) async fn open(
    keeper: &Keeper,
    worker: &mut TokenWorker,
    record: &Record,
    slot: u32,
) -> Result<(), Fault> {
    let Record { meta, wrapped, .. } = record;
    let job = keeper.job();
    worker.unprotect(job, meta.kek_id, meta.rung, &wrapped.seed).await?;
    keeper.load(job, slot, meta.key_spec(), &meta.context(), &wrapped.envelope).await?;
    Ok(())
}
