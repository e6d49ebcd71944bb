//! Whether anybody but the guard can trace the worker, or a thread of its module.

use std::os::unix::process::ExitStatusExt as _;

use rustix::process::{Pid, Signal, kill_process};
use strongroom_link::token::{GREETING_JOB, Rung, TokenRefusal};
use strongroom_scanner::{Traced, denying};

use crate::faults::Faulty;
use crate::front::{Answer, Front, WORKER};

/// A field of `/proc/PID/task/THREAD/status`.
fn field(process: u32, thread: u32, name: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{process}/task/{thread}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
}

fn threads(process: u32) -> Vec<u32> {
    let folder = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    folder.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect()
}

#[test]
fn holds_every_thread_of_a_module_that_goes_on_working() {
    let module = Faulty::new();
    let mut front = module.open_with("threads");
    let process = front.child.id();
    let kek = front.make("kek");
    let (blob, seed) = front.protect(kek, Rung::AesGcm);
    let guard = field(process, process, "TracerPid:");
    assert_ne!(guard, "0");
    let mut most = 0;
    std::thread::scope(|scope| {
        let attacks = scope.spawn(|| {
            for _ in 0..100 {
                for thread in threads(process) {
                    // One that has ended meanwhile is no success either.
                    let refused = Traced::seize(thread).unwrap_err().raw_os_error();
                    assert!(matches!(refused, Some(libc::EPERM | libc::ESRCH)), "{refused:?}");
                }
                most = most.max(threads(process).len());
            }
        });
        while !attacks.is_finished() {
            assert_eq!(front.unprotect(kek, Rung::AesGcm, &blob), Ok(seed));
        }
        attacks.join().unwrap();
    });
    // The first, the one that watches the front, the one of the module that stays.
    assert!(most >= 3, "{most} threads");
    for thread in threads(process) {
        // One of the module's may end meanwhile.
        let Ok(status) = std::fs::read_to_string(format!("/proc/{process}/task/{thread}/status")) else {
            continue;
        };
        for line in [format!("TracerPid:\t{guard}\n"), "Seccomp:\t2\n".to_owned()] {
            assert!(status.contains(&line), "{thread}: {status}");
        }
    }
    let (status, talk) = front.end();
    assert_eq!((status.code(), talk.as_str()), (Some(0), ""));

    // The control: without its guard it can be traced.
    if rustix::process::geteuid().is_root() {
        let (front, protection) = Front::try_start(&module.environment("threads"), &[WORKER], |command| {
            denying(command, libc::SYS_ptrace);
        })
        .unwrap();
        assert!(!protection.guarded);
        assert!(Traced::seize(front.child.id()).is_ok());
    }
}

#[test]
fn takes_the_worker_with_it_when_it_is_killed() {
    let module = Faulty::new();
    let mut front = module.open_with("threads");
    let process = front.child.id();
    let guard = field(process, process, "TracerPid:").parse().unwrap();
    kill_process(Pid::from_raw(guard).unwrap(), Signal::KILL).unwrap();
    assert_eq!(front.child.wait().unwrap().signal(), Some(libc::SIGKILL));
}

/// A worker that somebody else holds when it starts, so that its own guard is refused.
#[test]
fn is_missed_where_another_process_traces_the_worker() {
    let mut front = Front::spawn(&[], &[WORKER], strongroom_scanner::traced_from_start);
    let held = Traced::from_start(front.child.id());
    loop {
        let status = held.wait().unwrap();
        if !libc::WIFSTOPPED(status) {
            assert_eq!((libc::WIFEXITED(status), libc::WEXITSTATUS(status)), (true, 1));
            break;
        }
        let signal = libc::WSTOPSIG(status);
        held.go_on(if signal == libc::SIGTRAP { 0 } else { signal }).unwrap();
    }
    assert_eq!(front.answer(GREETING_JOB), Answer::Refused(TokenRefusal::Traced));
}
