//! Lists that come in pages, which a hostile agent must not make endless.

use super::{Credential, Question};
use crate::error::Error;

/// Some of the credentials, by name.
pub(crate) struct Page {
    pub(super) credentials: Vec<Credential>,
    pub(super) more: bool,
}

/// Credentials out of pages.
pub(crate) struct Listing {
    credentials: Vec<Credential>,
    more: bool,
}

impl Listing {
    pub(crate) const fn new() -> Self {
        Self { credentials: Vec::new(), more: true }
    }

    /// The name behind which the next page begins; `None` where there is no next page.
    pub(crate) fn next(&self) -> Option<&str> {
        self.more.then(|| self.credentials.last().map_or("", |last| &last.name))
    }

    /// Refuses a page that does not go on in the order of names: it might never end.
    pub(crate) fn add(&mut self, page: Page) -> Result<(), Error> {
        if page.more && page.credentials.is_empty() {
            return Err(Error::wrong_reply());
        }
        for credential in page.credentials {
            if self.credentials.last().is_some_and(|last| last.name >= credential.name) {
                return Err(Error::wrong_reply());
            }
            self.credentials.push(credential);
        }
        self.more = page.more;
        Ok(())
    }

    pub(crate) fn into_credentials(self) -> Vec<Credential> {
        self.credentials
    }
}

/// Questions out of pages.
pub(crate) struct Questions(Vec<Question>);

impl Questions {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// The number behind which the next page begins.
    pub(crate) fn after(&self) -> u64 {
        self.0.last().map_or(0, |last| last.number)
    }

    /// Whether there may be more behind this page. Refuses one that does not go on in the order of numbers: they
    /// might never end.
    pub(crate) fn add(&mut self, page: Vec<Question>) -> Result<bool, Error> {
        let is_last = page.is_empty();
        for question in page {
            if question.number <= self.after() {
                return Err(Error::wrong_reply());
            }
            self.0.push(question);
        }
        Ok(!is_last)
    }

    pub(crate) fn into_questions(self) -> Vec<Question> {
        self.0
    }
}
