//! What those who watch over a signer are told, and tell it.

use std::time::Instant;

use super::{Signer, State};
use crate::config::Config;

/// What is known of the token while the agent is unlocked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum TokenSight {
    /// It was there at the last look, or is not looked for.
    #[default]
    Present,
    /// It is gone, and the keys stay.
    Gone,
    /// Nobody can tell: looking for it fails.
    Unknown,
}

impl TokenSight {
    /// How `status` calls it.
    pub(super) const fn weakness(self) -> Option<&'static str> {
        match self {
            Self::Present => None,
            Self::Gone => Some("token_gone"),
            Self::Unknown => Some("token_unwatched"),
        }
    }
}

impl Signer {
    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    /// Waits until the agent is unlocked, does `work`, and gives it up where the agent is locked meanwhile.
    pub(crate) async fn while_unlocked<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut unlocked = self.unlocked.subscribe();
        let _ = unlocked.wait_for(|unlocked| *unlocked).await;
        tokio::select! {
            done = work => Some(done),
            _ = unlocked.wait_for(|unlocked| !unlocked) => None,
        }
    }

    /// When a signature was last asked for, while it is unlocked.
    pub(crate) fn last_use(&self) -> Option<Instant> {
        match &*self.keyring.borrow() {
            State::Unlocked(keyring) => Some(keyring.state.last_use),
            State::Locked(_) => None,
        }
    }

    /// Notes what is known of the token, for `status`; gives what was known before.
    pub(crate) fn note_token(&self, sight: TokenSight) -> TokenSight {
        self.token_sight.replace(sight)
    }
}
