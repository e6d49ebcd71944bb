//! `grant learn` and `grant explain`, on what an agent has written down.

use serde_json::Value;
use strongroom_softhsm_tests::room::{Room, Run};

use crate::keys::BINANCE;
use crate::records::assert_like;

const ORDER: [&str; 15] = [
    "binance-main",
    "POST",
    "/api/v3/order",
    "-q",
    "symbol=BTCUSDT",
    "-q",
    "side=BUY",
    "-q",
    "type=LIMIT",
    "-q",
    "timeInForce=GTC",
    "-q",
    "quantity=0.5",
    "-q",
    "price=117",
];

fn strongroom(room: &Room, arguments: &[&str]) -> Run {
    room.run(arguments, None, &[])
}

/// The least grant is put in force: it allows what was done and denies another kind, and `explain` says why.
#[test]
fn learns_a_grant_that_allows_what_was_done_and_nothing_else() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    // Nothing has been done yet.
    assert_eq!(strongroom(&room, &["grant", "learn", "binance-main"]).code(), 4);
    let agent = room.start_unlocked();
    let sign = |more: &[&str]| strongroom(&room, &[&["sign"], &ORDER[..], more].concat());
    let _ = sign(&[]).ok();
    let _ = strongroom(&room, &["sign", "binance-main", "GET", "/api/v3/account"]).ok();
    let learnt = strongroom(&room, &["grant", "learn", "binance-main", "--for", "1h"]).ok();
    let (head, grant) = learnt.split_at(learnt.find("[[grant]]").unwrap());
    // Every signature of Binance does for what needs no parameter, so the grant has to accept that, and says so.
    assert_like(
        head,
        "# From 2 allowed requests since *.\n# `accept_unbound` of learnt: *FastWithdrawSwitch`*.\n# Without it: *.\n",
        "where it is from",
    );
    let uid = rustix::process::geteuid().as_raw();
    // A signature of the order would also do for a cancel, which needs nothing but a symbol.
    assert_eq!(
        grant.trim_end(),
        format!(
            "[[grant]]\nid = \"learnt\"\nto = \"user:{uid}\"\nallow = [\"cancel\", \"read\", \"trade\"]\nsymbols = [\"BTCUSDT\"]\n\
             sides = [\"buy\"]\ntypes = [\"limit\"]\nmax_notional = \"59\"\nmax_notional_day = \"59\"\n\
             max_quantity = \"0.5\"\n\
             params = [\"price\", \"quantity\", \"side\", \"symbol\", \"timeInForce\", \"type\"]\n\
             accept_unbound = [\"parameterless\"]"
        )
    );

    // What was done is in the log by number and by hash.
    let shown = strongroom(&room, &["audit", "show", "--kind", "sign", "--json"]).json();
    let line: &Value = shown.as_array().unwrap().iter().find(|line| line["path"] == "/api/v3/order").unwrap();
    for wanted in [line["seq"].to_string(), line["canonical"].as_str().unwrap().to_owned()] {
        let told = strongroom(&room, &["grant", "explain", "binance-main", "--line", &wanted]).ok();
        assert_like(
            &told,
            "user:* asks for `trade`\nits signature would also do for `cancel`\nit has a `LIMIT` buy `0.5` `BTCUSDT` at `117`\n*allowed by grant `user-*`\nthe log has: allowed, grant:user-*\n",
            &wanted,
        );
    }
    assert_eq!(strongroom(&room, &["grant", "explain", "binance-main", "--line", "999999"]).code(), 4);

    let file = room.folder().join("learnt.toml");
    std::fs::write(&file, &learnt).unwrap();
    let edit = ["grant", "edit", "binance-main", "--file", file.to_str().unwrap(), "--pin-fd", "3"];
    // It is taken as it was printed.
    let _ = room.run(&edit, None, &[(3, &room.token.pin)]).ok();
    // The sum of a day is spent by one order, so the first of these is allowed, and the second is not.
    let _ = sign(&[]).ok();
    assert_eq!(sign(&[]).code(), 6);
    assert_eq!(sign(&["-q", "coin=BTC"]).code(), 6);
    let other = ["sign", "binance-main", "POST", "/sapi/v1/asset/transfer", "-q", "symbol=BTCUSDT"];
    assert_eq!(strongroom(&room, &other).code(), 6);

    // Without an agent too, and for another one.
    assert!(agent.terminate().success());
    let of_line = |number: String, more: &[&str]| {
        let run = ["grant", "explain", "binance-main", "--json", "--line", &number];
        strongroom(&room, &[&run[..], more].concat()).json()
    };
    // The grants are others now; and the second order was denied by what is not in the grants: the sum of a day.
    let told = of_line(line["seq"].to_string(), &[]);
    assert_eq!((&told["verdict"], &told["grant"]), (&"allowed".into(), &"learnt".into()), "{told}");
    assert_eq!((&told["log"]["verdict"], &told["log"]["rule"]), (&"allowed".into(), &line["rule"]), "{told}");
    let changed = "the grants may have changed since: the record had revision 1, and has 2 now";
    assert_eq!(told["lines"].as_array().unwrap().last().unwrap(), changed, "{told}");
    let signs = strongroom(&room, &["audit", "show", "--kind", "sign", "--json"]).json();
    let spent = signs.as_array().unwrap().iter().find(|line| line["verdict"] == "denied").unwrap();
    let told = of_line(spent["seq"].to_string(), &[]);
    assert_eq!((&told["verdict"], &told["log"]["verdict"]), (&"allowed".into(), &"denied".into()), "{told}");
    assert_like(
        &told["lines"].to_string(),
        "*the log has: denied, grant:learnt*the outcome was another*",
        "denied",
    );
    let explain = |more: &[&str]| {
        let run = strongroom(&room, &[&["grant", "explain", "--json"], &ORDER[..], more].concat());
        let told = run.json();
        (told["verdict"].as_str().unwrap().to_owned(), told["lines"].to_string())
    };
    assert_eq!(explain(&[]).0, "allowed");
    let (verdict, lines) = explain(&["-q", "coin=BTC"]);
    assert_eq!(verdict, "denied");
    assert_like(&lines, "*parameter `coin` is not among the `params` of the grant*", "the reason");
    let (verdict, lines) = explain(&["--as", "client:other"]);
    assert_eq!(verdict, "denied");
    assert_like(&lines, "*no grant names client:other; an admin can give one*", "the reason");
}
