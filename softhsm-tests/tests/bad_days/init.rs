//! Every fault at every call of `init`, which makes the KEK and has no agent.

use std::time::Instant;

use strongroom_softhsm_tests::mock::{Fault, Mock};
use strongroom_softhsm_tests::room::{Room, Run};

use crate::case::{HANGING_S, HANGING_SITES, WORKING_S, bounded, try_all};
use crate::matrix;

struct Bare {
    room: Room,
    mock: Mock,
    patience: String,
}

impl Bare {
    fn new(patience_s: u32) -> Self {
        let (token, mock) = Mock::token();
        Self { room: Room::with(token), mock, patience: patience_s.to_string() }
    }

    fn init(&self) -> Run {
        self.mock.forget_calls();
        self.room.init(&["--patience", &self.patience])
    }
}

fn calls() -> Vec<String> {
    let bare = Bare::new(WORKING_S);
    let _ = bare.init().ok();
    bare.mock.calls()
}

/// Tells whether the command was refused.
fn check(bare: &Bare, fault: &Fault) -> Result<bool, String> {
    let config = bare.room.config();
    let _ = std::fs::remove_file(&config);
    bare.mock.erase();
    bare.mock.set(std::slice::from_ref(fault));
    let began = Instant::now();
    let run = bare.init();
    bounded(began)?;
    if bare.mock.logins() > 1 {
        return Err(format!("{} logins for one PIN", bare.mock.logins()));
    }
    let worked = run.status.success();
    let told = run.code() > 0 && run.stderr.contains("error: ") && run.stderr.contains("\nhint: ");
    if !(worked || told) {
        return Err(format!("exit {}: {}", run.code(), run.stderr));
    }
    if run.stderr.contains("a defect of strongroom") || run.stderr.contains("private protocol") {
        return Err(run.stderr);
    }
    if config.exists() != worked {
        return Err(format!("exit {}, but the configuration: {}", run.code(), config.exists()));
    }
    bare.mock.clear();
    let again = bare.init();
    if !again.status.success() {
        return Err(format!("not healed after {}: {}", run.stderr, again.stderr));
    }
    if bare.mock.logins() != 1 { Err(format!("{} logins", bare.mock.logins())) } else { Ok(!worked) }
}

#[test]
fn survives_every_fault_at_every_call_of_init() {
    try_all(matrix::faults(&calls()), 4, || Bare::new(WORKING_S), check);
}

#[test]
fn gives_up_an_init_whose_module_hangs_at_any_function() {
    try_all(matrix::hangs(&calls()), HANGING_SITES, || Bare::new(HANGING_S), check);
}
