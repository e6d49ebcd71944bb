//! Having a credential sign by its venue's profile as that is now, where it was pinned to another text at enrolment.
//!
//! Its secret is sealed anew for the new metadata, as when its grants are changed.

use std::rc::Rc;

use strongroom_protocol::ErrorCode;

use super::enroll::{base_url, check_uid};
use super::grants::{self, InForce, reseal};
use super::keep::{KeepJob, Making};
use super::profiles::Chosen;
use super::{Signer, busy, credential_name};
use crate::audit::line::Kind;
use crate::crew::token::Login;
use crate::fault::Fault;
use crate::policy::Authorized;
use crate::store::atomic::Existing;
use crate::store::profiles::{NoHash, ProfileHash};
use crate::store::record::{CredentialName, Meta};

/// The order to have a credential sign by another text.
#[derive(Debug)]
pub(crate) struct Repin {
    name: CredentialName,
    revision: u64,
    /// The text that was looked at; none for a profile that ships.
    seen: Option<ProfileHash>,
    base_url: Option<String>,
    login: Login,
}

impl Repin {
    /// Checks what came from outside.
    ///
    /// # Errors
    /// Where the name or the hash can be none.
    pub(crate) fn new(wanted: &strongroom_protocol::Repin<'_>, login: Login) -> Result<Self, Fault> {
        let seen = (!wanted.profile.is_empty()).then(|| wanted.profile.parse()).transpose();
        let seen = seen.map_err(|error: NoHash| {
            Fault::new(ErrorCode::Invalid, error.to_string(), "is the client one of strongroom's?")
        })?;
        Ok(Self {
            name: credential_name(wanted.credential)?,
            revision: wanted.revision,
            seen,
            base_url: wanted.base_url.map(str::to_owned),
            login,
        })
    }
}

/// What the record says when the credential signs by `chosen`; its revision is not raised yet.
///
/// # Errors
/// Where the key would be used in another way, the account does not fit, the host is none of the profile's, or the new
/// signatures do not keep the grants.
pub(crate) fn moved(old: &Meta, chosen: &Chosen, wanted: Option<&str>) -> Result<Meta, Fault> {
    let (profile, venue) = (&*chosen.profile, &old.venue);
    let (was, is) = (old.key_spec(), profile.key_spec());
    if (was.algorithm, was.form, was.passphrase) != (is.algorithm, is.form, is.passphrase) {
        let message = format!(
            "the key would be used in another way: it was enrolled for {}, as {}, with passphrase use `{}`, and the profile \
             says {}, {}, `{}`",
            was.algorithm, was.form, was.passphrase, is.algorithm, is.form, is.passphrase
        );
        return Err(Fault::new(ErrorCode::Invalid, message, "enrol the credential again with --replace"));
    }
    if was.domains != is.domains {
        return Err(Fault::new(
            ErrorCode::Invalid,
            "the key would sign typed data in other domains than those for which it was enrolled",
            "enrol the credential again with --replace",
        ));
    }
    check_uid(profile, venue, old.uid.as_deref())
        .map_err(|fault| Fault { hint: "enrol the credential again with --replace".to_owned(), ..fault })?;
    let base_url = base_url(profile, venue, Some(wanted.unwrap_or(&old.base_url)))
        .map_err(|fault| Fault { hint: format!("{}; name one with --base-url", fault.hint), ..fault })?;
    grants::check(profile, &old.grants)?;
    Ok(Meta {
        base_url,
        secret_min_bytes: is.min_bytes,
        secret_max_bytes: is.max_bytes,
        profile: chosen.hash(),
        ..old.clone()
    })
}

impl Signer {
    /// Has a credential sign by the profile of its venue as that is now. It does so at once.
    ///
    /// # Errors
    /// Where the record or the profile was changed since they were looked at, the profile does not go with the record,
    /// or the record does not open, or token, keeper or disk refuse; nothing has changed then.
    pub(crate) async fn repin(self: Rc<Self>, order: Authorized<Repin>) -> Result<(), Fault> {
        let by = order.decision();
        let wanted = order.spend();
        self.audit.check()?;
        let name = wanted.name.clone();
        let repinned = self.repin_checked(wanted).await;
        self.tell_in_force(Kind::Repin, &by, &name, repinned)
    }

    async fn repin_checked(self: &Rc<Self>, wanted: Repin) -> Result<InForce, Fault> {
        let Repin { name, revision, seen, base_url, login } = wanted;
        let Ok(_alone) = self.custody.try_lock() else { return Err(busy()) };
        let before = self.store.record(&name)?;
        let old = &before.meta;
        let chosen = self.profiles.offered(&old.venue)?;
        if old.revision != revision || chosen.hash() != seen {
            // Where somebody has put another record there, that one is what the next try is about.
            self.known.borrow_mut().note(old);
            let what = if old.revision == revision { "its profile" } else { "its record" };
            let message = format!("{what} was changed since it was looked at");
            return Err(Fault::new(ErrorCode::Invalid, message, "look at it again, and repeat the command"));
        }
        self.check_token(old)?;
        let new = moved(old, &chosen, base_url.as_deref())?;
        let job = KeepJob {
            name,
            chosen,
            login,
            existing: Existing::Replace,
            doing: "moved on to another text of its profile",
            again: "repeat it",
        };
        let mut told = None;
        let kept = self.keep(job, async |making: Making<'_>| {
            let Making { keeper, worker, floors } = making;
            floors.check(old)?;
            let mut meta = new;
            meta.revision = floors.next(&old.name, old.revision)?;
            told = Some(InForce::of(&meta));
            Ok(reseal(keeper, worker, &before, meta).await?)
        });
        kept.await?;
        told.ok_or_else(|| Fault::defect("a record was kept and not made"))
    }
}
