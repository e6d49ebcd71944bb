//! Action tables: what requests do, what their orders are, and what a signature could be used for besides.

#![expect(clippy::expect_used, reason = "a test may stop at the first surprise")]

use strongroom_venues::{
    Action, Binds, Body, Order, Param, Profile, Request, Side, builtin, builtin_profiles,
};

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

/// Action, symbol, side, type, quantity, quote quantity, price and stop, with `-` for what is not there.
fn shown(order: &Order<'_>) -> String {
    let side = order.side.map_or("-", Side::name);
    let fields =
        [&order.symbol, &order.kind, &order.quantity, &order.quote_quantity, &order.price, &order.stop];
    let [symbol, kind, quantity, quote, price, stop] = fields.map(|field| field.as_deref().unwrap_or("-"));
    let contracts = if order.contracts { " contracts" } else { "" };
    format!("{} {symbol} {side} {kind} {quantity} {quote} {price} {stop}{contracts}", order.action)
}

/// The orders with a comma between them, or why they cannot be read.
fn orders(id: &str, request: &Request<'_>) -> String {
    let profile = profile(id);
    let plan = profile.plan(request).expect(id);
    match plan.orders() {
        Ok(orders) => orders.iter().map(shown).collect::<Vec<_>>().join(", "),
        Err(error) => format!("! {error}"),
    }
}

#[test]
fn reads_the_orders_of_every_venue() {
    for (id, path, query, body, expected) in ORDERS {
        let method = if *id == "deribit" { "GET" } else { "POST" };
        assert_eq!(orders(id, &request(method, path, query, body)), *expected, "{id} {path} {query} {body}");
    }
    for (id, _) in builtin_profiles().iter().filter(|(id, _)| !WITHOUT.contains(id)) {
        if *id == BY_ACTION {
            continue;
        }
        let like = if id.starts_with("binance") { "binance" } else { id };
        let like = if like.starts_with("coinbase-") { "coinbase" } else { like };
        let like = if like == "coinex-hmac" { "coinex" } else { like };
        let like = like.trim_end_matches("-rsa");
        let none = ["bithumb-legacy"].contains(id);
        assert!(none || ORDERS.iter().any(|(id, ..)| *id == like), "{id} has no order here");
    }
}

/// Here it is not the path that says what a request does: see `hyperliquid.rs`.
const BY_ACTION: &str = "hyperliquid";
/// Profiles without an action table.
const WITHOUT: [&str; 3] = ["bitfinex1", "bittrex1", "poloniex-legacy"];

/// Profile, path, query, body, and the orders.
const ORDERS: &[(&str, &str, &str, &str, &str)] = &[
    (
        "ascendex",
        "/7/api/pro/v1/cash/order",
        "",
        r#"{"symbol":"BTC/USDT","side":"buy","orderType":"limit","orderQty":"1","orderPrice":"9"}"#,
        "trade BTC/USDT buy limit 1 - 9 -",
    ),
    (
        "backpack",
        "/api/v1/order",
        "",
        r#"{"symbol":"BTC_USDC","side":"Bid","orderType":"Limit","quantity":"1","price":"9"}"#,
        "trade BTC_USDC buy Limit 1 - 9 -",
    ),
    (
        "backpack",
        "/api/v1/orders",
        "",
        r#"[{"symbol":"A","side":"Ask","orderType":"Limit","quantity":"1","price":"9"},{"symbol":"B","side":"Bid","orderType":"Market","quoteQuantity":"5"}]"#,
        "trade A sell Limit 1 - 9 -, trade B buy Market - 5 - -",
    ),
    (
        "binance",
        "/api/v3/order",
        "",
        r#"{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","quantity":"0.10","price":"9.5"}"#,
        "trade BTCUSDT buy LIMIT 0.10 - 9.5 -",
    ),
    (
        "binance",
        "/api/v3/order",
        "symbol=BTCUSDT&side=SELL&type=MARKET&quoteOrderQty=50",
        "",
        "trade BTCUSDT sell MARKET - 50 - -",
    ),
    (
        "binance",
        "/api/v3/order",
        "",
        r#"{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","quantity":"0.10","price":"9.5","stopPrice":9.4}"#,
        "trade BTCUSDT buy LIMIT 0.10 - 9.5 9.4",
    ),
    (
        "binance",
        "/fapi/v1/batchOrders",
        "",
        r#"{"batchOrders":"[{\"symbol\":\"A\",\"side\":\"BUY\",\"type\":\"LIMIT\",\"quantity\":\"1\",\"price\":\"9\"}]"}"#,
        "trade A buy LIMIT 1 - 9 -",
    ),
    (
        "binance",
        "/fapi/v1/batchOrders",
        "",
        r#"{"batchOrders":[{"symbol":"A","side":"SELL","type":"MARKET","quantity":1}]}"#,
        "trade A sell MARKET 1 - - -",
    ),
    (
        "binance",
        "/fapi/v1/batchOrders",
        "",
        r#"{"batchOrders":"[]"}"#,
        "! `batchOrders` is not the list of orders that this endpoint takes",
    ),
    (
        "binance",
        "/dapi/v1/order",
        "",
        r#"{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","quantity":"0.10","price":"9.5"}"#,
        "trade BTCUSDT buy LIMIT 0.10 - 9.5 - contracts",
    ),
    (
        "binance",
        "/fapi/v1/order",
        "",
        r#"{"symbol":"A","side":"SELL","type":"STOP_MARKET","closePosition":true}"#,
        "! `closePosition` changes the order in a way that the profile does not read",
    ),
    (
        "binance",
        "/api/v3/orderList/oco",
        "",
        r#"{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","quantity":"0.10","price":"9.5"}"#,
        "! `order` has no place at this endpoint, by the venue's profile",
    ),
    ("binance", "/api/v3/order", "", r#"{"symbol":"A","side":"HOLD"}"#, "! `side` is neither buy nor sell"),
    (
        "bingx",
        "/openApi/spot/v1/trade/order",
        "symbol=BTC-USDT&side=BUY&type=MARKET&quoteOrderQty=50",
        "",
        "trade BTC-USDT buy MARKET - 50 - -",
    ),
    (
        "bitfinex",
        "/v2/auth/w/order/submit",
        "",
        r#"{"type":"EXCHANGE LIMIT","symbol":"tBTCUSD","amount":"-0.5","price":"9"}"#,
        "trade tBTCUSD sell EXCHANGE LIMIT 0.5 - 9 -",
    ),
    (
        "bitfinex",
        "/v2/auth/w/order/submit",
        "",
        r#"{"type":"EXCHANGE STOP LIMIT","symbol":"tBTCUSD","amount":"0.5","price":"9","price_aux_limit":"10"}"#,
        "trade tBTCUSD buy EXCHANGE STOP LIMIT 0.5 - 10 9",
    ),
    (
        "bitfinex",
        "/v2/auth/w/order/multi",
        "",
        r#"{"ops":[["on",{"type":"LIMIT","symbol":"tA","amount":"1","price":"9"}],["oc",{"id":7}]]}"#,
        "trade tA buy LIMIT 1 - 9 -, cancel - - - - - - -",
    ),
    (
        "bitfinex",
        "/v2/auth/w/order/multi",
        "",
        r#"{"ops":[["xx",{"id":7}]]}"#,
        "! `ops` is no operation that the profile knows",
    ),
    (
        "bitget",
        "/api/v2/spot/trade/place-order",
        "",
        r#"{"symbol":"BTCUSDT","side":"buy","orderType":"market","size":"50"}"#,
        "trade BTCUSDT buy market - 50 - -",
    ),
    (
        "bitget",
        "/api/v2/spot/trade/batch-orders",
        "",
        r#"{"symbol":"A","orderList":[{"side":"buy","orderType":"limit","size":"1","price":"9"}]}"#,
        "trade A buy limit 1 - 9 -",
    ),
    (
        "bitget",
        "/api/v2/spot/trade/batch-orders",
        "",
        r#"{"symbol":"A","orderList":[{"symbol":"B","side":"buy","orderType":"limit","size":"1","price":"9"}]}"#,
        "! `symbol` has a second value under another name or in another place",
    ),
    (
        "bithumb",
        "/v2/orders",
        "",
        r#"{"market":"KRW-BTC","side":"bid","order_type":"price","price":"50000"}"#,
        "trade KRW-BTC buy price - 50000 - -",
    ),
    (
        "bitmex",
        "/api/v1/order",
        "",
        r#"{"symbol":"XBTUSD","orderQty":-100,"price":9}"#,
        "trade XBTUSD sell - 100 - 9 - contracts",
    ),
    ("bitstamp", "/api/v2/buy/btcusd/", "", r#"{"amount":"1","price":"9"}"#, "trade btcusd buy - 1 - 9 -"),
    ("bitstamp", "/api/v2/sell/market/btcusd/", "", r#"{"amount":"1"}"#, "trade btcusd sell market 1 - - -"),
    (
        "bitstamp",
        "/api/v2/buy/instant/btcusd/",
        "",
        r#"{"amount":"50"}"#,
        "trade btcusd buy instant - 50 - -",
    ),
    (
        "bittrex",
        "/v3/orders",
        "",
        r#"{"marketSymbol":"BTC-USD","direction":"BUY","type":"LIMIT","quantity":"1","limit":"9"}"#,
        "trade BTC-USD buy LIMIT 1 - 9 -",
    ),
    (
        "bitvavo",
        "/v2/order",
        "",
        r#"{"market":"BTC-EUR","side":"buy","orderType":"market","amountQuote":"50"}"#,
        "trade BTC-EUR buy market - 50 - -",
    ),
    (
        "bybit",
        "/v5/order/create",
        "",
        r#"{"category":"spot","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"1","price":"9"}"#,
        "trade BTCUSDT buy Limit 1 - 9 -",
    ),
    (
        "bybit",
        "/v5/order/create",
        "",
        r#"{"category":"spot","symbol":"BTCUSDT","side":"Buy","orderType":"Market","qty":"50"}"#,
        "trade BTCUSDT buy Market - 50 - -",
    ),
    (
        "bybit",
        "/v5/order/create",
        "",
        r#"{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Market","qty":"50","marketUnit":"quoteCoin"}"#,
        "trade BTCUSDT buy Market 50 - - -",
    ),
    (
        "bybit",
        "/v5/order/create",
        "",
        r#"{"category":"inverse","symbol":"BTCUSD","side":"Sell","orderType":"Market","qty":"50"}"#,
        "trade BTCUSD sell Market 50 - - - contracts",
    ),
    (
        "bybit",
        "/v5/order/create-batch",
        "",
        r#"{"category":"linear","request":[{"symbol":"A","side":"Buy","orderType":"Limit","qty":"1","price":"9"}]}"#,
        "trade A buy Limit 1 - 9 -",
    ),
    (
        "coinbase",
        "/api/v3/brokerage/orders",
        "",
        r#"{"product_id":"BTC-USD","side":"BUY","order_configuration":{"limit_limit_gtc":{"base_size":"1","limit_price":"9"}}}"#,
        "trade BTC-USD buy limit_limit_gtc 1 - 9 -",
    ),
    (
        "coinbase",
        "/api/v3/brokerage/orders",
        "",
        r#"{"product_id":"BTC-USD","side":"BUY","order_configuration":{"market_market_ioc":{"quote_size":"50"}}}"#,
        "trade BTC-USD buy market_market_ioc - 50 - -",
    ),
    (
        "coinbase",
        "/api/v3/brokerage/orders",
        "",
        r#"{"product_id":"BTC-USD","side":"BUY","order_configuration":{"a":{},"b":{}}}"#,
        "! `order_configuration` has not exactly one member",
    ),
    (
        "coinbaseexchange",
        "/orders",
        "",
        r#"{"product_id":"BTC-USD","side":"buy","type":"market","funds":"50"}"#,
        "trade BTC-USD buy market - 50 - -",
    ),
    (
        "coinex",
        "/v2/spot/order",
        "",
        r#"{"market":"BTCUSDT","side":"sell","type":"limit","amount":"1","price":"9"}"#,
        "trade BTCUSDT sell limit 1 - 9 -",
    ),
    (
        "cryptocom",
        "/exchange/v1/private/create-order",
        "",
        r#"{"instrument_name":"BTC_USD","side":"BUY","type":"MARKET","notional":"50"}"#,
        "trade BTC_USD buy MARKET - 50 - -",
    ),
    (
        "cryptocom",
        "/exchange/v1/private/create-order-list",
        "",
        r#"{"contingency_type":"LIST","order_list":[{"instrument_name":"A","side":"SELL","type":"LIMIT","quantity":"1","price":"9"}]}"#,
        "trade A sell LIMIT 1 - 9 -",
    ),
    (
        "deribit",
        "/api/v2/private/buy",
        "instrument_name=BTC-PERPETUAL&amount=10&type=limit&price=9",
        "",
        "trade BTC-PERPETUAL buy limit 10 - 9 - contracts",
    ),
    (
        "gate",
        "/api/v4/spot/orders",
        "",
        r#"{"currency_pair":"BTC_USDT","side":"buy","type":"market","amount":"50"}"#,
        "trade BTC_USDT buy market - 50 - -",
    ),
    (
        "gate",
        "/api/v4/futures/usdt/orders",
        "",
        r#"{"contract":"BTC_USDT","size":-5,"price":"9"}"#,
        "trade BTC_USDT sell - 5 - 9 - contracts",
    ),
    (
        "gate",
        "/api/v4/spot/batch_orders",
        "",
        r#"[{"currency_pair":"A","side":"sell","type":"limit","amount":"1","price":"9"}]"#,
        "trade A sell limit 1 - 9 -",
    ),
    (
        "gate",
        "/api/v4/spot/orders",
        "",
        r#"[{"currency_pair":"A"}]"#,
        "! `body` is not the list of orders that this endpoint takes",
    ),
    (
        "gemini",
        "/v1/order/new",
        "",
        r#"{"symbol":"btcusd","side":"buy","type":"exchange limit","amount":"1","price":"9"}"#,
        "trade btcusd buy exchange limit 1 - 9 -",
    ),
    (
        "htx",
        "/v1/order/orders/place",
        "",
        r#"{"symbol":"btcusdt","type":"buy-market","amount":"50"}"#,
        "trade btcusdt buy buy-market - 50 - -",
    ),
    (
        "htx",
        "/v1/order/orders/place",
        "",
        r#"{"symbol":"btcusdt","type":"sell-limit","amount":"1","price":"9"}"#,
        "trade btcusdt sell sell-limit 1 - 9 -",
    ),
    (
        "kraken",
        "/0/private/AddOrder",
        "",
        r#"{"pair":"XBTUSD","type":"buy","ordertype":"limit","volume":"1","price":"9"}"#,
        "trade XBTUSD buy limit 1 - 9 -",
    ),
    (
        "kraken",
        "/0/private/AddOrder",
        "",
        r#"{"pair":"XBTUSD","type":"buy","ordertype":"market","volume":"50","oflags":"post,viqc"}"#,
        "trade XBTUSD buy market - 50 - -",
    ),
    (
        "kraken",
        "/0/private/AddOrder",
        "",
        r#"{"pair":"XBTUSD","type":"sell","ordertype":"stop-loss-limit","volume":"1","price":"9","price2":"8"}"#,
        "trade XBTUSD sell stop-loss-limit 1 - 8 9",
    ),
    (
        "kraken",
        "/0/private/AddOrder",
        "",
        r#"{"pair":"XBTUSD","type":"buy","ordertype":"limit","volume":"1","price":"+2.5"}"#,
        "! `price` is not a number in plain digits",
    ),
    (
        "kraken",
        "/0/private/AddOrder",
        "",
        r#"{"pair":"XBTUSD","type":"buy","ordertype":"limit","volume":"1","price":"9","close":{"price":"1"}}"#,
        "! `close` changes the order in a way that the profile does not read",
    ),
    (
        "kraken",
        "/0/private/AddOrderBatch",
        "",
        r#"{"pair":"XBTUSD","orders":[{"type":"buy","ordertype":"limit","volume":"1","price":"9"},{"type":"sell","ordertype":"market","volume":"2"}]}"#,
        "trade XBTUSD buy limit 1 - 9 -, trade XBTUSD sell market 2 - - -",
    ),
    (
        "krakenfutures",
        "/derivatives/api/v3/sendorder",
        "",
        r#"{"symbol":"PF_XBTUSD","side":"buy","orderType":"lmt","size":1,"limitPrice":9}"#,
        "trade PF_XBTUSD buy lmt 1 - 9 - contracts",
    ),
    (
        "krakenfutures",
        "/derivatives/api/v3/batchorder",
        "",
        r#"{"batchOrder":[{"order":"send","symbol":"A","side":"buy","orderType":"lmt","size":1,"limitPrice":9},{"order":"cancel","order_id":"x"}]}"#,
        "trade A buy lmt 1 - 9 - contracts, cancel - - - - - - -",
    ),
    (
        "kucoin",
        "/api/v1/hf/orders",
        "",
        r#"{"symbol":"BTC-USDT","side":"buy","type":"market","funds":"50"}"#,
        "trade BTC-USDT buy market - 50 - -",
    ),
    (
        "kucoin",
        "/api/v1/orders",
        "",
        r#"{"symbol":"XBTUSDTM","side":"buy","type":"limit","size":"1","price":"9"}"#,
        "trade XBTUSDTM buy limit 1 - 9 - contracts",
    ),
    (
        "kucoinfutures",
        "/api/v1/orders",
        "",
        r#"{"symbol":"XBTUSDTM","side":"buy","type":"limit","size":"1","price":"9"}"#,
        "trade XBTUSDTM buy limit 1 - 9 - contracts",
    ),
    (
        "lbank",
        "/v2/supplement/create_order.do",
        "",
        r#"{"symbol":"btc_usdt","type":"buy_market","price":"50"}"#,
        "trade btc_usdt buy buy_market - 50 - -",
    ),
    (
        "lbank",
        "/v2/supplement/create_order.do",
        "",
        r#"{"symbol":"btc_usdt","type":"sell","price":"9","amount":"1"}"#,
        "trade btc_usdt sell sell 1 - 9 -",
    ),
    (
        "mexc",
        "/api/v3/order",
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9",
        "",
        "trade BTCUSDT buy LIMIT 1 - 9 -",
    ),
    (
        "mexc",
        "/api/v1/private/order/submit",
        "",
        r#"{"symbol":"BTC_USDT","side":3,"type":1,"vol":1,"price":9}"#,
        "trade BTC_USDT sell 1 1 - 9 - contracts",
    ),
    (
        "okx",
        "/api/v5/trade/order",
        "",
        r#"{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"limit","sz":"1","px":"9"}"#,
        "trade BTC-USDT buy limit 1 - 9 -",
    ),
    (
        "okx",
        "/api/v5/trade/order",
        "",
        r#"{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"market","sz":"50"}"#,
        "trade BTC-USDT buy market - 50 - -",
    ),
    (
        "okx",
        "/api/v5/trade/order",
        "",
        r#"{"instId":"BTC-USDT-SWAP","tdMode":"cross","side":"buy","ordType":"market","sz":"50","tgtCcy":"quote_ccy"}"#,
        "trade BTC-USDT-SWAP buy market 50 - - - contracts",
    ),
    (
        "okx",
        "/api/v5/trade/batch-orders",
        "",
        r#"[{"instId":"A-B","tdMode":"cash","side":"buy","ordType":"limit","sz":"1","px":"9"},{"instId":"C-D","tdMode":"cash","side":"sell","ordType":"limit","sz":"2","px":"8"}]"#,
        "trade A-B buy limit 1 - 9 -, trade C-D sell limit 2 - 8 -",
    ),
    (
        "okx",
        "/api/v5/trade/order",
        "sz=1",
        r#"{"instId":"BTC-USDT","sz":"2"}"#,
        "! `sz` is in the query, where the venue does not look for an order",
    ),
    (
        "okx",
        "/api/v5/trade/order",
        "",
        r#"{"instId":"BTC-USDT","sz":"2","SZ":"3"}"#,
        "! `SZ` is ambiguous: two parameters have this name, but for upper and lower case",
    ),
    (
        "okx",
        "/api/v5/trade/order",
        "",
        r#"{"instId":"BTC-USDT","sz":true}"#,
        "! `sz` is neither text nor a number",
    ),
    ("okx", "/api/v5/trade/order", "", r#"{"instId":7,"sz":"1"}"#, "! `instId` is not text"),
    (
        "phemex",
        "/g-orders",
        "",
        r#"{"symbol":"BTCUSDT","side":"Buy","ordType":"Limit","orderQtyRq":"1","priceRp":"9"}"#,
        "trade BTCUSDT buy Limit 1 - 9 -",
    ),
    (
        "phemex",
        "/spot/orders",
        "",
        r#"{"symbol":"sBTCUSDT","side":"Buy","ordType":"Limit","baseQtyEv":100,"priceEp":9}"#,
        "! `baseQtyEv` changes the order in a way that the profile does not read",
    ),
    (
        "poloniex",
        "/orders",
        "",
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"MARKET","amount":"50"}"#,
        "trade BTC_USDT buy MARKET - 50 - -",
    ),
    (
        "upbit",
        "/v1/orders",
        "",
        r#"{"market":"KRW-BTC","side":"ask","ord_type":"limit","volume":"1","price":"9"}"#,
        "trade KRW-BTC sell limit 1 - 9 -",
    ),
    (
        "whitebit",
        "/api/v4/order/market",
        "",
        r#"{"market":"BTC_USDT","side":"buy","amount":"50"}"#,
        "trade BTC_USDT buy market - 50 - -",
    ),
    (
        "whitebit",
        "/api/v4/order/collateral/limit",
        "",
        r#"{"market":"BTC_USDT","side":"sell","amount":"1","price":"9"}"#,
        "trade BTC_USDT sell limit 1 - 9 -",
    ),
    (
        "woo",
        "/v1/order",
        "",
        r#"{"symbol":"SPOT_BTC_USDT","side":"BUY","order_type":"LIMIT","order_quantity":1,"order_price":9}"#,
        "trade SPOT_BTC_USDT buy LIMIT 1 - 9 -",
    ),
    (
        "xt",
        "/v4/order",
        "",
        r#"{"symbol":"btc_usdt","side":"BUY","type":"MARKET","quoteQty":"50"}"#,
        "trade btc_usdt buy MARKET - 50 - -",
    ),
];

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

/// Where orders are in bodies, a price in the query is none: the venue does not read it.
#[test]
fn reads_no_order_from_the_query_of_a_venue_that_takes_bodies() {
    const MARKET: &str = r#"{"instId":"BTC-USDT-SWAP","side":"buy","ordType":"market","sz":"9"}"#;
    const ORDER: &str = "instId=BTC-USDT-SWAP&side=buy&ordType=limit&sz=1&px=9";
    for (id, path, query, body, expected) in [
        ("okx", "/api/v5/trade/order", "", MARKET, None),
        ("okx", "/api/v5/trade/order", "x=1", MARKET, None),
        ("okx", "/api/v5/trade/order", "px=0.01", MARKET, Some("px")),
        ("okx", "/api/v5/trade/order", ORDER, "", Some("instId")),
        ("kucoin", "/api/v1/hf/orders", "symbol=A-B&side=buy&type=market&size=1", "", Some("symbol")),
        ("phemex", "/g-orders", "symbol=A&side=Buy&ordType=Limit&orderQtyRq=1&priceRp=9", "", Some("symbol")),
    ] {
        let request = request("POST", path, query, body);
        let profile = profile(id);
        let found = profile.plan(&request).expect(id).orders().err().map(|error| error.field);
        assert_eq!(found.as_deref(), expected, "{id} {query} {body}");
    }
    let query = "symbol=A&side=Buy&orderQtyRq=1&priceRp=9&ordType=Limit";
    let request = request("PUT", "/g-orders/create", query, "");
    assert_eq!(profile("phemex").plan(&request).expect("planned").orders().expect("read").len(), 1);
}

/// Where the path is not bound, an order must be the same at every endpoint that it could be sent to.
#[test]
fn reads_no_order_that_is_another_one_elsewhere() {
    const LIST: &str = r#"[{"symbol":"A","side":"BUY","type":"MARKET","quantity":"900"}]"#;
    let small = r#""category":"linear","symbol":"A","side":"Buy","orderType":"Limit","qty":"1","price":"9""#;
    let big = r#"[{"symbol":"A","side":"Buy","orderType":"Market","qty":"900"}]"#;
    for (id, path, query, body, expected) in [
        ("bybit", "/v5/order/create", "", format!("{{{small}}}"), None),
        ("bybit", "/v5/order/create", "", format!(r#"{{{small},"request":{big}}}"#), Some("request")),
        ("bybit", "/v5/order/create-batch", "", format!(r#"{{"category":"linear","request":{big}}}"#), None),
        ("bybit", "/v5/order/create-batch", "", format!(r#"{{{small},"request":{big}}}"#), Some("qty")),
        ("binance", "/fapi/v1/order", "symbol=A&side=BUY&type=MARKET&quantity=1", String::new(), None),
        (
            "binance",
            "/api/v3/order",
            "symbol=A&side=BUY&type=MARKET&quantity=1&closePosition=true",
            String::new(),
            Some("closePosition"),
        ),
        (
            "mexc",
            "/api/v3/order",
            "symbol=A&side=BUY&type=LIMIT&quantity=1&price=9&vol=900",
            String::new(),
            Some("vol"),
        ),
        (
            "mexc",
            "/api/v1/private/order/submit_batch",
            "",
            r#"[{"symbol":"A","side":1,"type":1,"vol":1,"price":9}]"#.to_owned(),
            None,
        ),
        ("okx", "/api/v5/trade/order", "", r#"{"instId":"A-B","sz":"1","orders":[]}"#.to_owned(), None),
    ] {
        let request = request("POST", path, query, &body);
        let profile = profile(id);
        let found = profile.plan(&request).expect(id).orders().err().map(|error| error.field);
        assert_eq!(found.as_deref(), expected, "{id} {path} {query} {body}");
    }
    let mut query: Vec<_> = ["symbol", "side", "type", "quantity"]
        .into_iter()
        .zip(["A", "BUY", "MARKET", "1"])
        .map(|(name, value)| (name, Param::Text(value)))
        .collect();
    query.push(("batchOrders", Param::Text(LIST)));
    let request = Request { method: "POST", path: "/fapi/v1/order", query, body: Body::Empty };
    let binance = profile("binance");
    let plan = binance.plan(&request).expect("planned");
    assert_eq!(plan.orders().expect_err("unreadable").field, "batchOrders");
}

/// A symbol that only another host of Binance's knows says that its quantity counts contracts there.
#[test]
fn counts_contracts_by_the_symbols_of_other_hosts() {
    for (path, symbol, contracts) in [
        ("/api/v3/order", "DOGEUSDT", false),
        ("/api/v3/order", "DOGEUSD_PERP", true),
        ("/fapi/v1/order", "BTCUSDT_260626", false),
        ("/fapi/v1/order", "BTCUSD_260626", true),
        ("/fapi/v1/order", "btcusd_perp", true),
    ] {
        for id in ["binance", "binance-ed25519", "binancecoinm", "binanceusdm"] {
            let query = format!("symbol={symbol}&side=BUY&type=LIMIT&quantity=500&price=0.2");
            let request = request("POST", path, &query, "");
            let profile = profile(id);
            let plan = profile.plan(&request).expect(id);
            let orders = plan.orders().expect(symbol);
            assert_eq!(orders.first().map(|order| order.contracts), Some(contracts), "{id} {path} {symbol}");
        }
    }
}

/// A batch at Kraken Futures is JSON in a form, unescaped: what a reader of forms would take apart is not read.
#[test]
fn reads_no_batch_that_a_form_would_take_apart() {
    let path = "/derivatives/api/v3/batchorder";
    for (id, readable) in [
        ("a", true),
        ("a b%", true),
        (r"a%22},{%22order%22:%22send%22,%22size%22:9,%22x%22:%22", false),
        (r"a&json={}", false),
        (r"a\u0026json={}", false),
        ("a+b", false),
    ] {
        let order = format!(
            r#"{{"order":"send","symbol":"A","side":"buy","orderType":"lmt","size":1,"limitPrice":9,"cliOrdId":"{id}"}}"#
        );
        let body = format!(r#"{{"batchOrder":[{order}]}}"#);
        let request = request("POST", path, "", &body);
        let profile = profile("krakenfutures");
        let plan = profile.plan(&request).expect("planned");
        assert_eq!(plan.recut(), (!readable).then_some("batchOrder"), "{id}");
        assert_eq!(plan.orders().is_ok(), readable, "{id}");
    }
}

#[test]
fn names_what_the_caller_gave() {
    let profile = profile("okx");
    let request = request("POST", "/api/v5/trade/batch-orders", "a=1", r#"[{"b":1},{"c":{"d":1}}]"#);
    let plan = profile.plan(&request).expect("planned");
    assert_eq!(plan.names().collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn reads_only_plain_numbers() {
    for (number, plain) in [
        ("1", true),
        ("0", true),
        ("0.5", true),
        ("9007199254740993.000000000000000001", true),
        ("\"1.50\"", true),
        ("1e3", false),
        ("1E-3", false),
        ("-1", false),
        ("-0", false),
        ("\"+1\"", false),
        ("\"01\"", false),
        ("\"1_000\"", false),
        ("\"1,000\"", false),
        ("\"NaN\"", false),
        ("\"Infinity\"", false),
        ("\".5\"", false),
        ("\"5.\"", false),
        ("\" 1\"", false),
        ("\"1\\n\"", false),
        ("\"0x10\"", false),
        ("\"\u{661}\"", false),
        ("\"\"", false),
        ("null", false),
        ("[1]", false),
        ("{\"a\":1}", false),
    ] {
        let body = format!("{{\"symbol\":\"A\",\"side\":\"buy\",\"size\":{number}}}");
        let found = orders("coinbaseexchange", &request("POST", "/orders", "", &body));
        assert_eq!(!found.starts_with("! `size`"), plain, "{number}: {found}");
    }
}
