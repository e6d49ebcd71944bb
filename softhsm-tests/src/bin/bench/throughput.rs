//! Many requests in flight.

use std::time::Instant;

use strongroom_softhsm_tests::room::{Agent, Room};

use crate::cpu::Watched;
use crate::latency::order;
use crate::report::{Goal, Report, least, median, most};

const ROUNDS: usize = 15;
const BATCH: usize = 512;
const BATCHES: usize = 60;

pub(crate) fn measure(room: &Room, agent: &Agent, report: &mut Report) {
    let keeper = agent.children("strongroom-keeper").first().copied().unwrap_or_default();
    let threads =
        [("front", agent.pid()), ("keeper", keeper)].map(|(name, pid)| (name, Watched::process(pid)));
    for clients in [1, 2] {
        let who = format!("{clients} client{}", if clients == 1 { "" } else { "s" });
        let mut costs = threads.each_ref().map(|_| Vec::new());
        let mut rates: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let before = threads.each_ref().map(|(_, thread)| thread.ran());
                let (signed, seconds) = sign(room, clients);
                for ((costs, (_, thread)), before) in costs.iter_mut().zip(&threads).zip(before) {
                    costs.push((thread.ran() - before) / signed);
                }
                signed / seconds
            })
            .collect();
        let best = most(&rates);
        let what = format!("pipelined, {who}");
        report.line(&what, median(&mut rates), best, "/s", Goal::AtLeast(150_000.0));
        report.because(
            "one thread of the front does all but the signature itself: its CPU time is in the next line",
        );
        for ((name, _), mut costs) in threads.iter().zip(costs) {
            let best = least(&costs);
            let what = format!("CPU time of the {name} for each, {who}");
            report.line(&what, median(&mut costs), best, "µs", Goal::None);
        }
    }
}

/// How many were signed in how many seconds, with so many clients on connections of their own.
fn sign(room: &Room, clients: u32) -> (f64, f64) {
    let began = Instant::now();
    let signed: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..clients).map(|_| scope.spawn(|| sign_batches(room))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_default()).sum()
    });
    (f64::from(u32::try_from(signed).unwrap_or_default()), began.elapsed().as_secs_f64())
}

fn sign_batches(room: &Room) -> usize {
    let client = room.client();
    let orders = vec![order(); BATCH];
    (0..BATCHES).map(|_| client.sign_many(&orders).iter().filter(|signed| signed.is_ok()).count()).sum()
}
