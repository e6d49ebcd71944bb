//! `strongroom metrics`, from outside: every line is of Prometheus's text format, and the values move as they must.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use strongroom_client::{ErrorCode, SignRequest};
use strongroom_softhsm_tests::process::{SOON, wait_until};
use strongroom_softhsm_tests::room::Room;

use crate::keys::{BINANCE, account};

/// Samples by name and labels, as they stand there. Panics where a line is not of version 0.0.4 of the format, and
/// where a family is not whole.
fn parse(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n'), "{text}");
    let (mut kinds, mut helped, mut samples) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    let (mut family, mut histogram) = (String::new(), Vec::new());
    for line in text.lines() {
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(is_name(name) && !help.is_empty() && helped.insert(name.to_owned()), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(
                helped.contains(name) && kinds.insert(name.to_owned(), kind.to_owned()).is_none(),
                "{line}"
            );
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            family = name.to_owned();
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series
                .split_once('{')
                .map_or((series, ""), |(name, labels)| (name, labels.strip_suffix('}').unwrap()));
            for label in labels.split(',').filter(|label| !label.is_empty()) {
                let (name, value) = label.split_once("=\"").unwrap();
                let value = value.strip_suffix('"').unwrap();
                assert!(is_name(name) && !value.contains(['"', '\\', '\n']), "{line}");
            }
            let suffix = name.strip_prefix(&family).unwrap_or_else(|| panic!("{line} is not of {family}"));
            assert!(
                suffix.is_empty()
                    || (kinds[&family] == "histogram" && ["_bucket", "_sum", "_count"].contains(&suffix)),
                "{line}"
            );
            let value: f64 = value.parse().unwrap();
            assert!(value >= 0.0, "{line}");
            if suffix == "_bucket" {
                histogram.push(value);
            }
            assert!(samples.insert(series.to_owned(), value).is_none(), "{line} stands there twice");
        }
    }
    // Readers of OpenMetrics know a counter by its name without the end.
    let families: BTreeSet<&str> =
        kinds.keys().map(|name| name.strip_suffix("_total").unwrap_or(name)).collect();
    assert_eq!(families.len(), kinds.len(), "two families have one name: {kinds:?}");
    assert!(histogram.is_sorted() && !histogram.is_empty(), "{histogram:?}");
    assert_eq!(histogram.last(), samples.get("strongroom_request_seconds_count"));
    samples
}

fn metrics(room: &Room) -> BTreeMap<String, f64> {
    parse(&room.run(&["metrics"], None, &[]).ok())
}

#[test]
fn counts_requests_by_verdict_and_action_and_tells_how_the_agent_is() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &["--allow", "read,trade,cancel", "--accept-unbound", "method,path"]).ok();
    let agent = room.start();
    let locked = metrics(&room);
    let of = |samples: &BTreeMap<String, f64>, name: &str| samples.get(name).copied();
    assert_eq!(of(&locked, "strongroom_unlocked"), Some(0.0));
    assert_eq!(of(&locked, "strongroom_credentials{state=\"not-ready\"}"), Some(1.0));
    assert_eq!(of(&locked, "strongroom_request_seconds_count"), Some(0.0));
    let _ = room.unlock().ok();
    let client = room.client();
    for _ in 0..3 {
        let _ = client.sign(&account()).unwrap();
    }
    let order = SignRequest::new("binance-main", "POST", "/api/v3/order")
        .query("symbol", "ETHUSDT")
        .query("side", "BUY");
    let _ = client.sign(&order).unwrap();
    let withdrawal =
        SignRequest::new("binance-main", "POST", "/sapi/v1/capital/withdraw/apply").query("coin", "BTC");
    assert_eq!(client.sign(&withdrawal).unwrap_err().code(), Some(ErrorCode::Denied));
    let _ = client.sign(&SignRequest::new("nobody", "GET", "/a")).unwrap_err();
    let now = metrics(&room);
    for (name, expected) in [
        ("strongroom_requests_total{verdict=\"allowed\",action=\"read\"}", 3.0),
        ("strongroom_requests_total{verdict=\"allowed\",action=\"trade\"}", 1.0),
        ("strongroom_requests_total{verdict=\"denied\",action=\"transfer\"}", 1.0),
        ("strongroom_requests_total{verdict=\"refused\",action=\"unread\"}", 1.0),
        ("strongroom_request_seconds_count", 6.0),
        ("strongroom_unlocked", 1.0),
        ("strongroom_credentials{state=\"ready\"}", 1.0),
        ("strongroom_credentials{state=\"not-ready\"}", 0.0),
        ("strongroom_token{state=\"present\"}", 1.0),
        ("strongroom_audit_writable", 1.0),
        ("strongroom_audit_failures_total", 0.0),
    ] {
        assert_eq!(of(&now, name), Some(expected), "{name}: {now:?}");
    }
    let grown =
        ["strongroom_audit_lines_total", "strongroom_audit_file_bytes", "strongroom_connections_total"];
    for name in grown {
        assert!(now[name] > locked[name], "{name}: {now:?}");
    }
    assert!(
        now["strongroom_request_seconds_sum"] > 0.0 && now["strongroom_open_connections"] >= 1.0,
        "{now:?}"
    );
    wait_until("all is on the disk", SOON, || metrics(&room)["strongroom_audit_lag_writes"] == 0.0);
    let text = room.run(&["metrics"], None, &[]).ok();
    for told in ["ETHUSDT", "BTC", BINANCE.key_id, "/api"] {
        assert!(!text.contains(told), "{told} stands in {text}");
    }
    assert!(agent.terminate().success());
}

#[test]
fn tells_admins_only() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = room.start_unlocked();
    let bot = room.client().with_token(room.client().add_client("bot").unwrap());
    assert_eq!(bot.metrics().unwrap_err().code(), Some(ErrorCode::Denied));
    let told = metrics(&room);
    assert_eq!(told["strongroom_turned_away_total"], 1.0, "{told:?}");
    assert_eq!(parse(&room.client().metrics().unwrap().text).len(), told.len());
}

/// The last checkpoint, as the log itself has it: its line and its time in whole seconds.
fn last_checkpoint(room: &Room) -> Option<(u64, i64)> {
    let all = room.run(&["audit", "show", "--json", "--kind", "checkpoint"], None, &[]).json();
    let last = all.as_array().unwrap().last()?;
    let time: jiff::Timestamp = last["time"].as_str().unwrap().parse().unwrap();
    Some((last["seq"].as_u64().unwrap(), time.as_second()))
}

#[test]
fn tells_admins_where_the_last_checkpoint_of_the_log_stands() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = room.start();
    let status = || room.run(&["status", "--json"], None, &[]).json();
    assert_eq!(status()["checkpoint"], Value::Null, "none since it was started");
    assert!(!room.run(&["status"], None, &[]).ok().contains("checkpoint:"));
    let _ = room.unlock().ok();
    let mut before = 0;
    for case in ["unlocked", "locked"] {
        if case == "locked" {
            let _ = room.client().sign(&account()).unwrap();
            room.client().lock().unwrap();
        }
        wait_until("status tells of what stands in the log", SOON, || {
            let told = room.client().status().unwrap().checkpoint.map(|at| (at.line, at.unix));
            let written = last_checkpoint(&room).map(|(line, at)| (line, u64::try_from(at).unwrap()));
            told == written && told.is_some_and(|(line, _)| line > before)
        });
        let told = room.client().status().unwrap().checkpoint.unwrap();
        before = told.line;
        let time = jiff::Timestamp::from_second(told.unix.try_into().unwrap()).unwrap().to_string();
        assert_eq!(status()["checkpoint"], json!({ "line": told.line, "time": time }), "{case}");
        let said = format!("line {} of the audit log, at {time}\n", told.line);
        assert!(room.run(&["status"], None, &[]).ok().contains(&said), "{case}");
    }
    let bot = room.client().with_token(room.client().add_client("bot").unwrap());
    assert_eq!(bot.status().unwrap().checkpoint, None, "who is no admin is not told");
}
