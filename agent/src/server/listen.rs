//! Making the agent's socket, or taking it from the service manager.

use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use interprocess::local_socket::{GenericFilePath, ListenerOptions, ToFsName as _};
use interprocess::os::unix::local_socket::ListenerOptionsExt as _;
use interprocess::os::unix::uds_local_socket as uds;
use strongroom_protocol::ErrorCode;

use crate::fault::Fault;
use crate::store::atomic;

/// The listening sockets. The file of one of ours goes when this is dropped; others are the service manager's.
pub(crate) struct Listening {
    pub(super) listeners: Vec<Rc<uds::tokio::Listener>>,
    own: Option<OwnSocket>,
}

/// A socket file that this process made, and the lock that says so.
struct OwnSocket {
    path: PathBuf,
    _lock: File,
}

impl Drop for OwnSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Listening {
    /// Where it is, for the log.
    pub(crate) fn place(&self) -> String {
        self.own.as_ref().map_or_else(
            || format!("{} of the service manager", self.listeners.len()),
            |own| own.path.display().to_string(),
        )
    }
}

/// Takes the sockets that the service manager has made, or makes one at `path`.
///
/// A socket of ours has mode 0600 from its first moment on: the mode is set before it is bound. A lock
/// beside it tells a live agent's socket from one that a killed agent has left behind; only the latter
/// is removed.
///
/// # Errors
/// Where another agent, or something else, is at that path; where the folder is not writable.
pub(crate) fn listen(path: impl FnOnce() -> Result<PathBuf, Fault>) -> Result<Listening, Fault> {
    let mut given = listenfd::ListenFd::from_env();
    let mut listeners = Vec::new();
    for place in 0..given.len() {
        let listener = given.take_unix_listener(place).map_err(|error| {
            Fault::new(
                ErrorCode::Unavailable,
                format!("a socket of the service manager is unusable: {error}"),
                "it must be a unix stream socket; see systemd/strongroom.socket",
            )
        })?;
        if let Some(listener) = listener {
            listeners.push(into_async(uds::Listener::from(listener))?);
        }
    }
    if !listeners.is_empty() {
        return Ok(Listening { listeners, own: None });
    }
    let path = path()?;
    if let Some(folder) = path.parent() {
        atomic::make_folder(folder)?;
    }
    let lock = atomic::take_lock(&path.with_extension("lock"))?.ok_or_else(|| taken(&path))?;
    clear_away(&path)?;
    let listener = bind(&path).map_err(|error| {
        let message = format!("the socket {} cannot be made: {error}", path.display());
        Fault::new(
            ErrorCode::Unavailable,
            message,
            "make its folder writable, or choose another with --socket",
        )
    })?;
    Ok(Listening { listeners: vec![into_async(listener)?], own: Some(OwnSocket { path, _lock: lock }) })
}

fn bind(path: &Path) -> io::Result<uds::Listener> {
    let name = path.to_fs_name::<GenericFilePath>()?;
    let made = ListenerOptions::new().name(name).mode(0o600).reclaim_name(false).create_sync()?;
    match made {
        interprocess::local_socket::Listener::UdSocket(listener) => Ok(listener),
    }
}

/// Connections inherit it: from the listener's first moment on the kernel says who has sent what.
fn into_async(listener: uds::Listener) -> Result<Rc<uds::tokio::Listener>, Fault> {
    rustix::net::sockopt::set_socket_passcred(&listener, true).map_err(Fault::defect)?;
    uds::tokio::Listener::try_from(listener).map(Rc::new).map_err(Fault::defect)
}

/// Removes what a killed agent has left at `path`. Our lock says that no live one uses it; an attempt
/// to connect says the same of programs that know nothing of our lock.
fn clear_away(path: &Path) -> Result<(), Fault> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(_) => {}
        Ok(meta) => {
            use std::os::unix::fs::FileTypeExt as _;
            if !meta.file_type().is_socket() {
                let message = format!("refusing to replace {}, which is no socket", path.display());
                return Err(Fault::new(ErrorCode::Invalid, message, "choose another path with --socket"));
            }
        }
    }
    if UnixStream::connect(path).is_ok() {
        return Err(taken(path));
    }
    std::fs::remove_file(path).map_err(|error| {
        let message =
            format!("the socket {} that an ended agent has left cannot be removed: {error}", path.display());
        Fault::new(ErrorCode::Unavailable, message, "remove it, or choose another with --socket")
    })
}

fn taken(path: &Path) -> Fault {
    let message = format!("refusing to take {} away from the agent that listens on it", path.display());
    Fault::new(ErrorCode::Exists, message, "use the running agent, or stop it first")
}
