//! Action tables: what requests do, what their orders are, and what a signature could be used for besides.

#![expect(clippy::expect_used, reason = "a test may stop at the first surprise")]

use strongroom_venues::{
    Action, Body, Order, Param, Profile, Request, Side, Unreadable, builtin, builtin_profiles,
};

fn profile(id: &str) -> Profile {
    builtin(id).expect("shipped").expect("compiles")
}

fn request<'a>(
    method: &'a str,
    path: &'a str,
    query: &'a [(&'a str, &'a str)],
    body: &'a str,
) -> Request<'a> {
    let query = query.iter().map(|(name, value)| (*name, Param::Text(value))).collect();
    let body = if body.is_empty() { Body::Empty } else { Body::Json(body.as_bytes()) };
    Request { method, path, query, body }
}

/// Symbol, side, type, quantity, quote quantity, price and stop, with `-` for what is not there.
fn shown(order: &Order<'_>) -> String {
    let text = |field: &Option<std::borrow::Cow<'_, str>>| field.as_deref().unwrap_or("-").to_owned();
    let side = order.side.map_or("-", Side::name);
    let contracts = if order.contracts { " contracts" } else { "" };
    format!(
        "{} {} {side} {} {} {} {} {}{contracts}",
        order.action,
        text(&order.symbol),
        text(&order.kind),
        text(&order.quantity),
        text(&order.quote_quantity),
        text(&order.price),
        text(&order.stop)
    )
}

fn orders(id: &str, request: &Request<'_>) -> Result<Vec<String>, Unreadable> {
    let profile = profile(id);
    let plan = profile.plan(request).expect("planned");
    plan.orders().map(|orders| orders.iter().map(shown).collect())
}

#[test]
fn reads_the_orders_of_every_kind_of_venue() {
    for (id, path, body, expected) in [(
        "binance",
        "/api/v3/order",
        r#"{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","quantity":"0.001","price":"61234.50"}"#,
        &["trade BTCUSDT buy LIMIT 0.001 - 61234.50 -"][..],
    )] {
        let found = orders(id, &request("POST", path, &[], body));
        let expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(found, Ok(expected), "{id} {path} {body}");
    }
}

#[test]
fn says_what_requests_do() {
    for (id, method, path, action, rule) in [
        ("binance", "GET", "/api/v3/account", Action::Read, "read-1"),
        ("binance", "POST", "/api/v3/order", Action::Trade, "trade-1"),
        ("binance", "POST", "/sapi/v1/capital/withdraw/apply", Action::Transfer, "transfer-1"),
        ("kraken", "POST", "/0/private/Nothing", Action::Unknown, "unknown"),
    ] {
        assert_eq!(profile(id).actions().classify(method, path), (action, rule), "{id} {method} {path}");
    }
}

#[test]
fn compiles_every_table() {
    for (id, _) in builtin_profiles() {
        let profile = profile(id);
        let empty = ["bitfinex1", "bittrex1", "poloniex-legacy"].contains(id);
        assert_eq!(profile.actions().rules().is_empty(), empty, "{id}");
    }
}
