//! Checkpoints of the audit log: who signs them, and when.
//!
//! One is signed when the agent was unlocked, when a thousand lines came since the last one, a minute after the
//! first of fewer lines, when a file of the log is full, and when it is locked. A locked agent has no key, so its lines wait for the next unlock.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::keyring::{AuditKey, Certificate, Keyring, Unlocked};
use super::{Signer, State};
use crate::audit::chain::Head;
use crate::audit::checkpoint::{PublicKey, message};
use crate::audit::head::SignedHead;
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
        let head = self.audit.begin_checkpoint_anyway();
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
                self.write_head(keeper, slot, public, head).await?;
                public
            }
            None => {
                let seed = worker.protect(job, token.kek_id, token.rung).await?;
                let public = keeper.derive(job, slot, CONTEXT).await?;
                // Before the key: where that is, the other must be.
                self.write_head(keeper, slot, public, head).await?;
                KeyFile::new(public, token.serial.clone(), token.kek_id, token.rung, seed).write(&folder)?;
                public
            }
        };
        let mut key = AuditKey { slot, public, certificate: None };
        if let Some(demanded) = token.audit_key {
            let certificate = self.certify(keyring.keeper(), worker, &key, demanded, head).await?;
            key.certificate = Some(Rc::new(certificate));
        }
        keyring.put_audit_key(key);
        Ok(())
    }

    /// Has `head.toml` name this line, on the disk, before any checkpoint of this session does.
    async fn write_head(
        &self,
        keeper: &Keeper,
        slot: u32,
        public: PublicKey,
        head: Head,
    ) -> Result<(), Fault> {
        let (covers, at) = (head.to_string(), now());
        let signature = keeper.signature(slot, &SignedHead::message(&covers, &at)).await?;
        self.audit.note_head(SignedHead::new(covers, at, public, &signature));
        tokio::task::spawn_blocking(self.audit.syncing()).await.map_err(Fault::defect)??;
        Ok(())
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
    ) -> Result<Certificate, Fault> {
        let label = &self.config.token.kek_label;
        let token_key = worker.signing_key(label, false).await?;
        let Some(token_key) = token_key.filter(|key| Fingerprint::of(key) == demanded) else {
            let message = format!(
                "the token has not the signing key {demanded} any more, which the configuration names"
            );
            let hint = "run `strongroom init` again: it makes a key, and writes it into the configuration";
            return Err(Fault::new(ErrorCode::Unavailable, message, hint));
        };
        let (covers, at) = (head.to_string(), now());
        let signature = keeper.signature(key.slot, &message(Kind::Checkpoint, &covers, &at)).await?;
        let statement = statement(&key.public, &covers, &at);
        let token_signature = worker.sign(label, Sha256::digest(&statement).into()).await?;
        if !holds(&token_key, &statement, &token_signature) {
            let message = "the token's signature does not hold under its own key";
            return Err(Fault::new(ErrorCode::Unavailable, message, "check the token with its own tool"));
        }
        let hex = base16ct::lower::encode_string;
        let (token_key, token_signature) = (hex(&token_key.to_spki()), hex(&token_signature));
        self.audit.record(&Event {
            token_key: Some(token_key.as_str().into()),
            token_signature: Some(token_signature.as_str().into()),
            ..signed(Kind::Checkpoint, key.public, covers, at.clone(), &signature)
        });
        Ok(Certificate { covers: head, at, token_key, token_signature })
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
            _ if self.audit.was_cut() => Some("audit_cut"),
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

fn sign(audit: &Rc<AuditLog>, keeper: &Keeper, key: &AuditKey) {
    let Some(head) = audit.begin_checkpoint() else { return };
    // First, so that it is written as soon as the line of the checkpoint is on the disk.
    let (covers, at, public, own) = (head.to_string(), now(), key.public, Rc::clone(audit));
    keeper.sign(key.slot, None, &SignedHead::message(&covers, &at)).then(move |answer| match answer {
        Ok(signature) => own.note_head(SignedHead::new(covers, at, public, signature.bytes)),
        Err(error) => tracing::warn!(error = %chain(&error), "how far the audit log goes was not signed"),
    });
    let audit = Rc::clone(audit);
    vouch(keeper, key, Kind::Checkpoint, head, move |event| audit.record(event));
}

/// Has the keeper vouch for lines that are older than the configuration keeps them, and deletes them then.
fn prune(audit: &Rc<AuditLog>, keeper: &Keeper, key: &AuditKey) {
    match audit.old() {
        Ok(None) => {}
        Ok(Some(old)) => {
            let audit = Rc::clone(audit);
            let last = old.files.last().and_then(|path| path.file_name()).map(|name| name.to_string_lossy());
            let (file, bytes) = (last.map(Cow::into_owned).unwrap_or_default(), old.bytes);
            let certificate = key.certificate.clone();
            vouch(keeper, key, Kind::Prune, old.covers, move |event| {
                let mut event = Event { file: Some(file.into()), bytes: Some(bytes), ..event.clone() };
                if let Some(certificate) = certificate {
                    certificate.carry(&mut event);
                }
                audit.delete(old, &event);
            });
        }
        Err(error) => tracing::error!(error = %chain(&error), "old files of the audit log are kept"),
    }
}

/// Has the keeper sign for `head` and all lines before it; `told` gets the line that says so.
fn vouch(keeper: &Keeper, key: &AuditKey, kind: Kind, head: Head, told: impl FnOnce(&Event<'_>) + 'static) {
    let (covers, at, public) = (head.to_string(), now(), key.public);
    keeper.sign(key.slot, None, &message(kind, &covers, &at)).then(move |answer| match answer {
        Ok(signature) => told(&signed(kind, public, covers, at, signature.bytes)),
        Err(error) => tracing::warn!(error = %chain(&error), "a checkpoint was not signed"),
    });
}

fn signed(kind: Kind, public: PublicKey, covers: String, at: String, signature: &[u8]) -> Event<'static> {
    Event {
        key: Some(public),
        covers: Some(covers.into()),
        at: Some(at.into()),
        signature: Some(base16ct::lower::encode_string(signature).into()),
        ..Event::of(kind)
    }
}

impl Certificate {
    /// Repeats the token's word in a line of another kind: the line in which it stands may be deleted.
    fn carry(&self, event: &mut Event<'_>) {
        event.token_key = Some(self.token_key.clone().into());
        event.token_signature = Some(self.token_signature.clone().into());
        event.token_covers = Some(self.covers.to_string().into());
        event.token_at = Some(self.at.clone().into());
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
