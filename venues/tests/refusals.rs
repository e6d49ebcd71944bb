//! What the engine refuses, and what it says then.

#![expect(clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod common;

use common::{account, builtin, sign};
use strongroom_venues::{Account, Body, Covers, Moment, NonceKind, Param, Profile, Request};

fn json(text: &str) -> Body<'_> {
    Body::Json(text.as_bytes())
}

fn form<'a>(pairs: &[(&'a str, &'a str)]) -> Body<'a> {
    Body::Form(pairs.iter().map(|(name, value)| (*name, Param::Text(value))).collect())
}

/// What signing this request with `profile` says.
fn refusal(
    profile: &Profile,
    method: &str,
    path: &str,
    query: &[(&str, Param<'_>)],
    body: Body<'_>,
) -> String {
    let request = Request { method, path, query: query.to_vec(), body };
    // Text, and base64 of 36 bytes: it does for every venue.
    let secret = "0123456789abcdef0123456789abcdef0123456789abcdef";
    match sign(profile, &request, &account("key"), Moment::default(), secret, None) {
        Err(error) => error.to_string(),
        Ok(signed) => panic!("signed {}", signed.url),
    }
}

#[test]
fn refuses_requests_and_names_the_venues_rule() {
    let text = Param::Text;
    let deep = format!("{{\"a\":{}0{}}}", "[".repeat(40), "]".repeat(40));
    for (venue, method, path, query, body, expected) in [
        (
            "binance",
            "get",
            "/a",
            vec![],
            Body::Empty,
            "method `get` is none of DELETE, GET, PATCH, POST, PUT",
        ),
        ("binance", "GET", "/a//b", vec![], Body::Empty, "the path contains `//`"),
        (
            "binance",
            "GET",
            "/a",
            vec![("a", text("1")), ("a", text("2"))],
            Body::Empty,
            "`a` occurs more than once in the query",
        ),
        (
            "binance",
            "POST",
            "/a",
            vec![("a", text("1"))],
            form(&[("a", "1")]),
            "`a` occurs more than once in the body",
        ),
        (
            "cryptocom",
            "POST",
            "/exchange/v1/private/create-order",
            vec![("price", text("1"))],
            json(r#"{"price":"2"}"#),
            "`price` occurs more than once in the body",
        ),
        (
            "kraken",
            "POST",
            "/a",
            vec![],
            json(r#"{"a":1,"a":2}"#),
            "the body is not valid JSON: the name `a` for the second time at byte 10",
        ),
        (
            "okx",
            "POST",
            "/a",
            vec![],
            json(&deep),
            "the body is not valid JSON: nesting deeper than 32 at byte 37",
        ),
        ("okx", "POST", "/a", vec![], json("1"), "the body must be a JSON object or array"),
        (
            "okx",
            "GET",
            "/a",
            vec![("a", Param::Json("1 2"))],
            Body::Empty,
            "the query is not valid JSON: text after the value at byte 2",
        ),
        (
            "okx",
            "GET",
            "/a",
            vec![("a", Param::Json("null"))],
            Body::Empty,
            "`a` is null, which okx has no text form for in a query",
        ),
        (
            "binance",
            "POST",
            "/a",
            vec![],
            json("[1]"),
            "binance sends its parameters as a form, so the body must be pairs or a JSON object, not a JSON array",
        ),
        (
            "binance",
            "POST",
            "/a",
            vec![],
            form(&[("signature", "00")]),
            "`signature` is set by the agent for binance; leave it out of the body",
        ),
        (
            "poloniex",
            "GET",
            "/a",
            vec![("signTimestamp", text("now"))],
            Body::Empty,
            "`signTimestamp` must be whole milliseconds since 1970, as poloniex counts it",
        ),
        (
            "kraken",
            "POST",
            "/a",
            vec![],
            form(&[("nonce", "007")]),
            "`nonce` must be a whole number, as kraken counts it",
        ),
        (
            "kraken",
            "POST",
            "/a",
            vec![("a", text("1"))],
            Body::Empty,
            "kraken does not sign the query of a POST to this path; put the parameters into the body",
        ),
        (
            "bingx",
            "POST",
            "/openApi/swap/v2/trade/order",
            vec![],
            form(&[("symbol", "BTC-USDT")]),
            "bingx does not sign the body of a POST to this path; put the parameters into the query",
        ),
        (
            "bingx",
            "POST",
            "/openApi/spot/v1/trade/order",
            vec![],
            json(r#"{"symbol":"BTCUSDT"}"#),
            "bingx does not sign the body of a POST to this path; put the parameters into the query",
        ),
        (
            "phemex",
            "GET",
            "/a",
            vec![("a", Param::Json("[null]"))],
            Body::Empty,
            "`a` is null, which phemex has no text form for in a query",
        ),
        (
            "backpack",
            "POST",
            "/api/v1/orders",
            vec![],
            json(r#"{"symbol":"SOL_USDC"}"#),
            "backpack signs every element of this body by itself, so it must be a JSON array of objects, not empty",
        ),
        (
            "backpack",
            "POST",
            "/api/v1/order",
            vec![],
            json("[]"),
            "backpack signs the parameters name by name, so the body must be pairs or a JSON object, not a JSON array",
        ),
        (
            "backpack",
            "GET",
            "/api/v1/nothing",
            vec![],
            Body::Empty,
            "the profile backpack does not know `GET /api/v1/nothing`, and the signed text needs a word for it",
        ),
        (
            "bybit",
            "GET",
            "/a",
            vec![("a", text("1&b=2"))],
            Body::Empty,
            "`a` contains '&', but bybit takes this part of the query unescaped",
        ),
        (
            "kucoin",
            "GET",
            "/a",
            vec![("a=1", text("2"))],
            Body::Empty,
            "`a=1` contains '=', but kucoin takes this part of the query unescaped",
        ),
        (
            "bittrex",
            "GET",
            "/a",
            vec![("a", text("b\r\nHost: x"))],
            Body::Empty,
            "`a` contains '\\r', but bittrex takes this part of the query unescaped",
        ),
    ] {
        assert_eq!(refusal(&builtin(venue), method, path, &query, body), expected);
    }
}

#[test]
fn refuses_what_a_profile_has_no_way_to_sign() {
    for (profile, method, body, expected) in [
        (
            r#"inject = [{ to = "body", name = "token", value = "{key}" }]"#,
            "POST",
            json("[]"),
            "x gets parameters of the agent's in the body, so the body must be pairs or a JSON object, not a JSON array",
        ),
        (
            r#"inject = [{ to = "body", name = "token", value = "{key}" }]"#,
            "POST",
            json(r#"{"token":1}"#),
            "`token` is set by the agent for x; leave it out of the body",
        ),
        (
            r#"covers = "params""#,
            "GET",
            json("{}"),
            "x does not sign the body of a GET to this path; put the parameters into the query",
        ),
        (
            r#"let = { word = "{op}" }
            map = { "GET /b" = "b" }"#,
            "GET",
            Body::Empty,
            "the profile x does not know `GET /a`, and the signed text needs a word for it",
        ),
    ] {
        let text = format!(
            "profile = \"x\"\n{profile}\nsign = {{ alg = \"hmac-sha256\", message = \"{{query}}\" }}\n\
             attach = {{ query = \"s={{sig}}\" }}\n"
        );
        let profile = Profile::compile(&text).expect("compiles");
        assert_eq!(refusal(&profile, method, "/a", &[], body), expected);
    }
}

/// Also where the profile writes query or body anew: sent twice, a parameter means what the venue reads first or last.
#[test]
fn refuses_a_parameter_that_the_profile_writes_itself() {
    for (attach, method, expected) in [
        (
            "body = \"a={key}&s={sig}{body|amp}\"",
            "POST",
            "`s` is set by the agent for x; leave it out of the body",
        ),
        (
            "query_replace = \"?s={sig}{query|amp}\"",
            "GET",
            "`s` is set by the agent for x; leave it out of the query",
        ),
    ] {
        let text = format!(
            "profile = \"x\"\nencode = {{ body = \"form\" }}\n\
             sign = {{ alg = \"hmac-sha256\", message = \"{{query}}{{body}}\" }}\nattach = {{ {attach} }}\n"
        );
        let profile = Profile::compile(&text).expect("compiles");
        let (query, body) = match method {
            "GET" => (vec![("s", Param::Text("1"))], Body::Empty),
            _ => (Vec::new(), json(r#"{"s":1}"#)),
        };
        assert_eq!(refusal(&profile, method, "/a", &query, body), expected);
    }
}

/// What a profile sends without escaping it is checked once more at the end.
#[test]
fn refuses_a_url_that_is_none() {
    for (encode, attach, value, expected) in [
        (
            "query = \"pct\"",
            "query = \"a#{sig}\"",
            "1",
            "the URL would contain a space, a `#` or a character beyond ASCII that the profile does not escape",
        ),
        (
            "signed_query = \"raw\"",
            "query_replace = \"{query}&s={sig}\"",
            "1&b=2",
            "`a` contains '&', but x takes this part of the query unescaped",
        ),
    ] {
        let text = format!(
            "profile = \"x\"\nencode = {{ {encode} }}\nsign = {{ alg = \"hmac-sha256\", message = \"{{query}}\" }}\n\
             attach = {{ {attach} }}\n"
        );
        let profile = Profile::compile(&text).expect("compiles");
        assert_eq!(refusal(&profile, "GET", "/a", &[("a", Param::Text(value))], Body::Empty), expected);
    }
}

#[test]
fn refuses_accounts_that_do_not_fit() {
    let profile = Profile::compile(
        r#"
        profile = "x"
        sign = { alg = "hmac-sha256", message = "{uid}{body}" }
        attach = { headers = { "S" = "{sig}", "P" = "{passphrase}" } }
        "#,
    )
    .expect("compiles");
    assert!(profile.needs_uid());
    let good = Account { key_id: "key", uid: Some("1"), base_url: "https://a.example" };
    let request = Request { method: "GET", path: "/", query: Vec::new(), body: Body::Empty };
    for (account, expected) in [
        (Account { uid: None, ..good }, "x needs the account's user id; enrol the credential with a uid"),
        (
            Account { uid: Some("a "), ..good },
            "the credential's uid must be words of visible ASCII without quotes and backslashes",
        ),
        (
            Account { uid: Some("a\nb"), ..good },
            "the credential's uid must be words of visible ASCII without quotes and backslashes",
        ),
        (
            Account { key_id: "a\r\nb", ..good },
            "the credential's key id must be visible ASCII without quotes and backslashes",
        ),
        (
            Account { key_id: "", ..good },
            "the credential's key id must be visible ASCII without quotes and backslashes",
        ),
        (Account { base_url: "ftp://a", ..good }, "the credential's base URL must start with `https://`"),
        (
            Account { base_url: "https://a/", ..good },
            "the credential's base URL must be a scheme and a host, without a slash at the end",
        ),
        (
            Account { base_url: "https://user@a", ..good },
            "the credential's base URL must be a scheme and a host, without a slash at the end",
        ),
    ] {
        let plan = profile.plan(&request).expect("planned");
        let error = plan.canonicalise(&account, &Moment::default());
        assert_eq!(error.expect_err("refused").to_string(), expected);
    }
    let finish = |passphrase: &[u8]| {
        let plan = profile.plan(&request).expect("planned");
        plan.canonicalise(&good, &Moment::default()).expect("canonical").finish(&[0; 32], passphrase)
    };
    for (passphrase, expected) in [
        (&b"a\r\nb"[..], "the header `P` would contain a control character"),
        (b"\xff", "the header `P` would contain bytes that are not text"),
    ] {
        assert_eq!(finish(passphrase).expect_err("refused").to_string(), expected);
    }
    let signed = finish("p ä".as_bytes()).expect("signed");
    assert_eq!(signed.headers.last(), Some(&("P".to_owned(), "p ä".to_owned())));
}

/// The agent may accept a caller's time only by using it.
#[test]
fn refuses_another_moment_than_the_callers() {
    for (venue, name) in [("binance", "timestamp"), ("kraken", "nonce")] {
        let profile = builtin(venue);
        let request =
            Request { method: "POST", path: "/a", query: Vec::new(), body: form(&[(name, "1000")]) };
        let plan = profile.plan(&request).expect("planned");
        let account = account("key");
        let other = Moment { unix_ns: 1_001_000_000, nonce: 1001, ..Moment::default() };
        let error = plan.canonicalise(&account, &other).expect_err("refused").to_string();
        assert_eq!(error, format!("the moment differs from the `{name}` that the request carries"));
        let same = Moment { unix_ns: 1_000_000_000, nonce: 1000, ..Moment::default() };
        assert!(plan.canonicalise(&account, &same).is_ok());
    }
}

#[test]
fn tells_the_agent_what_it_must_supply() {
    for (venue, method, path, nonce, random, covers) in [
        ("binance", "POST", "/api/v3/order", NonceKind::Absent, false, Covers::Params),
        ("binance", "POST", "/sapi/v1/userListenToken", NonceKind::Absent, false, Covers::Nothing),
        ("kraken", "POST", "/0/private/Balance", NonceKind::Ms, false, Covers::PathAndParams),
        ("coinbase", "GET", "/api/v3/brokerage/accounts", NonceKind::Hex16, true, Covers::Path),
        ("coinbase-legacy", "GET", "/api/v3/brokerage/accounts", NonceKind::Absent, false, Covers::Path),
        ("coinbase-legacy", "POST", "/api/v3/brokerage/orders", NonceKind::Absent, false, Covers::Full),
    ] {
        let profile = builtin(venue);
        let request = Request { method, path, query: Vec::new(), body: Body::Empty };
        let plan = profile.plan(&request).expect("planned");
        let needs = plan.time();
        assert_eq!((needs.nonce, needs.random), (nonce, random), "{venue} {path}");
        assert_eq!(plan.covers(), covers, "{venue} {path}");
        assert!(needs.caller_timestamp.is_none() && needs.caller_nonce.is_none(), "{venue} {path}");
    }
}

/// A listen key takes no signature, and nothing that would carry one goes out.
#[test]
fn signs_nothing_where_the_venue_wants_nothing() {
    let profile = builtin("binance");
    let request =
        Request { method: "POST", path: "/api/v3/userDataStream", query: Vec::new(), body: Body::Empty };
    let plan = profile.plan(&request).expect("planned");
    let canonical = plan.canonicalise(&account("key"), &Moment::default()).expect("canonical");
    assert!(!canonical.needs_signature());
    assert_eq!((canonical.message(), canonical.secret_at()), (&b""[..], None));
    let signed = canonical.finish(&[], &[]).expect("finished");
    assert_eq!(signed.url, "https://api.example.com/api/v3/userDataStream");
    assert_eq!(signed.headers.first(), Some(&("X-MBX-APIKEY".to_owned(), "key".to_owned())));
    assert!(signed.body.is_empty());
}
