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

use crate::latency::{order, sign_once};
use crate::report::{Goal, Report, least, median, micros};
use crate::unlock::resident;

const GOOD: usize = 950;
const ABUSIVE: usize = 50;
const ROUNDS: usize = 5;
const CALLS: usize = 2_000;
/// Until the abusive ones have connected and begun.
const SETTLE: Duration = Duration::from_millis(500);

pub(crate) fn measure(room: &Room, agent: &Agent, report: &mut Report) {
    let clients: Vec<Client> = (0..GOOD).map(|_| room.client()).collect();
    let order = order();
    let mut turn = clients.iter().cycle();
    let mut p99 = || {
        let mut times: Vec<f64> = (0..CALLS)
            .filter_map(|_| {
                let client = turn.next()?;
                let began = Instant::now();
                sign_once(client, &order);
                Some(micros(began.elapsed()))
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times.get(CALLS * 99 / 100).copied().unwrap_or(f64::NAN)
    };
    let _ = p99();
    let before = resident(agent.pid());
    let (mut quiet, mut crowded) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        quiet.push(p99());
        let crowd = start(&room.socket());
        std::thread::sleep(SETTLE);
        crowded.push(p99());
        end(crowd);
    }
    let best = (least(&quiet), least(&crowded));
    let middle = (median(&mut quiet), median(&mut crowded));
    let what = format!("{GOOD} clients, one call at a time, p99");
    report.line(&what, middle.0, best.0, "µs", Goal::None);
    report.line(&format!("the same beside {ABUSIVE} abusive ones, p99"), middle.1, best.1, "µs", Goal::None);
    let ratio = (middle.1 / middle.0, best.1 / best.0);
    report.line("abused : quiet, p99", ratio.0, ratio.1, "times", Goal::AtMost(3.0));
    let grown = resident(agent.pid()) - before;
    report.line("what the front has grown by", grown, grown, "MiB", Goal::None);
}

#[expect(clippy::expect_used, reason = "without the crowd there is nothing to measure")]
fn start(socket: &Path) -> Child {
    let own = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new(own);
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
