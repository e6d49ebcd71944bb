//! Giving up, for good, what a process does not need.

use std::collections::BTreeMap;
use std::env::consts::ARCH;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetStatus, Scope,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule};

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
    apply(SeccompFilter::new(calls, SeccompAction::KillProcess, SeccompAction::Allow, ARCH.try_into()?)?)
}

fn apply(filter: SeccompFilter) -> Result<(), ConfineError> {
    let program: BpfProgram = filter.try_into()?;
    Ok(seccompiler::apply_filter(&program)?)
}
