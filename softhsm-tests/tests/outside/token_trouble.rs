//! A token that is slow, hangs, or goes away while the agent needs it.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use strongroom_client::ErrorCode;
use strongroom_softhsm_tests::process::{SOON, runs, wait_until};
use strongroom_softhsm_tests::room::{Room, children, signal, stop};
use strongroom_softhsm_tests::settings::set;
use strongroom_softhsm_tests::slow::SlowToken;

use crate::keys::{BINANCE, KRAKEN, account};

/// How long the agent waits for an answer of a token.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn answers_others_while_the_token_is_slow() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let slow = SlowToken::new(&room);
    let _agent = room.start();
    std::thread::scope(|scope| {
        let unlocking = scope.spawn(|| room.unlock());
        slow.wait_for_login();
        assert!(room.client().status().unwrap().locked);
        assert_eq!(room.client().list().unwrap().len(), 1);
        assert_eq!(room.client().sign(&account()).unwrap_err().code(), Some(ErrorCode::Locked));
        assert!(!unlocking.is_finished(), "the token is still held");

        let second = room.unlock();
        assert_eq!(second.code(), 7, "one PIN at a time");
        assert_eq!(
            second.stderr,
            "error: the agent is working with the token already\nhint: wait for it, then try again\n"
        );
        slow.go_on();
        let _ = unlocking.join().unwrap().ok();
    });
    let _ = room.client().sign(&account()).unwrap();
}

#[test]
fn stays_locked_where_a_lock_overtakes_an_unlock() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let slow = SlowToken::new(&room);
    let agent = room.start();
    std::thread::scope(|scope| {
        let unlocking = scope.spawn(|| room.unlock());
        slow.wait_for_login();
        assert_eq!(agent.children("strongroom-keeper").len(), 1, "one is being filled");
        room.client().lock().unwrap();
        assert!(agent.children("strongroom-keeper").is_empty(), "a lock that has answered leaves no keeper");
        let told = room.run(&["audit", "show", "--json", "--kind", "lock"], None, &[]).json();
        assert_eq!(told.as_array().unwrap().len(), 1, "it is written down: {told}");
        assert!(!unlocking.is_finished(), "the token is still held");
        slow.go_on();
        let run = unlocking.join().unwrap();
        assert_eq!(run.code(), 5);
        assert_eq!(
            run.stderr,
            "error: the agent was locked while it was being unlocked\nhint: unlock it again\n"
        );
    });
    assert!(room.client().status().unwrap().locked);
    assert!(agent.children("strongroom-keeper").is_empty());
    let _ = room.unlock().ok();
    let _ = room.client().sign(&account()).unwrap();
}

#[test]
fn leaves_no_keeper_where_a_lock_overtakes_an_enrolment() {
    let room = Room::new();
    let slow = SlowToken::new(&room);
    let agent = room.start();
    std::thread::scope(|scope| {
        let enrolling = scope.spawn(|| room.enroll(&BINANCE, &[]));
        slow.wait_for_login();
        assert_eq!(agent.children("strongroom-keeper").len(), 1, "one is being filled");
        room.client().lock().unwrap();
        assert!(agent.children("strongroom-keeper").is_empty(), "a lock that has answered leaves no keeper");
        assert!(!enrolling.is_finished(), "the token is still held");
        slow.go_on();
        let run = enrolling.join().unwrap();
        assert_eq!(run.code(), 5);
        assert_eq!(
            run.stderr,
            "error: the agent was locked while the credential was being enrolled\nhint: enrol it again\n"
        );
    });
    assert!(room.client().list().unwrap().is_empty(), "nothing was written");
    let _ = room.enroll(&BINANCE, &[]).ok();
    assert!(agent.children("strongroom-keeper").is_empty());
}

#[test]
fn goes_on_signing_while_another_credential_is_enrolled_slowly() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let slow = SlowToken::new(&room);
    slow.go_on();
    let _agent = room.start_unlocked();
    slow.hold_on();
    std::thread::scope(|scope| {
        let enrolling = scope.spawn(|| room.enroll(&KRAKEN, &[]));
        slow.wait_for_login();
        for _ in 0..20 {
            let _ = room.client().sign(&account()).unwrap();
        }
        slow.go_on();
        let _ = enrolling.join().unwrap().ok();
    });
    let _ = room.client().sign(&crate::keys::balance()).unwrap();
}

#[test]
fn reports_a_token_worker_that_was_killed_and_unlocks_the_next_time() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let slow = SlowToken::new(&room);
    let agent = room.start();
    std::thread::scope(|scope| {
        let unlocking = scope.spawn(|| room.unlock());
        slow.wait_for_login();
        signal(children(agent.pid(), "strongroom-token")[0], Signal::KILL);
        let run = unlocking.join().unwrap();
        assert_eq!(run.code(), 7);
        assert_eq!(
            run.stderr,
            "error: the token worker ended while it was asked: signal: 9 (SIGKILL)\n\
             hint: the agent's log may say more; try again\n"
        );
    });
    wait_until("the unused keeper ends", SOON, || agent.children("strongroom-keeper").is_empty());
    slow.go_on();
    let _ = room.unlock().ok();
    let _ = room.client().sign(&account()).unwrap();
}

/// SoftHSM writes its token anew at every login: who cuts that off loses the token.
#[test]
fn ends_when_the_token_is_at_rest_but_does_not_wait_for_one_that_hangs() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let slow = SlowToken::new(&room);
    let mut waited = [0; 2];
    for hangs in [false, true].into_iter().cycle().take(20) {
        slow.hold_on();
        let agent = room.start();
        std::thread::scope(|scope| {
            let unlocking = scope.spawn(|| room.unlock());
            slow.wait_for_login();
            let (front, worker) = (agent.pid(), children(agent.pid(), "strongroom-token")[0]);
            let began = Instant::now();
            signal(front, Signal::TERM);
            std::thread::sleep(Duration::from_millis(500));
            let both_run = runs(front) && runs(worker);
            // It waits for three seconds; where this test is later, it has seen nothing.
            if began.elapsed() < Duration::from_secs(2) {
                assert!(both_run, "it waits for the token");
                waited[usize::from(hangs)] += 1;
            }
            if !hangs {
                slow.go_on();
            }
            assert!(agent.terminate().success());
            assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
            wait_until("the worker ends", SOON, || !runs(worker));
            assert_ne!(unlocking.join().unwrap().code(), 0);
        });
        if waited.iter().all(|times| *times > 0) {
            break;
        }
    }
    assert!(waited.iter().all(|times| *times > 0), "{waited:?}");
    slow.go_on();
    let _agent = room.start_unlocked();
    let _ = room.client().sign(&account()).unwrap();
}

/// The one test that waits for the whole patience of the agent with a token.
#[test]
fn gives_a_token_that_hangs_up_after_half_a_minute() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let slow = SlowToken::new(&room);
    let agent = room.start();
    let run = std::thread::scope(|scope| {
        let unlocking = scope.spawn(|| room.unlock());
        slow.wait_for_login();
        let worker = agent.children("strongroom-token")[0];
        // A stopped process does not even die by SIGTERM.
        stop(worker);
        let run = unlocking.join().unwrap();
        wait_until("the worker is ended", SOON, || !runs(worker));
        run
    });
    assert_eq!(run.code(), 7);
    assert_eq!(
        run.stderr,
        "error: the token worker did not answer within 30 s and was ended\n\
         hint: the agent's log may say more; try again\n"
    );
    slow.go_on();
    let _ = room.unlock().ok();
}

#[test]
fn says_that_the_token_is_gone_and_finds_it_again() {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    set(&room, "token", "on_token_removed", "\"keep\"");
    let agent = room.start_unlocked();
    let away = room.folder().join("unplugged");
    let tokens = room.token.tokens();
    let inside = std::fs::read_dir(&tokens).unwrap().next().unwrap().unwrap().path();
    std::fs::rename(&inside, &away).unwrap();
    // What is unlocked stays so where that is wanted: secrets are in the keeper.
    let _ = room.client().sign(&account()).unwrap();
    room.client().lock().unwrap();
    let run = room.unlock();
    assert_eq!(run.code(), 7);
    let expected =
        format!("error: no slot holds token `{}` (serial {})", room.token.label, room.token.serial);
    assert!(run.stderr.contains(&room.token.serial), "{}\nnot {expected}", run.stderr);
    assert!(run.stderr.ends_with("hint: plug the token in, then try again\n"), "{}", run.stderr);
    std::fs::rename(&away, &inside).unwrap();
    let _ = room.unlock().ok();
    let _ = room.client().sign(&account()).unwrap();
    drop(agent);
}
