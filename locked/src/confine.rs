//! Giving up, for good, what a process does not need.

use std::collections::BTreeMap;
use std::env::consts::ARCH;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetStatus, Scope,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule};

use crate::NAKED;

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

/// System calls, each with the rules of which one must fit; without rules it always fits.
pub type Calls = BTreeMap<i64, Vec<SeccompRule>>;

/// Takes away files, network and other processes, as far as the kernel knows Landlock.
#[must_use]
pub fn landlock() -> RulesetStatus {
    if NAKED {
        return RulesetStatus::NotEnforced;
    }
    let restricted = || {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI::V6))?
            .handle_access(AccessNet::from_all(ABI::V6))?
            .scope(Scope::from_all(ABI::V6))?
            .create()?
            .restrict_self()
    };
    restricted().map_or(RulesetStatus::NotEnforced, |status| status.ruleset)
}

/// Kills the process at any system call but these.
///
/// # Errors
/// [`ConfineError`]; the process must not go on then.
pub fn allow_only(calls: Calls) -> Result<(), ConfineError> {
    if NAKED {
        return Ok(());
    }
    let filter =
        SeccompFilter::new(calls, SeccompAction::KillProcess, SeccompAction::Allow, ARCH.try_into()?)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(seccompiler::apply_filter(&program)?)
}

/// What a process that computes with secrets, opens files and talks to devices never needs: to start
/// programs, to look into other processes, and the kernel's own interfaces.
pub const NEVER_NEEDED: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
];

/// Has the kernel refuse these calls with `EPERM`, in all threads, and allow all others.
///
/// # Errors
/// As [`allow_only`].
pub fn refuse(calls: &[i64]) -> Result<(), ConfineError> {
    let calls = calls.iter().map(|call| (*call, Vec::new())).collect();
    let refusal = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, refusal, ARCH.try_into()?)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(seccompiler::apply_filter_all_threads(&program)?)
}
