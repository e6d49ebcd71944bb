//! Hyperliquid: one path, where the body says what a request does, and typed data that binds all of it.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use strongroom_keeper::key::SigningKey;
use strongroom_venues::json::{self, Value};
use strongroom_venues::{
    Account, Action, Body, CanonicalRequest, Moment, NonceKind, Order, Profile, Request, RequestError, Side,
    SignedRequest, builtin,
};

const MAINNET: &str = "https://api.hyperliquid.xyz";
const TESTNET: &str = "https://api.hyperliquid-testnet.xyz";
const NOW: u64 = 1_754_000_123_456;
const WALLET: &[u8] = b"0x0123456789012345678901234567890123456789012345678901234567890123";

fn profile() -> Profile {
    builtin("hyperliquid").expect("shipped").expect("compiles")
}

fn request(body: &str) -> Request<'_> {
    Request { method: "POST", path: "/exchange", query: Vec::new(), body: Body::Json(body.as_bytes()) }
}

fn canonical(base_url: &str, nonce: u64, body: &str) -> Result<CanonicalRequest, RequestError> {
    let profile = profile();
    let request = request(body);
    let plan = profile.plan(&request)?;
    assert_eq!(plan.time().nonce, NonceKind::Ms);
    let nonce = plan.time().caller_nonce.unwrap_or(nonce);
    let account = Account { key_id: "0x14791697260e4c9a71f18484c9f997b308e59325", uid: None, base_url };
    plan.canonicalise(&account, &Moment { unix_ns: NOW * 1_000_000, nonce, ..Moment::default() })
}

fn signed(base_url: &str, nonce: u64, body: &str) -> SignedRequest {
    let canonical = canonical(base_url, nonce, body).expect(body);
    let key = SigningKey::parse(&profile().key_spec(), WALLET, None).expect("a key");
    let mut signature = Vec::new();
    key.sign(canonical.message(), canonical.secret_at(), &mut signature).expect("signs");
    canonical.finish(&signature, &[]).expect("finishes")
}

fn refused(body: &str) -> String {
    canonical(MAINNET, NOW, body).expect_err(body).to_string()
}

/// r, s and v of a signed request.
fn signature(request: &SignedRequest) -> String {
    let body = json::parse(&request.body).unwrap();
    let part = |name: &str| match body.get("signature").and_then(|signature| signature.get(name)) {
        Some(Value::Text(text) | Value::Number(text)) => text.to_string(),
        other => panic!("{other:?}"),
    };
    format!("{} {} {}", part("r"), part("s"), part("v"))
}

/// The vendor's own tests (hyperliquid-python-sdk, tests/signing_test.py), among them both networks, a vault, and a
/// nonce of zero, which ccxt cannot sign.
#[test]
fn signs_the_vendors_examples() {
    let rows = include_str!("../../vectors/official.jsonl");
    let mut count = 0;
    for line in rows.lines() {
        let row = json::parse(line.as_bytes()).unwrap();
        if row.get("exchange").and_then(Value::as_text) != Some("hyperliquid") {
            continue;
        }
        let source = row.get("request").unwrap();
        let text = |name: &str| source.get(name).and_then(Value::as_text);
        let json_text = |value: &Value<'_>| {
            let mut out = Vec::new();
            json::write(value, false, &mut out);
            String::from_utf8(out).unwrap()
        };
        let (host, body) = if text("kind") == Some("l1_action") {
            let vault =
                text("vault").map(|vault| format!(",\"vaultAddress\":\"0x{vault}\"")).unwrap_or_default();
            let action = json_text(source.get("action").unwrap());
            let host = if text("network") == Some("mainnet") { MAINNET } else { TESTNET };
            (host, format!("{{\"action\":{action}{vault}}}"))
        } else {
            let kind =
                if text("primary_type").unwrap().ends_with("UsdSend") { "usdSend" } else { "withdraw3" };
            let message = json_text(source.get("message").unwrap());
            (TESTNET, format!("{{\"action\":{{\"type\":\"{kind}\",{}}}", message.strip_prefix('{').unwrap()))
        };
        let expected = row.get("expected_signature").unwrap();
        let expected = ["r", "s", "v"].map(|part| match expected.get(part) {
            Some(Value::Text(text) | Value::Number(text)) => text.to_string(),
            other => panic!("{other:?}"),
        });
        assert_eq!(signature(&signed(host, 0, &body)), expected.join(" "), "{line}");
        count += 1;
    }
    assert!(count >= 18, "{count}");
}

const ORDER: &str = r#"{"action":{"type":"order","orders":[{"a":0,"b":true,"p":"61234","s":"0.001","r":false,"t":{"limit":{"tif":"Gtc"}}}],"grouping":"na"}}"#;
const SEND: &str = r#"{"action":{"type":"usdSend","destination":"0x5e9ee1089755c3435139848e47e6635505d5a13a","amount":"1"}}"#;

#[test]
fn takes_the_network_from_the_pinned_host() {
    for body in [ORDER, SEND] {
        let [main, test] = [MAINNET, TESTNET].map(|host| signed(host, NOW, body));
        assert_eq!(main.url, "https://api.hyperliquid.xyz/exchange");
        assert_eq!(test.url, "https://api.hyperliquid-testnet.xyz/exchange");
        assert_ne!(signature(&main), signature(&test), "{body}");
    }
    let body = String::from_utf8(signed(TESTNET, NOW, SEND).body).unwrap();
    assert!(body.contains(r#""hyperliquidChain":"Testnet""#), "{body}");
    // The caller may say the same, and nothing else.
    let named =
        |chain: &str| SEND.replace("\"amount\"", &format!("\"hyperliquidChain\":\"{chain}\",\"amount\""));
    assert_eq!(signature(&signed(MAINNET, NOW, &named("Mainnet"))), signature(&signed(MAINNET, NOW, SEND)));
    assert_eq!(
        refused(&named("Testnet")),
        "`action.hyperliquidChain` must be `Mainnet` at this host; leave it out, and the agent sets it"
    );
    // A host that the profile does not know is on no network.
    let elsewhere = canonical("https://api.example.com", NOW, ORDER).expect_err("refused").to_string();
    assert_eq!(elsewhere, "the credential's base URL is none of the hosts for which the profile has words");
}

#[test]
fn puts_what_the_agent_sets_where_ccxt_has_it() {
    let body = String::from_utf8(signed(MAINNET, NOW, &ORDER.replace("}}", "},\"vaultAddress\":null}")).body);
    let body = body.unwrap();
    let (front, rest) = body.split_once(",\"signature\":{\"r\":\"0x").expect("a signature");
    assert!(front.ends_with(",\"grouping\":\"na\"},\"nonce\":1754000123456"), "{front}");
    assert!(rest.ends_with("},\"vaultAddress\":null}"), "{rest}");
    let body = String::from_utf8(signed(MAINNET, NOW, SEND).body).unwrap();
    let front = r#"{"action":{"signatureChainId":"0x66eee","hyperliquidChain":"Mainnet","type":"usdSend","#;
    assert!(body.starts_with(front), "{body}");
    assert!(
        body.contains(r#""amount":"1","time":1754000123456},"nonce":1754000123456,"signature""#),
        "{body}"
    );
}

#[test]
fn refuses_what_the_signature_would_not_bind() {
    let with = |body: &str, member: &str| body.replacen('{', &format!("{{{member},"), 1);
    let inside = |body: &str, member: &str| body.replace("\"type\"", &format!("{member},\"type\""));
    for (body, expected) in [
        (with(ORDER, r#""extra":1"#), "hyperliquid does not sign `extra` in this request; leave it out"),
        (with(ORDER, r#""extra":null"#), "hyperliquid does not sign `extra` in this request; leave it out"),
        (
            with(ORDER, r#""signature":{"r":"0x0"}"#),
            "hyperliquid does not sign `signature` in this request; leave it out",
        ),
        (
            inside(SEND, r#""extra":1"#),
            "hyperliquid does not sign `action.extra` in this request; leave it out",
        ),
        (
            inside(SEND, r#""extra":null"#),
            "hyperliquid does not sign `action.extra` in this request; leave it out",
        ),
        (
            with(SEND, r#""vaultAddress":"0x1719884eb866cb12b2287399b15f7db5e7d775ea""#),
            "hyperliquid does not sign `vaultAddress` in this request; leave it out",
        ),
        (
            with(SEND, r#""expiresAfter":1754000999999"#),
            "hyperliquid does not sign `expiresAfter` in this request; leave it out",
        ),
        (
            inside(SEND, r#""nonce":1754000123456"#),
            "hyperliquid does not sign `action.nonce` in this request; leave it out",
        ),
    ] {
        assert_eq!(refused(&body), expected, "{body}");
    }
    let with_query = Request { query: vec![("a", strongroom_venues::Param::Text("1"))], ..request(ORDER) };
    assert!(matches!(profile().plan(&with_query), Err(RequestError::Unsigned { .. })));
    assert!(canonical(MAINNET, NOW, &with(SEND, r#""vaultAddress":null"#)).is_ok());
}

#[test]
fn refuses_values_of_another_type_than_the_signed_one() {
    let address = "an address as text: 0x and 40 hexadecimal digits";
    let number = "a whole number in plain digits, and not too large";
    let agent = |members: &str| format!(r#"{{"action":{{"type":"approveAgent",{members}}}}}"#);
    let delegate = |wei: &str| {
        format!(
            r#"{{"action":{{"type":"tokenDelegate","validator":"0x5e9ee1089755c3435139848e47e6635505d5a13a","wei":{wei},"isUndelegate":false}}}}"#
        )
    };
    for (body, name, expected) in [
        (SEND.replace("\"1\"", "1"), "action.amount", "text"),
        (SEND.replace(",\"amount\":\"1\"", ""), "action.amount", "text"),
        (agent(r#""agentAddress":"0x12""#), "action.agentAddress", address),
        (
            agent(r#""agentAddress":"5e9ee1089755c3435139848e47e6635505d5a13a""#),
            "action.agentAddress",
            address,
        ),
        (
            agent(r#""agentAddress":"0x5e9ee1089755c3435139848e47e6635505d5a13a","agentName":"""#),
            "action.agentName",
            "a text that is not empty, a number, true or false",
        ),
        (delegate("\"7\""), "action.wei", number),
        (delegate("7.0"), "action.wei", number),
        (delegate("-7"), "action.wei", number),
        (delegate("18446744073709551616"), "action.wei", number),
        (delegate("true"), "action.wei", number),
        ("{}".to_owned(), "action", "in the body"),
        (r#"{"action":{"type":"order","x":1e999}}"#.to_owned(), "action", "of numbers that fit 64 bits"),
        (r#"{"action":{"x":18446744073709551616}}"#.to_owned(), "action", "of numbers that fit 64 bits"),
    ] {
        assert_eq!(
            refused(&body),
            format!("`{name}` must be {expected}, because hyperliquid signs it so"),
            "{body}"
        );
    }
    assert!(canonical(MAINNET, NOW, &delegate("18446744073709551615")).is_ok());
    for vault in ["\"0x12\"", "\"0x\"", "12", "\"1719884eb866cb12b2287399b15f7db5e7d775eg\""] {
        let body = ORDER.replacen('{', &format!("{{\"vaultAddress\":{vault},"), 1);
        assert!(refused(&body).contains("is not an address"), "{vault}");
    }
    for expires in ["\"soon\"", "-1", "1.5", "18446744073709551616"] {
        let body = ORDER.replacen('{', &format!("{{\"expiresAfter\":{expires},"), 1);
        assert!(refused(&body).contains("is not a whole number"), "{expires}");
    }
}

/// The nonce stands in two places of what moves money, and the agent owns it in both.
#[test]
fn has_one_nonce_wherever_it_stands() {
    let given = SEND.replace("\"amount\"", "\"time\":1754000123999,\"amount\"");
    let profile = profile();
    let asked = request(&given);
    assert_eq!(profile.plan(&asked).unwrap().time().caller_nonce, Some(1_754_000_123_999));
    let body = String::from_utf8(signed(MAINNET, NOW, &given).body).unwrap();
    assert!(body.contains("},\"nonce\":1754000123999,\"signature\""), "{body}");

    let twice = given.replacen('{', "{\"nonce\":1754000123998,", 1);
    assert_eq!(
        refused(&twice),
        "`nonce` must be the same number in every place where it stands, as hyperliquid counts it"
    );
    let text = SEND.replace("\"amount\"", "\"time\":\"1754000123999\",\"amount\"");
    assert!(refused(&text).starts_with("`action.time` must be a whole number"), "{}", refused(&text));
}

#[test]
fn says_what_actions_do() {
    use Action::{Admin, Cancel, Config, Trade, Transfer, Unknown};
    let profile = profile();
    for (action, types) in [
        (Trade, "order modify batchModify twapOrder"),
        (Cancel, "cancel cancelByCloid twapCancel"),
        (Config, "updateLeverage updateIsolatedMargin topUpIsolatedOnlyMargin scheduleCancel noop"),
        (
            Transfer,
            "subAccountTransfer subAccountSpotTransfer vaultTransfer vaultDistribute reserveRequestWeight",
        ),
        (Admin, "createSubAccount createVault setReferrer agentSetAbstraction evmUserModify"),
        (Unknown, "multiSig spotDeploy perpDeploy CSignerAction x"),
    ] {
        for kind in types.split(' ') {
            let body = format!(r#"{{"action":{{"type":"{kind}"}}}}"#);
            let request = request(&body);
            let plan = profile.plan(&request).expect(kind);
            let classified = plan.classified();
            assert_eq!((classified.action, classified.stands_in.as_slice()), (action, &[][..]), "{kind}");
        }
    }
    for kind in ["usdSend", "spotSend", "withdraw3"] {
        let body = SEND.replace("usdSend", kind).replace("\"amount\"", "\"token\":\"A\",\"amount\"");
        let body = if kind == "spotSend" { body } else { SEND.replace("usdSend", kind) };
        let request = request(&body);
        assert_eq!(profile.plan(&request).expect(kind).classified().action, Transfer, "{kind}");
    }
    for body in [
        r#"{"action":{"type":1}}"#,
        r#"{"action":{"type":["order"]}}"#,
        r#"{"action":{"type":"cancel","Type":"order"}}"#,
        r#"{"action":{"type":"cancel"},"Action":{"type":"order"}}"#,
        r#"{"action":[{"type":"cancel"}]}"#,
        r#"{"action":{"types":"cancel"}}"#,
    ] {
        let request = request(body);
        let action = profile.plan(&request).map(|plan| plan.classified().action);
        assert!(
            action.as_ref().is_ok_and(|action| *action == Unknown) || action.is_err(),
            "{body} {action:?}"
        );
    }
    // Elsewhere nothing is signed, so that no order passes for anything there.
    for (method, path) in [("POST", "/info"), ("PUT", "/exchange"), ("POST", "/exchange/"), ("POST", "/")] {
        let refused = profile.plan(&Request { method, path, ..request(ORDER) }).map(drop).unwrap_err();
        let expected = "hyperliquid takes signed requests at `POST /exchange` alone; what it tells elsewhere needs no signature";
        assert_eq!(refused.to_string(), expected, "{method} {path}");
    }
    let bound = profile.plan(&request(ORDER)).unwrap().binds();
    assert!(bound.method && bound.path && bound.query && bound.body);
    assert_eq!(profile.actions().classify("POST", "/exchange").0, Unknown);
}

fn shown(order: &Order<'_>) -> String {
    let fields = [&order.symbol, &order.kind, &order.quantity, &order.price, &order.stop];
    let [symbol, kind, quantity, price, stop] = fields.map(|field| field.as_deref().unwrap_or("-"));
    format!(
        "{} {symbol} {} {kind} {quantity} {price} {stop}",
        order.action,
        order.side.map_or("-", Side::name)
    )
}

#[test]
fn reads_orders_where_the_action_has_them() {
    let order = r#"{"a":3,"b":false,"p":"9.5","s":"1","r":false,"t":{"trigger":{"isMarket":true,"triggerPx":"9.4","tpsl":"sl"}}}"#;
    for (action, expected) in [
        (
            format!(
                r#"{{"type":"order","orders":[{order},{}]}}"#,
                order.replace("false,\"p\"", "true,\"p\"")
            ),
            "trade 3 sell trigger 1 9.5 9.4, trade 3 buy trigger 1 9.5 9.4",
        ),
        (format!(r#"{{"type":"modify","oid":7,"order":{order}}}"#), "trade 3 sell trigger 1 9.5 9.4"),
        (
            format!(r#"{{"type":"batchModify","modifies":[{{"oid":7,"order":{order}}}]}}"#),
            "trade 3 sell trigger 1 9.5 9.4",
        ),
        (
            r#"{"type":"twapOrder","twap":{"a":0,"b":true,"s":"2","r":false,"m":30,"t":true}}"#.to_owned(),
            "trade 0 buy - 2 - -",
        ),
        (
            r#"{"type":"order","orders":[]}"#.to_owned(),
            "! `action.orders` is not the list of orders that this endpoint takes",
        ),
        (
            r#"{"type":"order"}"#.to_owned(),
            "! `action.orders` is not the list of orders that this endpoint takes",
        ),
        (
            format!(r#"{{"type":"order","orders":[{}]}}"#, order.replace("\"1\"", "\"1e3\"")),
            "! `s` is not a number in plain digits",
        ),
        (
            format!(r#"{{"type":"order","orders":[{}]}}"#, order.replace("\"s\"", "\"S\":\"9\",\"s\"")),
            "! `S` is ambiguous: some servers take it for the name of another parameter",
        ),
        (
            format!(r#"{{"type":"order","orders":[{}]}}"#, order.replace("\"b\":false", "\"b\":0")),
            "! `b` is neither buy nor sell",
        ),
        (r#"{"type":"cancel","cancels":[{"a":0,"o":1}]}"#.to_owned(), ""),
    ] {
        let body = format!(r#"{{"action":{action}}}"#);
        let (profile, request) = (profile(), request(&body));
        let found = match profile.plan(&request).expect(&body).orders() {
            Ok(orders) => orders.iter().map(shown).collect::<Vec<_>>().join(", "),
            Err(error) => format!("! {error}"),
        };
        assert_eq!(found, expected, "{body}");
    }
}
