//! What must be found, or the searches prove nothing; and a process in which there is nothing to find.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, waitpid};
use strongroom_scanner::chance::Chance;
use strongroom_scanner::{Class, Dump, Needles, denying, fork_with_a_secret_in_a_register, trace};
use strongroom_softhsm_tests::process::{SOON, runs, wait_until};
use strongroom_softhsm_tests::room::{program, signal};

use crate::report::{Expected, Report};
use crate::site::{Site, random, word};

/// A signer that knows secrets and does little or nothing for them.
pub(crate) struct NaiveSigner(Child);

impl NaiveSigner {
    pub(crate) fn start(command: &mut Command, mode: &str, duty: &str, secrets: &str) -> Self {
        let mut process = command
            .args([mode, duty])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("naive-signer starts");
        let mut stdin = process.stdin.take().expect("a pipe");
        stdin.write_all(secrets.as_bytes()).expect("a few lines");
        drop(stdin);
        let mut line = String::new();
        let mut stdout = BufReader::new(process.stdout.take().expect("a pipe"));
        stdout.read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n");
        Self(process)
    }

    /// The built program.
    pub(crate) fn program() -> Command {
        Command::new(env!("CARGO_BIN_EXE_naive-signer"))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) {
        let _ = self.0.wait();
    }
}

impl Drop for NaiveSigner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a signer keeps, and what it leaves behind.
pub(crate) const KEYS: &[Class] = &[Class::Plain, Class::KeyEquivalent];

/// Secrets of all algorithms as the signer takes them, and what must be found of them.
pub(crate) fn secrets() -> (String, Needles) {
    let mut needles = Needles::new();
    let mut lines = String::new();
    for algorithm in ["hmac-sha256", "hmac-sha384", "hmac-sha512"] {
        let text = word::<64>();
        needles.secret(Class::Plain, algorithm, text.as_bytes());
        needles.hmac_states(algorithm, text.as_bytes());
        lines.push_str(&format!("{algorithm} {text}\n"));
    }
    for algorithm in ["es256", "ed25519"] {
        let secret = random::<32>();
        if algorithm == "es256" {
            needles.p256_key(algorithm, &secret);
        } else {
            needles.ed25519_key(algorithm, &secret);
        }
        lines.push_str(&format!("{algorithm} {}\n", base16ct::lower::encode_string(&secret)));
    }
    (lines, needles)
}

pub(crate) fn signers(report: &mut Report) {
    let mut chance = Chance::new();
    let samples = report.samples(10, 10);
    let (secrets, needles) = secrets();
    for (mode, expected) in
        [("naive", Expected::Each(KEYS)), ("zeroize", Expected::Each(KEYS)), ("ignorant", Expected::Nothing)]
    {
        for duty in ["idle", "busy"] {
            let signer = NaiveSigner::start(&mut NaiveSigner::program(), mode, duty, &secrets);
            let what = format!("control: memory, {duty}");
            let process = format!("{mode} signer");
            for _ in 0..samples {
                chance.sleep(Duration::from_millis(2));
                let dump = Dump::of_memory(signer.id()).expect("root may");
                report.sample(&what, &process, expected, &[&needles], &dump);
                let dump = Dump::by_process_vm_readv(signer.id()).expect("root may");
                report.sample(&what, &process, expected, &[&needles], &dump);
            }
        }
    }
    let signer = NaiveSigner::start(&mut NaiveSigner::program(), "zeroize", "busy", &secrets);
    for _ in 0..report.samples(50, 100) {
        chance.sleep(Duration::from_millis(2));
        let registers = trace::registers(signer.id(), &mut chance).expect("root may");
        report.sample("control: registers, busy", "zeroize signer", Expected::Told, &[&needles], &registers);
    }
    drop(signer);
    register(report, &mut chance);
}

/// One register that holds a secret, found at every look.
fn register(report: &mut Report, chance: &mut Chance) {
    let secret = random::<16>();
    let mut needles = Needles::new();
    needles.secret(Class::Plain, "register", &secret);
    let child = fork_with_a_secret_in_a_register(&secret);
    // It spins from the moment at which its register is loaded.
    let shows = |chance: &mut Chance| {
        trace::registers(child, chance).is_ok_and(|registers| !needles.hits(&registers).is_empty())
    };
    wait_until("the register is loaded", SOON, || shows(chance));
    for _ in 0..report.samples(10, 10) {
        let registers = trace::registers(child, chance).expect("root may");
        let what = "control: registers, one secret in one";
        report.sample(what, "spinning child", Expected::Each(&[Class::Plain]), &[&needles], &registers);
    }
    signal(child, Signal::KILL);
    let child = i32::try_from(child).ok().and_then(Pid::from_raw);
    let _ = waitpid(child, WaitOptions::empty());
}

/// The agent itself, with the same secrets, the same searches, and memory that root can read.
pub(crate) fn weak_agent(report: &mut Report) {
    let site = Site::new();
    let config = std::fs::read_to_string(site.room.config()).expect("a configuration");
    let weak = config.replace("danger_allow_weak_memory = false", "danger_allow_weak_memory = true");
    assert_ne!(config, weak);
    let mut command = Command::new(program("strongroom"));
    command.arg("agent");
    denying(&mut command, libc::SYS_memfd_secret);
    let agent = site.room.start_command(command);
    let refused = site.room.unlock();
    let outcome = refused.stderr.lines().next().unwrap_or_default().to_owned();
    let none = || agent.children("strongroom-keeper").iter().all(|keeper| !runs(*keeper));
    wait_until("no keeper stays", SOON, none);
    let is_refused = !refused.status.success();
    report.fact("unlocking where the kernel has no memfd_secret", outcome, is_refused);
    drop(agent);

    std::fs::write(site.room.config(), weak).expect("a configuration");
    let mut command = Command::new(program("strongroom"));
    command.arg("agent");
    denying(&mut command, libc::SYS_memfd_secret);
    let agent = site.room.start_command(command);
    let _ = site.room.unlock().ok();
    let keeper = agent.children("strongroom-keeper")[0];
    for _ in 0..report.samples(5, 10) {
        let dump = Dump::of_memory(keeper).expect("root may");
        let what = "control: the agent with ordinary memory";
        report.sample(what, "keeper", Expected::Each(KEYS), &[&site.needles], &dump);
    }
}
