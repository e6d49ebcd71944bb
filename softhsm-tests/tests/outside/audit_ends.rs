//! Which end of the audit log no checkpoint covers, from outside: that of an agent that was killed, for some seconds, and
//! of one that is locked.

use strongroom_softhsm_tests::process::{SOON, wait_until};
use strongroom_softhsm_tests::room::Room;
use strongroom_softhsm_tests::settings::set;

use crate::audit::{holds, lines, order, room, verify};
use crate::removal::Unplugged;

/// Lines behind what the last checkpoint covers; one is its own.
fn unsigned(room: &Room) -> u64 {
    let (code, told) = verify(room, &[]);
    assert_eq!(code, 0, "{told}");
    told["lines"].as_u64().unwrap() - told["signed"].as_u64().unwrap()
}

#[test]
fn signs_the_last_line_at_each_end_but_a_kill() {
    let room = room();
    let agent = room.start_unlocked();
    let sign = |id: &str| room.client().sign(&order(id)).map(drop).unwrap();
    sign("lock");
    assert!(unsigned(&room) > 1, "the control: no time has passed that would have it signed");
    room.client().lock().unwrap();
    assert_eq!(unsigned(&room), 1, "lock");

    let _ = room.unlock().ok();
    sign("token");
    assert!(unsigned(&room) > 1);
    let unplugged = Unplugged::token(&room);
    wait_until("it is locked", SOON, || room.client().status().unwrap().locked);
    wait_until("and signed", SOON, || unsigned(&room) == 1);
    assert_eq!(
        lines(&room).iter().rfind(|line| line["kind"] == "lock").unwrap()["cause"],
        "the token was removed"
    );
    unplugged.plug_in();

    let _ = room.unlock().ok();
    sign("end");
    assert!(agent.terminate().success());
    assert_eq!(unsigned(&room), 1, "a signal that asks for the end");

    let agent = room.start_unlocked();
    sign("kill");
    agent.kill();
    assert!(unsigned(&room) > 1, "the control: a kill leaves what it leaves");
    holds(&room);
}

#[test]
fn signs_what_nobody_waits_for_within_the_configured_seconds() {
    let room = room();
    set(&room, "audit", "checkpoint_s", "1");
    let agent = room.start_unlocked();
    wait_until("the unlock is signed", SOON, || unsigned(&room) == 1);
    let before = lines(&room).len();
    // No signature, which would have the agent look after its log by itself.
    let _ = room.client().add_client("bot").unwrap();
    assert!(lines(&room).len() > before);
    wait_until("that is signed", SOON, || unsigned(&room) == 1);
    let _ = room.client().sign(&order("last")).unwrap();
    wait_until("so is an order", SOON, || unsigned(&room) == 1);
    // Its own line is none that needs another one.
    let quiet = lines(&room).len();
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(lines(&room).len(), quiet, "nothing comes while nothing happens");
    agent.kill();
    holds(&room);
}
