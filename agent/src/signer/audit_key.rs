//! The key of the audit log's checkpoints. At an unlock the token brings it to life and vouches for it; it signs
//! once `head.toml`, its own file and the line with the token's word are on the disk. Where that is full then, it is
//! tried again until it takes them, which needs no login.

use std::rc::Rc;

use strongroom_protocol::ErrorCode;

use super::checkpoint::{now, signed};
use super::keyring::{AuditKey, Certificate, Keyring, Unlocked};
use super::{Signer, State};
use crate::audit::chain::Head;
use crate::audit::checkpoint::message;
use crate::audit::head::SignedHead;
use crate::audit::key::{CONTEXT, KeyFile};
use crate::audit::line::{Event, Kind};
use crate::audit::vouch::{Fingerprint, statement};
use crate::crew::keeper::Keeper;
use crate::crew::token::TokenWorker;
use crate::fault::Fault;

/// A key that the keeper holds, and what must be on the disk before its first checkpoint.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) key: Rc<AuditKey>,
    /// The last line when it was loaded.
    last: Head,
    head: SignedHead,
    /// Where the key is new.
    file: Option<KeyFile>,
    /// The line with the token's word for it.
    certificate: Option<Event<'static>>,
}

impl Signer {
    /// Has the keeper hold the key of the checkpoints; where there is none yet, it is made.
    ///
    /// # Errors
    /// Where the key is not to be used, or token or keeper refuse. A disk that does is asked again later.
    pub(super) async fn load_audit_key(
        &self,
        keyring: &mut Keyring<Unlocked>,
        worker: &mut TokenWorker,
    ) -> Result<(), Fault> {
        let slot = keyring.reserve_slot();
        let opening = match self.prepare_opening(keyring.keeper(), worker, slot).await {
            Ok(opening) => opening,
            Err(fault) => {
                if keyring.keeper().forget(slot).await.is_ok() {
                    keyring.release_slot(slot);
                }
                return Err(fault);
            }
        };
        match self.write_opening(&opening).await {
            Ok(()) => keyring.put_audit_key(opening.key),
            Err(fault) => {
                tracing::error!(%fault, hint = fault.hint, "the audit log gets no checkpoints; it is tried again");
                keyring.put_opening(Some(Rc::new(opening)));
            }
        }
        Ok(())
    }

    /// Writes nothing.
    async fn prepare_opening(
        &self,
        keeper: &Keeper,
        worker: &mut TokenWorker,
        slot: u32,
    ) -> Result<Opening, Fault> {
        let (token, job) = (&self.config.token, keeper.job());
        self.audit.settle();
        let last = self.audit.written();
        let (public, file) = match KeyFile::read(&self.store.audit_folder())? {
            Some(file) if file.token_serial != token.serial || file.kek_id != token.kek_id => {
                return Err(unusable("was wrapped by another token or KEK"));
            }
            Some(file) => {
                worker.unprotect(job, file.kek_id, file.rung, &file.seed).await?;
                let public = keeper.derive(job, slot, CONTEXT).await?;
                if !file.is_of(&public) {
                    return Err(unusable("was changed"));
                }
                (public, None)
            }
            None => {
                let seed = worker.protect(job, token.kek_id, token.rung).await?;
                let public = keeper.derive(job, slot, CONTEXT).await?;
                let file = KeyFile::new(public, token.serial.clone(), token.kek_id, token.rung, seed);
                (public, Some(file))
            }
        };
        let (covers, at) = (last.to_string(), now());
        let signature = keeper.signature(slot, &SignedHead::message(&covers, &at)).await?;
        let head = SignedHead::new(covers, at, public, &signature);
        let mut key = AuditKey { slot, public, certificate: None };
        let mut certificate = None;
        if let Some(demanded) = token.audit_key {
            let (word, line) = self.certify(keeper, worker, &key, demanded, last).await?;
            key.certificate = Some(Rc::new(word));
            certificate = Some(line);
        }
        Ok(Opening { key: Rc::new(key), last, head, file, certificate })
    }

    /// Writes what must be on the disk before the first checkpoint of this key.
    async fn write_opening(&self, opening: &Opening) -> Result<(), Fault> {
        self.audit.check()?;
        let locks_before = self.locks.get();
        let naming = self.audit.naming(opening.head.clone());
        let (file, public) = (opening.file.clone(), opening.key.public);
        let folder = self.store.audit_folder();
        let writing = move || {
            // Before the key: where that is, the other must be.
            naming()?;
            let Some(file) = file else { return Ok(()) };
            match KeyFile::read(&folder)? {
                Some(there) if there.is_of(&public) => Ok(()),
                _ => file.write(&folder),
            }
        };
        tokio::task::spawn_blocking(writing).await.map_err(Fault::defect)??;
        if self.locks.get() != locks_before {
            let message = "the agent was locked before the token's word for the key was written";
            return Err(Fault::new(ErrorCode::Locked, message, "unlock it again"));
        }
        let Some(line) = &opening.certificate else { return Ok(()) };
        let failures = self.audit.failures();
        self.audit.record(line);
        if self.audit.failures() == failures { Ok(()) } else { Err(self.audit.stopped().into()) }
    }

    /// Tries again what the disk has not taken at the unlock.
    pub(super) async fn open_again(&self) {
        let opening = match &*self.keyring.borrow() {
            State::Unlocked(keyring) => keyring.opening().cloned(),
            State::Locked(_) => None,
        };
        let Some(opening) = opening else { return };
        // Whoever checks the log has forgotten a line that is so far behind.
        let late = self.audit.written().seq.saturating_sub(opening.last.seq) > MOST_BEHIND;
        let opened = if late { Ok(()) } else { self.write_opening(&opening).await };
        let State::Unlocked(keyring) = &mut *self.keyring.borrow_mut() else { return };
        match opened {
            _ if late => {
                tracing::error!("the audit log gets no checkpoints until the agent is unlocked again");
                keyring.put_opening(None);
            }
            Ok(()) => {
                tracing::info!("the audit log gets checkpoints from now on");
                keyring.put_audit_key(Rc::clone(&opening.key));
            }
            Err(fault) => tracing::debug!(%fault, "the audit log gets no checkpoints yet"),
        }
    }

    /// Has the token sign a checkpoint over all lines before, and with it the key that signs all others until the
    /// next lock.
    async fn certify(
        &self,
        keeper: &Keeper,
        worker: &mut TokenWorker,
        key: &AuditKey,
        demanded: Fingerprint,
        head: Head,
    ) -> Result<(Certificate, Event<'static>), Fault> {
        let (covers, at) = (head.to_string(), now());
        let signature = keeper.signature(key.slot, &message(Kind::Checkpoint, &covers, &at)).await?;
        let statement = statement(&key.public, &covers, &at);
        let (token_key, token_signature) = self.sign_by_token(worker, demanded, &statement).await?;
        let line = Event {
            token_key: Some(token_key.clone().into()),
            token_signature: Some(token_signature.clone().into()),
            ..signed(Kind::Checkpoint, key.public, covers, at.clone(), &signature)
        };
        Ok((Certificate { covers: head, at, token_key, token_signature }, line))
    }
}

/// So many lines may come before the one with the token's word is written: half of those that a reader of the log
/// remembers.
const MOST_BEHIND: u64 = 4_096;

fn unusable(what: &str) -> Fault {
    let message = format!("the key of the audit log's checkpoints {what}");
    let hint = "restore audit/key.toml, or move it away and unlock again: then a new one is made";
    Fault::new(ErrorCode::Unavailable, message, hint)
}
