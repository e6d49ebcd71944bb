//! Reading a secret from the pipe into which a client has written it.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, OFlags};
use strongroom_link::keeper::MAX_PIN_BYTES;
use strongroom_link::keeper::Refusal;
use strongroom_link::key::{MAX_PASSPHRASE_BYTES, MAX_SECRET_BYTES};
use strongroom_link::text::without_line_break;
use zeroize::Zeroizing;

/// Room for the longest text, a line break, and one byte that tells that there was more.
#[expect(clippy::as_conversions, clippy::arithmetic_side_effects, reason = "widening and small, in a const")]
const fn room(longest: u16) -> usize {
    longest as usize + SPARE
}

const SPARE: usize = 3;

/// A secret on its way from a client's pipe into an envelope: never reallocated, wiped when dropped.
pub(crate) type SecretText = PipedText<{ room(MAX_SECRET_BYTES) }>;
/// The same for a passphrase.
pub(crate) type PassphraseText = PipedText<{ room(MAX_PASSPHRASE_BYTES) }>;

/// The same for a PIN.
pub(crate) type PinText = PipedText<{ room(MAX_PIN_BYTES) }>;

/// Text that was read from a pipe. What does not fit is cut off, but stays too long for every spec.
pub(crate) struct PipedText<const ROOM: usize> {
    buffer: Zeroizing<[u8; ROOM]>,
    length: usize,
}

impl<const ROOM: usize> PipedText<ROOM> {
    /// Reads what the pipe holds, to its end, and closes it.
    ///
    /// # Errors
    /// [`Refusal::SecretDescriptor`] where it is no pipe, where its writer has not closed it, and
    /// where it cannot be read. Only a pipe is certain never to make the keeper wait: a file may lie
    /// on a file system that somebody else answers for.
    pub(crate) fn read(pipe: OwnedFd) -> Result<Self, Refusal> {
        Self::try_read(pipe).map_err(|_| Refusal::SecretDescriptor)
    }

    fn try_read(pipe: OwnedFd) -> io::Result<Self> {
        if FileType::from_raw_mode(rustix::fs::fstat(&pipe)?.st_mode) != FileType::Fifo {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        rustix::fs::fcntl_setfl(&pipe, OFlags::NONBLOCK)?;
        let mut text = Self { buffer: Zeroizing::new([0; ROOM]), length: 0 };
        loop {
            let rest = text.buffer.get_mut(text.length..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(text);
            }
            match rustix::io::read(&pipe, rest)? {
                0 => return Ok(text),
                read => text.length = text.length.saturating_add(read),
            }
        }
    }

    /// Whether there was more than fits.
    pub(crate) fn is_too_long(&self) -> bool {
        self.as_bytes().len() > ROOM.saturating_sub(SPARE)
    }

    /// The text, without the one line break that an editor or `echo` puts at its end.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        without_line_break(self.as_written())
    }

    /// The text as it came.
    pub(crate) fn as_written(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    fn piped(bytes: &[u8]) -> OwnedFd {
        let (read, write) = rustix::pipe::pipe().unwrap();
        assert_eq!(rustix::io::write(&write, bytes).unwrap(), bytes.len());
        read
    }

    #[test]
    fn strips_exactly_one_line_break() {
        for (written, expected) in [
            ("secret", "secret"),
            ("secret\n", "secret"),
            ("secret\r\n", "secret"),
            ("secret\n\n", "secret\n"),
            ("secret\r\n\r\n", "secret\r\n"),
            ("secret\r", "secret\r"),
            ("\n", ""),
            ("", ""),
        ] {
            let text = SecretText::read(piped(written.as_bytes())).unwrap();
            assert_eq!(text.as_bytes(), expected.as_bytes(), "{written:?}");
        }
    }

    #[test]
    fn keeps_a_text_that_is_too_long_too_long() {
        let longest = usize::from(MAX_SECRET_BYTES);
        for length in [longest + 1, longest + 2, longest + 3, longest + 4, 3 * longest] {
            for line_break in ["", "\n", "\r\n"] {
                let written = [vec![b'k'; length], line_break.into()].concat();
                let text = SecretText::read(piped(&written)).unwrap();
                assert!(text.as_bytes().len() > longest, "{length} and {line_break:?}");
            }
        }
        let fits = [vec![b'k'; longest], b"\r\n".to_vec()].concat();
        assert_eq!(SecretText::read(piped(&fits)).unwrap().as_bytes().len(), longest);
    }

    #[test]
    fn refuses_a_pipe_that_its_writer_has_not_closed() {
        for written in [b"".as_slice(), b"secret\n"] {
            let (read, write) = rustix::pipe::pipe().unwrap();
            rustix::io::write(&write, written).unwrap();
            assert_eq!(SecretText::read(read).err(), Some(Refusal::SecretDescriptor));
        }
    }

    #[test]
    fn refuses_what_is_no_readable_pipe() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(SecretText::read(file.into()).err(), Some(Refusal::SecretDescriptor), "a device");
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        assert_eq!(SecretText::read(file.into()).err(), Some(Refusal::SecretDescriptor), "a file");
        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let socket = socket.as_fd().try_clone_to_owned().unwrap();
        assert_eq!(SecretText::read(socket).err(), Some(Refusal::SecretDescriptor), "a socket");
        let (_read, write) = rustix::pipe::pipe().unwrap();
        assert_eq!(SecretText::read(write).err(), Some(Refusal::SecretDescriptor), "a write end");
    }
}
