//! What the audit log is told of an order: collected while it is carried out, noted when its outcome is known.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Instant;

use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use strongroom_venues::{Plan, SignedRequest};

use super::Signer;
use super::sign::{SignError, SignOrder};
use crate::audit::line::{Event, Hash, Kind, Verdict, clip};
use crate::audit::log::{AuditLog, MAX_CAUSE_BYTES, MAX_TEXT_BYTES};
use crate::audit::params;
use crate::fault::{Fault, chain};
use crate::identity::Principal;
use crate::policy::Decision;

/// Every method of HTTP is shorter.
const MAX_METHOD_BYTES: usize = 16;

/// The line of one signature, in the making. It owns what it tells, because the request is gone when the keeper
/// answers.
pub(super) struct Account {
    audit: Rc<AuditLog>,
    by: Decision,
    began: Instant,
    credential: String,
    method: String,
    path: String,
    venue: Option<String>,
    query: Option<Box<RawValue>>,
    body: Option<Box<RawValue>>,
    canonical: Option<Hash>,
}

impl Account {
    /// Of an order that was asked for at `began`.
    pub(super) fn begin(audit: &Rc<AuditLog>, by: Decision, began: Instant) -> Self {
        Self {
            audit: Rc::clone(audit),
            by,
            began,
            credential: String::new(),
            method: String::new(),
            path: String::new(),
            venue: None,
            query: None,
            body: None,
            canonical: None,
        }
    }

    /// Notes what was asked for, before anything of it was checked.
    pub(super) fn asked(mut self, order: &SignOrder<'_>) -> Self {
        let short = |text, bytes| clip(text, bytes).into_owned();
        self.credential = short(order.credential, MAX_TEXT_BYTES);
        self.method = short(order.request.method, MAX_METHOD_BYTES);
        self.path = short(order.request.path, MAX_TEXT_BYTES);
        self
    }

    /// When it was asked for.
    pub(super) const fn began(&self) -> Instant {
        self.began
    }

    pub(super) fn venue(&mut self, venue: &str) {
        self.venue = Some(venue.to_owned());
    }

    /// Notes the parameters, as they were parsed.
    pub(super) fn planned(&mut self, plan: &Plan<'_>) {
        self.query = params::object(plan.query());
        self.body = plan.body_array().map_or_else(|| params::object(plan.body_members()), params::array);
    }

    /// Notes the bytes that are to be signed.
    pub(super) fn canonical(&mut self, message: &[u8]) {
        self.canonical = Some(Sha256::digest(message).into());
    }

    /// Notes the outcome in the log, and only then gives it to `deliver`.
    pub(super) fn close(
        self,
        outcome: Result<SignedRequest, SignError>,
        deliver: impl FnOnce(Result<SignedRequest, SignError>),
    ) {
        let (verdict, cause) = match &outcome {
            Ok(_) => (Verdict::Allowed, None),
            Err(error) => (Verdict::Refused, Some(chain(error))),
        };
        let noted = self.audit.note(&Event {
            credential: said(&self.credential),
            venue: self.venue.as_deref().map(Cow::Borrowed),
            method: said(&self.method),
            path: said(&self.path),
            query: self.query.as_deref().map(Cow::Borrowed),
            body: self.body.as_deref().map(Cow::Borrowed),
            canonical: self.canonical,
            verdict: Some(verdict),
            rule: Some(self.by.rule.into()),
            cause: cause.as_deref().map(|cause| clip(cause, MAX_CAUSE_BYTES)),
            micros: u64::try_from(self.began.elapsed().as_micros()).ok(),
            ..Event::by(Kind::Sign, &self.by.who)
        });
        // What was not noted does not leave; a refusal stays what it is.
        deliver(outcome.and_then(|signed| noted.map(|()| signed).map_err(SignError::from)));
    }
}

fn said(text: &str) -> Option<Cow<'_, str>> {
    (!text.is_empty()).then_some(Cow::Borrowed(text))
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
        let cause = outcome.as_ref().err().map(|fault| clip(&fault.message, MAX_CAUSE_BYTES));
        self.audit.record(&Event {
            credential: credential.map(|name| clip(name, MAX_TEXT_BYTES)),
            verdict: Some(if outcome.is_ok() { Verdict::Allowed } else { Verdict::Refused }),
            rule: Some(by.rule.into()),
            cause,
            ..Event::by(kind, &by.who)
        });
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
