//! Clients that have a token: who they are, and what an admin does with them.
//!
//! What is in memory decides, from the moment that it changes; what is on the disk follows before an admin is
//! answered. So a client that is removed is gone at once, also where the disk refuses.

pub(crate) mod file;
mod token;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use strongroom_protocol::ErrorCode;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use self::file::{Entry, TokenText};
use self::token::{NoToken, Token};
use crate::fault::{Fault, chain};
use crate::identity::ClientName;
use crate::policy::Authorized;
use crate::store::StoreError;
use crate::store::atomic::{self, Existing};

/// The order to make a client.
#[derive(Debug)]
pub(crate) struct AddClient {
    pub(crate) name: ClientName,
}

/// The order to tell of all clients.
#[derive(Debug)]
pub(crate) struct ListClients;

/// The order to revoke a client's token.
#[derive(Debug)]
pub(crate) struct RemoveClient {
    pub(crate) name: ClientName,
}

/// Why somebody who says hello is nobody.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    NoToken(#[from] NoToken),
    #[error("no client has this token: it is wrong, or it was revoked")]
    Unknown,
    #[error("nobody knows who has a token: {fault}")]
    Unreadable { fault: String },
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        let (code, hint) = match refused {
            Refused::NoToken(_) => {
                (ErrorCode::Denied, "copy the token as `strongroom client add` has shown it")
            }
            Refused::Unknown => (ErrorCode::Denied, "have an admin make another: strongroom client add NAME"),
            Refused::Unreadable { .. } => {
                (ErrorCode::Unavailable, "mend or remove the agent's clients.toml, and restart the agent")
            }
        };
        Self::new(code, refused.to_string(), hint)
    }
}

/// All clients of an agent.
#[derive(Debug)]
pub(crate) struct Clients {
    path: PathBuf,
    /// Sorted by name. The error says why nobody knows them.
    entries: RefCell<Result<Vec<Entry>, String>>,
    /// The disk does not have what is here.
    stale: Cell<bool>,
    /// Held while the file is written.
    writing: Mutex<()>,
}

impl Clients {
    /// Reads the clients that are kept in `path`. Where that cannot be done no token is good.
    pub(crate) fn open(path: PathBuf) -> Self {
        let entries = file::read(&path).map_err(|error| chain(&error));
        if let Err(fault) = &entries {
            tracing::error!(%fault, "no client token is good until this is mended and the agent is restarted");
        }
        Self { path, entries: RefCell::new(entries), stale: Cell::new(false), writing: Mutex::const_new(()) }
    }

    /// Whether somebody may have a token to say hello with.
    pub(crate) fn are_any(&self) -> bool {
        // Where nobody knows, whoever has one hears why it is no good.
        self.entries.borrow().as_ref().map_or(true, |entries| !entries.is_empty())
    }

    /// Whose token this is. All hashes are compared, each in constant time.
    ///
    /// # Errors
    /// [`Refused`].
    pub(crate) fn whose(&self, text: &str) -> Result<ClientName, Refused> {
        let mut entries = self.entries.borrow_mut();
        let entries = entries.as_mut().map_err(|fault| Refused::Unreadable { fault: fault.clone() })?;
        let hash = Token::from_text(text)?.hash();
        let mut found = None;
        for entry in entries {
            if entry.token_sha256.0.is(&hash) {
                found = Some(entry);
            }
        }
        let entry = found.ok_or(Refused::Unknown)?;
        let now = Timestamp::now();
        let is_kept = entry.used.is_some_and(|used| now.duration_since(used).unsigned_abs() < USE_IS_KEPT);
        if !is_kept {
            entry.used = Some(now);
            self.stale.set(true);
        }
        Ok(entry.name.clone())
    }

    /// Makes a client. Gives the text of its token.
    ///
    /// # Errors
    /// Where there is one of that name, there are too many, or the disk refuses; then there is none.
    pub(crate) async fn add(&self, order: Authorized<AddClient>) -> Result<Zeroizing<String>, Fault> {
        let AddClient { name } = order.spend();
        let token = Token::new().map_err(Fault::defect)?;
        self.change(|entries| {
            let place = match entries.binary_search_by(|entry| entry.name.cmp(&name)) {
                Ok(_) => {
                    let message = format!("there is a client `{name}` already");
                    let hint = "choose another name, or remove that one first";
                    return Err(Fault::new(ErrorCode::Exists, message, hint));
                }
                Err(_) if entries.len() >= file::MOST => {
                    let message = format!("there are {} clients already", entries.len());
                    return Err(Fault::new(ErrorCode::Unavailable, message, "remove those that nobody uses"));
                }
                Err(place) => place,
            };
            let token_sha256 = TokenText(token.hash());
            entries.insert(
                place,
                Entry { name: name.clone(), token_sha256, created: Timestamp::now(), used: None },
            );
            Ok(true)
        })?;
        if let Err(fault) = self.write().await {
            self.forget(&name)?;
            return Err(fault);
        }
        tracing::info!(client = %name, "a client was added");
        Ok(token.text())
    }

    /// All clients, by name.
    ///
    /// # Errors
    /// Where the file could not be read.
    pub(crate) fn list(&self, order: Authorized<ListClients>) -> Result<Vec<Entry>, Fault> {
        let ListClients = order.spend();
        match &*self.entries.borrow() {
            Ok(entries) => Ok(entries.clone()),
            Err(fault) => Err(Refused::Unreadable { fault: fault.clone() }.into()),
        }
    }

    /// Revokes a client's token, and calls `cut` for its connections before anything else is done.
    ///
    /// # Errors
    /// Where there is none of that name. Where the disk refuses it is gone until the agent ends; try again.
    pub(crate) async fn remove(
        &self,
        order: Authorized<RemoveClient>,
        cut: impl FnOnce(&ClientName),
    ) -> Result<(), Fault> {
        let RemoveClient { name } = order.spend();
        let was_there = self.forget(&name)?;
        cut(&name);
        if was_there {
            tracing::info!(client = %name, "a client was removed");
        } else if !self.stale.get() {
            let message = format!("there is no client `{name}`");
            return Err(Fault::new(ErrorCode::NotFound, message, "`strongroom client list` shows all"));
        }
        self.write().await.map_err(|fault| {
            let message =
                format!("`{name}` is revoked until this agent ends, but not on the disk: {}", fault.message);
            Fault::new(fault.code, message, "free the disk or mend the permissions, then remove it again")
        })
    }

    /// Writes what is new, if anything is.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(crate) async fn write(&self) -> Result<(), Fault> {
        let _alone = self.writing.lock().await;
        if !self.stale.replace(false) {
            return Ok(());
        }
        let text = match &*self.entries.borrow() {
            Ok(entries) => file::text(entries),
            Err(_) => return Ok(()),
        };
        let path = self.path.clone();
        let job = move || atomic::write(&path, text.as_bytes(), Existing::Replace);
        let written = tokio::task::spawn_blocking(job).await.map_err(Fault::defect)?;
        if written.is_err() {
            self.stale.set(true);
        }
        written.map_err(|error: StoreError| {
            let hint = "free the disk or mend the permissions, then try again";
            Fault::new(ErrorCode::Unavailable, chain(&error), hint)
        })
    }

    fn forget(&self, name: &ClientName) -> Result<bool, Fault> {
        self.change(|entries| {
            let before = entries.len();
            entries.retain(|entry| entry.name != *name);
            Ok(entries.len() < before)
        })
    }

    /// `change` says whether it has changed anything.
    fn change(&self, change: impl FnOnce(&mut Vec<Entry>) -> Result<bool, Fault>) -> Result<bool, Fault> {
        let mut entries = self.entries.borrow_mut();
        let has_changed = match &mut *entries {
            Ok(entries) => change(entries)?,
            Err(fault) => return Err(Refused::Unreadable { fault: fault.clone() }.into()),
        };
        self.stale.set(self.stale.get() || has_changed);
        Ok(has_changed)
    }
}

/// A use this young is not written down anew, so that hellos do not wear the disk out.
const USE_IS_KEPT: Duration = Duration::from_secs(60);
