//! What the hardening costs a client: the same agent with a keeper that was built without it, see
//! `locked/src/lib.rs`.

use std::path::Path;
use std::process::Command;

use strongroom_softhsm_tests::room::{Agent, Room};

use crate::KEY;
use crate::latency::{Placement, order, place, sign_once, time};
use crate::report::{Goal, Report, least, median};

const ROUNDS: usize = 40;

/// `naked` is a folder with the three programs, of which the keeper is that build.
#[expect(clippy::expect_used, reason = "a figure of another agent is another figure")]
pub(crate) fn measure(room: &Room, agent: &Agent, naked: &Path, report: &mut Report) {
    let other = Room::new();
    let _ = other.enroll(&KEY, &[]).ok();
    let config = std::fs::read_to_string(other.config()).expect("a configuration");
    let weak = config.replace("danger_allow_weak_memory = false", "danger_allow_weak_memory = true");
    assert_ne!(config, weak, "the setting stands in the configuration");
    std::fs::write(other.config(), weak).expect("a configuration");
    let mut command = Command::new(naked.join("strongroom"));
    command.arg("agent");
    let without = other.start_command(command);
    let _ = other.unlock().ok();
    let (hardened, bare, order) = (room.client(), other.client(), order());
    let protected = [&hardened, &bare].map(|client| {
        let status = client.status().expect("a status");
        status.protection.iter().any(|process| process.process == "keeper" && process.secret_memory)
    });
    assert_eq!(protected, [true, false], "one keeper is hardened, the other is not");

    for (placement, name) in [(Placement::OneCpu, "one CPU"), (Placement::Free, "free")] {
        let mut pids = vec![agent.pid(), without.pid(), std::process::id()];
        pids.extend(agent.children("strongroom-keeper"));
        pids.extend(without.children("strongroom-keeper"));
        place(&pids, placement);
        let [mut with, mut naked] = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            with.extend(time(|| sign_once(&hardened, &order)));
            naked.extend(time(|| sign_once(&bare, &order)));
        }
        let best = (least(&with), least(&naked));
        let middle = (median(&mut with), median(&mut naked));
        report.line(&format!("signed request, hardened keeper, {name}"), middle.0, best.0, "µs", Goal::None);
        report.line(&format!("signed request, naked keeper, {name}"), middle.1, best.1, "µs", Goal::None);
        report.line(
            &format!("hardened : naked, {name}"),
            middle.0 / middle.1,
            best.0 / best.1,
            "times",
            Goal::AtMost(1.05),
        );
        report.because("not separated; the keeper's filter of system calls runs at each of them");
    }
    place(&[std::process::id(), agent.pid()], Placement::Free);
}
