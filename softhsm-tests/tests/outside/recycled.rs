//! A process that has the number of one that connected and has ended.

use std::process::{Command, Stdio};

use strongroom_protocol::ErrorCode;
use strongroom_softhsm_tests::process::is_root_or_skip;
use strongroom_softhsm_tests::raw::Heard;
use strongroom_softhsm_tests::room::{Room, program};

use crate::keys::BINANCE;
use crate::puppet::{PRELUDE, heard, hex};
use crate::wire::sign;

/// Runs as the first process of a namespace of its own, where nobody else takes numbers. A child connects, is served,
/// gives its connection to its parent and ends while the agent is stopped; another child with the same number then asks
/// on that connection. Prints what each has heard.
const SCRIPT: &str = r#"
import subprocess, time
strongroom, path, pin, first, second = sys.argv[1:6]
agent = subprocess.Popen([strongroom, 'agent'])
def until(fact):
    for _ in range(6000):
        if fact(): return
        time.sleep(0.01)
    sys.exit('what was waited for has not come')
def stopped():
    threads = f'/proc/{agent.pid}/task'
    state = lambda one: open(f'{threads}/{one}/stat').read().rpartition(')')[2].split()[0]
    try: return not any(state(one) not in 'tT' for one in os.listdir(threads))
    except OSError: return False  # one has just ended
def listens(): return any(line.split()[3] == '00010000' and line.split()[-1] == path for line in open('/proc/net/unix'))
until(listens)
subprocess.run([strongroom, 'unlock', '--pin-stdin'], input=pin.encode(), stdout=subprocess.DEVNULL, check=True)
def answers(s, count):
    heard = b''
    try:
        while len(heard) < 4 or count:
            more = s.recv(65536)
            if not more: break
            heard += more
            if count and len(heard) > 4: break
    except ConnectionResetError: pass
    say(heard.hex())
def child(work, number=None):
    # The agent's own processes take numbers too: again, until it is the one that is wanted.
    while True:
        if number: open('/proc/sys/kernel/ns_last_pid', 'w').write(str(number - 1))
        pid = os.fork()
        if pid == 0:
            try:
                if number in (None, os.getpid()): work()
            finally: os._exit(0)
        if number in (None, pid): return pid
        os.waitpid(pid, 0)
ours, theirs = socket.socketpair()
def connects():
    s = connect(path)
    send(s, first)
    answers(s, 1)
    socket.send_fds(theirs, [b'x'], [s.fileno()])
    os.read(gate[0], 1)
gate = os.pipe()
connector = child(connects)
_, fds, _, _ = socket.recv_fds(ours, 1, 1)
kept = socket.socket(fileno=fds[0])
kept.settimeout(60)
os.kill(agent.pid, signal.SIGSTOP)
until(stopped)
os.write(gate[1], b'x')
os.waitpid(connector, 0)
go_on = os.pipe()
def asks():
    send(kept, second)
    os.read(go_on[0], 1)
heir = child(asks, connector)
say(f'{connector} {heir}')
# It has asked when it waits: what it wrote lies in the socket by then.
until(lambda: open(f'/proc/{heir}/syscall').read().split()[0] == '0')
os.kill(agent.pid, signal.SIGCONT)
answers(kept, 0)
# The control: whoever has the number may have a connection of its own.
os.write(go_on[1], b'x')
os.waitpid(heir, 0)
def anew():
    s = connect(path)
    send(s, first)
    answers(s, 1)
again = child(anew, connector)
os.waitpid(again, 0)
say(f'{again}')
agent.terminate()
agent.wait()
"#;

#[test]
fn believes_no_process_that_has_the_number_of_one_that_connected() {
    if !is_root_or_skip("giving a process the number of another") {
        return;
    }
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let mut command = Command::new("unshare");
    command.args([
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "python3",
        "-c",
        &format!("{PRELUDE}{SCRIPT}"),
    ]);
    command.arg(program("strongroom")).arg(room.socket()).arg(&room.token.pin);
    command.args([hex(sign(), 1), hex(sign(), 2)]);
    room.surround(&mut command);
    let log = std::fs::File::create(room.folder().join("namespace.log")).unwrap();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    let log = std::fs::read_to_string(room.folder().join("namespace.log")).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let [served, numbers, recycled, control, again] = lines[..] else { panic!("{text}\n{log}") };
    assert_eq!(heard(served), [Heard::Good(1)], "the connector is served: {log}");
    let (connector, heir) = numbers.split_once(' ').unwrap();
    assert_eq!((connector, connector), (heir, again), "both have the number of the one that connected");
    let recycled = heard(recycled);
    let denied =
        |heard: &Heard| matches!(heard, Heard::Error(0, ErrorCode::Denied, why) if why.contains("has ended"));
    assert!(recycled.iter().all(denied), "nothing is signed for it: {recycled:?}\n{log}");
    assert_eq!(heard(control), [Heard::Good(1)], "with a connection of its own it is served: {log}");
    let signed = room.run(&["audit", "show", "--kind", "sign", "--json"], None, &[]).json();
    assert_eq!(signed.as_array().unwrap().len(), 2, "{signed}");
}
