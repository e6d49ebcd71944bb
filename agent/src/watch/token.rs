//! Whether the token is still there.
//!
//! While the agent is unlocked a token worker of its own, which has no PIN and logs in nowhere, lists the
//! slots and reads the description of the token, again and again (docs/adr/0011). What that worker says
//! counts only where it sees the token: a module that has once lost its token may never find it again.
//! So where it does not, fresh processes look before the token is called gone, one after the other: to one alone a
//! token can be missing for a moment. SoftHSM empties the file of a token at each login before it writes it anew.

use std::rc::Rc;
use std::time::{Duration, Instant};

use strongroom_link::token::TokenRefusal;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::config::{OnTokenRemoved, TokenConfig};
use crate::crew::CrewError;
use crate::crew::token::TokenWorker;
use crate::fault::chain;
use crate::signer::{Signer, TokenSight};

/// After the kernel has told of a device, those between it and the module may need a moment to see it.
const SOON: Duration = Duration::from_millis(250);
/// How many such looks follow.
const SOON_LOOKS: u32 = 8;
/// A token that is gone, or cannot be looked for, is looked for more and more rarely, up to this.
const RARELY: Duration = Duration::from_secs(15);
/// So many fresh processes in a row must not find it, and this time lies between two of them.
const FRESH_LOOKS: u32 = 3;
const BETWEEN: Duration = Duration::from_millis(250);
/// How long it may stay unknown, beyond the time between two looks, before `status` says so.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);

/// What a look has shown.
enum Look {
    Present,
    /// Fresh processes do not find it.
    Gone(TokenRefusal),
    /// The process that looked has failed, which says nothing about the token.
    Failed(CrewError),
}

/// Locks whenever the token is gone, or says so, as configured.
pub(super) async fn watch(signer: Rc<Signer>, device_gone: Rc<Notify>) {
    loop {
        let gone = signer.while_unlocked(Watch::new(&signer).until_gone(&device_gone)).await;
        signer.note_token(TokenSight::Present);
        if let Some(refusal) = gone {
            tracing::warn!(%refusal, "the token was removed");
            super::lock(&signer, "the token was removed").await;
        }
    }
}

/// The watch of one unlocked time.
struct Watch<'a> {
    signer: &'a Signer,
    token: &'a TokenConfig,
    /// Runs from one look to the next.
    worker: Option<TokenWorker>,
    /// When the token was last seen, or the watch began.
    seen: Instant,
    /// Looks in a row that did not see it.
    missed: u32,
    /// Looks that are still to come soon.
    soon: u32,
}

impl<'a> Watch<'a> {
    fn new(signer: &'a Signer) -> Self {
        let token = &signer.config().token;
        Self { signer, token, worker: None, seen: Instant::now(), missed: 0, soon: 0 }
    }

    /// Returns when the token is gone and the keys are to be forgotten.
    async fn until_gone(mut self, device_gone: &Notify) -> TokenRefusal {
        self.seen = Instant::now();
        loop {
            tokio::select! {
                () = sleep(self.pause()) => self.soon = self.soon.saturating_sub(1),
                () = device_gone.notified() => self.soon = SOON_LOOKS,
            }
            match self.look().await {
                Look::Present => self.is_present(),
                Look::Gone(refusal) if self.token.on_token_removed == OnTokenRemoved::Lock => return refusal,
                Look::Gone(refusal) => self.is_gone(&refusal),
                Look::Failed(error) => self.is_unknown(&error),
            }
        }
    }

    /// How long until the next look.
    fn pause(&self) -> Duration {
        let every = Duration::from(self.token.watch_every_s);
        match (self.missed, self.soon) {
            (0, 0) => every,
            (0, _) => every.min(SOON),
            (missed, _) => every.saturating_mul(1 << missed.min(6)).min(RARELY).max(every),
        }
    }

    async fn look(&mut self) -> Look {
        if let Some(mut worker) = self.worker.take()
            && worker.look(self.token).await.is_ok()
        {
            self.worker = Some(worker);
            return Look::Present;
        }
        // One that is called gone already stays so until it is seen.
        let more = if self.missed == 0 { FRESH_LOOKS.saturating_sub(1) } else { 0 };
        for _ in 0..more {
            match self.look_afresh().await {
                Look::Gone(refusal) => {
                    tracing::info!(%refusal, "the token is not seen; another process looks")
                }
                seen_or_failed => return seen_or_failed,
            }
            sleep(BETWEEN).await;
        }
        self.look_afresh().await
    }

    /// Looks by a process that has not looked before.
    async fn look_afresh(&mut self) -> Look {
        let weak = self.signer.config().agent.danger_allow_weak_memory;
        let started = TokenWorker::start(&self.token.environment, self.token.patience_s, weak).await;
        let mut fresh = match started {
            Ok(fresh) => fresh,
            Err(error) => return Look::Failed(error),
        };
        match fresh.look(self.token).await {
            Ok(()) => {
                self.worker = Some(fresh);
                Look::Present
            }
            Err(CrewError::Token(refusal)) if !refusal.is_blind() => Look::Gone(refusal),
            Err(error) => Look::Failed(error),
        }
    }

    fn is_present(&mut self) {
        self.seen = Instant::now();
        self.missed = 0;
        if self.signer.note_token(TokenSight::Present) != TokenSight::Present {
            tracing::info!("the token is there again");
        }
    }

    fn is_gone(&mut self, refusal: &TokenRefusal) {
        self.missed = self.missed.saturating_add(1);
        if self.signer.note_token(TokenSight::Gone) != TokenSight::Gone {
            tracing::warn!(%refusal, "the token was removed; the keys stay, as on_token_removed says");
        }
    }

    fn is_unknown(&mut self, error: &CrewError) {
        self.missed = self.missed.saturating_add(1);
        tracing::warn!(error = %chain(error), "the token could not be looked for");
        let bound = UNKNOWN_FOR.saturating_add(self.token.watch_every_s.into());
        if self.seen.elapsed() >= bound && self.signer.note_token(TokenSight::Unknown) != TokenSight::Unknown
        {
            tracing::error!("nobody sees whether the token is removed, until this is mended");
        }
    }
}
