//! The decision: which grants are looked at, and what they say.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use strongroom_venues::Action;

use crate::amount::Amount;
use crate::ask::{Ask, Caller};
use crate::grant::{Effect, GrantId};
use crate::grants::Grants;
use crate::limits::{Lower, Permit, Rule};
use crate::meters::Meters;
use crate::reason::{Reason, Shown};
use crate::subject::Subject;

/// The grants of one credential, ready to be asked.
#[derive(Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    clients: HashMap<String, Index>,
    units: HashMap<String, Index>,
    users: HashMap<u32, Index>,
}

/// What is decided about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// Go on, once the charges are paid.
    Allow {
        /// The grant that allows it.
        grant: GrantId,
        /// What must be spent, durably, before anything is signed.
        charges: Vec<Charge>,
    },
    /// Ask a human, and decide anew by [`Policy::decide_confirmed`] where the answer is yes.
    Confirm {
        /// The grant that allows it.
        grant: GrantId,
        /// What it will take then. Nothing is counted yet.
        charges: Vec<Charge>,
    },
    /// Do not.
    Deny {
        /// The grant that came closest, or that denies.
        grant: Option<GrantId>,
        /// Why.
        reason: Reason,
    },
}

/// Something of which there is only so much in a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Whose budget.
    pub grant: GrantId,
    /// What this request takes of it.
    pub amount: Amount,
    /// All of it.
    pub limit: Amount,
    /// The time, which rolls on.
    pub window: Duration,
}

/// The time of `max_notional_day`.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The rules of one subject, found by what they are about. Numbers are places in `Policy::rules`, rising.
#[derive(Debug, Default)]
struct Index {
    all: Vec<usize>,
    allows: Lanes,
    denies: Lanes,
}

/// Rules of one effect.
#[derive(Debug, Default)]
struct Lanes {
    /// Of each action, all of them.
    by_action: BTreeMap<Action, Vec<usize>>,
    /// Of those about orders, the ones that do not hang on one symbol…
    any_symbol: Vec<usize>,
    /// … and the others, under each of their symbols in lower case.
    by_symbol: HashMap<Box<str>, Vec<usize>>,
}

impl Lanes {
    fn add(&mut self, at: usize, rule: &Rule) {
        for action in rule.actions.iter() {
            self.by_action.entry(action).or_default().push(at);
        }
        if rule.actions.contains(Action::Trade) {
            match rule.only_symbols() {
                None => self.any_symbol.push(at),
                Some(symbols) => {
                    for symbol in symbols {
                        self.by_symbol.entry(symbol.into()).or_default().push(at);
                    }
                }
            }
        }
    }

    fn lane(&self, action: Action) -> &[usize] {
        self.by_action.get(&action).map_or(&[], Vec::as_slice)
    }

    /// The rules that can say anything about a trade with an order for this symbol, in their order.
    fn about(&self, symbol: Option<&str>) -> impl Iterator<Item = usize> {
        let lower = symbol.and_then(Lower::new);
        let named = lower.and_then(|lower| self.by_symbol.get(lower.as_str())).map_or(&[][..], Vec::as_slice);
        merge(&self.any_symbol, named)
    }
}

/// Two rising lists as one.
fn merge<'l>(one: &'l [usize], other: &'l [usize]) -> impl Iterator<Item = usize> + 'l {
    let (mut one, mut other) = (one.iter().copied().peekable(), other.iter().copied().peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(a), Some(b)) if a <= b => one.next(),
        (_, Some(_)) => other.next(),
        (_, None) => one.next(),
    })
}

/// The best that allowing grants had to say.
enum Best<'p> {
    Nothing,
    Failed(&'p Rule, Reason),
    Confirm(&'p Rule, Permit),
}

impl Policy {
    /// Makes grants ready to be asked.
    #[must_use]
    pub fn compile(grants: &Grants) -> Self {
        let rules: Vec<Rule> = grants.iter().map(Rule::compile).collect();
        let (mut clients, mut units, mut users) = (HashMap::new(), HashMap::new(), HashMap::new());
        for (at, (rule, grant)) in rules.iter().zip(grants).enumerate() {
            let index: &mut Index = match &grant.to {
                Subject::Client(name) => clients.entry(name.clone()).or_default(),
                Subject::Unit(name) => units.entry(name.clone()).or_default(),
                Subject::User(uid) => users.entry(*uid).or_default(),
            };
            index.all.push(at);
            match rule.effect {
                Effect::Allow => index.allows.add(at, rule),
                Effect::Deny => index.denies.add(at, rule),
            }
        }
        Self { rules, clients, units, users }
    }

    /// Whether any grant names this caller.
    #[must_use]
    pub fn names(&self, caller: Caller<'_>) -> bool {
        self.indexes(caller).into_iter().flatten().next().is_some()
    }

    /// Whether there is a grant of this name.
    #[must_use]
    pub fn has(&self, grant: &GrantId) -> bool {
        self.rules.iter().any(|rule| rule.id == *grant)
    }

    /// How many grants there are.
    pub(crate) const fn len(&self) -> usize {
        self.rules.len()
    }

    /// Every grant of this caller: of its unit first, then of its user.
    pub(crate) fn of_caller(&self, caller: Caller<'_>) -> impl Iterator<Item = &Rule> {
        self.indexes(caller)
            .into_iter()
            .flatten()
            .flat_map(|index| &index.all)
            .filter_map(|at| self.rules.get(*at))
    }

    /// The rules of its unit and those of its user; or of the client.
    fn indexes(&self, caller: Caller<'_>) -> [Option<&Index>; 2] {
        match caller {
            Caller::Client(name) => [self.clients.get(name), None],
            Caller::Process { uid, unit } => {
                [unit.and_then(|unit| self.units.get(unit)), self.users.get(&uid)]
            }
        }
    }

    /// Decides. One grant must allow everything that the request does and everything that its signature would do; a
    /// grant that denies any of it wins over all that allow. Of several that allow it, one that asks no human is taken
    /// before one that does, and then the first.
    ///
    /// Changes `meters` only where it is allowed.
    pub fn decide(&self, meters: &mut Meters, ask: &Ask<'_>) -> Decision {
        self.decide_by(meters, ask, None)
    }

    /// Decides about what a human has said yes to, when `confirmed` asked for one: this grant needs no human any more.
    pub fn decide_confirmed(&self, meters: &mut Meters, ask: &Ask<'_>, confirmed: &GrantId) -> Decision {
        self.decide_by(meters, ask, Some(confirmed))
    }

    fn decide_by(&self, meters: &mut Meters, ask: &Ask<'_>, confirmed: Option<&GrantId>) -> Decision {
        let indexes = self.indexes(ask.caller);
        let mut known = false;
        for index in indexes.into_iter().flatten() {
            known = true;
            if let Some((rule, reason)) = self.denial(&index.denies, ask) {
                return Decision::Deny { grant: Some(rule.id.clone()), reason };
            }
        }
        if !known {
            let reason = Reason::Subject { caller: ask.caller.to_string() };
            return Decision::Deny { grant: None, reason };
        }
        let mut best = Best::Nothing;
        for index in indexes.into_iter().flatten() {
            for rule in self.allowing(&index.allows, ask) {
                match rule.permits(meters, ask) {
                    Ok(permit) if !rule.confirm || confirmed == Some(&rule.id) => {
                        let charges = spend(rule, permit, meters, ask);
                        return Decision::Allow { grant: rule.id.clone(), charges };
                    }
                    Ok(permit) if !matches!(best, Best::Confirm(..)) => best = Best::Confirm(rule, permit),
                    Err(reason) if matches!(best, Best::Nothing) => best = Best::Failed(rule, reason),
                    _ => {}
                }
            }
        }
        match best {
            Best::Confirm(rule, permit) => {
                Decision::Confirm { grant: rule.id.clone(), charges: charges(rule, &permit) }
            }
            Best::Failed(rule, reason) => Decision::Deny { grant: Some(rule.id.clone()), reason },
            Best::Nothing => Decision::Deny { grant: None, reason: nothing(indexes, ask) },
        }
    }

    /// The first denial that means this request.
    fn denial(&self, denies: &Lanes, ask: &Ask<'_>) -> Option<(&Rule, Reason)> {
        for action in ask.touches().iter() {
            let found = match (action, ask.orders) {
                (Action::Trade, Ok(orders)) if !orders.is_empty() => orders.iter().find_map(|order| {
                    match order.symbol.as_deref().and_then(Lower::new) {
                        Some(lower) => self.first_denial(denies.about(Some(lower.as_str())), ask),
                        // A symbol that cannot be told could be any.
                        None => self.first_denial(denies.lane(action).iter().copied(), ask),
                    }
                }),
                _ => self.first_denial(denies.lane(action).iter().copied(), ask),
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn first_denial(
        &self,
        mut places: impl Iterator<Item = usize>,
        ask: &Ask<'_>,
    ) -> Option<(&Rule, Reason)> {
        places.find_map(|at| {
            let rule = self.rules.get(at)?;
            Some((rule, rule.forbids(ask)?))
        })
    }

    /// The grants that may allow this, in their order. An order for a symbol rules out every grant that names others;
    /// of several orders all must be allowed, so the first one tells.
    fn allowing(&self, allows: &Lanes, ask: &Ask<'_>) -> impl Iterator<Item = &Rule> {
        let symbol = match (ask.action, ask.orders) {
            (Action::Trade, Ok([first, ..])) if first.action == Action::Trade => {
                Some(first.symbol.as_deref())
            }
            _ => None,
        };
        let (by_symbol, all) = match symbol {
            Some(symbol) => (Some(allows.about(symbol)), &[][..]),
            None => (None, allows.lane(ask.action)),
        };
        by_symbol.into_iter().flatten().chain(all.iter().copied()).filter_map(|at| self.rules.get(at))
    }
}

/// Why no grant of these was even looked at.
fn nothing(indexes: [Option<&Index>; 2], ask: &Ask<'_>) -> Reason {
    let some = indexes.into_iter().flatten().any(|index| !index.allows.lane(ask.action).is_empty());
    let symbol = ask.orders.ok().and_then(|orders| orders.first()).and_then(|order| order.symbol.as_deref());
    match symbol {
        Some(symbol) if some => Reason::Symbol { symbol: Shown::new(symbol), grants: "any grant" },
        None if some => Reason::Missing { field: "symbol", limit: "symbols" },
        _ => Reason::Action { caller: ask.caller.to_string(), action: ask.action },
    }
}

/// Counts the request, and says what is to be paid for it.
fn spend(rule: &Rule, permit: Permit, meters: &mut Meters, ask: &Ask<'_>) -> Vec<Charge> {
    if let Some(next) = permit.next {
        meters.count(&rule.id, next);
    }
    if let Some(limits) = rule.orders.as_ref().filter(|limits| limits.band.is_some()) {
        let orders = ask.orders.unwrap_or_default().iter();
        for order in orders.filter(|order| order.action == Action::Trade) {
            if let Ok(Some((_, price, symbol))) = limits.banded(order) {
                meters.see(&rule.id, symbol.as_str(), price, ask.uptime);
            }
        }
    }
    charges(rule, &permit)
}

/// What is to be paid for a request.
fn charges(rule: &Rule, permit: &Permit) -> Vec<Charge> {
    match rule.orders.as_ref().and_then(|limits| limits.max_notional_day) {
        Some(limit) if !permit.sum.is_zero() => {
            vec![Charge { grant: rule.id.clone(), amount: permit.sum, limit, window: DAY }]
        }
        _ => Vec::new(),
    }
}
