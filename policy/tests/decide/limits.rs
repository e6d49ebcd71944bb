//! Limits on orders.

use strongroom_policy::Reason;
use strongroom_venues::{Action, Order, Side, Unreadable};

use super::{Asked, limit_order, policy};

fn with(limits: &str) -> strongroom_policy::Policy {
    policy(&format!(
        "[[grant]]\nid = \"g\"\nto = \"user:1000\"\nallow = [\"read\", \"trade\", \"cancel\"]\n{limits}"
    ))
}

fn allows(limits: &str, order: &Order<'static>) -> bool {
    Asked::trade([order.clone()]).verdict(&with(limits)).is_ok()
}

#[test]
fn keeps_orders_to_symbols_sides_and_types() {
    let order = limit_order("1", "1");
    let symbol = |text: &'static str| Order { symbol: Some(text.into()), ..order.clone() };
    for (limits, order, allowed) in [
        ("symbols = [\"BTCUSDT\", \"ETH*\"]", order.clone(), true),
        ("symbols = [\"btcusdt\", \"ETH*\"]", order.clone(), true),
        ("symbols = [\"BTCUSDT\", \"ETH*\"]", symbol("ethBTC"), true),
        ("symbols = [\"BTCUSDT\", \"ETH*\"]", symbol("BTCUSDC"), false),
        ("symbols = [\"BTCUSDT\"]", symbol("BTCUSDT "), false),
        ("symbols = [\"BTCUSDT\"]", symbol(""), false),
        ("symbols = [\"*\"]", symbol("*"), false),
        ("symbols = [\"*\"]", symbol("ANY"), true),
        ("symbols = [\"*\"]", Order { symbol: None, ..order.clone() }, false),
        ("symbols = [\"A*B*C\"]", symbol("AxxBxBxC"), true),
        ("symbols = [\"A*B*C\"]", symbol("AxxCxBx"), false),
        ("sides = [\"buy\"]", order.clone(), true),
        ("sides = [\"buy\"]", Order { side: Some(Side::Sell), ..order.clone() }, false),
        ("sides = [\"buy\", \"sell\"]", Order { side: None, ..order.clone() }, false),
        ("types = [\"limit\"]", order.clone(), true),
        ("types = [\"limit\"]", Order { kind: Some("LIMIT_MAKER".into()), ..order.clone() }, false),
        ("types = [\"limit\"]", Order { kind: None, ..order.clone() }, false),
    ] {
        assert_eq!(allows(limits, &order), allowed, "{limits} {order:?}");
    }
    // What is no order has no symbol to name.
    assert!(Asked::new(Action::Read).verdict(&with("symbols = [\"BTCUSDT\"]")).is_ok());
}

#[test]
fn measures_an_order_by_what_it_says_and_not_by_what_is_ignored() {
    let order = limit_order("100", "2");
    let market = Order { kind: Some("MARKET".into()), ..order.clone() };
    let quote = |text: &'static str| Order {
        quantity: None,
        price: None,
        quote_quantity: Some(text.into()),
        ..market.clone()
    };
    for (limits, order, allowed) in [
        ("max_notional = \"200\"", order.clone(), true),
        ("max_notional = \"199.999999999999\"", order.clone(), false),
        ("max_notional = \"200\"", limit_order("100.000000000001", "2"), false),
        ("max_notional = \"200\"", limit_order("200.000000000001", "0.999999999999"), true),
        ("max_notional = \"0.000000000001\"", limit_order("0.000001", "0.0000001"), true),
        // The price of a market order bounds nothing.
        ("max_notional = \"200\"", market.clone(), false),
        ("max_notional = \"200\"\nmax_quantity = \"2\"", market.clone(), true),
        ("max_notional = \"200\"\nmax_quantity = \"1.9\"", market.clone(), false),
        ("max_notional_day = \"1000\"\nmax_quantity = \"2\"", market.clone(), false),
        ("max_notional = \"200\"", quote("200"), true),
        ("max_notional = \"200\"", quote("200.01"), false),
        ("max_notional = \"200\"\nmax_quantity = \"1\"", quote("200"), true),
        ("max_quantity = \"1\"", quote("200"), false),
        // A type that is not there may be any.
        ("max_notional = \"200\"", Order { kind: None, ..order.clone() }, false),
        ("max_notional = \"200\"", Order { kind: Some("optimal_limit_ioc".into()), ..order.clone() }, false),
        ("max_notional = \"200\"", Order { kind: Some("post_only".into()), ..order.clone() }, true),
        ("max_notional = \"200\"", Order { kind: Some("limit\u{0}".into()), ..order.clone() }, false),
        ("max_notional = \"200\"", Order { kind: Some("l\u{ef}imit".into()), ..order.clone() }, false),
        ("max_notional = \"200\"", Order { kind: Some("limit,market".into()), ..order.clone() }, false),
        // Nothing is not little.
        ("max_notional = \"200\"", limit_order("0", "2"), false),
        ("max_notional = \"200\"", limit_order("100", "0.0"), false),
        ("max_quantity = \"2\"", limit_order("100", "0"), false),
        // The higher of price and trigger.
        (
            "max_notional = \"200\"",
            Order { kind: Some("stop-limit".into()), stop: Some("101".into()), ..order.clone() },
            false,
        ),
        (
            "max_notional = \"200\"",
            Order { kind: Some("stop-limit".into()), stop: Some("99".into()), ..order.clone() },
            true,
        ),
        // Contracts are no currency, but they can be counted.
        ("max_notional = \"200\"", Order { contracts: true, ..order.clone() }, false),
        ("max_quantity = \"2\"", Order { contracts: true, ..order.clone() }, true),
        ("max_quantity = \"2\"\nmax_notional = \"1\"", Order { contracts: true, ..order.clone() }, true),
        // Two sizes: the larger, if there is a price to compare; else neither.
        ("max_notional = \"200\"", Order { quote_quantity: Some("201".into()), ..order.clone() }, false),
        ("max_notional = \"201\"", Order { quote_quantity: Some("201".into()), ..order.clone() }, true),
        ("max_notional = \"201\"", Order { quote_quantity: Some("1".into()), ..market.clone() }, false),
        // One number, one reading.
        ("max_notional = \"2000\"", limit_order("1e2", "2"), false),
        ("max_notional = \"2000\"", limit_order("+100", "2"), false),
        ("max_notional = \"2000\"", limit_order("-100", "2"), false),
        ("max_notional = \"2000\"", limit_order("1_00", "2"), false),
        ("max_notional = \"2000\"", limit_order("100.", "2"), false),
        ("max_notional = \"2000\"", limit_order(".5", "2"), false),
        ("max_notional = \"2000\"", limit_order(" 100", "2"), false),
        ("max_notional = \"2000\"", limit_order("0x10", "2"), false),
        ("max_notional = \"2000\"", limit_order("١", "2"), false),
        ("max_notional = \"2000\"", limit_order("1.0000000000001", "2"), false),
        ("max_notional = \"2000\"", limit_order("1000000000000000", "2"), false),
        ("max_notional = \"999999999999999\"", limit_order("999999999999999", "999999999999999"), false),
        ("max_open_orders = 3", order, false),
    ] {
        assert_eq!(allows(limits, &order), allowed, "{limits} {order:?}");
    }
}

#[test]
fn checks_every_member_of_a_batch_and_charges_the_sum() {
    let day = with("max_notional = \"100\"\nmax_notional_day = \"250\"\nsymbols = [\"BTCUSDT\"]");
    let order = || limit_order("50", "2");
    assert!(Asked::trade([order(), order()]).verdict(&day).is_ok());
    let (notional, limit) = ("300".parse().unwrap(), "250".parse().unwrap());
    assert_eq!(Asked::trade([order(), order(), order()]).verdict(&day), Err(Reason::Day { notional, limit }));
    let other = Order { symbol: Some("ETHUSDT".into()), ..order() };
    assert!(Asked::trade([order(), other.clone()]).verdict(&day).is_err());
    assert!(Asked::trade([other, order()]).verdict(&day).is_err());
    assert!(Asked::trade([order(), limit_order("101", "1")]).verdict(&day).is_err());
    // A member that cancels needs that action, and is not measured.
    let cancel = Order { action: Action::Cancel, symbol: None, price: None, quantity: None, ..order() };
    assert!(Asked::trade([order(), cancel.clone()]).verdict(&day).is_ok());
    let only = policy("[[grant]]\nid = \"t\"\nto = \"user:1000\"\nallow = [\"trade\"]");
    assert_eq!(
        Asked::trade([order(), cancel]).verdict(&only),
        Err(Reason::Member { action: Action::Cancel })
    );
}

#[test]
fn denies_what_it_cannot_read() {
    let unread = |why| Asked {
        orders: Err(Unreadable { field: "price".to_owned(), why }),
        ..Asked::new(Action::Trade)
    };
    for limits in ["symbols = [\"*\"]", "sides = [\"buy\", \"sell\"]", "max_quantity = \"1\""] {
        let denied = unread("is odd").verdict(&with(limits)).unwrap_err().to_string();
        assert_eq!(
            denied,
            "an order in it cannot be read: `price` is odd; write it as the venue documents it"
        );
        // No order at all is one that cannot be read.
        assert!(Asked::new(Action::Trade).verdict(&with(limits)).is_err(), "{limits}");
        let unknown =
            policy(&format!("[[grant]]\nid = \"g\"\nto = \"user:1000\"\nallow = [\"*\"]\n{limits}"));
        assert!(Asked::new(Action::Unknown).verdict(&unknown).is_err(), "{limits}");
    }
    // Without a limit there is nothing to read.
    assert!(unread("is odd").verdict(&with("")).is_ok());
    // A list whose members do not say what they do needs every action, and is what a denial of one means.
    const LIST: &str = "is not the list of orders that this endpoint takes";
    let grant = |allow| format!("[[grant]]\nid = \"g\"\nto = \"user:1000\"\nallow = [{allow}]\n");
    assert!(unread(LIST).verdict(&policy(&grant("\"trade\", \"cancel\""))).is_err());
    assert!(unread(LIST).verdict(&policy(&grant("\"*\""))).is_ok());
    let never = "[[grant]]\nid = \"never\"\nto = \"user:1000\"\ndeny = [\"cancel\"]\n";
    assert!(unread(LIST).verdict(&policy(&(grant("\"*\"") + never))).is_err());
}
