//! An attacker who is the agent's own user and not root: tries every way into a process, and says which worked.
//!
//! `prying-user PID`: prints one line for each way, `WAY: got in` or `WAY: refused`.

#![forbid(unsafe_code)]
#![expect(clippy::expect_used, reason = "this is test support: what does not work fails the test")]

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::process::{Command, Stdio};

use strongroom_scanner::descriptors::stolen;
use strongroom_scanner::{Dump, Traced};

fn main() {
    let pid: u32 = std::env::args().nth(1).and_then(|pid| pid.parse().ok()).expect("a process id");
    let file = |name: &str| {
        let mut byte = [0];
        File::open(format!("/proc/{pid}/{name}"))
            .and_then(|mut file| file.read(&mut byte))
            .is_ok_and(|read| read > 0)
    };
    let links = |name: &str| {
        let entries = fs::read_dir(format!("/proc/{pid}/{name}"));
        entries.is_ok_and(|entries| entries.flatten().any(|entry| fs::read_link(entry.path()).is_ok()))
    };
    let ways: [(&str, &dyn Fn() -> bool); 10] = [
        ("/proc/PID/mem", &|| Dump::read(pid).is_ok()),
        ("process_vm_readv", &|| Dump::by_process_vm_readv(pid).is_ok()),
        ("PTRACE_SEIZE", &|| Traced::seize(pid).is_ok()),
        ("pidfd_getfd", &|| !stolen(pid).is_empty()),
        ("/proc/PID/fd", &|| links("fd")),
        ("/proc/PID/map_files", &|| links("map_files")),
        ("/proc/PID/maps", &|| file("maps")),
        ("/proc/PID/environ", &|| file("environ")),
        ("/proc/PID/auxv", &|| file("auxv")),
        ("gcore", &|| gcore(pid)),
    ];
    let mut stdout = io::stdout().lock();
    for (way, try_it) in ways {
        let outcome = if try_it() { "got in" } else { "refused" };
        writeln!(stdout, "{way}: {outcome}").expect("somebody listens");
    }
}

/// Whether there is a core in the working folder afterwards.
fn gcore(pid: u32) -> bool {
    let mut command = Command::new("gcore");
    command.args(["-o", "pried", &pid.to_string()]);
    let run = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    run.expect("gcore of gdb is installed");
    fs::remove_file(format!("pried.{pid}")).is_ok()
}
