//! Core files: of a debugger, and of the kernel where a signal kills.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::FlockOperation;
use rustix::process::Signal;
use strongroom_softhsm_tests::process::{SOON, runs, wait_until};
use strongroom_softhsm_tests::room::{Agent, program, signal};

use crate::client::BusyClient;
use crate::control::{KEYS, NaiveSigner, secrets};
use crate::report::{Expected, Report};
use crate::site::{Site, keeper_and_guard};

pub(crate) fn case(report: &mut Report) {
    let site = Site::new();
    of_a_debugger(report, &site);
    of_signals(report, &site);
}

/// What gcore writes of a process, if it can.
pub(crate) fn gcore(folder: &Path, process: u32, all: bool) -> Option<Vec<u8>> {
    let prefix = folder.join("gcore");
    let mut command = Command::new("gcore");
    if all {
        command.arg("-a");
    }
    command.arg("-o").arg(&prefix).arg(process.to_string());
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.expect("gcore of gdb is installed");
    let path = folder.join(format!("gcore.{process}"));
    let core = fs::read(&path).ok();
    let _ = fs::remove_file(&path);
    core
}

fn of_a_debugger(report: &mut Report, site: &Site) {
    let agent = site.room.start_unlocked();
    let (keeper, guard) = keeper_and_guard(&agent);
    for duty in ["idle", "busy"] {
        let client = (duty == "busy").then(|| BusyClient::start(&site.room.socket()));
        let signs = || client.as_ref().is_none_or(|client| client.signatures() > 0);
        wait_until("the client signs", SOON, signs);
        for all in [false, true] {
            let what = format!("gcore{}, {duty}", if all { " -a" } else { "" });
            let refused = gcore(site.room.folder(), keeper, all).is_none();
            let outcome = if refused { "no core" } else { "a core" };
            report.fact(&format!("{what} of the keeper"), outcome, refused);
            for (process, pid) in [("front", agent.pid()), ("guard", guard)] {
                if let Some(core) = gcore(site.room.folder(), pid, all) {
                    let hits = site.needles.hits_in("core", &core);
                    report.count(&what, process, Expected::Nothing, &hits, length(&core));
                }
            }
            assert!(report.taken(&what, "front") > 0, "gcore gives no core of the front");
        }
    }
    let (lines, needles) = secrets();
    let signer = NaiveSigner::start(&mut NaiveSigner::program(), "zeroize", "busy", &lines);
    let core = gcore(site.room.folder(), signer.id(), false).expect("nothing hinders it");
    let hits = needles.hits_in("core", &core);
    report.count("control: gcore, busy", "zeroize signer", Expected::Each(KEYS), &hits, length(&core));
}

/// Where the kernel puts cores, until this is dropped. The machine has one place: of two such tests one waits.
pub(crate) struct CorePattern {
    before: String,
    _lock: fs::File,
}

const CORE_PATTERN: &str = "/proc/sys/kernel/core_pattern";

/// Why no cores of signals can be looked for.
pub(crate) const NO_PATTERN: &str = "this machine does not let its core_pattern be set";

impl CorePattern {
    /// Nothing where the machine does not let itself be told.
    pub(crate) fn set(folder: &Path) -> Option<Self> {
        let lock = fs::File::open(CORE_PATTERN).ok()?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&lock, FlockOperation::LockExclusive)).ok()?;
        let before = fs::read_to_string(CORE_PATTERN).ok()?;
        fs::write(CORE_PATTERN, format!("{}/core-%e-%p", folder.display())).ok()?;
        Some(Self { before, _lock: lock })
    }
}

impl Drop for CorePattern {
    fn drop(&mut self) {
        let _ = fs::write(CORE_PATTERN, &self.before);
    }
}

fn of_signals(report: &mut Report, site: &Site) {
    let folder = site.room.folder().join("cores");
    fs::create_dir(&folder).expect("a folder");
    let Some(_pattern) = CorePattern::set(&folder) else {
        report.skip(NO_PATTERN);
        return;
    };
    let all = [
        Signal::ABORT,
        Signal::SEGV,
        Signal::QUIT,
        Signal::BUS,
        Signal::FPE,
        Signal::ILL,
        Signal::SYS,
        Signal::TRAP,
        Signal::XCPU,
        Signal::XFSZ,
    ];
    let signals = if report.is_long() { &all[..] } else { &all[..3] };
    let mut killed = 0;
    for fatal in signals {
        for process in ["front", "keeper", "guard"] {
            let agent = unlimited_agent(site);
            let _ = site.room.unlock().ok();
            let (keeper, guard) = keeper_and_guard(&agent);
            let client = BusyClient::start(&site.room.socket());
            wait_until("the client signs", SOON, || client.signatures() > 0);
            drop(client);
            match process {
                // The runtime takes one SIGSEGV and waits for the next.
                "front" => {
                    wait_until("the front ends", SOON, || {
                        signal(agent.pid(), *fatal);
                        !runs(agent.pid())
                    });
                    killed += 1;
                }
                "keeper" => signal(keeper, *fatal),
                _ => signal(guard, *fatal),
            }
            drop(agent);
            wait_until("the keeper ends", SOON, || !runs(keeper) && !runs(guard));
            for core in take_cores(&folder) {
                let hits = site.needles.hits_in("core", &core);
                report.count("cores of fatal signals", process, Expected::Nothing, &hits, length(&core));
            }
        }
    }
    let cores = |report: &Report, process| report.taken("cores of fatal signals", process);
    let (front, others) = (cores(report, "front"), cores(report, "keeper") + cores(report, "guard"));
    report.fact("cores of fronts that a signal killed", format!("{front} of {killed}"), true);
    report.fact("cores of keepers and guards", format!("{others}"), others == 0);

    let (lines, needles) = secrets();
    let script = "ulimit -c unlimited; exec env --default-signal=QUIT \"$0\" \"$@\"";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_naive-signer")]);
    let mut signer = NaiveSigner::start(&mut command, "zeroize", "busy", &lines);
    signal(signer.id(), Signal::ABORT);
    signer.wait();
    let cores = take_cores(&folder);
    assert_eq!(cores.len(), 1, "the control leaves no core");
    let hits = needles.hits_in("core", &cores[0]);
    let size = length(&cores[0]);
    report.count("control: core of a fatal signal", "zeroize signer", Expected::Each(KEYS), &hits, size);
}

/// An agent that may leave cores. Who was started by a shell in the background ignores SIGQUIT, and so would the agent.
pub(crate) fn unlimited_agent(site: &Site) -> Agent {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "ulimit -c unlimited; exec env --default-signal=QUIT \"$0\" agent"])
        .arg(program("strongroom"));
    site.room.start_command(command)
}

pub(crate) fn take_cores(folder: &Path) -> Vec<Vec<u8>> {
    let paths: Vec<_> = fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()).collect();
    paths
        .into_iter()
        .map(|path| {
            let core = fs::read(&path).expect("a core");
            fs::remove_file(&path).expect("root may");
            core
        })
        .collect()
}

pub(crate) fn length(core: &[u8]) -> u64 {
    u64::try_from(core.len()).expect("a length")
}
