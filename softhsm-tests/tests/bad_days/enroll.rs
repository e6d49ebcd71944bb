//! Every fault at every call of `enroll`.

use std::time::Instant;

use strongroom_softhsm_tests::mock::Fault;

use crate::case::{HANGING_S, HANGING_SITES, WORKING_S, bounded, clear, try_all};
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
    bounded(began)?;
    // What comes when the record is in force is no reason to refuse; it is told.
    let behind = site.client().status().is_ok_and(|status| status.weaknesses == ["anchor_behind"]);
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
    site.is_tidy(fault)?;
    let same = site.client().status().is_ok_and(|status| status.pid == pid);
    if !same || site.disk() != disk {
        return Err("the agent or the disk is another".to_owned());
    }
    Ok(outcome.is_err() || behind)
}

#[test]
fn survives_every_fault_at_every_call_of_enroll() {
    try_all(matrix::faults(&calls()), 4, || unlocked(WORKING_S), check);
}

/// On a locked agent an enrolment has a keeper of its own.
fn check_locked(site: &Site, fault: &Fault) -> Result<bool, String> {
    site.mock.set(std::slice::from_ref(fault));
    let disk = site.disk();
    let outcome = site.watched(&[], || site.enroll(&THIRD))?;
    if let Err(error) = &outcome {
        clear(error)?;
        if site.disk() != disk {
            return Err(format!("the disk has changed after {error}"));
        }
        site.mock.clear();
        site.enroll(&THIRD).map_err(|again| format!("not healed after {error}: {again}"))?;
    }
    site.mock.clear();
    site.unlock().map_err(|error| format!("unlock: {error}"))?;
    site.signs(&THIRD)?;
    site.client().remove(THIRD.name).map_err(|error| format!("remove: {error}"))?;
    site.is_tidy(fault)?;
    site.client().lock().map_err(|error| format!("lock: {error}"))?;
    Ok(outcome.is_err())
}

#[test]
fn survives_faults_of_an_enrolment_while_locked() {
    let mut faults = matrix::faults(&calls());
    faults.retain(|fault| fault.nth == 1 && !fault.after);
    let locked = || {
        let site = unlocked(WORKING_S);
        site.client().lock().unwrap();
        site
    };
    try_all(faults, 4, locked, check_locked);
}

#[test]
fn gives_up_an_enrolment_whose_module_hangs_at_any_function() {
    try_all(matrix::hangs(&calls()), HANGING_SITES, || unlocked(HANGING_S), check);
}
