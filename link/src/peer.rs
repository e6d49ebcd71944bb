//! Who is at the other end of a client's socket, and who has sent what it received.
//!
//! The kernel writes the credentials of each sender beside its bytes (`SO_PASSCRED`, unix(7)). Nothing that
//! is kept well reads them for us: rustix, which does the rest here, makes a `Pid` of the sender's number,
//! which must not be 0, and the kernel gives 0 for a process that it does not show; nix hands out received
//! descriptors as numbers. So the calls are made here, and what they have written is parsed as bytes.

use std::collections::VecDeque;
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

/// What the kernel says about a process and its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// Process id; 0 where the process lives in a process namespace that cannot be seen from this one.
    pub pid: i32,
    /// User id; the overflow id where this user namespace does not have it.
    pub uid: u32,
    /// Group id, as the user id.
    pub gid: u32,
}

/// What one call has received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// How many bytes; 0 where the other end has closed.
    pub bytes: usize,
    /// Who sent them: one process, since the kernel ends a read where the sender changes. Its *real* user and
    /// group. `None` where the socket does not have `SO_PASSCRED`.
    pub sender: Option<Credentials>,
}

/// The process that connected, with its *effective* user and group at that moment (`SO_PEERCRED`).
///
/// # Errors
/// What the kernel says.
pub fn connector(socket: impl AsFd) -> io::Result<Credentials> {
    let mut found = libc::ucred { pid: 0, uid: 0, gid: 0 };
    option(socket.as_fd(), libc::SO_PEERCRED, &mut found)?;
    Ok(Credentials { pid: found.pid, uid: found.uid, gid: found.gid })
}

/// A handle of the process that connected, which stays its own when its number is another's
/// (`SO_PEERPIDFD`, Linux 6.5).
///
/// # Errors
/// `ENOPROTOOPT` before Linux 6.5. `EINVAL` or `ESRCH` where the process is gone and the kernel keeps no
/// handles of such.
pub fn connector_handle(socket: impl AsFd) -> io::Result<OwnedFd> {
    let mut number: RawFd = -1;
    option(socket.as_fd(), libc::SO_PEERPIDFD, &mut number)?;
    Ok(own(number))
}

/// The id of the process's control group in version 2 of these: the inode number of the group's directory
/// (`PIDFD_GET_INFO`, Linux 6.13). The kernel gives it by the handle, so it is never another process's.
///
/// # Errors
/// `ESRCH` where the process is gone; before Linux 6.13 `ENOTTY` or `EINVAL`; `NotFound` where the kernel has no
/// control groups.
pub fn control_group(process: impl AsFd) -> io::Result<u64> {
    // What to tell, the group's id, and what Linux 6.13 tells besides.
    let mut info: Info = [WITH_CONTROL_GROUP, 0, 0, 0, 0, 0, 0, 0];
    #[expect(unsafe_code, reason = "rustix makes no safe call of this one")]
    // SAFETY: the request says how many bytes `info` has, the kernel writes no more than that, and any bytes are
    // valid numbers. Nothing else uses it meanwhile.
    let result = unsafe { libc::ioctl(process.as_fd().as_raw_fd(), GET_INFO, &raw mut info) };
    match (result, info) {
        (0, [told, group, ..]) if told & WITH_CONTROL_GROUP != 0 => Ok(group),
        (0, _) => Err(io::ErrorKind::NotFound.into()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// `struct pidfd_info` as Linux 6.13 has it (`PIDFD_INFO_SIZE_VER0`); later ones take it too.
type Info = [u64; 8];
const GET_INFO: libc::Ioctl = libc::_IOWR::<Info>(0xFF, 11);
/// `PIDFD_INFO_CGROUPID`.
const WITH_CONTROL_GROUP: u64 = 1 << 2;

/// Receives what has come, without waiting. Descriptors that came with it are added to `descriptors`, and
/// close on exec; more than four at once are closed.
///
/// # Errors
/// Those of `recvmsg(2)`; `WouldBlock` where nothing has come.
pub fn receive(
    socket: impl AsFd,
    room: &mut [u8],
    descriptors: &mut VecDeque<OwnedFd>,
) -> io::Result<Received> {
    let mut control = Control([0; CONTROL_BYTES]);
    let mut vector = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
    #[expect(unsafe_code, reason = "a msghdr has private fields in some C libraries")]
    // SAFETY: a msghdr of zeros is valid: lengths of 0, and pointers that nothing of that length reads.
    let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = CONTROL_BYTES;
    let bytes = loop {
        #[expect(unsafe_code, reason = "see the module's documentation")]
        // SAFETY: `header` points at `vector` and `control`, both of the lengths that it gives; `vector` points
        // at `room`. All of them outlive the call and nothing else uses them meanwhile.
        let result = unsafe {
            libc::recvmsg(
                socket.as_fd().as_raw_fd(),
                &raw mut header,
                libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT,
            )
        };
        match usize::try_from(result) {
            Ok(bytes) => break bytes,
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    };
    let mut sender = None;
    let mut rest = control.0.get(..header.msg_controllen).unwrap_or_default();
    while let Some((message, following)) = split(rest) {
        match message {
            Message::Credentials(credentials) => sender = Some(credentials),
            Message::Descriptors(numbers) => {
                descriptors.extend(numbers.chunks_exact(size_of::<RawFd>()).filter_map(word).map(own));
            }
            Message::Other => {}
        }
        rest = following;
    }
    Ok(Received { bytes, sender })
}

/// Room for credentials and four descriptors.
const CONTROL_BYTES: usize = 2 * HEADER_BYTES + 16 + 16;
/// A length of the size of a pointer, a level and a type.
const HEADER_BYTES: usize = size_of::<usize>() + 8;

/// Control messages begin where a `usize` may.
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

#[derive(Debug, PartialEq, Eq)]
enum Message<'a> {
    Credentials(Credentials),
    Descriptors(&'a [u8]),
    Other,
}

/// The first control message of `bytes`, as cmsg(3) lays them out, and what follows it.
fn split(bytes: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::from_ne_bytes(*length);
    let (level, kind) = (word(rest.get(..4)?)?, word(rest.get(4..8)?)?);
    let data = bytes.get(HEADER_BYTES..length)?;
    let message = match (level, kind) {
        (libc::SOL_SOCKET, libc::SCM_RIGHTS) => Message::Descriptors(data),
        (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => Message::Credentials(Credentials {
            pid: word(data.get(..4)?)?,
            uid: word(data.get(4..8)?)?.cast_unsigned(),
            gid: word(data.get(8..12)?)?.cast_unsigned(),
        }),
        _ => Message::Other,
    };
    let following = bytes.get(length.checked_next_multiple_of(size_of::<usize>())?..).unwrap_or_default();
    Some((message, following))
}

fn word(bytes: &[u8]) -> Option<i32> {
    bytes.try_into().ok().map(i32::from_ne_bytes)
}

fn own(number: RawFd) -> OwnedFd {
    #[expect(unsafe_code, reason = "the kernel gives descriptors as numbers")]
    // SAFETY: both callers have the number from a call that has just succeeded: the kernel has opened it for
    // this process in that call, so nothing else owns it.
    unsafe {
        OwnedFd::from_raw_fd(number)
    }
}

/// Reads one socket option. `T` must be what the kernel writes for it: whole numbers only.
fn option<T: Plain>(socket: BorrowedFd<'_>, name: libc::c_int, value: &mut T) -> io::Result<()> {
    let Ok(wanted) = libc::socklen_t::try_from(size_of::<T>()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut length = wanted;
    #[expect(unsafe_code, reason = "no crate reads SO_PEERPIDFD without its own descriptor numbers")]
    // SAFETY: `value` is a `T` of `length` bytes that nothing else uses, the kernel writes at most that many,
    // and any bytes are a valid `Plain`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            std::ptr::from_mut(value).cast(),
            &raw mut length,
        )
    };
    match result {
        0 if length == wanted => Ok(()),
        0 => Err(io::ErrorKind::InvalidData.into()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Types of which any bytes are a valid value.
trait Plain {}
impl Plain for libc::ucred {}
impl Plain for RawFd {}

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use proptest::prelude::*;
    use rustix::net::sockopt::set_socket_passcred;

    fn own_credentials() -> Credentials {
        Credentials {
            pid: rustix::process::getpid().as_raw_nonzero().get(),
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
        }
    }

    #[test]
    fn names_the_sender_and_keeps_its_descriptors() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        set_socket_passcred(&ours, true).unwrap();
        let mut room = [0; 64];
        let mut descriptors = VecDeque::new();
        theirs.write_all(b"plain").unwrap();
        let plain = receive(&ours, &mut room, &mut descriptors).unwrap();
        assert_eq!(plain, Received { bytes: 5, sender: Some(own_credentials()) });
        assert!(descriptors.is_empty());

        let file = std::fs::File::open("/dev/null").unwrap();
        let files = [file.as_fd(), file.as_fd(), file.as_fd()];
        assert_eq!(crate::frame::send(&theirs, b"with", &files).unwrap(), 4);
        let with = receive(&ours, &mut room, &mut descriptors).unwrap();
        assert_eq!(with, Received { bytes: 4, sender: Some(own_credentials()) });
        assert_eq!(descriptors.len(), 3);
        for descriptor in &descriptors {
            let flags = rustix::io::fcntl_getfd(descriptor).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
        drop(theirs);
        assert_eq!(receive(&ours, &mut room, &mut descriptors).unwrap().bytes, 0);
    }

    #[test]
    fn closes_descriptors_that_it_has_no_room_for() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        set_socket_passcred(&ours, true).unwrap();
        let (reader, writer) = io::pipe().unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(9))];
        let mut control = rustix::net::SendAncillaryBuffer::new(&mut space);
        let many = [writer.as_fd(); 9];
        assert!(control.push(rustix::net::SendAncillaryMessage::ScmRights(&many)));
        let sent = rustix::net::sendmsg(
            &theirs,
            &[io::IoSlice::new(b"many")],
            &mut control,
            rustix::net::SendFlags::NOSIGNAL,
        );
        assert_eq!(sent, Ok(4));
        let mut descriptors = VecDeque::new();
        let received = receive(&ours, &mut [0; 64], &mut descriptors).unwrap();
        assert_eq!((received.bytes, received.sender), (4, Some(own_credentials())));
        assert_eq!(descriptors.len(), 4);
        drop((descriptors, writer));
        // Nobody has a writing end any more, so this ends.
        assert_eq!(io::read_to_string(reader).unwrap(), "");
    }

    #[test]
    fn says_when_nothing_has_come_and_when_nobody_was_asked_to_name_senders() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut descriptors = VecDeque::new();
        let nothing = receive(&ours, &mut [0; 8], &mut descriptors).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        theirs.write_all(b"x").unwrap();
        let unnamed = receive(&ours, &mut [0; 8], &mut descriptors).unwrap();
        assert_eq!(unnamed, Received { bytes: 1, sender: None });
    }

    #[test]
    fn names_the_connector_and_holds_it() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let connector = connector(&ours).unwrap();
        assert_eq!(connector.pid, own_credentials().pid);
        assert_eq!(connector.uid, rustix::process::geteuid().as_raw());
        match connector_handle(&ours) {
            Ok(handle) => {
                let alive = [rustix::event::PollFd::new(&handle, rustix::event::PollFlags::IN)];
                let ended = rustix::event::poll(&mut { alive }, Some(&rustix::event::Timespec::default()));
                assert_eq!(ended, Ok(0), "this process lives");
            }
            // Before Linux 6.5.
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ENOPROTOOPT)),
        }
    }

    #[test]
    fn tells_the_control_group_while_the_process_lives() {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let number = rustix::process::Pid::from_child(&child);
        let handle = rustix::process::pidfd_open(number, rustix::process::PidfdFlags::empty()).unwrap();
        let own =
            rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty());
        match control_group(&handle) {
            Ok(group) => {
                assert_ne!(group, 0);
                assert_eq!(control_group(own.unwrap()).unwrap(), group, "a child is where its parent is");
                drop(child.stdin.take());
                child.wait().unwrap();
                let gone = control_group(&handle).unwrap_err();
                assert_eq!(gone.raw_os_error(), Some(libc::ESRCH));
            }
            // Before Linux 6.13.
            Err(error) => {
                child.kill().unwrap();
                child.wait().unwrap();
                let unknown = error.raw_os_error();
                assert!([Some(libc::ENOTTY), Some(libc::EINVAL)].contains(&unknown), "{error}");
            }
        }
    }

    proptest! {
        #[test]
        fn takes_any_control_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..CONTROL_BYTES)) {
            let mut rest = bytes.as_slice();
            while let Some((_, following)) = split(rest) {
                prop_assert!(following.len() < rest.len());
                rest = following;
            }
        }

        #[test]
        fn reads_credentials_as_they_are(pid in 0..i32::MAX, uid: u32, gid: u32, after in 0_usize..9) {
            let mut bytes = (HEADER_BYTES + 12).to_ne_bytes().to_vec();
            bytes.extend(libc::SOL_SOCKET.to_ne_bytes());
            bytes.extend(libc::SCM_CREDENTIALS.to_ne_bytes());
            bytes.extend(pid.to_ne_bytes());
            bytes.extend(uid.to_ne_bytes());
            bytes.extend(gid.to_ne_bytes());
            bytes.extend(vec![0; after]);
            let (message, _) = split(&bytes).unwrap();
            prop_assert_eq!(message, Message::Credentials(Credentials { pid, uid, gid }));
        }
    }
}
