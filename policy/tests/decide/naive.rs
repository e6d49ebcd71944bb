//! The decision beside one that is written as plainly as can be: every grant is looked at, nothing is looked up.

use proptest::prelude::*;
use strongroom_policy::{Decision, Grants, Meters, Policy};
use strongroom_venues::{Action, Order, Side, Unreadable};

use super::Asked;

/// A grant as the reference knows it.
#[derive(Debug, Clone)]
struct Plain {
    to: &'static str,
    denies: bool,
    actions: Vec<&'static str>,
    symbols: Option<Vec<&'static str>>,
    sides: Option<Vec<&'static str>>,
    types: Option<Vec<&'static str>>,
    max_notional: Option<u32>,
    max_day: Option<u32>,
    max_quantity: Option<u32>,
    params: Option<Vec<&'static str>>,
    expired: bool,
    confirm: bool,
}

impl Plain {
    fn has_order_limit(&self) -> bool {
        self.symbols.is_some()
            || self.sides.is_some()
            || self.types.is_some()
            || self.max_notional.is_some()
            || self.max_day.is_some()
            || self.max_quantity.is_some()
    }

    fn text(&self, id: usize) -> String {
        let list = |words: &Vec<&str>| format!("{words:?}");
        let mut lines = vec![format!("[[grant]]\nid = \"g{id}\"\nto = \"{}\"", self.to)];
        lines.push(format!("{} = {}", if self.denies { "deny" } else { "allow" }, list(&self.actions)));
        let mut lists = vec![("symbols", &self.symbols), ("sides", &self.sides), ("types", &self.types)];
        lists.push(("params", &self.params));
        for (name, words) in lists {
            lines.extend(words.as_ref().map(|words| format!("{name} = {}", list(words))));
        }
        for (name, amount) in [
            ("max_notional", self.max_notional),
            ("max_notional_day", self.max_day),
            ("max_quantity", self.max_quantity),
        ] {
            lines.extend(amount.map(|amount| format!("{name} = \"{amount}\"")));
        }
        lines.extend(self.expired.then(|| "expires = \"2020-01-01T00:00:00Z\"".to_owned()));
        lines.extend(self.confirm.then(|| "confirm = true".to_owned()));
        lines.join("\n")
    }

    fn has(&self, action: Action) -> bool {
        self.actions.contains(&"*") || self.actions.contains(&action.name())
    }

    fn names_symbol(&self, symbol: &str) -> bool {
        let symbol = symbol.to_lowercase();
        self.symbols.as_ref().is_none_or(|patterns| {
            patterns.iter().any(|pattern| match pattern.to_lowercase().strip_suffix('*') {
                Some(start) => symbol.starts_with(start),
                None => symbol == pattern.to_lowercase(),
            })
        })
    }
}

/// Everything that a request touches.
fn touched(ask: &Asked) -> Vec<Action> {
    let mut all = vec![ask.action];
    all.extend(&ask.stands_in);
    if let Ok(orders) = &ask.orders {
        all.extend(orders.iter().map(|order| order.action));
    }
    all
}

fn denied_by(grant: &Plain, ask: &Asked) -> bool {
    if grant.expired {
        return false;
    }
    touched(ask).into_iter().filter(|action| grant.has(*action)).any(|action| {
        if action != Action::Trade {
            return true;
        }
        match &ask.orders {
            Err(_) => true,
            Ok(orders) if orders.is_empty() => true,
            Ok(orders) => orders.iter().filter(|order| order.action == Action::Trade).any(|order| {
                order.symbol.as_deref().is_none_or(|symbol| grant.names_symbol(symbol))
                    && order.side.is_none_or(|side| {
                        grant.sides.as_ref().is_none_or(|sides| sides.contains(&side.name()))
                    })
                    && order
                        .kind
                        .as_deref()
                        .is_none_or(|kind| grant.types.as_ref().is_none_or(|types| types.contains(&kind)))
            }),
        }
    })
}

fn allowed_by(grant: &Plain, ask: &Asked) -> bool {
    if grant.expired || !touched(ask).into_iter().all(|action| grant.has(action)) {
        return false;
    }
    if let Some(params) = &grant.params
        && !ask.names.iter().all(|name| params.contains(name))
    {
        return false;
    }
    if !grant.has_order_limit() {
        return true;
    }
    let Ok(orders) = &ask.orders else { return false };
    if touched(ask).contains(&Action::Unknown) {
        return false;
    }
    if !touched(ask).contains(&Action::Trade) {
        return true;
    }
    if orders.is_empty() {
        return false;
    }
    let mut day = 0_u64;
    for order in orders.iter().filter(|order| order.action == Action::Trade) {
        let whole = |text: &Option<std::borrow::Cow<'_, str>>| {
            text.as_deref().map_or(0, |text| text.parse::<u64>().unwrap())
        };
        let (quantity, price) = (whole(&order.quantity), whole(&order.price));
        let worth = if order.kind.as_deref() == Some("limit") { quantity * price } else { 0 };
        let symbol = order.symbol.as_deref();
        let fits = (grant.symbols.is_none() || symbol.is_some_and(|symbol| grant.names_symbol(symbol)))
            && grant
                .sides
                .as_ref()
                .is_none_or(|sides| order.side.is_some_and(|side| sides.contains(&side.name())))
            && grant
                .types
                .as_ref()
                .is_none_or(|types| order.kind.as_deref().is_some_and(|kind| types.contains(&kind)));
        // An order whose worth is not known is measured by its quantity, and is never summed.
        let by_quantity =
            grant.max_quantity.is_some_and(|limit| quantity > 0 && quantity <= u64::from(limit));
        let within = grant.max_quantity.is_none_or(|limit| quantity <= u64::from(limit));
        let small = match (grant.max_notional, grant.max_day) {
            (None, None) => grant.max_quantity.is_none() || by_quantity,
            (limit, None) if worth == 0 => limit.is_none() || by_quantity,
            (_, Some(_)) if worth == 0 => false,
            (limit, _) => limit.is_none_or(|limit| worth <= u64::from(limit)),
        };
        if !(fits && within && small) {
            return false;
        }
        day += worth;
    }
    grant.max_day.is_none_or(|limit| day <= u64::from(limit))
}

/// The grants of this caller; and then a denial, or none that allows, is a no.
fn naive(grants: &[Plain], ask: &Asked) -> bool {
    let own = |grant: &&Plain| match ask.caller {
        (Some(client), _, _) => grant.to == format!("client:{client}"),
        (None, unit, uid) => {
            grant.to == format!("user:{uid}") || unit.is_some_and(|unit| grant.to == format!("unit:{unit}"))
        }
    };
    let own: Vec<&Plain> = grants.iter().filter(own).collect();
    !own.iter().any(|grant| grant.denies && denied_by(grant, ask))
        && own.iter().any(|grant| !grant.denies && allowed_by(grant, ask))
}

fn some<T: Clone + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = Option<Vec<T>>> {
    proptest::option::of(proptest::sample::subsequence(all, 1..=all.len()))
}

fn grant() -> impl Strategy<Value = Plain> {
    const ACTIONS: &[&str] = &["read", "trade", "cancel", "transfer", "unknown"];
    let to = proptest::sample::select(vec!["client:a", "unit:system/a.service", "user:1", "user:2"]);
    let actions = prop_oneof![
        Just(vec!["*"]),
        proptest::sample::subsequence(ACTIONS, 1..=ACTIONS.len()),
        Just(vec!["read", "trade", "cancel"]),
    ];
    let lists = (
        some(&["BTC", "ETH", "b*"]),
        some(&["buy", "sell"]),
        some(&["limit", "market"]),
        some(&["symbol", "side", "coin"]),
    );
    let most = || proptest::option::of(1..60_u32);
    let flags = (proptest::bool::weighted(0.2), proptest::bool::weighted(0.1), any::<bool>());
    (to, actions, lists, (most(), most(), most()), flags).prop_map(|(to, actions, lists, most, flags)| {
        let (denies, expired, confirm) = flags;
        let trades = actions.contains(&"trade") || actions.contains(&"*");
        let (symbols, sides, types, params) = lists;
        Plain {
            to,
            denies,
            actions,
            symbols: symbols.filter(|_| trades),
            sides: sides.filter(|_| trades),
            types: types.filter(|_| trades),
            max_notional: most.0.filter(|_| trades && !denies),
            max_day: most.1.filter(|_| trades && !denies),
            max_quantity: most.2.filter(|_| trades && !denies),
            params: params.filter(|_| !denies),
            expired,
            confirm: confirm && !denies,
        }
    })
}

fn order() -> impl Strategy<Value = Order<'static>> {
    let one = |all: &'static [&'static str]| proptest::option::weighted(0.9, proptest::sample::select(all));
    let action = prop_oneof![8 => Just(Action::Trade), 1 => Just(Action::Cancel), 1 => Just(Action::Unknown)];
    let number = || proptest::option::weighted(0.8, proptest::sample::select(&["0", "1", "3", "7"][..]));
    let side = proptest::option::weighted(0.9, proptest::sample::select(vec![Side::Buy, Side::Sell]));
    (
        action,
        one(&["BTC", "btc", "ETH", "BNB", "XRP"]),
        side,
        one(&["limit", "market", "stop"]),
        number(),
        number(),
    )
        .prop_map(|(action, symbol, side, kind, quantity, price)| Order {
            action,
            symbol: symbol.map(Into::into),
            side,
            kind: kind.map(Into::into),
            quantity: quantity.map(Into::into),
            quote_quantity: None,
            price: price.map(Into::into),
            stop: None,
            contracts: false,
        })
}

fn asked() -> impl Strategy<Value = Asked> {
    let caller = proptest::sample::select(vec![
        (Some("a"), None, 1),
        (Some("b"), None, 1),
        (None, None, 1),
        (None, Some("system/a.service"), 1),
        (None, Some("system/b.service"), 2),
    ]);
    const OTHERS: &[Action] =
        &[Action::Read, Action::Trade, Action::Cancel, Action::Transfer, Action::Unknown];
    let action = prop_oneof![3 => Just(Action::Trade), 2 => proptest::sample::select(OTHERS)];
    let names: &'static [&'static str] = &["symbol", "side", "coin", "x"];
    let other = proptest::option::weighted(0.2, proptest::sample::select(OTHERS));
    let orders = proptest::option::weighted(0.9, proptest::collection::vec(order(), 0..4));
    (caller, action, other, proptest::sample::subsequence(names, 0..3), orders).prop_map(
        |(caller, action, other, names, orders)| {
            let orders = orders.ok_or(Unreadable { field: "x".to_owned(), why: "is odd" });
            let orders = if action == Action::Trade { orders } else { orders.map(|_| Vec::new()) };
            Asked { caller, names, orders, stands_in: other.into_iter().collect(), ..Asked::new(action) }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]
    #[test]
    fn decides_as_the_plain_reference_does(grants in proptest::collection::vec(grant(), 0..8), asks in proptest::collection::vec(asked(), 1..6)) {
        let text: Vec<String> = grants.iter().enumerate().map(|(at, grant)| grant.text(at)).collect();
        let policy = Policy::compile(&Grants::parse(&text.join("\n")).unwrap());
        for ask in asks {
            let expected = naive(&grants, &ask);
            let decision = ask.clone().of(&policy, &mut Meters::new(std::time::Duration::ZERO));
            let allowed = !matches!(decision, Decision::Deny { .. });
            prop_assert_eq!(allowed, expected, "{:?}\n{}\n{:?}", ask, text.join("\n"), decision);
        }
    }
}
