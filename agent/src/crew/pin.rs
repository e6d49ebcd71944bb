//! A PIN's descriptor as the keeper takes it: a pipe whose writer has closed it. Nobody here reads it.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};

use super::CrewError;
use crate::config::Patience;

/// More than any PIN has, and less than a pipe holds.
const MOST_BYTES: usize = 1024;

/// Waits until the writer of a pipe has closed it; what a file holds (a credential of the service manager
/// is one) the kernel puts into a pipe, so that it never comes into the memory of this process.
pub(crate) async fn closed_pipe(pin: OwnedFd, patience: Patience) -> Result<OwnedFd, CrewError> {
    let moved = tokio::task::spawn_blocking(move || match file_type(&pin)? {
        FileType::Fifo => closed(&pin, patience.into()).map(|()| pin),
        FileType::RegularFile => into_pipe(&pin),
        // A terminal or a socket could keep this waiting for ever.
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a pipe nor a file")),
    });
    moved.await.map_err(io::Error::other).flatten().map_err(CrewError::PinDescriptor)
}

fn file_type(pin: &OwnedFd) -> io::Result<FileType> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(pin)?.st_mode))
}

fn closed(pin: &OwnedFd, patience: Duration) -> io::Result<()> {
    let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
    loop {
        // A hang-up is reported whatever is asked for.
        match poll(&mut [PollFd::new(pin, PollFlags::empty())], Some(&patience)) {
            Ok(0) => return Err(io::Error::new(io::ErrorKind::TimedOut, "its writer does not close it")),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn into_pipe(pin: &OwnedFd) -> io::Result<OwnedFd> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let mut moved = 0_usize;
    while moved <= MOST_BYTES {
        match splice(pin, None, &writer, None, MOST_BYTES, SpliceFlags::NONBLOCK) {
            Ok(0) => return Ok(reader),
            Ok(bytes) => moved = moved.saturating_add(bytes),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(reader)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, Write as _};

    use super::*;

    fn moved(pin: OwnedFd, seconds: u64) -> Result<String, CrewError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let pipe = runtime.block_on(closed_pipe(pin, seconds.to_string().parse().unwrap()))?;
        assert_eq!(file_type(&pipe).unwrap(), FileType::Fifo);
        rustix::fs::fcntl_setfl(&pipe, rustix::fs::OFlags::NONBLOCK).unwrap();
        let mut text = String::new();
        std::fs::File::from(pipe).read_to_string(&mut text).unwrap();
        Ok(text)
    }

    #[test]
    fn puts_a_file_into_a_pipe() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"123456\n").unwrap();
        file.rewind().unwrap();
        assert_eq!(moved(file.into(), 50).unwrap(), "123456\n");
    }

    #[test]
    fn refuses_what_may_never_end() {
        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let refused = moved(socket.into(), 1).unwrap_err();
        assert!(
            matches!(&refused, CrewError::PinDescriptor(error) if error.kind() == io::ErrorKind::InvalidInput)
        );
    }

    #[test]
    fn waits_until_the_writer_of_a_pipe_has_closed_it() {
        let (reader, mut writer) = io::pipe().unwrap();
        let late = std::thread::spawn(move || {
            writer.write_all(b"123").unwrap();
            std::thread::sleep(Duration::from_millis(100));
            writer.write_all(b"456").unwrap();
        });
        assert_eq!(moved(reader.into(), 50).unwrap(), "123456");
        late.join().unwrap();
    }

    #[test]
    fn gives_a_writer_up_that_never_closes() {
        let (reader, _writer) = io::pipe().unwrap();
        let refused = moved(reader.into(), 1).unwrap_err();
        assert!(
            matches!(&refused, CrewError::PinDescriptor(error) if error.kind() == io::ErrorKind::TimedOut)
        );
    }
}
