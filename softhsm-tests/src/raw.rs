//! A client that may misbehave: bytes on the agent's socket, with and without descriptors.

#![expect(clippy::panic, reason = "this is test support: what does not work fails the test")]

use std::io::{self, IoSlice, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use strongroom_protocol::{ErrorCode, FrameBuffer, Operation, Reply, Request, Response, decode, encode};

/// One connection to an agent, written to and read from by hand.
#[derive(Debug)]
pub struct Raw {
    /// The socket.
    pub stream: UnixStream,
    buffer: FrameBuffer,
}

/// What has come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The agent has closed the connection.
    Closed,
    /// An error: the request's id, the code, the message.
    Error(u64, ErrorCode, String),
    /// Any other response, by the request's id.
    Good(u64),
    /// Nothing, in the time that was given.
    Silence,
}

impl Raw {
    /// Connects.
    ///
    /// # Panics
    /// Where nothing listens there.
    #[must_use]
    pub fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::from(stream)
    }

    /// Writes these bytes, as far as the agent takes them.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends one whole request.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn ask(&mut self, id: u64, operation: Operation<'_>) -> io::Result<()> {
        self.write(&frame(id, operation))
    }

    /// Sends bytes with descriptors beside their first.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn write_with(&mut self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)), "too many descriptors");
        let sent = sendmsg(&self.stream, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
        self.write(bytes.get(sent..).unwrap_or_default())
    }

    /// Waits for the next response.
    ///
    /// # Panics
    /// Where what comes is no response.
    pub fn hear(&mut self, patience: Duration) -> Heard {
        let set = self.stream.set_read_timeout(Some(patience));
        set.unwrap_or_else(|error| panic!("a timeout: {error}"));
        loop {
            match self.buffer.take() {
                Ok(Some(bytes)) => return told(bytes),
                Ok(None) => {}
                Err(error) => panic!("the agent wrote no frame: {error}"),
            }
            match self.stream.read(self.buffer.room()) {
                Ok(0) => return Heard::Closed,
                Ok(bytes) => self.buffer.filled(bytes),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Heard::Silence,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Heard::Closed,
                Err(error) => panic!("reading: {error}"),
            }
        }
    }
}

impl From<UnixStream> for Raw {
    fn from(stream: UnixStream) -> Self {
        Self { stream, buffer: FrameBuffer::new() }
    }
}

/// What one frame says.
///
/// # Panics
/// Where it is no response.
#[must_use]
pub fn told(bytes: &[u8]) -> Heard {
    let response: Response<'_> = decode(bytes).unwrap_or_else(|error| panic!("no response: {error}"));
    match response.reply {
        Reply::Error(refusal) => {
            let code = ErrorCode::from_number(refusal.code);
            let code = code.unwrap_or_else(|| panic!("an unknown code: {refusal:?}"));
            Heard::Error(response.id, code, refusal.message.to_owned())
        }
        _ => Heard::Good(response.id),
    }
}

/// One request as a frame.
///
/// # Panics
/// Where it does not fit one.
#[must_use]
pub fn frame(id: u64, operation: Operation<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&Request { id, operation }, &mut bytes).unwrap_or_else(|error| panic!("{error}"));
    bytes
}
