//! Taking a PIN or a secret from a person or a program, and handing it on as a descriptor.
//!
//! Never from the command line or the environment: both can be read by others. What comes is read into
//! memory that no dump shows, and from there into a pipe whose write end is closed at once.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use strongroom_link::key::{MAX_PASSPHRASE_BYTES, MAX_SECRET_BYTES, SecretForm};
use strongroom_locked::SecretBuffer;
use strongroom_locked::memory::{MemoryError, WeakMemory};
use strongroom_protocol::ErrorCode;

use super::output;
use super::terminal::Terminal;
use crate::fault::{Fault, chain};

/// The secret, as a pipe that gives it. A PEM block may be pasted: it is read to its last line.
pub(super) fn secret(
    stdin: bool,
    number: Option<u32>,
    form: SecretForm,
    name: &str,
    key_id: &str,
) -> Result<OwnedFd, Fault> {
    let what = Wanted {
        what: "secret",
        limit: MAX_SECRET_BYTES,
        options: "--secret-stdin or --secret-fd",
        public: Some(key_id),
        because: None,
    };
    match (stdin, number, form) {
        (false, None, SecretForm::Pem) => what.typed(|terminal, into| {
            terminal.pem(&format!("Secret of {name} (paste the whole PEM block): "), into)
        }),
        (false, None, _) => what.line(&format!("Secret of {name}: ")),
        _ => what.given(stdin, number),
    }
}

/// The passphrase, as a pipe that gives it.
pub(super) fn passphrase(number: Option<u32>, name: &str, venue: &str) -> Result<OwnedFd, Fault> {
    let because = format!("keys of {venue} have a passphrase");
    let what = Wanted {
        what: "passphrase",
        limit: MAX_PASSPHRASE_BYTES,
        options: "--passphrase-fd",
        public: None,
        because: Some(&because),
    };
    match number {
        Some(_) => what.given(false, number),
        None => what.line(&format!("Passphrase of {name}: ")),
    }
}

/// Refuses two things by one descriptor: the second would find it empty.
pub(super) fn apart(given: &[(&str, Option<u32>)]) -> Result<(), Fault> {
    for (at, (what, number)) in given.iter().enumerate() {
        let Some(number) = number else { continue };
        let before = given.iter().take(at).find(|(_, other)| *other == Some(*number));
        if let Some((other, _)) = before {
            let by = if *number == 0 { "standard input".to_owned() } else { format!("descriptor {number}") };
            let message = format!("the {other} and the {what} cannot both come by {by}");
            return Err(Fault::new(
                ErrorCode::Invalid,
                message,
                "open a descriptor for each, as in 3<file 4<other",
            ));
        }
    }
    Ok(())
}

/// One thing that must come from outside.
pub(super) struct Wanted<'a> {
    pub(super) what: &'static str,
    /// Most bytes that it can have.
    pub(super) limit: u16,
    /// What to use where there is no terminal.
    pub(super) options: &'static str,
    /// What stands in the open, and so cannot be it.
    pub(super) public: Option<&'a str>,
    /// Why it is wanted, where that is not plain.
    pub(super) because: Option<&'a str>,
}

impl Wanted<'_> {
    /// From standard input or from a descriptor.
    pub(super) fn given(&self, stdin: bool, number: Option<u32>) -> Result<OwnedFd, Fault> {
        let mut buffer = self.buffer()?;
        let (read, hint) = match number {
            Some(number) if !stdin => (
                descriptor(number).and_then(|file| read_all(&file, &mut buffer)),
                format!("open it for reading, as in {number}<file"),
            ),
            _ => (read_all(&io::stdin(), &mut buffer), String::new()),
        };
        read.map_err(|error| self.unreadable(&error, hint))?;
        self.piped(&buffer)
    }

    /// From a person at the terminal, as one line.
    pub(super) fn line(&self, prompt: &str) -> Result<OwnedFd, Fault> {
        self.typed(|terminal, into| terminal.line(prompt, into))
    }

    fn typed(
        &self,
        ask: impl FnOnce(&mut Terminal, &mut SecretBuffer) -> io::Result<()>,
    ) -> Result<OwnedFd, Fault> {
        let mut buffer = self.buffer()?;
        let mut terminal = Terminal::hush().map_err(|error| self.nobody(&error))?;
        ask(&mut terminal, &mut buffer).map_err(|error| self.unreadable(&error, self.without_terminal()))?;
        drop(terminal);
        self.piped(&buffer)
    }

    /// Room for it, for a line break, and for one byte too many.
    pub(super) fn buffer(&self) -> Result<SecretBuffer, Fault> {
        buffer(usize::from(self.limit).saturating_add(3)).map_err(|error| {
            let message = format!("there is no memory for the {}: {}", self.what, chain(&error));
            Fault::new(ErrorCode::Unavailable, message, "raise the limit of locked memory: `ulimit -l 8192`")
        })
    }

    /// A pipe that holds what `buffer` holds, and whose write end is closed. The longest secret fits it.
    pub(super) fn piped(&self, buffer: &SecretBuffer) -> Result<OwnedFd, Fault> {
        let bytes = buffer.as_slice();
        // A line break at the end, of one or two bytes, is no part of it.
        if bytes.len() > usize::from(self.limit).saturating_add(2) {
            let too_long = io::Error::other(format!("it has more than {} bytes", self.limit));
            return Err(self.unreadable(&too_long, String::new()));
        }
        if self.public.is_some_and(|public| public.as_bytes() == bytes.trim_ascii()) {
            let message = format!("the {} is the key id once more, which stands in the open", self.what);
            let hint = "give the venue's public half as --key-id, and its secret half as the secret; where that \
                        was the secret, others may have read it: make a new key at the venue";
            return Err(Fault::new(ErrorCode::Invalid, message, hint));
        }
        let piped = || -> io::Result<OwnedFd> {
            let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
            rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK)?;
            let written = rustix::io::write(&writer, bytes)?;
            if written == bytes.len() { Ok(reader) } else { Err(io::ErrorKind::WriteZero.into()) }
        };
        piped().map_err(Fault::defect)
    }

    fn without_terminal(&self) -> String {
        format!("without a terminal, use {}", self.options)
    }

    /// There is no terminal at which anybody could be asked.
    fn nobody(&self, error: &io::Error) -> Fault {
        let because = self.because.map(|because| format!("{because}, and ")).unwrap_or_default();
        let message =
            format!("{because}the {} cannot be asked for: there is no terminal ({error})", self.what);
        Fault::new(ErrorCode::Invalid, message, self.without_terminal())
    }

    fn unreadable(&self, error: &io::Error, hint: String) -> Fault {
        Fault::new(ErrorCode::Invalid, format!("the {} cannot be read: {error}", self.what), hint)
    }
}

/// A copy of one of this process's own descriptors, by number.
pub(super) fn descriptor(number: u32) -> io::Result<OwnedFd> {
    Ok(OwnedFd::from(File::open(format!("/proc/self/fd/{number}"))?))
}

/// Reads to the end.
fn read_all(from: &impl AsFd, into: &mut SecretBuffer) -> io::Result<()> {
    loop {
        let room = into.room();
        if room.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too long"));
        }
        match rustix::io::retry_on_intr(|| rustix::io::read(from, &mut *room))? {
            0 => return Ok(()),
            read => into.add(read),
        }
    }
}

/// Memory that no dump shows. Where the kernel has none the person is told, and goes on: the keeper decides
/// whether that is enough.
pub(super) fn buffer(bytes: usize) -> Result<SecretBuffer, MemoryError> {
    let buffer = SecretBuffer::new(bytes, WeakMemory::Allowed)?;
    if !buffer.is_secret() {
        output::talk("warning: this kernel has no memfd_secret: root can read what is entered here");
    }
    Ok(buffer)
}
