//! How a child process starts: what it inherits, and what it gives up first.
//!
//! A child gets one socket, as its standard input; standard output is `/dev/null`; standard error is
//! the front's, for its log. Its environment is empty but for what its spawner names.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};

/// Started by hand, or by something that is not the front.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotAChild {
    /// Standard input is not the socket of a front.
    #[error("standard input is no unix stream socket: `strongroom` starts this program, people do not")]
    NoSocket,
    /// The kernel refused one of the first steps.
    #[error("{step} failed")]
    Step {
        /// Which step.
        step: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// Takes the first steps of a child process and gives it its socket.
///
/// Whatever descriptors the process has inherited beyond the first three are closed: the front marks its
/// own close-on-exec, but not those that whoever started the front has left open. The process dies with
/// its parent, cannot be dumped or traced by its own user, leaves no core file,
/// and can gain no privileges. Call it first in `main`, before any other thread exists.
///
/// # Errors
/// [`NotAChild::NoSocket`] where a person started the program; [`NotAChild::Step`] where the kernel
/// refuses a step, and then the process must not go on.
pub fn begin() -> Result<UnixStream, NotAChild> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(step("PR_SET_PDEATHSIG"))?;
    begin_to_outlive()
}

/// The same for a child that may be writing when its parent dies: it finishes what it is at, for `GRACE`
/// at most, and ends then.
///
/// A module that is killed while it writes can leave its token unreadable for ever. SoftHSM empties the
/// file of the token and writes it anew at every login.
///
/// # Errors
/// As [`begin`].
pub fn begin_with_grace() -> Result<UnixStream, NotAChild> {
    let socket = begin_to_outlive()?;
    let watched = |source| NotAChild::Step { step: "watching the front", source };
    let front = socket.try_clone().map_err(watched)?;
    let watch = move || {
        // A hang-up is reported whatever is asked for.
        while poll(&mut [PollFd::new(&front, PollFlags::empty())], None) == Err(Errno::INTR) {}
        std::thread::sleep(GRACE);
        // Not an orderly exit: the module that hangs may hang in its own end, too.
        let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
    };
    std::thread::Builder::new().name("front".to_owned()).spawn(watch).map_err(watched)?;
    Ok(socket)
}

/// How long a child may go on without its parent. A card writes within a second.
const GRACE: Duration = Duration::from_secs(2);

fn step(step: &'static str) -> impl Fn(Errno) -> NotAChild {
    move |source| NotAChild::Step { step, source: source.into() }
}

fn begin_to_outlive() -> Result<UnixStream, NotAChild> {
    close_inherited()?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(step("PR_SET_DUMPABLE"))?;
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .map_err(step("RLIMIT_CORE"))?;
    rustix::thread::set_no_new_privs(true).map_err(step("PR_SET_NO_NEW_PRIVS"))?;

    let stdin = io::stdin();
    let is_socket = rustix::net::sockopt::socket_type(&stdin) == Ok(rustix::net::SocketType::STREAM)
        && rustix::net::sockopt::socket_domain(&stdin) == Ok(rustix::net::AddressFamily::UNIX);
    if !is_socket {
        return Err(NotAChild::NoSocket);
    }
    let socket: OwnedFd = stdin
        .as_fd()
        .try_clone_to_owned()
        .map_err(|source| NotAChild::Step { step: "duplicating the socket", source })?;
    Ok(UnixStream::from(socket))
}

/// Marks every descriptor of this process but the first three so that no program it starts gets it: also
/// those that whoever started this process has left open.
pub fn keep_descriptors() {
    #[expect(unsafe_code, reason = "rustix has no close_range(2)")]
    // SAFETY: nothing is closed; a flag of the descriptors is set.
    let marked = unsafe { libc::close_range(3, libc::c_uint::MAX, CLOEXEC) };
    // Kernels before 5.11 have no such call; nothing that runs there has memory to keep secrets in.
    debug_assert_eq!(marked, 0, "{}", io::Error::last_os_error());
}

#[expect(clippy::as_conversions, clippy::cast_possible_wrap, reason = "a small number, in a const")]
const CLOEXEC: libc::c_int = libc::CLOSE_RANGE_CLOEXEC as libc::c_int;

/// Closes every descriptor but the first three.
fn close_inherited() -> Result<(), NotAChild> {
    #[expect(unsafe_code, reason = "rustix has no close_range(2)")]
    // SAFETY: this is the first step of the process, so nothing in it owns any of these descriptors yet.
    let closed = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
    match closed {
        0 => Ok(()),
        _ => Err(NotAChild::Step { step: "close_range", source: io::Error::last_os_error() }),
    }
}
