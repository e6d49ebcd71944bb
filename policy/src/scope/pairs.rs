//! Two grants of one principal of which one stands in for the other: what is signed under the terms of one does what
//! only the other gives, outside the other's limits.

use strongroom_venues::Action;

use super::{Check, Finding, endpoint};
use crate::action::Actions;
use crate::grant::{Effect, Grant, Terms};
use crate::subject::Subject;

impl Check<'_> {
    /// One for each other grant whose limits this one goes round. Endpoints that say what they need are judged for
    /// each grant alone, where no other could make good for it; those that do not are told apart only by what the
    /// other grant says that they take.
    pub(super) fn pairs(&self) -> Vec<Finding> {
        let own = self.grant;
        let (Some(params), Some(free)) = (&own.params, self.free()) else { return Vec::new() };
        let others = self.grants.iter().filter(|other| {
            other.id != own.id && other.effect() == Effect::Allow && one_principal(&own.to, &other.to)
        });
        let mut findings = Vec::new();
        for other in others.filter(|other| limits_more(own, other)) {
            let shared = match &other.params {
                None => params.first(),
                Some(theirs) => params.iter().find(|name| theirs.contains(name)),
            };
            let Some(shared) = shared else { continue };
            let only_theirs = other.actions().iter().filter(|action| self.unjudged(*action));
            let Ok(open) = Actions::new(only_theirs) else { continue };
            let reason = format!(
                "a signature of {} binds no endpoint, and grant `{}` allows `{open}` with parameters of the same names (`{shared}`) \
                 on terms of its own, which what is signed under `{}` would not keep",
                self.venue(),
                other.id,
                own.id,
            );
            let remedy = format!(
                "make one grant of both, give them the same limits, or take the names that both have out of `params` of `{}`",
                own.id
            );
            findings.extend(self.unbound(endpoint(&free), reason, remedy));
        }
        findings
    }

    /// Whether the grant withholds this action, and an endpoint does it of which nobody knows what it needs.
    fn unjudged(&self, action: Action) -> bool {
        !self.grant.actions().contains(action)
            && self.rules_of(action).any(|rule| rule.needs().is_empty() && !rule.needs_nothing())
    }
}

/// Whether one process may have both: the same one, or a unit and the user that it may run as.
fn one_principal(one: &Subject, other: &Subject) -> bool {
    match (one, other) {
        (Subject::Unit(unit), Subject::User(uid)) | (Subject::User(uid), Subject::Unit(unit)) => {
            let of_user = unit.strip_prefix("user@").and_then(|rest| rest.split_once('/'));
            of_user.is_none_or(|(user, _)| user == uid.to_string())
        }
        _ => one == other,
    }
}

/// Whether `other` has limits, beside names, that are not those of `own`.
fn limits_more(own: &Grant, other: &Grant) -> bool {
    let limits = |grant: &Grant| {
        let mut terms = grant.clone().into_terms();
        (terms.allow, terms.params, terms.accept_unbound) = (None, None, Vec::new());
        (terms.id, terms.to) = (own.id.clone(), own.to.clone());
        terms
    };
    let theirs = limits(other);
    theirs != Terms::new(own.id.clone(), own.to.clone()) && theirs != limits(own)
}
