//! Running many cases on a few installations at a time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use strongroom_client::Error;
use strongroom_softhsm_tests::mock::Fault;
use strongroom_softhsm_tests::process::SOON;

/// Patience of the agents whose modules hang: a small part of a second would do for what does not hang, but for a busy
/// machine.
pub(crate) const HANGING_S: u32 = 15;
/// So many of them hang at a time.
pub(crate) const HANGING_SITES: usize = 16;
/// Patience of the others: more than any answer takes on a busy machine.
pub(crate) const WORKING_S: u32 = 30;

/// Tries `check` for every fault, on `sites` installations at a time that `site` makes. `check` tells
/// whether the fault was felt; most must be, so that nothing passes by doing nothing.
///
/// # Panics
/// With every case that failed.
pub(crate) fn try_all<S>(
    faults: Vec<Fault>,
    sites: usize,
    site: impl Fn() -> S + Sync,
    check: impl Fn(&S, &Fault) -> Result<bool, String> + Sync,
) {
    let cases = faults.len();
    let waiting = Mutex::new(faults);
    // One after another: it is work for the machine, and what is tried here is not.
    let making = Mutex::new(());
    let site = || {
        let _one = making.lock().unwrap_or_else(PoisonError::into_inner);
        site()
    };
    let wrong = Mutex::new(Vec::new());
    let felt = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..sites {
            scope.spawn(|| {
                let mut here = site();
                loop {
                    let Some(fault) = waiting.lock().unwrap().pop() else { return };
                    match check(&here, &fault) {
                        Ok(is_felt) => drop(felt.fetch_add(is_felt.into(), Ordering::Relaxed)),
                        Err(reason) => {
                            wrong.lock().unwrap().push(format!("{fault}: {reason}"));
                            // What is wrong with one case must not spoil the next.
                            here = site();
                        }
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    let felt = felt.into_inner();
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(felt > cases / 2, "only {felt} of {cases} faults were felt");
}

/// Checks that a call ended in bounded time: on a busy machine too, and long before a hang ends by itself.
pub(crate) fn bounded(began: Instant) -> Result<(), String> {
    if began.elapsed() > SOON { Err(format!("took {:?}", began.elapsed())) } else { Ok(()) }
}

/// Checks that an error is an answer of the agent which says what is wrong and what to do.
pub(crate) fn clear(error: &Error) -> Result<(), String> {
    match error {
        Error::Refused { message, hint, .. } if message.len() > 10 && hint.len() > 10 => {
            let mine = ["a defect of strongroom", "private protocol", "another question", "pthread"];
            match mine.iter().find(|word| message.contains(**word)) {
                Some(word) => Err(format!("tells of {word}: {message}")),
                None => Ok(()),
            }
        }
        other => Err(format!("no clear error: {other:?}")),
    }
}
