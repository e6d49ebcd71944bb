//! One signature: order → canonical request → MAC → signed request.

use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use strongroom_link::keeper::Refusal;
use strongroom_protocol::ErrorCode;
use strongroom_venues::{
    Account as VenueAccount, CallerTime, CanonicalRequest, Moment, NonceKind, Request, RequestError,
    SignedRequest, TimeNeeds,
};

use super::account::Account;
use super::confirm::{Confirmed, Unconfirmed, Waiting};
use super::gate::{Denial, Passage};
use super::keyring::{Keyring, Live, Unlocked};
use super::told::Told;
use super::{Signer, State};
use crate::audit::AuditError;
use crate::config::Skews;
use crate::crew::CrewError;
use crate::crew::keeper::{Keeper, Signature};
use crate::fault::{Fault, chain};
use crate::policy::{Authorized, Sight};
use crate::store::budget::{BudgetError, BudgetWriter};
use crate::store::nonce::{NonceError, NonceSequence, Reserver, Ticks};

/// The order to sign one venue request.
#[derive(Debug)]
pub(crate) struct SignOrder<'a> {
    /// Name of the credential.
    pub(crate) credential: &'a str,
    /// What the venue is to be asked.
    pub(crate) request: Request<'a>,
    /// Whether who asks is told of credentials that no grant of its names.
    pub(crate) sight: Sight,
    /// What a human has said yes to, where one was asked before.
    pub(crate) confirmed: Option<Confirmed>,
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignError {
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error("the keeper gave no signature")]
    Crew(#[from] CrewError),
    #[error(transparent)]
    Budget(#[from] BudgetError),
    #[error(transparent)]
    Denied(#[from] Denial),
    #[error("there is no credential `{name}`")]
    NoCredential { name: String },
    #[error("there is no nonce for this request")]
    Nonce(#[from] NonceError),
    #[error("the agent is locked: {reason}")]
    Locked { reason: String },
    #[error("credential `{name}` cannot sign: {fault}")]
    NotReady { name: String, fault: String },
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("{broken}")]
    Rule { broken: Box<RequestError>, docs: String },
    #[error(
        "the request's own {what} is {} the agent's clock; at most {bound_ms} ms, ahead or behind, are accepted", distance(*ahead_ms)
    )]
    Time { what: &'static str, ahead_ms: i64, bound_ms: u64 },
    #[error(transparent)]
    Unconfirmed(#[from] Unconfirmed),
    #[error("the system gives no randomness")]
    Random,
    #[error("the clock stands before 1970")]
    Clock,
}

/// What to do about a rule that the agent itself has, whatever the venue.
const fn of_every_venue(error: &RequestError) -> Option<&'static str> {
    match error {
        RequestError::DuplicateName { .. } => {
            Some("programs differ in which of the two they take; a list is one JSON value")
        }
        RequestError::Method(_) => Some("write it in capitals, as the venue's page has it"),
        RequestError::Path(_) => Some(
            "write it as the venue lists the endpoint, such as /api/v3/account; its parameters are given beside it",
        ),
        _ => None,
    }
}

/// What to say where a profile has no login at all, and so none of any name.
fn without_a_login(error: &RequestError) -> Option<String> {
    match error {
        RequestError::NoLogin { name, venue, .. } if name.is_empty() => {
            Some(format!("the profile {venue} has no WebSocket login"))
        }
        _ => None,
    }
}

impl From<SignError> for Fault {
    fn from(error: SignError) -> Self {
        use ErrorCode::{Denied, Invalid, Locked, NotFound, Unavailable};
        let message = match &error {
            SignError::Request(request) => without_a_login(request),
            SignError::Rule { broken, .. } => without_a_login(broken),
            _ => None,
        };
        let message = message.unwrap_or_else(|| chain(&error));
        let (code, hint) = match error {
            SignError::Audit(error) => return Self::from(error),
            SignError::Budget(error) => return Self::from(error),
            SignError::Crew(error) => return Self { message, ..Self::from(error) },
            SignError::Denied(_) => {
                (Denied, "an admin sees why by `strongroom grant explain CREDENTIAL METHOD PATH`")
            }
            SignError::NoCredential { .. } => (NotFound, "`strongroom list` shows what there is"),
            SignError::Nonce(NonceError::Store(error)) => return Self { message, ..Self::from(error) },
            SignError::Nonce(NonceError::NotRising { .. }) => {
                (Invalid, "leave the nonce out; the agent gives one")
            }
            SignError::Nonce(NonceError::FarAhead { .. }) => (
                Unavailable,
                "set the clock; if it is right, see docs/reference/files.md about the nonce file",
            ),
            SignError::Locked { .. } => (Locked, "run `strongroom unlock`"),
            SignError::NotReady { .. } => (Unavailable, "`strongroom doctor` says more, and what mends it"),
            SignError::Rule { ref broken, .. } if let Some(hint) = of_every_venue(broken) => (Invalid, hint),
            SignError::Rule { docs, .. } if !docs.is_empty() => {
                let hint =
                    format!("the venue says it at {docs}; docs/reference/profiles.md explains its profile");
                return Self::new(Invalid, message, hint);
            }
            SignError::Request(_) | SignError::Rule { .. } => {
                (Invalid, "docs/reference/profiles.md explains the venue's profile")
            }
            SignError::Time { .. } => (Invalid, "leave the time out; the agent gives it"),
            SignError::Unconfirmed(Unconfirmed::TooMany { .. } | Unconfirmed::TooManyOfOne { .. }) => {
                (Unavailable, "an admin answers them by `strongroom confirm`; then ask again")
            }
            SignError::Unconfirmed(Unconfirmed::TooLong) => {
                (Denied, "ask for less at once, or have a grant without `confirm` allow it")
            }
            SignError::Unconfirmed(Unconfirmed::No { .. }) => (Denied, "ask them why"),
            SignError::Unconfirmed(_) => (Denied, "have an admin run `strongroom confirm`; then ask again"),
            SignError::Random | SignError::Clock => (Unavailable, "mend the system, then try again"),
        };
        Self::new(code, message, hint)
    }
}

/// What signing needs besides the credential.
struct Means<'a> {
    /// Whether a caller's own time may be any.
    any_time: bool,
    skews: &'a Skews,
    reserver: &'a Reserver,
    budget_writer: &'a BudgetWriter,
}

impl Signer {
    fn means(&self) -> Means<'_> {
        Means {
            any_time: self.config.agent.danger_accept_any_caller_time,
            skews: &self.config.venue_skew_ms,
            reserver: &self.reserver,
            budget_writer: &self.budget_writer,
        }
    }

    /// Signs one request. `deliver` is called once: now where there is no signature to wait for, else
    /// when the keeper has answered; the line of the audit log is noted by then. `now` is when it was asked. The
    /// keeper is asked at the next [`flush`](Signer::flush).
    ///
    /// Where a human must be asked first nothing has happened yet, and what is given back has `deliver`.
    pub(crate) fn sign(
        &self,
        order: Authorized<SignOrder<'_>>,
        now: Instant,
        deliver: impl FnOnce(Result<SignedRequest, SignError>) + 'static,
    ) -> Option<Waiting> {
        let mut account = Account::begin(&self.books, order.decision(), now);
        if let Err(error) = self.audit.check() {
            account.close(Err(error.into()), deliver);
            return None;
        }
        let order = order.spend();
        account.credential(order.credential);
        match &mut *self.keyring.borrow_mut() {
            State::Unlocked(keyring) => keyring.sign(order, account, &self.means(), deliver),
            State::Locked(keyring) => {
                let error = SignError::Locked { reason: keyring.state.reason.clone() };
                let (name, known) = (order.credential, self.known.borrow());
                if let Some(venue) = known.trap(name) {
                    account.trapped(name, venue, &order.request);
                }
                account.request(&order.request, None);
                account.close(Err(error), deliver);
                None
            }
        }
    }
}

impl Keyring<Unlocked> {
    fn sign(
        &mut self,
        order: SignOrder<'_>,
        mut account: Account,
        means: &Means<'_>,
        deliver: impl FnOnce(Result<SignedRequest, SignError>) + 'static,
    ) -> Option<Waiting> {
        let SignOrder { credential, request, sight, confirmed } = order;
        let Some((live, keeper)) = self.live_mut(credential) else {
            account.request(&request, None);
            let error = match sight {
                Sight::All => self.no_such(credential),
                Sight::Granted => Denial::unnamed(account.who()).into(),
            };
            account.close(Err(error), deliver);
            return None;
        };
        let has_room = !live.takes_long() || keeper.has_room_for_slow(live.slot());
        match live.canonicalise(&request, confirmed.as_ref(), means, has_room, &mut account) {
            Ok(Step::Ask(told)) => return Some(Waiting::new(told, account, Box::new(deliver))),
            Ok(Step::Sign(canonical)) => {
                let began = account.began();
                ask(keeper, live, canonical, account, deliver);
                self.state.last_use = began;
            }
            Err(error) => account.close(Err(error), deliver),
        }
        None
    }

    fn no_such(&self, credential: &str) -> SignError {
        let fault = credential.parse().ok().and_then(|name| self.fault(&name).map(str::to_owned));
        let name = credential.to_owned();
        match fault {
            Some(fault) => SignError::NotReady { name, fault },
            None => SignError::NoCredential { name },
        }
    }
}

fn ask(
    keeper: &Keeper,
    live: &Live,
    canonical: CanonicalRequest,
    account: Account,
    deliver: impl FnOnce(Result<SignedRequest, SignError>) + 'static,
) {
    if !canonical.needs_signature() {
        return account.close(canonical.finish(&[], &[]).map_err(SignError::from), deliver);
    }
    let asked = if live.takes_long() {
        keeper.sign_slowly(live.slot(), canonical.message())
    } else {
        keeper.sign(live.slot(), canonical.secret_at(), canonical.message())
    };
    asked.then(move |answer| {
        let outcome = match answer {
            Ok(Signature { bytes, passphrase }) => {
                canonical.finish(bytes, passphrase).map_err(SignError::from)
            }
            Err(error) => Err(SignError::from(error)),
        };
        account.close(outcome, deliver);
    });
}

/// What is to be done for a signature.
#[expect(clippy::large_enum_variant, reason = "it is taken at once, and a box would cost each signature one")]
enum Step {
    /// Ask a human about this.
    Ask(Rc<Told>),
    /// Ask the keeper.
    Sign(CanonicalRequest),
}

impl Live {
    /// A request that breaks a rule of the venue, with the page on which the venue says it.
    fn rule(&self, broken: RequestError) -> SignError {
        SignError::Rule { broken: Box::new(broken), docs: self.profile.docs().to_owned() }
    }

    /// Checks the request, decides what time it is for it, and writes the bytes that the venue checks. Nothing is
    /// charged where the keeper has no room for it.
    fn canonicalise(
        &mut self,
        request: &Request<'_>,
        confirmed: Option<&Confirmed>,
        means: &Means<'_>,
        has_room: bool,
        account: &mut Account,
    ) -> Result<Step, SignError> {
        account.venue(&self.meta.venue);
        if self.meta.honey {
            account.trapped(self.meta.name.as_str(), &self.meta.venue, request);
        }
        // Before anything is said that could tell it from a credential that is not there.
        if !self.gate.names(account.who()) {
            account.request(request, None);
            return Err(Denial::unnamed(account.who()).into());
        }
        let plan = match self.profile.plan(request) {
            Ok(plan) => plan,
            Err(error) => {
                account.request(request, None);
                return Err(self.rule(error));
            }
        };
        account.request(request, Some(&plan));
        if let Some(Confirmed { told, by }) = confirmed {
            account.confirmed_by(by);
            // The same words for another key or venue are no yes to those.
            let again = Told::new(account.who(), &self.meta, request, &plan, told.grant.clone());
            if again.as_ref() != Ok(told) {
                return Err(Unconfirmed::Changed.into());
            }
        }
        let needs_none = confirmed.map(|confirmed| &confirmed.told.grant);
        let passage = self.gate.decide(account.who(), &plan, account.began(), needs_none)?;
        if self.meta.honey {
            return Err(Denial::trapped(account.who(), plan.classified().action).into());
        }
        let (grant, charges) = match passage {
            Passage::Asks { grant } => {
                account.allowed_by(grant.clone());
                if confirmed.is_some() {
                    return Err(Unconfirmed::Changed.into());
                }
                let told = Told::new(account.who(), &self.meta, request, &plan, grant);
                return Ok(Step::Ask(told.map_err(|_too_long| Unconfirmed::TooLong)?));
            }
            Passage::Open { grant, charges } => (grant, charges),
        };
        account.allowed_by(grant);
        if !has_room {
            return Err(CrewError::Keeper(Refusal::SigningQueueFull).into());
        }
        for charge in &charges {
            self.budgets.spend(charge, Timestamp::now(), means.budget_writer)?;
        }
        let now_ns = now_ns(means.skews.of(&self.meta.venue))?;
        let moment = moment(plan.time(), now_ns, means.any_time, &mut self.nonces, means.reserver)?;
        let holder = VenueAccount {
            key_id: &self.meta.key_id,
            uid: self.meta.uid.as_deref(),
            base_url: &self.meta.base_url,
        };
        let canonical = plan.canonicalise(&holder, &moment).map_err(|error| self.rule(error))?;
        account.canonical(canonical.message());
        Ok(Step::Sign(canonical))
    }
}

/// Time, nonce and randomness for one request, by the venue's clock. What the request brings itself is accepted near
/// that only: a signature for a later time would outlive every lock. Where a parameter ends right before the time in
/// the signed text (`Plan::open_end`), its holder can still read its last digits as the time's first.
fn moment(
    needs: TimeNeeds,
    now_ns: u64,
    any_time: bool,
    nonces: &mut NonceSequence,
    reserver: &Reserver,
) -> Result<Moment, SignError> {
    let bound_ms = u64::from(needs.skew_ms);
    let near = |given: u64, now: u64, bound: u64| any_time || given.abs_diff(now) <= bound;

    let mut moment = Moment { unix_ns: now_ns, ..Moment::default() };
    if let Some(CallerTime { unix_ns }) = needs.caller_timestamp {
        if !near(unix_ns, now_ns, bound_ms.saturating_mul(NS_PER_MS)) {
            return Err(SignError::Time { what: "timestamp", ahead_ms: ahead_ms(unix_ns, now_ns), bound_ms });
        }
        moment.unix_ns = unix_ns;
    }
    if let Some((per_second, ns_per_tick)) = ticks(needs.nonce) {
        let clock = Ticks { now: now_ns.checked_div(ns_per_tick).unwrap_or(now_ns), per_second };
        moment.nonce = match needs.caller_nonce {
            Some(wanted) => {
                let given_ns = wanted.saturating_mul(ns_per_tick);
                if !near(given_ns, now_ns, bound_ms.saturating_mul(NS_PER_MS)) {
                    return Err(SignError::Time {
                        what: "nonce",
                        ahead_ms: ahead_ms(given_ns, now_ns),
                        bound_ms,
                    });
                }
                nonces.take_wanted(wanted, clock, reserver)?
            }
            None => nonces.next(clock, reserver)?,
        };
    }
    if needs.random {
        moment.uuid = random_uuid()?;
        getrandom::fill(&mut moment.random16).map_err(|_| SignError::Random)?;
    }
    Ok(moment)
}

/// A random UUID: version 4 and variant 1 in their places (RFC 9562 section 5.4).
fn random_uuid() -> Result<[u8; 16], SignError> {
    let mut uuid = [0; 16];
    getrandom::fill(&mut uuid).map_err(|_| SignError::Random)?;
    let [.., version, _, variant, _, _, _, _, _, _, _] = &mut uuid;
    *version = (*version & 0x0f) | 0x40;
    *variant = (*variant & 0x3f) | 0x80;
    Ok(uuid)
}

/// Ticks in a second, and nanoseconds in a tick, of a venue's rising nonces; `None` for others.
const fn ticks(kind: NonceKind) -> Option<(u64, u64)> {
    match kind {
        NonceKind::S => Some((1, NS_PER_S)),
        NonceKind::Ms => Some((1_000, NS_PER_MS)),
        NonceKind::Us => Some((1_000_000, NS_PER_US)),
        NonceKind::Ns => Some((NS_PER_S, 1)),
        NonceKind::Absent | NonceKind::Hex16 | NonceKind::Uuid | NonceKind::Uuid16 | NonceKind::Uuid22 => {
            None
        }
    }
}

/// A distance in time for a person.
fn distance(ahead_ms: i64) -> String {
    let ms = ahead_ms.unsigned_abs();
    if ahead_ms < 0 { format!("{ms} ms behind") } else { format!("{ms} ms ahead of") }
}

/// How far `given` is ahead of `now`; negative where it is behind.
fn ahead_ms(given_ns: u64, now_ns: u64) -> i64 {
    let ms = |ns: u64| i64::try_from(ns / NS_PER_MS).unwrap_or(i64::MAX);
    ms(given_ns).saturating_sub(ms(now_ns))
}

/// The time by a clock that is so far ahead of ours.
fn now_ns(ahead_ms: i64) -> Result<u64, SignError> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| SignError::Clock)?;
    let ours = u64::try_from(since.as_nanos()).map_err(|_| SignError::Clock)?;
    ours.checked_add_signed(ahead_ms.saturating_mul(1_000_000)).ok_or(SignError::Clock)
}

const NS_PER_S: u64 = 1_000_000_000;
const NS_PER_MS: u64 = 1_000_000;
const NS_PER_US: u64 = 1_000;
