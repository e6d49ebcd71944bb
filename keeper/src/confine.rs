//! Giving up, for good, all that answering the front does not need.
//!
//! Landlock takes files, network and other processes away; the filter leaves about a dozen system
//! calls and kills the process at any other. Both stay for the life of the process. The filter alone
//! would do: Landlock holds where a call is let through by mistake.

use std::collections::BTreeMap;
use std::env::consts::ARCH;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetStatus, Scope,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use strongroom_link::keeper::Landlock;

/// Why the process is not confined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfineError {
    /// The filter cannot be made for this processor, or the kernel takes none.
    #[error("the system call filter cannot be installed")]
    Filter(#[source] seccompiler::Error),
}

impl<E: Into<seccompiler::Error>> From<E> for ConfineError {
    fn from(error: E) -> Self {
        Self::Filter(error.into())
    }
}

/// Takes away files, network and other processes, as far as the kernel knows Landlock.
#[must_use]
pub fn landlock() -> Landlock {
    let restricted = || {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI::V6))?
            .handle_access(AccessNet::from_all(ABI::V6))?
            .scope(Scope::from_all(ABI::V6))?
            .create()?
            .restrict_self()
    };
    match restricted().map(|status| status.ruleset) {
        Ok(RulesetStatus::FullyEnforced) => Landlock::Full,
        Ok(RulesetStatus::PartiallyEnforced) => Landlock::Partial,
        Ok(RulesetStatus::NotEnforced) | Err(_) => Landlock::Absent,
    }
}

/// What a process does for the rest of its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// [`crate::guard`].
    Guard,
    /// [`crate::serve`].
    Keeper,
}

type Calls = BTreeMap<i64, Vec<SeccompRule>>;

/// The system calls of [`crate::guard`].
fn for_the_guard() -> Calls {
    BTreeMap::from([
        (libc::SYS_wait4, vec![]),
        (libc::SYS_ptrace, vec![]),
        (libc::SYS_exit_group, vec![]),
        (libc::SYS_restart_syscall, vec![]),
    ])
}

/// The system calls of [`crate::serve`].
///
/// Memory is all there, see [`crate::memory::Memory::serve_all`]. A panic ends in `abort`, whose calls
/// are not here: the process is killed one step earlier, after its line is out.
fn for_the_keeper() -> Result<Calls, seccompiler::BackendError> {
    let equals = |index, value: i32| {
        let value = u64::try_from(value).unwrap_or_default();
        SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
    };
    let only = |condition| SeccompRule::new(vec![condition]).map(|rule| vec![rule]);
    Ok(BTreeMap::from([
        // The socket of the front.
        (libc::SYS_recvmsg, vec![]),
        (libc::SYS_sendmsg, vec![]),
        // Looking for the next question before it sleeps. Most kernels give the time without a call.
        (libc::SYS_sched_yield, vec![]),
        (libc::SYS_clock_gettime, vec![]),
        // Pipes of seeds and secrets.
        (libc::SYS_pipe2, only(equals(1, libc::O_CLOEXEC)?)?),
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

/// Kills the process at any system call that its role does not need.
///
/// # Errors
/// [`ConfineError`]; the process must not go on then.
pub fn filter_system_calls(role: Role) -> Result<(), ConfineError> {
    let calls = match role {
        Role::Guard => for_the_guard(),
        Role::Keeper => for_the_keeper()?,
    };
    let filter =
        SeccompFilter::new(calls, SeccompAction::KillProcess, SeccompAction::Allow, ARCH.try_into()?)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(seccompiler::apply_filter(&program)?)
}
