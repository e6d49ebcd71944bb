//! The Python client against what a bot does today: ccxt's own `sign()` in the bot's process.

use std::path::Path;
use std::process::{Command, Stdio};

use strongroom_softhsm_tests::room::{Agent, Room};

use crate::latency::{Placement, place};
use crate::report::{Goal, Report};

#[expect(clippy::expect_used, reason = "without figures there is nothing to compare")]
pub(crate) fn measure(room: &Room, agent: &Agent, python: &Path, report: &mut Report) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/bench_sign.py");
    for (placement, name) in [(Placement::OneCpu, "one CPU"), (Placement::Free, "free")] {
        let mut pids = vec![agent.pid(), std::process::id()];
        pids.extend(agent.children("strongroom-keeper"));
        // The script inherits the place of this process.
        place(&pids, placement);
        let mut command = Command::new(python);
        room.surround(&mut command);
        let output = command.arg(script).arg(room.socket()).stderr(Stdio::inherit()).output();
        let text =
            output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let figures: serde_json::Value =
            serde_json::from_str(&text).expect("figures of the Python benchmark");
        let figure =
            |who: &str, what: &str| figures.get(who).and_then(|f| f.get(what)?.as_f64()).unwrap_or(f64::NAN);
        let (ccxt, room) = (
            (figure("ccxt", "median"), figure("ccxt", "best")),
            (figure("strongroom", "median"), figure("strongroom", "best")),
        );
        report.line(
            &format!("ccxt 4.5.90 binance.sign(), in process, {name}"),
            ccxt.0,
            ccxt.1,
            "µs",
            Goal::None,
        );
        report.line(&format!("signed request, Python client, {name}"), room.0, room.1, "µs", Goal::None);
        report.line(
            &format!("Python client : ccxt, {name}"),
            room.0 / ccxt.0,
            room.1 / ccxt.1,
            "times",
            Goal::AtMost(1.0),
        );
        report.because(
            "two hops between processes, which ccxt in its own process does not make (docs/adr/0007)",
        );
    }
    place(&[std::process::id(), agent.pid()], Placement::Free);
}
