//! Limits that depend on what came before, and on the time.

use std::time::Duration;

use strongroom_policy::{Decision, Meters, Policy};
use strongroom_venues::{Action, Order};

use super::{Asked, limit_order, policy};

fn read(policy: &Policy, meters: &mut Meters, ms: u64) -> bool {
    let asked = Asked { uptime: Duration::from_millis(ms), ..Asked::new(Action::Read) };
    matches!(asked.of(policy, meters), Decision::Allow { .. })
}

#[test]
fn keeps_requests_to_their_rate() {
    let policy = policy(
        "[[grant]]\nid = \"g\"\nto = \"user:1000\"\nallow = [\"read\"]\nrequests_per_minute = 60\nburst = 3",
    );
    let mut meters = Meters::new(Duration::ZERO);
    let mut ask = |ms| read(&policy, &mut meters, ms);
    // A restart gives nothing away: the bucket begins empty.
    assert!(!ask(0));
    assert!(!ask(999));
    assert!(ask(1000));
    assert!(!ask(1999));
    // What is saved up is the burst and not more.
    let allowed: Vec<bool> = (0..5).map(|_| ask(60_000)).collect();
    assert_eq!(allowed, [true, true, true, false, false]);
    assert!(ask(61_000));
    assert!(!ask(61_000));
    // Over a long time it is the rate, however often one asks.
    let allowed = (0..6000_u64).filter(|at| ask(120_000 + at * 10)).count();
    assert!((60..=63).contains(&allowed), "{allowed}");
}

#[test]
fn counts_no_denied_request() {
    let policy = policy(
        "[[grant]]\nid = \"g\"\nto = \"user:1000\"\nallow = [\"read\", \"trade\"]\nrequests_per_minute = 60\nburst = 1\nmax_quantity = \"1\"",
    );
    let mut meters = Meters::new(Duration::ZERO);
    for _ in 0..10 {
        let asked = Asked { uptime: Duration::from_secs(50), ..Asked::trade([limit_order("1", "2")]) };
        assert!(matches!(asked.of(&policy, &mut meters), Decision::Deny { .. }));
    }
    assert!(read(&policy, &mut meters, 50_000));
    assert!(!read(&policy, &mut meters, 50_000));
}

#[test]
fn keeps_prices_near_the_last_one() {
    let policy =
        policy("[[grant]]\nid = \"g\"\nto = \"user:1000\"\nallow = [\"trade\"]\nprice_band_percent = \"5\"");
    let mut meters = Meters::new(Duration::ZERO);
    let mut at = |secs, order: Order<'static>| {
        let asked = Asked { uptime: Duration::from_secs(secs), ..Asked::trade([order]) };
        matches!(asked.of(&policy, &mut meters), Decision::Allow { .. })
    };
    assert!(at(0, limit_order("100", "1")));
    assert!(!at(1, limit_order("105.000000000001", "1")));
    assert!(!at(1, limit_order("94.999999999999", "1")));
    assert!(at(1, limit_order("105", "1")));
    assert!(at(1, limit_order("110.25", "1")));
    // A denied price moves nothing; another symbol has its own.
    assert!(!at(1, limit_order("1", "1")));
    assert!(at(1, Order { symbol: Some("ETHUSDT".into()), ..limit_order("1", "1") }));
    assert!(!at(1, Order { symbol: Some("btcusdt".into()), ..limit_order("1", "1") }));
    assert!(!at(1, Order { kind: Some("market".into()), ..limit_order("110", "1") }));
    assert!(!at(1, Order { symbol: None, ..limit_order("110", "1") }));
    // After an hour without one it starts anew.
    assert!(!at(3600, limit_order("200", "1")));
    assert!(at(3601, limit_order("200", "1")));
}

#[test]
fn remembers_a_bounded_number_of_prices() {
    let policy =
        policy("[[grant]]\nid = \"g\"\nto = \"user:1000\"\nallow = [\"trade\"]\nprice_band_percent = \"5\"");
    let mut meters = Meters::new(Duration::ZERO);
    let mut at = |secs, symbol: String| {
        let order = Order { symbol: Some(symbol.into()), ..limit_order("1", "1") };
        let asked = Asked { uptime: Duration::from_secs(secs), ..Asked::trade([order]) };
        matches!(asked.of(&policy, &mut meters), Decision::Allow { .. })
    };
    assert!((0..256).all(|number| at(10, format!("S{number}"))));
    assert!(!at(10, "ONE-MORE".to_owned()));
    assert!(at(10, "s7".to_owned()));
    assert!(at(3700, "ONE-MORE".to_owned()));
}

#[test]
fn keeps_hours_and_weekdays_in_their_zone() {
    let allowed = |limits: &str, now: &'static str| {
        let policy =
            policy(&format!("[[grant]]\nid = \"g\"\nto = \"user:1000\"\nallow = [\"read\"]\n{limits}"));
        Asked { now, ..Asked::new(Action::Read) }.verdict(&policy).is_ok()
    };
    let day = "hours = \"08:00-17:30\"\nweekdays = [\"mon-fri\"]\nzone = \"Europe/Berlin\"";
    let night = "hours = \"22:00-04:00\"\nweekdays = [\"fri\"]\nzone = \"UTC\"";
    // 2026-11-20 is a Friday; Berlin is an hour ahead in winter and two in summer.
    for (limits, now, expected) in [
        (day, "2026-11-20T06:59:59Z", false),
        (day, "2026-11-20T07:00:00Z", true),
        (day, "2026-11-20T16:29:59Z", true),
        (day, "2026-11-20T16:30:00Z", false),
        (day, "2026-11-21T10:00:00Z", false),
        (day, "2026-07-20T06:00:00Z", true),
        (day, "2026-07-20T15:30:00Z", false),
        // Past midnight it is still the day on which it began.
        (night, "2026-11-20T22:00:00Z", true),
        (night, "2026-11-21T03:59:59Z", true),
        (night, "2026-11-21T04:00:00Z", false),
        (night, "2026-11-20T03:00:00Z", false),
        (night, "2026-11-21T22:30:00Z", false),
        // All day, and the day is the zone's.
        ("weekdays = [\"sat\"]\nzone = \"Asia/Tokyo\"", "2026-11-20T15:00:00Z", true),
        ("weekdays = [\"sat\"]\nzone = \"Asia/Tokyo\"", "2026-11-20T14:59:59Z", false),
        ("weekdays = [\"sun-mon\"]\nzone = \"UTC\"", "2026-11-22T12:00:00Z", true),
        ("hours = \"00:00-24:00\"\nzone = \"UTC\"", "2026-11-20T23:59:59Z", true),
        // Berlin's clock is put forward on 2026-03-29 from 02:00 to 03:00, and back on 2026-10-25 from 03:00 to 02:00.
        ("hours = \"02:00-03:00\"\nzone = \"Europe/Berlin\"", "2026-03-29T00:59:59Z", false),
        ("hours = \"02:00-03:00\"\nzone = \"Europe/Berlin\"", "2026-03-29T01:00:00Z", false),
        ("hours = \"01:30-03:30\"\nzone = \"Europe/Berlin\"", "2026-03-29T01:29:59Z", true),
        ("hours = \"01:30-03:30\"\nzone = \"Europe/Berlin\"", "2026-03-29T01:30:00Z", false),
        ("hours = \"02:00-03:00\"\nzone = \"Europe/Berlin\"", "2026-10-25T00:30:00Z", true),
        ("hours = \"02:00-03:00\"\nzone = \"Europe/Berlin\"", "2026-10-25T01:30:00Z", true),
        ("hours = \"02:00-03:00\"\nzone = \"Europe/Berlin\"", "2026-10-25T02:00:00Z", false),
        ("expires = \"2026-11-20T12:00:00Z\"", "2026-11-20T11:59:59Z", true),
        ("expires = \"2026-11-20T12:00:00Z\"", "2026-11-20T12:00:00Z", false),
    ] {
        assert_eq!(allowed(limits, now), expected, "{limits} at {now}");
    }
}
