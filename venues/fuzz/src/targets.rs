//! What is fuzzed: a profile's text, a request to a shipped profile, and both together.
//!
//! Each target takes bytes and says whether they were a profile that compiles or a request that was signed. It
//! panics where the engine breaks its word: a position in each error, and on the wire what policy read.
//! `./x fuzz` runs them under libFuzzer; `venues/tests/parse_once.rs` runs them for a moment in every test.

use std::sync::OnceLock;

use strongroom_venues::json::{self, Value};
use strongroom_venues::{
    Account, Body, Moment, Param, Plan, Profile, Request, SignedRequest, builtin_profiles,
};

/// Whose requests these are.
pub(crate) const ACCOUNT: Account<'static> =
    Account { key_id: "key", uid: Some("7"), base_url: "https://a.example" };

/// One target: whether the bytes were accepted.
pub(crate) type Target = fn(&[u8]) -> bool;

/// Every target, by the name of its corpus.
pub(crate) const ALL: [(&str, Target); 3] = [("profile", profile), ("request", request), ("pair", pair)];

/// The text of a profile.
pub(crate) fn profile(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    compiled(text).is_some_and(|profile| {
        // What it sends is its own affair, but nothing panics.
        for (method, path) in [("GET", "/a/b"), ("POST", "/api/v3/order"), ("DELETE", "/7")] {
            let body = Body::Json(br#"{"symbol":"A","price":"1","list":[{"a":1},"b"],"b":true}"#);
            let query = vec![("a", Param::Text("1 &=")), ("c", Param::Json("[1,\"x\"]"))];
            unchecked(&profile, &Request { method, path, query, body });
        }
        true
    })
}

/// The id of a shipped profile in the first line, then a request.
pub(crate) fn request(data: &[u8]) -> bool {
    static PROFILES: OnceLock<Vec<Profile>> = OnceLock::new();
    let profiles =
        PROFILES.get_or_init(|| builtin_profiles().iter().filter_map(|(_, text)| compiled(text)).collect());
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Some((id, rest)) = text.split_once('\n') else { return false };
    let Some(profile) = profiles.iter().find(|profile| profile.id() == id) else { return false };
    read(rest).is_some_and(|request| go(profile, &request).is_some())
}

/// A profile, a line of `---`, and a request.
pub(crate) fn pair(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Some((profile, rest)) = text.split_once("\n---\n") else { return false };
    let Some(profile) = compiled(profile) else { return false };
    read(rest).is_some_and(|request| unchecked(&profile, &request))
}

fn compiled(text: &str) -> Option<Profile> {
    match Profile::compile(text) {
        Ok(profile) => Some(profile),
        Err(error) => {
            assert!(error.line() > 0 && error.column() > 0 && !error.message().is_empty(), "{error}");
            None
        }
    }
}

/// A request in lines: `POST /path`, then `name=text` or `name:=json` for the query, an empty line, and the body,
/// which is JSON, or such lines behind a line `form`.
fn read(text: &str) -> Option<Request<'_>> {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let (method, path) = first.split_once(' ')?;
    let (query, body) = match rest.strip_prefix('\n') {
        Some(body) => ("", body),
        None => rest.split_once("\n\n").unwrap_or((rest, "")),
    };
    let pairs = |text| -> Vec<(&str, Param<'_>)> { str::lines(text).filter_map(parameter).collect() };
    let body = match body.strip_prefix("form\n") {
        Some(form) => Body::Form(pairs(form)),
        None if body.is_empty() => Body::Empty,
        None => Body::Json(body.as_bytes()),
    };
    Some(Request { method, path, query: pairs(query), body })
}

fn parameter(line: &str) -> Option<(&str, Param<'_>)> {
    let (name, text) = line.split_once('=')?;
    Some(name.strip_suffix(':').map_or((name, Param::Text(text)), |name| (name, Param::Json(text))))
}

/// Signs by a profile that nobody has looked at; whether it was signed.
fn unchecked(profile: &Profile, request: &Request<'_>) -> bool {
    let Ok(plan) = profile.plan(request) else { return false };
    let _ = (plan.classified(), plan.orders(), plan.recut(), plan.binds());
    let canonical = plan.canonicalise(&ACCOUNT, &Moment::default());
    canonical.is_ok_and(|canonical| canonical.finish(&[0x5a; 32], b"pass").is_ok())
}

/// What a query or a form says, by the rules of browsers: what is no escape stands for itself.
fn read_pairs(text: &str) -> Vec<(String, Value<'static>)> {
    let decode = |text: &str| {
        let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
        while let Some((byte, tail)) = rest.split_first() {
            let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
            let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
            let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            (bytes, rest) = match (byte, escaped) {
                (b'%', Some(escaped)) => ([bytes, vec![escaped]].concat(), &tail[2..]),
                (b'+', _) => ([bytes, vec![b' ']].concat(), tail),
                (byte, _) => ([bytes, vec![*byte]].concat(), tail),
            };
        }
        String::from_utf8(bytes).expect("UTF-8")
    };
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, text)| (decode(name), Value::Text(decode(text).into()))).collect()
}

fn owned(value: &Value<'_>) -> Value<'static> {
    let name = |text: &str| text.to_owned().into();
    match value {
        Value::Array(values) => Value::Array(values.iter().map(owned).collect()),
        Value::Bool(value) => Value::Bool(*value),
        Value::Null => Value::Null,
        Value::Number(text) => Value::Number(name(text)),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(n, value)| (name(n), owned(value))).collect())
        }
        Value::Text(text) => Value::Text(name(text)),
    }
}

fn read_json(text: &[u8]) -> Option<Value<'static>> {
    json::parse(text).ok().map(|value| owned(&value))
}

fn base64(text: &str) -> Option<Vec<u8>> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut out) = (0_u32, 0_u32, Vec::new());
    for byte in text.trim_end_matches('=').bytes() {
        let digit = u32::try_from(DIGITS.iter().position(|digit| *digit == byte)?).ok()?;
        (bits, count) = ((bits << 6 | digit) & 0xffff, count + 6);
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(out)
}

/// Every reading of every part of a request that could be the one of its venue.
fn readings(signed: &SignedRequest) -> Vec<Vec<(String, Value<'static>)>> {
    let members = |value: Option<Value<'static>>| match value {
        Some(Value::Object(members)) => {
            members.into_iter().map(|(name, value)| (name.into_owned(), value)).collect()
        }
        _ => Vec::new(),
    };
    let mut found = Vec::new();
    if let Some((_, query)) = signed.url.split_once('?') {
        found.push(read_pairs(query));
    }
    let body = read_json(&signed.body);
    if let Some(body) = &body {
        found.push(members(body.get("params").cloned()));
        found.push(members(Some(body.clone())));
    } else if let Ok(text) = std::str::from_utf8(&signed.body) {
        found.push(members(text.strip_prefix("json=").and_then(|text| read_json(text.as_bytes()))));
        found.push(read_pairs(text));
    }
    // Gemini and the first API of Bitfinex send their parameters in a header.
    let payloads = signed.headers.iter().filter(|(name, _)| name.ends_with("PAYLOAD"));
    found.extend(payloads.map(|(_, text)| members(base64(text).and_then(|text| read_json(&text)))));
    found
}

/// Whether `sent` is what a venue would read for `value`.
fn same(value: &Value<'_>, sent: &Value<'_>) -> bool {
    match (value, sent) {
        (Value::Text(text) | Value::Number(text), Value::Text(sent)) => text == sent,
        (Value::Bool(flag), Value::Text(sent)) => *sent == flag.to_string(),
        (container @ (Value::Array(_) | Value::Object(_)), Value::Text(sent)) => {
            json::parse(sent.as_bytes()).is_ok_and(|read| read == *container)
        }
        (value, sent) => value == sent,
    }
}

/// Every parameter that the policy saw is in the request that goes out, once and with this value. Where the
/// engine itself says that a value could be read otherwise, nothing is promised.
pub(crate) fn check(profile: &Profile, plan: &Plan<'_>, signed: &SignedRequest) {
    if plan.recut().is_some() {
        return;
    }
    let readings = readings(signed);
    for (name, value) in plan.query().iter().chain(plan.body_members()) {
        let is_list = matches!(value, Value::Array(_) | Value::Object(_));
        let fits = readings.iter().any(|reading| {
            let mut named = reading.iter().filter(|(known, _)| known == name);
            named.next().is_some_and(|(_, sent)| same(value, sent)) && named.next().is_none()
        });
        // A list in a query or a form has the venue's own notation, which `grammar.rs` pins down.
        assert!(fits || is_list, "{} {name} {value:?} {signed:?}", profile.id());
    }
    if let Some(list) = plan.body_array() {
        assert_eq!(read_json(&signed.body), Some(owned(&Value::Array(list.to_vec()))), "{}", profile.id());
    }
}

/// Plans, asks everything that a policy asks, and signs; the request if it was signed.
pub(crate) fn go(profile: &Profile, request: &Request<'_>) -> Option<SignedRequest> {
    let plan = profile.plan(request).ok()?;
    let classified = plan.classified();
    assert!(!classified.stands_in.contains(&classified.action));
    let orders = plan.orders();
    for order in orders.iter().flatten() {
        let numbers = [&order.quantity, &order.quote_quantity, &order.price, &order.stop];
        for number in numbers.into_iter().flatten() {
            assert!(number.bytes().all(|b| b.is_ascii_digit() || b == b'.'), "{number}");
        }
    }
    let _ = (plan.binds(), plan.names().count());
    let needs = plan.time();
    let unix_ns = needs.caller_timestamp.map_or(1_754_000_123_456_000_000, |time| time.unix_ns);
    let moment = Moment { unix_ns, nonce: needs.caller_nonce.unwrap_or(1), ..Moment::default() };
    let base_url = profile.hosts().first().map_or(ACCOUNT.base_url, String::as_str);
    let account = Account { base_url, ..ACCOUNT };
    let signed = plan.canonicalise(&account, &moment).ok()?.finish(&[0x5a; 32], b"pass").ok()?;
    check(profile, &plan, &signed);
    Some(signed)
}
