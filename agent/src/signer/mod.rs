//! From an authorised order to a signature: the keyring, and what changes it.
//!
//! The keyring is locked or unlocked, and only the unlocked one can sign. It is unlocked by
//! [`unlock`], fed by [`enroll`], used by [`sign`] and described by [`report`].

pub(crate) mod accept;
mod account;
mod anchor;
mod audit_key;
mod checkpoint;
pub(crate) mod confirm;
pub(crate) mod enroll;
mod filling;
mod floors;
mod gate;
pub(crate) mod grants;
mod keep;
mod keyring;
mod known;
pub(crate) mod login;
pub(crate) mod metrics;
pub(crate) mod profiles;
pub(crate) mod repin;
pub(crate) mod report;
pub(crate) mod restore;
pub(crate) mod sign;
pub(crate) mod told;
mod unfit;
mod unlock;
mod watched;

use std::cell::{Cell, Ref, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use strongroom_link::token::Protection;
use strongroom_protocol::ErrorCode;
use tokio::sync::watch;
use tokio::time::timeout;

pub(crate) use self::anchor::ANCHOR_BEHIND;
use self::anchor::Anchoring;
pub(crate) use self::checkpoint::AUDIT_UNSIGNED;
use self::keyring::{Keyring, Locked, Unlocked};
use self::known::Known;
use self::login::PinSource;
use self::profiles::Profiles;
pub(crate) use self::watched::TokenSight;
use crate::alert::Alert;
use crate::audit::line::Kind;
use crate::audit::log::AuditLog;
use crate::config::Config;
use crate::crew::CrewError;
use crate::crew::keeper::Keeper;
use crate::crew::token::Login;
use crate::fault::Fault;
use crate::identity::Principal;
use crate::metrics::Counters;
use crate::policy::Authorized;
use crate::store::budget::BudgetWriter;
use crate::store::nonce::Reserver;
use crate::store::record::CredentialName;
use crate::store::{Store, StoreError};

/// The order to log in and load all secrets.
pub(crate) struct Unlock {
    /// Whose PIN it is.
    pub(crate) login: Login,
    /// Is told how far it is.
    pub(crate) progress: Progress,
}

/// Is called with how many records were tried, and how many there are.
pub(crate) type Progress = Box<dyn Fn(usize, usize)>;

/// The order to forget all secrets.
#[derive(Debug)]
pub(crate) struct LockNow {
    /// Why, for `status`.
    pub(crate) reason: String,
}

/// Where it is told what was asked for and what came of it.
struct Books {
    audit: Rc<AuditLog>,
    counters: Counters,
    alert: Alert,
}

/// The order to delete a credential.
#[derive(Debug)]
pub(crate) struct Remove {
    /// Its name.
    pub(crate) credential: String,
}

/// Everything that signing needs, on the front's only thread.
pub(crate) struct Signer {
    config: Config,
    store: Store,
    audit: Rc<AuditLog>,
    books: Rc<Books>,
    profiles: Profiles,
    /// What the records say.
    known: RefCell<Known>,
    reserver: Reserver,
    budget_writer: BudgetWriter,
    keyring: RefCell<State>,
    /// The keeper that is filled while the keyring is locked.
    filling: RefCell<Option<Keeper>>,
    /// Held while a keeper is ended, so that no other lock answers before it is gone.
    locking: tokio::sync::Mutex<()>,
    /// Held by whoever works with the token: one at a time.
    custody: tokio::sync::Mutex<()>,
    /// Held by whoever looks through all records for a client.
    listing: tokio::sync::Mutex<()>,
    /// How often it was locked, so that an unlock can tell that a lock has overtaken it.
    locks: Cell<u64>,
    /// Whether it is unlocked, for those who watch while it is.
    unlocked: watch::Sender<bool>,
    token_sight: Cell<TokenSight>,
    anchoring: Cell<Anchoring>,
    /// Removed since it was started, without a floor that says so: whatever `removed.toml` says.
    unburied: RefCell<BTreeSet<CredentialName>>,
    /// Who has given the PIN that the keeper keeps, where it keeps one.
    kept_from: Cell<PinSource>,
    /// What protected the last token worker that has logged in.
    worker: Cell<Option<Protection>>,
}

/// The keyring of a running agent.
enum State {
    Locked(Keyring<Locked>),
    Unlocked(Keyring<Unlocked>),
}

impl Signer {
    /// A locked signer that owns `store`.
    ///
    /// # Errors
    /// Where the audit log cannot be opened, or the system gives no threads.
    pub(crate) fn new(config: Config, store: Store, profiles: Profiles) -> Result<Rc<Self>, Fault> {
        let audit = Rc::new(AuditLog::open(&store.audit_folder(), config.audit, store.has_floors())?);
        let locked = Keyring::locked("it has not been unlocked since it was started");
        let reserver = Reserver::start().map_err(Fault::defect)?;
        let budget_writer = BudgetWriter::start().map_err(Fault::defect)?;
        // A folder that cannot be read is told of by the first unlock.
        let known = Known::of(&store.records().unwrap_or_default());
        let alert = Alert::new(config.alert.command.0.clone());
        let books = Books { audit: Rc::clone(&audit), counters: Counters::default(), alert };
        Ok(Rc::new(Self {
            config,
            store,
            audit,
            books: Rc::new(books),
            profiles,
            known: RefCell::new(known),
            reserver,
            budget_writer,
            keyring: RefCell::new(State::Locked(locked)),
            filling: RefCell::new(None),
            locking: tokio::sync::Mutex::new(()),
            custody: tokio::sync::Mutex::new(()),
            listing: tokio::sync::Mutex::new(()),
            locks: Cell::new(0),
            kept_from: Cell::new(PinSource::Itself),
            worker: Cell::new(None),
            unlocked: watch::Sender::new(false),
            token_sight: Cell::default(),
            anchoring: Cell::default(),
            unburied: RefCell::default(),
        }))
    }

    /// Where it is written down.
    pub(crate) const fn audit(&self) -> &Rc<AuditLog> {
        &self.audit
    }

    /// What was counted.
    pub(crate) fn counters(&self) -> &Counters {
        &self.books.counters
    }

    /// Asks the keeper for the signatures that were queued.
    pub(crate) fn flush(&self) {
        if let State::Unlocked(keyring) = &*self.keyring.borrow() {
            self.see_to_checkpoint(keyring);
            keyring.keeper().flush();
        }
    }

    /// Waits until the keeper has fewer questions than `most` to answer.
    pub(crate) async fn has_room(&self, most: usize) {
        let keeper = match &*self.keyring.borrow() {
            State::Unlocked(keyring) if !keyring.keeper().has_fewer(most) => keyring.keeper().clone(),
            _ => return,
        };
        keeper.has_room(most).await;
    }

    /// Where the keeper holds the secret of this credential, if its signatures take long.
    pub(crate) fn slow_slot(&self, credential: &str) -> Option<u32> {
        match &*self.keyring.borrow() {
            State::Unlocked(keyring) => keyring.slow_slot(credential),
            State::Locked(_) => None,
        }
    }

    /// The keeper, where whoever has asked this slot for signatures that take long is to wait for some of them.
    pub(crate) fn busy_with(&self, slot: u32) -> Option<Keeper> {
        match &*self.keyring.borrow() {
            State::Unlocked(keyring) if keyring.keeper().has_many_slow(slot) => {
                Some(keyring.keeper().clone())
            }
            _ => None,
        }
    }

    /// What the records say now.
    fn known(&self) -> Ref<'_, Known> {
        self.known.borrow_mut().look(&self.store);
        self.known.borrow()
    }

    /// Whether any grant names this one, who has shown no token.
    pub(crate) fn names(&self, who: &Principal) -> bool {
        self.known.borrow().names(who)
    }

    /// Forgets all secrets and ends the keeper, also one that is still being filled. Does nothing where it is
    /// locked and nobody fills one.
    ///
    /// # Errors
    /// Where the keeper did not say that it has forgotten; it is killed all the same.
    pub(crate) async fn lock(&self, order: Authorized<LockNow>) -> Result<(), Fault> {
        let by = order.decision();
        let LockNow { reason } = order.spend();
        self.lock_by(&by.who, Some(by.rule), &reason).await
    }

    /// Locks because the agent itself has a reason to. Never waits for the token: an unlock that is under
    /// way loses its keeper, and finds out that it was overtaken.
    pub(crate) async fn lock_for(&self, reason: &str) -> Result<(), Fault> {
        self.lock_by(&Principal::own(), None, reason).await
    }

    async fn lock_by(&self, who: &Principal, rule: Option<&str>, reason: &str) -> Result<(), Fault> {
        self.locks.set(self.locks.get().wrapping_add(1));
        let before = self.keyring.replace(State::Locked(Keyring::locked(reason)));
        self.unlocked.send_replace(false);
        let keeper = match before {
            State::Locked(keyring) => {
                // What locked it first is what the admin wants to know.
                self.keyring.replace(State::Locked(keyring));
                let filling = self.filling.take();
                if filling.is_some() {
                    self.tell_lock(who, rule, reason);
                }
                filling
            }
            State::Unlocked(keyring) => {
                self.tell_lock(who, rule, reason);
                checkpoint::checkpoint_by(&self.audit, &keyring);
                Some(keyring.keeper().clone())
            }
        };
        let _alone = self.locking.lock().await;
        let Some(keeper) = keeper else { return Ok(()) };
        tracing::info!(reason, "locked");
        keeper.end().await.map_err(Fault::from)
    }

    /// Whether the keeper has kept the PIN of the last unlock.
    fn keeps_pin(&self) -> bool {
        matches!(&*self.keyring.borrow(), State::Unlocked(keyring) if keyring.keeper().keeps_pin())
    }

    /// Waits until nobody works with the token, so that the end of the agent does not cut a module off while
    /// it writes. Does not wait for one that hangs.
    pub(crate) async fn token_at_rest(&self) {
        let _ = timeout(TOKEN_REST, self.custody.lock()).await;
    }

    /// Called when the keeper has ended by itself: everything is locked.
    fn keeper_ended(&self, error: &CrewError) {
        let reason = crate::fault::chain(error);
        tracing::error!(%reason, "locked, because the keeper has ended");
        self.tell_lock(&Principal::own(), None, &reason);
        self.keyring.replace(State::Locked(Keyring::locked(&reason)));
        self.unlocked.send_replace(false);
    }

    /// Deletes a credential: its record, and its secret in the keeper.
    ///
    /// # Errors
    /// Where there is none, the disk refuses, or the token keeps the agent busy; then it is still there.
    pub(crate) async fn remove(&self, order: Authorized<Remove>) -> Result<(), Fault> {
        let by = order.decision();
        let Remove { credential } = order.spend();
        self.audit.check()?;
        let removed = self.remove_named(&credential).await;
        self.tell(Kind::Remove, &by, Some(&credential), &removed);
        removed
    }

    async fn remove_named(&self, credential: &str) -> Result<(), Fault> {
        let name = credential_name(credential)?;
        // Another removal is short; a token may take longer than a client waits.
        let Ok(_alone) = timeout(REMOVAL_WAITS, self.custody.lock()).await else { return Err(busy()) };
        on_disk(self.store.removing(&name)).await?;
        tracing::info!(credential, "removed");
        self.known.borrow_mut().forget(&name);
        let forgotten = match &mut *self.keyring.borrow_mut() {
            State::Unlocked(keyring) => keyring.take(&name),
            State::Locked(_) => None,
        };
        let emptied = match forgotten {
            Some((keeper, slot)) => keeper.forget(slot).await.map(|()| self.release(slot)),
            None => Ok(()),
        };
        self.bury(&name).await.map_err(|fault| {
            let message = format!("it is removed, but a copy of its record would open: {}", fault.message);
            Fault { message, ..fault }
        })?;
        Ok(emptied?)
    }
}

/// How long a removal waits for whoever works with the token.
const REMOVAL_WAITS: Duration = Duration::from_secs(1);

/// Somebody works with the token.
fn busy() -> Fault {
    let message = "the agent is working with the token already";
    Fault::new(ErrorCode::Unavailable, message, "wait for it, then try again")
}

/// Runs a job of the store on a thread of its own, so that a slow disk stops nobody's signatures.
async fn on_disk(job: impl FnOnce() -> Result<(), StoreError> + Send + 'static) -> Result<(), Fault> {
    tokio::task::spawn_blocking(job).await.map_err(Fault::defect)?.map_err(Fault::from)
}

/// How long the end of an agent waits for the token.
const TOKEN_REST: Duration = Duration::from_secs(3);

/// A credential's name, as it came from outside.
///
/// # Errors
/// Where it can be none.
pub(crate) fn credential_name(text: &str) -> Result<CredentialName, Fault> {
    text.parse().map_err(|error: crate::store::record::NotAName| {
        Fault::new(ErrorCode::Invalid, error.to_string(), "for example binance-main")
    })
}
