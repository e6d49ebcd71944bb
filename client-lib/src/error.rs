//! What can go wrong between a program and the agent.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use strongroom_protocol::{DecodeError, EncodeError, ErrorCode, FrameError, Refusal};

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No answer came in time. Whether the agent did what was asked is not known.
    #[error("no answer from the agent within {after:?}")]
    Deadline {
        /// The deadline that passed.
        after: Duration,
    },
    /// The connection ended before the answer. Whether the agent did what was asked is not known.
    #[error("the agent closed the connection before it answered")]
    Disconnected,
    /// Nothing answers at the socket. Start the agent, or name the right socket.
    #[error("no agent answers at {}", path.display())]
    NoAgent {
        /// Where the socket was looked for.
        path: PathBuf,
        /// Why connecting was impossible.
        #[source]
        source: io::Error,
    },
    /// Neither `STRONGROOM_SOCKET` nor `XDG_RUNTIME_DIR` is set, so there is no default socket.
    #[error("no socket is named: neither STRONGROOM_SOCKET nor XDG_RUNTIME_DIR is set")]
    NoSocketPath,
    /// What answers does not keep to the protocol. It may not be a Strongroom agent.
    #[error("the peer does not keep to the protocol")]
    Protocol(#[source] ProtocolError),
    /// The agent said no.
    #[error("{message}")]
    Refused {
        /// What kind of no.
        code: ErrorCode,
        /// What is wrong.
        message: String,
        /// What to do next; may be empty.
        hint: String,
    },
    /// There is no usable client token where one was said to be.
    #[error("no client token{}: {fault}", place.as_ref().map(|place| format!(" in {}", place.display())).unwrap_or_default())]
    Token {
        /// The file; `None` where it was given as text.
        place: Option<PathBuf>,
        /// What is wrong; never the token.
        fault: String,
    },
    /// The request is longer than a frame may be; it was not sent.
    #[error("the request has {bytes} bytes; a frame has at most {}", strongroom_protocol::MAX_FRAME_BYTES)]
    TooLarge {
        /// Its length, in bytes.
        bytes: usize,
    },
    /// Client and agent speak different versions. Bring both to the same release.
    #[error(
        "the agent speaks protocol version {agent}, this program speaks version {}",
        strongroom_protocol::VERSION
    )]
    Version {
        /// The version that the agent speaks.
        agent: u8,
    },
}

/// How a peer broke the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A frame had an impossible length.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame held no response.
    #[error("a frame holds no response")]
    Malformed,
    /// A response carried an id that was never sent.
    #[error("a response carries the id {0}, which was never sent")]
    UnknownId(u64),
    /// The agent refused with a code that this version does not know.
    #[error("the agent refuses with code {code}, which this version does not know: {message}")]
    UnknownCode {
        /// The code.
        code: u8,
        /// What is wrong, in the agent's words.
        message: String,
    },
    /// The answer is one to another question.
    #[error("the response is not the one that belongs to the request")]
    WrongReply,
}

/// `sun_path` of unix(7), without its last zero.
const MAX_SOCKET_PATH_BYTES: usize = 107;

impl Error {
    /// What kind of refusal it is; `None` where it is not the agent that said no.
    #[must_use]
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Token { .. } | Self::TooLarge { .. } => Some(ErrorCode::Invalid),
            Self::Version { .. } => Some(ErrorCode::Version),
            _ => None,
        }
    }

    /// What to do next, in one sentence; empty where there is nothing to say.
    #[must_use]
    pub fn hint(&self) -> &str {
        match self {
            Self::Refused { hint, .. } => hint,
            Self::Deadline { .. } => "see whether the agent is busy or stopped: `strongroom status`",
            Self::Disconnected => {
                "see why the agent stopped; for a user service: `journalctl --user -u strongroom`"
            }
            Self::NoAgent { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "have an admin give this user a socket of its own: `strongroom install --system --bot USER`"
            }
            Self::NoAgent { path, .. } if path.as_os_str().len() > MAX_SOCKET_PATH_BYTES => {
                "choose a shorter path: that of a socket has at most 107 bytes"
            }
            Self::NoAgent { .. } => {
                "start it with `strongroom agent`, or name its socket in STRONGROOM_SOCKET"
            }
            Self::NoSocketPath => "set STRONGROOM_SOCKET to the agent's socket",
            Self::Protocol(_) => "see that STRONGROOM_SOCKET names the socket of a Strongroom agent",
            Self::Token { .. } => "give what `strongroom client add` has shown, in a file of mode 0600",
            Self::TooLarge { .. } => "split the request",
            Self::Version { .. } => "install the client and the agent of the same release",
        }
    }

    /// The refusal that came over the wire.
    pub(crate) fn from_refusal(refusal: &Refusal<'_>) -> Self {
        match ErrorCode::from_number(refusal.code) {
            Some(code) => {
                Self::Refused { code, message: refusal.message.to_owned(), hint: refusal.hint.to_owned() }
            }
            None => Self::Protocol(ProtocolError::UnknownCode {
                code: refusal.code,
                message: refusal.message.to_owned(),
            }),
        }
    }

    /// The same once more, for the next of many who were waiting.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Deadline { after } => Self::Deadline { after: *after },
            Self::Disconnected => Self::Disconnected,
            Self::NoAgent { path, source } => {
                let source = source.raw_os_error().map_or_else(
                    || io::Error::new(source.kind(), source.to_string()),
                    io::Error::from_raw_os_error,
                );
                Self::NoAgent { path: path.clone(), source }
            }
            Self::NoSocketPath => Self::NoSocketPath,
            Self::Protocol(error) => Self::Protocol(error.clone()),
            Self::Refused { code, message, hint } => {
                Self::Refused { code: *code, message: message.clone(), hint: hint.clone() }
            }
            Self::Token { place, fault } => Self::Token { place: place.clone(), fault: fault.clone() },
            Self::TooLarge { bytes } => Self::TooLarge { bytes: *bytes },
            Self::Version { agent } => Self::Version { agent: *agent },
        }
    }

    pub(crate) const fn wrong_reply() -> Self {
        Self::Protocol(ProtocolError::WrongReply)
    }
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Self::TooLarge { bytes: error.bytes }
    }
}

/// Why a connection is of no more use. Kept, so that everyone who waits on it can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The agent closed it.
    Closed,
    /// The agent broke the protocol.
    Protocol(ProtocolError),
    /// The agent refused the whole connection.
    Refused { code: u8, message: String, hint: String },
    /// The agent speaks another version.
    Version(u8),
}

impl End {
    pub(crate) fn error(&self) -> Error {
        match self {
            Self::Closed => Error::Disconnected,
            Self::Protocol(error) => Error::Protocol(error.clone()),
            Self::Refused { code, message, hint } => {
                Error::from_refusal(&Refusal { code: *code, message, hint })
            }
            Self::Version(agent) => Error::Version { agent: *agent },
        }
    }
}

impl From<DecodeError> for End {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Version(agent) => Self::Version(agent),
            _ => Self::Protocol(ProtocolError::Malformed),
        }
    }
}

impl From<FrameError> for End {
    fn from(error: FrameError) -> Self {
        Self::Protocol(error.into())
    }
}

impl From<&Refusal<'_>> for End {
    fn from(refusal: &Refusal<'_>) -> Self {
        Self::Refused {
            code: refusal.code,
            message: refusal.message.to_owned(),
            hint: refusal.hint.to_owned(),
        }
    }
}
