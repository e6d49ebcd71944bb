//! Speed and memory of the whole road, against the project's goals: `./x bench` runs it.
//!
//! Contenders alternate in one run, because the machine's own pace changes from minute to minute; what
//! is compared is their ratio. Every figure is given as median and minimum. Latencies are measured
//! twice: with all processes on one CPU, where a hop costs what it costs, and free to move, where the
//! wake-up of an idle CPU drowns everything on a virtual machine.

#![forbid(unsafe_code)]

mod algorithms;
mod cpu;
mod crowd;
mod hardening;
mod latency;
mod policy;
mod python;
mod report;
mod throughput;
mod unlock;

use std::path::PathBuf;
use std::process::ExitCode;

use report::Report;
use strongroom_softhsm_tests::room::{Key, Room, children, signal};

/// The credential that is measured; throw-away.
const KEY: Key<'static> = Key {
    name: "binance-bench",
    venue: "binance",
    key_id: "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
    secret: "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
    passphrase: None,
};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut python = None;
    let mut only = None;
    let mut naked = None;
    let mut write = None;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Another process is the other end of the echo: a thread would share the address space.
            "--echo" => return latency::echo_end(),
            "--crowd" => return crowd::abuse(arguments.next().map(PathBuf::from).unwrap_or_default()),
            "--python" => python = arguments.next().map(PathBuf::from),
            "--naked" => naked = arguments.next().map(PathBuf::from),
            "--only" => only = arguments.next(),
            "--write" => write = arguments.next().map(PathBuf::from),
            _ => {
                report::talk(
                    "usage: bench [--python PYTHON] [--naked FOLDER] [--only latency|algorithms|policy|hardening|throughput|crowd|python|unlock] [--write FILE]",
                );
                return ExitCode::from(2);
            }
        }
    }
    let wanted = |part: &str| only.as_deref().is_none_or(|only| only == part);

    end_agents_on_panic();
    let mut report = Report::new();
    if wanted("policy") {
        policy::measure(&mut report);
    }
    // A decision alone needs neither a token nor the programs.
    if only.as_deref() != Some("policy") {
        road(&wanted, python, naked, &mut report);
    }
    report.print();
    match write.map(|path| report.write(&path)) {
        Some(Err(error)) => {
            report::talk(&format!("the report cannot be written: {error}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// What is measured through an agent.
fn road(wanted: &dyn Fn(&str) -> bool, python: Option<PathBuf>, naked: Option<PathBuf>, report: &mut Report) {
    let room = Room::new();
    let _ = room.enroll(&KEY, &[]).ok();
    let agent = room.start_unlocked();
    if wanted("latency") {
        latency::measure(&room, &agent, report);
    }
    if wanted("algorithms") {
        algorithms::measure(&room, report);
    }
    match naked {
        Some(naked) if wanted("hardening") => hardening::measure(&room, &agent, &naked, report),
        _ => {}
    }
    if wanted("throughput") {
        throughput::measure(&room, &agent, report);
    }
    if wanted("crowd") {
        crowd::measure(&room, &agent, report);
    }
    match python {
        Some(python) if wanted("python") => python::measure(&room, &agent, &python, report),
        _ => {}
    }
    if wanted("unlock") {
        unlock::measure(&room, &agent, report);
    }
}

/// A release build aborts where it panics and drops nothing, so the agent would outlive the bench.
fn end_agents_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        for agent in children(std::process::id(), "strongroom") {
            signal(agent, rustix::process::Signal::KILL);
        }
        print(panic);
    }));
}
