//! What the agent says of its keeper's protection, and of a keeper that is not given what it needs.

use std::process::Command;

use strongroom_softhsm_tests::room::{Agent, Room, program};

use crate::keys::{BINANCE, account};

/// Starts an agent that may lock no more than 64 KiB of memory; root loses the right to lock more.
pub(crate) fn start_with_a_low_limit(room: &Room) -> Agent {
    let mut command = Command::new("/bin/sh");
    let exec = if rustix::process::geteuid().is_root() {
        "exec setpriv --bounding-set=-ipc_lock \"$0\" agent"
    } else {
        "exec \"$0\" agent"
    };
    command.arg("-c").arg(format!("ulimit -l 64 && {exec}")).arg(program("strongroom"));
    room.start_command(command)
}

#[test]
fn says_which_limit_to_raise_where_the_keeper_may_lock_too_little() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = start_with_a_low_limit(&room);
    for run in [room.unlock(), room.enroll(&BINANCE, &["--replace"])] {
        assert_eq!(run.code(), 7, "{}", run.stderr);
        assert!(
            run.stderr
                .contains("the keeper must lock 7168 KiB of memory, and RLIMIT_MEMLOCK lets it lock 64 KiB"),
            "{}",
            run.stderr
        );
        assert!(run.stderr.contains("LimitMEMLOCK=8M"), "{}", run.stderr);
    }
    let status = room.client().status().unwrap();
    assert_eq!(status.keeper_pid, None);
    drop(agent);
}

#[test]
fn logs_what_protects_the_keeper_and_lists_the_permission_to_go_without() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let config = std::fs::read_to_string(room.config()).unwrap();
    let off = "danger_allow_weak_memory = false";
    assert!(config.contains(off), "{config}");
    std::fs::write(room.config(), config.replace(off, "danger_allow_weak_memory = true")).unwrap();
    let agent = room.start_unlocked();
    let _ = room.client().sign(&account()).unwrap();
    assert_eq!(room.client().status().unwrap().weaknesses, ["danger_allow_weak_memory"]);
    let log = agent.log();
    assert!(log.contains("the keeper is ready"), "{log}");
    // This kernel has what it takes, so the permission is not used.
    assert!(log.contains("secret_memory=true"), "{log}");
}

/// What the keeper counts when it reads its memory back. That the count finds what is left is proven where
/// it is made, in `locked`.
#[test]
fn finds_nothing_left_in_the_keeper_after_a_lock() {
    let room = Room::new();
    let agent = room.start_unlocked();
    let _ = room.enroll(&BINANCE, &[]).ok();
    for round in 1..=3 {
        let _ = room.client().sign(&account()).unwrap();
        let _ = room.run(&["lock"], None, &[]).ok();
        let log = agent.log();
        let proofs = log.matches("the keeper has wiped its memory and found nothing left").count();
        assert_eq!(proofs, round, "{log}");
        assert!(!log.contains("not zero"), "{log}");
        let _ = room.unlock().ok();
    }
}
