//! Finding the agent's socket and connecting to it.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use interprocess::ConnectWaitMode;
use interprocess::local_socket::prelude::*;
use interprocess::local_socket::{ConnectOptions, GenericFilePath};
use interprocess::os::unix::uds_local_socket::Stream;
use rustix::io::Errno;

use crate::{ClientToken, Error};

/// Pause before the next try where the agent's queue of new connections is full.
const QUEUE_PAUSE: Duration = Duration::from_millis(1);

/// Where the agent is, and as whom it is asked.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(crate) path: PathBuf,
    /// Said on each connection, first of all.
    pub(crate) token: Option<ClientToken>,
}

/// Where the agent is looked for: `$STRONGROOM_SOCKET`, else `$XDG_RUNTIME_DIR/strongroom/agent.sock`.
/// An empty variable counts as one that is not set.
///
/// # Errors
/// [`Error::NoSocketPath`] where neither is set.
pub fn default_socket() -> Result<PathBuf, Error> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("STRONGROOM_SOCKET")
        .or_else(|| set("XDG_RUNTIME_DIR").map(|folder| folder.join("strongroom/agent.sock")))
        .ok_or(Error::NoSocketPath)
}

/// Connects, blocking. A full queue of new connections is waited for until `until`.
pub(crate) fn connect(path: &Path, until: Instant) -> Result<Stream, Error> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match try_connect(path, left) {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::NotConnected && left > QUEUE_PAUSE => {
                std::thread::sleep(QUEUE_PAUSE);
            }
            Err(source) => return Err(Error::NoAgent { path: path.to_owned(), source }),
        }
    }
}

fn try_connect(path: &Path, left: Duration) -> io::Result<Stream> {
    let name = path.to_fs_name::<GenericFilePath>()?;
    let stream = ConnectOptions::new()
        .name(name)
        .wait_mode(ConnectWaitMode::Timeout(left))
        .connect_sync_as::<Stream>()?;
    if is_connected(&stream)? { Ok(stream) } else { Err(io::ErrorKind::NotConnected.into()) }
}

/// `interprocess` takes a full queue (`EAGAIN` of connect) for a connection under way and hands out a
/// socket without a peer.
pub(crate) fn is_connected(stream: &impl std::os::fd::AsFd) -> io::Result<bool> {
    match rustix::net::getpeername(stream) {
        Ok(_) => Ok(true),
        Err(Errno::NOTCONN) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::net::UnixListener;

    #[test]
    fn waits_for_an_agent_whose_queue_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.sock");
        let listener = UnixListener::bind(&path).unwrap();
        // The queue holds 128 or more; connect until it is full.
        let soon = || Instant::now() + Duration::from_millis(20);
        let mut queued = Vec::new();
        let full = loop {
            match connect(&path, soon()) {
                Ok(stream) => queued.push(stream),
                Err(error) => break error,
            }
            assert!(queued.len() < 100_000, "the queue never fills");
        };
        assert!(matches!(&full, Error::NoAgent { .. }), "{full:?}");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(30));
                drop(listener.accept().unwrap());
            });
            connect(&path, Instant::now() + Duration::from_secs(60)).unwrap();
        });
    }
}
