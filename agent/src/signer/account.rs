//! What the audit log is told of an order: collected while it is carried out, noted when its outcome is known.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use sha2::{Digest as _, Sha256};
use strongroom_policy::GrantId;
use strongroom_venues::{Action, Plan, Request, SignedRequest};

use super::grants::InForce;
use super::sign::SignError;
use super::{Books, Signer};
use crate::audit::line::{Event, Kind, Verdict, clip};
use crate::audit::log::{MAX_CAUSE_BYTES, MAX_NAME_BYTES, MAX_TEXT_BYTES};
use crate::audit::params;
use crate::audit::pen::Pen;
use crate::fault::{Fault, chain};
use crate::identity::Principal;
use crate::policy::Decision;
use crate::store::record::CredentialName;

/// The rule that denies what no grant allows.
const NO_GRANT: &str = "no-grant";
/// Every method of HTTP is shorter.
const MAX_METHOD_BYTES: usize = 16;

/// The line of one signature, in the making: what is known stands on a sheet as it will stand in the line, because
/// the request is gone when the keeper answers. Its verbs are to be called in their order here.
pub(super) struct Account {
    books: Rc<Books>,
    by: Decision,
    /// The grant that decided, where it came to that.
    grant: Option<GrantId>,
    /// The human who has said yes, where one was asked.
    confirmed: Option<String>,
    began: Instant,
    action: Option<Action>,
    /// The credential is a trap; what to tell of it.
    trap: Option<BTreeMap<&'static str, String>>,
    sheet: Vec<u8>,
}

impl Account {
    /// Of an order that was asked for at `began`.
    pub(super) fn begin(books: &Rc<Books>, by: Decision, began: Instant) -> Self {
        let sheet = books.audit.begin(Kind::Sign, &by.who);
        Self {
            books: Rc::clone(books),
            by,
            grant: None,
            confirmed: None,
            began,
            action: None,
            trap: None,
            sheet,
        }
    }

    /// Notes that the credential is a trap.
    pub(super) fn trapped(&mut self, name: &str, venue: &str, request: &Request<'_>) {
        let who = &self.by.who;
        let mut facts = BTreeMap::from([
            ("EVENT", Verdict::Honey.name().to_owned()),
            ("CREDENTIAL", name.to_owned()),
            ("VENUE", venue.to_owned()),
            ("PRINCIPAL", who.to_string()),
            ("UID", who.uid.to_string()),
            ("PID", who.pid.to_string()),
            ("METHOD", clip(request.method, MAX_METHOD_BYTES).into_owned()),
            ("PATH", clip(request.path, MAX_TEXT_BYTES).into_owned()),
        ]);
        facts.extend(who.unit.as_ref().map(|unit| ("UNIT", unit.as_str().to_owned())));
        facts.extend(who.exe.as_ref().map(|exe| ("EXE", exe.to_string_lossy().into_owned())));
        self.trap = Some(facts);
    }

    /// When it was asked for.
    pub(super) const fn began(&self) -> Instant {
        self.began
    }

    /// Who asked.
    pub(super) fn who(&self) -> &Principal {
        &self.by.who
    }

    /// Notes which grant lets it be signed.
    pub(super) fn allowed_by(&mut self, grant: GrantId) {
        self.grant = Some(grant);
    }

    /// Counts from now on: how long a human takes is no latency of the agent's.
    pub(super) fn go_on(&mut self) {
        self.began = Instant::now();
    }

    /// Notes who has said yes to it.
    pub(super) fn confirmed_by(&mut self, human: &str) {
        self.confirmed = Some(human.to_owned());
    }

    const fn pen(&mut self) -> Pen<'_> {
        Pen::new(&mut self.sheet)
    }

    fn said(&mut self, name: &str, text: &str, most: usize) {
        if !text.is_empty() {
            self.pen().text(name, &clip(text, most));
        }
    }

    /// Notes which credential is to sign.
    pub(super) fn credential(&mut self, name: &str) {
        self.said("credential", name, MAX_NAME_BYTES);
    }

    /// Notes the venue of the credential.
    pub(super) fn venue(&mut self, venue: &str) {
        self.said("venue", venue, MAX_NAME_BYTES);
    }

    /// Notes what was asked for, and what was found in it where it could be read.
    pub(super) fn request(&mut self, request: &Request<'_>, read: Option<&Plan<'_>>) {
        if let Some(classified) = read.map(Plan::classified) {
            self.action = Some(classified.action);
            self.pen().text("action", classified.action.name());
            self.pen().text("endpoint", classified.rule);
        }
        self.said("method", request.method, MAX_METHOD_BYTES);
        self.said("path", read.map_or(request.path, |plan| plan.asked_path()), MAX_TEXT_BYTES);
        let Some(plan) = read else { return };
        let mut whole = true;
        if !plan.query().is_empty() {
            self.pen().member("query", |out| whole &= params::object(plan.query(), out));
        }
        if let Some(values) = plan.body_array() {
            self.pen().member("body", |out| whole &= params::array(values, out));
        } else if !plan.body_members().is_empty() {
            self.pen().member("body", |out| whole &= params::object(plan.body_members(), out));
        }
        // Where all parameters are there, the orders can be read from them again.
        if !whole
            && let Ok(orders) = plan.orders()
            && !orders.is_empty()
        {
            self.pen().member("orders", |out| params::orders(&orders, out));
        }
    }

    /// Notes the bytes that are to be signed.
    pub(super) fn canonical(&mut self, message: &[u8]) {
        self.pen().hash("canonical", &Sha256::digest(message).into());
    }

    /// Notes the outcome in the log, and only then gives it to `deliver`.
    pub(super) fn close(
        self,
        outcome: Result<SignedRequest, SignError>,
        deliver: impl FnOnce(Result<SignedRequest, SignError>),
    ) {
        let Self { books, by, grant, confirmed, began, action, trap, sheet } = self;
        let took = began.elapsed();
        let (verdict, grant) = match &outcome {
            Ok(_) => (Verdict::Allowed, grant.as_ref()),
            Err(SignError::Denied(denial)) => (Verdict::Denied, denial.grant.as_ref()),
            Err(SignError::Budget(_) | SignError::Unconfirmed(_)) => (Verdict::Denied, grant.as_ref()),
            Err(_) => (Verdict::Refused, grant.as_ref()),
        };
        let verdict = if trap.is_some() { Verdict::Honey } else { verdict };
        books.counters.request(verdict, action, took);
        let noted = books.audit.finish(Kind::Sign, sheet, |pen| {
            pen.text("verdict", verdict.name());
            match (grant, verdict) {
                (Some(grant), _) => pen.text("rule", &format!("grant:{grant}")),
                (None, Verdict::Denied | Verdict::Honey) => pen.text("rule", NO_GRANT),
                (None, _) => pen.text("rule", by.rule),
            }
            if let Some(human) = &confirmed {
                pen.text("confirmed", human);
            }
            if let Err(error) = &outcome {
                pen.text("cause", &clip(&chain(error), MAX_CAUSE_BYTES));
            }
            pen.number("micros", u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        });
        if let Some(facts) = trap {
            tracing::error!(?facts, "a honey credential was used");
            books.alert.raise(&facts);
        }
        // What was not noted does not leave; a refusal stays what it is.
        deliver(outcome.and_then(|signed| noted.map(|()| signed).map_err(SignError::from)));
    }
}

impl Signer {
    /// Writes down what an admin has asked for, and what came of it.
    pub(super) fn tell(
        &self,
        kind: Kind,
        by: &Decision,
        credential: Option<&str>,
        outcome: &Result<(), Fault>,
    ) {
        self.audit.record(&done(kind, by, credential, outcome.as_ref().err()));
    }

    /// Writes down who has given a credential which grants, and what came of it.
    pub(super) fn tell_in_force(
        &self,
        kind: Kind,
        by: &Decision,
        credential: &CredentialName,
        outcome: Result<InForce, Fault>,
    ) -> Result<(), Fault> {
        let told = |fault| done(kind, by, Some(credential.as_str()), fault);
        match outcome {
            Ok(in_force) => {
                self.audit.record(&in_force.tell(told(None)));
                Ok(())
            }
            Err(fault) => {
                self.audit.record(&told(Some(&fault)));
                Err(fault)
            }
        }
    }

    /// Writes down that all secrets were forgotten, and why. `rule` is the one that let a client do it.
    pub(super) fn tell_lock(&self, who: &Principal, rule: Option<&str>, reason: &str) {
        self.audit.record(&Event {
            verdict: rule.map(|_| Verdict::Allowed),
            rule: rule.map(Cow::Borrowed),
            cause: Some(clip(reason, MAX_CAUSE_BYTES)),
            ..Event::by(Kind::Lock, who)
        });
    }
}

/// What a line tells of something that was done, or was not because of `fault`.
pub(super) fn done<'a>(
    kind: Kind,
    by: &'a Decision,
    credential: Option<&'a str>,
    fault: Option<&'a Fault>,
) -> Event<'a> {
    Event {
        credential: credential.map(|name| clip(name, MAX_NAME_BYTES)),
        verdict: Some(if fault.is_none() { Verdict::Allowed } else { Verdict::Refused }),
        rule: Some(by.rule.into()),
        cause: fault.map(|fault| clip(&fault.message, MAX_CAUSE_BYTES)),
        ..Event::by(kind, &by.who)
    }
}
