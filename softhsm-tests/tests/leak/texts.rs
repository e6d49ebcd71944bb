//! Everything that is written: logs with all details, files, environments, command lines, and each byte that
//! the front reads or writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use strongroom_scanner::needles::Hits;
use strongroom_scanner::{Class, Needles};
use strongroom_softhsm_tests::load::orders;
use strongroom_softhsm_tests::process::{SOON, wait_until};
use strongroom_softhsm_tests::room::{Agent, program, signal};

use crate::report::{Expected, Report};
use crate::site::{Site, keeper_and_guard, tracer, word};

pub(crate) fn case(report: &mut Report) {
    let mut site = Site::bare();
    let mut command = Command::new("env");
    command.args(["STRONGROOM_LOG=trace", "RUST_LOG=trace", "RUST_BACKTRACE=full", "RUST_LIB_BACKTRACE=1"]);
    command.arg(program("strongroom")).arg("agent");
    let agent = site.room.start_command(command);
    let capture = Capture::start(&site, &agent);
    let wrong = word::<32>();
    let mut said = String::new();
    let mut hear = |run: strongroom_softhsm_tests::room::Run| said.push_str(&(run.stdout + &run.stderr));
    for number in 0..site.secrets.len() {
        let run = site.room.enroll(&site.secrets[number].key(), &[]);
        assert!(run.status.success(), "{}", run.stderr);
        hear(run);
        site.know_seed(number);
    }
    hear(site.unlock_with(&wrong));
    let run = site.room.unlock();
    assert!(run.status.success(), "{}", run.stderr);
    hear(run);
    for order in orders() {
        let _ = site.room.client().sign(&order).expect("signs");
    }
    let mut key = site.secrets[0].key();
    key.secret = &key.secret[..20];
    hear(site.room.enroll(&key, &["--replace"]));
    for arguments in [&["status"][..], &["list"], &["show", "binance-main"], &["status", "--json"]] {
        hear(site.room.run(arguments, None, &[]));
    }
    let mut needles = Needles::new();
    needles.secret(Class::Pin, "wrong PIN", wrong.as_bytes());
    let all = [&site.needles, &needles];

    let (keeper, guard) = keeper_and_guard(&agent);
    for (process, pid) in [("front", agent.pid()), ("keeper", keeper), ("guard", guard)] {
        for file in ["environ", "cmdline", "status", "maps"] {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).expect("root may");
            look(report, "environment, command line, maps", process, &all, &bytes);
        }
    }
    site.room.client().lock().expect("locks");
    let captured = capture.end();
    let shown = captured.windows(24).any(|window| window == site.secrets[0].key_id.as_bytes());
    report.fact(
        "control: public halves in what the front reads",
        if shown { "found" } else { "not found" },
        shown,
    );
    look(report, "all that it reads and writes", "front", &all, &captured);

    let log = agent.log();
    let traced = log.contains("TRACE") || log.contains("DEBUG");
    report.fact("control: the log has details", if traced { "it has" } else { "it has none" }, traced);
    look(report, "log with all details, backtraces on", "front", &all, log.as_bytes());
    look(report, "what commands print", "command line", &all, said.as_bytes());
    let mut files = Vec::new();
    for folder in [site.room.data(), site.room.config()] {
        files_below(&folder, &mut files);
    }
    report.fact("files of the agent", format!("{}", files.len()), files.len() > site.secrets.len());
    for file in files {
        look(report, "files of the agent", "front", &all, &fs::read(file).expect("root may"));
    }
}

fn look(report: &mut Report, what: &str, process: &str, needles: &[&Needles], bytes: &[u8]) {
    let mut hits = Hits::new();
    needles.iter().for_each(|needles| hits.extend(needles.hits_in(what, bytes)));
    let length = u64::try_from(bytes.len()).expect("a length");
    report.count(what, process, Expected::Nothing, &hits, length);
}

fn files_below(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_file() {
        files.push(path.to_owned());
    } else if let Ok(entries) = fs::read_dir(path) {
        entries.flatten().for_each(|entry| files_below(&entry.path(), files));
    }
}

/// strace on the one thread of a front. Its children are not followed: a keeper that somebody else traces
/// refuses to start.
struct Capture {
    process: Child,
    output: PathBuf,
}

impl Capture {
    fn start(site: &Site, agent: &Agent) -> Self {
        const CALLS: &str = "trace=read,write,readv,writev,pread64,pwrite64,recvmsg,sendmsg,recvfrom,sendto";
        let output = site.room.folder().join("strace");
        let process = Command::new("strace")
            .args(["--quiet=all", "-xx", "-s", "1000000", "-e", CALLS, "-o"])
            .arg(&output)
            .args(["-p", &agent.pid().to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("strace is installed");
        wait_until("strace has attached", SOON, || tracer(agent.pid()).is_some());
        Self { process, output }
    }

    /// Every string of every call.
    fn end(mut self) -> Vec<u8> {
        signal(self.process.id(), Signal::INT);
        let _ = self.process.wait();
        let text = fs::read(&self.output).expect("a file");
        let mut bytes = Vec::new();
        let mut rest = text.as_slice();
        while let Some((first, more)) = rest.split_first() {
            rest = more;
            match (first, more) {
                (b'\\', [b'x', high, low, after @ ..]) => {
                    let digits = [*high, *low];
                    let byte =
                        std::str::from_utf8(&digits).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
                    bytes.push(byte.expect("two digits"));
                    rest = after;
                }
                // Strings of different calls must not run into one another.
                (b'"', _) => bytes.push(0),
                _ => {}
            }
        }
        bytes
    }
}
