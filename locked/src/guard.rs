//! A process that does nothing but trace another one, its ward, so that nobody else can.
//!
//! A process has one tracer at most, and root is no exception: while the guard holds on, a debugger, a
//! core dumper or whoever wants to read the registers of a busy ward is refused. If the guard ends,
//! the kernel kills the ward with it (`PTRACE_O_EXITKILL`). The guard is the ward's program in another
//! role and its child, so that whoever started the ward has one child, and sees how it ends. It holds no
//! secret.
//!
//! Where tracing is forbidden (Yama's stricter modes, a filter) there is no guard; then nobody but root
//! can trace either.

use std::ffi::CStr;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::ptr;

use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::process::{PTracer, Pid, Signal, WaitOptions, set_ptracer, waitpid};

use crate::NAKED;
use crate::confine::{self, Calls};

/// The only argument of a guard.
pub const GUARD: &str = "--guard";

const GO: u8 = b'g';
const HELD: u8 = b'h';

/// Starts a guard of the program `name` and waits until it holds this process. `false` where there can
/// be none.
///
/// To be called before this process makes itself undumpable, which would keep a guard of the same user
/// off, and before it has anything to guard.
#[must_use]
pub fn start(name: &str) -> bool {
    !NAKED && try_start(name).unwrap_or(false)
}

fn try_start(name: &str) -> io::Result<bool> {
    let (mut socket, theirs) = UnixStream::pair()?;
    let guard = Command::new("/proc/self/exe")
        .arg0(name)
        .arg(GUARD)
        .env_clear()
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let guard = i32::try_from(guard.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
    // Without Yama there is no such call, and none is needed.
    let _no_yama = set_ptracer(PTracer::ProcessID(guard));
    socket.write_all(&[GO])?;
    let mut answer = [0];
    socket.read_exact(&mut answer)?;
    let _no_yama = set_ptracer(PTracer::None);
    Ok(answer == [HELD])
}

/// Whether some process traces this one.
#[must_use]
pub fn is_traced() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.is_some_and(|tracer| tracer.trim() != "0")
}

/// Guards the process at the other end of `socket` until it ends. `name` is the guard's in a list of
/// processes.
///
/// # Errors
/// Where it cannot be held, or no more.
pub fn guard(mut socket: UnixStream, name: &CStr) -> io::Result<()> {
    let ward = socket_peercred(&socket)?.pid;
    let _unnamed = rustix::thread::set_name(name);
    let mut go = [0];
    socket.read_exact(&mut go)?;
    if go != [GO] || is_traced() {
        // Whoever traces the guard could have it let go.
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    seize(ward)?;
    let _best_effort = confine::landlock();
    socket.write_all(&[HELD])?;
    drop(socket);
    confine::allow_only(calls()).map_err(io::Error::other)?;
    hold()
}

/// The system calls of a guard that holds.
fn calls() -> Calls {
    [libc::SYS_wait4, libc::SYS_ptrace, libc::SYS_exit_group, libc::SYS_restart_syscall]
        .map(|call| (call, Vec::new()))
        .into()
}

/// Lets each thread of the ward go on whenever something has stopped it, until the last has ended.
fn hold() -> io::Result<()> {
    loop {
        let (thread, status) = match waitpid(None, WaitOptions::empty()) {
            Ok(Some(changed)) => changed,
            Ok(None) | Err(Errno::INTR) => continue,
            Err(Errno::CHILD) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let Some(signal) = status.stopping_signal() else { continue };
        let event = status.as_raw() >> 16;
        let is_stop = [Signal::STOP, Signal::TSTP, Signal::TTIN, Signal::TTOU]
            .iter()
            .any(|stop| stop.as_raw() == signal);
        let gone_on = match event {
            0 => request(libc::PTRACE_CONT, thread, signal),
            // It stays stopped until it is continued.
            libc::PTRACE_EVENT_STOP if is_stop => request(libc::PTRACE_LISTEN, thread, 0),
            // A thread that begins, or one that has begun another.
            _ => request(libc::PTRACE_CONT, thread, 0),
        };
        // It may have been killed in the meantime; then the next wait says so.
        if let Err(error) = gone_on
            && error.raw_os_error() != Some(libc::ESRCH)
        {
            return Err(error);
        }
    }
}

/// Threads that the ward starts from now on are held from their first instruction. It has one now.
fn seize(ward: Pid) -> io::Result<()> {
    request(libc::PTRACE_SEIZE, ward, libc::PTRACE_O_EXITKILL | libc::PTRACE_O_TRACECLONE)
}

fn request(request: libc::c_uint, ward: Pid, data: i32) -> io::Result<()> {
    let data: *mut libc::c_void = ptr::without_provenance_mut(usize::try_from(data).unwrap_or_default());
    // SAFETY: none of these requests has the kernel read or write this process.
    let done = unsafe { libc::ptrace(request, ward.as_raw_pid(), ptr::null_mut::<libc::c_void>(), data) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
