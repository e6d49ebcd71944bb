//! A copy of each line for the system's journal, which another user keeps.
//!
//! By its native protocol: one datagram with `NAME=value` lines for each line. The journal is not waited for: what
//! it does not take at once is not sent again, and the log says that the copy has a gap.

use std::cell::Cell;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Where the journal listens.
const JOURNAL: &str = "/run/systemd/journal/socket";

#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    /// The last line was not taken.
    deaf: Cell<bool>,
}

impl Journal {
    /// The system's.
    pub(super) fn open() -> io::Result<Self> {
        Self::at(Path::new(JOURNAL))
    }

    fn at(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, path: path.to_owned(), deaf: Cell::new(false) })
    }

    /// Sends whole lines.
    pub(super) fn copy(&self, lines: &[u8]) {
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let datagram =
                [b"MESSAGE=".as_slice(), line, b"\nPRIORITY=6\nSYSLOG_IDENTIFIER=strongroom-audit\n"]
                    .concat();
            match self.socket.send_to(&datagram, &self.path) {
                Ok(_) => self.deaf.set(false),
                Err(error) => {
                    if !self.deaf.replace(true) {
                        tracing::warn!(%error, "the journal's copy of the audit log has a gap");
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_each_line_and_waits_for_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let copy = Journal::at(&path).unwrap();
        copy.copy(b"{\"seq\":1}\n");
        assert!(copy.deaf.get(), "nobody listens");
        let journal = UnixDatagram::bind(&path).unwrap();
        copy.copy(b"{\"seq\":2}\n{\"seq\":3}\n");
        assert!(!copy.deaf.get());
        let mut room = [0; 200];
        for seq in [2, 3] {
            let count = journal.recv(&mut room).unwrap();
            let expected =
                format!("MESSAGE={{\"seq\":{seq}}}\nPRIORITY=6\nSYSLOG_IDENTIFIER=strongroom-audit\n");
            assert_eq!(room[..count], *expected.as_bytes());
        }
        for _ in 0..10_000 {
            copy.copy(b"{\"seq\":4}\n");
        }
        assert!(copy.deaf.get(), "its queue is full, and that has stopped nobody");
    }
}
