//! Whether anybody but the guard can trace the keeper.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use strongroom_link::keeper::{GREETING_JOB, Refusal};
use strongroom_scanner::{Traced, denying};
use strongroom_softhsm_tests::process::wait_until;

use crate::confine::{is_root, status_field};
use crate::front::{Answer, Keeper, PATIENCE, SECRET, SPEC, piped};

/// The guard of a keeper.
fn guard_of(keeper: &Keeper) -> u32 {
    let guard = status_field(keeper.id(), "TracerPid:").parse().expect("a process id");
    assert_ne!(guard, 0, "nobody traces it");
    guard
}

pub(crate) fn signal(process: u32, signal: Signal) {
    let pid = Pid::from_raw(process.try_into().expect("a process id")).expect("not zero");
    kill_process(pid, signal).expect("it runs");
}

#[test]
fn lets_nobody_else_trace_the_keeper_while_it_signs() {
    let mut keeper = Keeper::start();
    let mut port = keeper.open_seed_port();
    let envelope = keeper.seal(&mut port, SPEC, piped(SECRET.as_bytes()), None).expect("seals");
    keeper.load(&mut port, 0, SPEC, &envelope).expect("loads");
    let process = keeper.id();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let done = &done;
        let attacks = scope.spawn(move || {
            for _ in 0..100 {
                let refused = Traced::seize(process).err().map(|error| error.raw_os_error());
                assert_eq!(refused, Some(Some(libc::EPERM)));
            }
            done.store(true, Relaxed);
        });
        while !done.load(Relaxed) && !attacks.is_finished() {
            keeper.sign(0, b"m").expect("signs");
        }
    });
    // The control: without its guard it can be traced.
    if is_root() {
        let (keeper, protection) =
            Keeper::try_start(&[], |command| denying(command, libc::SYS_ptrace)).expect("starts");
        assert!(!protection.guarded);
        assert!(Traced::seize(keeper.id()).is_ok());
    }
}

#[test]
fn takes_the_keeper_with_it_when_it_is_killed() {
    let keeper = Keeper::start();
    signal(guard_of(&keeper), Signal::KILL);
    assert_eq!(keeper.ended().status.signal(), Some(libc::SIGKILL));
}

#[test]
fn ends_with_the_keeper() {
    let keeper = Keeper::start();
    let guard = guard_of(&keeper);
    assert!(keeper.hang_up().status.success());
    let gone = || {
        let stat = std::fs::read_to_string(format!("/proc/{guard}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    };
    wait_until("the guard ends without a keeper", PATIENCE, gone);
}

#[test]
fn stays_when_it_is_asked_to_end_and_when_the_keeper_is_stopped() {
    let mut keeper = Keeper::start();
    let guard = guard_of(&keeper);
    for asking in [Signal::TERM, Signal::INT, Signal::HUP] {
        signal(guard, asking);
    }
    signal(keeper.id(), Signal::STOP);
    signal(keeper.id(), Signal::CONT);
    keeper.open_seed_port();
    assert_eq!(guard_of(&keeper), guard);
}

#[test]
fn holds_nothing_and_can_do_nothing_else() {
    let keeper = Keeper::start();
    let guard = guard_of(&keeper);
    // The keeper is ready as soon as it is held; the guard gives up the rest a moment later.
    wait_until("it is confined", PATIENCE, || status_field(guard, "Seccomp:") == "2");
    assert_eq!(status_field(guard, "NoNewPrivs:"), "1");
    if is_root() {
        let folder = std::fs::read_dir(format!("/proc/{guard}/fd")).expect("root may");
        let links = folder.map(|entry| std::fs::read_link(entry.expect("an entry").path()).expect("a link"));
        let mut links: Vec<_> = links.map(|link| link.to_string_lossy().into_owned()).collect();
        links.sort();
        let [null_1, null_2, socket] = links.as_slice() else { panic!("{links:?}") };
        assert_eq!([null_1.as_str(), null_2], ["/dev/null"; 2]);
        assert!(socket.starts_with("socket:"), "{links:?}");
    }
}

/// A keeper that somebody else holds when it starts, so that its own guard is refused.
#[test]
fn is_missed_where_another_process_traces_the_keeper() {
    // SAFETY: makes one system call.
    let change = |command: &mut Command| unsafe {
        command.pre_exec(Traced::by_parent);
    };
    let mut keeper = Keeper::spawn(&[], change);
    let held = Traced::from_start(keeper.id());
    loop {
        let status = held.wait().expect("it runs");
        if !libc::WIFSTOPPED(status) {
            assert_eq!((libc::WIFEXITED(status), libc::WEXITSTATUS(status)), (true, 1));
            break;
        }
        let signal = libc::WSTOPSIG(status);
        held.go_on(if signal == libc::SIGTRAP { 0 } else { signal }).expect("it is stopped");
    }
    assert!(matches!(keeper.answer(), Answer::Refused(GREETING_JOB, Refusal::Traced)));
}
