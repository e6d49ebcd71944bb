//! Who watches over the token, and a module that makes it hard.

use std::time::Duration;

use strongroom_softhsm_tests::mock::Fault;
use strongroom_softhsm_tests::process::{SOON, wait_until};

use crate::case::{HANGING_S, clear};
use crate::site::{FIRST, SECOND, Site, THIRD};

/// An unlocked site whose token is looked at each second.
fn watched() -> Site {
    let site = Site::new_watched(HANGING_S, 1);
    site.unlock().unwrap();
    site
}

impl Site {
    fn is_locked(&self) -> bool {
        self.client().status().unwrap().locked
    }

    /// How many processes have loaded the module since the calls were forgotten.
    fn processes(&self) -> usize {
        self.mock.calls().iter().filter(|call| *call == "C_Initialize").count()
    }
}

#[test]
fn locks_when_the_slot_is_empty_and_never_logs_in_by_itself() {
    let site = watched();
    for _ in 0..2 {
        site.mock.forget_calls();
        wait_until("it was looked twice", SOON, || looks(&site) >= 6);
        site.mock.unplug();
        wait_until("it is locked", SOON, || site.is_locked());
        assert_eq!(site.client().status().unwrap().reason, "the token was removed");
        assert_eq!(site.mock.logins(), 0);
        assert!(!site.mock.calls().iter().any(|call| call == "C_OpenSession"), "{:?}", site.mock.calls());
        assert!(site.ready().is_empty());
        site.mock.clear();
        site.unlock().unwrap();
        site.signs(&FIRST).unwrap();
    }
}

/// How often the slots were listed.
fn looks(site: &Site) -> usize {
    site.mock.calls().iter().filter(|call| *call == "C_GetSlotList").count()
}

/// The second look of each process fails, the first of the next is fine: the token has not moved.
#[test]
fn asks_a_fresh_process_before_it_believes_that_the_token_is_gone() {
    let site = watched();
    // A process lists the slots twice for each of its steps: to find the token, to begin, to look again.
    let nth = 5;
    for fault in [
        Fault::code("C_GetSlotList", nth, "CKR_DEVICE_REMOVED"),
        Fault::code("C_GetSlotList", nth, "CKR_GENERAL_ERROR"),
        Fault::new("C_GetSlotList", nth, "remove"),
        Fault::new("C_GetSlotList", nth, "crash"),
        Fault::new("C_GetSlotList", nth, "hang"),
        Fault::code("C_GetSlotInfo", 1, "CKR_DEVICE_ERROR"),
    ] {
        site.mock.set(std::slice::from_ref(&fault));
        site.mock.forget_calls();
        let begun = if fault.call == "C_GetSlotInfo" { 0 } else { 2 };
        wait_until(&format!("{fault} was felt"), SOON, || {
            assert!(!site.is_locked(), "{fault}");
            site.signs(&SECOND).unwrap();
            site.processes() >= begun && looks(&site) >= 6
        });
        wait_until(&format!("{fault} is over"), SOON, || {
            site.client().status().unwrap().weaknesses.is_empty()
        });
    }
}

/// To one fresh process, and to the next, the token is missing for a moment: another program logs in just then.
#[test]
fn asks_more_than_one_fresh_process_before_it_believes_that_the_token_is_gone() {
    let site = watched();
    for code in ["CKR_DEVICE_REMOVED", "CKR_GENERAL_ERROR", "CKR_TOKEN_NOT_PRESENT"] {
        let fault = Fault::code("C_GetSlotList", 0, code).times(2);
        site.mock.set(std::slice::from_ref(&fault));
        wait_until(&format!("{fault} was felt"), SOON, || site.mock.spent() == 2);
        site.mock.forget_calls();
        wait_until("it is seen again", SOON, || {
            site.signs(&SECOND).unwrap();
            looks(&site) >= 6
        });
        assert!(!site.is_locked(), "{fault}");
        wait_until(&format!("{fault} is over"), SOON, || {
            site.client().status().unwrap().weaknesses.is_empty()
        });
        assert!(site.agent.log().contains("the token is not seen; another process looks"), "{fault}");
    }
    // The control: seen by nobody, however many look.
    site.mock.set(&[Fault::code("C_GetSlotList", 0, "CKR_DEVICE_REMOVED").times(100)]);
    wait_until("it is locked", SOON, || site.is_locked());
    assert!(site.mock.spent() >= 3, "{} looks", site.mock.spent());
}

#[test]
fn locks_where_every_process_finds_another_token_or_an_error() {
    let site = watched();
    let lost = Fault::code("C_GetSlotList", 5, "CKR_DEVICE_REMOVED");
    for faults in [
        vec![lost.clone(), Fault::new("C_GetTokenInfo", 0, "other_serial")],
        vec![lost.clone(), Fault::code("C_GetTokenInfo", 0, "CKR_GENERAL_ERROR")],
        vec![lost, Fault::code("C_Initialize", 0, "CKR_GENERAL_ERROR")],
        vec![Fault::code("C_GetSlotList", 0, "CKR_DEVICE_ERROR")],
    ] {
        site.mock.set(&faults);
        wait_until(&format!("it is locked by {faults:?}"), SOON, || site.is_locked());
        assert_eq!(site.client().status().unwrap().reason, "the token was removed");
        site.mock.clear();
        site.unlock().unwrap();
    }
}

#[test]
fn says_that_nobody_watches_where_every_look_crashes_and_signs_on() {
    let site = watched();
    site.mock.set(&[Fault::new("C_GetSlotList", 0, "crash")]);
    let unseen = || {
        site.signs(&FIRST).unwrap();
        site.client().status().unwrap().weaknesses == ["token_unwatched"]
    };
    wait_until("status says so", SOON, unseen);
    assert!(site.agent.log().contains("nobody sees whether the token is removed"));
    site.mock.clear();
    wait_until("it is seen again", 2 * SOON, || !unseen());
    assert!(!site.is_locked());
}

/// Pulled out at some moment of an enrolment, and of an unlock, each time another.
#[test]
fn locks_also_when_the_token_is_pulled_out_while_it_is_worked_with() {
    let site = watched();
    let disk = site.disk();
    let outcomes = [Some(0), Some(5), Some(10), Some(20), Some(40), Some(80), None].map(|moment| {
        let enrolled = unplugged_while(&site, moment, || site.enroll(&THIRD));
        wait_until("it is locked", SOON, || site.is_locked());
        match &enrolled {
            Ok(()) => site.client().remove(THIRD.name).unwrap(),
            Err(error) => clear(error).unwrap(),
        }
        assert_eq!(site.disk(), disk);

        site.mock.clear();
        if let Err(error) = unplugged_while(&site, moment, || site.unlock()) {
            clear(&error).unwrap();
        }
        wait_until("it is locked", SOON, || site.is_locked());
        site.mock.clear();
        site.unlock().unwrap();
        for key in [FIRST, SECOND] {
            site.signs(&key).unwrap();
        }
        assert_eq!(site.disk(), disk);
        enrolled.is_ok()
    });
    assert!(outcomes.contains(&true) && outcomes.contains(&false), "one moment only was tried: {outcomes:?}");
}

/// Pulls the token out before `work`, so many milliseconds after it has begun, or when it is done.
fn unplugged_while<T: Send>(site: &Site, moment_ms: Option<u64>, work: impl FnOnce() -> T + Send) -> T {
    if moment_ms == Some(0) {
        site.mock.unplug();
        return work();
    }
    std::thread::scope(|scope| {
        let working = scope.spawn(work);
        let Some(moment_ms) = moment_ms else {
            let done = working.join().unwrap();
            site.mock.unplug();
            return done;
        };
        std::thread::sleep(Duration::from_millis(moment_ms));
        site.mock.unplug();
        working.join().unwrap()
    })
}
