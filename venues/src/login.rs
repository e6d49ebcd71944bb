//! WebSocket logins: texts that the agent builds itself, so that nobody signs anything else under their name.
//!
//! To the engine a login is a request with the method `WS` and the login's name for a path. What it may be told are
//! the parameters that the profile declares; what is signed is the profile's text, and what comes out is the frame to
//! send, or the headers of the handshake.

mod check;
mod plan;

use regex::bytes::Regex;

pub use self::check::LoginFinding;
pub(crate) use self::plan::{PARAMS, REQUEST, TEXT};
use crate::actions::Action;
use crate::clock::Moment;
use crate::request::Method;
use crate::rule::{Rule, When};
use crate::template::{Pattern, Slot};

/// One `[[ws]]` of a profile.
#[derive(Debug)]
pub struct Login {
    pub(crate) name: String,
    pub(crate) docs: String,
    pub(crate) about: String,
    /// `ws-NAME`
    pub(crate) rule_id: String,
    pub(crate) rule: Rule,
    /// Base URLs of accounts, and the sockets that belong to them; `*` for any other.
    pub(crate) urls: Vec<(String, String)>,
    pub(crate) params: Vec<LoginParam>,
    /// The endpoints that its requests are like, by the word for each.
    pub(crate) requests: Option<Vec<(String, Like)>>,
    /// The REST request that hands out the token instead, as `POST /path`.
    pub(crate) by: Option<String>,
    /// REST requests that have the same signed text.
    pub(crate) rest: Option<When>,
    pub(crate) also: Vec<Action>,
    /// Members of the frame that a sender fills as it likes, and that end the signed text.
    pub(crate) free: Vec<String>,
    pub(crate) push_only: bool,
    pub(crate) whole: bool,
    pub(crate) valid_s: u64,
    /// What the signed text looks like; nothing where it cannot be read back.
    pub(crate) text: Option<Regex>,
}

/// What one word of `requests` does.
#[derive(Debug)]
pub(crate) enum Like {
    /// The same as this endpoint.
    Endpoint(Method, String),
    /// It opens a session.
    Session,
}

/// A parameter of a login.
#[derive(Debug)]
pub struct LoginParam {
    pub(crate) name: String,
    pub(crate) slot: Slot,
    /// Nothing for a JSON value.
    pub(crate) pattern: Option<Pattern>,
    pub(crate) shape: String,
    pub(crate) default: Option<String>,
    pub(crate) optional: bool,
}

/// What a finished login is, beside the frame and the headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginFacts {
    /// Its name.
    pub name: String,
    /// The socket that it is for; nothing where the profile names none for the account's host.
    pub url: Option<String>,
    /// The signature as the frame has it, or the token.
    pub signature: String,
    /// Whether the frame is sent as it is; else its members go into a message of the bot's own.
    pub whole: bool,
    /// Until when the venue takes it, in milliseconds since 1970, where that is known.
    pub expires_unix_ms: Option<u64>,
}

impl Login {
    /// The name by which it is asked for.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The vendor's page; empty if the profile names none.
    #[must_use]
    pub fn docs(&self) -> &str {
        &self.docs
    }

    /// What the frame is and does, for people.
    #[must_use]
    pub fn about(&self) -> &str {
        &self.about
    }

    /// What it is called in decisions and logs: `ws-NAME`.
    #[must_use]
    pub fn rule_id(&self) -> &str {
        &self.rule_id
    }

    /// What may or must be said to it.
    #[must_use]
    pub fn params(&self) -> &[LoginParam] {
        &self.params
    }

    /// The words for its requests, where each is signed by itself, and what each is like.
    pub fn requests(&self) -> impl Iterator<Item = (&str, String)> {
        self.requests.iter().flatten().map(|(word, like)| {
            let like = match like {
                Like::Endpoint(method, path) => format!("{} {path}", method.name()),
                Like::Session => Action::Session.name().to_owned(),
            };
            (word.as_str(), like)
        })
    }

    /// The REST request to sign instead, where the venue hands out its socket's token by REST.
    #[must_use]
    pub fn by(&self) -> Option<&str> {
        self.by.as_deref()
    }

    /// The actions for which its signature is good as well, at REST endpoints.
    #[must_use]
    pub fn also(&self) -> &[Action] {
        &self.also
    }

    /// The members of the frame that a sender fills as it likes, behind what the profile signs: every text that
    /// begins like this login's is one.
    #[must_use]
    pub fn free(&self) -> &[String] {
        &self.free
    }

    /// Whether the socket only tells, and takes no orders.
    #[must_use]
    pub const fn push_only(&self) -> bool {
        self.push_only
    }

    /// The socket for an account at this base URL.
    #[must_use]
    pub fn url(&self, base_url: &str) -> Option<&str> {
        let of = |wanted: &str| self.urls.iter().find(|(host, _)| host == wanted);
        of(base_url).or_else(|| of("*")).map(|(_, url)| url.as_str())
    }

    pub(crate) fn facts(&self, base_url: &str, moment: &Moment) -> LoginFacts {
        const NS_PER_MS: u64 = 1_000_000;
        let expires = (moment.unix_ns / NS_PER_MS).saturating_add(self.valid_s.saturating_mul(1000));
        LoginFacts {
            name: self.name.clone(),
            url: self.url(base_url).map(str::to_owned),
            signature: String::new(),
            whole: self.whole,
            expires_unix_ms: (self.valid_s > 0).then_some(expires),
        }
    }
}

impl LoginParam {
    /// The pattern of its value, to be put into that of a text.
    pub(crate) fn shape_pattern(&self) -> String {
        if self.name == REQUEST { "[!-~]{1,64}".to_owned() } else { self.shape.clone() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The pattern that the whole value fits, or `JSON`.
    #[must_use]
    pub fn shape(&self) -> &str {
        &self.shape
    }

    /// What it is if it is left out.
    #[must_use]
    pub fn default(&self) -> Option<&str> {
        self.default.as_deref()
    }

    /// Whether it may be left out.
    #[must_use]
    pub const fn is_optional(&self) -> bool {
        self.optional || self.default.is_some()
    }
}
