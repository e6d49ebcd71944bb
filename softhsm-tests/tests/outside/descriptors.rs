//! Descriptors that clients send: taken where asked for, closed where not.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::time::Duration;

use strongroom_protocol::{Login, Operation};
use strongroom_softhsm_tests::process::{SOON, descriptors, wait_until};
use strongroom_softhsm_tests::raw::{Heard, Raw, frame};
use strongroom_softhsm_tests::room::{Agent, Room};

use crate::keys::{BINANCE, account};

const WITH_PIN: Login = Login { pin: true, final_try: false };

#[test]
fn closes_descriptors_that_nobody_asked_for() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = room.start_unlocked();
    let file = File::open("/dev/null").unwrap();
    let mut peer = Raw::connect(&room.socket());
    peer.ask(1, Operation::Status).unwrap();
    assert_eq!(peer.hear(SOON), Heard::Good(1));
    let before = at_rest(&room, &agent, 1);
    for count in [1, 2, 3, 4, 9, 16] {
        let some = vec![file.as_fd(); count];
        for id in 0..30 {
            peer.write_with(&frame(id, Operation::Status), &some).unwrap();
            assert_eq!(peer.hear(SOON), Heard::Good(id), "{count} descriptors");
        }
        wait_until("they are closed", SOON, || descriptors(agent.pid()).len() == before);
    }
    // Beside half a frame, whose other half comes later or never.
    let status = frame(7, Operation::Status);
    peer.write_with(&status[..3], &[file.as_fd(); 3]).unwrap();
    peer.write_with(&status[3..], &[file.as_fd(); 3]).unwrap();
    assert_eq!(peer.hear(SOON), Heard::Good(7));
    wait_until("they are closed", SOON, || descriptors(agent.pid()).len() == before);
    peer.write_with(&status[..3], &[file.as_fd(); 3]).unwrap();
    drop(peer);
    // Its socket, the handle of its process, and what tells whether that runs another program.
    wait_until("the connection is closed", SOON, || descriptors(agent.pid()).len() == before - 3);
}

#[test]
fn unlocks_by_hand_with_the_descriptor_of_a_pipe() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = room.start();
    let before = at_rest(&room, &agent, 0);
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(room.token.pin.as_bytes()).unwrap();
    drop(writer);
    let mut peer = Raw::connect(&room.socket());
    peer.write_with(&frame(4, Operation::Unlock(WITH_PIN)), &[reader.as_fd()]).unwrap();
    assert_eq!(peer.hear(SOON), Heard::Good(4));
    let _ = room.client().sign(&account()).unwrap();
    peer.ask(5, Operation::Lock).unwrap();
    assert_eq!(peer.hear(SOON), Heard::Good(5));
    drop(peer);
    wait_until("nothing of it stays", SOON, || descriptors(agent.pid()).len() == before);
}

/// The protocol asks a client to have closed its end. One that has not holds up the token, and nobody else.
#[test]
fn answers_others_while_a_pin_does_not_end() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let _agent = room.start();
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(room.token.pin.as_bytes()).unwrap();
    let mut peer = Raw::connect(&room.socket());
    peer.write_with(&frame(4, Operation::Unlock(WITH_PIN)), &[reader.as_fd()]).unwrap();
    assert_eq!(peer.hear(Duration::from_millis(500)), Heard::Silence);
    assert!(room.client().status().unwrap().locked);
    drop(writer);
    assert_eq!(peer.hear(SOON), Heard::Good(4));
    let _ = room.client().sign(&account()).unwrap();
}

/// How many descriptors an agent has when nothing happens and so many clients are connected: connections that have just
/// been closed may not be gone yet, and an unlocked agent begins to watch its token a moment later.
pub(crate) fn at_rest(room: &Room, agent: &Agent, connections: usize) -> usize {
    wait_until("no more are connected", SOON, || room.connections() == connections);
    if !agent.children("strongroom-keeper").is_empty() {
        let _watcher = agent.child("strongroom-token");
    }
    let (mut same, mut before) = (0, usize::MAX);
    wait_until("it is at rest", SOON, || {
        let now = descriptors(agent.pid()).len();
        same = if now == before { same + 1 } else { 0 };
        before = now;
        std::thread::sleep(Duration::from_millis(100));
        same == 8
    });
    before
}
