//! Starting a helper: one socket as its standard input, an empty environment, nothing else.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::CrewError;

/// How long a helper may take until it is ready. It takes a moment, but on a machine that is just starting, or is very
/// busy.
pub(super) const GREETING: Duration = Duration::from_secs(30);

/// A running helper and the front's end of its socket.
#[derive(Debug)]
pub(super) struct Helper {
    pub(super) socket: UnixStream,
    pub(super) process: Child,
}

/// Kills a helper and its guard, unless the helper was waited for already.
///
/// Both have to be killed: the guard traces the helper, and until the guard has taken note of the helper's end, or has
/// ended itself, the kernel does not let us wait for the helper. A guard that somebody has stopped takes no note.
pub(super) fn kill(process: &Child) {
    // The guard is in its helper's group, and so is nobody else. As long as the helper was not waited for, the number
    // is nobody else's.
    let group = process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(group) = group {
        // It fails where all have ended.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// What happens to a helper whose [`Helper`] is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dropped {
    /// It is killed.
    Kill,
    /// Its socket closes, and it ends by itself when it has finished what it is at.
    LetEnd,
}

/// Starts the program `file` that lies beside this one.
///
/// The child is in a process group of its own, so that a terminal's interrupt reaches the front only. It
/// has these arguments and this environment and no other, and three descriptors: the socket, a
/// `/dev/null` and the front's standard error. All others are close-on-exec.
pub(super) fn start(
    who: &'static str,
    file: &str,
    arguments: &[&str],
    environment: &BTreeMap<String, String>,
    dropped: Dropped,
) -> Result<Helper, CrewError> {
    let path = beside(file).map_err(|source| CrewError::Spawn { who, path: PathBuf::from(file), source })?;
    let started = || -> io::Result<Helper> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        let ours = std::os::unix::net::UnixStream::from(ours);
        ours.set_nonblocking(true)?;
        let process = Command::new(&path)
            .args(arguments)
            .env_clear()
            .envs(environment)
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .process_group(0)
            .kill_on_drop(dropped == Dropped::Kill)
            .spawn()?;
        Ok(Helper { socket: UnixStream::from_std(ours)?, process })
    };
    started().map_err(|source| CrewError::Spawn { who, path: path.clone(), source })
}

/// The program `file` in the folder of the running one.
fn beside(file: &str) -> io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(file))
}
