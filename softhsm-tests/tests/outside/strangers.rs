//! Clients that the agent cannot know, since a namespace hides who they are.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use strongroom_client::ErrorCode;
use strongroom_protocol::Operation;
use strongroom_softhsm_tests::process::{SOON, is_root_or_skip, wait_until};
use strongroom_softhsm_tests::raw::{Heard, Raw};
use strongroom_softhsm_tests::room::{Room, program};

/// An agent in a namespace of its own, where `status` cannot be asked from outside.
fn start_in(room: &Room, namespace: &[&str], script: &str) -> Child {
    let mut command = Command::new("unshare");
    command.args(namespace).args(["sh", "-c", script]).arg(program("strongroom"));
    room.surround(&mut command);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the agent listens", SOON, || UnixStream::connect(room.socket()).is_ok());
    child
}

#[test]
fn refuses_a_process_that_it_cannot_see() {
    if !is_root_or_skip("making a process namespace") {
        return;
    }
    let room = Room::new();
    // Inside, as the control, a client is served.
    let script = "\"$0\" agent & until \"$0\" status --json; do sleep 0.1; done; wait";
    let mut child = start_in(&room, &["--pid", "--fork", "--kill-child", "--mount-proc"], script);
    let mut inside = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut inside).unwrap();
    let mut peer = Raw::connect(&room.socket());
    let message = "the kernel does not show the process that connected: it is in another process namespace";
    assert_eq!(peer.hear(SOON), Heard::Error(0, ErrorCode::Denied, message.to_owned()));
    assert_eq!(peer.hear(SOON), Heard::Closed);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(inside.starts_with('{'), "{inside}");
}

/// Where a user namespace lacks users, they all look like one; an agent that runs as that one knows nobody.
#[test]
fn refuses_a_user_that_stands_for_others() {
    if !is_root_or_skip("acting as another user") {
        return;
    }
    let room = Room::new();
    let mut child = start_in(&room, &["--user"], "exec \"$0\" agent");
    let mut peer = Raw::connect(&room.socket());
    let message = "user 65534 stands for every user that is not in this agent's user namespace";
    assert_eq!(peer.hear(SOON), Heard::Error(0, ErrorCode::Denied, message.to_owned()));
    child.kill().unwrap();
    child.wait().unwrap();
    // The control: the same, but for this user it has a number.
    let mut child = start_in(&room, &["--user", "--map-root-user"], "exec \"$0\" agent");
    let mut peer = Raw::connect(&room.socket());
    peer.ask(1, Operation::Status).unwrap();
    assert_eq!(peer.hear(SOON), Heard::Good(1));
    child.kill().unwrap();
    child.wait().unwrap();
}
