//! Whether a principal may do what it asks. A decision is pure: values in, a verdict out.

use std::fmt;
use std::rc::Rc;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strongroom_policy::Subject;

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

    /// What was authorised, to look at.
    pub(crate) const fn order(&self) -> &T {
        &self.order
    }

    /// Who asked, and why it may be.
    pub(crate) fn decision(&self) -> Decision {
        self.by.clone()
    }
}

/// What an operation needs of whoever asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// One of the configuration's admins.
    Admin,
    /// Somebody who was let in. Whether a request is signed is for the grants of its credential to say.
    Known,
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
    /// Those with a grant that names it.
    Granted,
}

impl Permit {
    /// What a command does with files that this process owns, where no agent runs: the system decides who may.
    pub(crate) fn of_the_owner() -> Self {
        Self { by: Decision { who: Rc::new(Principal::own()), rule: "owner" }, sight: Sight::All }
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
    #[error("refusing {who}: this is for admins, and it is none")]
    NotAdmin { who: String },
    #[error("refusing user {uid}: it is neither the agent's user nor an admin, and no grant names it")]
    Stranger { uid: u32 },
}

impl Denied {
    /// The rule that said no.
    pub(crate) const fn rule(&self) -> &'static str {
        match self {
            Self::NoAdmins { .. } => "no-admins",
            Self::NotAdmin { .. } => "not-admin",
            Self::Stranger { .. } => "stranger",
        }
    }
}

/// Who is let in, and who may do everything but sign.
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

    /// Lets a principal in, or does not, and says by which rule. `is_named` says whether any grant names it.
    ///
    /// # Errors
    /// [`Denied::Stranger`].
    pub(crate) fn admit(
        &self,
        who: &Principal,
        is_named: impl FnOnce() -> bool,
    ) -> Result<&'static str, Denied> {
        // Who speaks as a client is that client only.
        if who.client.is_some() {
            Ok("client")
        } else if self.is_admin(who) {
            Ok("admin")
        } else if who.uid == self.served {
            Ok("own-user")
        } else if is_named() {
            Ok("granted")
        } else {
            Err(Denied::Stranger { uid: who.uid })
        }
    }

    /// Whether a principal that was let in may do what needs this.
    ///
    /// # Errors
    /// [`Denied`].
    pub(crate) fn permit(&self, who: &Rc<Principal>, needs: Needs) -> Result<Permit, Denied> {
        let rule = self.admit(who, || true)?;
        if needs == Needs::Admin && !self.is_admin(who) {
            let name = who.to_string();
            return Err(match self.admins.as_slice() {
                [] => Denied::NoAdmins { who: name, served: self.served },
                _ => Denied::NotAdmin { who: name },
            });
        }
        let is_trusted = who.client.is_none() && (who.uid == self.served || self.is_admin(who));
        let sight = if is_trusted { Sight::All } else { Sight::Granted };
        Ok(Permit { by: Decision { who: Rc::clone(who), rule }, sight })
    }

    fn is_admin(&self, who: &Principal) -> bool {
        who.client.is_none() && self.admins.contains(&Admin(who.uid))
    }
}

/// Whether a grant to this subject is one to this principal.
pub(crate) fn is_to(subject: &Subject, who: &Principal) -> bool {
    match (subject, &who.client) {
        (Subject::Client(name), Some(client)) => name == client.as_str(),
        (Subject::User(uid), None) => *uid == who.uid,
        (Subject::Unit(name), None) => who.unit.as_ref().is_some_and(|unit| unit.as_str() == name),
        // Who speaks as a client is that client only.
        (Subject::Client(_), None) | (Subject::User(_) | Subject::Unit(_), Some(_)) => false,
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

    fn says(policy: &Policy, who: &Principal, is_named: bool) -> [Result<Sight, Denied>; 2] {
        let who = Rc::new(who.clone());
        [Needs::Known, Needs::Admin].map(|needs| {
            policy.admit(&who, || is_named)?;
            policy.permit(&who, needs).map(|permit| permit.sight())
        })
    }

    #[test]
    fn gives_each_role_its_own_and_nothing_more() {
        let policy = Policy::new(1000, vec![Admin(0), Admin(7)]);
        for (who, admins) in [(user(1000), false), (user(0), true), (user(7), true)] {
            let name = who.to_string();
            let admin = if admins { Ok(Sight::All) } else { Err(Denied::NotAdmin { who: name }) };
            assert_eq!(says(&policy, &who, false), [Ok(Sight::All), admin]);
        }
        for uid in [1, 999, 1001, u32::MAX] {
            assert_eq!(says(&policy, &user(uid), false), [(); 2].map(|()| Err(Denied::Stranger { uid })));
            let not_admin = Err(Denied::NotAdmin { who: format!("user:{uid}") });
            assert_eq!(says(&policy, &user(uid), true), [Ok(Sight::Granted), not_admin]);
        }
    }

    /// Neither the agent's user nor an admin is more than the client that it says it is.
    #[test]
    fn takes_who_has_shown_a_token_for_that_client_only() {
        let policy = Policy::new(1000, vec![Admin(0)]);
        for uid in [0, 1000, 1001, 65_534] {
            let not_admin = Err(Denied::NotAdmin { who: "client:grid-bot".to_owned() });
            assert_eq!(says(&policy, &client(uid), false), [Ok(Sight::Granted), not_admin]);
        }
    }

    #[test]
    fn makes_nobody_an_admin_who_is_not_named() {
        let policy = Policy::new(1000, vec![]);
        let denied = Denied::NoAdmins { who: "user:1000".to_owned(), served: 1000 };
        assert_eq!(says(&policy, &user(1000), true), [Ok(Sight::All), Err(denied)]);
        assert_eq!(says(&policy, &user(0), false), [(); 2].map(|()| Err(Denied::Stranger { uid: 0 })));
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
