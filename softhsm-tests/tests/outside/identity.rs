//! Whose connection it is: the process that connected, and nobody who got hold of its descriptor.

use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use strongroom_client::ErrorCode;
use strongroom_softhsm_tests::process::{SOON, descriptors, is_root_or_skip, wait_until};
use strongroom_softhsm_tests::raw::{Heard, Raw, frame};
use strongroom_softhsm_tests::room::{Agent, Room, program, signal, stop};

use crate::descriptors::at_rest;
use crate::keys::{BINANCE, account};
use crate::puppet::{PRELUDE, Puppet, heard, hex};
use crate::wire::sign;

fn unlocked() -> (Room, Agent) {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg("STRONGROOM_LOG=debug exec \"$0\" agent").arg(program("strongroom"));
    let agent = room.start_command(shell);
    let _ = room.unlock().ok();
    (room, agent)
}

fn signatures(agent: &Agent) -> usize {
    agent.log().lines().filter(|line| line.contains(" signed ")).count()
}

/// The connector's own request is served: without this no refusal below means anything.
fn assert_served(peer: &mut Raw, id: u64) {
    peer.ask(id, sign()).unwrap();
    assert_eq!(peer.hear(SOON), Heard::Good(id));
}

/// A child of this test that writes one frame to a connection of this test.
fn child_that_asks(peer: &Raw, id: u64) -> Child {
    let socket = OwnedFd::from(peer.stream.try_clone().unwrap());
    let mut child =
        Command::new("/bin/cat").stdin(Stdio::piped()).stdout(Stdio::from(socket)).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&frame(id, sign())).unwrap();
    child
}

fn impostor(sender: u32) -> Heard {
    let connector = std::process::id();
    let message = format!("this connection belongs to process {connector}; process {sender} has sent on it");
    Heard::Error(0, ErrorCode::Denied, message)
}

#[test]
fn drops_a_connection_that_a_child_uses() {
    let (room, agent) = unlocked();
    let mut peer = Raw::connect(&room.socket());
    assert_served(&mut peer, 1);
    let mut child = child_that_asks(&peer, 2);
    assert_eq!(peer.hear(SOON), impostor(child.id()));
    assert_eq!(peer.hear(SOON), Heard::Closed);
    assert!(child.wait().unwrap().success());
    assert_eq!(signatures(&agent), 1, "the connector's: {}", agent.log());
    let _ = room.client().sign(&account()).unwrap();
}

/// What the connector has sent before is its own; what lies behind it is not, however close.
#[test]
fn tells_the_senders_of_one_batch_apart() {
    let (room, agent) = unlocked();
    let mut peer = Raw::connect(&room.socket());
    assert_served(&mut peer, 1);
    stop(agent.pid());
    peer.ask(2, sign()).unwrap();
    let mut child = child_that_asks(&peer, 3);
    assert!(child.wait().unwrap().success());
    peer.ask(4, sign()).unwrap();
    signal(agent.pid(), Signal::CONT);
    let heard: Vec<_> =
        std::iter::from_fn(|| Some(peer.hear(SOON)).filter(|heard| *heard != Heard::Closed)).collect();
    // The connection may be dropped before the keeper has answered the second request.
    let allowed = [vec![impostor(child.id())], vec![Heard::Good(2), impostor(child.id())]];
    assert!(allowed.contains(&heard), "{heard:?}");
    // Half a frame of the connector's is not finished by another.
    let mut peer = Raw::connect(&room.socket());
    assert_served(&mut peer, 1);
    let whole = frame(2, sign());
    let (begin, end) = whole.split_at(whole.len() / 2);
    peer.write(begin).unwrap();
    let socket = OwnedFd::from(peer.stream.try_clone().unwrap());
    let mut child =
        Command::new("/bin/cat").stdin(Stdio::piped()).stdout(Stdio::from(socket)).spawn().unwrap();
    child.stdin.take().unwrap().write_all(end).unwrap();
    assert_eq!(peer.hear(SOON), impostor(child.id()));
    child.wait().unwrap();
    assert!(signatures(&agent) <= 3, "{}", agent.log());
}

#[test]
fn drops_a_connection_that_was_handed_to_another_process() {
    let (room, agent) = unlocked();
    let mut peer = Raw::connect(&room.socket());
    assert_served(&mut peer, 1);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let script = "
channel = socket.socket(fileno=0)
data, fds, _, _ = socket.recv_fds(channel, 65536, 1)
s = socket.socket(fileno=fds[0])
s.sendall(data)
all(s)
";
    let child = Command::new("python3")
        .args(["-c", &format!("{PRELUDE}{script}")])
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut channel = Raw::from(ours);
    channel.write_with(&frame(2, sign()), &[peer.stream.as_fd()]).unwrap();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(heard(said.trim_end()), [impostor(pid)], "the clear error, and nothing else");
    assert_eq!(peer.hear(SOON), Heard::Closed);
    assert_eq!(signatures(&agent), 1);
}

/// The connector ends; its child has the descriptor.
#[test]
fn drops_a_connection_whose_connector_has_ended() {
    let (room, agent) = unlocked();
    let socket = room.socket().display().to_string();
    let own = hex(sign(), 1);
    // Idle; the child asks; the connector has asked just before it ended.
    for (case, last, childs) in [
        ("idle", "", ""),
        ("the child asks", "", hex(sign(), 2).as_str()),
        ("asked", hex(sign(), 3).as_str(), ""),
    ] {
        let before = signatures(&agent);
        let script = "
path, own, last, childs = sys.argv[1:]
s = connect(path)
send(s, own)
say(s.recv(65536)[4:].hex())
reader, writer = os.pipe()
if os.fork() == 0:
    os.close(writer)
    os.read(reader, 1)  # until the connector is gone
    send(s, childs)
    all(s)
    os._exit(0)
os.close(reader)
go()
send(s, last)
os._exit(0)
";
        let mut puppet = Puppet::start(script, &[&socket, &own, last, childs]);
        assert_ne!(puppet.says(), "", "{case}: the control, the connector is served");
        stop(agent.pid());
        puppet.tell("go");
        assert!(puppet.child.wait().unwrap().success());
        signal(agent.pid(), Signal::CONT);
        // The child may hear why before the agent has seen that the connector is gone.
        let heard = puppet.heard();
        let told = |heard: &Heard| matches!(heard, Heard::Error(0, ErrorCode::Denied, message) if message.starts_with("this connection belongs to process "));
        assert!(
            heard.is_empty() || (!childs.is_empty() && heard.len() == 1 && told(&heard[0])),
            "{case}: {heard:?}"
        );
        assert_eq!(signatures(&agent), before + 1, "{case}: {}", agent.log());
    }
    let noticed = || agent.log().matches("impostor=the process that connected has ended").count();
    wait_until("that is written down", SOON, || noticed() >= 2);
}

#[test]
fn drops_a_process_that_runs_another_program() {
    let (room, agent) = unlocked();
    let socket = room.socket().display().to_string();
    let (own, other) = (hex(sign(), 1), hex(sign(), 2));
    // The control does the same without execve.
    for exec in ["", "exec"] {
        let script = "
import time
path, own, other, exec = sys.argv[1:]
s = connect(path)
send(s, own)
say(s.recv(65536)[4:].hex())
time.sleep(0.05)
if exec:
    s.set_inheritable(True)
    text = f'import os, socket; s = socket.socket(fileno={s.fileno()}); s.sendall(bytes.fromhex(\"{other}\")); s.settimeout(60); os.write(1, (s.recv(65536).hex() + chr(10)).encode())'
    os.execv(sys.executable, [sys.executable, '-c', text])
send(s, other)
say(s.recv(65536).hex())
";
        let mut puppet = Puppet::start(script, &[&socket, &own, &other, exec]);
        assert_ne!(puppet.says(), "", "the connector is served");
        let heard = puppet.heard();
        match exec {
            "" => assert_eq!(heard, [Heard::Good(2)]),
            _ => {
                let pid = puppet.child.id();
                let message = format!("process {pid} runs another program than when it connected");
                assert_eq!(heard, [Heard::Error(0, ErrorCode::Denied, message)]);
            }
        }
    }
    assert_eq!(signatures(&agent), 3, "{}", agent.log());
}

#[test]
fn drops_a_process_that_has_changed_its_user() {
    if !is_root_or_skip("changing the user of a process") {
        return;
    }
    let (room, agent) = unlocked();
    let script = "
path, own, other = sys.argv[1:]
s = connect(path)
send(s, own)
say(s.recv(65536)[4:].hex())
os.setresuid(65534, 65534, 65534)
send(s, other)
all(s)
";
    let socket = room.socket().display().to_string();
    let mut puppet = Puppet::start(script, &[&socket, &hex(sign(), 1), &hex(sign(), 2)]);
    assert_ne!(puppet.says(), "", "the connector is served");
    let message = format!("process {} connected as user 0 and sends as user 65534", puppet.child.id());
    assert_eq!(puppet.heard(), [Heard::Error(0, ErrorCode::Denied, message)]);
    assert_eq!(signatures(&agent), 1);
}

/// Runs a test once more, in a process namespace of its own, and waits for its end. Not so in there.
fn is_done_in_a_namespace(test: &str) -> bool {
    const INSIDE: &str = "STRONGROOM_TEST_IN_A_NAMESPACE";
    if std::env::var_os(INSIDE).is_some() {
        return false;
    }
    let run = Command::new("unshare")
        .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned();
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
    true
}

/// The number of an ended process is given to another one, which has the connection.
#[test]
fn believes_no_recycled_process_id() {
    // Nobody else takes numbers there, and nobody else is given one that has just been free.
    if !is_root_or_skip("choosing a process id")
        || is_done_in_a_namespace("identity::believes_no_recycled_process_id")
    {
        return;
    }
    let (room, agent) = unlocked();
    let socket = room.socket().display().to_string();
    let request = hex(sign(), 2);
    // The second half happens before the agent has accepted, or after; the control keeps the connector.
    let script = "
path, request, accepted, control = sys.argv[1:]
if control:
    s = connect(path)
    say('ready')
    go()
    send(s, request)
    say('sent')
    say(s.recv(65536).hex())
    os._exit(0)
reader, writer = os.pipe()
connector = os.fork()
if connector == 0:
    s = connect(path)
    if accepted:
        send(s, accepted)
        s.recv(65536)
    own = os.getpid()
    if os.fork():
        go()
        os._exit(0)
    # Holds the connection while the connector ends and is waited for.
    os.close(writer)
    say('ready')
    os.read(reader, 1)
    for attempt in range(1000):
        with open('/proc/sys/kernel/ns_last_pid', 'w') as last: last.write(str(own - 1))
        twin = os.fork()
        if twin == 0:
            if os.getpid() != own: os._exit(0)
            send(s, request)
            say('sent')
            all(s)
            os._exit(0)
        os.waitpid(twin, 0)
        if twin == own: os._exit(0)
    say('no such luck')
    os._exit(1)
os.close(reader)
os.waitpid(connector, 0)
os.close(writer)
signal.pause()
";
    for (accepted, control) in [(hex(sign(), 1), ""), (String::new(), ""), (String::new(), "control")] {
        let before = signatures(&agent);
        if accepted.is_empty() {
            stop(agent.pid());
        }
        let mut puppet = Puppet::start(script, &[&socket, &request, &accepted, control]);
        assert_eq!(puppet.says(), "ready");
        stop(agent.pid());
        puppet.tell("");
        assert_eq!(puppet.says(), "sent", "the recycled process has asked");
        signal(agent.pid(), Signal::CONT);
        let expected: &[Heard] = if control.is_empty() { &[] } else { &[Heard::Good(2)] };
        assert_eq!(puppet.heard(), expected, "{accepted:?} {control}");
        let more = usize::from(!accepted.is_empty() || !control.is_empty());
        assert_eq!(signatures(&agent), before + more, "{}", agent.log());
    }
}

#[test]
fn keeps_no_descriptor_of_a_thousand_connections() {
    let (room, agent) = unlocked();
    let before = at_rest(&room, &agent, 0);
    let all: Vec<_> = (0..500)
        .map(|id| {
            let mut peer = Raw::connect(&room.socket());
            assert_served(&mut peer, id);
            peer
        })
        .collect();
    assert!(descriptors(agent.pid()).len() > before + 500, "the control: connections have descriptors");
    drop(all);
    for id in 0..480 {
        assert_served(&mut Raw::connect(&room.socket()), id);
    }
    for _ in 0..20 {
        let mut peer = Raw::connect(&room.socket());
        assert_served(&mut peer, 1);
        let mut child = child_that_asks(&peer, 2);
        assert_eq!(peer.hear(SOON), impostor(child.id()));
        child.wait().unwrap();
    }
    // A few more may be there: the agent begins to watch its token while this runs.
    wait_until("all are closed", SOON, || descriptors(agent.pid()).len() < before + 10);
}
