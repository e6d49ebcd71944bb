//! The least grant that allows what was seen.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use strongroom_venues::{Action, Order, Side};

use crate::action::Actions;
use crate::amount::Amount;
use crate::grant::{Grant, GrantError, GrantId, Sides, Terms, is_word};
use crate::subject::Subject;
use crate::symbol::Pattern;
use crate::worth::{self, Worth};

/// A request that was seen.
#[derive(Debug, Clone)]
pub struct Seen<'a> {
    /// When.
    pub at: Timestamp,
    /// What it did.
    pub action: Action,
    /// What its signature would have done as well.
    pub stands_in: Vec<Action>,
    /// The names of its parameters.
    pub names: Vec<String>,
    /// Its orders; nothing where they could not be read.
    pub orders: Option<Vec<Order<'a>>>,
}

/// A grant, and what it could not be held to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learnt {
    /// It allows all that was seen.
    pub grant: Grant,
    /// Limits that were left out, and why.
    pub left_out: Vec<&'static str>,
}

/// No grant can be made of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LearnError {
    /// The terms contradict each other; a fault of this program.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// There was nothing to learn from.
    #[error("nothing was seen; let the bot run, or look further back")]
    Nothing,
}

/// Makes the least grant for `to` that allows requests of the kinds that were seen: their actions and parameters, and
/// of the orders symbols, sides, types, and sizes rounded up to two digits.
///
/// # Errors
/// [`LearnError::Nothing`] where nothing was seen.
pub fn learn(id: GrantId, to: Subject, seen: &[Seen<'_>]) -> Result<Learnt, LearnError> {
    let mut actions: Option<Actions> = None;
    for request in seen {
        let members = request.orders.iter().flatten().map(|order| order.action);
        for action in [request.action].into_iter().chain(request.stands_in.iter().copied()).chain(members) {
            actions = Some(actions.map_or_else(|| action.into(), |set| set.with(action)));
        }
    }
    let actions = actions.ok_or(LearnError::Nothing)?;
    let mut terms = Terms::new(id, to);
    terms.allow = Some(actions);
    let mut left_out = Vec::new();
    let names: BTreeSet<String> = seen.iter().flat_map(|request| &request.names).cloned().collect();
    if names.len() <= MAX_NAMES && names.iter().all(|name| is_word(name)) {
        terms.params = Some(names.into_iter().collect());
    } else {
        left_out.push("params: the names are too many, or not such as a grant can list");
    }
    let readable =
        seen.iter().all(|request| !trades(request) || request.orders.as_ref().is_some_and(|o| !o.is_empty()));
    if actions.contains(Action::Unknown) {
        left_out.push("limits on orders: an endpoint was used that the venue's profile does not know");
    } else if !readable {
        left_out.push("limits on orders: some could not be read");
    } else if actions.contains(Action::Trade) {
        orders(&mut terms, seen, &mut left_out);
    }
    Ok(Learnt { grant: Grant::new(terms)?, left_out })
}

fn trades(request: &Seen<'_>) -> bool {
    request.action == Action::Trade || request.stands_in.contains(&Action::Trade)
}

fn placed<'s, 'a>(request: &'s Seen<'a>) -> impl Iterator<Item = &'s Order<'a>> {
    request.orders.iter().flatten().filter(|order| order.action == Action::Trade)
}

/// Everything that can be said of all orders alike.
fn orders(terms: &mut Terms, seen: &[Seen<'_>], left_out: &mut Vec<&'static str>) {
    let all = || seen.iter().flat_map(placed);
    if all().next().is_none() {
        return;
    }
    match all().map(symbol).collect::<Option<BTreeSet<String>>>() {
        Some(symbols) if symbols.len() <= MAX_NAMES => {
            // Each was a pattern already when it was looked at.
            terms.symbols = Some(symbols.iter().filter_map(|symbol| symbol.parse().ok()).collect());
        }
        _ => left_out.push("symbols: an order had none, or they are too many"),
    }
    match all().map(|order| order.side).collect::<Option<Vec<Side>>>() {
        Some(sides) => {
            let both = [Side::Buy, Side::Sell].into_iter().filter(|side| sides.contains(side));
            terms.sides = Some(Sides(both.collect()));
        }
        None => left_out.push("sides: an order had none"),
    }
    let kind =
        |order: &Order<'_>| Some(order.kind.as_deref()?.to_ascii_lowercase()).filter(|kind| is_word(kind));
    match all().map(kind).collect::<Option<BTreeSet<String>>>() {
        Some(kinds) if kinds.len() <= MAX_NAMES => terms.types = Some(kinds.into_iter().collect()),
        _ => left_out.push("types: an order had none"),
    }
    sizes(terms, seen, left_out);
}

/// One way to write each symbol, as a grant minds no case.
fn symbol(order: &Order<'_>) -> Option<String> {
    let text = order.symbol.as_deref()?.to_ascii_uppercase();
    text.parse::<Pattern>().ok().filter(Pattern::is_exact).map(|_| text)
}

fn sizes(terms: &mut Terms, seen: &[Seen<'_>], left_out: &mut Vec<&'static str>) {
    let all = || seen.iter().flat_map(placed);
    let quantity = |order: &Order<'_>| {
        worth::number(order.quantity.as_deref(), "quantity", "max_quantity").ok().flatten()
    };
    let notional = |order: &Order<'_>| match worth::worth(order, "max_notional") {
        Ok(Worth::Known(notional)) => Some(notional),
        _ => None,
    };
    let highest = |amounts: &[Amount]| amounts.iter().copied().max().and_then(limit);
    let quantities: Vec<Option<Amount>> = all().map(quantity).collect();
    let notionals: Vec<Option<Amount>> = all().map(notional).collect();
    let every = |amounts: &[Option<Amount>]| amounts.iter().copied().collect::<Option<Vec<Amount>>>();
    let some_notionals: Vec<Amount> = notionals.iter().copied().flatten().collect();
    let some_quantities: Vec<Amount> = quantities.iter().copied().flatten().collect();
    // Each order must be measured by one of the two.
    let measured = quantities
        .iter()
        .zip(&notionals)
        .all(|(quantity, notional)| quantity.is_some() || notional.is_some());
    if !measured {
        left_out.push("sizes: an order had none that could be read");
        return;
    }
    terms.max_notional = highest(&some_notionals);
    if terms.max_notional.is_some() || every(&quantities).is_some() {
        terms.max_quantity = highest(&some_quantities);
    }
    match every(&notionals) {
        Some(_) => terms.max_notional_day = day(seen, notional).and_then(limit),
        None => left_out.push("max_notional_day: what an order was worth cannot be told"),
    }
    // A sum that is larger than an amount can be is no limit, and half of the sizes would be none either.
    if (terms.max_notional.is_none() && !some_notionals.is_empty())
        || (terms.max_quantity.is_none() && !some_quantities.is_empty())
    {
        (terms.max_notional, terms.max_notional_day, terms.max_quantity) = (None, None, None);
        left_out.push("sizes: they are larger than a limit can be");
    }
}

/// The most that was spent in any 24 hours.
fn day(seen: &[Seen<'_>], notional: impl Fn(&Order<'_>) -> Option<Amount>) -> Option<Amount> {
    let mut spent: Vec<(Timestamp, Amount)> = Vec::with_capacity(seen.len());
    for request in seen {
        let sum = placed(request).filter_map(&notional).try_fold(Amount::ZERO, Amount::checked_add)?;
        spent.push((request.at, sum));
    }
    spent.sort_unstable_by_key(|(at, _)| *at);
    let (mut from, mut sum, mut most) = (0_usize, Amount::ZERO, Amount::ZERO);
    for (at, amount) in &spent {
        sum = sum.checked_add(*amount)?;
        while let Some((begin, gone)) = spent.get(from)
            && at.duration_since(*begin).unsigned_abs() >= DAY
        {
            sum = Amount::from_units(sum.units().saturating_sub(gone.units()));
            from = from.saturating_add(1);
        }
        most = most.max(sum);
    }
    Some(most)
}

/// Rounded up, if that is a limit that a grant can have.
fn limit(amount: Amount) -> Option<Amount> {
    let rounded = amount.rounded_up();
    let fits = rounded.to_string().parse::<Amount>().is_ok();
    (fits && !rounded.is_zero()).then_some(rounded)
}

const DAY: Duration = Duration::from_secs(24 * 3600);
/// As many as a grant's list may have.
const MAX_NAMES: usize = 256;
