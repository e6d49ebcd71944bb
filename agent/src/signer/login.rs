//! Logging in to the token: whose PIN it is, where it is kept, and what is remembered of a wrong one.

use std::os::fd::OwnedFd;

use strongroom_link::token::{TokenDescription, TokenRefusal};
use strongroom_protocol::ErrorCode;

use super::report::Inspect;
use super::{Signer, busy};
use crate::crew::keeper::Keeper;
use crate::crew::token::{self, Login, TokenWorker};
use crate::crew::{CrewError, pin};
use crate::fault::{Fault, chain};
use crate::policy::Authorized;
use crate::store::StoreError;
use crate::store::latch::Outcome;

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
        let Inspect { .. } = order.spend();
        let Ok(_alone) = self.custody.try_lock() else { return Err(busy()) };
        let token = token::look(&self.config).await?;
        let kept = self.keeps_pin();
        Ok(TokenReport { token, kept })
    }

    /// Opens the token for a keeper with exactly one try, and checks its KEK again.
    ///
    /// A PIN that is to be kept goes to the keeper first, which gives it on to the worker; so does one that
    /// it has kept, where none comes along. Otherwise a person enters it on the token's pad. A PIN that did
    /// not open the token is not kept, and neither is an old one that may not be right any more.
    pub(super) async fn log_in(
        &self,
        keeper: &Keeper,
        login: Login,
        keep: Keep,
        source: PinSource,
    ) -> Result<TokenWorker, Fault> {
        let port = keeper.open_seed_port().await?;
        let config = &self.config.token;
        match login.pin {
            Some(pin) if keep == Keep::UntilLock && config.relogin => {
                let pin = pin::closed_pipe(pin, config.patience_s).await?;
                let opened = self.open_keeping(keeper, pin, login.final_try, port, source).await;
                if opened.is_err() {
                    forget_pin(keeper).await;
                }
                opened
            }
            // Nobody has said now that this PIN may be the last try.
            None if keeper.keeps_pin() => {
                let login = Login { pin: Some(keeper.give_pin().await?), final_try: false };
                let mut worker = self.start_worker().await?;
                if let Err(failed) = self.open(&mut worker, login, port, self.kept_from.get()).await {
                    if failed.tried {
                        forget_pin(keeper).await;
                    }
                    return Err(failed.fault);
                }
                self.check_kek(worker).await
            }
            pin => {
                let mut worker = self.start_worker().await?;
                let login = Login { pin, ..login };
                self.open(&mut worker, login, port, source).await.map_err(|failed| failed.fault)?;
                self.check_kek(worker).await
            }
        }
    }

    /// Opens the token with a PIN that the keeper keeps from now on.
    async fn open_keeping(
        &self,
        keeper: &Keeper,
        pin: OwnedFd,
        final_try: bool,
        port: OwnedFd,
        source: PinSource,
    ) -> Result<TokenWorker, Fault> {
        keeper.keep_pin(pin).await?;
        self.kept_from.set(source);
        let login = Login { pin: Some(keeper.give_pin().await?), final_try };
        let mut worker = self.start_worker().await?;
        self.open(&mut worker, login, port, source).await.map_err(|failed| failed.fault)?;
        self.check_kek(worker).await
    }

    async fn start_worker(&self) -> Result<TokenWorker, Fault> {
        Ok(token::start_configured(&self.config).await?)
    }

    /// Makes the one try. One by a PIN that came by itself is written down before, and only what is
    /// certain is taken back: so whatever ends the worker or this process meanwhile, it is not repeated.
    async fn open(
        &self,
        worker: &mut TokenWorker,
        login: Login,
        port: OwnedFd,
        source: PinSource,
    ) -> Result<(), NotOpened> {
        let config = &self.config.token;
        let latch = self.store.pin_latch();
        if source == PinSource::Itself {
            latch.set(&config.serial, Outcome::Unknown).map_err(|error| NotOpened {
                tried: false,
                fault: Fault::new(
                    ErrorCode::Unavailable,
                    format!("refusing to try a PIN that came by itself: {}", chain(&error)),
                    "mend that, so that a wrong one can be remembered; or enter the PIN",
                ),
            })?;
        }
        let module = config.module.to_string_lossy();
        let opened = worker.open(&module, &config.serial, &config.label, login, Some(port)).await;
        let Err(error) = opened else {
            self.worker.set(Some(worker.protection()));
            if source == PinSource::Itself {
                self.clear_latch();
            }
            return Ok(());
        };
        let tried = !is_before_the_login(&error);
        if source == PinSource::Itself {
            if !tried {
                self.clear_latch();
            } else if matches!(error, CrewError::Token(TokenRefusal::PinIncorrect { .. })) {
                noted(latch.set(&config.serial, Outcome::Wrong));
            }
        }
        Err(NotOpened { tried, fault: Fault::from(error) })
    }

    async fn check_kek(&self, mut worker: TokenWorker) -> Result<TokenWorker, Fault> {
        let config = &self.config.token;
        worker.find_kek(&config.kek_label, Some(config.kek_id)).await?;
        Ok(worker)
    }

    /// Refuses a PIN that came by itself where such a one was not right before, or may not have been.
    pub(super) fn check_latch(&self, source: PinSource) -> Result<(), Fault> {
        if source == PinSource::Person {
            return Ok(());
        }
        match self.store.pin_latch().latched(&self.config.token.serial)? {
            None => Ok(()),
            Some(latched) => Err(Fault::new(
                ErrorCode::Unavailable,
                format!("refusing to try the PIN that came by itself: such a PIN {latched}"),
                "correct it, and run `strongroom unlock` once",
            )),
        }
    }

    /// PINs that come by themselves may be tried again.
    pub(super) fn clear_latch(&self) {
        noted(self.store.pin_latch().clear());
    }
}

/// The token was not opened.
struct NotOpened {
    /// Whether the PIN may have been tried.
    tried: bool,
    fault: Fault,
}

fn noted(kept: Result<(), StoreError>) {
    if let Err(error) = kept {
        tracing::error!(error = %chain(&error), "what is known of the PIN could not be kept");
    }
}

/// Has the keeper wipe the PIN. What the login has failed for is what there is to tell, so not this.
async fn forget_pin(keeper: &Keeper) {
    if let Err(error) = keeper.forget_pin().await {
        tracing::warn!(error = %chain(&error), "the keeper has not said that it has wiped the PIN");
    }
}

/// Whether an opening has certainly failed before the token was given a PIN. What is not known to be so is not:
/// a token that says that it has locked its PIN may have been asked, and have counted that.
fn is_before_the_login(error: &CrewError) -> bool {
    let CrewError::Token(refusal) = error else { return false };
    match refusal {
        TokenRefusal::ModuleCall { function, .. } => function != LOGIN,
        TokenRefusal::MemoryFull { call, .. } => !call.contains(LOGIN),
        TokenRefusal::ModuleLoad { .. }
        | TokenRefusal::TokenAbsent { .. }
        | TokenRefusal::PinFinalTry
        | TokenRefusal::PinMissing { .. }
        | TokenRefusal::PadAbsent
        // Nobody has entered one.
        | TokenRefusal::PadCancelled { .. }
        | TokenRefusal::SecretMemoryAbsent
        | TokenRefusal::SecretMemoryFailed
        | TokenRefusal::LockLimit { .. }
        | TokenRefusal::Confinement
        | TokenRefusal::Traced => true,
        _ => false,
    }
}

/// The call that spends a try.
const LOGIN: &str = "C_Login";
