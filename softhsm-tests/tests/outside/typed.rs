//! What a person types: straight into memory that root cannot read, and the terminal is as it was afterwards.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use strongroom_scanner::{Class, Dump, Needles};
use strongroom_softhsm_tests::mock::{Fault, Mock};
use strongroom_softhsm_tests::process::{SOON, is_root_or_skip, wait_until};
use strongroom_softhsm_tests::room::{Room, program};
use strongroom_softhsm_tests::terminal::Terminal;

use crate::keys::BINANCE;

/// A PIN and a secret that cannot stand in memory by chance.
const PIN: &str = "Hq6tWz1NcVx9RkPb7LmYs3DgJf8TaEuo";
const SECRET: &str = "Zq3vT8xWm1Lr7KcYp5NbHs2DfGj9RaEuQ4iOoXw6VtBzMlPkJnHgFdSaCyUeRiTw";

fn terminal(room: &Room, words: &[&str]) -> Terminal {
    let program = program("strongroom").display().to_string();
    Terminal::start(&[&[program.as_str()], words].concat(), |command| room.surround(command))
}

#[test]
fn shows_neither_secret_nor_pin_in_the_memory_of_the_command() {
    if !is_root_or_skip("reading the memory of the command line") {
        return;
    }
    let (mut token, mock) = Mock::token();
    PIN.clone_into(&mut token.pin);
    mock.set_pin(PIN);
    let room = Room::with(token);
    // The memory is looked at while the token is waited for.
    let _ = room.init(&["--patience", "15"]).ok();
    let _agent = room.start();
    let mut needles = Needles::new();
    needles.secret(Class::Pin, "PIN", PIN.as_bytes());
    needles.secret(Class::Plain, "secret", SECRET.as_bytes());
    // What is in ordinary memory is found.
    needles.secret(Class::Nonce, "control", b"Vn4yTq8KzRb2WxLm");
    let found = |pid| {
        let hits = needles.hits(&Dump::of_memory(pid).unwrap());
        let of: BTreeSet<_> = hits.keys().map(|(needle, _)| needle.of.clone()).collect();
        Vec::from_iter(of)
    };

    let words = ["enroll", "typed", "--venue", "binance", "--key-id", "Vn4yTq8KzRb2WxLm"];
    let mut person = terminal(&room, &words);
    person.wait_for("Secret of typed: ");
    person.type_line(SECRET);
    // The secret is held while the next prompt stands there.
    person.wait_for("PIN of token ");
    for _ in 0..20 {
        assert_eq!(found(person.pid()), ["control"]);
    }
    // And both have gone through when the token does not answer.
    mock.set(&[Fault::new("C_Login", 0, "hang")]);
    mock.forget_calls();
    person.type_line(PIN);
    wait_until("the token is asked", SOON, || mock.logins() == 1);
    assert_eq!(found(person.pid()), ["control"]);
    let (shown, status) = person.end();
    assert!(!status.success() && shown.contains("did not answer within 15 s"), "{shown}");

    // The control: a command that takes both as others do shows them.
    let mut naive = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    naive.stdin.as_mut().unwrap().write_all(format!("{SECRET}{PIN}").as_bytes()).unwrap();
    wait_until("it shows them", SOON, || found(naive.id()) == ["PIN", "secret"]);
    naive.kill().unwrap();
    let _ = naive.wait();
}

#[test]
fn restores_the_terminal_when_it_is_interrupted() {
    let room = Room::new();
    for typed in [&b"\x03"[..], b"half a PIN\x03"] {
        let program = program("strongroom").display().to_string();
        // Whoever runs the tests in the background of a shell has it ignored.
        let line =
            ["env", "--default-signal=INT", &program, "enroll", "a", "--venue", "binance", "--key-id", "k"];
        let mut person = Terminal::start(&line, |command| room.surround(command));
        person.wait_for("Secret of a: ");
        assert!(!person.echoes());
        person.press(typed);
        // It ends by the signal, as a shell expects it.
        let (shown, status, echoes) = person.end_and_look();
        assert_eq!(status.signal(), Some(2), "{shown}");
        assert!(echoes, "{shown}");
        assert!(!shown.contains("half"), "{shown}");
    }
}

#[test]
fn lets_the_terminal_edit_the_line() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = room.start();
    let mut person = terminal(&room, &["unlock"]);
    person.wait_for("PIN of token ");
    // A wrong line, deleted; a letter, deleted; the rest.
    person.press(b"wrong\x15");
    person.press(format!("{}x\x7f\n", room.token.pin).as_bytes());
    let (shown, status) = person.end();
    assert!(status.success(), "{shown}");
}

#[test]
fn tries_no_pin_with_keys_in_it_that_no_pin_has() {
    let (token, mock) = Mock::token();
    let room = Room::with(token);
    let _ = room.init(&[]).ok();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = room.start();
    mock.forget_calls();
    for (keys, said) in [
        (&b"12\x1b[D34\n"[..], "a control character was typed"),
        (b"\x04", "the end of the input came"),
        (b"\n", "no PIN came: it is empty"),
    ] {
        let mut person = terminal(&room, &["unlock"]);
        person.wait_for("PIN of token ");
        person.press(keys);
        let (shown, status, echoes) = person.end_and_look();
        assert!(!status.success() && shown.contains(said), "{keys:?}: {shown}");
        assert!(echoes, "{keys:?}");
    }
    assert_eq!(mock.logins(), 0);
}
