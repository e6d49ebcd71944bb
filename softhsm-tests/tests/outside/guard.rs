//! The guard of a keeper fails: the keeper with it, and nothing else.

use rustix::process::Signal;
use strongroom_client::ErrorCode;
use strongroom_scanner::Traced;
use strongroom_softhsm_tests::process::{SOON, is_root_or_skip, runs, wait_until};
use strongroom_softhsm_tests::room::{Agent, Room, children, signal, stop};

use crate::keys::{BINANCE, account};

/// Keeper and guard.
fn pair(agent: &Agent) -> (u32, u32) {
    let keeper = agent.children("strongroom-keeper")[0];
    (keeper, children(keeper, "keeper-guard")[0])
}

#[test]
fn locks_with_a_clear_reason_when_the_guard_is_killed_and_unlocks_again() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = room.start_unlocked();
    let client = room.client();
    for _ in 0..2 {
        let (keeper, guard) = pair(&agent);
        signal(guard, Signal::KILL);
        wait_until("it is locked", SOON, || client.status().unwrap().locked);
        assert!(!runs(keeper), "the kernel has ended it");
        let reason = client.status().unwrap().reason;
        assert!(reason.starts_with("the keeper was killed (signal: 9 (SIGKILL))"), "{reason}");
        assert!(reason.contains("`strongroom unlock`"), "{reason}");
        let refused = client.sign(&account()).unwrap_err();
        assert_eq!((refused.code(), refused.hint()), (Some(ErrorCode::Locked), "run `strongroom unlock`"));
        let _ = room.unlock().ok();
        let _ = client.sign(&account()).unwrap();
    }
}

#[test]
fn hangs_nowhere_while_the_guard_is_stopped() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = room.start_unlocked();
    let client = room.client();

    let (keeper, guard) = pair(&agent);
    stop(guard);
    let _ = client.sign(&account()).unwrap();
    client.lock().unwrap();
    assert!(!agent.log().contains("answers no more"), "the keeper was not killed for want of an answer");
    wait_until("both end", SOON, || !runs(keeper) && !runs(guard));

    let _ = room.unlock().ok();
    let (keeper, guard) = pair(&agent);
    stop(guard);
    signal(keeper, Signal::KILL);
    wait_until("it is locked", SOON, || client.status().unwrap().locked);
    let _ = room.unlock().ok();
    let _ = client.sign(&account()).unwrap();
}

/// A guard that never takes note of its keeper's end: where it is stopped by a signal, the kernel lets it go on when
/// its keeper ends, unless the signal comes at the same moment. Here a tracer holds it.
#[test]
fn locks_and_unlocks_where_the_guard_takes_no_note_of_the_end_of_its_keeper() {
    if !is_root_or_skip("holding a guard as a debugger does") {
        return;
    }
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = room.start_unlocked();
    let client = room.client();

    let (keeper, guard) = pair(&agent);
    let held = Traced::seize(guard).unwrap();
    signal(keeper, Signal::KILL);
    wait_until("it is locked", SOON, || client.status().unwrap().locked);
    wait_until("both end", SOON, || !runs(keeper) && !runs(guard));
    drop(held);
    let _ = room.unlock().ok();
    let _ = client.sign(&account()).unwrap();

    // It is asked to end this time.
    let (keeper, guard) = pair(&agent);
    let held = Traced::seize(guard).unwrap();
    client.lock().unwrap();
    wait_until("both end", SOON, || !runs(keeper) && !runs(guard));
    drop(held);
    let _ = room.unlock().ok();
    let _ = client.sign(&account()).unwrap();
}
