//! What else a signature could be used for: what it binds, and what could be cut anew.

use strongroom_venues::{Action, Binds, Body, Param, Request};

use super::{profile, request};

#[test]
fn says_for_what_else_a_signature_would_do() {
    const WITHDRAWAL: &str = "coin=BTC&address=x&amount=1";
    use Action::{Cancel, Read, Trade, Transfer};
    for (id, method, path, query, body, action, stands_in) in [
        ("binance", "GET", "/api/v3/account", "", "", Read, &[][..]),
        ("binance", "GET", "/api/v3/account", WITHDRAWAL, "", Read, &[Transfer][..]),
        ("binance", "GET", "/api/v3/account", "Acoin=BTC&address=x&amount=1", "", Read, &[Transfer]),
        ("binance", "GET", "/api/v3/openOrders", "symbol=A", "", Read, &[Cancel]),
        (
            "binance",
            "POST",
            "/api/v3/order",
            "",
            r#"{"symbol":"A","side":"BUY","type":"MARKET"}"#,
            Trade,
            &[Cancel],
        ),
        ("binance", "GET", "/api/v3/order", "symbol=A&side=BUY&type=MARKET", "", Read, &[Cancel, Trade]),
        (
            "bybit",
            "POST",
            "/v5/order/create",
            "",
            r#"{"category":"spot","coin":"A","address":"x","amount":"1"}"#,
            Trade,
            &[Cancel, Transfer],
        ),
        ("bybit", "GET", "/v5/order/realtime", "category=spot&coin=A&address=x&amount=1", "", Read, &[]),
        ("upbit", "GET", "/v1/orders", "currency=BTC&address=x&amount=1", "", Read, &[Transfer]),
        ("kraken", "POST", "/0/private/Balance", "", r#"{"asset":"A","key":"x","amount":"1"}"#, Read, &[]),
        // The path's query is never signed like a withdrawal's JSON, though the method is free.
        ("kraken", "GET", "/funding/v1/withdrawals", "scope=a&amount=1", "", Read, &[]),
        ("woo", "GET", "/v1/asset/deposit", "token=BTC", "", Read, &[]),
        ("woo", "GET", "/v1/asset/deposit", "token=BTC&address=x&amount=1", "", Read, &[Transfer]),
        (
            "woo",
            "GET",
            "/v1/asset/history",
            "balance_token=BTC&target_user_id=7&amount=1",
            "",
            Read,
            &[Transfer],
        ),
        ("woo", "GET", "/v1/positions", "leverage=50", "", Read, &[Action::Config]),
        (
            "okx",
            "POST",
            "/api/v5/trade/order",
            "",
            r#"{"ccy":"A","amt":"1","dest":"4","toAddr":"x"}"#,
            Trade,
            &[],
        ),
        ("binance", "POST", "/api/v3/userDataStream", "", "", Action::Session, &[]),
    ] {
        let profile = profile(id);
        let request = request(method, path, query, body);
        let plan = profile.plan(&request).expect("planned");
        let found = plan.classified();
        assert_eq!(
            (found.action, found.stands_in.as_slice()),
            (action, stands_in),
            "{id} {path} {query} {body}"
        );
        let reads = plan.orders();
        assert_eq!(
            reads.is_err() && action != Trade,
            stands_in.contains(&Trade),
            "{id} {path} {query}: {reads:?}"
        );
    }
}

#[test]
fn says_what_signatures_bind() {
    let bound = |method, path, query, body| Binds { method, path, query, body };
    for (id, action, expected) in [
        ("okx", Action::Trade, Binds::ALL),
        ("binance", Action::Trade, bound(false, false, true, true)),
        ("kraken", Action::Trade, bound(false, true, true, true)),
        ("coinbase", Action::Trade, bound(true, true, false, false)),
        ("htx", Action::Trade, bound(true, true, true, false)),
        ("htx", Action::Read, bound(true, true, true, false)),
        ("ascendex", Action::Trade, bound(false, true, false, false)),
        ("coinbase-legacy", Action::Trade, Binds::ALL),
    ] {
        assert_eq!(profile(id).actions().binds(action), expected, "{id} {action}");
    }
}

/// The venues of which `covers.rs` finds that their parameters can be cut anew.
#[test]
fn marks_values_that_could_be_cut_anew() {
    for (id, path, place) in [
        ("bingx", "/openApi/spot/v1/trade/order", "query"),
        ("bitget", "/api/v2/spot/trade/orderInfo", "query"),
        ("gate", "/api/v4/spot/orders", "query"),
        ("lbank", "/v2/supplement/create_order.do", "body"),
        ("upbit", "/v1/orders", "body"),
        ("xt", "/v4/order", "query"),
        ("cryptocom", "/exchange/v1/private/create-order", "body"),
    ] {
        let profile = profile(id);
        let one = if id == "cryptocom" { "1price9" } else { "1&price=9" };
        for (value, expected) in [("1", None), ("1-x=y", None), (one, Some("note"))] {
            let pairs = vec![("side", Param::Text("buy")), ("note", Param::Text(value))];
            let (method, query, body) = match place {
                "query" => ("GET", pairs, Body::Empty),
                _ => ("POST", Vec::new(), Body::Form(pairs)),
            };
            let request = Request { method, path, query, body };
            assert_eq!(profile.plan(&request).expect(id).recut(), expected, "{id} {value}");
        }
    }
    for (id, value, expected) in [
        ("okx", "1%26", None),
        ("okx", "1+2", None),
        ("bybit", "%42TC", Some("note")),
        ("bybit", "1+2", Some("note")),
        ("bybit", "100%", None),
    ] {
        let query = [("note", Param::Text(value))].to_vec();
        let request = Request { method: "GET", path: "/v5/order/realtime", query, body: Body::Empty };
        assert_eq!(profile(id).plan(&request).expect(id).recut(), expected, "{id} {value}");
    }
    let orders = r#"[{"symbol":"A","newClientOrderId":"x%22,%22quantity%22:%229"}]"#;
    let binance = profile("binance");
    let body = Body::Form(vec![("batchOrders", Param::Text(orders))]);
    let request = Request { method: "POST", path: "/fapi/v1/batchOrders", query: Vec::new(), body };
    let plan = binance.plan(&request).expect("planned");
    assert_eq!(plan.recut(), Some("batchOrders"));
    assert_eq!(plan.orders().expect_err("unreadable").field, "batchOrders");
    let query = vec![("note", Param::Text("1&coin=A&address=x&amount=1"))];
    let request = Request { method: "GET", path: "/openApi/spot/v1/trade/query", query, body: Body::Empty };
    let bingx = profile("bingx");
    let plan = bingx.plan(&request).expect("planned");
    assert_eq!(plan.classified().stands_in, [Action::Trade, Action::Transfer]);
}

/// Where a query is signed unescaped and right before a body, the end of it could be sent as that body.
#[test]
fn marks_queries_that_could_be_bodies() {
    const ORDER: &str = r#"{"symbol":"ETH-USDT","side":"buy","type":"market","size":"9"}"#;
    for (id, path) in [
        ("kucoin", "/api/v1/hf/orders"),
        ("kucoinfutures", "/api/v1/orders"),
        ("bitget", "/api/v2/spot/trade/place-order"),
        ("xt", "/v4/order"),
        ("coinex", "/v2/spot/order"),
        ("bybit", "/v5/order/create"),
    ] {
        for (value, expected) in [("1", None), (ORDER, Some("x")), ("[1]", Some("x"))] {
            let query = [("x", Param::Text(value))].to_vec();
            let request = Request { method: "POST", path, query, body: Body::Empty };
            assert_eq!(profile(id).plan(&request).expect(id).recut(), expected, "{id} {value}");
        }
    }
    // The control: this query is signed escaped.
    let query = [("x", Param::Text(ORDER))].to_vec();
    let request = Request { method: "POST", path: "/api/v5/trade/order", query, body: Body::Empty };
    assert_eq!(profile("okx").plan(&request).expect("planned").recut(), None);
    // A name that is, with its value, a withdrawal.
    let name = r#"{"coin":"USDT","chain":"ETH","address":"0xabc","amount":"1000","z":""#;
    let query = [(name, Param::Text("\"}"))].to_vec();
    let request = Request { method: "GET", path: "/v5/order/realtime", query, body: Body::Empty };
    let bybit = profile("bybit");
    let plan = bybit.plan(&request).expect("planned");
    assert_eq!(plan.recut(), Some(name));
    assert!(plan.classified().stands_in.contains(&Action::Transfer), "{:?}", plan.classified());
}
