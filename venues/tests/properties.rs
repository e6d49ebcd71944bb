//! What holds for any input: encodings can be read back, and nothing panics.

#![expect(clippy::expect_used, reason = "a test may stop at the first surprise")]

use std::sync::LazyLock;

use proptest::prelude::*;
use strongroom_venues::json::{self, Value};
use strongroom_venues::{
    Account, Body, Moment, Param, Plan, Profile, Request, SignedRequest, builtin_profiles,
};

const ACCOUNT: Account<'static> = Account { key_id: "key", uid: Some("7"), base_url: "https://a.example" };

fn json_value() -> impl Strategy<Value = Value<'static>> {
    let number = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        (any::<i32>(), any::<u16>()).prop_map(|(whole, part)| format!("{whole}.{part:05}")),
        (0..9_u8, -300..300_i16).prop_map(|(digit, power)| format!("{digit}e{power}")),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number.prop_map(|text| Value::Number(text.into())),
        any::<String>().prop_map(|text| Value::Text(text.into())),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let member = (any::<String>(), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::Array),
            prop::collection::vec(member, 0..4).prop_map(|members| Value::Object(unique(members))),
        ]
    })
}

/// The members whose names occur for the first time.
fn unique<V>(members: Vec<(String, V)>) -> Vec<(std::borrow::Cow<'static, str>, V)> {
    let mut seen = std::collections::HashSet::new();
    members
        .into_iter()
        .filter(|(name, _)| seen.insert(name.clone()))
        .map(|(name, v)| (name.into(), v))
        .collect()
}

fn written(value: &Value<'_>, ascii: bool) -> Vec<u8> {
    let mut out = Vec::new();
    json::write(value, ascii, &mut out);
    out
}

/// Reads `application/x-www-form-urlencoded` and percent-encoded text alike.
fn read_form(text: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            match byte {
                b'+' => bytes.push(b' '),
                b'%' => {
                    let digits = [rest.next().expect("a digit"), rest.next().expect("a digit")];
                    let digits = std::str::from_utf8(&digits).expect("digits");
                    bytes.push(u8::from_str_radix(digits, 16).expect("digits"));
                }
                byte => bytes.push(byte),
            }
        }
        String::from_utf8(bytes).expect("UTF-8")
    };
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').expect("a pair")).map(|(n, v)| (decode(n), decode(v))).collect()
}

fn profile(encode: &str) -> Profile {
    Profile::compile(&format!(
        "profile = \"x\"\nencode = {{ {encode} }}\nsign = {{ alg = \"hmac-sha256\", message = \"{{query}} {{body}}\" }}\n\
         attach = {{ headers = {{ \"S\" = \"{{sig}}\" }} }}\n"
    ))
    .expect("compiles")
}

/// Every shipped profile, compiled once.
fn shipped() -> &'static [Profile] {
    static SHIPPED: LazyLock<Vec<Profile>> = LazyLock::new(|| {
        builtin_profiles().iter().map(|(_, text)| Profile::compile(text).expect("shipped")).collect()
    });
    &SHIPPED
}

fn finish(plan: &Plan<'_>, moment: &Moment) -> Option<SignedRequest> {
    plan.canonicalise(&ACCOUNT, moment).ok()?.finish(&[0x5a; 32], b"pass").ok()
}

fn sign(profile: &Profile, request: &Request<'_>) -> Option<SignedRequest> {
    let plan = profile.plan(request).ok()?;
    let needs = plan.time();
    let unix_ns = needs.caller_timestamp.map_or(1_754_000_123_456_000_000, |time| time.unix_ns);
    finish(&plan, &Moment { unix_ns, nonce: needs.caller_nonce.unwrap_or(1), ..Moment::default() })
}

fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec((".{1,8}", ".{0,12}"), 0..6)
        .prop_map(|pairs| unique(pairs).into_iter().map(|(name, value)| (name.into_owned(), value)).collect())
}

fn params(pairs: &[(String, String)]) -> Vec<(&str, Param<'_>)> {
    pairs.iter().map(|(name, value)| (name.as_str(), Param::Text(value))).collect()
}

proptest! {
    #[test]
    fn reads_back_the_json_that_it_writes(value in json_value(), ascii: bool) {
        let text = written(&value, ascii);
        prop_assert!(!ascii || text.is_ascii());
        prop_assert_eq!(json::parse(&text).expect("own output"), value);
    }

    #[test]
    fn sends_the_json_that_it_read(members in prop::collection::vec((any::<String>(), json_value()), 0..4)) {
        let body = Value::Object(unique(members));
        let text = written(&body, false);
        let request = Request { method: "POST", path: "/a", query: Vec::new(), body: Body::Json(&text) };
        let signed = sign(&profile("body = \"json\""), &request).expect("signed");
        prop_assert_eq!(json::parse(&signed.body).expect("own output"), body);
    }

    #[test]
    fn sends_pairs_that_can_be_read_back(query in pairs(), form in pairs(), escape in 0..3_usize) {
        let escape = ["pct", "js", "form"].get(escape).expect("in range");
        let form: Vec<_> = form.into_iter().filter(|(name, _)| query.iter().all(|(n, _)| n != name)).collect();
        let profile = profile(&format!("body = \"form\", query = \"{escape}\", body_enc = \"{escape}\""));
        let request =
            Request { method: "POST", path: "/a", query: params(&query), body: Body::Form(params(&form)) };
        let signed = sign(&profile, &request).expect("signed");
        let sent = signed.url.split_once('?').map_or("", |(_, query)| query);
        prop_assert_eq!(read_form(sent), query);
        prop_assert_eq!(read_form(std::str::from_utf8(&signed.body).expect("ASCII")), form);
    }

    #[test]
    fn sends_raw_pairs_only_if_they_stay_themselves(query in pairs()) {
        let profile = profile("query = \"raw\"");
        let request = Request { method: "GET", path: "/a", query: params(&query), body: Body::Empty };
        if let Some(signed) = sign(&profile, &request) {
            let sent = signed.url.split_once('?').map_or("", |(_, query)| query);
            let read: Vec<(String, String)> = sent
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            prop_assert_eq!(read, query);
            prop_assert!(sent.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'));
        }
    }

    #[test]
    fn never_panics_on_a_profile(
        text in "(?s).{0,200}",
        at in 0..4000_usize,
        cut in 0..40_usize,
        which in prop::sample::subsequence((0..builtin_profiles().len()).collect::<Vec<_>>(), 4),
    ) {
        let _ = Profile::compile(&text);
        for shipped in which.iter().filter_map(|at| builtin_profiles().get(*at)).map(|(_, text)| text) {
            let damaged: String = shipped
                .char_indices()
                .filter(|(place, _)| *place < at || *place >= at.saturating_add(cut))
                .map(|(_, c)| c)
                .collect();
            let (before, after) = damaged.split_at_checked(at).unwrap_or((damaged.as_str(), ""));
            if let Err(error) = Profile::compile(&format!("{before}{text}{after}")) {
                prop_assert!(error.line() > 0 && error.column() > 0 && !error.message().is_empty());
            }
            let _ = Profile::compile(&damaged);
        }
    }

    #[test]
    fn never_panics_on_a_request(
        method in "(DELETE|GET|PATCH|POST|PUT|[a-z]{0,4})",
        path in "(/[a-zA-Z0-9/:%.~-]{0,24}|.{0,12})",
        query in pairs(),
        body in prop_oneof![any::<Vec<u8>>(), json_value().prop_map(|value| written(&value, false))],
        form in pairs(),
    ) {
        for profile in shipped() {
            for body in [Body::Empty, Body::Json(&body), Body::Form(params(&form))] {
                let _ = sign(profile, &Request { method: &method, path: &path, query: params(&query), body });
            }
        }
    }
}
