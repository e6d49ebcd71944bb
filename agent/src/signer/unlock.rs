//! Unlocking: the token gives the seeds, the keeper opens the records.

use std::rc::Rc;

use strongroom_protocol::ErrorCode;
use strongroom_venues::Profile;

use super::anchor::Anchoring;
use super::filling::{Filling, overtaken};
use super::keyring::{Keyring, Live, Unlocked};
use super::known::Known;
use super::login::{Keep, PinSource};
use super::{Progress, Signer, State, Unlock, busy};
use crate::audit::line::Kind;
use crate::crew::CrewError;
use crate::crew::keeper::Keeper;
use crate::crew::token::{Login, TokenWorker};
use crate::fault::Fault;
use crate::identity::Principal;
use crate::policy::{Authorized, Decision};
use crate::store::Found;
use crate::store::budget::Budgets;
use crate::store::nonce::NonceSequence;
use crate::store::record::{CredentialName, Meta, Record};

impl Signer {
    /// Logs in to the token with one try of the PIN, and loads every record that is not loaded yet.
    ///
    /// # Errors
    /// Where the token refuses or is not there: what was locked stays so, what was loaded signs on, and
    /// the PIN is not tried again. Where the token fails on the way: what was loaded until then can sign,
    /// and the next unlock loads the rest. Where no record opened although there are some: the first cause.
    pub(crate) async fn unlock(self: Rc<Self>, order: Authorized<Unlock>) -> Result<(), Fault> {
        let by = order.decision();
        let Unlock { login, progress } = order.spend();
        self.audit.check()?;
        let unlocked = self.unlock_with(login, PinSource::Person, progress).await;
        self.tell(Kind::Unlock, &by, None, &unlocked);
        self.checkpoint();
        unlocked
    }

    /// Unlocks with a PIN that the service manager or the command line gave to the agent itself, or that a
    /// person enters on the token's pad because the configuration says so. Where
    /// such a PIN was wrong before, none is tried until a person has unlocked.
    ///
    /// # Errors
    /// As [`unlock`](Self::unlock).
    pub(crate) async fn unlock_by_itself(self: &Rc<Self>, login: Login) -> Result<(), Fault> {
        self.audit.check()?;
        let unlocked = self.unlock_with(login, PinSource::Itself, Box::new(|_, _| {})).await;
        let by = Decision { who: Rc::new(Principal::own()), rule: "by-itself" };
        self.tell(Kind::Unlock, &by, None, &unlocked);
        self.checkpoint();
        unlocked
    }

    async fn unlock_with(
        self: &Rc<Self>,
        login: Login,
        source: PinSource,
        progress: Progress,
    ) -> Result<(), Fault> {
        let Ok(_alone) = self.custody.try_lock() else { return Err(busy()) };
        let outcome = match self.check_latch(source) {
            Ok(()) => self.try_unlock(login, source, progress).await,
            Err(fault) => Err(fault),
        };
        if let (Err(fault), State::Locked(keyring)) = (&outcome, &mut *self.keyring.borrow_mut()) {
            keyring.state.reason = format!("the last unlock failed: {fault}");
        }
        outcome
    }

    /// Must be called by the one who works with the token.
    async fn try_unlock(
        self: &Rc<Self>,
        login: Login,
        source: PinSource,
        progress: Progress,
    ) -> Result<(), Fault> {
        let mut records = self.store.records()?;
        // Somebody may have put back, or taken away, what the agent knew.
        self.known.replace(Known::of(&records));
        let beside = match &*self.keyring.borrow() {
            State::Unlocked(keyring) => {
                records.retain(|(name, _)| !keyring.is_live(name));
                if records.is_empty() && keyring.has_audit_key() && self.anchoring.get() != Anchoring::Behind
                {
                    return Ok(());
                }
                Some(keyring.beside())
            }
            State::Locked(_) => None,
        };
        let locks_before = self.locks.get();
        let (mut keyring, filling) = match beside {
            Some(keyring) => (keyring, None),
            None => {
                let keeper = self.start_keeper().await?;
                let Some(filling) = Filling::show(self, &keeper, locks_before) else {
                    let _ = keeper.end().await;
                    return Err(locked_meanwhile());
                };
                (Keyring::unlocked(keeper), Some(filling))
            }
        };
        let tried = match self.log_in(keyring.keeper(), login, Keep::UntilLock, source).await {
            Ok(mut worker) => {
                self.clear_latch();
                let done = match self.load_floors(&mut keyring, &mut worker).await {
                    Ok(()) => {
                        self.heed_log(&keyring, &mut worker).await;
                        Ok(self.load_all(&mut keyring, &mut worker, records, &progress).await)
                    }
                    Err(fault) => Err(fault),
                };
                if !keyring.has_audit_key() && matches!(done, Ok(Done::All { .. })) {
                    // A log without checkpoints is a log still; `audit verify` tells how far they reach.
                    if let Err(fault) = self.load_audit_key(&mut keyring, &mut worker).await {
                        tracing::error!(%fault, hint = fault.hint, "the audit log gets no checkpoints");
                    }
                }
                if self.locks.get() == locks_before {
                    self.raise_loaded(&mut keyring, &mut worker, &done).await;
                }
                worker.end().await;
                done
            }
            Err(error) => Err(error),
        };
        // Whatever has failed: where a lock came in between, it is because of that.
        if self.locks.get() != locks_before {
            // The lock ends this keeper; what it waits for is waited for here too.
            let _ = keyring.keeper().end().await;
            return Err(locked_meanwhile());
        }
        let done = tried?;
        keyring.keeper().check_running()?;
        let loaded = keyring.len();
        if loaded == 0 && matches!(done, Done::TokenFailed(_)) {
            return done.outcome(loaded);
        }
        tracing::info!(loaded, "unlocked");
        match &mut *self.keyring.borrow_mut() {
            State::Unlocked(before) => before.absorb(keyring),
            state @ State::Locked(_) => *state = State::Unlocked(keyring),
        }
        drop(filling);
        self.unlocked.send_replace(true);
        done.outcome(loaded)
    }

    /// Loads records until the token fails. A record that does not open stops no other.
    async fn load_all(
        &self,
        keyring: &mut Keyring<Unlocked>,
        worker: &mut TokenWorker,
        records: Vec<Found>,
        progress: &Progress,
    ) -> Done {
        let mut first = None;
        let total = records.len();
        let mut records = records.into_iter();
        while let Some((name, record)) = records.next() {
            progress(total.saturating_sub(records.len()).saturating_sub(1), total);
            let loaded = match record {
                Ok(record) => self.load(keyring, worker, &record).await,
                Err(error) => Err(NotLoaded::Record(Fault::from(error))),
            };
            let (fault, token_failed) = match loaded {
                Ok(()) => continue,
                Err(NotLoaded::Record(fault)) => (fault, false),
                Err(NotLoaded::Token(fault)) => (fault, true),
            };
            tracing::warn!(credential = %name, %fault, "a record does not open");
            keyring.put_fault(name.clone(), fault.message.clone());
            let told = Fault { message: format!("{name}: {}", fault.message), ..fault.clone() };
            if token_failed {
                for (name, _) in records {
                    keyring.put_fault(name, format!("the token failed before it: {}", fault.message));
                }
                return Done::TokenFailed(told);
            }
            first.get_or_insert(told);
        }
        Done::All { first }
    }

    /// Notes which revisions are in force: of records that were written just before a crash.
    async fn raise_loaded(
        &self,
        keyring: &mut Keyring<Unlocked>,
        worker: &mut TokenWorker,
        done: &Result<Done, Fault>,
    ) {
        let (Some(mut floors), Ok(done)) = (keyring.floors().cloned(), done) else { return };
        if let Err(fault) = self.raise_floors(keyring.keeper(), &mut floors, keyring.metas()).await {
            tracing::error!(%fault, hint = fault.hint, "the floors of records were not raised");
        }
        if matches!(done, Done::All { .. }) {
            self.anchor(keyring.keeper(), worker, &mut floors).await;
            self.anchor_log(keyring, worker, floors.log_id).await;
        }
        keyring.put_floors(floors);
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
    ) -> Result<(), NotLoaded> {
        let meta = &record.meta;
        self.check_token(meta).map_err(NotLoaded::Record)?;
        if let Some(floors) = keyring.floors() {
            floors.check(meta).map_err(NotLoaded::Record)?;
        }
        let profile = self.profiles.of(meta).map_err(NotLoaded::Record)?;
        check_domains(meta, &profile).map_err(NotLoaded::Record)?;
        let nonces = self.nonces(&meta.name).map_err(NotLoaded::Record)?;
        let slot = keyring.reserve_slot();
        if let Err(error) = open(keyring.keeper(), worker, record, slot).await {
            keyring.release_slot(slot);
            let of_record = error.is_of_one_record();
            let fault = Fault::from(error);
            return Err(if of_record { NotLoaded::Record(fault) } else { NotLoaded::Token(fault) });
        }
        keyring.put(Live::new(Rc::clone(meta), profile, nonces, self.budgets(&meta.name), slot));
        Ok(())
    }

    /// Refuses a record of another token before that token's PIN tries or the KEK are touched.
    pub(super) fn check_token(&self, meta: &Meta) -> Result<(), Fault> {
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

    /// What the grants of a credential have spent.
    pub(super) fn budgets(&self, name: &CredentialName) -> Budgets {
        Budgets::open(self.store.budget_path(name))
    }

    /// The nonce sequence of a credential.
    pub(super) fn nonces(&self, name: &CredentialName) -> Result<NonceSequence, Fault> {
        Ok(NonceSequence::open(self.store.nonce_path(name))?)
    }
}

/// Refuses a wallet's key that could sign nothing of its venue: the keeper refuses typed data of other domains than the
/// record names, and records of before domains were named have none.
fn check_domains(meta: &Meta, profile: &Profile) -> Result<(), Fault> {
    let wanted = profile.key_spec().domains;
    if wanted.separators().iter().all(|separator| meta.domains.contains(separator)) {
        return Ok(());
    }
    let message =
        format!("the key was not enrolled for the domains in which {} signs typed data", meta.venue);
    Err(Fault::new(ErrorCode::Unavailable, message, "enrol the credential again with --replace"))
}

fn locked_meanwhile() -> Fault {
    overtaken("it was being unlocked", "unlock it again")
}

/// Why a record was not loaded.
enum NotLoaded {
    /// It does not open; another may.
    Record(Fault),
    /// The token, or a process, failed; so it would for the next.
    Token(Fault),
}

/// How loading has ended.
enum Done {
    /// Every record was tried.
    All {
        first: Option<Fault>,
    },
    TokenFailed(Fault),
}

impl Done {
    fn outcome(self, loaded: usize) -> Result<(), Fault> {
        match self {
            Self::TokenFailed(fault) => Err(fault),
            Self::All { first: Some(fault) } if loaded == 0 => Err(fault),
            Self::All { .. } => Ok(()),
        }
    }
}

/// Has the token recover a record's seed and the keeper open its envelope into `slot`.
pub(super) async fn open(
    keeper: &Keeper,
    worker: &mut TokenWorker,
    record: &Record,
    slot: u32,
) -> Result<(), CrewError> {
    let Record { meta, wrapped, .. } = record;
    let job = keeper.job();
    worker.unprotect(job, meta.kek_id, meta.rung, &wrapped.seed).await?;
    keeper.load(job, slot, meta.key_spec(), &meta.context(), &wrapped.envelope).await
}
