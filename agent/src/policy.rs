//! Whether a principal may do what it asks. A decision is pure: values in, a verdict out.

use std::rc::Rc;

use crate::identity::Principal;

/// Proof that policy said yes to this. Only [`Policy::decide`] makes one; who acts on it spends it.
#[must_use]
#[derive(Debug)]
pub(crate) struct Authorized<T> {
    order: T,
    by: Decision,
}

/// Who was allowed something, and by which rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) who: Rc<Principal>,
    pub(crate) rule: &'static str,
}

impl<T> Authorized<T> {
    /// Gives what was authorised, once.
    pub(crate) fn spend(self) -> T {
        self.order
    }

    /// Who asked, and why it may be.
    pub(crate) fn decision(&self) -> Decision {
        self.by.clone()
    }
}

/// The rule that allows, and the one that denies.
const OWN_USER: &str = "own-user";
const OTHER_USER: &str = "other-user";

/// Policy said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("refusing user {asked}: this agent serves user {served} only")]
pub(crate) struct Denied {
    asked: u32,
    served: u32,
}

impl Denied {
    /// The rule that said no.
    #[expect(clippy::unused_self, reason = "there is one such rule in this version")]
    pub(crate) const fn rule(&self) -> &'static str {
        OTHER_USER
    }
}

/// The rule of this version: an agent serves the user that it runs as, and nobody else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    served: u32,
}

impl Policy {
    /// The policy of an agent that runs as `uid`.
    const fn new(uid: u32) -> Self {
        Self { served: uid }
    }

    /// The policy of this process.
    pub(crate) fn own() -> Self {
        Self::new(rustix::process::geteuid().as_raw())
    }

    /// Decides about one order.
    ///
    /// # Errors
    /// [`Denied`].
    pub(crate) fn decide<T>(self, principal: &Rc<Principal>, order: T) -> Result<Authorized<T>, Denied> {
        if principal.uid == self.served {
            Ok(Authorized { order, by: Decision { who: Rc::clone(principal), rule: OWN_USER } })
        } else {
            Err(Denied { asked: principal.uid, served: self.served })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serves_its_own_user_and_refuses_every_other() {
        let policy = Policy::new(1000);
        let of = |uid| Rc::new(Principal { uid, ..Principal::own() });
        let order = policy.decide(&of(1000), "order").map(Authorized::spend);
        assert_eq!(order, Ok("order"));
        for uid in [0, 999, 1001, u32::MAX] {
            let refused = policy.decide(&of(uid), "order").map(Authorized::spend);
            assert_eq!(refused, Err(Denied { asked: uid, served: 1000 }));
        }
    }
}
