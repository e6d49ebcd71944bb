//! Examples that the vendors published, and schemes that no vector file has.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    reason = "a test may stop at the first surprise"
)]

mod common;

use common::{account, builtin, sign};
use strongroom_venues::{Account, Body, CallerTime, Moment, NonceKind, Param, Profile, Request};

const BINANCE_KEY: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
const BINANCE_SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
const KRAKEN_SECRET: &str =
    "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==";

fn pairs<'a>(text: &'a str) -> Vec<(&'a str, Param<'a>)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').expect("a pair"))
        .map(|(name, value)| (name, Param::Text(value)))
        .collect()
}

fn at_s(seconds: u64) -> Moment {
    Moment { unix_ns: seconds * 1_000_000_000, nonce: seconds * 1000, ..Moment::default() }
}

fn header<'r>(signed: &'r strongroom_venues::SignedRequest, name: &str) -> &'r str {
    signed
        .headers
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
        .expect("the header")
}

/// rest-api.md, section SIGNED: the caller's own recvWindow and timestamp stay where they are.
#[test]
fn signs_the_published_binance_orders() {
    let profile = builtin("binance");
    for (query, body, signature) in [
        (
            "",
            "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559",
            "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71",
        ),
        (
            "",
            "symbol=１２３４５６&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559",
            "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3",
        ),
        (
            "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC",
            "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559",
            "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77",
        ),
        (
            "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559",
            "",
            "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71",
        ),
    ] {
        let request = Request {
            method: "POST",
            path: "/api/v3/order",
            query: pairs(query),
            body: Body::Form(pairs(body)),
        };
        let needs = profile.plan(&request).unwrap().time();
        assert_eq!(needs.caller_timestamp, Some(CallerTime { unix_ns: 1_499_827_319_559_000_000 }));
        assert_eq!((needs.nonce, needs.random), (NonceKind::Absent, false));
        let signed = sign(&profile, &request, &account(BINANCE_KEY), at_s(0), BINANCE_SECRET, None).unwrap();
        let carrier = if body.is_empty() { signed.url } else { String::from_utf8(signed.body).unwrap() };
        assert!(carrier.ends_with(&format!("timestamp=1499827319559&signature={signature}")), "{carrier}");
    }
}

/// docs.kraken.com, guides/spot-rest-auth: the nonce is the caller's, and first.
#[test]
fn signs_the_published_kraken_order() {
    let profile = builtin("kraken");
    let body = "nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25";
    let request = Request {
        method: "POST",
        path: "/0/private/AddOrder",
        query: Vec::new(),
        body: Body::Form(pairs(body)),
    };
    let needs = profile.plan(&request).unwrap().time();
    assert_eq!((needs.nonce, needs.caller_nonce), (NonceKind::Ms, Some(1_616_492_376_594)));
    let signed = sign(&profile, &request, &account("key"), at_s(0), KRAKEN_SECRET, None).unwrap();
    assert_eq!(String::from_utf8(signed.body.clone()).unwrap(), body);
    assert_eq!(
        header(&signed, "API-Sign"),
        "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="
    );
}

/// docs.kraken.com, exchange/guides/rest/funding: nonce in a header, the query in the signed path. The vendor gives no
/// result; these were made with Python's `hmac`, with the key of the example above.
#[test]
fn signs_the_query_of_krakens_funding() {
    let profile = builtin("kraken");
    let moment = Moment { nonce: 1_616_492_376_000, ..Moment::default() };
    let withdrawal = br#"{"scope":{"method_id":"m"},"amount":"5"}"#;
    for (method, path, query, body, url, signature) in [
        (
            "GET",
            "/funding/v1/methods/withdraw",
            vec![("asset[class]", Param::Text("currency"))],
            Body::Empty,
            "https://api.example.com/funding/v1/methods/withdraw?asset%5Bclass%5D=currency",
            "rsuD8VpqJZVLU5SZM5YKtV9Pi8mEAOG0t5cbYQLB8m4MFyirJbOMz5DSUruqzSo937f7ZpGXdWYvsOXzpW/Imw==",
        ),
        (
            "POST",
            "/funding/v1/withdrawals",
            Vec::new(),
            Body::Json(withdrawal),
            "https://api.example.com/funding/v1/withdrawals",
            "zz4c4JpypnDM0fdeEyYhO59ZYcSYDGCoQrWkBfk9obyYVo5W+/uqbJ3W7UjrrFQTG1N7wdWbatvuZTeTqPp97Q==",
        ),
    ] {
        let request = Request { method, path, query, body };
        let signed = sign(&profile, &request, &account("key"), moment, KRAKEN_SECRET, None).unwrap();
        assert_eq!((signed.url.as_str(), header(&signed, "API-Sign")), (url, signature));
        assert_eq!(header(&signed, "API-Nonce"), "1616492376000");
        let typed =
            signed.headers.iter().any(|(name, value)| name == "Content-Type" && value.contains("json"));
        assert_eq!(
            (typed, signed.body.as_slice()),
            if method == "GET" { (false, &[][..]) } else { (true, &withdrawal[..]) }
        );
    }
}

/// Gate API v4 documentation, "API signature string generation".
#[test]
fn signs_the_published_gate_requests() {
    let profile = builtin("gate");
    let order = br#"{"contract":"BTC_USD","type":"limit","size":100,"price":6800,"time_in_force":"gtc"}"#;
    for (method, query, body, signature) in [
        (
            "GET",
            "contract=BTC_USD&status=finished&limit=50",
            Body::Empty,
            "55f84ea195d6fe57ce62464daaa7c3c02fa9d1dde954e4c898289c9a2407a3d6fb3faf24deff16790d726b66ac9f74526668b13bd01029199cc4fcc522418b8a",
        ),
        (
            "POST",
            "",
            Body::Json(order),
            "eae42da914a590ddf727473aff25fc87d50b64783941061f47a3fdb92742541fc4c2c14017581b4199a1418d54471c269c03a38d788d802e2c306c37636389f0",
        ),
    ] {
        let request = Request { method, path: "/api/v4/futures/orders", query: pairs(query), body };
        let signed = sign(&profile, &request, &account("key"), at_s(1_541_993_715), "secret", None).unwrap();
        assert_eq!(header(&signed, "SIGN"), signature);
    }
}

/// www.bitmex.com/app/apiKeysUsage: the expiry is signed, and a number keeps its digits.
#[test]
fn signs_the_published_bitmex_order() {
    let profile = Profile::compile(
        r#"
        profile = "bitmex"
        clock = { ts = "s", plus_s = 5 }
        sign = { alg = "hmac-sha256", message = "{method}{path}{query|q}{ts}{body}" }
        attach = { headers = { "api-expires" = "{ts}", "api-key" = "{key}", "api-signature" = "{sig}" } }
        "#,
    )
    .unwrap();
    let body =
        br#"{"symbol":"XBTM15","price":219.0,"clOrdID":"mm_bitmex_1a/oemUeQ4CAJZgP3fjHsA","orderQty":98}"#;
    let request =
        Request { method: "POST", path: "/api/v1/order", query: Vec::new(), body: Body::Json(body) };
    let secret = "chNOOS4KvNXR_Xq4k4c9qsfoKWvnDecLATCRlcBwyKDYnWgO";
    let signed = sign(&profile, &request, &account("key"), at_s(1_518_064_233), secret, None).unwrap();
    assert_eq!(header(&signed, "api-expires"), "1518064238");
    assert_eq!(
        header(&signed, "api-signature"),
        "1749cd2ccae4aa49048ae09f0b95110cee706e0944e6a14ad0b3a8cb45bd336b"
    );
}

/// ascendex.github.io/ascendex-pro-api, section "Sign a Request": the account group is no part of what is signed.
#[test]
fn signs_the_published_ascendex_request() {
    let request = Request { method: "GET", path: "/api/pro/v1/info", query: Vec::new(), body: Body::Empty };
    let account = account("CEcrjGyipqt0OflgdQQSRGdrDXdDUY2x");
    let secret = "hV8FgjyJtpvVeAcMAgzgAFQCN36wmbWuN7o3WPcYcYhFd8qvE43gzFGVsFcCqMNk";
    let signed = sign(&builtin("ascendex"), &request, &account, at_s(1_608_133_910), secret, None).unwrap();
    assert_eq!(header(&signed, "x-auth-signature"), "/pwaAgWZQ1Xd/J4yZ4ReHSPQxd3ORP/YR8TvAttqqYM=");
}

/// `CoinEx` v2 hashes a text with the secret in it. The digest was made with `sha256sum`.
#[test]
fn leaves_room_for_the_secret_in_a_hashed_text() {
    for message in ["{method}{path}{query|q}{body}{ts}{secret}", "{method}{path}{query|q}{body}{ts}"] {
        let profile = Profile::compile(&format!(
            r#"
            profile = "coinex"
            encode = {{ query = "raw", sort = "key" }}
            sign = {{ alg = "hash-sha256", message = "{message}" }}
            attach = {{ headers = {{ "X-COINEX-SIGN" = "{{sig}}" }} }}
            "#
        ))
        .unwrap();
        let request = Request { method: "GET", path: "/v2/a", query: pairs("b=2&a=1"), body: Body::Empty };
        let signed = sign(&profile, &request, &account("key"), at_s(1), "topsecret", None).unwrap();
        // printf 'GET/v2/a?a=1&b=21000topsecret' | sha256sum
        assert_eq!(
            header(&signed, "X-COINEX-SIGN"),
            "fcf457833c57106755687dbb629144a6de90b968155b7140524bedc8ec59148b"
        );
    }
}

/// MEXC spot v3, "SIGNED Endpoint Examples for POST /api/v3/order", example 2. (The digest of example 1 belongs to no
/// text.)
#[test]
fn signs_the_published_mexc_order() {
    let query =
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=11&recvWindow=5000&timestamp=1644489390087";
    let request = Request { method: "POST", path: "/api/v3/order", query: pairs(query), body: Body::Empty };
    let secret = "45d0b3c26f2644f19bfb98b07741b2f5";
    let account = account("mx0aBYs33eIilxBWC5");
    let signed = sign(&builtin("mexc"), &request, &account, at_s(0), secret, None).unwrap();
    let signature = "fd3e4e8543c5188531eb7279d68ae7d26a573d0fc5ab0d18eb692451654d837a";
    assert!(signed.url.ends_with(&format!("?{query}&signature={signature}")), "{}", signed.url);
    assert_eq!(header(&signed, "X-MEXC-APIKEY"), "mx0aBYs33eIilxBWC5");
}

/// docs.deribit.com, "Client Signature (WebSocket)": the nonce there is a word, where the profile writes a number.
#[test]
fn signs_the_published_deribit_login() {
    let (_, shipped) =
        strongroom_venues::builtin_profiles().iter().find(|(id, _)| *id == "deribit").expect("shipped");
    let text = r#"message = "{ts}\n{nonce}\n""#;
    assert_eq!(shipped.matches(text).count(), 1);
    let profile = Profile::compile(&shipped.replace(text, r#"message = "{ts}\n1iqt2wls\n""#)).unwrap();
    let request = Request { method: "WS", path: "login", query: Vec::new(), body: Body::Empty };
    let account = Account { key_id: "AMANDA", uid: None, base_url: "https://www.deribit.com" };
    let signed = sign(&profile, &request, &account, at_s(1_576_074_319), "AMANDASECRECT", None).unwrap();
    let frame = String::from_utf8(signed.body).unwrap();
    let signature = "56590594f97921b09b18f166befe0d1319b198bbcdad7ca73382de2f88fe9aa1";
    assert!(frame.contains(&format!("\"signature\":\"{signature}\"")), "{frame}");
    assert!(frame.contains("\"client_id\":\"AMANDA\",\"timestamp\":1576074319000"), "{frame}");
}

/// docs.upbit.com/kr/reference/auth, "JWT token structure": the page gives header and claims, and not the secret.
#[test]
fn signs_the_header_and_the_claims_of_the_published_upbit_token() {
    let profile = builtin("upbit-hs512");
    let request = Request { method: "GET", path: "/v1/accounts", query: Vec::new(), body: Body::Empty };
    // b2f1e3f8-2dc1-4d6f-a838-c74c49b0e39a
    let uuid = 0xb2f1_e3f8_2dc1_4d6f_a838_c74c_49b0_e39a_u128.to_be_bytes();
    let moment = Moment { uuid, ..at_s(0) };
    let account = account("a7Xd92LmQW3vBtRzYpMj5CxNKeT1HuVs0fFgJcAw");
    let signed = sign(&profile, &request, &account, moment, "YOUR_SECRET_KEY", None).unwrap();
    let token = header(&signed, "Authorization").strip_prefix("Bearer ").unwrap();
    let text = concat!(
        "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.",
        // {"access_key":"a7Xd92LmQW3vBtRzYpMj5CxNKeT1HuVs0fFgJcAw","nonce":"b2f1e3f8-2dc1-4d6f-a838-c74c49b0e39a"}
        "eyJhY2Nlc3Nfa2V5IjoiYTdYZDkyTG1RVzN2QnRSellwTWo1Q3hOS2VUMUh1VnMwZkZnSmNBdyIsIm5vbmNlIjoiYjJmMWUzZjgtMmRjMS00ZDZmLWE4MzgtYzc0YzQ5YjBlMzlhIn0",
    );
    let (signed_text, mac) = token.rsplit_once('.').unwrap();
    assert_eq!(signed_text, text);
    // By PyJWT 2, `jwt.encode(claims, "YOUR_SECRET_KEY", algorithm="HS512")`, as the page does it.
    assert_eq!(mac, "d9XWG9WUFIWrY06Free3R6II7EYNY17-CmaspPoBas1BVNGRKH4OF8uxkZnxkl_wZus5qHfxcgPJaVLh2C1XRA");
}

/// The signed text of a request at the profile's first host, in milliseconds since 1970.
fn text_at(id: &str, key_id: &str, request: &Request<'_>, ms: u64) -> String {
    let profile = builtin(id);
    let base_url = profile.hosts().first().expect("a host").clone();
    let account = Account { key_id, uid: None, base_url: &base_url };
    let moment = Moment { unix_ns: ms * 1_000_000, nonce: ms, ..Moment::default() };
    let canonical = profile.plan(request).expect("planned").canonicalise(&account, &moment).expect("a text");
    String::from_utf8(canonical.message().to_vec()).expect("UTF-8")
}

/// docs.backpack.exchange, "Signature Generation": an order that is taken back, and a batch of two.
#[test]
fn writes_the_published_backpack_texts() {
    let json = |method, path, body: &'static str| Request {
        method,
        path,
        query: Vec::new(),
        body: Body::Json(body.as_bytes()),
    };
    let cancel = json("DELETE", "/api/v1/order", r#"{"orderId":28,"symbol":"BTC_USDT"}"#);
    assert_eq!(
        text_at("backpack", "key", &cancel, 1_614_550_000_000),
        "instruction=orderCancel&orderId=28&symbol=BTC_USDT&timestamp=1614550000000&window=5000"
    );
    let batch = r#"[
        {"symbol":"SOL_USDC_PERP","side":"Bid","orderType":"Limit","price":"141","quantity":"12"},
        {"symbol":"SOL_USDC_PERP","side":"Bid","orderType":"Limit","price":"140","quantity":"11"}
    ]"#;
    assert_eq!(
        text_at("backpack", "key", &json("POST", "/api/v1/orders", batch), 1_750_793_021_519),
        "instruction=orderExecute&orderType=Limit&price=141&quantity=12&side=Bid&symbol=SOL_USDC_PERP\
         &instruction=orderExecute&orderType=Limit&price=140&quantity=11&side=Bid&symbol=SOL_USDC_PERP\
         &timestamp=1750793021519&window=5000"
    );
}

/// The vendor's `OpenAPI`, "Digital Signature", its JavaScript and its Python; the id there is 11 and 14, and the nonce here.
#[test]
fn writes_the_texts_of_the_published_samples_of_cryptocom() {
    let post = |path, body: &'static str| Request {
        method: "POST",
        path,
        query: Vec::new(),
        body: Body::Json(body.as_bytes()),
    };
    let detail = post("/exchange/v1/private/get-order-detail", r#"{"order_id":"53287421324"}"#);
    assert_eq!(
        text_at("cryptocom", "token", &detail, 1_587_846_358_253),
        "private/get-order-detail1587846358253tokenorder_id532874213241587846358253"
    );
    let list = r#"{"contingency_type":"LIST","order_list":[
        {"instrument_name":"ONE_USDT","side":"BUY","type":"LIMIT","price":"0.24","quantity":"1.0"},
        {"instrument_name":"ONE_USDT","side":"BUY","type":"STOP_LIMIT","price":"0.27","quantity":"1.0","trigger_price":"0.26"}
    ]}"#;
    assert_eq!(
        text_at(
            "cryptocom",
            "API_KEY",
            &post("/exchange/v1/private/create-order-list", list),
            1_587_846_358_253
        ),
        "private/create-order-list1587846358253API_KEYcontingency_typeLISTorder_list\
         instrument_nameONE_USDTprice0.24quantity1.0sideBUYtypeLIMIT\
         instrument_nameONE_USDTprice0.27quantity1.0sideBUYtrigger_price0.26typeSTOP_LIMIT1587846358253"
    );
}

/// docs.coinex.com/api/v2/authorization: the text of a request, and that of a socket. The page gives no secret.
#[test]
fn writes_the_published_coinex_texts() {
    let query = "market=BTCUSDT&market_type=SPOT&side=buy&page=1&limit=10";
    let path = "/v2/spot/pending-order";
    let request = Request { method: "GET", path, query: pairs(query), body: Body::Empty };
    let now = 1_700_490_703_564;
    assert_eq!(text_at("coinex-hmac", "key", &request, now), format!("GET{path}?{query}{now}"));
    let login = Request { method: "WS", path: "spot", query: Vec::new(), body: Body::Empty };
    assert_eq!(text_at("coinex-hmac", "key", &login, now), now.to_string());
}

/// ascendex.github.io/ascendex-pro-api, "WebSocket Authentication", with the time of "Sign a Request"; the signature is openssl's.
#[test]
fn signs_the_login_of_the_published_ascendex_key() {
    let login = Request { method: "WS", path: "login", query: Vec::new(), body: Body::Empty };
    let account = account("BclE7dBGbS1AP3VnOuq6s8fJH0fWbH7r");
    let secret = "fAZcQRUMxj3eX3DreIjFcPiJ9UR3ZTdgIw8mxddvtcDxLoXvdbXJuFQYadUUsF7q";
    let signed = sign(&builtin("ascendex"), &login, &account, at_s(1_608_133_910), secret, None).unwrap();
    assert_eq!(
        String::from_utf8(signed.body).unwrap(),
        r#"{"op":"auth","t":1608133910000,"key":"BclE7dBGbS1AP3VnOuq6s8fJH0fWbH7r","sig":"k7FnrzlfFJRDfycnlgGXZBz0cIO2z8BsP3nPuFVhFR8="}"#
    );
}

/// bittrex.github.io/api/v1-1, "Request Signing": there key and nonce stand behind the caller's parameters, and the nonce
/// is milliseconds.
#[test]
fn signs_the_published_bittrex_url() {
    let (_, shipped) =
        strongroom_venues::builtin_profiles().iter().find(|(id, _)| *id == "bittrex1").expect("shipped");
    let (key, nonce) = (
        r#"name = "apikey", value = "{key}", at = "front""#,
        r#"name = "nonce", value = "{nonce}", at = "front""#,
    );
    assert_eq!((shipped.matches(key).count(), shipped.matches(nonce).count()), (1, 1));
    let behind =
        shipped.replace(key, &key.replace("front", "back")).replace(nonce, &nonce.replace("front", "back"));
    let profile = Profile::compile(&behind.replace("nonce = \"s\"", "nonce = \"ms\"")).unwrap();
    let request = Request {
        method: "GET",
        path: "/api/v1.1/path/call",
        query: pairs("param=value"),
        body: Body::Empty,
    };
    let account = Account { key_id: "0123456789", uid: None, base_url: "https://api.bittrex.com" };
    let moment = Moment { nonce: 1_542_020_339_856, ..at_s(0) };
    let signed = sign(&profile, &request, &account, moment, "ABCDEFGHIJ", None).unwrap();
    assert_eq!(
        signed.url,
        "https://api.bittrex.com/api/v1.1/path/call?param=value&apikey=0123456789&nonce=1542020339856"
    );
    assert_eq!(
        header(&signed, "apisign").to_uppercase(),
        "FC70DD6467C916FBAA14EB89942644F9CF3F4CBF179923EE677413DC2E1CF2D8\
         C5AA60C85A0A0BB3174960B8AA4FCFB0BC20CDE19BF21D567C671811C52CE631"
    );
}

/// www.bitstamp.net/api, "Authentication examples", at a made-up time; the signature is that of the Python sample.
#[test]
fn signs_the_published_sample_of_bitstamp() {
    let form = Body::Form(pairs("offset=1"));
    let path = "/api/v2/user_transactions/";
    let request = Request { method: "POST", path, query: Vec::new(), body: form };
    let account = Account { key_id: "api_key", uid: None, base_url: "https://www.bitstamp.net" };
    let uuid = 0xb2f1_e3f8_2dc1_4d6f_a838_c74c_49b0_e39a_u128.to_be_bytes();
    let moment = Moment { uuid, ..at_s(1_700_000_000) };
    let signed = sign(&builtin("bitstamp"), &request, &account, moment, "api_key_secret", None).unwrap();
    let expected = "8d5bd4751c98da4e03728af1f402ec928bef99fec1b57f2827ca60e15f782dbb";
    assert_eq!(header(&signed, "X-Auth-Signature"), expected);
}
