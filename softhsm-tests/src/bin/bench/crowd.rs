//! A thousand clients at once, fifty of them abusive: what the others notice of it.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use strongroom_client::Client;
use strongroom_protocol::Operation;
use strongroom_softhsm_tests::raw::frame;
use strongroom_softhsm_tests::room::{Agent, Room};

use crate::cpu::Watched;
use crate::latency::{order, sign_once};
use crate::report::{Goal, Report, least, median, micros};
use crate::unlock::resident;

const GOOD: usize = 950;
const ABUSIVE: usize = 50;
const ROUNDS: usize = 5;
const CALLS: usize = 2_000;
/// Until the abusive ones have connected and begun.
const SETTLE: Duration = Duration::from_millis(500);

/// Which CPU time the abusive ones may take.
#[derive(Clone, Copy)]
enum Abusers {
    /// What they can get, as any process of the same user.
    Equal,
    /// What nobody else wants, as if they had CPUs of their own: then the agent's own queues are what is measured.
    Idle,
}

/// What calls have taken, for each round.
#[derive(Default)]
struct Calls {
    /// One of a hundred has taken so long, by the clock.
    p99: Vec<f64>,
    /// CPU time of the front while one waits, for it and for all who are served meanwhile: the mean.
    front: Vec<f64>,
}

pub(crate) fn measure(room: &Room, agent: &Agent, report: &mut Report) {
    let clients: Vec<Client> = (0..GOOD).map(|_| room.client()).collect();
    let (order, front) = (order(), Watched::process(agent.pid()));
    let mut turn = clients.iter().cycle();
    let mut call = |calls: &mut Calls| {
        let (mut times, before) = (Vec::new(), front.ran());
        for client in turn.by_ref().take(CALLS) {
            let began = Instant::now();
            sign_once(client, &order);
            times.push(micros(began.elapsed()));
        }
        times.sort_by(f64::total_cmp);
        calls.p99.push(times.get(CALLS * 99 / 100).copied().unwrap_or(f64::NAN));
        calls.front.push((front.ran() - before) / f64::from(u32::try_from(CALLS).unwrap_or(u32::MAX)));
    };
    call(&mut Calls::default());
    let before = resident(agent.pid());
    let [mut quiet, mut equal, mut idle] = [Calls::default(), Calls::default(), Calls::default()];
    for _ in 0..ROUNDS {
        call(&mut quiet);
        for (abusers, calls) in [(Abusers::Equal, &mut equal), (Abusers::Idle, &mut idle)] {
            let crowd = start(&room.socket(), abusers);
            std::thread::sleep(SETTLE);
            call(calls);
            end(crowd);
        }
    }
    let grown = resident(agent.pid()) - before;
    let alone = line(report, &format!("{GOOD} clients, one call at a time, p99"), &mut quiet.p99);
    for (what, calls) in [
        (format!("beside {ABUSIVE} abusive ones"), &mut equal),
        (format!("beside {ABUSIVE} that get idle CPU time only"), &mut idle),
    ] {
        let beside = line(report, &format!("the same {what}, p99"), &mut calls.p99);
        let ratio = (beside.0 / alone.0, beside.1 / alone.1);
        report.line(&format!("{what} : quiet, p99"), ratio.0, ratio.1, "times", Goal::AtMost(3.0));
        report.because(
            "those who flood: the front serves others while a call waits, see its CPU time (docs/adr/0029)",
        );
    }
    line(report, "CPU time of the front during a call, quiet, mean", &mut quiet.front);
    line(report, "CPU time of the front during a call, abused, mean", &mut equal.front);
    report.line("what the front has grown by", grown, grown, "MiB", Goal::None);
}

fn line(report: &mut Report, what: &str, times: &mut [f64]) -> (f64, f64) {
    let best = least(times);
    let middle = median(times);
    report.line(what, middle, best, "µs", Goal::None);
    (middle, best)
}

#[expect(clippy::expect_used, reason = "without the crowd there is nothing to measure")]
fn start(socket: &Path, abusers: Abusers) -> Child {
    let own = std::env::current_exe().expect("the path of this program");
    let mut command = match abusers {
        Abusers::Equal => Command::new(own),
        Abusers::Idle => {
            let mut command = Command::new("chrt");
            command.args(["--idle", "0"]).arg(own);
            command
        }
    };
    command.arg("--crowd").arg(socket).stdin(Stdio::piped()).stderr(Stdio::null());
    command.spawn().expect("this program once more")
}

fn end(mut crowd: Child) {
    let _ = crowd.kill();
    let _ = crowd.wait();
}

/// The abusive clients: they go on until this process is killed, or its parent has ended.
pub(crate) fn abuse(socket: PathBuf) -> ExitCode {
    for number in 0..ABUSIVE {
        let socket = socket.clone();
        std::thread::spawn(move || {
            loop {
                let Ok(stream) = UnixStream::connect(&socket) else {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                };
                match number % 4 {
                    0 => rubbish(stream, number),
                    1 => dribble(stream),
                    2 => flood(&socket),
                    _ => never_read(stream),
                }
            }
        });
    }
    let _ = std::io::stdin().read(&mut [0]);
    ExitCode::SUCCESS
}

/// Sends what is no frame, and connects anew as soon as it is thrown out.
fn rubbish(mut stream: UnixStream, number: usize) {
    let bytes: Vec<u8> =
        (0..4_096_usize).map(|at| (at.wrapping_mul(number | 1) >> 3).to_le_bytes()[0]).collect();
    let _ = stream.write_all(&bytes);
    let _ = stream.read_to_end(&mut Vec::new());
}

/// Sends a frame byte by byte.
fn dribble(mut stream: UnixStream) {
    for byte in frame(1, Operation::Status) {
        std::thread::sleep(Duration::from_millis(2));
        if stream.write_all(&[byte]).is_err() {
            return;
        }
    }
    let _ = stream.read(&mut [0; 4_096]);
}

/// Has as many requests signed as it can.
fn flood(socket: &Path) {
    let client = Client::at(socket);
    let orders = vec![order(); 512];
    while client.sign_many(&orders).iter().all(Result::is_ok) {}
}

/// Asks as much as it can, and takes no answer.
fn never_read(mut stream: UnixStream) {
    let frames = frame(1, Operation::Status).repeat(64);
    while stream.write_all(&frames).is_ok() {}
}
