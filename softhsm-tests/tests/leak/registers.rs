//! What is in the registers, which a debugger reads and every core dump holds.

use std::process::Command;
use std::time::Duration;

use strongroom_scanner::chance::Chance;
use strongroom_scanner::{Traced, denying, trace};
use strongroom_softhsm_tests::load::{CREDENTIALS, orders, token_of};
use strongroom_softhsm_tests::process::{SOON, wait_until};
use strongroom_softhsm_tests::room::program;

use crate::client::BusyClient;
use crate::report::{Expected, Report};
use crate::site::{Site, keeper_and_guard};

pub(crate) fn case(report: &mut Report) {
    let site = Site::new();
    guarded(report, &site);
    unguarded(report, &site);
}

/// Nobody gets at the registers of a keeper that has a guard.
fn guarded(report: &mut Report, site: &Site) {
    let agent = site.room.start_unlocked();
    let (keeper, guard) = keeper_and_guard(&agent);
    let mut chance = Chance::new();
    for duty in ["idle", "busy"] {
        let clients = (duty == "busy").then(|| BusyClient::start(&site.room.socket()));
        let signs = || clients.as_ref().is_none_or(|client| client.signatures() > 0);
        wait_until("the client signs", SOON, signs);
        let (mut tried, mut refused) = (0, 0);
        for _ in 0..report.samples(50, 40) {
            chance.sleep(Duration::from_millis(2));
            for thread in threads(keeper) {
                tried += 1;
                refused += u32::from(
                    Traced::seize(thread).err().and_then(|error| error.raw_os_error()) == Some(libc::EPERM),
                );
            }
            for (process, pid) in [("front", agent.pid()), ("guard", guard)] {
                let registers = trace::registers(pid, &mut chance).expect("root may");
                let what = format!("registers, {duty}");
                report.sample(&what, process, Expected::Nothing, &[&site.needles], &registers);
            }
        }
        let outcome = format!("{refused} of {tried} refused");
        report.fact(&format!("attaching to the keeper, {duty}"), outcome, refused == tried);
    }
}

/// What there would be to get, in an agent that may not trace and so has no guard.
fn unguarded(report: &mut Report, site: &Site) {
    let mut command = Command::new(program("strongroom"));
    command.arg("agent");
    denying(&mut command, libc::SYS_ptrace);
    let agent = site.room.start_command(command);
    let _ = site.room.unlock().ok();
    let keeper = agent.children("strongroom-keeper")[0];
    let mut chance = Chance::new();
    let client = BusyClient::start(&site.room.socket());
    wait_until("the client signs", SOON, || client.signatures() > 0);
    for _ in 0..report.samples(50, 40) {
        chance.sleep(Duration::from_millis(2));
        for thread in threads(keeper) {
            let registers = trace::registers(thread, &mut chance).expect("nobody else traces it");
            report.sample(
                "registers, busy, no guard",
                "keeper",
                Expected::Told,
                &[&site.needles],
                &registers,
            );
        }
    }
    let tokens = client.tokens_around_now();
    drop(client);
    let mut nonces = site.nonces(&tokens);
    let orders = orders();
    let samples = usize::try_from(report.samples(20, 40)).expect("a number");
    // What the last of them leaves behind is different for each algorithm.
    for order in orders[orders.len() - CREDENTIALS.len()..].iter().cycle().take(samples) {
        // By now the requests of the client are answered too.
        let signed = site.room.client().sign(order).expect("signs");
        if let Some(token) = token_of(&signed) {
            nonces = site.nonces(&[token.to_owned()]);
        }
        for thread in threads(keeper) {
            sleeps(thread);
            let registers = trace::registers(thread, &mut chance).expect("nobody else traces it");
            let what = "registers, idle, no guard";
            report.sample(what, "keeper", Expected::Nothing, &[&site.needles, &nonces], &registers);
        }
    }
}

/// The threads of the keeper: one that answers, and one for signatures that take long.
fn threads(keeper: u32) -> Vec<u32> {
    let folder = std::fs::read_dir(format!("/proc/{keeper}/task")).expect("it runs");
    let id = |name: std::ffi::OsString| name.to_string_lossy().parse().expect("an id");
    let threads: Vec<u32> = folder.map(|thread| id(thread.expect("an entry").file_name())).collect();
    assert_eq!(threads.len(), 2);
    threads
}

/// Waits until a thread has done what it was asked and sleeps for its next request.
fn sleeps(thread: u32) {
    wait_until("the keeper sleeps", SOON, || {
        let stat = std::fs::read_to_string(format!("/proc/{thread}/stat")).expect("it runs");
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
    });
}
