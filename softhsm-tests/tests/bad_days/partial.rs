//! A token that fails between two records.

use strongroom_client::ErrorCode;
use strongroom_softhsm_tests::mock::Fault;
use strongroom_softhsm_tests::process::{SOON, wait_until};

use crate::case::WORKING_S;
use crate::site::{FIRST, SECOND, Site, text};

/// The second of two records: the key of the floors comes first, and each is decrypted by two calls, for the length and
/// for the bytes.
const AT_THE_SECOND: u32 = 5;

fn half_unlocked() -> Site {
    let site = Site::new(WORKING_S);
    site.mock.set(&[Fault::code("C_Decrypt", AT_THE_SECOND, "CKR_DEVICE_REMOVED")]);
    let error = site.unlock().unwrap_err();
    assert_eq!(error.to_string(), "second: C_Decrypt failed: CKR_DEVICE_REMOVED");
    site.mock.clear();
    site.mock.forget_calls();
    site
}

#[test]
fn keeps_what_was_loaded_before_the_token_failed_and_loads_the_rest_at_the_next_unlock() {
    let site = half_unlocked();
    assert_eq!(site.ready(), [FIRST.name]);
    site.signs(&FIRST).unwrap();
    let second = site.client().show(SECOND.name).unwrap();
    assert_eq!(second.fault, "C_Decrypt failed: CKR_DEVICE_REMOVED");
    let keeper = site.agent.children("strongroom-keeper");
    site.watched(&[FIRST], || site.unlock()).unwrap().unwrap();
    assert_eq!(site.mock.logins(), 1);
    site.signs(&SECOND).unwrap();
    assert_eq!(site.agent.children("strongroom-keeper"), keeper, "the same keeper holds both");
    site.unlock().unwrap();
    assert_eq!(site.mock.logins(), 1, "nothing is missing, so the token is left alone");
}

#[test]
fn the_command_asks_for_a_pin_only_where_something_is_missing() {
    let site = half_unlocked();
    assert_eq!(site.room.unlock().ok(), "unlocked: 2 of 2 credentials can sign\n");
    assert_eq!(site.mock.logins(), 1);
    assert_eq!(site.room.unlock().ok(), "unlocked: 2 of 2 credentials can sign\n");
    assert_eq!(site.mock.logins(), 1);
}

#[test]
fn blames_no_record_where_the_token_only_stumbles() {
    let site = Site::new(WORKING_S);
    for (call, code) in [
        ("C_Decrypt", "CKR_DEVICE_ERROR"),
        ("C_Decrypt", "CKR_ENCRYPTED_DATA_INVALID"),
        ("C_DecryptInit", "CKR_GENERAL_ERROR"),
    ] {
        site.client().lock().unwrap();
        site.mock.forget_calls();
        site.mock.set(&[Fault::code(call, 1, code)]);
        site.unlock().unwrap();
        assert_eq!(site.ready(), [FIRST.name, SECOND.name], "{call} {code}");
        assert_eq!(site.mock.logins(), 1);
    }
}

#[test]
fn keeps_what_was_loaded_where_the_next_unlock_fails_too() {
    let site = half_unlocked();
    let wrong = site.client().unlock(text("000000")).unwrap_err();
    assert_eq!(wrong.code(), Some(ErrorCode::Unavailable));
    for act in ["crash", "remove", "kill_session"] {
        site.mock.set(&[Fault::new("C_Decrypt", 0, act)]);
        assert!(site.watched(&[FIRST], || site.unlock()).unwrap().is_err(), "{act}");
        site.signs(&FIRST).unwrap();
    }
    site.mock.clear();
    site.unlock().unwrap();
    site.signs(&SECOND).unwrap();
}

#[test]
fn forgets_all_where_a_lock_overtakes_the_second_unlock() {
    let site = half_unlocked();
    site.mock.set(&[Fault::new("C_Login", 1, "slow").for_ms(10_000)]);
    std::thread::scope(|scope| {
        let unlocking = scope.spawn(|| site.unlock());
        wait_until("the login is reached", SOON, || site.mock.logins() == 1);
        site.client().lock().unwrap();
        assert_eq!(unlocking.join().unwrap().unwrap_err().code(), Some(ErrorCode::Locked));
    });
    assert!(site.client().status().unwrap().locked);
    assert_eq!(site.agent.children("strongroom-keeper"), Vec::<u32>::new());
    site.mock.clear();
    site.unlock().unwrap();
    assert_eq!(site.ready(), [FIRST.name, SECOND.name]);
}
