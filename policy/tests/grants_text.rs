//! Grants as text: what is read, what is refused and where, and what is authenticated.

use proptest::prelude::*;
use strongroom_policy::{Grant, GrantError, Grants, GrantsError, Terms};

const FULL: &str = r#"
[[grant]]
id = "grid"
to = "client:grid-bot"
allow = ["read", "trade", "cancel"]
symbols = ["BTCUSDT", "ETH*"]
sides = ["buy"]
types = ["limit"]
max_notional = "250"
max_notional_day = "2000.50"
max_quantity = "0.5"
price_band_percent = "5"
requests_per_minute = 60
burst = 10
hours = "08:00-17:30"
weekdays = ["mon-fri"]
zone = "europe/berlin"
expires = "2027-01-31T00:00:00Z"
params = ["symbol", "side"]
confirm = true
accept_unbound = ["path", "method"]

[[grant]]
id = "no-withdrawals"
to = "user:1000"
deny = ["transfer", "admin"]

[[grant]]
id = "all"
to = "unit:system/bot@1.service"
allow = ["*"]
"#;

fn text_error(text: &str) -> (usize, usize, String) {
    match Grants::parse(text) {
        Err(GrantsError::Text { line, column, message }) => (line, column, message),
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn reads_back_what_it_writes() {
    let grants = Grants::parse(FULL).unwrap();
    assert_eq!(grants.len(), 3);
    let text = grants.to_toml();
    assert_eq!(Grants::parse(&text).unwrap(), grants, "{text}");
    assert!(text.contains("max_notional_day = \"2000.5\""), "{text}");
    assert!(text.contains("zone = \"Europe/Berlin\""), "{text}");
    assert!(text.contains("weekdays = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]"), "{text}");
    assert!(text.contains("allow = [\"*\"]"), "{text}");
    assert_eq!(Grants::parse("").unwrap(), Grants::NONE);
    let unbound: Vec<&str> = grants.accepted_unbound().map(|grant| grant.id.as_str()).collect();
    assert_eq!(unbound, ["grid"]);
}

#[test]
fn refuses_text_with_line_and_column() {
    let head = "[[grant]]\nid = \"a\"\nto = \"user:1\"\nallow = [\"trade\"]\n";
    for (case, tail, line, column, part) in [
        ("unknown field", "max_notionl = \"1\"", 5, 1, "unknown field `max_notionl`"),
        (
            "number for an amount",
            "max_notional = 250",
            5,
            16,
            "expected a string; an amount is text: write it in quotes",
        ),
        (
            "a day for a time",
            "expires = \"2027-02-01\"",
            5,
            11,
            "`2027-02-01` is no point in time; one is written as \"2027-01-31T00:00:00Z\"",
        ),
        ("exponent", "max_notional = \"1e3\"", 5, 16, "an amount is written as text"),
        ("sign", "max_notional = \"+1\"", 5, 16, "an amount is written as text"),
        ("separator", "max_notional = \"1_000\"", 5, 16, "an amount is written as text"),
        ("no digit behind the point", "max_notional = \"1.\"", 5, 16, "an amount is written as text"),
        ("limit of nothing", "max_notional = \"0.0\"", 1, 1, "must be more than 0"),
        ("two effects", "deny = [\"read\"]", 1, 1, "either `allow` or `deny`"),
        ("same field twice", "allow = [\"read\"]", 5, 1, "duplicate key"),
        ("empty list", "symbols = []", 1, 1, "is an empty list"),
        ("an element twice", "symbols = [\"A\", \"a\"]", 1, 1, "lists `a` twice"),
        ("burst alone", "burst = 3", 1, 1, "means nothing without `requests_per_minute`"),
        ("hours without zone", "hours = \"08:00-09:00\"", 1, 1, "means nothing without `zone`"),
        ("zone alone", "zone = \"UTC\"", 1, 1, "means nothing without `hours`"),
        ("hours that are none", "hours = \"8-9\"\nzone = \"UTC\"", 5, 9, "hours are written as"),
        ("weekday twice", "weekdays = [\"mon-wed\", \"tue\"]\nzone = \"UTC\"", 5, 12, "none twice"),
        (
            "no such zone",
            "hours = \"08:00-09:00\"\nzone = \"Mars/Base\"",
            6,
            8,
            "`Mars/Base` is no time zone",
        ),
        ("band over 100", "price_band_percent = \"100.1\"", 1, 1, "at most 100"),
        ("rate of nothing", "requests_per_minute = 0", 1, 1, "from 1 to 60000"),
        ("a side that is none", "sides = [\"long\"]", 5, 9, "`long` is no side"),
        ("a part that is none", "accept_unbound = [\"header\"]", 5, 18, "`header` is no part of a request"),
        ("no such time", "expires = \"2027-02-30T00:00:00Z\"", 5, 11, ""),
        ("a symbol with a quote", "symbols = [\"A'B\"]", 5, 11, "a symbol has 1 to 64"),
    ] {
        let (at_line, at_column, message) = text_error(&format!("{head}{tail}\n"));
        assert_eq!((at_line, at_column), (line, column), "{case}: {message}");
        assert!(message.contains(part), "{case}: {message}");
    }
    for (second, part) in [
        ("id = \"b\"\nto = \"user:1\"\nallow = [\"trade\"]\nburst = 3", "of grant `b` means nothing without"),
        ("id = \"a\"\nto = \"user:2\"\nallow = [\"trade\"]", "two grants have the id `a`"),
    ] {
        let (at_line, at_column, message) = text_error(&format!("{head}\n[[grant]]\n{second}\n"));
        assert_eq!((at_line, at_column), (6, 1), "where the second begins: {message}");
        assert!(message.contains(part), "{message}");
    }
    let (.., message) = text_error("[grant]\nid = \"a\"\n");
    assert!(message.contains("a grant begins with `[[grant]]`"), "{message}");
    for (case, text, part) in [
        ("no effect", "[[grant]]\nid = \"a\"\nto = \"user:1\"", "either `allow` or `deny`"),
        ("id", "[[grant]]\nid = \"A\"\nto = \"user:1\"\nallow = [\"read\"]", "a grant's id has 1 to 32"),
        (
            "subject",
            "[[grant]]\nid = \"a\"\nto = \"root\"\nallow = [\"read\"]",
            "a grant is given to client:NAME",
        ),
        (
            "unit",
            "[[grant]]\nid = \"a\"\nto = \"unit:a.service\"\nallow = [\"read\"]",
            "the manager that named it",
        ),
        ("uid", "[[grant]]\nid = \"a\"\nto = \"user:01\"\nallow = [\"read\"]", "user:UID with the number"),
        ("no action", "[[grant]]\nid = \"a\"\nto = \"user:1\"\nallow = []", "the list of actions is empty"),
        (
            "star and more",
            "[[grant]]\nid = \"a\"\nto = \"user:1\"\nallow = [\"*\", \"read\"]",
            "stands alone",
        ),
        (
            "no action of ours",
            "[[grant]]\nid = \"a\"\nto = \"user:1\"\nallow = [\"withdraw\"]",
            "`withdraw` is no action",
        ),
        (
            "order limit without trade",
            "[[grant]]\nid = \"a\"\nto = \"user:1\"\nallow = [\"read\"]\nsides = [\"buy\"]",
            "have no `trade`",
        ),
        (
            "limit of a denial",
            "[[grant]]\nid = \"a\"\nto = \"user:1\"\ndeny = [\"trade\"]\nmax_quantity = \"1\"",
            "and grant `a` denies",
        ),
        ("other tables", "[other]\n", "unknown field `other`"),
        ("not TOML", "[[grant]\n", ""),
    ] {
        let (_, _, message) = text_error(text);
        assert!(message.contains(part), "{case}: {message}");
    }
    let two = format!("{head}\n{head}");
    assert!(text_error(&two).2.contains("two grants have the id `a`"));
    assert_eq!(Grants::parse(&"#".repeat(300_000)), Err(GrantsError::TooLong(300_000)));
}

#[test]
fn counts_grants() {
    let grant = |at: usize| {
        let id = format!("g{at}").parse().unwrap();
        Grant::allowing(id, "user:1".parse().unwrap(), strongroom_policy::Actions::EVERYTHING)
    };
    assert_eq!(Grants::new((0..1000).map(grant).collect()).unwrap().len(), 1000);
    assert_eq!(Grants::new((0..1001).map(grant).collect()), Err(GrantsError::Many(1001)));
    let twice = Grants::new(vec![grant(1), grant(2), grant(1)]);
    assert_eq!(twice, Err(GrantsError::Twice("g1".parse().unwrap())));
}

/// Each change of a field changes what is authenticated.
#[test]
fn authenticates_every_field() {
    let all = Grants::parse(FULL).unwrap();
    let first = || all.iter().next().unwrap().clone().into_terms();
    let bytes = |terms: Terms| Grants::new(vec![Grant::new(terms).unwrap()]).unwrap().canonical();
    let whole = bytes(first());
    type Change = fn(&mut Terms);
    let changes: [(&str, Change); 20] = [
        ("id", |t| t.id = "other".parse().unwrap()),
        ("to", |t| t.to = "client:other".parse().unwrap()),
        ("allow", |t| t.allow = Some(strongroom_policy::Actions::EVERYTHING)),
        ("symbols", |t| t.symbols = Some(vec!["*".parse().unwrap()])),
        ("sides", |t| t.sides = None),
        ("types", |t| t.types = None),
        ("max_notional", |t| t.max_notional = "251".parse().ok()),
        ("max_notional_day", |t| t.max_notional_day = None),
        ("max_quantity", |t| t.max_quantity = "0.6".parse().ok()),
        ("price_band_percent", |t| t.price_band_percent = None),
        ("max_open_orders", |t| t.max_open_orders = Some(1)),
        ("requests_per_minute", |t| t.requests_per_minute = Some(61)),
        ("burst", |t| t.burst = None),
        ("hours", |t| t.hours = None),
        ("weekdays", |t| t.weekdays = None),
        ("zone", |t| t.zone = "UTC".parse().ok()),
        ("expires", |t| t.expires = None),
        ("params", |t| t.params = Some(Vec::new())),
        ("confirm", |t| t.confirm = false),
        ("accept_unbound", |t| t.accept_unbound.truncate(1)),
    ];
    for (field, change) in changes {
        let mut terms = first();
        change(&mut terms);
        assert_ne!(bytes(terms), whole, "{field}");
    }
    // `deny` takes the place of `allow`.
    let denial = |effect: &str| {
        let text = format!("[[grant]]\nid = \"a\"\nto = \"user:1\"\n{effect} = [\"read\"]");
        Grants::parse(&text).unwrap().canonical()
    };
    assert_ne!(denial("allow"), denial("deny"));
}

#[test]
fn has_written_its_canonical_form_down() {
    let grants = Grants::parse(
        "[[grant]]\nid = \"a\"\nto = \"user:1\"\nallow = [\"read\", \"cancel\"]\nconfirm = true",
    );
    let mut expected = Vec::new();
    let number = |bytes: &mut Vec<u8>, n: u32| bytes.extend_from_slice(&n.to_le_bytes());
    number(&mut expected, 1);
    number(&mut expected, 4);
    for (name, values) in
        [("id", &["a"][..]), ("to", &["user:1"]), ("allow", &["cancel", "read"]), ("confirm", &[])]
    {
        for text in [name].into_iter().chain(values.iter().copied()) {
            if text == name {
                number(&mut expected, u32::try_from(name.len()).unwrap());
                expected.extend_from_slice(name.as_bytes());
                number(&mut expected, u32::try_from(values.len()).unwrap());
            } else {
                number(&mut expected, u32::try_from(text.len()).unwrap());
                expected.extend_from_slice(text.as_bytes());
            }
        }
    }
    assert_eq!(grants.unwrap().canonical(), expected);
}

#[test]
fn names_the_grant_in_an_error() {
    let mut terms = Terms::new("a".parse().unwrap(), "user:1".parse().unwrap());
    assert_eq!(Grant::new(terms.clone()), Err(GrantError::Effect("a".parse().unwrap())));
    terms.allow = Some(strongroom_policy::Actions::EVERYTHING);
    terms.types = Some(vec![String::new()]);
    let id = "a".parse().unwrap();
    assert_eq!(Grant::new(terms), Err(GrantError::List { id, field: "types" }));
}

proptest! {
    #[test]
    fn takes_any_text(text in "\\PC{0,200}", lines in proptest::collection::vec("(\\[\\[grant\\]\\]|id = \"[a-z]{1,3}\"|to = \"[a-z]{1,6}:[a-z0-9/@.]{0,12}\"|(allow|deny|symbols|sides|params|weekdays) = \\[(\"[a-z*-]{0,7}\",? ?){0,3}\\]|(hours|zone|expires|max_notional) = \"[0-9:.TZ-]{0,20}\"|burst = [0-9-]{1,12})", 0..8)) {
        for text in [text, lines.join("\n")] {
            if let Ok(grants) = Grants::parse(&text) {
                let written = grants.to_toml();
                prop_assert!(written.len() <= grants.canonical().len().saturating_add(16), "{}", written);
                prop_assert_eq!(Grants::parse(&written).unwrap(), grants);
            }
        }
    }
}
