//! Three processes, and what each of them has.

use std::path::Path;
use std::process::Command;

use strongroom_softhsm_tests::process::{
    SOON, descriptors, environment, folder, is_root_or_skip, runs, wait_until,
};
use strongroom_softhsm_tests::room::{Room, children, program, signal};
use strongroom_softhsm_tests::settings::set;
use strongroom_softhsm_tests::slow::SlowToken;

use crate::keys::{BINANCE, account, copy_program};

#[test]
fn runs_a_keeper_and_a_watcher_without_a_session_only_while_unlocked() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    // Nobody watches over the token in this hour, so what works with it is seen alone.
    set(&room, "token", "watch_every_s", "3600");
    let agent = room.start();
    assert_eq!(agent.children("strongroom-keeper"), [0; 0], "locked");
    assert_eq!(room.client().status().unwrap().keeper_pid, None);
    let _ = room.unlock().ok();
    assert_eq!(agent.children("strongroom-keeper").len(), 1);
    assert_eq!(agent.children("strongroom-token"), [0; 0], "the token's session is over");
    let _ = agent.terminate();

    set(&room, "token", "watch_every_s", "1");
    let agent = room.start_unlocked();
    let keepers = agent.children("strongroom-keeper");
    assert_eq!(keepers.len(), 1);
    assert_eq!(room.client().status().unwrap().keeper_pid, keepers.first().copied());
    let _watcher = agent.child("strongroom-token");

    let _ = room.run(&["lock"], None, &[]).ok();
    wait_until("the keeper ends", SOON, || !runs(keepers[0]));
    assert_eq!(agent.children("strongroom-keeper"), [0; 0]);
    wait_until("the watcher ends", SOON, || agent.children("strongroom-token").is_empty());
}

#[test]
fn gives_the_keeper_an_empty_environment_and_its_own_descriptors_only() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let mut command = Command::new(program("strongroom"));
    command.arg("agent");
    let agent = room.start_command(command);
    let _ = room.unlock().ok();
    // Clients are there, whose sockets a child must not inherit.
    let clients: Vec<_> = (0..5).map(|_| room.client()).collect();
    for client in &clients {
        let _ = client.status().unwrap();
    }
    let keeper = agent.children("strongroom-keeper")[0];
    if !is_root_or_skip("looking into the keeper, which cannot be traced,") {
        return;
    }
    assert_eq!(environment(keeper), [""; 0]);
    assert!(!environment(agent.pid()).is_empty(), "the control: the front has an environment");
    assert_eq!(folder(keeper), Path::new("/"));
    assert_only_own(keeper, &["socket:"]);
}

#[test]
fn gives_the_token_worker_the_configured_environment_and_its_own_descriptors_only() {
    let room = Room::new();
    let slow = SlowToken::new(&room);
    let agent = room.start();
    std::thread::scope(|scope| {
        let unlocking = scope.spawn(|| room.unlock());
        slow.wait_for_login();
        let worker = agent.children("strongroom-token")[0];
        let keeper = agent.children("strongroom-keeper")[0];
        if is_root_or_skip("looking into the token worker, which cannot be traced,") {
            let mut expected: Vec<String> = slow.environment();
            expected.push(format!("SOFTHSM2_CONF={}", room.token.conf.display()));
            expected.sort();
            let mut found = environment(worker);
            found.sort();
            assert_eq!(found, expected, "what --module-env named and nothing else");
            assert_eq!(folder(worker), Path::new("/"));
            let group = |pid| rustix::process::getpgid(rustix::process::Pid::from_raw(pid as i32)).unwrap();
            assert_ne!(group(worker), group(agent.pid()), "an interrupt at a terminal is for the front");
            // The pipe of the PIN and the port for seeds.
            // Sorted by their numbers: a second copy of the front's socket is watched for its end.
            assert_only_own(worker, &["pipe:", "socket:"]);
            assert_only_own(keeper, &["socket:"]);
            // The front keeps neither end of the port nor the PIN's pipe.
            let passed_on = |pid| -> Vec<String> {
                let all = descriptors(pid).into_iter().map(|(_, what)| what);
                all.filter(|what| what.starts_with("pipe:") || what.starts_with("socket:")).collect()
            };
            let of_front = passed_on(agent.pid());
            for what in passed_on(worker).into_iter().chain(passed_on(keeper)) {
                assert!(!of_front.contains(&what), "the front still has {what}");
            }
        }
        slow.go_on();
        let _ = unlocking.join().unwrap().ok();
    });
}

#[test]
fn takes_the_keeper_and_the_token_worker_down_with_a_killed_front() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = room.start_unlocked();
    let keeper = agent.children("strongroom-keeper")[0];
    agent.kill();
    wait_until("the keeper ends", SOON, || !runs(keeper));

    let slow = SlowToken::new(&room);
    let agent = room.start();
    let front = agent.pid();
    std::thread::scope(|scope| {
        let unlocking = scope.spawn(|| room.unlock());
        slow.wait_for_login();
        let helpers = [children(front, "strongroom-token")[0], children(front, "strongroom-keeper")[0]];
        agent.kill();
        // The worker hangs in its module here, and has to die all the same.
        for helper in helpers {
            wait_until("a helper ends", SOON, || !runs(helper));
        }
        let run = unlocking.join().unwrap();
        assert_ne!(run.code(), 0);
    });
}

#[test]
fn ends_its_keeper_and_removes_its_socket_when_asked_to_end() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    for asked in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let agent = room.start_unlocked();
        let _ = room.client().sign(&account()).unwrap();
        let keeper = agent.children("strongroom-keeper")[0];
        signal(agent.pid(), asked);
        let status = agent.terminate();
        assert_eq!(status.code(), Some(0), "{asked:?}");
        assert!(!runs(keeper), "the keeper has ended before the front");
        assert!(!room.socket().exists());
    }
}

#[test]
fn refuses_to_be_started_by_hand() {
    for name in ["strongroom-keeper", "strongroom-token"] {
        let output = Command::new(program(name)).stdin(std::process::Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(said.starts_with(&format!("{name}: ")), "{said}");
        let output = Command::new(program(name)).arg("--pin=1").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{name} takes no arguments");
    }
}

#[test]
fn names_a_missing_helper_program() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let alone = room.folder().join("alone");
    std::fs::create_dir(&alone).unwrap();
    copy_program(&alone);
    let mut command = Command::new(alone.join("strongroom"));
    command.arg("agent");
    let _agent = room.start_command(command);
    let run = room.unlock();
    assert_eq!(run.code(), 7);
    let expected = format!(
        "error: the keeper cannot be started from {}: No such file or directory (os error 2)\n\
         hint: install all three programs into one folder\n",
        alone.join("strongroom-keeper").display()
    );
    assert_eq!(run.stderr, expected);
}

/// A socket as standard input, /dev/null as standard output, the front's standard error, and these more.
fn assert_only_own(pid: u32, more: &[&str]) {
    let found = descriptors(pid);
    let (standard, others): (Vec<_>, Vec<_>) = found.iter().partition(|(number, _)| *number < 3);
    let kinds: Vec<&str> = standard.iter().map(|(_, what)| what.as_str()).collect();
    assert!(
        matches!(kinds.as_slice(), [input, "/dev/null", error]
            if input.starts_with("socket:") && error.ends_with("agent.log")),
        "{found:?}"
    );
    // The socket a second time: the helper's own copy of it.
    let socket = found[0].1.as_str();
    // What the module opens itself, such as its token files, is its own.
    let others: Vec<&str> = others
        .iter()
        .map(|(_, what)| what.as_str())
        .filter(|what| *what != socket && !what.contains("/tokens/") && !what.starts_with("/dev/"))
        .collect();
    assert!(others.len() <= more.len(), "{found:?}");
    for (what, expected) in others.iter().zip(more) {
        assert!(what.starts_with(expected), "{found:?}");
    }
}
