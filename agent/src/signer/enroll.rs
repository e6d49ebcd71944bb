//! Enrolment: a secret goes from its descriptor into the keeper, and only wrapped onto the disk.
//!
//! The new record is opened again by token and keeper before it is written, so a record on the disk is
//! one that has opened once.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use strongroom_protocol::{Enroll, ErrorCode};
use strongroom_venues::Profile;

use super::filling::{Filling, overtaken};
use super::keyring::Live;
use super::login::{Keep, PinSource};
use super::unlock::open;
use super::{Signer, State, busy, credential_name, on_disk};
use crate::audit::line::Kind;
use crate::crew::keeper::Keeper;
use crate::crew::token::Login;
use crate::fault::Fault;
use crate::policy::Authorized;
use crate::store::atomic::Existing;
use crate::store::record::{CredentialName, Meta, Record, Wrapped};

/// The order to wrap and keep a new secret.
#[derive(Debug)]
pub(crate) struct Enrollment {
    name: CredentialName,
    venue: String,
    key_id: String,
    uid: Option<String>,
    base_url: Option<String>,
    existing: Existing,
    secrets: Secrets,
}

/// Descriptors that nobody in this process reads.
#[derive(Debug)]
pub(crate) struct Secrets {
    /// For the token worker.
    pub(crate) login: Login,
    /// Gives the secret; for the keeper.
    pub(crate) secret: OwnedFd,
    /// Gives the passphrase; for the keeper.
    pub(crate) passphrase: Option<OwnedFd>,
}

/// Longest key id or account id; Coinbase's key names have about 100 characters.
const MAX_ID_BYTES: usize = 256;

impl Enrollment {
    /// Checks all that can be checked without the token and without having read a secret.
    ///
    /// # Errors
    /// As [`new`](Self::new), and where the profile does not go with it.
    pub(crate) fn check(wanted: &Enroll<'_>, profile: &Profile) -> Result<(), Fault> {
        credential_name(wanted.credential)?;
        identifier("key id", wanted.key_id)?;
        wanted.uid.map(|uid| identifier("uid", uid)).transpose()?;
        check_uid(profile, wanted.venue, wanted.uid)?;
        base_url(profile, wanted.venue, wanted.base_url).map(drop)
    }

    /// Checks what came from outside.
    ///
    /// # Errors
    /// Names the argument that cannot be, and what it must look like.
    pub(crate) fn new(wanted: &Enroll<'_>, secrets: Secrets) -> Result<Self, Fault> {
        Ok(Self {
            name: credential_name(wanted.credential)?,
            venue: wanted.venue.to_owned(),
            key_id: identifier("key id", wanted.key_id)?,
            uid: wanted.uid.map(|uid| identifier("uid", uid)).transpose()?,
            base_url: wanted.base_url.map(str::to_owned),
            existing: if wanted.replace { Existing::Replace } else { Existing::Keep },
            secrets,
        })
    }
}

/// A key id goes into headers and URLs, so it is printable ASCII without spaces.
fn identifier(what: &str, text: &str) -> Result<String, Fault> {
    let fits =
        !text.is_empty() && text.len() <= MAX_ID_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        return Ok(text.to_owned());
    }
    let message = format!("the {what} is not 1 to {MAX_ID_BYTES} printable characters without spaces");
    Err(Fault::new(ErrorCode::Invalid, message, "copy it again from the venue"))
}

/// An account id exactly where the venue's requests carry one.
fn check_uid(profile: &Profile, venue: &str, uid: Option<&str>) -> Result<(), Fault> {
    let (message, hint) = match (profile.needs_uid(), uid) {
        (true, None) => (format!("requests to {venue} carry an account id"), "give it with --uid"),
        (false, Some(_)) => (format!("requests to {venue} carry no account id"), "leave --uid out"),
        (true, Some(_)) | (false, None) => return Ok(()),
    };
    Err(Fault::new(ErrorCode::Invalid, message, hint))
}

/// The wanted one of the profile's hosts, or its first.
fn base_url(profile: &Profile, venue: &str, wanted: Option<&str>) -> Result<String, Fault> {
    let hosts = profile.hosts();
    match wanted {
        Some(wanted) if hosts.iter().any(|host| host == wanted) => Ok(wanted.to_owned()),
        Some(wanted) => Err(Fault::new(
            ErrorCode::Invalid,
            format!("{wanted} is no host of {venue}"),
            format!("its hosts are: {}", hosts.join(", ")),
        )),
        None => hosts.first().cloned().ok_or_else(|| Fault::defect("a profile without hosts")),
    }
}

fn locked_meanwhile() -> Fault {
    overtaken("the credential was being enrolled", "enrol it again")
}

/// Why a record of that name is not made.
pub(crate) fn exists_already(name: &str) -> Fault {
    let message = format!("there is a credential `{name}` already");
    Fault::new(ErrorCode::Exists, message, "choose another name, or use --replace")
}

impl Signer {
    /// Enrols a credential. It can sign at once where the agent is unlocked.
    ///
    /// # Errors
    /// Where the venue, the token, the keeper or the disk refuse, or a lock comes in between; nothing has
    /// changed then.
    pub(crate) async fn enroll(self: Rc<Self>, order: Authorized<Enrollment>) -> Result<(), Fault> {
        let by = order.decision();
        let enrollment = order.spend();
        self.audit.check()?;
        let name = enrollment.name.clone();
        let enrolled = self.enroll_checked(enrollment).await;
        self.tell(Kind::Enroll, &by, Some(name.as_str()), &enrolled);
        enrolled
    }

    async fn enroll_checked(self: &Rc<Self>, enrollment: Enrollment) -> Result<(), Fault> {
        let Enrollment { name, venue, key_id, uid, base_url, existing, secrets } = enrollment;
        let Ok(_alone) = self.custody.try_lock() else { return Err(busy()) };
        if existing == Existing::Keep && self.store.record(&name).is_ok() {
            return Err(exists_already(name.as_str()));
        }
        let profile = self.profiles.get(&venue)?;
        let meta = self.meta(name, &profile, venue, key_id, uid, base_url)?;
        let nonces = self.nonces(&meta.name)?;

        let locks_before = self.locks.get();
        let (keeper, slot, filling) = match self.live_keeper() {
            Some((keeper, slot)) => (keeper, slot, None),
            None => {
                let keeper = Keeper::start(self.config.agent.danger_allow_weak_memory, |_| {}).await?;
                let Some(filling) = Filling::show(self, &keeper, locks_before) else {
                    let _ = keeper.end().await;
                    return Err(locked_meanwhile());
                };
                (keeper, 0, Some(filling))
            }
        };
        let is_live = filling.is_none();
        let written = async {
            let record = self.wrap(&keeper, slot, meta, secrets).await?;
            on_disk(self.store.writing(&record, existing)).await?;
            Ok(record)
        };
        match written.await {
            Ok(record) if is_live => {
                tracing::info!(credential = %record.meta.name, "enrolled");
                self.put(Live::new(record.meta, profile, nonces, slot)).await
            }
            Ok(record) => {
                tracing::info!(credential = %record.meta.name, "enrolled; it can sign after the next unlock");
                let ended = keeper.end().await;
                // Where a lock has ended it, the lock has told how that went.
                if self.locks.get() == locks_before { ended.map_err(Fault::from) } else { Ok(()) }
            }
            Err(fault) => {
                if is_live {
                    self.give_back(slot).await;
                } else {
                    let _ = keeper.end().await;
                }
                Err(if self.locks.get() == locks_before { fault } else { locked_meanwhile() })
            }
        }
    }

    /// Has the secret sealed and opened again into `slot`.
    async fn wrap(&self, keeper: &Keeper, slot: u32, meta: Meta, secrets: Secrets) -> Result<Record, Fault> {
        let mut worker = self.log_in(keeper, secrets.login, Keep::Never, PinSource::Person).await?;
        let job = keeper.job();
        let seed = worker.protect(job, meta.kek_id, meta.rung).await?;
        let envelope =
            keeper.seal(job, meta.key_spec(), &meta.context(), secrets.secret, secrets.passphrase).await?;
        let record = Record::new(meta, Wrapped { seed, envelope });
        open(keeper, &mut worker, &record, slot).await?;
        worker.end().await;
        Ok(record)
    }

    fn meta(
        &self,
        name: CredentialName,
        profile: &Profile,
        venue: String,
        key_id: String,
        uid: Option<String>,
        base_url: Option<String>,
    ) -> Result<Meta, Fault> {
        check_uid(profile, &venue, uid.as_deref())?;
        let base_url = self::base_url(profile, &venue, base_url.as_deref())?;
        let (spec, token) = (profile.key_spec(), &self.config.token);
        Ok(Meta {
            name,
            venue,
            key_id,
            uid,
            base_url,
            algorithm: spec.algorithm,
            secret_form: spec.form,
            passphrase: spec.passphrase,
            secret_min_bytes: spec.min_bytes,
            secret_max_bytes: spec.max_bytes,
            enrolled: jiff::Timestamp::from_second(jiff::Timestamp::now().as_second())
                .map_err(Fault::defect)?,
            token_serial: token.serial.clone(),
            token_label: token.label.clone(),
            kek_id: token.kek_id,
            rung: token.rung,
        })
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

    /// Empties a slot that an enrolment has not used after all.
    async fn give_back(&self, slot: u32) {
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
