//! Who is at the other end of a socket, as the kernel knows it.
//!
//! [`Kernel`] identifies a client when it connects; [`Client`] then says of everything that arrives whether this
//! client has sent it. docs/adr/0015-identity-of-clients.md has the argument.

mod client;
mod groups;
mod name;
mod program;
mod unit;

pub(crate) use client::{Client, Impostor, Kernel, Rest, Unidentified};
pub(crate) use name::{ClientName, NoClientName};
pub(crate) use unit::Unit;

use std::fmt;
use std::path::PathBuf;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    /// Its effective user id when it connected.
    pub(crate) uid: u32,
    /// Its effective group id when it connected.
    pub(crate) gid: u32,
    /// Its process id.
    pub(crate) pid: i32,
    /// The systemd unit that it was in when it connected; `None` where it was in none, or the kernel hid it.
    pub(crate) unit: Option<Unit>,
    /// The program that it ran when it connected, where the kernel tells. For people: whoever is this user
    /// decides what a program of any name does.
    pub(crate) exe: Option<PathBuf>,
    /// The client whose token it has shown: then it is that client, and nothing else of it decides.
    pub(crate) client: Option<ClientName>,
}

/// Who it is for what decides: `client:grid-bot`, or `user:1000`.
impl fmt::Display for Principal {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.client {
            Some(client) => write!(to, "client:{client}"),
            None => write!(to, "user:{}", self.uid),
        }
    }
}

impl Principal {
    /// All names by which a grant can mean it.
    pub(crate) fn names(&self) -> String {
        match (&self.client, &self.unit) {
            (None, Some(unit)) => format!("unit:{unit} of {self}"),
            _ => self.to_string(),
        }
    }

    /// This process itself, which asks nobody.
    pub(crate) fn own() -> Self {
        Self {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            pid: rustix::process::getpid().as_raw_nonzero().get(),
            unit: None,
            exe: None,
            client: None,
        }
    }
}

/// Writes an event to the log, with who it is about.
macro_rules! log_of {
    ($level:ident, $principal:expr, $($rest:tt)+) => {
        tracing::$level!(
            uid = $principal.uid,
            gid = $principal.gid,
            pid = $principal.pid,
            unit = $principal.unit.as_ref().map(tracing::field::display),
            client = $principal.client.as_ref().map(tracing::field::display),
            // Escaped: whoever is this user chooses the name.
            exe = $principal.exe.as_ref().map(tracing::field::debug),
            $($rest)+
        )
    };
}
pub(crate) use log_of;
