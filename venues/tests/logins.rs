//! WebSocket logins: what is signed for them, what they are refused, and for what else their signatures are good.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use strongroom_venues::rows::{self, Outcome};
use strongroom_venues::{
    Account, Action, Body, Covers, LoginFinding, Moment, Param, Profile, Request, RequestError, builtin,
    builtin_profiles,
};

const NOW: Moment =
    Moment { unix_ns: 1_754_000_123_456_000_000, nonce: 1_754_000_123_456, uuid: [1; 16], random16: [2; 16] };
const CHALLENGE: &str = "226aee50-88fc-4618-a42a-34f7709570b2";

fn profile(id: &str) -> Profile {
    builtin(id).unwrap().unwrap()
}

fn text(id: &str) -> &'static str {
    builtin_profiles().iter().find(|(known, _)| *known == id).unwrap().1
}

/// A login as a caller asks for it.
fn login<'a>(name: &'a str, params: &[(&'a str, &'a str)]) -> Request<'a> {
    let query = params.iter().map(|(name, value)| (*name, Param::Text(value))).collect();
    Request { method: "WS", path: name, query, body: Body::Empty }
}

fn rest<'a>(method: &'a str, path: &'a str, query: &[(&'a str, &'a str)]) -> Request<'a> {
    Request { method, path, ..login("", query) }
}

fn signed_text(profile: &Profile, request: &Request<'_>) -> Result<String, RequestError> {
    let base_url = profile.hosts()[0].clone();
    let account = Account { key_id: "KEY", uid: Some("7"), base_url: &base_url };
    let canonical = profile.plan(request)?.canonicalise(&account, &NOW)?;
    Ok(String::from_utf8_lossy(canonical.message()).into_owned())
}

/// The action of a request, its rule, and what else its signature is good for.
fn does(id: &str, request: &Request<'_>) -> (Action, String, Vec<Action>) {
    let profile = profile(id);
    let plan = profile.plan(request).unwrap_or_else(|error| panic!("{id}: {error}"));
    let classified = plan.classified();
    (classified.action, classified.rule.to_owned(), classified.stands_in.clone())
}

#[test]
fn signs_the_text_of_the_profile_and_no_other() {
    for (id, name, params, signed) in [
        ("bybit", "", &[][..], "GET/realtime1754000133456"),
        ("okx", "", &[], "1754000123GET/users/self/verify"),
        ("bitget", "login", &[], "1754000123GET/user/verify"),
        ("bitfinex", "", &[], "AUTH1754000123456"),
        ("bitmex", "", &[], "GET/realtime1754000128"),
        // Base64 of 1754000123: the newer socket of Gemini signs the time alone.
        ("gemini", "fast", &[], "MTc1NDAwMDEyMw=="),
        ("gate", "", &[], "api\nspot.login\n{}\n1754000123"),
        ("deribit", "", &[], "1754000123456\n1754000123456\n"),
        ("cryptocom", "", &[], "public/auth1754000123456KEY1754000123456"),
        ("poloniex", "", &[], "GET\n/ws\nsignTimestamp=1754000123456"),
        ("phemex", "", &[], "KEY1754000243"),
        ("woo", "", &[], "|1754000123456"),
        ("mexc", "", &[], "KEY1754000123456"),
        ("bitvavo", "", &[], "1754000123456GET/v2/websocket"),
        ("binance-ed25519", "logon", &[], "apiKey=KEY&recvWindow=10000&timestamp=1754000123456"),
        ("coinbase-legacy", "", &[("channel", "user")], "1754000123user"),
        (
            "gate",
            "subscribe",
            &[("channel", "spot.orders")],
            "channel=spot.orders&event=subscribe&time=1754000123",
        ),
    ] {
        assert_eq!(signed_text(&profile(id), &login(name, params)).as_deref(), Ok(signed), "{id} {name}");
    }
}

/// A token of a socket of Coinbase names no endpoint: what REST asks for is not in it.
#[test]
fn compares_a_row_of_a_login_with_its_frame() {
    let row = |sign: &str, more: &str| {
        format!(
            r#"{{"exchange":"okx","api":"ws","credentials":{{"apiKey":"k","secret":"s","password":"p"}},
            "frozen":{{"time_ms":1754000123456}},"request":{{"login":"login"}},"compare":"ws","expected":{{"ws_frame":
            {{"args":[{{"sign":"{sign}","timestamp":"1754000123","passphrase":"p","apiKey":"k"}}],"op":"login"{more}}}}}}}"#
        )
    };
    let compare = |row: &str| {
        let row = strongroom_venues::json::parse(row.as_bytes()).unwrap();
        rows::check(&row).unwrap();
        rows::compare(&profile("okx"), &row)
    };
    // HMAC-SHA256 of `1754000123GET/users/self/verify` under `s`, by Python's hmac.
    let right = "AySUjSrmRZo0MCK/JfvQ6DJrIdALzeSw12sMnlwnwvg=";
    assert_eq!(compare(&row(right, "")), Outcome::Same, "in any order");
    assert_eq!(compare(&row(right, r#","url":"wss://ws.okx.com:8443/ws/v5/private""#)), Outcome::Same);
    for other in [row("x", ""), row(right, r#","id":1"#), row(right, r#","url":"wss://other.example/""#)] {
        let Outcome::Differs { differences, signed } = compare(&other) else { panic!("{other}") };
        assert_eq!(differences.len(), 1, "{differences:?}");
        assert_eq!(differences[0].place, "frame");
        assert_eq!(signed.message.as_deref(), Some(b"1754000123GET/users/self/verify".as_slice()));
    }
}

#[test]
fn leaves_the_endpoint_out_of_a_token_for_a_socket() {
    for id in ["coinbase", "coinbase-eddsa"] {
        let token = signed_text(&profile(id), &login("", &[])).unwrap();
        let claims = base64url(token.rsplit('.').next().unwrap());
        assert!(claims.contains("\"sub\":\"KEY\"") && claims.contains("\"exp\":1754000243"), "{claims}");
        assert!(!claims.contains("uri"), "{id}: {claims}");
        let token = signed_text(&profile(id), &rest("GET", "/api/v3/brokerage/accounts", &[])).unwrap();
        assert!(base64url(token.rsplit('.').next().unwrap()).contains("uri"), "{id}");
    }
}

fn base64url(text: &str) -> String {
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits: Vec<usize> = text
        .chars()
        .flat_map(|c| {
            let digit = digits.find(c).unwrap();
            (0..6).rev().map(move |at| digit >> at & 1)
        })
        .collect();
    let bytes = bits.chunks_exact(8).map(|bits| bits.iter().fold(0_usize, |sum, bit| sum << 1 | bit));
    bytes.map(|byte| char::from(u8::try_from(byte).unwrap())).collect()
}

/// A challenge is hashed like the text of a REST request: one that were a withdrawal would be signed as one.
#[test]
fn refuses_a_challenge_that_is_none() {
    let profile = profile("krakenfutures");
    assert!(signed_text(&profile, &login("challenge", &[("challenge", CHALLENGE)])).is_ok());
    let withdrawal = "currency=XBT&amount=1&sourceWallet=cash/api/v3/withdrawal";
    let long = format!("{CHALLENGE}{withdrawal}");
    let lines = format!("{CHALLENGE}\n");
    for challenge in [
        withdrawal,
        "",
        &CHALLENGE[1..],
        &CHALLENGE.to_uppercase(),
        &CHALLENGE.replace('-', "a"),
        &long,
        &lines,
        "------------------------------------",
    ] {
        let refused = signed_text(&profile, &login("", &[("challenge", challenge)]));
        let Err(RequestError::LoginParam { fact, .. }) = refused else { panic!("{challenge}: {refused:?}") };
        assert_eq!(fact, "has not the form that the profile asks for", "{challenge}");
    }
    let json = Request { query: vec![("challenge", Param::Json("{\"a\":1}"))], ..login("challenge", &[]) };
    assert!(matches!(signed_text(&profile, &json), Err(RequestError::LoginParam { .. })));
}

#[test]
fn refuses_what_a_login_is_not_told() {
    for (id, request, refused) in [
        ("okx", login("logon", &[]), "the profile okx has no WebSocket login `logon`; it has `login`"),
        ("whitebit", login("", &[]), "the profile whitebit has no WebSocket login ``; it has none"),
        (
            "okx",
            login("", &[("path", "/api/v5/asset/withdrawal")]),
            "`path` of the WebSocket login `login` of okx is none of its parameters; it takes none",
        ),
        (
            "krakenfutures",
            login("", &[]),
            "`challenge` of the WebSocket login `challenge` of krakenfutures is missing; it takes `challenge` \
             ([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})",
        ),
        (
            "kraken",
            login("", &[]),
            "kraken hands out the token of its socket by REST: have `POST /0/private/GetWebSocketsToken` signed \
             instead, and send it",
        ),
        (
            "kucoin",
            login("token", &[]),
            "kucoin hands out the token of its socket by REST: have `POST /api/v1/bullet-private` signed instead, and \
             send it",
        ),
        (
            "gate",
            login("api", &[("request", "spot.order_amend")]),
            "`request` of the WebSocket login `api` of gate is none that the profile knows; it takes spot.order_place, \
             spot.order_cancel, spot.order_cancel_cp, spot.order_status, spot.order_list, futures.order_place, \
             futures.order_cancel, futures.order_cancel_cp, futures.order_status, futures.order_list",
        ),
        ("okx", login("", &[("ts", "yesterday")]), "`ts` must be whole seconds since 1970, as okx counts it"),
    ] {
        assert_eq!(signed_text(&profile(id), &request).unwrap_err().to_string(), refused, "{id}");
    }
}

/// What a program has built itself is signed only where the agent builds the same.
#[test]
fn signs_a_text_of_the_callers_own_only_if_it_is_a_login() {
    for (id, text) in [
        ("bybit", "GET/realtime1754000133456"),
        ("okx", "1754000123GET/users/self/verify"),
        ("bitget", "1754000123GET/user/verify"),
        ("bitfinex", "AUTH1754000123456"),
        ("gate", "api\nfutures.login\n{}\n1754000123"),
        ("gate", "channel=spot.orders&event=subscribe&time=1754000123"),
        ("gate", "api\nspot.order_place\n{\"side\":\"buy\",\"amount\":\"1\"}\n1754000123"),
        ("deribit", "1754000123456\n1754000123456\n"),
        ("cryptocom", "public/auth1754000123456KEY1754000123456"),
        ("mexc", "KEY1754000123456"),
    ] {
        assert_eq!(signed_text(&profile(id), &login("", &[("text", text)])).as_deref(), Ok(text), "{id}");
    }
    for (id, text) in [
        ("bybit", "1754000123456KEY5000category=linear"),
        ("okx", "2025-07-31T22:15:23.456ZPOST/api/v5/asset/withdrawal{\"amt\":\"1\"}"),
        ("okx", "1754000123GET/users/self/verify?a=b"),
        ("okx", " 1754000123GET/users/self/verify"),
        ("bitfinex", "/api/v2/auth/w/withdraw1754000123456{}"),
        ("bitfinex", "AUTH1754000123456\n"),
        ("cryptocom", "public/auth1754000123456KEY1754000123457"),
        ("cryptocom", "public/auth1754000123456OTHER1754000123456"),
        ("cryptocom", "private/create-withdrawal1754000123456KEYamount11754000123456"),
        ("deribit", "1754000123456\n1754000123456\nGET\n/api/v2/private/withdraw\n\n"),
        ("gate", "POST\n/api/v4/withdrawals\n\n00\n1754000123"),
        ("gate", "api\nspot.order_place\n{\"side\": \"buy\"}\n1754000123"),
        ("gate", "api\nspot.withdraw\n{}\n1754000123"),
        ("htx", "GET\napi.huobi.pro\n/ws/v2\naccessKey=KEY"),
        ("krakenfutures", CHALLENGE),
        ("mexc", "OTHER1754000123456"),
        ("whitebit", "anything"),
    ] {
        assert!(signed_text(&profile(id), &login("", &[("text", text)])).is_err(), "{id}: {text}");
    }
}

#[test]
fn takes_logins_for_sessions() {
    use Action::{Cancel, Read, Session, Trade};
    for (id, request, action, rule, also) in [
        ("okx", login("", &[]), Session, "ws-login", &[][..]),
        ("krakenfutures", login("", &[("challenge", CHALLENGE)]), Session, "ws-challenge", &[]),
        ("mexc", login("contract", &[]), Session, "ws-contract", &[Cancel, Read]),
        ("woo", login("", &[]), Session, "ws-login", &[Cancel, Read]),
        ("binance-ed25519", login("", &[]), Session, "ws-logon", &[Read]),
        // A request over a socket is what the same request is over REST…
        ("gate", login("api", &[("request", "spot.order_place")]), Trade, "trade-1", &[]),
        ("gate", login("api", &[("request", "spot.order_cancel_cp")]), Cancel, "cancel-1", &[]),
        // … but where it could be a login.
        ("binance-ed25519", login("api", &[("request", "account.status")]), Read, "read-3", &[Session]),
        // And a REST request that has the text of a login is one.
        ("coinbaseexchange", rest("GET", "/users/self/verify", &[]), Session, "ws-login", &[]),
        ("bitvavo", rest("GET", "/v2/websocket", &[]), Session, "ws-login", &[]),
        ("poloniex", rest("GET", "/ws", &[]), Session, "ws-login", &[]),
        ("cryptocom", rest("POST", "/exchange/v1/public/auth", &[]), Session, "ws-login", &[]),
        ("gemini", rest("POST", "/v1/order/events", &[]), Session, "ws-login", &[]),
        ("htx", rest("GET", "/swap-notification", &[]), Session, "ws-inverse", &[]),
        ("binance-ed25519", rest("GET", "/api/v3/account", &[("apiKey", "KEY")]), Read, "read-3", &[Session]),
        ("binance-ed25519", rest("GET", "/api/v3/account", &[]), Read, "read-3", &[]),
    ] {
        let found = does(id, &request);
        assert_eq!((found.0, found.2.as_slice()), (action, also), "{id} {} {}", request.method, request.path);
        if rule.starts_with("ws-") {
            assert_eq!(found.1, rule, "{id}");
        }
    }
}

/// So that limits on orders hold over a socket whose requests are signed one by one.
#[test]
fn reads_orders_that_are_signed_for_a_socket() {
    let gate = profile("gate");
    let order =
        [("request", "spot.order_place"), ("currency_pair", "BTC_USDT"), ("side", "buy"), ("amount", "2")];
    let request = login("api", &[&order[..], &[("price", "100"), ("type", "limit")]].concat());
    let plan = gate.plan(&request).unwrap();
    let orders = plan.orders().unwrap();
    let [order] = orders.as_slice() else { panic!("{orders:?}") };
    let read = (order.symbol.as_deref(), order.quantity.as_deref(), order.price.as_deref());
    assert_eq!(read, (Some("BTC_USDT"), Some("2"), Some("100")));
    assert_eq!(plan.covers(), Covers::Full);

    let binance = profile("binance");
    let order = [("request", "order.place"), ("symbol", "BTCUSDT"), ("side", "BUY"), ("type", "LIMIT")];
    let request =
        login("api", &[&order[..], &[("quantity", "2"), ("price", "100"), ("timeInForce", "GTC")]].concat());
    let plan = binance.plan(&request).unwrap();
    assert_eq!(plan.classified().action, Action::Trade);
    assert_eq!(plan.orders().unwrap()[0].symbol.as_deref(), Some("BTCUSDT"));
    // What would be two parameters is not taken for one.
    let request = login("api", &[("request", "account.status"), ("note", "1&symbol=BTCUSDT")]);
    assert_eq!(binance.plan(&request).unwrap().recut(), Some("note"));
}

/// What is found by trying is what the profiles say.
#[test]
fn knows_every_rest_request_that_is_signed_like_a_login() {
    let mut found: Vec<(&str, String)> = Vec::new();
    for (id, text) in builtin_profiles() {
        let profile = Profile::compile(text).unwrap();
        for finding in profile.check_logins() {
            assert!(!finding.undeclared && !finding.unguarded, "{id}: {finding:?}");
            found.push((id, finding.login));
        }
    }
    found.dedup();
    let found: Vec<(&str, &str)> = found.iter().map(|(id, login)| (*id, login.as_str())).collect();
    assert_eq!(
        found,
        [
            ("ascendex", "login"),
            ("binance", "user-data"),
            ("binance-ed25519", "logon"),
            ("binance-rsa", "user-data"),
            ("bithumb", "login"),
            ("bitmex", "login"),
            ("bitvavo", "login"),
            ("coinbaseexchange", "login"),
            ("cryptocom", "login"),
            ("deribit", "login"),
            ("htx", "linear"),
            ("htx", "inverse"),
            ("htx", "futures"),
            ("mexc", "contract"),
            ("poloniex", "login"),
            ("upbit", "login"),
            ("upbit-hs512", "login"),
            ("woo", "login"),
        ]
    );
}

/// The control of the test above: a profile that says less is found out.
#[test]
fn finds_logins_that_a_profile_does_not_declare() {
    let check = |id: &str, from: &str, to: &str| -> Vec<LoginFinding> {
        let changed = text(id).replacen(from, to, 1);
        assert_ne!(changed, text(id), "{id}");
        Profile::compile(&changed).unwrap().check_logins()
    };
    let undeclared = check("mexc", "also = [\"read\", \"cancel\"]", "");
    assert!(
        undeclared.iter().any(|finding| finding.undeclared && finding.action == Action::Read),
        "{undeclared:?}"
    );
    let both = check("bitvavo", "rest = { method = \"GET\", path = \"^/v2/websocket$\", empty = true }", "");
    assert!(both.iter().any(|finding| finding.undeclared && finding.unguarded), "{both:?}");
    let unguarded = check("binance-ed25519", "rest = { has_param = \"apiKey\" }", "");
    assert!(unguarded.iter().any(|finding| finding.unguarded && !finding.undeclared), "{unguarded:?}");
    // A challenge of any form could be a whole request.
    let pattern = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
    assert!(text("krakenfutures").contains(pattern));
}

#[test]
fn knows_the_sockets_of_each_host() {
    for (id, login, host, url) in [
        ("bybit", 0, "https://api-testnet.bybit.com", Some("wss://stream-testnet.bybit.com/v5/private")),
        ("okx", 0, "https://my.okx.com", Some("wss://wseea.okx.com:8443/ws/v5/private")),
        ("okx", 0, "https://nowhere.example", None),
        ("htx", 1, "https://api.huobi.pro", Some("wss://api.hbdm.com/linear-swap-notification")),
        ("htx", 1, "https://api.hbdm.vn", Some("wss://api.hbdm.vn/linear-swap-notification")),
        ("bitmex", 0, "https://testnet.bitmex.com", Some("wss://ws.testnet.bitmex.com/realtime")),
        ("gemini", 1, "https://api.gemini.com", Some("wss://ws.gemini.com")),
        ("gemini", 1, "https://api.sandbox.gemini.com", None),
    ] {
        assert_eq!(profile(id).logins()[login].url(host), url, "{id}");
    }
}

fn with(ws: &str) -> String {
    format!(
        "profile = \"x\"\nsign = {{ alg = \"hmac-sha256\", message = \"{{path}}\" }}\n\
         attach = {{ headers = {{ \"S\" = \"{{sig}}\" }} }}\n[[ws]]\nname = \"login\"\n{ws}\n"
    )
}

#[test]
fn refuses_logins_with_line_and_column() {
    const FRAME: &str = "frame = { sig = \"{sig}\" }\n";
    let signed = |rest: &str| format!("{FRAME}sign = {{ message = \"login{{ts}}\" }}\n{rest}");
    assert!(Profile::compile(&with(&signed(""))).is_ok());
    for (ws, refused) in [
        (signed("frme = 1"), "line 8, column 1: a WebSocket login has no key `frme`"),
        (FRAME.to_owned(), "line 4, column 1: a login needs `sign` with a text of its own, or `by`"),
        ("sign = { message = \"a\" }".to_owned(), "the signature is attached nowhere"),
        (signed("name2 = 1"), "has no key `name2`"),
        (signed("url = \"https://a.example\""), "must look like `wss://ws.example.com/private`"),
        (signed("params = { a = {} }"), "a parameter has a `pattern`, or `json = true`, and not both"),
        (signed("params = { a = { pattern = \".*\" } }"), "a parameter is never empty"),
        (signed("params = { text = { pattern = \"a\" } }"), "`text` is a parameter of the engine's own"),
        (signed("params = { nonce = { pattern = \"a\" } }"), "`nonce` is a variable already"),
        (signed("params = { a = { pattern = \"a\", default = \"b\" } }"), "`default` does not fit `pattern`"),
        (signed("requests = { place = \"order\" }"), "must look like `POST /path`"),
        (signed("also = [\"everything\"]"), "`everything` is no action"),
        (signed("by = \"POST /a\""), "has no place beside `by`"),
        (signed("rest = { verb = \"GET\" }"), "`rest` has no key `verb`"),
        (signed("[[ws]]\nname = \"login\"\nby = \"GET /a\""), "there are two logins called `login`"),
    ] {
        let error = Profile::compile(&with(&ws)).unwrap_err().to_string();
        assert!(error.contains(refused), "{ws}: {error}");
    }
}

/// Deribit checks the text of a login with data of the sender's behind it, and so every request is one.
#[test]
fn takes_requests_for_logins_that_end_as_their_sender_likes() {
    for (id, path, action, stands_in) in [
        ("deribit", "/api/v2/private/get_positions", Action::Read, &[Action::Session][..]),
        ("deribit", "/api/v2/private/buy", Action::Trade, &[Action::Session]),
        ("deribit", "/api/v2/public/auth", Action::Session, &[]),
        ("okx", "/api/v5/account/balance", Action::Read, &[]),
    ] {
        let (found, _, others) = does(id, &rest("GET", path, &[]));
        assert_eq!((found, others.as_slice()), (action, stands_in), "{id} {path}");
    }
    let without = text("deribit").replace("free = [\"data\"]\n", "");
    let without = Profile::compile(&without).unwrap();
    let request = rest("GET", "/api/v2/private/get_positions", &[]);
    assert!(without.plan(&request).unwrap().classified().stands_in.is_empty());
}
