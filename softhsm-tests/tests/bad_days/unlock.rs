//! Every fault at every call of `unlock`.

use std::time::Instant;

use strongroom_softhsm_tests::mock::Fault;

use crate::case::{HANGING_S, HANGING_SITES, WORKING_S, bounded, clear, try_all};
use crate::matrix;
use crate::site::{FIRST, SECOND, Site};

/// The calls of an unlock on which nothing goes wrong.
fn calls() -> Vec<String> {
    let site = Site::new(WORKING_S);
    site.unlock().unwrap();
    site.mock.calls()
}

/// Tells whether the command was refused, or the agent has warned: an unlock does without what the token does for the
/// audit log.
fn check(site: &Site, fault: &Fault) -> Result<bool, String> {
    site.client().lock().map_err(|error| format!("lock: {error}"))?;
    site.mock.set(std::slice::from_ref(fault));
    site.mock.forget_calls();
    let disk = site.disk();
    let warnings = site.warnings();
    let began = Instant::now();
    let outcome = site.watched(&[], || site.unlock())?;
    let is_felt = outcome.is_err() || site.warnings() > warnings;
    bounded(began)?;
    if let Err(error) = &outcome {
        clear(error)?;
    }
    let logins = site.mock.logins();
    if logins > 1 {
        return Err(format!("{logins} logins for one PIN"));
    }
    let ready = site.ready();
    for key in [FIRST, SECOND].iter().filter(|key| ready.iter().any(|name| name == key.name)) {
        site.signs(key)?;
    }
    match (&outcome, ready.len()) {
        (Ok(()), 0) => return Err("unlocked with nothing that can sign".to_owned()),
        // A wrong answer may look like a damaged record; a failed call must not.
        (Ok(()), 1) if fault.act == "return" => return Err("a record was blamed".to_owned()),
        (Err(error), 2) => return Err(format!("refused although all can sign: {error}")),
        _ => {}
    }
    if site.disk() != disk {
        return Err("the disk has changed".to_owned());
    }
    site.mock.clear();
    site.mock.forget_calls();
    site.unlock().map_err(|error| format!("not healed after {outcome:?}: {error}"))?;
    let logins = site.mock.logins();
    if logins != usize::from(ready.len() < 2) {
        return Err(format!("{logins} logins to load what was missing beside {ready:?}"));
    }
    site.signs(&FIRST)?;
    site.signs(&SECOND)?;
    site.is_tidy(fault)?;
    if site.disk() == disk { Ok(is_felt) } else { Err("the disk has changed".to_owned()) }
}

#[test]
fn survives_every_fault_at_every_call_of_unlock() {
    try_all(matrix::faults(&calls()), 4, || Site::new(WORKING_S), check);
}

#[test]
fn gives_up_an_unlock_whose_module_hangs_at_any_function() {
    try_all(matrix::hangs(&calls()), HANGING_SITES, || Site::new(HANGING_S), check);
}
