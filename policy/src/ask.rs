//! One question to a policy.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use strongroom_venues::{Action, Order, Unreadable};

use crate::action::Actions;

/// Who asks, as far as grants can name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller<'a> {
    /// The holder of a client token is that client and nobody else.
    Client(&'a str),
    /// A process of this machine is its user, and its unit if it is in one.
    Process {
        /// The user.
        uid: u32,
        /// The unit, as `system/bot.service` or `user@1000/bot.service`.
        unit: Option<&'a str>,
    },
}

impl Caller<'_> {
    /// The number that the system gives to nobody: the user of a unit of which it is not known.
    pub const NO_USER: u32 = u32::MAX;
}

impl fmt::Display for Caller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(name) => write!(f, "client:{name}"),
            Self::Process { uid, unit: None } => write!(f, "user:{uid}"),
            Self::Process { uid: Self::NO_USER, unit: Some(unit) } => write!(f, "unit:{unit}"),
            Self::Process { uid, unit: Some(unit) } => write!(f, "unit:{unit} of user:{uid}"),
        }
    }
}

/// May this caller have this request signed? All of it comes from the parsed request that will be signed.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Who asks.
    pub caller: Caller<'a>,
    /// The time, for hours and for the end of grants.
    pub now: Timestamp,
    /// A clock that nobody sets, for rates and for the age of prices.
    pub uptime: Duration,
    /// What the request does.
    pub action: Action,
    /// What else its signature would do.
    pub stands_in: &'a [Action],
    /// The names of the caller's parameters.
    pub names: &'a [&'a str],
    /// The orders in it, or why they cannot be read.
    pub orders: Result<&'a [Order<'a>], &'a Unreadable>,
}

impl Ask<'_> {
    /// Everything that a grant must allow for this.
    pub(crate) fn touches(&self) -> Actions {
        let members = self.orders.unwrap_or_default().iter().map(|order| order.action);
        // A list whose members do not say what they do may place orders and take them back.
        let hidden = match self.orders {
            Err(fact) if fact.hides_actions() => &[Action::Cancel, Action::Trade][..],
            _ => &[],
        };
        let others = self.stands_in.iter().chain(hidden).copied().chain(members);
        others.fold(self.action.into(), Actions::with)
    }
}
