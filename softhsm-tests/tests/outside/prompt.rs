//! A person at a real terminal: prompts, and nothing that is typed is shown.

use strongroom_client::SignRequest;
use strongroom_softhsm_tests::room::{Room, program};
use strongroom_softhsm_tests::terminal::Terminal;

use crate::keys::{BINANCE, KUCOIN, account};

const PEM: &str = include_str!("../../../keeper/tests/pem/p256-sec1.pem");

fn terminal(room: &Room, words: &[&str]) -> Terminal {
    let program = program("strongroom").display().to_string();
    Terminal::start(&[&[program.as_str()], words].concat(), |command| room.surround(command))
}

#[test]
fn asks_for_secret_and_pin_without_showing_them() {
    let room = Room::new();
    let mut person = terminal(
        &room,
        &["enroll", "binance-main", "--venue", "binance", "--key-id", BINANCE.key_id, "--allow", "*"],
    );
    person.wait_for("Secret of binance-main: ");
    person.type_line(BINANCE.secret);
    person.wait_for(&format!("PIN of token `strongroom test` (serial {}): ", room.token.serial));
    person.type_line(&room.token.pin);
    person.wait_for("enrolled binance-main at Binance");
    let (shown, status) = person.end();
    assert!(status.success(), "{shown}");
    assert!(!shown.contains(BINANCE.secret) && !shown.contains(&room.token.pin), "{shown}");

    let _agent = room.start();
    let mut person = terminal(&room, &["unlock"]);
    person.wait_for("PIN of token ");
    person.type_line(&room.token.pin);
    let (shown, status) = person.end();
    assert!(status.success() && shown.contains("unlocked: 1 of 1 credentials can sign"), "{shown}");
    assert!(!shown.contains(&room.token.pin), "{shown}");
    let _ = room.client().sign(&account()).unwrap();
    // Unlocked already: no PIN is asked for.
    let (shown, status) = terminal(&room, &["unlock"]).end();
    assert!(status.success() && !shown.contains("PIN"), "{shown}");
}

#[test]
fn asks_for_a_passphrase_where_the_venue_has_one() {
    let room = Room::new();
    let mut person = terminal(
        &room,
        &["enroll", "kucoin-main", "--venue", "kucoin", "--key-id", KUCOIN.key_id, "--allow", "*"],
    );
    person.wait_for("Secret of kucoin-main: ");
    person.type_line(KUCOIN.secret);
    person.wait_for("Passphrase of kucoin-main: ");
    person.type_line(KUCOIN.passphrase.unwrap());
    person.wait_for("PIN of token ");
    person.type_line(&room.token.pin);
    let (shown, status) = person.end();
    assert!(status.success(), "{shown}");
    for hidden in [KUCOIN.secret, KUCOIN.passphrase.unwrap()] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

#[test]
fn takes_a_pasted_pem_block_of_several_lines() {
    let room = Room::new();
    for (name, pasted) in [("lines", PEM.to_owned()), ("json", PEM.trim().replace('\n', "\\n") + "\n")] {
        let mut person = terminal(
            &room,
            &["enroll", name, "--venue", "coinbase", "--key-id", "organizations/o/apiKeys/k", "--allow", "*"],
        );
        person.wait_for("(paste the whole PEM block): ");
        for line in pasted.lines() {
            person.type_line(line);
        }
        person.wait_for("PIN of token ");
        person.type_line(&room.token.pin);
        let (shown, status) = person.end();
        assert!(status.success(), "{name}: {shown}");
        for line in PEM.lines().filter(|line| !line.contains("-----")) {
            assert!(!shown.contains(line), "{name}: {shown}");
        }
    }
    let _agent = room.start_unlocked();
    for name in ["lines", "json"] {
        let _ = room.client().sign(&SignRequest::new(name, "GET", "/api/v3/brokerage/accounts")).unwrap();
    }
}

#[test]
fn says_what_cannot_be_before_a_secret_is_typed() {
    let room = Room::new();
    for (words, message) in [
        (["enroll", "a", "--venue", "nowhere", "--key-id", "k"], "there is no venue `nowhere`"),
        (
            ["enroll", "UPPER", "--venue", "binance", "--key-id", "k"],
            "a credential name has 1 to 64 of the characters",
        ),
        (
            ["enroll", "a", "--venue", "binance", "--key-id", "a b"],
            "the key id is not 1 to 256 printable characters",
        ),
    ] {
        let (shown, status) = terminal(&room, &words).end();
        assert!(!status.success());
        assert!(shown.contains(&format!("error: {message}")), "{shown}");
        assert!(!shown.contains("Secret of"), "{shown}");
    }
}

#[test]
fn has_the_name_typed_before_a_credential_is_removed() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    for (typed, removed) in [("", false), ("yes", false), ("binance", false), ("binance-main", true)] {
        let mut person = terminal(&room, &["remove", "binance-main"]);
        person.wait_for("Type the name to delete it:");
        person.type_line(typed);
        let (shown, status) = person.end();
        assert_eq!(status.success(), removed, "{shown}");
        assert_eq!(room.record("binance-main").exists(), !removed, "typed {typed:?}");
        let said =
            if removed { "removed binance-main" } else { "nothing was deleted: that was not the name" };
        assert!(shown.contains(said), "{shown}");
    }
}
