//! The token is pulled out while the agent is unlocked.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use strongroom_client::ErrorCode;
use strongroom_softhsm_tests::process::{SOON, is_root_or_skip, runs, wait_until};
use strongroom_softhsm_tests::room::{Agent, Room, program, signal, stop};
use strongroom_softhsm_tests::settings::set;

use crate::keys::{BINANCE, account};

/// What is moved to take the token out, and where it is then.
struct Unplugged {
    here: PathBuf,
    away: PathBuf,
}

impl Unplugged {
    fn new(room: &Room, here: PathBuf) -> Self {
        let unplugged = Self { here, away: room.folder().join("unplugged") };
        std::fs::rename(&unplugged.here, &unplugged.away).unwrap();
        unplugged
    }

    /// The folder of the one token.
    fn token(room: &Room) -> Self {
        let inside = std::fs::read_dir(room.token.tokens()).unwrap().next().unwrap().unwrap().path();
        Self::new(room, inside)
    }

    /// The folder of all tokens: without it the module does not even start.
    fn all(room: &Room) -> Self {
        Self::new(room, room.token.tokens())
    }

    fn plug_in(self) {
        std::fs::rename(&self.away, &self.here).unwrap();
    }
}

fn enrolled() -> Room {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    room
}

/// The worker that watches; there is no other while nobody works with the token.
fn watcher(agent: &Agent) -> u32 {
    agent.child("strongroom-token")
}

#[test]
fn locks_when_the_token_is_removed_and_unlocks_when_it_is_back() {
    let room = enrolled();
    let agent = room.start_unlocked();
    let client = room.client();
    for unplug in [Unplugged::token, Unplugged::all] {
        // The watch has begun, so that a module which knows the token loses it.
        let worker = watcher(&agent);
        let keeper = agent.children("strongroom-keeper")[0];
        let _ = client.sign(&account()).unwrap();
        let unplugged = unplug(&room);
        wait_until("it is locked", SOON, || client.status().unwrap().locked);
        assert_eq!(client.status().unwrap().reason, "the token was removed");
        let refused = client.sign(&account()).unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::Locked));
        assert_eq!(refused.to_string(), "the agent is locked: the token was removed");
        wait_until("keeper and watcher end", SOON, || !runs(keeper) && !runs(worker));
        assert_ne!(room.unlock().code(), 0, "the token is still away");
        unplugged.plug_in();
        let _ = room.unlock().ok();
        let _ = client.sign(&account()).unwrap();
        assert_eq!(client.status().unwrap().pid, agent.pid(), "nothing was restarted");
    }
}

#[test]
fn keeps_keys_where_configured_and_says_that_the_token_is_gone() {
    let room = enrolled();
    set(&room, "token", "on_token_removed", "\"keep\"");
    let agent = room.start_unlocked();
    let client = room.client();
    let _watcher = watcher(&agent);
    assert_eq!(client.status().unwrap().weaknesses, ["keys_outlive_token"]);
    let unplugged = Unplugged::token(&room);
    let is_gone = || {
        let _ = client.sign(&account()).unwrap();
        client.status().unwrap().weaknesses == ["keys_outlive_token", "token_gone"]
    };
    wait_until("status says so", SOON, is_gone);
    let told = room.run(&["status"], None, &[]);
    assert!(told.stderr.contains("warning: the token is gone"), "{}", told.stderr);
    unplugged.plug_in();
    wait_until("status says that it is back", SOON, || !is_gone());
    assert!(!client.status().unwrap().locked);
    let log = agent.log();
    assert!(log.contains("the token was removed; the keys stay") && log.contains("the token is there again"));
}

#[test]
fn replaces_a_watcher_that_is_killed_or_hangs_and_locks_for_neither() {
    let room = enrolled();
    // As long as an unlock may take on a busy machine, and as this test waits for the look that hangs.
    set(&room, "token", "patience_s", "15");
    let agent = room.start_unlocked();
    let client = room.client();
    for how in [Signal::KILL, Signal::STOP, Signal::KILL] {
        let before = watcher(&agent);
        if how == Signal::STOP {
            stop(before)
        } else {
            signal(before, how)
        }
        wait_until("another watches", SOON, || {
            let _ = client.sign(&account()).unwrap();
            agent.children("strongroom-token").iter().any(|now| *now != before)
        });
    }
    // A machine that is busy may have gone without a look for a while.
    wait_until("somebody has looked again", SOON, || client.status().unwrap().weaknesses.is_empty());
    assert!(!client.status().unwrap().locked);
    let _unplugged = Unplugged::token(&room);
    wait_until("it is locked", SOON, || client.status().unwrap().locked);
}

/// Sends a message as the kernel does when a device goes; only in a network of the agent's own.
fn send_uevent(agent: &Agent, action: &str, subsystem: &str) {
    const SCRIPT: &str = r#"
import os, socket, struct, sys
action, subsystem = sys.argv[1:]
path = "/devices/strongroom-test"
parts = [f"{action}@{path}", f"ACTION={action}", f"DEVPATH={path}", f"SUBSYSTEM={subsystem}"]
text = b"".join(part.encode() + b"\0" for part in parts)
# The kernel sends what comes here on to all that listen in this network, as a message of its own.
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15) as netlink:
    netlink.bind((0, 0))
    netlink.sendto(struct.pack("=IHHII", 16 + len(text), 16, 1, 0, 0) + text, (0, 0))
"#;
    let sent = Command::new("nsenter")
        .args(["--net", "--target", &agent.pid().to_string(), "/usr/bin/python3", "-c", SCRIPT])
        .args([action, subsystem])
        .status()
        .unwrap();
    assert!(sent.success());
}

#[test]
fn looks_at_once_when_the_kernel_tells_of_a_removed_device() {
    if !is_root_or_skip("sending what the kernel sends") {
        return;
    }
    let room = enrolled();
    set(&room, "token", "watch_every_s", "3600");
    let mut command = Command::new("unshare");
    command.arg("--net").arg(program("strongroom")).arg("agent");
    let agent = room.start_command(command);
    let _ = room.unlock().ok();
    let client = room.client();
    let unplugged = Unplugged::token(&room);
    // The controls: what is no removal of what could be a token.
    for (action, subsystem) in [("add", "usb"), ("remove", "block")] {
        send_uevent(&agent, action, subsystem);
    }
    std::thread::sleep(Duration::from_secs(2));
    assert!(!client.status().unwrap().locked, "an hour has not passed");
    assert_eq!(agent.children("strongroom-token"), [0; 0], "nobody has looked");
    send_uevent(&agent, "remove", "usb");
    wait_until("it is locked, long before an hour has passed", SOON, || client.status().unwrap().locked);
    // A device that was no token of ours locks nothing.
    unplugged.plug_in();
    let _ = room.unlock().ok();
    send_uevent(&agent, "remove", "hidraw");
    let _watcher = watcher(&agent);
    std::thread::sleep(Duration::from_secs(1));
    let _ = client.sign(&account()).unwrap();
}
