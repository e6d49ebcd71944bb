//! What the orders of requests are, and where they cannot be read.

use strongroom_venues::{Body, Order, Param, Request, Side, builtin_profiles};

use super::{BY_ACTION, WITHOUT, profile, request};

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
        "bitfinex1",
        "/v1/order/new",
        "",
        r#"{"symbol":"btcusd","amount":"1","price":"9","side":"buy","type":"exchange limit"}"#,
        "trade btcusd buy exchange limit 1 - 9 -",
    ),
    (
        "bitfinex1",
        "/v1/order/new/multi",
        "",
        r#"{"orders":[{"symbol":"btcusd","amount":"1","price":"9","side":"sell","type":"market"}]}"#,
        "trade btcusd sell market 1 - - -",
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

#[test]
fn reads_amendments_under_another_method() {
    for (id, path, body, expected) in [
        (
            "bitmex",
            "/api/v1/order",
            r#"{"orderID":"a","orderQty":5,"price":9}"#,
            "trade - - - 5 - 9 - contracts",
        ),
        ("xt", "/v4/order/7", r#"{"quantity":"1","price":"9"}"#, "trade - - - 1 - 9 -"),
    ] {
        assert_eq!(orders(id, &request("PUT", path, "", body)), expected, "{id}");
    }
    // What is to stay open of an order is none of the quantities that a limit reads.
    let amended = request("PUT", "/api/v1/order", "", r#"{"orderID":"a","leavesQty":500000}"#);
    let found = orders("bitmex", &amended);
    assert!(found.starts_with('!') && found.contains("leavesQty"), "{found}");
}
