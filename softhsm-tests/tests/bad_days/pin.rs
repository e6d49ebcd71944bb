//! The PIN's counter, which is the token's own: one try for each PIN that a person enters, and never the last.

use strongroom_softhsm_tests::mock::{Fault, TRIES};

use crate::case::WORKING_S;
use crate::site::{FIRST, Site, THIRD, text};

impl Site {
    /// What an unlock with this PIN is refused with.
    fn refused(&self, pin: &str) -> String {
        self.client().unlock(text(pin)).unwrap_err().to_string()
    }
}

const FINAL: &str = "refusing to try the PIN: one more wrong one locks the token";
const LOCKED: &str = "the token has locked its PIN";

#[test]
fn tries_each_wrong_pin_once_and_never_the_last_try() {
    let site = Site::new(WORKING_S);
    assert_eq!(TRIES, 3);
    let first = site.refused("000000");
    assert!(first.contains("wrong") && first.ends_with("its count is low"), "{first}");
    assert_eq!(site.mock.logins(), 1);
    let second = site.refused("000001");
    assert!(second.ends_with("the next wrong PIN locks the token"), "{second}");
    assert_eq!(site.mock.logins(), 2);

    // From now on not even the right one is tried, by whatever command.
    for _ in 0..3 {
        assert_eq!(site.refused(&site.room.token.pin), FINAL);
        assert_eq!(site.enroll(&THIRD).unwrap_err().to_string(), FINAL);
        assert!(site.room.init(&[]).stderr.contains(FINAL));
    }
    assert_eq!(site.mock.logins(), 2);
    assert_eq!(site.mock.wrong_pins(), 2);

    // A person logs in once with the token's own tool.
    site.mock.set_wrong_pins(0);
    site.unlock().unwrap();
    site.signs(&FIRST).unwrap();
}

#[test]
fn says_that_the_pin_is_locked_without_a_try() {
    let site = Site::new(WORKING_S);
    site.mock.set_wrong_pins(TRIES);
    assert_eq!(site.refused(&site.room.token.pin), LOCKED);
    assert_eq!(site.enroll(&THIRD).unwrap_err().to_string(), LOCKED);
    assert!(site.room.init(&[]).stderr.contains(LOCKED));
    assert_eq!(site.mock.logins(), 0);
    assert!(site.client().status().unwrap().locked);
}

#[test]
fn a_right_pin_makes_the_counter_full_again() {
    let site = Site::new(WORKING_S);
    let _ = site.refused("000000");
    assert_eq!(site.mock.wrong_pins(), 1);
    site.unlock().unwrap();
    assert_eq!(site.mock.wrong_pins(), 0);
}

#[test]
fn never_tries_a_pin_again_by_itself_whatever_the_token_answers() {
    let site = Site::new(WORKING_S);
    for code in ["CKR_PIN_INCORRECT", "CKR_DEVICE_ERROR", "CKR_FUNCTION_FAILED", "CKR_PIN_EXPIRED"] {
        site.mock.forget_calls();
        site.mock.set(&[Fault::code("C_Login", 0, code)]);
        let _ = site.refused(&site.room.token.pin);
        assert_eq!(site.mock.logins(), 1, "{code}");
    }
}

#[test]
fn offers_the_pin_to_no_other_token() {
    let site = Site::new(WORKING_S);
    site.mock.set(&[Fault::new("C_GetTokenInfo", 0, "other_serial")]);
    let told = site.refused(&site.room.token.pin);
    assert!(told.contains("another") && told.contains(&site.room.token.serial), "{told}");
    assert_eq!(site.mock.logins(), 0);
}
