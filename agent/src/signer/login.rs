//! Logging in to the token: whose PIN it is, where it is kept, and what is remembered of a wrong one.

use strongroom_link::token::{TokenDescription, TokenRefusal};

use super::report::Inspect;
use super::{Signer, busy};
use crate::crew::keeper::Keeper;
use crate::crew::token::{self, Login, TokenWorker};
use crate::crew::{CrewError, pin};
use crate::fault::{Fault, chain};
use crate::policy::Authorized;
use strongroom_protocol::ErrorCode;

/// Who has given a PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PinSource {
    /// The service manager or the command line that has started the agent: it would give it again.
    Itself,
    /// A person, who reads what is said about it.
    Person,
}

/// Whether a PIN that comes along may be kept, where the configuration says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// It serves this login alone.
    Never,
    /// The keeper lives on, and keeps it until the next lock.
    UntilLock,
}

/// What the configured token says about itself.
#[derive(Debug, Clone)]
pub(crate) struct TokenReport {
    pub(crate) token: TokenDescription,
    /// Whether the keeper has kept its PIN.
    pub(crate) kept: bool,
}

impl Signer {
    /// What the token says about itself and its PIN. Costs no try.
    ///
    /// # Errors
    /// Where the token is not there, or somebody works with it.
    pub(crate) async fn token(&self, order: Authorized<Inspect>) -> Result<TokenReport, Fault> {
        let Inspect = order.spend();
        let Ok(_alone) = self.custody.try_lock() else { return Err(busy()) };
        let token = token::look(&self.config).await?;
        let kept = self.keeps_pin();
        Ok(TokenReport { token, kept })
    }

    /// Opens the token for a keeper with exactly one try.
    ///
    /// A PIN that is to be kept goes to the keeper first, which gives it on to the worker; so does one that
    /// it has kept, where none comes along. Otherwise a person enters it on the token's pad. A PIN that did
    /// not open the token is not kept, and neither is an old one that is not right any more.
    pub(super) async fn log_in(
        &self,
        keeper: &Keeper,
        login: Login,
        keep: Keep,
    ) -> Result<TokenWorker, CrewError> {
        let config = &self.config.token;
        let port = keeper.open_seed_port().await?;
        let is_new = login.pin.is_some();
        let login = match login.pin {
            Some(pin) if keep == Keep::UntilLock && config.relogin => {
                keeper.keep_pin(pin::closed_pipe(pin, config.patience_s).await?).await?;
                Login { pin: Some(keeper.give_pin().await?), ..login }
            }
            // Nobody has said now that this PIN may be the last try.
            None if keeper.keeps_pin() => Login { pin: Some(keeper.give_pin().await?), final_try: false },
            pin => Login { pin, ..login },
        };
        let opened = token::open_configured(&self.config, login, Some(port)).await;
        if let Err(error) = &opened
            && keeper.keeps_pin()
            && (is_new || is_about_the_pin(error))
        {
            keeper.forget_pin().await?;
        }
        if let Ok(worker) = &opened {
            self.worker.set(Some(worker.protection()));
        }
        opened
    }

    /// Refuses a PIN that came by itself where such a one was wrong before.
    pub(super) fn check_latch(&self, source: PinSource) -> Result<(), Fault> {
        if source == PinSource::Person {
            return Ok(());
        }
        match self.store.pin_latch().set_since(&self.config.token.serial)? {
            None => Ok(()),
            Some(since) => Err(Fault::new(
                ErrorCode::Unavailable,
                format!("refusing to try the PIN that came by itself: such a PIN was wrong on {since}"),
                "correct it, and run `strongroom unlock` once",
            )),
        }
    }

    /// Keeps what a login has shown about PINs that come by themselves.
    pub(super) fn remember(&self, opened: &Result<TokenWorker, CrewError>, source: PinSource) {
        let latch = self.store.pin_latch();
        let kept = match (opened, source) {
            (Ok(_), _) => latch.clear(),
            (Err(CrewError::Token(TokenRefusal::PinIncorrect { .. })), PinSource::Itself) => {
                latch.set(&self.config.token.serial)
            }
            (Err(_), _) => Ok(()),
        };
        if let Err(error) = kept {
            tracing::error!(error = %chain(&error), "what is known of the PIN could not be kept");
        }
    }
}

const fn is_about_the_pin(error: &CrewError) -> bool {
    matches!(error, CrewError::Token(TokenRefusal::PinIncorrect { .. } | TokenRefusal::PinLocked))
}
