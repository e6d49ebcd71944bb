//! The limits of one compiled grant, and whether a request keeps to them.

use std::collections::HashSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use strongroom_venues::{Action, Order, Side};

use crate::action::Actions;
use crate::amount::Amount;
use crate::ask::Ask;
use crate::grant::{Effect, Grant, GrantId, MAX_WORD_BYTES, Part};
use crate::hours::{self, Hours, Weekdays};
use crate::meters::{Meters, Rate};
use crate::reason::{Reason, Shown};
use crate::symbol::Pattern;
use crate::worth::{self, Worth};

/// A grant, ready to be asked.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: GrantId,
    pub(crate) effect: Effect,
    pub(crate) actions: Actions,
    pub(crate) confirm: bool,
    pub(crate) orders: Option<Box<OrderLimits>>,
    pub(crate) rate: Option<(u32, Rate)>,
    expires: Option<Timestamp>,
    times: Option<Box<Times>>,
    params: Option<HashSet<Box<str>>>,
    /// An admin has accepted that a signature holds at other endpoints.
    any_path: bool,
}

#[derive(Debug)]
struct Times {
    hours: Option<Hours>,
    weekdays: Option<Weekdays>,
    zone: TimeZone,
    zone_name: String,
}

/// Limits on the orders in a request.
#[derive(Debug)]
pub(crate) struct OrderLimits {
    symbols: Option<Symbols>,
    sides: Option<Vec<Side>>,
    /// In lower case.
    types: Option<Vec<String>>,
    max_notional: Option<Amount>,
    pub(crate) max_notional_day: Option<Amount>,
    max_quantity: Option<Amount>,
    pub(crate) band: Option<Amount>,
    max_open_orders: Option<u32>,
    /// The name of one of them, for messages.
    any: &'static str,
}

#[derive(Debug)]
struct Symbols {
    /// In lower case.
    exact: HashSet<Box<str>>,
    globs: Vec<Pattern>,
}

impl Symbols {
    fn contain(&self, symbol: &str, lower: &str) -> bool {
        self.exact.contains(lower) || self.globs.iter().any(|glob| glob.matches(symbol))
    }
}

/// A symbol in lower case, without an allocation; nothing if it is longer than any that a grant can name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lower {
    bytes: [u8; MAX_WORD_BYTES],
    length: usize,
}

impl Lower {
    pub(crate) fn new(symbol: &str) -> Option<Self> {
        let mut bytes = [0; MAX_WORD_BYTES];
        bytes.get_mut(..symbol.len())?.copy_from_slice(symbol.as_bytes());
        bytes.make_ascii_lowercase();
        Some(Self { bytes, length: symbol.len() })
    }

    pub(crate) fn as_str(&self) -> &str {
        // It was text, and only letters of ASCII were changed.
        self.bytes.get(..self.length).and_then(|bytes| str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl Rule {
    pub(crate) fn compile(grant: &Grant) -> Self {
        let times = (grant.hours.is_some() || grant.weekdays.is_some()).then(|| {
            Box::new(Times {
                hours: grant.hours,
                weekdays: grant.weekdays,
                zone: grant.zone.as_ref().map_or(TimeZone::UTC, |zone| zone.rules().clone()),
                zone_name: grant.zone.as_ref().map_or_else(|| "UTC".to_owned(), ToString::to_string),
            })
        });
        Self {
            id: grant.id.clone(),
            effect: grant.effect(),
            actions: grant.actions(),
            confirm: grant.confirm,
            orders: OrderLimits::compile(grant).map(Box::new),
            rate: grant.requests_per_minute.map(|rate| (rate, Rate::new(rate, grant.burst))),
            expires: grant.expires,
            times,
            any_path: [Part::Path, Part::Parameterless]
                .iter()
                .any(|part| grant.accept_unbound.contains(part)),
            params: grant
                .params
                .as_ref()
                .map(|names| names.iter().map(|name| name.as_str().into()).collect()),
        }
    }

    /// The symbols, in lower case, that an order must have one of for this rule to say anything; nothing where it is
    /// not so simple.
    pub(crate) fn only_symbols(&self) -> Option<impl Iterator<Item = &str>> {
        let symbols = self.orders.as_ref()?.symbols.as_ref()?;
        symbols.globs.is_empty().then(|| symbols.exact.iter().map(AsRef::as_ref))
    }

    /// Whether this denial takes the request away: one of its actions, on what it names, at its time. What cannot be
    /// read counts as named.
    pub(crate) fn forbids(&self, ask: &Ask<'_>) -> Option<Reason> {
        let asked = ask.touches();
        if !self.actions.contains_any(asked) || self.time(ask).is_err() {
            return None;
        }
        let action = asked.iter().find(|action| self.actions.contains(*action)).unwrap_or(ask.action);
        let Some(limits) = &self.orders else { return Some(Reason::Denied { action }) };
        // The lists name orders: of the actions only those that place some are meant.
        let named = match ask.orders {
            Err(_) | Ok([]) => true,
            Ok(orders) => orders.iter().any(|order| order.action == Action::Trade && limits.names(order)),
        };
        let hit =
            asked.iter().any(|action| self.actions.contains(action) && (action != Action::Trade || named));
        hit.then_some(Reason::Denied { action })
    }

    /// Whether this grant allows the request, and what it is then worth against the budget of a day.
    pub(crate) fn permits(&self, meters: &Meters, ask: &Ask<'_>) -> Result<Permit, Reason> {
        if !self.actions.contains(ask.action) {
            return Err(Reason::Action { caller: ask.caller.to_string(), action: ask.action });
        }
        // For whom a login is good as something else was asked when the grant was given.
        let accepted = ask.action == Action::Session && self.any_path;
        if let Some(other) = ask.stands_in.iter().find(|other| !self.actions.contains(**other))
            && !accepted
        {
            return Err(Reason::StandsIn { asked: ask.action, other: *other });
        }
        self.time(ask)?;
        if let Some(params) = &self.params
            && let Some(name) = ask.names.iter().find(|name| !params.contains(**name))
        {
            return Err(Reason::Param { name: Shown::new(name) });
        }
        let sum = self.orders(meters, ask)?;
        let next = match self.rate {
            None => None,
            Some((per_minute, rate)) => {
                let next = meters.next(&self.id, rate, ask.uptime);
                Some(next.map_err(|wait| Reason::Rate { per_minute, wait })?)
            }
        };
        Ok(Permit { sum, next })
    }

    fn time(&self, ask: &Ask<'_>) -> Result<(), Reason> {
        if let Some(at) = self.expires
            && ask.now >= at
        {
            return Err(Reason::Expired { at });
        }
        match &self.times {
            Some(times) if !hours::holds(times.hours, times.weekdays, &times.zone, ask.now) => {
                Err(Reason::Hours { when: times.in_words() })
            }
            _ => Ok(()),
        }
    }

    /// Checks every order, and sums up what they are worth if there is a budget.
    fn orders(&self, meters: &Meters, ask: &Ask<'_>) -> Result<Amount, Reason> {
        let orders = match ask.orders {
            Ok(orders) => orders,
            // Who may do everything may do what cannot be read, too.
            Err(fact) if fact.hides_actions() && self.actions != Actions::EVERYTHING => {
                return Err(fact.into());
            }
            Err(fact) if self.orders.is_some() => return Err(fact.into()),
            Err(_) => return Ok(Amount::ZERO),
        };
        if let Some(order) = orders.iter().find(|order| !self.actions.contains(order.action)) {
            return Err(Reason::Member { action: order.action });
        }
        let Some(limits) = &self.orders else { return Ok(Amount::ZERO) };
        let touches = ask.touches();
        if touches.contains(Action::Unknown) {
            return Err(Reason::UnknownUnderLimit { limit: limits.any });
        }
        if !touches.contains(Action::Trade) {
            return Ok(Amount::ZERO);
        }
        // What trades and shows no order cannot be measured.
        if orders.is_empty() {
            return Err(Reason::Missing { field: "orders that can be read", limit: limits.any });
        }
        let mut sum = Amount::ZERO;
        for order in orders.iter().filter(|order| order.action == Action::Trade) {
            let worth = limits.check(order)?;
            limits.check_band(order, &self.id, meters, ask)?;
            sum = sum.checked_add(worth).ok_or(Reason::NotionalOverflow)?;
        }
        match limits.max_notional_day {
            Some(limit) if sum > limit => Err(Reason::Day { notional: sum, limit }),
            _ => Ok(sum),
        }
    }
}

/// A grant's yes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Permit {
    /// What the orders are worth, where the grant has a budget.
    pub(crate) sum: Amount,
    /// When the bucket of its rate is full then.
    pub(crate) next: Option<std::time::Duration>,
}

impl OrderLimits {
    fn compile(grant: &Grant) -> Option<Self> {
        let any = grant.order_limits().next()?;
        let lower = |text: &str| text.to_ascii_lowercase();
        let symbols = grant.symbols.as_ref().map(|patterns| {
            let (exact, globs): (Vec<_>, Vec<_>) = patterns.iter().partition(|pattern| pattern.is_exact());
            Symbols {
                exact: exact.into_iter().map(|pattern| lower(pattern.as_str()).into()).collect(),
                globs: globs.into_iter().cloned().collect(),
            }
        });
        Some(Self {
            symbols,
            sides: grant.sides.as_ref().map(|sides| sides.0.clone()),
            types: grant.types.as_ref().map(|types| types.iter().map(|kind| lower(kind)).collect()),
            max_notional: grant.max_notional,
            max_notional_day: grant.max_notional_day,
            max_quantity: grant.max_quantity,
            band: grant.price_band_percent,
            max_open_orders: grant.max_open_orders,
            any,
        })
    }

    /// Whether a denial with these names means this order.
    fn names(&self, order: &Order<'_>) -> bool {
        let symbol = self.symbols.as_ref().is_none_or(|symbols| {
            order.symbol.as_deref().is_none_or(|symbol| {
                Lower::new(symbol).is_none_or(|lower| symbols.contain(symbol, lower.as_str()))
            })
        });
        let side =
            self.sides.as_ref().is_none_or(|sides| order.side.is_none_or(|side| sides.contains(&side)));
        let kind = self.types.as_ref().is_none_or(|types| {
            order
                .kind
                .as_deref()
                .is_none_or(|kind| types.iter().any(|known| known.eq_ignore_ascii_case(kind)))
        });
        symbol && side && kind
    }

    /// Checks one order on its own. Gives what it is worth, where a budget wants to know.
    fn check(&self, order: &Order<'_>) -> Result<Amount, Reason> {
        if self.max_open_orders.is_some() {
            return Err(Reason::OpenOrders);
        }
        if let Some(symbols) = &self.symbols {
            let symbol =
                order.symbol.as_deref().ok_or(Reason::Missing { field: "symbol", limit: "symbols" })?;
            if !Lower::new(symbol).is_some_and(|lower| symbols.contain(symbol, lower.as_str())) {
                return Err(Reason::Symbol { symbol: Shown::new(symbol), grants: "the grant" });
            }
        }
        if let Some(sides) = &self.sides {
            let side = order.side.ok_or(Reason::Missing { field: "side", limit: "sides" })?;
            if !sides.contains(&side) {
                return Err(Reason::Side { side });
            }
        }
        if let Some(types) = &self.types {
            let kind = order.kind.as_deref().ok_or(Reason::Missing { field: "type", limit: "types" })?;
            if !types.iter().any(|known| known.eq_ignore_ascii_case(kind)) {
                return Err(Reason::Kind { kind: Shown::new(kind), allowed: types.join(", ") });
            }
        }
        self.check_size(order)
    }

    /// An order is measured by every limit that can measure it, and by at least one if there is any.
    fn check_size(&self, order: &Order<'_>) -> Result<Amount, Reason> {
        let mut quantity = None;
        if let Some(limit) = self.max_quantity {
            quantity = worth::number(order.quantity.as_deref(), "quantity", "max_quantity")?;
            match quantity {
                Some(quantity) if quantity > limit => return Err(Reason::Quantity { quantity, limit }),
                None if self.max_notional.is_none() && self.max_notional_day.is_none() => {
                    return Err(Reason::Missing { field: "quantity above 0", limit: "max_quantity" });
                }
                _ => {}
            }
        }
        let (limit, name) = match (self.max_notional, self.max_notional_day) {
            (None, None) => return Ok(Amount::ZERO),
            (limit, None) => (limit, "max_notional"),
            (limit, Some(_)) => (limit, "max_notional_day"),
        };
        match worth::worth(order, name)? {
            Worth::Known(notional) => match limit {
                Some(limit) if notional > limit => Err(Reason::Notional { notional, limit }),
                _ => Ok(notional),
            },
            // A sum cannot be made of what is not known.
            Worth::Unknown(why) if self.max_notional_day.is_some() => {
                Err(Reason::NotionalUnknown { why, limit: name, and_quantity: "" })
            }
            Worth::Unknown(_) if quantity.is_some() => Ok(Amount::ZERO),
            Worth::Unknown(why) => {
                let and_quantity = ", or have `max_quantity` set as well";
                Err(Reason::NotionalUnknown { why, limit: name, and_quantity })
            }
        }
    }

    /// The price and the symbol by which it is remembered, where there is a band.
    pub(crate) fn banded(&self, order: &Order<'_>) -> Result<Option<(Amount, Amount, Lower)>, Reason> {
        let Some(band) = self.band else { return Ok(None) };
        let limit = "price_band_percent";
        let missing = |field| Reason::Missing { field, limit };
        let symbol = order.symbol.as_deref().ok_or_else(|| missing("symbol"))?;
        let lower = Lower::new(symbol).ok_or_else(|| missing("symbol of at most 64 bytes"))?;
        if worth::price(order, limit)?.is_none() {
            return Err(missing("price, or a type that keeps to it,"));
        }
        let price = worth::number(order.price.as_deref(), "price", limit)?;
        let price = price.ok_or_else(|| missing("price above 0"))?;
        Ok(Some((band, price, lower)))
    }

    fn check_band(
        &self,
        order: &Order<'_>,
        grant: &GrantId,
        meters: &Meters,
        ask: &Ask<'_>,
    ) -> Result<(), Reason> {
        let Some((band, price, symbol)) = self.banded(order)? else { return Ok(()) };
        let shown = || Shown::new(order.symbol.as_deref().unwrap_or_default());
        let last = meters.last(grant, symbol.as_str(), ask.uptime);
        let Some(last) = last.map_err(|_full| Reason::BandRoom { symbol: shown() })? else { return Ok(()) };
        // |price − last| · 100 ≤ band · last, in whole numbers: the right side is rounded down.
        let apart = price.abs_diff(last).units().checked_mul(100);
        let room = band.checked_mul_down(last).map(Amount::units);
        match (apart, room) {
            (Some(apart), Some(room)) if apart <= room => Ok(()),
            _ => Err(Reason::Band { symbol: shown(), price, last, band }),
        }
    }
}

impl Times {
    fn in_words(&self) -> String {
        let hours = self.hours.map(|hours| format!("`hours` is {hours}"));
        let days = self.weekdays.map(|days| format!("`weekdays` is {days}"));
        let parts: Vec<String> = hours.into_iter().chain(days).collect();
        format!("{} in {}", parts.join(" and "), self.zone_name)
    }
}
