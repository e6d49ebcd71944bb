//! What one hop between two processes costs, by how it is made: `./x bench` runs it.
//!
//! The front asks the keeper with about 96 bytes and gets about 48. Contenders: a stream socket, a
//! sequenced-packet socket, shared memory with a futex; each sleeping at once, or looking first (docs/adr/0007).
//! They alternate in one run, on one CPU, on two, and free to move.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};
use strongroom_softhsm_tests::machine;

mod shared;

use shared::Shared;

const QUESTION_BYTES: usize = 96;
const ANSWER_BYTES: usize = 48;
const ROUNDS: usize = 20;
const EXCHANGES: usize = 500;
/// As long as the keeper looks.
const LOOK: Duration = Duration::from_micros(50);

/// What an end does before it sleeps.
#[derive(Clone, Copy)]
enum Look {
    No,
    For(Duration),
}

/// How a hop is made.
#[derive(Clone, Copy)]
enum Kind {
    Stream,
    Packets,
    Memory,
}

/// One hop: this process, and a child at the other end.
struct Hop {
    name: &'static str,
    look: Look,
    end: End,
    child: Child,
}

enum End {
    Socket(OwnedFd),
    Memory(Shared),
}

const CONTENDERS: [(&str, Kind, bool); 6] = [
    ("stream socket, sleeping", Kind::Stream, false),
    ("packet socket, sleeping", Kind::Packets, false),
    ("shared memory and futex, sleeping", Kind::Memory, false),
    ("stream socket, looking first", Kind::Stream, true),
    ("packet socket, looking first", Kind::Packets, true),
    ("shared memory and futex, looking first", Kind::Memory, true),
];

/// Where the two ends run: their CPUs.
const PLACEMENTS: [(&str, &[usize], &[usize]); 3] =
    [("one CPU", &[0], &[0]), ("two CPUs", &[0], &[1]), ("free", &[0, 1], &[0, 1])];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["--end", kind, look] => other_end(kind, if *look == "look" { Look::For(LOOK) } else { Look::No }),
        [] => measure().map(|table| print(&table)),
        ["--write", path] => measure().and_then(|table| {
            print(&table);
            page(Path::new(path), &table)
        }),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "usage: hop [--write FILE]")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "hop: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> io::Result<String> {
    let mut table = format!("{:<42}", "");
    for (name, ..) in PLACEMENTS {
        let _ = write!(table, " {:>22}", format!("{name}: median, best"));
    }
    let mut hops = CONTENDERS
        .map(|(name, kind, looks)| start(name, kind, looks))
        .into_iter()
        .collect::<io::Result<Vec<_>>>()?;
    let mut times = vec![vec![Vec::new(); PLACEMENTS.len()]; hops.len()];
    for _ in 0..ROUNDS {
        for (place, (_, own, other)) in PLACEMENTS.iter().enumerate() {
            for (hop, times) in hops.iter_mut().zip(&mut times) {
                run_on(std::process::id(), own)?;
                run_on(hop.child.id(), other)?;
                if let Some(times) = times.get_mut(place) {
                    exchanges(hop, times)?;
                }
            }
        }
    }
    for (hop, times) in hops.iter_mut().zip(&mut times) {
        let _ = write!(table, "\n{:<42}", hop.name);
        for times in times {
            times.sort_by(f64::total_cmp);
            let (middle, least) = (times.get(times.len() / 2), times.first());
            let figures = format!("{:.2}, {:.2} µs", middle.unwrap_or(&f64::NAN), least.unwrap_or(&f64::NAN));
            let _ = write!(table, " {figures:>22}");
        }
        let _ = hop.child.kill();
        let _ = hop.child.wait();
    }
    Ok(table)
}

fn exchanges(hop: &Hop, times: &mut Vec<f64>) -> io::Result<()> {
    let mut answer = [0; ANSWER_BYTES];
    // The first ones move the process to its CPU.
    for number in 0..EXCHANGES + 20 {
        let question = [u8::try_from(number % 251).unwrap_or_default(); QUESTION_BYTES];
        let began = Instant::now();
        match &hop.end {
            End::Memory(memory) => memory.ask(&question, &mut answer, hop.look),
            End::Socket(socket) => {
                send(socket, &question, SendFlags::NOSIGNAL)?;
                receive(socket, &mut answer, hop.look)?;
            }
        }
        if number >= 20 {
            times.push(began.elapsed().as_secs_f64() * 1e6);
        }
        if answer != reply(&question) {
            return Err(io::Error::other(format!("{}: a wrong answer", hop.name)));
        }
    }
    Ok(())
}

/// What the other end gives: it must have read the question.
fn reply(question: &[u8; QUESTION_BYTES]) -> [u8; ANSWER_BYTES] {
    let sum = question.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    [sum; ANSWER_BYTES]
}

fn start(name: &'static str, kind: Kind, looks: bool) -> io::Result<Hop> {
    let pair = |kind| socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None);
    let (end, theirs, word) = match kind {
        Kind::Stream => {
            pair(SocketType::STREAM).map(|(ours, theirs)| (End::Socket(ours), theirs, "socket"))?
        }
        Kind::Packets => {
            pair(SocketType::SEQPACKET).map(|(ours, theirs)| (End::Socket(ours), theirs, "socket"))?
        }
        Kind::Memory => {
            let page = shared::page()?;
            (End::Memory(Shared::map(&page)?), page, "memory")
        }
    };
    let child = Command::new(std::env::current_exe()?)
        .args(["--end", word, if looks { "look" } else { "sleep" }])
        .stdin(Stdio::from(theirs))
        .spawn()?;
    Ok(Hop { name, look: if looks { Look::For(LOOK) } else { Look::No }, end, child })
}

/// The child: standard input is its socket or its memory. It is killed when all is measured.
fn other_end(kind: &str, look: Look) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let stdin = io::stdin();
    if kind == "memory" {
        Shared::map(stdin.as_fd())?.answer(look, reply);
    }
    let mut question = [0; QUESTION_BYTES];
    while receive(&stdin, &mut question, look)? > 0 {
        send(&stdin, &reply(&question), SendFlags::NOSIGNAL)?;
    }
    Ok(())
}

/// One message, whole: both kinds of socket give what was written at once.
fn receive(socket: impl AsFd, bytes: &mut [u8], look: Look) -> io::Result<usize> {
    if let Look::For(time) = look {
        let began = Instant::now();
        loop {
            match recv(&socket, &mut *bytes, RecvFlags::DONTWAIT) {
                Ok((_, count)) => return Ok(count),
                Err(rustix::io::Errno::AGAIN) if began.elapsed() < time => std::thread::yield_now(),
                Err(rustix::io::Errno::AGAIN) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    loop {
        match recv(&socket, &mut *bytes, RecvFlags::empty()) {
            Err(rustix::io::Errno::INTR) => {}
            received => return Ok(received?.1),
        }
    }
}

fn run_on(pid: u32, cpus: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    let most = std::thread::available_parallelism().map_or(1, usize::from);
    for cpu in cpus.iter().filter(|cpu| **cpu < most.max(2)) {
        set.set(*cpu);
    }
    Ok(sched_setaffinity(i32::try_from(pid).ok().and_then(Pid::from_raw), &set)?)
}

fn print(table: &str) {
    let _ = writeln!(io::stdout(), "{table}");
}

/// The page of the book that holds the table.
fn page(path: &Path, table: &str) -> io::Result<()> {
    let text = format!(
        "# One hop, three ways\n\nWritten by `./x hop`; not by hand. {}; load at the end {}.\n\n\
         A question of {QUESTION_BYTES} bytes and its answer of {ANSWER_BYTES}, between two processes, in {} exchanges for each cell; the\n\
         contenders alternate every {EXCHANGES}. *Sleeping*: an end sleeps at once. *Looking first*: both look for {} µs before.\n\n\
         ```text\n{table}\n```\n",
        machine::description(),
        machine::load(),
        ROUNDS.saturating_mul(EXCHANGES),
        LOOK.as_micros(),
    );
    std::fs::write(path, text)
}
