//! A token that is pulled out: the mock's, and SoftHSM's folder.

use std::time::Duration;

use strongroom_softhsm_tests::mock::Fault;
use strongroom_softhsm_tests::room::Room;
use strongroom_softhsm_tests::settings::set;

use crate::case::{WORKING_S, clear};
use crate::site::{FIRST, SECOND, Site, THIRD, disk, text};

#[test]
fn loaded_keys_sign_on_while_the_token_is_away() {
    let site = Site::new(WORKING_S);
    site.unlock().unwrap();
    site.mock.unplug();
    site.signs(&FIRST).unwrap();
    let told = site.watched(&[FIRST, SECOND], || site.enroll(&THIRD)).unwrap().unwrap_err().to_string();
    assert!(told.contains(&site.room.token.serial) && told.ends_with("none"), "{told}");
    site.client().lock().unwrap();
    assert_eq!(site.unlock().unwrap_err().to_string(), told);
    assert_eq!(site.mock.logins(), 1);
    site.mock.clear();
    site.unlock().unwrap();
    site.signs(&SECOND).unwrap();
    site.enroll(&THIRD).unwrap();
}

#[test]
fn refuses_a_kek_that_can_be_read_or_taken_out() {
    let site = Site::new(WORKING_S);
    for (act, word) in
        [("extractable", "CKA_EXTRACTABLE"), ("not_sensitive", "CKA_SENSITIVE"), ("gives_value", "CKA_VALUE")]
    {
        site.mock.set(&[Fault::new("C_GetAttributeValue", 0, act)]);
        let told = site.unlock().unwrap_err().to_string();
        assert!(told.contains(word), "{act}: {told}");
        let told = site.enroll(&THIRD).unwrap_err().to_string();
        assert!(told.contains(word), "{act}: {told}");
        assert!(site.client().status().unwrap().locked);
        assert!(!site.mock.calls().iter().any(|call| call == "C_Decrypt"), "it was used all the same");
    }
    site.mock.clear();
    site.unlock().unwrap();
}

#[test]
fn replaces_a_worker_whose_module_crashes() {
    let site = Site::new(WORKING_S);
    site.mock.set(&[Fault::new("C_Decrypt", 1, "crash")]);
    let told = site.unlock().unwrap_err().to_string();
    assert!(told.contains("the token worker ended while it was asked: signal: 6 (SIGABRT)"), "{told}");
    assert_eq!(site.agent.children("strongroom-token"), Vec::<u32>::new());
    site.mock.clear();
    site.unlock().unwrap();
}

/// SoftHSM's folder vanishes at some moment of an unlock, each time another.
#[test]
fn survives_softhsm_losing_its_folder_at_any_moment_of_an_unlock() {
    let room = Room::new();
    set(&room, "token", "on_token_removed", "\"keep\"");
    for key in [FIRST, SECOND] {
        let _ = room.enroll(&key, &[]).ok();
    }
    let _agent = room.start();
    let client = room.client();
    let (here, away) = (room.token.tokens(), room.folder().join("away"));
    let before = disk(&room);
    let (mut failed, mut worked) = (0, 0);
    for step in 0..=24 {
        client.lock().unwrap();
        let unlock = || room.client().unlock(text(&room.token.pin));
        let vanish = || std::fs::rename(&here, &away).unwrap();
        let outcome = match step {
            // However fast or slow the machine is: before it, and behind it.
            0 => {
                vanish();
                unlock()
            }
            24 => {
                let outcome = unlock();
                vanish();
                outcome
            }
            _ => std::thread::scope(|scope| {
                let unlocking = scope.spawn(unlock);
                std::thread::sleep(Duration::from_millis(step * step));
                vanish();
                unlocking.join().unwrap()
            }),
        };
        match outcome {
            Ok(()) => worked += 1,
            Err(error) => {
                failed += 1;
                clear(&error).unwrap();
            }
        }
        let ready = client.list().unwrap().into_iter().filter(|one| one.ready).count();
        assert!(client.status().is_ok());
        assert_eq!(disk(&room), before);
        std::fs::rename(&away, &here).unwrap();
        client.unlock(text(&room.token.pin)).unwrap_or_else(|error| panic!("with {ready} ready: {error}"));
        assert_eq!(client.list().unwrap().into_iter().filter(|one| one.ready).count(), 2);
    }
    assert!(failed > 0 && worked > 0, "{failed} failed and {worked} worked");
}
