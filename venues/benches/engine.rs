//! What the engine costs for one request: parse and check, canonicalise, finish.
//!
//! The signature itself is the keeper's cost and not part of it.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use strongroom_venues::{Account, Body, Moment, Param, Request, builtin};

const ACCOUNT: Account<'static> = Account {
    key_id: "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
    uid: None,
    base_url: "https://api.example.com",
};

/// Some of every kind; all of them would take many minutes.
const VENUES: [&str; 12] = [
    "binance",
    "bitfinex",
    "bittrex",
    "bybit",
    "coinbase",
    "coinbase-legacy",
    "coinbaseexchange",
    "gate",
    "kraken",
    "kucoin",
    "okx",
    "poloniex",
];

fn order() -> Vec<(&'static str, Param<'static>)> {
    [
        ("symbol", "BTCUSDT"),
        ("side", "BUY"),
        ("type", "LIMIT"),
        ("timeInForce", "GTC"),
        ("quantity", "0.00100000"),
        ("price", "61234.50"),
        ("newClientOrderId", "cli-1"),
    ]
    .map(|(name, value)| (name, Param::Text(value)))
    .to_vec()
}

fn engine(criterion: &mut Criterion) {
    let moment = Moment { unix_ns: 1_754_000_123_456_000_000, nonce: 1_754_000_123_456, ..Moment::default() };
    let signature = [0x5a; 64];
    let passphrase = [b'p'; 32];
    for id in VENUES {
        let Some(Ok(profile)) = builtin(id) else { continue };
        let request =
            Request { method: "POST", path: "/api/v3/order", query: Vec::new(), body: Body::Form(order()) };
        criterion.bench_function(&format!("{id}/whole"), |bencher| {
            bencher.iter(|| {
                let plan = profile.plan(black_box(&request)).ok()?;
                plan.canonicalise(&ACCOUNT, &moment).ok()?.finish(&signature, &passphrase).ok()
            });
        });
        let Ok(plan) = profile.plan(&request) else { continue };
        criterion.bench_function(&format!("{id}/canonicalise and finish"), |bencher| {
            bencher.iter(|| {
                plan.canonicalise(&ACCOUNT, black_box(&moment)).ok()?.finish(&signature, &passphrase).ok()
            });
        });
    }
}

/// Typed data: MessagePack, four digests, and a body in which the signature goes.
fn typed_data(criterion: &mut Criterion) {
    let Some(Ok(profile)) = builtin("hyperliquid") else { return };
    let account = Account { base_url: "https://api.hyperliquid.xyz", ..ACCOUNT };
    let moment = Moment { nonce: 1_754_000_123_456, ..Moment::default() };
    let body = Body::Json(
        br#"{"action":{"type":"order","orders":[{"a":0,"b":true,"p":"61234","s":"0.001","r":false,"t":{"limit":{"tif":"Gtc"}}}],"grouping":"na"}}"#,
    );
    let request = Request { method: "POST", path: "/exchange", query: Vec::new(), body };
    criterion.bench_function("hyperliquid/whole", |bencher| {
        bencher.iter(|| {
            let plan = profile.plan(black_box(&request)).ok()?;
            plan.canonicalise(&account, &moment).ok()?.finish(&[0x5a; 65], &[]).ok()
        });
    });
}

/// What a policy asks of one order: what it does, and its fields.
fn policy(criterion: &mut Criterion) {
    for (id, path, body) in [
        ("binance", "/api/v3/order", Body::Form(order())),
        (
            "kraken",
            "/0/private/AddOrder",
            Body::Json(br#"{"pair":"XBTUSD","type":"buy","ordertype":"limit","volume":"1","price":"9"}"#),
        ),
        (
            "okx",
            "/api/v5/trade/order",
            Body::Json(
                br#"{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"limit","sz":"1","px":"9"}"#,
            ),
        ),
    ] {
        let Some(Ok(profile)) = builtin(id) else { continue };
        let request = Request { method: "POST", path, query: Vec::new(), body };
        let Ok(plan) = profile.plan(&request) else { continue };
        criterion.bench_function(&format!("{id}/orders"), |bencher| {
            bencher.iter(|| black_box(&plan).orders());
        });
    }
}

/// Which rule a path falls under: one that is spelled out, one of many under a rule, and one that no rule has.
fn rules(criterion: &mut Criterion) {
    for (id, method, path) in [
        ("binance", "POST", "/api/v3/order"),
        ("binance", "GET", "/sapi/v1/asset/get-funding-asset"),
        ("bybit", "POST", "/v5/order/create"),
        ("htx", "POST", "/linear-swap-api/v1/swap_cross_order"),
        ("htx", "GET", "/v1/account/accounts/12345/balance"),
        ("okx", "POST", "/api/v5/trade/order"),
        ("okx", "GET", "/api/v5/account/balance"),
        ("cryptocom", "POST", "/exchange/v1/private/get-open-orders"),
    ] {
        let Some(Ok(profile)) = builtin(id) else { continue };
        criterion.bench_function(&format!("{id}/rule of {method} {path}"), |bencher| {
            bencher.iter(|| profile.actions().classify(black_box(method), black_box(path)));
        });
    }
}

criterion_group!(benches, engine, policy, rules, typed_data);
criterion_main!(benches);
