//! Checkpoints of the audit log: who signs them, and when.
//!
//! One is signed when the agent was unlocked, when a thousand lines came since the last one, a minute after the
//! first of fewer lines, when a file of the log is full, and when it is locked. A locked agent has no key, so its lines wait for the next unlock.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::keyring::{AuditKey, Keyring, Unlocked};
use super::{Signer, State};
use crate::audit::chain::Head;
use crate::audit::checkpoint::message;
use crate::audit::key::{CONTEXT, KeyFile};
use crate::audit::line::{Clock, Event, Kind};
use crate::audit::log::AuditLog;
use crate::audit::vouch::{Fingerprint, holds, statement};
use crate::crew::keeper::Keeper;
use crate::crew::token::TokenWorker;
use crate::fault::{Fault, chain};
use strongroom_protocol::ErrorCode;

/// So many lines get a checkpoint at once.
const LINES: u64 = 1_000;
/// Fewer get one after this time.
const TIME: Duration = Duration::from_secs(60);

impl Signer {
    /// Has the keeper hold the key of the checkpoints; where there is none yet, it is made.
    pub(super) async fn load_audit_key(
        &self,
        keyring: &mut Keyring<Unlocked>,
        worker: &mut TokenWorker,
    ) -> Result<(), Fault> {
        let (folder, token) = (self.store.audit_folder(), &self.config.token);
        let slot = keyring.reserve_slot();
        let keeper = keyring.keeper();
        let job = keeper.job();
        let public = match KeyFile::read(&folder)? {
            Some(file) if file.token_serial != token.serial || file.kek_id != token.kek_id => {
                return Err(unusable("was wrapped by another token or KEK"));
            }
            Some(file) => {
                worker.unprotect(job, file.kek_id, file.rung, &file.seed).await?;
                let public = keeper.derive(job, slot, CONTEXT).await?;
                if !file.is_of(&public) {
                    return Err(unusable("was changed"));
                }
                public
            }
            None => {
                let seed = worker.protect(job, token.kek_id, token.rung).await?;
                let public = keeper.derive(job, slot, CONTEXT).await?;
                KeyFile::new(public, token.serial.clone(), token.kek_id, token.rung, seed).write(&folder)?;
                public
            }
        };
        let key = AuditKey { slot, public };
        if let Some(demanded) = token.audit_key {
            self.certify(keyring.keeper(), worker, key, demanded).await?;
        }
        keyring.put_audit_key(key);
        Ok(())
    }

    /// Has the token sign a checkpoint over all lines before, and with it the key that signs all others until the
    /// next lock.
    async fn certify(
        &self,
        keeper: &Keeper,
        worker: &mut TokenWorker,
        key: AuditKey,
        demanded: Fingerprint,
    ) -> Result<(), Fault> {
        let label = &self.config.token.kek_label;
        let token_key = worker.signing_key(label, false).await?;
        let Some(token_key) = token_key.filter(|key| Fingerprint::of(key) == demanded) else {
            let message = format!(
                "the token has not the signing key {demanded} any more, which the configuration names"
            );
            let hint = "run `strongroom init` again: it makes a key, and writes it into the configuration";
            return Err(Fault::new(ErrorCode::Unavailable, message, hint));
        };
        let (covers, at) = (self.audit.begin_checkpoint_anyway().to_string(), now());
        let signature = keeper.signature(key.slot, &message(Kind::Checkpoint, &covers, &at)).await?;
        let statement = statement(&key.public, &covers, &at);
        let token_signature = worker.sign(label, Sha256::digest(&statement).into()).await?;
        if !holds(&token_key, &statement, &token_signature) {
            let message = "the token's signature does not hold under its own key";
            return Err(Fault::new(ErrorCode::Unavailable, message, "check the token with its own tool"));
        }
        let hex = base16ct::lower::encode_string;
        self.audit.record(&Event {
            token_key: Some(hex(&token_key.to_spki()).into()),
            token_signature: Some(hex(&token_signature).into()),
            ..signed(Kind::Checkpoint, key, covers, at, &signature)
        });
        Ok(())
    }

    /// Sees to it that what was written gets a checkpoint, now or in a while.
    pub(super) fn see_to_checkpoint(&self, keyring: &Keyring<Unlocked>) {
        let Some(key) = keyring.audit_key() else { return };
        let lines = self.audit.lines_since_checkpoint();
        let rotated = self.audit.has_rotated();
        if rotated {
            prune(&self.audit, keyring.keeper(), key);
        }
        if rotated || lines >= LINES {
            sign(&self.audit, keyring.keeper(), key);
        } else if lines > 0 && !self.checkpoint_awaited.replace(true) {
            let signer = self.own.clone();
            tokio::task::spawn_local(async move {
                tokio::time::sleep(TIME).await;
                let Some(signer) = signer.upgrade() else { return };
                signer.checkpoint_awaited.set(false);
                signer.checkpoint();
            });
        }
    }

    /// What `status` says of the log, where it is not as it should be.
    pub(super) fn audit_weakness(&self) -> Option<&'static str> {
        if self.audit.check().is_err() {
            return Some("audit_stopped");
        }
        match &*self.keyring.borrow() {
            State::Unlocked(keyring) if keyring.audit_key().is_none() => Some("audit_unsigned"),
            _ => None,
        }
    }

    /// Signs a checkpoint at once, where it is unlocked and there are new lines; deletes what is too old.
    pub(super) fn checkpoint(&self) {
        if let State::Unlocked(keyring) = &*self.keyring.borrow() {
            if let Some(key) = keyring.audit_key() {
                prune(&self.audit, keyring.keeper(), key);
            }
            checkpoint_by(&self.audit, keyring);
        }
    }
}

/// Has the keeper of this keyring sign what is written so far. It answers before anything that it is asked later.
pub(super) fn checkpoint_by(audit: &Rc<AuditLog>, keyring: &Keyring<Unlocked>) {
    if let Some(key) = keyring.audit_key() {
        sign(audit, keyring.keeper(), key);
        keyring.keeper().flush();
    }
}

fn sign(audit: &Rc<AuditLog>, keeper: &Keeper, key: AuditKey) {
    let Some(head) = audit.begin_checkpoint() else { return };
    let audit = Rc::clone(audit);
    vouch(keeper, key, Kind::Checkpoint, head, move |event| audit.record(event));
}

/// Has the keeper vouch for lines that are older than the configuration keeps them, and deletes them then.
fn prune(audit: &Rc<AuditLog>, keeper: &Keeper, key: AuditKey) {
    match audit.old() {
        Ok(None) => {}
        Ok(Some(old)) => {
            let audit = Rc::clone(audit);
            let last = old.files.last().and_then(|path| path.file_name()).map(|name| name.to_string_lossy());
            let (file, bytes) = (last.map(Cow::into_owned).unwrap_or_default(), old.bytes);
            vouch(keeper, key, Kind::Prune, old.covers, move |event| {
                audit.delete(old, &Event { file: Some(file.into()), bytes: Some(bytes), ..event.clone() });
            });
        }
        Err(error) => tracing::error!(error = %chain(&error), "old files of the audit log are kept"),
    }
}

/// Has the keeper sign for `head` and all lines before it; `told` gets the line that says so.
fn vouch(keeper: &Keeper, key: AuditKey, kind: Kind, head: Head, told: impl FnOnce(&Event<'_>) + 'static) {
    let (covers, at) = (head.to_string(), now());
    keeper.sign(key.slot, None, &message(kind, &covers, &at)).then(move |answer| match answer {
        Ok(signature) => told(&signed(kind, key, covers, at, signature.bytes)),
        Err(error) => tracing::warn!(error = %chain(&error), "a checkpoint was not signed"),
    });
}

fn signed(kind: Kind, key: AuditKey, covers: String, at: String, signature: &[u8]) -> Event<'static> {
    Event {
        key: Some(key.public),
        covers: Some(covers.into()),
        at: Some(at.into()),
        signature: Some(base16ct::lower::encode_string(signature).into()),
        ..Event::of(kind)
    }
}

fn now() -> String {
    Clock::default().text(Timestamp::now()).to_owned()
}

fn unusable(what: &str) -> Fault {
    let message = format!("the key of the audit log's checkpoints {what}");
    let hint = "restore audit/key.toml, or move it away and unlock again: then a new one is made";
    Fault::new(ErrorCode::Unavailable, message, hint)
}
