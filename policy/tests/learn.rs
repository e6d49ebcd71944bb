//! A learnt grant allows what was seen and nothing of another kind.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

use std::borrow::Cow;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use strongroom_policy::{
    Ask, Caller, Decision, Grants, LearnError, Learnt, Meters, Policy, Reason, Seen, learn,
};
use strongroom_venues::{Action, Order, Side};

fn order(symbol: &str, side: Side, kind: &str, quantity: u32, price: u32) -> Order<'static> {
    Order {
        action: Action::Trade,
        symbol: Some(Cow::Owned(symbol.to_owned())),
        side: Some(side),
        kind: Some(Cow::Owned(kind.to_owned())),
        quantity: Some(Cow::Owned(quantity.to_string())),
        quote_quantity: None,
        price: Some(Cow::Owned(price.to_string())),
        stop: None,
        contracts: false,
    }
}

fn learnt(seen: &[Seen<'_>]) -> Learnt {
    learn("learnt".parse().unwrap(), "client:bot".parse().unwrap(), seen).unwrap()
}

fn decide(learnt: &Learnt, request: &Seen<'_>) -> Decision {
    // What is printed is what counts.
    let text = Grants::new(vec![learnt.grant.clone()]).unwrap().to_toml();
    let policy = Policy::compile(&Grants::parse(&text).unwrap());
    let names: Vec<&str> = request.names.iter().map(String::as_str).collect();
    let ask = Ask {
        caller: Caller::Client("bot"),
        now: request.at,
        uptime: Duration::from_secs(1_000_000),
        action: request.action,
        stands_in: &request.stands_in,
        names: &names,
        orders: Ok(request.orders.as_deref().unwrap_or_default()),
    };
    policy.decide(&mut Meters::new(Duration::ZERO), &ask)
}

fn start() -> Timestamp {
    "2026-11-22T00:00:00Z".parse().unwrap()
}

fn trade(seconds: i64, orders: Vec<Order<'static>>) -> Seen<'static> {
    Seen {
        at: start().checked_add(SignedDuration::from_secs(seconds)).unwrap(),
        action: Action::Trade,
        stands_in: Vec::new(),
        names: ["symbol", "side", "type", "quantity", "price"].map(str::to_owned).to_vec(),
        orders: Some(orders),
    }
}

fn any_order() -> impl Strategy<Value = Order<'static>> {
    let symbol = proptest::sample::select(vec!["BTCUSDT", "ethusdt", "X-1"]);
    let kind = proptest::sample::select(vec!["LIMIT", "market", "post_only"]);
    (symbol, any::<bool>(), kind, 1..1000_u32, 1..1000_u32).prop_map(
        |(symbol, buy, kind, quantity, price)| {
            order(symbol, if buy { Side::Buy } else { Side::Sell }, kind, quantity, price)
        },
    )
}

fn any_seen() -> impl Strategy<Value = Vec<Seen<'static>>> {
    let request = prop_oneof![
        (0..200_000_i64, proptest::collection::vec(any_order(), 1..4))
            .prop_map(|(at, orders)| trade(at, orders)),
        (0..200_000_i64).prop_map(|at| Seen {
            action: Action::Read,
            names: vec!["limit".to_owned()],
            orders: Some(Vec::new()),
            ..trade(at, Vec::new())
        }),
    ];
    proptest::collection::vec(request, 1..12)
}

proptest! {
    #[test]
    fn allows_what_was_seen_and_denies_other_kinds(seen in any_seen()) {
        let learnt = learnt(&seen);
        for request in &seen {
            let decision = decide(&learnt, request);
            prop_assert!(matches!(decision, Decision::Allow { .. }), "{:?} {:?}", decision, learnt);
        }
        for action in [Action::Transfer, Action::Cancel, Action::Unknown] {
            let other = Seen { action, ..seen[0].clone() };
            let denied = matches!(decide(&learnt, &other), Decision::Deny { .. });
            prop_assert!(denied);
            let other = Seen { stands_in: vec![action], ..seen[0].clone() };
            let denied = matches!(decide(&learnt, &other), Decision::Deny { .. });
            prop_assert!(denied);
        }
        for request in &seen {
            let mut named = request.clone();
            named.names.push("coin".to_owned());
            let denied = matches!(decide(&learnt, &named), Decision::Deny { .. });
            prop_assert!(denied);
            let Some(first) = request.orders.as_ref().and_then(|orders| orders.first()) else { continue };
            for other in [
                Order { symbol: Some("DOGEUSDT".into()), ..first.clone() },
                Order { symbol: None, ..first.clone() },
                Order { kind: Some("stop".into()), ..first.clone() },
                Order { side: None, ..first.clone() },
                Order { quantity: Some("2000".into()), ..first.clone() },
                Order { quantity: None, ..first.clone() },
            ] {
                let decision = decide(&learnt, &Seen { orders: Some(vec![other.clone()]), ..request.clone() });
                prop_assert!(matches!(decision, Decision::Deny { .. }), "{:?} {:?}", other, learnt);
            }
        }
    }
}

#[test]
fn learns_the_least_of_a_bot() {
    let hour = 3600;
    let seen = [
        trade(0, vec![order("BTCUSDT", Side::Buy, "LIMIT", 2, 117)]),
        trade(hour, vec![order("BTCUSDT", Side::Buy, "LIMIT", 1, 117)]),
        trade(24 * hour, vec![order("BTCUSDT", Side::Buy, "LIMIT", 1, 117)]),
        Seen { action: Action::Cancel, stands_in: vec![Action::Read], orders: None, ..trade(7, Vec::new()) },
    ];
    let learnt = learnt(&seen);
    assert_eq!(learnt.left_out, [""; 0]);
    assert_eq!(
        Grants::new(vec![learnt.grant]).unwrap().to_toml(),
        "[[grant]]\nid = \"learnt\"\nto = \"client:bot\"\nallow = [\"cancel\", \"read\", \"trade\"]\n\
         symbols = [\"BTCUSDT\"]\nsides = [\"buy\"]\ntypes = [\"limit\"]\nmax_notional = \"240\"\n\
         max_notional_day = \"360\"\nmax_quantity = \"2\"\n\
         params = [\"price\", \"quantity\", \"side\", \"symbol\", \"type\"]\n"
    );
}

#[test]
fn says_what_it_could_not_limit() {
    assert_eq!(learn("a".parse().unwrap(), "user:1".parse().unwrap(), &[]), Err(LearnError::Nothing));
    let unread = Seen { orders: None, ..trade(0, Vec::new()) };
    assert_eq!(learnt(&[unread]).left_out, ["limits on orders: some could not be read"]);
    let market = trade(0, vec![order("A", Side::Buy, "market", 1, 1)]);
    assert_eq!(learnt(&[market]).left_out, ["max_notional_day: what an order was worth cannot be told"]);
}

#[test]
fn explains_grant_by_grant() {
    let policy = Policy::compile(
        &Grants::parse(
            "[[grant]]\nid = \"r\"\nto = \"client:bot\"\nallow = [\"read\"]\n\
             [[grant]]\nid = \"t\"\nto = \"client:bot\"\nallow = [\"trade\"]\nmax_notional = \"10\"\n\
             [[grant]]\nid = \"big\"\nto = \"client:bot\"\nallow = [\"trade\"]\nmax_notional_day = \"1000\"\nconfirm = true\n\
             [[grant]]\nid = \"no\"\nto = \"client:bot\"\ndeny = [\"transfer\"]\n\
             [[grant]]\nid = \"other\"\nto = \"client:other\"\nallow = [\"*\"]",
        )
        .unwrap(),
    );
    let orders = [order("BTC\u{7}USDT", Side::Sell, "LIMIT", 3, 5)];
    let mut ask = Ask {
        caller: Caller::Client("bot"),
        now: start(),
        uptime: Duration::ZERO,
        action: Action::Trade,
        stands_in: &[],
        names: &[],
        orders: Ok(&orders),
    };
    let lines = policy.explain(&Meters::new(Duration::ZERO), &ask).lines();
    assert_eq!(
        lines,
        [
            "client:bot asks for `trade`",
            "it has a `LIMIT` sell `3` `BTC\\u{7}USDT` at `5`",
            "grant `r` says nothing of `trade`",
            "grant `t` does not allow it: the order's price times quantity is 15, and `max_notional` is 10; make it smaller, or raise the limit",
            "grant `big` allows it if a human does (`confirm`)",
            "grant `no` denies other things, and this is none of them",
            "1 grant is for others; it was not looked at",
            "allowed by grant `big` once a human has said yes, and takes 15 of the 1000 of any 24 hours",
        ]
    );
    ask.action = Action::Transfer;
    ask.orders = Ok(&[]);
    let explained = policy.explain(&Meters::new(Duration::ZERO), &ask);
    let denied =
        Decision::Deny { grant: "no".parse().ok(), reason: Reason::Denied { action: Action::Transfer } };
    assert_eq!(explained.decision, denied);
    let last = explained.lines().pop().unwrap();
    assert_eq!(last, "denied, grant `no`: this grant denies `transfer`, whatever others allow");
}
