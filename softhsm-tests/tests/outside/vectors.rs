//! The vector files through the whole road. The agent's clock cannot be frozen, so each row is signed by
//! the agent, and then by `sign-vectors` with the time that the agent has used: the bytes must be the same.
//! That `sign-vectors` gives what the files expect is tested beside the engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use strongroom_client::{SignRequest, SignedRequest, Value as Param};
use strongroom_softhsm_tests::room::{Key, Room, program};
use strongroom_venues::json::{self, Value};

use crate::keys::header;
use crate::shapes::verifies;

/// Venues of every algorithm, form of secret and kind of nonce, and their number of rows that are REST. The
/// others go through the engine alone, beside it.
const VENUES: [(&str, usize); 22] = [
    ("backpack", 21),
    ("binance", 9),
    ("binance-ed25519", 4),
    ("binance-rsa", 3),
    ("bitfinex", 8),
    ("bitget", 8),
    ("bitmex", 19),
    ("bittrex", 5),
    ("bybit", 8),
    ("bybit-rsa", 2),
    ("coinbase", 8),
    ("coinbase-legacy", 8),
    ("coinbaseexchange", 8),
    ("coinex", 18),
    ("gate", 8),
    ("hyperliquid", 46),
    ("hyperliquid-sdk", 106),
    ("kraken", 9),
    ("krakenfutures", 7),
    ("kucoin", 9),
    ("okx", 8),
    ("poloniex", 8),
];

#[test]
fn signs_every_row_as_the_engine_does_at_that_time() {
    let room = Room::new();
    let _agent = room.start_unlocked();
    let mut enrolled: BTreeMap<String, String> = BTreeMap::new();
    let mut rows = 0;
    for (venue, count) in VENUES {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../vectors/{venue}.jsonl"));
        let lines = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let mut signed_rows = 0;
        for line in lines.lines() {
            rows += 1;
            let row = json::parse(line.as_bytes()).unwrap();
            if row.get("expected").and_then(|expected| expected.get("url")).is_none() {
                continue;
            }
            let next = format!("{venue}-{}", enrolled.len());
            let account = text(&row, &["credentials", "apiKey"]).to_owned()
                + text(&row, &["credentials", "secret"])
                + text(&row, &["request", "base_url"]);
            let name = enrolled.entry(account).or_insert_with(|| {
                enroll(&room, &next, venue, &row);
                next
            });
            // Not before: to enrol may take longer than a request's own time may be old.
            let line = &at_this_time(venue, rows, line);
            let row = json::parse(line.as_bytes()).unwrap();
            let signed = room.client().sign(&request(name, &row)).unwrap_or_else(|error| {
                panic!("{}: {error}", text(&row, &["id"]));
            });
            compare(&room, venue, line, &row, &signed);
            signed_rows += 1;
        }
        assert_eq!(signed_rows, count, "rows of {venue}");
    }
}

/// What moves money at Hyperliquid has its nonce also inside, where only the caller can put it in its place. It must be
/// near the clock and rise; the agent's own nonces rise from there.
fn at_this_time(venue: &str, row: u64, line: &str) -> String {
    const FROZEN: &str = "1754000123456";
    if !venue.starts_with("hyperliquid") {
        return line.to_owned();
    }
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    line.replace(FROZEN, &(u64::try_from(now).unwrap() + 1000 + row).to_string())
}

fn enroll(room: &Room, name: &str, venue: &str, row: &Value<'_>) {
    let venue = if venue == "hyperliquid-sdk" { "hyperliquid" } else { venue };
    let credentials = row.get("credentials").unwrap();
    let key = Key {
        name,
        venue,
        key_id: text(row, &["credentials", "apiKey"]),
        secret: text(row, &["credentials", "secret"]),
        passphrase: credentials.get("password").and_then(Value::as_text),
    };
    let _ = room.enroll(&key, &["--base-url", text(row, &["request", "base_url"])]).ok();
}

fn request<'a>(name: &'a str, row: &'a Value<'_>) -> SignRequest<'a> {
    let mut order =
        SignRequest::new(name, text(row, &["request", "method"]), text(row, &["request", "path"]));
    let source = row.get("request").unwrap();
    if let Some(Value::Array(pairs)) = source.get("query") {
        for pair in pairs {
            let Value::Array(pair) = pair else { panic!("no pair") };
            let [Value::Text(name), value] = pair.as_slice() else { panic!("no pair") };
            order = order.query(name.to_string(), Param::Json(written(value).into()));
        }
    }
    match source.get("body") {
        None | Some(Value::Null) => order,
        Some(body) => order.json(written(body).into_bytes()),
    }
}

/// Signs the row by the engine, frozen at the time that the agent's answer tells, and compares.
fn compare(room: &Room, venue: &str, line: &str, row: &Value<'_>, signed: &SignedRequest) {
    let id = text(row, &["id"]);
    let unsigned = venue == "binance" && !signed.url.contains("signature=") && signed.body.is_empty();
    let mut frozen = line.to_owned();
    if unsigned {
        assert!(id.contains("userdatastream"), "{id} is not signed: {}", signed.url);
    } else if venue != "krakenfutures" {
        // Kraken Futures has no time.
        let (ms, random) = time_used(venue, signed);
        let was = written(row.get("frozen").unwrap().get("time_ms").unwrap());
        frozen = frozen.replace(&format!("\"time_ms\": {was}"), &format!("\"time_ms\": {ms}"));
        if let Some(random) = random {
            let was = text(row, &["frozen", "random_hex16"]);
            frozen = frozen
                .replace(&format!("\"random_hex16\": \"{was}\""), &format!("\"random_hex16\": \"{random}\""));
        }
        // A nonce of the caller's own set it before.
        assert!(frozen != line || venue.starts_with("hyperliquid"), "{id}: the clock of the row was not set");
    }
    let file = room.folder().join("row.jsonl");
    std::fs::write(&file, frozen).unwrap();
    let output = Command::new(program("sign-vectors")).arg(&file).output().unwrap();
    assert!(output.status.success(), "{id}: {}", String::from_utf8_lossy(&output.stderr));
    let engine: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(engine["url"], signed.url.as_str(), "{id}");
    assert_eq!(engine["method"], signed.method.as_str(), "{id}");
    assert_eq!(engine["body"].as_str().unwrap_or_default().as_bytes(), signed.body, "{id}");
    let mut headers: BTreeMap<String, String> = signed.headers.iter().cloned().collect();
    let mut expected: BTreeMap<String, String> = serde_json::from_value(engine["headers"].clone()).unwrap();
    if venue == "coinbase" {
        // An ES256 signature is another one each time, so each of the two must hold, over the same text.
        let public = text(row, &["jwt", "public_key_pem"]);
        for headers in [&mut headers, &mut expected] {
            let authorization = headers.get_mut("Authorization").unwrap();
            let token = authorization.strip_prefix("Bearer ").unwrap();
            assert!(verifies(token, public), "{id}: {token}");
            authorization.truncate(authorization.rfind('.').unwrap());
        }
    }
    assert_eq!(headers, expected, "{id}");
}

/// The time in the signed request, in milliseconds, and the randomness where it has any.
fn time_used(venue: &str, signed: &SignedRequest) -> (u64, Option<String>) {
    let body = String::from_utf8_lossy(&signed.body);
    let of_header = |name| header(&signed.headers, name).to_owned();
    match venue {
        "backpack" => (number(&of_header("X-Timestamp")), None),
        "bitget" => (number(&of_header("ACCESS-TIMESTAMP")), None),
        // It expires five seconds later.
        "bitmex" => ((number(&of_header("api-expires")) - 5) * 1000, None),
        "coinex" => (number(&of_header("X-COINEX-TIMESTAMP")), None),
        "binance" | "binance-ed25519" | "binance-rsa" => {
            (digits_after(&format!("{}&{body}", signed.url), "timestamp="), None)
        }
        "bitfinex" => (number(&of_header("bfx-nonce")), None),
        "bittrex" => (number(&of_header("Api-Timestamp")), None),
        "bybit" | "bybit-rsa" => (number(&of_header("X-BAPI-TIMESTAMP")), None),
        "coinbase" => token_time(&of_header("Authorization")),
        "coinbase-legacy" | "coinbaseexchange" => (number(&of_header("CB-ACCESS-TIMESTAMP")) * 1000, None),
        "gate" => (number(&of_header("Timestamp")) * 1000, None),
        // A form or JSON, where the number stands in quotes or not.
        "kraken" => (digits_after(&body.replace(['"', ':', ' '], "="), "nonce="), None),
        "hyperliquid" | "hyperliquid-sdk" => {
            let sent: serde_json::Value = serde_json::from_str(&body).unwrap();
            (sent["nonce"].as_u64().unwrap(), None)
        }
        "kucoin" => (number(&of_header("KC-API-TIMESTAMP")), None),
        "okx" => {
            let time: jiff::Timestamp = of_header("OK-ACCESS-TIMESTAMP").parse().unwrap();
            (u64::try_from(time.as_millisecond()).unwrap(), None)
        }
        "poloniex" => (number(&of_header("signTimestamp")), None),
        other => panic!("where is the time of {other}?"),
    }
}

fn token_time(authorization: &str) -> (u64, Option<String>) {
    let mut parts = authorization.strip_prefix("Bearer ").unwrap().split('.');
    let mut part = || -> serde_json::Value {
        serde_json::from_slice(&Base64UrlUnpadded::decode_vec(parts.next().unwrap()).unwrap()).unwrap()
    };
    let (header, claims) = (part(), part());
    (claims["iat"].as_u64().unwrap() * 1000, Some(header["nonce"].as_str().unwrap().to_owned()))
}

fn digits_after(whole: &str, mark: &str) -> u64 {
    let after = whole.split(mark).nth(1).unwrap_or_else(|| panic!("no {mark} in {whole}"));
    let start = after.trim_start_matches('=');
    number(start.split(|c: char| !c.is_ascii_digit()).next().unwrap())
}

fn number(digits: &str) -> u64 {
    let number = digits.parse().unwrap_or_else(|error| panic!("{digits}: {error}"));
    assert_ne!(number, 0);
    number
}

fn text<'a>(row: &'a Value<'_>, path: &[&str]) -> &'a str {
    let found = path.iter().try_fold(row, |value, name| value.get(name));
    found.and_then(Value::as_text).unwrap_or_else(|| panic!("the row has no {path:?}"))
}

fn written(value: &Value<'_>) -> String {
    let mut out = Vec::new();
    json::write(value, false, &mut out);
    String::from_utf8(out).unwrap()
}
