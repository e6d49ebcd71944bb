//! Taking a PIN or a secret from a person or a program, and handing it on as a descriptor.
//!
//! Never from the command line or the environment: both can be read by others. What was typed is put
//! into a pipe whose write end is closed at once, and wiped here.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use strongroom_link::key::{MAX_PASSPHRASE_BYTES, MAX_SECRET_BYTES, SecretForm};
use strongroom_protocol::ErrorCode;
use zeroize::Zeroizing;

use crate::fault::Fault;

/// Longest PIN; PKCS#11 modules take far less.
const MAX_PIN_BYTES: u16 = 255;

/// Where the PIN comes from, if not from the terminal.
#[derive(Debug, Clone, Args)]
pub(super) struct PinSource {
    /// Read the token's PIN from standard input
    #[arg(long, conflicts_with = "pin_fd")]
    pin_stdin: bool,
    /// Read the token's PIN from this descriptor
    #[arg(long, value_name = "N")]
    pin_fd: Option<u32>,
}

impl PinSource {
    /// The PIN, as a pipe that gives it.
    pub(super) fn take(&self, token: &str) -> Result<OwnedFd, Fault> {
        take(self.pin_stdin, self.pin_fd, MAX_PIN_BYTES, "PIN", "--pin-stdin or --pin-fd", || {
            line(&format!("PIN of token {token}: "))
        })
    }
}

/// The secret, as a pipe that gives it. A PEM block may be pasted: it is read to its last line.
pub(super) fn secret(
    stdin: bool,
    number: Option<u32>,
    form: SecretForm,
    name: &str,
) -> Result<OwnedFd, Fault> {
    take(stdin, number, MAX_SECRET_BYTES, "secret", "--secret-stdin or --secret-fd", || match form {
        SecretForm::Pem => pem(&format!("Secret of {name} (paste the whole PEM block): ")),
        _ => line(&format!("Secret of {name}: ")),
    })
}

/// The passphrase, as a pipe that gives it.
pub(super) fn passphrase(number: Option<u32>, name: &str) -> Result<OwnedFd, Fault> {
    take(false, number, MAX_PASSPHRASE_BYTES, "passphrase", "--passphrase-fd", || {
        line(&format!("Passphrase of {name}: "))
    })
}

fn take(
    stdin: bool,
    number: Option<u32>,
    limit: u16,
    what: &str,
    options: &str,
    ask: impl FnOnce() -> io::Result<Zeroizing<String>>,
) -> Result<OwnedFd, Fault> {
    let invalid = |error: io::Error, hint: String| {
        Fault::new(ErrorCode::Invalid, format!("the {what} cannot be read: {error}"), hint)
    };
    let read = match (stdin, number) {
        (true, _) => read_all(&io::stdin(), limit).map_err(|error| invalid(error, String::new()))?,
        (false, Some(number)) => {
            let hint = format!("open it for reading, as in {number}<file");
            descriptor(number)
                .and_then(|file| read_all(&file, limit))
                .map_err(|error| invalid(error, hint))?
        }
        (false, None) => {
            let typed =
                ask().map_err(|error| invalid(error, format!("without a terminal, use {options}")))?;
            Zeroizing::new(typed.as_bytes().to_vec())
        }
    };
    into_pipe(&read).map_err(Fault::defect)
}

/// A copy of one of this process's own descriptors, by number.
pub(super) fn descriptor(number: u32) -> io::Result<OwnedFd> {
    Ok(OwnedFd::from(File::open(format!("/proc/self/fd/{number}"))?))
}

/// Reads to the end, into one buffer that never moves and is wiped.
fn read_all(from: &impl std::os::fd::AsFd, limit: u16) -> io::Result<Zeroizing<Vec<u8>>> {
    // Room for a line break and for one byte too many.
    let room = usize::from(limit).saturating_add(3);
    let mut buffer = Zeroizing::new(vec![0; room]);
    let mut filled = 0_usize;
    loop {
        let rest = buffer.get_mut(filled..).unwrap_or_default();
        if rest.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it has more than {limit} bytes"),
            ));
        }
        match rustix::io::read(from, rest)? {
            0 => break,
            read => filled = filled.saturating_add(read),
        }
    }
    buffer.truncate(filled);
    Ok(buffer)
}

/// A pipe that holds `bytes` and whose write end is closed. The longest secret fits a pipe's buffer.
fn into_pipe(bytes: &[u8]) -> io::Result<OwnedFd> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK)?;
    let written = rustix::io::write(&writer, bytes)?;
    if written == bytes.len() { Ok(reader) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// One typed line. The terminal is hushed before the prompt stands there, and not only when the line is
/// read: what is pasted the moment the prompt is seen must not be shown.
fn line(prompt: &str) -> io::Result<Zeroizing<String>> {
    let _hushed = Hushed::terminal()?;
    rpassword::prompt_password(prompt).map(Zeroizing::new)
}

/// The lines of one PEM block. The terminal stays hushed between them, for they come all at once.
fn pem(prompt: &str) -> io::Result<Zeroizing<String>> {
    let _hushed = Hushed::terminal()?;
    let mut block = Zeroizing::new(String::with_capacity(usize::from(MAX_SECRET_BYTES)));
    let mut prompt = prompt;
    while block.len() < usize::from(MAX_SECRET_BYTES) {
        let line = rpassword::prompt_password(prompt).map(Zeroizing::new)?;
        prompt = "";
        block.push_str(line.trim());
        block.push('\n');
        // A key from a JSON file stands on one line, with its line breaks written as \n.
        if line.contains("-----END ") || line.trim().is_empty() {
            break;
        }
    }
    Ok(block)
}

/// The controlling terminal, which shows nothing of what is typed while this lives.
struct Hushed {
    terminal: File,
    before: Termios,
}

impl Hushed {
    fn terminal() -> io::Result<Self> {
        let terminal = File::options().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        let mut hushed = before.clone();
        hushed.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Now, &hushed)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Hushed {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}
