//! A token with a PIN pad: nobody here is asked, no PIN passes through this machine's programs, and what the
//! person at the pad does is told.

use strongroom_client::{Enrollment, Error, Login};
use strongroom_softhsm_tests::mock::{Fault, Mock};
use strongroom_softhsm_tests::process::{SOON, wait_until};
use strongroom_softhsm_tests::room::{Room, everything};

use crate::case::WORKING_S;
use crate::site::{FIRST, Site, THIRD, text};

impl Site {
    fn unlock_by_pad(&self) -> Result<(), Error> {
        self.client().unlock(Login::without_pin())
    }

    fn enroll_by_pad(&self) -> Result<(), Error> {
        let enrollment =
            Enrollment::new(THIRD.name, THIRD.venue, THIRD.key_id).grants(everything()).replace();
        self.client().enroll(&enrollment, Login::without_pin(), text(THIRD.secret), None)
    }
}

#[test]
fn takes_the_pin_from_the_pad_for_every_command() {
    let (token, mock) = Mock::token();
    let room = Room::with(token);
    mock.set_pad("enters_right");
    let (module, conf) = (room.token.module.display().to_string(), room.token.conf.display().to_string());
    let variable = format!("{}={conf}", room.token.variable);
    let made = room.run(&["init", "--module", &module, "--module-env", &variable], None, &[]);
    let told = format!("enter the PIN on the pad of token `mock` (serial {})\n", room.token.serial);
    assert!(made.stderr.starts_with(&told), "{}", made.stderr);
    let _ = made.ok();

    // By itself, by a locked agent, and by an unlocked one.
    let secret = [(4, FIRST.secret)];
    let enroll = |name: &str| {
        let words = ["enroll", name, "--venue", FIRST.venue, "--key-id", FIRST.key_id, "--secret-fd", "4"];
        let run = room.run(&words, None, &secret);
        assert!(run.stderr.contains(&told), "{}", run.stderr);
        run.ok()
    };
    let _ = enroll("first");
    let _agent = room.start();
    let _ = enroll("second");
    let unlocked = room.run(&["unlock"], None, &[]);
    assert_eq!(unlocked.stderr, told);
    assert!(unlocked.ok().contains("2 of 2"));
    let _ = enroll("third");
}

#[test]
fn tells_what_the_person_at_the_pad_did_and_counts_what_the_token_counts() {
    let site = Site::new(WORKING_S);
    let before = site.disk();
    for (person, wrong_pins, said) in [
        (
            "cancels",
            0,
            "no PIN was entered on the token's pad: it was cancelled there, or took too long (CKR_FUNCTION_CANCELED)",
        ),
        (
            "is_absent",
            0,
            "no PIN was entered on the token's pad: it was cancelled there, or took too long (CKR_FUNCTION_REJECTED)",
        ),
        (
            "enters_wrong",
            1,
            "the PIN is wrong; one try of the token's counter is gone, and the token says that its count is low",
        ),
    ] {
        site.mock.set_wrong_pins(0);
        site.mock.forget_calls();
        site.mock.set_pad(person);
        let refused = site.unlock_by_pad().unwrap_err();
        assert_eq!(refused.to_string(), said, "{person}");
        assert_eq!(site.mock.logins(), 1, "{person}: one try");
        assert_eq!(site.mock.wrong_pins(), wrong_pins, "{person}");
        assert!(site.client().status().unwrap().locked);
        let refused = site.enroll_by_pad().unwrap_err();
        assert!(refused.to_string().starts_with(&said[..20]), "{person}: {refused}");
        assert_eq!(site.disk(), before, "{person}");
    }
    site.mock.set_wrong_pins(0);
    site.mock.set_pad("enters_right");
    site.unlock_by_pad().unwrap();
    site.signs(&FIRST).unwrap();
    site.enroll_by_pad().unwrap();
    site.signs(&THIRD).unwrap();
}

#[test]
fn waits_for_a_slow_person_and_answers_others_meanwhile() {
    let site = Site::new(WORKING_S);
    site.mock.set_pad("enters_right");
    site.mock.set(&[Fault::new("C_Login", 0, "slow")]);
    site.watched(&[], || site.unlock_by_pad().unwrap()).unwrap();
}

#[test]
fn refuses_where_there_is_neither_a_pin_nor_a_pad() {
    let site = Site::new(WORKING_S);
    let refused = site.unlock_by_pad().unwrap_err();
    assert_eq!(refused.to_string(), "no PIN came, and the token has no pad to enter it on");
    assert_eq!(site.mock.logins(), 0);
}

#[test]
fn asks_the_pad_at_the_start_only_where_the_configuration_says_so() {
    let (token, mock) = Mock::token();
    let room = Room::with(token);
    let _ = room.init(&[]).ok();
    let _ = room.enroll(&FIRST, &[]).ok();
    mock.set_pad("enters_right");
    mock.forget_calls();
    let agent = room.start();
    assert!(room.client().status().unwrap().locked);
    assert!(mock.calls().is_empty(), "the token is left alone");
    let _ = agent.terminate();

    let config = std::fs::read_to_string(room.config()).unwrap();
    std::fs::write(room.config(), config.replace("pad_at_start = false", "pad_at_start = true")).unwrap();
    let agent = room.start();
    wait_until("the agent is unlocked", SOON, || !room.client().status().unwrap().locked);
    assert!(agent.log().contains("enter the PIN on the token's pad"), "{}", agent.log());
    let _ = agent.terminate();

    // A wrong one is remembered as any that was not asked for by a command.
    mock.set_pad("enters_wrong");
    let agent = room.start();
    wait_until("the PIN was tried", SOON, || agent.log().contains("the agent stays locked"));
    let _ = agent.terminate();
    mock.forget_calls();
    let _agent = room.start();
    let reason = || room.client().status().unwrap().reason;
    wait_until("it was refused", SOON, || reason().contains("refusing to try the PIN that came by itself"));
    assert_eq!((mock.logins(), mock.wrong_pins()), (0, 1));
}
