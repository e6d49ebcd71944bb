//! Lines that a person types at the terminal, without echo, straight into memory that no dump shows.
//!
//! The terminal edits the line (backspace, Ctrl-U), so nothing comes before the line is complete.

use std::fs::File;
use std::io::{self, Write as _};

use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

use strongroom_locked::SecretBuffer;

use super::secret::buffer;

/// The controlling terminal, which shows nothing of what is typed while this lives.
///
/// It is hushed before a prompt stands there, and not only when the line is read: what is pasted the
/// moment the prompt is seen must not be shown.
pub(super) struct Terminal {
    file: File,
    before: Termios,
    /// What is done with typed lines that nobody has read.
    unread: OptionalActions,
}

/// What Ctrl-C types where it sends no signal.
const INTERRUPT: u8 = 3;

impl Terminal {
    /// Hushes the terminal.
    ///
    /// Ctrl-C is to end the line, not the process: then nobody would restore the terminal.
    pub(super) fn hush() -> io::Result<Self> {
        let file = File::options().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&file)?;
        let mut hushed = before.clone();
        hushed.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        hushed.local_modes.insert(LocalModes::ECHONL | LocalModes::ICANON);
        hushed.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
        tcsetattr(&file, OptionalActions::Now, &hushed)?;
        Ok(Self { file, before, unread: OptionalActions::Now })
    }

    /// Asks for one line, without its end.
    pub(super) fn line(&mut self, prompt: &str, into: &mut SecretBuffer) -> io::Result<()> {
        self.file.write_all(prompt.as_bytes())?;
        let begin = into.as_slice().len();
        self.read(into)?;
        // A wrong PIN costs a try, and an arrow key is no part of one.
        if into.as_slice().iter().skip(begin).any(u8::is_ascii_control) {
            return Err(self.give_up("a control character was typed, as arrow keys do; type it anew"));
        }
        Ok(())
    }

    /// Asks for a PEM block, which is pasted: reads to its last line, or to an empty one.
    pub(super) fn pem(&mut self, prompt: &str, into: &mut SecretBuffer) -> io::Result<()> {
        self.file.write_all(prompt.as_bytes())?;
        let mut line = buffer(MAX_LINE_BYTES).map_err(io::Error::other)?;
        loop {
            line.truncate(0);
            self.read(&mut line)?;
            let text = line.as_slice().trim_ascii();
            for byte in text.iter().chain(b"\n") {
                let Some(place) = into.room().first_mut() else { return Err(self.give_up(TOO_LONG)) };
                *place = *byte;
                into.add(1);
            }
            // A key from a JSON file stands on one line, with its line breaks written as \n.
            if text.is_empty() || text.windows(LAST.len()).any(|window| window == LAST) {
                return Ok(());
            }
        }
    }

    /// Reads to the end of one line, which is not kept.
    fn read(&mut self, into: &mut SecretBuffer) -> io::Result<()> {
        loop {
            let room = into.room();
            if room.is_empty() {
                return Err(self.give_up(TOO_LONG));
            }
            let read = match rustix::io::read(&self.file, room) {
                Ok(0) => return Err(self.give_up("the end of the input came")),
                Ok(read) => read,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            into.add(read);
            let without_end = into.as_slice().len().saturating_sub(1);
            match into.as_slice().last() {
                Some(b'\n') => {
                    into.truncate(without_end);
                    return Ok(());
                }
                Some(&INTERRUPT) => return Err(self.interrupted(into)),
                // Ctrl-D in the middle of a line.
                _ => {}
            }
        }
    }

    /// Does what Ctrl-C does, when the terminal is as it was.
    fn interrupted(&mut self, typed: &mut SecretBuffer) -> io::Error {
        typed.truncate(0);
        let _ = self.file.write_all(b"\n");
        let error = self.give_up("interrupted");
        self.restore();
        let _ = kill_process(getpid(), Signal::INT);
        error
    }

    /// What was typed ahead is not for the shell.
    fn give_up(&mut self, why: &str) -> io::Error {
        self.unread = OptionalActions::Flush;
        io::Error::new(io::ErrorKind::InvalidData, why)
    }

    fn restore(&self) {
        let _ = tcsetattr(&self.file, self.unread, &self.before);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.restore();
    }
}

/// How the last line of a PEM block begins.
const LAST: &[u8] = b"-----END ";
/// What a terminal keeps of one line, and its end.
const MAX_LINE_BYTES: usize = 4097;
const TOO_LONG: &str = "it is too long";
