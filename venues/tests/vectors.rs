//! Every row of every vector file, through the program that the vectors are checked with.

#![expect(
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use p256::ecdsa::signature::Verifier as _;
use p256::pkcs8::DecodePublicKey as _;
use strongroom_venues::builtin_profiles;
use strongroom_venues::json::{self, Value};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn vectors(venue: &str) -> PathBuf {
    folder("../vectors").join(format!("{venue}.jsonl"))
}

/// What the program prints for `files`.
fn run(profiles: Option<&Path>, files: &[PathBuf]) -> Vec<String> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_sign-vectors"));
    if let Some(profiles) = profiles {
        program.arg("--profiles").arg(profiles);
    }
    let output = program.args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn text<'v>(value: &'v Value<'_>, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_text).unwrap_or_else(|| panic!("no `{name}` in {value:?}"))
}

/// Headers by lower-case name, without those that a signer need not send.
fn headers(value: &Value<'_>, row: &Value<'_>) -> BTreeMap<String, String> {
    let optional: Vec<String> = match row.get("optional_headers") {
        Some(Value::Array(names)) => {
            names.iter().map(|name| name.as_text().unwrap().to_lowercase()).collect()
        }
        _ => Vec::new(),
    };
    let Some(Value::Object(members)) = value.get("headers") else { return BTreeMap::new() };
    members
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value.as_text().unwrap().to_owned()))
        .filter(|(name, _)| !optional.contains(name))
        .collect()
}

/// Compares one output with its row; `true` if the row counts.
fn check(output: &str, row: &str) -> bool {
    let output = json::parse(output.as_bytes()).unwrap();
    let row = json::parse(row.as_bytes()).unwrap();
    let id = text(&row, "id");
    assert_eq!(text(&output, "id"), id);
    if row.get("api").and_then(Value::as_text) == Some("ws") {
        return check_login(&output, &row, id);
    }
    if row.get("expected").and_then(|expected| expected.get("url")).is_none() {
        assert!(text(&output, "error").contains("no `expected.url`"), "{id}");
        return false;
    }
    assert_eq!(output.get("error"), None, "{id}");
    if row.get("quirk").is_some() {
        return false;
    }
    let expected = row.get("expected").unwrap();
    assert_eq!(text(&output, "url"), text(expected, "url"), "{id}");
    assert_eq!(text(&output, "method"), text(expected, "method"), "{id}");
    let body = |value: &Value<'_>| value.get("body").and_then(Value::as_text).unwrap_or_default().to_owned();
    assert_eq!(body(&output), body(expected), "{id}");
    let (mut ours, mut theirs) = (headers(&output, &row), headers(expected, &row));
    if let Some(pem) = row.get("jwt").and_then(|jwt| jwt.get("public_key_pem"))
        && text(row.get("jwt").unwrap().get("header").unwrap(), "alg") == "ES256"
    {
        let (token, example) =
            (ours.remove("authorization").unwrap(), theirs.remove("authorization").unwrap());
        check_token(&token, &example, pem.as_text().unwrap());
    }
    assert_eq!(ours, theirs, "{id}");
    true
}

/// Compares a login: its frame, or the headers of its handshake.
fn check_login(output: &Value<'_>, row: &Value<'_>, id: &str) -> bool {
    let expected = row.get("expected").unwrap();
    assert_eq!(output.get("error"), None, "{id}");
    let ours = output.get("ws_frame").cloned().map(sorted);
    let mut theirs = expected.get("ws_frame").cloned().map(sorted);
    if let Some(Value::Object(members)) = &mut theirs {
        // ccxt was called with the socket's URL, and wrote it into the frame.
        members.retain(|(name, value)| name != "url" || value.as_text() != Some(text(output, "url")));
    }
    assert_eq!(ours, theirs, "{id}");
    assert_eq!(headers(output, row), headers(expected, row), "{id}");
    true
}

/// The order of members has no meaning.
fn sorted(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Array(values) => Value::Array(values.into_iter().map(sorted).collect()),
        Value::Object(members) => {
            let mut members: Vec<_> =
                members.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            members.sort_by(|one, other| one.0.cmp(&other.0));
            Value::Object(members)
        }
        scalar => scalar,
    }
}

/// An ECDSA signature may differ from the example's, but not what it signs; and it must hold.
fn check_token(token: &str, example: &str, pem: &str) {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    assert_eq!(signed, example.rsplit_once('.').unwrap().0);
    let key = p256::ecdsa::VerifyingKey::from_public_key_pem(pem).unwrap();
    let signature = p256::ecdsa::Signature::from_slice(&base64url(signature)).unwrap();
    let message = signed.strip_prefix("Bearer ").unwrap();
    key.verify(message.as_bytes(), &signature).expect("the signature holds");
}

fn base64url(text: &str) -> Vec<u8> {
    let digit = |symbol: u8| match symbol {
        b'A'..=b'Z' => symbol - b'A',
        b'a'..=b'z' => symbol - b'a' + 26,
        b'0'..=b'9' => symbol - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => panic!("{symbol}"),
    };
    let bits: Vec<u8> = text.bytes().flat_map(|s| (0..6).rev().map(move |at| digit(s) >> at & 1)).collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | bit)).collect()
}

/// Checks all rows of `venues`; says how many count.
fn check_all(profiles: Option<&Path>, venues: &[&str]) -> usize {
    let files: Vec<PathBuf> = venues.iter().map(|venue| vectors(venue)).collect();
    let rows: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let outputs = run(profiles, &files);
    assert_eq!(outputs.len(), rows.lines().count());
    // Profiles that were written elsewhere have no logins.
    let binds = |row: &str| profiles.is_none() || !row.contains(r#""api": "ws""#);
    let rows = outputs.iter().zip(rows.lines()).filter(|(_, row)| binds(row));
    rows.filter(|(output, row)| check(output, row)).count()
}

#[test]
fn signs_the_vectors_of_every_shipped_profile() {
    for (id, _) in builtin_profiles() {
        let more = format!("{id}-more");
        let venues: Vec<&str> = [*id, &more].into_iter().filter(|venue| vectors(venue).exists()).collect();
        let rows = check_all(None, &venues);
        assert!(rows >= 8, "{id} has only {rows} rows that bind");
    }
}

#[test]
fn signs_what_the_sdk_of_hyperliquid_sends() {
    assert_eq!(check_all(None, &["hyperliquid-sdk"]), 106);
}

/// Beside those that stand with their venues' requests.
#[test]
fn signs_the_logins_of_ccxt() {
    assert_eq!(check_all(None, &["ws"]), 12);
}

/// Profiles that were written for another interpreter, byte for byte as they were published.
#[test]
fn signs_with_six_foreign_profiles_verbatim() {
    let venues = ["binance", "bitfinex", "coinbase", "coinbaseexchange", "kraken", "kucoin"];
    assert_eq!(check_all(Some(&folder("tests/profiles/verbatim")), &venues), 50);
}

/// Profiles that the engine was not written for, of venues that do not ship.
#[test]
fn carries_venues_that_the_engine_was_not_written_for() {
    assert_eq!(check_all(Some(&folder("tests/profiles/more")), &["ccxt-more"]), 14);
    assert_eq!(check_all(Some(&folder("tests/profiles/more")), &["ccxt-further"]), 143);
}

#[test]
fn answers_every_row_that_it_cannot_sign() {
    let file = std::env::temp_dir().join(format!("sign-vectors-{}.jsonl", std::process::id()));
    let row = r#"{"id":"x/1","exchange":"nowhere","request":{},"expected":{"url":"u"}}"#;
    let bare = r#"{"id":"x/2","exchange":"binance","expected":{"url":"u"}}"#;
    let twice = r#"{"id":"x/3","id":"x/4"}"#;
    std::fs::write(&file, format!("{row}\n\n{bare}\nrubbish \u{1F4A5}\n{twice}\n[]\n\"\"\n")).unwrap();
    let outputs = run(None, std::slice::from_ref(&file));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(
        outputs,
        [
            r#"{"id":"x/1","error":"there is no profile for `nowhere`"}"#,
            r#"{"id":"x/2","error":"the row has no `request`"}"#,
            r#"{"id":"","error":"the row is not valid JSON: something other than a value at byte 0"}"#,
            r#"{"id":"","error":"the row is not valid JSON: the name `id` for the second time at byte 16"}"#,
            r#"{"id":"","error":"the row names no `exchange`"}"#,
            r#"{"id":"","error":"the row names no `exchange`"}"#,
        ]
    );
    let official = run(None, &[vectors("official")]);
    assert_eq!(official.len(), std::fs::read_to_string(vectors("official")).unwrap().lines().count());
    assert!(official.iter().all(|line| line.contains("no `expected.url`")));
}
