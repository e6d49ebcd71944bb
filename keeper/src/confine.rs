//! What the keeper gives up for good: all that answering the front does not need.
//!
//! Landlock takes files, network and other processes away; the filter leaves eighteen system
//! calls and kills the process at any other. Both stay for the life of the process. The filter alone
//! would do: Landlock holds where a call is let through by mistake.

use landlock::RulesetStatus;
use seccompiler::{BackendError, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};
use strongroom_link::keeper::Landlock;
use strongroom_locked::confine::{self, Calls, ConfineError};

/// Takes away files, network and other processes, as far as the kernel knows Landlock.
#[must_use]
pub fn landlock() -> Landlock {
    match confine::landlock() {
        RulesetStatus::FullyEnforced => Landlock::Full,
        RulesetStatus::PartiallyEnforced => Landlock::Partial,
        RulesetStatus::NotEnforced => Landlock::Absent,
    }
}

/// Kills the process at any system call that [`crate::serve`] does not need. `more` is what depends on
/// where things lie.
///
/// # Errors
/// [`ConfineError`]; the process must not go on then.
pub fn filter_system_calls(more: Calls) -> Result<(), ConfineError> {
    let mut calls = calls()?;
    for (call, rules) in more {
        let before = calls.entry(call).or_default();
        // A call that always fits has no rules.
        if rules.is_empty() {
            before.clear();
        } else {
            before.extend(rules);
        }
    }
    confine::allow_only(calls)
}

/// Kills the process at any system call of this thread but those that signing, sending and waiting take.
///
/// # Errors
/// [`ConfineError`]; the process must not go on then.
pub fn filter_slow_thread() -> Result<(), ConfineError> {
    let mut calls = calls()?;
    calls.retain(|call, _| {
        [libc::SYS_futex, libc::SYS_sendmsg, libc::SYS_write, libc::SYS_exit_group, libc::SYS_restart_syscall]
            .contains(call)
    });
    confine::allow_only(calls)
}

/// The system calls of [`crate::serve`].
///
/// Memory is all there, see [`strongroom_locked::memory::Memory::serve_all`]. A panic ends in `abort`, whose calls
/// are not here: the process is killed one step earlier, after its line is out.
fn calls() -> Result<Calls, BackendError> {
    let equals = |index, value: i32| {
        let value = u64::try_from(value).unwrap_or_default();
        SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
    };
    let only = |condition| SeccompRule::new(vec![condition]).map(|rule| vec![rule]);
    Ok(Calls::from([
        // The socket of the front.
        (libc::SYS_recvmsg, vec![]),
        (libc::SYS_sendmsg, vec![]),
        // Looking for the next question before it sleeps. Most kernels give the time without a call.
        (libc::SYS_sched_yield, vec![]),
        (libc::SYS_clock_gettime, vec![]),
        // Waking the thread for signatures that take long, and waiting for a lock that it holds.
        (libc::SYS_futex, vec![]),
        // The wire of seeds.
        (libc::SYS_socketpair, only(equals(0, libc::AF_UNIX)?)?),
        (libc::SYS_shutdown, only(equals(1, libc::SHUT_WR)?)?),
        // Pipes of secrets.
        (libc::SYS_fstat, vec![]),
        (libc::SYS_fcntl, [only(equals(1, libc::F_SETFL)?)?, only(equals(1, libc::F_GETFD)?)?].concat()),
        (libc::SYS_read, vec![]),
        (libc::SYS_close, vec![]),
        // Nonces.
        (libc::SYS_getrandom, vec![]),
        // The line for the front's log, and the end.
        (libc::SYS_write, only(equals(0, libc::STDERR_FILENO)?)?),
        (libc::SYS_exit_group, vec![]),
        // A call that a stop (SIGSTOP, a debugger) has interrupted goes on.
        (libc::SYS_restart_syscall, vec![]),
    ]))
}
