//! The grammar of `docs/reference/profiles.md`, key by key.

#![expect(clippy::expect_used, reason = "a test may stop at the first surprise")]

use strongroom_venues::{Account, Body, Moment, Param, Profile, Request, SignedRequest};

const ACCOUNT: Account<'static> =
    Account { key_id: "K", uid: Some("42"), base_url: "https://api.example.com:8443" };
const MOMENT: Moment = Moment {
    unix_ns: 1_700_000_000_123_456_789,
    nonce: 17,
    uuid: [0x3f, 0x2b, 0x8c, 0x1e, 0x5d, 0x4a, 0x4b, 0x7c, 0x9e, 0x6f, 0x0a, 0x1b, 0x2c, 0x3d, 0x4e, 0x5f],
    random16: [0xd0; 16],
};

fn compile(text: &str) -> Profile {
    Profile::compile(text).expect(text)
}

/// The signed text, and the request as it is sent. The signature is three bytes: `00 fb ff`.
fn run(profile: &Profile, request: &Request<'_>) -> (String, SignedRequest) {
    let plan = profile.plan(request).expect("planned");
    let canonical = plan.canonicalise(&ACCOUNT, &MOMENT).expect("canonical");
    let message = String::from_utf8(canonical.message().to_vec()).expect("text");
    (message, canonical.finish(&[0, 0xfb, 0xff], b"pass").expect("finished"))
}

/// A profile with `lines`, whose signed text is `message`.
fn with(lines: &str, message: &str) -> Profile {
    compile(&format!(
        "profile = \"x\"\n{lines}\n[sign]\nalg = \"hmac-sha256\"\nmessage = '{message}'\n\
         [attach.headers]\nS = \"{{sig}}\"\n"
    ))
}

fn get<'a>(query: &[(&'a str, Param<'a>)]) -> Request<'a> {
    Request { method: "GET", path: "/v1/a", query: query.to_vec(), body: Body::Empty }
}

fn post(body: &str) -> Request<'_> {
    Request { method: "POST", path: "/v1/a", query: Vec::new(), body: Body::Json(body.as_bytes()) }
}

fn body(signed: SignedRequest) -> String {
    String::from_utf8(signed.body).expect("text")
}

#[test]
fn writes_lists_as_the_venue_reads_them() {
    let query = [("l", Param::Json(r#"["x y",2,{"k":[3]}]"#)), ("o", Param::Json(r#"{"b":{"c":true}}"#))];
    for (arrays, expected) in [
        ("json", "l=%5B%22x%20y%22%2C2%2C%7B%22k%22%3A%5B3%5D%7D%5D&o=%7B%22b%22%3A%7B%22c%22%3Atrue%7D%7D"),
        ("repeat", "l=x%20y&l=2&l=%7B%22k%22%3A%5B3%5D%7D&o=%7B%22b%22%3A%7B%22c%22%3Atrue%7D%7D"),
        ("bracket", "l[]=x%20y&l[]=2&l[]=%7B%22k%22%3A%5B3%5D%7D&o=%7B%22b%22%3A%7B%22c%22%3Atrue%7D%7D"),
        ("index", "l[0]=x%20y&l[1]=2&l[2][k][0]=3&o[b][c]=true"),
        ("tight", "l=%5Bx%20y%2C2%2C%7B%22k%22%3A%5B3%5D%7D%5D&o=%7B%22b%22%3A%7B%22c%22%3Atrue%7D%7D"),
    ] {
        let profile = with(&format!("encode = {{ arrays = \"{arrays}\" }}"), "{query}");
        let (message, signed) = run(&profile, &get(&query));
        assert_eq!(message, expected);
        assert_eq!(signed.url, format!("https://api.example.com:8443/v1/a?{expected}"));
    }
}

#[test]
fn writes_the_query_as_it_is_signed_and_as_it_is_sent() {
    let query = [("b", Param::Text("ä b")), ("a", Param::Text("(1)"))];
    let inject = "inject = [{ to = \"query\", name = \"t\", value = \"{ts}\", at = \"front\" }]";
    for (encode, signed_text, sent) in [
        ("", "t=1700000000123&b=%C3%A4%20b&a=%281%29", "t=1700000000123&b=%C3%A4%20b&a=%281%29"),
        (
            "sort = \"key\"",
            "a=%281%29&b=%C3%A4%20b&t=1700000000123",
            "a=%281%29&b=%C3%A4%20b&t=1700000000123",
        ),
        ("query = \"js\"", "t=1700000000123&b=%C3%A4%20b&a=(1)", "t=1700000000123&b=%C3%A4%20b&a=(1)"),
        ("query = \"form\"", "t=1700000000123&b=%C3%A4+b&a=%281%29", "t=1700000000123&b=%C3%A4+b&a=%281%29"),
        (
            "query_keep = \"(\"",
            "t=1700000000123&b=%C3%A4%20b&a=(1%29",
            "t=1700000000123&b=%C3%A4%20b&a=(1%29",
        ),
        ("signed_query = \"raw\"", "t=1700000000123&b=ä b&a=(1)", "t=1700000000123&b=%C3%A4%20b&a=%281%29"),
        (
            "sort = \"query\", query_as_given = true",
            "a=%281%29&b=%C3%A4%20b&t=1700000000123",
            "b=%C3%A4%20b&a=%281%29",
        ),
    ] {
        let profile = with(&format!("encode = {{ {encode} }}\n{inject}"), "{query}");
        let (message, signed) = run(&profile, &get(&query));
        assert_eq!(message, signed_text, "{encode}");
        assert_eq!(signed.url.split_once('?').map(|(_, query)| query), Some(sent), "{encode}");
    }
}

#[test]
fn writes_a_body_in_the_venues_form() {
    let sample = r#"{ "b" : "ä +", "a" : { "c" : [ 1.0 ] } }"#;
    for (encode, expected) in [
        ("", r#"{"b":"ä +","a":{"c":[1.0]}}"#),
        ("json_ascii = true", r#"{"b":"\u00e4 +","a":{"c":[1.0]}}"#),
        ("sort = \"body\"", r#"{"a":{"c":[1.0]},"b":"ä +"}"#),
        ("body = \"form\"", "b=%C3%A4%20%2B&a=%7B%22c%22%3A%5B1.0%5D%7D"),
        ("body = \"form\", body_enc = \"form\"", "b=%C3%A4+%2B&a=%7B%22c%22%3A%5B1.0%5D%7D"),
        ("body = \"form\", body_enc = \"raw\"", r#"b=ä +&a={"c":[1.0]}"#),
        ("body = \"form\", arrays = \"index\"", "b=%C3%A4%20%2B&a[c][0]=1.0"),
    ] {
        let profile = with(&format!("encode = {{ {encode} }}"), "{body}");
        let (message, signed) = run(&profile, &post(sample));
        assert_eq!(message, expected, "{encode}");
        assert_eq!(body(signed), expected, "{encode}");
    }
    let profile = with("encode = { empty_body = \"{}\" }", "{body}");
    let none = |method| Request { method, path: "/a", query: Vec::new(), body: Body::Empty };
    assert_eq!(body(run(&profile, &none("POST")).1), "{}");
    assert_eq!(body(run(&profile, &none("GET")).1), "");
}

#[test]
fn injects_where_the_request_has_its_parameters() {
    let lines = "encode = { body = \"form\" }\nclock = { nonce = \"ns\" }\ninject = [\
                 { name = \"n\", value = \"{nonce}\", at = \"front\" }, { name = \"u\", value = \"{uid}\", at = \"front\" },\
                 { name = \"w\", value = 5000, unless_present = true }]";
    let profile = with(lines, "{query} {body}");
    let text = Param::Text;
    for (method, query, form, expected) in [
        ("GET", vec![("a", text("1"))], vec![], "n=17&u=42&a=1&w=5000 "),
        ("POST", vec![], vec![("a", text("1"))], " n=17&u=42&a=1&w=5000"),
        ("POST", vec![], vec![], " n=17&u=42&w=5000"),
        ("POST", vec![("a", text("1"))], vec![], "n=17&u=42&a=1&w=5000 "),
        ("DELETE", vec![("a", text("1"))], vec![("b", text("2"))], "a=1 n=17&u=42&b=2&w=5000"),
        ("GET", vec![("w", text("1")), ("n", text("17"))], vec![], "u=42&w=1&n=17 "),
    ] {
        let request = Request { method, path: "/a", query, body: Body::Form(form) };
        assert_eq!(run(&profile, &request).0, expected);
    }
    let lines = "inject = [{ to = \"body\", name = \"a\", value = \"false\", type = \"bool\" },\
                 { to = \"body\", name = \"b\", value = true }, { to = \"body\", name = \"c\", value = \"{ts}\", type = \"int\" },\
                 { to = \"body\", name = \"d\", value = \"{ts}\" }]";
    let (message, _) = run(&with(lines, "{body}"), &post("{}"));
    assert_eq!(message, r#"{"a":false,"b":true,"c":1700000000123,"d":"1700000000123"}"#);
}

#[test]
fn fills_every_variable_and_filter() {
    for (template, expected) in [
        (
            "{method} {path} {base} {host} {key} {uid}",
            "POST /v1/a https://api.example.com:8443 api.example.com:8443 K 42",
        ),
        ("{ts} {nonce}", "1700000000123 17"),
        (
            "{uuid} {uuid16} {uuid22}",
            "3f2b8c1e-5d4a-4b7c-9e6f-0a1b2c3d4e5f 5d4a4b7c9e6f0a1b 3f2b8c1e5d4a4b7c9e6f0a",
        ),
        ("{hex16}", "d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0"),
        ("{query}|{body}", r#"|{"b":[2,{"d":null,"c":true}],"a":"1"}"#),
        ("{kv:;}", r#"b=[2,{"d":null,"c":true}];a=1"#),
        ("{kv}", r#"b=[2,{"d":null,"c":true}]&a=1"#),
        ("{kvconcat}", "a1b2ctruednull"),
        ("{params_json}", r#"{"b":[2,{"d":null,"c":true}],"a":"1"}"#),
        ("{op} {word} {long}", "instruct /v1/a:17 LzovMQ=="),
        (
            "{query|q}{query|amp}{query|hash}{path|q}{path|amp}{path|hash}{key|prefix:x-}",
            "?/v1/a&/v1/a#/v1/ax-K",
        ),
        ("{path|cut:^/v[0-9]+} {path|cut:(/|1)} {path|upper} {path|upper|lower}", "/a va /V1/A /v1/a"),
        (
            "{path|pct} {path|js} {path|b64} {path|b64url} {path|hex} {path|HEX}",
            "%2Fv1%2Fa %2Fv1%2Fa L3YxL2E= L3YxL2E 2f76312f61 2F76312F61",
        ),
        (
            r#"{body|json} {"body":{body|json}}"#,
            r#""{\"b\":[2,{\"d\":null,\"c\":true}],\"a\":\"1\"}" {"body":"{\"b\":[2,{\"d\":null,\"c\":true}],\"a\":\"1\"}"}"#,
        ),
        ("{key|json}{key|json|json}{query|json} {key|lead:7c}", r#""K""\"K\"""" |K"#),
        ("{key|md5|HEX}", "A5F3C6A11B03839D46AF9FB43C97C188"),
        (
            "{key|sha256|b64url} {key|bytes|sha256|b64}",
            "hr6aVXYtMWowJsKDbQRPX8duNNoQ4bRf7uXxi-ftsXc hr6aVXYtMWowJsKDbQRPX8duNNoQ4bRf7uXxi+ftsXc=",
        ),
        (r#"{"a":{"b":"{key}"},{}{ "{key}""#, r#"{"a":{"b":"K"},{}{ "K""#),
    ] {
        let lines = "clock = { nonce = \"ms\" }\nlet = { word = \"{path}:{nonce}\", long = \"{short|b64}\" }\n\
                     [map]\n\"POST /v1/a\" = \"instruct\"";
        let lines = lines.replace("long = ", "short = \"/:/1\", long = ");
        let (message, _) = run(&with(&lines, template), &post(r#"{"b":[2,{"d":null,"c":true}],"a":"1"}"#));
        assert_eq!(message, expected, "{template}");
    }
}

#[test]
fn writes_time_and_nonce_in_the_venues_unit() {
    for (clock, ts, nonce) in [
        ("ts = \"ms\"", "1700000000123", "17"),
        ("ts = \"s\", plus_s = 60", "1700000060", "17"),
        ("ts = \"us\"", "1700000000123456", "17"),
        ("ts = \"ns\"", "1700000000123456789", "17"),
        ("ts = \"iso-ms\"", "2023-11-14T22:13:20.123Z", "17"),
        ("ts = \"iso-s\"", "2023-11-14T22:13:20", "17"),
        ("nonce = \"uuid\"", "1700000000123", "3f2b8c1e-5d4a-4b7c-9e6f-0a1b2c3d4e5f"),
        ("nonce = \"hex16\"", "1700000000123", "d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0"),
        ("nonce = \"uuid22\"", "1700000000123", "3f2b8c1e5d4a4b7c9e6f0a"),
    ] {
        let clock =
            if clock.contains("nonce") { clock.to_owned() } else { format!("{clock}, nonce = \"ms\"") };
        let (message, _) = run(&with(&format!("clock = {{ {clock} }}"), "{ts} {nonce}"), &get(&[]));
        assert_eq!(message, format!("{ts} {nonce}"), "{clock}");
    }
}

#[test]
fn attaches_the_signature_wherever_the_venue_wants_it() {
    let json = r#"{"a":"1","c":3}"#;
    for (encode, attach, url, sent) in [
        ("", "query = \"s={sig}\"", "/v1/a?s=00fbff", json),
        ("", "query_if_no_body = \"s={sig}\", headers = { S = \"{sig}\" }", "/v1/a", json),
        ("", "query_replace = \"x={sig}\"", "/v1/a?x=00fbff", json),
        ("", "query_replace = \"?\", headers = { S = \"{sig}\" }", "/v1/a?", json),
        ("body = \"form\"", "body_append = \"s={sig}\"", "/v1/a", "a=1&c=3&s=00fbff"),
        (
            "",
            "body = '{\"p\":{params_json},\"s\":\"{sig}\"}'",
            "/v1/a",
            r#"{"p":{"a":"1","c":3},"s":"00fbff"}"#,
        ),
        (
            "",
            "body_json = { k = \"{key}\", n = { int = \"{ts}\", plus = 1 }, s = \"{sig}\" }",
            "/v1/a",
            r#"{"k":"K","n":1700000000124,"s":"00fbff","a":"1","c":3}"#,
        ),
        (
            "",
            "body_json = { p = \"{params_json}\", l = [\"{sig}\", 1, true] }",
            "/v1/a",
            r#"{"p":{"a":"1","c":3},"l":["00fbff",1,true]}"#,
        ),
        ("", "body_form_sorted = { b = \"{sig}\", d = \"x y\" }", "/v1/a", "a=1&b=00fbff&c=3&d=x%20y"),
        (
            "",
            "late = { pair = \"{key}:{sig}\" }, query = \"s={pair|b64|pct}\"",
            "/v1/a?s=SzowMGZiZmY%3D",
            json,
        ),
    ] {
        let profile = compile(&format!(
            "profile = \"x\"\nencode = {{ {encode} }}\nsign = {{ alg = \"hmac-sha256\", message = \"{{body}}\" }}\nattach = {{ {attach} }}\n"
        ));
        let (_, signed) = run(&profile, &post(json));
        assert_eq!(signed.url, format!("https://api.example.com:8443{url}"), "{attach}");
        assert_eq!(body(signed), sent, "{attach}");
    }
    for (out, expected) in [
        ("hex", "00fbff"),
        ("HEX", "00FBFF"),
        ("base64", "APv/"),
        ("base64url", "APv_"),
        ("hex-base64", "MDBmYmZm"),
    ] {
        let profile = compile(&format!(
            "profile = \"x\"\nsign = {{ alg = \"hmac-sha256\", message = \"\", out = \"{out}\" }}\nattach = {{ query = \"{{sig}}\" }}\n"
        ));
        assert_eq!(run(&profile, &get(&[])).1.url, format!("https://api.example.com:8443/v1/a?{expected}"));
    }
}

#[test]
fn lays_headers_and_cases_over_each_other() {
    let profile = compile(
        r#"
        profile = "x"
        sign = { alg = "hmac-sha256", message = "base" }
        [attach]
        headers = { S = "{sig}", A = "1", "Content-Type" = "text/plain" }
        headers_if_body = { "content-type" = "application/json" }
        [[case]]
        when = { method = ["PUT", "PATCH"] }
        sign = { message = "method" }
        attach = { drop_headers = ["a"], headers = { B = 2, "content-TYPE" = "x" } }
        [[case]]
        when = { has_param = ["p", "q"], query_only = true }
        sign = { message = "has_param, query_only" }
        attach = { headers = { A = "" } }
        [[case]]
        when = { param_suffix = { price = "%" } }
        sign = { message = "param_suffix" }
        [[case]]
        when = { empty = true, path = "/(x|y)$" }
        sign = { message = "empty, path" }
        [[case]]
        when = { method = "DELETE|GET", query_only = false }
        sign = { message = "not query_only" }
        "#,
    );
    let text = Param::Text;
    for (method, path, query, form, expected, headers) in [
        ("POST", "/a", vec![], vec![], "base", "S,A,Content-Type"),
        ("POST", "/a", vec![], vec![("z", text("1"))], "base", "S,A,content-type"),
        ("PUT", "/x", vec![("p", text("1"))], vec![], "method", "S,B,content-TYPE"),
        ("GET", "/a", vec![("q", text("1"))], vec![], "has_param, query_only", "S,Content-Type"),
        ("GET", "/a", vec![("price", text("+1%"))], vec![], "param_suffix", "S,A,Content-Type"),
        ("GET", "/a", vec![("price", text("1"))], vec![], "base", "S,A,Content-Type"),
        ("GET", "/a/y", vec![], vec![], "empty, path", "S,A,Content-Type"),
        ("GET", "/a/y", vec![], vec![("z", text("1"))], "not query_only", "S,A,content-type"),
    ] {
        let request = Request { method, path, query, body: Body::Form(form) };
        let (message, signed) = run(&profile, &request);
        assert_eq!(message, expected);
        let names: Vec<&str> = signed.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.join(","), headers, "{expected}");
    }
}

/// The worked example of the reference page, from the page itself.
#[test]
fn keeps_the_worked_example_true() {
    let page = include_str!("../../docs/reference/profiles.md");
    let text = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let profile = compile(text);
    let moment = Moment { unix_ns: 1_700_000_000_000_000_000, ..MOMENT };
    let sign = |request: &Request<'_>| {
        let plan = profile.plan(request).expect("planned");
        let canonical = plan.canonicalise(&ACCOUNT, &moment).expect("canonical");
        (String::from_utf8(canonical.message().to_vec()).expect("text"), canonical.finish(&[1; 32], &[]))
    };
    let order = Body::Json(br#"{"side": "buy", "size": "1"}"#);
    let request = Request { method: "POST", path: "/orders", query: Vec::new(), body: order };
    let (message, signed) = sign(&request);
    assert_eq!(message, r#"1700000000000POST/orders{"side":"buy","size":"1"}"#);
    assert!(page.contains(&message));
    assert_eq!(signed.expect("finished").headers.len(), 4);
    let (message, signed) =
        sign(&Request { method: "GET", path: "/ping", query: Vec::new(), body: Body::Empty });
    assert_eq!(message, "");
    assert_eq!(signed.expect("finished").headers, [("X-KEY".to_owned(), "K".to_owned())]);
}

/// All parameters as a query writes them, wherever they are sent.
#[test]
fn writes_all_parameters_as_a_query_would() {
    let encode = "encode = { query = \"js\", arrays = \"bracket\", sort = \"key\" }";
    let body = post(r#"{"b":["x y","~!"],"a":"1&2"}"#);
    let (message, signed) = run(&with(encode, "{kvquery} {kvquery:;} {kv}"), &body);
    assert_eq!(message, "a=1%262&b[]=x%20y&b[]=~! a=1%262;b[]=x%20y;b[]=~! a=1&2&b[]=x y&b[]=~!");
    assert_eq!(self::body(signed), r#"{"a":"1&2","b":["x y","~!"]}"#);
    let (message, _) = run(&with(encode, "{kvquery|amp}."), &get(&[]));
    assert_eq!(message, ".");
}

/// A batch: the same text again for every element, and the body goes out as it came in.
#[test]
fn signs_every_element_of_a_list() {
    let profile = compile(
        r#"
        profile = "x"
        encode = { sort = "key" }
        covers = "params"
        sign = { alg = "hmac-sha256", each = "<{method} {item}>", message = "{each}{ts}" }
        attach = { headers = { S = "{sig}" } }
        "#,
    );
    let text = r#"[{"b":"x y","a":1},{"c":{"d":true}}]"#;
    let (message, signed) = run(&profile, &post(text));
    assert_eq!(message, "<POST a=1&b=x%20y><POST c=%7B%22d%22%3Atrue%7D>1700000000123");
    assert_eq!(body(signed), text);
    for wrong in [r#"{"a":1}"#, "[]", "[1]", r#"[{"a":1},2]"#] {
        let request = post(wrong);
        let plan = profile.plan(&request).expect("planned");
        let error = plan.canonicalise(&ACCOUNT, &MOMENT).expect_err(wrong).to_string();
        assert_eq!(
            error,
            "x signs every element of this body by itself, so it must be a JSON array of objects, not empty"
        );
    }
    assert_eq!(
        profile.plan(&get(&[("a", Param::Text("1"))])).expect_err("unsigned").to_string(),
        "x does not sign the query of a GET to this path; put the parameters into the body"
    );
}
