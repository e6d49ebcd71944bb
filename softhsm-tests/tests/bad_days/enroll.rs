//! Every fault at every call of `enroll`.

use std::time::Instant;

use strongroom_softhsm_tests::mock::Fault;

use crate::case::{HANGING_S, WORKING_S, bounded, clear, try_all};
use crate::matrix;
use crate::site::{FIRST, SECOND, Site, THIRD};

/// An unlocked site on which the third credential was enrolled and removed once.
fn unlocked(patience_s: u32) -> Site {
    let site = Site::new(patience_s);
    site.unlock().unwrap();
    site.enroll(&THIRD).unwrap();
    site.client().remove(THIRD.name).unwrap();
    site
}

/// The calls of an enrolment on which nothing goes wrong.
fn calls() -> Vec<String> {
    let site = unlocked(WORKING_S);
    site.mock.forget_calls();
    site.enroll(&THIRD).unwrap();
    site.mock.calls()
}

/// Tells whether the command was refused.
fn check(site: &Site, fault: &Fault) -> Result<bool, String> {
    site.mock.set(std::slice::from_ref(fault));
    site.mock.forget_calls();
    let (disk, pid) = (site.disk(), site.agent.pid());
    let began = Instant::now();
    let outcome = site.watched(&[FIRST, SECOND], || site.enroll(&THIRD))?;
    bounded(fault, began)?;
    if site.mock.logins() > 1 {
        return Err(format!("{} logins for one PIN", site.mock.logins()));
    }
    match &outcome {
        Ok(()) => {
            site.signs(&THIRD)?;
            site.client().remove(THIRD.name).map_err(|error| format!("remove: {error}"))?;
        }
        Err(error) => {
            clear(error)?;
            if site.ready() != [FIRST.name, SECOND.name] {
                return Err(format!("after {error} these can sign: {:?}", site.ready()));
            }
        }
    }
    if site.disk() != disk {
        return Err(format!("the disk has changed after {outcome:?}"));
    }
    site.mock.clear();
    site.mock.forget_calls();
    site.enroll(&THIRD).map_err(|error| format!("not healed after {outcome:?}: {error}"))?;
    if site.mock.logins() != 1 {
        return Err(format!("{} logins to enrol", site.mock.logins()));
    }
    for key in [FIRST, SECOND, THIRD] {
        site.signs(&key)?;
    }
    site.client().remove(THIRD.name).map_err(|error| format!("remove: {error}"))?;
    let same = site.client().status().is_ok_and(|status| status.pid == pid);
    if !same || site.disk() != disk {
        return Err("the agent or the disk is another".to_owned());
    }
    Ok(outcome.is_err())
}

#[test]
fn survives_every_fault_at_every_call_of_enroll() {
    try_all(matrix::faults(&calls()), (4, 1), || unlocked(WORKING_S), check);
}

#[test]
fn gives_up_an_enrolment_whose_module_hangs_at_any_function() {
    try_all(matrix::hangs(&calls()), (8, 1), || unlocked(HANGING_S), check);
}
