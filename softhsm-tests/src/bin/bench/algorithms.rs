//! What each kind of key costs, and what bots with HMAC keys notice of others that have RSA keys.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use strongroom_client::{Client, SignRequest};
use strongroom_softhsm_tests::room::{Key, Room};

use crate::KEY;
use crate::latency::{order, sign_once};
use crate::report::{Goal, Report, least, median, micros};

/// Throw-away keys of the keeper's tests: name, venue, path, secret.
const KEYS: [(&str, &str, &str, &str); 5] = [
    (
        "Ed25519",
        "binance-ed25519",
        "/api/v3/account",
        include_str!("../../../../keeper/tests/pem/ed25519-pkcs8.pem"),
    ),
    (
        "ES256",
        "coinbase",
        "/api/v3/brokerage/accounts",
        include_str!("../../../../keeper/tests/pem/p256-sec1.pem"),
    ),
    (
        "RSA-2048",
        "binance-rsa",
        "/api/v3/account",
        include_str!("../../../../keeper/tests/pem/rsa2048-pkcs8.pem"),
    ),
    (
        "RSA-3072",
        "binance-rsa",
        "/api/v3/account",
        include_str!("../../../../keeper/tests/pem/rsa3072-pkcs8.pem"),
    ),
    (
        "RSA-4096",
        "binance-rsa",
        "/api/v3/account",
        include_str!("../../../../keeper/tests/pem/rsa4096-pkcs8.pem"),
    ),
];
/// In turn, since the machine's pace changes.
const ROUNDS: usize = 10;
const CALLS: usize = 100;
const FEW_CALLS: usize = 20;
/// Bots that ask for RSA signatures all the time.
const CROWD: usize = 8;
const FLOOD: &str = "RSA-2048";

pub(crate) fn measure(room: &Room, report: &mut Report) {
    for (name, venue, _, secret) in KEYS {
        let _ = room.enroll(&Key { name, venue, key_id: "K", secret, passphrase: None }, &[]).ok();
    }
    each(room, report);
    beside_a_flood(room, report);
}

fn each(room: &Room, report: &mut Report) {
    let client = room.client();
    let mut times = KEYS.map(|_| Vec::new());
    let mut hmacs = Vec::new();
    for _ in 0..ROUNDS {
        hmacs.extend(timed(CALLS, || sign_once(&client, &order())));
        for (times, (name, _, path, _)) in times.iter_mut().zip(KEYS) {
            let calls = if name.starts_with("RSA") { FEW_CALLS } else { CALLS };
            times.extend(timed(calls, || sign(&client, name, path)));
        }
    }
    line(report, "signed request, HMAC-SHA256", &mut hmacs);
    for ((name, ..), mut times) in KEYS.into_iter().zip(times) {
        line(report, &format!("signed request, {name}"), &mut times);
    }
}

fn beside_a_flood(room: &Room, report: &mut Report) {
    let client = room.client();
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let (made, mut seconds) = (AtomicU64::new(0), 0.0);
    for _ in 0..ROUNDS {
        alone.extend(timed(CALLS, || sign_once(&client, &order())));
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..CROWD {
                let (client, made, done) = (room.client(), &made, &done);
                scope.spawn(move || {
                    while !done.load(Relaxed) {
                        sign(&client, FLOOD, "/api/v3/account");
                        made.fetch_add(1, Relaxed);
                    }
                });
            }
            let began = Instant::now();
            beside.extend(timed(CALLS, || sign_once(&client, &order())));
            seconds += began.elapsed().as_secs_f64();
            done.store(true, Relaxed);
        });
    }
    line(report, &format!("signed request, {}, alone", KEY.venue), &mut alone);
    let title = format!("signed request, {}, beside {CROWD} bots with {FLOOD}", KEY.venue);
    line(report, &title, &mut beside);
    let made = f64::from(u32::try_from(made.load(Relaxed)).unwrap_or(u32::MAX));
    let rate = made / seconds;
    report.line(
        &format!("{FLOOD} signatures of the {CROWD} bots in that time"),
        rate,
        rate,
        "/s",
        Goal::None,
    );
}

fn line(report: &mut Report, title: &str, times: &mut [f64]) {
    let best = least(times);
    report.line(title, median(times), best, "µs", Goal::None);
}

fn timed(calls: usize, mut work: impl FnMut()) -> Vec<f64> {
    let once = |_| {
        let began = Instant::now();
        work();
        micros(began.elapsed())
    };
    (0..calls).map(once).collect()
}

#[expect(clippy::expect_used, reason = "a figure of failed calls is none")]
fn sign(client: &Client, name: &str, path: &str) {
    let signed = client.sign(&SignRequest::new(name, "GET", path)).expect("a signature");
    assert!(!signed.url.is_empty(), "a signed request");
}
