//! What comes behind an endpoint's name: a longer path is never taken for something milder, and no digit of the
//! caller's stands beside a number in a signed text.

#![expect(clippy::expect_used, reason = "a test may stop at the first surprise")]

use regex_syntax::hir::{Class, Hir, HirKind};
use strongroom_venues::{
    Account, Action, Body, Moment, Param, Profile, Request, RequestError, builtin, builtin_profiles,
};

const METHODS: [&str; 5] = ["DELETE", "GET", "PATCH", "POST", "PUT"];
const MOMENT: Moment =
    Moment { unix_ns: 1_754_000_123_456_000_000, nonce: 1_754_000_123_456, uuid: [7; 16], random16: [9; 16] };

fn profile(id: &str) -> Profile {
    builtin(id).expect("shipped").expect("compiles")
}

/// Every alternative of a pattern, with one example for what repeats.
fn examples(hir: &Hir) -> Vec<String> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![String::new()],
        HirKind::Literal(text) => vec![String::from_utf8_lossy(&text.0).into_owned()],
        HirKind::Class(Class::Unicode(class)) => {
            let start = class.iter().next().expect("a class has a character").start();
            vec![if start == '\0' { "x".to_owned() } else { start.to_string() }]
        }
        HirKind::Class(Class::Bytes(_)) => vec!["x".to_owned()],
        HirKind::Repetition(repeats) => {
            let mut all = examples(&repeats.sub);
            if repeats.min == 0 {
                all.push(String::new());
            }
            all
        }
        HirKind::Capture(group) => examples(&group.sub),
        HirKind::Alternation(all) => all.iter().flat_map(examples).collect(),
        HirKind::Concat(parts) => parts.iter().fold(vec![String::new()], |heads, part| {
            let tails = examples(part);
            heads.iter().flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}"))).collect()
        }),
    }
}

/// What may be taken for what: more may never be taken for less.
fn strictness(action: Action) -> u8 {
    match action {
        Action::Unknown => 7,
        Action::Transfer => 6,
        Action::Admin => 5,
        Action::Session | Action::Trade => 4,
        Action::Config => 3,
        Action::Cancel => 2,
        Action::Read => 1,
    }
}

#[test]
fn takes_no_longer_path_for_something_milder() {
    let (mut tried, mut milder) = (0, Vec::new());
    for (id, _) in builtin_profiles() {
        let profile = profile(id);
        let table = profile.actions();
        for rule in table.rules().iter().filter(|rule| rule.path().ends_with('$')) {
            let hir = regex_syntax::parse(rule.path()).expect("a shipped pattern");
            for path in examples(&hir) {
                for method in METHODS {
                    let (action, _) = table.classify(method, &path);
                    if action == Action::Unknown {
                        continue;
                    }
                    for end in ["/", "/x", "5", "x"] {
                        tried += 1;
                        let longer = format!("{path}{end}");
                        let (found, by) = table.classify(method, &longer);
                        if strictness(found) < strictness(action) {
                            milder.push(format!("{id} {method} {longer}: {action}, then {found} by {by}"));
                        }
                    }
                }
            }
        }
    }
    assert!(tried > 10_000, "{tried}");
    milder.dedup();
    assert!(milder.is_empty(), "{}", milder.join("\n"));
}

fn signed(id: &str, request: &Request<'_>) -> Result<String, RequestError> {
    let base_url = if id == "gate" { "https://api.gateio.ws" } else { "https://api.example.com" };
    let account = Account { key_id: "TEST0key1AAAA", uid: Some("7"), base_url };
    let profile = profile(id);
    let canonical = profile.plan(request)?.canonicalise(&account, &MOMENT)?;
    Ok(String::from_utf8_lossy(canonical.message()).into_owned())
}

fn post<'a>(path: &'a str, body: &'a str) -> Request<'a> {
    let body = if body.is_empty() { Body::Empty } else { Body::Json(body.as_bytes()) };
    Request { method: "POST", path, query: Vec::new(), body }
}

#[test]
fn refuses_paths_that_would_make_a_nonce_longer() {
    for (id, path, body) in [
        ("cryptocom", "/exchange/v1/private/fiat/fiat-create-withdraw5", ""),
        ("cryptocom", "/exchange/v1/private/fiat/fiat-create-withdraw5", r#"{"a":"5"}"#),
        ("cryptocom", "/exchange/v1/private/get-trades0", r#"{"a":"0"}"#),
        ("bitfinex", "/v2/auth/r/wallets5", ""),
        ("bitfinex", "/v2/auth/r/wallets50", "{}"),
        // Without the zero it would be something else.
        ("bitfinex", "/v2/auth/w/order/cancel0", "{}"),
        ("phemex", "/orders5", ""),
        ("bitmex", "/api/v1/order5", ""),
    ] {
        let error = signed(id, &post(path, body)).expect_err(path).to_string();
        assert!(
            error.starts_with("the path ends in a digit, which would make the number beside it"),
            "{error}"
        );
    }
    let get = Request { method: "GET", path: "/v2/spot/order5", query: Vec::new(), body: Body::Empty };
    signed("coinex", &get).expect_err("a digit before the time");
    for (id, path, body) in [
        ("cryptocom", "/exchange/v1/private/get-trades", r#"{"limit":"100"}"#),
        ("bitfinex", "/v2/auth/r/wallets", "{}"),
        ("bitfinex", "/v2/auth/r/orders/tBTCF0:USTF0", "{}"),
        ("coinbaseexchange", "/orders/5", ""),
        ("okx", "/api/v5/x5", ""),
        ("gate", "/api/v4/spot/orders/5", ""),
        ("bitstamp", "/api/v2/open_orders/5", ""),
    ] {
        let text = signed(id, &post(path, body)).expect(path);
        assert!(text.contains("1754000123") || text.contains("2025-07-31"), "{id} {text}");
    }
    // What used to pass for a read is not one, even where its text could be signed.
    let table = profile("cryptocom");
    for path in ["/exchange/v1/private/fiat/fiat-create-withdraw5", "/exchange/v1/private/create-withdrawal5"]
    {
        assert_eq!(table.actions().classify("POST", path).0, Action::Transfer, "{path}");
    }
    assert_eq!(table.actions().classify("POST", "/v1/private/get-trades5").0, Action::Unknown);
}

#[test]
fn refuses_names_that_would_make_a_time_longer() {
    let get = |path, name| Request {
        method: "GET",
        path,
        query: vec![(name, Param::Text("1"))],
        body: Body::Empty,
    };
    for (id, path) in [("bybit", "/v5/order/realtime"), ("bybit-rsa", "/v5/order/realtime")] {
        let error = signed(id, &get(path, "0limit")).expect_err(id).to_string();
        assert!(error.starts_with("the name of a parameter begins in a digit"), "{error}");
        signed(id, &get(path, "limit")).expect(id);
    }
    // Here a mark stands between.
    signed("okx", &get("/api/v5/account/balance", "0limit")).expect("okx");
}

/// A value right before the time could be sent shorter. Reading stays what it is; an order cannot be measured by it.
#[test]
fn reads_no_order_whose_last_value_could_lose_digits() {
    let order = |last| Request {
        method: "PUT",
        path: "/g-orders/create",
        query: vec![
            ("symbol", Param::Text("BTCUSDT")),
            ("side", Param::Text("Buy")),
            ("ordType", Param::Text("Limit")),
            ("orderQtyRq", Param::Text("2")),
            ("priceRp", Param::Text("100")),
            last,
        ],
        body: Body::Empty,
    };
    let phemex = profile("phemex");
    for (last, open) in [
        (("timeInForce", "GoodTillCancel"), None),
        (("note", "x y"), None),
        (("clOrdID", "a7"), Some("clOrdID")),
        (("text", "é"), Some("text")),
    ] {
        let request = order((last.0, Param::Text(last.1)));
        let plan = phemex.plan(&request).expect("planned");
        assert_eq!(plan.open_end(), open, "{last:?}");
        assert_eq!(plan.recut(), None);
        assert_eq!(plan.orders().err().map(|wrong| wrong.field), open.map(str::to_owned), "{last:?}");
    }
    for (id, path) in
        [("bitmex", "/api/v1/order"), ("coinex", "/v2/spot/order-status"), ("phemex", "/orders/activeList")]
    {
        let profile = profile(id);
        let query = vec![("count", Param::Text("10"))];
        let request = Request { method: "GET", path, query, body: Body::Empty };
        let plan = profile.plan(&request).expect(id);
        assert_eq!((plan.open_end(), plan.classified().action), (Some("count"), Action::Read), "{id}");
        assert!(plan.classified().stands_in.is_empty(), "{id}");
        signed(id, &request).expect(id);
    }
    for (id, path) in [("bybit", "/v5/order/realtime"), ("okx", "/api/v5/x"), ("gate", "/api/v4/spot/orders")]
    {
        let profile = profile(id);
        let query = vec![("count", Param::Text("10"))];
        let request = Request { method: "GET", path, query, body: Body::Empty };
        assert_eq!(profile.plan(&request).expect(id).open_end(), None, "{id}");
    }
    // The first of two equal nonces says where the second begins.
    let cryptocom = profile("cryptocom");
    let request = post("/exchange/v1/private/get-trades", r#"{"limit":"100"}"#);
    assert_eq!(cryptocom.plan(&request).expect("planned").open_end(), None);
}
