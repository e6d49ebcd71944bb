//! While secrets, PINs and seeds move: enrolling and unlocking, again and again.

use std::process::Command;

use strongroom_scanner::Dump;
use strongroom_softhsm_tests::room::{Run, program};
use strongroom_softhsm_tests::terminal::Terminal;

use crate::report::{Expected, Report};
use crate::site::Site;

const ROLES: &[&str] = &["command line", "front", "guard", "keeper", "token worker"];

/// Of each of them there must be dumps.
const SOUGHT: &[&str] = &["command line", "front", "keeper", "token worker"];

/// Dumps of each of them where every attempt is alike.
const FEW: u32 = 3;

/// Whether of each of these there are as many dumps as are wanted.
fn enough(report: &Report, what: &str, roles: &[&str], wanted: u32) -> bool {
    roles.iter().all(|role| report.taken(what, role) >= wanted)
}

fn count(report: &mut Report, site: &Site, what: &str, dumps: &[(&'static str, Dump)]) {
    for (role, dump) in dumps {
        report.sample(what, role, Expected::Nothing, &[&site.needles], dump);
    }
}

pub(crate) fn enrols(report: &mut Report) {
    let mut site = Site::bare();
    let agent = site.room.start();
    let front = Some(agent.pid());
    let wanted = report.samples(10, 20);
    let (what, typed) = ("enrolling, by descriptors", "enrolling, typed");
    let mut round = 0;
    while round == 0 || !enough(report, what, SOUGHT, wanted) {
        assert!(round < 500, "too few dumps of processes that live for a moment");
        let replace: &[&str] = if round == 0 { &[] } else { &["--replace"] };
        for number in 0..site.secrets.len() {
            let (run, dumps) =
                watched(front, &site, |site| site.room.enroll(&site.secrets[number].key(), replace));
            let _ = run.ok();
            site.know_seed(number);
            count(report, &site, what, &dumps);
        }
        round += 1;
    }
    while !enough(report, typed, SOUGHT, wanted) {
        round += 1;
        assert!(round < 1_000, "too few dumps of processes that live for a moment");
        // The one with a passphrase: three prompts.
        let number = site.secrets.len() - 1;
        let ((), dumps) = watched(front, &site, |site| type_enroll(site, number));
        site.know_seed(number);
        count(report, &site, typed, &dumps);
    }
    // What the venue refuses must not stay either.
    let mut key = site.secrets[0].key();
    let refused = &key.secret[..20];
    key.secret = refused;
    let what = "enrolling, refused";
    while !enough(report, what, SOUGHT, FEW) {
        round += 1;
        assert!(round < 1_500, "too few dumps of processes that live for a moment");
        let (run, dumps) = watched(front, &site, |site| site.room.enroll(&key, &["--replace"]));
        assert_eq!(run.code(), 3, "{}", run.stderr);
        count(report, &site, what, &dumps);
    }
    without_agent(report, &mut site, agent);
}

/// Without an agent the command line starts keeper and token worker itself.
fn without_agent(report: &mut Report, site: &mut Site, agent: strongroom_softhsm_tests::room::Agent) {
    drop(agent);
    let what = "enrolling, no agent runs";
    let roles = ["command line", "keeper", "token worker"];
    for round in 0.. {
        if enough(report, what, &roles, FEW) {
            break;
        }
        assert!(round < 100, "too few dumps of processes that live for a moment");
        for number in 0..site.secrets.len() {
            let (run, dumps) =
                watched(None, site, |site| site.room.enroll(&site.secrets[number].key(), &["--replace"]));
            let _ = run.ok();
            site.know_seed(number);
            count(report, site, what, &dumps);
        }
    }
}

fn type_enroll(site: &Site, number: usize) {
    let secret = &site.secrets[number];
    let program = program("strongroom").display().to_string();
    let line = [
        &*program,
        "enroll",
        secret.name,
        "--venue",
        secret.venue,
        "--key-id",
        &secret.key_id,
        "--replace",
        "--allow",
        "*",
    ];
    let mut terminal = Terminal::start(&line, |command: &mut Command| site.room.surround(command));
    let passphrase = secret.passphrase.as_deref().expect("it has one");
    for (prompt, typed) in
        [("Secret of", &*secret.text), ("Passphrase of", passphrase), ("PIN of token", &site.room.token.pin)]
    {
        terminal.wait_for(prompt);
        terminal.wait_for(": ");
        terminal.type_line(typed);
    }
    let (shown, status) = terminal.end();
    assert!(status.success(), "{shown}");
}

pub(crate) fn unlocks(report: &mut Report) {
    let site = Site::new();
    let agent = site.room.start();
    let front = Some(agent.pid());
    let wanted = report.samples(30, 80);
    let (what, typed) = ("unlocking, again and again", "unlocking, typed");
    for round in 0.. {
        if enough(report, what, SOUGHT, wanted) {
            break;
        }
        assert!(round < 2_000, "too few dumps of processes that live for a moment");
        let (run, dumps): (Run, _) = watched(front, &site, |site| {
            site.room.client().lock().expect("locks");
            site.room.unlock()
        });
        let _ = run.ok();
        count(report, &site, what, &dumps);
    }
    let wanted = report.samples(10, 20);
    for round in 0.. {
        if enough(report, typed, SOUGHT, wanted) {
            break;
        }
        assert!(round < 500, "too few dumps of processes that live for a moment");
        let ((), dumps) = watched(front, &site, |site| {
            site.room.client().lock().expect("locks");
            let program = program("strongroom").display().to_string();
            let mut terminal =
                Terminal::start(&[&program, "unlock"], |command: &mut Command| site.room.surround(command));
            terminal.wait_for("PIN of token");
            terminal.wait_for(": ");
            terminal.type_line(&site.room.token.pin);
            let (shown, status) = terminal.end();
            assert!(status.success(), "{shown}");
        });
        count(report, &site, typed, &dumps);
    }
}

fn watched<R: Send>(
    front: Option<u32>,
    site: &Site,
    work: impl FnOnce(&Site) -> R + Send,
) -> (R, Vec<(&'static str, Dump)>) {
    crate::family::watched(front, ROLES, || work(site))
}
