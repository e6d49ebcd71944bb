//! What `grant` says to people: which option is wrong, what a venue does not keep, and what to do then.

use serde_json::json;
use strongroom_client::SignRequest;
use strongroom_softhsm_tests::room::{Room, Run};

use crate::keys::{BINANCE, KRAKEN};
use crate::records::assert_like;

fn room_of(more: &[&str]) -> Room {
    let room = Room::new();
    for key in [&BINANCE, &KRAKEN] {
        let _ = room.enroll(key, more).ok();
    }
    room
}

/// Runs `strongroom grant add … --to client:bot` with the right PIN.
fn add(room: &Room, credential: &str, options: &[&str]) -> Run {
    let start = ["grant", "add", credential, "--to", "client:bot", "--pin-fd", "3"];
    room.run(&[&start, options].concat(), None, &[(3, &room.token.pin)])
}

#[test]
fn names_the_option_that_is_wrong() {
    let room = room_of(&[]);
    for (options, said) in [
        (
            &["--max-notional", "1e3"][..],
            "*`1e3` of --max-notional is no amount: *hint: *`--max-notional 250`*",
        ),
        (&["--max-notional", "-1"], "*`-1` of --max-notional is no amount: *"),
        (&["--accept-unbound", "host"], "*`host` is no part of a request; there are body, method, *"),
        (&["--max-notional-day", "1_000"], "*`1_000` of --max-notional-day is no amount: *"),
        (&["--max-quantity", ".5"], "*`.5` of --max-quantity is no amount: *"),
        (&["--price-band-percent", "5%"], "*`5%` of --price-band-percent is no amount: *"),
        (
            &["--types", "limit,limt"],
            "*`limt` is no type of order that is known\nhint: *limit, *market, *`strongroom grant edit`*",
        ),
    ] {
        let run = add(&room, "kraken-main", &[&["--allow", "trade"], options].concat());
        assert_eq!(run.code(), 3, "{options:?}: {}", run.stderr);
        assert_like(&run.stderr, said, "the option");
    }
    let file = room.folder().join("word.toml");
    let words = "[[grant]]\nid = \"w\"\nto = \"client:bot\"\nallow = [\"trade\"]\ntypes = [\"limt\"]\n";
    std::fs::write(&file, words).unwrap();
    let edit = ["grant", "edit", "kraken-main", "--file", file.to_str().unwrap(), "--pin-fd", "3"];
    let _ = room.run(&edit, None, &[(3, &room.token.pin)]).ok();
    // The controls: as venues write it, and no parameter at all.
    let good = ["--allow", "trade", "--types", "LIMIT,stop-loss-limit,POST_ONLY", "--params", ""];
    let _ = add(&room, "kraken-main", &good).ok();
    let listed = room.run(&["grant", "list", "kraken-main", "--json"], None, &[]).json();
    assert_eq!(listed[0]["grants"][1]["params"], json!([]));
    assert_eq!(listed[0]["grants"][1]["types"], json!(["LIMIT", "stop-loss-limit", "POST_ONLY"]));
}

/// A signature of a read does for what needs no parameter, so nothing keeps the one without the other.
#[test]
fn refuses_a_grant_once_and_names_what_needs_no_parameter() {
    let room = room_of(&[]);
    let order = ["--params", "symbol,side,type,timeInForce,quantity,price,orderId"];
    for bot in
        [&["--allow", "read", "--params", ""][..], &[&["--allow", "read,trade,cancel"], &order[..]].concat()]
    {
        let run = add(&room, "binance-main", bot);
        assert_eq!(run.code(), 3, "{}", run.stderr);
        assert_like(
            &run.stderr,
            "error: refusing grants *: grant `bot*`: *`POST /sapi/v1/account/(disable|enable)FastWithdrawSwitch` (config)*, or \
             accept it with --accept-unbound parameterless,*\nhint: *(send mode)*",
            "the endpoints",
        );
        assert_eq!(run.stderr.matches("grant `bot").count(), 1, "told once: {}", run.stderr);
        let _ = add(&room, "binance-main", &[bot, &["--accept-unbound", "parameterless"]].concat()).ok();
    }
    // That accepts nothing else.
    let withdraws =
        ["--allow", "read", "--params", "coin,address,amount", "--accept-unbound", "parameterless"];
    let run = add(&room, "binance-main", &withdraws);
    assert_eq!(run.code(), 3);
    assert_like(&run.stderr, "*would do for `transfer` *--accept-unbound path,method,*", "a withdrawal");
    assert_eq!(run.stderr.matches("--accept-unbound").count(), 1, "one message for both: {}", run.stderr);
    // It is told for ever.
    let _agent = room.start_unlocked();
    for command in [&["status"][..], &["doctor"]] {
        let run = room.run(command, None, &[]);
        let told = format!("{}{}", run.stdout, run.stderr);
        let words = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            words.contains(
                "each signature under grant bot of binance-main does at the venue what needs no parameter"
            ),
            "{told}"
        );
    }
}

#[test]
fn explains_a_line_about_a_request_that_was_refused_while_it_was_read() {
    let room = room_of(&[]);
    let _agent = room.start_unlocked();
    let twice = SignRequest::new("binance-main", "GET", "/api//v3/account");
    assert!(room.client().sign(&twice).is_err());
    let shown = room.run(&["audit", "show", "--kind", "sign", "--json"], None, &[]).json();
    let seq = shown[0]["seq"].to_string();
    let told = room.run(&["grant", "explain", "binance-main", "--line", &seq], None, &[]).ok();
    assert_like(
        &told,
        "refused while it was read, so no grant is asked: *\nthe log has: refused, *\n",
        "what was never decided",
    );
    let told = room.run(&["grant", "explain", "binance-main", "--line", &seq, "--json"], None, &[]).json();
    assert_eq!((&told["verdict"], &told["log"]["verdict"]), (&json!("refused"), &json!("refused")), "{told}");
}

#[test]
fn names_the_grants_of_a_removed_client_and_how_to_take_them_back() {
    let room = room_of(&[]);
    let _agent = room.start_unlocked();
    for name in ["bot", "other"] {
        let _ = room.client().add_client(name).unwrap();
    }
    for credential in ["binance-main", "kraken-main"] {
        let _ = add(&room, credential, &["--allow", "*"]).ok();
    }
    let run = room.run(&["client", "remove", "other"], None, &[]);
    assert_eq!((run.code(), run.stderr.as_str()), (0, ""), "it had none");
    let run = room.run(&["client", "remove", "bot"], None, &[]);
    let commands: Vec<&str> =
        run.stderr.lines().filter_map(|line| line.trim().strip_prefix("strongroom ")).collect();
    assert_eq!(commands, ["grant remove binance-main bot", "grant remove kraken-main bot"], "{}", run.stderr);
    for command in commands {
        let words: Vec<&str> = command.split(' ').chain(["--pin-fd", "3"]).collect();
        let _ = room.run(&words, None, &[(3, &room.token.pin)]).ok();
    }
    let listed = room.run(&["grant", "list", "--json"], None, &[]).json();
    assert!(!listed.to_string().contains("client:bot"), "{listed}");
}

/// What every command has stands behind what this one has.
#[test]
fn lists_the_options_of_every_command_last() {
    let room = Room::bare();
    for command in [&["grant", "add"][..], &["sign"], &["audit", "show"]] {
        let help = room.run(&[command, &["--help"]].concat(), None, &[]).ok();
        let (own, global) = help.split_once("Global options:").unwrap();
        for option in ["--config", "--data", "--socket"] {
            assert!(global.contains(option) && !own.contains(&format!("{option} <")), "{command:?}: {help}");
        }
    }
}
