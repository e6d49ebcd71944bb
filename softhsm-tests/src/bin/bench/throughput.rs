//! Many requests in flight.

use std::time::Instant;

use strongroom_softhsm_tests::room::Room;

use crate::latency::order;
use crate::report::{Goal, Report, median, most};

const ROUNDS: usize = 15;
const BATCH: usize = 512;
const BATCHES: usize = 60;

pub(crate) fn measure(room: &Room, report: &mut Report) {
    for clients in [1, 2] {
        let mut rates: Vec<f64> = (0..ROUNDS).map(|_| rate(room, clients)).collect();
        let best = most(&rates);
        let what = format!("pipelined, {clients} client{}", if clients == 1 { "" } else { "s" });
        report.line(&what, median(&mut rates), best, "/s", Goal::AtLeast(150_000.0));
    }
}

/// Signatures in one second, with so many clients on connections of their own.
fn rate(room: &Room, clients: u32) -> f64 {
    let began = Instant::now();
    let signed: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..clients).map(|_| scope.spawn(|| sign_batches(room))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_default()).sum()
    });
    f64::from(u32::try_from(signed).unwrap_or_default()) / began.elapsed().as_secs_f64()
}

fn sign_batches(room: &Room) -> usize {
    let client = room.client();
    let orders = vec![order(); BATCH];
    (0..BATCHES).map(|_| client.sign_many(&orders).iter().filter(|signed| signed.is_ok()).count()).sum()
}
