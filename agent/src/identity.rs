//! Who is at the other end of a socket, as the kernel knows it.

use std::io;

use tokio::net::UnixStream;

/// The process that connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Principal {
    /// Its effective user id when it connected.
    pub(crate) uid: u32,
    /// Its process id when it connected, for the log only, since it may have ended since; 0 where it
    /// lives in a process namespace that this one cannot see.
    pub(crate) pid: i32,
}

impl Principal {
    /// Asks the kernel (`SO_PEERCRED`).
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn of(socket: &UnixStream) -> io::Result<Self> {
        let peer = socket.peer_cred()?;
        Ok(Self { uid: peer.uid(), pid: peer.pid().unwrap_or_default() })
    }

    /// This process itself, which asks nobody.
    pub(crate) fn own() -> Self {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        Self { uid: rustix::process::geteuid().as_raw(), pid }
    }
}
