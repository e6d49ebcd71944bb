//! Whose a connection is: its maker's, by what the kernel noted when it was made, and nothing else counts.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, UCred, sendmsg};
use rustix::process::{Gid, Uid};
use strongroom_protocol::ErrorCode;
use strongroom_softhsm_tests::process::{SOON, is_root_or_skip};
use strongroom_softhsm_tests::raw::{Heard, Raw, frame};
use strongroom_softhsm_tests::room::Room;

use crate::keys::BINANCE;
use crate::wire::sign;

pub(crate) const NOBODY: u32 = 65_534;

/// An unlocked agent whose socket another user can reach.
pub(crate) fn reachable() -> (Room, strongroom_softhsm_tests::room::Agent) {
    let room = Room::new();
    let _ = room.enroll(&BINANCE, &[]).ok();
    let agent = room.start_unlocked();
    open_to_all(&room);
    (room, agent)
}

/// Lets every user reach the socket.
pub(crate) fn open_to_all(room: &Room) {
    for (path, mode) in
        [(room.folder(), 0o755), (&room.folder().join("run"), 0o755), (room.socket().as_path(), 0o666)]
    {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// Does `work` in a thread that is another user.
pub(crate) fn as_nobody<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let nobody = || {
        let uid = Uid::from_raw(NOBODY);
        // Of this thread alone, unlike the C library's call.
        rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
        work()
    };
    std::thread::scope(|scope| scope.spawn(nobody).join().unwrap())
}

/// The agent refuses a connection when it is made, and may have closed it before anything is asked.
fn is_denied(heard: &Heard) -> bool {
    match heard {
        Heard::Closed => true,
        Heard::Error(_, code, message) => *code == ErrorCode::Denied && message.contains("65534"),
        _ => false,
    }
}

#[test]
fn refuses_a_connection_that_another_user_made_whoever_uses_it() {
    if !is_root_or_skip("acting as another user") {
        return;
    }
    let (room, _agent) = reachable();
    // The control: this user's own.
    let mut own = Raw::connect(&room.socket());
    own.ask(1, sign()).unwrap();
    assert_eq!(own.hear(SOON), Heard::Good(1));

    let handed_over = as_nobody(|| UnixStream::connect(room.socket()).unwrap());
    let mut peer = Raw::from(handed_over);
    let _closed = peer.ask(2, sign());
    let heard = peer.hear(SOON);
    assert!(is_denied(&heard), "{heard:?}");
}

#[test]
fn believes_nothing_that_a_message_says_of_its_sender() {
    if !is_root_or_skip("acting as another user") {
        return;
    }
    let (room, _agent) = reachable();
    let stream = as_nobody(|| UnixStream::connect(room.socket()).unwrap());
    // Only root may say that it is root, and here root says it for somebody else.
    let credentials = UCred { pid: rustix::process::getpid(), uid: Uid::ROOT, gid: Gid::ROOT };
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmCredentials(credentials)));
    let bytes = frame(3, sign());
    let sent = sendmsg(&stream, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL);
    assert!(matches!(sent, Ok(_) | Err(Errno::PIPE)), "{sent:?}");
    let heard = Raw::from(stream).hear(SOON);
    assert!(is_denied(&heard), "{heard:?}");
}

#[test]
fn refuses_a_connection_that_goes_on_as_another_user() {
    if !is_root_or_skip("acting as another user") {
        return;
    }
    let (room, _agent) = reachable();
    let mut handed_on = Raw::connect(&room.socket());
    // The control: as whom it was made.
    handed_on.ask(4, sign()).unwrap();
    assert_eq!(handed_on.hear(SOON), Heard::Good(4));
    let heard = as_nobody(|| {
        handed_on.ask(5, sign()).unwrap();
        handed_on.hear(SOON)
    });
    assert!(is_denied(&heard), "{heard:?}");
}
