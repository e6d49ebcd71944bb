//! The async client.

mod connection;

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use strongroom_protocol::{Operation, Request};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::Error;
use crate::reply::{
    AuditHead, ClientEntry, Credential, FromReply, Grants, Listing, Metrics, Page, Progress, Question,
    Questions, SignedRequest, Status, Token, WsLogin,
};
use crate::request::{Enrollment, Login, NewGrants, Repin, SignRequest, WsLoginRequest};
use crate::socket::{Address, default_socket};
use crate::token::{ClientToken, default_token};
use crate::{DEFAULT_DEADLINE, TOKEN_DEADLINE};

use connection::Connection;

/// Most requests of one batch under way. The agent works on 1,024 for one connection.
const WINDOW: usize = 256;

/// A client of the agent, for programs on tokio.
///
/// Connects at the first call and keeps the connection; after a restart of the agent, or when its runtime
/// has ended, the next call connects anew. Share one `AsyncClient` between all tasks (`&AsyncClient` or an
/// `Arc`): their requests are under way at the same time over the one connection.
///
/// A future may be dropped at any time, for instance by `select!`: no other call is disturbed. Every call
/// ends at its deadline at the latest. Not to be used in a process made by `fork`, like tokio itself.
#[derive(Debug)]
pub struct AsyncClient {
    address: Address,
    deadline: Duration,
    current: Mutex<Option<Arc<Connection>>>,
}

impl AsyncClient {
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
        Self { address, deadline: DEFAULT_DEADLINE, current: Mutex::const_new(None) }
    }

    /// Speaks as the client that has this token, and as nobody else, on every connection.
    #[must_use]
    pub fn with_token(mut self, token: ClientToken) -> Self {
        self.address.token = Some(token);
        // A connection cannot change who it is.
        self.current = Mutex::const_new(None);
        self
    }

    /// Sets how long a call may take, 5 seconds if not set. `unlock` and `enroll` wait for the token and so
    /// may take a minute, or this if it is longer. A request that waits for a human (`confirm = true` in a
    /// grant) waits for a minute, if the agent's configuration says nothing else: give it more than that.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
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
    pub async fn sign(&self, request: &SignRequest<'_>) -> Result<SignedRequest, Error> {
        self.call(request.to_wire()).await
    }

    /// Builds and signs one WebSocket login: `ws_login("okx-main")` for the first of the venue. Retried once where the
    /// connection turns out dead.
    ///
    /// # Errors
    /// [`Error`]; code `Denied` where no grant has `session`, and `Invalid` where the venue has no such login.
    pub async fn ws_login<'a>(&self, login: impl Into<WsLoginRequest<'a>>) -> Result<WsLogin, Error> {
        let login = login.into();
        self.call(login.to_wire()).await
    }

    /// Signs many requests over the one connection: sends ahead, up to 256 at a time, instead of waiting for
    /// each. The results are in the order of the requests. The deadline is that of each answer.
    pub async fn sign_many<'a, R>(&self, requests: &[R]) -> Vec<Result<SignedRequest, Error>>
    where
        R: Borrow<SignRequest<'a>>,
    {
        let mut results: Vec<Option<Result<SignedRequest, Error>>> = Vec::new();
        results.resize_with(requests.len(), || None);
        let mut outcome = self.sign_open(requests, &mut results).await;
        if matches!(outcome, Err(Error::Disconnected)) {
            outcome = self.sign_open(requests, &mut results).await;
        }
        let why = outcome.err().unwrap_or(Error::Disconnected);
        results.into_iter().map(|result| result.unwrap_or_else(|| Err(why.again()))).collect()
    }

    /// How the agent is.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn status(&self) -> Result<Status, Error> {
        self.call(Operation::Status).await
    }

    /// All credentials, by name. The deadline is that of each page of some hundreds.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn list(&self) -> Result<Vec<Credential>, Error> {
        let mut listing = Listing::new();
        while let Some(after) = listing.next() {
            let page: Page = self.call(Operation::List { after }).await?;
            listing.add(page)?;
        }
        Ok(listing.into_credentials())
    }

    /// One credential.
    ///
    /// # Errors
    /// [`Error`]; code `NotFound` where there is none of that name.
    pub async fn show(&self, credential: &str) -> Result<Credential, Error> {
        self.call(Operation::Show { credential }).await
    }

    /// What the token says about itself and its PIN; the agent asks it now. Costs no try. Takes as long as the
    /// token does, a minute at most, or the deadline if that is longer.
    ///
    /// # Errors
    /// [`Error`]; code `Unavailable` where the token is not there.
    pub async fn token(&self) -> Result<Token, Error> {
        self.call_once(Operation::Token, Vec::new()).await
    }

    /// Makes the agent forget all secrets. Done when this returns.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn lock(&self) -> Result<(), Error> {
        self.call(Operation::Lock).await
    }

    /// Logs in to the token and loads all secrets. A `login` without a PIN waits for a person at the token's
    /// pad, or uses the PIN that the agent has kept. Never retried: a token counts wrong PINs.
    ///
    /// # Errors
    /// [`Error`]; code `Unavailable` where the PIN is wrong.
    pub async fn unlock(&self, login: impl Into<Login>) -> Result<(), Error> {
        self.unlock_with(login, |_| {}).await
    }

    /// The same, and calls `progress` whenever the agent tells how far it is: some times a second, and not
    /// at all where it is done at once. The deadline counts from the last time that it told.
    ///
    /// # Errors
    /// As [`unlock`](Self::unlock).
    pub async fn unlock_with(
        &self,
        login: impl Into<Login>,
        mut progress: impl FnMut(Progress),
    ) -> Result<(), Error> {
        let after = self.deadline.max(TOKEN_DEADLINE);
        let connection = self.within(after, Connection::open(&self.address)).await?;
        let login = login.into();
        let mut request = Request { id: 0, operation: Operation::Unlock(login.to_wire()) };
        let descriptors = login.pin.into_iter().collect();
        let asked = self.within(after, connection.ask(&mut request, descriptors)).await?;
        let mut how_far = asked.follow();
        connection.flush();
        let answer = asked.answer();
        tokio::pin!(answer);
        loop {
            let told = async {
                tokio::select! {
                    biased;
                    Ok(()) = how_far.changed() => Ok(None),
                    answer = &mut answer => answer.map(Some),
                }
            };
            match self.within(after, told).await? {
                Some(()) => return Ok(()),
                None => progress(*how_far.borrow_and_update()),
            }
        }
    }

    /// Wraps a new secret and keeps it. `secret` and `passphrase` are read ends of pipes that hold them and
    /// whose write ends are closed; the passphrase is there exactly where the venue has one. Never retried.
    ///
    /// # Errors
    /// [`Error`]; code `Exists` where there is such a credential and it is not to be replaced.
    pub async fn enroll(
        &self,
        enrollment: &Enrollment,
        login: impl Into<Login>,
        secret: impl Into<OwnedFd>,
        passphrase: Option<OwnedFd>,
    ) -> Result<(), Error> {
        let login = login.into();
        let operation = enrollment.to_wire(&login, passphrase.is_some());
        let descriptors = [login.pin, Some(secret.into()), passphrase].into_iter().flatten().collect();
        self.call_once(operation, descriptors).await
    }

    /// The grants of a credential that the caller may see.
    ///
    /// # Errors
    /// [`Error`]; code `NotFound` where there is none of that name.
    pub async fn grants(&self, credential: &str) -> Result<Grants, Error> {
        self.call(Operation::Show { credential }).await
    }

    /// Gives a credential other grants, which are in force when this returns. Never retried.
    ///
    /// # Errors
    /// [`Error`]; code `Invalid` where the grants are none, or were changed by somebody else meanwhile.
    pub async fn set_grants(&self, grants: &NewGrants, login: impl Into<Login>) -> Result<(), Error> {
        let login = login.into();
        let operation = grants.to_wire(&login);
        self.call_once(operation, login.pin.into_iter().collect()).await
    }

    /// Has a credential sign by the profile of its venue as that is now. Never retried.
    ///
    /// # Errors
    /// [`Error`]; code `Invalid` where the profile does not go with the credential, or either was changed meanwhile.
    pub async fn repin(&self, repin: &Repin, login: impl Into<Login>) -> Result<(), Error> {
        let login = login.into();
        let operation = repin.to_wire(&login);
        self.call_once(operation, login.pin.into_iter().collect()).await
    }

    /// Deletes a credential. Never retried.
    ///
    /// # Errors
    /// [`Error`]; code `NotFound` where there is none of that name.
    pub async fn remove(&self, credential: &str) -> Result<(), Error> {
        self.call_once(Operation::Remove { credential }, Vec::new()).await
    }

    /// Makes a client, and its token, which the agent shows this once. Never retried.
    ///
    /// # Errors
    /// [`Error`]; code `Exists` where there is such a client.
    pub async fn add_client(&self, name: &str) -> Result<ClientToken, Error> {
        self.call_once(Operation::AddClient { name }, Vec::new()).await
    }

    /// All clients that have a token, by name.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn clients(&self) -> Result<Vec<ClientEntry>, Error> {
        self.call(Operation::Clients).await
    }

    /// The last line of the agent's audit log, to be noted elsewhere or compared with its files. Admins only.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn audit_head(&self) -> Result<AuditHead, Error> {
        self.call(Operation::AuditHead).await
    }

    /// What the agent has counted, for Prometheus.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn metrics(&self) -> Result<Metrics, Error> {
        self.call(Operation::Metrics).await
    }

    /// Revokes the token of a client. When this returns, nothing more is answered to it.
    ///
    /// # Errors
    /// [`Error`]; code `NotFound` where there is none of that name.
    pub async fn remove_client(&self, name: &str) -> Result<(), Error> {
        self.call_once(Operation::RemoveClient { name }, Vec::new()).await
    }

    /// All requests that wait for a human, by number.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn pending(&self) -> Result<Vec<Question>, Error> {
        let mut all = Questions::new();
        while all.add(self.call(Operation::Pending { after: all.after(), wait: false }).await?)? {}
        Ok(all.into_questions())
    }

    /// The requests that wait for a human and have a number above `after`, as soon as there are any; none where none
    /// came for about 20 seconds. There may be more than it gives.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn wait_for_pending(&self, after: u64) -> Result<Vec<Question>, Error> {
        self.call_once(Operation::Pending { after, wait: true }, Vec::new()).await
    }

    /// Answers a request that waits for a human. After a yes it is decided about anew, and this returns when it is
    /// signed. Never retried.
    ///
    /// # Errors
    /// [`Error`]; code `NotFound` where it does not wait any more, `Denied` where a yes has come to nothing.
    pub async fn confirm(&self, number: u64, yes: bool) -> Result<(), Error> {
        self.call_once(Operation::Confirm { number, yes }, Vec::new()).await
    }

    /// For what may be done twice: over the kept connection, and once more if that turns out dead.
    async fn call<T: FromReply>(&self, operation: Operation<'_>) -> Result<T, Error> {
        let mut request = Request { id: 0, operation };
        self.within(self.deadline, async {
            match exchange(&*self.connection().await?, &mut request, Vec::new()).await {
                Err(Error::Disconnected) => {
                    exchange(&*self.connection().await?, &mut request, Vec::new()).await
                }
                result => result,
            }
        })
        .await
    }

    /// For what must not be done twice: over a connection of its own, which cannot be a dead one.
    async fn call_once<T: FromReply>(
        &self,
        operation: Operation<'_>,
        descriptors: Vec<OwnedFd>,
    ) -> Result<T, Error> {
        let mut request = Request { id: 0, operation };
        self.within(self.deadline.max(TOKEN_DEADLINE), async {
            exchange(&Connection::open(&self.address).await?, &mut request, descriptors).await
        })
        .await
    }

    /// Fills the results that are missing.
    async fn sign_open<'a, R: Borrow<SignRequest<'a>>>(
        &self,
        requests: &[R],
        results: &mut [Option<Result<SignedRequest, Error>>],
    ) -> Result<(), Error> {
        let connection = self.within(self.deadline, self.connection()).await?;
        // Collected, because a future that holds a closure over references cannot be sent to other threads.
        let open: Vec<_> = requests.iter().zip(results).filter(|(_, result)| result.is_none()).collect();
        let mut open = open.into_iter().peekable();
        let mut under_way = VecDeque::new();
        loop {
            while under_way.len() < WINDOW
                && let Some((request, result)) = open.next()
            {
                let mut request = Request { id: 0, operation: request.borrow().to_wire() };
                match self.within(self.deadline, connection.ask(&mut request, Vec::new())).await {
                    Ok(asked) => under_way.push_back((asked, result)),
                    Err(error @ Error::TooLarge { .. }) => *result = Some(Err(error)),
                    Err(error) => return Err(error),
                }
            }
            connection.flush();
            let keep = if open.peek().is_some() { WINDOW / 2 } else { 0 };
            while under_way.len() > keep
                && let Some((asked, result)) = under_way.pop_front()
            {
                match self.within(self.deadline, asked.answer()).await {
                    Err(error @ (Error::Deadline { .. } | Error::Disconnected)) => return Err(error),
                    answer => *result = Some(answer),
                }
            }
            if under_way.is_empty() && open.peek().is_none() {
                return Ok(());
            }
        }
    }

    async fn within<T>(
        &self,
        after: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        // A timeout looks at the work first, which would ask although there is no time for an answer.
        if after.is_zero() {
            return Err(Error::Deadline { after });
        }
        timeout(after, work).await.unwrap_or(Err(Error::Deadline { after }))
    }

    /// The kept connection, or a new one.
    async fn connection(&self) -> Result<Arc<Connection>, Error> {
        let mut current = self.current.lock().await;
        match &*current {
            Some(connection) if !connection.is_ended() => Ok(Arc::clone(connection)),
            _ => {
                let connection = Arc::new(Connection::open(&self.address).await?);
                *current = Some(Arc::clone(&connection));
                Ok(connection)
            }
        }
    }
}

async fn exchange<T: FromReply>(
    connection: &Connection,
    request: &mut Request<'_>,
    descriptors: Vec<OwnedFd>,
) -> Result<T, Error> {
    let asked = connection.ask(request, descriptors).await?;
    connection.flush();
    asked.answer().await
}
