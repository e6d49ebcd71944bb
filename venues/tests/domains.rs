//! Domains of typed data: what a key is enrolled for, known before there is a request.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use strongroom_venues::{Account, Body, Moment, Profile, Request, builtin};

/// A venue with two networks, two domains, and chains that go with the host.
const REEF: &str = r#"
profile = "reef"
hosts = ["https://api.reef.example", "https://test.reef.example"]
covers = "params"
body_methods = ["POST"]
[by_host]
"https://api.reef.example" = { chain = "1", realm = "Reef" }
"https://test.reef.example" = { chain = "0x61", realm = "Reef Test" }
[sign]
alg = "secp256k1"
[sign.eip712]
domain = { name = "{by_host:realm}", chainId = "{by_host:chain}" }
message = "order"
type = "Order(string market,uint64 size)"
[attach]
body_json = { signature = "0x{sig}" }
[[case]]
when = { param = { "order.kind" = "gift" } }
[case.sign.eip712]
domain = { chainId = 7 }
message = "order"
type = "Gift(string kind,address to)"
"#;

/// The domain separator of the message for a request.
fn separator(profile: &Profile, base_url: &str, body: &str) -> [u8; 32] {
    let body = Body::Json(body.as_bytes());
    let request = Request { method: "POST", path: "/order", query: Vec::new(), body };
    let account = Account { key_id: "0x14791697260e4c9a71f18484c9f997b308e59325", uid: None, base_url };
    let moment = Moment { unix_ns: 1_754_000_123_456_000_000, nonce: 1, ..Moment::default() };
    let canonical = profile.plan(&request).unwrap().canonicalise(&account, &moment).unwrap();
    canonical.message().get(2..34).and_then(|bytes| bytes.try_into().ok()).unwrap()
}

#[test]
fn names_every_domain_in_which_a_key_of_the_profile_signs() {
    let profile = Profile::compile(REEF).unwrap();
    let order = r#"{"order":{"market":"a","size":1}}"#;
    let gift = r#"{"order":{"kind":"gift","to":"0x14791697260e4c9a71f18484c9f997b308e59325"}}"#;
    let mut signed = Vec::new();
    for host in profile.hosts() {
        signed.extend([separator(&profile, host, order), separator(&profile, host, gift)]);
    }
    signed.sort_unstable();
    signed.dedup();
    assert_eq!(signed.len(), 4, "a network has its own realm, and a gift its own chain");
    assert_eq!(profile.key_spec().domains.separators(), signed);
}

#[test]
fn names_the_domains_of_hyperliquid() {
    let separators = builtin("hyperliquid").unwrap().unwrap().key_spec().domains;
    let hex =
        |separator: &[u8; 32]| separator.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    // Of `Exchange`, as the vendor's examples have it, and of `HyperliquidSignTransaction` on chain 421614, as ccxt
    // computes it.
    assert_eq!(
        separators.separators().iter().map(hex).collect::<Vec<_>>(),
        [
            "d79297fcdf2ffcd4ae223d01edaa2ba214ff8f401d7c9300d995d17c82aa4040",
            "feb1393ca4412a4ca577bd51d04f0a77033514c602f4d0a11490fb95f7428df6",
        ]
    );
    // Whose key shall not withdraw has the first alone.
    let trader = builtin("hyperliquid-agent").unwrap().unwrap().key_spec().domains;
    assert_eq!(trader.separators(), &separators.separators()[..1]);
    // Who signs no typed data is held to none.
    assert!(builtin("binance").unwrap().unwrap().key_spec().domains.is_empty());
}

#[test]
fn refuses_a_domain_that_only_a_request_would_tell() {
    let chain = |value: &str| REEF.replace("{by_host:chain}", value);
    for (text, expected) in [
        (
            chain("{param:order.chain}"),
            "line 12, column 48: a key signs only in the domains for which it was enrolled, so `chainId` is a constant, or has `{by_host:…}` in it and nothing of the request",
        ),
        (
            chain("{ts}"),
            "line 12, column 48: a key signs only in the domains for which it was enrolled, so `chainId` is a constant, or has `{by_host:…}` in it and nothing of the request",
        ),
        (
            REEF.replace("\"0x61\"", "\"test\""),
            "line 12, column 10: a host's word makes `chainId` something else than a whole number in plain digits, and not too large",
        ),
        (
            chain("{by_host:chian}"),
            "line 12, column 50: `by_host` has no word `chian` for https://api.reef.example",
        ),
    ] {
        assert_eq!(Profile::compile(&text).unwrap_err().to_string(), expected);
    }
}
