//! Action tables: what requests do, what their orders are, and what a signature could be used for besides.

#![expect(clippy::expect_used, reason = "a test may stop at the first surprise")]

#[path = "actions/orders.rs"]
mod orders;

use strongroom_venues::{Action, Binds, Body, Param, Profile, Request, builtin, builtin_profiles};

fn profile(id: &str) -> Profile {
    builtin(id).expect("shipped").expect("compiles")
}

/// A request with `query` as pairs and, if `body` is not empty, a JSON body.
fn request<'a>(method: &'a str, path: &'a str, query: &'a str, body: &'a str) -> Request<'a> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = pairs.map(|(name, value)| (name, Param::Text(value))).collect();
    let body = if body.is_empty() { Body::Empty } else { Body::Json(body.as_bytes()) };
    Request { method, path, query, body }
}

/// Here it is not the path that says what a request does: see `hyperliquid.rs`.
const BY_ACTION: &str = "hyperliquid";
/// Profiles without an action table.
const WITHOUT: [&str; 2] = ["bittrex1", "poloniex-legacy"];

#[test]
fn says_what_requests_do() {
    for (id, order, cancel, withdraw, session) in ENDPOINTS {
        let profile = profile(id);
        let wanted = [
            (Action::Trade, order),
            (Action::Cancel, cancel),
            (Action::Transfer, withdraw),
            (Action::Session, session),
        ];
        for (action, endpoint) in wanted {
            if let Some((method, path)) = endpoint.split_once(' ') {
                let (found, rule) = profile.actions().classify(method, path);
                assert_eq!(found, action, "{id} {endpoint}: {rule}");
                assert!(rule.starts_with(action.name()), "{rule}");
            }
        }
        assert_eq!(profile.actions().classify("PATCH", "/no/such/endpoint"), (Action::Unknown, "unknown"));
    }
    for (id, _) in builtin_profiles() {
        let rules = profile(id).actions().rules().len();
        assert_eq!(rules == 0, WITHOUT.contains(id), "{id} has {rules} rules");
        let listed = ENDPOINTS.iter().any(|(known, ..)| known == id);
        assert_eq!(listed, !WITHOUT.contains(id) && *id != BY_ACTION, "{id}");
    }
}

/// Profile; an order, a cancellation, a withdrawal, and what hands out a session, where there is one.
const ENDPOINTS: &[(&str, &str, &str, &str, &str)] = &[
    ("bitfinex1", "POST /v1/order/new/multi", "POST /v1/order/cancel/all", "POST /v1/withdraw", ""),
    (
        "ascendex",
        "POST /7/api/pro/v1/cash/order",
        "DELETE /7/api/pro/v1/cash/order/all",
        "POST /7/api/pro/v1/transfer",
        "",
    ),
    ("backpack", "POST /api/v1/order", "DELETE /api/v1/orders", "POST /wapi/v1/capital/withdrawals", ""),
    (
        "binance",
        "POST /api/v3/order",
        "DELETE /api/v3/openOrders",
        "POST /sapi/v1/capital/withdraw/apply",
        "POST /api/v3/userDataStream",
    ),
    (
        "binance-ws",
        "POST /ws-api/v3/order.place",
        "POST /ws-api/v3/openOrders.cancelAll",
        "POST /sapi/v1/capital/withdraw/apply",
        "POST /ws-api/v3/userDataStream.subscribe.signature",
    ),
    (
        "binanceus",
        "POST /api/v3/order",
        "DELETE /api/v3/openOrders",
        "POST /sapi/v1/capital/withdraw/apply",
        "POST /api/v3/userDataStream",
    ),
    (
        "binance-ed25519",
        "POST /api/v3/order",
        "DELETE /api/v3/openOrders",
        "POST /sapi/v1/capital/withdraw/apply",
        "POST /api/v3/userDataStream",
    ),
    (
        "binance-rsa",
        "POST /api/v3/order",
        "DELETE /api/v3/openOrders",
        "POST /sapi/v1/capital/withdraw/apply",
        "POST /api/v3/userDataStream",
    ),
    (
        "binancecoinm",
        "POST /dapi/v1/order",
        "DELETE /dapi/v1/allOpenOrders",
        "POST /sapi/v1/capital/withdraw/apply",
        "POST /dapi/v1/listenKey",
    ),
    (
        "binanceusdm",
        "POST /fapi/v1/order",
        "DELETE /fapi/v1/allOpenOrders",
        "POST /sapi/v1/capital/withdraw/apply",
        "PUT /fapi/v1/listenKey",
    ),
    (
        "bingx",
        "POST /openApi/swap/v2/trade/order",
        "DELETE /openApi/swap/v2/trade/order",
        "POST /openApi/wallets/v1/capital/withdraw/apply",
        "POST /openApi/user/auth/userDataStream",
    ),
    (
        "bitfinex",
        "POST /v2/auth/w/order/multi",
        "POST /v2/auth/w/order/cancel/multi",
        "POST /v2/auth/w/withdraw",
        "POST /v2/auth/w/token",
    ),
    (
        "bitget",
        "POST /api/v2/spot/trade/batch-cancel-replace-order",
        "POST /api/v2/spot/trade/batch-cancel-order",
        "POST /api/v2/spot/wallet/cancel-withdrawal",
        "",
    ),
    ("bithumb", "POST /v2/orders", "DELETE /v2/order", "POST /v1/withdraws/coin", ""),
    ("bithumb-legacy", "POST /trade/place", "POST /trade/cancel", "POST /trade/btc_withdrawal", ""),
    ("bitmex", "PUT /api/v1/order", "DELETE /api/v1/order/all", "POST /api/v1/user/requestWithdrawal", ""),
    (
        "bitstamp",
        "POST /api/v2/buy/market/btcusd/",
        "POST /api/v2/cancel_all_orders/",
        "POST /api/v2/btc_withdrawal/",
        "POST /api/v2/websockets_token/",
    ),
    ("bittrex", "POST /v3/orders", "DELETE /v3/orders/open", "POST /v3/withdrawals", ""),
    ("bitvavo", "PUT /v2/order", "DELETE /v2/orders", "POST /v2/withdrawal", ""),
    ("bybit", "POST /v5/order/amend", "POST /v5/order/cancel-all", "POST /v5/asset/withdraw/create", ""),
    ("bybit-rsa", "POST /v5/order/amend", "POST /v5/order/cancel-all", "POST /v5/asset/withdraw/create", ""),
    (
        "coinbase",
        "POST /api/v3/brokerage/orders",
        "POST /api/v3/brokerage/orders/batch_cancel",
        "POST /v2/accounts/7/transactions",
        "",
    ),
    (
        "coinbase-eddsa",
        "POST /api/v3/brokerage/orders",
        "POST /api/v3/brokerage/orders/batch_cancel",
        "POST /v2/accounts/7/transactions",
        "",
    ),
    (
        "coinbase-legacy",
        "POST /api/v3/brokerage/orders",
        "POST /api/v3/brokerage/orders/batch_cancel",
        "POST /v2/accounts/7/transactions",
        "",
    ),
    ("coinbaseexchange", "POST /orders", "DELETE /orders/7", "POST /withdrawals/crypto", ""),
    (
        "coinex",
        "POST /v2/spot/modify-order",
        "POST /v2/spot/cancel-order",
        "POST /v2/account/subs/transfer",
        "",
    ),
    (
        "coinex-hmac",
        "POST /v2/spot/modify-order",
        "POST /v2/spot/cancel-order",
        "POST /v2/account/subs/transfer",
        "",
    ),
    (
        "cryptocom",
        "POST /exchange/v1/private/amend-order",
        "POST /exchange/v1/private/cancel-all-orders",
        "POST /exchange/v1/private/create-withdrawal",
        "",
    ),
    (
        "deribit",
        "GET /api/v2/private/buy",
        "GET /api/v2/private/cancel_all",
        "GET /api/v2/private/cancel_withdrawal",
        "GET /api/v2/public/auth",
    ),
    (
        "gate",
        "POST /api/v4/futures/usdt/orders",
        "DELETE /api/v4/spot/orders",
        "POST /api/v4/withdrawals",
        "",
    ),
    ("gemini", "POST /v1/order/new", "POST /v1/order/cancel/all", "POST /v1/withdraw/btc", ""),
    (
        "htx",
        "POST /v1/order/orders/place",
        "POST /v1/order/orders/7/submitcancel",
        "POST /v1/dw/withdraw/api/create",
        "",
    ),
    (
        "kraken",
        "POST /0/private/AmendOrder",
        "POST /0/private/CancelAll",
        "POST /0/private/Withdraw",
        "POST /0/private/GetWebSocketsToken",
    ),
    (
        "krakenfutures",
        "POST /derivatives/api/v3/batchorder",
        "POST /derivatives/api/v3/cancelallorders",
        "POST /derivatives/api/v3/withdrawal",
        "",
    ),
    (
        "kucoin",
        "POST /api/v1/hf/orders",
        "DELETE /api/v1/orders",
        "POST /api/v3/withdrawals",
        "POST /api/v1/bullet-private",
    ),
    (
        "kucoinfutures",
        "POST /api/v1/orders",
        "DELETE /api/v1/orders",
        "POST /api/v3/transfer-out",
        "POST /api/v1/bullet-private",
    ),
    (
        "lbank",
        "POST /v2/supplement/create_order.do",
        "POST /v2/supplement/cancel_order.do",
        "POST /v2/supplement/withdraw.do",
        "POST /v2/subscribe/get_key.do",
    ),
    (
        "lbank-rsa",
        "POST /v2/supplement/create_order.do",
        "POST /v2/supplement/cancel_order.do",
        "POST /v2/supplement/withdraw.do",
        "POST /v2/subscribe/get_key.do",
    ),
    (
        "mexc",
        "POST /api/v3/batchOrders",
        "DELETE /api/v3/openOrders",
        "POST /api/v3/capital/withdraw",
        "POST /api/v3/userDataStream",
    ),
    (
        "okx",
        "POST /api/v5/trade/amend-order",
        "POST /api/v5/rfq/cancel-rfq",
        "POST /api/v5/asset/withdrawal",
        "",
    ),
    (
        "phemex",
        "PUT /g-orders/create",
        "DELETE /g-orders/all",
        "POST /phemex-withdraw/wallets/api/createWithdraw",
        "",
    ),
    ("poloniex", "POST /orders", "DELETE /orders", "POST /v2/wallets/withdraw", ""),
    ("upbit", "POST /v1/orders/cancel_and_new", "DELETE /v1/order", "POST /v1/withdraws/coin", ""),
    (
        "whitebit",
        "POST /api/v4/order/collateral/limit",
        "POST /api/v4/order/cancel/all",
        "POST /api/v4/main-account/withdraw",
        "POST /api/v4/profile/websocket_token",
    ),
    (
        "woo",
        "POST /v3/trade/order",
        "DELETE /v1/orders",
        "POST /v1/asset/withdraw",
        "POST /v3/account/listenKey",
    ),
    ("xt", "PUT /v4/order/7", "DELETE /v4/open-order", "POST /v4/withdraw", "POST /v4/ws-token"),
];

#[test]
fn keeps_apart_what_looks_alike() {
    for (id, method, path, action) in [
        ("bitget", "POST", "/api/v2/spot/trade/cancel-replace-order", Action::Trade),
        ("bitget", "POST", "/api/v3/trade/cancel-replace-order", Action::Trade),
        ("okx", "POST", "/api/v5/rfq/cancel-all-after", Action::Config),
        ("deribit", "GET", "/api/v2/private/get_subaccounts", Action::Read),
        ("deribit", "GET", "/api/v2/private/remove_subaccount", Action::Admin),
        ("bybit", "POST", "/v5/position/move-positions", Action::Transfer),
        ("bybit", "POST", "/v5/position/set-leverage", Action::Config),
        ("bybit", "GET", "/v5/user/del-submember", Action::Admin),
        ("whitebit", "POST", "/api/v4/sub-account/transfer", Action::Transfer),
        ("whitebit", "POST", "/api/v4/sub-account/transfer/history", Action::Read),
        ("coinex", "POST", "/v2/account/subs", Action::Admin),
        ("gemini", "POST", "/v1/Order/New", Action::Trade),
        ("gemini", "POST", "/v1/orders/history", Action::Read),
        ("gemini", "POST", "/v1/approvedAddresses/account/ethereum", Action::Read),
        ("gemini", "POST", "/v1/approvedAddresses/ethereum/request", Action::Admin),
        ("gemini", "POST", "/v1/payments/addbank/cad", Action::Admin),
        ("gemini", "POST", "/v1/prediction-markets/combos", Action::Config),
        ("bitfinex", "POST", "/v2/auth/w/token/del", Action::Session),
        ("bitfinex1", "POST", "/v1/order/cancel/replace", Action::Trade),
        ("bitfinex1", "POST", "/v1/offer/new", Action::Transfer),
        ("bitfinex1", "POST", "/v1/orders/hist", Action::Read),
        ("bitmex", "GET", "/api/v1/address", Action::Read),
        ("bitmex", "POST", "/api/v1/address", Action::Admin),
        ("bitmex", "GET", "/api/v1/user/unstakingRequests", Action::Read),
        ("bitmex", "DELETE", "/api/v1/user/unstakingRequests", Action::Transfer),
        ("bitmex", "DELETE", "/api/v1/user/withdrawal", Action::Transfer),
        ("bitmex", "POST", "/api/v1/user/positionMode", Action::Config),
        ("bitmex", "POST", "/api/v1/trading-bots/instances/7/resume", Action::Trade),
        ("kraken", "POST", "/0/private/RetrieveExport", Action::Read),
        ("kraken", "POST", "/0/private/RemoveExport", Action::Admin),
        ("kraken", "POST", "/0/private/ExportAll", Action::Unknown),
        ("kraken", "GET", "/funding/v1/withdrawals", Action::Read),
        ("kraken", "POST", "/funding/v1/withdrawals", Action::Transfer),
        ("kraken", "DELETE", "/funding/v1/addresses/7", Action::Admin),
        ("kraken", "GET", "/funding/v1/limits/withdrawal/currency/USDC", Action::Read),
        ("krakenfutures", "POST", "/derivatives/api/v3/orders/status", Action::Read),
        ("woo", "POST", "/v1/order/cancel_all_after", Action::Config),
        ("woo", "DELETE", "/v3/merge/orders/pending/SPOT_BTC_USDT", Action::Cancel),
        ("woo", "POST", "/v3/asset/withdraw", Action::Transfer),
        ("xt", "POST", "/v4/batch-order", Action::Trade),
        ("xt", "DELETE", "/v4/batch-order", Action::Cancel),
        ("xt", "POST", "/future/trade/v2/order/atomic-create-batch", Action::Trade),
        ("bitstamp", "POST", "/api/v2/BUY/btcusd/", Action::Trade),
    ] {
        assert_eq!(profile(id).actions().classify(method, path).0, action, "{id} {method} {path}");
    }
}

/// A whole JSON-RPC call in the body names its method itself, and the path says something else.
#[test]
fn takes_no_path_for_what_a_call_of_json_rpc_does() {
    let profile = profile("deribit");
    let action = |method: &'static str, body: Body<'static>| {
        let request = Request { method, path: "/api/v2/private/get_positions", query: Vec::new(), body };
        profile.plan(&request).unwrap().classified().action
    };
    let call = br#"{"jsonrpc":"2.0","id":1,"method":"private/withdraw","params":{"currency":"BTC"}}"#;
    for method in ["GET", "POST"] {
        assert_eq!(action(method, Body::Json(call)), Action::Admin, "{method}");
        assert_eq!(action(method, Body::Json(br#"{"currency":"BTC"}"#)), Action::Read, "{method}");
        assert_eq!(action(method, Body::Empty), Action::Read, "{method}");
    }
}

/// Where every call is a POST, nothing is read only because no other rule fits.
#[test]
fn reads_by_post_only_what_is_listed() {
    use Action::{Config, Read, Trade};
    for (id, path, action) in [
        ("whitebit", "/api/v4/collateral-account/position/close", Trade),
        ("whitebit", "/api/v4/collateral-account/hedge-mode/update", Config),
        ("whitebit", "/api/v4/collateral-account/hedge-mode", Read),
        ("whitebit", "/api/v4/trade-account/balance", Read),
        ("bitstamp", "/api/v2/close_position/", Trade),
        ("bitstamp", "/api/v2/close_positions/", Trade),
        ("bitstamp", "/api/v2/adjust_position_collateral/", Config),
        ("bitstamp", "/api/v2/leverage_settings/", Config),
        ("bitstamp", "/api/v2/open_orders/all/", Read),
        ("bitstamp", "/api/v2/user_transactions/", Read),
        ("gemini", "/v1/balances", Read),
        ("lbank", "/v2/supplement/user_info.do", Read),
    ] {
        assert_eq!(profile(id).actions().classify("POST", path).0, action, "{id} {path}");
    }
    for (id, _) in builtin_profiles() {
        for start in ["/", "/api/", "/api/v1/", "/api/v2/", "/api/v4/", "/v1/", "/v2/", "/v5/", "/sapi/v1/"] {
            let path = format!("{start}no_such_endpoint/close");
            let found = profile(id).actions().classify("POST", &path).0;
            assert_ne!(found, Read, "{id} {path}");
        }
    }
}

/// Where GET and POST share one signature, a catch-all for GET would let a POST pass for a read.
#[test]
fn reads_only_what_is_listed_where_the_method_is_not_signed() {
    for (id, _) in builtin_profiles() {
        let profile = profile(id);
        let table = profile.actions();
        if table.rules().is_empty() || table.binds(Action::Read).method {
            continue;
        }
        for start in [
            "",
            "/api/v3",
            "/api/v1",
            "/openApi",
            "/v1",
            "/v2",
            "/v3",
            "/v5",
            "/sapi/v1",
            "/fapi/v1",
            "/exchange",
            "/7/api/pro/v1",
            "/future/user/v1",
            "/api/history",
        ] {
            for end in ["no_such_endpoint", "no/such/endpoint", "account/no_such_endpoint"] {
                let path = format!("{start}/{end}");
                let found = table.classify("GET", &path);
                assert_ne!(found.0, Action::Read, "{id} {path}: {found:?}");
                if id.starts_with("binance") || ["bybit", "bingx"].contains(id) {
                    for method in ["GET", "POST", "PUT", "DELETE"] {
                        assert_eq!(table.classify(method, &path).0, Action::Unknown, "{id} {method} {path}");
                    }
                }
            }
        }
    }
    for (id, listed, other) in [
        ("binance", "/sapi/v1/sub-account/list", "/sapi/v1/sub-account/lists"),
        ("bybit", "/v5/account/info", "/v5/account/info/x"),
        ("mexc", "/api/v3/account", "/api/v4/account"),
        ("phemex", "/g-orders/activeList", "/g-orders"),
        ("ascendex", "/7/api/pro/v1/margin/order/open", "/7/api/pro/v1/margin/order"),
        ("bithumb-legacy", "/v1/accounts", "/info/balance"),
        ("krakenfutures", "/api/history/v2/executions", "/api/history/v9/executions"),
        ("xt", "/future/user/v1/balance/list", "/future/user/v1/user/listen-key"),
    ] {
        assert_eq!(profile(id).actions().classify("GET", listed).0, Action::Read, "{id} {listed}");
        assert_ne!(profile(id).actions().classify("GET", other).0, Action::Read, "{id} {other}");
    }
}

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

#[test]
fn names_what_the_caller_gave() {
    let profile = profile("okx");
    let request = request("POST", "/api/v5/trade/batch-orders", "a=1", r#"[{"b":1},{"c":{"d":1}}]"#);
    let plan = profile.plan(&request).expect("planned");
    assert_eq!(plan.names().collect::<Vec<_>>(), ["a", "b", "c"]);
}
