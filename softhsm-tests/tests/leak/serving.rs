//! An agent that serves: idle, and with clients that sign as fast as it can.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use rustix::process::Signal;
use strongroom_scanner::Dump;
use strongroom_scanner::chance::Chance;
use strongroom_softhsm_tests::process::{SOON, environment, wait_until};
use strongroom_softhsm_tests::room::{Agent, signal};

use crate::client::BusyClient;
use crate::report::{Expected, Report};
use crate::site::{Site, copies, keeper_and_guard};

const LONGEST_PAUSE: Duration = Duration::from_millis(4);

pub(crate) fn idle_and_busy(report: &mut Report) {
    let site = Site::new();
    let agent = site.room.start_unlocked();
    let samples = report.samples(20, 100);
    let tokens = busy(report, &site, &agent, "memory, busy", samples);
    let nonces = site.nonces(&tokens);

    let rest = if report.is_long() { Duration::from_secs(5) } else { Duration::from_millis(500) };
    std::thread::sleep(rest);
    let (keeper, guard) = keeper_and_guard(&agent);
    let needles = [&site.needles, &nonces];
    for _ in 0..report.samples(5, 40) {
        for (process, pid) in [("front", agent.pid()), ("keeper", keeper), ("guard", guard)] {
            let dump = Dump::of_memory(pid).expect("root may");
            report.sample("memory, idle", process, Expected::Nothing, &needles, &dump);
            let dump = Dump::by_process_vm_readv(pid).expect("root may");
            report.sample("memory, idle, by process_vm_readv", process, Expected::Nothing, &needles, &dump);
        }
    }
    let dump = Dump::of_memory(keeper).expect("root may");
    let hidden = dump.unreadable / 1024;
    report.fact("memory of the keeper that root cannot read", format!("{hidden} KiB"), hidden > 1024);
    let shown = Dump::of_memory(agent.pid()).expect("root may").shows(site.secrets[0].key_id.as_bytes());
    report.fact("control: public halves in the front", if shown { "found" } else { "not found" }, shown);
}

/// Every signal that does not end a process that takes it by default, and, for the two that block all
/// signals, those that would.
pub(crate) fn storm(report: &mut Report) {
    let site = Site::new();
    let agent = site.room.start_unlocked();
    let samples = report.samples(5, 40);
    let (keeper, guard) = keeper_and_guard(&agent);
    let done = AtomicBool::new(false);
    let front = agent.pid();
    std::thread::scope(|scope| {
        let storming = scope.spawn(|| {
            let mut sent = 0_u64;
            while !done.load(Relaxed) {
                for harmless in [Signal::URG, Signal::WINCH] {
                    signal(front, harmless);
                }
                for blocked in [Signal::USR1, Signal::PROF, Signal::URG] {
                    signal(keeper, blocked);
                    signal(guard, blocked);
                }
                sent += 8;
                std::thread::sleep(Duration::from_millis(1));
            }
            sent
        });
        let sampled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            busy(report, &site, &agent, "memory, busy, storm of signals", samples)
        }));
        done.store(true, Relaxed);
        let sent = storming.join().expect("signals");
        match sampled {
            Ok(_) => report.fact("signals in the storm", format!("{sent}"), sent > 100),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
}

/// The C library chooses its memory functions by the processor; here it must do without AVX-512.
pub(crate) fn avx2(report: &mut Report) {
    const TUNABLE: &str = "GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ,-AVX512CD";
    let site = Site::new();
    let programs = copies(site.room.folder());
    let real = programs.join("real");
    std::fs::create_dir(&real).expect("a folder");
    let (wrapper, real) = (programs.join("strongroom-keeper"), real.join("strongroom-keeper"));
    std::fs::rename(&wrapper, &real).expect("the same folder");
    let script = format!("#!/bin/sh\nexec env -i '{TUNABLE}' '{}' \"$@\"\n", real.display());
    write_program(&wrapper, &script);
    let agent = site.start_from(&programs);
    let (keeper, _) = keeper_and_guard(&agent);
    assert_eq!(environment(keeper), [TUNABLE]);
    let samples = report.samples(5, 40);
    busy(report, &site, &agent, "memory, busy, C library with AVX2", samples);
}

/// Written by another process: what this one has open for writing nobody can start.
fn write_program(path: &Path, text: &str) {
    let script = format!("printf '%s' \"$0\" > '{0}' && chmod 755 '{0}'", path.display());
    let written = std::process::Command::new("/bin/sh").args(["-c", &script, text]).status();
    assert!(written.expect("a shell").success());
}

/// Dumps every process of an agent, and a client, while clients sign; gives the last bearer tokens.
fn busy(report: &mut Report, site: &Site, agent: &Agent, what: &str, samples: u32) -> Vec<String> {
    let (keeper, guard) = keeper_and_guard(agent);
    let clients = [(); 2].map(|()| BusyClient::start(&site.room.socket()));
    let signatures = || clients.iter().map(BusyClient::signatures).sum::<u64>();
    let running = || clients.iter().all(|client| client.signatures() > 0);
    wait_until("both clients sign", SOON, running);
    let mut chance = Chance::new();
    let before = signatures();
    let mut tokens = Vec::new();
    for _ in 0..samples {
        for (process, pid) in
            [("keeper", keeper), ("front", agent.pid()), ("guard", guard), ("client", clients[0].id())]
        {
            chance.sleep(LONGEST_PAUSE);
            let dump = Dump::of_memory(pid).expect("root may");
            // The nonce in use at that moment is that of a signature that is out soon.
            let nonces = (process == "keeper").then(|| {
                tokens = clients.iter().flat_map(BusyClient::tokens_around_now).collect();
                site.nonces(&tokens)
            });
            let needles: Vec<_> = [&site.needles].into_iter().chain(&nonces).collect();
            report.sample(what, process, Expected::Nothing, &needles, &dump);
        }
    }
    let made = signatures() - before;
    report.fact(&format!("signatures: {what}"), format!("{made}"), made > u64::from(samples) * 10);
    tokens
}
