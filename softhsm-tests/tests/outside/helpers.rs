//! What a keeper's end means to the rest.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use strongroom_client::{ErrorCode, SignRequest};
use strongroom_softhsm_tests::process::{SOON, runs, wait_until, write_script};
use strongroom_softhsm_tests::room::{Room, program, signal, stop};

use crate::keys::{BINANCE, account};

#[test]
fn locks_with_a_reason_when_the_keeper_is_killed_and_unlocks_without_a_restart() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = room.start_unlocked();
    let client = room.client();
    let _ = client.sign(&account()).unwrap();
    let front = agent.pid();
    for _ in 0..3 {
        let keeper = agent.children("strongroom-keeper")[0];
        signal(keeper, Signal::KILL);
        wait_until("the agent is locked", SOON, || client.status().unwrap().locked);
        let reason = client.status().unwrap().reason;
        assert!(reason.starts_with("the keeper was killed (signal: 9 (SIGKILL))"), "{reason}");
        let refused = client.sign(&account()).unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::Locked));
        assert_eq!(refused.to_string(), format!("the agent is locked: {reason}"));
        assert_eq!(refused.hint(), "run `strongroom unlock`");

        let _ = room.unlock().ok();
        let _ = client.sign(&account()).unwrap();
        assert_eq!(client.status().unwrap().pid, front, "the same front");
    }
}

#[test]
fn answers_everyone_who_waits_when_the_keeper_is_killed() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = room.start_unlocked();
    // Where this test is late, the agent has ended the stopped keeper itself, or nobody has asked yet: once more.
    for round in 0..20 {
        let waited = waited_for_a_killed_keeper(&room, agent.child("strongroom-keeper"));
        if waited > 0 {
            return;
        }
        eprintln!("nobody waited in round {round}");
        let _ = room.unlock().ok();
    }
    panic!("nobody waited");
}

/// Has many ask a keeper that is stopped, and kills it. How many it has left without an answer; all are answered.
fn waited_for_a_killed_keeper(room: &Room, keeper: u32) -> usize {
    // Stopped, so that questions pile up; then killed.
    stop(keeper);
    let outcomes = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let orders: Vec<SignRequest<'_>> = (0..100).map(|_| account()).collect();
                    room.client().sign_many(&orders)
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(300));
        // The front answers meanwhile.
        let _ = room.client().status().unwrap();
        signal(keeper, Signal::KILL);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    wait_until("the agent is locked", SOON, || room.client().status().unwrap().locked);
    assert_eq!(outcomes.len(), 400);
    let mut waited = 0;
    for outcome in outcomes {
        let Err(refused) = outcome else { panic!("a stopped keeper has signed") };
        match refused.code() {
            // The agent has ended it before this test did.
            Some(ErrorCode::Unavailable) if refused.to_string().contains("did not answer within 5 s") => {}
            Some(ErrorCode::Unavailable) => {
                waited += 1;
                assert_eq!(
                    refused.to_string(),
                    "the keeper gave no signature: the keeper ended while it was asked: signal: 9 (SIGKILL)"
                );
            }
            Some(ErrorCode::Locked) => {}
            other => panic!("{other:?}: {refused}"),
        }
    }
    waited
}

/// As on a machine that is just starting: longer than a question may take.
#[test]
fn waits_for_helpers_that_are_slow_to_begin() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let (programs, real) = (room.folder().join("slow"), room.folder().join("slow/real"));
    std::fs::create_dir_all(&real).unwrap();
    let copy = |name: &str, folder: &Path| {
        let copied = Command::new("cp").arg(program(name)).arg(folder).status().unwrap();
        assert!(copied.success(), "{name}");
    };
    copy("strongroom", &programs);
    for name in ["strongroom-keeper", "strongroom-token"] {
        copy(name, &real);
        let script = format!("#!/bin/sh\nsleep 7\nexec '{}' \"$@\"\n", real.join(name).display());
        write_script(&programs.join(name), &script);
    }
    let mut command = Command::new(programs.join("strongroom"));
    command.arg("agent");
    let _agent = room.start_command(command);
    assert_eq!(room.unlock().ok(), "unlocked: 1 of 1 credentials can sign\n");
    let _ = room.client().sign(&account()).unwrap();
}

#[test]
fn ends_a_keeper_that_hangs_when_it_is_locked() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = room.start_unlocked();
    let keeper = agent.child("strongroom-keeper");
    stop(keeper);
    let run = std::thread::scope(|scope| {
        let locking = scope.spawn(|| room.client().lock());
        // From the first moment on nothing is signed any more.
        wait_until("the agent is locked", SOON, || room.client().status().unwrap().locked);
        assert_eq!(room.client().sign(&account()).unwrap_err().code(), Some(ErrorCode::Locked));
        locking.join().unwrap()
    });
    let refused = run.expect_err("the keeper has not said that it forgot");
    assert_eq!(refused.code(), Some(ErrorCode::Unavailable));
    assert_eq!(refused.to_string(), "the keeper did not answer within 5 s and was ended");
    wait_until("the keeper is ended", SOON, || !runs(keeper));
    let _ = room.unlock().ok();
}

/// The command has more patience than the agent has with its keeper.
#[test]
fn says_on_the_command_line_that_the_keeper_hung_when_it_was_locked() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = room.start_unlocked();
    let keeper = agent.child("strongroom-keeper");
    stop(keeper);
    let run = room.run(&["lock"], None, &[]);
    assert_eq!(run.code(), 7, "{}", run.stderr);
    let said = "error: the keeper did not answer within 5 s and was ended\n";
    assert!(run.stderr.starts_with(said), "{}", run.stderr);
    assert!(room.client().status().unwrap().locked);
    wait_until("the keeper is ended", SOON, || !runs(keeper));
}

#[test]
fn ends_a_keeper_that_hangs_by_itself_and_locks() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = room.start_unlocked();
    let keeper = agent.child("strongroom-keeper");
    stop(keeper);
    let refused = room.client().sign(&account()).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Unavailable), "{refused}");
    wait_until("the agent is locked", SOON, || room.client().status().unwrap().locked);
    assert_eq!(room.client().status().unwrap().reason, "the keeper did not answer within 5 s and was ended");
    wait_until("the keeper is ended", SOON, || !runs(keeper));
    let _ = room.unlock().ok();
    let _ = room.client().sign(&account()).unwrap();
}

#[test]
fn keeps_signing_for_a_client_across_a_restart_of_the_agent() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let client = room.client();
    let agent = room.start_unlocked();
    let _ = client.sign(&account()).unwrap();
    agent.kill();
    assert!(client.sign(&account()).is_err());
    let _agent = room.start_unlocked();
    let _ = client.sign(&account()).unwrap();
}
