//! A venue's rules, compiled.

use std::sync::Arc;

use strongroom_link::key::KeySpec;

use crate::actions::ActionTable;
use crate::compile::{self, compile};
use crate::error::{KeyIdError, ProfileError, RequestError};
use crate::key_id::KeyIdShape;
use crate::login::Login;
use crate::plan::Plan;
use crate::request::{Method, Request};
use crate::rule::{Covers, Rule, When};

/// A venue profile: how one exchange wants its requests signed. Immutable, and cheap to clone.
#[derive(Debug, Clone)]
pub struct Profile {
    pub(crate) compiled: Arc<Compiled>,
}

/// What a [`Profile`] shares with the requests that it made.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) docs: String,
    pub(crate) checked: String,
    pub(crate) hosts: Vec<String>,
    pub(crate) key_spec: KeySpec,
    /// What the venue's key ids look like, where that is known.
    pub(crate) key_id: Option<KeyIdShape>,
    pub(crate) needs_uid: bool,
    /// The front that a `cut` takes off the path decides nothing, because each call has one front alone.
    pub(crate) front_unsigned: bool,
    /// Whether a query that is not signed decides nothing, because no call takes one.
    pub(crate) query_unsigned: bool,
    /// The one endpoint that takes the venue's signatures.
    pub(crate) endpoint: Option<(Method, String)>,
    pub(crate) actions: ActionTable,
    pub(crate) base: Rule,
    pub(crate) cases: Vec<(When, Rule)>,
    pub(crate) logins: Vec<Login>,
}

/// Which rule of a profile a request falls under; cases and logins by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RuleAt {
    Base,
    Case(usize),
    Login(usize),
}

impl Compiled {
    /// The rule at this place.
    pub(crate) fn rule(&self, at: RuleAt) -> &Rule {
        let found = match at {
            RuleAt::Base => None,
            RuleAt::Case(at) => self.cases.get(at).map(|(_, rule)| rule),
            RuleAt::Login(at) => self.logins.get(at).map(|login| &login.rule),
        };
        found.unwrap_or(&self.base)
    }
}

impl Profile {
    /// Compiles the TOML text of a profile; `docs/reference/profiles.md` is its grammar.
    ///
    /// # Errors
    /// The first thing that is wrong, with line and column.
    pub fn compile(text: &str) -> Result<Self, ProfileError> {
        match compile(text)? {
            compile::Text::Signed(compiled) => Ok(Self { compiled }),
            compile::Text::SendOnly(_, refusal) => Err(refusal),
        }
    }

    /// The id by which a credential names its venue.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.compiled.id
    }

    /// The venue's name for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.compiled.name
    }

    /// The vendor's page on signing; empty if the profile names none.
    #[must_use]
    pub fn docs(&self) -> &str {
        &self.compiled.docs
    }

    /// When the profile was last compared, and with what.
    #[must_use]
    pub fn checked(&self) -> &str {
        &self.compiled.checked
    }

    /// What the keeper must know about a secret of this venue.
    #[must_use]
    pub fn key_spec(&self) -> KeySpec {
        self.compiled.key_spec
    }

    /// What the venue's key ids are, for people; empty if the profile does not say.
    #[must_use]
    pub fn key_id(&self) -> &str {
        self.compiled.key_id.as_ref().map_or("", |shape| &shape.is)
    }

    /// Whether `key_id` looks like one of this venue's, as far as the profile says what they look like.
    ///
    /// # Errors
    /// What the venue's key ids are, or that this one has a slip in it.
    pub fn check_key_id(&self, key_id: &str) -> Result<(), KeyIdError> {
        self.compiled.key_id.as_ref().map_or(Ok(()), |shape| shape.check(key_id))
    }

    /// Whether a credential of this venue needs a user id.
    #[must_use]
    pub fn needs_uid(&self) -> bool {
        self.compiled.needs_uid
    }

    /// The base URLs of the venue, the default first, without a slash at the end.
    #[must_use]
    pub fn hosts(&self) -> &[String] {
        &self.compiled.hosts
    }

    /// What the venue's endpoints do, and where orders have their fields.
    #[must_use]
    pub fn actions(&self) -> &ActionTable {
        &self.compiled.actions
    }

    /// The venue's WebSocket logins, the default first.
    #[must_use]
    pub fn logins(&self) -> &[Login] {
        &self.compiled.logins
    }

    /// What the signature binds as a rule; [`Plan::covers`] is exact for one request.
    #[must_use]
    pub fn covers(&self) -> Covers {
        self.compiled.base.covers
    }

    /// Parses and checks `request`, and picks the rule by which it is signed.
    ///
    /// # Errors
    /// Why the request is refused, by the name of the venue's own rule.
    pub fn plan<'a>(&'a self, request: &'a Request<'a>) -> Result<Plan<'a>, RequestError> {
        Plan::make(self, request)
    }
}
