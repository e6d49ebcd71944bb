//! Whether a principal may do what it asks. A decision is pure: values in, a verdict out.

use std::fmt;
use std::rc::Rc;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::identity::Principal;

/// Proof that policy said yes to this. Only a [`Permit`] makes one; who acts on it spends it.
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

/// The rules that allow, and those that deny.
const ADMIN: &str = "admin";
const CLIENT: &str = "client";
const OWN_USER: &str = "own-user";
const OWNER: &str = "owner";
const NO_ADMINS: &str = "no-admins";
const NO_GRANT: &str = "no-grant";
const NOT_ADMIN: &str = "not-admin";
const OTHER_USER: &str = "other-user";

/// What an operation needs of whoever asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// One of the configuration's admins.
    Admin,
    /// Somebody who was let in.
    Known,
    /// Somebody who may have requests signed.
    Signer,
}

/// Proof that a principal has what one operation needs. Only a [`Policy`] makes one; it is good for one order.
#[must_use]
#[derive(Debug)]
pub(crate) struct Permit {
    by: Decision,
    sight: Sight,
}

/// Which credentials a principal is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    All,
    /// No grant names it.
    Nothing,
}

impl Permit {
    /// What a command does with files that this process owns, where no agent runs: the system decides who may.
    pub(crate) fn of_the_owner() -> Self {
        Self { by: Decision { who: Rc::new(Principal::own()), rule: OWNER }, sight: Sight::All }
    }

    /// Which credentials the principal is told of.
    pub(crate) const fn sight(&self) -> Sight {
        self.sight
    }

    /// Authorises the order that it was given for.
    pub(crate) fn order<T>(self, order: T) -> Authorized<T> {
        Authorized { order, by: self.by }
    }
}

/// Policy said no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    #[error("refusing {who}: this is for admins, and the configuration names none")]
    NoAdmins { who: String, served: u32 },
    #[error("refusing {who}: no grant names it")]
    NoGrant { who: String },
    #[error("refusing {who}: this is for admins, and it is none")]
    NotAdmin { who: String },
    #[error("refusing user {uid}: it is neither the agent's user nor an admin")]
    Stranger { uid: u32 },
}

impl Denied {
    /// The rule that said no.
    pub(crate) const fn rule(&self) -> &'static str {
        match self {
            Self::NoAdmins { .. } => NO_ADMINS,
            Self::NoGrant { .. } => NO_GRANT,
            Self::NotAdmin { .. } => NOT_ADMIN,
            Self::Stranger { .. } => OTHER_USER,
        }
    }
}

/// Who may do what: admins everything but sign; the agent's own user and admins sign.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    served: u32,
    admins: Vec<Admin>,
}

impl Policy {
    /// The policy of an agent that runs as user `served`.
    const fn new(served: u32, admins: Vec<Admin>) -> Self {
        Self { served, admins }
    }

    /// The policy of this process.
    pub(crate) fn own(admins: Vec<Admin>) -> Self {
        Self::new(rustix::process::geteuid().as_raw(), admins)
    }

    /// Who is an admin, as it is written.
    pub(crate) fn admins(&self) -> impl Iterator<Item = String> {
        self.admins.iter().map(ToString::to_string)
    }

    /// Whether a principal is let in at all.
    ///
    /// # Errors
    /// [`Denied::Stranger`].
    pub(crate) fn admit(&self, who: &Principal) -> Result<(), Denied> {
        if who.client.is_some() || self.is_own(who) || self.is_admin(who) {
            Ok(())
        } else {
            Err(Denied::Stranger { uid: who.uid })
        }
    }

    /// Whether a principal may do what needs this.
    ///
    /// # Errors
    /// [`Denied`].
    pub(crate) fn permit(&self, who: &Rc<Principal>, needs: Needs) -> Result<Permit, Denied> {
        self.admit(who)?;
        let is_trusted = self.is_own(who) || self.is_admin(who);
        match needs {
            Needs::Admin if self.is_admin(who) => {}
            Needs::Admin if self.admins.is_empty() => {
                return Err(Denied::NoAdmins { who: who.to_string(), served: self.served });
            }
            Needs::Admin => return Err(Denied::NotAdmin { who: who.to_string() }),
            Needs::Signer if !is_trusted => return Err(Denied::NoGrant { who: who.to_string() }),
            Needs::Known | Needs::Signer => {}
        }
        let rule = match needs {
            Needs::Admin => ADMIN,
            Needs::Known | Needs::Signer if self.is_own(who) => OWN_USER,
            Needs::Known | Needs::Signer if is_trusted => ADMIN,
            Needs::Known | Needs::Signer => CLIENT,
        };
        let sight = if is_trusted { Sight::All } else { Sight::Nothing };
        Ok(Permit { by: Decision { who: Rc::clone(who), rule }, sight })
    }

    /// Who speaks as a client is that client only.
    fn is_own(&self, who: &Principal) -> bool {
        who.client.is_none() && who.uid == self.served
    }

    fn is_admin(&self, who: &Principal) -> bool {
        who.client.is_none() && self.admins.contains(&Admin(who.uid))
    }
}

/// A user who may do everything but sign. Written `user:1000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Admin(u32);

/// The text names no admin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an admin is written as user:UID, for example user:1000")]
pub(crate) struct NoAdmin;

impl Admin {
    /// Whoever runs this process.
    pub(crate) fn this_user() -> Self {
        Self(rustix::process::getuid().as_raw())
    }

    /// Its user id.
    pub(crate) const fn uid(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Admin {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "user:{}", self.0)
    }
}

impl FromStr for Admin {
    type Err = NoAdmin;

    fn from_str(text: &str) -> Result<Self, NoAdmin> {
        let admin = Self(text.strip_prefix("user:").and_then(|uid| uid.parse().ok()).ok_or(NoAdmin)?);
        // One spelling each, and not the id that means none.
        if admin.to_string() == text && admin.0 != u32::MAX { Ok(admin) } else { Err(NoAdmin) }
    }
}

impl TryFrom<String> for Admin {
    type Error = NoAdmin;

    fn try_from(text: String) -> Result<Self, NoAdmin> {
        text.parse()
    }
}

impl From<Admin> for String {
    fn from(admin: Admin) -> Self {
        admin.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(uid: u32) -> Rc<Principal> {
        Rc::new(Principal { uid, ..Principal::own() })
    }

    fn client(uid: u32) -> Rc<Principal> {
        Rc::new(Principal { uid, client: Some("grid-bot".parse().unwrap()), ..Principal::own() })
    }

    fn says(policy: &Policy, who: &Rc<Principal>) -> [Result<Sight, Denied>; 3] {
        [Needs::Known, Needs::Signer, Needs::Admin]
            .map(|needs| policy.permit(who, needs).map(|permit| permit.sight()))
    }

    #[test]
    fn gives_each_role_its_own_and_nothing_more() {
        let policy = Policy::new(1000, vec![Admin(0), Admin(7)]);
        for (who, admins) in [(user(1000), false), (user(0), true), (user(7), true)] {
            let name = who.to_string();
            let admin = if admins { Ok(Sight::All) } else { Err(Denied::NotAdmin { who: name }) };
            assert_eq!(says(&policy, &who), [Ok(Sight::All), Ok(Sight::All), admin]);
        }
        for uid in [1, 999, 1001, u32::MAX] {
            assert_eq!(says(&policy, &user(uid)), [(); 3].map(|()| Err(Denied::Stranger { uid })));
        }
    }

    /// Neither the agent's user nor an admin is more than the client that it says it is.
    #[test]
    fn takes_who_has_shown_a_token_for_that_client_only() {
        let policy = Policy::new(1000, vec![Admin(0)]);
        for uid in [0, 1000, 1001, 65_534] {
            let who = || "client:grid-bot".to_owned();
            let expected = [
                Ok(Sight::Nothing),
                Err(Denied::NoGrant { who: who() }),
                Err(Denied::NotAdmin { who: who() }),
            ];
            assert_eq!(says(&policy, &client(uid)), expected);
        }
    }

    #[test]
    fn makes_nobody_an_admin_who_is_not_named() {
        let policy = Policy::new(1000, vec![]);
        let denied = Denied::NoAdmins { who: "user:1000".to_owned(), served: 1000 };
        assert_eq!(says(&policy, &user(1000)), [Ok(Sight::All), Ok(Sight::All), Err(denied)]);
        assert_eq!(policy.permit(&user(0), Needs::Admin).err(), Some(Denied::Stranger { uid: 0 }));
    }

    #[test]
    fn reads_an_admin_in_one_spelling() {
        assert_eq!("user:0".parse(), Ok(Admin(0)));
        assert_eq!("user:4294967294".parse(), Ok(Admin(u32::MAX - 1)));
        for text in [
            "",
            "0",
            "user:",
            "user:root",
            "user:+1",
            "user:01",
            "user:-1",
            "user:4294967295",
            "user:1 ",
            "User:1",
        ] {
            assert_eq!(text.parse::<Admin>(), Err(NoAdmin), "{text}");
        }
    }
}
