//! What the agent answers, owned.

use std::fmt;
use std::time::Duration;

use strongroom_protocol::{self as wire, Reply, Response, decode};

use crate::error::{End, Error, ProtocolError};
use crate::token::ClientToken;

/// A request that can be sent to the venue. Send exactly this.
///
/// Its headers let whoever has them act once: `Debug` leaves their values out.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// HTTP method.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// Headers that must be sent.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

/// What opens a session at a venue's socket.
///
/// Whoever has it may be able to trade without any further signature: `Debug` leaves out what opens it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WsLogin {
    /// Which login of the venue's profile it is.
    pub name: String,
    /// The socket; `None` where the profile names none for the credential's host.
    pub url: Option<String>,
    /// Headers of the handshake.
    pub headers: Vec<(String, String)>,
    /// The message to send, as JSON; `None` where the headers are all.
    pub frame: Option<String>,
    /// Whether the frame is a whole message; else its members go into one of the bot's own.
    pub whole: bool,
    /// The signature as the frame has it, or the token.
    pub signature: String,
    /// Until when the venue takes it, in milliseconds since 1970; `None` where that is not known.
    pub expires_unix_ms: Option<u64>,
}

/// One credential, without anything secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credential {
    /// Name that bots use.
    pub name: String,
    /// Id of the venue's profile.
    pub venue: String,
    /// The public half of the key.
    pub key_id: String,
    /// Where signed requests go.
    pub base_url: String,
    /// Signature algorithm.
    pub algorithm: String,
    /// Where the secret can be.
    pub custody: String,
    /// How the token protects it.
    pub rung: String,
    /// Serial of the token.
    pub token_serial: String,
    /// When it was enrolled, in seconds since 1970.
    pub enrolled_unix: u64,
    /// Whether it can sign now.
    pub ready: bool,
    /// Why it cannot; may be empty.
    pub fault: String,
    /// Rises with every change of its record; 0 where that cannot be read.
    pub revision: u64,
    /// How many grants it has.
    pub grants: u32,
    /// What its grants restrict although no signature binds it: `method`, `path`, `query`, `body`.
    pub accept_unbound: Vec<String>,
    /// Whether any use of it is denied and raises an alarm. Told to admins only.
    pub honey: bool,
    /// SHA-256 of the user's own profile that it signs by, in hexadecimal; empty for a profile that ships.
    pub profile: String,
}

/// The last line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditHead {
    /// `NUMBER:HASH`, as `strongroom audit verify --noted` takes it; number 0 before the first.
    pub head: String,
    /// The folder of the log, as the agent sees it.
    pub folder: String,
}

/// What the agent has counted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// In the text format of Prometheus.
    pub text: String,
}

/// Who may do what with a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grants {
    /// The revision of the record that holds them.
    pub revision: u64,
    /// The grants that the asker may see, as TOML.
    pub toml: String,
}

/// How the agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Version of the agent.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Whether no secret is in memory.
    pub locked: bool,
    /// Why it is locked; empty when it is not.
    pub reason: String,
    /// When it became so, in seconds since 1970.
    pub since_unix: u64,
    /// Credentials on disk.
    pub credentials: u32,
    /// Credentials that can sign now.
    pub ready: u32,
    /// Process id of the keeper; `None` if none runs.
    pub keeper_pid: Option<u32>,
    /// Serial of the configured token.
    pub token_serial: String,
    /// Label of the configured token.
    pub token_label: String,
    /// How the token protects seeds.
    pub rung: String,
    /// Every `danger_…` setting that is on.
    pub weaknesses: Vec<String>,
    /// What protects each process that holds secrets, as it measured itself.
    pub protection: Vec<Protection>,
    /// Whom the agent takes the asker for: `user:1000`, or `client:grid-bot`.
    pub principal: String,
    /// Who may do everything but sign: `user:1000` each.
    pub admins: Vec<String>,
    /// The last checkpoint of the audit log since the agent was started; `None` if there is none, or who asks is no
    /// admin.
    pub checkpoint: Option<Checkpoint>,
}

/// Where a checkpoint stands in the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Number of its line.
    pub line: u64,
    /// When it was written, in seconds since 1970.
    pub unix: u64,
}

/// One client that has a token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientEntry {
    /// Its name.
    pub name: String,
    /// When it was made, in seconds since 1970.
    pub created_unix: u64,
    /// When it last said hello, in seconds since 1970; `None` if never.
    pub used_unix: Option<u64>,
    /// How many connections speak for it now.
    pub connections: u32,
}

/// One request that waits for a human.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Question {
    /// Its number, which no other has.
    pub number: u64,
    /// Who asks: `user:1000`, or `client:grid-bot`.
    pub principal: String,
    /// Name of the credential.
    pub credential: String,
    /// Id of the venue's profile.
    pub venue: String,
    /// What the request does, by the venue's action table.
    pub action: String,
    /// The grant that asks for a human.
    pub grant: String,
    /// How long until it is denied, when this was told.
    pub left: Duration,
    /// What would be signed, line by line: printable ASCII, whatever the bot has sent.
    pub lines: Vec<String>,
}

/// What protects one process that holds secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Protection {
    /// Which process: `keeper`, or `token-worker` for the last one that has logged in.
    pub process: String,
    /// Its process id; `None` if it has ended since.
    pub pid: Option<u32>,
    /// Whether its secrets lie in memory that root cannot read either.
    pub secret_memory: bool,
    /// Whether a guard traces it, so that nobody else can.
    pub guarded: bool,
    /// How much of Landlock is in force: `full`, `partial` or `absent`.
    pub landlock: String,
}

/// How far an unlock has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Records that were tried.
    pub done: u32,
    /// Records that there are to try.
    pub total: u32,
}

/// The agent's token, as it describes itself without a login.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Token {
    /// Its serial.
    pub serial: String,
    /// Its label.
    pub label: String,
    /// Manufacturer and model.
    pub model: String,
    /// Whether its user has a PIN.
    pub initialised: bool,
    /// Whether the PIN is entered on a pad of the token or its reader.
    pub pad: bool,
    /// What its counter of wrong PINs says: `unremarkable`, `count-low`, `final-try` or `locked`.
    pub tries: String,
    /// Whether the agent has kept the PIN of the last unlock, so that none need come along.
    pub kept: bool,
}

impl fmt::Debug for SignedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.url.split('?').next().unwrap_or_default();
        f.debug_struct("SignedRequest")
            .field("method", &self.method)
            .field("url", &path)
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for WsLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsLogin")
            .field("name", &self.name)
            .field("url", &self.url)
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("expires_unix_ms", &self.expires_unix_ms)
            .finish_non_exhaustive()
    }
}

/// A result that is read from one variant of [`Reply`].
pub(crate) trait FromReply: Sized {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error>;
}

impl FromReply for () {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::Done => Ok(()),
            other => Err(unwanted(&other)),
        }
    }
}

impl FromReply for SignedRequest {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::Signed(signed) => Ok(Self {
                method: signed.method.to_owned(),
                url: signed.url.to_owned(),
                headers: signed
                    .headers
                    .iter()
                    .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
                body: signed.body.to_vec(),
            }),
            other => Err(unwanted(&other)),
        }
    }
}

impl FromReply for WsLogin {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::WsLogin(login) => Ok(Self {
                name: login.name.to_owned(),
                url: login.url.map(str::to_owned),
                headers: login
                    .headers
                    .iter()
                    .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
                frame: match login.frame {
                    [] => None,
                    frame => Some(String::from_utf8(frame.to_vec()).map_err(|_| Error::wrong_reply())?),
                },
                whole: login.whole,
                signature: login.signature.to_owned(),
                expires_unix_ms: Some(login.expires_unix_ms).filter(|ms| *ms > 0),
            }),
            other => Err(unwanted(&other)),
        }
    }
}

impl FromReply for Credential {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::Credential { credential, grants: _ } => Ok(Self::from(&credential)),
            other => Err(unwanted(&other)),
        }
    }
}

impl FromReply for Grants {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::Credential { credential, grants } => {
                Ok(Self { revision: credential.revision, toml: grants.to_owned() })
            }
            other => Err(unwanted(&other)),
        }
    }
}

/// Some of the credentials, by name.
pub(crate) struct Page {
    credentials: Vec<Credential>,
    more: bool,
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

impl FromReply for Page {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::Credentials { page, more } => {
                Ok(Self { credentials: page.iter().map(Credential::from).collect(), more })
            }
            other => Err(unwanted(&other)),
        }
    }
}

impl FromReply for Status {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::Status(status) => Ok(Self {
                version: status.version.to_owned(),
                pid: status.pid,
                locked: status.locked,
                reason: status.reason.to_owned(),
                since_unix: status.since_unix,
                credentials: status.credentials,
                ready: status.ready,
                keeper_pid: some_pid(status.keeper_pid),
                token_serial: status.token_serial.to_owned(),
                token_label: status.token_label.to_owned(),
                rung: status.rung.to_owned(),
                weaknesses: status.weaknesses.iter().map(|&weakness| weakness.to_owned()).collect(),
                protection: status.protection.iter().map(Protection::from).collect(),
                principal: status.principal.to_owned(),
                admins: status.admins.iter().map(|&admin| admin.to_owned()).collect(),
                checkpoint: (status.checkpoint > 0)
                    .then_some(Checkpoint { line: status.checkpoint, unix: status.checkpoint_unix }),
            }),
            other => Err(unwanted(&other)),
        }
    }
}

impl FromReply for Vec<Question> {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::Pending(page) => Ok(page.iter().map(Question::from).collect()),
            other => Err(unwanted(&other)),
        }
    }
}

impl From<&wire::Question<'_>> for Question {
    fn from(question: &wire::Question<'_>) -> Self {
        Self {
            number: question.number,
            principal: question.principal.to_owned(),
            credential: question.credential.to_owned(),
            venue: question.venue.to_owned(),
            action: question.action.to_owned(),
            grant: question.grant.to_owned(),
            left: Duration::from_millis(question.left_ms),
            lines: question.lines.iter().map(|&line| line.to_owned()).collect(),
        }
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

impl From<&wire::Protection<'_>> for Protection {
    fn from(protection: &wire::Protection<'_>) -> Self {
        Self {
            process: protection.process.to_owned(),
            pid: some_pid(protection.pid),
            secret_memory: protection.secret_memory,
            guarded: protection.guarded,
            landlock: protection.landlock.to_owned(),
        }
    }
}

impl FromReply for Token {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::Token(token) => Ok(Self {
                serial: token.serial.to_owned(),
                label: token.label.to_owned(),
                model: token.model.to_owned(),
                initialised: token.initialised,
                pad: token.pad,
                tries: token.tries.to_owned(),
                kept: token.kept,
            }),
            other => Err(unwanted(&other)),
        }
    }
}

impl FromReply for ClientToken {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::ClientAdded { token } => Self::new(token.0),
            other => Err(unwanted(&other)),
        }
    }
}

impl FromReply for Vec<ClientEntry> {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::Clients(clients) => Ok(clients.iter().map(ClientEntry::from).collect()),
            other => Err(unwanted(&other)),
        }
    }
}

impl FromReply for AuditHead {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::AuditHead { head, folder } => {
                Ok(Self { head: head.to_owned(), folder: folder.to_owned() })
            }
            other => Err(unwanted(&other)),
        }
    }
}

impl FromReply for Metrics {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        match reply {
            Reply::Metrics { text } => Ok(Self { text: text.to_owned() }),
            other => Err(unwanted(&other)),
        }
    }
}

impl From<&wire::ClientEntry<'_>> for ClientEntry {
    fn from(client: &wire::ClientEntry<'_>) -> Self {
        Self {
            name: client.name.to_owned(),
            created_unix: client.created_unix,
            used_unix: (client.used_unix != 0).then_some(client.used_unix),
            connections: client.connections,
        }
    }
}

/// The wire has 0 for no process.
fn some_pid(pid: u32) -> Option<u32> {
    (pid != 0).then_some(pid)
}

impl From<&wire::Credential<'_>> for Credential {
    fn from(credential: &wire::Credential<'_>) -> Self {
        Self {
            name: credential.name.to_owned(),
            venue: credential.venue.to_owned(),
            key_id: credential.key_id.to_owned(),
            base_url: credential.base_url.to_owned(),
            algorithm: credential.algorithm.to_owned(),
            custody: credential.custody.to_owned(),
            rung: credential.rung.to_owned(),
            token_serial: credential.token_serial.to_owned(),
            enrolled_unix: credential.enrolled_unix,
            ready: credential.ready,
            fault: credential.fault.to_owned(),
            revision: credential.revision,
            grants: credential.grants,
            accept_unbound: credential
                .accept_unbound
                .split(',')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            honey: credential.honey,
            profile: credential.profile.to_owned(),
        }
    }
}

fn unwanted(reply: &Reply<'_>) -> Error {
    match reply {
        Reply::Error(refusal) => Error::from_refusal(refusal),
        _ => Error::wrong_reply(),
    }
}

/// How far an unlock has come, where the response in `frame` tells that and is no answer yet.
pub(crate) fn progress(frame: &[u8]) -> Option<Progress> {
    match decode::<Response<'_>>(frame) {
        Ok(Response { reply: Reply::Progress(wire::Progress { done, total }), .. }) => {
            Some(Progress { done, total })
        }
        _ => None,
    }
}

/// Reads the response in `frame`: an [`End`] where it is none, so that the connection is of no more use.
pub(crate) fn read<T: FromReply>(frame: &[u8]) -> Result<Result<T, Error>, End> {
    let response: Response<'_> = decode(frame)?;
    Ok(T::from_reply(response.reply))
}

/// Why the agent ends the connection, out of a response that is for no request.
pub(crate) fn of_all(frame: &[u8]) -> End {
    match decode::<Response<'_>>(frame) {
        Ok(Response { reply: Reply::Error(refusal), .. }) => End::from(&refusal),
        Ok(response) => End::Protocol(ProtocolError::UnknownId(response.id)),
        Err(error) => error.into(),
    }
}
