//! Why a request is denied, in words for people. Fact and limit, then what may be done about it; never a secret.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use strongroom_venues::{Action, Side, Unreadable};

use crate::amount::Amount;

/// Why a request is denied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// No grant allows the action.
    #[error("no grant of {caller} allows `{action}` here; an admin can grant it{}", about(*action))]
    Action {
        /// Who asked.
        caller: String,
        /// What for.
        action: Action,
    },
    /// No last price can be remembered for another symbol.
    #[error(
        "the last prices of 256 symbols are remembered, and {symbol} would be one more; \
         `price_band_percent` needs the last price of each: name fewer symbols in the grant"
    )]
    BandRoom {
        /// The symbol.
        symbol: Shown,
    },
    /// The price is too far from the last one.
    #[error(
        "price {price} of {symbol} is more than {band} % from {last}, the last one; \
         if the market has moved so far, wait an hour or raise `price_band_percent`"
    )]
    Band {
        /// The symbol.
        symbol: Shown,
        /// Of the order.
        price: Amount,
        /// The last one.
        last: Amount,
        /// The limit.
        band: Amount,
    },
    /// This order alone is over the budget of a day.
    #[error("{notional} is more than the {limit} of a whole day (`max_notional_day`)")]
    Day {
        /// Of the request.
        notional: Amount,
        /// The limit.
        limit: Amount,
    },
    /// A grant denies it.
    #[error("this grant denies `{action}`, whatever others allow")]
    Denied {
        /// The action that it denies.
        action: Action,
    },
    /// The grant is over.
    #[error("the grant expired at {at}; an admin can extend it")]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// It is not the time for it.
    #[error("it is not the time for this: {when}")]
    Hours {
        /// When it is.
        when: String,
    },
    /// The type of the order is not among those of the grant.
    #[error("an order of type {kind} is not allowed; `types` has {allowed}")]
    Kind {
        /// Of the order.
        kind: Shown,
        /// Of the grant.
        allowed: String,
    },
    /// A limit needs a field that is not there.
    #[error(
        "the order has no {field}, and `{limit}` cannot be checked without it; send it, or lift the limit"
    )]
    Missing {
        /// What is not there.
        field: &'static str,
        /// What needs it.
        limit: &'static str,
    },
    /// A field is no decimal of the one form.
    #[error(
        "{field} of the order is not a plain decimal above 0 with up to 15 digits and 12 behind the point, and `{limit}` cannot be checked"
    )]
    NotAnAmount {
        /// The field.
        field: &'static str,
        /// What needs it.
        limit: &'static str,
    },
    /// The order is worth too much.
    #[error(
        "the order's price times quantity is {notional}, and `max_notional` is {limit}; make it smaller, or raise the limit"
    )]
    Notional {
        /// Of the order.
        notional: Amount,
        /// The limit.
        limit: Amount,
    },
    /// It is worth more than can be counted.
    #[error("the order's price times quantity is beyond every limit")]
    NotionalOverflow,
    /// What the order is worth cannot be told.
    #[error(
        "what the order is worth cannot be told, because {why}; `{limit}` denies it: \
         send a limit order or a quote quantity{and_quantity}"
    )]
    NotionalUnknown {
        /// Why.
        why: &'static str,
        /// What needs it.
        limit: &'static str,
        /// What else would do.
        and_quantity: &'static str,
    },
    /// How many orders are open is known to the venue only.
    #[error(
        "`max_open_orders` cannot be kept by one who only signs: neither fills nor what was really sent are seen here; \
         remove it from the grant, and limit the orders at the venue"
    )]
    OpenOrders,
    /// A parameter that the grant does not name.
    #[error("parameter {name} is not among the `params` of the grant; leave it out, or have it added")]
    Param {
        /// The parameter.
        name: Shown,
    },
    /// Too much at once.
    #[error(
        "the order's quantity is {quantity}, and `max_quantity` is {limit}; make it smaller, or raise the limit"
    )]
    Quantity {
        /// Of the order.
        quantity: Amount,
        /// The limit.
        limit: Amount,
    },
    /// Too many requests.
    #[error("{per_minute} requests a minute are used up; the next has its place in {} ms", wait.as_millis())]
    Rate {
        /// The limit.
        per_minute: u32,
        /// Until the next.
        wait: Duration,
    },
    /// The side is not among those of the grant.
    #[error("a {} order is not allowed; `sides` has the other", side.name())]
    Side {
        /// Of the order.
        side: Side,
    },
    /// The signature would do for something that the grant does not allow.
    #[error(
        "the signature of this `{asked}` request would do for a `{other}` request as well, because this venue's signature does \
         not bind the endpoint; have `{other}` granted too{}", instead(*asked)
    )]
    StandsIn {
        /// What was asked.
        asked: Action,
        /// What else it would do.
        other: Action,
    },
    /// A member of a batch does what the grant does not allow.
    #[error("one of the orders in it is a `{action}`, which the grant does not allow")]
    Member {
        /// What it does.
        action: Action,
    },
    /// No grant names the caller.
    #[error("no grant names {caller}; an admin can give one")]
    Subject {
        /// Who asked.
        caller: String,
    },
    /// The symbol is not among those of the grant.
    #[error("{symbol} is not among the `symbols` of {grants}; trade another, or have it added")]
    Symbol {
        /// Of the order.
        symbol: Shown,
        /// Whose.
        grants: &'static str,
    },
    /// Nobody knows what the endpoint does, so limits on orders cannot be kept.
    #[error(
        "the venue's profile does not know this endpoint, so `{limit}` cannot be checked; \
         give a grant without limits on orders if it is needed"
    )]
    UnknownUnderLimit {
        /// One of the limits.
        limit: &'static str,
    },
    /// An order cannot be read in one way only.
    #[error("an order in it cannot be read: {field} {why}; write it as the venue documents it")]
    Unreadable {
        /// Which field.
        field: Shown,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// What an admin should know before granting it.
const fn about(action: Action) -> &'static str {
    match action {
        Action::Session => {
            ", knowing that a WebSocket login or listen key hands out power without further signatures: most sockets take \
             orders after it, and no grant sees them"
        }
        Action::Unknown => ", knowing that the venue's profile cannot tell what this endpoint does",
        _ => "",
    }
}

/// What else would do than to have more granted.
const fn instead(asked: Action) -> &'static str {
    match asked {
        Action::Session => "",
        _ => ", or leave the parameters out that make it one",
    }
}

/// Text of the caller's own, fit for a message: short, and without control characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.chars().take(64).collect())
    }
}

impl From<&Unreadable> for Reason {
    fn from(fact: &Unreadable) -> Self {
        Self::Unreadable { field: Shown::new(&fact.field), why: fact.why }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0.escape_debug())
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
