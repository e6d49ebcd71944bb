//! The machine goes to sleep: locked before it does, and nothing that waits for the bus.

use std::process::Command;
use std::time::Duration;

use strongroom_client::ErrorCode;
use strongroom_softhsm_tests::logind::{Bus, Logind};
use strongroom_softhsm_tests::process::{SOON, runs, wait_until};
use strongroom_softhsm_tests::room::{Agent, Room, program, stop};
use strongroom_softhsm_tests::settings::set;

use crate::keys::{BINANCE, account};

const TAKEN: &str = "taken sleep delay Strongroom";

fn enrolled() -> Room {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    room
}

/// Starts an agent whose system bus is there.
fn start_on(room: &Room, address: &str) -> Agent {
    let mut command = Command::new("/usr/bin/env");
    command.arg(format!("DBUS_SYSTEM_BUS_ADDRESS={address}")).arg(program("strongroom")).arg("agent");
    room.start_command(command)
}

#[test]
fn locks_before_the_machine_sleeps_and_holds_the_next_sleep_up_again() {
    let room = enrolled();
    let bus = Bus::start(room.folder());
    let mut logind = Logind::start(&bus);
    let agent = start_on(&room, &bus.address());
    logind.says(TAKEN);
    for _ in 0..2 {
        let _ = room.unlock().ok();
        let keeper = agent.children("strongroom-keeper")[0];
        logind.order("sleep");
        logind.says("released");
        assert!(!runs(keeper), "it let go before the keeper had ended");
        let status = room.client().status().unwrap();
        assert_eq!((status.locked, status.reason.as_str()), (true, "the machine goes to sleep"));
        assert_eq!(room.client().sign(&account()).unwrap_err().code(), Some(ErrorCode::Locked));
        logind.order("wake");
        logind.says(TAKEN);
    }
    let _ = room.unlock().ok();
    let _ = room.client().sign(&account()).unwrap();
}

/// The control: what wakes up does not lock, and whoever wants keys to survive sleep can have it.
#[test]
fn keeps_keys_when_the_machine_wakes_up_or_where_sleep_is_not_to_lock() {
    let room = enrolled();
    let bus = Bus::start(room.folder());
    let mut logind = Logind::start(&bus);
    let agent = start_on(&room, &bus.address());
    logind.says(TAKEN);
    let _ = room.unlock().ok();
    logind.order("wake");
    // It holds on to one inhibitor: the new one replaces the old.
    logind.says(TAKEN);
    logind.says("released");
    assert!(!room.client().status().unwrap().locked);
    drop(agent);
    logind.says("released");

    set(&room, "agent", "lock_on_suspend", "false");
    let _agent = start_on(&room, &bus.address());
    let _ = room.unlock().ok();
    logind.order("sleep");
    assert!(logind.is_silent_for(Duration::from_secs(1)), "no inhibitor is taken");
    let status = room.client().status().unwrap();
    assert!(!status.locked);
    assert_eq!(status.weaknesses, ["no_lock_on_suspend"]);
}

#[test]
fn holds_the_sleep_up_until_a_keeper_that_hangs_is_ended() {
    let room = enrolled();
    let bus = Bus::start(room.folder());
    let mut logind = Logind::start(&bus);
    let agent = start_on(&room, &bus.address());
    logind.says(TAKEN);
    for _ in 0..20 {
        let _ = room.unlock().ok();
        let keeper = agent.child("strongroom-keeper");
        stop(keeper);
        logind.order("sleep");
        wait_until("the agent is locked", SOON, || room.client().status().unwrap().locked);
        let was_there = runs(keeper);
        logind.says("released");
        assert!(!runs(keeper), "it let go before the keeper had ended");
        if was_there {
            return;
        }
        // This test was late, and has seen nothing.
        logind.order("wake");
        logind.says(TAKEN);
    }
    panic!("the keeper had ended each time before the agent was seen to be locked");
}

#[test]
fn goes_on_without_a_bus_and_finds_it_when_it_comes_or_comes_back() {
    let room = enrolled();
    let bus = Bus::start(room.folder());
    let address = bus.address();
    drop(bus);
    let agent = start_on(&room, &address);
    let _ = room.unlock().ok();
    let _ = room.client().sign(&account()).unwrap();
    for turn in 0..2 {
        let bus = Bus::start(room.folder());
        let mut logind = Logind::start(&bus);
        logind.says(TAKEN);
        let _ = room.unlock().ok();
        logind.order("sleep");
        logind.says("released");
        assert!(room.client().status().unwrap().locked, "turn {turn}");
    }
    wait_until("the loss of the bus is logged", SOON, || told(&agent) == 3);
    // One line for each loss, whatever is tried in between.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(told(&agent), 3, "{}", agent.log());
}

/// How often the agent has logged that nobody tells it of sleep.
fn told(agent: &Agent) -> usize {
    agent.log().matches("the agent is not told when the machine goes to sleep").count()
}

#[test]
fn takes_the_inhibitor_again_from_a_logind_that_was_started_again() {
    let room = enrolled();
    let bus = Bus::start(room.folder());
    let agent = start_on(&room, &bus.address());
    for _ in 0..2 {
        let mut logind = Logind::start(&bus);
        logind.says(TAKEN);
        let _ = room.unlock().ok();
        logind.order("sleep");
        logind.says("released");
        assert!(room.client().status().unwrap().locked);
    }
    drop(agent);
}

#[test]
fn locks_at_sleep_also_where_logind_does_not_wait_for_it() {
    let room = enrolled();
    let bus = Bus::start(room.folder());
    let mut logind = Logind::start(&bus);
    logind.order("refuse");
    let agent = start_on(&room, &bus.address());
    logind.says("refused");
    let _ = room.unlock().ok();
    logind.order("sleep");
    wait_until("the agent is locked", SOON, || room.client().status().unwrap().locked);
    assert!(agent.log().contains("logind does not wait for the agent"), "{}", agent.log());
}
