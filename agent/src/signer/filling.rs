//! The keeper that an unlock or an enrolment fills while the agent is locked: a lock ends it too.

use std::rc::Rc;

use strongroom_protocol::ErrorCode;

use super::Signer;
use crate::crew::keeper::Keeper;
use crate::fault::Fault;

/// Shows a keeper to [`lock_for`](Signer::lock_for) until it is part of the keyring, or not needed any more.
pub(super) struct Filling(Rc<Signer>);

impl Filling {
    /// Shows a keeper that holds nothing yet. Where the signer was locked since it counted `locks_before`, that
    /// lock has not seen it, so the caller must not fill it.
    ///
    /// There is one at a time, because whoever fills one has the custody of the token.
    pub(super) fn show(signer: &Rc<Signer>, keeper: &Keeper, locks_before: u64) -> Option<Self> {
        if signer.locks.get() != locks_before {
            return None;
        }
        signer.filling.replace(Some(keeper.clone()));
        Some(Self(Rc::clone(signer)))
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.0.filling.take();
    }
}

/// A lock came in between.
pub(super) fn overtaken(doing: &str, again: &str) -> Fault {
    Fault::new(ErrorCode::Locked, format!("the agent was locked while {doing}"), again)
}
