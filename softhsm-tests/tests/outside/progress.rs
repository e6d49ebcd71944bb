//! How far an unlock is, for the client that waits for it.

use strongroom_softhsm_tests::mock::{Fault, Mock};
use strongroom_softhsm_tests::room::{Key, Room, program};
use strongroom_softhsm_tests::terminal::Terminal;

use crate::keys::BINANCE;

const RECORDS: u32 = 5;

/// A room whose token takes 300 ms for each of some records.
fn slow_room() -> (Room, Mock) {
    let (token, mock) = Mock::token();
    let room = Room::with(token);
    let _ = room.init(&[]).ok();
    for number in 0..RECORDS {
        let _ = room.enroll(&Key { name: &format!("binance-{number}"), ..BINANCE }, &[]).ok();
    }
    mock.set(&[Fault::new("C_Decrypt", 0, "slow")]);
    (room, mock)
}

#[test]
fn tells_the_client_that_unlocks_how_far_it_is() {
    let (room, _mock) = slow_room();
    let _agent = room.start();
    let (pin, mut write) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut write, room.token.pin.as_bytes()).unwrap();
    drop(write);
    let mut told = Vec::new();
    room.client().unlock_with(pin, |progress| told.push((progress.done, progress.total))).unwrap();
    // The first record is under way when the first is told, and the last when the last is. An agent that is late tells
    // of two at once.
    assert!(!told.is_empty() && told.is_sorted_by(|one, next| one.0 < next.0), "{told:?}");
    assert!(told.iter().all(|told| (1..RECORDS).contains(&told.0) && told.1 == RECORDS), "{told:?}");
    assert_eq!(room.client().status().unwrap().ready, RECORDS);
}

#[test]
fn fills_a_bar_on_a_terminal_and_says_nothing_in_a_pipe() {
    let (room, _mock) = slow_room();
    let _agent = room.start();
    let program = program("strongroom").display().to_string();
    let mut person = Terminal::start(&[&program, "unlock"], |command| room.surround(command));
    person.wait_for("PIN of token ");
    person.type_line(&room.token.pin);
    // One of the four, if the agent is late.
    person.wait_for("\runlocking [######");
    person.wait_for(" of 5");
    person.wait_for("\r\u{1b}[K");
    person.wait_for("unlocked: 5 of 5 credentials can sign");
    let (shown, status) = person.end();
    assert!(status.success(), "{shown}");
    for bar in shown.split("\runlocking ").skip(1) {
        let done: usize = bar.split(" of 5").next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        let drawn = format!("[{:.<30}] {done} of 5", "#".repeat(done * 6));
        assert!((1..5).contains(&done) && bar.starts_with(&drawn), "{shown:?}");
    }

    room.client().lock().unwrap();
    let run = room.unlock();
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("unlocked: 5 of 5 credentials can sign\n", ""));
}
