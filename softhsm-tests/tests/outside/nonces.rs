//! Nonces: strictly rising for each credential, over restarts and kills, and refused where nobody knows.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use strongroom_client::{ErrorCode, SignRequest, SignedRequest};
use strongroom_softhsm_tests::process::{SOON, wait_until};
use strongroom_softhsm_tests::room::{Key, Room};
use strongroom_softhsm_tests::slow::SlowToken;

use crate::keys::{BINANCE, KRAKEN, account, balance, value};

pub(crate) fn nonce(signed: &SignedRequest) -> u64 {
    value(&String::from_utf8_lossy(&signed.body), "nonce").parse().unwrap()
}

fn reserved(room: &Room) -> std::path::PathBuf {
    room.data().join("nonces/kraken-main.toml")
}

#[test]
fn gives_each_nonce_once_to_many_clients() {
    let room = Room::new();
    let _ = room.enroll(&KRAKEN, &[]).ok();
    let _agent = room.start_unlocked();
    let given: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    let orders: Vec<SignRequest<'_>> = (0..200).map(|_| balance()).collect();
                    room.client().sign_many(&orders).iter().map(|s| nonce(s.as_ref().unwrap())).collect()
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    for of_one in &given {
        assert!(of_one.is_sorted_by(|before, after| before < after), "{of_one:?}");
    }
    let all: BTreeSet<u64> = given.iter().flatten().copied().collect();
    assert_eq!(all.len(), 1200, "none was given twice");
}

#[test]
fn never_gives_a_nonce_twice_over_kills_of_a_signing_agent() {
    let room = Room::new();
    let _ = room.enroll(&KRAKEN, &[]).ok();
    let mut highest = 0;
    let began = Instant::now();
    let mut kills = 0;
    while kills < 12 || (kills < 20 && began.elapsed() < Duration::from_secs(25)) {
        let agent = room.start_unlocked();
        let signed = AtomicU64::new(0);
        let given: Vec<u64> = std::thread::scope(|scope| {
            let sign = || -> Vec<u64> {
                let client = room.client();
                // To the kill; what had been received by then is what counts.
                let next = || {
                    client.sign(&balance()).ok().inspect(|_| {
                        let _ = signed.fetch_add(1, Ordering::Relaxed);
                    })
                };
                std::iter::from_fn(next).map(|signed| nonce(&signed)).collect()
            };
            let clients: Vec<_> = (0..3).map(|_| scope.spawn(sign)).collect();
            let enough = || signed.load(Ordering::Relaxed) > 3;
            wait_until("something is signed", SOON, enough);
            std::thread::sleep(Duration::from_millis(23 * (kills % 9)));
            agent.kill();
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        });
        let distinct: BTreeSet<u64> = given.iter().copied().collect();
        assert_eq!(distinct.len(), given.len(), "a nonce was given twice");
        let lowest = *distinct.first().unwrap();
        assert!(lowest > highest, "{lowest} after {highest}, kill {kills}");
        highest = *distinct.last().unwrap();
        kills += 1;
    }
}

#[test]
fn rises_over_an_orderly_restart_a_lock_and_a_removal() {
    let room = Room::new();
    let _ = room.enroll(&KRAKEN, &[]).ok();
    let mut last = 0;
    let mut next = |what: &str| {
        let given = nonce(&room.client().sign(&balance()).unwrap());
        assert!(given > last, "{given} after {last}: {what}");
        last = given;
    };
    let agent = room.start_unlocked();
    next("the first");
    room.client().lock().unwrap();
    let _ = room.unlock().ok();
    next("after a lock");
    let _ = agent.terminate();
    let _agent = room.start_unlocked();
    next("after a restart");
    let _ = room.run(&["remove", "kraken-main", "--yes"], None, &[]).ok();
    let _ = room.enroll(&KRAKEN, &[]).ok();
    next("after a removal and a new enrolment");
    let _ = room.enroll(&KRAKEN, &["--replace"]).ok();
    next("after a replacement");
}

#[test]
fn keeps_rising_for_those_who_sign_while_the_credential_is_replaced() {
    let room = Room::new();
    let _ = room.enroll(&KRAKEN, &[]).ok();
    let _agent = room.start_unlocked();
    let replaced = AtomicBool::new(false);
    let given: Vec<u64> = std::thread::scope(|scope| {
        let signing = scope.spawn(|| {
            let client = room.client();
            let mut given = Vec::new();
            while !replaced.load(Ordering::Acquire) {
                given.push(nonce(&client.sign(&balance()).unwrap()));
            }
            given.push(nonce(&client.sign(&balance()).unwrap()));
            given
        });
        for _ in 0..3 {
            let _ = room.enroll(&KRAKEN, &["--replace"]).ok();
        }
        replaced.store(true, Ordering::Release);
        signing.join().unwrap()
    });
    assert!(given.len() > 10);
    assert!(given.is_sorted_by(|before, after| before < after), "{given:?}");
}

/// The new credential's sequence is opened before the token is asked, which takes as long as the token likes.
#[test]
fn goes_on_above_what_was_used_while_the_token_worked_on_a_replacement() {
    let room = crate::keys::room_for_old_times();
    let _ = room.enroll(&KRAKEN, &[]).ok();
    let slow = SlowToken::new(&room);
    slow.go_on();
    let _agent = room.start_unlocked();
    let first = nonce(&room.client().sign(&balance()).unwrap());
    slow.hold_on();
    // Far above all that was reserved when the replacement began.
    let far = first + 600_000;
    std::thread::scope(|scope| {
        let replacing = scope.spawn(|| room.enroll(&KRAKEN, &["--replace"]));
        slow.wait_for_login();
        let jumped = room.client().sign(&balance().form("nonce", far.to_string())).unwrap();
        assert_eq!(nonce(&jumped), far);
        slow.go_on();
        let _ = replacing.join().unwrap().ok();
    });
    let next = nonce(&room.client().sign(&balance()).unwrap());
    assert!(next > far, "{next} after {far}");
}

#[test]
fn has_reserved_on_the_disk_what_it_gives() {
    let room = Room::new();
    let _ = room.enroll(&KRAKEN, &[]).ok();
    let _agent = room.start_unlocked();
    for _ in 0..50 {
        let given = nonce(&room.client().sign(&balance()).unwrap());
        let text = std::fs::read_to_string(reserved(&room)).unwrap();
        let ceiling = text.lines().find_map(|line| line.strip_prefix("ceiling = ")).unwrap();
        assert!(given < ceiling.parse().unwrap(), "{given} is not below {ceiling}");
    }
}

#[test]
fn starts_at_the_clock_where_the_reservation_is_missing() {
    let room = Room::new();
    let _ = room.enroll(&KRAKEN, &[]).ok();
    let agent = room.start_unlocked();
    let before = nonce(&room.client().sign(&balance()).unwrap());
    let _ = agent.terminate();
    std::fs::remove_file(reserved(&room)).unwrap();
    let _agent = room.start_unlocked();
    let now = jiff::Timestamp::now().as_millisecond();
    let after = nonce(&room.client().sign(&balance()).unwrap());
    let then = jiff::Timestamp::now().as_millisecond();
    assert!(after > before, "the clock has gone on");
    let about = now - 1_000..=then + 1_000;
    assert!(about.contains(&i64::try_from(after).unwrap()), "{after} is not in {about:?}");
}

#[test]
fn refuses_to_sign_where_the_reservation_is_damaged_until_it_is_mended() {
    let room = Room::new();
    for key in [&KRAKEN, &BINANCE, &Key { name: "kraken-two", ..KRAKEN }] {
        let _ = room.enroll(key, &[]).ok();
    }
    std::fs::write(reserved(&room), "ceiling = many\n").unwrap();
    let agent = room.start_unlocked();
    let refused = room.client().sign(&balance()).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Unavailable));
    assert_eq!(
        refused.to_string(),
        format!(
            "credential `kraken-main` cannot sign: {} is damaged, so nobody can say which nonces are used; write \
             `ceiling = N` into it, with N above every nonce that the venue has seen",
            reserved(&room).display()
        )
    );
    let _ = room.client().sign(&account()).unwrap();
    let _ = room.client().sign(&SignRequest::new("kraken-two", "POST", "/0/private/Balance")).unwrap();

    let far = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap() + 3_600_000;
    std::fs::write(reserved(&room), format!("ceiling = {far}\n")).unwrap();
    room.client().lock().unwrap();
    let _ = room.unlock().ok();
    assert!(nonce(&room.client().sign(&balance()).unwrap()) >= far, "it goes on above what was written");
    drop(agent);
}

#[test]
fn refuses_to_sign_where_no_nonce_can_be_reserved() {
    let room = Room::new();
    let _ = room.enroll(&KRAKEN, &[]).ok();
    let _agent = room.start_unlocked();
    // Where the folder was, there is a file: writing fails even for root.
    let folder = room.data().join("nonces");
    std::fs::remove_dir(&folder).unwrap();
    std::fs::write(&folder, "").unwrap();
    for _ in 0..2 {
        let refused = room.client().sign(&balance()).unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::Unavailable));
        let message = refused.to_string();
        assert!(
            message.starts_with("there is no nonce for this request: the nonce could not be reserved: "),
            "{message}"
        );
    }
    std::fs::remove_file(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    let _ = room.client().sign(&balance()).unwrap();
}
