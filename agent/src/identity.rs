//! Who is at the other end of a socket, as the kernel knows it.

use std::io;
use std::os::fd::AsFd;

/// The process that connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Principal {
    /// Its effective user id when it connected.
    pub(crate) uid: u32,
    /// Its process id when it connected; for the log only, since it may have ended since.
    pub(crate) pid: i32,
}

impl Principal {
    /// Asks the kernel (`SO_PEERCRED`).
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn of(socket: impl AsFd) -> io::Result<Self> {
        let peer = rustix::net::sockopt::socket_peercred(socket)?;
        Ok(Self { uid: peer.uid.as_raw(), pid: peer.pid.as_raw_nonzero().get() })
    }

    /// This process itself, which asks nobody.
    pub(crate) fn own() -> Self {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        Self { uid: rustix::process::geteuid().as_raw(), pid }
    }
}
