//! How the tests ask.

use std::borrow::Cow;
use std::time::Duration;

use strongroom_policy::{Ask, Caller, Decision, GrantId, Grants, Meters, Policy, Reason};
use strongroom_venues::{Action, Order, Side, Unreadable};

/// A question with everything that it borrows.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) caller: (Option<&'static str>, Option<&'static str>, u32),
    pub(crate) now: &'static str,
    pub(crate) uptime: Duration,
    pub(crate) action: Action,
    pub(crate) stands_in: Vec<Action>,
    pub(crate) names: Vec<&'static str>,
    pub(crate) orders: Result<Vec<Order<'static>>, Unreadable>,
}

impl Asked {
    pub(crate) fn new(action: Action) -> Self {
        Self {
            caller: user(1000),
            now: "2026-11-22T12:00:00Z",
            uptime: Duration::from_secs(100_000),
            action,
            stands_in: Vec::new(),
            names: Vec::new(),
            orders: Ok(Vec::new()),
        }
    }

    pub(crate) fn trade(orders: impl IntoIterator<Item = Order<'static>>) -> Self {
        Self { orders: Ok(orders.into_iter().collect()), ..Self::new(Action::Trade) }
    }

    pub(crate) fn of(self, policy: &Policy, meters: &mut Meters) -> Decision {
        self.asking(|ask| policy.decide(meters, ask))
    }

    /// The same, where a human has said yes to what this grant allows.
    pub(crate) fn confirmed(self, policy: &Policy, meters: &mut Meters, grant: &GrantId) -> Decision {
        self.asking(|ask| policy.decide_confirmed(meters, ask, grant))
    }

    fn asking(self, decide: impl FnOnce(&Ask<'_>) -> Decision) -> Decision {
        let caller = match self.caller {
            (Some(client), _, _) => Caller::Client(client),
            (None, unit, uid) => Caller::Process { uid, unit },
        };
        decide(&Ask {
            caller,
            now: self.now.parse().unwrap(),
            uptime: self.uptime,
            action: self.action,
            stands_in: &self.stands_in,
            names: &self.names,
            orders: self.orders.as_deref(),
        })
    }

    /// The grant that allows it, under new counters; or why none does.
    pub(crate) fn verdict(self, policy: &Policy) -> Result<String, Reason> {
        match self.of(policy, &mut Meters::new(Duration::ZERO)) {
            Decision::Allow { grant, .. } => Ok(grant.to_string()),
            Decision::Confirm { grant, .. } => Ok(format!("{grant}?")),
            Decision::Deny { reason, .. } => Err(reason),
        }
    }
}

pub(crate) const fn user(uid: u32) -> (Option<&'static str>, Option<&'static str>, u32) {
    (None, None, uid)
}

pub(crate) fn policy(text: &str) -> Policy {
    Policy::compile(&Grants::parse(text).unwrap())
}

/// A limit order for a `BTCUSDT` of this price and quantity.
pub(crate) fn limit_order(price: &'static str, quantity: &'static str) -> Order<'static> {
    Order {
        action: Action::Trade,
        symbol: Some(Cow::Borrowed("BTCUSDT")),
        side: Some(Side::Buy),
        kind: Some(Cow::Borrowed("LIMIT")),
        quantity: Some(Cow::Borrowed(quantity)),
        quote_quantity: None,
        price: Some(Cow::Borrowed(price)),
        stop: None,
        contracts: false,
    }
}
