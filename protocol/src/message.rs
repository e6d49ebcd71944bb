//! What a client and the agent say. Variants are numbered by their order: append, never reorder.
//!
//! In tests every message also derives the traits of `wincode`, a second codec that has to agree.

use std::fmt;

use bincode::{BorrowDecode, Encode};

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub struct Request<'a> {
    /// The client's choice; the response carries it back.
    pub id: u64,
    /// What is asked.
    pub operation: Operation<'a>,
}

/// What can be asked of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub enum Operation<'a> {
    /// Sign one venue request.
    Sign(Sign<'a>),
    /// How the agent is.
    Status,
    /// A page of credentials, by name.
    List {
        /// Only those whose names sort behind this; empty for the first page.
        after: &'a str,
    },
    /// One credential.
    Show {
        /// Its name.
        credential: &'a str,
    },
    /// Forget all secrets.
    Lock,
    /// Log in to the token and load all secrets. Goes with one descriptor, the PIN, or with none.
    Unlock(Login),
    /// Wrap and keep a new secret. Goes with one to three descriptors.
    Enroll(Enroll<'a>),
    /// Delete a credential.
    Remove {
        /// Its name.
        credential: &'a str,
    },
    /// What the token says about itself and its PIN. Costs no try.
    Token,
    /// Give a credential other grants. Goes with one descriptor, the PIN, or with none.
    SetGrants(SetGrants<'a>),
    /// Speak as the client that has this token. Only the first request of a connection can.
    Hello {
        /// What was shown once when the client was made.
        token: ClientToken<'a>,
    },
    /// Make a client, and its token.
    AddClient {
        /// Its name.
        name: &'a str,
    },
    /// All clients.
    Clients,
    /// Revoke the token of a client, and drop its connections.
    RemoveClient {
        /// Its name.
        name: &'a str,
    },
    /// What the agent has counted.
    Metrics,
    /// What waits for a human.
    Pending {
        /// Only what has a higher number; 0 for all.
        after: u64,
        /// Whether the answer waits for something, for some seconds, where there is nothing.
        wait: bool,
    },
    /// A human's answer to a request that waits for one. Each number can be answered once.
    Confirm {
        /// Which request.
        number: u64,
        /// Whether it may be signed.
        yes: bool,
    },
    /// Build and sign one WebSocket login.
    WsLogin(WsLogin<'a>),
    /// Have a credential sign by the profile of its venue as that is now. Goes with one descriptor, the PIN, or with
    /// none.
    Repin(Repin<'a>),
    /// The last line of the audit log.
    AuditHead,
}

/// A WebSocket login. The agent builds its text; nothing else is signed for it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub struct WsLogin<'a> {
    /// Name of the credential.
    pub credential: &'a str,
    /// Which login of the venue's profile; its first where absent.
    pub name: Option<&'a str>,
    /// What the login is told, by name, in any order.
    pub params: Vec<(&'a str, Param<'a>)>,
}

/// To have a credential sign by another text of its venue's profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub struct Repin<'a> {
    /// Name of the credential.
    pub credential: &'a str,
    /// The revision that was looked at: refused where it is not that of the record any more.
    pub revision: u64,
    /// SHA-256 of the text that was looked at, as 64 hexadecimal digits; empty for a profile that ships. Refused where
    /// the agent finds another one.
    pub profile: &'a str,
    /// One of the hosts of the profile; where absent, the credential's stays.
    pub base_url: Option<&'a str>,
    /// How to log in.
    pub login: Login,
}

/// Other grants of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub struct SetGrants<'a> {
    /// Name of the credential.
    pub credential: &'a str,
    /// The revision that was changed: refused where it is not that of the record any more.
    pub revision: u64,
    /// All grants from now on, as TOML.
    pub grants: &'a str,
    /// Whether a record that is older than one that was in force is taken over.
    pub accept_older: bool,
    /// How to log in.
    pub login: Login,
}

/// The token of a client. Its `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub struct ClientToken<'a>(pub &'a str);

impl fmt::Debug for ClientToken<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("ClientToken(..)")
    }
}

/// How to log in to the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub struct Login {
    /// Whether a descriptor with the PIN comes along. Else the keeper has kept it, or a person enters it on
    /// the token's pad.
    pub pin: bool,
    /// Whether a person has said that the last try before the token locks may be spent.
    pub final_try: bool,
}

/// A venue request that is to be signed. The agent adds time, nonce, key id and signature.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub struct Sign<'a> {
    /// Name of the credential.
    pub credential: &'a str,
    /// HTTP method, in capitals.
    pub method: &'a str,
    /// Path of the endpoint, without host and query.
    pub path: &'a str,
    /// Query parameters in the order in which they are sent.
    pub query: Vec<(&'a str, Param<'a>)>,
    /// The body.
    pub body: Body<'a>,
}

/// The value of one parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub enum Param<'a> {
    /// Text, as it is.
    Text(&'a str),
    /// One JSON value.
    Json(&'a str),
}

/// The body of a venue request.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub enum Body<'a> {
    /// None.
    Empty,
    /// Parameters in order.
    Form(Vec<(&'a str, Param<'a>)>),
    /// One JSON value.
    Json(&'a [u8]),
}

/// A new credential. Its secret comes by descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub struct Enroll<'a> {
    /// Name that bots will use.
    pub credential: &'a str,
    /// Id of the venue's profile.
    pub venue: &'a str,
    /// The public half that the venue hands out with the secret.
    pub key_id: &'a str,
    /// Account id, where the venue's requests carry one.
    pub uid: Option<&'a str>,
    /// One of the hosts of the profile; the first where absent.
    pub base_url: Option<&'a str>,
    /// Whether an existing credential of that name is replaced.
    pub replace: bool,
    /// Whether one more descriptor with the passphrase comes along.
    pub passphrase: bool,
    /// Who may do what with it, as TOML; empty where nobody may sign yet.
    pub grants: &'a str,
    /// Whether it is a trap: any use of it is denied, and raises an alarm.
    pub honey: bool,
    /// How to log in.
    pub login: Login,
}

/// What the agent sends.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub struct Response<'a> {
    /// That of the request; 0 where none could be read.
    pub id: u64,
    /// The answer.
    pub reply: Reply<'a>,
}

/// What the agent can answer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub enum Reply<'a> {
    /// It is done.
    Done,
    /// It is not done.
    Error(Refusal<'a>),
    /// The signed request.
    Signed(Signed<'a>),
    /// A page of credentials, by name.
    Credentials {
        /// As many as fit.
        page: Vec<Credential<'a>>,
        /// Whether there are more behind them.
        more: bool,
    },
    /// One credential.
    Credential {
        /// What a list has of it.
        credential: Credential<'a>,
        /// Its grants that the asker may see, as TOML.
        grants: &'a str,
    },
    /// How the agent is.
    Status(Status<'a>),
    /// How far an `Unlock` has come. Its answer follows.
    Progress(Progress),
    /// What the token says.
    Token(Token<'a>),
    /// A client was made. Its token is shown this once.
    ClientAdded {
        /// To be given to the client.
        token: ClientToken<'a>,
    },
    /// All clients, by name.
    Clients(Vec<ClientEntry<'a>>),
    /// What the agent has counted.
    Metrics {
        /// In the text format of Prometheus.
        text: &'a str,
    },
    /// What waits for a human, by number: as much as fits.
    Pending(Vec<Question<'a>>),
    /// A WebSocket login.
    WsLogin(LoggedIn<'a>),
    /// The last line of the audit log.
    AuditHead {
        /// `NUMBER:HASH`, as `strongroom audit verify` takes it; number 0 before the first.
        head: &'a str,
        /// The folder of the log, as the agent sees it.
        folder: &'a str,
    },
}

/// What opens a session at a venue's socket.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub struct LoggedIn<'a> {
    /// Which login of the profile it is.
    pub name: &'a str,
    /// The socket; absent where the profile names none for the credential's host.
    pub url: Option<&'a str>,
    /// Headers of the handshake.
    pub headers: Vec<(&'a str, &'a str)>,
    /// The message to send, as JSON; empty where the headers are all.
    pub frame: &'a [u8],
    /// Whether the frame is a whole message; else its members go into one of the bot's.
    pub whole: bool,
    /// The signature as the frame has it, or the token.
    pub signature: &'a str,
    /// Until when the venue takes it, in milliseconds since 1970; 0 where that is not known.
    pub expires_unix_ms: u64,
}

/// One request that waits for a human.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub struct Question<'a> {
    /// Its number, which no other has.
    pub number: u64,
    /// Who asks: `user:1000`, or `client:grid-bot`.
    pub principal: &'a str,
    /// Name of the credential.
    pub credential: &'a str,
    /// Id of the venue's profile.
    pub venue: &'a str,
    /// What the request does, by the venue's action table.
    pub action: &'a str,
    /// The grant that asks for a human.
    pub grant: &'a str,
    /// Milliseconds until it is denied.
    pub left_ms: u64,
    /// What would be signed, line by line: printable ASCII, whatever the bot has sent.
    pub lines: Vec<&'a str>,
}

/// One client that has a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub struct ClientEntry<'a> {
    /// Its name.
    pub name: &'a str,
    /// When it was made, in seconds since 1970.
    pub created_unix: u64,
    /// When it last said hello, in seconds since 1970; 0 if never.
    pub used_unix: u64,
    /// How many connections speak for it now.
    pub connections: u32,
}

/// How far an `Unlock` has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub struct Progress {
    /// Records that were tried.
    pub done: u32,
    /// Records that there are to try.
    pub total: u32,
}

/// Why the agent did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub struct Refusal<'a> {
    /// [`ErrorCode`] by number, so that an older client can still read a newer code.
    pub code: u8,
    /// What is wrong.
    pub message: &'a str,
    /// What to do next; may be empty.
    pub hint: &'a str,
}

/// A request that can be sent to the venue, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub struct Signed<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// The whole URL.
    pub url: &'a str,
    /// Headers that must be sent.
    pub headers: Vec<(&'a str, &'a str)>,
    /// The body; empty for none.
    pub body: &'a [u8],
}

/// One credential, without anything secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub struct Credential<'a> {
    /// Name that bots use.
    pub name: &'a str,
    /// Id of the venue's profile.
    pub venue: &'a str,
    /// The public half of the key.
    pub key_id: &'a str,
    /// Where signed requests go.
    pub base_url: &'a str,
    /// Signature algorithm.
    pub algorithm: &'a str,
    /// Where the secret can be.
    pub custody: &'a str,
    /// How the token protects it.
    pub rung: &'a str,
    /// Serial of the token.
    pub token_serial: &'a str,
    /// When it was enrolled, in seconds since 1970.
    pub enrolled_unix: u64,
    /// Whether it can sign now.
    pub ready: bool,
    /// Why it cannot; may be empty.
    pub fault: &'a str,
    /// Rises with every change of its record; 0 where that cannot be read.
    pub revision: u64,
    /// How many grants it has.
    pub grants: u32,
    /// What its grants restrict although no signature binds it, as an admin has accepted: `method`, `path`, `query`,
    /// `body`, with commas between them.
    pub accept_unbound: &'a str,
    /// Whether any use of it is denied and raises an alarm. Told to admins only.
    pub honey: bool,
    /// SHA-256 of the user's own profile that it signs by, as 64 hexadecimal digits; empty for a profile that ships.
    pub profile: &'a str,
}

/// How the agent is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub struct Status<'a> {
    /// Version of the agent.
    pub version: &'a str,
    /// Its process id.
    pub pid: u32,
    /// Whether no secret is in memory.
    pub locked: bool,
    /// Why it is locked; empty when it is not.
    pub reason: &'a str,
    /// When it became so, in seconds since 1970.
    pub since_unix: u64,
    /// Credentials on disk.
    pub credentials: u32,
    /// Credentials that can sign now.
    pub ready: u32,
    /// Process id of the keeper; 0 if none runs.
    pub keeper_pid: u32,
    /// Serial of the configured token.
    pub token_serial: &'a str,
    /// Label of the configured token.
    pub token_label: &'a str,
    /// How the token protects seeds.
    pub rung: &'a str,
    /// Every `danger_…` setting that is on.
    pub weaknesses: Vec<&'a str>,
    /// What protects each process that holds secrets, as it measured itself.
    pub protection: Vec<Protection<'a>>,
    /// Whom the agent takes the asker for: `user:1000`, or `client:grid-bot`.
    pub principal: &'a str,
    /// Who may do everything but sign: `user:1000` each.
    pub admins: Vec<&'a str>,
    /// The line of the audit log in which its last checkpoint stands; 0 if none was signed since the agent was
    /// started. Told to admins only.
    pub checkpoint: u64,
    /// When that was, in seconds since 1970; 0 if there is none.
    pub checkpoint_unix: u64,
}

/// What protects one process that holds secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub struct Protection<'a> {
    /// Which process: `keeper`, or `token-worker` for the last one that has logged in.
    pub process: &'a str,
    /// Its process id; 0 if it has ended since.
    pub pid: u32,
    /// Whether its secrets lie in memory that root cannot read either.
    pub secret_memory: bool,
    /// Whether a guard traces it, so that nobody else can.
    pub guarded: bool,
    /// How much of Landlock is in force: `full`, `partial` or `absent`.
    pub landlock: &'a str,
}

/// The configured token, as it describes itself without a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, BorrowDecode)]
#[cfg_attr(test, derive(wincode::SchemaRead, wincode::SchemaWrite))]
pub struct Token<'a> {
    /// Its serial.
    pub serial: &'a str,
    /// Its label.
    pub label: &'a str,
    /// Manufacturer and model.
    pub model: &'a str,
    /// Whether its user has a PIN.
    pub initialised: bool,
    /// Whether the PIN is entered on a pad of the token or its reader.
    pub pad: bool,
    /// What its counter says: `unremarkable`, `count-low`, `final-try` or `locked`.
    pub tries: &'a str,
    /// Whether the keeper has kept the PIN of the last unlock, so that none need come along.
    pub kept: bool,
}

/// What kind of refusal it is: small, stable, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The peer may not do this.
    Denied,
    /// There is such a credential already.
    Exists,
    /// A defect of the agent.
    Failed,
    /// The request breaks a rule of the venue, or names something impossible.
    Invalid,
    /// No secret is in memory.
    Locked,
    /// The frame was no request.
    Malformed,
    /// There is no such credential or venue.
    NotFound,
    /// Token, keeper or disk do not answer, or refuse.
    Unavailable,
    /// The peer speaks another protocol version.
    Version,
}

impl ErrorCode {
    /// Its number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Denied => 1,
            Self::Exists => 2,
            Self::Failed => 3,
            Self::Invalid => 4,
            Self::Locked => 5,
            Self::Malformed => 6,
            Self::NotFound => 7,
            Self::Unavailable => 8,
            Self::Version => 9,
        }
    }

    /// The code with that number, if this build knows it.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Denied,
            2 => Self::Exists,
            3 => Self::Failed,
            4 => Self::Invalid,
            5 => Self::Locked,
            6 => Self::Malformed,
            7 => Self::NotFound,
            8 => Self::Unavailable,
            9 => Self::Version,
            _ => return None,
        })
    }
}
