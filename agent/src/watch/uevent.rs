//! The kernel's own word that a device went: one more look at the token, at once.
//!
//! It only makes the watch faster. Where the socket is refused (the system's policy, a unit without
//! `AF_NETLINK`) the token is looked at as often as configured.

use std::io;
use std::os::unix::net;
use std::rc::Rc;

use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recvfrom, socket_with};
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::sync::Notify;

/// Messages of the kernel itself; group 2 would be those of udev.
const KERNEL_GROUP: u32 = 1;
/// The kernel writes at most 2 KiB of variables behind the device's path.
const LONGEST: usize = 8 * 1024;
/// Where tokens are: USB tokens and readers, those that speak HID, TPMs.
const SUBSYSTEMS: &[&[u8]] = &[b"hidraw", b"tpm", b"tpmrm", b"usb"];

/// Tells `device_gone` of each removal, for ever or until the socket fails.
pub(super) async fn listen(device_gone: Rc<Notify>) {
    if let Err(error) = try_listen(&device_gone).await {
        tracing::info!(%error, "the kernel does not tell of removed devices; the token is looked at regularly");
    }
}

async fn try_listen(device_gone: &Notify) -> io::Result<()> {
    let socket = open()?;
    let mut message = vec![0; LONGEST];
    loop {
        let received = socket.async_io(Interest::READABLE, || {
            Ok(recvfrom(&socket, message.as_mut_slice(), RecvFlags::empty())?)
        });
        match received.await {
            Ok((_, length, Some(from))) => {
                let from_kernel = SocketAddrNetlink::try_from(from).is_ok_and(|from| from.pid() == 0);
                if from_kernel && message.get(..length).is_some_and(is_removal) {
                    device_gone.notify_one();
                }
            }
            Ok((_, _, None)) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Some were lost, and nobody knows which.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error()) => {
                device_gone.notify_one();
            }
            Err(error) => return Err(error),
        }
    }
}

/// A netlink socket. For tokio any socket is one that can be waited for; only its own `recv` is not used.
fn open() -> io::Result<UnixDatagram> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(KOBJECT_UEVENT))?;
    bind(&socket, &SocketAddrNetlink::new(0, KERNEL_GROUP))?;
    UnixDatagram::from_std(net::UnixDatagram::from(socket))
}

/// Whether a message says that a device went in which a token may have been. Its parts end with a zero
/// byte: `remove@/devices/…`, then `NAME=value` each.
fn is_removal(message: &[u8]) -> bool {
    let mut parts = message.split(|byte| *byte == 0);
    let removed = parts.next().is_some_and(|head| head.starts_with(b"remove@"));
    removed
        && parts
            .filter_map(|part| part.strip_prefix(b"SUBSYSTEM="))
            .any(|subsystem| SUBSYSTEMS.contains(&subsystem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heeds_the_removal_of_what_may_be_a_token_and_nothing_else() {
        let usb = "remove@/devices/pci0000:00/usb1/1-1\0ACTION=remove\0SUBSYSTEM=usb\0SEQNUM=7\0";
        assert!(is_removal(usb.as_bytes()));
        for (case, other) in [
            ("added", usb.replace("remove", "add")),
            ("another subsystem", usb.replace("=usb", "=block")),
            ("a longer name", usb.replace("=usb", "=usbmisc")),
            ("udev's own form", format!("libudev\0{usb}")),
            ("no subsystem", usb.replace("SUBSYSTEM=usb\0", "")),
            ("nothing", String::new()),
        ] {
            assert!(!is_removal(other.as_bytes()), "{case}");
        }
    }
}
