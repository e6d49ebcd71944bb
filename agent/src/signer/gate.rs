//! Whether the grants of a credential let a principal have one request signed.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use strongroom_policy::{Ask, Caller, Charge, Decision, GrantId, Grants, Meters, Policy, Reason};
use strongroom_venues::{Action, Classified, Plan};

use crate::identity::{Principal, Unit};

/// The grants of a live credential, and what they count.
#[derive(Debug)]
pub(super) struct Gate {
    policy: Policy,
    meters: Meters,
    /// Where the clock of the meters begins.
    since: Instant,
}

/// A grant said yes.
#[derive(Debug)]
pub(super) enum Passage {
    /// If a human says so too. Nothing was counted.
    Asks { grant: GrantId },
    /// When the charges are paid.
    Open { grant: GrantId, charges: Vec<Charge> },
}

/// Grants said no.
#[derive(Debug, thiserror::Error)]
#[error("{}{reason}", Recut(recut.as_deref()))]
pub(crate) struct Denial {
    /// The grant that said it, or that came closest.
    pub(super) grant: Option<GrantId>,
    reason: Box<Reason>,
    /// The parameter that the signature cannot tell from two.
    recut: Option<String>,
}

struct Recut<'a>(Option<&'a str>);

impl std::fmt::Display for Recut<'_> {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(name) => write!(
                to,
                "`{name}` holds a separator that this venue signs unescaped, so that the signature would be good for other \
                 parameters as well, and counts as every action: "
            ),
            None => Ok(()),
        }
    }
}

impl Denial {
    /// What is said to one whom no grant names, and of a credential that is not there to one who must not know.
    pub(super) fn unnamed(who: &Principal) -> Self {
        Self {
            grant: None,
            reason: Box::new(Reason::Subject { caller: caller(who).to_string() }),
            recut: None,
        }
    }

    /// What is said to one whom grants would let into a trap: what is said where none allows the action.
    pub(super) fn trapped(who: &Principal, action: Action) -> Self {
        Self {
            grant: None,
            reason: Box::new(Reason::Action { caller: caller(who).to_string(), action }),
            recut: None,
        }
    }
}

impl Gate {
    /// A gate that has not counted anything.
    pub(super) fn new(grants: &Grants) -> Self {
        let (policy, meters) = (Policy::compile(grants), Meters::new(Duration::ZERO));
        Self { policy, meters, since: Instant::now() }
    }

    /// Goes on with what an earlier gate of the same credential has counted.
    pub(super) fn go_on_from(&mut self, before: Self) {
        (self.meters, self.since) = (before.meters, before.since);
        self.meters.retain(|grant| self.policy.has(grant));
    }

    /// Whether any grant names this one.
    pub(super) fn names(&self, who: &Principal) -> bool {
        self.policy.names(caller(who))
    }

    /// Decides about one request that was asked for at `began`. A human has said yes where `confirmed` wants one.
    pub(super) fn decide(
        &mut self,
        who: &Principal,
        plan: &Plan<'_>,
        began: Instant,
        confirmed: Option<&GrantId>,
    ) -> Result<Passage, Denial> {
        let Classified { action, stands_in, .. } = plan.classified();
        let mut stands_in = Cow::Borrowed(stands_in.as_slice());
        let recut = plan.recut();
        if recut.is_some() {
            stands_in.to_mut().push(Action::Unknown);
        }
        let orders = plan.orders();
        let names: Vec<&str> = plan.names().collect();
        let ask = Ask {
            caller: caller(who),
            now: Timestamp::now(),
            uptime: began.saturating_duration_since(self.since),
            action: *action,
            stands_in: &stands_in,
            names: &names,
            orders: orders.as_deref(),
        };
        let decision = match confirmed {
            Some(grant) => self.policy.decide_confirmed(&mut self.meters, &ask, grant),
            None => self.policy.decide(&mut self.meters, &ask),
        };
        match decision {
            Decision::Deny { grant, reason } => {
                Err(Denial { grant, reason: Box::new(reason), recut: recut.map(str::to_owned) })
            }
            Decision::Allow { grant, charges } => Ok(Passage::Open { grant, charges }),
            Decision::Confirm { grant, charges: _ } => Ok(Passage::Asks { grant }),
        }
    }
}

/// Who asks, as grants name them.
fn caller(who: &Principal) -> Caller<'_> {
    match &who.client {
        Some(client) => Caller::Client(client.as_str()),
        None => Caller::Process { uid: who.uid, unit: who.unit.as_ref().map(Unit::as_str) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_of_a_trap_to_one_in_a_unit_what_is_said_where_no_grant_allows() {
        let who = Principal { unit: Unit::of("0::/system.slice/bot.service\n"), ..Principal::own() };
        let text = "[[grant]]\nid = \"a\"\nto = \"unit:system/bot.service\"\nallow = [\"read\"]\n";
        let ask = Ask {
            caller: caller(&who),
            now: Timestamp::UNIX_EPOCH,
            uptime: Duration::ZERO,
            action: Action::Transfer,
            stands_in: &[],
            names: &[],
            orders: Ok(&[]),
        };
        let policy = Policy::compile(&Grants::parse(text).unwrap());
        let denied = match policy.decide(&mut Meters::new(Duration::ZERO), &ask) {
            Decision::Deny { reason, .. } => reason.to_string(),
            other => format!("{other:?}"),
        };
        assert!(denied.contains("no grant of unit:system/bot.service of user:"), "{denied}");
        assert_eq!(Denial::trapped(&who, Action::Transfer).reason.to_string(), denied);
    }
}
