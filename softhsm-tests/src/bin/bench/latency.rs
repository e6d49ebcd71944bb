//! One request at a time on a kept connection, against a bare echo of 256 bytes over a socket pair.

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};
use strongroom_client::{Client, SignRequest};
use strongroom_softhsm_tests::room::{Agent, Room};

use crate::KEY;
use crate::report::{Goal, Report, least, median, micros};

const ECHO_BYTES: usize = 256;
const ROUNDS: usize = 20;
const CALLS: usize = 1_000;

/// Which CPUs the processes may use.
#[derive(Clone, Copy)]
pub(crate) enum Placement {
    Free,
    OneCpu,
}

pub(crate) fn measure(room: &Room, agent: &Agent, report: &mut Report) {
    let client = room.client();
    let order = order();
    let (mut echo, mut child) = start_echo();
    for (placement, name) in [(Placement::OneCpu, "one CPU"), (Placement::Free, "free")] {
        let mut pids = vec![agent.pid(), child.id(), std::process::id()];
        pids.extend(agent.children("strongroom-keeper"));
        place(&pids, placement);
        let (mut echoes, mut signs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            echoes.extend(time(|| echo_once(&mut echo)));
            signs.extend(time(|| sign_once(&client, &order)));
        }
        let best = (least(&echoes), least(&signs));
        let middle = (median(&mut echoes), median(&mut signs));
        report.line(&format!("echo of {ECHO_BYTES} bytes, {name}"), middle.0, best.0, "µs", Goal::None);
        report.line(&format!("signed request, Rust client, {name}"), middle.1, best.1, "µs", Goal::None);
        report.line(
            &format!("signed request : echo, {name}"),
            middle.1 / middle.0,
            best.1 / best.0,
            "times",
            Goal::AtMost(4.0),
        );
        report.because("two hops between processes instead of one (docs/adr/0007)");
    }
    place(&[std::process::id(), agent.pid()], Placement::Free);
    drop(echo);
    let _ = child.wait();
}

/// A limit order, as a bot sends it.
pub(crate) fn order() -> SignRequest<'static> {
    SignRequest::new(KEY.name, "POST", "/api/v3/order")
        .form("symbol", "BTCUSDT")
        .form("side", "BUY")
        .form("type", "LIMIT")
        .form("timeInForce", "GTC")
        .form("quantity", "0.00100000")
        .form("price", "61234.50")
        .form("newClientOrderId", "cli-1")
}

pub(crate) fn place(pids: &[u32], placement: Placement) {
    let mut cpus = CpuSet::new();
    let count = match placement {
        Placement::Free => std::thread::available_parallelism().map_or(1, usize::from).max(2),
        Placement::OneCpu => 1,
    };
    (0..count).for_each(|cpu| cpus.set(cpu));
    for pid in pids {
        let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw);
        let _ = sched_setaffinity(pid, &cpus);
    }
}

pub(crate) fn time(mut work: impl FnMut()) -> Vec<f64> {
    let once = |_| {
        let began = Instant::now();
        work();
        micros(began.elapsed())
    };
    (0..CALLS).map(once).collect()
}

#[expect(clippy::expect_used, reason = "a figure of failed calls is none")]
pub(crate) fn sign_once(client: &Client, order: &SignRequest<'_>) {
    let signed = client.sign(order).expect("a signature");
    assert!(signed.body.len() > 64, "a signed body");
}

#[expect(clippy::expect_used, reason = "a figure of failed calls is none")]
fn echo_once(echo: &mut UnixStream) {
    let mut bytes = [7; ECHO_BYTES];
    echo.write_all(&bytes).expect("the echo's other end");
    echo.read_exact(&mut bytes).expect("the echo's other end");
}

#[expect(clippy::expect_used, reason = "without the echo there is nothing to compare with")]
fn start_echo() -> (UnixStream, Child) {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    let own = std::env::current_exe().expect("the path of this program");
    let child = Command::new(own)
        .arg("--echo")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .expect("this program once more");
    (ours, child)
}

/// The other end of the echo: standard input is its socket.
pub(crate) fn echo_end() -> ExitCode {
    let socket = rustix::io::dup(std::io::stdin()).map(UnixStream::from);
    let Ok(mut socket) = socket else { return ExitCode::FAILURE };
    let mut bytes = [0; ECHO_BYTES];
    while socket.read_exact(&mut bytes).is_ok() && socket.write_all(&bytes).is_ok() {}
    ExitCode::SUCCESS
}
