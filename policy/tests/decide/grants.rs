//! Who is meant, what is denied, and which grant it is.

use strongroom_policy::{Decision, Meters, Reason};
use strongroom_venues::Action;

use super::{Asked, limit_order, policy, user};

#[test]
fn denies_whoever_and_whatever_no_grant_names() {
    let none = policy("");
    let denied = Asked::new(Action::Read).verdict(&none);
    assert_eq!(denied, Err(Reason::Subject { caller: "user:1000".to_owned() }));
    let some = policy("[[grant]]\nid = \"r\"\nto = \"user:1000\"\nallow = [\"read\"]");
    assert_eq!(Asked::new(Action::Read).verdict(&some), Ok("r".to_owned()));
    for (action, _) in
        Action::ALL.iter().map(|(_, action)| (*action, ())).filter(|(a, ())| *a != Action::Read)
    {
        let denied = Asked::new(action).verdict(&some);
        assert_eq!(denied, Err(Reason::Action { caller: "user:1000".to_owned(), action }));
    }
    let other = Asked { caller: user(1001), ..Asked::new(Action::Read) };
    assert_eq!(other.verdict(&some), Err(Reason::Subject { caller: "user:1001".to_owned() }));
}

#[test]
fn allows_the_unknown_only_where_it_is_named() {
    let list = "[\"admin\", \"cancel\", \"config\", \"read\", \"session\", \"trade\", \"transfer\"]";
    for (actions, allowed) in [(list, false), ("[\"*\"]", true), ("[\"unknown\"]", true)] {
        let policy = policy(&format!("[[grant]]\nid = \"g\"\nto = \"user:1000\"\nallow = {actions}"));
        assert_eq!(Asked::new(Action::Unknown).verdict(&policy).is_ok(), allowed, "{actions}");
    }
}

#[test]
fn knows_a_client_by_its_token_alone_and_a_process_by_user_and_unit() {
    let policy = policy(
        "[[grant]]\nid = \"c\"\nto = \"client:grid\"\nallow = [\"read\"]\n\
         [[grant]]\nid = \"s\"\nto = \"unit:system/grid.service\"\nallow = [\"trade\"]\n\
         [[grant]]\nid = \"o\"\nto = \"unit:user@1000/grid.service\"\nallow = [\"cancel\"]\n\
         [[grant]]\nid = \"u\"\nto = \"user:1000\"\nallow = [\"config\"]",
    );
    for (caller, allowed) in [
        ((Some("grid"), None, 1000), vec![Action::Read]),
        ((Some("other"), Some("system/grid.service"), 1000), vec![]),
        ((None, Some("system/grid.service"), 7), vec![Action::Trade]),
        ((None, Some("system/grid.service"), 1000), vec![Action::Config, Action::Trade]),
        ((None, Some("user@1000/grid.service"), 1000), vec![Action::Cancel, Action::Config]),
        ((None, None, 1000), vec![Action::Config]),
        ((None, Some("user@1001/grid.service"), 1001), vec![]),
    ] {
        let asked = |action| Asked { caller, ..Asked::new(action) }.verdict(&policy).is_ok();
        let found: Vec<Action> = Action::ALL.iter().map(|(_, a)| *a).filter(|a| asked(*a)).collect();
        assert_eq!(found, allowed, "{caller:?}");
    }
}

#[test]
fn lets_a_denial_win_over_every_grant() {
    let allow = "[[grant]]\nid = \"all\"\nto = \"user:1000\"\nallow = [\"*\"]\n\
         [[grant]]\nid = \"unit\"\nto = \"unit:system/a.service\"\nallow = [\"*\"]\n\
         [[grant]]\nid = \"ask\"\nto = \"user:1000\"\nallow = [\"*\"]\nconfirm = true\n";
    let with = |denial: &str| policy(&format!("{allow}[[grant]]\nid = \"no\"\nto = \"user:1000\"\n{denial}"));
    let caller = (None, Some("system/a.service"), 1000);
    let asked = |action| Asked { caller, ..Asked::new(action) };
    let no = with("deny = [\"transfer\", \"unknown\"]");
    for action in [Action::Transfer, Action::Unknown] {
        assert_eq!(asked(action).verdict(&no), Err(Reason::Denied { action }));
        // What the signature would do as well counts as what is asked.
        let other = Asked { stands_in: vec![action], ..asked(Action::Read) };
        assert_eq!(other.verdict(&no), Err(Reason::Denied { action }));
    }
    assert!(asked(Action::Read).verdict(&no).is_ok());
    assert_eq!(
        asked(Action::Read).verdict(&with("deny = [\"*\"]")),
        Err(Reason::Denied { action: Action::Read })
    );
    // Of orders, those that it names; and whatever cannot be read.
    let no = with("deny = [\"trade\"]\nsymbols = [\"btc*\"]\nsides = [\"buy\"]\ntypes = [\"limit\"]");
    let denied = Err(Reason::Denied { action: Action::Trade });
    let order = limit_order("1", "1");
    let trade = |order| Asked { caller, ..Asked::trade([order]) };
    assert_eq!(trade(order.clone()).verdict(&no), denied);
    let lower = strongroom_venues::Order { symbol: Some("btcusdt".into()), ..order.clone() };
    assert_eq!(trade(lower).verdict(&no), denied);
    let eth = strongroom_venues::Order { symbol: Some("ETHUSDT".into()), ..order.clone() };
    assert_eq!(trade(eth.clone()).verdict(&no), Ok("unit".to_owned()));
    assert_eq!(Asked { caller, ..Asked::trade([eth, order.clone()]) }.verdict(&no), denied);
    for hidden in [
        strongroom_venues::Order { symbol: None, ..order.clone() },
        strongroom_venues::Order { symbol: Some("B".repeat(65).into()), ..order.clone() },
        strongroom_venues::Order { side: None, ..order.clone() },
        strongroom_venues::Order { kind: None, ..order },
    ] {
        assert_eq!(trade(hidden).verdict(&no), denied);
    }
    let unread = strongroom_venues::Unreadable { field: "x".to_owned(), why: "is odd" };
    let unread = Asked { caller, orders: Err(unread), ..Asked::new(Action::Trade) };
    assert_eq!(unread.verdict(&no), denied);
    assert_eq!(asked(Action::Trade).verdict(&no), denied);
    assert!(asked(Action::Cancel).verdict(&no).is_ok());
    // A denial that is over denies nothing.
    let over = with("deny = [\"*\"]\nexpires = \"2026-11-22T12:00:00Z\"");
    assert!(asked(Action::Read).verdict(&over).is_ok());
}

#[test]
fn wants_one_grant_for_all_that_a_signature_would_do() {
    let two = policy(
        "[[grant]]\nid = \"r\"\nto = \"user:1000\"\nallow = [\"read\"]\n\
         [[grant]]\nid = \"c\"\nto = \"user:1000\"\nallow = [\"cancel\"]",
    );
    let asked = Asked { stands_in: vec![Action::Cancel], ..Asked::new(Action::Read) };
    let denied = Reason::StandsIn { asked: Action::Read, other: Action::Cancel };
    assert_eq!(asked.clone().verdict(&two), Err(denied));
    let both = policy("[[grant]]\nid = \"rc\"\nto = \"user:1000\"\nallow = [\"read\", \"cancel\"]");
    assert_eq!(asked.verdict(&both), Ok("rc".to_owned()));
}

#[test]
fn takes_the_first_grant_that_asks_nobody() {
    let policy = policy(
        "[[grant]]\nid = \"human\"\nto = \"user:1000\"\nallow = [\"trade\"]\nconfirm = true\n\
         [[grant]]\nid = \"small\"\nto = \"user:1000\"\nallow = [\"trade\"]\nmax_notional = \"10\"\nmax_notional_day = \"15\"\n\
         [[grant]]\nid = \"human-2\"\nto = \"user:1000\"\nallow = [\"trade\"]\nconfirm = true",
    );
    assert_eq!(Asked::trade([limit_order("5", "2")]).verdict(&policy), Ok("small".to_owned()));
    assert_eq!(Asked::trade([limit_order("5", "2.1")]).verdict(&policy), Ok("human?".to_owned()));
    let decision =
        Asked::trade([limit_order("5", "1")]).of(&policy, &mut Meters::new(std::time::Duration::ZERO));
    let Decision::Allow { charges, .. } = decision else { unreachable!("{decision:?}") };
    let charge = charges.first().unwrap();
    assert_eq!(
        (charge.grant.as_str(), charge.amount.to_string(), charge.limit.to_string()),
        ("small", "5".to_owned(), "15".to_owned())
    );
    assert_eq!((charges.len(), charge.window.as_secs()), (1, 86_400));
}

#[test]
fn counts_nothing_until_a_human_has_said_yes_and_then_takes_no_other_grant_for_it() {
    let limited = "[[grant]]\nid = \"human\"\nto = \"user:1000\"\nallow = [\"trade\"]\nconfirm = true\nrequests_per_minute = 6\nburst = 1\n";
    let policy = policy(&format!(
        "{limited}{}",
        limited
            .replace("\"human\"", "\"other\"")
            .replace("confirm = true", "confirm = true\nexpires = \"2026-01-01T00:00:00Z\"")
    ));
    let asked = || Asked::trade([limit_order("5", "2")]);
    let mut meters = Meters::new(std::time::Duration::ZERO);
    let id = |text: &str| text.parse().unwrap();
    for _ in 0..9 {
        let asks = asked().of(&policy, &mut meters);
        assert_eq!(asks, Decision::Confirm { grant: id("human"), charges: vec![] });
    }
    let other = asked().confirmed(&policy, &mut meters, &id("other"));
    assert_eq!(other, Decision::Confirm { grant: id("human"), charges: vec![] });
    let yes = asked().confirmed(&policy, &mut meters, &id("human"));
    assert_eq!(yes, Decision::Allow { grant: id("human"), charges: vec![] });
    let again = asked().confirmed(&policy, &mut meters, &id("human"));
    assert!(matches!(again, Decision::Deny { .. }), "the rate counts: {again:?}");
}

#[test]
fn allows_named_parameters_only() {
    let policy =
        policy("[[grant]]\nid = \"g\"\nto = \"user:1000\"\nallow = [\"read\"]\nparams = [\"symbol\"]");
    for (names, allowed) in
        [(vec![], true), (vec!["symbol"], true), (vec!["symbol", "coin"], false), (vec!["Symbol"], false)]
    {
        let asked = Asked { names: names.clone(), ..Asked::new(Action::Read) };
        assert_eq!(asked.verdict(&policy).is_ok(), allowed, "{names:?}");
    }
}
