//! Checkpoints of the audit log: who signs them, and when.
//!
//! One is signed when the agent was unlocked, when a thousand lines came since the last one, some seconds after
//! fewer, when a file of the log is full, and when it is locked, before the keeper forgets the key. A locked agent
//! has none, so its lines wait for the next unlock.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;

use super::keyring::{AuditKey, Certificate, Keyring, Unlocked};
use super::{Signer, State};
use crate::audit::chain::Head;
use crate::audit::checkpoint::{PublicKey, message};
use crate::audit::head::SignedHead;
use crate::audit::line::{Clock, Event, Kind};
use crate::audit::log::AuditLog;
use crate::crew::keeper::Keeper;
use crate::fault::chain;

/// So many lines get a checkpoint at once.
const LINES: u64 = 1_000;
/// How often it is tried again to begin with them where the disk was full.
const RETRY: Duration = Duration::from_secs(1);
/// The name of the weakness of a log that gets none, which an unlock ends.
pub(crate) const AUDIT_UNSIGNED: &str = "audit_unsigned";

impl Signer {
    /// Sees to it that many lines get a checkpoint at once.
    pub(super) fn see_to_checkpoint(&self, keyring: &Keyring<Unlocked>) {
        let Some(key) = keyring.audit_key() else { return };
        let lines = self.audit.lines_since_checkpoint();
        let rotated = self.audit.has_rotated();
        if rotated {
            prune(&self.audit, keyring.keeper(), key);
        }
        if rotated || lines >= LINES {
            sign(&self.audit, keyring.keeper(), key);
        }
    }

    /// How long to wait before the next [`tend_log`](Self::tend_log).
    pub(crate) fn tend_log_in(&self) -> Duration {
        match &*self.keyring.borrow() {
            State::Unlocked(keyring) if keyring.opening().is_some() => RETRY,
            _ => self.config.audit.checkpoint_s.into(),
        }
    }

    /// Signs what came since the last checkpoint; where none could be signed yet because the disk was full, tries
    /// that again. To be called again and again while the agent is unlocked.
    pub(crate) async fn tend_log(&self) {
        self.open_again().await;
        if let State::Unlocked(keyring) = &*self.keyring.borrow() {
            self.see_to_checkpoint(keyring);
            checkpoint_by(&self.audit, keyring);
        }
    }

    /// What `status` says of the log, where it is not as it should be.
    pub(super) fn audit_weaknesses(&self) -> Vec<&'static str> {
        let weaknesses = [
            ("audit_cut", self.audit.was_cut()),
            ("audit_stopped", self.audit.check().is_err()),
            (AUDIT_UNSIGNED, self.is_log_unsigned()),
        ];
        weaknesses.into_iter().filter(|(_, is_so)| *is_so).map(|(name, _)| name).collect()
    }

    /// Whether the agent is unlocked, and its log gets no checkpoints.
    pub(super) fn is_log_unsigned(&self) -> bool {
        matches!(&*self.keyring.borrow(), State::Unlocked(keyring) if keyring.audit_key().is_none())
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
    vouch(keeper, key, Kind::Checkpoint, head, move |signed| match signed {
        Some(event) => audit.record(&event),
        None => audit.give_up_checkpoint(),
    });
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
                let Some(event) = event else { return };
                let mut event = Event { file: Some(file.into()), bytes: Some(bytes), ..event };
                if let Some(certificate) = certificate {
                    certificate.carry(&mut event);
                }
                audit.delete(old, &event);
            });
        }
        Err(error) => tracing::error!(error = %chain(&error), "old files of the audit log are kept"),
    }
}

/// Has the keeper sign for `head` and all lines before it; `told` gets the line that says so, or nothing where it was
/// not signed.
fn vouch(
    keeper: &Keeper,
    key: &AuditKey,
    kind: Kind,
    head: Head,
    told: impl FnOnce(Option<Event<'static>>) + 'static,
) {
    let (covers, at, public) = (head.to_string(), now(), key.public);
    keeper.sign(key.slot, None, &message(kind, &covers, &at)).then(move |answer| match answer {
        Ok(signature) => told(Some(signed(kind, public, covers, at, signature.bytes))),
        Err(error) => {
            tracing::warn!(error = %chain(&error), "a checkpoint was not signed");
            told(None);
        }
    });
}

pub(super) fn signed(
    kind: Kind,
    public: PublicKey,
    covers: String,
    at: String,
    signature: &[u8],
) -> Event<'static> {
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

pub(super) fn now() -> String {
    Clock::default().text(Timestamp::now()).to_owned()
}
