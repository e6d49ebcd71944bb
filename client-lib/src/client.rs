//! The blocking client.

use std::borrow::Borrow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use strongroom_protocol::{Operation, Request, encode};

use crate::connection::{Connection, Deadline};
use crate::error::Error;
use crate::reply::{
    self, AuditHead, ClientEntry, Credential, FromReply, Grants, Listing, Metrics, Page, Progress, Question,
    Questions, SignedRequest, Status, Token, WsLogin,
};
use crate::request::{Enrollment, Login, NewGrants, Repin, SignRequest, WsLoginRequest};
use crate::socket::{Address, default_socket};
use crate::token::{ClientToken, default_token};
use crate::{DEFAULT_DEADLINE, TOKEN_DEADLINE};

/// A client of the agent, for programs that block.
///
/// Connects at the first call and keeps the connection; after a restart of the agent the next call connects
/// anew. Share one `Client` between all threads (`&Client` is enough): their requests are under way at the
/// same time over the one connection. There is no thread behind it.
///
/// Every call blocks at most for its deadline. In a process made by `fork` the client makes a connection of
/// its own.
#[derive(Debug)]
pub struct Client {
    address: Address,
    deadline: Duration,
    process: Process,
}

/// The connection of one process, and those of the processes that it forked.
///
/// A forked child must not touch the parent's: both would read each other's responses, and a lock may have
/// been copied while a thread held it that the child does not have. So the child puts its own behind it.
#[derive(Debug)]
struct Process {
    pid: u32,
    current: Mutex<Option<Arc<Connection>>>,
    child: OnceLock<Box<Process>>,
}

impl Client {
    /// A client of the agent at `$STRONGROOM_SOCKET`, else at `$XDG_RUNTIME_DIR/strongroom/agent.sock`, with the
    /// token that [`default_token`] finds. Does not connect yet.
    ///
    /// # Errors
    /// [`Error::NoSocketPath`] where neither variable is set; [`Error::Token`] where the environment names a token
    /// and there is none.
    pub fn new() -> Result<Self, Error> {
        let client = Self::at(default_socket()?);
        Ok(match default_token()? {
            Some(token) => client.with_token(token),
            None => client,
        })
    }

    /// A client of the agent whose socket is at `path`, without a token. Does not connect yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let address = Address { path: path.into(), token: None };
        Self { address, deadline: DEFAULT_DEADLINE, process: Process::this() }
    }

    /// Speaks as the client that has this token, and as nobody else, on every connection.
    #[must_use]
    pub fn with_token(mut self, token: ClientToken) -> Self {
        self.address.token = Some(token);
        // A connection cannot change who it is.
        self.process = Process::this();
        self
    }

    /// Sets how long a call may take, 5 seconds if not set. `unlock` and `enroll` wait for the token and so
    /// may take a minute, or this if it is longer. A request that waits for a human (`confirm = true` in a
    /// grant) waits for a minute, if the agent's configuration says nothing else: give it more than that.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        // The old one has the old deadline set on its socket.
        self.process = Process::this();
        self
    }

    /// Where the agent's socket is looked for.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.address.path
    }

    /// Signs one request. Retried once where the connection turns out dead: no venue accepts the same
    /// nonce twice, and one that is lost is harmless.
    ///
    /// # Errors
    /// [`Error`]; where the agent refuses, [`Error::code`] says how.
    pub fn sign(&self, request: &SignRequest<'_>) -> Result<SignedRequest, Error> {
        self.call(request.to_wire())
    }

    /// Builds and signs one WebSocket login: `ws_login("okx-main")` for the first of the venue. Retried once where the
    /// connection turns out dead.
    ///
    /// # Errors
    /// [`Error`]; code `Denied` where no grant has `session`, and `Invalid` where the venue has no such login.
    pub fn ws_login<'a>(&self, login: impl Into<WsLoginRequest<'a>>) -> Result<WsLogin, Error> {
        self.call(login.into().to_wire())
    }

    /// Signs many requests over the one connection: sends ahead, up to 256 at a time, instead of waiting for
    /// each. The results are in the order of the requests. The deadline counts from the last time that
    /// something was sent.
    #[must_use]
    pub fn sign_many<'a, R>(&self, requests: &[R]) -> Vec<Result<SignedRequest, Error>>
    where
        R: Borrow<SignRequest<'a>>,
    {
        crate::batch::sign(requests, self.deadline, || self.connection(Deadline::start(self.deadline)))
    }

    /// How the agent is.
    ///
    /// # Errors
    /// [`Error`].
    pub fn status(&self) -> Result<Status, Error> {
        self.call(Operation::Status)
    }

    /// All credentials, by name. The deadline is that of each page of some hundreds.
    ///
    /// # Errors
    /// [`Error`].
    pub fn list(&self) -> Result<Vec<Credential>, Error> {
        let mut listing = Listing::new();
        while let Some(after) = listing.next() {
            let page: Page = self.call(Operation::List { after })?;
            listing.add(page)?;
        }
        Ok(listing.into_credentials())
    }

    /// One credential.
    ///
    /// # Errors
    /// [`Error`]; code `NotFound` where there is none of that name.
    pub fn show(&self, credential: &str) -> Result<Credential, Error> {
        self.call(Operation::Show { credential })
    }

    /// What the token says about itself and its PIN; the agent asks it now. Costs no try. Takes as long as the
    /// token does, a minute at most, or the deadline if that is longer.
    ///
    /// # Errors
    /// [`Error`]; code `Unavailable` where the token is not there.
    pub fn token(&self) -> Result<Token, Error> {
        self.call_once(Operation::Token, &[])
    }

    /// Makes the agent forget all secrets. Done when this returns.
    ///
    /// # Errors
    /// [`Error`].
    pub fn lock(&self) -> Result<(), Error> {
        self.call(Operation::Lock)
    }

    /// Logs in to the token and loads all secrets. A `login` without a PIN waits for a person at the token's
    /// pad, or uses the PIN that the agent has kept. Never retried: a token counts wrong PINs.
    ///
    /// # Errors
    /// [`Error`]; code `Unavailable` where the PIN is wrong.
    pub fn unlock(&self, login: impl Into<Login>) -> Result<(), Error> {
        self.unlock_with(login, |_| {})
    }

    /// The same, and calls `progress` whenever the agent tells how far it is: some times a second, and not
    /// at all where it is done at once. The deadline counts from the last time that it told.
    ///
    /// # Errors
    /// As [`unlock`](Self::unlock).
    pub fn unlock_with(
        &self,
        login: impl Into<Login>,
        mut progress: impl FnMut(Progress),
    ) -> Result<(), Error> {
        let login = login.into();
        let mut deadline = Deadline::start(self.deadline.max(TOKEN_DEADLINE));
        let connection = Connection::open(&self.address, deadline.after, deadline)?;
        let place = connection.enter(1)?;
        let request = Request { id: place.ids.start, operation: Operation::Unlock(login.to_wire()) };
        let descriptors: Vec<_> = login.pin.iter().map(AsFd::as_fd).collect();
        connection.write(&descriptors, deadline, |bytes| Ok(encode(&request, bytes)?))?;
        let mut result = None;
        while result.is_none() {
            connection.wait(&place, 1, deadline, &mut |_, frame| {
                match reply::progress(frame) {
                    Some(how_far) => progress(how_far),
                    None => result = Some(reply::read(frame)?),
                }
                Ok(())
            })?;
            deadline = Deadline::start(deadline.after);
        }
        result.unwrap_or(Err(Error::Disconnected))
    }

    /// Wraps a new secret and keeps it. `secret` and `passphrase` are read ends of pipes that hold them and
    /// whose write ends are closed; the passphrase is there exactly where the venue has one. Never retried.
    ///
    /// # Errors
    /// [`Error`]; code `Exists` where there is such a credential and it is not to be replaced.
    pub fn enroll(
        &self,
        enrollment: &Enrollment,
        login: impl Into<Login>,
        secret: impl Into<OwnedFd>,
        passphrase: Option<OwnedFd>,
    ) -> Result<(), Error> {
        let (login, secret) = (login.into(), secret.into());
        let operation = enrollment.to_wire(&login, passphrase.is_some());
        self.call_once(operation, &[login.pin.as_ref(), Some(&secret), passphrase.as_ref()])
    }

    /// The grants of a credential that the caller may see.
    ///
    /// # Errors
    /// [`Error`]; code `NotFound` where there is none of that name.
    pub fn grants(&self, credential: &str) -> Result<Grants, Error> {
        self.call(Operation::Show { credential })
    }

    /// Gives a credential other grants, which are in force when this returns. Never retried.
    ///
    /// # Errors
    /// [`Error`]; code `Invalid` where the grants are none, or were changed by somebody else meanwhile.
    pub fn set_grants(&self, grants: &NewGrants, login: impl Into<Login>) -> Result<(), Error> {
        let login = login.into();
        self.call_once(grants.to_wire(&login), &[login.pin.as_ref()])
    }

    /// Has a credential sign by the profile of its venue as that is now. Never retried.
    ///
    /// # Errors
    /// [`Error`]; code `Invalid` where the profile does not go with the credential, or either was changed meanwhile.
    pub fn repin(&self, repin: &Repin, login: impl Into<Login>) -> Result<(), Error> {
        let login = login.into();
        self.call_once(repin.to_wire(&login), &[login.pin.as_ref()])
    }

    /// Deletes a credential. Never retried.
    ///
    /// # Errors
    /// [`Error`]; code `NotFound` where there is none of that name.
    pub fn remove(&self, credential: &str) -> Result<(), Error> {
        self.call_once(Operation::Remove { credential }, &[])
    }

    /// Makes a client, and its token, which the agent shows this once. Never retried.
    ///
    /// # Errors
    /// [`Error`]; code `Exists` where there is such a client.
    pub fn add_client(&self, name: &str) -> Result<ClientToken, Error> {
        self.call_once(Operation::AddClient { name }, &[])
    }

    /// All clients that have a token, by name.
    ///
    /// # Errors
    /// [`Error`].
    pub fn clients(&self) -> Result<Vec<ClientEntry>, Error> {
        self.call(Operation::Clients)
    }

    /// The last line of the agent's audit log, to be noted elsewhere or compared with its files. Admins only.
    ///
    /// # Errors
    /// [`Error`].
    pub fn audit_head(&self) -> Result<AuditHead, Error> {
        self.call(Operation::AuditHead)
    }

    /// What the agent has counted, for Prometheus.
    ///
    /// # Errors
    /// [`Error`].
    pub fn metrics(&self) -> Result<Metrics, Error> {
        self.call(Operation::Metrics)
    }

    /// Revokes the token of a client. When this returns, nothing more is answered to it.
    ///
    /// # Errors
    /// [`Error`]; code `NotFound` where there is none of that name.
    pub fn remove_client(&self, name: &str) -> Result<(), Error> {
        self.call_once(Operation::RemoveClient { name }, &[])
    }

    /// All requests that wait for a human, by number.
    ///
    /// # Errors
    /// [`Error`].
    pub fn pending(&self) -> Result<Vec<Question>, Error> {
        let mut all = Questions::new();
        while all.add(self.call(Operation::Pending { after: all.after(), wait: false })?)? {}
        Ok(all.into_questions())
    }

    /// The requests that wait for a human and have a number above `after`, as soon as there are any; none where none
    /// came for about 20 seconds. There may be more than it gives.
    ///
    /// # Errors
    /// [`Error`].
    pub fn wait_for_pending(&self, after: u64) -> Result<Vec<Question>, Error> {
        self.call_once(Operation::Pending { after, wait: true }, &[])
    }

    /// Answers a request that waits for a human. After a yes it is decided about anew, and this returns when it is
    /// signed. Never retried.
    ///
    /// # Errors
    /// [`Error`]; code `NotFound` where it does not wait any more, `Denied` where a yes has come to nothing.
    pub fn confirm(&self, number: u64, yes: bool) -> Result<(), Error> {
        self.call_once(Operation::Confirm { number, yes }, &[])
    }

    /// Closes the kept connection, if there is one and nobody uses it. The next call connects anew.
    pub fn close(&self) {
        let process = self.process.mine();
        *process.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// For what may be done twice: over the kept connection, and once more if that turns out dead.
    fn call<T: FromReply>(&self, operation: Operation<'_>) -> Result<T, Error> {
        let deadline = Deadline::start(self.deadline);
        let mut request = Request { id: 0, operation };
        match exchange(&*self.connection(deadline)?, &mut request, &[], deadline) {
            Err(Error::Disconnected) => exchange(&*self.connection(deadline)?, &mut request, &[], deadline),
            result => result,
        }
    }

    /// For what must not be done twice: over a connection of its own, which cannot be a dead one. Of the
    /// descriptors those go along that there are.
    fn call_once<T: FromReply>(
        &self,
        operation: Operation<'_>,
        descriptors: &[Option<&OwnedFd>],
    ) -> Result<T, Error> {
        let descriptors: Vec<_> = descriptors.iter().flatten().map(|descriptor| descriptor.as_fd()).collect();
        let deadline = Deadline::start(self.deadline.max(TOKEN_DEADLINE));
        let connection = Connection::open(&self.address, deadline.after, deadline)?;
        exchange(&connection, &mut Request { id: 0, operation }, &descriptors, deadline)
    }

    /// The kept connection, or a new one.
    fn connection(&self, deadline: Deadline) -> Result<Arc<Connection>, Error> {
        let process = self.process.mine();
        let mut current = process.current.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some(connection) if !connection.is_ended() => Ok(Arc::clone(connection)),
            _ => {
                let connection = Arc::new(Connection::open(&self.address, self.deadline, deadline)?);
                *current = Some(Arc::clone(&connection));
                Ok(connection)
            }
        }
    }
}

impl Process {
    const fn of(pid: u32) -> Self {
        Self { pid, current: Mutex::new(None), child: OnceLock::new() }
    }

    fn this() -> Self {
        Self::of(std::process::id())
    }

    /// That of the process that asks.
    fn mine(&self) -> &Self {
        let pid = std::process::id();
        let mut process = self;
        while process.pid != pid {
            process = process.child.get_or_init(|| Box::new(Self::of(pid)));
        }
        process
    }
}

fn exchange<T: FromReply>(
    connection: &Connection,
    request: &mut Request<'_>,
    descriptors: &[BorrowedFd<'_>],
    deadline: Deadline,
) -> Result<T, Error> {
    let place = connection.enter(1)?;
    request.id = place.ids.start;
    connection.write(descriptors, deadline, |bytes| Ok(encode(&*request, bytes)?))?;
    let mut result = None;
    connection.wait(&place, 1, deadline, &mut |_, frame| {
        // One request has one answer; what comes behind it is none.
        if result.is_none() {
            result = Some(reply::read(frame)?);
        }
        Ok(())
    })?;
    result.unwrap_or(Err(Error::Disconnected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_a_forked_process_a_connection_of_its_own() {
        let inherited = Process::of(1);
        // As it is where another thread of the parent held it at the fork.
        let _held = inherited.current.lock().unwrap();
        let mine = inherited.mine();
        assert_eq!(mine.pid, std::process::id());
        assert!(mine.current.try_lock().is_ok());
        assert!(std::ptr::eq(mine, inherited.mine()));
        assert!(std::ptr::eq(mine, mine.mine()));
    }
}
