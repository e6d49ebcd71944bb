//! What a request does at its venue: the action table of a profile, and what a policy is told.
//!
//! The rules are tried in the order of the profile, and the first whose method and path fit gives the
//! action. What fits no rule is [`Action::Unknown`]; nothing is read by default.

mod classify;
mod elsewhere;
mod orders;
mod paths;
mod places;
mod recut;
mod words;

use std::borrow::Cow;
use std::str::FromStr;

pub(crate) use self::classify::signed_as_bound;
pub(crate) use self::elsewhere::Telling;
pub(crate) use self::orders::{Batch, OrderTable};
pub(crate) use self::paths::Paths;
pub(crate) use self::places::{Condition, Field, Step};
pub(crate) use self::words::Words;
use crate::request::Method;

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// API keys, sub-accounts, address books, settings of the account.
    Admin,
    /// Takes orders back and places none.
    Cancel,
    /// Leverage, margin and position modes, dead-man switches.
    Config,
    /// Changes nothing.
    Read,
    /// Hands out power without further signatures: listen keys, WebSocket tokens.
    Session,
    /// Places, changes or closes: money can move at a bad price.
    Trade,
    /// Moves value other than by an order: withdrawals, transfers, conversions, loans.
    Transfer,
    /// No rule of the profile fits.
    Unknown,
}

impl Action {
    /// Every action with its name, in the order of the names.
    pub const ALL: &[(&'static str, Self)] = &[
        ("admin", Self::Admin),
        ("cancel", Self::Cancel),
        ("config", Self::Config),
        ("read", Self::Read),
        ("session", Self::Session),
        ("trade", Self::Trade),
        ("transfer", Self::Transfer),
        ("unknown", Self::Unknown),
    ];

    /// The name in profiles and grants.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Cancel => "cancel",
            Self::Config => "config",
            Self::Read => "read",
            Self::Session => "session",
            Self::Trade => "trade",
            Self::Transfer => "transfer",
            Self::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// A word that names no action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no action; it is one of admin, cancel, config, read, session, trade, transfer, unknown")]
pub struct NoAction(String);

impl FromStr for Action {
    type Err = NoAction;

    fn from_str(text: &str) -> Result<Self, NoAction> {
        let known = Self::ALL.iter().find(|(name, _)| *name == text);
        known.map(|(_, action)| *action).ok_or_else(|| NoAction(text.chars().take(32).collect()))
    }
}

/// What a signature binds: of a part that is not bound, the holder of a signed request may change
/// everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Binds {
    /// The method.
    pub method: bool,
    /// The path.
    pub path: bool,
    /// The parameters in the query.
    pub query: bool,
    /// The body.
    pub body: bool,
}

impl Binds {
    /// Everything.
    pub const ALL: Self = Self { method: true, path: true, query: true, body: true };
    /// Nothing.
    pub const NONE: Self = Self { method: false, path: false, query: false, body: false };

    /// What both bind.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            method: self.method && other.method,
            path: self.path && other.path,
            query: self.query && other.query,
            body: self.body && other.body,
        }
    }
}

/// What a request does, by the action table of its venue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified<'p> {
    /// The action of the first rule that fits.
    pub action: Action,
    /// That rule, such as `trade-2`, the second of the rules for trades; or `unknown`.
    pub rule: &'p str,
    /// Actions of other endpoints for which the same signature is valid too, as far as the profile can
    /// tell; sorted, each once, and never `action` itself.
    pub stands_in: Vec<Action>,
}

/// Which way an order goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The base currency comes in.
    Buy,
    /// The base currency goes out.
    Sell,
}

impl Side {
    /// `buy` or `sell`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }
}

/// What limits need of one order: the text of the values that will be signed. A number is always
/// written plainly, as digits with at most one point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order<'p> {
    /// What this order does: a batch may place some orders and cancel others.
    pub action: Action,
    /// The market, as the venue calls it.
    pub symbol: Option<Cow<'p, str>>,
    /// Buy or sell.
    pub side: Option<Side>,
    /// The type of the order, as the venue calls it.
    pub kind: Option<Cow<'p, str>>,
    /// How much, in the base currency or in contracts.
    pub quantity: Option<Cow<'p, str>>,
    /// How much, in the quote currency.
    pub quote_quantity: Option<Cow<'p, str>>,
    /// The limit price.
    pub price: Option<Cow<'p, str>>,
    /// The price that triggers the order.
    pub stop: Option<Cow<'p, str>>,
    /// `quantity` counts contracts, or the profile cannot tell: times a price it is no amount of money.
    pub contracts: bool,
}

/// An order that cannot be read in the one way in which its venue reads it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {why}")]
pub struct Unreadable {
    /// The parameter.
    pub field: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Unreadable {
    /// Whether it is not even known what the members of a batch do.
    #[must_use]
    pub fn hides_actions(&self) -> bool {
        orders::hides_actions(self.why)
    }
}

/// One rule of an action table.
#[derive(Debug)]
pub struct ActionRule {
    pub(crate) id: String,
    pub(crate) action: Action,
    pub(crate) methods: Option<Vec<Method>>,
    pub(crate) path: String,
    /// Nothing where it is not known.
    pub(crate) needs: Option<Vec<String>>,
    /// Holds only for requests that fit one of these; for all, if there is none.
    pub(crate) when: Vec<Condition>,
    pub(crate) binds: Binds,
}

impl ActionRule {
    /// Its name in decisions and logs, such as `trade-2`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The action.
    #[must_use]
    pub const fn action(&self) -> Action {
        self.action
    }

    /// The methods for which it holds, with `|` between them, or `*`.
    #[must_use]
    pub fn methods(&self) -> String {
        let Some(methods) = &self.methods else { return "*".to_owned() };
        methods.iter().map(|method| method.name()).collect::<Vec<_>>().join("|")
    }

    /// The pattern of the path, which holds from the path's start on.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The parameters without which these endpoints do nothing; none where they are not known.
    #[must_use]
    pub fn needs(&self) -> &[String] {
        self.needs.as_deref().unwrap_or_default()
    }

    /// Whether these endpoints are known to do what they do without any parameter.
    #[must_use]
    pub fn needs_nothing(&self) -> bool {
        self.needs.as_ref().is_some_and(Vec::is_empty)
    }

    /// The conditions on parameters, of which one must fit; empty if there are none.
    #[must_use]
    pub fn when(&self) -> String {
        places::written(&self.when)
    }

    /// What is bound by every signature that a request under this rule may get.
    #[must_use]
    pub const fn binds(&self) -> Binds {
        self.binds
    }

    pub(crate) fn takes(&self, method: Method) -> bool {
        self.methods.as_ref().is_none_or(|methods| methods.contains(&method))
    }
}

/// The action table of a profile.
#[derive(Debug)]
pub struct ActionTable {
    pub(crate) rules: Vec<ActionRule>,
    /// The paths of `rules`, in their order.
    pub(crate) paths: Paths,
    pub(crate) orders: Vec<OrderTable>,
    /// The paths of `orders`, in their order.
    pub(crate) order_paths: Paths,
    /// The names by which any of `orders` would find an order, or a list of them, at another endpoint.
    pub(crate) telling: Telling,
    /// What every signature of the profile binds.
    pub(crate) binds: Binds,
}

impl ActionTable {
    /// The rules, in the order in which they are tried. None at all: everything is unknown.
    #[must_use]
    pub fn rules(&self) -> &[ActionRule] {
        &self.rules
    }

    /// The tables that say where orders have their fields, each as a pattern of a path and the fields
    /// with their names.
    pub fn order_fields(&self) -> impl Iterator<Item = (&str, Vec<(&'static str, String)>)> {
        self.orders.iter().map(|table| (table.path.as_str(), table.named_fields()))
    }

    /// What is bound by every signature that a request with this action may get.
    #[must_use]
    pub fn binds(&self, action: Action) -> Binds {
        if action == Action::Unknown {
            return self.binds;
        }
        let rules = self.rules.iter().filter(|rule| rule.action == action);
        rules.fold(Binds::ALL, |binds, rule| binds.and(rule.binds))
    }

    /// The action of `method` on `path`, and the rule that says so: whatever the parameters are, so that rules with
    /// conditions on these are passed over.
    #[must_use]
    pub fn classify(&self, method: &str, path: &str) -> (Action, &str) {
        let rule = Method::parse(method)
            .and_then(|method| self.fitting(method, path).find(|rule| rule.when.is_empty()));
        rule.map_or((Action::Unknown, "unknown"), |rule| (rule.action, &rule.id))
    }
}
