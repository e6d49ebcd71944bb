//! Nobody wants a signature for a while.

use std::time::{Duration, Instant};

use strongroom_client::{ErrorCode, SignRequest};
use strongroom_softhsm_tests::process::{SOON, wait_until};
use strongroom_softhsm_tests::room::Room;
use strongroom_softhsm_tests::settings::set;

use crate::keys::{BINANCE, account};

const LIMIT: Duration = Duration::from_secs(3);

#[test]
fn locks_when_nothing_was_signed_for_the_configured_time() {
    let (room, control) = (Room::new(), Room::new());
    for room in [&room, &control] {
        let _ = room.enroll(&BINANCE, &[]).ok();
    }
    set(&room, "agent", "lock_after_idle_s", "3");
    let _control = control.start_unlocked();
    // The last use was not before: an unlock counts as one.
    let mut last = Instant::now();
    let _agent = room.start_unlocked();
    let client = room.client();
    // In use for longer than the limit, at intervals below it.
    let mut began = last;
    while began.elapsed() < LIMIT * 2 {
        let now = Instant::now();
        match client.sign(&account()) {
            Ok(_) => last = now,
            // This test was late itself: from the beginning.
            Err(error) if last.elapsed() >= LIMIT => {
                assert_eq!(error.code(), Some(ErrorCode::Locked));
                (began, last) = (Instant::now(), Instant::now());
                let _ = room.unlock().ok();
            }
            Err(error) => panic!("{error}, {:?} after the last signature", last.elapsed()),
        }
        std::thread::sleep(LIMIT / 8);
    }
    // Neither looking at it nor a refused request is use.
    wait_until("it is locked", SOON, || {
        let _ = client.sign(&SignRequest::new("nobody", "GET", "/api/v3/account")).unwrap_err();
        client.status().unwrap().locked
    });
    assert!(last.elapsed() >= LIMIT, "{:?}", last.elapsed());
    assert_eq!(client.status().unwrap().reason, "nothing was signed for 3 s");
    assert_eq!(client.sign(&account()).unwrap_err().code(), Some(ErrorCode::Locked));
    assert!(!control.client().status().unwrap().locked, "the control has no limit");

    let unlocked = Instant::now();
    let _ = room.unlock().ok();
    wait_until("it is locked again", SOON, || client.status().unwrap().locked);
    assert!(unlocked.elapsed() >= LIMIT);
}

#[test]
fn refuses_times_that_are_out_of_bounds() {
    let room = Room::new();
    for (section, key, value, bounds) in [
        ("agent", "lock_after_idle_s", "0", "1 to 604800 seconds"),
        ("token", "watch_every_s", "0", "1 to 3600 seconds"),
        ("token", "on_token_removed", "\"maybe\"", "`keep` or `lock`"),
    ] {
        let before = std::fs::read(room.config()).unwrap();
        set(&room, section, key, value);
        let run = room.run(&["agent"], None, &[]);
        assert_eq!(run.code(), 3, "{}", run.stderr);
        assert!(run.stderr.contains(bounds), "{}", run.stderr);
        std::fs::write(room.config(), before).unwrap();
    }
}
