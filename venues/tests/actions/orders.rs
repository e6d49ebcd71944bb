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

/// The requests of `orders.txt`: profile, path, query, body, and the orders.
fn listed() -> Vec<[&'static str; 5]> {
    let mut lines = include_str!("orders.txt").lines().filter(|line| !line.is_empty());
    let mut listed = Vec::new();
    while let Some(request) = lines.next() {
        let (id, rest) = request.split_once(' ').expect(request);
        let (target, body) = rest.split_once(' ').unwrap_or((rest, ""));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let expected = lines.next().and_then(|line| line.strip_prefix("    ")).expect(request);
        listed.push([id, path, query, body, expected]);
    }
    listed
}

#[test]
fn reads_the_orders_of_every_venue() {
    let listed = listed();
    for [id, path, query, body, expected] in &listed {
        let method = if ["bittrex1", "deribit"].contains(id) { "GET" } else { "POST" };
        assert_eq!(orders(id, &request(method, path, query, body)), *expected, "{id} {path} {query} {body}");
    }
    for (id, _) in builtin_profiles().iter().filter(|(id, _)| !WITHOUT.contains(id)) {
        if BY_ACTION.contains(id) {
            continue;
        }
        let like = if id.starts_with("binance") { "binance" } else { id };
        let like = if like.starts_with("coinbase-") { "coinbase" } else { like };
        let like = if like == "coinex-hmac" { "coinex" } else { like };
        let like = like.trim_end_matches("-rsa").trim_end_matches("-hs512");
        let none = ["bithumb-legacy"].contains(id);
        assert!(none || listed.iter().any(|[id, ..]| *id == like), "{id} has no order here");
    }
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

/// The same where only the symbol tells of BingX's futures, and where Bybit's older interfaces have no category.
#[test]
fn counts_contracts_where_an_equal_signature_would() {
    for (id, path, query, body, contracts) in [
        (
            "bingx",
            "/openApi/swap/v2/trade/order",
            "symbol=DOGE-USDT&side=BUY&type=LIMIT&quantity=9&price=1",
            "",
            false,
        ),
        (
            "bingx",
            "/openApi/swap/v2/trade/order",
            "symbol=DOGE-USD&side=BUY&type=LIMIT&quantity=9&price=1",
            "",
            true,
        ),
        (
            "bingx",
            "/openApi/spot/v1/trade/order",
            "symbol=doge-usd&side=BUY&type=LIMIT&quantity=9&price=1",
            "",
            true,
        ),
        (
            "bybit",
            "/v5/order/create",
            "",
            r#"{"category":"linear","symbol":"A","side":"Buy","orderType":"Limit","qty":"9","price":"1"}"#,
            false,
        ),
        (
            "bybit",
            "/v5/order/create",
            "",
            r#"{"symbol":"DOGEUSD","side":"Buy","orderType":"Limit","qty":"9","price":"1"}"#,
            true,
        ),
    ] {
        let found = orders(id, &request("POST", path, query, body));
        assert!(found.starts_with("trade "), "{id} {query} {body}: {found}");
        assert_eq!(found.ends_with(" contracts"), contracts, "{id} {query} {body}: {found}");
    }
}

/// Kraken's flag `viqc` makes the volume one of the quote currency, in market orders that buy. What it does elsewhere is not
/// said, and an order of ten bitcoins must not pass for one of ten dollars.
#[test]
fn reads_no_order_of_kraken_whose_volume_could_be_of_either_currency() {
    let others = [
        ("limit", "buy"),
        ("limit", "sell"),
        ("market", "sell"),
        ("stop-loss", "buy"),
        ("stop-loss-limit", "buy"),
    ];
    for flags in ["viqc", "VIQC", "post, viqc", "fciq,viqc,post"] {
        for (kind, side) in others.into_iter().chain([("market", "buy")]) {
            let price = if kind == "market" { "" } else { r#","price":"9""# };
            let body = |flags: &str| {
                format!(
                    r#"{{"pair":"XBTUSD","type":"{side}","ordertype":"{kind}","volume":"10"{price},"oflags":"{flags}"}}"#
                )
            };
            let of =
                |flags: &str| orders("kraken", &request("POST", "/0/private/AddOrder", "", &body(flags)));
            let is_read = kind == "market" && side == "buy";
            assert_eq!(!of(flags).starts_with('!'), is_read, "{kind} {side} {flags}: {}", of(flags));
            assert!(of("fciq,post").starts_with("trade "), "the control, {kind} {side}: {}", of("fciq,post"));
        }
    }
    let edit = r#"{"pair":"XBTUSD","txid":"A","volume":"10","oflags":"viqc"}"#;
    assert!(orders("kraken", &request("POST", "/0/private/EditOrder", "", edit)).starts_with('!'));
}

/// Of two names that some server takes for one, nobody can say which value it reads: JSON in Go is read in any case of any
/// alphabet, PHP cuts names off and writes them anew, and others take spaces away.
#[test]
fn reads_no_order_with_a_name_that_some_server_takes_for_another() {
    let order = |name: &str| {
        let order =
            r#"{"product_id":"A-B","side":"buy","type":"limit","size":"1","price":"9","stop_price":"8""#;
        let body = format!(r#"{order},"{name}":"1000"}}"#);
        orders("coinbaseexchange", &request("POST", "/orders", "", &body))
    };
    for name in [
        "Size",
        "SIZE",
        r"\u017fize",
        r"\u017fIZE",
        r"\u017fide",
        r"s\u0131ze",
        r"s\u0130ze",
        "size ",
        " size",
        r"\tsize",
        r"size\u0000",
        r"size\u0000x",
        "size[]",
        "size[0]",
        r"s\u200bize",
        "stop.price",
        "stop price",
        "stop-price",
        "stop[price",
        r"\u017ftop_price",
    ] {
        let found = order(name);
        assert!(found.starts_with("! `") && found.contains("is ambiguous"), "{name}: {found}");
        assert!(found.is_ascii() && !found.contains(char::is_control), "{name}: {found:?}");
    }
    for name in ["sizes", "siz", "size2", "x[size]", "resize", "client_oid", "stopprices", "tag", r"\u00e4"] {
        let found = order(name);
        assert_eq!(found, "trade A-B buy limit 1 - 9 8", "the control, {name}");
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
