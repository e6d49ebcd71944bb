//! A PIN that came by itself is tried once, also where nobody has learned what the token thinks of it.

use std::process::Command;

use rustix::process::Signal;
use strongroom_client::{Enrollment, Login};
use strongroom_softhsm_tests::mock::{Fault, Mock};
use strongroom_softhsm_tests::process::{SOON, wait_until};
use strongroom_softhsm_tests::room::{Agent, Room, everything, program, signal};
use strongroom_softhsm_tests::settings::set;

use crate::case::HANGING_S;
use crate::site::{FIRST, SECOND, text};

const WRONG: &str = "000000";

/// An installation whose service manager gives a PIN.
struct Service {
    room: Room,
    mock: Mock,
}

impl Service {
    fn new() -> Self {
        let (token, mock) = Mock::token();
        let room = Room::with(token);
        let _ = room.init(&["--patience", &HANGING_S.to_string()]).ok();
        let _ = room.enroll(&FIRST, &[]).ok();
        std::fs::create_dir(room.folder().join("credentials")).unwrap();
        mock.forget_calls();
        Self { room, mock }
    }

    fn start(&self, pin: &str) -> Agent {
        let folder = self.room.folder().join("credentials");
        std::fs::write(folder.join("strongroom-pin"), pin).unwrap();
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg("CREDENTIALS_DIRECTORY=\"$1\" exec \"$0\" agent");
        shell.arg(program("strongroom")).arg(&folder);
        self.room.start_command(shell)
    }

    fn starts_unlocked(&self) {
        let agent = self.start(&self.room.token.pin);
        wait_until("the agent is unlocked", SOON, || !self.room.client().status().unwrap().locked);
        assert!(!self.is_latched(), "a right PIN leaves nothing to remember");
        let _ = agent.terminate();
    }

    fn is_latched(&self) -> bool {
        self.room.data().join("wrong-pin.toml").exists()
    }

    /// Starts once more, with the right PIN even, and makes sure that it is not tried until a person has unlocked.
    fn tries_none_until_a_person_has_unlocked(&self, because: &str) {
        self.mock.clear();
        self.mock.forget_calls();
        let agent = self.start(&self.room.token.pin);
        let reason = || self.room.client().status().unwrap().reason;
        let refused = "refusing to try the PIN that came by itself: such a PIN was ";
        wait_until("it was refused", SOON, || reason().contains(refused));
        assert!(reason().contains(because), "{}", reason());
        assert_eq!(self.mock.logins(), 0);
        self.mock.set_wrong_pins(0);
        let _ = self.room.unlock().ok();
        let _ = agent.terminate();
        self.starts_unlocked();
    }
}

const UNKNOWN: &str = "and whether it was right is not known";
const KNOWN: &str = "was wrong on ";

#[test]
fn repeats_no_wrong_pin_where_the_token_fails_before_that_is_known() {
    let service = Service::new();
    // The control: what a wrong PIN does where nothing else goes wrong.
    let agent = service.start(WRONG);
    wait_until("the PIN was tried", SOON, || agent.log().contains("the agent stays locked"));
    let _ = agent.terminate();
    let calls = service.mock.calls();
    let login = calls.iter().position(|call| call == "C_Login").unwrap();
    let looks = |calls: &[String]| calls.iter().filter(|call| *call == "C_GetTokenInfo").count();
    let after = u32::try_from(looks(&calls[..login])).unwrap() + 1;
    assert!(looks(&calls[login..]) > 0, "the token is looked at behind a wrong PIN: {calls:?}");
    service.tries_none_until_a_person_has_unlocked(KNOWN);

    for act in ["crash", "hang"] {
        let service = Service::new();
        service.mock.set(&[Fault::new("C_GetTokenInfo", after, act)]);
        let agent = service.start(WRONG);
        wait_until("the PIN was tried", SOON, || agent.log().contains("the agent stays locked"));
        assert!(!agent.log().contains("the PIN is wrong"), "{act}: nobody has learned it: {}", agent.log());
        assert_eq!((service.mock.logins(), service.mock.wrong_pins()), (1, 1), "{act}");
        let _ = agent.terminate();
        service.tries_none_until_a_person_has_unlocked(UNKNOWN);
    }
}

#[test]
fn repeats_no_pin_where_the_agent_is_killed_in_the_login() {
    let service = Service::new();
    service.mock.set(&[Fault::new("C_Login", 1, "hang")]);
    let agent = service.start(WRONG);
    wait_until("the login is reached", SOON, || service.mock.logins() == 1);
    signal(agent.pid(), Signal::KILL);
    agent.kill();
    service.tries_none_until_a_person_has_unlocked(UNKNOWN);
}

#[test]
fn tries_the_pin_again_where_it_was_certainly_not_tried() {
    let service = Service::new();
    service.mock.unplug();
    let agent = service.start(&service.room.token.pin);
    wait_until("the unlock has failed", SOON, || agent.log().contains("the agent stays locked"));
    assert_eq!(service.mock.logins(), 0);
    assert!(!service.is_latched(), "{}", agent.log());
    let _ = agent.terminate();
    service.mock.clear();
    service.starts_unlocked();
}

#[test]
fn tries_no_pin_that_it_could_not_remember() {
    let service = Service::new();
    set(&service.room, "token", "relogin", "true");
    let _agent = service.start(&service.room.token.pin);
    wait_until("the agent is unlocked", SOON, || !service.room.client().status().unwrap().locked);
    let enroll = || {
        let enrollment = Enrollment::new(SECOND.name, SECOND.venue, SECOND.key_id).grants(everything());
        service.room.client().enroll(&enrollment, Login::without_pin(), text(SECOND.secret), None)
    };
    // Not even root can replace a folder by a file.
    let latch = service.room.data().join("wrong-pin.toml");
    std::fs::create_dir(&latch).unwrap();
    service.mock.forget_calls();
    let refused = enroll().unwrap_err().to_string();
    assert!(refused.starts_with("refusing to try a PIN that came by itself: "), "{refused}");
    assert_eq!(service.mock.logins(), 0);
    std::fs::remove_dir(&latch).unwrap();
    enroll().unwrap();
    assert_eq!(service.mock.logins(), 1);
}

#[test]
fn remembers_a_kept_pin_that_came_by_itself_and_is_wrong_now() {
    let service = Service::new();
    set(&service.room, "token", "relogin", "true");
    let agent = service.start(&service.room.token.pin);
    wait_until("the agent is unlocked", SOON, || !service.room.client().status().unwrap().locked);
    let enroll = |login| {
        let enrollment =
            Enrollment::new(SECOND.name, SECOND.venue, SECOND.key_id).grants(everything()).replace();
        service.room.client().enroll(&enrollment, login, text(SECOND.secret), None)
    };
    enroll(Login::without_pin()).unwrap();
    assert!(!service.is_latched());
    // Somebody's own PIN says nothing about the kept one.
    assert!(enroll(text(WRONG).into()).is_err());
    assert!(service.room.client().token().unwrap().kept);
    service.mock.set_wrong_pins(0);
    service.mock.set(&[Fault::code("C_Login", 0, "CKR_PIN_INCORRECT")]);
    assert!(enroll(Login::without_pin()).is_err());
    assert!(!service.room.client().token().unwrap().kept);
    assert!(service.is_latched());
    let _ = agent.terminate();
    service.tries_none_until_a_person_has_unlocked(KNOWN);
}

#[test]
fn keeps_no_pin_whose_try_nobody_has_an_answer_to() {
    for act in ["crash", "hang"] {
        let service = Service::new();
        set(&service.room, "token", "relogin", "true");
        let _agent = service.room.start_unlocked();
        assert!(service.room.client().token().unwrap().kept);
        service.mock.set(&[Fault::new("C_Login", 0, act)]);
        let enrollment = Enrollment::new(SECOND.name, SECOND.venue, SECOND.key_id).grants(everything());
        let client = service.room.client();
        assert!(client.enroll(&enrollment, Login::without_pin(), text(SECOND.secret), None).is_err());
        service.mock.clear();
        assert!(!client.token().unwrap().kept, "{act}");
        assert!(!service.is_latched(), "a person has given it");
    }
}
