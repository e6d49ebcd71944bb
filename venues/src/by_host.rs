//! `[by_host]`: words that go with the pinned host, so that a request for the test net is never one for the main net.

use crate::error::RequestError;

/// The words of each host, all under the same names.
#[derive(Debug, Clone, Default)]
pub(crate) struct HostWords(Vec<(String, Vec<(String, String)>)>);

impl HostWords {
    pub(crate) const fn none() -> Self {
        Self(Vec::new())
    }

    /// Words for one host more.
    pub(crate) fn push(&mut self, host: String, words: Vec<(String, String)>) {
        self.0.push((host, words));
    }

    /// The hosts that have words.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(host, _)| host.as_str())
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every host has a word called `name`. The error is a sentence without a place.
    pub(crate) fn check(&self, name: &str) -> Result<(), String> {
        if self.0.is_empty() {
            return Err("`{by_host:…}` needs the section `by_host`, which is missing".to_owned());
        }
        match self.0.iter().find(|(_, words)| !words.iter().any(|(known, _)| known == name)) {
            None => Ok(()),
            Some((host, _)) => Err(format!("`by_host` has no word `{name}` for {host}")),
        }
    }

    /// The word called `name` of the host at `base_url`.
    pub(crate) fn word(&self, base_url: &str, name: &str) -> Result<&str, RequestError> {
        let words = self.0.iter().find(|(host, _)| host == base_url).map(|(_, words)| words);
        let word = words.and_then(|words| words.iter().find(|(known, _)| known == name));
        let fact = "is none of the hosts for which the profile has words";
        word.map(|(_, word)| word.as_str()).ok_or(RequestError::Account { field: "base URL", fact })
    }
}
