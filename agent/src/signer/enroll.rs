//! Enrolment: a secret goes from its descriptor into the keeper, and only wrapped onto the disk.
//!
//! The new record is opened again by token and keeper before it is written, so a record on the disk is
//! one that has opened once.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use strongroom_link::key::PassphraseUse;
use strongroom_policy::Grants;
use strongroom_protocol::{Enroll, ErrorCode};
use strongroom_venues::{KeyIdError, Profile};

use super::grants::InForce;
use super::keep::{KeepJob, Making};
use super::profiles::Chosen;
use super::{Signer, busy, credential_name, grants, unfit};
use crate::audit::line::Kind;
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
    grants: Grants,
    honey: bool,
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
        wanted.uid.map(user_id).transpose()?;
        check_key_id(profile, wanted.key_id)?;
        check_uid(profile, wanted.venue, wanted.uid)?;
        check_passphrase(profile, wanted.venue, wanted.passphrase)?;
        grants::check(profile, &grants::read(wanted.grants)?)?;
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
            uid: wanted.uid.map(user_id).transpose()?,
            base_url: wanted.base_url.map(str::to_owned),
            grants: grants::read(wanted.grants)?,
            honey: wanted.honey,
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

/// What a venue has besides the key may be words of a person's, as BitMart's memo is.
fn user_id(text: &str) -> Result<String, Fault> {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic());
    if text.len() <= MAX_ID_BYTES && text.split(' ').all(is_word) {
        return Ok(text.to_owned());
    }
    let message =
        format!("the uid is not 1 to {MAX_ID_BYTES} printable characters, with one space between words");
    Err(Fault::new(ErrorCode::Invalid, message, "copy it again from the venue"))
}

/// A key id of the venue's, where its profile says what they look like.
fn check_key_id(profile: &Profile, key_id: &str) -> Result<(), Fault> {
    let fault = |error: KeyIdError| {
        Fault::new(ErrorCode::Invalid, error.to_string(), told_by(profile, "copy it again"))
    };
    profile.check_key_id(key_id).map_err(fault)
}

/// An account id exactly where the venue's requests carry one.
pub(super) fn check_uid(profile: &Profile, venue: &str, uid: Option<&str>) -> Result<(), Fault> {
    let (message, hint) = match (profile.needs_uid(), uid) {
        (true, None) => (format!("requests to {venue} carry an account id"), "give it with --uid"),
        (false, Some(_)) => (format!("requests to {venue} carry no account id"), "leave --uid out"),
        (true, Some(_)) | (false, None) => return Ok(()),
    };
    Err(Fault::new(ErrorCode::Invalid, message, told_by(profile, hint)))
}

/// A passphrase exactly where the venue's keys have one.
fn check_passphrase(profile: &Profile, venue: &str, given: bool) -> Result<(), Fault> {
    let (message, hint) = match (profile.key_spec().passphrase, given) {
        (PassphraseUse::Absent, false) | (PassphraseUse::Mac | PassphraseUse::Plain, true) => return Ok(()),
        (PassphraseUse::Absent, true) => ("have no passphrase", "leave it out"),
        (PassphraseUse::Mac, false) => {
            ("have a passphrase, of which requests carry the MAC under the secret", "give it with the secret")
        }
        (PassphraseUse::Plain, false) => {
            ("have a passphrase, which requests carry", "give it with the secret")
        }
    };
    let message = format!("keys of {venue} {message}");
    Err(Fault::new(ErrorCode::Invalid, message, told_by(profile, hint)))
}

/// A hint, and the page on which the venue says so.
fn told_by(profile: &Profile, hint: &str) -> String {
    if profile.docs().is_empty() { hint.to_owned() } else { format!("{hint}; see {}", profile.docs()) }
}

/// The wanted one of the profile's hosts, or its first.
pub(super) fn base_url(profile: &Profile, venue: &str, wanted: Option<&str>) -> Result<String, Fault> {
    let hosts = profile.hosts();
    match wanted {
        Some(wanted) if hosts.iter().any(|host| host == wanted) => Ok(wanted.to_owned()),
        Some(wanted) => Err(Fault::new(
            ErrorCode::Invalid,
            format!("{wanted} is no host of {venue}"),
            told_by(profile, &format!("its hosts are: {}", hosts.join(", "))),
        )),
        None => hosts.first().cloned().ok_or_else(|| Fault::defect("a profile without hosts")),
    }
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
        self.tell_in_force(Kind::Enroll, &by, &name, enrolled)
    }

    async fn enroll_checked(self: &Rc<Self>, enrollment: Enrollment) -> Result<InForce, Fault> {
        let Enrollment { name, venue, key_id, uid, base_url, grants, honey, existing, secrets } = enrollment;
        let Ok(_alone) = self.custody.try_lock() else { return Err(busy()) };
        let before = self.store.record(&name);
        if existing == Existing::Keep && before.is_ok() {
            return Err(exists_already(name.as_str()));
        }
        let chosen = self.profiles.offered(&venue)?;
        grants::check(&chosen.profile, &grants)?;
        check_passphrase(&chosen.profile, &venue, secrets.passphrase.is_some())?;
        let mut meta = self.meta(name, &chosen, venue, key_id, uid, base_url)?;
        (meta.grants, meta.honey) = (grants, honey);
        // Nobody opens it, so nobody knows who has written this.
        let claimed = before.map_or(0, |before| before.meta.revision);
        let Secrets { login, secret, passphrase } = secrets;
        let job = KeepJob {
            name: meta.name.clone(),
            chosen,
            login,
            existing,
            doing: "enrolled",
            again: "enrol it again",
        };
        let mut told = None;
        let kept = self.keep(job, async |making: Making<'_>| {
            let Making { keeper, worker, floors } = making;
            meta.revision = floors.next_unopened(&meta.name, claimed)?;
            told = Some(InForce::of(&meta));
            let job = keeper.job();
            let seed = worker.protect(job, meta.kek_id, meta.rung).await?;
            let sealed = keeper.seal(job, meta.key_spec(), &meta.context(), secret, passphrase).await;
            let envelope = sealed.map_err(|error| unfit::secret(error, &meta.venue, meta.key_spec()))?;
            Ok(Record::new(meta, Wrapped { seed, envelope }))
        });
        kept.await?;
        told.ok_or_else(|| Fault::defect("a record was kept and not made"))
    }

    fn meta(
        &self,
        name: CredentialName,
        chosen: &Chosen,
        venue: String,
        key_id: String,
        uid: Option<String>,
        base_url: Option<String>,
    ) -> Result<Meta, Fault> {
        let profile = &chosen.profile;
        check_key_id(profile, &key_id)?;
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
            domains: spec.domains,
            enrolled: jiff::Timestamp::from_second(jiff::Timestamp::now().as_second())
                .map_err(Fault::defect)?,
            token_serial: token.serial.clone(),
            token_label: token.label.clone(),
            kek_id: token.kek_id,
            rung: token.rung,
            revision: 0,
            honey: false,
            profile: chosen.hash(),
            grants: Grants::NONE,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_words_for_a_uid_and_refuses_what_was_pasted_around_them() {
        for good in ["7", "my memo 1", "0xabc"] {
            assert_eq!(user_id(good).unwrap(), good);
        }
        for wrong in ["", " ", "a ", " a", "a  b", "a\tb", "a\nb", "ä", &"x".repeat(MAX_ID_BYTES + 1)] {
            let fault = user_id(wrong).unwrap_err();
            assert!(fault.message.contains("with one space between words"), "{wrong:?}: {}", fault.message);
        }
        assert!(identifier("key id", "a b").is_err());
    }
}
