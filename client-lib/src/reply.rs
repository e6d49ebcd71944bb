//! What the agent answers, owned.

mod pages;
mod read;

use std::fmt;
use std::time::Duration;

pub(crate) use pages::{Listing, Page, Questions};
pub(crate) use read::{FromReply, of_all, progress, read};

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
