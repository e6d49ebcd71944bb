//! What root, or the agent's own user, gets of the secrets of the real programs. Every search is run on
//! something that must be found too, or it proves nothing.
//!
//! One program without the usual harness: its cases run one after another and make one table.
//! `cargo test --test leak [NAME…]` runs the cases whose names contain one of these;
//! `STRONGROOM_LEAK_SAMPLES` sets how many dumps of each busy process are taken;
//! `--write FILE` writes the page of the book with all figures.

#![forbid(unsafe_code)]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail by a panic"
)]

mod after;
mod client;
mod control;
mod cores;
mod descriptors;
mod family;
mod held;
mod loops;
mod page;
mod registers;
mod report;
mod serving;
mod site;
mod swap;
mod texts;
mod user;

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;

use report::Report;
use strongroom_softhsm_tests::process::is_root_or_skip;

type Case = fn(&mut Report);

/// In the order of the page.
const CASES: &[(&str, Case)] = &[
    ("finds_everything_in_a_naive_signer_and_nothing_in_an_ignorant_one", control::signers),
    ("finds_everything_in_an_agent_with_ordinary_memory", control::weak_agent),
    ("shows_root_nothing_in_memory_idle_and_busy", serving::idle_and_busy),
    ("shows_root_nothing_in_a_storm_of_signals", serving::storm),
    ("shows_root_nothing_where_the_c_library_uses_avx2_only", serving::avx2),
    ("shows_root_nothing_in_registers", registers::case),
    ("shows_root_nothing_while_it_enrols", loops::enrols),
    ("shows_root_nothing_while_it_unlocks", loops::unlocks),
    ("shows_root_nothing_of_a_pin_in_a_worker_that_logs_in", held::case),
    ("shows_root_nothing_afterwards", after::case),
    ("leaves_no_core_with_a_secret", cores::case),
    ("has_nothing_that_could_be_mapped", descriptors::case),
    ("swaps_no_secret_out", swap::case),
    ("writes_no_secret_anywhere", texts::case),
    ("is_closed_to_its_own_user", user::case),
];

fn main() -> ExitCode {
    let mut names = Vec::new();
    let mut write = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--write" => write = arguments.next().map(PathBuf::from),
            // As the usual harness takes them.
            option if option.starts_with('-') => {}
            _ => names.push(argument),
        }
    }
    if !is_root_or_skip("looking into processes as an attacker does") {
        return if Report::new().needs_all() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let mut report = Report::new();
    let mut failed = Vec::new();
    for (name, case) in CASES {
        if !names.is_empty() && !names.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let began = std::time::Instant::now();
        say(&format!("leak::{name} ..."));
        let faults_before = report.faults();
        if catch_unwind(AssertUnwindSafe(|| case(&mut report))).is_err() {
            report.fact(name, "broke off", false);
        }
        let holds = report.faults() == faults_before;
        if !holds {
            failed.push(*name);
        }
        let verdict = if holds { "ok" } else { "FAILED" };
        say(&format!("leak::{name} ... {verdict} ({:.1} s)", began.elapsed().as_secs_f64()));
    }
    say(&report.table());
    if let Some(path) = write {
        page::write(&path, &report).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    if failed.is_empty() {
        say("test result: ok");
        return ExitCode::SUCCESS;
    }
    say(&report.details());
    say(&format!("test result: FAILED. {failed:?}"));
    ExitCode::FAILURE
}

/// Not by a macro: the workspace prints deliberately only.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
