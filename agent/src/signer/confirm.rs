//! A request that waits for a human.

use std::rc::Rc;

use strongroom_venues::SignedRequest;

use super::account::Account;
use super::sign::SignError;
use super::told::{MAX_TOLD_BYTES, Told};

/// Why there was no yes to something that needs one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unconfirmed {
    #[error(
        "a human has said yes, but the credential or its grants were changed meanwhile, so that it means something else now"
    )]
    Changed,
    #[error("the connection has ended, and nobody has said yes")]
    Ended,
    #[error("nobody has said yes within {seconds} s")]
    Late { seconds: u64 },
    #[error("{who} has said no")]
    No { who: String },
    #[error(
        "a human must say yes to this, and its text has more than {MAX_TOLD_BYTES} bytes: too many to be read"
    )]
    TooLong,
    #[error("a human must say yes to this, and {most} requests wait for one already")]
    TooMany { most: usize },
    #[error("a human must say yes to this, and {most} requests of {who} wait for one already")]
    TooManyOfOne { most: usize, who: String },
}

/// What a human has said yes to.
#[derive(Debug, Clone)]
pub(crate) struct Confirmed {
    /// As it was told. What is signed must be told in the same words.
    pub(crate) told: Rc<Told>,
    /// Who has said so: `user:1000`.
    pub(crate) by: String,
}

/// Is called once, with what came of a request.
pub(crate) type Deliver = Box<dyn FnOnce(Result<SignedRequest, SignError>)>;

/// A request that is neither signed nor refused yet: a human is to be asked.
#[must_use]
pub(crate) struct Waiting {
    pub(crate) told: Rc<Told>,
    account: Account,
    deliver: Deliver,
}

impl Waiting {
    pub(super) fn new(told: Rc<Told>, account: Account, deliver: Deliver) -> Self {
        Self { told, account, deliver }
    }

    /// Refuses it, and writes down why.
    pub(crate) fn deny(mut self, why: Unconfirmed) {
        self.account.go_on();
        self.account.close(Err(why.into()), self.deliver);
    }

    /// Who is to hear what comes of it, where it is asked for anew.
    pub(crate) fn into_deliver(self) -> Deliver {
        self.deliver
    }
}
