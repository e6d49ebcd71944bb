//! Changing who may do what with a credential: its secret is sealed anew for the new metadata.

use std::borrow::Cow;
use std::rc::Rc;

use strongroom_policy::{Grant, Grants, GrantsError, Part, scope};
use strongroom_protocol::ErrorCode;
use strongroom_venues::Profile;

use super::keep::{KeepJob, Making};
use super::profiles::Chosen;
use super::{Signer, busy, credential_name};
use crate::audit::line::{Event, Kind, clip_list};
use crate::crew::CrewError;
use crate::crew::keeper::{Keeper, Sealed};
use crate::crew::token::{Login, TokenWorker};
use crate::fault::{Fault, chain};
use crate::policy::Authorized;
use crate::store::atomic::Existing;
use crate::store::profiles::ProfileHash;
use crate::store::record::{CredentialName, Meta, Record, Wrapped};

/// What of a record is in force from now on, for the audit log.
#[derive(Debug)]
pub(super) struct InForce {
    revision: u64,
    grants: Vec<Cow<'static, str>>,
    accept_unbound: Vec<Cow<'static, str>>,
    accept_older: bool,
    profile: Option<ProfileHash>,
}

impl InForce {
    pub(super) fn of(meta: &Meta) -> Self {
        let ids = meta.grants.iter().map(|grant| grant.id.to_string());
        let unbound = meta.grants.accepted_unbound().map(|grant| format!("{}:{}", grant.id, parts(grant)));
        Self {
            revision: meta.revision,
            grants: clip_list(ids, MAX_LIST_BYTES),
            accept_unbound: clip_list(unbound, MAX_LIST_BYTES),
            accept_older: false,
            profile: meta.profile,
        }
    }

    /// Adds it to what a line tells.
    pub(super) fn tell<'a>(self, event: Event<'a>) -> Event<'a> {
        let Self { revision, grants, accept_unbound, accept_older, profile } = self;
        Event {
            revision: Some(revision),
            grants: Some(grants),
            accept_unbound: (!accept_unbound.is_empty()).then_some(accept_unbound),
            accept_older: accept_older.then_some(true),
            profile: profile.map(ProfileHash::bytes),
            ..event
        }
    }
}

/// So many bytes of a list stand in a line.
const MAX_LIST_BYTES: usize = 1024;

/// The order to give a credential other grants.
#[derive(Debug)]
pub(crate) struct SetGrants {
    name: CredentialName,
    revision: u64,
    grants: Grants,
    accept_older: bool,
    login: Login,
}

/// What it would take, and where it is written.
const SEND_MODE: &str = "all of it would be kept if the agent itself asked the venue (send mode), which it cannot do yet; \
                         docs/reference/grants.md says what each venue's signature keeps";

/// Refuses grants that promise what the venue's signatures do not keep.
///
/// # Errors
/// All findings, but for what `accept_unbound` accepts.
pub(crate) fn check(profile: &Profile, grants: &Grants) -> Result<(), Fault> {
    let findings: Vec<String> = scope::check(profile, grants).iter().map(ToString::to_string).collect();
    if findings.is_empty() {
        return Ok(());
    }
    let message =
        format!("refusing grants that this venue's signatures do not keep: {}", findings.join("\n"));
    Err(Fault::new(ErrorCode::Invalid, message, SEND_MODE))
}

/// What an admin has accepted that no signature binds, as a weakness is named: `accept_unbound:NAME/GRANT:PARTS`.
pub(crate) fn unbound(credential: &CredentialName, grants: &Grants) -> impl Iterator<Item = String> {
    grants.accepted_unbound().map(move |grant| format!("{UNBOUND}{credential}/{}:{}", grant.id, parts(grant)))
}

fn parts(grant: &Grant) -> String {
    grant.accept_unbound.iter().map(|part| part.name()).collect::<Vec<_>>().join(",")
}

/// What the name of such a weakness means; nothing for another.
pub(crate) fn unbound_meaning(weakness: &str) -> Option<String> {
    let (place, parts) = weakness.strip_prefix(UNBOUND)?.rsplit_once(':')?;
    let (credential, grant) = place.split_once('/')?;
    if parts == Part::Parameterless.name() {
        return Some(format!(
            "each signature under grant {grant} of {credential} does at the venue what needs no parameter, also where the \
             grant does not allow that"
        ));
    }
    Some(format!(
        "grant {grant} of {credential} restricts what the venue's signature does not bind ({parts}): whoever gets a \
         signature can use it for what the grant forbids"
    ))
}

const UNBOUND: &str = "accept_unbound:";

/// Longest text of grants, which goes over the client wire in one frame with all else that is told of a credential.
const MAX_TEXT_BYTES: usize = 60_000;

/// Reads grants that came from outside.
///
/// # Errors
/// Where they are none, with line and column; where they are too long to be told of again.
pub(crate) fn read(text: &str) -> Result<Grants, Fault> {
    let grants = Grants::parse(text).map_err(Fault::from)?;
    let bytes = grants.to_toml().len();
    if bytes > MAX_TEXT_BYTES {
        let message = format!("the grants have {bytes} bytes; a credential may have {MAX_TEXT_BYTES}");
        return Err(Fault::new(ErrorCode::Invalid, message, "spread them over several credentials"));
    }
    Ok(grants)
}

impl From<GrantsError> for Fault {
    fn from(error: GrantsError) -> Self {
        Self::new(ErrorCode::Invalid, chain(&error), "docs/reference/grants.md says how grants are written")
    }
}

impl SetGrants {
    /// Checks what came from outside. `revision` is that of the record to which the change was made.
    ///
    /// # Errors
    /// Where the name can be none, or the grants are none.
    pub(crate) fn new(wanted: &strongroom_protocol::SetGrants<'_>, login: Login) -> Result<Self, Fault> {
        Ok(Self {
            name: credential_name(wanted.credential)?,
            revision: wanted.revision,
            grants: read(wanted.grants)?,
            accept_older: wanted.accept_older,
            login,
        })
    }
}

/// Seals the secret of a record for other metadata.
///
/// # Errors
/// Where the record does not open, or token or keeper refuse.
pub(super) async fn reseal(
    keeper: &Keeper,
    worker: &mut TokenWorker,
    before: &Record,
    meta: Meta,
) -> Result<Record, CrewError> {
    let Record { meta: old, wrapped, .. } = before;
    let (from_job, from_context) = (keeper.job(), old.context());
    worker.unprotect(from_job, old.kek_id, old.rung, &wrapped.seed).await?;
    let job = keeper.job();
    let seed = worker.protect(job, meta.kek_id, meta.rung).await?;
    let from = Sealed { job: from_job, context: &from_context, envelope: &wrapped.envelope };
    let envelope = keeper.reseal(meta.key_spec(), from, job, &meta.context()).await?;
    Ok(Record::new(meta, Wrapped { seed, envelope }))
}

impl Signer {
    /// Gives a credential other grants. They are in force at once.
    ///
    /// # Errors
    /// Where the record was changed since it was read or does not open, or the grants, the token, the keeper or the
    /// disk refuse; nothing has changed then.
    pub(crate) async fn set_grants(self: Rc<Self>, order: Authorized<SetGrants>) -> Result<(), Fault> {
        let by = order.decision();
        let wanted = order.spend();
        self.audit.check()?;
        let name = wanted.name.clone();
        let set = self.set_checked(wanted).await;
        self.tell_in_force(Kind::Grants, &by, &name, set)
    }

    async fn set_checked(self: &Rc<Self>, wanted: SetGrants) -> Result<InForce, Fault> {
        let SetGrants { name, revision, grants, accept_older, login } = wanted;
        let Ok(_alone) = self.custody.try_lock() else { return Err(busy()) };
        let before = self.store.record(&name)?;
        let old = &before.meta;
        if old.revision != revision {
            // Where somebody has put another record there, that one is what the next try is about.
            self.known.borrow_mut().note(old);
            let message = format!(
                "the grants of {name} were changed meanwhile: its record has revision {}, and not {revision}",
                old.revision
            );
            return Err(Fault::new(ErrorCode::Invalid, message, "look at them again, and repeat the change"));
        }
        self.check_token(old)?;
        let profile = self.profiles.of(old)?;
        check(&profile, &grants)?;
        let job = KeepJob {
            name,
            // The copy of a user's own is there.
            chosen: Chosen { profile, own: None },
            login,
            existing: Existing::Replace,
            doing: "given other grants",
            again: "change them again",
        };
        let mut told = None;
        let kept = self.keep(job, async |making: Making<'_>| {
            let Making { keeper, worker, floors } = making;
            if !accept_older {
                floors.check(old)?;
            }
            let mut meta = Meta::clone(old);
            // The record is refused below where this was edited.
            meta.revision = floors.next(&old.name, old.revision)?;
            meta.grants = grants;
            told = Some(InForce { accept_older, ..InForce::of(&meta) });
            Ok(reseal(keeper, worker, &before, meta).await?)
        });
        kept.await?;
        told.ok_or_else(|| Fault::defect("a record was kept and not made"))
    }
}
