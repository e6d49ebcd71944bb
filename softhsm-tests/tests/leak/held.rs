//! A token worker at its most dangerous moment: held in the middle of a login, with the PIN in its hands.

use rustix::process::Signal;
use strongroom_scanner::chance::Chance;
use strongroom_scanner::descriptors::{is_secret_memory, stolen};
use strongroom_scanner::{Dump, trace};
use strongroom_softhsm_tests::room::{Agent, signal};
use strongroom_softhsm_tests::slow::SlowToken;

use crate::cores::{CorePattern, NO_PATTERN, gcore, length, take_cores, unlimited_agent};
use crate::report::{Expected, Report};
use crate::site::{Site, tracer};

const WORKER: &str = "token worker";

pub(crate) fn case(report: &mut Report) {
    let site = Site::new();
    let slow = SlowToken::new(&site.room);
    let folder = site.room.folder().join("cores");
    std::fs::create_dir(&folder).expect("a folder");
    let agent = unlimited_agent(&site);
    held(&site, &slow, &agent, |worker| look(report, &site, &agent, worker));
    let Some(pattern) = CorePattern::set(&folder) else {
        report.skip(NO_PATTERN);
        return;
    };
    for fatal in [Signal::ABORT, Signal::SEGV, Signal::QUIT] {
        slow.hold_on();
        held(&site, &slow, &agent, |worker| signal(worker, fatal));
    }
    let cores = take_cores(&folder);
    drop(pattern);
    report.fact("cores of token workers that a signal killed", format!("{}", cores.len()), cores.is_empty());
}

/// Does `work` while an unlock waits for the token.
fn held(site: &Site, slow: &SlowToken, agent: &Agent, work: impl FnOnce(u32)) {
    std::thread::scope(|scope| {
        let unlocking = scope.spawn(|| site.room.unlock());
        slow.wait_for_login();
        work(agent.children("strongroom-token")[0]);
        slow.go_on();
        let _ended = unlocking.join().expect("it ends, well or not");
    });
    let _ = site.room.client().lock();
}

fn look(report: &mut Report, site: &Site, agent: &Agent, worker: u32) {
    let mut chance = Chance::new();
    let what = "memory, held in its login";
    let mut processes = vec![(WORKER, worker), ("front", agent.pid())];
    processes.extend(agent.children("strongroom-keeper").first().map(|keeper| ("keeper", *keeper)));
    processes.extend(tracer(worker).map(|guard| ("guard", guard)));
    for _ in 0..report.samples(3, 20) {
        for (process, pid) in &processes {
            let dump = Dump::of_memory(*pid).expect("root may");
            report.sample(what, process, Expected::Nothing, &[&site.needles], &dump);
            let dump = Dump::by_process_vm_readv(*pid).expect("root may");
            report.sample(what, process, Expected::Nothing, &[&site.needles], &dump);
        }
    }
    let (mut tried, mut refused) = (0, 0);
    for _ in 0..report.samples(10, 20) {
        tried += 1;
        match trace::registers(worker, &mut chance) {
            Ok(registers) => {
                let what = "registers, held in its login";
                report.sample(what, WORKER, Expected::Nothing, &[&site.needles], &registers);
            }
            Err(error) => refused += u32::from(error.raw_os_error() == Some(libc::EPERM)),
        }
    }
    report.fact("attaching to the token worker", format!("{refused} of {tried} refused"), refused == tried);
    match gcore(site.room.folder(), worker, true) {
        None => report.fact("gcore -a of the token worker", "no core", true),
        Some(core) => {
            let hits = site.needles.hits_in("core", &core);
            report.count("gcore -a, held in its login", WORKER, Expected::Nothing, &hits, length(&core));
        }
    }
    let found = stolen(worker);
    let secret = found.iter().filter(|(_, _, what)| is_secret_memory(what)).count();
    let outcome = format!("{secret} of {} are files of secret memory", found.len());
    report.fact("stealing the descriptors of the token worker", outcome, secret == 0 && !found.is_empty());
}
