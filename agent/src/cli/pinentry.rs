//! Asking for the PIN, or for a yes, by a pinentry program: the Assuan protocol, as far as it is needed.
//!
//! The program shows a dialogue and answers on its standard output. Its lines are read byte by byte into
//! memory that no dump shows, and decoded there. What the program itself does with the PIN is its own affair.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use strongroom_link::child;
use strongroom_link::keeper::MAX_PIN_BYTES;
use strongroom_locked::{SecretBuffer, memory::MemoryError};

use super::secret::buffer;

/// Longest line of the protocol, in bytes.
const MAX_LINE_BYTES: usize = 1000;
/// Most lines of one answer.
const MAX_LINES: usize = 64;
/// How long the program may take to start, and to answer what needs no person.
const PROMPT: Duration = Duration::from_secs(10);
/// How long a person may take.
const PERSON: Duration = Duration::from_secs(300);
/// How long the program may take to end.
const END: Duration = Duration::from_millis(500);

/// Why no PIN came.
#[derive(Debug, thiserror::Error)]
pub(super) enum PinentryError {
    #[error("the PIN dialogue was cancelled")]
    Cancelled,
    #[error("the pinentry program ended in the middle of the dialogue")]
    Ended,
    #[error("the pinentry program does not speak its protocol: {0}")]
    Garbage(&'static str),
    #[error("the pinentry program did not answer within {} s", .0.as_secs())]
    Late(Duration),
    #[error("there is no memory for the PIN")]
    Memory(#[source] MemoryError),
    #[error("nobody has entered the PIN in time")]
    Nobody,
    #[error("talking to the pinentry program failed")]
    Pipe(#[source] io::Error),
    #[error("the pinentry program refuses: {text} ({code})")]
    Refused { code: u32, text: String },
    #[error("the pinentry program {} cannot be started", program.display())]
    Spawn {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// What a person is asked.
pub(super) struct Question<'a> {
    pub(super) title: &'a str,
    pub(super) description: &'a str,
    pub(super) prompt: &'a str,
}

/// Has `program` ask; the answer stands in `pin` then.
pub(super) fn ask(
    program: &str,
    question: &Question<'_>,
    pin: &mut SecretBuffer,
) -> Result<(), PinentryError> {
    let mut dialogue = Dialogue::open(program, PERSON, question.title, question.description)?;
    dialogue.tell(&format!("SETPROMPT {}", encoded(question.prompt)))?;
    dialogue.say("GETPIN")?;
    dialogue.answer(PERSON.saturating_add(PROMPT), Some(pin))?;
    // It ends with its standard input, too.
    let _ = dialogue.say("BYE");
    Ok(())
}

/// Has `program` ask for a yes or a no, at most for `within`.
pub(super) fn confirm(
    program: &str,
    title: &str,
    description: &str,
    within: Duration,
) -> Result<bool, PinentryError> {
    let mut dialogue = Dialogue::open(program, within, title, description)?;
    dialogue.tell(&format!("SETOK {}", encoded("Sign")))?;
    dialogue.tell(&format!("SETCANCEL {}", encoded("Deny")))?;
    dialogue.say("CONFIRM")?;
    let answer = match dialogue.answer(within, None) {
        Ok(()) => Ok(true),
        Err(PinentryError::Cancelled) => Ok(false),
        Err(PinentryError::Late(_)) => Err(PinentryError::Nobody),
        Err(error) => Err(error),
    };
    // It ends with its standard input, too.
    let _ = dialogue.say("BYE");
    answer
}

/// Starts `program` once, and asks nothing: whether there is one that speaks the protocol.
pub(super) fn check(program: &str) -> Result<(), PinentryError> {
    let mut dialogue = Dialogue::start(program)?;
    dialogue.answer(PROMPT, None)?;
    let _ = dialogue.say("BYE");
    Ok(())
}

/// Whether a description fits a line of the protocol.
pub(super) fn fits(description: &str) -> bool {
    encoded(description).len().saturating_add("SETDESC \n".len()) <= MAX_LINE_BYTES
}

/// Where the dialogue can be shown.
fn options() -> Vec<String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = |name| variable("LC_ALL").or_else(|| variable(name)).or_else(|| variable("LANG"));
    let all = [
        ("display", variable("DISPLAY")),
        ("ttyname", variable("GPG_TTY").or_else(terminal_name)),
        ("ttytype", variable("TERM")),
        ("lc-ctype", locale("LC_CTYPE")),
        ("lc-messages", locale("LC_MESSAGES")),
    ];
    let given = all.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
    // No other program of the session sees the keys.
    given.filter(|option| !option.contains(['\r', '\n'])).chain(["grab".to_owned()]).collect()
}

/// The terminal of this process, by name: a pinentry opens it by itself.
fn terminal_name() -> Option<String> {
    let of = |name: rustix::io::Result<std::ffi::CString>| name.ok()?.into_string().ok();
    of(rustix::termios::ttyname(io::stderr(), Vec::new()))
        .or_else(|| of(rustix::termios::ttyname(io::stdin(), Vec::new())))
        .or_else(|| std::fs::File::open("/dev/tty").ok().map(|_| "/dev/tty".to_owned()))
}

/// Text as an argument of a command.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '%' | '\0'..' ' | '\x7F' => out.push_str(&format!("%{:02X}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out
}

/// A running pinentry; ended when dropped.
struct Dialogue {
    child: Child,
    to: Option<ChildStdin>,
    from: ChildStdout,
    line: SecretBuffer,
}

impl Dialogue {
    /// Starts the program, and tells it all but what is asked.
    fn open(program: &str, within: Duration, title: &str, description: &str) -> Result<Self, PinentryError> {
        let mut dialogue = Self::start(program)?;
        dialogue.answer(PROMPT, None)?;
        for option in options() {
            match dialogue.tell(&format!("OPTION {option}")) {
                // Programs differ in what they know, and all do without.
                Ok(()) | Err(PinentryError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        dialogue.tell(&format!("SETTIMEOUT {}", within.as_secs().max(1)))?;
        dialogue.tell(&format!("SETTITLE {}", encoded(title)))?;
        dialogue.tell(&format!("SETDESC {}", encoded(description)))?;
        Ok(dialogue)
    }

    fn start(program: &str) -> Result<Self, PinentryError> {
        let spawned = || -> io::Result<_> {
            child::keep_descriptors();
            let mut child = Command::new(program)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()?;
            let missing = || io::Error::other("a pipe is missing");
            let to = Some(child.stdin.take().ok_or_else(missing)?);
            let from = child.stdout.take().ok_or_else(missing)?;
            Ok((child, to, from))
        };
        let line = buffer(MAX_LINE_BYTES).map_err(PinentryError::Memory)?;
        let (child, to, from) =
            spawned().map_err(|source| PinentryError::Spawn { program: program.into(), source })?;
        Ok(Self { child, to, from, line })
    }

    /// Gives a command that needs no person, and has it acknowledged.
    fn tell(&mut self, command: &str) -> Result<(), PinentryError> {
        self.say(command)?;
        self.answer(PROMPT, None)
    }

    fn say(&mut self, command: &str) -> Result<(), PinentryError> {
        let Some(to) = &mut self.to else { return Err(PinentryError::Ended) };
        to.write_all(format!("{command}\n").as_bytes()).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => PinentryError::Ended,
            _ => PinentryError::Pipe(error),
        })
    }

    /// Takes lines until one says that it is done; data go to `pin`.
    fn answer(
        &mut self,
        patience: Duration,
        mut pin: Option<&mut SecretBuffer>,
    ) -> Result<(), PinentryError> {
        let until = Instant::now().checked_add(patience);
        for _ in 0..MAX_LINES {
            self.read_line(until, patience)?;
            let line = self.line.as_slice();
            match (line, &mut pin) {
                (b"OK" | [b'O', b'K', b' ', ..], _) => return Ok(()),
                ([b'E', b'R', b'R', b' ', error @ ..], _) => return Err(refusal(error)),
                // A status, a comment.
                (b"S" | [b'S', b' ', ..] | [b'#', ..], _) => {}
                ([b'D', b' ', data @ ..], Some(pin)) => decode(data, pin)?,
                _ => return Err(PinentryError::Garbage("an answer that is none")),
            }
        }
        Err(PinentryError::Garbage("an answer without an end"))
    }

    /// Reads one line, byte by byte, so that nothing behind it comes along.
    fn read_line(&mut self, until: Option<Instant>, patience: Duration) -> Result<(), PinentryError> {
        self.line.truncate(0);
        loop {
            let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
            let left = Timespec::try_from(left).map_err(|_| PinentryError::Late(patience))?;
            match poll(&mut [PollFd::new(&self.from, PollFlags::IN)], Some(&left)) {
                Ok(0) if patience > PERSON => return Err(PinentryError::Nobody),
                Ok(0) => return Err(PinentryError::Late(patience)),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(PinentryError::Pipe(error.into())),
            }
            let is_full = self.line.as_slice().len() >= MAX_LINE_BYTES;
            let Some(place) = self.line.room().get_mut(..1).filter(|_| !is_full) else {
                return Err(PinentryError::Garbage("a line of more than 1000 bytes"));
            };
            match rustix::io::read(&self.from, &mut *place) {
                Ok(0) => return Err(PinentryError::Ended),
                Ok(_) if *place == [b'\n'] => {
                    place.fill(0);
                    return Ok(());
                }
                Ok(_) => self.line.add(1),
                Err(Errno::INTR) => {}
                Err(error) => return Err(PinentryError::Pipe(error.into())),
            }
        }
    }
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        // A pinentry ends with its standard input, and gives the terminal back then.
        self.to = None;
        let began = Instant::now();
        while began.elapsed() < END {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Appends data to `pin`; `%` and two hexadecimal digits stand for a byte.
fn decode(data: &[u8], pin: &mut SecretBuffer) -> Result<(), PinentryError> {
    let mut bytes = data.iter().copied();
    let digit = |byte: Option<u8>| {
        let digit = byte.and_then(|byte| char::from(byte).to_digit(16));
        digit.and_then(|digit| u8::try_from(digit).ok()).ok_or(PinentryError::Garbage("a wrong escape"))
    };
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => (digit(bytes.next())? << 4) | digit(bytes.next())?,
            byte => byte,
        };
        let is_full = pin.as_slice().len() >= usize::from(MAX_PIN_BYTES);
        let Some(place) = pin.room().first_mut().filter(|_| !is_full) else {
            return Err(PinentryError::Garbage("a PIN of more than 255 bytes"));
        };
        *place = byte;
        pin.add(1);
    }
    Ok(())
}

/// The error of `ERR code text`. The code's lower half is the error, the upper half says whose it is.
fn refusal(line: &[u8]) -> PinentryError {
    let line = String::from_utf8_lossy(line);
    let (code, text) = line.split_once(' ').unwrap_or((&line, ""));
    let Ok(code) = code.parse::<u32>() else { return PinentryError::Garbage("an error without a code") };
    match code & 0xFFFF {
        CANCELED | FULLY_CANCELED | NOT_CONFIRMED => PinentryError::Cancelled,
        TIMEOUT => PinentryError::Nobody,
        _ => PinentryError::Refused { code, text: text.chars().filter(|c| !c.is_control()).collect() },
    }
}

/// `GPG_ERR_TIMEOUT`, `GPG_ERR_CANCELED`, `GPG_ERR_NOT_CONFIRMED`, `GPG_ERR_FULLY_CANCELED`.
const TIMEOUT: u32 = 62;
const CANCELED: u32 = 99;
const NOT_CONFIRMED: u32 = 114;
const FULLY_CANCELED: u32 = 198;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_what_would_end_a_command() {
        assert_eq!(encoded("100 %\nof\r\u{7f}ä"), "100 %25%0Aof%0D%7Fä");
    }

    fn decoded(data: &[u8]) -> Option<String> {
        let mut pin = buffer(1000).unwrap();
        decode(data, &mut pin).ok()?;
        Some(String::from_utf8(pin.as_slice().to_vec()).unwrap())
    }

    #[test]
    fn decodes_escapes_and_refuses_broken_ones() {
        assert_eq!(decoded(b"12%2534").as_deref(), Some("12%34"));
        assert_eq!(decoded(b"%0a%0D").as_deref(), Some("\n\r"));
        assert_eq!(decoded(b"").as_deref(), Some(""));
        for broken in [&b"12%"[..], b"12%2", b"12%G0", b"12%+1"] {
            assert_eq!(decoded(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn tells_cancelled_from_refused() {
        assert!(matches!(refusal(b"83886179 Operation cancelled <Pinentry>"), PinentryError::Cancelled));
        assert!(matches!(refusal(b"99"), PinentryError::Cancelled));
        assert!(matches!(refusal(b"83886194 Not confirmed <Pinentry>"), PinentryError::Cancelled));
        assert!(matches!(refusal(b"83886142 Timeout"), PinentryError::Nobody));
        assert!(matches!(
            refusal(b"83886340 Invalid IPC response"),
            PinentryError::Refused { code: 83_886_340, .. }
        ));
        assert!(matches!(refusal(b"none"), PinentryError::Garbage(_)));
    }
}
