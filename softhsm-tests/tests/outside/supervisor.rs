//! Before a PIN is asked for: what the token says about it is told, and it goes to no other token.

use std::process::Command;

use strongroom_softhsm_tests::mock::{Fault, Mock};
use strongroom_softhsm_tests::process::{SOON, wait_until};
use strongroom_softhsm_tests::room::{Room, Run, program};
use strongroom_softhsm_tests::softhsm::FreshToken;
use strongroom_softhsm_tests::terminal::Terminal;

use crate::keys::{BINANCE, account};

/// An installation on a mock token, with one credential.
fn mocked() -> (Room, Mock) {
    let (token, mock) = Mock::token();
    let room = Room::with(token);
    let _ = room.init(&[]).ok();
    let _ = room.enroll(&BINANCE, &[]).ok();
    mock.forget_calls();
    (room, mock)
}

fn person(room: &Room, words: &[&str]) -> Terminal {
    let program = program("strongroom").display().to_string();
    Terminal::start(&[&[program.as_str()], words].concat(), |command| room.surround(command))
}

const ENROLL: [&str; 6] = ["enroll", "other", "--venue", "binance", "--key-id", "k"];

#[test]
fn tells_of_a_wrong_pin_before_it_asks_for_one() {
    let (room, mock) = mocked();
    let _agent = room.start();
    mock.set_wrong_pins(1);
    for words in [&["unlock"][..], &ENROLL] {
        let mut person = person(&room, words);
        person.wait_for(
            "warning: token `mock` (serial 5d2e8f0a): A wrong PIN was entered since the last right one.",
        );
        if words == ENROLL {
            person.wait_for("Secret of other: ");
            person.type_line(BINANCE.secret);
        }
        person.wait_for("PIN of token `mock` (serial 5d2e8f0a): ");
        person.press(b"\x03");
        let _ = person.end();
    }
    assert_eq!((mock.logins(), mock.wrong_pins()), (0, 1), "to ask costs no try");
}

#[test]
fn asks_for_no_pin_where_the_token_has_locked_it_or_one_try_is_left() {
    let (room, mock) = mocked();
    for (wrong, message, hint) in [
        (2, "refusing to try the PIN: one more wrong one locks the token", "--final-try"),
        (3, "the token has locked its PIN", "SO PIN or PUK"),
    ] {
        mock.set_wrong_pins(wrong);
        // By itself first, then by an agent.
        for with_agent in [false, true] {
            let _agent = with_agent.then(|| room.start());
            let commands: &[&[&str]] = if with_agent { &[&["unlock"], &ENROLL] } else { &[&ENROLL] };
            for words in commands {
                let (shown, status) = person(&room, words).end();
                assert_eq!(status.code(), Some(7), "{words:?}: {shown}");
                assert!(shown.contains(&format!("error: {message}")) && shown.contains(hint), "{shown}");
                assert!(!shown.contains("PIN of") && !shown.contains("Secret of"), "{shown}");
            }
        }
    }
    assert_eq!(mock.logins(), 0);
}

#[test]
fn spends_the_last_try_only_where_a_person_says_so() {
    let (room, mock) = mocked();
    let _agent = room.start();
    mock.set_wrong_pins(2);
    assert_eq!(room.unlock().code(), 7);
    assert_eq!(mock.logins(), 0);
    let mut person = person(&room, &["unlock", "--final-try"]);
    person.wait_for("This is the last try: a wrong PIN locks the token.");
    person.wait_for("PIN of token ");
    person.type_line(&room.token.pin);
    let (shown, status) = person.end();
    assert!(status.success(), "{shown}");
    assert_eq!((mock.logins(), mock.wrong_pins()), (1, 0));
}

#[test]
fn asks_once_for_each_command() {
    let (room, mock) = mocked();
    let _agent = room.start();
    let mut person = person(&room, &["unlock"]);
    person.wait_for("PIN of token ");
    person.type_line("000000");
    let (shown, status) = person.end();
    assert_eq!(status.code(), Some(7), "{shown}");
    assert_eq!(shown.matches("PIN of token ").count(), 1, "{shown}");
    assert_eq!((mock.logins(), mock.wrong_pins()), (1, 1));
}

#[test]
fn offers_the_pin_to_no_token_with_another_serial() {
    let (room, mock) = mocked();
    let _agent = room.start();
    // Whenever the other token is put in: before it is looked for, and after it was found.
    for nth in [0, 1, 2] {
        mock.set(&[Fault::new("C_GetTokenInfo", nth, "other_serial")]);
        let refused = room.unlock();
        assert_eq!(refused.code(), 7);
        assert!(
            refused.stderr.contains("is not in any slot; present: `mock` (serial another)"),
            "{}",
            refused.stderr
        );
    }
    assert_eq!(mock.logins(), 0);
    mock.clear();
    let _ = room.unlock().ok();
}

#[test]
fn takes_the_credential_of_the_service_manager_before_a_descriptor() {
    let (room, mock) = mocked();
    let folder = room.folder().join("credentials");
    std::fs::create_dir(&folder).unwrap();
    let descriptor = room.folder().join("pin");
    let start = || {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg("CREDENTIALS_DIRECTORY=\"$1\" exec \"$0\" agent --pin-fd 9 9<\"$2\"");
        room.start_command({
            shell.arg(program("strongroom")).arg(&folder).arg(&descriptor);
            shell
        })
    };
    std::fs::write(&descriptor, "000000").unwrap();
    std::fs::write(folder.join("strongroom-pin"), &room.token.pin).unwrap();
    let agent = start();
    wait_until("the agent is unlocked", SOON, || !room.client().status().unwrap().locked);
    let _ = agent.terminate();
    std::fs::remove_file(folder.join("strongroom-pin")).unwrap();
    let agent = start();
    wait_until("the PIN was tried", SOON, || agent.log().contains("the agent stays locked"));
    assert_eq!((mock.logins(), mock.wrong_pins()), (2, 1));
}

#[test]
fn leaves_the_counter_of_a_second_token_with_the_same_label_alone() {
    let room = Room::with(FreshToken::new("twin"));
    let _ = room.init(&[]).ok();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let other = room.token.another("twin");
    let agent = room.start();
    let unlock = |pin: &str| -> Run { room.run(&["unlock", "--pin-stdin"], Some(pin), &[]) };
    assert_eq!(unlock("654321").code(), 7);
    assert_eq!(
        low(&room),
        std::slice::from_ref(&room.token.serial),
        "the control: the configured one has counted it"
    );
    let _ = unlock(&room.token.pin).ok();
    assert!(low(&room).is_empty());
    let _ = room.client().sign(&account()).unwrap();
    let _ = agent.terminate();

    // The configured one is gone; its label is still there, on the other.
    move_away(&room, &other);
    let _agent = room.start();
    let refused = unlock("654321");
    assert_eq!(refused.code(), 7);
    assert!(refused.stderr.contains(&format!("present: `twin` (serial {other})")), "{}", refused.stderr);
    assert!(low(&room).is_empty());
}

/// Serial numbers of the tokens that say that a wrong PIN was entered.
fn low(room: &Room) -> Vec<String> {
    let output = room.token.pkcs11_tool_without_pin(&["--list-token-slots"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let slots = text.split("Slot ").filter(|slot| slot.contains("user PIN count low"));
    slots
        .map(|slot| {
            let line = slot.lines().find(|line| line.trim().starts_with("serial num")).unwrap();
            line.rsplit(':').next().unwrap().trim().to_owned()
        })
        .collect()
}

/// Takes every token but that one out.
fn move_away(room: &Room, keep: &str) {
    let away = room.token.dir.path().join("away");
    std::fs::create_dir(&away).unwrap();
    for folder in std::fs::read_dir(room.token.tokens()).unwrap().flatten() {
        // SoftHSM writes the serial into the token's object.
        let object = std::fs::read(folder.path().join("token.object")).unwrap();
        if !strongroom_softhsm_tests::process::contains(&object, keep.as_bytes()) {
            std::fs::rename(folder.path(), away.join(folder.file_name())).unwrap();
        }
    }
}
