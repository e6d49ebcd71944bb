//! `relogin = true`: the keeper keeps the PIN of an unlock, and nobody else does.

use strongroom_client::{Enrollment, Error, Login};
use strongroom_scanner::{Class, Dump, Needles};
use strongroom_softhsm_tests::mock::{Fault, Mock};
use strongroom_softhsm_tests::process::{SOON, is_root_or_skip, wait_until};
use strongroom_softhsm_tests::room::{Agent, Key, Room, everything};

use crate::site::{FIRST, SECOND, THIRD, text};

/// An installation whose agent keeps the PIN.
fn keeping() -> (Room, Mock) {
    let (token, mock) = Mock::token();
    let room = Room::with(token);
    let _ = room.init(&[]).ok();
    let config = std::fs::read_to_string(room.config()).unwrap();
    std::fs::write(room.config(), config.replace("[token]\n", "[token]\nrelogin = true\n")).unwrap();
    let _ = room.enroll(&FIRST, &[]).ok();
    (room, mock)
}

fn enroll(room: &Room, key: &Key<'_>) -> Result<(), Error> {
    let enrollment = Enrollment::new(key.name, key.venue, key.key_id).grants(everything()).replace();
    room.client().enroll(&enrollment, Login::without_pin(), text(key.secret), None)
}

const NO_PIN: &str = "no PIN came, and the token has no pad to enter it on";

#[test]
fn needs_no_pin_between_unlock_and_lock() {
    let (room, mock) = keeping();
    let _agent = room.start();
    assert!(!room.client().token().unwrap().kept);
    assert_eq!(enroll(&room, &SECOND).unwrap_err().to_string(), NO_PIN);
    let away = room.folder().join("away");
    std::fs::rename(room.record(FIRST.name), &away).unwrap();
    let _ = room.unlock().ok();
    assert!(room.client().token().unwrap().kept);
    for key in [SECOND, THIRD, SECOND] {
        enroll(&room, &key).unwrap();
    }
    // The command line asks for none either: there is no terminal here.
    let words = ["enroll", "fourth", "--venue", FIRST.venue, "--key-id", FIRST.key_id, "--secret-fd", "4"];
    let _ = room.run(&words, None, &[(4, FIRST.secret)]).ok();
    assert_eq!(mock.wrong_pins(), 0);
    // A record that comes back meanwhile is loaded without one, too.
    std::fs::rename(&away, room.record(FIRST.name)).unwrap();
    assert!(!room.client().show(FIRST.name).unwrap().ready);
    assert!(room.run(&["unlock"], None, &[]).ok().contains("4 of 4"));
    room.client().lock().unwrap();
    assert!(!room.client().token().unwrap().kept);
    assert_eq!(enroll(&room, &SECOND).unwrap_err().to_string(), NO_PIN);
    assert_eq!(room.client().unlock(Login::without_pin()).unwrap_err().to_string(), NO_PIN);
    let _ = room.unlock().ok();
    enroll(&room, &SECOND).unwrap();
}

#[test]
fn keeps_none_where_nothing_is_said() {
    let (token, _mock) = Mock::token();
    let room = Room::with(token);
    let _ = room.init(&[]).ok();
    let _ = room.enroll(&FIRST, &[]).ok();
    let _agent = room.start_unlocked();
    assert!(!room.client().token().unwrap().kept);
    assert_eq!(enroll(&room, &SECOND).unwrap_err().to_string(), NO_PIN);
}

#[test]
fn keeps_no_pin_that_did_not_open_the_token() {
    let (room, mock) = keeping();
    let _agent = room.start();
    for wrong in ["000000", "", &"9".repeat(255)] {
        mock.set_wrong_pins(0);
        assert!(room.client().unlock(text(wrong)).is_err());
        assert!(!room.client().token().unwrap().kept);
    }
    mock.set_wrong_pins(0);
    mock.set(&[Fault::code("C_Login", 0, "CKR_DEVICE_ERROR")]);
    assert!(room.client().unlock(text(&room.token.pin)).is_err());
    mock.clear();
    assert_eq!(enroll(&room, &SECOND).unwrap_err().to_string(), NO_PIN);
}

#[test]
fn wipes_a_kept_pin_at_once_when_the_token_says_that_it_is_wrong() {
    let (room, mock) = keeping();
    let _agent = room.start_unlocked();
    enroll(&room, &SECOND).unwrap();
    mock.set(&[Fault::code("C_Login", 0, "CKR_PIN_INCORRECT")]);
    mock.forget_calls();
    assert!(enroll(&room, &SECOND).unwrap_err().to_string().starts_with("the PIN is wrong"));
    assert_eq!(mock.logins(), 1);
    mock.clear();
    for _ in 0..3 {
        assert_eq!(enroll(&room, &SECOND).unwrap_err().to_string(), NO_PIN);
    }
    assert_eq!(mock.logins(), 1, "it is not tried again");
    assert!(!room.client().status().unwrap().locked, "what is loaded signs on");
}

#[test]
fn spends_no_last_try_on_a_kept_pin() {
    let (room, mock) = keeping();
    let _agent = room.start_unlocked();
    mock.set_wrong_pins(2);
    mock.forget_calls();
    let enrollment = Enrollment::new("second", FIRST.venue, FIRST.key_id).grants(everything());
    for login in [Login::without_pin(), Login::without_pin().final_try()] {
        let refused = room.client().enroll(&enrollment, login, text(FIRST.secret), None).unwrap_err();
        assert_eq!(refused.to_string(), "refusing to try the PIN: one more wrong one locks the token");
    }
    assert_eq!(mock.logins(), 0);
}

#[test]
fn keeps_a_pin_that_came_at_the_start() {
    let (room, _mock) = keeping();
    let folder = room.folder().join("credentials");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("strongroom-pin"), format!("{}\n", room.token.pin)).unwrap();
    let mut shell = std::process::Command::new("/bin/sh");
    let program = strongroom_softhsm_tests::room::program("strongroom");
    shell.arg("-c").arg("CREDENTIALS_DIRECTORY=\"$1\" exec \"$0\" agent").arg(program).arg(&folder);
    let _agent = room.start_command(shell);
    wait_until("the agent is unlocked", SOON, || !room.client().status().unwrap().locked);
    enroll(&room, &SECOND).unwrap();
}

/// A PIN that cannot stand in memory by chance.
const PIN: &str = "Gw5rKx2PzTn8VbQm4LcYh7SdJf1RaEuo";

#[test]
fn shows_a_kept_pin_in_no_process() {
    if !is_root_or_skip("reading the memory of the agent") {
        return;
    }
    let (mut token, mock) = Mock::token();
    token.pin = PIN.to_owned();
    mock.set_pin(PIN);
    let room = Room::with(token);
    let _ = room.init(&[]).ok();
    let config = std::fs::read_to_string(room.config()).unwrap();
    std::fs::write(room.config(), config.replace("[token]\n", "[token]\nrelogin = true\n")).unwrap();
    let _ = room.enroll(&FIRST, &[]).ok();
    let agent = room.start_unlocked();
    let mut needles = Needles::new();
    needles.secret(Class::Pin, "PIN", PIN.as_bytes());

    let shown = |agent: &Agent| {
        let mut processes = agent.children("strongroom-keeper");
        processes.push(agent.pid());
        for pid in processes {
            let hits = needles.hits(&Dump::of_memory(pid).unwrap());
            assert!(hits.is_empty(), "{pid}: {hits:?}");
        }
    };
    for _ in 0..20 {
        enroll(&room, &SECOND).unwrap();
        shown(&agent);
    }
    assert!(room.client().token().unwrap().kept, "it is there all the time");
    room.client().lock().unwrap();
    shown(&agent);

    // The control: the same scanner finds it where it does stand in memory.
    let here = std::process::id();
    assert!(!needles.hits(&Dump::read(here).unwrap()).is_empty(), "this process has it");
}
