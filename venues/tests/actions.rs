//! Action tables: what requests do, what their orders are, and what a signature could be used for besides.

#![expect(clippy::expect_used, reason = "a test may stop at the first surprise")]

#[path = "actions/orders.rs"]
mod orders;
#[path = "actions/reads.rs"]
mod reads;
#[path = "actions/signatures.rs"]
mod signatures;

use strongroom_venues::{Action, Body, Param, Profile, Request, builtin, builtin_profiles};

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
const BY_ACTION: [&str; 2] = ["hyperliquid", "hyperliquid-agent"];
/// Profiles without an action table.
const WITHOUT: [&str; 1] = ["poloniex-legacy"];

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
        assert_eq!(listed, !WITHOUT.contains(id) && !BY_ACTION.contains(id), "{id}");
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
    (
        "bittrex1",
        "GET /api/v1.1/market/selllimit",
        "GET /api/v1.1/market/cancel",
        "GET /api/v1.1/account/withdraw",
        "",
    ),
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
    ("upbit-hs512", "POST /v1/orders/cancel_and_new", "DELETE /v1/order", "POST /v1/withdraws/coin", ""),
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
        ("bitget", "POST", "/api/v3/broker/create-sub-apikey", Action::Admin),
        ("bitget", "POST", "/api/v3/broker/sub-withdrawal", Action::Transfer),
        ("bitget", "POST", "/api/v2/broker/account/subaccount-withdrawal", Action::Transfer),
        ("bitget", "POST", "/api/v2/no/such/endpoint", Action::Unknown),
        ("bingx", "POST", "/openApi/account/transfer/v1/subAccount/transferAsset", Action::Transfer),
        ("mexc", "POST", "/api/v3/broker/sub-account/universalTransfer", Action::Transfer),
        ("mexc", "POST", "/api/v3/broker/sub-account/apiKey", Action::Admin),
        ("gate", "POST", "/api/v4/no/such/endpoint", Action::Unknown),
        ("kucoin", "POST", "/api/v1/no/such/endpoint", Action::Unknown),
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
        ("backpack", "POST", "/api/v1/vault/mint", Action::Transfer),
        ("backpack", "DELETE", "/api/v1/vault/redeem", Action::Transfer),
        ("backpack", "GET", "/api/v1/vault/redeems/pending", Action::Read),
        ("backpack", "POST", "/api/v1/rfq/refresh", Action::Trade),
        ("backpack", "DELETE", "/api/v1/strategies", Action::Cancel),
        ("backpack", "POST", "/wapi/v1/user/2fa", Action::Admin),
        ("bittrex", "POST", "/v3/batch", Action::Trade),
        ("bittrex1", "GET", "/api/v1.1/account/getbalance", Action::Read),
        ("cryptocom", "POST", "/exchange/v1/private/advanced/create-otoco", Action::Trade),
        ("cryptocom", "POST", "/exchange/v1/private/advanced/amend-order", Action::Trade),
        ("cryptocom", "POST", "/exchange/v1/private/advanced/cancel-all-orders", Action::Cancel),
        ("cryptocom", "POST", "/exchange/v1/private/otc/request-deal", Action::Trade),
        ("cryptocom", "POST", "/exchange/v1/private/otc/request-quote", Action::Read),
        ("cryptocom", "POST", "/exchange/v1/private/fiat/fiat-create-bank-account", Action::Admin),
        ("cryptocom", "POST", "/exchange/v1/private/change-account-settings", Action::Config),
        ("ascendex", "POST", "/7/api/pro/v1/margin/risk", Action::Read),
        ("ascendex", "GET", "/api/pro/data/v1/cash/balance/snapshot", Action::Read),
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
        // A list of calls has no one method.
        let calls = br#"[{"method":"private/get_positions"},{"method":"private/withdraw"}]"#;
        assert_eq!(action(method, Body::Json(calls)), Action::Unknown, "{method}");
    }
}

#[test]
fn names_what_the_caller_gave() {
    let profile = profile("okx");
    let request = request("POST", "/api/v5/trade/batch-orders", "a=1", r#"[{"b":1},{"c":{"d":1}}]"#);
    let plan = profile.plan(&request).expect("planned");
    assert_eq!(plan.names().collect::<Vec<_>>(), ["a", "b", "c"]);
}
