//! One client from its connection to its end.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net;
use std::rc::Rc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::socket_passcred;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use strongroom_link::peer::{self, Credentials};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;

use super::groups::Groups;
use super::program::Program;
use super::{Principal, Unit};

/// Why somebody who connected is no principal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unidentified {
    #[error("it connected before this agent had asked for the names of senders")]
    Early,
    #[error("the process that connected has ended")]
    Ended,
    #[error("the kernel does not show the process that connected: it is in another process namespace")]
    Hidden,
    #[error("the client could not be identified")]
    Kernel(#[from] io::Error),
    #[error("user {uid} stands for every user that is not in this agent's user namespace")]
    User { uid: u32 },
}

/// Why what was received is not what this client has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Impostor {
    #[error("the process that connected has ended")]
    Ended,
    #[error("this connection belongs to process {connector}; {} has sent on it", Sender(*sender))]
    Process { connector: i32, sender: i32 },
    #[error("process {pid} runs another program than when it connected")]
    Program { pid: i32 },
    #[error("process {pid} connected as user {connected} and sends as user {sends}")]
    User { pid: i32, connected: u32, sends: u32 },
}

struct Sender(i32);

impl std::fmt::Display for Sender {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => to.write_str("a process that the kernel does not show"),
            pid => write!(to, "process {pid}"),
        }
    }
}

/// What the kernel here can tell about a client.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// Whether a socket gives a handle of the process that connected (Linux 6.5).
    handles: bool,
    /// The user id that stands for all that this user namespace does not have.
    stand_in: Option<u32>,
    /// The control groups, where a handle tells in which one its process is.
    groups: Option<Groups>,
}

impl Kernel {
    /// Finds out.
    pub(crate) fn look() -> Self {
        let handles = net::UnixStream::pair().and_then(|(end, _other)| peer::connector_handle(end)).is_ok();
        let has_all = fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| has_every_user(&map));
        Self { handles, stand_in: (!has_all).then(stand_in), groups: Groups::look() }
    }

    /// How a client is known, for the log.
    pub(crate) const fn means(&self) -> &'static str {
        if self.handles {
            "the process handle that its socket gives"
        } else {
            "its process id: before Linux 6.5 a socket gives no process handle"
        }
    }

    /// How the unit of a client is known, for the log.
    pub(crate) const fn means_of_units(&self) -> &'static str {
        if self.groups.is_some() {
            "the control group that the kernel tells of the process handle"
        } else {
            "/proc, where that shows the client: before Linux 6.13, or without cgroup v2, a process handle tells no control group"
        }
    }

    /// Identifies the process that connected. Costs some tens of microseconds. The socket must have `SO_PASSCRED`
    /// from its listener. Of one whom a namespace hides there is a handle at least, from Linux 6.5 on: its
    /// [`doubt`](Client::doubt) says what is not known.
    ///
    /// # Errors
    /// [`Unidentified`].
    pub(crate) fn identify(&self, socket: &UnixStream) -> Result<Client, Unidentified> {
        if !socket_passcred(socket).map_err(io::Error::from)? {
            return Err(Unidentified::Early);
        }
        let Credentials { pid, uid, gid } = peer::connector(socket)?;
        let number = Pid::from_raw(pid);
        let process = self.handle(socket, number)?;
        let group = self.groups.as_ref().and_then(|groups| groups.of(&process));
        // From here by its number, which is still its own if the process is seen to live afterwards.
        let seen = number.is_some();
        let unit = group.as_deref().map_or_else(|| seen.then(|| unit_in_proc(pid)).flatten(), Unit::at);
        let exe = seen.then(|| fs::read_link(format!("/proc/{pid}/exe")).ok()).flatten();
        let program = seen.then(|| Program::of(pid)).flatten();
        let doubt = if !seen {
            Some(Unidentified::Hidden)
        } else if self.stand_in == Some(uid) {
            Some(Unidentified::User { uid })
        } else {
            None
        };
        if !lives(&process) {
            return Err(Unidentified::Ended);
        }
        #[expect(
            deprecated,
            reason = "the other is unsafe, for types that might close early; an OwnedFd does not"
        )]
        let process = AsyncFd::with_interest(process, Interest::READABLE)?;
        let principal = Rc::new(Principal { uid, gid, pid, unit, exe, client: None });
        Ok(Client { principal, doubt, process, program })
    }

    fn handle(&self, socket: &UnixStream, number: Option<Pid>) -> Result<OwnedFd, Unidentified> {
        let handle = match number {
            _ if self.handles => peer::connector_handle(socket),
            Some(number) => pidfd_open(number, PidfdFlags::empty()).map_err(io::Error::from),
            None => return Err(Unidentified::Hidden),
        };
        handle.map_err(|error| match Errno::from_io_error(&error) {
            // What kernels say of a process that nobody has waited for, and of one that somebody has.
            Some(Errno::INVAL | Errno::SRCH) => Unidentified::Ended,
            _ => Unidentified::Kernel(error),
        })
    }
}

/// A client while it is connected.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) principal: Rc<Principal>,
    /// Why its user and its process are not known: then it is a principal by a client's token only.
    pub(crate) doubt: Option<Unidentified>,
    /// Readable as soon as the process has ended.
    process: AsyncFd<OwnedFd>,
    program: Option<Program>,
}

/// Whether more has arrived than was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    Nothing,
    Waiting,
}

impl Client {
    /// Checks that this client, and nobody else, has sent what was just received. To be called between receiving
    /// and acting, once for each receipt.
    ///
    /// # Errors
    /// [`Impostor`]: nothing of what was received may be acted on.
    pub(crate) fn check(&self, sender: Option<Credentials>, socket: &UnixStream) -> Result<Rest, Impostor> {
        let mine = &self.principal;
        match sender {
            Some(sender) if sender.pid == mine.pid && sender.uid == mine.uid => {}
            Some(sender) if sender.pid == mine.pid => {
                return Err(Impostor::User { pid: mine.pid, connected: mine.uid, sends: sender.uid });
            }
            _ => {
                let sender = sender.map_or(0, |sender| sender.pid);
                return Err(Impostor::Process { connector: mine.pid, sender });
            }
        }
        // Now: had the process ended before, another could have sent under its number. One call for both questions.
        let mut asked =
            [PollFd::new(self.process.get_ref(), PollFlags::IN), PollFd::new(socket, PollFlags::IN)];
        let rest = match (poll_now(&mut asked), &asked) {
            (true, [process, socket]) if process.revents().is_empty() => {
                if socket.revents().is_empty() {
                    Rest::Nothing
                } else {
                    Rest::Waiting
                }
            }
            _ => return Err(Impostor::Ended),
        };
        if self.program.as_ref().is_some_and(|program| !program.runs()) {
            return Err(Impostor::Program { pid: mine.pid });
        }
        Ok(rest)
    }

    /// Waits until the process has ended.
    pub(crate) async fn ended(&self) {
        // An error can only mean that nothing more will be heard of it.
        let _ready = self.process.readable().await;
    }
}

fn unit_in_proc(pid: i32) -> Option<Unit> {
    fs::read_to_string(format!("/proc/{pid}/cgroup")).ok().as_deref().and_then(Unit::of)
}

fn lives(process: &OwnedFd) -> bool {
    let mut asked = [PollFd::new(process, PollFlags::IN)];
    poll_now(&mut asked) && asked.iter().all(|process| process.revents().is_empty())
}

/// Asks without waiting. Says whether there is an answer.
fn poll_now(asked: &mut [PollFd<'_>]) -> bool {
    rustix::io::retry_on_intr(|| poll(asked, Some(&Timespec::default()))).is_ok()
}

/// Whether this `uid_map` is that of a namespace with all users (user_namespaces(7)).
fn has_every_user(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

fn stand_in() -> u32 {
    let set = fs::read_to_string("/proc/sys/kernel/overflowuid");
    set.ok().and_then(|number| number.trim().parse().ok()).unwrap_or(USUAL_STAND_IN)
}

/// What `overflowuid` is unless somebody sets it.
const USUAL_STAND_IN: u32 = 65_534;

#[cfg(test)]
mod tests {
    use super::*;

    use rustix::net::sockopt::set_socket_passcred;
    use tokio::net::UnixListener;

    /// Both ends of a connection of this process, as the agent has them.
    async fn connection() -> (UnixStream, UnixStream) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.sock");
        let listener = UnixListener::bind(&path).unwrap();
        set_socket_passcred(&listener, true).unwrap();
        let theirs = UnixStream::connect(&path).await.unwrap();
        (listener.accept().await.unwrap().0, theirs)
    }

    fn kernels() -> [Kernel; 3] {
        let look = Kernel::look;
        // As it is here, as it is before Linux 6.13, and before 6.5.
        [look(), Kernel { groups: None, ..look() }, Kernel { handles: false, groups: None, ..look() }]
    }

    #[tokio::test]
    async fn knows_a_client_with_and_without_a_handle_from_its_socket() {
        for kernel in kernels() {
            let (ours, _theirs) = connection().await;
            let client = kernel.identify(&ours).unwrap();
            let Principal { uid, gid, pid, exe, .. } = Principal::clone(&client.principal);
            let own = Principal::own();
            assert_eq!((uid, gid, pid), (own.uid, own.gid, own.pid), "{kernel:?}");
            assert_eq!(exe, std::env::current_exe().ok(), "{kernel:?}");
            assert!(client.doubt.is_none(), "{kernel:?}");
            assert!(client.program.is_some(), "{kernel:?}");
        }
    }

    #[tokio::test]
    async fn tells_the_connector_from_everybody_else() {
        for kernel in kernels() {
            let (ours, theirs) = connection().await;
            let client = kernel.identify(&ours).unwrap();
            let Principal { uid, gid, pid, .. } = *client.principal;
            let sender = Credentials { pid, uid, gid };
            assert_eq!(client.check(Some(sender), &ours), Ok(Rest::Nothing));
            theirs.try_write(b"more").unwrap();
            assert_eq!(client.check(Some(sender), &ours), Ok(Rest::Waiting));
            let process = |sender| Err(Impostor::Process { connector: pid, sender });
            assert_eq!(client.check(Some(Credentials { pid: 1, ..sender }), &ours), process(1));
            assert_eq!(client.check(Some(Credentials { pid: 0, ..sender }), &ours), process(0));
            assert_eq!(client.check(None, &ours), process(0));
            let sends = uid.wrapping_add(1);
            assert_eq!(
                client.check(Some(Credentials { uid: sends, ..sender }), &ours),
                Err(Impostor::User { pid, connected: uid, sends })
            );
        }
    }

    #[tokio::test]
    async fn turns_away_whom_it_cannot_know() {
        let (ours, _theirs) = connection().await;
        let uid = rustix::process::geteuid().as_raw();
        let cannot_tell = Kernel { stand_in: Some(uid), ..Kernel::look() };
        let doubt = cannot_tell.identify(&ours).unwrap().doubt;
        assert!(matches!(doubt, Some(Unidentified::User { uid: found }) if found == uid), "{doubt:?}");
        set_socket_passcred(&ours, false).unwrap();
        let refused = Kernel::look().identify(&ours).unwrap_err();
        assert!(matches!(refused, Unidentified::Early), "{refused:?}");
    }

    #[test]
    fn sees_whether_a_user_namespace_has_every_user() {
        for (map, expected) in [
            ("         0          0 4294967295\n", true),
            ("         0       1000          1\n", false),
            ("         0     100000      65536\n", false),
            ("         0          0 4294967294\n", false),
            ("      1000       1000          1\n         0          0          1\n", false),
            ("", false),
        ] {
            assert_eq!(has_every_user(map), expected, "{map}");
        }
    }
}
